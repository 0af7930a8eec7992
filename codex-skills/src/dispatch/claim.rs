//! The claim on a call: who holds it, where its answer goes, and that it ends with a record in every case.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tracing::field::{debug, display};
use tracing::{Instrument as _, Span};

use super::dispatcher::{Dispatcher, deliver};
use super::ledger::{Kept, Ledger};
use super::limits::Limits;
use super::record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
use super::run;
use super::verdict::Verdict;
use crate::runtime::{Answering, Submission};
use crate::skill::call::CallKey;
use crate::skill::context::{Interest, Interested};
use crate::skill::{SkillOutput, ToolCall};

/// Who is told about settled calls, under the ledger's lock: must not come back to the dispatcher.
pub(crate) trait Settle: Send + Sync {
    /// A call was settled. `is_new`: its handler had this one run, so no record of it was told before.
    fn settled(&self, record: &Arc<DispatchRecord>, is_new: bool);

    /// Where the rest of a call is done: on the tokio runtime of whoever asks, or on another one.
    fn handle(&self) -> Handle;
}

pub(super) type DispatchLedger = Ledger<Arc<Running>, Arc<DispatchRecord>>;

impl Kept for Arc<DispatchRecord> {
    fn bytes(&self) -> usize {
        DispatchRecord::bytes(self)
    }

    fn without_answer(&self) -> Self {
        Arc::new(self.stripped())
    }
}

/// The ledger of a session: it outlives the handles on the session, and whoever opens the session again
/// goes on with it.
#[derive(Clone)]
pub(crate) struct SharedLedger(Arc<Mutex<DispatchLedger>>);

impl SharedLedger {
    /// A ledger that remembers settled calls within these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        let (calls, bytes) = (limits.settled_calls, limits.settled_bytes);
        Self(Arc::new(Mutex::new(Ledger::new(calls, bytes))))
    }

    /// The size of the answers that are remembered, in bytes.
    pub(crate) fn settled_bytes(&self) -> usize {
        self.lock().settled_bytes()
    }

    /// Drops the answers, but not that there were some.
    pub(crate) fn drop_answers(&self) {
        self.lock().drop_answers(0);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, DispatchLedger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call whose handler runs, or whose answer is on its way.
pub(crate) struct Running {
    /// Where the answer goes.
    address: Mutex<Arc<ToolCall>>,
    pub(super) interest: Interest,
    /// Its key in the ledger.
    key: CallKey,
    record: OnceLock<Arc<DispatchRecord>>,
    settled: Notify,
    pub(super) taken: Taken,
    pub(super) verdict: Verdict,
}

impl Running {
    pub(super) fn new(call: Arc<ToolCall>, key: CallKey) -> Arc<Self> {
        Arc::new(Self {
            address: Mutex::new(call),
            interest: Interest::default(),
            key,
            record: OnceLock::new(),
            settled: Notify::new(),
            taken: Taken::default(),
            verdict: Verdict::default(),
        })
    }

    pub(super) fn key(&self) -> &CallKey {
        &self.key
    }

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

    /// The call was announced again: its answer goes to the newest address. An older announcement that was
    /// read late takes nothing back, and one without an address has none to give.
    pub(super) fn readdress(&self, call: Arc<ToolCall>) {
        let mut address = self.lock();
        if is_newer(&call, &address) {
            *address = call;
        }
    }

    pub(super) fn address(&self) -> Arc<ToolCall> {
        self.lock().clone()
    }

    /// Tells whoever waits. Only the first record counts.
    fn tell(&self, record: Arc<DispatchRecord>) {
        let _ = self.record.set(record);
        self.settled.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ToolCall>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Whether an answer should go where `call` says rather than where `known` says.
pub(crate) fn is_newer(call: &ToolCall, known: &ToolCall) -> bool {
    call.request_id.is_some() && (known.request_id.is_none() || call.generation >= known.generation)
}

/// The claim on a call. It ends with a record in every case: when the serving task goes down with its
/// tokio runtime, nobody waits for ever, and repeats of the call find an answer.
pub(super) struct Claimed {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) running: Arc<Running>,
    pub(super) settled: Option<Arc<dyn Settle>>,
    pub(super) arrival: u64,
    /// What is to be submitted, once it is known.
    pub(super) record: Option<Arc<DispatchRecord>>,
    /// Whether no handler ran for this announcement.
    pub(super) repeat: bool,
    /// The call's span.
    pub(super) span: Span,
}

impl Claimed {
    /// Ends the claim with the record, once its answer was submitted to an address; not when the call was announced
    /// again at another one meanwhile.
    pub(super) fn settle_at(&mut self, address: &Arc<ToolCall>, to: SubmissionRecord) -> bool {
        let dispatcher = self.dispatcher.clone();
        let ledger = dispatcher.ledger.lock();
        if !self.running.address().same_address(address) {
            return false;
        }
        let Some(mut record) = self.record.take() else {
            return true;
        };
        let settled = Arc::make_mut(&mut record);
        settled.call = address.clone();
        let verdict = &self.running.verdict;
        settled.submission = verdict.correct(to, address, &settled.output);
        self.settle(ledger, record);
        true
    }

    /// Ends the claim, or sees to it on a task of its own: this is what became of the answer at the address.
    fn told(mut self, address: Arc<ToolCall>, submission: Submission) {
        let first = match submission {
            Submission::Accepted | Submission::Written => {
                let status = match submission {
                    Submission::Accepted => SubmissionStatus::Accepted,
                    _ => SubmissionStatus::Written,
                };
                let passed_on = SubmissionRecord {
                    attempts: 1,
                    ..SubmissionRecord::unsent(status)
                };
                if self.settle_at(&address, passed_on) {
                    return;
                }
                None
            }
            other => Some((address, other)),
        };
        let tokio = self.settled.as_ref().map(|settled| settled.handle());
        // On a tokio runtime that was shut down, the claim ends at once.
        if let Some(tokio) = tokio.or_else(|| Handle::try_current().ok()) {
            let span = self.span.clone();
            tokio.spawn(deliver(self, first, false).instrument(span));
        }
    }

    /// Ends the claim, under the ledger's lock.
    fn settle(&self, mut ledger: MutexGuard<'_, DispatchLedger>, record: Arc<DispatchRecord>) {
        ledger.settle(&self.running.key, record.clone());
        self.dispatcher.common.counters.settle(&record, self.repeat);
        // Still under the lock: whoever finds nothing running has been told of every record.
        if let Some(settled) = &self.settled {
            settled.settled(&record, !self.repeat);
        }
        drop(ledger);
        self.running.tell(if self.repeat {
            Arc::new(DispatchRecord {
                repeat: true,
                ..DispatchRecord::clone(&record)
            })
        } else {
            record.clone()
        });
        // After everything that must be done: whoever reads spans may panic.
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
        if self.running.record.get().is_none() {
            let call = self.running.address();
            let record = self.record.take();
            let mut record = record.unwrap_or_else(|| Arc::new(broken_off(&call, self.arrival)));
            let unsent = Arc::make_mut(&mut record);
            let verdict = &self.running.verdict;
            unsent.submission = verdict.correct(never_sent(), &call, &unsent.output);
            unsent.call = call;
            self.settle(self.dispatcher.ledger.lock(), record);
        }
    }
}

impl Answering for Running {
    /// Settles the call, or sees to it on a task of its own.
    fn told(&self, submission: Submission) {
        let Some((claimed, address)) = self.taken.take() else {
            return;
        };
        // The last of a session may be dropped here, and with it what is a program's own, which may panic.
        let ended = AssertUnwindSafe(|| claimed.told(address, submission));
        if let Err(panic) = catch_unwind(ended) {
            run::discard(panic);
            tracing::error!(target: "codex_skills::dispatch", "a panic while a call was settled");
        }
    }
}

/// The claim on a call whose answer a runtime took, and where it goes.
#[derive(Default)]
pub(super) struct Taken(Mutex<Option<(Claimed, Arc<ToolCall>)>>);

impl Taken {
    pub(super) fn put(&self, claimed: Claimed, address: Arc<ToolCall>) {
        *self.lock() = Some((claimed, address));
    }

    pub(super) fn take(&self) -> Option<(Claimed, Arc<ToolCall>)> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Claimed, Arc<ToolCall>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record of a call whose task ends before the handler does.
pub(crate) fn broken_off(call: &Arc<ToolCall>, arrival: u64) -> DispatchRecord {
    let text = format!(
        "skill `{}` was cancelled before it answered",
        call.qualified_tool()
    );
    DispatchRecord {
        call: call.clone(),
        output: Arc::new(SkillOutput::failure(text.clone())),
        outcome: Outcome::Cancelled,
        error: Some(text.into()),
        cut: None,
        waited: Duration::ZERO,
        ran: Duration::ZERO,
        submission: never_sent(),
        repeat: false,
        stripped: false,
        arrival,
    }
}

/// The submission of an answer whose task ends before it is sent.
pub(super) fn never_sent() -> SubmissionRecord {
    SubmissionRecord {
        error: Some("its tokio runtime was shut down".into()),
        ..SubmissionRecord::unsent(SubmissionStatus::Exhausted)
    }
}

/// A call that was dispatched, to be waited for or not.
pub(crate) enum Dispatched {
    Running(Arc<Running>),
    Known(Arc<DispatchRecord>),
}

impl Dispatched {
    /// The record, once the call is settled. Cancel safe: the call goes on.
    pub(crate) async fn record(self) -> Arc<DispatchRecord> {
        match self {
            Self::Running(running) => running.record().await,
            Self::Known(record) => record,
        }
    }
}
