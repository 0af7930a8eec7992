//! Why there is no codex to talk to.

use std::path::PathBuf;

/// A codex app-server could not be started, or not be reached.
///
/// ```
/// use codex_skills::Error;
/// use codex_skills::app_server::AppServerError;
///
/// fn advice(error: &Error) -> Option<&str> {
///     match error {
///         Error::AppServer(AppServerError::NotFound { .. }) => Some("install codex, or name it with `.codex(..)`"),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppServerError {
    /// There is no codex on this machine, or not where it was looked for.
    #[error(
        "codex was not found {}: install it (`npm install -g @openai/codex`), or say where it is with \
         `AppServer::spawn().codex(\"/path/to/codex\")`",
        .looked_for.as_deref().map_or_else(|| "on PATH".to_owned(), |path| format!("at {}", path.display()))
    )]
    NotFound {
        /// Where it was looked for; `None` for `PATH`.
        looked_for: Option<PathBuf>,
    },
    /// It is there and does not start.
    #[error("{} does not start: {error}", .path.display())]
    CannotStart {
        /// The program.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("codex app-server ended ({status}) before it was ready{}", said(.stderr))]
    Ended {
        /// How it ended.
        status: String,
        /// The end of what it wrote to its stderr, 1 KiB at most.
        stderr: String,
    },
    /// It does not answer.
    #[error(
        "codex app-server did not {waiting_for} within {after:?}: is it overloaded, or no codex app-server?"
    )]
    Silent {
        /// What was waited for.
        waiting_for: &'static str,
        /// For how long.
        after: std::time::Duration,
    },
    /// It is too old for dynamic tools.
    #[error(
        "codex {version} is too old to lend functions to: install {minimum} or newer (`npm install -g @openai/codex`)"
    )]
    TooOld {
        /// Its version.
        version: String,
        /// The oldest that will do.
        minimum: &'static str,
    },
    /// It refused the handshake.
    #[error("codex app-server refused the handshake: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// It asks for a token that it was not given, or another one.
    #[error(
        "codex app-server at {address} does not let us in ({message}): give the token that it was started with, by \
         `.capability_token(..)` or `.signed_bearer(..)`"
    )]
    Unauthorized {
        /// Where.
        address: String,
        /// What it said.
        message: String,
    },
    /// No server answers at the address.
    #[error(
        "no codex app-server at {address} ({why}): start one with `codex app-server --listen {address}`"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The tokio runtime is not fit for it.
    #[error("codex app-server cannot be used here: {lacks}")]
    UnfitTokio {
        /// What it lacks, and what to do.
        lacks: &'static str,
    },
    /// An option makes no sense.
    #[error("option `{option}`: {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(", saying: {stderr}")
    }
}
