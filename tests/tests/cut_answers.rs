//! Answers of which codex shows its model a part: they are seen, and may be failures instead.

use std::time::Duration;

use codex_skills::embedded::{Content, ModelItem, Step};
use codex_skills::{
    Catalog, Client, CreateSession, Draft, Embedded, Limits, Outcome, Session, Skill, TurnResult,
    skill, skills,
};
use serde_json::json;

/// Answer some bytes.
#[skill]
fn bytes(count: usize) -> String {
    "x".repeat(count)
}

/// Answer some bytes, or none.
#[skill(whole_answer)]
fn whole(count: usize) -> String {
    "x".repeat(count)
}

fn catalog() -> Catalog {
    let built = Skill::builder("built")
        .whole_answer()
        .input_schema(json!({"type": "object"}))
        .handler(|_: serde_json::Value| async {
            Ok::<_, std::convert::Infallible>("x".repeat(12_001))
        });
    let draft = Draft::new().register(skills![bytes, whole]);
    draft.register(built).seal().unwrap()
}

/// A client whose model calls a skill for so many bytes.
fn calling(skill: &'static str, count: usize, call_id: Option<&str>) -> Client<Embedded> {
    let call = ModelItem::call(skill, json!({"count": count}));
    let call = match call_id {
        Some(call_id) => call.with_call_id(call_id),
        None => call,
    };
    Embedded::scripted([Step::items([call])])
}

async fn turn(
    codex: &Client<Embedded>,
    options: impl FnOnce(CreateSession<'_>) -> CreateSession<'_>,
) -> (Session, TurnResult) {
    let (_, session) = options(codex.create_session_with(catalog())).await.unwrap();
    let turn = session.send_and_handle("go").await.unwrap();
    (session, turn)
}

/// What the model was shown of the call.
fn shown(codex: &Client<Embedded>, session: &Session) -> String {
    let history = codex.runtime().history(session.session_id()).unwrap();
    let output = history.iter().find_map(|item| match &item.content {
        Content::Output { text, .. } => Some(text.clone()),
        _ => None,
    });
    output.unwrap()
}

#[tokio::test]
async fn a_record_and_the_metrics_say_how_much_of_an_answer_is_shown() {
    let codex = calling("bytes", 126_891, None);
    let (session, turn) = turn(&codex, |session| session).await;

    let record = &turn.dispatches[0];
    assert_eq!(record.outcome(), Outcome::Completed);
    let cut = record.cut().unwrap();
    assert_eq!((cut.sent, cut.shown), (126_891, 12_000));
    assert!(
        record
            .to_string()
            .ends_with(", 12000 of 126891 bytes are shown"),
        "{record}"
    );
    let metrics = codex.metrics();
    assert_eq!((metrics.cut_answers, metrics.cut_bytes), (1, 114_891));
    let shown = shown(&codex, &session);
    assert!(
        shown.contains("…28723 tokens truncated…"),
        "{}",
        shown.len()
    );
    assert_eq!(shown.replace("…28723 tokens truncated…", "").len(), 12_000);
}

#[tokio::test]
async fn an_answer_that_is_shown_whole_is_not_cut() {
    let codex = calling("bytes", 12_000, None);
    let (_, turn) = turn(&codex, |session| session).await;

    assert_eq!(turn.dispatches[0].cut(), None);
    assert_eq!(codex.metrics().cut_answers, 0);
}

#[tokio::test]
async fn a_program_gets_the_whole_and_prints_more() {
    for (count, cut) in [(40_000, None), (40_001, Some((40_001, 40_000)))] {
        let codex = calling("bytes", count, Some("exec-0a1b"));
        let (_, turn) = turn(&codex, |session| session).await;
        let found = turn.dispatches[0].cut().map(|cut| (cut.sent, cut.shown));
        assert_eq!(found, cut);
    }
}

#[tokio::test]
async fn more_is_shown_where_codex_is_told_so() {
    for (count, cut) in [(48_000, false), (48_001, true)] {
        let setting = ("tool_output_token_limit", 10_000);
        let codex = calling("bytes", count, None);
        let (session, by_setting) = turn(&codex, |session| session.config([setting])).await;
        assert_eq!(by_setting.dispatches[0].cut().is_some(), cut, "{count}");
        assert_eq!(
            shown(&codex, &session).contains("truncated"),
            cut,
            "{count}"
        );

        let limits = Limits {
            shown_bytes: Some(48_000),
            ..Limits::default()
        };
        let (_, by_limit) = turn(&codex, |session| session.limits(limits)).await;
        assert_eq!(by_limit.dispatches[0].cut().is_some(), cut, "{count}");
    }
}

#[tokio::test]
async fn an_answer_that_must_be_whole_is_a_failure_that_asks_for_less() {
    for (skill, by_session) in [("whole", false), ("built", false), ("bytes", true)] {
        let codex = calling(skill, 12_001, None);
        let (session, turn) = turn(&codex, |session| session.whole_answers(by_session)).await;

        let record = &turn.dispatches[0];
        assert_eq!(record.outcome(), Outcome::TooLarge, "{skill}");
        assert_eq!(record.cut(), None);
        assert!(!record.output().is_success());
        assert_eq!(
            shown(&codex, &session),
            format!(
                "skill `{skill}` failed: only 12000 of the 12001 bytes of its answer could be shown to you; ask for less of it"
            )
        );
        assert_eq!(codex.metrics().failed.too_large, 1);
        assert_eq!(codex.metrics().cut_answers, 0);
    }
    let codex = calling("whole", 12_000, None);
    let (_, turn) = turn(&codex, |session| session).await;
    assert_eq!(turn.dispatches[0].outcome(), Outcome::Completed);
}

#[tokio::test]
async fn a_catalog_alone_refuses_the_same() {
    let catalog = catalog();
    assert!(catalog.get("whole").unwrap().needs_whole_answer());

    let output = catalog
        .call("whole", json!({"count": 12_001}))
        .await
        .unwrap();
    assert!(!output.is_success());
    let output = catalog
        .call("bytes", json!({"count": 12_001}))
        .await
        .unwrap();
    assert_eq!(output.content_len(), 12_001);
}

/// Takes its time.
#[skill(timeout = "90s")]
async fn slow() {
    tokio::time::sleep(Duration::from_secs(45)).await;
}

/// Takes less.
#[skill(timeout = "30s")]
fn quick() {}

#[test]
fn a_skill_that_may_outlast_a_program_is_warned_of() {
    let endless = Skill::builder("endless")
        .timeout(Duration::MAX)
        .input_schema(json!({"type": "object"}))
        .handler(|_: serde_json::Value| async { Ok::<_, std::convert::Infallible>(()) });
    let draft = Draft::new().register(skills![slow, quick, bytes]);
    let catalog = draft.register(endless).seal().unwrap();

    let [endless, slow] = catalog.warnings() else {
        panic!("{:?}", catalog.warnings());
    };
    assert!(endless.starts_with("skill `endless` ("), "{endless}");
    assert!(
        endless.contains("it may take as long as it likes"),
        "{endless}"
    );
    assert!(slow.contains("it may take 90s"), "{slow}");
    assert!(slow.contains("start the work and answer an id"), "{slow}");
}
