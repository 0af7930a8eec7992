//! Calls on their way to their handlers and back.

use std::time::Duration;

use codex_skills::{
    Error, Event, Limits, Outcome, Skill, SkillOutput, SubmissionStatus, TurnStatus,
};
use codex_skills_tests::codex::Codex;
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, Said, asynchronous, echo, held};
use serde_json::Value;

use crate::support::{Rig, call, catalog, on_codex};

on_codex!(one_call_is_answered: current, previous, old);
async fn one_call_is_answered(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    let turn = run
        .send_and_handle(call("echo", ["a"]))
        .require_reply()
        .await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    let [record] = &turn.dispatches[..] else {
        panic!("{:?}", turn.dispatches)
    };
    assert_eq!(record.outcome(), Outcome::Completed);
    assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
    assert_eq!(record.call_id(), Some(&*rig.provider.calls()[0].call_id));
    assert_eq!(rig.answers(), ["echo a"]);
    assert_eq!(runs.get(), 1);
    let report = run.close().await?;
    assert_eq!(report.deleted(), !rig.codex.is_old(), "{report}");
    rig.end().await
}

on_codex!(five_calls_follow_each_other: current, previous, old);
async fn five_calls_follow_each_other(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    let rounds: Vec<String> = (0..5).map(|at| call("echo", [at])).collect();

    let turn = run.send_and_handle(rounds.join("\nTHEN\n")).await?;

    assert_eq!(turn.dispatches.len(), 5);
    assert_eq!(
        rig.answers(),
        ["echo 0", "echo 1", "echo 2", "echo 3", "echo 4"]
    );
    assert_eq!(runs.get(), 5);
    run.close().await?;
    rig.end().await
}

on_codex!(five_calls_run_at_the_same_time: current);
async fn five_calls_run_at_the_same_time(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .await?;

    let all = async {
        for _ in 0..5 {
            gate.somebody().await;
        }
        gate.open();
    };
    let (turn, ()) = tokio::join!(run.send_and_handle(call("held", 0..5)), all);

    assert_eq!(turn?.dispatches.len(), 5);
    assert_eq!(
        rig.answers(),
        ["held 0", "held 1", "held 2", "held 3", "held 4"]
    );
    assert_eq!(runs.get(), 5);
    run.close().await?;
    rig.end().await
}

on_codex!(fifty_calls_of_one_response_are_answered: current, previous, old);
async fn fifty_calls_of_one_response_are_answered(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    let turn = run.send_and_handle(call("echo", 0..50)).await?;

    assert_eq!(turn.dispatches.len(), 50);
    let expected: Vec<String> = (0..50).map(|at| format!("echo {at}")).collect();
    assert_eq!(rig.answers(), expected);
    assert_eq!(runs.get(), 50);
    run.close().await?;
    rig.end().await
}

on_codex!(a_failure_is_told: current, previous, old);
async fn a_failure_is_told(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let fail = Skill::builder("fail")
        .handler(|said: Said| async move { Err::<String, _>(format!("no {}", said.text)) });
    let panic = asynchronous("panic", |_| async { panic!("a secret") });
    let run = rig.client.lifecycle_with(catalog([fail, panic])).await?;
    let mut events = run.events();

    let turn = run
        .send_and_handle("CALL fail {\"text\":\"milk\"}\nTHEN\nCALL panic {}")
        .await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    let answers = rig.answers();
    assert!(
        answers[0].contains("fail") && answers[0].contains("no milk"),
        "{answers:?}"
    );
    assert!(
        answers[1].contains("panic") && !answers[1].contains("secret"),
        "{answers:?}"
    );
    if !rig.codex.is_old() {
        let mut failed = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Event::ToolCompleted {
                    tool,
                    success: false,
                    ..
                } => failed.push(tool),
                Event::TurnCompleted { .. } => break,
                _ => {}
            }
        }
        assert_eq!(failed, ["fail".into(), "panic".into()]);
    }
    run.close().await?;
    rig.end().await
}

on_codex!(what_cannot_be_called_is_told: current, previous, old);
async fn what_cannot_be_called_is_told(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;
    let rounds = [
        "CALL nobody {}",
        "CALL echo {no json",
        "CALL echo {\"text\":7}",
        "CALL echo {\"test\":\"a\"}",
    ];

    let turn = run.send_and_handle(rounds.join("\nTHEN\n")).await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches.len(), 2);
    let answers = rig.answers();
    // Codex answers what it does not ask us.
    assert!(answers[0].contains("nobody"), "{answers:?}");
    assert!(answers[1].contains("failed to parse"), "{answers:?}");
    assert!(
        answers[2].contains("`text`") && answers[2].contains("string"),
        "{answers:?}"
    );
    assert!(answers[3].contains("text"), "{answers:?}");
    assert_eq!(runs.get(), 0);
    run.close().await?;
    rig.end().await
}

on_codex!(arguments_that_no_json_value_holds_cost_one_call_at_most: current, previous, old);
async fn arguments_that_no_json_value_holds_cost_one_call_at_most(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let open = {
        let runs = runs.clone();
        Skill::builder("open").handler(move |_: Value| {
            runs.count();
            async { Ok::<_, std::convert::Infallible>("taken") }
        })
    };
    let run = rig.client.lifecycle_with(catalog([open])).await?;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(120), "]".repeat(120));
    let rounds = [
        "CALL open {\"a\":1e400}".to_owned(),
        "CALL open {\"a\":123456789012345678901234567890}".to_owned(),
        format!("CALL open {deep}"),
        "CALL open {\"a\":1}".to_owned(),
    ];

    let turn = run
        .send_and_handle(rounds.join("\nTHEN\n"))
        .timeout(Duration::from_secs(60))
        .await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    let answers = rig.answers();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[3], "taken", "{answers:?}");
    run.close().await?;
    rig.end().await
}

on_codex!(an_image_reaches_the_model: current, previous, old);
async fn an_image_reaches_the_model(codex: Codex) -> Result<(), Error> {
    const PIXEL: &[u8] = &[
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0,
        0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, 0x49, 0x44,
        0x41, 0x54, 0x78, 0xda, 0x63, 0x64, 0xf8, 0xcf, 0x50, 0x0f, 0, 3, 0x86, 1, 0x80, 0x5a,
        0x34, 0x7d, 0x6b, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
    ];
    let rig = Rig::start(codex).await?;
    let picture = Skill::builder("picture").handler(|_: Value| async {
        let output = SkillOutput::text("a pixel");
        output.with_image_bytes("image/png", PIXEL)
    });
    let run = rig.client.lifecycle_with(catalog([picture])).await?;

    run.send_and_handle("CALL picture {}").await?;

    let outputs = rig.provider.outputs(&rig.provider.calls()[0]);
    let value = outputs[0].value();
    assert_eq!(value[0]["text"], "a pixel");
    assert_eq!(value[1]["type"], "input_image");
    assert!(
        value[1]["image_url"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );
    run.close().await?;
    rig.end().await
}

on_codex!(a_large_answer_is_cut_unless_codex_is_told_otherwise: current, previous, old);
async fn a_large_answer_is_cut_unless_codex_is_told_otherwise(codex: Codex) -> Result<(), Error> {
    const MEGABYTE: usize = 1024 * 1024;
    // More than that is more than the model has place for.
    const PLENTY: usize = 200 * 1024;
    let large = |bytes| asynchronous("large", move |_| async move { "x".repeat(bytes) });
    let rig = Rig::start(codex).await?;
    let run = rig
        .client
        .lifecycle_with(catalog([large(MEGABYTE)]))
        .await?;
    let wide = rig
        .client
        .lifecycle_with(catalog([large(PLENTY)]))
        .config([("tool_output_token_limit", 100_000)])
        .await?;

    let turn = run.send_and_handle("CALL large {}").await?;
    wide.send_and_handle("CALL large {}").await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches[0].output().to_text().len(), MEGABYTE);
    let answers = rig.answers();
    assert!(answers[0].len() < 20_000, "{}", answers[0].len());
    assert_eq!(answers[1].len(), PLENTY);
    run.close().await?;
    wide.close().await?;
    rig.end().await
}

on_codex!(an_answer_of_many_megabytes_blocks_nobody: current, previous, old);
async fn an_answer_of_many_megabytes_blocks_nobody(codex: Codex) -> Result<(), Error> {
    const BYTES: usize = 20 * 1024 * 1024;
    let rig = Rig::start(codex).await?;
    let large = asynchronous("large", |_| async { "x".repeat(BYTES) });
    let limits = Limits {
        output_bytes: 2 * BYTES,
        ..Limits::default()
    };
    let run = rig
        .client
        .lifecycle_with(catalog([large]))
        .limits(limits)
        .await?;

    // Codex tells all of it again.
    let turn = run.send_and_handle("CALL large {}").await?;

    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches[0].output().to_text().len(), BYTES);
    assert_eq!(rig.client.metrics().unreadable_messages, 0);
    run.close().await?;
    rig.end().await
}

on_codex!(a_call_that_takes_too_long_is_answered_all_the_same: current, previous, old);
async fn a_call_that_takes_too_long_is_answered_all_the_same(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .call_timeout(Duration::from_millis(50))
        .await?;

    let turn = run.send_and_handle(call("held", ["a"])).await?;

    assert_eq!(turn.dispatches[0].outcome(), Outcome::TimedOut);
    assert!(rig.answers()[0].contains("held"), "{:?}", rig.answers());
    run.close().await?;
    rig.end().await
}

on_codex!(a_slow_call_holds_up_no_other_session: current, previous, old);
async fn a_slow_call_holds_up_no_other_session(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let slow = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .await?;
    let quick = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    let others = async {
        gate.somebody().await;
        let turn = quick.send_and_handle(call("echo", 0..3)).await;
        gate.open();
        turn
    };
    let (slow_turn, quick_turn) = tokio::join!(slow.send_and_handle(call("held", ["a"])), others);

    assert_eq!(
        slow_turn?.assistant_reply.as_deref(),
        Some("Tool outputs: held a")
    );
    assert_eq!(quick_turn?.dispatches.len(), 3);
    assert_eq!(runs.get(), 4);
    slow.close().await?;
    quick.close().await?;
    rig.end().await
}

on_codex!(an_interrupted_turn_cancels_its_call_and_the_next_one_works: current, previous, old);
async fn an_interrupted_turn_cancels_its_call_and_the_next_one_works(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([echo(&runs), held(&runs, &gate)]))
        .await?;

    let interrupt = async {
        gate.somebody().await;
        run.interrupt().await
    };
    let (turn, interrupted) = tokio::join!(run.send_and_handle(call("held", ["a"])), interrupt);
    interrupted?;
    let turn = turn?;
    let next = run.send_and_handle(call("echo", ["b"])).await?;

    assert_eq!(turn.status, TurnStatus::Interrupted);
    assert_eq!(next.status, TurnStatus::Completed);
    let answers = rig.answers();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1], "echo b");
    assert_eq!(runs.get(), 2);
    run.close().await?;
    rig.end().await
}

on_codex!(a_turn_may_be_interrupted_at_any_time: current, previous, old);
async fn a_turn_may_be_interrupted_at_any_time(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    for pause in [0, 1, 2, 5, 10, 20, 30, 40, 60, 80] {
        let interrupt = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            // There may be no turn yet, or none any more.
            let _ = run.interrupt().await;
        };
        let request = format!("{}\nTHEN\n{}", call("echo", 0..3), call("echo", 3..5));
        let (turn, ()) = tokio::join!(run.send_and_handle(request), interrupt);
        let status = turn?.status;
        assert!(
            matches!(status, TurnStatus::Completed | TurnStatus::Interrupted),
            "{status}"
        );
    }

    let last = run.send_and_handle(call("echo", ["a"])).await?;
    assert_eq!(
        last.assistant_reply.as_deref(),
        Some("Tool outputs: echo a")
    );
    for call in rig.provider.calls() {
        assert!(rig.provider.outputs(&call).len() <= 1, "{call:?}");
    }
    run.close().await?;
    rig.end_unanswered().await
}

on_codex!(a_turn_that_takes_too_long_is_interrupted: current, previous, old);
async fn a_turn_that_takes_too_long_is_interrupted(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    // The model never ends its second response.
    let script = format!("{}\nTHEN\nHOLD", call("echo", ["a"]));
    let error = run
        .send_and_handle(script)
        .timeout(Duration::from_secs(2))
        .await
        .expect_err("it takes too long");

    let Error::TurnTimeout { turn, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(turn.dispatches.len(), 1);
    let next = run.send_and_handle("SAY again").await?;
    assert_eq!(next.assistant_reply.as_deref(), Some("again"));
    run.close().await?;
    rig.end().await
}

on_codex!(a_model_that_fails_is_told: current, previous, old);
async fn a_model_that_fails_is_told(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    let script = format!("{}\nTHEN\nFAIL the model is ill", call("echo", ["a"]));
    let turn = run.send_and_handle(script).await?;
    let next = run.send_and_handle("SAY well again").await?;

    assert_eq!(turn.status, TurnStatus::Failed);
    assert_eq!(turn.dispatches.len(), 1);
    let error = turn.error.expect("what went wrong");
    assert!(error.contains("the model is ill"), "{error}");
    assert_eq!(next.assistant_reply.as_deref(), Some("well again"));
    run.close().await?;
    rig.end().await
}
