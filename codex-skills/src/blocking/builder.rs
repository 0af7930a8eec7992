//! Opening and closing sessions, with options.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::lifecycle::Lifecycle;
use super::macros::{cleanup_options, dispatch_options, options, session_options};
use super::session::Session;
use super::wait::wait;
use crate::catalog::Catalog;
use crate::dispatch::Limits;
use crate::error::Error;
use crate::runtime::{ApprovalPolicy, FilesystemSandbox, NetworkAccess, RequestHandler};
use crate::session::{CleanupReport, ShutdownReport};

/// A [`create_session`](super::Client::create_session) that was not waited for yet.
///
/// ```
/// # fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo().blocking();
/// let (_, session) = codex.create_session(|draft| draft).cwd(".").wait()?;
/// codex.close_session(session.session_id(), true).wait()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "`wait` creates the session"]
pub struct CreateSession {
    pub(super) inner: crate::CreateSession<'static>,
}

impl CreateSession {
    session_options!();
    dispatch_options!();

    /// Creates the session, and returns what the runtime answered and the session.
    ///
    /// # Errors
    /// When the register callback failed, the catalog cannot be sealed, the client is shutting down, or
    /// the runtime refuses.
    pub fn wait(self) -> Result<(Value, Session), Error> {
        let (created, session) = wait(self.inner)??;
        Ok((created, session.into()))
    }
}

/// A [`lifecycle`](super::Client::lifecycle) that was not begun yet.
#[must_use = "`run` or `wait` opens the session"]
pub struct OpenLifecycle {
    pub(super) inner: crate::OpenLifecycle<'static>,
}

impl OpenLifecycle {
    session_options!();
    dispatch_options!();
    options! {
        /// Whether the session stays when the guard is closed (default: it is deleted).
        keep_session(keep: bool);
    }
    cleanup_options! {
        /// Whether a failed deletion is only reported and logged (the default), or an error of
        /// [`close`](Lifecycle::close) and [`run`](Self::run). It never masks an error of the block.
        ignore_cleanup_errors;
    }

    /// Opens the session, and returns the guard that owns it.
    ///
    /// # Errors
    /// When the register callback failed, the catalog cannot be sealed, the client is shutting down, or
    /// the runtime refuses.
    pub fn wait(self) -> Result<Lifecycle, Error> {
        Ok(Lifecycle::new(wait(self.inner)??))
    }

    /// Opens the session, runs `body`, and closes the session however `body` ends. A panic goes on
    /// afterwards.
    ///
    /// # Errors
    /// Of opening the session; of `body`, which no error of the cleanup masks; and of the cleanup where
    /// [`ignore_cleanup_errors`](Self::ignore_cleanup_errors) is off.
    pub fn run<T>(self, body: impl FnOnce(&mut Lifecycle) -> Result<T, Error>) -> Result<T, Error> {
        self.try_run(body)
    }

    /// Like [`run`](Self::run), for a body with an error type of its own.
    ///
    /// ```
    /// # use codex_skills::Embedded;
    /// #[derive(Debug, thiserror::Error)]
    /// enum Failure {
    ///     #[error(transparent)]
    ///     Codex(#[from] codex_skills::Error),
    ///     #[error("the model says no")]
    ///     Refused,
    /// }
    ///
    /// let codex = Embedded::demo().blocking();
    /// let result = codex.lifecycle(|draft| draft).try_run(|run| {
    ///     run.detail()?;
    ///     Err::<(), _>(Failure::Refused)
    /// });
    /// assert!(matches!(result, Err(Failure::Refused)));
    /// assert_eq!(codex.runtime().session_count(), 0);
    /// ```
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn try_run<T, E: From<Error>>(
        self,
        body: impl FnOnce(&mut Lifecycle) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut guard = self.wait()?;
        // Where the body panics, dropping the guard closes the session.
        let result = body(&mut guard);
        let closed = guard.close();
        let value = result?;
        closed?;
        Ok(value)
    }
}

/// A [`session`](super::Client::session) that was not waited for yet.
#[derive(Debug)]
#[must_use = "`wait` takes the session up"]
pub struct OpenSession {
    pub(super) inner: crate::OpenSession,
}

impl OpenSession {
    dispatch_options!();
    options! {
        /// The catalog that the session was created with. Another one is refused.
        catalog(catalog: Catalog);
    }

    /// Takes the session up.
    ///
    /// # Errors
    /// When there is no such session, it was created with another catalog, or the client is shutting down.
    pub fn wait(self) -> Result<Session, Error> {
        Ok(wait(self.inner)??.into())
    }
}

/// A [`close_session`](super::Client::close_session) that was not waited for yet.
#[derive(Debug)]
#[must_use = "`wait` closes the session"]
pub struct CloseSession {
    pub(super) inner: crate::CloseSession,
}

impl CloseSession {
    cleanup_options! {
        /// Whether a failed deletion is left in the report (the default) or returned as an error.
        ignore_cleanup_errors;
    }

    /// Closes the session.
    ///
    /// # Errors
    /// When the deletion failed and [`ignore_cleanup_errors`](Self::ignore_cleanup_errors) is off.
    pub fn wait(self) -> Result<CleanupReport, Error> {
        wait(self.inner)?
    }
}

/// A [`shutdown`](super::Client::shutdown) that was not waited for yet.
#[derive(Debug)]
#[must_use = "`wait` shuts the client down"]
pub struct Shutdown {
    pub(super) inner: crate::session::Shutdown,
}

impl Shutdown {
    options! {
        /// How long running handlers may take to finish.
        grace(grace: Duration);
    }

    /// Shuts the client down.
    ///
    /// # Errors
    /// When the thread cannot wait; see [`blocking`](crate::blocking#errors).
    pub fn wait(self) -> Result<ShutdownReport, Error> {
        wait(self.inner)
    }
}
