//! The guard that owns a session from its creation to its cleanup.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;

use super::builder::Opened;
use super::cleanup::checked;
use super::duty::Ownership;
use super::handle::Session;
use super::report::CleanupReport;
use crate::error::Error;
use crate::withheld;

/// A session that is deleted when its guard is closed, or in the background when the guard is dropped:
/// on return, error, panic and cancellation alike. It is a [`Session`] by dereference.
///
/// The block [`lifecycle!`](crate::lifecycle) is the shorter way, and waits for the cleanup.
///
/// ```
/// # use codex_skills::{skill, skills, Embedded};
/// # #[skill]
/// # fn ping() -> &'static str {
/// #     "pong"
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(skills![ping])).cwd(".").await?;
/// run.send_and_handle("Use ping.").require_reply().await?;
/// let report = run.close().await?;
/// assert!(report.deleted());
/// # Ok(())
/// # }
/// ```
#[must_use = "the session is deleted when the guard is dropped"]
pub struct Lifecycle {
    session: Session,
    created: Value,
    ownership: Ownership,
    ignore_cleanup_errors: bool,
}

/// Without what the runtime answered to the creation.
impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("session", &self.session)
            .field("created", &withheld::Json(&self.created))
            .field("ownership", &self.ownership)
            .field("ignore_cleanup_errors", &self.ignore_cleanup_errors)
            .finish()
    }
}

impl Lifecycle {
    pub(super) fn new(opened: Opened, ignore_cleanup_errors: bool) -> Self {
        Self {
            session: Session::of(opened.core),
            created: opened.created,
            ownership: opened.ownership,
            ignore_cleanup_errors,
        }
    }

    /// What the runtime answered to the creation.
    #[must_use]
    pub fn created(&self) -> &Value {
        &self.created
    }

    /// The session.
    ///
    /// ```
    /// # use codex_skills::Lifecycle;
    /// fn answer_elsewhere(run: &Lifecycle) {
    ///     let session = run.skills().clone();
    ///     tokio::spawn(async move { session.serve().await });
    /// }
    /// ```
    pub fn skills(&self) -> &Session {
        &self.session
    }

    /// Decides anew whether the session stays when the guard is closed.
    pub fn keep_session(&self, keep: bool) {
        self.ownership.set_delete(!keep);
    }

    /// Lets go of the session, and deletes it unless it is to be kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft).await?;
    /// let report = run.close().await?;
    /// assert!(report.deleted());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the deletion failed and [`ignore_cleanup_errors`](crate::OpenLifecycle::ignore_cleanup_errors)
    /// is off.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the cleanup.
    pub async fn close(mut self) -> Result<CleanupReport, Error> {
        self.close_now().await
    }

    /// [`close`](Self::close) for a guard that is dropped afterwards.
    pub(crate) async fn close_now(&mut self) -> Result<CleanupReport, Error> {
        checked(self.finish().await, self.ignore_cleanup_errors)
    }

    pub(super) async fn finish(&mut self) -> CleanupReport {
        self.ownership.finish().await
    }

    pub(super) fn ignores_cleanup_errors(&self) -> bool {
        self.ignore_cleanup_errors
    }
}

impl Deref for Lifecycle {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
