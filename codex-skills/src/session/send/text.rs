//! Sending a request without waiting for its turn.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::request::{Request, request_options};
use crate::error::Error;
use crate::session::core::SessionCore;
use crate::withheld;

/// A [`send`](crate::Session::send) that was not awaited yet.
#[derive(Debug)]
#[must_use = "await it to send the request"]
pub struct SendText<'a> {
    request: Request<'a>,
}

impl<'a> SendText<'a> {
    pub(crate) fn new(core: &'a Arc<SessionCore>, text: String) -> Self {
        Self {
            request: Request::new(core, text),
        }
    }

    request_options!();
}

impl<'a> IntoFuture for SendText<'a> {
    type Output = Result<Sent, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let accepted = self.request.send().await?;
            Ok(Sent {
                session_id: self.request.core.id.to_string(),
                turn_id: accepted.turn_id.to_string(),
                accepted: accepted.payload,
            })
        })
    }
}

/// A request that was accepted.
///
/// ```
/// # use codex_skills::{Error, Session};
/// async fn begin(session: &Session) -> Result<String, Error> {
///     let sent = session.send("Look around.").await?;
///     Ok(sent.turn_id)
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Sent {
    /// The session.
    pub session_id: String,
    /// The turn that works on the request.
    pub turn_id: String,
    /// What the runtime answered.
    pub accepted: Value,
}

/// Without what the runtime answered.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("session_id", &self.session_id)
            .field("turn_id", &self.turn_id)
            .field("accepted", &withheld::Json(&self.accepted))
            .finish()
    }
}
