//! A manager that is started anew counts its requests from 0 again.

use std::time::Duration;

use codex_skills::{Error, Limits, Outcome, RetryPolicy, TurnStatus};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::Fault;
use codex_skills_tests::skills::Counter;

use crate::support::{builder, catalog, echo, held, limits, lost, start};

/// Weakness 2 of the reference.
#[tokio::test]
async fn a_call_with_the_request_id_of_an_old_one_is_a_new_call() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    for text in ["a", "b", "c"] {
        let request = format!(r#"CALL echo {{"text":"{text}"}}"#);
        let turn = run.send_and_handle(request).require_reply().await?;
        assert_eq!(turn.assistant_reply, format!("Tool outputs: echo {text}"));
        let id = turn.dispatches[0].request_id().map(ToString::to_string);
        assert_eq!(id.as_deref(), Some("0"));
        manager.restart();
        manager
            .until("the stream is back", |manager| manager.streams() == 1)
            .await;
    }
    assert_eq!(runs.get(), 3);
    assert!(
        manager
            .calls()
            .iter()
            .all(|call| call.accepted == 1 && call.received == 1)
    );
    Ok(())
}

#[tokio::test]
async fn the_answer_of_an_old_call_never_answers_a_new_one_of_the_same_id() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let stubborn = gate.clone();
    // It does not listen to its cancellation.
    let slow = codex_skills_tests::skills::synchronous("slow", move || {
        tokio::runtime::Handle::current().block_on(stubborn.enter());
        "old".to_owned()
    });
    let run = client
        .lifecycle_with(catalog(vec![slow, echo(&runs)]))
        .await?;
    let restart = async {
        gate.somebody().await;
        manager.restart();
    };
    let (old, ()) = tokio::join!(run.send_and_handle("CALL slow {}").into_future(), restart);
    lost(old);
    gate.open();
    let new = run
        .send_and_handle(r#"CALL echo {"text":"new"}"#)
        .require_reply()
        .await?;
    assert_eq!(new.assistant_reply, "Tool outputs: echo new");
    let calls = manager.calls();
    assert_eq!(
        calls.iter().map(|call| call.accepted).collect::<Vec<_>>(),
        [0, 1]
    );
    Ok(())
}

#[tokio::test]
async fn the_turn_of_an_old_process_is_lost_and_its_handlers_are_cancelled() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let restart = async {
        gate.somebody().await;
        manager.restart();
    };
    let (turn, ()) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .into_future(),
        restart
    );
    let turn = lost(turn);
    assert_eq!(turn.status, TurnStatus::Lost);
    assert_eq!(
        turn.error.as_deref(),
        Some("codex was started anew while it ran")
    );
    // With the calls so far.
    let outcomes: Vec<Outcome> = turn.dispatches.iter().map(|call| call.outcome()).collect();
    assert_eq!((runs.get(), outcomes), (1, vec![Outcome::Cancelled]));
    Ok(())
}

#[tokio::test]
async fn a_restart_while_the_stream_is_refused_is_noticed() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::RefuseStream, u32::MAX);
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate), echo(&runs)]))
        .await?;
    let restart = async {
        gate.somebody().await;
        manager.restart();
        gate.open();
    };
    let (old, ()) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .into_future(),
        restart
    );
    lost(old);
    let new = run
        .send_and_handle(r#"CALL echo {"text":"b"}"#)
        .require_reply()
        .await?;
    assert_eq!(new.assistant_reply, "Tool outputs: echo b");
    assert_eq!(manager.calls()[0].accepted, 0);
    Ok(())
}

#[tokio::test]
async fn an_answer_is_not_sent_before_it_is_known_that_its_process_is_still_there()
-> Result<(), Error> {
    let (manager, _) = start().await;
    // Neither a stream nor a poll tells of the restart.
    let client = builder(&manager)
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .build()
        .expect("settings")
        .with_limits(limits());
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    run.send(r#"CALL held {"text":"old"}"#).await?;
    let other = manager.foreign_session();
    let restart = async {
        gate.somebody().await;
        manager.force(Fault::RefuseStream, u32::MAX);
        manager.restart();
        // It has the request id of the old one.
        manager
            .foreign_turn(&other, r#"CALL held {"text":"new"}"#)
            .expect("a turn");
        manager
            .until("the new call waits", |manager| manager.pending() == 1)
            .await;
        while client.metrics().reconnects == 0 {
            tokio::task::yield_now().await;
        }
        gate.open();
        while client.metrics().running > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        reason = run.serve() => panic!("{reason:?}"),
        () = restart => {}
    }
    let calls = manager.calls();
    assert_eq!((calls[1].received, calls[1].accepted), (0, 0), "{calls:?}");
    Ok(())
}

#[tokio::test]
async fn a_call_outlives_a_connection_that_is_reset() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let cut = async {
        gate.somebody().await;
        manager.cut_connections();
        gate.open();
    };
    let (turn, ()) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .require_reply()
            .into_future(),
        cut
    );
    assert_eq!(turn?.assistant_reply, "Tool outputs: held a");
    assert_eq!((runs.get(), manager.calls()[0].accepted), (1, 1));
    assert!(client.metrics().reconnects >= 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_tried_again_across_a_restart_answers_no_call_of_the_new_process()
-> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::ErrorBefore, u32::MAX);
    let patient = Limits {
        submission: RetryPolicy {
            attempts: 100,
            delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(20),
            ..RetryPolicy::default()
        },
        ..Limits::default()
    };
    let runs = Counter::default();
    let run = client
        .lifecycle_with(catalog(vec![echo(&runs)]))
        .limits(patient)
        .await?;
    let restart = async {
        manager
            .until("the answer came", |manager| {
                manager
                    .calls()
                    .first()
                    .is_some_and(|call| call.received > 0)
            })
            .await;
        manager.restart();
        manager
            .until("the stream is back", |manager| manager.streams() == 1)
            .await;
        let foreign = manager.foreign_session();
        manager
            .foreign_turn(&foreign, r#"CALL echo {"text":"new"}"#)
            .expect("a turn");
        manager
            .until("its call waits", |manager| manager.pending() == 1)
            .await;
        assert_eq!(manager.waiting(), [0]);
    };
    let (turn, ()) = tokio::join!(
        run.send_and_handle(r#"CALL echo {"text":"old"}"#)
            .into_future(),
        restart
    );
    lost(turn);
    assert_eq!(runs.get(), 1);
    assert_eq!(manager.calls()[1].received, 0);
    Ok(())
}

#[tokio::test]
async fn a_session_that_ends_while_the_server_is_away_is_deleted_when_it_is_back()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle("hello").await?;
    manager.stop().await;
    let report = run.close().await?;
    assert!(report.is_due() && !report.deleted(), "{report}");
    assert_eq!(manager.sessions().len(), 1);
    manager.start_again().await;
    manager
        .until("it is deleted", |manager| manager.sessions().is_empty())
        .await;
    Ok(())
}

#[tokio::test]
async fn a_turn_of_a_server_that_goes_away_is_lost_when_it_is_back_and_the_next_one_works()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate), echo(&runs)]))
        .await?;
    let away = async {
        gate.somebody().await;
        manager.stop().await;
        // Its answer finds nothing that listens.
        gate.open();
        while client.metrics().reconnects < 2 {
            tokio::task::yield_now().await;
        }
        manager.start_again().await;
    };
    let turn = run.send_and_handle(r#"CALL held {"text":"a"}"#);
    let (turn, ()) = tokio::join!(turn.into_future(), away);
    let turn = lost(turn);
    assert_eq!(turn.dispatches[0].outcome(), Outcome::Completed);
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"b"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo b");
    let answered: Vec<usize> = manager.calls().iter().map(|call| call.accepted).collect();
    assert_eq!((answered, runs.get()), (vec![0, 1], 2));
    Ok(())
}
