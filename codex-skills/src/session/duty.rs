//! The duty to close a session: done on request, in the background, or on a thread when tokio goes down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::cleanup::{close, pursue};
use super::core::SessionCore;
use super::deletions::Attempted;
use super::presence::{Busy, Presence};
use super::report::CleanupReport;
use super::rescue;
use super::shared::ClientShared;
use crate::runtime::{Runtime, RuntimeError, RuntimeErrorKind};

fn broken_down(runtime: &dyn Runtime) -> RuntimeError {
    RuntimeError::new(
        runtime.name(),
        "delete the session",
        RuntimeErrorKind::Unavailable,
        "the cleanup broke down",
    )
}

/// The duty to close a session: done by [`finish`](Self::finish), or in the background when dropped.
pub(crate) struct Ownership {
    duty: Option<Duty>,
    /// After the duty, which begins when it is dropped.
    _presence: Option<Arc<Presence>>,
}

impl Ownership {
    pub(crate) fn take(shared: Arc<ClientShared>, session_id: Arc<str>, delete: bool) -> Self {
        shared.set_owned(&session_id, delete);
        Self {
            _presence: shared.presence(),
            duty: Some(Duty {
                core: shared.find(&session_id),
                shared,
                session_id,
                delete: AtomicBool::new(delete),
            }),
        }
    }

    /// Whether the session is deleted at the end.
    pub(crate) fn set_delete(&self, delete: bool) {
        if let Some(duty) = &self.duty {
            duty.delete.store(delete, Ordering::SeqCst);
            duty.shared.set_owned(&duty.session_id, delete);
        }
    }

    /// Drops the duty: the session stays as it is.
    pub(crate) fn release(mut self) {
        if let Some(duty) = self.duty.take() {
            duty.shared.set_owned(&duty.session_id, false);
        }
    }

    /// Closes the session. Dropping the future does not stop it.
    pub(crate) async fn finish(&mut self) -> CleanupReport {
        let Some(duty) = self.duty.take() else {
            return CleanupReport::kept("".into());
        };
        let mut unknown = CleanupReport::kept(duty.session_id.clone());
        if duty.is_to_delete() {
            let broken_down = Attempted {
                outcome: Err(broken_down(&*duty.shared.runtime)),
                is_repeat: false,
            };
            unknown = unknown.with_deletion(broken_down, false);
        }
        let (done, report) = tokio::sync::oneshot::channel();
        duty.spawn(Some(done));
        // Without a report the cleanup panicked, and so did the thread that tried it again.
        report.await.unwrap_or(unknown)
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        if let Some(duty) = self.duty.take() {
            duty.spawn(None);
        }
    }
}

type Done = tokio::sync::oneshot::Sender<CleanupReport>;

struct Duty {
    shared: Arc<ClientShared>,
    session_id: Arc<str>,
    delete: AtomicBool,
    /// Keeps the session's catalog until the report is written.
    core: Option<Arc<SessionCore>>,
}

impl Duty {
    fn is_to_delete(&self) -> bool {
        self.delete.load(Ordering::SeqCst)
    }

    fn spawn(self, done: Option<Done>) {
        self.shared.set_leaving(&self.session_id);
        let tokio = Handle::try_current()
            .ok()
            .or_else(|| self.core.as_ref().map(|core| core.tokio.clone()));
        let mut task = CleanupTask {
            token: Some(self.shared.tasks.token()),
            _busy: tokio
                .as_ref()
                .and_then(|tokio| self.shared.background.begin(tokio)),
            tokio: tokio.as_ref().map(Handle::id),
            duty: Some(self),
            done,
            last: false,
        };
        match tokio {
            Some(tokio) => {
                tokio.spawn(async move { task.run().await });
            }
            None => drop(task),
        }
    }
}

/// A cleanup on a task. When the tokio runtime drops the task unfinished, a thread takes over.
struct CleanupTask {
    duty: Option<Duty>,
    done: Option<Done>,
    /// Whether this is the thread's attempt, which nothing takes over.
    last: bool,
    /// Where it was to run.
    tokio: Option<tokio::runtime::Id>,
    /// Keeps a shutdown waiting, until the report is written.
    token: Option<TaskTrackerToken>,
    /// Keeps the end of the client waiting.
    _busy: Option<Busy>,
}

impl CleanupTask {
    /// Closes the session, reports, and goes on as long as the deletion is due.
    async fn run(&mut self) {
        let Some(duty) = &mut self.duty else { return };
        let report = close(&duty.shared, &duty.session_id, duty.is_to_delete()).await;
        duty.core = None;
        duty.shared.set_left(&duty.session_id, &report);
        let mut due = report.due_children();
        if report.is_due() {
            due.push(duty.session_id.clone());
        }
        due.retain(|session_id| duty.shared.deletions.set_due(session_id));
        let unreported = match self.done.take() {
            // The receiver may have been dropped.
            Some(done) => done.send(report).err(),
            None => Some(report),
        };
        if let Some(report) = unreported.filter(|_| duty.is_to_delete()) {
            duty.shared.set_unreported(report);
        }
        self.token = None;
        if !self.last {
            pursue(&duty.shared, due).await;
        }
        self.duty = None;
    }
}

impl Drop for CleanupTask {
    fn drop(&mut self) {
        let Some(duty) = self.duty.take() else { return };
        if self.last {
            tracing::error!(
                target: "codex_skills::session",
                session = &*duty.session_id,
                "the session was not cleaned up: no thread could do it"
            );
            return;
        }
        let (shared, broken_off) = (duty.shared.clone(), self.tokio);
        let mut task = Self {
            token: Some(shared.tasks.token()),
            _busy: None,
            tokio: None,
            duty: Some(duty),
            done: self.done.take(),
            last: true,
        };
        // After a panic the tokio runtime goes on, with its connections; its workers must not wait here.
        let is_end = !std::thread::panicking();
        if is_end && let Some(tokio) = broken_off {
            shared.runtime.detach(tokio);
        }
        rescue::finish(&shared, async move { task.run().await }, is_end);
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duty = self.duty.as_ref();
        f.debug_struct("Ownership")
            .field("session_id", &duty.map(|duty| &duty.session_id))
            .field("delete", &duty.is_some_and(Duty::is_to_delete))
            .finish()
    }
}
