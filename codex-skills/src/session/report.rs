//! The report of a session's cleanup.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::deletions::Attempted;
use crate::runtime::{Deletion, RuntimeError};

/// The result of closing a session.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft).await?;
/// let report = run.close().await?;
/// assert!(report.deleted() && !report.is_due());
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CleanupReport {
    session_id: Arc<str>,
    cleared: usize,
    cancelled_calls: usize,
    deletion: Option<Result<Deletion, RuntimeError>>,
    /// Whether an attempt without an answer came before.
    is_repeat: bool,
    is_due: bool,
}

impl CleanupReport {
    /// The report on a session that was kept, of which nothing else is known.
    pub(super) fn kept(session_id: Arc<str>) -> Self {
        Self {
            session_id,
            cleared: 0,
            cancelled_calls: 0,
            deletion: None,
            is_repeat: false,
            is_due: false,
        }
    }

    /// The same with what was let go in this program.
    pub(super) fn with_local(mut self, cleared: usize, cancelled_calls: usize) -> Self {
        self.cleared = cleared;
        self.cancelled_calls = cancelled_calls;
        self
    }

    /// The same with what the attempts to delete the session came to, and whether it is due still.
    pub(super) fn with_deletion(mut self, attempted: Attempted, is_due: bool) -> Self {
        self.deletion = Some(attempted.outcome);
        self.is_repeat = attempted.is_repeat;
        self.is_due = is_due;
        self
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// How many skills the session's catalog had; 0 when this client did not have the session open.
    #[must_use]
    pub fn cleared(&self) -> usize {
        self.cleared
    }

    /// How many handlers still ran and were cancelled.
    #[must_use]
    pub fn cancelled_calls(&self) -> usize {
        self.cancelled_calls
    }

    /// Whether the runtime says that the session is deleted (`ok` or `deleted`), or that it is not there after an
    /// earlier deletion whose answer was lost.
    #[must_use]
    pub fn deleted(&self) -> bool {
        let Some(Ok(deletion)) = &self.deletion else {
            return false;
        };
        deletion.is_deleted() || (self.is_repeat && deletion.status == "not_found")
    }

    /// Whether the session could not be deleted yet, because the runtime cannot be reached or broke down. It is tried
    /// again in the background while the client lives, and when the client is
    /// [shut down](crate::Client::shutdown), which reports what is [left](crate::ShutdownReport::due). So are sessions
    /// of its sub-agents, which say nothing of the session itself.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// The sessions of sub-agents that are due still.
    pub(super) fn due_children(&self) -> Vec<Arc<str>> {
        match &self.deletion {
            Some(Ok(deletion)) => deletion.due.clone(),
            _ => Vec::new(),
        }
    }

    /// What the runtime answered to the deletion, where it was asked and answered.
    #[must_use]
    pub fn delete_response(&self) -> Option<&Value> {
        match &self.deletion {
            Some(Ok(deletion)) => Some(&deletion.payload),
            _ => None,
        }
    }

    /// Why the deletion failed, where it did.
    #[must_use]
    pub fn delete_error(&self) -> Option<&RuntimeError> {
        match &self.deletion {
            Some(Err(error)) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for CleanupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match &self.deletion {
            None => "kept".to_owned(),
            Some(Ok(_)) if self.deleted() => "deleted".to_owned(),
            Some(Ok(deletion)) => format!("not deleted ({})", deletion.status),
            Some(Err(error)) if self.is_due => format!("not deleted yet ({error})"),
            Some(Err(error)) => format!("not deleted ({error})"),
        };
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "session {} {fate}, {} skill{} cleared",
            self.session_id,
            self.cleared,
            plural(self.cleared)
        )?;
        if self.cancelled_calls > 0 {
            let calls = self.cancelled_calls;
            write!(f, ", {calls} call{} cancelled", plural(calls))?;
        }
        Ok(())
    }
}
