//! From what the user said to what the model does next.

use serde_json::json;

use super::request::{Output, Request};

/// One response of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) items: Vec<Item>,
    pub(super) hold: bool,
    pub(super) ending: Ending,
}

/// What a response consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A message.
    Say(String),
    /// A call of a tool.
    Call {
        namespace: Option<String>,
        tool: String,
        arguments: String,
    },
    /// A program in code mode.
    Exec(String),
}

/// How a response ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    #[default]
    Complete,
    /// It is an HTTP error and nothing else.
    Status(u16),
    /// It fails with this text.
    Fail(String),
    /// In the middle.
    Break,
}

impl Round {
    fn calls(&self) -> usize {
        let call = |item: &&Item| !matches!(item, Item::Say(_));
        self.items.iter().filter(call).count()
    }
}

/// The response to a request. How many calls were answered since the user said something tells how far the script is.
pub(super) fn next(request: &Request) -> Round {
    let outputs = request.outputs();
    let mut answered = outputs.len();
    for mut round in rounds(&request.text()) {
        let calls = round.calls();
        if calls > 0 && calls <= answered {
            answered -= calls;
            continue;
        }
        if round.items.is_empty() {
            round.items.push(Item::Say(summary(&outputs)));
        }
        return round;
    }
    Round {
        items: vec![Item::Say(summary(&outputs))],
        ..Round::default()
    }
}

fn summary(outputs: &[Output]) -> String {
    if outputs.is_empty() {
        return "Nothing was called.".to_owned();
    }
    let texts: Vec<String> = outputs.iter().map(Output::text).collect();
    format!("Tool outputs: {}", texts.join(" | "))
}

fn rounds(text: &str) -> Vec<Round> {
    let mut rounds = vec![Round::default()];
    for line in text.lines() {
        if line == "THEN" {
            rounds.push(Round::default());
        } else if let Some(round) = rounds.last_mut() {
            step(round, line);
        }
    }
    rounds
}

fn step(round: &mut Round, line: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "CALL" => {
            let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
            let (namespace, tool) = match name.split_once('.') {
                Some((namespace, tool)) => (Some(namespace.to_owned()), tool),
                None => (None, name),
            };
            round.items.push(Item::Call {
                namespace,
                tool: tool.to_owned(),
                arguments: arguments.to_owned(),
            });
        }
        "SPAWN" => round.items.push(Item::Call {
            namespace: Some("multi_agent_v1".to_owned()),
            tool: "spawn_agent".to_owned(),
            arguments: json!({"message": rest, "fork_context": true}).to_string(),
        }),
        "EXEC" => round.items.push(Item::Exec(rest.to_owned())),
        "SAY" => round.items.push(Item::Say(rest.to_owned())),
        "HOLD" => round.hold = true,
        "STATUS" => round.ending = Ending::Status(rest.parse().unwrap_or(500)),
        "FAIL" => round.ending = Ending::Fail(rest.to_owned()),
        "BREAK" => round.ending = Ending::Break,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::Value;

    use super::*;

    /// What is done when the user said this and so many calls were answered.
    fn done(text: &str, answers: &[&str]) -> Round {
        let message = |text: &str| {
            json!({
                "type": "message", "role": "user",
                "content": [{"type": "input_text", "text": text}],
            })
        };
        let mut input = vec![message(text), message("<environment_context>…")];
        input.extend(answers.iter().enumerate().map(|(at, answer)| {
            json!({"type": "function_call_output", "call_id": at.to_string(), "output": answer})
        }));
        next(&Request::new(
            &HeaderMap::new(),
            json!({"input": Value::Array(input)}),
        ))
    }

    fn call(namespace: Option<&str>, tool: &str, arguments: &str) -> Item {
        Item::Call {
            namespace: namespace.map(str::to_owned),
            tool: tool.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    fn say(text: &str) -> Item {
        Item::Say(text.to_owned())
    }

    #[test]
    fn a_round_is_done_when_its_calls_were_answered() {
        let text =
            "Please.\nCALL a {\"x\": 1}\nCALL n.b\nTHEN\nSAY half\nCALL c no json\nTHEN\nHOLD";

        assert_eq!(
            done(text, &[]).items,
            [call(None, "a", "{\"x\": 1}"), call(Some("n"), "b", "")]
        );
        assert_eq!(
            done(text, &["1", "2"]).items,
            [say("half"), call(None, "c", "no json")]
        );
        let last = done(text, &["1", "2", "3"]);
        assert_eq!(last.items, [say("Tool outputs: 1 | 2 | 3")]);
        assert!(last.hold);
    }

    #[test]
    fn without_a_script_the_model_says_that_there_was_nothing() {
        assert_eq!(done("Hello!", &[]).items, [say("Nothing was called.")]);
    }

    #[test]
    fn a_response_may_end_badly() {
        assert_eq!(done("STATUS 429", &[]).ending, Ending::Status(429));
        assert_eq!(done("FAIL no", &[]).ending, Ending::Fail("no".to_owned()));
        assert_eq!(done("BREAK", &[]).ending, Ending::Break);
        assert_eq!(done("CALL a {}\nTHEN\nBREAK", &["1"]).ending, Ending::Break);
    }
}
