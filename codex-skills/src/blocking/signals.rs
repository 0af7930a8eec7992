//! A session's events for programs that run their own loop.

use std::iter::FusedIterator;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::wait::{wait, wait_idly};
use crate::runtime::Event;

/// The events of a session, from the moment of [`Session::signals`](super::Session::signals) on: an
/// iterator that blocks for the next one, and ends when the session is closed.
///
/// A reader that falls behind loses notifications, oldest first, and [`lost`](Self::lost) counts them.
/// Tool calls are kept beside them up to the session's limit of open calls, and whatever a reader
/// misses is still found by [`drain_pending_calls`](super::Session::drain_pending_calls).
///
/// ```
/// use codex_skills::{Event, blocking};
///
/// fn watch(session: &blocking::Session) {
///     for event in session.signals() {
///         if let Event::TurnCompleted { status, .. } = event {
///             println!("{status}");
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Signals {
    inner: crate::Signals,
}

impl Signals {
    pub(super) fn new(inner: crate::Signals) -> Self {
        Self { inner }
    }

    /// The next event, if there is one within `timeout`.
    ///
    /// # Errors
    /// `Timeout` when there was none; `Disconnected` once the session is closed and everything was read, or
    /// when the thread cannot wait (see [`blocking`](crate::blocking#errors)).
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        match wait(async { tokio::time::timeout(timeout, self.inner.next()).await }) {
            Ok(Ok(Some(event))) => Ok(event),
            Ok(Err(_)) => Err(RecvTimeoutError::Timeout),
            Ok(Ok(None)) | Err(_) => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// How many notifications were dropped because this reader was too slow.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inner.lost()
    }
}

impl Iterator for Signals {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        wait_idly(self.inner.next())
    }
}

impl FusedIterator for Signals {}
