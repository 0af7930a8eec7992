//! The counters that the sessions of a client share, and snapshots of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::budget::RetryBudget;
use super::record::{DispatchRecord, Outcome, SubmissionStatus};
use crate::runtime::RuntimeMetrics;

/// A snapshot of the counters of a client and its clones, over all of their sessions.
///
/// Every call that was received is in exactly one of `running`, `answered`, `expired` and `undelivered`.
/// An answer that is sent again moves its call back to `running`, so these may become less; all other
/// numbers only grow. The numbers are read one after the other while calls go on: they are not of one
/// instant.
///
/// ```
/// # use codex_skills::{Embedded, Error, lifecycle, skill};
/// #[skill]
/// fn ping() -> &'static str {
///     "pong"
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let codex = Embedded::demo();
/// lifecycle!(codex, skills: [ping], |run| run.send_and_handle("Use ping.").await).await?;
/// let metrics = codex.metrics();
/// assert_eq!((metrics.received, metrics.answered), (1, 1));
/// assert_eq!(metrics.failed.total(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Calls that were taken up, each counted once however often it is announced.
    pub received: u64,
    /// Calls whose handler waits or runs, or whose answer is on its way.
    pub running: u64,
    /// Calls whose answer the runtime took.
    pub answered: u64,
    /// Calls that needed no answer any more when theirs was sent: they expired, or were answered before.
    pub expired: u64,
    /// Calls whose answer did not arrive.
    pub undelivered: UndeliveredAnswers,
    /// Calls that were answered with a failure, or were to be.
    pub failed: FailedCalls,
    /// Answers of which codex shows its model a part.
    pub cut_answers: u64,
    /// How many bytes of them it does not show, together.
    pub cut_bytes: u64,
    /// Announcements of calls that were known. codex-manager announces each call twice.
    pub repeated: u64,
    /// Calls that were left to wait because far too many were open, and requests of codex for the same reason.
    pub left_waiting: u64,
    /// Answers that were sent again because they may not have arrived.
    pub retries: u64,
    /// Of these: how many waited because the [budget of retries](crate::RetryPolicy::budget) was used up.
    pub retries_delayed: u64,
    /// How often the runtime's connection was lost, or could not be made.
    pub reconnects: u64,
    /// Messages of the runtime that could not be read and were left out.
    pub unreadable_messages: u64,
    /// Events that readers of [signals](crate::Session::signals) lost because they were too slow.
    pub lost_notifications: u64,
}

/// How many calls failed, by what went wrong.
///
/// ```
/// let failed = codex_skills::Embedded::demo().metrics().failed;
/// println!("{} calls failed, {} of them by a deadline", failed.total(), failed.timed_out);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedCalls {
    /// The catalog has no such skill.
    pub unknown_tool: u64,
    /// The arguments do not fit.
    pub invalid_arguments: u64,
    /// The handler returned an error or an explicit failure.
    pub handler_error: u64,
    /// The handler panicked.
    pub panicked: u64,
    /// It took too long.
    pub timed_out: u64,
    /// The turn, the session or the client ended first.
    pub cancelled: u64,
    /// The answer was more than can be carried.
    pub too_large: u64,
    /// Too many calls of the session were open.
    pub overloaded: u64,
}

impl FailedCalls {
    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unknown_tool
            + self.invalid_arguments
            + self.handler_error
            + self.panicked
            + self.timed_out
            + self.cancelled
            + self.too_large
            + self.overloaded
    }
}

/// How many calls have an answer that did not arrive, by what became of it.
///
/// ```
/// let undelivered = codex_skills::Embedded::demo().metrics().undelivered;
/// if undelivered.total() > 0 {
///     eprintln!("{} answers did not arrive", undelivered.total());
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndeliveredAnswers {
    /// It was given up after all attempts. It is sent again when its call is found waiting.
    pub given_up: u64,
    /// The runtime will never take it.
    pub refused: u64,
    /// Not even the failure that says that the answer is too large could be carried.
    pub too_large: u64,
    /// The call has no request id: there is nowhere to send an answer.
    pub no_request_id: u64,
}

impl UndeliveredAnswers {
    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.given_up + self.refused + self.too_large + self.no_request_id
    }
}

/// What the dispatchers of a client share.
#[derive(Debug, Default)]
pub(crate) struct Common {
    pub(crate) counters: Counters,
    /// Synchronous handlers that run at the moment, those that are not waited for any more included.
    pub(crate) synchronous: Arc<AtomicUsize>,
    pub(super) retries: RetryBudget,
}

/// The numbers as they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: Count,
    running: Count,
    answered: Count,
    expired: Count,
    given_up: Count,
    refused: Count,
    undelivered_too_large: Count,
    no_request_id: Count,
    unknown_tool: Count,
    invalid_arguments: Count,
    handler_error: Count,
    panicked: Count,
    timed_out: Count,
    cancelled: Count,
    too_large: Count,
    overloaded: Count,
    cut_answers: Count,
    cut_bytes: Count,
    repeated: Count,
    left_waiting: Count,
    retries: Count,
    retries_delayed: Count,
    lost_notifications: Count,
}

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// A call is taken up for the first time.
    pub(crate) fn receive(&self) {
        self.received.up();
        self.running.up();
    }

    /// The answer of a settled call is on its way again.
    pub(crate) fn reopen(&self, status: SubmissionStatus) {
        if let Some(count) = self.standing(status) {
            count.down();
            self.running.up();
        }
    }

    /// It is known now what became of the answer of a settled call.
    pub(crate) fn resettle(&self, before: SubmissionStatus, now: SubmissionStatus) {
        if let (Some(before), Some(now)) = (self.standing(before), self.standing(now)) {
            before.down();
            now.up();
        }
    }

    /// A call is settled. `repeat`: its answer was sent again, and nothing ran.
    pub(crate) fn settle(&self, record: &Arc<DispatchRecord>, repeat: bool) {
        if let Some(count) = self.standing(record.submission.status) {
            self.running.down();
            count.up();
        }
        if repeat {
            return;
        }
        if let Some(cut) = record.cut {
            self.cut_answers.up();
            let left_out = cut.sent.saturating_sub(cut.shown);
            self.cut_bytes
                .add(u64::try_from(left_out).unwrap_or(u64::MAX));
        }
        match record.outcome {
            Outcome::Completed => {}
            Outcome::Failed => self.handler_error.up(),
            Outcome::InvalidArguments => self.invalid_arguments.up(),
            Outcome::UnknownTool => self.unknown_tool.up(),
            Outcome::Panicked => self.panicked.up(),
            Outcome::TimedOut => self.timed_out.up(),
            Outcome::Cancelled => self.cancelled.up(),
            Outcome::TooLarge => self.too_large.up(),
            Outcome::Overloaded => self.overloaded.up(),
        }
    }

    /// Where calls stand whose submission ended so; `None` for those that were not taken up.
    fn standing(&self, status: SubmissionStatus) -> Option<&Count> {
        match status {
            SubmissionStatus::Accepted | SubmissionStatus::Written => Some(&self.answered),
            SubmissionStatus::Settled => Some(&self.expired),
            SubmissionStatus::Exhausted => Some(&self.given_up),
            SubmissionStatus::Refused => Some(&self.refused),
            SubmissionStatus::TooLarge => Some(&self.undelivered_too_large),
            SubmissionStatus::NoRequestId => Some(&self.no_request_id),
            SubmissionStatus::Repeated | SubmissionStatus::LeftWaiting => None,
        }
    }

    pub(crate) fn repeat(&self) {
        self.repeated.up();
    }

    pub(crate) fn leave_waiting(&self) {
        self.left_waiting.up();
    }

    pub(super) fn retry(&self, delayed: bool) {
        self.retries.up();
        if delayed {
            self.retries_delayed.up();
        }
    }

    /// A reader of signals lost an event.
    pub(crate) fn lose_notification(&self) {
        self.lost_notifications.up();
    }

    /// The numbers as they are now, with those of the runtime.
    pub(crate) fn snapshot(&self, runtime: RuntimeMetrics) -> Metrics {
        Metrics {
            received: self.received.get(),
            running: self.running.get(),
            answered: self.answered.get(),
            expired: self.expired.get(),
            undelivered: UndeliveredAnswers {
                given_up: self.given_up.get(),
                refused: self.refused.get(),
                too_large: self.undelivered_too_large.get(),
                no_request_id: self.no_request_id.get(),
            },
            failed: FailedCalls {
                unknown_tool: self.unknown_tool.get(),
                invalid_arguments: self.invalid_arguments.get(),
                handler_error: self.handler_error.get(),
                panicked: self.panicked.get(),
                timed_out: self.timed_out.get(),
                cancelled: self.cancelled.get(),
                too_large: self.too_large.get(),
                overloaded: self.overloaded.get(),
            },
            cut_answers: self.cut_answers.get(),
            cut_bytes: self.cut_bytes.get(),
            repeated: self.repeated.get(),
            left_waiting: self.left_waiting.get() + runtime.left_waiting,
            retries: self.retries.get(),
            retries_delayed: self.retries_delayed.get(),
            reconnects: runtime.reconnects,
            unreadable_messages: runtime.unreadable_messages,
            lost_notifications: self.lost_notifications.get() + runtime.lost_notifications,
        }
    }
}
