//! The bounds of a session, each with a default.

use std::time::Duration;

/// The bounds of dispatching, for a client or a single session.
///
/// Each limit of a count goes with one of bytes, so a session stays within some hundred MiB whatever a model or a peer does:
/// [the table of all limits](crate::guide::limits) says what happens beyond each. A limit of 0 with which no call could be
/// answered is an error when the session is opened.
///
/// ```
/// use std::time::Duration;
/// use codex_skills::Limits;
///
/// let limits = Limits { call_timeout: Duration::from_secs(10), ..Limits::default() };
/// assert_eq!(limits.output_bytes, 8 * 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// How long a call may take, from its arrival to its answer, waiting included, unless the skill
    /// has a deadline of its own. Codex has no deadline. Default: 60 seconds.
    pub call_timeout: Duration,
    /// How many handlers of a session run at the same time. Default: 16 for each core.
    pub concurrent_calls: usize,
    /// How many calls of a session may be unanswered, running ones included; further calls are
    /// answered with a failure at once. Default: 1024.
    pub open_calls: usize,
    /// The largest arguments of a call in bytes, as JSON; larger ones are answered with a failure before anything of
    /// them is decoded. Default: 1 MiB.
    pub argument_bytes: usize,
    /// How many bytes the unanswered calls of a session may have: their arguments, and their answers while these are on
    /// their way. Further calls are answered with a failure at once. Default: 64 MiB.
    pub open_bytes: usize,
    /// The largest answer in bytes, as JSON; the runtime's own limit holds as well. Default: 8 MiB.
    pub output_bytes: usize,
    /// How many bytes of an answer's texts codex shows its model; it leaves out the middle of what is longer, which
    /// the record, a warning and the metrics report. `None`, the default, means codex's own default:
    /// 12,000 bytes, and in code mode 40,000 of what a program prints. Codex's setting
    /// `tool_output_token_limit` makes it 4.8 bytes for each token: say here what its `config.toml` says; where a
    /// session is created with the setting, it is known.
    pub shown_bytes: Option<usize>,
    /// Whether an answer of which the model would be shown a part is a failure that asks for less. Default: no; a
    /// skill can [demand it](crate::SkillBuilder::whole_answer) for itself.
    pub whole_answers: bool,
    /// How many answered calls of a session are remembered, to recognise repeats; the oldest are
    /// forgotten first. Default: 4096.
    pub settled_calls: usize,
    /// How many bytes the answers of these calls may have, their arguments included; the oldest answers are dropped first.
    /// A repeat of such a call runs nothing: it is answered with a failure which says that the answer is not kept any
    /// more. Default: 64 MiB.
    pub settled_bytes: usize,
    /// How many ended turns of a session are remembered with their replies and records. Default: 64.
    pub remembered_turns: usize,
    /// How many bytes the replies and records of a session's turns may have, running turns included. Beyond it the oldest
    /// ended turns are forgotten; then the oldest records lose their arguments and answers, and are
    /// [stripped](crate::DispatchRecord::is_stripped); then the oldest of those go. Default: 64 MiB.
    pub remembered_bytes: usize,
    /// How many bytes of events wait for a slow reader of [signals](crate::Session::signals); the oldest are
    /// [lost](crate::Signals::lost). Default: 16 MiB for each reader.
    pub signal_bytes: usize,
    /// How long [`send_and_handle`](crate::Session::send_and_handle) waits for others to decide what codex asks, where
    /// that is left to them. Default: 5 minutes.
    pub decision_timeout: Duration,
    /// How often and how fast an answer that did not arrive is sent again.
    pub submission: RetryPolicy,
}

const MIB: usize = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            call_timeout: Duration::from_secs(60),
            concurrent_calls: 16 * cores,
            open_calls: 1024,
            open_bytes: 64 * MIB,
            argument_bytes: MIB,
            output_bytes: 8 * MIB,
            shown_bytes: None,
            whole_answers: false,
            settled_calls: 4096,
            settled_bytes: 64 * MIB,
            remembered_turns: 64,
            decision_timeout: Duration::from_secs(300),
            remembered_bytes: 64 * MIB,
            signal_bytes: 16 * MIB,
            submission: RetryPolicy::default(),
        }
    }
}

/// How often and how fast an answer that did not arrive is sent again. Delays double and are jittered.
///
/// The sessions of a client share a budget of retries beside the attempts of each answer, so that an outage
/// is not made worse by those who wait for its end. Each retry takes one out. It comes back with time, or
/// at once when the retry shows that the runtime takes answers again. When the budget is used up, answers
/// wait in line, in the order in which they came there, and nothing is lost: after a minute, or when the
/// turn ended meanwhile, an answer is recorded as
/// [not delivered](crate::SubmissionStatus::Exhausted), which keeps it, and it is sent again when its call
/// is found waiting: by a catch-up of the runtime or by
/// [`drain_pending_calls`](crate::Session::drain_pending_calls).
///
/// ```
/// use std::time::Duration;
///
/// use codex_skills::{Limits, RetryPolicy};
///
/// let submission = RetryPolicy { attempts: 5, delay: Duration::from_millis(20), ..RetryPolicy::default() };
/// let limits = Limits { submission, ..Limits::default() };
/// # drop(limits);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// All attempts together, the first included; 0 counts as 1. Default: 3.
    pub attempts: usize,
    /// The delay before the second attempt. Default: 50 milliseconds; zero: no delays.
    pub delay: Duration,
    /// The longest delay. Default: 2 seconds.
    pub max_delay: Duration,
    /// How many retries all sessions of the client make at a stretch; 0 counts as 1. Default: 100.
    pub budget: usize,
    /// How long it takes until one of them comes back. Default: 100 milliseconds, so 10 retries a second
    /// go on; zero: no budget.
    pub refill: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
            budget: 100,
            refill: Duration::from_millis(100),
        }
    }
}
