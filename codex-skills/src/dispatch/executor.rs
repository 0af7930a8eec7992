//! What runs the handlers of a session and has their answers submitted: it knows a catalog and its bounds, and nothing of
//! which calls were announced before.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::limits::Limits;
use super::metrics::Common;
use super::record::{Outcome, SubmissionRecord, SubmissionStatus};
use super::run::{self, Bounds, Finished, Job, Turn};
use super::shown::Shown;
use super::submit::{self, Answer};
use crate::catalog::{Catalog, CatalogSkill};
use crate::runtime::{Runtime, Submission};
use crate::skill::ToolCall;
use crate::skill::context::{Interest, Interested};

/// Runs handlers within the bounds of one session.
pub(crate) struct Executor {
    catalog: Catalog,
    runtime: Arc<dyn Runtime>,
    limits: Limits,
    bounds: Bounds,
    pub(crate) common: Arc<Common>,
}

impl Executor {
    pub(crate) fn new(
        catalog: Catalog,
        runtime: Arc<dyn Runtime>,
        limits: Limits,
        common: Arc<Common>,
    ) -> Self {
        let output_bytes = runtime
            .answer_limit()
            .map_or(limits.output_bytes, |limit| limit.min(limits.output_bytes));
        Self {
            catalog,
            runtime,
            bounds: Bounds {
                slots: Arc::new(Semaphore::new(
                    limits.concurrent_calls.clamp(1, Semaphore::MAX_PERMITS),
                )),
                timeout: limits.call_timeout,
                output_bytes,
                synchronous: common.synchronous.clone(),
                shown: Shown::new(&limits),
                whole_answers: limits.whole_answers,
                argument_bytes: limits.argument_bytes,
            },
            common,
            limits,
        }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Stands in line for the skill of a call, where it is exclusive.
    pub(crate) fn stand_in_line(&self, call: &ToolCall) -> Option<Turn> {
        self.find(call).and_then(|skill| run::stand_in_line(skill))
    }

    /// Runs the handler of a call that nothing announced. `all`: lost when everything is cancelled.
    pub(crate) async fn run(&self, call: Arc<ToolCall>, all: &Interest) -> Finished {
        let turn = self.stand_in_line(&call);
        let interest = Arc::new(Interest::default());
        let run = self.run_in_turn(call, interest.clone(), turn);
        tokio::pin!(run);
        tokio::select! {
            biased;
            // Asked first, so that nothing begins that is cancelled already.
            () = all.cancelled() => interest.cancel(),
            finished = &mut run => return finished,
        }
        run.await
    }

    async fn run_in_turn(
        &self,
        call: Arc<ToolCall>,
        interested: Arc<dyn Interested>,
        turn: Option<Turn>,
    ) -> Finished {
        match self.find(&call) {
            Some(skill) => {
                run::run(&self.catalog, skill, call, interested, &self.bounds, turn).await
            }
            None => self.refused(&call),
        }
    }

    /// Runs the handler of a claimed call. Always answers, whatever the handler does. `has_room`: whether there is room for
    /// another answer, asked when a call that waited has a place.
    pub(crate) async fn run_claimed(
        &self,
        call: Arc<ToolCall>,
        interested: Arc<dyn Interested>,
        turn: Option<Turn>,
        has_room: &(dyn Fn() -> bool + Send + Sync),
    ) -> Finished {
        let Some(skill) = self.find(&call) else {
            return self.refused(&call);
        };
        let mut job = Job::new(skill, &self.bounds, interested, has_room);
        let begun = job.begin(&self.catalog, call, turn);
        // What a handler's destructor throws must not cost the answer either.
        let ended = AssertUnwindSafe(job.end(begun)).catch_unwind().await;
        job.finish(ended.unwrap_or_else(|panic| Err(panic).into()))
    }

    /// The answer to a call that is one too many.
    pub(crate) fn overloaded(&self, call: &ToolCall) -> Finished {
        Finished::without_run(
            Outcome::Overloaded,
            format!(
                "skill `{}` was not run: {} calls are open already, or {} bytes of them, try again later",
                beginning(&call.qualified_tool()),
                self.limits.open_calls,
                self.limits.open_bytes
            ),
        )
    }

    /// The answer to a call of a skill that there is not.
    fn refused(&self, call: &ToolCall) -> Finished {
        let namespace = call.namespace().map(beginning);
        let unknown = self
            .catalog
            .unknown(namespace.as_deref(), &beginning(&call.tool));
        let refusal = Finished::without_run(Outcome::UnknownTool, unknown);
        run::limited(&call.qualified_tool(), refusal, self.bounds.output_bytes)
    }

    /// Submits an answer until it arrives, is refused, or all attempts are used. `first`: what became of the first attempt,
    /// where it was made.
    pub(crate) async fn submit(
        &self,
        answer: Answer<'_>,
        first: Option<Submission>,
    ) -> SubmissionRecord {
        let policy = &self.limits.submission;
        let submission = submit::submit(&*self.runtime, answer, first, policy, &self.common);
        // A runtime that panics costs an answer, not the call's settlement.
        AssertUnwindSafe(submission)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                run::discard(panic);
                SubmissionRecord {
                    error: Some("the runtime panicked".into()),
                    ..SubmissionRecord::unsent(SubmissionStatus::Refused)
                }
            })
    }

    fn find(&self, call: &ToolCall) -> Option<&Arc<CatalogSkill>> {
        self.catalog.find(call.namespace(), &call.tool)
    }
}

/// The beginning of a name that may be anything.
pub(crate) fn beginning(name: &str) -> String {
    name.chars().take(128).collect()
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("catalog", &self.catalog)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}
