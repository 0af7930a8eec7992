//! Codex that dies, does not start, or is ended.

use std::time::Duration;

use codex_skills::app_server::{AppServerError, RestartPolicy, SpawnAppServer};
use codex_skills::{AppServer, Error, Event, TurnStatus};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::provider::Provider;
use codex_skills_tests::skills::{Counter, echo, held};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Rig, call, catalog, next, on_codex, spawn, until};

/// Kills the codex of a home, and leaves what it started alone.
fn kill(home: &Home) {
    let id = home.codex().and_then(|id| Pid::from_raw(id.cast_signed()));
    kill_process(id.expect("a codex"), Signal::KILL).expect("it runs");
}

on_codex!(a_codex_that_was_killed_is_started_again: current, old);
async fn a_codex_that_was_killed_is_started_again(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let skills = catalog([echo(&runs), held(&runs, &gate)]);
    let run = rig.client.lifecycle_with(skills).await?;
    let script = format!("{}\nTHEN\n{}", call("echo", ["a"]), call("held", ["b"]));

    let dies = async {
        gate.somebody().await;
        kill(&rig.home);
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(script), dies);
    let next = run.send_and_handle(call("echo", ["c"])).await?;

    let Err(Error::TurnLost { turn }) = turn else {
        panic!("{turn:?}")
    };
    assert_eq!(turn.dispatches[0].tool(), "echo");
    assert_eq!(next.status, TurnStatus::Completed);
    assert_eq!(runs.get(), 3);
    assert_eq!(rig.client.runtime().reconnects(), 1);
    let calls = rig.provider.calls();
    let outputs: Vec<usize> = calls
        .iter()
        .map(|call| rig.provider.outputs(call).len())
        .collect();
    // Codex says to the model that the second one was aborted, or nothing.
    assert!(
        outputs[0] == 1 && outputs[1] <= 1 && outputs[2] == 1,
        "{outputs:?}"
    );
    run.close().await?;
    rig.end_unanswered().await
}

on_codex!(a_codex_is_started_again_on_request: current, old);
async fn a_codex_is_started_again_on_request(codex: Codex) -> Result<(), Error> {
    let rig = Rig::with(codex, |spawn| spawn.restart(RestartPolicy::never())).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    run.send_and_handle(call("echo", ["a"])).await?;
    let before = rig.home.codex();

    rig.client.runtime().restart();
    run.send_and_handle(call("echo", ["b"])).await?;

    assert_ne!(rig.home.codex(), before);
    assert_eq!(rig.answers(), ["echo a", "echo b"]);
    run.close().await?;
    rig.end().await
}

on_codex!(sessions_end_with_a_codex_that_is_not_started_again: current);
async fn sessions_end_with_a_codex_that_is_not_started_again(codex: Codex) -> Result<(), Error> {
    let rig = Rig::with(codex, |spawn| spawn.restart(RestartPolicy::never())).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let (_, session) = rig
        .client
        .create_session_with(catalog([held(&runs, &gate)]))
        .await?;

    let dies = async {
        gate.somebody().await;
        kill(&rig.home);
    };
    let (turn, ()) = tokio::join!(session.send_and_handle(call("held", ["a"])), dies);
    let next = session.send_and_handle("SAY hello").await;

    assert!(
        matches!(
            turn,
            Err(Error::TurnLost { .. } | Error::SessionClosed { .. })
        ),
        "{turn:?}"
    );
    assert!(next.is_err(), "{next:?}");
    assert_eq!(runs.get(), 1);
    // Unless the program asks for it.
    rig.client.runtime().restart();
    let other = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    other.send_and_handle(call("echo", ["b"])).await?;
    other.close().await?;
    let report = rig.client.shutdown().await;
    assert!(report.runtime_error.is_none(), "{report:?}");
    rig.home.until_no_process_is_left().await;
    Ok(())
}

on_codex!(a_shutdown_ends_turns_and_codex: current, old);
async fn a_shutdown_ends_turns_and_codex(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .await?;

    let ends = async {
        gate.somebody().await;
        rig.client.shutdown().grace(Duration::from_millis(50)).await
    };
    let (turn, report) = tokio::join!(run.send_and_handle(call("held", ["a"])), ends);

    assert!(turn.is_err(), "{turn:?}");
    assert_eq!(report.cancelled_calls, 1, "{report:?}");
    assert!(report.runtime_error.is_none(), "{report:?}");
    rig.home.until_no_process_is_left().await;
    drop(run);
    Ok(())
}

on_codex!(a_shutdown_without_patience_ends_codex_too: current, old);
async fn a_shutdown_without_patience_ends_codex_too(codex: Codex) -> Result<(), Error> {
    let rig = Rig::with(codex, |spawn| spawn.grace(Duration::ZERO)).await?;

    rig.end().await
}

on_codex!(a_session_whose_first_request_was_given_up_outlives_its_codex: current);
async fn a_session_whose_first_request_was_given_up_outlives_its_codex(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    // Dropped before codex said that there is a turn.
    let mut sends = run.send("HOLD\nSAY first").into_future();
    assert!(futures_util::poll!(&mut sends).is_pending());
    rig.provider.gate().somebody().await;
    drop(sends);
    until("it is on disk", || !rig.home.rollouts().is_empty()).await;
    kill(&rig.home);
    let again = || rig.client.runtime().reconnects() == 1;
    until("there is another codex", again).await;
    rig.provider.gate().open();
    let turn = run.send_and_handle("SAY second").await?;

    assert_eq!(turn.assistant_reply.as_deref(), Some("second"));
    run.close().await?;
    rig.end().await
}

on_codex!(a_codex_that_does_not_start_says_why: current);
async fn a_codex_that_does_not_start_says_why(codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let setting = |spawn: SpawnAppServer| spawn.config("approval_policy", "untrusted");

    let broken = setting(spawn(&codex, &home))
        .await
        .expect_err("no such setting");
    let missing = AppServer::spawn()
        .codex("/nowhere/codex")
        .await
        .expect_err("no such program");
    let other = AppServer::spawn()
        .codex("/bin/false")
        .await
        .expect_err("no codex");

    assert!(
        matches!(&broken, AppServerError::Ended { stderr, .. } if !stderr.is_empty()),
        "{broken:?}"
    );
    assert!(
        matches!(missing, AppServerError::NotFound { .. }),
        "{missing:?}"
    );
    assert!(matches!(other, AppServerError::Ended { .. }), "{other:?}");
    home.until_no_process_is_left().await;
    Ok(())
}

on_codex!(a_session_hears_the_end_of_what_it_waits_for: current, old);
async fn a_session_hears_the_end_of_what_it_waits_for(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .await?;
    let mut events = run.events();
    run.send(call("held", ["a"])).await?;
    next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;

    kill(&rig.home);

    next(&mut events, |event| matches!(event, Event::CallExpired(_))).await;
    next(&mut events, |event| {
        matches!(
            event,
            Event::TurnCompleted {
                status: TurnStatus::Lost,
                ..
            }
        )
    })
    .await;
    assert_eq!(runs.get(), 0);
    run.close().await?;
    rig.end_unanswered().await
}

on_codex!(a_session_that_codex_never_wrote_is_lost_with_it_and_made_again: current, previous, old);
async fn a_session_that_codex_never_wrote_is_lost_with_it_and_made_again(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    kill(&rig.home);

    let Err(error) = run.send_and_handle(call("echo", ["a"])).await else {
        panic!("codex knows nothing of the session");
    };
    assert!(
        matches!(&error, Error::SessionClosed { is_lost: true, .. }),
        "{error:?}"
    );
    assert!(error.is_retryable() && error.turn().is_none(), "{error:?}");
    assert!(error.to_string().contains("create it again"), "{error}");
    assert_eq!(runs.get(), 0);
    // Nothing is left of it to delete.
    run.close().await?;
    let again = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    again.send_and_handle(call("echo", ["b"])).await?;
    assert_eq!(rig.answers(), ["echo b"]);
    again.close().await?;
    rig.end().await
}

on_codex!(a_codex_that_is_killed_as_a_first_turn_begins_says_which_of_both_is_gone: current);
async fn a_codex_that_is_killed_as_a_first_turn_begins_says_which_of_both_is_gone(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    for round in 0..8 {
        let run = rig.client.lifecycle_with(catalog([])).await?;
        let mut events = run.events();
        let dies = async {
            next(&mut events, |event| {
                matches!(event, Event::TurnStarted { .. })
            })
            .await;
            if round % 2 == 1 {
                until("it is on disk", || !rig.home.rollouts().is_empty()).await;
            }
            kill(&rig.home);
        };
        let (ended, ()) = tokio::join!(run.send_and_handle("SAY hello"), dies);
        match &ended {
            Ok(_) => {}
            Err(Error::TurnLost { .. }) => {}
            Err(error) => assert!(
                error.is_retryable() && matches!(error, Error::SessionClosed { is_lost: true, .. }),
                "{error:?}"
            ),
        }
        // Codex answers again, and the session with it, unless it is the session that is gone.
        let next = run.send_and_handle("SAY again").await;
        assert!(
            match &next {
                Ok(turn) => turn.assistant_reply.as_deref() == Some("again"),
                Err(error) => error.is_retryable(),
            },
            "{ended:?}, then {next:?}"
        );
        run.close().await?;
    }
    rig.end_unanswered().await
}

on_codex!(a_session_of_which_a_crash_left_an_empty_file_is_lost: current, previous, old);
async fn a_session_of_which_a_crash_left_an_empty_file_is_lost(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let run = rig.client.lifecycle_with(catalog([])).await?;
    run.send_and_handle("SAY hello").await?;
    let files = rig.home.rollouts();
    assert_eq!(files.len(), 1);

    // What is left of a thread that is killed between making its file and writing to it.
    kill(&rig.home);
    std::fs::write(&files[0], "").expect("it is there");

    let begun = std::time::Instant::now();
    let Err(error) = run.send_and_handle("SAY again").await else {
        panic!("codex knows nothing of the session");
    };
    assert!(
        matches!(&error, Error::SessionClosed { is_lost: true, .. }),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5), "{begun:?}");
    let report = run.close().await?;
    assert!(report.delete_error().is_none(), "{report}");
    let again = rig.client.lifecycle_with(catalog([])).await?;
    again.send_and_handle("SAY again").await?;
    again.close().await?;
    let report = rig.client.shutdown().await;
    assert!(report.runtime_error.is_none(), "{report:?}");
    Ok(())
}
