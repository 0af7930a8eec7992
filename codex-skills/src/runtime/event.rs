//! The events of a session, and the status of its turns.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::requests::CodexRequest;
use crate::skill::ToolCall;
use crate::withheld;

/// The status of a turn.
///
/// ```
/// use codex_skills::TurnStatus;
///
/// assert_eq!(TurnStatus::from("complete"), TurnStatus::Completed);
/// assert_eq!(TurnStatus::Completed.to_string(), "completed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnStatus {
    /// It runs.
    InProgress,
    /// It ended as it should.
    Completed,
    /// It ended with an error.
    Failed,
    /// It was ended from outside: by this program, another client or the user.
    Interrupted,
    /// The runtime went away while it ran: what became of it is not known.
    Lost,
    /// A status that this version does not know.
    Other(String),
}

impl TurnStatus {
    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InProgress => "inProgress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for TurnStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for TurnStatus {
    /// Reads a status whatever its case and surrounding blanks, and in the spellings that the
    /// different runtimes use (`complete`, `error`, `canceled`, …).
    fn from(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "inprogress" | "in_progress" | "running" => Self::InProgress,
            "completed" | "complete" => Self::Completed,
            "failed" | "error" => Self::Failed,
            "interrupted" | "canceled" | "cancelled" => Self::Interrupted,
            "lost" => Self::Lost,
            other => Self::Other(crate::runtime::peer::shown(other)),
        }
    }
}

/// An event of a session. Its `Debug` shows sizes in place of texts of the model and of requests.
///
/// ```
/// use codex_skills::{Error, Event, Session};
///
/// async fn show(session: &Session, request: &str) -> Result<(), Error> {
///     let mut events = session.events();
///     session.send(request).await?;
///     while let Some(event) = events.next().await {
///         match event {
///             Event::TextDelta { delta, .. } => print!("{delta}"),
///             Event::ToolStarted { tool, .. } => println!("[{tool} …]"),
///             Event::TokenUsage { usage, .. } => println!("[{} tokens]", usage.session.total),
///             Event::Warning { text } => eprintln!("codex: {text}"),
///             Event::ToolCall(_) => {
///                 session.respond_to_signal(&event).await?;
///             }
///             Event::TurnCompleted { status, .. } => {
///                 println!("[{status}]");
///                 break;
///             }
///             _ => {}
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Event {
    /// The model calls a tool. The same call may be announced more than once.
    ToolCall(Arc<ToolCall>),
    /// A call needs no answer any more: it was answered elsewhere, or its turn ended.
    CallExpired(Arc<ToolCall>),
    /// A turn began.
    TurnStarted {
        /// The turn.
        turn_id: Arc<str>,
    },
    /// A piece of the assistant's text, while it is written.
    TextDelta {
        /// The turn.
        turn_id: Arc<str>,
        /// The piece.
        delta: String,
    },
    /// A whole message of the assistant.
    Message {
        /// The turn.
        turn_id: Arc<str>,
        /// The text.
        text: String,
    },
    /// The model's call of a skill began, as the runtime sees it; also those of sub-agents.
    ToolStarted {
        /// The turn.
        turn_id: Arc<str>,
        /// The model's id of the call.
        call_id: Arc<str>,
        /// The namespace of the tool.
        namespace: Option<Arc<str>>,
        /// The name of the tool.
        tool: Arc<str>,
    },
    /// The model's call of a skill is complete, as the runtime sees it. That of a call that was cancelled may come
    /// after the end of its turn.
    ToolCompleted {
        /// The turn.
        turn_id: Arc<str>,
        /// The model's id of the call.
        call_id: Arc<str>,
        /// The namespace of the tool.
        namespace: Option<Arc<str>>,
        /// The name of the tool.
        tool: Arc<str>,
        /// Whether it was answered with a success.
        success: bool,
    },
    /// The tokens used so far, reported after each of the model's answers.
    TokenUsage {
        /// The turn.
        turn_id: Arc<str>,
        /// The numbers.
        usage: TokenUsage,
    },
    /// Codex asks something that is no tool call, and it is left to others to decide, like the people at codex-manager's
    /// web pages. Its turn waits until they do.
    RequestWaiting {
        /// The turn of the session.
        turn_id: Option<Arc<str>>,
        /// The runtime's id of the question.
        id: Arc<str>,
        /// What codex asks.
        request: Box<CodexRequest>,
    },
    /// A request that was left to others is decided, or codex wants no decision any more.
    RequestSettled {
        /// The turn of the session.
        turn_id: Option<Arc<str>>,
        /// The runtime's id of the question.
        id: Arc<str>,
    },
    /// A warning of the runtime: that it tries again to reach the model, that a setting is obsolete.
    Warning {
        /// What it says.
        text: String,
    },
    /// A turn ended.
    TurnCompleted {
        /// The turn.
        turn_id: Arc<str>,
        /// How it ended.
        status: TurnStatus,
        /// What went wrong, where it failed.
        error: Option<String>,
        /// The runtime's description of the turn, as it came; `null` where that is [too large](DETAIL_BYTES).
        detail: Arc<RawValue>,
    },
    /// The session is gone or cannot be reached any more.
    SessionClosed {
        /// Why.
        reason: String,
        /// Whether the runtime lost it before it had written any of it: another session takes its place.
        is_lost: bool,
    },
}

/// Largest description of a turn's end that is kept, in bytes. As JSON values it takes many times as much memory.
pub const DETAIL_BYTES: usize = 4 * 1024 * 1024;

/// Returns a runtime's description of a turn's end as it is kept.
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) fn detail(raw: &RawValue) -> Arc<RawValue> {
    let raw = if raw.get().len() > DETAIL_BYTES {
        RawValue::NULL
    } else {
        raw
    };
    raw.to_owned().into()
}

impl Event {
    /// The size in memory, roughly, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let more = match self {
            Self::ToolCall(call) | Self::CallExpired(call) => call.bytes(),
            Self::TextDelta { delta: text, .. }
            | Self::Message { text, .. }
            | Self::Warning { text }
            | Self::SessionClosed { reason: text, .. } => text.len(),
            Self::TurnCompleted { error, detail, .. } => {
                detail.get().len() + error.as_ref().map_or(0, String::len)
            }
            Self::RequestWaiting { request, .. } => request.bytes(),
            Self::TurnStarted { .. }
            | Self::RequestSettled { .. }
            | Self::ToolStarted { .. }
            | Self::ToolCompleted { .. }
            | Self::TokenUsage { .. } => 0,
        };
        std::mem::size_of::<Self>() + more
    }

    /// The turn that the event belongs to.
    ///
    /// ```
    /// use codex_skills::Event;
    ///
    /// let event = Event::TurnStarted { turn_id: "t1".into() };
    /// assert_eq!(event.turn_id(), Some("t1"));
    /// ```
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        match self {
            Self::ToolCall(call) | Self::CallExpired(call) => call.turn_id.as_deref(),
            Self::TurnStarted { turn_id }
            | Self::TextDelta { turn_id, .. }
            | Self::Message { turn_id, .. }
            | Self::ToolStarted { turn_id, .. }
            | Self::ToolCompleted { turn_id, .. }
            | Self::TokenUsage { turn_id, .. }
            | Self::TurnCompleted { turn_id, .. } => Some(turn_id),
            Self::RequestWaiting { turn_id, .. } | Self::RequestSettled { turn_id, .. } => {
                turn_id.as_deref()
            }
            Self::Warning { .. } | Self::SessionClosed { .. } => None,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolCall(call) => f.debug_tuple("ToolCall").field(call).finish(),
            Self::CallExpired(call) => f.debug_tuple("CallExpired").field(call).finish(),
            Self::TurnStarted { turn_id } => f
                .debug_struct("TurnStarted")
                .field("turn_id", turn_id)
                .finish(),
            Self::TextDelta { turn_id, delta } => f
                .debug_struct("TextDelta")
                .field("turn_id", turn_id)
                .field("delta", &withheld::text(delta))
                .finish(),
            Self::Message { turn_id, text } => f
                .debug_struct("Message")
                .field("turn_id", turn_id)
                .field("text", &withheld::text(text))
                .finish(),
            Self::ToolStarted {
                turn_id,
                call_id,
                namespace,
                tool,
            } => f
                .debug_struct("ToolStarted")
                .field("turn_id", turn_id)
                .field("call_id", call_id)
                .field("namespace", namespace)
                .field("tool", tool)
                .finish(),
            Self::ToolCompleted {
                turn_id,
                call_id,
                namespace,
                tool,
                success,
            } => f
                .debug_struct("ToolCompleted")
                .field("turn_id", turn_id)
                .field("call_id", call_id)
                .field("namespace", namespace)
                .field("tool", tool)
                .field("success", success)
                .finish(),
            Self::TokenUsage { turn_id, usage } => f
                .debug_struct("TokenUsage")
                .field("turn_id", turn_id)
                .field("usage", usage)
                .finish(),
            Self::RequestWaiting {
                turn_id,
                id,
                request,
            } => f
                .debug_struct("RequestWaiting")
                .field("turn_id", turn_id)
                .field("id", id)
                .field("request", request)
                .finish(),
            Self::RequestSettled { turn_id, id } => f
                .debug_struct("RequestSettled")
                .field("turn_id", turn_id)
                .field("id", id)
                .finish(),
            Self::Warning { text } => f.debug_struct("Warning").field("text", text).finish(),
            Self::TurnCompleted {
                turn_id,
                status,
                error,
                detail,
            } => f
                .debug_struct("TurnCompleted")
                .field("turn_id", turn_id)
                .field("status", status)
                .field("error", error)
                .field("detail", &withheld::raw(detail))
                .finish(),
            Self::SessionClosed { reason, is_lost } => f
                .debug_struct("SessionClosed")
                .field("reason", reason)
                .field("is_lost", is_lost)
                .finish(),
        }
    }
}

/// The tokens that were used.
///
/// ```
/// # use codex_skills::TokenUsage;
/// fn is_nearly_full(usage: &TokenUsage) -> bool {
///     usage.context_window.is_some_and(|window| usage.last.input > window / 10 * 9)
/// }
/// # assert!(!is_nearly_full(&TokenUsage::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenUsage {
    /// By the whole session.
    pub session: Tokens,
    /// By the model's last answer.
    pub last: Tokens,
    /// How many tokens the model can have before it.
    pub context_window: Option<u64>,
}

/// Numbers of tokens.
///
/// ```
/// use codex_skills::{Tokens, TurnResult};
///
/// fn sum(turns: &[TurnResult]) -> Tokens {
///     let mut sum = Tokens::default();
///     for turn in turns {
///         sum += turn.usage.unwrap_or_default();
///     }
///     sum
/// }
/// # assert_eq!(sum(&[]), Tokens::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tokens {
    /// All of them.
    pub total: u64,
    /// Those that the model read.
    pub input: u64,
    /// Those of `input` that came from a cache.
    pub cached_input: u64,
    /// Those that the model wrote.
    pub output: u64,
    /// Those of `output` that were thoughts.
    pub reasoning_output: u64,
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.total = self.total.saturating_add(more.total);
        self.input = self.input.saturating_add(more.input);
        self.cached_input = self.cached_input.saturating_add(more.cached_input);
        self.output = self.output.saturating_add(more.output);
        self.reasoning_output = self.reasoning_output.saturating_add(more.reasoning_output);
    }
}
