//! What is done for a call: run the handler, submit the answer, record and count it.
//!
//! [`run`] runs and [`submit`] submits, within the bounds that the [`Executor`] of a session has. It knows runtimes by their
//! trait and sessions not at all: which calls were announced before, a session's state machine knows.

mod budget;
mod executor;
mod limits;
mod local;
mod metrics;
mod record;
mod run;
mod shown;
mod submit;
mod threads;
mod unrun;
mod verdict;

pub use limits::{Limits, RetryPolicy};
pub use local::CallError;
pub use metrics::{FailedCalls, Metrics, UndeliveredAnswers};
pub use record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
pub use shown::Cut;

pub(crate) use executor::{Executor, beginning};
#[cfg(feature = "embedded")]
pub(crate) use local::written;
pub(crate) use metrics::Common;
pub(crate) use run::{Finished, Turn as PlaceInLine, discard};
pub(crate) use submit::{Answer, OnItsWay};
pub(crate) use unrun::{broken_off, left_waiting, never_sent};
pub(crate) use verdict::Verdict;
