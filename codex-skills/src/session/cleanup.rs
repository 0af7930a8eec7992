//! Closing sessions, on request and at a guard's end, and deleting them.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::deletions::{delays, may_succeed_later};
use super::duty::Ownership;
use super::report::CleanupReport;
use super::shared::ClientShared;
use crate::error::Error;
use crate::runtime::{Deletion, RuntimeError};

/// Time for which a deletion is retried after the last clone of the client was dropped.
const WITHOUT_A_CLIENT: Duration = Duration::from_secs(60);

/// Longest pause between attempts at a deletion that keeps failing.
const RAREST_ATTEMPTS: Duration = Duration::from_secs(10);

/// Time that the answers of cancelled calls have when a session is closed and stays.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Closes a session now. If the session stays, its calls are answered first.
pub(super) async fn close(
    shared: &ClientShared,
    session_id: &Arc<str>,
    delete: bool,
) -> CleanupReport {
    let report = CleanupReport::kept(session_id.clone());
    let core = shared.find(session_id);
    let (mut cleared, mut cancelled_calls) = (0, 0);
    if let Some(core) = &core {
        let waiting = core.close("it was closed");
        cleared = core.catalog().len();
        cancelled_calls = core.cancel_all();
        if !delete {
            core.dismiss(waiting);
        }
    }
    let report = report.with_local(cleared, cancelled_calls);
    if !delete {
        if let Some(core) = &core {
            core.last_answers(Instant::now().checked_add(LAST_ANSWERS))
                .await;
        }
        return report;
    }
    drop(core);
    let runtime = &*shared.runtime;
    let is_over = || shared.is_over();
    let attempted = shared.deletions.delete(runtime, session_id, is_over).await;
    let is_due = may_succeed_later(&attempted.outcome);
    settle(shared, session_id, &attempted.outcome);
    report.with_deletion(attempted, is_due)
}

/// Deletes sessions whose deletion is due, and those of their sub-agents.
pub(super) async fn pursue(shared: &ClientShared, mut due: Vec<Arc<str>>) {
    while !due.is_empty() {
        let pursued = due.iter().map(|session_id| pursue_one(shared, session_id));
        due = join_all(pursued).await.into_iter().flatten().collect();
        due.retain(|session_id| shared.deletions.set_due(session_id));
    }
}

/// Deletes a session whose deletion is due, in attempts that become rarer, until it is not due any more or the runtime
/// was ended. Returns those of its sub-agents that are due then.
async fn pursue_one(shared: &ClientShared, session_id: &Arc<str>) -> Vec<Arc<str>> {
    let (mut delays, mut deserted) = (delays(RAREST_ATTEMPTS), None);
    while shared.deletions.is_due(session_id) && !shared.is_over() {
        let delay = delays.next().unwrap_or(RAREST_ATTEMPTS);
        shared.deletions.pause(delay).await;
        if !shared.deletions.is_due(session_id) || shared.is_over() {
            break;
        }
        if shared.is_deserted()
            && deserted.get_or_insert_with(Instant::now).elapsed() > WITHOUT_A_CLIENT
        {
            tracing::error!(target: "codex_skills::session", session = &**session_id, "the session is left behind: it could not be deleted, and the program has no client any more");
            shared.deletions.give_up(session_id);
            break;
        }
        let outcome = shared.deletions.attempt(&*shared.runtime, session_id).await;
        settle(shared, session_id, &outcome);
        if let Ok(deletion) = outcome {
            return deletion.due;
        }
    }
    Vec::new()
}

/// Forgets a session that is gone; logs why another one is not.
fn settle(shared: &ClientShared, session_id: &Arc<str>, outcome: &Result<Deletion, RuntimeError>) {
    match outcome {
        Ok(deletion) if deletion.is_deleted() || deletion.status == "not_found" => {
            shared.bury(session_id);
        }
        Ok(_) => {}
        Err(error) if may_succeed_later(outcome) => {
            shared.deletions.log_failure(session_id, error);
        }
        Err(error) => {
            tracing::warn!(target: "codex_skills::session", session = &**session_id, %error, "the session was not deleted");
        }
    }
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

    /// Does nothing; accepted for compatibility with the reference SDK, where it does nothing either.
    pub fn sync_runtime_on_cleanup(self, _sync: bool) -> Self {
        self
    }
}

impl IntoFuture for CloseSession {
    type Output = Result<CleanupReport, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            // On a task of its own, so that the deletion goes on when the future is dropped.
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

/// Returns the report, or the error in it where errors are not ignored.
pub(crate) fn checked(
    report: CleanupReport,
    ignore_cleanup_errors: bool,
) -> Result<CleanupReport, Error> {
    if !ignore_cleanup_errors && report.delete_error().is_some() {
        return Err(Error::Cleanup(Box::new(report)));
    }
    Ok(report)
}
