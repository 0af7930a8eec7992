//! The client that blocks.

use std::fmt;
use std::time::Duration;

use super::builder::{CloseSession, CreateSession, OpenLifecycle, OpenSession, Shutdown};
use crate::catalog::{Catalog, IntoDraftNow, Register};
use crate::dispatch::{Limits, Metrics};
use crate::runtime::Runtime;

/// Opens sessions on a runtime `R`: a [`Client`](crate::Client) whose calls block. Cheap to clone; clones
/// share everything, and so does the client that it was made from.
///
/// ```
/// use codex_skills::{Embedded, blocking};
///
/// let codex = Embedded::demo().blocking();
/// let same = blocking::Client::from(Embedded::demo());
/// # drop((codex, same));
/// ```
pub struct Client<R> {
    inner: crate::Client<R>,
}

impl<R: Runtime> crate::Client<R> {
    /// This client, with calls that block; see [`blocking`](crate::blocking).
    #[must_use]
    pub fn blocking(self) -> Client<R> {
        Client::new(self)
    }
}

impl<R: Runtime> From<crate::Client<R>> for Client<R> {
    fn from(inner: crate::Client<R>) -> Self {
        Self::new(inner)
    }
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<R: Runtime> Client<R> {
    /// The client that blocks where `client` awaits.
    #[must_use]
    pub fn new(client: crate::Client<R>) -> Self {
        Self { inner: client }
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &R {
        self.inner.runtime()
    }

    /// The bounds of the sessions that this client opens from now on.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self::new(self.inner.with_limits(limits))
    }

    /// The deadline of calls whose skill has none of its own; see [`Limits::call_timeout`].
    #[must_use]
    pub fn with_call_timeout(self, timeout: Duration) -> Self {
        Self::new(self.inner.with_call_timeout(timeout))
    }

    /// The bounds of new sessions.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.inner.limits()
    }

    /// What this client and its clones did so far. Cheap: a few numbers are read.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.inner.metrics()
    }

    /// Creates a session with the skills of the draft that `register` returns. The session stays until it is deleted.
    /// See [`lifecycle`](Self::lifecycle) for one that is cleaned up.
    ///
    /// The callback gets an empty draft and returns it with skills in it, or a `Result` of that.
    ///
    /// ```
    /// # use codex_skills::{skill, skills, Embedded};
    /// #[skill]
    /// fn ping() -> &'static str {
    ///     "pong"
    /// }
    ///
    /// let codex = Embedded::demo().blocking();
    /// let (created, session) = codex
    ///     .create_session(|draft| draft.register(skills![ping]))
    ///     .cwd(".")
    ///     .wait()?;
    /// assert_eq!(created["session"]["sessionId"], session.session_id());
    /// codex.close_session(session.session_id(), true).wait()?;
    /// # Ok::<(), codex_skills::Error>(())
    /// ```
    pub fn create_session<D, V>(&self, register: impl Register<D>) -> CreateSession
    where
        D: IntoDraftNow<V>,
    {
        CreateSession {
            inner: self
                .inner
                .create_session(|draft| register(draft).into_draft_now()),
        }
    }

    /// Like [`create_session`](Self::create_session), with a catalog that is sealed already.
    pub fn create_session_with(&self, catalog: Catalog) -> CreateSession {
        CreateSession {
            inner: self.inner.create_session_with(catalog),
        }
    }

    /// Creates a session and owns it, for the time of a block ([`run`](OpenLifecycle::run)) or until the
    /// guard is closed or dropped ([`wait`](OpenLifecycle::wait)).
    ///
    /// ```
    /// # use codex_skills::{skill, skills, Embedded};
    /// #[skill]
    /// async fn ping() -> &'static str {
    ///     "pong"
    /// }
    ///
    /// let codex = Embedded::demo().blocking();
    /// let reply = codex
    ///     .lifecycle(|draft| draft.register(skills![ping]))
    ///     .run(|run| {
    ///         let sent = run.send_and_handle("Use ping.").require_reply().wait()?;
    ///         Ok(sent.assistant_reply)
    ///     })?;
    /// assert!(reply.contains("pong"));
    /// assert_eq!(codex.runtime().session_count(), 0);
    /// # Ok::<(), codex_skills::Error>(())
    /// ```
    pub fn lifecycle<D, V>(&self, register: impl Register<D>) -> OpenLifecycle
    where
        D: IntoDraftNow<V>,
    {
        OpenLifecycle {
            inner: self
                .inner
                .lifecycle(|draft| register(draft).into_draft_now()),
        }
    }

    /// Like [`lifecycle`](Self::lifecycle), with a catalog that is sealed already.
    pub fn lifecycle_with(&self, catalog: Catalog) -> OpenLifecycle {
        OpenLifecycle {
            inner: self.inner.lifecycle_with(catalog),
        }
    }

    /// A handle on a session that exists, for sending and answering calls.
    ///
    /// A session that this client has open is the same session, with its catalog. For another one,
    /// give the catalog that it was created with: [`OpenSession::catalog`].
    pub fn session(&self, session_id: impl AsRef<str>) -> OpenSession {
        OpenSession {
            inner: self.inner.session(session_id),
        }
    }

    /// Lets go of a session: its calls are not answered any more. With `delete_session` the runtime
    /// deletes it too.
    pub fn close_session(&self, session_id: impl AsRef<str>, delete_session: bool) -> CloseSession {
        CloseSession {
            inner: self.inner.close_session(session_id, delete_session),
        }
    }

    /// Ends everything that this client began: no new sessions, no new calls; running handlers get a
    /// grace time (5 seconds unless set) and their answers are submitted; sessions owned by guards are
    /// deleted; background deletions are waited for.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown {
            inner: self.inner.shutdown(),
        }
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
