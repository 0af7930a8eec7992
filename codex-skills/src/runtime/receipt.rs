//! The receipt of an answer that a runtime takes at once: reports the outcome of its delivery.

use std::fmt;
use std::sync::Arc;

/// The outcome of an answer's delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submission {
    /// The runtime took it.
    Accepted,
    /// It was passed on. [`EventSink::call_completed`](super::EventSink::call_completed) reports later whether it was taken.
    Written,
    /// The call has expired, or another client is answering it: nothing is left to do.
    Settled {
        /// Why, in the runtime's terms: `not_found`, `in_flight`, `connection_lost`, `process_restarted`, …
        code: String,
    },
    /// It did not arrive, and may be sent again.
    Retry {
        /// Why.
        reason: String,
        /// When to try, where the runtime said so.
        after: Option<std::time::Duration>,
    },
    /// The runtime carries no answer of this size.
    TooLarge,
    /// The runtime will never take it.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Observer of one answer's delivery.
pub(crate) trait Answering: Send + Sync {
    /// Takes the outcome of the delivery. Called once.
    fn told(&self, submission: Submission);
}

/// Callback with which a runtime reports the delivery of an answer that it took with
/// [`answer_now`](super::Runtime::answer_now). Dropped without a report, it reports that the answer did not arrive and
/// may be sent again.
pub struct Receipt(Option<Arc<dyn Answering>>);

impl Receipt {
    pub(crate) fn new(of: Arc<dyn Answering>) -> Self {
        Self(Some(of))
    }

    /// Reports the outcome of the delivery, from any thread. Returns at once and does not panic; follow-up work for the
    /// call runs on a task of its own.
    pub fn tell(mut self, submission: Submission) {
        self.end(submission);
    }

    /// Drops the receipt without reporting an outcome.
    pub(crate) fn void(mut self) {
        self.0 = None;
    }

    fn end(&mut self, submission: Submission) {
        if let Some(answering) = self.0.take() {
            answering.told(submission);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.end(Submission::Retry {
                reason: "the runtime went away before it was sent".to_owned(),
                after: None,
            });
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").finish_non_exhaustive()
    }
}
