//! What is known of a thread before a request is sent, to recognise afterwards the turn that took it.

use std::sync::Arc;

use crate::runtime::newest::Newest;

/// State of a thread when a request is sent to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// The newest turn, where it is known.
    pub(super) newest: Option<Newest>,
    /// The turn that runs, which the request would steer.
    pub(super) active: Option<Arc<str>>,
    /// Requests that this turn has taken already.
    pub(super) taken: u64,
}
