//! One script, run with and without async: the same results.

use codex_skills::embedded::Step;
use codex_skills::{CleanupReport, Client, DispatchRecord, Embedded, Error, TurnResult, skills};
use serde_json::{Value, json};

use super::{register, repeat};

/// What there is to see of a script, without what differs from run to run.
#[derive(Debug, PartialEq)]
struct Seen {
    created: Value,
    turn: Turn,
    errors: Vec<String>,
    output: String,
    detail: Value,
    report: (usize, usize, bool),
    left: usize,
}

#[derive(Debug, PartialEq)]
struct Turn {
    status: String,
    reply: Option<String>,
    calls: Vec<(String, String, String, String)>,
    detail: Value,
}

fn script() -> Client<Embedded> {
    Embedded::scripted([
        Step::call("repeat", json!({"word": "one"})),
        Step::call("repeat", json!({"word": 1})),
        Step::call("unknown", json!({})),
        Step::say_outputs(),
        Step::fail("out of order"),
    ])
}

fn call(record: &DispatchRecord) -> (String, String, String, String) {
    (
        record.tool().to_owned(),
        record.arguments().to_owned(),
        record.outcome().to_string(),
        record.output().to_text().into_owned(),
    )
}

fn turn(result: &TurnResult) -> Turn {
    Turn {
        status: result.status.to_string(),
        reply: result.assistant_reply.clone(),
        calls: result
            .dispatches
            .iter()
            .map(|record| call(record))
            .collect(),
        detail: without_ids(result.detail.clone()),
    }
}

/// A payload without ids and times.
fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.retain(|name, _| {
                let name = name.to_lowercase();
                !(name.ends_with("id") || name.ends_with("at") || name.ends_with("ms"))
            });
            for member in members.values_mut() {
                *member = without_ids(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_ids(item.take());
            }
        }
        _ => {}
    }
    value
}

/// A message without the ids of the session and the turn.
fn message(error: &Error, ids: [&str; 2]) -> String {
    ids.iter()
        .fold(error.to_string(), |text, id| text.replace(id, "ID"))
}

fn report(report: &CleanupReport) -> (usize, usize, bool) {
    (report.cleared(), report.cancelled_calls(), report.deleted())
}

async fn with_async() -> Result<Seen, Error> {
    let codex = script();
    let run = codex.lifecycle(register).cwd("/").model("demo").await?;
    let result = run.send_and_handle("Go.").await?;
    let failed = run.send_and_handle("Go.").terminal("completed").await;
    let failed = failed.expect_err("the model fails");
    let second = failed.turn().map_or("", |turn| turn.turn_id.as_str());
    let errors = vec![
        message(&failed, [run.session_id(), second]),
        run.send(" ").await.expect_err("it is empty").to_string(),
        run.interrupt().await.expect_err("no turn").to_string(),
        codex
            .lifecycle(|draft| draft.register(skills![repeat]).expecting(["more"]))
            .await
            .expect_err("more is expected")
            .to_string(),
    ];
    Ok(Seen {
        created: without_ids(run.created().clone()),
        turn: turn(&result),
        errors,
        output: run
            .dispatch_tool_call("repeat", &json!({"word": "two"}))
            .await?
            .to_text()
            .into_owned(),
        detail: without_ids(run.detail().await?),
        report: report(&run.close().await?),
        left: codex.runtime().session_count(),
    })
}

fn without_async() -> Result<Seen, Error> {
    let codex = script().blocking();
    let run = codex.lifecycle(register).cwd("/").model("demo").wait()?;
    let result = run.send_and_handle("Go.").wait()?;
    let failed = run.send_and_handle("Go.").terminal("completed").wait();
    let failed = failed.expect_err("the model fails");
    let second = failed.turn().map_or("", |turn| turn.turn_id.as_str());
    let errors = vec![
        message(&failed, [run.session_id(), second]),
        run.send(" ").wait().expect_err("it is empty").to_string(),
        run.interrupt().expect_err("no turn").to_string(),
        codex
            .lifecycle(|draft| draft.register(skills![repeat]).expecting(["more"]))
            .wait()
            .expect_err("more is expected")
            .to_string(),
    ];
    Ok(Seen {
        created: without_ids(run.created().clone()),
        turn: turn(&result),
        errors,
        output: run
            .dispatch_tool_call("repeat", &json!({"word": "two"}))?
            .to_text()
            .into_owned(),
        detail: without_ids(run.detail()?),
        report: report(&run.close()?),
        left: codex.runtime().session_count(),
    })
}

#[tokio::test]
async fn a_script_comes_to_the_same_with_and_without_async() {
    let seen = with_async().await.unwrap();
    assert_eq!(without_async().unwrap(), seen);
    assert_eq!(seen.turn.calls.len(), 2, "codex answers for unknown tools");
    assert_eq!(seen.left, 0);
}
