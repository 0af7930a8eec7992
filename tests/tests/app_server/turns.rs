//! Turns from their beginning to their end, and their events.

use codex_skills::{Error, Event, TurnStatus, lifecycle, skill, skills};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;
use codex_skills_tests::skills::{Counter, echo};

use crate::support::{Rig, answers, call, catalog, on_codex, spawn};

/// Look up a ticket.
#[skill]
fn lookup_ticket(
    /// Its id.
    ticket_id: String,
) -> String {
    format!("{ticket_id} is open")
}

on_codex!(a_block_has_a_session_as_long_as_it_runs: current, previous, old);
async fn a_block_has_a_session_as_long_as_it_runs(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;

    let (client, cwd) = (&rig.client, rig.home.work());
    let reply = lifecycle!(client, skills: [lookup_ticket], cwd: cwd, |run| {
        let request = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}";
        let turn = run.send_and_handle(request).require_reply().await?;
        Ok(turn.assistant_reply)
    })
    .await?;

    assert_eq!(reply, "Tool outputs: ABC-123 is open");
    rig.end().await
}

on_codex!(a_block_that_fails_or_panics_leaves_no_session: current, previous, old);
async fn a_block_that_fails_or_panics_leaves_no_session(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;

    let client = rig.client.clone();
    let failed: Result<(), Error> = lifecycle!(client, skills: [lookup_ticket], |run| {
        run.send_and_handle("SAY hello").await?;
        run.send_and_handle(" ").await?;
        Ok(())
    })
    .await;
    let panics = tokio::spawn(async move {
        lifecycle!(client, skills: [lookup_ticket], |run| {
            run.send_and_handle("SAY hello").await?;
            panic!("it was only a test");
            #[allow(unreachable_code, reason = "the block has a type")]
            Ok(())
        })
        .await
    });

    assert!(
        matches!(failed, Err(Error::InvalidOption { option: "text", .. })),
        "{failed:?}"
    );
    assert!(panics.await.expect_err("a panic").is_panic());
    rig.end().await
}

on_codex!(a_program_without_async_does_the_same: current, previous, old);
async fn a_program_without_async_does_the_same(codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let spawn = spawn(&codex, &home);

    let program = move || {
        let client = spawn.wait()?;
        let reply = client
            .lifecycle(|draft| draft.register(skills![lookup_ticket]))
            .run(|run| {
                let request = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}";
                Ok(run
                    .send_and_handle(request)
                    .require_reply()
                    .wait()?
                    .assistant_reply)
            })?;
        client.shutdown().wait()?;
        Ok::<_, Error>(reply)
    };
    let reply = tokio::task::spawn_blocking(program)
        .await
        .expect("no panic")?;

    assert_eq!(reply, "Tool outputs: ABC-123 is open");
    assert_eq!(answers(&provider), ["ABC-123 is open"]);
    home.until_no_process_is_left().await;
    Ok(())
}

on_codex!(what_happens_in_a_turn_is_told_in_its_order: current, previous, old);
async fn what_happens_in_a_turn_is_told_in_its_order(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    let mut events = run.events();

    let script = format!(
        "SAY One moment.\n{}\nTHEN\nSAY Here it is.",
        call("echo", ["a"])
    );
    let turn = run.send_and_handle(script).await?;

    let (mut seen, mut text) = (Vec::new(), String::new());
    while let Some(event) = events.next().await {
        match event {
            Event::TurnStarted { .. } => seen.push("started".to_owned()),
            Event::TextDelta { delta, .. } => text += &delta,
            Event::Message { text, .. } => seen.push(text),
            Event::ToolStarted { tool, .. } => seen.push(format!("{tool} began")),
            Event::ToolCompleted { tool, success, .. } => seen.push(format!("{tool}: {success}")),
            Event::TurnCompleted { status, .. } => {
                seen.push(status.to_string());
                break;
            }
            _ => {}
        }
    }
    let mut expected = vec![
        "started",
        "One moment.",
        "echo began",
        "echo: true",
        "Here it is.",
        "completed",
    ];
    if rig.codex.is_old() {
        // It does not tell of the calls that it makes.
        expected.retain(|what| !what.starts_with("echo"));
    }
    assert_eq!(seen, expected);
    assert_eq!(text, "One moment.Here it is.");
    assert_eq!(turn.assistant_reply.as_deref(), Some("Here it is."));
    run.close().await?;
    rig.end().await
}

on_codex!(the_tokens_of_a_turn_are_those_of_its_responses: current, previous, old);
async fn the_tokens_of_a_turn_are_those_of_its_responses(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    let mut events = run.events();

    let first = run.send_and_handle(call("echo", ["a"])).await?;
    let second = run.send_and_handle("SAY hello").await?;

    let usage = first.usage.expect("tokens");
    assert_eq!(
        (usage.total, usage.input, usage.output),
        (220, 200, 20),
        "{usage:?}"
    );
    assert_eq!(
        (usage.cached_input, usage.reasoning_output),
        (40, 6),
        "{usage:?}"
    );
    assert_eq!(second.usage.expect("tokens").total, 110);
    let mut session = 0;
    while let Some(event) = events.next().await {
        match event {
            Event::TokenUsage { usage, .. } => session = usage.session.total,
            Event::TurnCompleted { turn_id, .. } if *turn_id == *second.turn_id => break,
            _ => {}
        }
    }
    assert_eq!(session, 330);
    run.close().await?;
    rig.end().await
}

on_codex!(requests_of_one_session_follow_each_other: current, previous, old);
async fn requests_of_one_session_follow_each_other(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    for at in 0..5 {
        let turn = run.send_and_handle(call("echo", [at])).await?;
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(
            turn.assistant_reply,
            Some(format!("Tool outputs: echo {at}"))
        );
    }

    assert_eq!(rig.answers().len(), 5);
    run.close().await?;
    rig.end().await
}
