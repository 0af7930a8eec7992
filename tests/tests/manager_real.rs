//! Sessions of a real codex-manager, whose address is in `CODEX_SKILLS_MANAGER`: `e2e/manager.sh` starts one. Its model
//! is our provider.

use std::time::Duration;

use codex_skills::{
    ApprovalPolicy, Catalog, Client, CodexManager, Draft, Error, Skill, TurnStatus,
};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, echo, held};
use serde_json::{Value, json};

fn url() -> String {
    std::env::var("CODEX_SKILLS_MANAGER").expect("the address of a codex-manager")
}

fn client() -> Client<CodexManager> {
    let builder = CodexManager::builder().ignore_env();
    let builder = builder.profile_path("/nowhere/config.json").base_url(url());
    builder.build().expect("settings")
}

fn catalog(skills: Vec<Skill>) -> Catalog {
    Draft::new().register(skills).seal().expect("a catalog")
}

async fn ask(method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut call = http.request(method, format!("{}/api{path}", url()));
    if let Some(body) = body {
        call = call
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = call.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// A test that is ignored where no codex-manager is given.
macro_rules! on_manager {
    ($(#[$more:meta])* async fn $test:ident() $body:block) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[cfg_attr(not(manager_given), ignore = "no codex-manager is given: run tests/e2e/manager.sh CHECKOUT")]
        async fn $test() -> Result<(), Error> $body
    };
}

on_manager! {
    async fn calls_of_a_turn_run_once_and_the_session_is_gone_afterwards() {
        let (client, runs) = (client(), Counter::default());
        let mut id = String::new();
        let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
        id.push_str(run.session_id());
        let text = "CALL echo {\"text\":\"a\"}\nCALL echo {\"text\":\"b\"}\nTHEN\nCALL echo {\"text\":\"c\"}";
        let turn = run.send_and_handle(text).require_reply().await?;
        assert_eq!(turn.assistant_reply, "Tool outputs: echo a | echo b | echo c");
        assert_eq!((runs.get(), turn.dispatches.len()), (3, 3));
        let turn = run.send_and_handle("SAY once more").require_reply().await?;
        assert_eq!(turn.assistant_reply, "once more");
        let report = run.close().await?;
        assert!(report.deleted(), "{report}");
        let (status, _) = ask(reqwest::Method::GET, &format!("/sessions/{id}"), None).await;
        assert_eq!(status, 410);
        Ok(())
    }
}

on_manager! {
    async fn what_codex_answers_itself_does_not_reach_the_client() {
        let (client, runs) = (client(), Counter::default());
        let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
        let text = "CALL nobody {}\nCALL echo {broken\nCALL echo {\"text\":7}";
        let turn = run.send_and_handle(text).require_reply().await?;
        assert_eq!((runs.get(), turn.dispatches.len()), (0, 1), "{}", turn.assistant_reply);
        assert!(turn.assistant_reply.contains("unsupported call: nobody"), "{}", turn.assistant_reply);
        Ok(())
    }
}

on_manager! {
    async fn a_turn_that_takes_too_long_is_interrupted_and_the_next_one_works() {
        let (client, runs, gate) = (client(), Counter::default(), Gate::new());
        let run = client.lifecycle_with(catalog(vec![held(&runs, &gate), echo(&runs)])).await?;
        let turn = run.send_and_handle(r#"CALL held {"text":"a"}"#).timeout(Duration::from_secs(1));
        assert!(matches!(turn.await, Err(Error::TurnTimeout { .. })));
        let turn = run.send_and_handle(r#"CALL echo {"text":"b"}"#).require_reply().await?;
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.assistant_reply, "Tool outputs: echo b");
        Ok(())
    }
}

on_manager! {
    async fn sessions_at_the_same_time_have_their_own_calls() {
        let client = client();
        let turn = async |text: String| {
            let runs = Counter::default();
            let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
            let request = format!(r#"CALL echo {{"text":"{text}"}}"#);
            let turn = run.send_and_handle(request).require_reply().await?;
            assert_eq!((turn.assistant_reply, runs.get()), (format!("Tool outputs: echo {text}"), 1));
            Ok::<(), Error>(())
        };
        let (a, b, c) = tokio::join!(turn("a".to_owned()), turn("b".to_owned()), turn("c".to_owned()));
        a.and(b).and(c)
    }
}

on_manager! {
    async fn a_command_waits_for_a_decision_of_the_servers_routes() {
        let (client, runs) = (client(), Counter::default());
        let (_, session) = client
            .create_session_with(catalog(vec![echo(&runs)]))
            .approval_policy(ApprovalPolicy::Untrusted)
            .await?;
        let id = session.session_id().to_owned();
        let command = json!({"cmd": "touch a", "sandbox_permissions": "require_escalated", "justification": "a test"});
        session.send(format!("CALL exec_command {command}")).await?;
        let approvals = format!("/sessions/{id}/approvals");
        let approval = loop {
            let (status, rows) = ask(reqwest::Method::GET, &approvals, None).await;
            assert_eq!(status, 200, "{rows}");
            if let Some(approval) = rows["data"][0]["approvalId"].as_str() {
                break approval.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let path = format!("/approvals/{approval}/decision");
        let decision = json!({"decision": "decline"});
        let (status, _) = ask(reqwest::Method::POST, &path, Some(decision)).await;
        assert_eq!(status, 200);
        let report = client.close_session(&id, true).await?;
        assert!(report.deleted(), "{report}");
        Ok(())
    }
}
