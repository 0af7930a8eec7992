//! Arguments, answers, requests and payloads are in no `Debug`: each public type that holds one shows its size instead.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use codex_skills::blocking;
use codex_skills::embedded::{Content, HistoryItem, ModelItem, Step};
use codex_skills::runtime::{
    Accepted, CodexReply, CodexRequest, Created, Deletion, HttpFailure, NewSession, RuntimeError,
    RuntimeErrorKind, SendRequest, SessionOptions,
};
use codex_skills::{
    CallError, Client, CodexManager, ContentItem, Draft, Embedded, Event, Limits, RequestId, Skill,
    SkillOutput, ToolCall,
};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, Said, held};
use serde_json::json;
use serde_json::value::RawValue;

/// What must not be found.
const SECRET: &str = "hunter2";

fn is_discreet(value: &dyn Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.is_empty());
    }
}

fn raw() -> Box<RawValue> {
    RawValue::from_string(json!({ SECRET: SECRET }).to_string()).unwrap()
}

fn call() -> ToolCall {
    let mut call = ToolCall::new("session".into(), "tool".into(), raw());
    call.request_id = Some(RequestId::from(7));
    call
}

#[test]
fn calls_and_answers_show_names_ids_and_sizes() {
    let shown = format!("{:?}", call());
    for part in ["session", "tool", "(21 bytes)", "7"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    is_discreet(&call());
    for item in [
        ContentItem::text(SECRET),
        ContentItem::Image {
            image_url: SECRET.to_owned(),
        },
        ContentItem::Audio {
            audio_url: SECRET.to_owned(),
        },
    ] {
        assert!(format!("{item:?}").contains("(7 bytes)"), "{item:?}");
        is_discreet(&item);
    }
    is_discreet(&SkillOutput::text(SECRET).with_text(SECRET));
    is_discreet(&SkillOutput::failure(SECRET));
}

#[test]
fn what_a_runtime_is_told_and_tells_shows_sizes() {
    let payload = json!({ SECRET: SECRET });
    let mut session = NewSession::default();
    session.dynamic_tools = Some(raw().into());
    session.options = SessionOptions::default();
    session
        .options
        .config
        .insert("key".to_owned(), payload.clone());
    let mut request = SendRequest::new(SECRET);
    request.dynamic_tools = Some(raw().into());
    let failure = HttpFailure::new("POST", "/path", 500, SECRET);
    let error = RuntimeError::new("runtime", "do it", RuntimeErrorKind::Refused, "why");
    is_discreet(&session);
    is_discreet(&request);
    is_discreet(&Created::new("id".into(), payload.clone()));
    is_discreet(&Accepted::new("id".into(), payload.clone()));
    is_discreet(&Deletion::new("ok", payload.clone()));
    is_discreet(&failure);
    is_discreet(&error.with_http(Arc::new(failure)));
    for value in [payload.clone(), json!(SECRET), json!([SECRET])] {
        is_discreet(&CodexRequest::new("method", None, value.clone()));
        is_discreet(&CodexReply::Result(value));
    }
}

#[test]
fn events_show_sizes() {
    let turn_id: Arc<str> = "turn".into();
    let text = || SECRET.to_owned();
    for event in [
        Event::ToolCall(call().into()),
        Event::CallExpired(call().into()),
        Event::TextDelta {
            turn_id: turn_id.clone(),
            delta: text(),
        },
        Event::Message {
            turn_id: turn_id.clone(),
            text: text(),
        },
        Event::RequestWaiting {
            turn_id: None,
            id: "question".into(),
            request: Box::new(CodexRequest::new("method", None, json!({ SECRET: SECRET }))),
        },
        Event::TurnCompleted {
            turn_id,
            status: "completed".into(),
            error: None,
            detail: raw().into(),
        },
    ] {
        is_discreet(&event);
    }
}

#[test]
fn conversations_of_the_embedded_runtime_show_sizes() {
    let text = || SECRET.to_owned();
    let call = ModelItem::call("tool", json!({ SECRET: SECRET }));
    for item in [call.clone(), ModelItem::say(SECRET)] {
        is_discreet(&item);
    }
    is_discreet(&Step::items([call]));
    for content in [
        Content::User(text()),
        Content::Assistant(text()),
        Content::Call {
            call_id: "id".into(),
            tool: "tool".to_owned(),
            arguments: text(),
        },
        Content::Output {
            call_id: "id".into(),
            tool: "tool".to_owned(),
            text: text(),
            output: Some(Arc::new(SkillOutput::text(SECRET))),
        },
    ] {
        is_discreet(&content);
    }
    // Made by the runtime only: it is as discreet as its content.
    let _: fn(&HistoryItem) -> &Content = |item| &item.content;
}

fn client(step: Step) -> Client<Embedded> {
    Embedded::scripted([step, Step::say(SECRET)])
}

#[tokio::test]
async fn a_turn_and_its_records_show_sizes() {
    let gate = Gate::default();
    let codex = client(Step::call("held", json!({"text": SECRET})));
    let create = codex.lifecycle(|draft| draft.register([held(&Counter::default(), &gate)]));
    is_discreet(&create.into_future().await.unwrap());
    let run = codex
        .lifecycle(|draft| draft.register([held(&Counter::default(), &gate)]))
        .await;
    let run = run.unwrap();
    gate.open();
    is_discreet(&run.send(SECRET));
    is_discreet(&run.send_and_handle(SECRET));
    let turn = run.send_and_handle(SECRET).require_reply().await.unwrap();
    assert_eq!(turn.assistant_reply, SECRET);
    let record = &turn.dispatches[0];
    assert!(record.arguments().contains(SECRET) && record.is_handled());
    assert!(format!("{record:?}").contains("held"));
    is_discreet(record);
    is_discreet(&turn);
    let sent = run.send(SECRET).await.unwrap();
    is_discreet(&sent);
    is_discreet(&run.close().await.unwrap());
    is_discreet(&codex);
}

#[tokio::test]
async fn a_turn_that_did_not_end_as_it_should_shows_sizes() {
    let fails = Skill::builder("fails")
        .handler(|_: Said| async { Err::<String, _>(std::io::Error::other(SECRET)) });
    let limits = Limits::default();
    let codex = client(Step::call("fails", json!({"text": SECRET}))).with_limits(limits);
    let run = codex
        .lifecycle(|draft| draft.register([fails]))
        .await
        .unwrap();
    let turn = run
        .send_and_handle(SECRET)
        .terminal([codex_skills::TurnStatus::Failed])
        .await;
    match &turn {
        Ok(turn) => is_discreet(turn),
        Err(error) => {
            let turn = error.turn().expect("a turn");
            assert!(!turn.dispatches.is_empty());
            is_discreet(turn);
        }
    }
    is_discreet(&turn);
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_in_no_text_of_the_error() {
    let lies = Skill::builder("lies")
        .output_schema(json!({"type": "object", "properties": {"a": {"type": "integer"}}}))
        .handler(|_: Said| async { Ok::<_, std::io::Error>(json!({"a": SECRET})) });
    let catalog = Draft::new().register(lies).seal().unwrap();
    let called = catalog.call("lies", json!({"text": "a"})).await;
    let error = called.unwrap_err();
    let CallError::Answer { reason, answer, .. } = &error else {
        unreachable!("{error}");
    };
    assert!(reason.contains(SECRET) && answer.contains(SECRET));
    is_discreet(&error);
    assert!(!error.to_string().contains(SECRET), "{error}");
    let error = codex_skills::Error::from(error);
    is_discreet(&error);
    assert!(error.to_string().contains("lies"), "{error}");
}

#[test]
fn without_async_it_is_the_same() {
    let codex = blocking::Client::new(client(Step::say(SECRET)));
    let (_, session) = codex.create_session(|draft| draft).wait().unwrap();
    is_discreet(&session.send(SECRET));
    is_discreet(&session.send_and_handle(SECRET));
    is_discreet(&session.send_and_handle(SECRET).wait().unwrap());
}

#[test]
fn builders_show_no_tokens() {
    is_discreet(
        &CodexManager::builder()
            .base_url(format!("http://user:{SECRET}@host/"))
            .bearer(SECRET)
            .rbac(SECRET, "role", "actor")
            .header("x-key", SECRET)
            .proxy(format!("http://user:{SECRET}@proxy/")),
    );
}

/// The public types whose derived `Debug` shows texts, and why these are no secrets.
const SHOWN: [(&str, &str); 14] = [
    ("Draft", "names and warnings of the author"),
    ("CatalogProblem", "names and schemas of the author"),
    ("TurnStatus", "a word of the runtime, cut"),
    ("Submission", "words of the runtime about a delivery"),
    ("SubmissionRecord", "the same"),
    ("RuntimeError", "a message, cut, that is its `Display` too"),
    ("ModelTool", "what the author declared"),
    ("ModelError", "a message that is its `Display` too"),
    ("ProfileError", "the same"),
    ("AppServerError", "the same"),
    ("OutputError", "the same"),
    (
        "CodexManagerBuilder",
        "texts that are no secrets beside types that hide theirs",
    ),
    ("DefaultValue", "a default of the author"),
    ("RequestId", "an id"),
];

/// Adds the public types of a file that derive `Debug` and have a text or a value in them.
fn find_shown(source: &str, found: &mut BTreeSet<String>) {
    let mut rest = source;
    while let Some(at) = rest.find("#[derive(") {
        rest = &rest[at + "#[derive(".len()..];
        let Some((derived, after)) = rest.split_once(")]") else {
            return;
        };
        let item = after
            .lines()
            .map(str::trim_start)
            .find(|line| !line.is_empty() && !line.starts_with("#[") && !line.starts_with("//"));
        let Some(item) = item.filter(|_| derived.contains("Debug")) else {
            continue;
        };
        let Some(named) = item
            .strip_prefix("pub struct ")
            .or(item.strip_prefix("pub enum "))
        else {
            continue;
        };
        let name: String = named.chars().take_while(|c| c.is_alphanumeric()).collect();
        let body = &after[after.find(named).unwrap_or_default()..];
        let end = if item.ends_with(';') {
            body.find(';')
        } else {
            body.find("\n}")
        };
        let body = &body[..end.unwrap_or(body.len())];
        let words = body
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let holds = words
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .any(|word| {
                matches!(
                    word,
                    "String" | "Value" | "RawValue" | "Cow" | "SmolStr" | "T" | "u8"
                ) || (word == "str" && body.contains("Box<str>"))
            });
        if holds {
            found.insert(name);
        }
    }
}

fn search(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            find_shown(&std::fs::read_to_string(&path).unwrap(), found);
        }
    }
}

#[test]
fn no_other_public_type_derives_a_debug_that_shows_texts() {
    let mut found = BTreeSet::new();
    search(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../codex-skills/src"),
        &mut found,
    );
    for (name, _) in SHOWN {
        assert!(
            found.remove(name),
            "{name} is not found any more: take it off the list"
        );
    }
    // A marker of a type has no value of it.
    found.retain(|name| !matches!(name.as_str(), "ReturnType" | "Slot"));
    assert!(
        found.is_empty(),
        "hide what may be a secret, or say why it is none: {found:?}"
    );
    let mut own = BTreeSet::new();
    let derived = "/// Doc.\n#[derive(Clone, Debug)]\n#[non_exhaustive]\npub struct Own {\n    text: String,\n}\n";
    find_shown(derived, &mut own);
    assert_eq!(own.into_iter().collect::<Vec<_>>(), ["Own"]);
}
