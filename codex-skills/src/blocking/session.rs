//! The handle on a session: sending, serving, answering single calls.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::to_raw_value;

use super::send::{SendAndHandle, SendText};
use super::signals::Signals;
use super::wait::wait;
use crate::catalog::{Catalog, CreateTime, RuntimeSync};
use crate::dispatch::DispatchRecord;
use crate::error::Error;
use crate::runtime::Event;
use crate::skill::{SkillOutput, ToolCall};

/// A session with its sealed catalog: a [`Session`](crate::Session) whose calls block. Clones are handles
/// on the same session.
///
/// Calls are answered while [`send_and_handle`](Self::send_and_handle) or [`serve`](Self::serve) runs,
/// or one by one through [`respond_to_signal`](Self::respond_to_signal) and
/// [`drain_pending_calls`](Self::drain_pending_calls). All of them go through one ledger, so they can be
/// mixed, from any number of threads: a handler runs once for a call, however often and wherever it is
/// announced.
#[derive(Clone, Debug)]
pub struct Session {
    inner: crate::Session,
}

impl From<crate::Session> for Session {
    fn from(inner: crate::Session) -> Self {
        Self { inner }
    }
}

impl Session {
    /// The id of the session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.inner.session_id()
    }

    /// The catalog, sealed when the session was created.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    /// The names of the skills, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        self.inner.list()
    }

    /// Sends a request and returns once it is accepted. The calls of its turn wait until [`serve`](Self::serve) or
    /// another method answers them. While a turn is active, a request steers that turn.
    pub fn send(&self, text: impl Into<String>) -> SendText<'_> {
        SendText {
            inner: self.inner.send(text),
        }
    }

    /// Sends a request, answers the calls of the session, and waits for the end of the turn.
    ///
    /// While a turn is active, a request steers that turn: two of these at the same time on one session share one
    /// turn and one reply. Use a session for each conversation.
    pub fn send_and_handle(&self, text: impl Into<String>) -> SendAndHandle<'_> {
        SendAndHandle {
            inner: self.inner.send_and_handle(text),
        }
    }

    /// Answers calls as they come until the session is closed, and returns why it was. Another thread may
    /// close it: with [`close_session`](super::Client::close_session), for example.
    ///
    /// # Errors
    /// At once, for a session that was opened [without its catalog](crate::OpenSession::catalog); and when the thread
    /// cannot wait, see [`blocking`](crate::blocking#errors).
    pub fn serve(&self) -> Result<String, Error> {
        wait(self.inner.serve())?
    }

    /// The events of the session from now on, for programs with a loop of their own.
    #[must_use]
    pub fn signals(&self) -> Signals {
        Signals::new(self.inner.signals())
    }

    /// Returns the events of the session from now on, to watch it while its calls are answered elsewhere. The same as
    /// [`signals`](Self::signals).
    #[must_use]
    pub fn events(&self) -> Signals {
        self.signals()
    }

    /// Answers the call that an event announces; `None` for every other event, and for calls of other
    /// sessions.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn respond_to_signal(&self, event: &Event) -> Result<Option<Arc<DispatchRecord>>, Error> {
        wait(self.inner.respond_to_signal(event))?
    }

    /// Answers a call from the list of waiting ones; `None` for calls of other sessions.
    ///
    /// # Errors
    /// When the session is closed.
    pub fn respond_to_pending_call(
        &self,
        call: &Arc<ToolCall>,
    ) -> Result<Option<Arc<DispatchRecord>>, Error> {
        wait(self.inner.respond_to_pending_call(call))?
    }

    /// The calls that wait for an answer, oldest first.
    ///
    /// # Errors
    /// When the runtime cannot be asked.
    pub fn pending_calls(&self) -> Result<Vec<Arc<ToolCall>>, Error> {
        wait(self.inner.pending_calls())?
    }

    /// Answers all calls that wait, at the same time, and returns their records in order.
    ///
    /// # Errors
    /// When the session is closed, or the runtime cannot be asked.
    pub fn drain_pending_calls(&self) -> Result<Vec<Arc<DispatchRecord>>, Error> {
        wait(self.inner.drain_pending_calls())?
    }

    /// Runs the handler of a skill with these arguments and returns what the model would read, without
    /// ledger and submission.
    ///
    /// # Errors
    /// When the arguments do not serialize. An unknown skill is an answer, as for the model.
    pub fn dispatch_tool_call(
        &self,
        tool: &str,
        arguments: &impl Serialize,
    ) -> Result<SkillOutput, Error> {
        let arguments = to_raw_value(arguments)?;
        let (session, tool) = (self.inner.clone(), tool.to_owned());
        // On a task: an asynchronous handler finds itself in the background, as always.
        wait(async {
            tokio::spawn(async move { session.dispatch_tool_call(&tool, &arguments).await })
                .await
                .map_err(Error::other)?
        })?
    }

    /// Ends the active turn. Its handlers are cancelled.
    ///
    /// # Errors
    /// When there is no active turn, or the runtime cannot be asked.
    pub fn interrupt(&self) -> Result<(), Error> {
        wait(self.inner.interrupt())?
    }

    /// Makes another session with the catalog and the history of this one.
    ///
    /// # Errors
    /// When the session is closed, or the runtime refuses.
    pub fn fork(&self) -> Result<Session, Error> {
        Ok(wait(self.inner.fork())??.into())
    }

    /// The session as the runtime sees it.
    ///
    /// # Errors
    /// When the runtime cannot be asked.
    pub fn detail(&self) -> Result<Value, Error> {
        wait(self.inner.detail())?
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
