//! What the scripted codex keeps of sessions, turns, and what waits for an answer.

use std::collections::HashSet;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    /// `None` of a sub-agent's thread.
    pub(super) title: Option<String>,
    pub(super) options: Value,
    /// The tools that its model may call; `None`: all there are.
    pub(super) tools: Option<HashSet<String>>,
    pub(super) turns: Vec<Turn>,
    pub(super) system: bool,
    pub(super) parent: Option<String>,
    /// Whether this process of codex has it in memory.
    pub(super) loaded: bool,
    /// Commands that were granted for the whole session.
    pub(super) granted: HashSet<String>,
}

impl Session {
    /// An option that it was created with, or that a message gave it since.
    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        self.options.get(name).filter(|value| !value.is_null())
    }

    /// The folder as it was given, relative or not.
    pub(super) fn cwd(&self) -> &str {
        let given = self.option("cwd").and_then(Value::as_str);
        given.unwrap_or("/home/user/project")
    }

    pub(super) fn policy(&self) -> &str {
        let given = self.option("approvalPolicy").and_then(Value::as_str);
        given.unwrap_or("untrusted")
    }

    pub(super) fn may_call(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.contains(tool))
    }

    pub(super) fn active(&self) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.is_active())
    }

    pub(super) fn turn(&mut self, id: &str) -> Option<&mut Turn> {
        self.turns.iter_mut().find(|turn| turn.id == id)
    }
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) status: &'static str,
    pub(super) in_doubt: bool,
    /// The flags of an active thread that waits for people.
    pub(super) flags: Vec<&'static str>,
    pub(super) items: Vec<Value>,
    /// What the manager itself writes into the transcript.
    pub(super) notes: Vec<Value>,
    /// Texts that came while it was active, and that the model has not read.
    pub(super) steered: Vec<String>,
    pub(super) cancel: CancellationToken,
}

impl Turn {
    pub(super) fn new(id: &str, text: &str) -> Self {
        Self {
            id: id.to_owned(),
            text: text.to_owned(),
            status: "inProgress",
            in_doubt: false,
            flags: Vec::new(),
            items: Vec::new(),
            notes: Vec::new(),
            steered: Vec::new(),
            cancel: CancellationToken::new(),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == "inProgress"
    }

    /// What a read of the session shows, which may be wrong for a while.
    pub(super) fn shown_status(&self) -> &'static str {
        if self.in_doubt {
            "interrupted"
        } else {
            self.status
        }
    }

    /// Puts an item in place of one with the same id.
    pub(super) fn put(&mut self, item: Value) {
        match self
            .items
            .iter_mut()
            .find(|known| known["id"] == item["id"])
        {
            Some(known) => *known = item,
            None => self.items.push(item),
        }
    }

    /// Puts an entry in place of one with the same id.
    pub(super) fn note(&mut self, entry: Value) {
        self.notes
            .retain(|known| known["messageId"] != entry["messageId"]);
        self.notes.push(entry);
    }
}

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) thread_id: String,
    pub(super) turn_id: String,
    pub(super) call_id: String,
    pub(super) tool: String,
    pub(super) arguments: Value,
    /// How often it was announced again, since its thread was resumed meanwhile.
    pub(super) announced: u32,
    pub(super) answer: oneshot::Sender<Value>,
}

/// What codex asks of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Approval,
    UserInput,
}

impl Question {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Approval => "item/commandExecution/requestApproval",
            Self::UserInput => "item/tool/requestUserInput",
        }
    }

    /// The frame that announces it.
    pub(super) fn frame(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::UserInput => "tool_user_input_requested",
        }
    }

    /// The flag of a thread that waits for it.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Approval => "waitingOnApproval",
            Self::UserInput => "waitingOnUserInput",
        }
    }
}

/// A question that waits for a decision.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) thread_id: String,
    pub(super) turn_id: String,
    pub(super) item_id: String,
    pub(super) params: Value,
    pub(super) decision: oneshot::Sender<Value>,
}
