//! The seam between sessions and the places where they live.
//!
//! A runtime creates sessions, carries requests and answers, and reports what happens as [`Event`]s. It knows nothing
//! of catalogs, handlers or ledgers: it announces a call as often as the wire does, and the session that receives the
//! events makes sure that the handler runs once.
//!
//! Life cycle, as a session sees it: [`create_session`](Runtime::create_session) or [`resume`](Runtime::resume), with
//! [`subscribe`](Runtime::subscribe) before any event can come; [`send`](Runtime::send) starts or steers turns; each
//! [`Event::ToolCall`] is answered by [`answer_now`](Runtime::answer_now) or [`answer`](Runtime::answer); and
//! [`delete_session`](Runtime::delete_session) ends it. [`Event::SessionClosed`] is the last event.
//!
//! Locks: a runtime delivers events while it holds none, since a sink may call the runtime again. What the wire
//! says of one session comes in its order; what a request or a poll found may come between, from another task.

#[cfg(feature = "app-server")]
pub mod app_server;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "manager")]
pub mod manager;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::skill::{SkillOutput, ToolCall};
use crate::withheld;

mod completed;
mod error;
mod event;
#[cfg(any(feature = "app-server", feature = "manager"))]
mod fingerprints;
#[cfg(any(feature = "app-server", feature = "manager"))]
mod newest;
mod options;
pub(crate) mod peer;
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) mod read;
mod receipt;
mod requests;

pub use completed::{CompletedCall, TakenAnswer};
pub use error::{HttpFailure, RuntimeError, RuntimeErrorKind};
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) use event::detail;
pub use event::{DETAIL_BYTES, Event, TokenUsage, Tokens, TurnStatus};
pub use options::{ApprovalPolicy, FilesystemSandbox, NetworkAccess, SessionOptions};
pub(crate) use receipt::Answering;
pub use receipt::{Receipt, Submission};
pub use requests::{CodexReply, CodexRequest, CodexRequestKind, ReplyFuture, RequestHandler};

/// A boxed future, as the methods of [`Runtime`] return it.
pub type RuntimeFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RuntimeError>> + Send + 'a>>;

/// Where the events of a session go.
///
/// `deliver` is called within a tokio runtime, on the task that reads the wire, in order. It returns at
/// once: it neither waits nor runs a handler.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn deliver(&self, event: Event);

    /// Takes the answer that codex accepted for a call, whichever client gave it. Called before the event of the call's
    /// completion.
    fn call_completed(&self, completed: &CompletedCall) {
        let _ = completed;
    }

    /// Notes that codex accepted an answer to a call, where the runtime does not report which. Called before the event
    /// that the call expired.
    fn call_resolved(&self, call: &Arc<ToolCall>) {
        let _ = call;
    }

    /// Whether calls of the session are answered here. Without, a runtime does not refuse on its own what it cannot read
    /// of a call: others may.
    fn answers_calls(&self) -> bool {
        true
    }
}

/// A place where sessions live: codex-manager, `codex app-server`, or this process.
///
/// All methods are cancel safe in this sense: dropping the future leaves the request sent or not
/// sent, never half sent. Callers that must know run them in tasks of their own.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::{Arc, Mutex, Weak};
///
/// use codex_skills::runtime::{
///     Accepted, Created, Deletion, EventSink, NewSession, Resumed, RuntimeFuture, SendRequest, Submission,
/// };
/// use codex_skills::{Client, Event, Runtime, SkillOutput, ToolCall, TurnStatus};
/// use serde_json::Value;
/// use serde_json::value::RawValue;
///
/// /// Has one session, repeats what it is sent, and calls nothing.
/// #[derive(Debug, Default)]
/// struct Echo {
///     sinks: Mutex<Vec<Weak<dyn EventSink>>>,
///     turns: AtomicU64,
/// }
///
/// fn ready<'a, T: Send + 'a>(value: T) -> RuntimeFuture<'a, T> {
///     Box::pin(std::future::ready(Ok(value)))
/// }
///
/// impl Runtime for Echo {
///     fn name(&self) -> &'static str {
///         "the echo"
///     }
///
///     fn create_session(&self, _: NewSession) -> RuntimeFuture<'_, Created> {
///         ready(Created::new("the-only-one".into(), Value::Null))
///     }
///
///     fn subscribe(&self, _: Arc<str>, events: Weak<dyn EventSink>) {
///         self.sinks.lock().unwrap().push(events);
///     }
///
///     fn resume(&self, _: Arc<str>) -> RuntimeFuture<'_, Resumed> {
///         ready(Resumed::new(None))
///     }
///
///     fn send(&self, _: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
///         let turn_id: Arc<str> = self.turns.fetch_add(1, Ordering::Relaxed).to_string().into();
///         let events = [
///             Event::TurnStarted { turn_id: turn_id.clone() },
///             Event::Message { turn_id: turn_id.clone(), text: request.text },
///             Event::TurnCompleted {
///                 turn_id: turn_id.clone(),
///                 status: TurnStatus::Completed,
///                 error: None,
///                 detail: RawValue::NULL.to_owned().into(),
///             },
///         ];
///         let sinks = self.sinks.lock().unwrap().clone();
///         for event in events {
///             sinks.iter().filter_map(Weak::upgrade).for_each(|sink| sink.deliver(event.clone()));
///         }
///         ready(Accepted::new(turn_id, Value::Null))
///     }
///
///     fn interrupt(&self, _: Arc<str>, _: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
///         ready(())
///     }
///
///     fn pending_calls(&self, _: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
///         ready(Vec::new())
///     }
///
///     fn answer(&self, _: Arc<ToolCall>, _: Arc<SkillOutput>) -> RuntimeFuture<'_, Submission> {
///         ready(Submission::Settled { code: "not_found".to_owned() })
///     }
///
///     fn detail(&self, _: Arc<str>) -> RuntimeFuture<'_, Value> {
///         ready(Value::Null)
///     }
///
///     fn delete_session(&self, _: Arc<str>) -> RuntimeFuture<'_, Deletion> {
///         ready(Deletion::new("ok", Value::Null))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = Client::new(Echo::default());
/// let turn = codex_skills::lifecycle!(codex, |run| run.send_and_handle("hello").require_reply().await).await?;
/// assert_eq!(turn.assistant_reply, "hello");
/// # Ok(())
/// # }
/// ```
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// What the runtime is called in messages.
    fn name(&self) -> &'static str;

    /// The form in which the runtime takes dynamic tools. With [`ToolFormat::Flat`], the default, a catalog
    /// with namespaces is refused before the runtime is asked.
    fn tool_format(&self) -> ToolFormat {
        ToolFormat::Flat
    }

    /// Whether the codex behind it keeps `$ref` and `$defs` in the schemas of tools, as it does since 2026, so that a
    /// type that is there several times can be declared once. If not, the default, types are written out wherever
    /// they are. Only asked where the format is [`ToolFormat::Canonical`].
    fn keeps_references(&self) -> bool {
        false
    }

    /// How many tools a session may have, where that is limited. A draft with more is refused when it is sealed for a session
    /// of this runtime; a catalog that was sealed before, the runtime refuses itself.
    fn tool_limit(&self) -> Option<usize> {
        None
    }

    /// The folder of this machine that a working directory of its sessions means, where they are on this machine: one that
    /// is not there is refused before the runtime is asked.
    fn folder(&self, cwd: &str) -> Option<PathBuf> {
        let _ = cwd;
        None
    }

    /// Creates a session. Nothing happens in it before the first [`send`](Self::send), so its events
    /// may be subscribed to afterwards.
    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created>;

    /// Sends the events of a session to `events` from now on, until the sink is dropped. Local: no request is made.
    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>);

    /// Takes up a session that exists. Its events are subscribed to before, since calls that wait are
    /// announced at once.
    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed>;

    /// Starts a turn, or steers the active one.
    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted>;

    /// Ends a turn; the active one where `turn_id` is `None`.
    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()>;

    /// The calls that wait for an answer, oldest first.
    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>>;

    /// Takes the answer of a call without waiting, and reports the outcome to the receipt later. Returns the receipt
    /// where it cannot; the caller then uses [`answer`](Self::answer). The default never takes it.
    ///
    /// # Errors
    /// With the receipt, when the answer is to be sent with `answer`.
    fn answer_now(
        &self,
        call: &Arc<ToolCall>,
        output: &Arc<SkillOutput>,
        receipt: Receipt,
    ) -> Result<(), Receipt> {
        let _ = (call, output);
        Err(receipt)
    }

    /// Answers a call.
    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission>;

    /// The session as the runtime sees it.
    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value>;

    /// Deletes a session, its active turn included. A session that is already gone is not an error.
    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion>;

    /// Makes a session with the tools and the history of another one. Refused unless the runtime can.
    fn fork_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Created> {
        drop(session_id);
        let refused = RuntimeError::new(
            self.name(),
            "fork the session",
            RuntimeErrorKind::Refused,
            "it has no forks",
        );
        Box::pin(std::future::ready(Err(refused)))
    }

    /// What the caller's tokio runtime lacks for sessions of this one, with the remedy, where it lacks anything: that it
    /// keeps time is seen to before. Default: nothing.
    fn unfit_tokio(&self) -> Option<&'static str> {
        None
    }

    /// Whether others may answer the calls of its sessions too. If not, each call of a session that was opened with a
    /// catalog is answered; otherwise those are left alone whose tool is not in the catalog, unless it is known that the
    /// session was created with it.
    fn is_shared(&self) -> bool {
        true
    }

    /// Whether people attend its sessions elsewhere, as on web pages, and can decide there what codex asks. Then what is
    /// asked in a session that no guard owns is left to them, unless a program says otherwise.
    fn is_attended(&self) -> bool {
        false
    }

    /// Sets the handler of a session's requests other than tool calls. Local: no request is made. Runtimes without such
    /// requests ignore it.
    fn set_request_handler(&self, session_id: &str, handler: RequestHandler) {
        let _ = (session_id, handler);
    }

    /// Gives up the tasks and connections on a tokio runtime that goes down. Later requests use the caller's tokio
    /// runtime and a new connection. Local: does not wait.
    fn detach(&self, tokio: tokio::runtime::Id) {
        let _ = tokio;
    }

    /// Ends what the runtime keeps alive: connections and processes. No method is called afterwards.
    fn shutdown(&self) -> RuntimeFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The largest answer in bytes that the runtime carries, where it has a limit.
    fn answer_limit(&self) -> Option<usize> {
        None
    }

    /// What the runtime counted so far.
    fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::default()
    }
}

/// What a runtime counted so far; what it does not count stays 0. Part of a client's
/// [`Metrics`](crate::Metrics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// Calls and requests that were left without an answer because far too many waited for one.
    pub left_waiting: u64,
    /// How often the connection was lost, or could not be made.
    pub reconnects: u64,
    /// Messages that could not be read and were left out.
    pub unreadable_messages: u64,
    /// Notifications dropped because a consumer was too slow. Calls are never dropped.
    pub lost_notifications: u64,
}

/// How dynamic tools are written (contract §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolFormat {
    /// `{name, description, inputSchema}` for each tool: what codex-manager takes, and each codex. It has no
    /// place for namespaces.
    Flat,
    /// `{type: "function", ..}` for a tool and `{type: "namespace", name, description, tools: [..]}` around
    /// those of a namespace: what codex takes since 0.141.
    Canonical,
}

/// What a session is created with.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct NewSession {
    /// The dynamic tools as a JSON array, in the runtime's [format](Runtime::tool_format); `None` when the
    /// catalog is empty.
    pub dynamic_tools: Option<Arc<RawValue>>,
    /// The [fingerprint](crate::Catalog::fingerprint) of the catalog. A runtime that keeps it with the session
    /// hands it back as [`Resumed::fingerprint`].
    pub fingerprint: Option<Arc<str>>,
    /// Everything else.
    pub options: SessionOptions,
}

/// Without the tools, of which the size is shown.
impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools = self.dynamic_tools.as_deref();
        f.debug_struct("NewSession")
            .field("dynamic_tools", &tools.map(withheld::raw))
            .field("fingerprint", &self.fingerprint)
            .field("options", &self.options)
            .finish()
    }
}

/// A session that was created.
#[derive(Clone)]
#[non_exhaustive]
pub struct Created {
    /// The id of the session.
    pub session_id: Arc<str>,
    /// The runtime's whole answer.
    pub payload: Value,
}

impl Created {
    /// The answer of a runtime, with the session's id taken out of it.
    #[must_use]
    pub fn new(session_id: Arc<str>, payload: Value) -> Self {
        Self {
            session_id,
            payload,
        }
    }
}

/// Without the payload.
impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("session_id", &self.session_id)
            .field("payload", &withheld::Json(&self.payload))
            .finish()
    }
}

/// A session that was found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Resumed {
    /// The fingerprint of the catalog that the session was created with, as it was in
    /// [`NewSession::fingerprint`], where the runtime knows.
    pub fingerprint: Option<Arc<str>>,
    /// Whether a request was sent in the session before, where the runtime knows.
    pub has_requests: Option<bool>,
}

impl Resumed {
    /// What is known about the session's tools.
    #[must_use]
    pub fn new(fingerprint: Option<Arc<str>>) -> Self {
        Self {
            fingerprint,
            has_requests: None,
        }
    }

    /// The same, knowing whether a request was sent in the session before.
    #[must_use]
    pub fn with_requests(mut self, has_requests: Option<bool>) -> Self {
        self.has_requests = has_requests;
        self
    }
}

/// One request of the user. Its `Debug` has the size of the text in its place.
#[derive(Clone)]
#[non_exhaustive]
pub struct SendRequest {
    /// The text, with whatever was put before it.
    pub text: String,
    /// The dynamic tools, in the runtime's [format](Runtime::tool_format), to be repeated where the wire has a
    /// place for them.
    pub dynamic_tools: Option<Arc<RawValue>>,
}

impl SendRequest {
    /// A request of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            dynamic_tools: None,
        }
    }
}

impl fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools = self.dynamic_tools.as_deref();
        f.debug_struct("SendRequest")
            .field("text", &withheld::text(&self.text))
            .field("dynamic_tools", &tools.map(withheld::raw))
            .finish()
    }
}

/// A request that was accepted.
#[derive(Clone)]
#[non_exhaustive]
pub struct Accepted {
    /// The turn that works on it.
    pub turn_id: Arc<str>,
    /// The runtime's whole answer.
    pub payload: Value,
}

impl Accepted {
    /// The answer of a runtime, with the turn's id taken out of it.
    #[must_use]
    pub fn new(turn_id: Arc<str>, payload: Value) -> Self {
        Self { turn_id, payload }
    }
}

/// Without the payload.
impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("turn_id", &self.turn_id)
            .field("payload", &withheld::Json(&self.payload))
            .finish()
    }
}

/// What became of a session that was to be deleted.
#[derive(Clone)]
#[non_exhaustive]
pub struct Deletion {
    /// `ok`, `deleted`, `not_found`, …
    pub status: String,
    /// The runtime's whole answer.
    pub payload: Value,
    /// Sub-agents' sessions that were to go with it and could not be deleted yet. Each is deleted like a session of its
    /// own until it is gone.
    pub due: Vec<Arc<str>>,
}

impl Deletion {
    /// The answer of a runtime to a deletion.
    pub fn new(status: impl Into<String>, payload: Value) -> Self {
        Self {
            status: status.into(),
            payload,
            due: Vec::new(),
        }
    }

    /// The same with sub-agents' sessions that could not be deleted yet.
    #[must_use]
    pub fn with_due(mut self, due: Vec<Arc<str>>) -> Self {
        self.due = due;
        self
    }

    /// Whether the session was there and is gone now.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "deleted")
    }
}

/// Without the payload.
impl fmt::Debug for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deletion")
            .field("status", &self.status)
            .field("payload", &withheld::Json(&self.payload))
            .field("due", &self.due)
            .finish()
    }
}
