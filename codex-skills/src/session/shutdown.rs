//! Ending a client: its calls, its guards' sessions, what goes on in the background, and its runtime.

use std::future::{Future, IntoFuture};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::cleanup::LAST_ANSWERS;
use super::deletions::DELETION;
use super::duty::Ownership;
use super::report::CleanupReport;
use super::shared::{ClientShared, Leave};
use crate::runtime::RuntimeError;

/// A shutdown that was not awaited yet.
#[derive(Debug)]
#[must_use = "await it to shut the client down"]
pub struct Shutdown {
    shared: Arc<ClientShared>,
    grace: Duration,
}

impl Shutdown {
    pub(super) fn new(shared: Arc<ClientShared>) -> Self {
        Self {
            shared,
            grace: Duration::from_secs(5),
        }
    }

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
    /// [`close_session`](crate::Client::close_session), tries them again; otherwise they are left behind.
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
            self.shared.set_shutting_down();
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
    shared.set_over();
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
