//! Questions (server requests other than tool calls) as codex-manager writes them, and decisions as it takes them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::address;
use crate::runtime::read::each;
use crate::runtime::{CodexReply, CodexRequest, RuntimeError};

/// The server's route for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// May a command run, may files be changed?
    Approval,
    /// What does the user answer?
    Input,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Approval, Self::Input];

    /// Returns the path of the list of pending questions, below the session.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Approval => "/approvals",
            Self::Input => "/tool-input",
        }
    }

    /// A decision as the route takes it, in words.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Approval => r#"{"decision": "accept"} or "decline""#,
            Self::Input => {
                r#"{"decision": "accept", "answers": {"ID OF THE QUESTION": {"answers": ["…"]}}} or "decline""#
            }
        }
    }

    /// Returns the path to which a decision is posted.
    pub(super) fn path(self, operation: &'static str, id: &str) -> Result<String, RuntimeError> {
        let before = match self {
            Self::Approval => "/approvals",
            Self::Input => "/tool-input",
        };
        address::path(operation, before, id, "/decision")
    }
}

/// A question that waits for a decision.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) kind: Kind,
    pub(super) id: Arc<str>,
    pub(super) method: Arc<str>,
    pub(super) turn_id: Option<Arc<str>>,
    pub(super) item_id: Option<Arc<str>>,
    pub(super) params: Value,
    /// The size of what asks it, in bytes.
    pub(super) bytes: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(alias = "requestId")]
    approval_id: Arc<str>,
    method: Arc<str>,
    turn_id: Option<Arc<str>>,
    item_id: Option<Arc<str>>,
    #[serde(default)]
    details: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decided {
    #[serde(alias = "requestId")]
    approval_id: Arc<str>,
}

/// Reads a question from a frame or a row of a list.
pub(super) fn question(kind: Kind, text: &str) -> Result<Question, serde_json::Error> {
    let row: Row = serde_json::from_str(text)?;
    Ok(Question {
        kind,
        id: row.approval_id,
        method: row.method,
        turn_id: row.turn_id,
        item_id: row.item_id,
        params: row.details,
        bytes: text.len(),
    })
}

/// Reads which question was decided, or needs no decision any more.
pub(super) fn decided(text: &str) -> Result<Arc<str>, serde_json::Error> {
    Ok(serde_json::from_str::<Decided>(text)?.approval_id)
}

/// A list of what waits for a decision.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) questions: Vec<Question>,
    /// Whether there were more than are read.
    pub(super) is_cut: bool,
}

/// Reads a list, as many questions as may wait. Rows that cannot be read are left out; of what is no list nothing is known.
pub(super) fn questions(kind: Kind, body: &str, most: usize, most_bytes: usize) -> Option<Listed> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let list: List<'_> = serde_json::from_str(body).ok()?;
    let rows = Some(list.data).filter(|rows| rows.get().starts_with('['))?;
    let (mut listed, mut bytes) = (Listed::default(), 0);
    each(rows, |row| {
        bytes += row.get().len();
        if listed.questions.len() >= most || bytes > most_bytes {
            listed.is_cut = true;
        } else if let Ok(question) = question(kind, row.get()) {
            listed.questions.push(question);
        }
    });
    Some(listed)
}

/// The decision that a reply comes to. The server's routes carry accept, decline and cancel for approvals, once or for
/// the session; what cannot be said in them is declined.
pub(super) fn decision(kind: Kind, reply: CodexReply, request: &CodexRequest) -> Value {
    match (kind, reply) {
        (Kind::Input, CodexReply::Result(result)) => {
            json!({"decision": "accept", "response": result})
        }
        // Of its own, the server would answer codex with `{"status": "decline"}`, which is no answer of the protocol.
        (Kind::Input, reply) => {
            json!({"decision": "decline", "response": reply.into_result(request)})
        }
        (Kind::Approval, CodexReply::Grant) => json!({"decision": "accept", "scope": "turn"}),
        (Kind::Approval, CodexReply::Refuse) => json!({"decision": "decline"}),
        (Kind::Approval, CodexReply::Result(result)) => match result["decision"].as_str() {
            Some("accept" | "approved") => json!({"decision": "accept", "scope": "turn"}),
            Some("acceptForSession" | "approved_for_session") => {
                json!({"decision": "accept", "scope": "session"})
            }
            Some("cancel" | "abort") => json!({"decision": "cancel"}),
            Some("decline" | "denied") => json!({"decision": "decline"}),
            _ => {
                if result["decision"].get("denied").is_none() {
                    tracing::warn!(
                        target: "codex_skills::manager",
                        method = request.method,
                        "codex-manager has no way to carry this decision: it is declined"
                    );
                }
                json!({"decision": "decline"})
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_decisions() {
        for kind in Kind::ALL {
            let (example, _) = kind.example().split_once(" or ").unwrap_or_default();
            let example: Value = serde_json::from_str(example).unwrap_or_default();
            assert_eq!(example["decision"], "accept");
            assert_eq!(example["answers"].is_object(), kind == Kind::Input);
        }
    }

    #[test]
    fn a_list_is_read_as_far_as_questions_may_wait() {
        let row = |id: usize| json!({"approvalId": id.to_string(), "method": "m", "details": {}});
        let list = json!({"data": [row(0), 5, {}, row(1), row(2)]}).to_string();
        let read = |most, bytes| {
            let listed = questions(Kind::Approval, &list, most, bytes).unwrap_or_default();
            (listed.questions.len(), listed.is_cut)
        };
        assert_eq!(read(3, 1000), (3, false));
        assert_eq!(read(2, 1000), (2, true));
        assert_eq!(read(3, 60), (1, true));
        for none in ["", "{}", "[]", "null", r#"{"data":null}"#, r#"{"data":5}"#] {
            assert!(questions(Kind::Input, none, 9, 9).is_none(), "{none}");
        }
    }

    #[test]
    fn replies_are_said_in_the_words_of_the_routes() {
        let command = "item/commandExecution/requestApproval";
        let request = |method: &str| CodexRequest::new(method, Some("t"), Value::Null);
        let said = |reply| decision(Kind::Approval, reply, &request(command));
        let result = |decision: Value| CodexReply::Result(json!({"decision": decision}));
        let once = json!({"decision": "accept", "scope": "turn"});
        let always = json!({"decision": "accept", "scope": "session"});
        let no = json!({"decision": "decline"});
        for (reply, decision) in [
            (CodexReply::Grant, &once),
            (CodexReply::Refuse, &no),
            (result(json!("accept")), &once),
            (result(json!("approved")), &once),
            (result(json!("acceptForSession")), &always),
            (result(json!("approved_for_session")), &always),
            (result(json!("decline")), &no),
            (result(json!("abort")), &json!({"decision": "cancel"})),
            (result(json!({"denied": {"rejection": "no"}})), &no),
            (result(json!({"acceptWithExecpolicyAmendment": {}})), &no),
            (CodexReply::Result(Value::Null), &no),
        ] {
            assert_eq!(said(reply.clone()), *decision, "{reply:?}");
        }
        let asked = request("item/tool/requestUserInput");
        let said = |reply| decision(Kind::Input, reply, &asked);
        let nothing = json!({"decision": "decline", "response": {"answers": {}}});
        assert_eq!(said(CodexReply::Refuse), nothing);
        assert_eq!(said(CodexReply::Grant), nothing);
        let answers = json!({"answers": {"a": {"answers": ["yes"]}}});
        assert_eq!(
            said(CodexReply::Result(answers.clone())),
            json!({"decision": "accept", "response": answers})
        );
    }
}
