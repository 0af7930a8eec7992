//! A runtime that breaks where a test wants it to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use codex_skills::runtime::{
    Accepted, CompletedCall, Created, Deletion, EventSink, NewSession, Receipt, Resumed,
    RuntimeFuture, SendRequest, Submission,
};
use codex_skills::{
    Client, Embedded, Event, Runtime, RuntimeError, RuntimeErrorKind, SkillOutput, ToolCall,
};
use serde_json::{Value, json};

use crate::gate::Gate;

/// An operation of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `create_session`
    Create,
    /// `resume`
    Resume,
    /// `send`
    Send,
    /// `interrupt`
    Interrupt,
    /// `pending_calls`
    Pending,
    /// `answer`
    Answer,
    /// `answer_now`, which hands the receipt back where it has no fault
    AnswerNow,
    /// `detail`
    Detail,
    /// `delete_session`
    Delete,
    /// `detach`, which no fault befalls
    Detach,
}

/// What befalls one operation.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails, and nothing is done.
    Fail(RuntimeErrorKind),
    /// It is done, and the answer gets lost.
    Lose,
    /// It waits at the gate before anything is done.
    HoldBefore(Gate),
    /// It is done, and its answer waits at the gate.
    HoldAfter(Gate),
    /// It panics.
    Panic,
    /// An answer is taken, and its receipt kept for the test.
    Keep,
    /// An answer of a call is not passed on, and this is said of it.
    Say(Submission),
    /// A deletion is not passed on, and this is its status.
    Status(&'static str),
}

/// The embedded runtime, with faults.
///
/// A fault befalls one operation; those that are set for the same operation befall it one after the other.
pub struct Faulty {
    inner: Client<Embedded>,
    faults: Mutex<HashMap<Operation, VecDeque<Fault>>>,
    broken: Mutex<HashSet<Operation>>,
    seen: Mutex<Seen>,
    taps: Mutex<HashMap<Arc<str>, Arc<Tap>>>,
    rewrite: Arc<Rewrite>,
    answer_limit: Option<usize>,
}

type Rewrite = dyn Fn(Event) -> Vec<Event> + Send + Sync;

#[derive(Default)]
struct Seen {
    created: Vec<NewSession>,
    sent: Vec<SendRequest>,
    answers: Vec<(Arc<ToolCall>, Arc<SkillOutput>)>,
    receipts: Vec<Receipt>,
    operations: Vec<Operation>,
}

impl Faulty {
    /// A client of this embedded runtime, which has faults from now on.
    #[must_use]
    pub fn client(inner: Client<Embedded>) -> Client<Self> {
        Self::rewriting(inner, |event| vec![event])
    }

    /// The same, and each event is replaced by what `rewrite` makes of it.
    pub fn rewriting(
        inner: Client<Embedded>,
        rewrite: impl Fn(Event) -> Vec<Event> + Send + Sync + 'static,
    ) -> Client<Self> {
        Client::new(Self::new(inner, rewrite))
    }

    /// A runtime that takes answers up to a number of bytes.
    #[must_use]
    pub fn limited(inner: Client<Embedded>, answer_limit: usize) -> Client<Self> {
        let mut faulty = Self::new(inner, |event| vec![event]);
        faulty.answer_limit = Some(answer_limit);
        Client::new(faulty)
    }

    fn new(
        inner: Client<Embedded>,
        rewrite: impl Fn(Event) -> Vec<Event> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
            broken: Mutex::default(),
            seen: Mutex::default(),
            taps: Mutex::default(),
            rewrite: Arc::new(rewrite),
            answer_limit: None,
        }
    }

    /// The runtime below.
    #[must_use]
    pub fn embedded(&self) -> &Embedded {
        self.inner.runtime()
    }

    /// Sets a fault for the next operation that has none.
    pub fn fault(&self, operation: Operation, fault: Fault) {
        lock(&self.faults)
            .entry(operation)
            .or_default()
            .push_back(fault);
    }

    /// Has every operation of a kind that has no other fault fail from now on, as one that cannot be reached; or no
    /// more.
    pub fn set_broken(&self, operation: Operation, broken: bool) {
        let mut all = lock(&self.broken);
        if broken {
            all.insert(operation);
        } else {
            all.remove(&operation);
        }
    }

    /// Announces something in a session.
    pub fn announce(&self, session_id: &str, event: Event) {
        if let Some(sink) = self.listener(session_id) {
            sink.deliver(event);
        }
    }

    /// Says that an answer of a call was taken, and not which.
    pub fn resolve(&self, session_id: &str, call: &Arc<ToolCall>) {
        if let Some(sink) = self.listener(session_id) {
            sink.call_resolved(call);
        }
    }

    /// Says which answer of a call was taken.
    pub fn complete(&self, session_id: &str, completed: &CompletedCall) {
        if let Some(sink) = self.listener(session_id) {
            sink.call_completed(completed);
        }
    }

    fn listener(&self, session_id: &str) -> Option<Arc<dyn EventSink>> {
        let tap = lock(&self.taps).get(session_id).cloned();
        tap.and_then(|tap| tap.outer.upgrade())
    }

    /// The sessions that were asked for.
    #[must_use]
    pub fn created(&self) -> Vec<NewSession> {
        lock(&self.seen).created.clone()
    }

    /// The requests that were sent.
    #[must_use]
    pub fn sent(&self) -> Vec<SendRequest> {
        lock(&self.seen).sent.clone()
    }

    /// Every attempt to answer a call.
    #[must_use]
    pub fn answers(&self) -> Vec<(Arc<ToolCall>, Arc<SkillOutput>)> {
        lock(&self.seen).answers.clone()
    }

    /// The receipts of the answers that were taken since this was asked last.
    #[must_use]
    pub fn receipts(&self) -> Vec<Receipt> {
        std::mem::take(&mut lock(&self.seen).receipts)
    }

    /// How often an operation was begun.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        let seen = lock(&self.seen);
        seen.operations.iter().filter(|o| **o == operation).count()
    }

    /// Notes the operation and returns its fault.
    fn begin(&self, operation: Operation) -> Option<Fault> {
        lock(&self.seen).operations.push(operation);
        let fault = lock(&self.faults)
            .get_mut(&operation)
            .and_then(VecDeque::pop_front);
        let is_broken = lock(&self.broken).contains(&operation);
        fault.or(is_broken.then_some(Fault::Fail(RuntimeErrorKind::Unavailable)))
    }

    fn with_fault<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        inner: RuntimeFuture<'a, T>,
        instead: impl FnOnce(Fault) -> Option<T> + Send + 'a,
    ) -> RuntimeFuture<'a, T> {
        let fault = self.begin(operation);
        Box::pin(async move {
            match fault {
                None => inner.await,
                Some(Fault::Fail(kind)) => Err(broken(kind)),
                Some(Fault::Lose) => {
                    inner.await?;
                    Err(broken(RuntimeErrorKind::Unavailable))
                }
                Some(Fault::HoldBefore(gate)) => {
                    gate.enter().await;
                    inner.await
                }
                Some(Fault::HoldAfter(gate)) => {
                    let done = inner.await;
                    gate.enter().await;
                    done
                }
                #[allow(clippy::panic, reason = "a runtime that panics is what is tested")]
                Some(Fault::Panic) => panic!("the runtime panics"),
                Some(fault) => instead(fault).ok_or_else(|| broken(RuntimeErrorKind::Refused)),
            }
        })
    }
}

fn broken(kind: RuntimeErrorKind) -> RuntimeError {
    RuntimeError::new("the faulty runtime", "do it", kind, "it is broken")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime for Faulty {
    fn name(&self) -> &'static str {
        "the faulty runtime"
    }

    fn create_session(&self, request: NewSession) -> RuntimeFuture<'_, Created> {
        lock(&self.seen).created.push(request.clone());
        let inner = self.embedded().create_session(request);
        self.with_fault(Operation::Create, inner, |_| None)
    }

    fn subscribe(&self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        let tap = Arc::new(Tap {
            outer: events,
            rewrite: self.rewrite.clone(),
        });
        let sink: Arc<dyn EventSink> = tap.clone();
        lock(&self.taps).insert(session_id.clone(), tap);
        self.embedded().subscribe(session_id, Arc::downgrade(&sink));
    }

    fn resume(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Resumed> {
        let inner = self.embedded().resume(session_id);
        self.with_fault(Operation::Resume, inner, |_| None)
    }

    fn send(&self, session_id: Arc<str>, request: SendRequest) -> RuntimeFuture<'_, Accepted> {
        lock(&self.seen).sent.push(request.clone());
        let inner = self.embedded().send(session_id, request);
        self.with_fault(Operation::Send, inner, |_| None)
    }

    fn interrupt(&self, session_id: Arc<str>, turn_id: Option<Arc<str>>) -> RuntimeFuture<'_, ()> {
        let inner = self.embedded().interrupt(session_id, turn_id);
        self.with_fault(Operation::Interrupt, inner, |_| None)
    }

    fn pending_calls(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Vec<ToolCall>> {
        let inner = self.embedded().pending_calls(session_id);
        self.with_fault(Operation::Pending, inner, |_| None)
    }

    fn answer_now(
        &self,
        call: &Arc<ToolCall>,
        output: &Arc<SkillOutput>,
        receipt: Receipt,
    ) -> Result<(), Receipt> {
        match self.begin(Operation::AnswerNow) {
            Some(Fault::Keep) => {
                let mut seen = lock(&self.seen);
                seen.answers.push((call.clone(), output.clone()));
                seen.receipts.push(receipt);
                Ok(())
            }
            #[allow(clippy::panic, reason = "a runtime that panics is what is tested")]
            Some(Fault::Panic) => panic!("the runtime panics"),
            _ => Err(receipt),
        }
    }

    fn answer(
        &self,
        call: Arc<ToolCall>,
        output: Arc<SkillOutput>,
    ) -> RuntimeFuture<'_, Submission> {
        lock(&self.seen)
            .answers
            .push((call.clone(), output.clone()));
        let inner = self.embedded().answer(call, output);
        self.with_fault(Operation::Answer, inner, |fault| match fault {
            Fault::Say(submission) => Some(submission),
            _ => None,
        })
    }

    fn detail(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Value> {
        let inner = self.embedded().detail(session_id);
        self.with_fault(Operation::Detail, inner, |_| None)
    }

    fn delete_session(&self, session_id: Arc<str>) -> RuntimeFuture<'_, Deletion> {
        let inner = self.embedded().delete_session(session_id);
        self.with_fault(Operation::Delete, inner, |fault| match fault {
            Fault::Status(status) => Some(Deletion::new(status, json!({"status": status}))),
            _ => None,
        })
    }

    fn detach(&self, _tokio: tokio::runtime::Id) {
        self.begin(Operation::Detach);
    }

    fn answer_limit(&self) -> Option<usize> {
        self.answer_limit
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").finish_non_exhaustive()
    }
}

/// Between the runtime and a session.
struct Tap {
    outer: Weak<dyn EventSink>,
    rewrite: Arc<Rewrite>,
}

impl EventSink for Tap {
    fn deliver(&self, event: Event) {
        let Some(sink) = self.outer.upgrade() else {
            return;
        };
        for event in (self.rewrite)(event) {
            sink.deliver(event);
        }
    }
}
