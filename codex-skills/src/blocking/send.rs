//! Sending a request, and waiting for what comes of it.

use std::time::Duration;

use super::macros::options;
use super::wait::wait;
use crate::error::Error;
use crate::runtime::Event;
use crate::session::{IntoStatuses, ReplyOptional, ReplyRequired, Sent, TurnResult};

macro_rules! request_options {
    () => {
        options! {
            /// Whether the catalog's instruction text is put before the request (the session's default: it
            /// is).
            inject_skills(inject: bool);
            /// Whether the dynamic tools are repeated with the request (the session's default: they are).
            /// Only the declaration at creation counts for codex; the repetition serves servers between.
            repeat_tools(repeat: bool);
        }
    };
}

/// A [`send`](super::Session::send) that was not waited for yet.
#[derive(Debug)]
#[must_use = "`wait` sends the request"]
pub struct SendText<'a> {
    pub(super) inner: crate::SendText<'a>,
}

impl SendText<'_> {
    request_options!();

    /// Sends the request, and returns once it is accepted.
    ///
    /// # Errors
    /// When the request is empty, the session is closed, or the runtime refuses.
    pub fn wait(self) -> Result<Sent, Error> {
        wait(self.inner)?
    }
}

/// A [`send_and_handle`](super::Session::send_and_handle) that was not waited for yet.
///
/// ```
/// use std::time::Duration;
///
/// use codex_skills::{Error, blocking};
///
/// fn ask(session: &blocking::Session) -> Result<String, Error> {
///     let turn = session.send_and_handle("Think.").timeout(Duration::from_secs(60)).require_reply().wait()?;
///     Ok(turn.assistant_reply)
/// }
/// ```
#[derive(Debug)]
#[must_use = "`wait` sends the request"]
pub struct SendAndHandle<'a, R = ReplyOptional> {
    pub(super) inner: crate::SendAndHandle<'a, R>,
}

impl<'a> SendAndHandle<'a> {
    /// Makes a turn without a reply an error, and the reply of the result a `String`.
    pub fn require_reply(self) -> SendAndHandle<'a, ReplyRequired> {
        SendAndHandle {
            inner: self.inner.require_reply(),
        }
    }

    /// Sends the request, answers the calls of the session, and waits for the end of the turn.
    ///
    /// # Errors
    /// When the request is empty, the session is or gets closed, the runtime refuses, or the turn does not
    /// end as it was asked to.
    pub fn wait(self) -> Result<TurnResult, Error> {
        wait(self.inner)?
    }
}

impl SendAndHandle<'_, ReplyRequired> {
    /// Sends the request, answers the calls of the session, and waits for the end of the turn.
    ///
    /// # Errors
    /// When the request is empty, the session is or gets closed, the runtime refuses, the turn does not end
    /// as it was asked to, or ends without a reply.
    pub fn wait(self) -> Result<TurnResult<String>, Error> {
        wait(self.inner)?
    }
}

impl<'a, R> SendAndHandle<'a, R> {
    request_options!();
    options! {
        /// How long the turn may take, from sending to its end. On expiry it is interrupted, and the error
        /// has the calls that were dispatched. Default: no limit.
        timeout(timeout: Duration);
        /// The statuses, one or several, that count as the end that was hoped for; a turn that ends
        /// otherwise is an error. Texts are understood whatever their case. Default: every end will do.
        terminal(statuses: impl IntoStatuses);
    }

    /// Shows each event of the session to `callback` while the turn runs, in order: from sending to the turn's
    /// [end](Event::TurnCompleted). It runs on the thread that waits, so it may borrow what that owns; no reading of the
    /// wire and no handler waits for it. What it is too slow for is counted by
    /// [`TurnResult::lost_events`]. A callback that panics is not called again, that is logged, and the turn goes on.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # fn main() -> Result<(), codex_skills::Error> {
    /// use codex_skills::{Embedded, Event, skills};
    ///
    /// let codex = Embedded::demo().blocking();
    /// codex.lifecycle(|draft| draft.register(skills![ping])).run(|run| {
    ///     let mut text = String::new();
    ///     run.send_and_handle("Use ping.")
    ///         .on_event(|event| {
    ///             if let Event::TextDelta { delta, .. } = event {
    ///                 text.push_str(delta);
    ///             }
    ///         })
    ///         .wait()?;
    ///     assert_eq!(text, "ping: pong");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn on_event(mut self, callback: impl FnMut(&Event) + Send + 'a) -> Self {
        self.inner = self.inner.on_event(callback);
        self
    }
}
