//! The error of a runtime: what could not be done, and what a caller can do about it.

use std::fmt;
use std::sync::Arc;

use super::peer;
use crate::withheld;

/// The failure of a runtime's operation.
///
/// ```
/// use codex_skills::{Error, RuntimeErrorKind};
///
/// fn is_worth_another_try(error: &Error) -> bool {
///     match error {
///         Error::Runtime(error) => error.kind() == RuntimeErrorKind::Unavailable,
///         _ => false,
///     }
/// }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{runtime} could not {operation}: {message}")]
pub struct RuntimeError {
    runtime: &'static str,
    operation: &'static str,
    kind: RuntimeErrorKind,
    message: String,
    http: Option<Arc<HttpFailure>>,
    turn_id: Option<Arc<str>>,
    #[cfg(feature = "manager")]
    is_unsent: bool,
}

/// An HTTP answer that is none of the 2xx.
///
/// ```
/// # use codex_skills::Error;
/// fn status(error: &Error) -> Option<u16> {
///     match error {
///         Error::Runtime(error) => error.http().map(|http| http.status()),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HttpFailure {
    method: String,
    path: String,
    status: u16,
    body: String,
}

/// Without the body, of which the size is shown: a server may repeat in it what it was sent.
impl fmt::Debug for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFailure")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("body", &withheld::text(&self.body))
            .finish()
    }
}

impl HttpFailure {
    /// An answer of this status to a request. The first KiB of the body is kept.
    pub fn new(
        method: impl Into<String>,
        path: impl Into<String>,
        status: u16,
        body: impl AsRef<str>,
    ) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            status,
            body: peer::beginning(body.as_ref()).to_owned(),
        }
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path of the request, without the address of the server.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The beginning of the body as it came, 1 KiB at most. Escape it before it is shown.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// What a caller can do about a [`RuntimeError`].
///
/// ```
/// use codex_skills::{RuntimeError, RuntimeErrorKind};
///
/// let error = RuntimeError::new("my runtime", "send the request", RuntimeErrorKind::Unavailable, "it is away");
/// assert_eq!(error.to_string(), "my runtime could not send the request: it is away");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeErrorKind {
    /// The request is wrong, and stays wrong.
    Refused,
    /// There is no such session or turn.
    NotFound,
    /// The runtime cannot be reached, or broke down. Trying again may help.
    Unavailable,
    /// The answer was lost, and it could not be found out whether the request was taken: trying again may have it done
    /// twice.
    Unknown,
}

impl RuntimeError {
    /// An error of a runtime. `operation` completes the sentence "could not …". The message may have a peer's words in it:
    /// it is cut at 1 KiB, and its control characters are escaped.
    pub fn new(
        runtime: &'static str,
        operation: &'static str,
        kind: RuntimeErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            runtime,
            operation,
            kind,
            message: peer::shown(&message.into()),
            http: None,
            turn_id: None,
            #[cfg(feature = "manager")]
            is_unsent: false,
        }
    }

    /// The same error of a request that was not even sent.
    #[cfg(feature = "manager")]
    pub(crate) fn unsent(mut self, is_unsent: bool) -> Self {
        self.is_unsent = is_unsent;
        self
    }

    /// Whether it is certain that the request was not sent.
    #[cfg(feature = "manager")]
    pub(crate) fn is_unsent(&self) -> bool {
        self.is_unsent
    }

    #[cfg(feature = "manager")]
    pub(crate) fn shared_http(&self) -> Option<Arc<HttpFailure>> {
        self.http.clone()
    }

    /// The same error with the turn that may have taken the request.
    #[must_use]
    pub fn with_turn_id(mut self, turn_id: Arc<str>) -> Self {
        self.turn_id = Some(turn_id);
        self
    }

    /// The turn that may have taken a request whose answer was lost, where one is known.
    #[must_use]
    pub fn turn_id(&self) -> Option<&str> {
        self.turn_id.as_deref()
    }

    /// The same error with the HTTP answer that it comes from.
    #[must_use]
    pub fn with_http(mut self, http: Arc<HttpFailure>) -> Self {
        self.http = Some(http);
        self
    }

    /// The HTTP answer that the error comes from, where it comes from one.
    #[must_use]
    pub fn http(&self) -> Option<&HttpFailure> {
        self.http.as_deref()
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> RuntimeErrorKind {
        self.kind
    }

    /// What the runtime says.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
