//! What a user's text has the model do, in the words of the provider's scripts.

use serde_json::{Value, json};

/// One thing that the model does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directive {
    /// Whether a sub-agent calls, rather than the thread itself.
    pub(super) child: bool,
    pub(super) tool: String,
    /// What the model wrote, which may be no JSON.
    pub(super) written: String,
}

impl Directive {
    /// The prompt with which a sub-agent does it.
    pub(super) fn prompt(&self) -> String {
        format!("CALL {} {}", self.tool, self.written)
    }

    /// The arguments, or what codex tells the model of them in place of a call.
    pub(super) fn arguments(&self) -> Result<Value, String> {
        if self.written.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_str(&self.written)
            .map_err(|error| format!("failed to parse function arguments: {error}"))
    }
}

/// The rounds of a text: directives of one round run at the same time.
#[derive(Debug, Default)]
pub(super) struct Script {
    rounds: std::collections::VecDeque<Vec<Directive>>,
    /// What the model says at the end, where the text says so.
    pub(super) reply: Option<String>,
}

impl Script {
    /// Reads a text. What is before `User request:` is instruction.
    pub(super) fn of(text: &str) -> Self {
        let request = text
            .rsplit_once("User request:\n")
            .map_or(text, |(_, request)| request);
        let mut rounds = vec![Vec::new()];
        let mut reply = None;
        for line in request.lines() {
            let line = line.trim();
            if line == "THEN" {
                rounds.push(Vec::new());
                continue;
            }
            if let Some(words) = line.strip_prefix("SAY ") {
                reply = Some(words.to_owned());
                continue;
            }
            let (child, rest) = match (line.strip_prefix("CALL "), line.strip_prefix("CHILD ")) {
                (Some(rest), _) => (false, rest),
                (_, Some(rest)) => (true, rest),
                _ => continue,
            };
            let (tool, written) = rest.split_once(' ').unwrap_or((rest, ""));
            if let Some(round) = rounds.last_mut() {
                round.push(Directive {
                    child,
                    tool: tool.to_owned(),
                    written: written.trim().to_owned(),
                });
            }
        }
        rounds.retain(|round| !round.is_empty());
        Self {
            rounds: rounds.into(),
            reply,
        }
    }

    pub(super) fn next_round(&mut self) -> Option<Vec<Directive>> {
        self.rounds.pop_front()
    }
}
