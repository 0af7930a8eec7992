//! What a client counts.

use std::sync::Arc;
use std::time::Duration;

use codex_skills::embedded::Step;
use codex_skills::runtime::Submission;
use codex_skills::{
    Client, Embedded, Event, Limits, Metrics, RuntimeErrorKind, Session, Skill, ToolCall,
};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::json;

async fn session<const N: usize>(codex: &Client<Faulty>, skills: [Skill; N]) -> Session {
    codex
        .create_session(|draft| draft.register(skills))
        .await
        .unwrap()
        .1
}

fn calling<const N: usize>(tools: [&str; N]) -> Client<Faulty> {
    Faulty::client(Embedded::scripted([Step::calls(
        tools.map(|tool| (tool.to_owned(), json!({}))),
    )]))
}

/// Every call is somewhere, and nowhere twice.
fn check(metrics: &Metrics) {
    let standing =
        metrics.running + metrics.answered + metrics.expired + metrics.undelivered.total();
    assert_eq!(metrics.received, standing, "{metrics:?}");
}

#[tokio::test]
async fn a_new_client_has_counted_nothing() {
    assert_eq!(calling([]).metrics(), Metrics::default());
}

#[tokio::test]
async fn calls_are_counted_from_their_arrival_to_their_answer() {
    let gate = Gate::new();
    let wait = gate.clone();
    let slow = asynchronous("slow", move |_| {
        let gate = wait.clone();
        async move {
            gate.enter().await;
            String::new()
        }
    });
    let codex = calling(["slow", "slow"]);
    let session = session(&codex, [slow]).await;
    let watch = async {
        gate.somebody().await;
        gate.somebody().await;
        let metrics = codex.metrics();
        assert_eq!(
            (metrics.received, metrics.running, metrics.answered),
            (2, 2, 0)
        );
        check(&metrics);
        gate.open();
    };
    let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), watch);
    turn.unwrap();
    let metrics = codex.metrics();
    assert_eq!(
        (metrics.received, metrics.running, metrics.answered),
        (2, 0, 2)
    );
    assert_eq!((metrics.failed.total(), metrics.repeated), (0, 0));
}

#[tokio::test]
async fn clones_count_together_and_so_does_the_client_that_blocks() {
    let codex = calling(["count"]);
    let session = session(&codex.clone(), [Counter::default().skill("count")]).await;
    session.send_and_handle("go").await.unwrap();
    assert_eq!(codex.metrics().answered, 1);
    assert_eq!(codex.clone().blocking().metrics(), codex.metrics());
}

#[tokio::test]
async fn a_repeated_announcement_is_no_other_call() {
    let model = Embedded::scripted([Step::call("count", json!({}))]);
    let codex = Faulty::rewriting(model, |event| vec![event.clone(), event]);
    let session = session(&codex, [Counter::default().skill("count")]).await;
    session.send_and_handle("go").await.unwrap();
    let metrics = codex.metrics();
    assert_eq!(
        (metrics.received, metrics.repeated, metrics.answered),
        (1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_their_kind() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Number {
        #[allow(dead_code, reason = "it is never given")]
        number: u8,
    }
    let fails = Skill::builder("fails")
        .handler(|_: serde_json::Value| async { Err::<String, _>(std::fmt::Error) });
    let numbered =
        Skill::builder("numbered").handler(|_: Number| async { Ok::<_, std::fmt::Error>("") });
    let panics = asynchronous("panics", |_| async { panic!("on purpose") });
    let never = asynchronous("never", |_| std::future::pending());
    let large = asynchronous("large", |_| async { "x".repeat(2000) });
    let codex = calling(["fails", "numbered", "panics", "never", "large"]).with_limits(Limits {
        call_timeout: Duration::from_secs(1),
        output_bytes: 1000,
        ..Limits::default()
    });
    let skills = [fails, numbered, panics, never, large];
    let session = session(&codex, skills).await;
    session.send_and_handle("go").await.unwrap();
    // The embedded runtime answers unknown tools itself; other runtimes ask us.
    let mut call = ToolCall::new(
        session.session_id().into(),
        "nobody".into(),
        serde_json::value::RawValue::NULL.to_owned(),
    );
    call.call_id = Some("c".into());
    session
        .respond_to_signal(&Event::ToolCall(Arc::new(call)))
        .await
        .unwrap();
    let metrics = codex.metrics();
    check(&metrics);
    let failed = metrics.failed;
    assert_eq!(failed.handler_error, 1);
    assert_eq!(failed.invalid_arguments, 1);
    assert_eq!(failed.panicked, 1);
    assert_eq!(failed.timed_out, 1);
    assert_eq!(failed.too_large, 1);
    assert_eq!(failed.unknown_tool, 1);
    assert_eq!(failed.total(), 6);
    assert_eq!(
        (metrics.answered, metrics.undelivered.no_request_id),
        (5, 1)
    );
}

#[tokio::test]
async fn a_cancelled_call_has_failed_and_expired() {
    let gate = Gate::new();
    let wait = gate.clone();
    let slow = asynchronous("slow", move |_| {
        let gate = wait.clone();
        async move {
            gate.enter().await;
            String::new()
        }
    });
    let codex = calling(["slow"]);
    let session = session(&codex, [slow]).await;
    let interrupt = async {
        gate.somebody().await;
        session.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(session.send_and_handle("go").into_future(), interrupt);
    turn.unwrap();
    interrupted.unwrap();
    let metrics = codex.metrics();
    assert_eq!((metrics.failed.cancelled, metrics.expired), (1, 1));
    check(&metrics);
}

#[tokio::test]
async fn more_calls_than_may_be_open_are_counted() {
    let limits = Limits {
        open_calls: 1,
        ..Limits::default()
    };
    let gate = Gate::new();
    let wait = gate.clone();
    let slow = asynchronous("slow", move |_| {
        let gate = wait.clone();
        async move {
            gate.enter().await;
            String::new()
        }
    });
    let codex = calling(["slow"; 8]).with_limits(limits);
    // Refusals that stay on their way fill all places there are.
    for _ in 0..3 {
        let fault = Fault::HoldBefore(gate.clone());
        codex.runtime().fault(Operation::Answer, fault);
    }
    let session = session(&codex, [slow]).await;
    let open = async {
        for _ in 0..4 {
            gate.somebody().await;
        }
        gate.open();
        // Those that were left are found and answered.
        while codex.metrics().received < 8 {
            session.drain_pending_calls().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (turn, ()) = tokio::join!(session.send_and_handle("go").into_future(), open);
    turn.unwrap();
    let metrics = codex.metrics();
    assert!(metrics.failed.overloaded >= 3, "{metrics:?}");
    assert!(metrics.left_waiting >= 4, "{metrics:?}");
    check(&metrics);
}

#[tokio::test]
async fn answers_that_do_not_arrive_are_counted_until_they_do() {
    let mut limits = Limits::default();
    limits.submission.attempts = 2;
    limits.submission.delay = Duration::ZERO;
    let codex = calling(["count"]).with_limits(limits);
    for _ in 0..2 {
        let fault = Fault::Fail(RuntimeErrorKind::Unavailable);
        codex.runtime().fault(Operation::Answer, fault);
    }
    let session = session(&codex, [Counter::default().skill("count")]).await;
    session.send("go").await.unwrap();
    loop {
        session.drain_pending_calls().await.unwrap();
        let metrics = codex.metrics();
        check(&metrics);
        if metrics.answered == 1 {
            assert_eq!((metrics.retries, metrics.undelivered.total()), (2, 0));
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_refused_answer_is_counted() {
    let codex = calling(["count"]);
    let refused = Submission::Refused {
        reason: "no".to_owned(),
    };
    codex
        .runtime()
        .fault(Operation::Answer, Fault::Say(refused));
    let session = session(&codex, [Counter::default().skill("count")]).await;
    session.send("go").await.unwrap();
    while codex.metrics().undelivered.refused == 0 {
        session.drain_pending_calls().await.unwrap();
        tokio::task::yield_now().await;
    }
    check(&codex.metrics());
}

#[tokio::test]
async fn notifications_that_a_slow_reader_loses_are_counted() {
    let codex = calling([]);
    let session = session(&codex, []).await;
    let signals = session.signals();
    for turn in 0..1024 + 7 {
        let turn_id = turn.to_string().into();
        let started = Event::TurnStarted { turn_id };
        codex.runtime().announce(session.session_id(), started);
    }
    assert_eq!((signals.lost(), codex.metrics().lost_notifications), (7, 7));
}
