//! The ends of a turn that will do.

use crate::error::Error;
use crate::runtime::TurnStatus;
use crate::skill::arguments::nearest_name;

/// One status, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a turn status or a list of them",
    note = "write `TurnStatus::Completed`, `\"completed\"`, or an array of either"
)]
pub trait IntoStatuses {
    /// The statuses.
    fn into_statuses(self) -> Vec<TurnStatus>;
}

impl IntoStatuses for TurnStatus {
    fn into_statuses(self) -> Vec<TurnStatus> {
        vec![self]
    }
}

impl IntoStatuses for &str {
    fn into_statuses(self) -> Vec<TurnStatus> {
        vec![self.into()]
    }
}

impl<T: Into<TurnStatus>, const N: usize> IntoStatuses for [T; N] {
    fn into_statuses(self) -> Vec<TurnStatus> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<TurnStatus>> IntoStatuses for Vec<T> {
    fn into_statuses(self) -> Vec<TurnStatus> {
        self.into_iter().map(Into::into).collect()
    }
}

/// The ends of turns that this version knows.
const ENDS: [&str; 4] = ["completed", "failed", "interrupted", "lost"];

/// Refuses what is no end of a turn.
pub(super) fn check_terminal(statuses: Option<&[TurnStatus]>) -> Result<(), Error> {
    let Some(statuses) = statuses else {
        return Ok(());
    };
    if statuses.is_empty() {
        return Err(Error::option(
            "terminal",
            "no turn ends in none of the statuses: name one",
        ));
    }
    for status in statuses {
        match status {
            TurnStatus::InProgress => {
                return Err(Error::option(
                    "terminal",
                    "`inProgress` is no end of a turn",
                ));
            }
            TurnStatus::Other(text) if text.trim().is_empty() => {
                return Err(Error::option(
                    "terminal",
                    "a status is empty: write \"completed\"",
                ));
            }
            TurnStatus::Other(text) => {
                let (text, meant) = (text.trim(), nearest_name(text, &ENDS));
                let meant = meant.map(|meant| format!(", did you mean `{meant}`?"));
                return Err(Error::option(
                    "terminal",
                    format!(
                        "no turn ends as `{text}`{}; turns end as `{}`",
                        meant.unwrap_or_default(),
                        ENDS.join("`, `")
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
