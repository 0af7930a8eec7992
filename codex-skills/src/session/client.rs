//! The client: a runtime, its limits, and the sessions that it opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attach::OpenSession;
use super::builder::{CreateSession, OpenLifecycle};
use super::cleanup::CloseSession;
use super::presence::{LONGEST_EXIT_GRACE, Presence};
use super::shared::ClientShared;
use super::shutdown::Shutdown;
use crate::catalog::{Catalog, IntoDraft, Register};
use crate::dispatch::{Limits, Metrics};
use crate::runtime::Runtime;

/// Opens sessions on a runtime `R`, and closes them. Runtimes make their client themselves
/// ([`Embedded::demo`](crate::Embedded::demo)). Cheap to clone; clones share the runtime and the sessions,
/// and have limits of their own.
///
/// ```
/// use std::time::Duration;
///
/// use codex_skills::{Client, Embedded, Limits};
///
/// let codex: Client<Embedded> = Embedded::demo().with_limits(Limits {
///     call_timeout: Duration::from_secs(10),
///     concurrent_calls: 4,
///     ..Limits::default()
/// });
/// ```
pub struct Client<R> {
    runtime: Arc<R>,
    pub(crate) shared: Arc<ClientShared>,
    limits: Limits,
    /// Last, so that nothing else is left of the client when it waits.
    presence: Arc<Presence>,
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            shared: self.shared.clone(),
            limits: self.limits.clone(),
            presence: self.presence.clone(),
        }
    }
}

impl<R: Runtime> Client<R> {
    /// A client of a runtime of your own; the runtimes of this crate make theirs.
    #[must_use]
    pub fn new(runtime: R) -> Self {
        let runtime = Arc::new(runtime);
        let shared = Arc::new(ClientShared::new(runtime.clone()));
        Self {
            presence: Presence::new(shared.clone()),
            runtime,
            shared,
            limits: Limits::default(),
        }
    }

    /// The runtime.
    ///
    /// ```
    /// let codex = codex_skills::Embedded::demo();
    /// assert_eq!(codex.runtime().session_count(), 0);
    /// ```
    #[must_use]
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// The bounds of the sessions that this client opens from now on.
    ///
    /// ```
    /// use codex_skills::{Embedded, Limits};
    ///
    /// let codex = Embedded::demo().with_limits(Limits { open_calls: 32, ..Limits::default() });
    /// assert_eq!(codex.limits().open_calls, 32);
    /// ```
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The deadline of calls whose skill has none of its own; see [`Limits::call_timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let codex = codex_skills::Embedded::demo().with_call_timeout(Duration::from_secs(5));
    /// assert_eq!(codex.limits().call_timeout, Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.limits.call_timeout = timeout;
        self
    }

    /// How long the end of the client may wait for sessions that are still being deleted (3 seconds unless set; zero
    /// does not wait). For this client and all of its clones.
    ///
    /// A guard that is dropped deletes its session in the background, and the end of `main` would end that too. So the
    /// drop of the last clone waits, where something is left to do; but never on a task, and not on a tokio runtime of
    /// one thread, which waits for it when it ends itself. [`shutdown`](Self::shutdown) waits without blocking, for
    /// longer, and reports.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // Nothing is waited for: what is left then is left.
    /// let codex = codex_skills::Embedded::demo().with_exit_grace(Duration::ZERO);
    /// ```
    #[must_use]
    pub fn with_exit_grace(self, grace: Duration) -> Self {
        self.shared.exit().grace = grace.min(LONGEST_EXIT_GRACE);
        self
    }

    /// The bounds of new sessions.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What this client and its clones did so far. Cheap: a few numbers are read.
    ///
    /// ```
    /// let codex = codex_skills::Embedded::demo();
    /// let metrics = codex.metrics();
    /// println!("{} of {} calls failed", metrics.failed.total(), metrics.received);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.common.counters.snapshot(self.runtime.metrics())
    }

    /// Creates a session with the skills of the draft that `register` returns; await what it returns.
    /// The session stays until it is deleted. See [`lifecycle`](Self::lifecycle) for one that is cleaned up.
    ///
    /// The callback gets an empty draft and returns it with skills in it, or a `Result` of that, or a
    /// future of either.
    ///
    /// ```
    /// # use codex_skills::{skill, skills, Embedded};
    /// #[skill]
    /// fn ping() -> &'static str {
    ///     "pong"
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = Embedded::demo();
    /// let (created, session) = codex
    ///     .create_session(|draft| draft.register(skills![ping]))
    ///     .cwd(".")
    ///     .await?;
    /// assert_eq!(created["session"]["sessionId"], session.session_id());
    /// codex.close_session(session.session_id(), true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_session<'a, D, V>(&self, register: impl Register<D>) -> CreateSession<'a>
    where
        D: IntoDraft<V> + 'a,
    {
        CreateSession::new(self.shared.clone(), self.limits.clone(), register)
    }

    /// Like [`create_session`](Self::create_session), with a catalog that is sealed already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::{Draft, Embedded};
    ///
    /// let catalog = Draft::new().seal()?;
    /// let codex = Embedded::demo();
    /// let (_, first) = codex.create_session_with(catalog.clone()).await?;
    /// let (_, second) = codex.create_session_with(catalog).await?;
    /// assert_ne!(first.session_id(), second.session_id());
    /// # for session in [first, second] { codex.close_session(session.session_id(), true).await?; }
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_session_with<'a>(&self, catalog: Catalog) -> CreateSession<'a> {
        CreateSession::with_catalog(self.shared.clone(), self.limits.clone(), catalog)
    }

    /// Creates a session and owns it: the guard deletes it when it is closed or dropped. The macro
    /// [`lifecycle!`](crate::lifecycle) writes the block around it.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
    /// let turn = run.send_and_handle("Use ping.").require_reply().await?;
    /// assert_eq!(turn.assistant_reply, "ping: pong");
    /// let report = run.close().await?;
    /// assert!(report.deleted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lifecycle<'a, D, V>(&self, register: impl Register<D>) -> OpenLifecycle<'a>
    where
        D: IntoDraft<V> + 'a,
    {
        OpenLifecycle::new(self.shared.clone(), self.limits.clone(), register)
    }

    /// Like [`lifecycle`](Self::lifecycle), with a catalog that is sealed already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::{Catalog, Embedded};
    ///
    /// let run = Embedded::demo().lifecycle_with(Catalog::empty()).await?;
    /// run.send_and_handle("hello").await?;
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lifecycle_with<'a>(&self, catalog: Catalog) -> OpenLifecycle<'a> {
        OpenLifecycle::with_catalog(self.shared.clone(), self.limits.clone(), catalog)
    }

    /// A handle on a session that exists, for sending and answering calls; await what it returns.
    ///
    /// A session that this client has open is the same session, with its catalog. For another one,
    /// give the catalog that it was created with: [`OpenSession::catalog`].
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let catalog = codex_skills::Draft::new().register(codex_skills::skills![ping]).seal()?;
    /// let (_, session) = codex.create_session_with(catalog.clone()).await?;
    /// let id = session.session_id().to_owned();
    /// drop(session);
    /// // Later, by its id.
    /// let session = codex.session(&id).catalog(catalog).await?;
    /// session.send_and_handle("Use ping.").await?;
    /// codex.close_session(&id, true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(&self, session_id: impl AsRef<str>) -> OpenSession {
        OpenSession::new(
            self.shared.clone(),
            self.limits.clone(),
            session_id.as_ref().into(),
        )
    }

    /// Lets go of a session: its handlers are cancelled, and later calls are not answered any more. With
    /// `delete_session` the runtime deletes it too; without, calls that run or wait are answered as
    /// cancelled before, so that no turn waits for them. Await what it returns.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let (_, session) = codex.create_session(|draft| draft).await?;
    /// let report = codex.close_session(session.session_id(), true).await?;
    /// assert!(report.deleted());
    /// assert!(session.send("hello").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_session(&self, session_id: impl AsRef<str>, delete_session: bool) -> CloseSession {
        CloseSession::new(
            self.shared.clone(),
            session_id.as_ref().into(),
            delete_session,
        )
    }

    /// Ends everything that this client began: no new sessions, no new calls; running handlers get a
    /// grace time (5 seconds unless set) and their answers are submitted; calls that wait in sessions that
    /// stay are answered as cancelled; sessions owned by guards are deleted; what goes on in the background
    /// is waited for; then the runtime is ended, with what it started. Await what it returns.
    ///
    /// Deletions that could not be made before are tried again; what could not be made now either is in the report. A
    /// runtime that does not react delays it by some 75 seconds at most, beside the grace time.
    ///
    /// Cancel safe: what was begun goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use std::time::Duration;
    ///
    /// let codex = codex_skills::Embedded::demo();
    /// let report = codex.shutdown().grace(Duration::from_secs(1)).await;
    /// assert!(report.due.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::new(self.shared.clone())
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "embedded"))]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use crate::Embedded;

    #[tokio::test]
    async fn a_client_is_used_as_long_as_the_program_has_a_session_of_it() {
        let codex = Embedded::demo();
        let shared = codex.shared.clone();
        let created = codex.create_session(|draft| draft).await;
        let (_, session) = created.expect("a session");
        assert!(!shared.is_deserted() && !shared.is_unused());
        drop(codex);
        assert!(shared.is_deserted());
        assert!(!shared.is_unused());
        drop(session);
        assert!(shared.is_unused());
    }

    #[tokio::test]
    async fn a_client_that_is_looked_at_is_not_kept() {
        let codex = Embedded::demo();
        let (shared, presence) = (codex.shared.clone(), codex.shared.presence());
        drop(codex);
        assert!(!shared.is_deserted());
        drop(presence);
        assert!(shared.is_deserted());
    }
}
