//! What a session's machine says is to be done.

use std::sync::Arc;

use crate::dispatch::{DispatchRecord, SubmissionStatus};
use crate::skill::ToolCall;
use crate::skill::call::CallKey;

/// One opening of a session, by its position among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpeningId(pub(super) u64);

/// What the driver keeps of a call that is underway.
pub(crate) trait Held: Clone {
    /// Begins to keep a call.
    fn of(key: CallKey) -> Self;
}

/// A call that was claimed for this announcement of it.
#[derive(Debug)]
pub(crate) struct Admitted<R> {
    pub(crate) running: R,
    pub(crate) call: Arc<ToolCall>,
    /// Its position among the calls of the opening, from 0.
    pub(crate) arrival: u64,
    /// Whether its turn or its session is over, so that no handler begins.
    pub(crate) is_late: bool,
}

/// What the driver is to do.
#[derive(Debug)]
pub(crate) enum Command<R> {
    /// Nothing.
    Nothing,
    /// Run the handler of a call, and deliver its answer.
    Run(Admitted<R>),
    /// Deliver the answer that there are too many calls.
    Refuse(Admitted<R>),
    /// Deliver the answer of a settled call again.
    DeliverAgain {
        admitted: Admitted<R>,
        record: Arc<DispatchRecord>,
        /// Whether it went to the same place before, and did not arrive.
        is_retry: bool,
    },
    /// Wait for a call that is underway: its answer goes to the newest address.
    Join(R),
    /// Say what is known of a call: its answer was delivered there.
    Repeat(Arc<DispatchRecord>),
    /// Let a call wait at the runtime: too many refusals are on their way.
    Shed { call: Arc<ToolCall>, arrival: u64 },
    /// Leave a call to others.
    Leave(Arc<ToolCall>),
    /// Cancel these calls.
    Cancel(Vec<R>),
    /// Cancel these calls, and what runs without being a call of a turn.
    CancelAll(Vec<R>),
    /// Wake the delivery of a call: the runtime said what became of its answer.
    Notify(R),
    /// Count a settled call anew.
    Resettled(Resettled),
}

/// A settled call of which more became known.
#[derive(Debug)]
pub(crate) struct Resettled {
    /// What was known of its answer before.
    pub(crate) before: SubmissionStatus,
    pub(crate) record: Arc<DispatchRecord>,
}
