//! The dispatcher of one session: it gives each announced call one run and one answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::claim::{
    Claimed, DispatchLedger, Dispatched, Running, Settle, SharedLedger, broken_off, is_newer,
};
use super::ledger::Claim;
use super::limits::Limits;
use super::metrics::Common;
use super::record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
use super::run::{self, Bounds, Finished, Job, Turn};
use super::shown::Shown;
use super::submit;
use crate::catalog::{Catalog, CatalogSkill};
use crate::runtime::{Receipt, Runtime, Submission, TakenAnswer};
use crate::skill::call::CallKey;
use crate::skill::context::{Interest, Interested};
use crate::skill::{SkillOutput, ToolCall};

/// How a call became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// By an event, which may be a repeat of one that was served.
    Event,
    /// By the runtime's list of calls that wait, so its answer has not arrived.
    Waiting,
    /// As one too many: it is answered with that, and not run.
    Surplus,
}

/// Runs the calls of one session.
pub(crate) struct Dispatcher {
    catalog: Catalog,
    runtime: Arc<dyn Runtime>,
    limits: Limits,
    bounds: Bounds,
    pub(super) ledger: SharedLedger,
    pub(super) common: Arc<Common>,
    /// How many calls arrived.
    arrivals: AtomicU64,
    /// Lost when everything is cancelled, now and later.
    interest: Interest,
}

impl Dispatcher {
    pub(crate) fn new(
        catalog: Catalog,
        runtime: Arc<dyn Runtime>,
        limits: Limits,
        ledger: SharedLedger,
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
            ledger,
            common,
            arrivals: AtomicU64::new(0),
            interest: Interest::default(),
            limits,
        }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sees to it that a call is answered, on a task of its own on `tokio`; returns at once. `is_late`: its turn or its
    /// session is over, so no handler begins.
    pub(crate) fn dispatch(
        self: &Arc<Self>,
        call: Arc<ToolCall>,
        announced: Announced,
        is_late: bool,
        settled: Option<Arc<dyn Settle>>,
        tokio: &Handle,
    ) -> Dispatched {
        let mut ledger = self.ledger.lock();
        let key = key_in(&ledger, &call);
        let running = Running::new(call.clone(), key.clone());
        let fullness = Fullness::of(&ledger, &self.limits);
        let (work, arrival, record) = match ledger.claim(&key, running.clone()) {
            Claim::Join(running) => {
                // Under the ledger's lock, so that the call cannot be settled in between.
                running.readdress(call);
                self.common.counters.repeat();
                return Dispatched::Running(running);
            }
            Claim::Repeat(stored) => {
                self.common.counters.repeat();
                let moved = !call.same_address(&stored.call);
                let delivered = matches!(
                    stored.submission.status,
                    SubmissionStatus::Accepted | SubmissionStatus::Written
                );
                if !is_newer(&call, &stored.call)
                    || (delivered && !moved && announced != Announced::Waiting)
                {
                    return Dispatched::Known(Arc::new(DispatchRecord {
                        submission: SubmissionRecord::unsent(SubmissionStatus::Repeated),
                        repeat: true,
                        ..DispatchRecord::clone(&stored)
                    }));
                }
                ledger.reopen(&key, running.clone());
                self.common.counters.reopen(stored.submission.status);
                let given_up = stored.submission.status == SubmissionStatus::Exhausted;
                (
                    Work::Submit {
                        is_retry: given_up && !moved,
                    },
                    stored.arrival,
                    Some(stored),
                )
            }
            Claim::Run => {
                let arrival = self.arrivals.fetch_add(1, Ordering::Relaxed);
                if fullness == Fullness::FarTooMany {
                    ledger.disclaim(&key);
                    drop(ledger);
                    self.common.counters.leave_waiting();
                    return Dispatched::Known(leave_waiting(broken_off(&call, arrival)));
                }
                self.common.counters.receive();
                let surplus = fullness != Fullness::Room || announced == Announced::Surplus;
                let work = if surplus {
                    Work::Refuse
                } else {
                    Work::Run(self.find(&call).and_then(|skill| run::stand_in_line(skill)))
                };
                (work, arrival, None)
            }
        };
        drop(ledger);
        // Whoever cancels everything sees either the call in the ledger or this.
        if is_late || self.interest.is_cancelled() {
            running.interest.cancel();
        }
        let span = tracing::info_span!(
            target: "codex_skills::dispatch",
            "call",
            tool = shown(&call.tool),
            namespace = call.namespace().map(shown),
            session = &*call.session_id,
            turn = call.turn_id.as_deref(),
            call = call.call_id.as_deref(),
            outcome = Empty,
            submission = Empty,
            waited_ms = Empty,
            ran_ms = Empty,
        );
        // Made here and not on the task, which may go down before it begins.
        let claimed = Claimed {
            dispatcher: self.clone(),
            running: running.clone(),
            settled,
            arrival,
            repeat: record.is_some(),
            record,
            span: span.clone(),
        };
        tokio.spawn(serve(call, claimed, work).instrument(span));
        Dispatched::Running(running)
    }

    /// Runs the handler of a call, without ledger and submission.
    pub(crate) async fn run(&self, call: Arc<ToolCall>) -> Finished {
        let turn = self.find(&call).and_then(|skill| run::stand_in_line(skill));
        let interest = Arc::new(Interest::default());
        let run = self.run_in_turn(call, interest.clone(), turn);
        tokio::pin!(run);
        tokio::select! {
            biased;
            // Asked first, so that nothing begins that is cancelled already.
            () = self.interest.cancelled() => interest.cancel(),
            finished = &mut run => return finished,
        }
        run.await
    }

    fn find(&self, call: &ToolCall) -> Option<&Arc<CatalogSkill>> {
        self.catalog.find(call.namespace(), &call.tool)
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

    /// The answer to a call of a skill that there is not.
    fn refused(&self, call: &ToolCall) -> Finished {
        let refusal = Finished::without_run(Outcome::UnknownTool, self.unknown(call));
        run::limited(&call.qualified_tool(), refusal, self.bounds.output_bytes)
    }

    async fn submit(
        &self,
        answer: submit::Answer<'_>,
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

    fn unknown(&self, call: &ToolCall) -> String {
        let namespace = call.namespace().map(shown);
        self.catalog
            .unknown(namespace.as_deref(), &shown(&call.tool))
    }

    /// Notes which answer of a call the runtime took, whosever it was.
    pub(crate) fn completed(
        &self,
        call: &Arc<ToolCall>,
        taken: TakenAnswer,
        settled: Option<&dyn Settle>,
    ) {
        let key = CallKey::new(call);
        let mut ledger = self.ledger.lock();
        if let Some(running) = ledger.running_of(&key) {
            running.verdict.complete(taken);
            return;
        }
        // Without its answer it cannot be said whose was taken.
        let known = ledger.settled_of(&key);
        let Some(known) = known.filter(|known| !known.is_stripped()) else {
            return;
        };
        let before = known.submission.status;
        let submission = known.submission.clone();
        let submission = submission.completed((&*known.output).into(), taken);
        if submission.status == before {
            return;
        }
        let record = Arc::new(DispatchRecord {
            submission,
            ..DispatchRecord::clone(known)
        });
        ledger.settle(&key, record.clone());
        self.common
            .counters
            .resettle(before, record.submission.status);
        if let Some(settled) = settled {
            settled.settled(&record, false);
        }
    }

    /// Cancels the calls of a turn.
    pub(crate) fn cancel_turn(&self, turn_id: &str) {
        self.cancel(|key, _| key.turn_id() == Some(turn_id));
    }

    /// Cancels one call that needs no answer any more.
    pub(crate) fn cancel_call(&self, call: &Arc<ToolCall>) {
        let expired = key_in(&self.ledger.lock(), call);
        self.cancel(|key, _| *key == expired);
    }

    /// The runtime wants no answer of a call any more: its handler is cancelled, and an answer that was given up as not
    /// delivered is settled.
    pub(crate) fn expire_call(&self, call: &Arc<ToolCall>, settle: &dyn Settle) {
        self.cancel_call(call);
        self.settle_given_up(call, "expired", settle);
    }

    /// The runtime took an answer of a call, and does not say which: no attempt to deliver one follows, and one that was
    /// given up as not delivered is settled.
    pub(crate) fn resolve_call(&self, call: &Arc<ToolCall>, settle: &dyn Settle) {
        let ledger = self.ledger.lock();
        if let Some(running) = ledger.running_of(&key_in(&ledger, call)) {
            running.verdict.resolve(call);
            return;
        }
        drop(ledger);
        self.settle_given_up(call, "resolved", settle);
    }

    /// Settles an answer that was given up as not delivered, and is wanted no more. `code`: what the runtime calls it.
    fn settle_given_up(&self, call: &Arc<ToolCall>, code: &str, settle: &dyn Settle) {
        let mut ledger = self.ledger.lock();
        let key = key_in(&ledger, call);
        let Some(stored) = ledger.settled_call(&key) else {
            return;
        };
        let was = stored.submission.status;
        if was != SubmissionStatus::Exhausted || !stored.call.same_address(call) {
            return;
        }
        let record = Arc::new(DispatchRecord {
            submission: SubmissionRecord {
                status: SubmissionStatus::Settled,
                code: Some(code.into()),
                ..stored.submission.clone()
            },
            ..DispatchRecord::clone(stored)
        });
        ledger.settle(&key, record.clone());
        self.common.counters.reopen(was);
        self.common.counters.settle(&record, true);
        settle.settled(&record, false);
    }

    fn cancel(&self, mut wanted: impl FnMut(&CallKey, &Running) -> bool) {
        let running: Vec<Arc<Running>> = self
            .ledger
            .lock()
            .running()
            .filter(|(key, running)| wanted(key, running))
            .map(|(_, running)| running.clone())
            .collect();
        // Without the lock: who is woken may come back to it.
        for running in running {
            running.interest.cancel();
        }
    }

    /// Cancels everything, now and later.
    pub(crate) fn cancel_all(&self) -> usize {
        self.interest.cancel();
        self.cancel(|_, _| true);
        self.ledger.lock().running_len()
    }

    /// The tools of the calls of a turn that are not settled, sorted.
    pub(crate) fn unsettled(&self, turn_id: &str) -> Vec<String> {
        let ledger = self.ledger.lock();
        let open = ledger
            .running()
            .filter(|(key, _)| key.turn_id() == Some(turn_id));
        let mut tools: Vec<String> = open
            .map(|(_, running)| running.address().qualified_tool().into_owned())
            .collect();
        drop(ledger);
        tools.sort_unstable();
        tools
    }

    /// Waits until no call of the turn (of the whole session without one) is unsettled. Cancel safe.
    pub(crate) async fn settled(&self, turn_id: Option<&str>) {
        loop {
            let open: Vec<Arc<Running>> = self
                .ledger
                .lock()
                .running()
                .filter(|(key, _)| turn_id.is_none_or(|turn| key.turn_id() == Some(turn)))
                .map(|(_, running)| running.clone())
                .collect();
            if open.is_empty() {
                return;
            }
            for running in open {
                running.record().await;
            }
        }
    }
}

/// Runs one claimed call, and sees to it that its answer is submitted.
async fn serve(call: Arc<ToolCall>, mut claimed: Claimed, work: Work) {
    let dispatcher = &*claimed.dispatcher;
    let finished = match work {
        Work::Submit { is_retry } => return Box::pin(deliver(claimed, None, is_retry)).await,
        Work::Refuse => Finished::without_run(
            Outcome::Overloaded,
            format!(
                "skill `{}` was not run: {} calls are open already, or {} bytes of them, try again later",
                shown(&call.qualified_tool()),
                dispatcher.limits.open_calls,
                dispatcher.limits.open_bytes
            ),
        ),
        Work::Run(turn) => match dispatcher.find(&call) {
            None => dispatcher.refused(&call),
            Some(skill) => {
                let most = dispatcher.limits.open_bytes.max(1);
                let has_room = || dispatcher.ledger.lock().answer_bytes() < most;
                let running = claimed.running.clone();
                let mut job = Job::new(skill, &dispatcher.bounds, running, &has_room);
                let begun = job.begin(&dispatcher.catalog, call.clone(), turn);
                // What a handler's destructor throws must not cost the answer either.
                let ended = AssertUnwindSafe(job.end(begun)).catch_unwind().await;
                job.finish(ended.unwrap_or_else(|panic| Err(panic).into()))
            }
        },
    };
    let bytes = finished.output.content_len();
    if bytes > SMALL_BYTES {
        let mut ledger = dispatcher.ledger.lock();
        ledger.weigh(claimed.running.key(), bytes);
    }
    claimed.record = Some(Arc::new(DispatchRecord {
        call,
        output: Arc::new(finished.output),
        outcome: finished.outcome,
        error: finished.error.map(Into::into),
        cut: finished.cut,
        waited: finished.waited,
        ran: finished.ran,
        submission: SubmissionRecord::unsent(SubmissionStatus::Exhausted),
        repeat: false,
        stripped: false,
        arrival: claimed.arrival,
    }));
    if let Err(claimed) = answer_now(claimed) {
        Box::pin(deliver(claimed, None, false)).await;
    }
}

/// Has the runtime take the answer without waiting, where it can: then it settles the call.
fn answer_now(claimed: Claimed) -> Result<(), Claimed> {
    let Some(record) = &claimed.record else {
        return Err(claimed);
    };
    let address = claimed.running.address();
    if address.request_id.is_none() {
        return Err(claimed);
    }
    let output = record.output.clone();
    let runtime = claimed.dispatcher.runtime.clone();
    let running = claimed.running.clone();
    running.taken.put(claimed, address.clone());
    let receipt = Receipt::new(running.clone());
    let taken = AssertUnwindSafe(|| runtime.answer_now(&address, &output, receipt));
    match catch_unwind(taken) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(receipt)) => {
            receipt.void();
            running
                .taken
                .take()
                .map_or(Ok(()), |(claimed, _)| Err(claimed))
        }
        // The receipt was dropped, and is told by that.
        Err(panic) => {
            run::discard(panic);
            Ok(())
        }
    }
}

/// Submits the answer of a claimed call until it is settled. `first`: where the first attempt went and what became of
/// it, where it was made. `is_retry`: whether the answer was sent before, and did not arrive.
pub(super) async fn deliver(
    mut claimed: Claimed,
    mut first: Option<(Arc<ToolCall>, Submission)>,
    mut is_retry: bool,
) {
    let dispatcher = claimed.dispatcher.clone();
    let running = claimed.running.clone();
    // There is a record in every case; without, the claim ends as one that was broken off.
    while let Some(record) = &mut claimed.record {
        // What became of an answer at one address says nothing of another one.
        let (address, first) = match first.take() {
            Some((address, submission)) => (address, Some(submission)),
            None => (running.address(), None),
        };
        let answer = submit::Answer {
            call: &address,
            output: &record.output,
            is_retry: std::mem::take(&mut is_retry),
            running: &running,
        };
        let submission = dispatcher.submit(answer, first).await;
        if submission.status == SubmissionStatus::TooLarge && record.outcome != Outcome::TooLarge {
            let text = format!(
                "skill `{}` failed: its answer of {} bytes is more than can be carried; ask for less of it",
                shown(&address.qualified_tool()),
                record.output.content_len()
            );
            let record = Arc::make_mut(record);
            record.output = Arc::new(SkillOutput::failure(text.clone()));
            record.outcome = Outcome::TooLarge;
            record.cut = None;
            record.error = Some(text.into());
            continue;
        }
        // Announced again at another address meanwhile, the answer goes there too.
        if claimed.settle_at(&address, submission) {
            break;
        }
    }
}

/// What is to be done for a claimed call.
enum Work {
    /// Run its handler, in its turn, and submit the answer.
    Run(Option<Turn>),
    /// Submit that there are too many calls.
    Refuse,
    /// Submit the stored answer again.
    Submit {
        /// Whether it went to the same place before, and did not arrive.
        is_retry: bool,
    },
}

/// The size of answers, in bytes, that count as nothing while they are on their way.
const SMALL_BYTES: usize = 4 * 1024;

/// How full a session is of calls that are not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fullness {
    /// There is room for one more.
    Room,
    /// One more is refused.
    Full,
    /// One more is not even refused: too many refusals are on their way.
    FarTooMany,
}

impl Fullness {
    fn of(ledger: &DispatchLedger, limits: &Limits) -> Self {
        let exceeds = |times: usize| {
            let times = |limit: usize| limit.max(1).saturating_mul(times);
            ledger.running_len() >= times(limits.open_calls)
                || ledger.running_bytes() >= times(limits.open_bytes)
        };
        match (exceeds(1), exceeds(UNANSWERED)) {
            (_, true) => Self::FarTooMany,
            (true, _) => Self::Full,
            _ => Self::Room,
        }
    }
}

/// How many times the limit of open calls may be unanswered, refusals that are on their way included.
const UNANSWERED: usize = 4;

/// The key of a call in a ledger. Where one announcement leaves the turn out and another does not, both are
/// the same call if they have the same call id and address.
fn key_in(ledger: &MutexGuard<'_, DispatchLedger>, call: &Arc<ToolCall>) -> CallKey {
    let key = CallKey::new(call);
    if call.call_id.is_none() || call.request_id.is_none() {
        return key;
    }
    let says_turn = call.turn_id.is_some();
    if (says_turn && !ledger.has_turnless()) || ledger.contains(&key) {
        return key;
    }
    if says_turn {
        let turnless = CallKey::turnless(call);
        return if ledger.contains(&turnless) {
            turnless
        } else {
            key
        };
    }
    let same = |known: &CallKey, address: &ToolCall| {
        known.thread_id() == key.thread_id()
            && address.call_id == call.call_id
            && address.same_address(call)
    };
    let running = ledger
        .running()
        .find(|(known, running)| same(known, &running.address()))
        .map(|(known, _)| known);
    let settled = || {
        ledger
            .settled()
            .find(|(known, record)| same(known, &record.call))
            .map(|(known, _)| known)
    };
    running.or_else(settled).cloned().unwrap_or(key)
}

/// A call that is not even refused, since too many refusals are on their way. It goes on waiting at the
/// runtime, whose list of waiting calls still has it.
fn leave_waiting(record: DispatchRecord) -> Arc<DispatchRecord> {
    tracing::error!(
        target: "codex_skills::dispatch",
        tool = &*record.call.tool,
        session = &*record.call.session_id,
        "far too many calls are open: one is left waiting"
    );
    Arc::new(DispatchRecord {
        outcome: Outcome::Overloaded,
        error: Some("far too many calls are open: it was left waiting".into()),
        submission: SubmissionRecord::unsent(SubmissionStatus::LeftWaiting),
        ..record
    })
}

/// The beginning of a name that may be anything.
fn shown(name: &str) -> String {
    name.chars().take(128).collect()
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("catalog", &self.catalog)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}
