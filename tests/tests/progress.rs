//! What `on_event` shows of a turn while it runs, and what it cannot spoil.

use std::sync::mpsc;
use std::time::Duration;

use codex_skills::embedded::{ModelItem, Step};
use codex_skills::{Client, Embedded, Error, Event, Limits, Session, Skill, TurnStatus};
use codex_skills_tests::skills::{Counter, asynchronous};
use serde_json::json;
use tokio::time::Instant;

async fn session<const N: usize>(codex: &Client<Embedded>, skills: [Skill; N]) -> Session {
    let opened = codex.create_session(|draft| draft.register(skills)).await;
    opened.unwrap().1
}

/// A session whose model calls `tally` and says its output.
async fn tallying(runs: &Counter) -> Session {
    let codex = Embedded::scripted([Step::call("tally", json!({})), Step::say_outputs()]);
    session(&codex, [runs.skill("tally")]).await
}

/// The kind of an event, with what identifies it.
fn line(event: &Event) -> String {
    match event {
        Event::ToolCall(call) => format!("call {}", call.tool),
        Event::TurnStarted { .. } => "started".to_owned(),
        Event::TextDelta { delta, .. } => format!("delta {delta}"),
        Event::Message { text, .. } => format!("message {text}"),
        Event::ToolStarted { tool, .. } => format!("tool {tool} started"),
        Event::ToolCompleted { tool, success, .. } => format!("tool {tool} completed {success}"),
        Event::TurnCompleted { status, .. } => format!("turn {status}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn each_event_of_the_turn_is_shown_in_the_order_of_the_wire() {
    let runs = Counter::default();
    let session = tallying(&runs).await;
    let mut signals = session.signals();
    let mut shown = Vec::new();
    let turn = session
        .send_and_handle("go")
        .on_event(|event| shown.push(line(event)))
        .await
        .unwrap();
    assert_eq!(turn.assistant_reply.as_deref(), Some("tally: run 1"));
    assert_eq!(turn.lost_events, 0);
    let mut read = Vec::new();
    while read.last().is_none_or(|last| last != "turn completed") {
        read.push(line(&signals.next().await.unwrap()));
    }
    assert_eq!(shown, read);
    assert_eq!(
        shown,
        [
            "started",
            "tool tally started",
            "call tally",
            "tool tally completed true",
            "delta tally: run 1",
            "message tally: run 1",
            "turn completed"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_of_the_turn_is_shown_before_the_future_ends() {
    let codex = Embedded::demo();
    let session = session(&codex, []).await;
    for _ in 0..2_000 {
        let mut last = String::new();
        let turn = session
            .send_and_handle("hello")
            .on_event(|event| last = line(event))
            .await;
        assert_eq!(turn.unwrap().status, TurnStatus::Completed);
        assert_eq!(last, "turn completed");
    }
}

#[tokio::test]
async fn a_turn_that_is_not_as_hoped_shows_its_end_as_well() {
    let codex = Embedded::scripted([Step::fail("out of order"), Step::items([])]);
    let session = session(&codex, []).await;
    let mut ends = Vec::new();
    let failed = session
        .send_and_handle("go")
        .terminal("completed")
        .on_event(|event| ends.push(line(event)))
        .await;
    assert!(matches!(failed, Err(Error::TurnEnded { .. })));
    assert_eq!(ends.last().unwrap(), "turn failed");
    let silent = session
        .send_and_handle("go")
        .on_event(|event| ends.push(line(event)))
        .require_reply()
        .await;
    assert!(matches!(silent, Err(Error::NoReply { .. })));
    assert_eq!(ends.last().unwrap(), "turn completed");
}

#[tokio::test]
async fn a_callback_that_panics_loses_neither_the_turn_nor_its_calls() {
    let runs = Counter::default();
    let session = tallying(&runs).await;
    let mut shown = 0;
    let turn = session
        .send_and_handle("go")
        .on_event(|_| {
            shown += 1;
            panic!("out of paper");
        })
        .require_reply()
        .await
        .unwrap();
    assert_eq!(turn.assistant_reply, "tally: run 1");
    assert_eq!(turn.dispatches.len(), 1);
    assert_eq!(shown, 1, "it is not called again");
    // The session goes on.
    let again = session.send_and_handle("go").await.unwrap();
    assert_eq!(again.status, TurnStatus::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_callback_holds_up_nothing_but_the_end() {
    const MESSAGES: usize = 1_500;
    let says = (0..MESSAGES).map(|n| ModelItem::say(n.to_string()));
    let codex = Embedded::scripted([Step::call("tally", json!({})), Step::items(says)]);
    let runs = Counter::default();
    let session = session(&codex, [runs.skill("tally")]).await;
    // Another reader says when the turn is over, for which the callback waits at its first event.
    let (over, is_over) = mpsc::channel();
    let mut signals = session.signals();
    let watching = tokio::spawn(async move {
        while let Some(event) = signals.next().await {
            if matches!(event, Event::TurnCompleted { .. }) {
                over.send(()).unwrap();
                return;
            }
        }
    });
    let mut shown = Vec::new();
    let kept = &mut shown;
    let asked = session.send_and_handle("go").on_event(move |event| {
        if kept.is_empty() {
            is_over.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        kept.push(line(event));
    });
    let turn = asked.await.unwrap();
    watching.await.unwrap();
    assert_eq!(runs.get(), 1, "the call was answered meanwhile");
    assert_eq!(shown.first().unwrap(), "started");
    assert_eq!(shown.last().unwrap(), "turn completed");
    // A delta and a message each, of which the newest 1,024 were kept.
    assert!(turn.lost_events > 1_900, "{}", turn.lost_events);
    let newest = format!("message {}", MESSAGES - 1);
    assert!(shown.contains(&newest));
    let oldest = "message 0".to_owned();
    assert!(!shown.contains(&oldest));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_takes_too_long_shows_its_interruption() {
    let codex = Embedded::scripted([Step::call("hang", json!({}))]);
    let hang = asynchronous("hang", |_| std::future::pending());
    let session = session(&codex, [hang]).await;
    let begun = Instant::now();
    let mut ends = Vec::new();
    let failed = session
        .send_and_handle("go")
        .timeout(Duration::from_secs(3))
        .on_event(|event| match event {
            Event::ToolCompleted { .. } | Event::TurnCompleted { .. } => ends.push(line(event)),
            _ => {}
        })
        .await;
    assert!(failed.unwrap_err().is_timeout());
    assert_eq!(ends, ["tool hang completed false", "turn interrupted"]);
    assert_eq!(begun.elapsed().as_secs(), 3, "nothing more is waited for");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_fails_at_once() {
    let codex = Embedded::demo();
    let session = session(&codex, []).await;
    let begun = Instant::now();
    let empty = session
        .send_and_handle(" ")
        .on_event(|event| panic!("{event:?}"))
        .await;
    assert!(empty.unwrap_err().to_string().contains("empty"));
    let id = session.session_id();
    codex.close_session(id, true).await.unwrap();
    let mut shown = 0;
    let closed = session.send_and_handle("go").on_event(|_| shown += 1).await;
    assert!(matches!(closed, Err(Error::SessionClosed { .. })));
    assert_eq!((shown, begun.elapsed()), (0, Duration::ZERO));
}

#[tokio::test]
async fn a_session_that_closes_meanwhile_ends_the_showing() {
    let codex = Embedded::scripted([Step::call("hang", json!({}))]);
    let hang = asynchronous("hang", |_| std::future::pending());
    let session = session(&codex, [hang]).await;
    let (called, was_called) = tokio::sync::oneshot::channel();
    let mut called = Some(called);
    let asked = session.send_and_handle("go").on_event(move |event| {
        if matches!(event, Event::ToolCall(_)) {
            called.take().unwrap().send(()).unwrap();
        }
    });
    let closing = async {
        was_called.await.unwrap();
        let closed = codex.close_session(session.session_id(), true);
        closed.await.unwrap()
    };
    let (turn, report) = tokio::join!(asked, closing);
    assert!(report.deleted());
    // The turn's end may have come first.
    match turn {
        Ok(turn) => assert_eq!(turn.status, TurnStatus::Interrupted),
        Err(error) => assert!(matches!(error, Error::SessionClosed { .. }), "{error}"),
    }
}

#[tokio::test]
async fn the_future_may_move_to_a_task() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let codex = Embedded::demo();
    let session = session(&codex, []).await;
    let (send, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let asked = tokio::spawn(async move {
        let asked = session.send_and_handle("hello").on_event(move |event| {
            let _ = send.send(event.clone());
        });
        is_send(asked.into_future()).await
    });
    assert_eq!(asked.await.unwrap().unwrap().status, TurnStatus::Completed);
    let mut events = 0;
    while seen.recv().await.is_some() {
        events += 1;
    }
    assert!(events >= 3, "{events}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_event_that_drops_others_after_the_end_does_not_make_it_wait() {
    let says = (0..30).map(|n| ModelItem::say(n.to_string()));
    let large = Step::say("x".repeat(9_500));
    let codex = Embedded::scripted([Step::items(says), large]);
    let limits = Limits {
        signal_bytes: 10_000,
        ..Limits::default()
    };
    let opened = codex.create_session(|draft| draft).limits(limits).await;
    let session = opened.unwrap().1;
    let (over, is_over) = mpsc::channel();
    let (go, mut goes) = tokio::sync::mpsc::unbounded_channel();
    // At the first event it waits for the end of its turn, at the second for the end of the next one.
    let mut shown = 0;
    let asked = session.send_and_handle("go").on_event(move |_| {
        shown += 1;
        if shown == 2 {
            go.send(()).unwrap();
        }
        if shown <= 2 {
            is_over.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    });
    let mut signals = session.signals();
    let another = session.clone();
    let watching = tokio::spawn(async move {
        while !matches!(signals.next().await, Some(Event::TurnCompleted { .. })) {}
        over.send(()).unwrap();
        goes.recv().await.unwrap();
        another.send_and_handle("more").await.unwrap();
        over.send(()).unwrap();
    });
    let turn = tokio::time::timeout(Duration::from_secs(60), asked).await;
    let turn = turn
        .expect("it waits for events that were dropped")
        .unwrap();
    watching.await.unwrap();
    assert_eq!(turn.status, TurnStatus::Completed);
    assert!(turn.lost_events > 0);
}
