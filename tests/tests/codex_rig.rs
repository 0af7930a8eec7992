//! What the other tests of the real codex stand on: the provider, the smallest client, and that what they say to each
//! other is what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::Provider;
use serde_json::{Value, json};

const RECORDED: &str = include_str!("../fixtures/app-server-turn-one-call.jsonl");
const RECORDED_PARALLEL: &str = include_str!("../fixtures/app-server-parallel-calls.jsonl");
const RECORDED_OLD: &str = include_str!("../fixtures/app-server-0.105-turn-one-call.jsonl");

const LOOKUP: &str = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}";

/// The members of each kind of message that codex sends. What a tool is called with is left out.
type Shapes = BTreeMap<String, BTreeSet<String>>;

fn shapes<'a>(messages: impl IntoIterator<Item = &'a Value>) -> Shapes {
    let mut shapes = Shapes::new();
    for message in messages {
        let params = &message["params"];
        let Some(method) = message["method"].as_str() else {
            continue;
        };
        let kind = params["item"]["type"].as_str().unwrap_or_default();
        let members = shapes.entry(format!("{method} {kind}")).or_default();
        note_members(message, "", members);
    }
    shapes
}

fn note_members(value: &Value, place: &str, members: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let place = format!("{place}/{name}");
                members.insert(place.clone());
                if name != "arguments" {
                    note_members(value, &place, members);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                note_members(item, place, members);
            }
        }
        _ => {}
    }
}

fn recorded(trace: &str) -> Shapes {
    let lines = trace
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let messages: Vec<Value> = lines
        .filter(|line| line["dir"] == "server->client")
        .map(|mut line| line["msg"].take())
        .collect();
    shapes(&messages)
}

fn tools() -> Value {
    json!([{
        "type": "function", "name": "lookup_ticket", "description": "Lookup ticket status by id.",
        "inputSchema": {
            "type": "object", "properties": {"ticket_id": {"type": "string"}},
            "required": ["ticket_id"], "additionalProperties": false,
        },
    }])
}

/// A turn, and what codex said from its beginning on.
async fn turn(codex: &Codex, provider: &Provider, text: &str) -> io::Result<(String, Vec<Value>)> {
    let home = Home::new(provider)?;
    let mut client = RawClient::start(codex, &home).await?.listening();
    let thread = client.start_thread(tools()).await?;
    let turn = client.turn(&thread, text).await?;
    assert_eq!(turn.status(), "completed", "{}", turn.turn);
    let heard = client.heard();
    assert!(client.close().await?.success());
    home.until_no_process_is_left().await;
    Ok((turn.reply.expect("a reply"), heard))
}

/// The outputs of each call, of which there is one.
fn answers(provider: &Provider) -> Vec<String> {
    let answer = |call| {
        let outputs = provider.outputs(call);
        assert_eq!(outputs.len(), 1, "{call:?}: {outputs:?}");
        outputs[0].text()
    };
    provider.calls().iter().map(answer).collect()
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn a_turn_with_a_call_is_as_recorded() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;

    let (reply, heard) = turn(&codex, &provider, LOOKUP).await?;

    assert_eq!(reply, r#"Tool outputs: ok:{"ticket_id":"ABC-123"}"#);
    assert_eq!(answers(&provider), [r#"ok:{"ticket_id":"ABC-123"}"#]);
    assert_eq!(shapes(&heard), recorded(RECORDED));
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(old_codex_installed),
    ignore = "the old codex is not installed: run tests/e2e/install.sh"
)]
async fn a_turn_of_the_old_codex_is_as_recorded() -> io::Result<()> {
    let codex = Codex::old();
    let provider = Provider::start().await?;

    let (reply, heard) = turn(&codex, &provider, LOOKUP).await?;

    assert_eq!(reply, r#"Tool outputs: ok:{"ticket_id":"ABC-123"}"#);
    assert_eq!(shapes(&heard), recorded(RECORDED_OLD));
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn parallel_calls_are_as_recorded_and_answered_in_their_order() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let calls: Vec<String> = (0..5)
        .map(|at| format!("CALL lookup_ticket {{\"ticket_id\":\"T-{at}\"}}"))
        .collect();

    let (_, heard) = turn(&codex, &provider, &calls.join("\n")).await?;

    let expected: Vec<String> = (0..5)
        .map(|at| format!(r#"ok:{{"ticket_id":"T-{at}"}}"#))
        .collect();
    assert_eq!(answers(&provider), expected);
    assert_eq!(provider.requests().len(), 2);
    assert_eq!(shapes(&heard), recorded(RECORDED_PARALLEL));
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn a_turn_without_calls_is_what_the_model_says() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;

    let (reply, heard) = turn(&codex, &provider, "SAY Hello, you three!").await?;

    assert_eq!(reply, "Hello, you three!");
    let deltas: Vec<&str> = heard
        .iter()
        .filter(|message| message["method"] == "item/agentMessage/delta")
        .filter_map(|message| message["params"]["delta"].as_str())
        .collect();
    assert!(deltas.len() > 1, "{deltas:?}");
    assert_eq!(deltas.concat(), reply);
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn an_image_reaches_the_model() -> io::Result<()> {
    const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let image = json!({"type": "inputImage", "imageUrl": PIXEL});
    let text = json!({"type": "inputText", "text": "a pixel"});
    let mut client = RawClient::start(&codex, &home)
        .await?
        .answering(move |_| json!({"contentItems": [text, image], "success": true}));
    let thread = client.start_thread(tools()).await?;

    client.turn(&thread, LOOKUP).await?;

    let outputs = provider.outputs(&provider.calls()[0]);
    let value = outputs[0].value();
    assert_eq!(value[0], json!({"type": "input_text", "text": "a pixel"}));
    assert_eq!(value[1]["type"], "input_image");
    assert!(
        value[1]["image_url"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );
    client.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn rounds_follow_each_other_and_arguments_may_be_garbage() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let text =
        format!("{LOOKUP}\nTHEN\nCALL lookup_ticket {{no json\nCALL nobody {{}}\nTHEN\nSAY done");

    let (reply, _) = turn(&codex, &provider, &text).await?;

    assert_eq!(reply, "done");
    let answers = answers(&provider);
    assert_eq!(answers.len(), 3);
    assert!(
        answers[1].starts_with("failed to parse function arguments"),
        "{answers:?}"
    );
    assert_eq!(answers[2], "unsupported call: nobody");
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn responses_may_fail() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let thread = client.start_thread(tools()).await?;

    for (text, said) in [
        ("STATUS 429", "429 Too Many Requests"),
        ("FAIL the model is ill", "the model is ill"),
        ("BREAK", "stream closed before response.completed"),
    ] {
        let turn = client.turn(&thread, text).await?;
        assert_eq!(turn.status(), "failed");
        let message = turn.turn["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
    client.close().await?;
    Ok(())
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn a_sub_agent_makes_calls_of_its_own() -> io::Result<()> {
    let codex = Codex::current();
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(&codex, &home).await?;
    let parent = client.start_thread(tools()).await?;

    client.turn(&parent, &format!("SPAWN {LOOKUP}")).await?;
    let told = || {
        let calls = provider.calls();
        calls.len() == 2 && calls.iter().all(|call| !provider.outputs(call).is_empty())
    };
    // The child goes on while its parent does something else.
    while !told() {
        client.turn(&parent, "SAY waiting").await?;
    }

    let calls = provider.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].thread_id, parent);
    assert_ne!(calls[1].thread_id, parent);
    assert_eq!(
        provider.outputs(&calls[1])[0].text(),
        r#"ok:{"ticket_id":"ABC-123"}"#
    );
    client.close().await?;
    Ok(())
}
