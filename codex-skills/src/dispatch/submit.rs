//! Sending an answer until it arrives, is refused, or all attempts are used.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::Notify;

use super::limits::RetryPolicy;
use super::metrics::Common;
use super::record::{SubmissionRecord, SubmissionStatus};
use crate::runtime::{Runtime, RuntimeErrorKind, Submission};
use crate::skill::context::Interest;
use crate::skill::{SkillOutput, ToolCall};

/// The longest wait between two attempts, whatever a runtime asks for, and however many wait in line.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long an attempt may take once its call is cancelled: somewhat longer than a close waits for it, so that an answer on its way
/// still arrives.
const LAST_ATTEMPT: Duration = Duration::from_secs(6);

/// What the delivery of an answer asks of its call while it goes on.
pub(crate) trait OnItsWay: Send + Sync {
    /// Lost when the call is cancelled: no one may wait for the answer any more.
    fn interest(&self) -> &Interest;

    /// What the runtime said on its own of an answer that is to go to an address. `sent`: whether it was sent before.
    fn known(&self, address: &ToolCall, own: &SkillOutput, sent: bool) -> Option<SubmissionRecord>;

    /// Notified after the runtime said something.
    fn said(&self) -> &Notify;
}

/// An answer and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) call: &'a Arc<ToolCall>,
    pub(crate) output: &'a Arc<SkillOutput>,
    /// Whether it was sent there before, and did not arrive.
    pub(crate) is_retry: bool,
    /// Its call.
    pub(crate) of: &'a dyn OnItsWay,
}

impl Answer<'_> {
    /// Waits until the call is cancelled.
    async fn cancelled(self) {
        self.of.interest().cancelled().await;
    }

    /// Waits until the runtime has said on its own what became of the answer.
    async fn is_known(self) {
        loop {
            let said = self.of.said().notified();
            tokio::pin!(said);
            said.as_mut().enable();
            if self.of.known(self.call, self.output, true).is_some() {
                return;
            }
            said.await;
        }
    }

    /// What the runtime said on its own of the answer.
    fn known(self, attempts: usize) -> Option<SubmissionRecord> {
        let sent = attempts > 0 || self.is_retry;
        let known = self.of.known(self.call, self.output, sent)?;
        Some(SubmissionRecord { attempts, ..known })
    }
}

/// Submits the answer of a call. The answer is the stored one in each attempt: nothing runs again.
///
/// `first`: what became of the first attempt, where it was made.
pub(super) async fn submit(
    runtime: &dyn Runtime,
    answer: Answer<'_>,
    mut first: Option<Submission>,
    policy: &RetryPolicy,
    common: &Common,
) -> SubmissionRecord {
    let call = answer.call;
    if call.request_id.is_none() {
        return SubmissionRecord::unsent(SubmissionStatus::NoRequestId);
    }
    let mut delays = None;
    let mut attempts = 0;
    let mut is_last = false;
    let mut is_retry = answer.is_retry;
    let mut failure = std::borrow::Cow::Borrowed("it did not arrive before");
    loop {
        if first.is_none()
            && let Some(known) = answer.known(attempts)
        {
            return known;
        }
        if is_retry && !may_retry(answer, policy, common).await {
            let error =
                format!("{failure}; too many answers are being sent again to try once more");
            return given_up(answer, attempts, error);
        }
        attempts += 1;
        let submission = match first.take() {
            Some(submission) => Some(submission),
            None => attempt(runtime, answer).await,
        };
        let Some(submission) = submission else {
            if is_retry {
                common.retries.put_back();
            }
            let error = "its call was cancelled before it was taken".to_owned();
            return given_up(answer, attempts, error);
        };
        if is_retry && !matches!(submission, Submission::Retry { .. }) {
            common.retries.put_back();
        }
        let (status, code, error) = match submission {
            Submission::Accepted => (SubmissionStatus::Accepted, None, None),
            Submission::Written => (SubmissionStatus::Written, None, None),
            Submission::Settled { code } => (SubmissionStatus::Settled, Some(code.into()), None),
            Submission::TooLarge => (
                SubmissionStatus::TooLarge,
                None,
                Some("the runtime carries no answer of this size".to_owned()),
            ),
            Submission::Refused { reason } => (SubmissionStatus::Refused, None, Some(reason)),
            Submission::Retry { reason, after } => {
                match delays.get_or_insert_with(|| backoff(policy)).next() {
                    Some(delay) if !is_last => {
                        tracing::debug!(target: "codex_skills::dispatch", tool = &*call.tool, attempts, reason, "answer not taken, trying again");
                        is_last = !wait(answer, after, delay).await;
                        (is_retry, failure) = (true, reason.into());
                        continue;
                    }
                    _ => return given_up(answer, attempts, reason),
                }
            }
        };
        if let Some(error) = &error {
            report(call, attempts, error);
        }
        return SubmissionRecord {
            status,
            code,
            attempts,
            error: error.map(Into::into),
        };
    }
}

/// Has the runtime take an answer. `None` when its call is cancelled meanwhile, and it takes longer still, or when the
/// runtime says on its own what became of the answer.
async fn attempt(runtime: &dyn Runtime, answer: Answer<'_>) -> Option<Submission> {
    let no_use = async {
        answer.cancelled().await;
        tokio::time::sleep(LAST_ATTEMPT).await;
    };
    let taken = tokio::select! {
        biased;
        taken = runtime.answer(answer.call.clone(), answer.output.clone()) => taken,
        () = answer.is_known() => return None,
        () = no_use => return None,
    };
    Some(match taken {
        Ok(submission) => submission,
        Err(error) if error.kind() == RuntimeErrorKind::Unavailable => Submission::Retry {
            reason: error.to_string(),
            after: None,
        },
        Err(error) => Submission::Refused {
            reason: error.to_string(),
        },
    })
}

fn backoff(policy: &RetryPolicy) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(policy.delay)
        .with_max_delay(policy.max_delay)
        .with_max_times(policy.attempts.saturating_sub(1))
        .with_jitter()
        .build()
}

/// Waits for the next attempt: until the runtime asked for it, where it did, hardly for one whose call is cancelled, and no
/// longer than until the runtime says on its own what became of the answer. Returns whether more may follow it.
async fn wait(answer: Answer<'_>, after: Option<Duration>, delay: Duration) -> bool {
    let asked = after.unwrap_or(delay).min(LONGEST_WAIT);
    if asked.is_zero() {
        return true;
    }
    let no_use = async {
        answer.cancelled().await;
        tokio::time::sleep(delay).await;
    };
    tokio::select! {
        biased;
        () = answer.is_known() => true,
        () = tokio::time::sleep(asked) => true,
        () = no_use => false,
    }
}

/// Waits until the budget has a retry for the answer; not for ever, and hardly for one whose call is
/// cancelled.
async fn may_retry(answer: Answer<'_>, policy: &RetryPolicy, common: &Common) -> bool {
    let no_use = async {
        answer.cancelled().await;
        tokio::time::sleep(policy.max_delay).await;
    };
    tokio::select! {
        biased;
        () = answer.is_known() => false,
        delayed = common.retries.take(policy) => {
            common.counters.retry(delayed);
            true
        }
        () = no_use => false,
        () = tokio::time::sleep(LONGEST_WAIT) => false,
    }
}

/// An answer that is kept, to be sent again when its call is found waiting, unless the runtime said on its own what became
/// of it.
fn given_up(answer: Answer<'_>, attempts: usize, error: String) -> SubmissionRecord {
    if let Some(known) = answer.known(attempts) {
        return known;
    }
    report(answer.call, attempts, &error);
    SubmissionRecord {
        status: SubmissionStatus::Exhausted,
        code: None,
        attempts,
        error: Some(error.into()),
    }
}

fn report(call: &ToolCall, attempts: usize, error: &str) {
    tracing::error!(
        target: "codex_skills::dispatch",
        tool = &*call.tool,
        session = &*call.session_id,
        attempts,
        error,
        "the answer of a call was not taken"
    );
}
