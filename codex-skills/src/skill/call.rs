//! One call of a tool, as plain data.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;
use smol_str::SmolStr;

/// A call that the model makes: what every runtime reads from its wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolCall {
    /// The session whose catalog serves the call.
    pub session_id: Arc<str>,
    /// The thread the call came from, where it is not the session itself (a sub-agent's).
    pub thread_id: Option<Arc<str>>,
    /// The turn, unless the wire leaves it out.
    pub turn_id: Option<Arc<str>>,
    /// The model's id of the call: with session and turn, its identity.
    pub call_id: Option<Arc<str>>,
    /// Where the answer goes. It addresses a reply and identifies nothing: ids begin at 0 again with
    /// each codex process (contract §2.1).
    pub request_id: Option<RequestId>,
    /// Which connection or process the request id belongs to.
    pub generation: u64,
    /// The namespace of the tool, as it came: an empty one is none, see [`namespace`](Self::namespace).
    pub namespace: Option<Arc<str>>,
    /// The name of the tool.
    pub tool: Arc<str>,
    /// The arguments as they came.
    pub arguments: Box<RawValue>,
    /// Whether the runtime's list of waiting calls has it: then no answer of it has arrived, while an
    /// announcement may be a repeat of one that was answered.
    pub is_listed: bool,
}

impl ToolCall {
    /// A call of `tool` in a session, with nothing else known of it.
    #[must_use]
    pub fn new(session_id: Arc<str>, tool: Arc<str>, arguments: Box<RawValue>) -> Self {
        Self {
            session_id,
            thread_id: None,
            turn_id: None,
            call_id: None,
            request_id: None,
            generation: 0,
            namespace: None,
            tool,
            arguments,
            is_listed: false,
        }
    }

    /// The same call of a tool in a namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Option<Arc<str>>) -> Self {
        self.namespace = namespace;
        self
    }

    /// The namespace of the tool; an empty one is none (contract §1.3).
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|name| !name.is_empty())
    }

    /// The tool with its namespace before it, as people write it: `tickets.lookup`.
    #[must_use]
    pub fn qualified_tool(&self) -> Cow<'_, str> {
        qualified(self.namespace(), &self.tool)
    }

    /// The key that the call has where the wire leaves its turn out.
    pub(crate) fn turnless_key(&self) -> CallKey {
        self.key_in_turn(None)
    }

    /// Whether an answer to the one goes where an answer to the other goes.
    pub(crate) fn same_address(&self, other: &Self) -> bool {
        self.request_id == other.request_id && self.generation == other.generation
    }

    pub(crate) fn key(&self) -> CallKey {
        self.key_in_turn(self.turn_id.clone())
    }

    fn key_in_turn(&self, turn_id: Option<Arc<str>>) -> CallKey {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        CallKey {
            thread_id: self
                .thread_id
                .clone()
                .unwrap_or_else(|| self.session_id.clone()),
            id: match (&turn_id, &self.call_id, &self.request_id) {
                (Some(_), Some(call_id), _) | (None, Some(call_id), None) => {
                    CallIdentity::Call(call_id.clone())
                }
                // Call ids are the model's and repeat from turn to turn: without the turn they say too little.
                (_, _, Some(request_id)) => {
                    CallIdentity::Request(request_id.clone(), self.generation)
                }
                (_, None, None) => CallIdentity::Unknown(SERIAL.fetch_add(1, Ordering::Relaxed)),
            },
            turn_id,
        }
    }
}

/// A name with its namespace before it. Neither contains a dot.
pub(crate) fn qualified<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match namespace {
        Some(namespace) => Cow::Owned(format!("{namespace}.{name}")),
        None => Cow::Borrowed(name),
    }
}

/// What makes two announcements the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallKey {
    pub(crate) thread_id: Arc<str>,
    pub(crate) turn_id: Option<Arc<str>>,
    pub(crate) id: CallIdentity,
}

/// Without the thread: a turn has one. Some models count the calls of each turn from the beginning, so the id alone would
/// not do.
impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.turn_id.hash(state);
        self.id.hash(state);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallIdentity {
    Call(Arc<str>),
    Request(RequestId, u64),
    /// Neither id: every announcement is a call of its own.
    Unknown(u64),
}

/// The id of a request, kept as the JSON that came so that it is echoed exactly.
///
/// `7` and `"7"` are two ids. A runtime whose wire writes one id in both ways announces a call with the same
/// one each time: else its answer goes to both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(SmolStr);

impl RequestId {
    /// The id as JSON: `7` or `"7"`.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// An id from the JSON text that carries it.
    #[must_use]
    pub fn from_json(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(smol_str::format_smolstr!("{number}"))
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_matches('"'))
    }
}
