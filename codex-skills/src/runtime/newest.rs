//! The newest known turn of a session, to recognise those that came later.

use std::sync::Arc;

/// The newest turn that is known of a session.
#[derive(Clone, Debug)]
pub(crate) enum Newest {
    Turn(Arc<str>),
    /// It has none yet.
    None,
}

impl Newest {
    /// Whether a turn came later. Codex's ids are in the order of their time.
    pub(crate) fn is_before(&self, turn_id: &str) -> bool {
        match self {
            Self::Turn(newest) => **newest < *turn_id,
            Self::None => true,
        }
    }
}
