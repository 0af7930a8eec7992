//! What the real codex cannot be made to do on demand: a codex that is old, refuses, is silent, mad, overloaded or stubborn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use codex_skills::app_server::{AppServerError, RestartPolicy, SpawnAppServer};
use codex_skills::{
    AppServer, Client, CodexReply, Error, RequestHandler, Session, TurnStatus, skill, skills,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Say a text.
#[skill]
fn echo(text: String) -> String {
    text
}

fn fake(does: &str) -> SpawnAppServer {
    AppServer::spawn()
        .codex(env!("CARGO_BIN_EXE_fake_codex"))
        .env("FAKE_CODEX", does)
        .restart(RestartPolicy::never())
}

/// A fake that writes down what it hears.
struct Heard(TempDir);

impl Heard {
    fn new() -> io::Result<Self> {
        tempfile::tempdir().map(Self)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("heard")
    }

    /// The messages with this method, or the answers without one.
    fn of(&self, method: Option<&str>) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).expect("it heard something");
        let messages = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        messages
            .filter(|message| message["method"].as_str() == method)
            .collect()
    }
}

async fn session(client: &Client<AppServer>) -> Result<Session, Error> {
    let register = |draft: codex_skills::Draft| draft.register(skills![echo]);
    Ok(client.create_session(register).await?.1)
}

async fn failure(spawn: SpawnAppServer) -> AppServerError {
    spawn.await.expect_err("it does not start")
}

#[tokio::test]
async fn a_missing_codex_is_an_error_that_says_how_to_get_one() {
    let error = failure(AppServer::spawn().codex("/no/such/codex")).await;
    assert!(
        matches!(&error, AppServerError::NotFound { looked_for } if looked_for.as_deref() == Some(Path::new("/no/such/codex")))
    );
    assert!(
        error.to_string().contains("npm install -g @openai/codex"),
        "{error}"
    );
    let error = failure(AppServer::spawn().codex("no-such-codex-on-the-path")).await;
    assert!(matches!(error, AppServerError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_codex_that_cannot_be_started_says_why() {
    let text = tempfile::NamedTempFile::new().expect("a file");
    let error = failure(AppServer::spawn().codex(text.path())).await;
    assert!(
        matches!(error, AppServerError::CannotStart { .. }),
        "{error}"
    );
    let nowhere = fake("").current_dir("/no/such/directory");
    let error = failure(nowhere).await;
    assert!(
        matches!(error, AppServerError::CannotStart { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_old_codex_is_refused_with_the_version_that_will_do() {
    let error = failure(fake("old")).await;
    assert!(matches!(error, AppServerError::TooOld { .. }));
    let text = error.to_string();
    assert!(
        text.contains("0.90.0") && text.contains("0.105.0"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_handshake_says_what_codex_said() {
    let error = failure(fake("refuses")).await;
    assert!(matches!(error, AppServerError::Refused { .. }));
    assert!(
        error.to_string().contains("no room for another client"),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_codex_is_given_up() {
    let error = failure(fake("silent").start_timeout(Duration::from_millis(300))).await;
    assert!(matches!(error, AppServerError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_codex_that_dies_says_how_and_what_it_wrote() {
    let error = failure(fake("dies")).await;
    let AppServerError::Ended { status, stderr } = &error else {
        panic!("{error}")
    };
    assert!(status.contains('3'), "{status}");
    assert_eq!(stderr, "ERROR the config is no good");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let error = failure(fake("").request_timeout(Duration::ZERO)).await;
    assert!(matches!(
        error,
        AppServerError::InvalidOption {
            option: "request_timeout",
            ..
        }
    ));
    for (address, wanted) in [
        ("http://127.0.0.1:1", "must begin with `ws://`"),
        ("wss://127.0.0.1:1", "TLS"),
        ("ws://127.0.0.1", "names no port"),
        ("127.0.0.1:1", "ws://"),
        ("", "ws://"),
    ] {
        let error = AppServer::connect(address)
            .await
            .expect_err("it is no address");
        assert!(
            matches!(error, AppServerError::InvalidOption { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let short = AppServer::connect("ws://127.0.0.1:1").signed_bearer("short", None, None);
    let error = short.await.expect_err("the secret is too short");
    assert!(error.to_string().contains("32 bytes"), "{error}");
}

#[tokio::test]
async fn what_nobody_understands_is_left_out_and_counted() -> Result<(), Error> {
    let client = fake("junk odd-ids").await?;
    let session = session(&client).await?;
    let turn = session.send_and_handle("go").await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches.len(), 4);
    assert!(client.metrics().unreadable_messages > 0);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn the_ids_of_calls_are_echoed_exactly() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("odd-ids")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    let session = session(&client).await?;
    session.send_and_handle("go").await?;
    client.shutdown().await;
    let mut answered: Vec<(String, String)> = heard
        .of(None)
        .iter()
        .map(|answer| {
            let text = answer["result"]["contentItems"][0]["text"].as_str();
            (
                answer["id"].to_string(),
                text.unwrap_or_default().to_owned(),
            )
        })
        .collect();
    answered.sort();
    let wanted = [("\"0\"", "1"), ("\"a\\\"b\"", "3"), ("-7", "2"), ("0", "0")];
    assert_eq!(
        answered,
        wanted.map(|(id, text)| (id.to_owned(), text.to_owned()))
    );
    Ok(())
}

#[tokio::test]
async fn a_codex_without_time_is_asked_again() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("overloaded")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    session(&client).await?;
    client.shutdown().await;
    assert_eq!(heard.of(Some("thread/start")).len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_request_that_codex_forgets_is_given_up() -> Result<(), Error> {
    let client = fake("forgets")
        .request_timeout(Duration::from_millis(200))
        .await?;
    let error = session(&client).await.expect_err("nothing answers");
    assert!(
        error.to_string().contains("no answer within 200ms"),
        "{error}"
    );
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn an_interrupt_that_names_an_old_turn_is_made_again() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("elsewhere")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    let session = session(&client).await?;
    session.send("go").await?;
    session.interrupt().await?;
    client.shutdown().await;
    let turns: Vec<Value> = heard
        .of(Some("turn/interrupt"))
        .iter()
        .map(|interrupt| interrupt["params"]["turnId"].clone())
        .collect();
    assert_eq!(
        turns,
        ["22222222-2222-7222-8222-222222222222", "other-turn"]
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupt_without_a_turn_is_an_error() -> Result<(), Error> {
    let client = fake("").await?;
    let session = session(&client).await?;
    let error = session.interrupt().await.expect_err("there is no turn");
    assert!(error.to_string().contains("no active turn"), "{error}");
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn everything_that_codex_asks_is_answered() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("asks").env("FAKE_CODEX_HEARD", heard.path()).await?;
    let session = session(&client).await?;
    let turn = session.send_and_handle("go").await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    client.shutdown().await;
    let answers = heard.of(None);
    let answer = |id: u64| {
        let mut of = answers.iter().filter(|answer| answer["id"] == id);
        let answer = of.next().expect("an answer");
        assert!(of.next().is_none(), "one answer");
        answer.clone()
    };
    let refusals = [
        json!({"decision": "decline"}),
        json!({"decision": "decline"}),
        json!({"permissions": {}, "scope": "turn"}),
        json!({"answers": {}}),
        json!({"action": "decline", "content": null, "_meta": null}),
    ];
    for (id, refusal) in (0..).zip(refusals) {
        assert_eq!(answer(id)["result"], refusal);
    }
    for id in [5, 6, 9] {
        assert!(answer(id)["error"]["message"].is_string(), "{}", answer(id));
    }
    assert!(answer(7)["result"]["currentTimeAt"].as_u64() > Some(1_700_000_000));
    assert!(answer(8)["result"]["decision"]["denied"].is_object());
    Ok(())
}

#[tokio::test]
async fn a_handler_of_requests_that_blocks_or_panics_holds_nothing_up() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("asks").env("FAKE_CODEX_HEARD", heard.path()).await?;
    let handler = RequestHandler::new(|request| {
        // Before there is a future.
        assert!(!request.method.contains("fileChange"), "as a test wants it");
        async move {
            match request.method.as_str() {
                "item/commandExecution/requestApproval" => CodexReply::Grant,
                "something/new" => CodexReply::Result(json!({"mine": request.thread_id})),
                _ => CodexReply::Refuse,
            }
        }
    });
    let register = |draft: codex_skills::Draft| draft.register(skills![echo]);
    let (_, session) = client.create_session(register).on_request(handler).await?;
    session.send_and_handle("go").await?;
    client.shutdown().await;
    let answers = heard.of(None);
    let result = |id: u64| {
        let answer = answers.iter().find(|answer| answer["id"] == id);
        answer.expect("an answer")["result"].clone()
    };
    assert_eq!(result(0), json!({"decision": "accept"}));
    assert_eq!(result(1), json!({"decision": "decline"}));
    assert_eq!(result(9)["mine"], "11111111-1111-7111-8111-111111111111");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_does_not_end_is_killed() -> Result<(), Error> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("codex");
    let fake_codex = env!("CARGO_BIN_EXE_fake_codex");
    // What is ignored before `exec` is ignored after it.
    fs::write(
        &script,
        format!("#!/bin/sh\ntrap '' TERM\nexec {fake_codex} \"$@\"\n"),
    )?;
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let client = AppServer::spawn()
        .codex(&script)
        .env("FAKE_CODEX", "stubborn")
        .grace(Duration::from_millis(100))
        .await?;
    let report = client.shutdown().await;
    assert!(report.runtime_error.is_none(), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_a_debug_text() -> Result<(), Error> {
    let spawn = fake("")
        .env("KEY", "s3cret")
        .config("providers.x.key", "s3cret");
    assert!(!format!("{spawn:?}").contains("s3cret"), "{spawn:?}");
    let client = spawn.await?;
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
    client.shutdown().await;
    let connect = AppServer::connect("ws://127.0.0.1:1").capability_token("s3cret");
    assert!(!format!("{connect:?}").contains("s3cret"), "{connect:?}");
    let connect = connect.signed_bearer("s3cret".repeat(8), None, None);
    assert!(!format!("{connect:?}").contains("s3cret"), "{connect:?}");
    let error = connect.await.expect_err("nobody is there");
    assert!(
        matches!(error, AppServerError::Unreachable { .. }),
        "{error}"
    );
    Ok(())
}
