//! Models that write programs which call skills, as newer ones do.

use codex_skills::{Error, Event, Skill, TurnStatus};
use codex_skills_tests::codex::Codex;
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, Said, echo, held};

use crate::support::{Rig, catalog, on_codex};

/// A model that codex knows to have it.
const MODEL: &str = "gpt-6.1-sol";

on_codex!(a_program_calls_skills: current);
async fn a_program_calls_skills(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let fail = Skill::builder("fail")
        .handler(|said: Said| async move { Err::<String, _>(format!("no {}", said.text)) });
    let skills = catalog([echo(&runs), fail]);
    let run = rig.client.lifecycle_with(skills).model(MODEL).await?;
    let mut events = run.events();

    let program = "text(await tools.echo({text: \"a\"})); text(await tools.fail({text: \"milk\"}))";
    let turn = run.send_and_handle(format!("EXEC {program}")).await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches.len(), 2);
    let answers = rig.answers();
    assert!(
        answers[0].contains("echo a") && answers[0].contains("no milk"),
        "{answers:?}"
    );
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::ToolCompleted { tool, success, .. } => seen.push((tool, success)),
            Event::TurnCompleted { .. } => break,
            _ => {}
        }
    }
    assert_eq!(seen, [("echo".into(), true), ("fail".into(), false)]);
    run.close().await?;
    rig.end().await
}

on_codex!(a_program_calls_skills_at_the_same_time: current);
async fn a_program_calls_skills_at_the_same_time(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .model(MODEL)
        .await?;

    let all = async {
        for _ in 0..5 {
            gate.somebody().await;
        }
        gate.open();
    };
    let program = "for (const said of await Promise.all([0, 1, 2, 3, 4].map(at => tools.held({text: `${at}`})))) text(said)";
    let (turn, ()) = tokio::join!(run.send_and_handle(format!("EXEC {program}")), all);

    assert_eq!(turn?.dispatches.len(), 5);
    let answers = rig.answers();
    for at in 0..5 {
        assert!(answers[0].contains(&format!("held {at}")), "{answers:?}");
    }
    assert_eq!(runs.get(), 5);
    run.close().await?;
    rig.end().await
}

on_codex!(a_program_knows_namespaces_by_two_underscores: current);
async fn a_program_knows_namespaces_by_two_underscores(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let reverse = Skill::builder("reverse")
        .namespace("words")
        .handler(|said: Said| async move {
            Ok::<_, std::convert::Infallible>(said.text.chars().rev().collect::<String>())
        });
    let run = rig
        .client
        .lifecycle_with(catalog([reverse]))
        .model(MODEL)
        .await?;

    let turn = run
        .send_and_handle("EXEC text(await tools.words__reverse({text: \"tea\"}))")
        .await?;

    assert_eq!(turn.dispatches.len(), 1);
    assert!(rig.answers()[0].contains("aet"), "{:?}", rig.answers());
    run.close().await?;
    rig.end().await
}

on_codex!(a_program_that_is_interrupted_cancels_its_calls: current);
async fn a_program_that_is_interrupted_cancels_its_calls(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .model(MODEL)
        .await?;

    let interrupt = async {
        gate.somebody().await;
        run.interrupt().await
    };
    let program = "EXEC text(await tools.held({text: \"a\"}))";
    let (turn, interrupted) = tokio::join!(run.send_and_handle(program), interrupt);
    interrupted?;

    assert_eq!(turn?.status, TurnStatus::Interrupted);
    let next = run.send_and_handle("SAY again").await?;
    assert_eq!(next.assistant_reply.as_deref(), Some("again"));
    assert_eq!(runs.get(), 1);
    run.close().await?;
    rig.end_unanswered().await
}
