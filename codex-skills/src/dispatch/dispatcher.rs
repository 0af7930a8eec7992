//! The dispatcher of one session: it gives each announced call one run and one answer.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::ledger::{Claim, Ledger};
use super::limits::Limits;
use super::record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
use super::run::{self, Bounds, Finished};
use super::submit;
use crate::catalog::Catalog;
use crate::runtime::Runtime;
use crate::skill::call::CallKey;
use crate::skill::{SkillContext, SkillOutput, ToolCall};

/// How a call became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// By an event, which may be a repeat of one that was served.
    Event,
    /// By the runtime's list of calls that wait, so its answer has not arrived.
    Waiting,
}

/// Who is told about settled calls, under the ledger's lock: must not come back to the dispatcher.
pub(crate) type Settled = dyn Fn(&Arc<DispatchRecord>) + Send + Sync;

/// Runs the calls of one session.
pub(crate) struct Dispatcher {
    catalog: Catalog,
    runtime: Arc<dyn Runtime>,
    limits: Limits,
    bounds: Bounds,
    ledger: SharedLedger,
    /// How many calls arrived.
    arrivals: AtomicU64,
    cancellation: CancellationToken,
}

type DispatchLedger = Ledger<Arc<Running>, Arc<DispatchRecord>>;

/// The ledger of a session: it outlives the handles on the session, and whoever opens the session again
/// goes on with it.
#[derive(Clone)]
pub(crate) struct SharedLedger(Arc<Mutex<DispatchLedger>>);

impl SharedLedger {
    /// A ledger that remembers so many settled calls.
    pub(crate) fn new(settled_calls: usize) -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(settled_calls))))
    }
}

/// A call whose handler runs.
pub(crate) struct Running {
    /// The newest announcement: the answer goes to its address.
    address: Mutex<Arc<ToolCall>>,
    cancellation: CancellationToken,
    record: OnceLock<Arc<DispatchRecord>>,
    settled: Notify,
}

impl Running {
    fn new(call: Arc<ToolCall>, cancellation: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            address: Mutex::new(call),
            cancellation,
            record: OnceLock::new(),
            settled: Notify::new(),
        })
    }

    /// Waits for the answer. Cancel safe.
    async fn record(&self) -> Arc<DispatchRecord> {
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

    /// Tells whoever waits. Only the first record counts.
    fn tell(&self, record: Arc<DispatchRecord>) {
        let _ = self.record.set(record);
        self.settled.notify_waiters();
    }

    fn address(&self) -> MutexGuard<'_, Arc<ToolCall>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claim on a call. It ends with a record in every case: when the serving task goes down with its
/// tokio runtime, nobody waits for ever, and repeats of the call find an answer.
struct Claimed {
    dispatcher: Arc<Dispatcher>,
    running: Arc<Running>,
    settled: Arc<Settled>,
    key: CallKey,
    /// As it would be if the task ended here.
    record: DispatchRecord,
}

impl Claimed {
    fn settle(&self, mut ledger: MutexGuard<'_, DispatchLedger>) -> Arc<DispatchRecord> {
        let record = Arc::new(self.record.clone());
        ledger.settle(&self.key, record.clone());
        // Still under the lock: whoever finds nothing running has been told of every record.
        (self.settled)(&record);
        drop(ledger);
        self.running.tell(record.clone());
        record
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.running.record.get().is_none() {
            let dispatcher = self.dispatcher.clone();
            let ledger = dispatcher.ledger();
            self.record.call = self.running.address().clone();
            self.settle(ledger);
        }
    }
}

/// The record of a call whose task ends before the handler does.
fn broken_off(call: &Arc<ToolCall>, arrival: u64) -> DispatchRecord {
    let text = format!("skill `{}` was cancelled before it answered", call.tool);
    DispatchRecord {
        call: call.clone(),
        output: Arc::new(SkillOutput::failure(text.clone())),
        outcome: Outcome::Cancelled,
        error: Some(text),
        waited: Duration::ZERO,
        ran: Duration::ZERO,
        submission: never_sent(),
        repeat: false,
        arrival,
    }
}

fn never_sent() -> SubmissionRecord {
    SubmissionRecord {
        error: Some("its tokio runtime was shut down".to_owned()),
        ..SubmissionRecord::unsent(SubmissionStatus::Exhausted)
    }
}

/// Tells of one record when it is dropped before another was told.
struct Telling {
    running: Arc<Running>,
    otherwise: Arc<DispatchRecord>,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.running.tell(self.otherwise.clone());
    }
}

/// A call that was dispatched, to be waited for or not.
pub(crate) enum Dispatched {
    Running(Arc<Running>),
    Repeat(Arc<DispatchRecord>),
}

impl Dispatched {
    /// The record, once the call is settled. Cancel safe: the call goes on.
    pub(crate) async fn record(self) -> Arc<DispatchRecord> {
        match self {
            Self::Running(running) => running.record().await,
            Self::Repeat(record) => record,
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(
        catalog: Catalog,
        runtime: Arc<dyn Runtime>,
        limits: Limits,
        ledger: SharedLedger,
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
            },
            ledger,
            arrivals: AtomicU64::new(0),
            cancellation: CancellationToken::new(),
            limits,
        }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A cancellation that fires with the session's.
    pub(crate) fn cancellation(&self) -> CancellationToken {
        self.cancellation.child_token()
    }

    /// Sees to it that a call is answered, on a task of its own; returns at once. Must be called
    /// within a tokio runtime.
    pub(crate) fn dispatch(
        self: &Arc<Self>,
        call: Arc<ToolCall>,
        announced: Announced,
        settled: Arc<Settled>,
    ) -> Dispatched {
        let running = Running::new(call.clone(), self.cancellation.child_token());
        let mut ledger = self.ledger();
        let overloaded = ledger.running_len() >= self.limits.open_calls.max(1);
        match ledger.claim(&call.key(), running.clone()) {
            Claim::Join(running) => {
                // Under the ledger's lock, so that the call cannot be settled in between.
                *running.address() = call;
                Dispatched::Running(running)
            }
            Claim::Repeat(record) => {
                drop(ledger);
                self.repeat(&record, call, announced)
            }
            Claim::Run => {
                drop(ledger);
                let span = tracing::debug_span!(
                    target: "codex_skills::dispatch",
                    "call",
                    tool = &*call.tool,
                    session = &*call.session_id,
                    turn = call.turn_id.as_deref(),
                    call = call.call_id.as_deref(),
                );
                // Made here and not on the task, which may go down before it begins.
                let claimed = Claimed {
                    dispatcher: self.clone(),
                    running: running.clone(),
                    settled,
                    key: call.key(),
                    record: broken_off(&call, self.arrivals.fetch_add(1, Ordering::Relaxed)),
                };
                let serve = self.clone().serve(call, claimed, overloaded);
                tokio::spawn(serve.instrument(span));
                Dispatched::Running(running)
            }
        }
    }

    /// Runs, submits and settles one claimed call.
    async fn serve(self: Arc<Self>, call: Arc<ToolCall>, mut claimed: Claimed, overloaded: bool) {
        let running = claimed.running.clone();
        let finished = if overloaded {
            Finished::without_run(
                Outcome::Overloaded,
                format!(
                    "skill `{}` was not run: {} calls are open already, try again later",
                    call.tool, self.limits.open_calls
                ),
            )
        } else {
            // What a handler's destructor throws must not cost the answer either.
            AssertUnwindSafe(self.run(call.clone(), running.cancellation.clone()))
                .catch_unwind()
                .await
                .unwrap_or_else(|panic| {
                    run::discard(panic);
                    Finished::without_run(
                        Outcome::Panicked,
                        format!("skill `{}` failed: internal error", call.tool),
                    )
                })
        };
        claimed.record = DispatchRecord {
            output: Arc::new(finished.output),
            outcome: finished.outcome,
            error: finished.error,
            waited: finished.waited,
            ran: finished.ran,
            ..claimed.record.clone()
        };
        let record = loop {
            let address = running.address().clone();
            let submission = self.submit(&address, &claimed.record.output).await;
            let ledger = self.ledger();
            if !running.address().same_address(&address) {
                // Announced again at another address meanwhile: the answer goes there too.
                continue;
            }
            claimed.record.call = address;
            claimed.record.submission = submission;
            break claimed.settle(ledger);
        };
        tracing::debug!(
            target: "codex_skills::dispatch",
            outcome = %record.outcome,
            waited = ?record.waited,
            ran = ?record.ran,
            submission = ?record.submission.status,
            "call answered"
        );
    }

    /// Runs the handler of a call, without ledger and submission.
    pub(crate) async fn run(
        &self,
        call: Arc<ToolCall>,
        cancellation: CancellationToken,
    ) -> Finished {
        let known = call
            .namespace
            .as_deref()
            .is_none_or(str::is_empty)
            .then(|| self.catalog.find(&call.tool))
            .flatten();
        let Some(skill) = known else {
            return Finished::without_run(Outcome::UnknownTool, self.unknown(&call));
        };
        let context = SkillContext {
            call,
            cancellation,
            deadline: None,
        };
        run::run(&self.catalog, skill, context, &self.bounds).await
    }

    async fn submit(&self, call: &Arc<ToolCall>, output: &Arc<SkillOutput>) -> SubmissionRecord {
        let submission = submit::submit(&*self.runtime, call, output, &self.limits.submission);
        // A runtime that panics costs an answer, not the call's settlement.
        AssertUnwindSafe(submission)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                run::discard(panic);
                SubmissionRecord {
                    error: Some("the runtime panicked".to_owned()),
                    ..SubmissionRecord::unsent(SubmissionStatus::Refused)
                }
            })
    }

    fn unknown(&self, call: &ToolCall) -> String {
        let tool: String = call.tool.chars().take(128).collect();
        let tool = match call.namespace.as_deref() {
            Some(namespace) if !namespace.is_empty() => format!("{namespace}.{tool}"),
            _ => tool,
        };
        let names: Vec<&str> = self.catalog.list().into_iter().take(50).collect();
        if names.is_empty() {
            format!("no remote skill registered for `{tool}`: this session has no skills")
        } else {
            format!(
                "no remote skill registered for `{tool}`; there are `{}`",
                names.join("`, `")
            )
        }
    }

    /// Answers a call that was answered before.
    fn repeat(
        self: &Arc<Self>,
        record: &Arc<DispatchRecord>,
        call: Arc<ToolCall>,
        announced: Announced,
    ) -> Dispatched {
        let delivered = record.submission.status == SubmissionStatus::Accepted
            || record.submission.status == SubmissionStatus::Settled;
        if delivered && announced == Announced::Event && call.same_address(&record.call) {
            return Dispatched::Repeat(Arc::new(DispatchRecord {
                submission: SubmissionRecord::unsent(SubmissionStatus::Repeated),
                repeat: true,
                ..DispatchRecord::clone(record)
            }));
        }
        let running = Running::new(call.clone(), self.cancellation.child_token());
        let telling = Telling {
            running: running.clone(),
            otherwise: Arc::new(DispatchRecord {
                call: call.clone(),
                submission: never_sent(),
                repeat: true,
                ..DispatchRecord::clone(record)
            }),
        };
        let dispatcher = self.clone();
        let stored = record.clone();
        tokio::spawn(async move {
            let submission = dispatcher.submit(&call, &stored.output).await;
            let again = Arc::new(DispatchRecord {
                call,
                submission,
                repeat: true,
                ..DispatchRecord::clone(&stored)
            });
            // The next repeat is judged by the newest address.
            dispatcher
                .ledger()
                .settle(&stored.call.key(), again.clone());
            telling.running.tell(again);
        });
        Dispatched::Running(running)
    }

    /// Cancels the calls of a turn.
    pub(crate) fn cancel_turn(&self, turn_id: &str) {
        for (key, running) in self.ledger().running() {
            if key.turn_id.as_deref() == Some(turn_id) {
                running.cancellation.cancel();
            }
        }
    }

    /// Cancels one call that needs no answer any more.
    pub(crate) fn cancel_call(&self, call: &ToolCall) {
        let expired = call.key();
        for (key, running) in self.ledger().running() {
            if *key == expired {
                running.cancellation.cancel();
            }
        }
    }

    /// Cancels everything, now and later.
    pub(crate) fn cancel_all(&self) -> usize {
        self.cancellation.cancel();
        self.ledger().running_len()
    }

    /// Waits until no call of the turn (of the whole session without one) is unsettled. Cancel safe.
    pub(crate) async fn settled(&self, turn_id: Option<&str>) {
        loop {
            let open: Vec<Arc<Running>> = self
                .ledger()
                .running()
                .filter(|(key, _)| turn_id.is_none_or(|turn| key.turn_id.as_deref() == Some(turn)))
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

    fn ledger(&self) -> MutexGuard<'_, DispatchLedger> {
        self.ledger.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("catalog", &self.catalog)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}
