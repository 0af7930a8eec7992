//! The error of the crate: one variant for each kind of failure that a caller can act on.

use std::error::Error as StdError;
use std::fmt;

use crate::catalog::{CatalogError, RegisterError};
use crate::runtime::{RuntimeError, RuntimeErrorKind, TurnStatus};
use crate::session::{CleanupReport, TurnIncomplete};

/// An error of a client or a session.
///
/// ```
/// use codex_skills::Error;
///
/// fn explain(error: &Error) {
///     match error {
///         Error::Catalog(error) => {
///             for problem in error.problems() {
///                 eprintln!("{problem}");
///             }
///         }
///         other => eprintln!("{other}"),
///     }
///     // What had happened until then, where a turn did not end well.
///     for call in error.turn().into_iter().flat_map(|turn| &turn.dispatches) {
///         eprintln!("  {call}");
///     }
/// }
/// ```
///
/// Its `Debug` text is its `Display` text: a `main` that returns it prints what to do.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The catalog cannot be sealed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The register callback failed.
    #[error("the register callback failed: {0}")]
    Register(#[source] RegisterError),
    /// The runtime failed, refused, or cannot be reached.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// An option has a value that makes no sense.
    #[error("option `{option}`: {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The turn did not end in time. It was interrupted, or is as soon as its request is accepted.
    #[error("{}", late(*.after, .turn))]
    TurnTimeout {
        /// How long it was given.
        after: std::time::Duration,
        /// What had happened until then.
        turn: Box<TurnIncomplete>,
    },
    /// The turn waited for a decision that was left to others, and none was made in time. It was interrupted.
    #[error(
        "turn {} waited for a decision that nobody made within {after:?} ({method}) and was interrupted: decide on \
         codex-manager's web page, or have the program decide with `.on_request(..)`, or have codex not ask with \
         `.approval_policy(ApprovalPolicy::Never)`; {}",
        .turn.turn_id, .turn.summary()
    )]
    Undecided {
        /// How long it waited; [`Limits::decision_timeout`](crate::Limits::decision_timeout).
        after: std::time::Duration,
        /// What codex asked, like `item/commandExecution/requestApproval`.
        method: String,
        /// What had happened until then.
        turn: Box<TurnIncomplete>,
    },
    /// The turn ended, but not in one of the statuses that were asked for.
    #[error("turn {} ended as {}, expected {}{}; {}", .turn.turn_id, .turn.status, listed(.expected), because(.turn.error.as_deref()), .turn.summary())]
    TurnEnded {
        /// The statuses that were asked for.
        expected: Vec<TurnStatus>,
        /// What had happened until then.
        turn: Box<TurnIncomplete>,
    },
    /// The turn ended without the reply that was required.
    #[error("turn {} ended as {} without a reply{}; {}", .turn.turn_id, .turn.status, because(.turn.error.as_deref()), .turn.summary())]
    NoReply {
        /// What had happened until then.
        turn: Box<TurnIncomplete>,
    },
    /// The runtime went away while the turn ran: what became of it is not known.
    #[error("turn {} was lost{}; {}", .turn.turn_id, because(.turn.error.as_deref()), .turn.summary())]
    TurnLost {
        /// What had happened until then.
        turn: Box<TurnIncomplete>,
    },
    /// A codex app-server could not be started, or not be reached.
    #[cfg(feature = "app-server")]
    #[error(transparent)]
    AppServer(#[from] crate::runtime::app_server::AppServerError),
    /// The settings of a codex-manager cannot be used.
    #[cfg(feature = "manager")]
    #[error(transparent)]
    Profile(#[from] crate::runtime::manager::ProfileError),
    /// The session was closed meanwhile.
    #[error("session {session_id} is closed: {reason}")]
    SessionClosed {
        /// The session.
        session_id: String,
        /// Why.
        reason: String,
        /// Whether codex ended before it had written any of the session, as [`Event::SessionClosed`](crate::Event::SessionClosed) has it.
        is_lost: bool,
        /// What had happened in the turn that was waited for.
        turn: Option<Box<TurnIncomplete>>,
    },
    /// The catalog has skills in namespaces, and the runtime has no place for those.
    #[error(
        "{runtime} takes no namespaces, and the catalog has skills in some: {}; \
         leave the namespaces out, or use `codex app-server` from 0.141 on or the embedded runtime",
        some_of(.skills)
    )]
    NoNamespaces {
        /// The runtime.
        runtime: &'static str,
        /// The skills with their namespaces: `tickets.lookup`.
        skills: Vec<String>,
    },
    /// The session was created with other tools than the catalog has.
    #[error(
        "session {session_id} was created with other tools than this catalog has ({created} and {catalog}): \
         codex takes tools at creation only, so resume it with the same skills or create another session"
    )]
    OtherCatalog {
        /// The session.
        session_id: String,
        /// The fingerprint of the session's tools.
        created: String,
        /// The fingerprint of the catalog.
        catalog: String,
    },
    /// The client is shutting down.
    #[error("the client is shutting down and opens no sessions")]
    ShuttingDown,
    /// The session could not be cleaned up, and the caller did not ignore such errors.
    #[error("session {} was not cleaned up: {}", .0.session_id(), .0.delete_error().map_or_else(String::new, ToString::to_string))]
    Cleanup(Box<CleanupReport>),
    /// An error of the program's own, from the body of a [`lifecycle!`](crate::lifecycle) block.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Wraps an error of another kind, so that `?` can carry it out of a
    /// [`lifecycle!`](crate::lifecycle) block: `read().map_err(Error::other)?`.
    ///
    /// ```
    /// # use codex_skills::Error;
    /// let parsed = "seven".parse::<u8>().map_err(Error::other);
    /// assert_eq!(parsed.unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Whether a turn took too long.
    ///
    /// ```
    /// # use codex_skills::Error;
    /// fn exit_code(error: &Error) -> u8 {
    ///     if error.is_timeout() { 124 } else { 1 }
    /// }
    /// # assert_eq!(exit_code(&Error::other("no turn")), 1);
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TurnTimeout { .. } | Self::Undecided { .. })
    }

    /// Whether the same may succeed when it is tried again: the runtime could not be reached or broke down, or codex ended
    /// before it had written the session's first turn, so that the session is gone with it. In the latter case
    /// ([`SessionClosed`](Self::SessionClosed)) create another one with the same catalog and try there.
    ///
    /// It does not say that nothing happened: calls of a turn that was [lost](Self::TurnLost) may have run, and their
    /// records are in [`turn`](Self::turn).
    ///
    /// ```
    /// # use codex_skills::{Client, Error, Runtime};
    /// async fn patient<R: Runtime>(codex: &Client<R>, request: &str) -> Result<(), Error> {
    ///     loop {
    ///         let run = codex.lifecycle(|draft| draft).await?;
    ///         match run.send_and_handle(request).await {
    ///             Err(error) if error.is_retryable() && error.turn().is_none() => run.close().await?,
    ///             done => return done.map(drop),
    ///         };
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Runtime(error) => error.kind() == RuntimeErrorKind::Unavailable,
            Self::SessionClosed { is_lost, .. } => *is_lost,
            Self::Cleanup(report) => report.is_due(),
            _ => false,
        }
    }

    /// What is known of the turn that was waited for, with the calls that were dispatched.
    ///
    /// ```
    /// # use codex_skills::Error;
    /// fn calls_so_far(error: &Error) -> usize {
    ///     error.turn().map_or(0, |turn| turn.dispatches.len())
    /// }
    /// # assert_eq!(calls_so_far(&Error::other("no turn")), 0);
    /// ```
    #[must_use]
    pub fn turn(&self) -> Option<&TurnIncomplete> {
        match self {
            Self::TurnTimeout { turn, .. }
            | Self::Undecided { turn, .. }
            | Self::TurnEnded { turn, .. }
            | Self::NoReply { turn }
            | Self::TurnLost { turn } => Some(turn),
            Self::SessionClosed { turn, .. } => turn.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn option(option: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidOption {
            option,
            reason: reason.into(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self::Other(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::other(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::other(error)
    }
}

impl From<crate::dispatch::CallError> for Error {
    fn from(error: crate::dispatch::CallError) -> Self {
        Self::other(error)
    }
}

/// The first of many names.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.get(..SHOWN).unwrap_or(names).join("`, `");
    match names.len().saturating_sub(SHOWN) {
        0 => format!("`{shown}`"),
        more => format!("`{shown}` and {more} more"),
    }
}

fn listed(statuses: &[TurnStatus]) -> String {
    let names: Vec<&str> = statuses.iter().map(TurnStatus::as_str).collect();
    names.join(" or ")
}

fn late(after: std::time::Duration, turn: &TurnIncomplete) -> String {
    if turn.turn_id.is_empty() {
        return format!(
            "the request was not accepted within {after:?}; if it comes to a turn, that is interrupted"
        );
    }
    format!(
        "turn {} did not end within {after:?} and was interrupted; {}",
        turn.turn_id,
        turn.summary()
    )
}

fn because(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(" ({error})"))
}
