//! The runtime's own report of a call's answer, while the answer is still on its way.
//!
//! It may come between two attempts of the delivery, and is then the only sign that the first one arrived.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::record::{SubmissionRecord, SubmissionStatus};
use crate::runtime::TakenAnswer;
use crate::skill::{SkillOutput, ToolCall};

/// The runtime's report on a call that is not settled yet. The first report stays.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    taken: OnceLock<TakenAnswer>,
    /// The address at which some answer was taken; the runtime did not say which.
    resolved: Mutex<Option<Arc<ToolCall>>>,
    said: Notify,
}

impl Verdict {
    /// Records which answer was taken, whichever client gave it.
    pub(super) fn complete(&self, taken: TakenAnswer) {
        let _ = self.taken.set(taken);
        self.said.notify_waiters();
    }

    /// Records that an answer was taken at an address.
    pub(super) fn resolve(&self, address: &Arc<ToolCall>) {
        *self.resolved() = Some(address.clone());
        self.said.notify_waiters();
    }

    /// Returns the fate of an answer for an address, where it is known. `sent`: the answer was sent there before.
    pub(super) fn on(
        &self,
        address: &ToolCall,
        own: &SkillOutput,
        sent: bool,
    ) -> Option<SubmissionRecord> {
        if let Some(taken) = self.taken.get() {
            let given_up = SubmissionRecord::unsent(SubmissionStatus::Exhausted);
            return Some(given_up.completed(own.into(), *taken));
        }
        let resolved = self.resolved();
        resolved
            .as_ref()
            .filter(|resolved| resolved.same_address(address))?;
        let code = if sent {
            "resolved"
        } else {
            "answered_elsewhere"
        };
        Some(SubmissionRecord {
            code: Some(code.into()),
            ..SubmissionRecord::unsent(SubmissionStatus::Settled)
        })
    }

    /// The same submission, or what is known better of it.
    pub(super) fn correct(
        &self,
        submission: SubmissionRecord,
        address: &ToolCall,
        own: &SkillOutput,
    ) -> SubmissionRecord {
        if let Some(taken) = self.taken.get() {
            return submission.completed(own.into(), *taken);
        }
        if submission.status != SubmissionStatus::Exhausted {
            return submission;
        }
        match self.on(address, own, true) {
            None => submission,
            Some(known) => SubmissionRecord {
                attempts: submission.attempts,
                ..known
            },
        }
    }

    /// Waits until it is known what became of an answer that is to go to an address. Cancel safe.
    pub(super) async fn is_known(&self, address: &ToolCall, own: &SkillOutput) {
        loop {
            let said = self.said.notified();
            tokio::pin!(said);
            said.as_mut().enable();
            if self.on(address, own, true).is_some() {
                return;
            }
            said.await;
        }
    }

    fn resolved(&self) -> MutexGuard<'_, Option<Arc<ToolCall>>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
