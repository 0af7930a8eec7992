//! A stream for each session, and messages that are too large for a stream.

use std::time::Duration;

use codex_skills::{Client, CodexManager, Error, Skill};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::Manager;
use codex_skills_tests::skills::Counter;
use serde_json::json;

use crate::support::{Said, builder, catalog, echo, held, limits, lost, only};

const ONE: &str = r#"CALL echo {"text":"a"}"#;

async fn start() -> (Manager, Client<CodexManager>) {
    let manager = Manager::start().await.expect("a port");
    let client = builder(&manager)
        .stream_per_session(true)
        .build()
        .expect("settings")
        .with_limits(limits());
    (manager, client)
}

/// How many streams were opened for a thread.
fn opened(manager: &Manager, thread_id: &str) -> usize {
    manager.count("GET", &format!("/api/stream?threadId={thread_id}"))
}

#[tokio::test]
async fn each_session_has_a_stream_of_its_own_where_that_is_asked_for() -> Result<(), Error> {
    let (manager, client) = start().await;
    let sealed = catalog(vec![echo(&Counter::default())]);
    let one = client.lifecycle_with(sealed.clone()).await?;
    let other = client.lifecycle_with(sealed).await?;
    let (first, second) = tokio::join!(
        one.send_and_handle(ONE).require_reply().into_future(),
        other.send_and_handle(ONE).require_reply().into_future(),
    );
    assert_eq!(first?.assistant_reply, "Tool outputs: echo a");
    assert_eq!(second?.assistant_reply, "Tool outputs: echo a");
    assert_eq!(opened(&manager, one.session_id()), 1);
    assert_eq!(opened(&manager, other.session_id()), 1);
    assert_eq!(manager.count("GET", "/api/stream"), 2, "and none for all");
    assert!(manager.calls().iter().all(|call| call.accepted == 1));
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_gone_takes_its_stream_along() -> Result<(), Error> {
    let (manager, client) = start().await;
    let sealed = catalog(vec![echo(&Counter::default())]);
    let deleted = client.lifecycle_with(sealed.clone()).await?;
    let (_, dropped) = client.create_session_with(sealed.clone()).await?;
    let stays = client.lifecycle_with(sealed).await?;
    for session in [deleted.skills(), &dropped, stays.skills()] {
        session.send_and_handle("hello").await?;
    }
    assert_eq!(manager.streams(), 3);
    deleted.close().await?;
    drop(dropped);
    let one = |manager: &Manager| manager.streams() == 1;
    manager.until("one stream is left", one).await;
    stays.send_and_handle(ONE).await?;
    assert_eq!(opened(&manager, stays.session_id()), 1, "it stayed up");
    Ok(())
}

#[tokio::test]
async fn calls_of_a_child_come_on_a_stream_of_the_childs() -> Result<(), Error> {
    let (manager, _) = start().await;
    // Nothing but the parent's stream tells of the child.
    let client = builder(&manager)
        .stream_per_session(true)
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .build()
        .expect("settings");
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CHILD echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    let call = only(&manager);
    assert_ne!(call.thread_id, run.session_id());
    assert_eq!(opened(&manager, &call.thread_id), 1);
    assert_eq!((runs.get(), call.accepted), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_child_that_no_stream_told_of_is_found_by_polls() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.silence("item/completed");
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle(r#"CHILD echo {"text":"a"}"#)
        .timeout(Duration::from_secs(20))
        .await?;
    assert_eq!((only(&manager).accepted, runs.get()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn each_stream_catches_up_with_its_session() -> Result<(), Error> {
    let (manager, _) = start().await;
    // Nothing but the catch-up after a reconnect finds the calls.
    let client = builder(&manager)
        .stream_per_session(true)
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .build()
        .expect("settings")
        .with_limits(limits());
    let runs = Counter::default();
    let sealed = catalog(vec![echo(&runs)]);
    let one = client.lifecycle_with(sealed.clone()).await?;
    let other = client.lifecycle_with(sealed).await?;
    for run in [&one, &other] {
        run.send_and_handle("hello").await?;
    }
    manager.refuse_connections(true);
    manager.cut_connections();
    manager
        .until("the streams are lost", |manager| manager.streams() == 0)
        .await;
    for run in [&one, &other] {
        manager.foreign_turn(run.session_id(), ONE).expect("a turn");
    }
    let serve = async {
        manager
            .until("the calls wait", |manager| manager.pending() == 2)
            .await;
        manager.refuse_connections(false);
        manager
            .until("they are answered", |manager| {
                manager.calls().iter().all(|call| call.accepted == 1)
            })
            .await;
    };
    tokio::select! {
        _ = one.serve() => panic!("the session is open"),
        _ = other.serve() => panic!("the session is open"),
        () = serve => {}
    }
    assert_eq!(runs.get(), 2);
    Ok(())
}

#[tokio::test]
async fn a_restart_answers_no_call_of_the_new_process_with_an_old_answer() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let sealed = catalog(vec![echo(&runs), held(&runs, &gate)]);
    let old = client.lifecycle_with(sealed.clone()).await?;
    let new = client.lifecycle_with(sealed).await?;
    new.send_and_handle("hello").await?;
    let restart = async {
        gate.somebody().await;
        manager.restart();
        manager
            .until("the streams are back", |manager| manager.streams() == 2)
            .await;
        // The call of the other session has the request id of the first one's.
        let turn = new.send_and_handle(r#"CALL echo {"text":"new"}"#).await;
        gate.open();
        turn
    };
    let (first, second) = tokio::join!(
        old.send_and_handle(r#"CALL held {"text":"old"}"#)
            .into_future(),
        restart
    );
    lost(first);
    assert_eq!(
        second?.assistant_reply.as_deref(),
        Some("Tool outputs: echo new")
    );
    let calls = manager.calls();
    assert!(calls[0].expired && calls[0].accepted == 0, "{calls:?}");
    assert_eq!(calls[1].accepted, 1);
    Ok(())
}

/// A client that reads messages up to 16 KiB, and asks for nothing unless it has to.
async fn narrow() -> (Manager, Client<CodexManager>) {
    let manager = Manager::start().await.expect("a port");
    let client = builder(&manager)
        .message_limit(16 * 1024)
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .build()
        .expect("settings")
        .with_limits(limits());
    (manager, client)
}

#[tokio::test]
async fn a_message_that_is_too_large_costs_a_reconnect_and_no_call() -> Result<(), Error> {
    let (manager, client) = narrow().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate), echo(&runs)]))
        .await?;
    let disturb = async {
        gate.somebody().await;
        manager.emit(&json!({"type": "odd", "threadId": "x", "payload": "x".repeat(100_000)}));
        manager
            .until("there is another stream", |manager| {
                manager.count("GET", "/api/stream") == 2
            })
            .await;
        gate.open();
    };
    let text = "CALL held {\"text\":\"a\"}\nTHEN\nCALL echo {\"text\":\"b\"}";
    let (turn, ()) = tokio::join!(
        run.send_and_handle(text).require_reply().into_future(),
        disturb
    );
    assert_eq!(turn?.assistant_reply, "Tool outputs: held a | echo b");
    assert_eq!(runs.get(), 2);
    let metrics = client.metrics();
    assert_eq!((metrics.unreadable_messages, metrics.reconnects), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_too_large_for_the_stream_is_found_and_answered() -> Result<(), Error> {
    let (manager, client) = narrow().await;
    let measure = Skill::builder("measure")
        .handler(|said: Said| async move { Ok::<_, std::convert::Infallible>(said.text.len()) });
    let run = client.lifecycle_with(catalog(vec![measure])).await?;
    let text = json!({"text": "x".repeat(50_000)});
    let turn = run
        .send_and_handle(format!("CALL measure {text}"))
        .timeout(Duration::from_secs(20))
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: 50000");
    assert_eq!(only(&manager).accepted, 1);
    assert!(client.metrics().unreadable_messages >= 1);
    Ok(())
}

#[tokio::test]
async fn a_message_within_the_limit_is_read() -> Result<(), Error> {
    let (manager, client) = narrow().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.emit(&json!({"type": "odd", "threadId": "x", "payload": "x".repeat(16_000)}));
    run.send_and_handle(ONE).await?;
    assert_eq!(client.metrics().reconnects, 0);
    Ok(())
}
