//! A request to codex-manager and its answer, as data.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The name of the runtime in messages.
pub(super) const NAME: &str = "codex-manager";

/// Default limit of codex-manager for the body of a request, in bytes (contract §9.6).
pub(super) const REQUEST_BYTES: usize = 1024 * 1024;

/// Content of a 2xx answer, which decides how much of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A status and ids.
    Word,
    /// A session in which nothing happened yet.
    Session,
    /// A page of sessions, a program's as JSON values.
    Page,
    /// All that happened in a session, a program's as JSON values; or what waits for a decision.
    Values,
    /// All that happened in a session, or the arguments of the calls that wait.
    History,
    /// The same where it is cut if there is more.
    Beginning,
}

impl Holds {
    /// Returns the bytes that are read at most.
    pub(super) fn most(self, history: usize) -> usize {
        match self {
            Self::Word => 64 * 1024,
            Self::Session => 1024 * 1024,
            Self::Page => 4 * 1024 * 1024,
            Self::Values => 16 * 1024 * 1024,
            Self::History | Self::Beginning => history,
        }
    }

    /// Returns the error text for a longer answer.
    pub(super) fn too_long(self, most: usize) -> String {
        let cure = match self {
            Self::History => {
                ": set a larger `CodexManagerBuilder::history_limit`, if the server is to be trusted"
            }
            _ => "",
        };
        format!("the answer is over {most} bytes, and is not read{cure}")
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// Where a redirect points to.
    pub(super) location: Option<String>,
    pub(super) body: String,
}

impl Response {
    /// The body as JSON; `null` when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The answer that was not read, since the server closed the connection before it had the whole request.
    pub(super) fn too_large(bytes: usize) -> Self {
        let message = format!(
            "the request of {bytes} bytes was not read to its end; the server's limit is {REQUEST_BYTES} bytes unless it \
             was set up otherwise"
        );
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            retry_after: None,
            location: None,
            body: serde_json::json!({"message": message}).to_string(),
        }
    }
}

/// One request, named for messages.
#[derive(Clone)]
pub(super) struct Request<'a> {
    /// Completes the sentence "could not …".
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<Vec<u8>>,
    /// What its answer holds.
    pub(super) holds: Holds,
}

/// Whether trying again may help.
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..=599)
}
