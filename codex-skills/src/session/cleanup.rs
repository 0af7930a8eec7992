//! Letting go of sessions: on request, at a guard's end, and when nobody is left to wait.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::client::ClientShared;
use super::core::SessionCore;
use crate::error::Error;
use crate::runtime::{Deletion, Runtime, RuntimeError, RuntimeErrorKind};

/// How long a runtime may take to delete a session.
pub(crate) const DELETION: Duration = Duration::from_secs(30);

/// How long a runtime may take for the answers of the cancelled calls of a session that stays.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What became of a session that was let go.
#[derive(Clone, Debug)]
pub struct CleanupReport {
    session_id: Arc<str>,
    cleared: usize,
    cancelled_calls: usize,
    deletion: Option<Result<Deletion, RuntimeError>>,
}

impl CleanupReport {
    /// The session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// How many skills the session's catalog had; 0 when this client did not have the session open.
    #[must_use]
    pub fn cleared(&self) -> usize {
        self.cleared
    }

    /// How many handlers still ran and were cancelled.
    #[must_use]
    pub fn cancelled_calls(&self) -> usize {
        self.cancelled_calls
    }

    /// Whether the runtime says that the session is deleted (`ok` or `deleted`).
    #[must_use]
    pub fn deleted(&self) -> bool {
        matches!(&self.deletion, Some(Ok(deletion)) if deletion.is_deleted())
    }

    /// What the runtime answered to the deletion, where it was asked and answered.
    #[must_use]
    pub fn delete_response(&self) -> Option<&Value> {
        match &self.deletion {
            Some(Ok(deletion)) => Some(&deletion.payload),
            _ => None,
        }
    }

    /// Why the deletion failed, where it did.
    #[must_use]
    pub fn delete_error(&self) -> Option<&RuntimeError> {
        match &self.deletion {
            Some(Err(error)) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for CleanupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match &self.deletion {
            None => "kept".to_owned(),
            Some(Ok(deletion)) if deletion.is_deleted() => "deleted".to_owned(),
            Some(Ok(deletion)) => format!("not deleted ({})", deletion.status),
            Some(Err(error)) => format!("not deleted ({error})"),
        };
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "session {} {fate}, {} skill{} cleared",
            self.session_id,
            self.cleared,
            plural(self.cleared)
        )?;
        if self.cancelled_calls > 0 {
            let calls = self.cancelled_calls;
            write!(f, ", {calls} call{} cancelled", plural(calls))?;
        }
        Ok(())
    }
}

/// Lets go of a session now. One that stays has its calls answered before.
async fn close(shared: &ClientShared, session_id: &str, delete: bool) -> CleanupReport {
    let core = shared.find(session_id);
    let (mut cleared, mut cancelled_calls) = (0, 0);
    if let Some(core) = &core {
        let waiting = core.close("it was closed");
        cleared = core.catalog().len();
        cancelled_calls = core.dispatcher().cancel_all();
        if !delete {
            core.dismiss(waiting);
        }
    }
    let session_id: Arc<str> = session_id.into();
    let deletion = if delete {
        Some(delete_in_time(&*shared.runtime, session_id.clone()).await)
    } else {
        if let Some(core) = &core {
            core.last_answers(Instant::now().checked_add(LAST_ANSWERS))
                .await;
        }
        None
    };
    if let Some(Ok(deletion)) = &deletion
        && (deletion.is_deleted() || deletion.status == "not_found")
    {
        shared.bury(&session_id);
    }
    if let Some(Err(error)) = &deletion {
        tracing::warn!(target: "codex_skills::session", session = &*session_id, %error, "the session was not deleted");
    }
    CleanupReport {
        session_id,
        cleared,
        cancelled_calls,
        deletion,
    }
}

/// Deletes a session, or gives up: a runtime that never answers holds nobody up.
async fn delete_in_time(
    runtime: &dyn Runtime,
    session_id: Arc<str>,
) -> Result<Deletion, RuntimeError> {
    tokio::time::timeout(DELETION, runtime.delete_session(session_id))
        .await
        .unwrap_or_else(|_| {
            Err(RuntimeError::new(
                runtime.name(),
                "delete the session",
                RuntimeErrorKind::Unavailable,
                format!("no answer within {DELETION:?}"),
            ))
        })
}

fn broken_down(runtime: &dyn Runtime) -> RuntimeError {
    RuntimeError::new(
        runtime.name(),
        "delete the session",
        RuntimeErrorKind::Unavailable,
        "the cleanup broke down",
    )
}

/// A [`close_session`](crate::Client::close_session) that was not awaited yet.
#[derive(Debug)]
#[must_use = "await it to close the session"]
pub struct CloseSession {
    shared: Arc<ClientShared>,
    session_id: Arc<str>,
    delete: bool,
    ignore_cleanup_errors: bool,
}

impl CloseSession {
    pub(crate) fn new(shared: Arc<ClientShared>, session_id: Arc<str>, delete: bool) -> Self {
        Self {
            shared,
            session_id,
            delete,
            ignore_cleanup_errors: true,
        }
    }

    /// Whether a failed deletion is left in the report (the default) or returned as an error.
    pub fn ignore_cleanup_errors(mut self, ignore: bool) -> Self {
        self.ignore_cleanup_errors = ignore;
        self
    }

    /// Accepted for compatibility with the reference SDK; does nothing, as there.
    pub fn sync_runtime_on_cleanup(self, _sync: bool) -> Self {
        self
    }
}

impl IntoFuture for CloseSession {
    type Output = Result<CleanupReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            // A task of its own: once begun, the deletion does not depend on who waits for it.
            let Self {
                shared,
                session_id,
                delete,
                ignore_cleanup_errors,
            } = self;
            let mut ownership = Ownership::take(shared.clone(), session_id, delete);
            let report = ownership.finish().await;
            checked(report, ignore_cleanup_errors)
        })
    }
}

/// The report, or the error in it where that was asked for.
pub(crate) fn checked(
    report: CleanupReport,
    ignore_cleanup_errors: bool,
) -> Result<CleanupReport, Error> {
    if !ignore_cleanup_errors && report.delete_error().is_some() {
        return Err(Error::Cleanup(Box::new(report)));
    }
    Ok(report)
}

/// The duty to let a session go: done by [`finish`](Self::finish), or in the background when dropped.
pub(crate) struct Ownership {
    duty: Option<Duty>,
}

impl Ownership {
    pub(crate) fn take(shared: Arc<ClientShared>, session_id: Arc<str>, delete: bool) -> Self {
        shared.set_owned(&session_id, delete);
        Self {
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

    /// Gives the duty up: the session stays as it is.
    pub(crate) fn release(mut self) {
        if let Some(duty) = self.duty.take() {
            duty.shared.set_owned(&duty.session_id, false);
        }
    }

    /// Lets go of the session. Dropping the future does not stop it.
    pub(crate) async fn finish(&mut self) -> CleanupReport {
        let mut unknown = CleanupReport {
            session_id: "".into(),
            cleared: 0,
            cancelled_calls: 0,
            deletion: None,
        };
        let Some(duty) = self.duty.take() else {
            return unknown;
        };
        unknown.session_id = duty.session_id.clone();
        if duty.is_to_delete() {
            unknown.deletion = Some(Err(broken_down(&*duty.shared.runtime)));
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
        let tokio = tokio::runtime::Handle::try_current()
            .ok()
            .or_else(|| self.core.as_ref().map(|core| core.tokio.clone()));
        let mut task = CleanupTask {
            _token: self.shared.tasks.token(),
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
    /// Whether this is the thread's attempt, which nobody takes over.
    last: bool,
    /// Keeps a shutdown waiting.
    _token: TaskTrackerToken,
}

impl CleanupTask {
    async fn run(&mut self) {
        let Some(duty) = &self.duty else { return };
        let report = close(&duty.shared, &duty.session_id, duty.is_to_delete()).await;
        duty.shared
            .set_left(&duty.session_id, report.delete_error().is_some());
        self.duty = None;
        if let Some(done) = self.done.take() {
            // Nobody may wait any more.
            let _ = done.send(report);
        }
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
        let mut task = Self {
            _token: duty.shared.tasks.token(),
            duty: Some(duty),
            done: self.done.take(),
            last: true,
        };
        // A thread that cannot be started drops the task, which says so.
        let _ = std::thread::Builder::new()
            .name("codex-skills-cleanup".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                if let Ok(runtime) = runtime {
                    runtime.block_on(task.run());
                }
            });
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
