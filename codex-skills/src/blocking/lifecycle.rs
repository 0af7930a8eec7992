//! The guard that owns a session from its creation to its cleanup.

use std::ops::Deref;
use std::time::Duration;

use serde_json::Value;

use super::session::Session;
use super::wait::wait;
use crate::error::Error;
use crate::session::CleanupReport;

/// How long dropping a guard waits for the cleanup, which then goes on in the background.
const DROP_WAIT: Duration = Duration::from_secs(10);

/// A session that is deleted when its guard is closed or dropped: on return, error and panic alike. It is a
/// [`Session`] by dereference.
///
/// Dropping the guard waits for the deletion, for 10 seconds at most; then it goes on in the background.
///
/// ```
/// # use codex_skills::Embedded;
/// let codex = Embedded::demo().blocking();
/// let run = codex.lifecycle(|draft| draft).wait()?;
/// run.send_and_handle("Hello.").wait()?;
/// let report = run.close()?;
/// assert!(report.deleted());
/// # Ok::<(), codex_skills::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the session is deleted when the guard is dropped"]
pub struct Lifecycle {
    session: Session,
    guard: crate::Lifecycle,
}

impl Lifecycle {
    pub(super) fn new(guard: crate::Lifecycle) -> Self {
        Self {
            session: guard.skills().clone().into(),
            guard,
        }
    }

    /// What the runtime answered to the creation.
    #[must_use]
    pub fn created(&self) -> &Value {
        self.guard.created()
    }

    /// The session.
    pub fn skills(&self) -> &Session {
        &self.session
    }

    /// Decides anew whether the session stays when the guard is closed.
    pub fn keep_session(&self, keep: bool) {
        self.guard.keep_session(keep);
    }

    /// Lets go of the session, and deletes it unless it is to be kept.
    ///
    /// # Errors
    /// When the deletion failed and
    /// [`ignore_cleanup_errors`](super::OpenLifecycle::ignore_cleanup_errors) is off.
    pub fn close(mut self) -> Result<CleanupReport, Error> {
        wait(self.guard.close_now())?
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        // Failed deletions are logged where they fail; after `close` nothing is left to do. What is not
        // even begun here, the guard within begins.
        let _ = wait(async { tokio::time::timeout(DROP_WAIT, self.guard.close_now()).await });
    }
}

impl Deref for Lifecycle {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
