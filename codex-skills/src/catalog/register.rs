//! Register callbacks: what they are, and what they may return.

use std::error::Error as StdError;
use std::future::{Future, ready};
use std::pin::Pin;

use super::draft::Draft;

/// Why a register callback failed.
pub(crate) type RegisterError = Box<dyn StdError + Send + Sync>;

/// A draft that takes its time.
pub(crate) type DraftFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Draft, RegisterError>> + Send + 'a>>;

/// A callback that registers skills: it takes an empty draft and returns it with skills in it.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use codex_skills::{Draft, Embedded, skills};
///
/// let codex = Embedded::demo();
/// // It may wait, and it may fail.
/// let (_, session) = codex
///     .create_session(|draft: Draft| async move {
///         let name = tokio::task::spawn_blocking(|| "tickets").await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(draft.register(skills![ping]).namespace(name))
///     })
///     .await?;
/// assert_eq!(session.list(), ["tickets.ping"]);
/// # codex.close_session(session.session_id(), true).await?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback that registers skills",
    label = "expected a closure that takes the draft and returns it",
    note = "write `|draft| draft.register(skills![..])`",
    note = "a sealed catalog goes to `create_session_with` and `lifecycle_with`"
)]
pub trait Register<D>: FnOnce(Draft) -> D {}

#[diagnostic::do_not_recommend]
impl<F: FnOnce(Draft) -> D, D> Register<D> for F {}

/// What a register callback returns: the draft, a `Result` of it, or a future of either.
#[diagnostic::on_unimplemented(
    message = "the register callback returns `{Self}` instead of the draft",
    label = "expected the `Draft`, a `Result<Draft, _>`, or a future of one of them",
    note = "write `|draft| draft.register(skills![..])`, without a semicolon at the end"
)]
pub trait IntoDraft<V>: Send {
    /// The draft.
    #[doc(hidden)]
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a;
}

/// What a register callback of the blocking client returns: the draft or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "the register callback of the blocking client returns `{Self}` instead of the draft",
    label = "expected the `Draft` or a `Result<Draft, _>`",
    note = "an async callback needs the async client: `codex_skills::Client` instead of `codex_skills::blocking::Client`",
    note = "write `|draft| draft.register(skills![..])`, without a semicolon at the end"
)]
pub trait IntoDraftNow<V> {
    /// The draft.
    #[doc(hidden)]
    fn into_draft_now(self) -> Result<Draft, RegisterError>;
}

/// A callback that returns the draft.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plainly;
/// A callback that may fail.
#[doc(hidden)]
#[derive(Debug)]
pub struct Fallibly;
/// A callback that takes its time.
#[doc(hidden)]
#[derive(Debug)]
pub struct Eventually<V>(std::marker::PhantomData<V>);

impl IntoDraftNow<Plainly> for Draft {
    fn into_draft_now(self) -> Result<Draft, RegisterError> {
        Ok(self)
    }
}

impl<E: Into<RegisterError>> IntoDraftNow<Fallibly> for Result<Draft, E> {
    fn into_draft_now(self) -> Result<Draft, RegisterError> {
        self.map_err(Into::into)
    }
}

impl IntoDraft<Plainly> for Draft {
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(ready(Ok(self)))
    }
}

impl<E: Into<RegisterError> + Send> IntoDraft<Fallibly> for Result<Draft, E> {
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(ready(self.map_err(Into::into)))
    }
}

impl<F, V> IntoDraft<Eventually<V>> for F
where
    F: Future + Send,
    F::Output: IntoDraftNow<V> + Send,
{
    fn into_draft<'a>(self) -> DraftFuture<'a>
    where
        Self: 'a,
    {
        Box::pin(async move { self.await.into_draft_now() })
    }
}
