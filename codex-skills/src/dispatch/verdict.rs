//! The runtime's own report of a call's answer, while the answer is still on its way.
//!
//! It may come between two attempts of the delivery, and is then the only sign that the first one arrived.

use std::sync::Arc;

use super::record::{SubmissionRecord, SubmissionStatus};
use crate::runtime::TakenAnswer;
use crate::skill::{SkillOutput, ToolCall};

/// The runtime's report on a call that is not settled yet, as plain data.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The first report stays.
    taken: Option<TakenAnswer>,
    /// The address at which some answer was taken; the runtime did not say which.
    resolved: Option<Arc<ToolCall>>,
}

impl Verdict {
    /// Records which answer was taken, whichever client gave it.
    pub(crate) fn complete(&mut self, taken: TakenAnswer) {
        self.taken.get_or_insert(taken);
    }

    /// Records that an answer was taken at an address.
    pub(crate) fn resolve(&mut self, address: &Arc<ToolCall>) {
        self.resolved = Some(address.clone());
    }

    /// Returns the fate of an answer for an address, where it is known. `sent`: the answer was sent there before.
    pub(crate) fn on(
        &self,
        address: &ToolCall,
        own: &SkillOutput,
        sent: bool,
    ) -> Option<SubmissionRecord> {
        if let Some(taken) = self.taken {
            let given_up = SubmissionRecord::unsent(SubmissionStatus::Exhausted);
            return Some(given_up.completed(own.into(), taken));
        }
        self.resolved
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

    /// Returns the submission, or what is known better of it.
    pub(crate) fn correct(
        &self,
        submission: SubmissionRecord,
        address: &ToolCall,
        own: &SkillOutput,
    ) -> SubmissionRecord {
        if let Some(taken) = self.taken {
            return submission.completed(own.into(), taken);
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
}
