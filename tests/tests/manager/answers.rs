//! Answers on their way: tried again, replaced, settled.

use std::time::{Duration, Instant};

use codex_skills::{Error, Outcome, Skill, SubmissionStatus, TurnResult};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::{Fault, Manager};
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::json;

use crate::support::{catalog, echo, held, only, start, statuses};

const ONE: &str = r#"CALL echo {"text":"a"}"#;

/// One call with a fault: what was answered, how often the handler ran, how often the answer was sent.
async fn with(fault: Fault, times: u32) -> Result<TurnResult<String>, Error> {
    let (manager, client) = start().await;
    manager.force(fault, times);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run.send_and_handle(ONE).require_reply().await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(runs.get(), 1, "the handler runs once");
    assert_eq!(only(&manager).accepted, 1);
    Ok(turn)
}

#[tokio::test]
async fn an_answer_that_met_a_server_error_is_sent_again() -> Result<(), Error> {
    assert!(with(Fault::ErrorBefore, 2).await?.dispatches[0].is_handled());
    Ok(())
}

#[tokio::test]
async fn an_answer_that_was_taken_with_an_error_is_settled() -> Result<(), Error> {
    let turn = with(Fault::ErrorAfter, 1).await?;
    assert!(turn.dispatches[0].submission().is_idempotent());
    Ok(())
}

#[tokio::test]
async fn an_answer_whose_acknowledgement_is_lost_is_settled() -> Result<(), Error> {
    let turn = with(Fault::LostResponse, 1).await?;
    assert!(turn.dispatches[0].submission().is_idempotent());
    Ok(())
}

#[tokio::test]
async fn an_answer_whose_acknowledgement_is_malformed_is_settled() -> Result<(), Error> {
    let turn = with(Fault::Malformed, 1).await?;
    assert!(turn.dispatches[0].submission().is_idempotent());
    Ok(())
}

/// Weakness 3 of the reference.
#[tokio::test]
async fn an_answer_that_failed_all_attempts_is_sent_again_later_and_no_handler_runs_again()
-> Result<(), Error> {
    with(Fault::ErrorBefore, 7).await.map(drop)
}

#[tokio::test]
async fn not_found_is_settled_and_visible() -> Result<(), Error> {
    let (manager, client) = start().await;
    // The stream would tell of it before.
    manager.force(Fault::RefuseStream, u32::MAX);
    manager.force(Fault::ErrorAfter, 1);
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let turn = run.send_and_handle(ONE).await?;
    let submission = turn.dispatches[0].submission();
    assert_eq!(submission.status(), SubmissionStatus::Settled);
    assert_eq!(submission.code(), Some("not_found"));
    assert!(submission.is_idempotent());
    assert_eq!(submission.attempts(), 2);
    Ok(())
}

#[tokio::test]
async fn what_is_in_flight_and_never_lands_is_answered_from_the_list() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::InFlight, 1);
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let turn = run.send_and_handle(ONE).await?;
    let submission = turn.dispatches[0].submission();
    assert_eq!(submission.status(), SubmissionStatus::Accepted);
    // The other answer did not arrive: the list shows the call, and the stored answer goes out.
    let call = only(&manager);
    assert_eq!((call.accepted, call.received), (1, 2));
    Ok(())
}

#[tokio::test]
async fn retry_after_is_honoured() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.set_retry_after(1);
    manager.force(Fault::TooManyRequests, 1);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let began = Instant::now();
    let turn = run.send_and_handle(ONE).await?;
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(statuses(&turn.dispatches), [SubmissionStatus::Accepted]);
    assert_eq!(turn.dispatches[0].submission().attempts(), 2);
    assert_eq!(runs.get(), 1);
    Ok(())
}

/// Measured against the real manager: the reference runs the handler 19 times in 8 seconds.
#[tokio::test]
async fn an_answer_over_one_mebibyte_is_replaced_before_it_is_sent() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let count = runs.clone();
    let large = asynchronous("large", move |_| {
        count.count();
        async { "x".repeat(1024 * 1024) }
    });
    let run = client.lifecycle_with(catalog(vec![large])).await?;
    let turn = run.send_and_handle("CALL large {}").require_reply().await?;
    assert!(
        turn.assistant_reply.contains("skill `large` failed"),
        "{}",
        turn.assistant_reply
    );
    assert_eq!(turn.dispatches[0].outcome(), Outcome::TooLarge);
    let call = only(&manager);
    assert_eq!((call.accepted, call.received, runs.get()), (1, 1, 1));
    Ok(())
}

#[tokio::test]
async fn an_answer_just_under_one_mebibyte_goes_through() -> Result<(), Error> {
    let (manager, client) = start().await;
    let large = asynchronous("large", |_| async { "x".repeat(1024 * 1024 - 256) });
    let run = client.lifecycle_with(catalog(vec![large])).await?;
    let turn = run.send_and_handle("CALL large {}").await?;
    assert_eq!(turn.dispatches[0].outcome(), Outcome::Completed);
    assert_eq!(
        only(&manager).output.map(|text| text.len()),
        Some(1024 * 1024 - 256)
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_refused_as_too_large_is_replaced() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::TooLarge, 1);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run.send_and_handle(ONE).require_reply().await?;
    assert!(
        turn.assistant_reply.contains("skill `echo` failed"),
        "{}",
        turn.assistant_reply
    );
    assert_eq!((only(&manager).accepted, runs.get()), (1, 1));
    Ok(())
}

/// Weaknesses 12 and 14 of the reference.
#[tokio::test]
async fn a_handler_that_panics_is_answered_without_internals() -> Result<(), Error> {
    let (manager, client) = start().await;
    let panics = asynchronous("panics", |_| async { panic!("secret internals") });
    let run = client.lifecycle_with(catalog(vec![panics])).await?;
    let turn = run
        .send_and_handle("CALL panics {}")
        .require_reply()
        .await?;
    assert!(
        !turn.assistant_reply.contains("secret"),
        "{}",
        turn.assistant_reply
    );
    assert_eq!(only(&manager).accepted, 1);
    Ok(())
}

#[tokio::test]
async fn an_unknown_tool_and_bad_arguments_are_answered() -> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle("CALL nobody {}\nCALL echo {\"text\":7}")
        .await?;
    let calls = manager.calls();
    assert!(calls.iter().all(|call| call.accepted == 1), "{calls:?}");
    Ok(())
}

/// Weakness 1 of the reference.
#[tokio::test]
async fn the_handler_runs_once_however_often_the_call_is_announced() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::DuplicateFrames, u32::MAX);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let again = async {
        gate.somebody().await;
        let calls = run.pending_calls().await?;
        assert_eq!(calls.len(), 1);
        let drained = async { run.drain_pending_calls().await.map(|records| records.len()) };
        let opened = async {
            tokio::task::yield_now().await;
            gate.open();
        };
        tokio::join!(drained, opened).0
    };
    let (turn, drained) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .into_future(),
        again
    );
    assert_eq!(drained?, 1);
    assert_eq!(turn?.dispatches.len(), 1);
    assert_eq!((runs.get(), only(&manager).accepted), (1, 1));
    Ok(())
}

#[tokio::test]
async fn an_answer_that_gets_no_response_is_sent_again() -> Result<(), Error> {
    let (manager, _) = start().await;
    let client = crate::support::builder(&manager)
        .timeout(Duration::from_millis(300))
        .build()
        .expect("settings")
        .with_limits(crate::support::limits());
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.force(Fault::HalfOpenRequests, 1);
    let turn = run.send_and_handle(ONE).require_reply().await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!((only(&manager).accepted, runs.get()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn failures_say_so_and_are_no_success() -> Result<(), Error> {
    let (manager, client) = start().await;
    let fails = Skill::builder("fails")
        .handler(|_: serde_json::Value| async { Err::<String, _>(std::fmt::Error) });
    let run = client.lifecycle_with(catalog(vec![fails])).await?;
    run.send_and_handle("CALL fails {}").await?;
    let detail = run.detail().await?;
    let items = detail["thread"]["turns"][0]["items"]
        .as_array()
        .expect("items");
    let item = items
        .iter()
        .find(|item| item["type"] == "dynamicToolCall")
        .expect("the call");
    assert_eq!(item["success"], json!(false));
    assert!(
        only(&manager)
            .output
            .expect("an answer")
            .starts_with("skill `fails` failed")
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_was_given_up_is_settled_when_its_call_expires() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::ErrorBefore, u32::MAX);
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let interrupt = async {
        while client.metrics().undelivered.given_up == 0 {
            tokio::task::yield_now().await;
        }
        run.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(run.send_and_handle(ONE).into_future(), interrupt);
    interrupted?;
    let dispatches = match &turn {
        Ok(turn) => &turn.dispatches,
        Err(error) => &error.turn().expect("a turn").dispatches,
    };
    let submission = dispatches[0].submission();
    assert_eq!(
        (submission.status(), submission.code()),
        (SubmissionStatus::Settled, Some("expired"))
    );
    let metrics = client.metrics();
    assert_eq!((metrics.undelivered.total(), metrics.expired), (0, 1));
    Ok(())
}

#[tokio::test]
async fn an_answer_that_was_given_up_is_resolved_when_the_stream_says_that_one_was_taken()
-> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::ErrorBefore, u32::MAX);
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let resolve = async {
        while client.metrics().undelivered.given_up == 0 {
            tokio::task::yield_now().await;
        }
        let request_id = manager.waiting()[0].to_string();
        let resolved = json!({"requestId": request_id, "status": "resolved", "success": true});
        manager.emit(&json!({
            "type": "tool_call_resolved",
            "threadId": run.session_id(),
            "payload": resolved,
        }));
        while client.metrics().undelivered.given_up > 0 {
            tokio::task::yield_now().await;
        }
        run.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(run.send_and_handle(ONE).into_future(), resolve);
    interrupted?;
    let dispatches = match &turn {
        Ok(turn) => &turn.dispatches,
        Err(error) => &error.turn().expect("a turn").dispatches,
    };
    let submission = dispatches[0].submission();
    assert_eq!(
        (submission.status(), submission.code()),
        (SubmissionStatus::Settled, Some("resolved"))
    );
    Ok(())
}

/// Whether it is said before or after the attempt has failed here too.
#[tokio::test]
async fn an_answer_that_was_taken_between_two_attempts_is_not_sent_again() -> Result<(), Error> {
    let manager = Manager::start().await.expect("a port");
    let mut limits = crate::support::limits();
    limits.submission.delay = Duration::from_secs(600);
    limits.submission.max_delay = Duration::from_secs(600);
    let client = crate::support::client(&manager).with_limits(limits);
    manager.force(Fault::ErrorBefore, 1);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let resolve = async {
        manager
            .until("an attempt was made", |manager| {
                manager.happened(Fault::ErrorBefore) == 1
            })
            .await;
        let request_id = manager.waiting()[0].to_string();
        let resolved = json!({"requestId": request_id, "status": "resolved", "success": true});
        manager.emit(&json!({
            "type": "tool_call_resolved",
            "threadId": run.session_id(),
            "payload": resolved,
        }));
        while client.metrics().running > 0 {
            tokio::task::yield_now().await;
        }
        run.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(run.send_and_handle(ONE).into_future(), resolve);
    interrupted?;
    let dispatches = match &turn {
        Ok(turn) => &turn.dispatches,
        Err(error) => &error.turn().expect("a turn").dispatches,
    };
    let submission = dispatches[0].submission();
    assert_eq!(
        (
            submission.status(),
            submission.code(),
            submission.attempts()
        ),
        (SubmissionStatus::Settled, Some("resolved"), 1)
    );
    assert_eq!((runs.get(), only(&manager).received), (1, 1));
    let metrics = client.metrics();
    assert_eq!((metrics.undelivered.total(), metrics.expired), (0, 1));
    Ok(())
}
