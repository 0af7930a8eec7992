//! Answers that are longer than what codex shows its model: as much is shown as the record says.

use std::convert::Infallible;

use codex_skills::{Error, Skill};
use codex_skills_tests::codex::Codex;
use serde_json::{Value, json};

use crate::support::{Rig, catalog, on_codex};

/// A model that codex knows to have code mode.
const IN_CODE_MODE: &str = "gpt-6.1-sol";

fn large() -> Skill {
    Skill::builder("large")
        .description("Answer some bytes.")
        .input_schema(json!({"type": "object", "properties": {"count": {"type": "integer"}}}))
        .handler(|asked: Value| async move {
            let count = asked["count"].as_u64().unwrap_or_default();
            let count = usize::try_from(count).unwrap_or_default();
            Ok::<_, Infallible>("x".repeat(count))
        })
}

/// How many bytes the model was shown of the last answer, and what its record says.
async fn shown(
    rig: &Rig,
    model: Option<&str>,
    tokens: Option<u64>,
    count: usize,
) -> (usize, Option<usize>) {
    let mut lifecycle = rig.client.lifecycle_with(catalog([large()]));
    if let Some(model) = model {
        lifecycle = lifecycle.model(model);
    }
    if let Some(tokens) = tokens {
        lifecycle = lifecycle.config([("tool_output_token_limit", tokens)]);
    }
    let run = lifecycle.await.expect("a session");
    let script = match model {
        Some(_) => format!("EXEC text(await tools.large({{count: {count}}}))"),
        None => format!("CALL large {{\"count\":{count}}}"),
    };
    let turn = run.send_and_handle(script).await.expect("a turn");
    run.close().await.expect("it closes");
    let answers = rig.answers();
    let text = answers.last().expect("an answer");
    let recorded = turn.dispatches[0].cut().map(|cut| cut.shown);
    (text.matches('x').count(), recorded)
}

on_codex!(as_much_is_shown_as_the_record_says: current, previous);
async fn as_much_is_shown_as_the_record_says(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;

    assert_eq!(shown(&rig, None, None, 12_000).await, (12_000, None));
    assert_eq!(
        shown(&rig, None, None, 12_001).await,
        (12_000, Some(12_000))
    );
    assert_eq!(
        shown(&rig, None, None, 126_891).await,
        (12_000, Some(12_000))
    );
    for (tokens, bytes) in [(100, 480), (10_000, 48_000)] {
        assert_eq!(shown(&rig, None, Some(tokens), bytes).await, (bytes, None));
        let cut = shown(&rig, None, Some(tokens), bytes + 1).await;
        assert_eq!(cut, (bytes, Some(bytes)));
    }
    rig.end().await
}

on_codex!(a_program_prints_as_much_as_the_record_says: current, previous);
async fn a_program_prints_as_much_as_the_record_says(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;

    // The frame of the output has an `x` at most.
    let (printed, recorded) = shown(&rig, Some(IN_CODE_MODE), None, 39_000).await;
    assert!(
        printed.abs_diff(39_000) < 10 && recorded.is_none(),
        "{printed}"
    );
    let (printed, recorded) = shown(&rig, Some(IN_CODE_MODE), None, 126_891).await;
    assert!(printed.abs_diff(40_000) < 10, "{printed}");
    assert_eq!(recorded, Some(40_000));
    let (printed, recorded) = shown(&rig, Some(IN_CODE_MODE), Some(100), 2_000).await;
    assert!(printed <= 490, "{printed}");
    assert_eq!(recorded, Some(480));
    rig.end().await
}
