//! The deletions of one client's sessions: their number at a time, their retries, and which are still due.
//!
//! Deleting is idempotent, so a deletion whose answer was lost is requested again: for a while by its caller, then in
//! the background while the client lives, and once more when the client shuts down. A deletion is *due* from the moment
//! when it is given up for now until the runtime reports that the session is gone, or refuses.
//!
//! The lock guards plain data and is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use foldhash::HashSet;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::runtime::peer::Sparse;
use crate::runtime::{Deletion, Runtime, RuntimeError, RuntimeErrorKind};

/// Time that a runtime has to delete a session.
pub(crate) const DELETION: Duration = Duration::from_secs(30);

/// Time for which attempts are begun for a waiting caller, since the client's last successful deletion.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many deletions of a client are asked for at the same time. A codex with 1,000 threads deletes two a second:
/// more at once would run into their own time limit.
const AT_ONCE: usize = 8;

/// Pause in the log of temporary failures, after a few were logged.
const QUIET: Duration = Duration::from_secs(5 * 60);

/// Deletions remembered as due.
const REMEMBERED: usize = 4096;

/// Deletions of one client's sessions.
pub(crate) struct Deletions {
    slots: Semaphore,
    state: Mutex<State>,
    /// Wakes those that wait for their next attempt.
    hurry: Notify,
    /// The lines of the log about failures for now.
    warnings: Sparse,
}

#[derive(Default)]
struct State {
    due: HashSet<Arc<str>>,
    /// When the last deletion succeeded.
    progress: Option<Instant>,
}

/// Result of the attempts to delete a session.
pub(super) struct Attempted {
    pub(super) outcome: Result<Deletion, RuntimeError>,
    /// Whether an earlier attempt may have done it.
    pub(super) is_repeat: bool,
}

impl Default for Deletions {
    fn default() -> Self {
        Self {
            slots: Semaphore::new(AT_ONCE),
            state: Mutex::default(),
            hurry: Notify::new(),
            warnings: Sparse::default(),
        }
    }
}

impl Deletions {
    /// Deletes a session, in several attempts where the runtime cannot be reached. `is_over` says whether the runtime
    /// was ended, and one attempt is enough.
    pub(super) async fn delete(
        &self,
        runtime: &dyn Runtime,
        session_id: &Arc<str>,
        is_over: impl Fn() -> bool,
    ) -> Attempted {
        let (since, mut delays) = (Instant::now(), delays(Duration::from_secs(1)));
        let mut is_repeat = self.is_due(session_id);
        loop {
            let outcome = self.attempt(runtime, session_id).await;
            let delay = delays.next().unwrap_or(PATIENCE);
            let is_late = Instant::now() + delay > self.last_progress(since) + PATIENCE;
            if !may_succeed_later(&outcome) || is_late || is_over() {
                return Attempted { outcome, is_repeat };
            }
            is_repeat = true;
            tokio::time::sleep(delay).await;
        }
    }

    /// Makes one attempt as soon as a permit is free, and records its result.
    pub(super) async fn attempt(
        &self,
        runtime: &dyn Runtime,
        session_id: &Arc<str>,
    ) -> Result<Deletion, RuntimeError> {
        let unavailable = |why: String| {
            let kind = RuntimeErrorKind::Unavailable;
            RuntimeError::new(runtime.name(), "delete the session", kind, why)
        };
        let Some(_slot) = self.slot().await else {
            return Err(unavailable(format!(
                "it waited for other deletions, of which none succeeded within {DELETION:?}"
            )));
        };
        let deleting = runtime.delete_session(session_id.clone());
        let outcome = tokio::time::timeout(DELETION, deleting)
            .await
            .unwrap_or_else(|_| Err(unavailable(format!("no answer within {DELETION:?}"))));
        if outcome.is_ok() {
            self.state().progress = Some(Instant::now());
        }
        if !may_succeed_later(&outcome) {
            self.state().due.remove(session_id);
        }
        outcome
    }

    /// Waits for a permit, as long as other deletions make progress.
    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        let since = Instant::now();
        let acquired = self.slots.acquire();
        tokio::pin!(acquired);
        loop {
            let until = self.last_progress(since) + DELETION;
            match tokio::time::timeout_at(until, &mut acquired).await {
                // The semaphore is never closed.
                Ok(slot) => return slot.ok(),
                Err(_) if self.last_progress(since) + DELETION > until => {}
                Err(_) => return None,
            }
        }
    }

    /// When a deletion succeeded last, if after `since`.
    pub(super) fn last_progress(&self, since: Instant) -> Instant {
        self.state()
            .progress
            .map_or(since, |progress| progress.max(since))
    }

    /// Records that the deletion of a session is due. Returns whether the caller is to pursue it: not when another task
    /// does already, or when too many are due.
    pub(super) fn set_due(&self, session_id: &Arc<str>) -> bool {
        let mut state = self.state();
        if state.due.len() >= REMEMBERED && !state.due.contains(session_id) {
            drop(state);
            tracing::error!(target: "codex_skills::session", session = &**session_id, "the session is left behind: too many deletions are due");
            return false;
        }
        state.due.insert(session_id.clone())
    }

    /// Records that the deletion of a session is not tried again.
    pub(super) fn give_up(&self, session_id: &str) {
        self.state().due.remove(session_id);
    }

    /// Whether the deletion of a session is due.
    pub(super) fn is_due(&self, session_id: &str) -> bool {
        self.state().due.contains(session_id)
    }

    /// The sessions whose deletion is due, in the order of their ids.
    pub(super) fn due(&self) -> Vec<Arc<str>> {
        let mut due: Vec<_> = self.state().due.iter().cloned().collect();
        due.sort_unstable();
        due
    }

    /// Logs that a deletion failed for now: a few times at a stretch, then seldom, whatever is due.
    pub(super) fn log_failure(&self, session_id: &str, error: &RuntimeError) {
        match self.warnings.line_after(QUIET) {
            Some(left_out) => {
                let due = self.state().due.len();
                tracing::warn!(target: "codex_skills::session", session = session_id, %error, due, left_out, "the session was not deleted yet");
            }
            None => {
                tracing::debug!(target: "codex_skills::session", session = session_id, %error, "the session was not deleted yet");
            }
        }
    }

    /// Waits for the time of the next attempt, or until `hurry`. Cancel safe.
    pub(super) async fn pause(&self, delay: Duration) {
        let _ = tokio::time::timeout(delay, self.hurry.notified()).await;
    }

    /// Has due deletions attempted now.
    pub(super) fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a deletion failed in a way that another attempt may mend.
pub(super) fn may_succeed_later(outcome: &Result<Deletion, RuntimeError>) -> bool {
    matches!(outcome, Err(error) if error.kind() == RuntimeErrorKind::Unavailable)
}

/// The delays between attempts, which double up to `longest`.
pub(super) fn delays(longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(longest)
        .without_max_times()
        .build()
}
