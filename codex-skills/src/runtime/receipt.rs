//! What a runtime gives for an answer that it takes at once.

use std::fmt;
use std::sync::Arc;

use super::Submission;

/// Whose answer it is.
pub(crate) trait Answering: Send + Sync {
    /// What became of the answer, told once.
    fn told(&self, submission: Submission);
}

/// What a runtime tells the fate of an answer that it took with [`answer_now`](super::Runtime::answer_now). Dropped
/// untold, it says that the answer did not arrive, and may be sent again.
pub struct Receipt(Option<Arc<dyn Answering>>);

impl Receipt {
    pub(crate) fn new(of: Arc<dyn Answering>) -> Self {
        Self(Some(of))
    }

    /// Tells what became of the answer, from any thread. Returns at once, and does not panic; whatever is left to do
    /// for the call is done on a task of its own.
    pub fn tell(mut self, submission: Submission) {
        self.end(submission);
    }

    /// Says nothing of an answer that was not taken after all.
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
