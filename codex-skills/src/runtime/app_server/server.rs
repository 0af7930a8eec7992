//! `AppServer`: the runtime that sessions ask, over the parts that do the work.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::connection::{Connection, NAME};
use super::error::AppServerError;
use super::settings::{Settings, Target};
use super::shared::{Shared, State};
use super::version::Version;
use super::{shown, socket, supervisor, wire};
use crate::drivers;
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::{
    Accepted, Created, Deletion, EventSink, NewSession, Receipt, RequestHandler, Resumed, Runtime,
    RuntimeError, RuntimeErrorKind, RuntimeFuture, RuntimeMetrics, SendRequest, Submission,
    ToolFormat,
};
use crate::skill::{SkillOutput, ToolCall};

/// A codex app-server. Make a client with [`spawn`](Self::spawn), [`connect`](Self::connect) or
/// [`connect_unix`](Self::connect_unix).
///
/// Sessions are codex's threads. Over a socket other clients may have the same threads: the first answer to a call
/// counts, and without a token any program on the machine can give it.
///
/// ```no_run
/// # async fn example() -> Result<(), codex_skills::Error> {
/// use codex_skills::AppServer;
///
/// let codex = AppServer::spawn().await?;
/// println!("codex {}", codex.runtime().version().unwrap_or_default());
/// codex.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct AppServer {
    pub(super) shared: Arc<Shared>,
}

impl AppServer {
    /// Starts codex or connects to it, and keeps the connection.
    pub(super) async fn open(settings: Settings) -> Result<Self, AppServerError> {
        let tokio = drivers::with_io().map_err(|lacks| AppServerError::UnfitTokio { lacks })?;
        let shared = Arc::new(Shared::new(settings));
        let opened = supervisor::open(&shared).await?;
        let fingerprints = Fingerprints::in_folder(shared.settings.home(&opened.server)).await;
        shared.set_server(opened.server.clone(), fingerprints);
        shared.set_state(State::Up(opened.connection.clone()));
        let keeper = shared.set_keeper(tokio.id());
        supervisor::start(&shared, keeper, Some(opened));
        Ok(Self { shared })
    }

    /// The version of codex, where it says so.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.shared
            .server()
            .0
            .version
            .map(|version| version.to_string())
    }

    /// Codex's home, as codex calls it: on another machine, where codex is there.
    #[must_use]
    pub fn codex_home(&self) -> Option<PathBuf> {
        self.shared.server().0.home
    }

    /// Returns how often the connection to codex was lost.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared.reconnects()
    }

    /// Starts codex again, or connects again: now, whatever the [policy](super::RestartPolicy) says. Turns that run in a
    /// process that was started end as [lost](crate::TurnStatus::Lost). Returns at once; requests wait until it is
    /// there.
    pub fn restart(&self) {
        if self.shared.stop.is_cancelled() {
            return;
        }
        // From now on requests wait.
        self.shared
            .set_state(State::Down("it is started again".into()));
        self.shared.again.notify_one();
    }

    /// Returns the form of dynamic tools that the connected codex takes.
    fn format(&self) -> ToolFormat {
        match self.shared.server().0.version {
            Some(version) if version < Version::CANONICAL => ToolFormat::Flat,
            _ => ToolFormat::Canonical,
        }
    }

    /// Returns the connection and the bytes of an answer; or the outcome of its delivery, where there is nothing to
    /// write.
    fn answer_to(
        &self,
        call: &ToolCall,
        output: &SkillOutput,
    ) -> Result<(Arc<Connection>, Vec<u8>), Submission> {
        let Some(id) = &call.request_id else {
            return Err(Submission::Refused {
                reason: "the call has no request id".to_owned(),
            });
        };
        let connection = self.shared.state.borrow().connection().cloned();
        let Some(connection) = connection else {
            return Err(Submission::Retry {
                reason: "codex is gone".to_owned(),
                after: None,
            });
        };
        if connection.generation != call.generation {
            self.shared.registry().answered(call);
            // The id may belong to another call by now. If the call still waits, it is announced again.
            return Err(Submission::Settled {
                code: "connection_lost".to_owned(),
            });
        }
        let answer = wire::answer(id, output).map_err(|error| Submission::Refused {
            reason: error.to_string(),
        })?;
        let limit = connection.message_limit;
        if limit.is_some_and(|limit| answer.len() > limit) {
            return Err(Submission::TooLarge);
        }
        // Before it is written: codex may say that the call is complete before this task goes on.
        let since = self.shared.registry().answered(call);
        self.warn(call, output, since);
        Ok((connection, answer))
    }

    async fn submit(&self, call: &ToolCall, output: &SkillOutput) -> Submission {
        let connection = self.shared.state.borrow().connection().cloned();
        // The answer is serialized once there is room for it.
        let room = match &connection {
            Some(connection) => connection.room(output.content_len()).await,
            None => None,
        };
        let (connection, answer) = match self.answer_to(call, output) {
            Ok(ready) => ready,
            Err(submission) => return submission,
        };
        if connection.write_in(room, answer).await {
            connection.passed_on()
        } else {
            Submission::Retry {
                reason: "codex went away before the answer was written".to_owned(),
                after: None,
            }
        }
    }

    /// Warns, once for each tool, of answers that codex cuts or gives up waiting for.
    fn warn(&self, call: &ToolCall, output: &SkillOutput, since: Option<Instant>) {
        let shown = shown::shown_bytes(self.shared.settings.token_limit);
        let bytes = shown::text_bytes(output);
        if bytes > shown && self.shared.warns(format!("output of {}", call.tool)) {
            tracing::warn!(
                target: "codex_skills::app_server",
                tool = &*call.tool,
                bytes,
                shown,
                "codex cuts the middle out of answers of this size before the model reads them: answer less, or \
                 raise `tool_output_token_limit`"
            );
        }
        if since.is_some_and(|since| since.elapsed() > shown::CODE_MODE_PATIENCE)
            && self.shared.warns(format!("slowness of {}", call.tool))
        {
            tracing::warn!(
                target: "codex_skills::app_server",
                tool = &*call.tool,
                "calls that take longer than 30 seconds may be given up in code mode, which newer models use: answer at \
                 once with a job's id, and let the model ask for the result"
            );
        }
    }
}

impl Runtime for AppServer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tool_format(&self) -> ToolFormat {
        self.format()
    }

    fn keeps_references(&self) -> bool {
        // The first codex of the canonical format is newer than the first that keeps them.
        self.format() == ToolFormat::Canonical
    }

    fn folder(&self, cwd: &str) -> Option<PathBuf> {
        matches!(self.shared.settings.target, Target::Program(_)).then(|| cwd.into())
    }

    fn unfit_tokio(&self) -> Option<&'static str> {
        // The runtime that keeps the connection has all it needs; another one may have to take it over.
        drivers::with_io()
            .err()
            .filter(|_| self.shared.has_no_keeper())
    }

    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
        Box::pin(self.start_thread(request))
    }

    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        self.shared.registry().subscribe(session_id, events);
    }

    fn is_shared(&self) -> bool {
        self.shared.settings.target.is_shared()
    }

    fn set_request_handler(&self, session_id: &str, handler: RequestHandler) {
        if !handler.leaves() {
            self.shared.registry().set_requests(session_id, handler);
        }
    }

    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        Box::pin(self.resume_thread(session_id))
    }

    fn fork_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Created> {
        Box::pin(self.fork_thread(session_id))
    }

    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
        Box::pin(self.start_turn(session_id, request))
    }

    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        Box::pin(self.interrupt_turn(session_id, turn_id))
    }

    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        let waiting = self.shared.registry().waiting(&session_id);
        Box::pin(std::future::ready(Ok(waiting)))
    }

    fn answer_now(
        &self,
        call: &Arc<ToolCall>,
        output: &Arc<SkillOutput>,
        receipt: Receipt,
    ) -> Result<(), Receipt> {
        match self.answer_to(call, output) {
            Ok((connection, answer)) => connection.write_now(answer, receipt),
            Err(submission) => {
                receipt.tell(submission);
                Ok(())
            }
        }
    }

    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission> {
        Box::pin(async move { Ok(self.submit(&call, &output).await) })
    }

    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
        Box::pin(self.read_thread(session_id))
    }

    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        Box::pin(self.delete_thread(session_id))
    }

    fn answer_limit(&self) -> Option<usize> {
        self.is_shared().then_some(socket::SENT_BYTES - 1024)
    }

    fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            reconnects: self.shared.reconnects(),
            unreadable_messages: self.shared.malformed(),
            left_waiting: self.shared.left_waiting(),
            ..RuntimeMetrics::default()
        }
    }

    fn detach(&self, tokio: tokio::runtime::Id) {
        self.shared.detach(tokio);
    }

    fn shutdown(&self) -> RuntimeFuture<'_, ()> {
        Box::pin(async move {
            if self.shared.has_no_keeper() {
                self.shared.stop.cancel();
                return Ok(());
            }
            if !self.is_shared() {
                self.interrupt_all(Duration::from_secs(2)).await;
            }
            self.shared.stop.cancel();
            // Three steps of ending a process, and some for the pipes.
            let patience = self.shared.settings.grace.saturating_mul(5);
            let patience = patience.saturating_add(Duration::from_secs(2));
            let ended = tokio::time::timeout(patience, self.shared.ended.cancelled()).await;
            ended.map_err(|_| {
                RuntimeError::new(
                    NAME,
                    "end codex",
                    RuntimeErrorKind::Unavailable,
                    format!("it did not end within {patience:?}"),
                )
            })
        })
    }
}

impl Drop for AppServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl fmt::Debug for AppServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.shared.state.borrow() {
            State::Up(_) => "up",
            State::Resuming(_) => "resuming",
            State::Down(_) => "down",
            State::Gone(_) => "gone",
        };
        f.debug_struct("AppServer")
            .field("target", &self.shared.settings.target.shown())
            .field("version", &self.version())
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
