//! What a handler can ask about the call it serves, and the state it borrows.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call::ToolCall;
use super::descriptor::StateKey;
use super::output::SkillFailure;

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
    pub(crate) interest: Arc<Interest>,
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
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether nobody waits for the answer any more: the deadline passed, the turn ended, or the
    /// session or the client closed. Long-running synchronous skills should look now and then.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.interest.is_lost()
    }

    /// Waits until nobody waits for the answer any more.
    ///
    /// Cancel safe. An asynchronous handler is dropped at that moment anyway; this is for work that
    /// it started elsewhere.
    pub async fn cancelled(&self) {
        self.interest.lost().await;
    }
}

/// Whether anybody waits for the answer of a call: until the call is cancelled, or its run ended, which says
/// nothing of the call. Cheaper than a token for the run, which is a child of the call's.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) cancellation: CancellationToken,
    ended: AtomicBool,
    told: Notify,
}

impl Interest {
    pub(crate) fn new(cancellation: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            cancellation,
            ended: AtomicBool::new(false),
            told: Notify::new(),
        })
    }

    /// The run ended, with an answer or without.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    fn is_lost(&self) -> bool {
        self.ended.load(Ordering::Acquire) || self.cancellation.is_cancelled()
    }

    async fn lost(&self) {
        // Made before the flag is read, it hears of an end that comes between.
        let told = self.told.notified();
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        tokio::select! {
            () = told => {}
            () = self.cancellation.cancelled() => {}
        }
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

/// Everything that a handler is given.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub(crate) context: SkillContext,
    pub(crate) state: Arc<StateMap>,
}

impl Invocation {
    /// The raw arguments.
    #[must_use]
    pub fn arguments(&self) -> &RawValue {
        &self.context.call.arguments
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
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
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
