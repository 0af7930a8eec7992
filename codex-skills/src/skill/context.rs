//! The context of a handler: its call, its deadline and cancellation, and the state it borrows.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::call::ToolCall;
use super::descriptor::StateKey;
use super::output::SkillFailure;
use super::schema::check::Checked;

/// The call that a handler serves. Take it as a `#[context] cx: &SkillContext` parameter.
///
/// Cheap to clone; a clone may be moved to another task.
///
/// ```
/// use codex_skills::{SkillContext, skill};
///
/// /// Count to a number.
/// #[skill]
/// fn count(#[context] cx: &SkillContext, to: u64) -> Result<u64, String> {
///     for number in 0..to {
///         if cx.is_cancelled() {
///             return Err(format!("stopped at {number}"));
///         }
///     }
///     Ok(to)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SkillContext {
    pub(crate) call: Arc<ToolCall>,
    pub(crate) interested: Arc<dyn Interested>,
    pub(crate) deadline: Option<Instant>,
}

impl SkillContext {
    /// The name of the skill as the model called it.
    #[must_use]
    pub fn skill(&self) -> &str {
        &self.call.tool
    }

    /// The namespace in which the model called it.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.call.namespace()
    }

    /// The session that made the call.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.call.session_id
    }

    /// The turn in which the call was made.
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        self.call.turn_id.as_deref()
    }

    /// The model's id of the call.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.call.call_id.as_deref()
    }

    /// When the call is answered with a time-out unless the handler is done.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use codex_skills::{SkillContext, skill};
    /// use tokio::time::Instant;
    ///
    /// /// Look something up, in two sources where there is time for both.
    /// #[skill]
    /// async fn look_up(#[context] cx: &SkillContext) -> &'static str {
    ///     let left = cx.deadline().map(|deadline| deadline.duration_since(Instant::now()));
    ///     if left.is_some_and(|left| left < Duration::from_secs(5)) {
    ///         return "one source says so";
    ///     }
    ///     "two sources say so"
    /// }
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the answer is no longer wanted: the deadline passed, the turn ended, or the session or the client
    /// closed. Long-running synchronous skills should look now and then.
    ///
    /// ```
    /// use codex_skills::{SkillContext, skill};
    ///
    /// /// Add up all numbers below a limit.
    /// #[skill]
    /// fn add_up(#[context] cx: &SkillContext, limit: u64) -> Result<u64, String> {
    ///     let mut sum = 0_u64;
    ///     for number in 0..limit {
    ///         if number % 10_000 == 0 && cx.is_cancelled() {
    ///             return Err(format!("stopped at {number}"));
    ///         }
    ///         sum = sum.wrapping_add(number);
    ///     }
    ///     Ok(sum)
    /// }
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.interested.interest().is_lost_by(CANCELLED | ENDED)
    }

    /// Waits until the answer is no longer wanted.
    ///
    /// Cancel safe. An asynchronous handler is dropped at that moment anyway; this is for work that
    /// it started elsewhere.
    pub async fn cancelled(&self) {
        let interest = self.interested.interest();
        interest.lost_by(CANCELLED | ENDED).await;
    }
}

/// Whether the answer of a call is wanted: until the call is cancelled, or its run has ended, which says nothing of the
/// call.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    lost: AtomicU8,
    told: Notify,
}

/// The answer is no longer wanted.
const CANCELLED: u8 = 1;
/// The answer is there, or will never be.
const ENDED: u8 = 2;

impl Interest {
    /// The call is cancelled.
    pub(crate) fn cancel(&self) {
        self.lose(CANCELLED);
    }

    /// The run ended, with an answer or without.
    pub(crate) fn end(&self) {
        self.lose(ENDED);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_lost_by(CANCELLED)
    }

    /// Waits until the call is cancelled. Cancel safe.
    pub(crate) async fn cancelled(&self) {
        self.lost_by(CANCELLED).await;
    }

    fn lose(&self, by: u8) {
        self.lost.fetch_or(by, Ordering::Release);
        self.told.notify_waiters();
    }

    fn is_lost_by(&self, by: u8) -> bool {
        self.lost.load(Ordering::Acquire) & by != 0
    }

    async fn lost_by(&self, by: u8) {
        loop {
            // Made before the flags are read, it hears of what comes between.
            let told = self.told.notified();
            if self.is_lost_by(by) {
                return;
            }
            told.await;
        }
    }
}

/// Holder of the interest in a call: the call's claim, or the interest itself where there is none.
pub(crate) trait Interested: fmt::Debug + Send + Sync {
    fn interest(&self) -> &Interest;
}

impl Interested for Interest {
    fn interest(&self) -> &Interest {
        self
    }
}

/// The type of a `#[context]` parameter.
#[diagnostic::on_unimplemented(
    message = "`#[context]` gives a skill its call, and that is no `{Self}`",
    label = "expected `SkillContext`",
    note = "take `&SkillContext`, or `SkillContext` to keep it",
    note = "what the program gives is marked with `#[state]`, and what the model gives with nothing"
)]
pub trait CallContext {
    /// The call as this type.
    fn of(context: &SkillContext) -> &Self;
}

#[diagnostic::do_not_recommend]
impl CallContext for SkillContext {
    fn of(context: &SkillContext) -> &Self {
        context
    }
}

/// All inputs of a handler.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub(crate) context: SkillContext,
    pub(crate) state: Arc<StateMap>,
    /// What the check of the arguments found.
    pub(crate) checked: Checked,
}

impl Invocation {
    /// The raw arguments: the object that they stand for, where they came as something else.
    #[must_use]
    pub fn arguments(&self) -> &RawValue {
        self.checked
            .object()
            .unwrap_or(&self.context.call.arguments)
    }

    /// The call.
    #[must_use]
    pub fn context<T: ?Sized + CallContext>(&self) -> &T {
        T::of(&self.context)
    }

    /// The state of type `T`; sealing the catalog made sure that it is there.
    ///
    /// # Errors
    /// When it is not there all the same.
    pub fn state<T: ?Sized + 'static>(&self) -> Result<Arc<T>, SkillFailure> {
        self.state.get::<T>().ok_or_else(|| {
            SkillFailure::handler(format!(
                "its state `{}` was not given to the catalog",
                std::any::type_name::<T>()
            ))
        })
    }
}

/// The state of a catalog: one value a type.
#[derive(Clone, Default)]
pub(crate) struct StateMap {
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl StateMap {
    /// Adds a value, and tells whether it took the place of another one.
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) -> bool {
        let before = self.values.insert(TypeId::of::<T>(), Arc::new(value));
        before.is_some()
    }

    fn get<T: ?Sized + 'static>(&self) -> Option<Arc<T>> {
        self.values
            .get(&TypeId::of::<T>())?
            .downcast_ref::<Arc<T>>()
            .cloned()
    }

    pub(crate) fn has(&self, key: &StateKey) -> bool {
        self.values.contains_key(&(key.id)())
    }
}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateMap({} values)", self.values.len())
    }
}
