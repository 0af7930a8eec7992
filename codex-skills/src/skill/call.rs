//! One call of a tool, as plain data.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::withheld;

/// A call that the model makes: what every runtime reads from its wire. Its `Debug` has the size of the arguments in their
/// place.
///
/// ```
/// # use codex_skills::Event;
/// fn note(event: &Event) {
///     if let Event::ToolCall(call) = event {
///         println!("{} is called with {} bytes", call.qualified_tool(), call.arguments.get().len());
///     }
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolCall {
    /// The session whose catalog serves the call.
    pub session_id: Arc<str>,
    /// The thread the call came from, where it is not the session itself (a sub-agent's).
    pub thread_id: Option<Arc<str>>,
    /// The turn, unless the wire leaves it out.
    pub turn_id: Option<Arc<str>>,
    /// The turn of the session during which a sub-agent called, where that is known.
    pub session_turn_id: Option<Arc<str>>,
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
    /// Whether large numbers of the arguments may have lost digits before they were written.
    pub(crate) rounded: bool,
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
            session_turn_id: None,
            call_id: None,
            request_id: None,
            generation: 0,
            namespace: None,
            tool,
            arguments,
            rounded: false,
            is_listed: false,
        }
    }

    /// Returns the call with the namespace of its tool.
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

    /// Returns the call without its arguments.
    pub(crate) fn without_arguments(&self) -> Self {
        Self {
            session_id: self.session_id.clone(),
            thread_id: self.thread_id.clone(),
            turn_id: self.turn_id.clone(),
            session_turn_id: self.session_turn_id.clone(),
            call_id: self.call_id.clone(),
            request_id: self.request_id.clone(),
            generation: self.generation,
            namespace: self.namespace.clone(),
            tool: self.tool.clone(),
            arguments: RawValue::NULL.to_owned(),
            rounded: self.rounded,
            is_listed: self.is_listed,
        }
    }

    /// The size of what came with the call, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.arguments.get().len()
    }

    /// Whether an answer to the one goes where an answer to the other goes.
    pub(crate) fn same_address(&self, other: &Self) -> bool {
        self.request_id == other.request_id && self.generation == other.generation
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall")
            .field("session_id", &self.session_id)
            .field("thread_id", &self.thread_id)
            .field("turn_id", &self.turn_id)
            .field("session_turn_id", &self.session_turn_id)
            .field("call_id", &self.call_id)
            .field("request_id", &self.request_id)
            .field("generation", &self.generation)
            .field("namespace", &self.namespace)
            .field("tool", &self.tool)
            .field("arguments", &withheld::raw(&self.arguments))
            .field("rounded", &self.rounded)
            .field("is_listed", &self.is_listed)
            .finish()
    }
}

/// Whether an answer should go where `call` says rather than where `known` says.
pub(crate) fn is_newer(call: &ToolCall, known: &ToolCall) -> bool {
    call.request_id.is_some() && (known.request_id.is_none() || call.generation >= known.generation)
}

/// A name with its namespace before it. Neither contains a dot.
pub(crate) fn qualified<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match namespace {
        Some(namespace) => Cow::Owned(format!("{namespace}.{name}")),
        None => Cow::Borrowed(name),
    }
}

/// Identity of a call across announcements: the thread, the turn, and the id within it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CallKey {
    call: Arc<ToolCall>,
    turn: bool,
    by: IdentifiedBy,
    /// Of the turn and the id: a turn has one thread. Made once, for all tables that the key is looked up in.
    hash: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdentifiedBy {
    CallId,
    RequestId,
    /// Neither id: every announcement is a call of its own.
    Serial(u64),
}

impl CallKey {
    /// The key of a call.
    pub(crate) fn new(call: &Arc<ToolCall>) -> Self {
        Self::in_turn(call, call.turn_id.is_some())
    }

    /// The key that a call has where the wire leaves its turn out.
    pub(crate) fn turnless(call: &Arc<ToolCall>) -> Self {
        Self::in_turn(call, false)
    }

    fn in_turn(call: &Arc<ToolCall>, turn: bool) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        let by = match (turn, &call.call_id, &call.request_id) {
            (true, Some(_), _) | (false, Some(_), None) => IdentifiedBy::CallId,
            // Call ids are the model's and repeat from turn to turn: without the turn they say too little.
            (_, _, Some(_)) => IdentifiedBy::RequestId,
            (_, None, None) => IdentifiedBy::Serial(SERIAL.fetch_add(1, Ordering::Relaxed)),
        };
        let mut key = Self {
            call: call.clone(),
            turn,
            by,
            hash: 0,
        };
        key.hash = match by {
            IdentifiedBy::CallId => HASHER.hash_one((key.turn_id(), &call.call_id)),
            IdentifiedBy::RequestId => HASHER.hash_one((key.turn_id(), &call.request_id)),
            IdentifiedBy::Serial(serial) => HASHER.hash_one(serial),
        };
        key
    }

    /// Returns the key without the arguments that its call came with.
    pub(crate) fn without_arguments(&self) -> Self {
        Self {
            call: Arc::new(self.call.without_arguments()),
            ..*self
        }
    }

    /// The size of what the key keeps alive beside ids, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.call.bytes()
    }

    /// The announcement that the key was made from.
    pub(crate) fn call(&self) -> &Arc<ToolCall> {
        &self.call
    }

    pub(crate) fn thread_id(&self) -> &Arc<str> {
        let call = &self.call;
        call.thread_id.as_ref().unwrap_or(&call.session_id)
    }

    pub(crate) fn turn_id(&self) -> Option<&str> {
        self.call.turn_id.as_deref().filter(|_| self.turn)
    }
}

impl PartialEq for CallKey {
    fn eq(&self, other: &Self) -> bool {
        let (call, known) = (&self.call, &other.call);
        self.hash == other.hash
            && self.by == other.by
            && self.turn_id() == other.turn_id()
            && self.thread_id() == other.thread_id()
            && match self.by {
                IdentifiedBy::CallId => call.call_id == known.call_id,
                IdentifiedBy::RequestId => call.same_address(known),
                IdentifiedBy::Serial(_) => true,
            }
    }
}

impl Eq for CallKey {}

impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
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
