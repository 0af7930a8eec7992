//! Turns and their calls.

use std::time::Duration;

use codex_skills::{Error, RuntimeErrorKind, SubmissionStatus, TurnStatus, lifecycle};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::Counter;
use serde_json::{Value, json};

use crate::support::{builder, catalog, client, echo, held, limits, only, start, statuses};

#[tokio::test]
async fn a_turn_without_calls_has_a_reply() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let turn = run.send_and_handle("hello").require_reply().await?;
    assert_eq!(turn.assistant_reply, "No tool was called.");
    assert_eq!(turn.status, TurnStatus::Completed);
    assert!(turn.dispatches.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_call_is_answered_once_and_quoted() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(runs.get(), 1);
    assert_eq!(statuses(&turn.dispatches), [SubmissionStatus::Accepted]);
    let call = only(&manager);
    assert_eq!((call.accepted, call.received), (1, 1));
    Ok(())
}

#[tokio::test]
async fn sequential_calls_are_answered_in_their_rounds() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let text = "CALL echo {\"text\":\"a\"}\nTHEN\nCALL echo {\"text\":\"b\"}\nTHEN\nCALL echo {\"text\":\"c\"}";
    let turn = run.send_and_handle(text).require_reply().await?;
    assert_eq!(
        turn.assistant_reply,
        "Tool outputs: echo a | echo b | echo c"
    );
    assert_eq!(turn.dispatches.len(), 3);
    Ok(())
}

#[tokio::test]
async fn parallel_calls_run_at_the_same_time() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let text = "CALL held {\"text\":\"a\"}\nCALL held {\"text\":\"b\"}\nCALL held {\"text\":\"c\"}";
    let all_came = async {
        for _ in 0..3 {
            gate.somebody().await;
        }
        gate.open();
    };
    let (turn, ()) = tokio::join!(
        run.send_and_handle(text).require_reply().into_future(),
        all_came
    );
    assert_eq!(
        turn?.assistant_reply,
        "Tool outputs: held a | held b | held c"
    );
    assert!(
        manager
            .calls()
            .iter()
            .all(|call| call.accepted == 1 && call.received == 1)
    );
    Ok(())
}

#[tokio::test]
async fn what_is_put_before_the_first_request_calls_nothing() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let skill = codex_skills::Skill::builder("note")
        .description("Never mind.")
        .output_description("Never mind:\nCALL note null")
        .handler(|_: Value| async { Ok::<_, std::convert::Infallible>("noted") });
    let run = client.lifecycle_with(catalog(vec![skill])).await?;
    let turn = run.send_and_handle("hello").require_reply().await?;
    assert_eq!(turn.assistant_reply, "No tool was called.");
    Ok(())
}

#[tokio::test]
async fn a_session_is_created_with_its_tools_and_options_and_deleted_by_its_guard()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .cwd("/work")
        .model("m")
        .await?;
    let options = manager.options(run.session_id()).expect("a session");
    assert_eq!(
        (&options["cwd"], &options["model"]),
        (&json!("/work"), &json!("m"))
    );
    assert_eq!(options["dynamicTools"][0]["name"], "echo");
    assert_eq!(run.created()["session"]["cwd"], "/work");
    let report = run.close().await?;
    assert!(report.deleted(), "{report}");
    assert!(manager.sessions().is_empty());
    Ok(())
}

/// The server takes folders as they are, from where it runs (contract, Measured later).
#[tokio::test]
async fn a_relative_folder_is_the_programs_and_not_the_servers() -> Result<(), Error> {
    let (manager, client) = start().await;
    let here = std::env::current_dir().expect("a folder");
    for (given, meant) in [
        (".", here.clone()),
        ("a/b", here.join("a/b")),
        ("/work", "/work".into()),
    ] {
        let run = client
            .lifecycle_with(catalog(Vec::new()))
            .cwd(given)
            .await?;
        let options = manager.options(run.session_id()).expect("a session");
        let meant = meant.to_str();
        assert_eq!(options["cwd"].as_str(), meant);
        assert_eq!(run.created()["session"]["cwd"].as_str(), meant);
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_session_stays_and_is_closed_later() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let sealed = catalog(vec![echo(&runs)]);
    let run = client
        .lifecycle_with(sealed.clone())
        .keep_session(true)
        .await?;
    let id = run.session_id().to_owned();
    let report = run.close().await?;
    assert!(!report.deleted());
    assert_eq!(manager.sessions(), std::slice::from_ref(&id));
    let session = client.session(&id).catalog(sealed).await?;
    let turn = session
        .send_and_handle(r#"CALL echo {"text":"again"}"#)
        .await?;
    assert_eq!(
        turn.assistant_reply.as_deref(),
        Some("Tool outputs: echo again")
    );
    let report = client.close_session(&id, true).await?;
    assert!(report.deleted());
    let again = client.close_session(&id, true).await?;
    assert_eq!(
        again.delete_response().map(|body| &body["status"]),
        Some(&json!("deleted"))
    );
    assert!(manager.sessions().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_dropped_guard_deletes_its_session() -> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    drop(run);
    manager
        .until("the session is gone", |manager| {
            manager.sessions().is_empty()
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn the_block_of_the_macro_runs_against_a_manager() -> Result<(), Error> {
    let (manager, client) = start().await;
    let sealed = catalog(vec![echo(&Counter::default())]);
    let reply = lifecycle!(client, catalog: sealed, |run| {
        Ok(run.send_and_handle(r#"CALL echo {"text":"x"}"#).require_reply().await?.assistant_reply)
    })
    .await?;
    assert_eq!(reply, "Tool outputs: echo x");
    assert!(manager.sessions().is_empty());
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_turn_is_not_taken_from_a_false_interrupted() -> Result<(), Error> {
    let (manager, _) = start().await;
    // So often that a poll sees the false status for certain, and not the true one first.
    let client = builder(&manager)
        .poll_intervals(Duration::from_millis(10), Duration::from_millis(10))
        .build()
        .expect("settings")
        .with_limits(limits());
    manager.set_false_interrupted(Duration::from_millis(600));
    // Nothing is heard of the end, so the reads decide.
    manager.silence("turn/completed");
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert!(manager.count("GET", run.session_id()) > 0);
    Ok(())
}

#[tokio::test]
async fn a_call_whose_announcements_are_lost_is_found_and_answered() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.silence("item/tool/call");
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(runs.get(), 1);
    Ok(())
}

#[tokio::test]
async fn an_interrupted_turn_cancels_its_handlers_and_says_so() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let interrupt = async {
        gate.somebody().await;
        run.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .into_future(),
        interrupt
    );
    interrupted?;
    assert_eq!(turn?.status, TurnStatus::Interrupted);
    let call = only(&manager);
    assert!(call.expired && call.accepted == 0, "{call:?}");
    Ok(())
}

#[tokio::test]
async fn a_session_deleted_by_somebody_else_ends_its_turn() -> Result<(), Error> {
    let (manager, one) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = one
        .lifecycle_with(catalog(vec![held(&runs, &gate)]))
        .await?;
    let other = client(&manager);
    let delete = async {
        gate.somebody().await;
        other.close_session(run.session_id(), true).await
    };
    let (turn, report) = tokio::join!(
        run.send_and_handle(r#"CALL held {"text":"a"}"#)
            .into_future(),
        delete
    );
    assert!(report?.deleted());
    // Its turn is interrupted first, and then the session is gone.
    match turn {
        Ok(turn) => assert_eq!(turn.status, TurnStatus::Interrupted),
        Err(Error::SessionClosed { .. }) => {}
        Err(other) => panic!("{other}"),
    }
    Ok(())
}

#[tokio::test]
async fn calls_of_a_child_are_served_by_the_parents_catalog() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CHILD echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    let call = only(&manager);
    assert_ne!(call.thread_id, run.session_id());
    assert_eq!((runs.get(), call.accepted), (1, 1));
    Ok(())
}

/// Weakness 25 of the reference, where the first word of the child is lost besides.
#[tokio::test]
async fn a_child_whose_beginning_was_not_heard_is_served_all_the_same() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.silence("thread/started");
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CHILD echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(runs.get(), 1);
    Ok(())
}

#[tokio::test]
async fn a_child_that_began_while_the_stream_was_down_is_found_by_polls() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(codex_skills_tests::manager::Fault::RefuseStream, u32::MAX);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run
        .send_and_handle(r#"CHILD echo {"text":"a"}"#)
        .timeout(Duration::from_secs(10))
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(runs.get(), 1);
    Ok(())
}

/// Weakness 4 of the reference.
#[tokio::test]
async fn calls_of_sessions_that_are_not_this_clients_are_left_alone() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let foreign = manager.foreign_session();
    manager
        .foreign_turn(&foreign, r#"CALL echo {"text":"foreign"}"#)
        .expect("a turn");
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"own"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo own");
    assert_eq!(runs.get(), 1);
    let calls = manager.calls();
    let foreign = calls
        .iter()
        .find(|call| call.thread_id == foreign)
        .expect("the call");
    assert_eq!(foreign.received, 0);
    Ok(())
}

#[tokio::test]
async fn all_sessions_of_a_client_share_one_stream() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let sealed = catalog(vec![echo(&runs)]);
    let mut guards = Vec::new();
    for _ in 0..8 {
        guards.push(client.lifecycle_with(sealed.clone()).await?);
    }
    let turns = guards.iter().map(|run| {
        run.send_and_handle(r#"CALL echo {"text":"a"}"#)
            .into_future()
    });
    for turn in futures_util::future::join_all(turns).await {
        assert_eq!(turn?.dispatches.len(), 1);
    }
    assert_eq!(manager.streams(), 1);
    assert_eq!(manager.count("GET", "/api/stream"), 1);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_refused_is_replaced_by_polls() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(codex_skills_tests::manager::Fault::RefuseStream, u32::MAX);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let text = "CALL echo {\"text\":\"a\"}\nTHEN\nCALL echo {\"text\":\"b\"}";
    let turn = run.send_and_handle(text).require_reply().await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a | echo b");
    assert_eq!((runs.get(), manager.streams()), (2, 0));
    assert!(manager.calls().iter().all(|call| call.accepted == 1));
    Ok(())
}

/// Weaknesses 18 and 21 of the reference.
#[tokio::test]
async fn a_turn_that_takes_too_long_is_interrupted_and_its_calls_are_in_the_error()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![echo(&runs), held(&runs, &gate)]))
        .await?;
    let text = "CALL echo {\"text\":\"a\"}\nTHEN\nCALL held {\"text\":\"b\"}";
    let error = run
        .send_and_handle(text)
        .timeout(Duration::from_millis(400))
        .await
        .expect_err("it takes too long");
    assert!(error.is_timeout(), "{error}");
    let turn = error.turn().expect("the turn");
    assert_eq!(
        turn.dispatches.first().map(|record| record.tool()),
        Some("echo")
    );
    assert_eq!(manager.count("POST", "/interrupt"), 1);
    Ok(())
}

#[tokio::test]
async fn many_frames_of_others_and_odd_ones_cost_nothing() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    for frame in [
        json!(null),
        json!([1, 2]),
        json!({"type": 7}),
        json!({"type": "app_server.request.item.tool.call", "threadId": run.session_id(), "payload": {"params": 3}}),
        json!({"type": "tool_call_requested", "threadId": run.session_id(), "payload": "odd"}),
        json!({"type": "tool_call_resolved", "threadId": run.session_id()}),
        json!({"type": "app_server.turn.completed", "threadId": run.session_id(), "payload": {"params": {"turn": 1}}}),
        json!({"type": "nobody_knows", "threadId": "x", "payload": {"big": "x".repeat(100_000)}}),
    ] {
        manager.emit(&frame);
    }
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!(
        manager.count("GET", "/api/stream"),
        1,
        "the connection held"
    );
    Ok(())
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_joined() -> Result<(), Error> {
    for is_first in [true, false] {
        let (manager, client) = start().await;
        let runs = Counter::default();
        let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
        if !is_first {
            run.send_and_handle("hello").await?;
        }
        manager.cut_at_next_word();
        let turn = run
            .send_and_handle(r#"CALL echo {"text":"a"}"#)
            .require_reply()
            .await?;
        assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
        assert_eq!(runs.get(), 1);
        assert_eq!(
            manager.count("POST", "/messages"),
            if is_first { 1 } else { 2 }
        );
        assert_eq!(only(&manager).accepted, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_did_not_arrive_can_be_sent_again() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.silence_connections();
    let breaks = async { manager.cut_connections() };
    let text = r#"CALL echo {"text":"a"}"#;
    let (lost, ()) = tokio::join!(run.send_and_handle(text).into_future(), breaks);
    if let Err(lost) = lost {
        let Error::Runtime(lost) = lost else {
            panic!("{lost}")
        };
        assert_eq!(lost.kind(), RuntimeErrorKind::Unavailable, "{lost}");
        run.send_and_handle(text).await?;
    }
    assert_eq!(runs.get(), 1);
    assert_eq!(only(&manager).accepted, 1);
    Ok(())
}

#[tokio::test]
async fn a_silent_stream_is_given_up_and_made_anew() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.silence_connections();
    manager
        .until("there is another stream", |manager| {
            manager.count("GET", "/api/stream") == 2
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn calls_made_while_the_stream_is_lost_are_caught_up_with() -> Result<(), Error> {
    let (manager, _) = start().await;
    // Nothing but the catch-up after a reconnect finds them.
    let client = builder(&manager)
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .build()
        .expect("settings")
        .with_limits(limits());
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    manager.refuse_connections(true);
    manager.cut_connections();
    manager
        .until("the stream is lost", |manager| manager.streams() == 0)
        .await;
    manager
        .foreign_turn(run.session_id(), r#"CALL echo {"text":"a"}"#)
        .expect("a turn");
    let serve = async {
        manager
            .until("the call waits", |manager| manager.pending() == 1)
            .await;
        manager.refuse_connections(false);
        manager
            .until("it is answered", |manager| manager.calls()[0].accepted == 1)
            .await;
    };
    tokio::select! {
        _ = run.serve() => panic!("the session is open"),
        () = serve => {}
    }
    assert_eq!(runs.get(), 1);
    Ok(())
}
