//! From a call to its answer: claim it once, run the handler, submit, record.
//!
//! The [`ledger`] decides, [`run`] runs, [`submit`] delivers; the [`Dispatcher`] of a session ties them
//! together. It knows runtimes by their trait and sessions not at all.

mod budget;
mod claim;
mod dispatcher;
mod ledger;
mod limits;
mod local;
mod metrics;
mod record;
mod run;
mod shown;
mod submit;
mod threads;
mod verdict;

pub use limits::{Limits, RetryPolicy};
pub use local::CallError;
pub use metrics::{FailedCalls, Metrics, UndeliveredAnswers};
pub use record::{DispatchRecord, Outcome, SubmissionRecord, SubmissionStatus};
pub use shown::Cut;

#[cfg(test)]
pub(crate) use claim::broken_off;
pub(crate) use claim::{Settle, SharedLedger, is_newer};
pub(crate) use dispatcher::{Announced, Dispatcher};
#[cfg(feature = "embedded")]
pub(crate) use local::written;
pub(crate) use metrics::Common;
pub(crate) use run::discard;
