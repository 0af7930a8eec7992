//! The end of a client: the drop of its last clone waits for what is being cleaned up.
//!
//! At the end of `main` the process ends a moment later, and with it every task. So the drop of the client's last clone
//! waits, for a bounded time, for the cleanups that dropped guards have begun. That never blocks a worker:
//! only a thread that runs no task of tokio's waits, like the one of `#[tokio::main]`, and only for work on a runtime
//! whose workers go on meanwhile. A runtime of one thread has no such workers; there, and on tasks, the cleanup is
//! waited for when the runtime itself ends (see [`rescue`](super::rescue)).

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::shared::ClientShared;

/// Default of how long the end of a client waits for its cleanups.
const EXIT_GRACE: Duration = Duration::from_secs(3);

/// Longest wait, whatever the program sets.
pub(super) const LONGEST_EXIT_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait at the end of a client.
pub(super) struct Exit {
    pub(super) grace: Duration,
    /// The end of the wait, once the last clone is dropped.
    pub(super) until: Option<Instant>,
}

impl Default for Exit {
    fn default() -> Self {
        Self {
            grace: EXIT_GRACE,
            until: None,
        }
    }
}

/// Held by each clone of a client and by each guard of one of its sessions.
pub(crate) struct Presence {
    shared: Arc<ClientShared>,
}

impl Presence {
    pub(super) fn new(shared: Arc<ClientShared>) -> Arc<Self> {
        let presence = Arc::new(Self {
            shared: shared.clone(),
        });
        shared.set_presence(Arc::downgrade(&presence));
        presence
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if may_block() && self.shared.background.is_busy() {
            self.shared.deletions.hurry();
            let until = self.shared.exit_until(true);
            self.shared
                .background
                .wait(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// Whether the thread runs no task, and is not the only one of its runtime.
fn may_block() -> bool {
    if std::thread::panicking() || tokio::task::try_id().is_some() {
        return false;
    }
    match Handle::try_current() {
        Ok(tokio) => tokio.runtime_flavor() == RuntimeFlavor::MultiThread,
        Err(error) => error.is_missing_context(),
    }
}

/// Counts the work that goes on in the background on runtimes with workers.
#[derive(Clone, Default)]
pub(super) struct Background(Arc<Counted>);

#[derive(Default)]
struct Counted {
    open: Mutex<usize>,
    changed: Condvar,
}

/// One piece of work, until it is dropped.
pub(super) struct Busy(Arc<Counted>);

impl Background {
    /// Counts work that is to run on `tokio`, where it goes on while another thread waits.
    pub(super) fn begin(&self, tokio: &Handle) -> Option<Busy> {
        if tokio.runtime_flavor() != RuntimeFlavor::MultiThread {
            return None;
        }
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Some(Busy(self.0.clone()))
    }

    fn is_busy(&self) -> bool {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) > 0
    }

    /// Waits until all work is done, for some time.
    fn wait(&self, grace: Duration) {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .0
            .changed
            .wait_timeout_while(open, grace, |open| *open > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.1.timed_out() {
            tracing::error!(target: "codex_skills::session", left = *waited.0, "the client ends while its sessions are still being cleaned up");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}
