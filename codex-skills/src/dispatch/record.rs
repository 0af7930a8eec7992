//! The record of a call: its arguments, its outcome, and the delivery of its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::shown::Cut;
use crate::runtime::{TakenAnswer, peer};
use crate::skill::{RequestId, SkillOutput, ToolCall};
use crate::withheld;

/// The size of a record without arguments and answer, roughly, in bytes.
const RECORD_BYTES: usize = 512;

/// One call, how it was answered, and what became of the answer. Its `Display` is one line for a person to read, with the
/// arguments cut at 200 characters; its `Debug` has sizes in the place of arguments, answer and error.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run.send_and_handle("Use ping.").await?;
/// let record = &turn.dispatches[0];
/// assert!(record.is_handled());
/// assert_eq!((record.tool(), record.arguments()), ("ping", "{}"));
/// assert_eq!(record.output().to_text(), "pong");
/// println!("{record}, after {:?} of waiting", record.waited());
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DispatchRecord {
    pub(crate) call: Arc<ToolCall>,
    pub(crate) output: Arc<SkillOutput>,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<Box<str>>,
    pub(crate) cut: Option<Cut>,
    pub(crate) waited: Duration,
    pub(crate) ran: Duration,
    pub(crate) submission: SubmissionRecord,
    pub(crate) repeat: bool,
    /// Whether arguments and answer were dropped for a limit.
    pub(crate) stripped: bool,
    /// Position of this call among those of the session.
    pub(crate) arrival: u64,
}

impl DispatchRecord {
    /// The tool that was called.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.call.tool
    }

    /// The arguments as they came, as JSON text.
    #[must_use]
    pub fn arguments(&self) -> &str {
        self.call.arguments.get()
    }

    /// The call with all its ids.
    #[must_use]
    pub fn call(&self) -> &ToolCall {
        &self.call
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.call.session_id
    }

    /// The turn.
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        self.call.turn_id.as_deref()
    }

    /// The model's id of the call.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.call.call_id.as_deref()
    }

    /// Where the answer went.
    #[must_use]
    pub fn request_id(&self) -> Option<&RequestId> {
        self.call.request_id.as_ref()
    }

    /// The answer.
    #[must_use]
    pub fn output(&self) -> &SkillOutput {
        &self.output
    }

    /// What codex shows its model of the answer, where that is not all: see [`Limits::shown_bytes`].
    ///
    /// [`Limits::shown_bytes`]: crate::Limits::shown_bytes
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// How the handler fared.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether the handler succeeded and its answer was taken, now or before, or at least
    /// [passed on](SubmissionStatus::Written).
    #[must_use]
    pub fn is_handled(&self) -> bool {
        self.outcome == Outcome::Completed
            && matches!(
                self.submission.status,
                SubmissionStatus::Accepted | SubmissionStatus::Written | SubmissionStatus::Repeated
            )
    }

    /// What went wrong, with the handler or on the way. May say more than the model reads.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref().or(self.submission.error.as_deref())
    }

    /// From the call's arrival until its handler began, or until it was answered without one.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How long the handler ran.
    #[must_use]
    pub fn ran(&self) -> Duration {
        self.ran
    }

    /// What became of the answer.
    #[must_use]
    pub fn submission(&self) -> &SubmissionRecord {
        &self.submission
    }

    /// Whether the arguments and the answer are not kept any more: there were more bytes of them than
    /// [`Limits::remembered_bytes`](crate::Limits::remembered_bytes). The [output](Self::output) says so in their place.
    #[must_use]
    pub fn is_stripped(&self) -> bool {
        self.stripped
    }

    /// The size in memory, roughly, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        RECORD_BYTES
            + self.call.bytes()
            + self.output.content_len()
            + self.error.as_ref().map_or(0, |error| error.len())
    }

    /// The same record without arguments and answer.
    pub(crate) fn stripped(&self) -> Self {
        let text = format!(
            "skill `{}` was run for this call before, and its answer is not kept any more; call it again only where running it \
             twice does no harm",
            self.call.qualified_tool()
        );
        let error = self.error.as_deref();
        Self {
            call: Arc::new(self.call.without_arguments()),
            output: Arc::new(SkillOutput::failure(text)),
            error: error.map(|error| peer::beginning(error).into()),
            stripped: true,
            ..self.clone()
        }
    }

    /// Whether the call had been answered before, so that no handler ran for this announcement.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.repeat
    }
}

impl fmt::Debug for DispatchRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchRecord")
            .field("call", &self.call)
            .field("output", &self.output)
            .field("outcome", &self.outcome)
            .field("error", &self.error.as_deref().map(withheld::text))
            .field("cut", &self.cut)
            .field("waited", &self.waited)
            .field("ran", &self.ran)
            .field("submission", &self.submission)
            .field("repeat", &self.repeat)
            .field("stripped", &self.stripped)
            .field("arrival", &self.arrival)
            .finish()
    }
}

/// `lookup -> completed in 2.0s`. With `{:#}` the first 200 characters of the arguments too, which may hold what no
/// log should.
impl fmt::Display for DispatchRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.call.qualified_tool())?;
        if f.alternate() {
            let arguments: String = self.arguments().chars().take(200).collect();
            write!(f, "({arguments})")?;
        }
        write!(f, " -> {} in {:.1?}", self.outcome, self.waited + self.ran)?;
        match self.cut {
            Some(cut) => write!(f, ", {cut}"),
            None => Ok(()),
        }
    }
}

/// Outcome of a call's handler.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run.send_and_handle("Use ping.").await?;
/// let record = &turn.dispatches[0];
/// match record.outcome() {
///     codex_skills::Outcome::Completed => {}
///     codex_skills::Outcome::TimedOut => println!("{} is too slow", record.tool()),
///     other => println!("{}: {other}: {}", record.tool(), record.error().unwrap_or_default()),
/// }
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It answered.
    Completed,
    /// It returned an error or an explicit failure.
    Failed,
    /// It was not run: the arguments do not fit.
    InvalidArguments,
    /// It was not run: the catalog has no such skill.
    UnknownTool,
    /// It panicked.
    Panicked,
    /// It took too long.
    TimedOut,
    /// The turn, the session or the client ended first.
    Cancelled,
    /// It answered more than can be carried, or than is shown where it must be shown whole.
    TooLarge,
    /// It was not run: too many calls of the session are open.
    Overloaded,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::InvalidArguments => "invalid arguments",
            Self::UnknownTool => "unknown tool",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::TooLarge => "too large",
            Self::Overloaded => "overloaded",
        })
    }
}

/// Delivery of a call's answer.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run.send_and_handle("Use ping.").await?;
/// let record = &turn.dispatches[0];
/// let submission = record.submission();
/// assert_eq!(submission.status(), codex_skills::SubmissionStatus::Accepted);
/// assert_eq!(submission.attempts(), 1);
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionRecord {
    pub(crate) status: SubmissionStatus,
    pub(crate) code: Option<Box<str>>,
    pub(crate) attempts: usize,
    pub(crate) error: Option<Box<str>>,
}

impl SubmissionRecord {
    pub(crate) fn unsent(status: SubmissionStatus) -> Self {
        Self {
            status,
            code: None,
            attempts: 0,
            error: None,
        }
    }

    /// The same, once the runtime says which answer it took. `own` is the one that was submitted.
    pub(crate) fn completed(self, own: TakenAnswer, taken: TakenAnswer) -> Self {
        match self.status {
            SubmissionStatus::Written | SubmissionStatus::Exhausted | SubmissionStatus::Settled
                if own == taken =>
            {
                Self {
                    status: SubmissionStatus::Accepted,
                    code: None,
                    error: None,
                    ..self
                }
            }
            SubmissionStatus::Written | SubmissionStatus::Exhausted if taken.is_nothing() => Self {
                status: SubmissionStatus::Settled,
                code: Some("cancelled".into()),
                ..self
            },
            SubmissionStatus::Written | SubmissionStatus::Exhausted => Self {
                status: SubmissionStatus::Settled,
                code: Some("answered_elsewhere".into()),
                error: Some("another answer of the call was taken".into()),
                ..self
            },
            _ => self,
        }
    }

    /// How it ended.
    #[must_use]
    pub fn status(&self) -> SubmissionStatus {
        self.status
    }

    /// What the runtime calls it.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How often it was sent.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// Whether nothing was left to do because the call had been answered before.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.status,
            SubmissionStatus::Settled | SubmissionStatus::Repeated
        )
    }

    /// What went wrong on the way.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

/// How a submission ended.
///
/// ```
/// use codex_skills::{DispatchRecord, SubmissionStatus};
///
/// fn is_lost(record: &DispatchRecord) -> bool {
///     matches!(
///         record.submission().status(),
///         SubmissionStatus::Exhausted | SubmissionStatus::Refused | SubmissionStatus::TooLarge
///     )
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubmissionStatus {
    /// The runtime took the answer, and says so.
    Accepted,
    /// The answer was passed on to codex, which has not said yet that it took it. Usually it says so within milliseconds,
    /// and before the end of the turn: then the records of the turn have `Accepted`, or `Settled` where it took another
    /// answer.
    Written,
    /// The runtime says that the call needs no answer any more, or took another one: the [code](SubmissionRecord::code) is
    /// `answered_elsewhere` where it was another client's, `cancelled` where the call was cancelled first, `expired` where no
    /// answer was wanted any more, and `resolved` where one was taken and codex-manager does not say which: most likely
    /// ours, with its response lost.
    Settled,
    /// The runtime took this very answer before; it was not sent again.
    Repeated,
    /// The call has no request id: there is nowhere to send an answer.
    NoRequestId,
    /// Far too many calls are open: it was left to wait, to be announced again.
    LeftWaiting,
    /// The runtime carries no answer of this size, and not even the failure that says so.
    TooLarge,
    /// The runtime will never take it.
    Refused,
    /// It did not arrive in all attempts.
    Exhausted,
}
