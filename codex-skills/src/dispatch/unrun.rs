//! Records of calls whose handlers did not come to an end.

use std::sync::Arc;
use std::time::Duration;

use super::record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
use crate::skill::{SkillOutput, ToolCall};

/// The record of a call whose task ends before the handler does.
pub(crate) fn broken_off(call: &Arc<ToolCall>, arrival: u64) -> DispatchRecord {
    let text = format!(
        "skill `{}` was cancelled before it answered",
        call.qualified_tool()
    );
    DispatchRecord {
        call: call.clone(),
        output: Arc::new(SkillOutput::failure(text.clone())),
        outcome: Outcome::Cancelled,
        error: Some(text.into()),
        cut: None,
        waited: Duration::ZERO,
        ran: Duration::ZERO,
        submission: never_sent(),
        repeat: false,
        stripped: false,
        arrival,
    }
}

/// The submission of an answer whose task ends before it is sent.
pub(crate) fn never_sent() -> SubmissionRecord {
    SubmissionRecord {
        error: Some("its tokio runtime was shut down".into()),
        ..SubmissionRecord::unsent(SubmissionStatus::Exhausted)
    }
}

/// The record of a call that is not even refused, since too many refusals are on their way. It goes on waiting at the
/// runtime, whose list of waiting calls still has it.
pub(crate) fn left_waiting(call: &Arc<ToolCall>, arrival: u64) -> DispatchRecord {
    tracing::error!(
        target: "codex_skills::dispatch",
        tool = &*call.tool,
        session = &*call.session_id,
        "far too many calls are open: one is left waiting"
    );
    DispatchRecord {
        outcome: Outcome::Overloaded,
        error: Some("far too many calls are open: it was left waiting".into()),
        submission: SubmissionRecord::unsent(SubmissionStatus::LeftWaiting),
        ..broken_off(call, arrival)
    }
}
