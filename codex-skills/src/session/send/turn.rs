//! Sending a request and waiting for its turn, whose calls are answered meanwhile.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::progress::{Callback, Progress};
use super::request::{Request, request_options};
use super::result::{TurnResult, incomplete};
use super::statuses::IntoStatuses;
use super::wait::{self, Bounds};
use crate::error::Error;
use crate::runtime::Event;
use crate::session::core::SessionCore;

/// A turn that need not have a reply.
#[derive(Debug)]
pub struct ReplyOptional;
/// A turn that must have a reply.
#[derive(Debug)]
pub struct ReplyRequired;

/// A [`send_and_handle`](crate::Session::send_and_handle) that was not awaited yet.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run
///     .send_and_handle("Use ping.")
///     .timeout(std::time::Duration::from_secs(60))
///     .terminal("completed")
///     .await?;
/// assert_eq!(turn.assistant_reply.as_deref(), Some("ping: pong"));
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the future leaves the turn running. Handlers that run finish and are answered; later
/// calls of the turn wait for the next server.
#[derive(Debug)]
#[must_use = "await it to send the request"]
pub struct SendAndHandle<'a, R = ReplyOptional> {
    request: Request<'a>,
    bounds: Bounds,
    on_event: Option<Callback<'a>>,
    reply: PhantomData<R>,
}

impl<'a> SendAndHandle<'a> {
    pub(crate) fn new(core: &'a Arc<SessionCore>, text: String) -> Self {
        Self {
            request: Request::new(core, text),
            bounds: Bounds::default(),
            on_event: None,
            reply: PhantomData,
        }
    }

    /// Makes a turn without a reply an error, and the reply of the result a `String`.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
    /// let turn = run.send_and_handle("Use ping.").require_reply().await?;
    /// let reply: String = turn.assistant_reply;
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_reply(self) -> SendAndHandle<'a, ReplyRequired> {
        SendAndHandle {
            request: self.request,
            bounds: self.bounds,
            on_event: self.on_event,
            reply: PhantomData,
        }
    }
}

impl<'a, R> SendAndHandle<'a, R> {
    request_options!();

    /// How long the turn may take, from sending to its end. On expiry it is interrupted, and the error
    /// has the calls that were dispatched. A request that was not even accepted by then has no turn id yet:
    /// its turn is interrupted as soon as it is known. Default: no limit.
    ///
    /// A runtime that does not react to the interruption delays the error by some 10 seconds at most.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// use std::time::Duration;
    ///
    /// async fn ask(session: &Session) -> Result<(), Error> {
    ///     match session.send_and_handle("Think.").timeout(Duration::from_secs(30)).await {
    ///         Err(error) if error.is_timeout() => {
    ///             let done = error.turn().map_or(0, |turn| turn.dispatches.len());
    ///             println!("interrupted after {done} calls");
    ///         }
    ///         turn => println!("{}", turn?.status),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.bounds.timeout = Some(timeout);
        self
    }

    /// The statuses, one or several, that count as the end that was hoped for; a turn that ends otherwise
    /// is an error. Texts are understood whatever their case, and those that are no end of a turn are refused before
    /// anything is sent. Default: every end will do.
    ///
    /// ```
    /// # use codex_skills::{Error, Session, TurnStatus};
    /// async fn ask(session: &Session) -> Result<(), Error> {
    ///     let ends = [TurnStatus::Completed, TurnStatus::Interrupted];
    ///     session.send_and_handle("Think.").terminal(ends).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn terminal(mut self, statuses: impl IntoStatuses) -> Self {
        self.bounds.terminal = Some(statuses.into_statuses());
        self
    }

    /// Shows each event of the session to `callback` while the turn runs, in order: from sending to the turn's
    /// [end](Event::TurnCompleted), which it sees before the future ends. The end of a turn that was given up, after a
    /// [`timeout`](Self::timeout), is waited for a second at most. Of several callbacks the last counts.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::Event;
    ///
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
    /// let mut calls = 0;
    /// run.send_and_handle("Use ping.")
    ///     .on_event(|event| match event {
    ///         Event::TextDelta { delta, .. } => print!("{delta}"),
    ///         Event::ToolStarted { tool, .. } => println!("[{tool} …]"),
    ///         Event::ToolCompleted { .. } => calls += 1,
    ///         _ => {}
    ///     })
    ///     .await?;
    /// assert_eq!(calls, 1);
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It runs on the task that awaits, so it may borrow what that owns, and should be short: no reading of the wire and
    /// no handler waits for it, but the end of the future does, and whatever else the task does. Long work belongs
    /// elsewhere; send it the event, which is cheap to clone. What a callback is too slow for is lost as it is for
    /// [`Signals`](crate::Signals), oldest first, and [`TurnResult::lost_events`] counts it.
    ///
    /// A callback that panics is not called again, and that is logged. The turn goes on, its calls are answered, and its
    /// result is returned: make assertions after the turn, of what the callback kept.
    ///
    /// # Cancel safety
    /// Once the future is dropped, the callback is not called any more.
    pub fn on_event(mut self, callback: impl FnMut(&Event) + Send + 'a) -> Self {
        self.on_event = Some(Callback::new(callback));
        self
    }
}

impl<'a> IntoFuture for SendAndHandle<'a, ReplyOptional> {
    type Output = Result<TurnResult, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.handle())
    }
}

impl<'a> IntoFuture for SendAndHandle<'a, ReplyRequired> {
    type Output = Result<TurnResult<String>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let core = self.request.core;
            let result = self.handle().await?;
            match result.assistant_reply {
                Some(assistant_reply) => Ok(TurnResult {
                    assistant_reply,
                    session_id: result.session_id,
                    turn_id: result.turn_id,
                    status: result.status,
                    dispatches: result.dispatches,
                    accepted: result.accepted,
                    detail: result.detail,
                    error: result.error,
                    usage: result.usage,
                    lost_events: result.lost_events,
                }),
                None => Err(Error::NoReply {
                    turn: incomplete(core, &result.turn_id),
                }),
            }
        })
    }
}

impl<R> SendAndHandle<'_, R> {
    async fn handle(self) -> Result<TurnResult, Error> {
        let core = self.request.core;
        let turn = wait::turn(self.request, self.bounds);
        match self.on_event {
            None => turn.await,
            Some(callback) => Progress::new(core, callback).during(turn).await,
        }
    }
}
