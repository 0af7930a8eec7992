//! The seam between sessions and the places where they live.
//!
//! A runtime creates sessions, carries requests and answers, and reports what happens as [`Event`]s.
//! It knows nothing of catalogs, handlers or ledgers: a call is announced as often as the wire
//! announces it, and whoever receives the events makes sure that it runs once.

#[cfg(feature = "app-server")]
pub mod app_server;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "manager")]
pub mod manager;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::skill::{SkillOutput, ToolCall};

mod requests;

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
}

/// A place where sessions live: codex-manager, `codex app-server`, or this process.
///
/// All methods are cancel safe in this sense: dropping the future leaves the request sent or not
/// sent, never half sent. Callers that must know run them in tasks of their own.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// What the runtime is called in messages.
    fn name(&self) -> &'static str;

    /// The form in which the runtime takes dynamic tools. With [`ToolFormat::Flat`], the default, a catalog
    /// with namespaces is refused before the runtime is asked.
    fn tool_format(&self) -> ToolFormat {
        ToolFormat::Flat
    }

    /// Creates a session. Nothing happens in it before the first [`send`](Self::send), so its events
    /// may be subscribed to afterwards.
    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created>;

    /// Sends the events of a session to `events` from now on, until the sink is dropped. Local: asks
    /// nobody.
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

    /// Whether somebody else may answer the calls of its sessions. If not, a session that was opened without its
    /// catalog answers that it has no such skill; otherwise it leaves its calls alone.
    fn is_shared(&self) -> bool {
        true
    }

    /// Has what is asked in a session, and is no tool call, answered by `handler`. Local: asks nobody. Runtimes
    /// that ask nothing do nothing.
    fn set_request_handler(&self, session_id: &str, handler: RequestHandler) {
        let _ = (session_id, handler);
    }

    /// Ends what the runtime keeps alive: connections and processes. Nothing is asked of it afterwards.
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
    /// How often the connection was lost, or could not be made.
    pub reconnects: u64,
    /// Messages that could not be read and were left out.
    pub unreadable_messages: u64,
    /// Notifications that were dropped because somebody was too slow for them. Calls never are.
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
#[derive(Clone, Debug, Default)]
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

/// Options of a new session. What is `None` is left to the runtime.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The working directory of the session.
    pub cwd: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// When codex asks before it runs something.
    pub approval_policy: Option<ApprovalPolicy>,
    /// Whether commands of codex reach the network.
    pub network_access: Option<NetworkAccess>,
    /// What commands of codex may touch.
    pub filesystem_sandbox: Option<FilesystemSandbox>,
    /// Whether the session is never written to disk. For codex app-server only.
    pub ephemeral: Option<bool>,
    /// Settings of codex in the place of those in its `config.toml`, by dotted path. For codex app-server only.
    pub config: BTreeMap<String, Value>,
}

/// Without the values of codex's settings, which may be secrets.
impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("cwd", &self.cwd)
            .field("model", &self.model)
            .field("approval_policy", &self.approval_policy)
            .field("network_access", &self.network_access)
            .field("filesystem_sandbox", &self.filesystem_sandbox)
            .field("ephemeral", &self.ephemeral)
            .field("config", &self.config.keys())
            .finish()
    }
}

macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_enum! {
    /// When codex asks before it runs a command.
    ApprovalPolicy {
        /// For everything that is not known to be harmless.
        Untrusted = "untrusted",
        /// When a sandboxed command failed.
        OnFailure = "on-failure",
        /// When the model asks for it.
        OnRequest = "on-request",
        /// Never.
        Never = "never",
    }
}

wire_enum! {
    /// Whether commands that codex runs reach the network.
    NetworkAccess {
        /// They don't.
        Restricted = "restricted",
        /// They do.
        Enabled = "enabled",
    }
}

wire_enum! {
    /// What commands that codex runs may touch. Skills run in your process: no sandbox covers them.
    FilesystemSandbox {
        /// Read only.
        ReadOnly = "read-only",
        /// Write in the working directory.
        WorkspaceWrite = "workspace-write",
        /// Everything.
        DangerFullAccess = "danger-full-access",
    }
}

/// A session that was created.
#[derive(Clone, Debug)]
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

/// A session that was found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Resumed {
    /// The fingerprint of the catalog that the session was created with, as it was in
    /// [`NewSession::fingerprint`], where the runtime knows.
    pub fingerprint: Option<Arc<str>>,
}

impl Resumed {
    /// What is known about the session's tools.
    #[must_use]
    pub fn new(fingerprint: Option<Arc<str>>) -> Self {
        Self { fingerprint }
    }
}

/// One request of the user.
#[derive(Clone, Debug)]
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

/// A request that was accepted.
#[derive(Clone, Debug)]
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

/// What became of an answer on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submission {
    /// The runtime took it.
    Accepted,
    /// The runtime does not know the call any more, or somebody answers it right now: nothing is left
    /// to do.
    Settled {
        /// `not_found` or `in_flight`.
        code: String,
    },
    /// It did not arrive, and may be sent again.
    Retry {
        /// Why.
        reason: String,
        /// When to try, where the runtime said so.
        after: Option<std::time::Duration>,
    },
    /// The runtime carries no answer of this size.
    TooLarge,
    /// The runtime will never take it.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What became of a session that was to be deleted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deletion {
    /// `ok`, `deleted`, `not_found`, …
    pub status: String,
    /// The runtime's whole answer.
    pub payload: Value,
}

impl Deletion {
    /// The answer of a runtime to a deletion.
    pub fn new(status: impl Into<String>, payload: Value) -> Self {
        Self {
            status: status.into(),
            payload,
        }
    }

    /// Whether the session was there and is gone now.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "deleted")
    }
}

/// How a turn stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnStatus {
    /// It runs.
    InProgress,
    /// It ended as it should.
    Completed,
    /// It ended with an error.
    Failed,
    /// Somebody ended it.
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
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Something that happened in a session.
#[derive(Clone, Debug)]
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
    /// How many tokens were used, told after each of the model's answers.
    TokenUsage {
        /// The turn.
        turn_id: Arc<str>,
        /// The numbers.
        usage: TokenUsage,
    },
    /// Something that the runtime says on the side: that it tries again to reach the model, that a setting is
    /// obsolete.
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
        /// What the runtime tells about the turn's end.
        detail: Value,
    },
    /// The session is gone or cannot be reached any more.
    SessionClosed {
        /// Why.
        reason: String,
    },
}

impl Event {
    /// The turn that the event belongs to.
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
            Self::Warning { .. } | Self::SessionClosed { .. } => None,
        }
    }
}

/// How many tokens were used.
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

/// A runtime could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{runtime} could not {operation}: {message}")]
pub struct RuntimeError {
    runtime: &'static str,
    operation: &'static str,
    kind: RuntimeErrorKind,
    message: String,
    http: Option<Arc<HttpFailure>>,
}

/// An HTTP answer that is none of the 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFailure {
    method: String,
    path: String,
    status: u16,
    body: String,
}

impl HttpFailure {
    /// An answer of this status to a request.
    pub fn new(
        method: impl Into<String>,
        path: impl Into<String>,
        status: u16,
        body: impl Into<String>,
    ) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            status,
            body: body.into(),
        }
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path of the request, without the address of the server.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body, whole.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// What a caller can do about a [`RuntimeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeErrorKind {
    /// The request is wrong, and stays wrong.
    Refused,
    /// There is no such session or turn.
    NotFound,
    /// The runtime cannot be reached, or broke down. Trying again may help.
    Unavailable,
}

impl RuntimeError {
    /// An error of a runtime. `operation` completes the sentence "could not …".
    pub fn new(
        runtime: &'static str,
        operation: &'static str,
        kind: RuntimeErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            runtime,
            operation,
            kind,
            message: message.into(),
            http: None,
        }
    }

    /// The same error with the HTTP answer that it comes from.
    #[must_use]
    pub fn with_http(mut self, http: Arc<HttpFailure>) -> Self {
        self.http = Some(http);
        self
    }

    /// The HTTP answer that the error comes from, where it comes from one.
    #[must_use]
    pub fn http(&self) -> Option<&HttpFailure> {
        self.http.as_deref()
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> RuntimeErrorKind {
        self.kind
    }

    /// What the runtime says.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
