//! What the stream does not say: a codex that died, a stream that is half open, and what is said twice.

use std::time::{Duration, Instant};

use codex_skills::{Error, Event, Outcome, SubmissionStatus};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::{Fault, Manager};
use codex_skills_tests::skills::Counter;
use serde_json::json;

use crate::support::{builder, catalog, echo, held, limits, lost, start};

const HELD: &str = r#"CALL held {"text":"a"}"#;
const NOTHING: Duration = Duration::from_secs(3600);
/// How long a turn may take whose end is never heard of, so that a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that asks on its own accord only after an hour of silence.
fn patient(manager: &Manager) -> codex_skills::Client<codex_skills::CodexManager> {
    let builder = builder(manager).heartbeat(NOTHING);
    let builder = builder.poll_intervals(NOTHING, NOTHING);
    builder.build().expect("settings").with_limits(limits())
}

#[tokio::test]
async fn a_codex_that_dies_in_a_call_is_known_at_once_and_the_turn_lost() -> Result<(), Error> {
    let (manager, _) = start().await;
    let client = patient(&manager);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![echo(&runs), held(&runs, &gate)]))
        .await?;
    let kill = async {
        gate.somebody().await;
        manager.kill_codex();
        Instant::now()
    };
    let text = format!("CALL echo {{\"text\":\"a\"}}\nTHEN\n{HELD}");
    let (turn, died) = tokio::join!(
        run.send_and_handle(text).timeout(PATIENCE).into_future(),
        kill
    );
    assert!(
        died.elapsed() < Duration::from_secs(2),
        "{:?}",
        died.elapsed()
    );
    let turn = lost(turn);
    let reason = turn.error.as_deref().unwrap_or_default();
    assert!(reason.contains("codex does not run any more"), "{reason}");
    let outcomes: Vec<Outcome> = turn.dispatches.iter().map(|call| call.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Completed, Outcome::Cancelled]);
    assert_eq!(
        turn.dispatches[0].submission().status(),
        SubmissionStatus::Accepted
    );
    let error = run
        .send("hello")
        .await
        .expect_err("codex is dead")
        .to_string();
    assert!(error.contains("restart codex-manager"), "{error}");
    let error = Error::TurnLost {
        turn: Box::new(turn),
    }
    .to_string();
    assert!(error.contains("1 call was answered, 1 was not"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_codex_that_dies_while_nothing_is_called_is_known_within_two_seconds() -> Result<(), Error>
{
    let (manager, _) = start().await;
    let client = patient(&manager);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    // Nothing tells that the call expired.
    manager.force(Fault::DropFrames, 0);
    let kill = async {
        gate.somebody().await;
        manager.silence("turn/completed");
        manager.force(Fault::DropFrames, u32::MAX);
        manager.kill_codex();
        Instant::now()
    };
    let (turn, died) = tokio::join!(
        run.send_and_handle(HELD).timeout(PATIENCE).into_future(),
        kill
    );
    assert!(
        died.elapsed() < Duration::from_secs(2),
        "{:?}",
        died.elapsed()
    );
    lost(turn);
    Ok(())
}

#[tokio::test]
async fn a_half_open_stream_is_replaced_as_soon_as_a_poll_finds_what_it_kept() -> Result<(), Error>
{
    let (manager, _) = start().await;
    let client = patient(&manager);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.silence_streams();
    let began = Instant::now();
    let text = "CALL echo {\"text\":\"a\"}\nTHEN\nCALL echo {\"text\":\"b\"}\nTHEN\nCALL echo {\"text\":\"c\"}";
    let turn = run
        .send_and_handle(text)
        .timeout(PATIENCE)
        .require_reply()
        .await?;
    assert_eq!(
        turn.assistant_reply,
        "Tool outputs: echo a | echo b | echo c"
    );
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        manager.count("GET", "/api/stream"),
        2,
        "it was replaced once"
    );
    assert_eq!((runs.get(), client.metrics().reconnects), (3, 1));
    Ok(())
}

/// As on a machine that slept: nothing was listened to, and nothing was asked.
#[test]
fn a_stream_is_kept_though_this_process_stood_still() -> Result<(), Error> {
    let mut server = tokio::runtime::Builder::new_multi_thread();
    let server = server.worker_threads(1).enable_all().build();
    let server = server.expect("a runtime of the server's");
    let manager = server.block_on(Manager::start()).expect("a port");
    let mut own = tokio::runtime::Builder::new_current_thread();
    let own = own.enable_all().build().expect("a runtime of our own");
    own.block_on(async {
        let client = builder(&manager).poll_intervals(NOTHING, NOTHING);
        let client = client.build().expect("settings").with_limits(limits());
        let runs = Counter::default();
        let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
        run.send_and_handle("hello").await?;
        // Longer than the silence after which a stream is given up.
        std::thread::sleep(Duration::from_millis(600));
        run.send_and_handle(r#"CALL echo {"text":"a"}"#).await?;
        assert_eq!((runs.get(), client.metrics().reconnects), (1, 0));
        assert_eq!(manager.count("GET", "/api/stream"), 1);
        Ok(())
    })
}

#[tokio::test]
async fn a_stream_that_only_has_nothing_to_say_is_kept() -> Result<(), Error> {
    let (manager, _) = start().await;
    let client = patient(&manager);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let wait = async {
        gate.somebody().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        gate.open();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(HELD).into_future(), wait);
    turn?;
    assert_eq!(client.metrics().reconnects, 0);
    assert_eq!(
        manager.count("GET", &format!("/sessions/{}", run.session_id())),
        3,
        "after the connect"
    );
    Ok(())
}

#[tokio::test]
async fn each_message_is_told_once() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let mut signals = run.signals();
    run.send_and_handle("hello").await?;
    run.send_and_handle("hello").await?;
    let mut messages = 0;
    let mut turns = 0;
    while turns < 2 {
        match signals.next().await.expect("it is open") {
            Event::Message { .. } => messages += 1,
            Event::TurnCompleted { .. } => turns += 1,
            _ => {}
        }
    }
    assert_eq!(messages, 2);
    Ok(())
}

#[tokio::test]
async fn a_call_that_this_client_answers_does_not_expire() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let mut signals = run.signals();
    run.send_and_handle("CALL echo {\"text\":\"a\"}\nCALL echo {\"text\":\"b\"}")
        .await?;
    let mut calls = 0;
    loop {
        match signals.next().await.expect("it is open") {
            Event::ToolCall(_) => calls += 1,
            Event::CallExpired(call) => panic!("{call:?}"),
            Event::TurnCompleted { .. } => break,
            _ => {}
        }
    }
    assert!(calls >= 2);
    Ok(())
}

/// The server takes the answer and says nothing; what comes of it, the stream tells.
#[tokio::test]
async fn an_answer_that_was_taken_without_a_word_is_settled_when_the_turn_goes_on()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.force(Fault::TakenInSilence, 1);
    let began = Instant::now();
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    let submission = turn.dispatches[0].submission();
    assert_eq!(submission.status(), SubmissionStatus::Settled);
    assert_eq!(runs.get(), 1);
    Ok(())
}

/// Calls that expire in a turn that runs are looked into, together.
#[tokio::test]
async fn many_calls_that_expire_cost_few_requests() -> Result<(), Error> {
    const EXPIRED: usize = 300;
    let (manager, _) = start().await;
    let client = patient(&manager);
    let (gate, runs) = (Gate::new(), Counter::default());
    let run = client
        .lifecycle_with(catalog(vec![
            crate::support::held(&runs, &gate),
            echo(&Counter::default()),
        ]))
        .await?;
    let id = run.session_id();
    let lists = |manager: &Manager| manager.count("GET", "/tool-calls");
    let before = lists(&manager);
    let expires = async {
        gate.somebody().await;
        for call in 0..EXPIRED {
            let payload =
                json!({"requestId": format!("9{call}"), "status": "expired", "success": false});
            manager
                .emit(&json!({"type": "tool_call_resolved", "threadId": id, "payload": payload}));
        }
        manager
            .until("it is looked into", |manager| lists(manager) > before)
            .await;
        gate.open();
    };
    let turn = run.send_and_handle("CALL held {\"text\":\"a\"}\nCALL echo {\"text\":\"b\"}");
    let (turn, ()) = tokio::join!(turn.into_future(), expires);
    turn?;
    run.send_and_handle("hello").await?;
    let looks = lists(&manager) - before;
    assert!(looks < EXPIRED / 10, "{looks}");
    Ok(())
}
