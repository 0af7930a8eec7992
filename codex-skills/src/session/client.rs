//! The client: a runtime, its limits, and the sessions that it opened.
//!
//! `ClientShared` is what the sessions of a client share. It keeps weak references to open sessions; their handles and
//! guards keep them alive. What outlives the handles of a session (its ledger, fingerprint, introduction) is in `past`.
//!
//! Locks: `sessions` may be held while `past` is taken, never the other way round; the others stand alone. None is held
//! across an await.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use foldhash::HashMap;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::builder::{CreateSession, OpenLifecycle, OpenSession};
use super::cleanup::{CloseSession, LAST_ANSWERS};
use super::core::SessionCore;
use super::deletions::{DELETION, Deletions};
use super::delivery::SessionState;
use super::duty::Ownership;
use super::introduction::Introduction;
use super::past::Past;
use super::presence::{Background, Exit, LONGEST_EXIT_GRACE, Presence};
use super::report::CleanupReport;
use super::rescue::Rescue;
use crate::catalog::{Catalog, IntoDraft, Register};
use crate::dispatch::{Common, Limits, Metrics};
use crate::runtime::{Runtime, RuntimeError};

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
        let shared = Arc::new(ClientShared {
            runtime: runtime.clone(),
            sessions: Mutex::default(),
            attaching: Mutex::default(),
            past: Mutex::default(),
            tasks: TaskTracker::new(),
            common: Arc::default(),
            deletions: Deletions::default(),
            unreported: Mutex::default(),
            background: Background::default(),
            rescue: Rescue::default(),
            presence: Mutex::default(),
            exit: Mutex::new(Exit::default()),
            shutting_down: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
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
        Shutdown {
            shared: self.shared.clone(),
            grace: Duration::from_secs(5),
        }
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

/// State shared by the sessions of a client.
pub(crate) struct ClientShared {
    pub(crate) runtime: Arc<dyn Runtime>,
    /// Tasks of creations and deletions, which run to their end.
    pub(crate) tasks: TaskTracker,
    sessions: Mutex<HashMap<Arc<str>, Known>>,
    /// Per-session lock that serialises opening handles.
    attaching: Mutex<HashMap<Arc<str>, Weak<tokio::sync::Mutex<()>>>>,
    past: Mutex<Past>,
    /// Counters, and the budget of retries.
    pub(crate) common: Arc<Common>,
    pub(super) deletions: Deletions,
    /// Reports of cleanups in the background, newest last.
    unreported: Mutex<VecDeque<CleanupReport>>,
    /// Work that the drop of the last clone waits for.
    pub(super) background: Background,
    pub(super) rescue: Rescue,
    presence: Mutex<Weak<Presence>>,
    exit: Mutex<Exit>,
    shutting_down: AtomicBool,
    /// Whether the runtime was ended.
    over: AtomicBool,
}

/// Reports kept of sessions that were deleted in the background.
const UNREPORTED: usize = 256;

/// A session that the client has open.
struct Known {
    core: Weak<SessionCore>,
    owned: bool,
    /// Whether its cleanup has begun.
    leaves: bool,
}

/// Treatment of an open session when its client shuts down.
enum Leave {
    /// Owned by a guard: delete it now.
    Owned,
    /// Owned by no guard: it stays.
    Kept,
    /// Its cleanup runs already.
    Leaving,
}

impl ClientShared {
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// Whether the runtime was ended: nothing is tried again by itself.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(super) fn set_presence(&self, presence: Weak<Presence>) {
        *self.presence.lock().unwrap_or_else(PoisonError::into_inner) = presence;
    }

    /// What keeps the end of the client waiting, where it has not begun.
    pub(super) fn presence(&self) -> Option<Arc<Presence>> {
        let presence = self.presence.lock();
        presence.unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Whether the program has neither a client nor a guard of it any more.
    pub(super) fn is_deserted(&self) -> bool {
        // Without an `Arc` of it: that one might become the last, whose drop waits.
        let presence = self.presence.lock();
        let presence = presence.unwrap_or_else(PoisonError::into_inner);
        presence.strong_count() == 0
    }

    /// Whether the program has no session of it either.
    pub(super) fn is_unused(&self) -> bool {
        let has_handle = |known: &Known| known.core.strong_count() > 0;
        self.is_deserted() && !self.sessions().values().any(has_handle)
    }

    fn exit(&self) -> MutexGuard<'_, Exit> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns until when the end of the program waits. The first call with `is_last` fixes the time for all later
    /// calls.
    pub(super) fn exit_until(&self, is_last: bool) -> std::time::Instant {
        let mut exit = self.exit();
        let until = exit
            .until
            .unwrap_or_else(|| std::time::Instant::now() + exit.grace);
        if is_last {
            exit.until = Some(until);
        }
        until
    }

    /// Returns the session, if this client has it open.
    pub(crate) fn find(&self, session_id: &str) -> Option<Arc<SessionCore>> {
        self.sessions().get(session_id)?.core.upgrade()
    }

    /// Returns the lock that serialises opening handles on a session.
    pub(crate) fn attaching(&self, session_id: &Arc<str>) -> Arc<tokio::sync::Mutex<()>> {
        let mut attaching = self
            .attaching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = attaching.get(session_id).and_then(Weak::upgrade) {
            return held;
        }
        attaching.retain(|_, held| held.strong_count() > 0);
        let held = Arc::default();
        attaching.insert(session_id.clone(), Arc::downgrade(&held));
        held
    }

    pub(crate) fn remember(&self, core: &Arc<SessionCore>) {
        self.sessions().insert(
            core.id.clone(),
            Known {
                core: Arc::downgrade(core),
                owned: false,
                leaves: false,
            },
        );
    }

    /// Records whether a guard owns a session.
    pub(crate) fn set_owned(&self, session_id: &str, owned: bool) {
        if let Some(known) = self.sessions().get_mut(session_id) {
            known.owned = owned;
        }
    }

    /// Records that the cleanup of a session begins: a shutdown waits for it and does not repeat it.
    pub(crate) fn set_leaving(&self, session_id: &str) {
        if let Some(known) = self.sessions().get_mut(session_id) {
            known.leaves = true;
        }
    }

    /// Records the end of a session's cleanup. A shutdown repeats one that failed; `deletions` knows those still due.
    pub(super) fn set_left(&self, session_id: &str, report: &CleanupReport) {
        let failed = report.delete_error().is_some() && !report.is_due();
        if let Some(known) = self.sessions().get_mut(session_id) {
            known.owned = failed;
            known.leaves &= !failed;
        }
    }

    /// Claims the deletion of a session at a shutdown, if a guard owns it and its cleanup has not begun.
    fn leave(&self, session_id: &str) -> Leave {
        match self.sessions().get_mut(session_id) {
            Some(known) if known.leaves => Leave::Leaving,
            Some(known) if known.owned => {
                known.leaves = true;
                Leave::Owned
            }
            _ => Leave::Kept,
        }
    }

    /// Removes a session whose last handle is gone, keeping its ledger for a later attach.
    pub(crate) fn forget(&self, session_id: &Arc<str>) {
        let mut sessions = self.sessions();
        if sessions
            .get(session_id)
            .is_some_and(|known| known.core.strong_count() == 0)
        {
            sessions.remove(session_id);
            // Under the sessions lock, so that opening the session again finds its past complete.
            self.past().leave(session_id);
        }
    }

    /// Returns the state of a session, with the ledger that it had before.
    pub(crate) fn state(&self, session_id: &Arc<str>, limits: &Limits) -> SessionState {
        self.past().enter(session_id, limits)
    }

    /// Records the fingerprint of the tools that a session was created with.
    pub(crate) fn set_fingerprint(&self, session_id: &Arc<str>, fingerprint: Arc<str>) {
        self.past().set_fingerprint(session_id, fingerprint);
    }

    /// Returns the fingerprint of the tools that a session was created with, where this client created it.
    pub(crate) fn fingerprint(&self, session_id: &str) -> Option<Arc<str>> {
        self.past().fingerprint(session_id)
    }

    /// Returns the introduction of a session: whether its model has had the instruction text.
    pub(crate) fn introduction(&self, session_id: &str) -> Introduction {
        self.past().introduction(session_id)
    }

    /// Removes the past of a deleted session.
    pub(crate) fn bury(&self, session_id: &str) {
        self.past().bury(session_id);
    }

    /// Keeps the report of a background deletion until a shutdown returns it.
    pub(super) fn set_unreported(&self, report: CleanupReport) {
        let mut unreported = self.unreported();
        if unreported.len() >= UNREPORTED {
            unreported.pop_front();
        }
        unreported.push_back(report);
    }

    /// Takes the reports of cleanups in the background, without those of sessions that a newer report is on.
    fn take_unreported(&self, known: &[CleanupReport]) -> Vec<CleanupReport> {
        let is_known = |id: &str| known.iter().any(|report| report.session_id() == id);
        std::mem::take(&mut *self.unreported())
            .into_iter()
            .filter(|report| !is_known(report.session_id()))
            .filter(|report| !report.is_due() || self.deletions.is_due(report.session_id()))
            .collect()
    }

    fn unreported(&self) -> MutexGuard<'_, VecDeque<CleanupReport>> {
        self.unreported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Vec<(Arc<SessionCore>, bool)> {
        self.sessions()
            .values()
            .filter(|known| !known.leaves)
            .filter_map(|known| Some((known.core.upgrade()?, known.owned)))
            .collect()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ClientShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientShared")
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

/// A shutdown that was not awaited yet.
#[derive(Debug)]
#[must_use = "await it to shut the client down"]
pub struct Shutdown {
    shared: Arc<ClientShared>,
    grace: Duration,
}

impl Shutdown {
    /// How long running handlers may take to finish.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// What a shutdown did.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let _kept = codex.create_session(|draft| draft).await?;
/// let report = codex.shutdown().await;
/// assert_eq!(report.kept, 1);
/// for id in &report.due {
///     eprintln!("session {id} is left behind");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The cleanups of the sessions that guards owned, and of those whose deletion was
    /// [due](CleanupReport::is_due) before; after them those of sessions that were deleted in the background because a guard
    /// or the future of a block was dropped, unless an earlier shutdown had them (the newest 256).
    pub cleanups: Vec<CleanupReport>,
    /// How many deletions were due when the shutdown began, and are done.
    pub finished: usize,
    /// The ids of the sessions whose deletion is due still. Another shutdown, or a
    /// [`close_session`](Client::close_session), tries them again; otherwise they are left behind.
    pub due: Vec<Arc<str>>,
    /// How many open sessions were let go because no guard owned them. Sessions whose handles were dropped before
    /// are not counted.
    pub kept: usize,
    /// How many handlers were cancelled because they did not finish in time.
    pub cancelled_calls: usize,
    /// How many synchronous handlers run still, which nothing can stop. They hold up neither the end of a tokio runtime
    /// nor that of the program, and end with it wherever they are.
    pub running_handlers: usize,
    /// Why the runtime could not be ended in good order, where it could not.
    pub runtime_error: Option<RuntimeError>,
}

impl IntoFuture for Shutdown {
    type Output = ShutdownReport;
    type IntoFuture = Pin<Box<dyn Future<Output = ShutdownReport> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.shared.shutting_down.store(true, Ordering::SeqCst);
            // On a task of its own, so that it goes on when the future is dropped.
            match tokio::spawn(shut_down(self.shared, self.grace)).await {
                Ok(report) => report,
                Err(error) => error
                    .try_into_panic()
                    .map_or_else(|_| ShutdownReport::default(), |panic| resume_unwind(panic)),
            }
        })
    }
}

/// How long a shutdown waits for what goes on in the background, since the last session was deleted.
const BACKGROUND: Duration = DELETION.saturating_add(LAST_ANSWERS);

async fn shut_down(shared: Arc<ClientShared>, grace: Duration) -> ShutdownReport {
    let mut report = ShutdownReport::default();
    // Without a deadline when it is too far away for the clock.
    let deadline = Instant::now().checked_add(grace);
    let (open, due) = (shared.open(), shared.deletions.due());
    for (core, owned) in &open {
        let waiting = core.close("the client was shut down");
        if !owned {
            core.dismiss(waiting);
        }
    }
    for (core, _) in &open {
        if !core.settled_until(deadline).await {
            report.cancelled_calls += core.cancel_all();
        }
    }
    let deadline = Instant::now().checked_add(LAST_ANSWERS);
    let mut cleanups = Vec::new();
    let mut delete = |session_id: &Arc<str>| {
        let mut ownership = Ownership::take(shared.clone(), session_id.clone(), true);
        cleanups.push(async move { ownership.finish().await });
    };
    due.iter().for_each(&mut delete);
    for (core, _) in &open {
        core.cancel_all();
        core.last_answers(deadline).await;
        match shared.leave(&core.id) {
            Leave::Owned => delete(&core.id),
            Leave::Kept => report.kept += 1,
            Leave::Leaving => {}
        }
    }
    drop(open);
    report.cleanups = futures_util::future::join_all(cleanups).await;
    background(&shared).await;
    let unreported = shared.take_unreported(&report.cleanups);
    report.cleanups.extend(unreported);
    shared.over.store(true, Ordering::SeqCst);
    report.due = shared.deletions.due();
    report.finished = due.iter().filter(|id| !report.due.contains(id)).count();
    if !report.due.is_empty() {
        let left = report.due.len();
        tracing::error!(target: "codex_skills::session", left, "sessions are left behind, which could not be deleted");
    }
    report.running_handlers = shared.common.synchronous.load(Ordering::Relaxed);
    report.runtime_error = shared.runtime.shutdown().await.err();
    if let Some(error) = &report.runtime_error {
        tracing::warn!(target: "codex_skills::session", %error, "the runtime was not ended in good order");
    }
    report
}

/// Waits for what goes on in the background, as long as it gets on.
async fn background(shared: &ClientShared) {
    shared.tasks.close();
    let since = Instant::now();
    loop {
        let until = shared.deletions.last_progress(since) + BACKGROUND;
        if tokio::time::timeout_at(until, shared.tasks.wait())
            .await
            .is_ok()
        {
            break;
        }
        if shared.deletions.last_progress(since) + BACKGROUND <= until {
            tracing::warn!(target: "codex_skills::session", "a shutdown goes on while sessions are still being created or deleted");
            break;
        }
    }
    shared.tasks.reopen();
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
