//! The runtime of codex-manager: HTTP for requests and answers, one WebSocket (the stream) for events.
//!
//! [A chapter of the manual](crate::guide::manager) has a program to begin with, and what can go wrong.
//
// Parts: `http` sends requests (`address`, `tls`, `failure`), `wire` reads what the server writes; `stream` keeps the
// WebSocket, whose timing is `link`'s; `poll` asks in its place, through `catch_up`; `registry` routes frames to sessions;
// `answer` delivers answers, `server_requests` puts questions to handlers; `shared` is what they share.
//
// Life cycle: the first session starts the stream on the caller's tokio runtime; while it is down, polls stand in; when it
// is back, what was missed is asked for. A codex process that was replaced (`Shared::now_is`) expires the calls of the
// one before, since request ids count from 0 again.
//
// Invariants: a call is known by process and request id; each announcement reaches the session, which runs it once;
// requests that are not idempotent are looked up after a lost answer, never repeated (`lost_send`, `aside`).
//
// Locks: see `shared`.

mod address;
mod answer;
mod aside;
mod builder;
mod catch_up;
mod deletion;
mod detail;
mod exchange;
mod failure;
mod http;
mod link;
mod lost_send;
mod options;
mod poll;
mod profile;
mod question;
mod registry;
mod sent;
mod server_requests;
mod shared;
mod stream;
mod tls;
mod wire;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use self::catch_up::Because;
use self::detail::Detail;
use self::exchange::{Holds, NAME, Request, Response};
use self::link::LinkState;
use self::shared::Shared;
use super::{
    Accepted, Created, Deletion, EventSink, NewSession, RequestHandler, Resumed, Runtime,
    RuntimeError, RuntimeErrorKind, RuntimeFuture, RuntimeMetrics, SendRequest, Submission,
};
use crate::drivers;
use crate::skill::{SkillOutput, ToolCall};

pub use self::builder::CodexManagerBuilder;
pub use self::profile::ProfileError;

/// A codex-manager. Make one with [`from_profile`](Self::from_profile), [`from_env`](Self::from_env) or
/// [`builder`](Self::builder).
///
/// codex-manager does not authenticate its session and tool-call routes: any program that reaches its port can answer
/// calls. Keep it on loopback, or behind a proxy that authenticates.
///
/// ```
/// # fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::CodexManager;
///
/// let codex = CodexManager::builder().base_url("http://127.0.0.1:3001").ignore_env().build()?;
/// assert_eq!(codex.runtime().base_url(), "http://127.0.0.1:3001/api");
/// # Ok(())
/// # }
/// ```
pub struct CodexManager {
    shared: Arc<Shared>,
    stream: Mutex<Option<JoinHandle<()>>>,
    creations: aside::Aside,
    /// The tokio runtime that went down last.
    detached: Mutex<Option<tokio::runtime::Id>>,
}

impl CodexManager {
    /// Returns the health of codex-manager and of its codex process. codex-manager reports `ok` also when its codex is
    /// dead, and never restarts it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::CodexManager::from_profile("local")?;
    /// println!("{}", codex.runtime().health().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn health(&self) -> Result<Value, RuntimeError> {
        self.get("ask for its health", "/health", Holds::Word).await
    }

    /// Returns a page of the sessions, newest first: `data` and `nextCursor`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::CodexManager::from_profile("local")?;
    /// let mut cursor = None;
    /// loop {
    ///     let page = codex.runtime().list_sessions(cursor.as_deref()).await?;
    ///     for session in page["data"].as_array().into_iter().flatten() {
    ///         println!("{}", session["sessionId"]);
    ///     }
    ///     cursor = page["nextCursor"].as_str().map(str::to_owned);
    ///     if cursor.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it cannot be reached, or refuses.
    pub async fn list_sessions(&self, cursor: Option<&str>) -> Result<Value, RuntimeError> {
        let path = match cursor {
            Some(cursor) => http::with_query("/sessions", "cursor", cursor),
            None => "/sessions".to_owned(),
        };
        self.get("list the sessions", &path, Holds::Page).await
    }

    /// Returns the address of the API.
    #[must_use]
    pub fn base_url(&self) -> String {
        profile::shown(&self.shared.http.url(""))
    }

    /// Returns how often the stream was lost, or could not be opened.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared.reconnects.load(Ordering::Relaxed)
    }

    /// Reads something, also where nothing looked at the caller's tokio runtime before.
    async fn get(
        &self,
        operation: &'static str,
        path: &str,
        holds: Holds,
    ) -> Result<Value, RuntimeError> {
        drivers::with_io().map_err(|lacks| {
            RuntimeError::new(NAME, operation, RuntimeErrorKind::Refused, lacks)
        })?;
        let response = self
            .shared
            .http
            .call(Request {
                operation,
                method: Method::GET,
                path,
                body: None,
                holds,
            })
            .await?;
        Ok(response.json())
    }

    /// Starts the task that keeps the stream on the caller's tokio runtime, unless one runs.
    fn keep_stream(&self) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = stream.as_ref().is_some_and(|task| !task.is_finished());
        if !runs && let Ok(tokio) = tokio::runtime::Handle::try_current() {
            *stream = Some(tokio.spawn(stream::keep(self.shared.clone())));
        }
    }

    /// Waits until the stream is up, or its first attempt has failed and polls stand in.
    async fn stream_ready(&self) {
        self.keep_stream();
        let mut state = self.shared.state.subscribe();
        let ready = state.wait_for(|state| *state != LinkState::Connecting);
        if !matches!(tokio::time::timeout(self.shared.connect_timeout, ready).await, Ok(Ok(state)) if *state == LinkState::Up)
        {
            let why = self.shared.why_down();
            tracing::warn!(target: "codex_skills::manager", why, "the stream is not up, polling instead");
        }
    }

    /// Returns the codex process that requests go to now, unless the server cannot be asked.
    async fn known_generation(&self) -> Option<u64> {
        if self.shared.state() != LinkState::Up {
            let process = self.shared.http.process().await.ok()?;
            self.shared.now_is(process.id);
        }
        Some(self.shared.generation())
    }

    async fn post(
        &self,
        operation: &'static str,
        path: &str,
        body: &Value,
        holds: Holds,
    ) -> Result<Response, RuntimeError> {
        self.shared
            .http
            .call(Request {
                operation,
                method: Method::POST,
                path,
                body: Some(body.to_string().into_bytes()),
                holds,
            })
            .await
    }

    async fn create(&self, request: NewSession) -> Result<Created, RuntimeError> {
        let operation = aside::OPERATION;
        let fingerprint = request.fingerprint.clone();
        let body = options::body(request, operation)?;
        let body = body.to_string().into_bytes();
        let response = self.creations.create(&self.shared.http, body).await;
        let payload = response.map_err(lost_send::creation_lost)?.json();
        let session_id = payload
            .pointer("/session/sessionId")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        match session_id {
            Some(id) => {
                let id: Arc<str> = id.into();
                self.shared.registry().created(&id);
                if fingerprint.is_some() {
                    self.shared.fingerprints.set(id.clone(), fingerprint).await;
                }
                Ok(Created::new(id, payload))
            }
            None => Err(lost_send::creation_lost(accepted_unread(
                operation,
                "the answer has no session.sessionId",
            ))),
        }
    }

    async fn send_message(
        &self,
        session_id: Arc<str>,
        request: SendRequest,
    ) -> Result<Accepted, RuntimeError> {
        self.stream_ready().await;
        let message = lost_send::Message {
            before: self
                .shared
                .registry()
                .begin_send(&session_id, &request.text),
            session_id,
            text: request.text,
        };
        let sent = self.send_noted(&message, request.dynamic_tools).await;
        let turn_id = match &sent {
            Ok(accepted) => Some(&accepted.turn_id),
            // Some turn may have it.
            Err(error) if error.kind() == RuntimeErrorKind::Unknown => return sent,
            Err(_) => None,
        };
        let (session_id, before) = (&message.session_id, &message.before);
        self.shared.registry().end_send(session_id, before, turn_id);
        sent
    }

    async fn send_noted(
        &self,
        message: &lost_send::Message,
        tools: Option<Arc<serde_json::value::RawValue>>,
    ) -> Result<Accepted, RuntimeError> {
        let operation = "send the request";
        let session_id = &message.session_id;
        let before = self.known_generation().await;
        let mut body = json!({"text": message.text});
        if let Some(tools) = tools {
            body["dynamicTools"] = options::tools(&tools, operation)?;
        }
        let path = session_path(operation, session_id, "/messages")?;
        let payload = match self.post_message(operation, &path, &body).await {
            Ok(response) => response.json(),
            Err(failed) if lost_send::is_lost(&failed.error) => {
                return self.look_up(message, failed).await;
            }
            Err(failed) => return Err(failed.error),
        };
        let turn_id = payload
            .get("turnId")
            .and_then(Value::as_str)
            .filter(|id| !id.trim().is_empty());
        let Some(turn_id) = turn_id else {
            let lost = accepted_unread(operation, "the answer has no turnId");
            return self.look_up(message, lost.into()).await;
        };
        let turn_id: Arc<str> = turn_id.into();
        let after = self.shared.generation();
        let generation = before.filter(|before| *before == after).unwrap_or(0);
        self.shared
            .registry()
            .began(session_id, &turn_id, generation);
        Ok(Accepted::new(turn_id, payload))
    }
}

/// The error for a request that was accepted, with an answer that does not say what became of it.
fn accepted_unread(operation: &'static str, why: &str) -> RuntimeError {
    RuntimeError::new(NAME, operation, RuntimeErrorKind::Unknown, why)
}

/// The path of a session, or of something of it.
fn session_path(
    operation: &'static str,
    session_id: &str,
    after: &str,
) -> Result<String, RuntimeError> {
    address::path(operation, "/sessions", session_id, after)
}

impl Runtime for CodexManager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tool_limit(&self) -> Option<usize> {
        Some(options::TOOLS)
    }

    fn unfit_tokio(&self) -> Option<&'static str> {
        drivers::with_io().err()
    }

    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
        Box::pin(self.create(request))
    }

    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        self.shared.registry().subscribe(session_id.clone(), events);
        if self.shared.stream_per_session {
            self.shared
                .set_link(Some(&session_id), LinkState::Connecting);
            self.shared.threads.notify_one();
        }
        self.keep_stream();
    }

    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        Box::pin(async move {
            let operation = "resume the session";
            let path = session_path(operation, &session_id, "/resume")?;
            // It can be resumed whatever its turns are.
            let holds = Holds::Beginning;
            let resumed = self.post(operation, &path, &json!({}), holds).await?;
            let turns = Detail::read(&resumed.body).known_turns();
            self.shared.registry().knows_turns(&session_id, turns);
            self.stream_ready().await;
            self.known_generation().await;
            self.shared.catch_up_questions(&session_id).await;
            self.shared
                .catch_up_calls(session_id.clone(), Because::Asked)
                .await;
            let fingerprint = self.shared.fingerprints.get(session_id).await;
            Ok(Resumed::new(fingerprint))
        })
    }

    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
        Box::pin(self.send_message(session_id, request))
    }

    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        Box::pin(async move {
            let operation = "interrupt the turn";
            let path = session_path(operation, &session_id, "/interrupt")?;
            let body = match turn_id {
                Some(turn_id) => json!({"turnId": &*turn_id}),
                None => json!({}),
            };
            self.post(operation, &path, &body, Holds::Word).await?;
            Ok(())
        })
    }

    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        Box::pin(async move {
            let generation = self.shared.generation();
            let calls = self.shared.waiting(&session_id).await?;
            Ok(calls
                .into_iter()
                .map(|call| {
                    let mut call =
                        call.into_call(session_id.clone(), session_id.clone(), generation);
                    call.is_listed = true;
                    call
                })
                .collect())
        })
    }

    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission> {
        Box::pin(self.post_answer(call, output))
    }

    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
        Box::pin(async move {
            let operation = "read the session";
            let path = session_path(operation, &session_id, "")?;
            self.get(operation, &path, Holds::Values).await
        })
    }

    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        Box::pin(async move { self.delete(&session_id).await })
    }

    fn is_attended(&self) -> bool {
        true
    }

    fn set_request_handler(&self, session_id: &str, handler: RequestHandler) {
        self.shared
            .registry()
            .set_requests(session_id, handler.clone());
        self.shared.decides(session_id, &handler);
    }

    fn detach(&self, tokio: tokio::runtime::Id) {
        let mut detached = self.detached.lock().unwrap_or_else(PoisonError::into_inner);
        if detached.replace(tokio) != Some(tokio) {
            self.shared.http.renew();
        }
    }

    fn answer_limit(&self) -> Option<usize> {
        Some(self.shared.answer_bytes)
    }

    fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            reconnects: self.reconnects(),
            unreadable_messages: self.shared.malformed.load(Ordering::Relaxed),
            ..RuntimeMetrics::default()
        }
    }
}

impl Drop for CodexManager {
    fn drop(&mut self) {
        let stream = self
            .stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = stream.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for CodexManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodexManager")
            .field("settings", &self.shared.settings)
            .field("stream", &self.shared.state())
            .finish_non_exhaustive()
    }
}
