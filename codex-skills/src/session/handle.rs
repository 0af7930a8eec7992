//! The handle on a session: sending, serving, answering single calls.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::to_raw_value;

use super::attach;
use super::core::SessionCore;
use super::send::{SendAndHandle, SendText};
use super::signals::Signals;
use super::state::Announced;
use crate::catalog::{Catalog, CreateTime, RuntimeSync};
use crate::dispatch::DispatchRecord;
use crate::error::Error;
use crate::runtime::Event;
use crate::skill::{SkillOutput, ToolCall};

/// A session with its sealed catalog. Clones are handles on the same session.
///
/// Calls are answered while [`send_and_handle`](Self::send_and_handle) or [`serve`](Self::serve) runs,
/// or one by one through [`respond_to_signal`](Self::respond_to_signal) and
/// [`drain_pending_calls`](Self::drain_pending_calls). All of them go through one ledger, so they can be
/// mixed: a handler runs once for a call, however often and wherever it is announced.
///
/// A session has no way to change its skills, since codex takes tools when a session is created and never again:
/// `session.register(..)` does not compile, and the message says where to register instead.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::{Embedded, Session, skills};
///
/// let codex = Embedded::demo();
/// let (_, session): (_, Session) = codex.create_session(|draft| draft.register(skills![ping])).await?;
/// let another_handle = session.clone();
/// let turn = another_handle.send_and_handle("Use ping.").await?;
/// assert_eq!(turn.dispatches.len(), 1);
/// codex.close_session(session.session_id(), true).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    core: Arc<SessionCore>,
}

impl Session {
    pub(crate) fn of(core: Arc<SessionCore>) -> Self {
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<SessionCore> {
        &self.core
    }

    /// The id of the session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.core().id
    }

    /// The catalog, sealed when the session was created.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        self.core().catalog()
    }

    /// The names of the skills, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        self.catalog().list()
    }

    /// Sends a request and returns once it is accepted; await what it returns. The calls of its turn wait until
    /// [`serve`](Self::serve) or another method answers them.
    ///
    /// While a turn is active, a request steers that turn instead of starting one, as in codex.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::spawn().await?;
    /// let (_, session) = codex.create_session(|draft| draft.discover()).await?;
    /// let sent = session.send("Look around.").await?;
    /// println!("turn {} works on it", sent.turn_id);
    /// // Answers its calls, until the session is closed.
    /// println!("closed: {}", session.serve().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, text: impl Into<String>) -> SendText<'_> {
        SendText::new(self.core(), text.into())
    }

    /// Sends a request, answers the calls of the session, and waits for the end of the turn; await what
    /// it returns. Without a [`timeout`](SendAndHandle::timeout) it waits as long as the turn takes.
    ///
    /// While a turn is active, a request steers that turn, as in codex: two of these at the same time on one session
    /// share one turn and one reply. Use a session for each conversation.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// use std::time::Duration;
    ///
    /// async fn ask(session: &Session, request: &str) -> Result<String, Error> {
    ///     let turn = session
    ///         .send_and_handle(request)
    ///         .timeout(Duration::from_secs(120))
    ///         .require_reply()
    ///         .await?;
    ///     for call in &turn.dispatches {
    ///         println!("{call}");
    ///     }
    ///     Ok(turn.assistant_reply)
    /// }
    /// ```
    pub fn send_and_handle(&self, text: impl Into<String>) -> SendAndHandle<'_> {
        SendAndHandle::new(self.core(), text.into())
    }

    /// Answers calls as they come until the session is closed, and returns why it was closed.
    ///
    /// ```
    /// # use codex_skills::Session;
    /// // For as long as the session is there, beside everything else.
    /// fn answer_in_the_background(session: &Session) {
    ///     let session = session.clone();
    ///     tokio::spawn(async move {
    ///         match session.serve().await {
    ///             Ok(why) => println!("the session is closed: {why}"),
    ///             Err(error) => eprintln!("it is not served: {error}"),
    ///         }
    ///     });
    /// }
    /// ```
    ///
    /// # Errors
    /// At once, for a session that was opened [without its catalog](crate::OpenSession::catalog).
    ///
    /// # Cancel safety
    /// Calls whose handlers run are still answered; later ones wait for the next server.
    pub async fn serve(&self) -> Result<String, Error> {
        let _serving = self.core().serve()?;
        Ok(self.core().closed().await)
    }

    /// Returns the events of the session from now on, to watch it while its calls are answered elsewhere: pieces of
    /// text, calls that begin and end, tokens. The same as [`signals`](Self::signals).
    ///
    /// ```
    /// # use codex_skills::{Error, Event, Session};
    /// async fn show(session: &Session, request: &str) -> Result<(), Error> {
    ///     let mut events = session.events();
    ///     // It ends with the session.
    ///     tokio::spawn(async move {
    ///         while let Some(event) = events.next().await {
    ///             match event {
    ///                 Event::TextDelta { delta, .. } => print!("{delta}"),
    ///                 Event::ToolStarted { tool, .. } => println!("[{tool} …]"),
    ///                 _ => {}
    ///             }
    ///         }
    ///     });
    ///     session.send_and_handle(request).await?;
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn events(&self) -> Signals {
        self.signals()
    }

    /// The events of the session from now on, for programs with a loop of their own. Take them before
    /// sending, so that none is missed.
    ///
    /// ```
    /// # use codex_skills::{Error, Event, Session};
    /// async fn watch(session: &Session, request: &str) -> Result<(), Error> {
    ///     let mut signals = session.signals();
    ///     session.send(request).await?;
    ///     while let Some(event) = signals.next().await {
    ///         if let Some(record) = session.respond_to_signal(&event).await? {
    ///             println!("{record}");
    ///         }
    ///         if let Event::TurnCompleted { status, .. } = event {
    ///             println!("the turn ended as {status}");
    ///             break;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn signals(&self) -> Signals {
        Signals::new(self.core().read())
    }

    /// Answers the call that an event announces; `None` for every other event, for calls of other sessions, and for
    /// those that are [left to others](crate::OpenSession::catalog).
    ///
    /// # Errors
    /// When the session is closed, or was opened without its catalog.
    ///
    /// # Cancel safety
    /// The call is answered even if the future is dropped after its first poll.
    pub async fn respond_to_signal(
        &self,
        event: &Event,
    ) -> Result<Option<Arc<DispatchRecord>>, Error> {
        match event {
            Event::ToolCall(call) if call.session_id == self.core().id => {
                self.respond(call.clone(), Announced::Event).await
            }
            _ => Ok(None),
        }
    }

    /// Answers a call from the list of waiting ones; `None` for calls of other sessions, and for those that are [left to
    /// others](crate::OpenSession::catalog).
    ///
    /// # Errors
    /// When the session is closed, or was opened without its catalog.
    ///
    /// # Cancel safety
    /// The call is answered even if the future is dropped after its first poll.
    pub async fn respond_to_pending_call(
        &self,
        call: &Arc<ToolCall>,
    ) -> Result<Option<Arc<DispatchRecord>>, Error> {
        if call.session_id != self.core().id {
            return Ok(None);
        }
        self.respond(call.clone(), Announced::Waiting).await
    }

    /// The calls that wait for an answer, oldest first.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// async fn look(session: &Session) -> Result<(), Error> {
    ///     for call in session.pending_calls().await? {
    ///         println!("{} waits", call.qualified_tool());
    ///         session.respond_to_pending_call(&call).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When the runtime cannot be asked.
    pub async fn pending_calls(&self) -> Result<Vec<Arc<ToolCall>>, Error> {
        let calls = self
            .core()
            .runtime()
            .pending_calls(self.core().id.clone())
            .await?;
        Ok(calls.into_iter().map(Arc::new).collect())
    }

    /// Answers all calls that wait, at the same time, and returns their records in order. Those that are [left to
    /// others](crate::OpenSession::catalog) have none.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// async fn catch_up(session: &Session) -> Result<(), Error> {
    ///     for record in session.drain_pending_calls().await? {
    ///         println!("{record}");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When calls wait and the session is closed or was opened without its catalog, or when the runtime cannot
    /// be asked. Nothing waits in a session that is gone.
    ///
    /// # Cancel safety
    /// Calls whose handlers run are answered even if the future is dropped.
    pub async fn drain_pending_calls(&self) -> Result<Vec<Arc<DispatchRecord>>, Error> {
        let calls = self.pending_calls().await?;
        let answers = calls
            .into_iter()
            .map(|call| self.respond(call, Announced::Waiting));
        let answers = futures_util::future::join_all(answers).await;
        answers.into_iter().filter_map(Result::transpose).collect()
    }

    /// Runs the handler of a skill with these arguments and returns what the model would read, without
    /// ledger and submission.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
    /// let output = run.dispatch_tool_call("ping", &serde_json::json!({})).await?;
    /// assert_eq!(output.to_text(), "pong");
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the session is closed, or the arguments do not serialize. An unknown skill is an answer, as for
    /// the model.
    pub async fn dispatch_tool_call(
        &self,
        tool: &str,
        arguments: &(impl serde::Serialize + Sync),
    ) -> Result<SkillOutput, Error> {
        let core = self.core();
        core.check_open()?;
        let arguments = to_raw_value(arguments)?;
        let call = ToolCall::new(core.id.clone(), tool.into(), arguments);
        Ok(core.run(call).await.output)
    }

    /// Ends the active turn. Its handlers are cancelled.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// async fn ask_until_ctrl_c(session: &Session, stop: tokio::sync::oneshot::Receiver<()>) -> Result<(), Error> {
    ///     tokio::select! {
    ///         turn = session.send_and_handle("Think about it.") => println!("{}", turn?.status),
    ///         _ = stop => session.interrupt().await?,
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When there is no active turn, or the runtime cannot be asked.
    pub async fn interrupt(&self) -> Result<(), Error> {
        self.core()
            .runtime()
            .interrupt(self.core().id.clone(), None)
            .await
            .map_err(Error::from)
    }

    /// Makes another session with the catalog and the history of this one. It stays until it is deleted, as by
    /// [`close_session`](crate::Client::close_session). For codex app-server only.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::spawn().await?;
    /// let (_, session) = codex.create_session(|draft| draft.discover()).await?;
    /// session.send_and_handle("Read the plan.").await?;
    /// // Both go on from here, and know the plan.
    /// let other = session.fork().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the session is closed, or the runtime refuses: a session without a turn has no history to fork.
    ///
    /// # Cancel safety
    /// When the future is dropped, a fork that was made already stays, and its id is lost.
    pub async fn fork(&self) -> Result<Session, Error> {
        attach::fork(self.core()).await
    }

    /// The session as the runtime sees it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft).await?;
    /// println!("{}", run.detail().await?);
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the runtime cannot be asked.
    pub async fn detail(&self) -> Result<Value, Error> {
        self.core()
            .runtime()
            .detail(self.core().id.clone())
            .await
            .map_err(Error::from)
    }

    async fn respond(
        &self,
        call: Arc<ToolCall>,
        announced: Announced,
    ) -> Result<Option<Arc<DispatchRecord>>, Error> {
        let core = self.core();
        core.check_catalog()?;
        core.check_open()?;
        if core.leaves(&call) {
            return Ok(None);
        }
        Ok(Some(core.respond(call, announced).await))
    }
}

/// What a session cannot do, said by the compiler: see [`CreateTime`] and [`RuntimeSync`].
impl Session {
    #[doc(hidden)]
    #[must_use]
    pub fn register<'a, T>(self, _skills: T) -> Self
    where
        &'a Self: CreateTime,
    {
        self
    }

    #[doc(hidden)]
    pub fn unregister<'a>(&'a mut self, _name: &str) -> bool
    where
        &'a Self: CreateTime,
    {
        false
    }

    #[doc(hidden)]
    pub fn clear<'a>(&'a mut self) -> usize
    where
        &'a Self: CreateTime,
    {
        0
    }

    #[doc(hidden)]
    pub fn using<'a, T, R>(&'a mut self, _skills: T, body: impl FnOnce(&mut Self) -> R) -> R
    where
        &'a Self: CreateTime,
    {
        body(self)
    }

    #[doc(hidden)]
    pub fn sync_runtime<'a>(&'a self)
    where
        &'a Self: RuntimeSync,
    {
    }

    #[doc(hidden)]
    pub fn prepare_catalog<'a>(&'a self)
    where
        &'a Self: RuntimeSync,
    {
    }

    #[doc(hidden)]
    pub fn send_prepared<'a>(&'a self, _text: &str)
    where
        &'a Self: RuntimeSync,
    {
    }
}
