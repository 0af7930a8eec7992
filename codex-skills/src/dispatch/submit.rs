//! Sending an answer until it arrives, is refused, or all attempts are used.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::limits::RetryPolicy;
use super::record::{SubmissionRecord, SubmissionStatus};
use crate::runtime::{Runtime, RuntimeErrorKind, Submission};
use crate::skill::{SkillOutput, ToolCall};

/// The longest wait between two attempts, whatever a runtime asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Submits the answer of a call. The answer is the stored one in each attempt: nothing runs again.
pub(crate) async fn submit(
    runtime: &dyn Runtime,
    call: &Arc<ToolCall>,
    output: &Arc<SkillOutput>,
    policy: &RetryPolicy,
) -> SubmissionRecord {
    if call.request_id.is_none() {
        return SubmissionRecord::unsent(SubmissionStatus::NoRequestId);
    }
    let mut delays = ExponentialBuilder::new()
        .with_min_delay(policy.delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.attempts.saturating_sub(1))
        .with_jitter()
        .build();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let submission = match runtime.answer(call.clone(), output.clone()).await {
            Ok(submission) => submission,
            Err(error) if error.kind() == RuntimeErrorKind::Unavailable => Submission::Retry {
                reason: error.to_string(),
                after: None,
            },
            Err(error) => Submission::Refused {
                reason: error.to_string(),
            },
        };
        let (status, code, error) = match submission {
            Submission::Accepted => (SubmissionStatus::Accepted, None, None),
            Submission::Settled { code } => (SubmissionStatus::Settled, Some(code), None),
            Submission::TooLarge => (
                SubmissionStatus::TooLarge,
                None,
                Some("the runtime carries no answer of this size".to_owned()),
            ),
            Submission::Refused { reason } => (SubmissionStatus::Refused, None, Some(reason)),
            Submission::Retry { reason, after } => match delays.next() {
                Some(delay) => {
                    tracing::debug!(target: "codex_skills::dispatch", tool = &*call.tool, attempts, reason, "answer not taken, trying again");
                    if !policy.delay.is_zero() || after.is_some() {
                        tokio::time::sleep(after.unwrap_or(delay).min(LONGEST_WAIT)).await;
                    }
                    continue;
                }
                None => (SubmissionStatus::Exhausted, None, Some(reason)),
            },
        };
        if let Some(error) = &error {
            tracing::error!(
                target: "codex_skills::dispatch",
                tool = &*call.tool,
                session = &*call.session_id,
                attempts,
                error,
                "the answer of a call was not taken"
            );
        }
        return SubmissionRecord {
            status,
            code,
            attempts,
            error,
        };
    }
}
