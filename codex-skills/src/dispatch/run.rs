//! Running one handler: decode, wait for a place, keep the deadline, catch what it throws.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::record::Outcome;
use super::shown::{Cut, Shown, is_in_code_mode};
use super::threads;
use crate::catalog::{Catalog, CatalogSkill, Run, RunBlocking};
use crate::skill::context::{Interested, Invocation, StateMap};
use crate::skill::descriptor::{Answer, HandlerFuture};
use crate::skill::output::{CODE_MODE_WAITS, FailureKind};
use crate::skill::schema::check::Checked;
use crate::skill::{SkillContext, SkillFailure, SkillOutput, ToolCall};

/// The longest error text that the model is shown, in bytes.
const EXPLANATION_BYTES: usize = 8 * 1024;

/// An answer before it is sent.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) output: SkillOutput,
    pub(crate) outcome: Outcome,
    /// What a developer should know and the model need not.
    pub(crate) error: Option<String>,
    /// Where the model is shown a part of the output.
    pub(crate) cut: Option<Cut>,
    /// Where the answer is not what the skill's written `output_schema` says.
    pub(crate) unfit: Option<String>,
    pub(crate) waited: Duration,
    pub(crate) ran: Duration,
}

impl Finished {
    /// An answer that no handler was needed for.
    pub(crate) fn without_run(outcome: Outcome, text: String) -> Self {
        Self {
            error: Some(text.clone()),
            output: SkillOutput::failure(text),
            outcome,
            cut: None,
            unfit: None,
            waited: Duration::ZERO,
            ran: Duration::ZERO,
        }
    }
}

impl Finished {
    /// The same run with an answer that was too large replaced by one that says so.
    pub(crate) fn too_large(self, text: String) -> Self {
        Self {
            output: SkillOutput::failure(text.clone()),
            outcome: Outcome::TooLarge,
            error: Some(text),
            cut: None,
            unfit: None,
            ..self
        }
    }
}

/// What a handler is run with.
pub(crate) struct Bounds {
    /// Places for handlers that run at the same time.
    pub(crate) slots: Arc<Semaphore>,
    /// The deadline of skills that have none of their own.
    pub(crate) timeout: Duration,
    /// The largest answer in bytes of JSON.
    pub(crate) output_bytes: usize,
    /// Synchronous handlers that run at the moment.
    pub(crate) synchronous: Arc<AtomicUsize>,
    /// How much of an answer the model is shown.
    pub(crate) shown: Shown,
    /// Whether an answer must be shown whole.
    pub(crate) whole_answers: bool,
    /// The largest arguments in bytes of JSON.
    pub(crate) argument_bytes: usize,
}

/// Arguments of more bytes than these are checked and decoded on threads for blocking code.
const LONG_ARGUMENTS: usize = 16 * 1024;

/// Runs the handler of a call. Always answers; never panics on what the handler does.
pub(crate) async fn run(
    catalog: &Catalog,
    skill: &CatalogSkill,
    call: Arc<ToolCall>,
    interested: Arc<dyn Interested>,
    bounds: &Bounds,
    turn: Option<Turn>,
) -> Finished {
    let mut job = Job::new(skill, bounds, interested, &|| true);
    let begun = job.begin(catalog, call, turn);
    let ended = job.end(begun).await;
    job.finish(ended)
}

/// How a call's work ends.
pub(super) enum Ended {
    Answered(Answer),
    Panicked(String),
    Cancelled,
    TimedOut,
    /// The time was over before the arguments were checked.
    Unchecked,
    /// There was no room for another answer when its turn came.
    Crowded,
}

impl From<std::thread::Result<Answer>> for Ended {
    fn from(answer: std::thread::Result<Answer>) -> Self {
        match answer {
            Ok(answer) => Self::Answered(answer),
            Err(panic) => Self::Panicked(panic_message(panic)),
        }
    }
}

/// A place to run in. A synchronous handler keeps it until it returns, and an asynchronous one until its step on a thread
/// for blocking code is over, even when its answer is no longer wanted: so handlers that ignore their cancellation stay
/// bounded too.
struct Place {
    _turn: Option<OwnedMutexGuard<()>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// A place that is free right now.
    fn at_once(bounds: &Bounds) -> Option<Self> {
        let slot = bounds.slots.clone().try_acquire_owned().ok()?;
        Some(Self {
            _turn: None,
            _slot: Some(slot),
        })
    }

    /// Waits for the turn, and then for a place.
    async fn in_turn(bounds: &Bounds, turn: Option<Turn>) -> Self {
        Self {
            _turn: match turn {
                Some(turn) => Some(turn.await),
                None => None,
            },
            // The semaphore is never closed.
            _slot: bounds.slots.clone().acquire_owned().await.ok(),
        }
    }
}

/// The run of one call's handler, in three steps: only the second may wait.
pub(super) struct Job<'a> {
    skill: &'a CatalogSkill,
    bounds: &'a Bounds,
    interested: Arc<dyn Interested>,
    /// Whether there is room for an answer, asked when a call that waited has a place.
    has_room: &'a (dyn Fn() -> bool + Send + Sync),
    arrived: Instant,
    began: Option<Instant>,
    in_code_mode: bool,
}

/// What is left of a job after its first step.
pub(super) enum Begun {
    Started(Started),
    /// For its turn, or for a place.
    Waits(Option<Turn>, Invocation),
    /// For the check of its long arguments.
    Unchecked(Option<Turn>, Arc<ToolCall>, Arc<StateMap>),
}

impl<'a> Job<'a> {
    pub(super) fn new(
        skill: &'a CatalogSkill,
        bounds: &'a Bounds,
        interested: Arc<dyn Interested>,
        has_room: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Self {
        Self {
            skill,
            bounds,
            interested,
            has_room,
            arrived: Instant::now(),
            began: None,
            in_code_mode: false,
        }
    }

    fn timeout(&self) -> Duration {
        self.skill.timeout().unwrap_or(self.bounds.timeout)
    }

    fn deadline(&self) -> Option<Instant> {
        self.arrived.checked_add(self.timeout())
    }

    /// Checks the arguments, and starts the handler where it need not wait.
    pub(super) fn begin(
        &mut self,
        catalog: &Catalog,
        call: Arc<ToolCall>,
        turn: Option<Turn>,
    ) -> Begun {
        self.in_code_mode = is_in_code_mode(&call);
        let length = call.arguments.get().len();
        if length > self.bounds.argument_bytes {
            let limit = self.bounds.argument_bytes;
            return refused(format!(
                "they take {length} bytes, over the limit of {limit} bytes (`argument_bytes`); write less"
            ));
        }
        let state = catalog.state().clone();
        let input = self.skill.input();
        if length > LONG_ARGUMENTS && !input.is_enforced() {
            return Begun::Unchecked(turn, call, state);
        }
        let check = AssertUnwindSafe(|| input.check_before(&call));
        match catch_unwind(check) {
            Ok(Ok(checked)) => self.admit(self.invocation(call, state, checked), turn),
            Ok(Err(wrong)) => refused(wrong),
            Err(panic) => Begun::Started(Started::Over(Err(panic).into())),
        }
    }

    fn invocation(
        &self,
        call: Arc<ToolCall>,
        state: Arc<StateMap>,
        checked: Checked,
    ) -> Invocation {
        let context = SkillContext {
            call,
            interested: self.interested.clone(),
            deadline: self.deadline(),
        };
        Invocation {
            context,
            state,
            checked,
        }
    }

    /// Starts the handler where it need not wait.
    fn admit(&mut self, invocation: Invocation, turn: Option<Turn>) -> Begun {
        if turn.is_none()
            && let Some(place) = Place::at_once(self.bounds)
        {
            return Begun::Started(self.start(invocation, place, self.arrived));
        }
        Begun::Waits(turn, invocation)
    }

    /// Checks long arguments where nothing waits for a thread.
    async fn check(
        &mut self,
        turn: Option<Turn>,
        call: Arc<ToolCall>,
        state: Arc<StateMap>,
    ) -> Begun {
        let (input, unchecked) = (self.skill.input().clone(), call.clone());
        let checking = AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
            catch_unwind(AssertUnwindSafe(|| input.check(&unchecked)))
        }));
        match self.in_time(checking).await {
            Ok(Ok(Ok(Ok(checked)))) => self.admit(self.invocation(call, state, checked), turn),
            Ok(Ok(Ok(Err(wrong)))) => refused(wrong),
            Ok(Ok(Err(panic))) => Begun::Started(Started::Over(Err(panic).into())),
            Ok(Err(error)) => Begun::Started(Started::Over(Ended::Panicked(error.to_string()))),
            Err(Ended::TimedOut) => Begun::Started(Started::Over(Ended::Unchecked)),
            Err(ended) => Begun::Started(Started::Over(ended)),
        }
    }

    fn start(&mut self, invocation: Invocation, place: Place, now: Instant) -> Started {
        // What takes a call's time or cancels it also frees permits: this one is no longer wanted.
        if self.interested.interest().is_cancelled() {
            return Started::Over(Ended::Cancelled);
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Started::Over(Ended::TimedOut);
        }
        self.began = Some(now);
        let run = self.skill.run();
        let started = catch_unwind(AssertUnwindSafe(|| {
            start(run, invocation, place, &self.bounds.synchronous)
        }));
        started.unwrap_or_else(|panic| Started::Over(Err(panic).into()))
    }

    /// Waits for the handler, as long as its answer is wanted. Cancel safe: the handler is aborted.
    pub(super) async fn end(&mut self, begun: Begun) -> Ended {
        let begun = match begun {
            // Seldom, so with a future of its own.
            Begun::Unchecked(turn, call, state) => Box::pin(self.check(turn, call, state)).await,
            begun => begun,
        };
        let started = match begun {
            Begun::Started(started) => started,
            // There is none after the check.
            Begun::Unchecked(..) => Started::Over(Ended::TimedOut),
            // Seldom, so with a future of its own.
            Begun::Waits(turn, invocation) => {
                let place = Box::pin(self.in_time(Place::in_turn(self.bounds, turn))).await;
                match place {
                    // The answers of those before it may wait for a peer that does not read.
                    Ok(_) if !(self.has_room)() => return Ended::Crowded,
                    Ok(place) => self.start(invocation, place, Instant::now()),
                    Err(ended) => return ended,
                }
            }
        };
        match started {
            Started::Over(ended) => ended,
            Started::Running(running, claim) => match self.in_time(running).await {
                Ok(Ok(answer)) => answer.into(),
                Ok(Err(error)) => Ended::Panicked(error.to_string()),
                Err(ended) => self.given_up(claim.as_ref(), ended),
            },
            Started::OnThread(running, claim) => match self.in_time(running).await {
                Ok(Ok(answer)) => answer.into(),
                Ok(Err(_)) => Ended::Panicked("no thread ran it to its end".to_owned()),
                Err(ended) => self.given_up(Some(&claim), ended),
            },
        }
    }

    /// Notes where a handler was given up before a thread was free for it: it did not begin.
    fn given_up(&mut self, claim: Option<&Claim>, ended: Ended) -> Ended {
        if claim.is_some_and(Claim::take) {
            self.began = None;
        }
        ended
    }

    /// What comes of the work, unless the call is cancelled or its time is over before.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let cancelled = self.interested.interest().cancelled();
        let expiry = async {
            match self.deadline() {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            worked = work => Ok(worked),
            () = cancelled => Err(Ended::Cancelled),
            () = expiry => Err(Ended::TimedOut),
        }
    }

    /// What the run comes to.
    pub(super) fn finish(self, ended: Ended) -> Finished {
        self.interested.interest().end();
        let now = Instant::now();
        let (waited, ran) = match self.began {
            Some(began) => (began - self.arrived, now - began),
            None => (now - self.arrived, Duration::ZERO),
        };
        let name = self.skill.qualified_name();
        let (output, outcome, error) = conclude(name, ended, self.timeout(), self.began.is_some());
        let finished = Finished {
            output,
            outcome,
            error,
            cut: None,
            unfit: None,
            waited,
            ran,
        };
        self.warn_if_slow(waited + ran);
        let unfit = self.unfit(&finished);
        let limited = limited(name, finished, self.bounds.output_bytes);
        Finished {
            unfit,
            ..self.seen(limited)
        }
    }

    /// Where an answer is not what the skill's written `output_schema` says: it is warned about once a catalog, since the
    /// work is done, and the model can read the answer all the same. The log says nothing of the answer, which may be secret.
    fn unfit(&self, finished: &Finished) -> Option<String> {
        let output = self
            .skill
            .output()
            .filter(|_| finished.outcome == Outcome::Completed)?;
        let unfit = output.check(&finished.output)?;
        if output.is_first_warning() {
            tracing::warn!(
                target: "codex_skills::dispatch",
                skill = self.skill.qualified_name(),
                "an answer is not what the skill's `output_schema` says: mend one of them; `Catalog::call` tells where"
            );
        }
        Some(unfit)
    }

    /// The same with what the model is not shown of it, or a failure where that must be nothing.
    fn seen(&self, mut finished: Finished) -> Finished {
        let name = self.skill.qualified_name();
        let shown = self.bounds.shown.bytes(self.in_code_mode);
        let Some(cut) = Cut::of(&finished.output, shown) else {
            return finished;
        };
        let must_be_whole = self.bounds.whole_answers || self.skill.needs_whole_answer();
        if must_be_whole && finished.outcome == Outcome::Completed {
            return finished.too_large(format!(
                "skill `{name}` failed: only {shown} of the {} bytes of its answer could be shown to you; ask for less \
                 of it",
                cut.sent
            ));
        }
        tracing::warn!(
            target: "codex_skills::dispatch",
            skill = name, sent = cut.sent, shown = cut.shown,
            "the model is shown a part of an answer: answer less, raise codex's `tool_output_token_limit`, or make \
             it a failure with `whole_answer`"
        );
        finished.cut = Some(cut);
        finished
    }

    /// Warns about a call that a program in code mode may have stopped waiting for.
    fn warn_if_slow(&self, took: Duration) {
        if self.in_code_mode && took > CODE_MODE_WAITS {
            tracing::warn!(
                target: "codex_skills::dispatch",
                skill = self.skill.qualified_name(), took_ms = took.as_millis(),
                "a call took longer than a program waits in code mode: have the skill start the work and answer an \
                 id, and another one tell how far it is"
            );
        }
    }
}

impl Drop for Job<'_> {
    /// However it ends: work that the handler started elsewhere learns that the answer is no longer wanted.
    fn drop(&mut self) {
        self.interested.interest().end();
    }
}

/// A handler that was started.
pub(super) enum Started {
    Over(Ended),
    /// On a task of its own, which is aborted when it is not waited for any more.
    Running(
        AbortOnDropHandle<std::thread::Result<Answer>>,
        Option<Claim>,
    ),
    /// On a thread, or waiting for one: it is not begun when it is not waited for any more.
    OnThread(oneshot::Receiver<std::thread::Result<Answer>>, Claim),
}

/// Work that waits for a thread: either the thread takes it on, or the one who waits gives it up.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Whether the other side has not come before.
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// What comes of work that was given up before it began; nothing waits for it.
fn not_begun() -> Answer {
    Err(SkillFailure::handler("the call was given up before"))
}

/// A synchronous handler that runs, and is counted.
struct Synchronous(Arc<AtomicUsize>);

impl Synchronous {
    fn begin(running: Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Synchronous {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call whose arguments are not taken.
fn refused(wrong: String) -> Begun {
    let failure = SkillFailure::arguments(wrong);
    Begun::Started(Started::Over(Ended::Answered(Err(failure))))
}

fn start(run: &Run, invocation: Invocation, place: Place, running: &Arc<AtomicUsize>) -> Started {
    let is_long = invocation.arguments().get().len() > LONG_ARGUMENTS;
    match run {
        Run::AsyncStatic(handler) if is_long => {
            let handler = *handler;
            decoded_elsewhere(move || handler(invocation), place)
        }
        Run::Async(handler) if is_long => {
            let handler = handler.clone();
            decoded_elsewhere(move || handler(invocation), place)
        }
        Run::Inline(handler) if is_long => {
            let handler = RunBlocking::Static(*handler);
            on_thread(handler, invocation, place, running)
        }
        Run::AsyncStatic(handler) => apart(handler(invocation), place),
        Run::Async(handler) => apart(handler(invocation), place),
        Run::Inline(handler) => Started::Over(Ended::Answered(handler(invocation))),
        Run::Blocking(handler) => on_thread(handler.clone(), invocation, place, running),
    }
}

/// Runs a synchronous handler on a thread of its own.
fn on_thread(
    handler: RunBlocking,
    invocation: Invocation,
    place: Place,
    running: &Arc<AtomicUsize>,
) -> Started {
    let (running, span) = (running.clone(), tracing::Span::current());
    let claim = Claim::default();
    let claimed = claim.clone();
    let work = move || {
        if !claimed.take() {
            return Ok(not_begun());
        }
        let (_within, _counted) = (span.entered(), Synchronous::begin(running));
        let answer = catch_unwind(AssertUnwindSafe(|| handler.call(invocation)));
        drop(place);
        answer
    };
    if is_time_paused() {
        // Tokio's own threads keep a paused clock from being advanced to the deadline.
        let running = tokio::task::spawn_blocking(work);
        return Started::Running(AbortOnDropHandle::new(running), Some(claim));
    }
    Started::OnThread(threads::run(work), claim)
}

/// Runs the first step of an asynchronous handler, in which it decodes its arguments, on the pool for blocking code. That
/// step cannot be aborted, so it has the place with it, and hands it back with what is left of the handler.
fn decoded_elsewhere(
    handler: impl FnOnce() -> HandlerFuture + Send + 'static,
    place: Place,
) -> Started {
    let claim = Claim::default();
    let (claimed, span) = (claim.clone(), tracing::Span::current());
    let first = AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
        let _within = span.entered();
        if !claimed.take() {
            return Step(Some(not_begun()), Box::pin(async { not_begun() }), place);
        }
        let mut running = handler();
        let first = running.as_mut().now_or_never();
        Step(first, running, place)
    }));
    let work = async move {
        match first.await {
            Ok(Step(Some(answer), ..)) => answer,
            Ok(Step(None, running, _place)) => running.await,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(SkillFailure::handler(error.to_string())),
            },
        }
    };
    Started::Running(spawned(work), Some(claim))
}

/// The first step of a handler: its answer, or the rest of it. The place is dropped last.
struct Step(Option<Answer>, HandlerFuture, Place);

/// Whether tokio's clock stands still, as it does in tests that pause it.
fn is_time_paused() -> bool {
    let before = std::time::Instant::now();
    let now = Instant::now().into_std();
    now < before || std::time::Instant::now() < now
}

/// Runs an asynchronous handler on a task of its own, so that one that blocks its thread holds up neither
/// its deadline nor its answer.
fn apart(handler: HandlerFuture, place: Place) -> Started {
    let work = async move {
        let _place = place;
        handler.await
    };
    Started::Running(spawned(work), None)
}

fn spawned(
    work: impl Future<Output = Answer> + Send + 'static,
) -> AbortOnDropHandle<std::thread::Result<Answer>> {
    let work = AssertUnwindSafe(work).catch_unwind();
    AbortOnDropHandle::new(tokio::spawn(work.in_current_span()))
}

/// A turn at an exclusive skill, which is waited for in the order of the calls.
pub(crate) type Turn = Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>>;

/// Stands in line for a skill, where it is exclusive. The place in the line is taken now, and not when the
/// task of the call is polled for the first time.
pub(crate) fn stand_in_line(skill: &CatalogSkill) -> Option<Turn> {
    let mut turn: Turn = Box::pin(skill.turnstile()?.clone().lock_owned());
    Some(match (&mut turn).now_or_never() {
        Some(guard) => Box::pin(std::future::ready(guard)),
        None => turn,
    })
}

fn conclude(
    name: &str,
    ended: Ended,
    timeout: Duration,
    began: bool,
) -> (SkillOutput, Outcome, Option<String>) {
    let failure = |outcome, text: String, error: Option<String>| {
        let error = error.unwrap_or_else(|| text.clone());
        (SkillOutput::failure(text), outcome, Some(error))
    };
    match ended {
        Ended::Answered(Ok(output)) if output.is_success() => {
            (output.without_blank_texts(), Outcome::Completed, None)
        }
        Ended::Answered(Ok(output)) => {
            let output = output.without_blank_texts();
            let text = output.to_text().into_owned();
            (output, Outcome::Failed, Some(text))
        }
        Ended::Answered(Err(SkillFailure {
            kind: FailureKind::Partly,
            message,
        })) => {
            let text = format!("skill `{name}` failed in part: {message}");
            failure(Outcome::Failed, text, Some(shorten(&message)))
        }
        Ended::Answered(Err(SkillFailure { kind, message })) => {
            let shown = shorten(&message);
            match kind {
                FailureKind::Arguments => failure(
                    Outcome::InvalidArguments,
                    format!("skill `{name}` was not run, its arguments are invalid: {shown}"),
                    Some(message),
                ),
                FailureKind::Handler | FailureKind::Partly => failure(
                    Outcome::Failed,
                    match shown.trim() {
                        "" => format!("skill `{name}` failed, and gave no reason"),
                        _ => format!("skill `{name}` failed: {shown}"),
                    },
                    Some(message),
                ),
            }
        }
        Ended::Panicked(message) => failure(
            Outcome::Panicked,
            format!("skill `{name}` failed: internal error"),
            Some(format!("panicked: {message}")),
        ),
        Ended::Cancelled => failure(
            Outcome::Cancelled,
            format!("skill `{name}` was cancelled before it answered"),
            None,
        ),
        Ended::Crowded => failure(
            Outcome::Overloaded,
            format!(
                "skill `{name}` was not run: the answers of other calls, which are on their way, take all room; try again later"
            ),
            None,
        ),
        Ended::Unchecked => failure(
            Outcome::TimedOut,
            format!(
                "skill `{name}` was not run: checking its arguments took longer than {timeout:?}; write less"
            ),
            None,
        ),
        Ended::TimedOut => failure(
            Outcome::TimedOut,
            if began {
                format!("skill `{name}` failed: no answer within {timeout:?}")
            } else {
                format!("skill `{name}` was not run: it waited for other calls for {timeout:?}")
            },
            None,
        ),
    }
}

/// The same, or a failure that says that the answer is too large.
pub(super) fn limited(name: &str, finished: Finished, limit: usize) -> Finished {
    match encoded_len(&finished.output, limit) {
        Some(len) if len > limit => finished.too_large(format!(
            "skill `{name}` failed: its answer of {len} bytes is over the limit of {limit} bytes; \
                 ask for less of it"
        )),
        _ => finished,
    }
}

/// The length of the answer as JSON, where it could be over the limit at all: escapes make a text up
/// to six times as long.
fn encoded_len(output: &SkillOutput, limit: usize) -> Option<usize> {
    let rough = output
        .content_len()
        .saturating_mul(6)
        .saturating_add(output.items().len().saturating_mul(64) + 64);
    if rough <= limit {
        return None;
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, &output.as_wire()).ok()?;
    Some(count.0)
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At most [`EXPLANATION_BYTES`] of a text, cut at a character.
fn shorten(text: &str) -> String {
    if text.len() <= EXPLANATION_BYTES {
        return text.to_owned();
    }
    let end = crate::boundary::before(text, EXPLANATION_BYTES);
    format!("{} … ({} bytes more)", &text[..end], text.len() - end)
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    discard(panic);
    message
}

/// Throws away what a handler threw: its destructor may panic as well.
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_escapes() {
        let output = SkillOutput::text("\u{1}".repeat(100));
        let exact = serde_json::to_string(&output.as_wire())
            .map(|json| json.len())
            .ok();
        assert_eq!(encoded_len(&output, 10), exact);
        assert_eq!(encoded_len(&output, 1_000_000), None);
    }

    #[test]
    fn a_long_explanation_is_cut_at_a_character() {
        let text = "ä".repeat(EXPLANATION_BYTES);
        assert!(shorten(&text).ends_with("bytes more)"));
        assert_eq!(shorten("short"), "short");
    }
}
