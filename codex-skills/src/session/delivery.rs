//! From a claimed call to its settlement: the handler is run, and its answer delivered, at once or in attempts.
//!
//! A [`Claimed`] call ends with a record in every case: when its task goes down with its tokio runtime, it is settled as
//! broken off, so that nothing waits for it for ever, and repeats of it find an answer. It holds the session meanwhile.
//!
//! Its states are `serve` (the handler runs) → `answer_now` (the runtime has the answer and a receipt, and the claim is
//! in [`Running`]) → the receipt fires → settled; or → `deliver` (attempts on a task) → settled. The session's
//! state is locked when a handler finished and when the call is settled, and nothing else is locked then.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tracing::field::{Empty, debug, display};
use tracing::{Instrument as _, Span};

use super::core::SessionCore;
use super::state::{Held, SharedState, State};
use crate::dispatch::{
    Answer, DispatchRecord, Finished, OnItsWay, Outcome, PlaceInLine, SubmissionRecord,
    SubmissionStatus, beginning, broken_off, discard, never_sent,
};
use crate::runtime::{Answering, Receipt, Submission};
use crate::skill::call::CallKey;
use crate::skill::context::{Interest, Interested};
use crate::skill::{SkillOutput, ToolCall};

/// The state of a session, with what is kept of its calls.
pub(crate) type SessionState = SharedState<Arc<Running>>;

/// A call whose handler runs, or whose answer is on its way.
pub(crate) struct Running {
    interest: Interest,
    key: CallKey,
    record: OnceLock<Arc<DispatchRecord>>,
    settled: Notify,
    /// Notified when the runtime says on its own what became of the answer.
    said: Notify,
    /// The claim, while a runtime has the answer, and where that goes.
    taken: Mutex<Option<(Claimed, Arc<ToolCall>)>>,
}

impl Held for Arc<Running> {
    fn of(key: CallKey) -> Self {
        Self::new(Running {
            interest: Interest::default(),
            key,
            record: OnceLock::new(),
            settled: Notify::new(),
            said: Notify::new(),
            taken: Mutex::default(),
        })
    }
}

impl Running {
    /// Waits for the answer. Cancel safe.
    pub(super) async fn record(&self) -> Arc<DispatchRecord> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if let Some(record) = self.record.get() {
                return record.clone();
            }
            settled.await;
        }
    }

    /// Cancels the handler, and soon the delivery of the answer.
    pub(super) fn cancel(&self) {
        self.interest.cancel();
    }

    /// Wakes the delivery: the runtime said something of the answer.
    pub(super) fn notify(&self) {
        self.said.notify_waiters();
    }

    /// Publishes the record to all that wait. Only the first one counts.
    fn publish(&self, record: Arc<DispatchRecord>) {
        let _ = self.record.set(record);
        self.settled.notify_waiters();
    }

    fn taken(&self) -> MutexGuard<'_, Option<(Claimed, Arc<ToolCall>)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interested for Running {
    fn interest(&self) -> &Interest {
        &self.interest
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}

/// What is to be done for a claimed call.
pub(super) enum Work {
    /// Run its handler, in its place in the line, and deliver the answer.
    Run(Option<PlaceInLine>),
    /// Deliver that there are too many calls.
    Refuse,
    /// Deliver the stored answer again.
    DeliverAgain {
        /// Whether it went to the same place before, and did not arrive.
        is_retry: bool,
    },
}

/// The claim on a call.
pub(super) struct Claimed {
    core: Arc<SessionCore>,
    running: Arc<Running>,
    arrival: u64,
    /// What is to be delivered, once it is known.
    record: Option<Arc<DispatchRecord>>,
    /// Whether no handler runs for this announcement.
    repeat: bool,
    /// The call's span.
    span: Span,
}

impl Claimed {
    /// The claim on a call, with the record of one that was settled before. Its span is in the current one.
    pub(super) fn new(
        core: Arc<SessionCore>,
        running: Arc<Running>,
        call: &ToolCall,
        arrival: u64,
        record: Option<Arc<DispatchRecord>>,
    ) -> Self {
        let span = tracing::info_span!(
            target: "codex_skills::dispatch",
            "call",
            tool = beginning(&call.tool),
            namespace = call.namespace().map(beginning),
            session = &*call.session_id,
            turn = call.turn_id.as_deref(),
            call = call.call_id.as_deref(),
            outcome = Empty,
            submission = Empty,
            waited_ms = Empty,
            ran_ms = Empty,
        );
        Self {
            core,
            running,
            arrival,
            repeat: record.is_some(),
            record,
            span,
        }
    }

    /// Sees to it that the call is answered, on a task of its own.
    pub(super) fn begin(self, call: Arc<ToolCall>, work: Work) {
        let (tokio, span) = (self.core.handle(), self.span.clone());
        tokio.spawn(serve(call, self, work).instrument(span));
    }

    /// Ends the claim with the record, once its answer was delivered to an address; not when the call was announced again
    /// at another one meanwhile.
    fn settle_at(&mut self, address: &Arc<ToolCall>, to: SubmissionRecord) -> bool {
        let Some(mut record) = self.record.take() else {
            return true;
        };
        let (core, is_new) = (&self.core, !self.repeat);
        let mut state = core.state();
        let key = &self.running.key;
        if !state.on_delivered(core.opening, key, &mut record, (address, to), is_new) {
            drop(state);
            self.record = Some(record);
            return false;
        }
        self.settled(state, record);
        true
    }

    /// Ends the claim, or sees to it on a task of its own: this is what became of the answer at the address.
    fn told(mut self, address: Arc<ToolCall>, submission: Submission) {
        let status = match submission {
            Submission::Accepted => Some(SubmissionStatus::Accepted),
            Submission::Written => Some(SubmissionStatus::Written),
            _ => None,
        };
        let first = match status {
            None => Some((address, submission)),
            Some(status) => {
                let passed_on = SubmissionRecord {
                    attempts: 1,
                    ..SubmissionRecord::unsent(status)
                };
                if self.settle_at(&address, passed_on) {
                    return;
                }
                None
            }
        };
        let (tokio, span) = (self.core.handle(), self.span.clone());
        // On a tokio runtime that was shut down, the claim ends at once.
        tokio.spawn(deliver(self, first, false).instrument(span));
    }

    /// Counts and publishes the record of the call, which was settled under this lock.
    fn settled(&self, state: MutexGuard<'_, State<Arc<Running>>>, record: Arc<DispatchRecord>) {
        // Still under the lock: where nothing is found underway, every record was counted.
        let counters = &self.core.client.common.counters;
        counters.settle(&record, self.repeat);
        self.core.warn_of_stripped(state);
        self.running.publish(if self.repeat {
            Arc::new(DispatchRecord {
                repeat: true,
                ..DispatchRecord::clone(&record)
            })
        } else {
            record.clone()
        });
        // After everything that must be done: what reads spans may panic.
        if !self.span.is_disabled() {
            self.note(&record);
        }
    }

    fn note(&self, record: &DispatchRecord) {
        let span = &self.span;
        span.record("outcome", display(record.outcome));
        span.record("submission", debug(record.submission.status));
        span.record("waited_ms", record.waited.as_secs_f64() * 1e3);
        span.record("ran_ms", record.ran.as_secs_f64() * 1e3);
        span.in_scope(|| tracing::debug!(target: "codex_skills::dispatch", "call answered"));
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.running.record.get().is_some() {
            return;
        }
        let (record, key) = (self.record.take(), &self.running.key);
        let (core, is_new) = (&self.core, !self.repeat);
        let mut state = core.state();
        let address = state.address(key);
        let address = address.unwrap_or_else(|| key.call().clone());
        let mut record = record.unwrap_or_else(|| Arc::new(broken_off(&address, self.arrival)));
        let unsent = (&address, never_sent());
        if state.on_delivered(core.opening, key, &mut record, unsent, is_new) {
            self.settled(state, record);
        }
    }
}

impl Answering for Running {
    /// Settles the call, or sees to it on a task of its own.
    fn told(&self, submission: Submission) {
        let taken = self.taken().take();
        let Some((claimed, address)) = taken else {
            return;
        };
        // The last of a session may be dropped here, and with it what is a program's own, which may panic.
        let ended = AssertUnwindSafe(|| claimed.told(address, submission));
        if let Err(panic) = catch_unwind(ended) {
            discard(panic);
            tracing::error!(target: "codex_skills::dispatch", "a panic while a call was settled");
        }
    }
}

/// Runs one claimed call, and sees to it that its answer is delivered.
async fn serve(call: Arc<ToolCall>, mut claimed: Claimed, work: Work) {
    let core = &*claimed.core;
    let finished = match work {
        Work::DeliverAgain { is_retry } => {
            return Box::pin(deliver(claimed, None, is_retry)).await;
        }
        Work::Refuse => core.executor.overloaded(&call),
        Work::Run(place) => {
            let has_room = || core.state().has_room(core.opening);
            let running = claimed.running.clone();
            let executor = &core.executor;
            executor
                .run_claimed(call.clone(), running, place, &has_room)
                .await
        }
    };
    let bytes = finished.output.content_len();
    let address = core.state().on_finished(&claimed.running.key, bytes);
    claimed.record = Some(Arc::new(record_of(call, finished, claimed.arrival)));
    if let Err(claimed) = answer_now(claimed, address) {
        Box::pin(deliver(claimed, None, false)).await;
    }
}

/// The record of a call that is not delivered yet.
fn record_of(call: Arc<ToolCall>, finished: Finished, arrival: u64) -> DispatchRecord {
    DispatchRecord {
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
        arrival,
    }
}

/// Has the runtime take the answer without waiting, where it can: then it settles the call.
fn answer_now(claimed: Claimed, address: Option<Arc<ToolCall>>) -> Result<(), Claimed> {
    let address = address.filter(|address| address.request_id.is_some());
    let (Some(record), Some(address)) = (&claimed.record, address) else {
        return Err(claimed);
    };
    let output = record.output.clone();
    let runtime = claimed.core.runtime().clone();
    let running = claimed.running.clone();
    *running.taken() = Some((claimed, address.clone()));
    let receipt = Receipt::new(running.clone());
    let taken = AssertUnwindSafe(|| runtime.answer_now(&address, &output, receipt));
    match catch_unwind(taken) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(receipt)) => {
            receipt.void();
            let taken = running.taken().take();
            taken.map_or(Ok(()), |(claimed, _)| Err(claimed))
        }
        // The receipt was dropped, which says that the answer did not arrive.
        Err(panic) => {
            discard(panic);
            Ok(())
        }
    }
}

/// Delivers the answer of a claimed call until it is settled. `first`: where the first attempt went and what became of it,
/// where it was made. `is_retry`: whether the answer was sent before, and did not arrive.
async fn deliver(
    mut claimed: Claimed,
    mut first: Option<(Arc<ToolCall>, Submission)>,
    mut is_retry: bool,
) {
    let way = OnTheWay {
        core: claimed.core.clone(),
        running: claimed.running.clone(),
    };
    // There is a record in every case; without, the claim ends as one that was broken off.
    while let Some(record) = &mut claimed.record {
        // What became of an answer at one address says nothing of another one.
        let (address, first) = match first.take() {
            Some((address, submission)) => (address, Some(submission)),
            None => (way.address(), None),
        };
        let answer = Answer {
            call: &address,
            output: &record.output,
            is_retry: std::mem::take(&mut is_retry),
            of: &way,
        };
        let submission = way.core.executor.submit(answer, first).await;
        if submission.status == SubmissionStatus::TooLarge && record.outcome != Outcome::TooLarge {
            let text = format!(
                "skill `{}` failed: its answer of {} bytes is more than can be carried; ask for less of it",
                beginning(&address.qualified_tool()),
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

/// A call whose answer is being delivered.
struct OnTheWay {
    core: Arc<SessionCore>,
    running: Arc<Running>,
}

impl OnTheWay {
    /// Where the answer goes by now.
    fn address(&self) -> Arc<ToolCall> {
        let key = &self.running.key;
        let address = self.core.state().address(key);
        address.unwrap_or_else(|| key.call().clone())
    }
}

impl OnItsWay for OnTheWay {
    fn interest(&self) -> &Interest {
        &self.running.interest
    }

    fn known(&self, address: &ToolCall, own: &SkillOutput, sent: bool) -> Option<SubmissionRecord> {
        let state = self.core.state();
        state.known(&self.running.key, address, own, sent)
    }

    fn said(&self) -> &Notify {
        &self.running.said
    }
}

/// A call that was taken up, to be waited for or not.
pub(super) enum TakenUp {
    Running(Arc<Running>),
    Known(Arc<DispatchRecord>),
}

impl TakenUp {
    /// The record, once the call is settled. Cancel safe: the call goes on.
    pub(super) async fn record(self) -> Arc<DispatchRecord> {
        match self {
            Self::Running(running) => running.record().await,
            Self::Known(record) => record,
        }
    }
}
