//! What the sessions of a client share: weak references to those that are open, which their handles and guards keep alive,
//! and in `past` what outlives the handles of a session (its ledger, fingerprint, introduction).
//!
//! Locks: `sessions` may be held while `past` is taken, never the other way round; the others stand alone. None is held
//! across an await.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::HashMap;
use tokio_util::task::TaskTracker;

use super::core::SessionCore;
use super::deletions::Deletions;
use super::delivery::SessionState;
use super::introduction::Introduction;
use super::past::Past;
use super::presence::{Background, Exit, Presence};
use super::report::CleanupReport;
use super::rescue::Rescue;
use crate::dispatch::{Common, Limits};
use crate::runtime::Runtime;

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
pub(super) enum Leave {
    /// Owned by a guard: delete it now.
    Owned,
    /// Owned by no guard: it stays.
    Kept,
    /// Its cleanup runs already.
    Leaving,
}

impl ClientShared {
    pub(super) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
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
        }
    }

    pub(super) fn set_shutting_down(&self) {
        self.shutting_down.store(true, Ordering::SeqCst);
    }

    /// Records that the runtime was ended.
    pub(super) fn set_over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

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

    pub(super) fn exit(&self) -> MutexGuard<'_, Exit> {
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
    pub(super) fn leave(&self, session_id: &str) -> Leave {
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
    pub(super) fn take_unreported(&self, known: &[CleanupReport]) -> Vec<CleanupReport> {
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

    /// The open sessions whose cleanup has not begun, each with whether a guard owns it.
    pub(super) fn open(&self) -> Vec<(Arc<SessionCore>, bool)> {
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
