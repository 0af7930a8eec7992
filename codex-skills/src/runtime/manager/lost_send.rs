//! Finds the turn of a user's request whose answer was lost, in the session's turns. The request is never repeated,
//! since it would steer the turn that it has begun.
//!
//! codex-manager keeps no client id with a message. The turn is recognised by a text that no other request from here
//! explains, and by having run when the request was sent or being newer than the turns known then: codex's ids are in
//! the order of their time. Where several turns remain, the outcome is not known.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::catch_up::Because;
use super::detail::Detail;
use super::exchange::{Holds, NAME, Request, Response};
use super::failure::How;
use super::registry::ActiveTurn;
use super::sent::Sent;
use super::{CodexManager, session_path};
use crate::runtime::newest::Newest;
use crate::runtime::{Accepted, HttpFailure, RuntimeError, RuntimeErrorKind, TurnStatus};

/// The pauses between looks at a session that shows no sign of the request: it may be on its way still.
const LOOKS: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(1600),
];

/// Looks made for a request that most likely failed because it is too large: the server has hardly read it.
const LOOKS_AT_OVERSIZED: usize = 4;

/// The pause between looks at a turn that may have taken the request, and at a server that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// A time-out beyond which a request whose answer was lost is not looked for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A request of the user as it was sent.
pub(super) struct Message {
    pub(super) session_id: Arc<str>,
    pub(super) text: String,
    pub(super) before: Before,
}

/// State of a session when a request was sent.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The key of the request among those that were sent.
    pub(super) key: u64,
    /// The newest turn, where it is known.
    pub(super) newest: Option<Newest>,
    /// The turns that may have run: the request may have steered one of them.
    pub(super) running: Vec<Arc<str>>,
}

impl Before {
    /// Whether a turn is known to have begun later.
    pub(super) fn precedes(&self, turn_id: &str) -> bool {
        let newest = self.newest.as_ref();
        newest.is_some_and(|newest| newest.is_before(turn_id))
    }
}

/// Result of one look at a session's turns.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The turn that took the request.
    Took(Arc<str>),
    /// A turn that runs, and may take it yet.
    May(Arc<str>),
    /// No turn took it, or none that can be recognised.
    None(Option<Arc<str>>),
}

/// A request of the user that failed.
pub(super) struct Failed {
    pub(super) error: RuntimeError,
    /// The error to return if no turn took the request; by default, that it can be sent again.
    instead: Option<RuntimeError>,
}

impl From<RuntimeError> for Failed {
    fn from(error: RuntimeError) -> Self {
        Self {
            error,
            instead: None,
        }
    }
}

/// Whether a request may have been taken though it failed.
pub(super) fn is_lost(error: &RuntimeError) -> bool {
    let said_so = error.http().map(HttpFailure::status);
    error.kind() == RuntimeErrorKind::Unavailable
        && !error.is_unsent()
        && !matches!(said_so, Some(425 | 429))
}

/// The error of a creation, which may have left a session behind where its answer was lost. A status of the server's is an
/// answer, but that of a gateway which had none.
pub(super) fn creation_lost(error: RuntimeError) -> RuntimeError {
    let is_read = error.http().is_some_and(|said| said.status() != 504);
    let was_accepted = error.kind() == RuntimeErrorKind::Unknown;
    if !was_accepted && (is_read || !is_lost(&error)) {
        return error;
    }
    tracing::warn!(target: "codex_skills::manager", %error, "a session may be left behind: it was to be created, and its id is not known");
    let text = format!(
        "{}; whether there is a session now is not known: `list_sessions` has it",
        error.message()
    );
    let unknown = RuntimeError::new(NAME, "create the session", RuntimeErrorKind::Unknown, text);
    match error.shared_http() {
        Some(failure) => unknown.with_http(failure),
        None => unknown,
    }
}

impl CodexManager {
    /// Sends a request of the user, once.
    pub(super) async fn post_message(
        &self,
        operation: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Response, Failed> {
        let (http, method) = (&self.shared.http, Method::POST);
        let request = Request {
            operation,
            method: method.clone(),
            path,
            body: Some(body.to_string().into_bytes()),
            holds: Holds::Word,
        };
        let response = match http.exchange(request).await {
            Ok(response) => response,
            Err(broken) => {
                let instead = match broken.how {
                    How::Oversized(bytes) => {
                        let refusal = Response::too_large(bytes);
                        Some(http.refusal(operation, &method, path, &refusal).await)
                    }
                    _ => None,
                };
                let error = broken.into();
                return Err(Failed { error, instead });
            }
        };
        if response.status.is_success() {
            return Ok(response);
        }
        let refusal = http.refusal(operation, &method, path, &response).await;
        Err(refusal.into())
    }

    /// Finds out what became of a request whose answer was lost.
    pub(super) async fn look_up(
        &self,
        message: &Message,
        failed: Failed,
    ) -> Result<Accepted, RuntimeError> {
        let path = session_path(LOOK, &message.session_id, "")?;
        let looks = AtServer {
            client: self,
            path,
            message,
        };
        let until = Instant::now() + self.shared.settings.timeout.min(LONGEST);
        let turn_id = find(&looks, failed, until).await?;
        Ok(self.join(message, turn_id).await)
    }

    /// Goes on with the turn that took the request.
    async fn join(&self, message: &Message, turn_id: Arc<str>) -> Accepted {
        let session_id = &message.session_id;
        let generation = self.shared.generation();
        let payload = json!({
            "status": "accepted",
            "sessionId": &**session_id,
            "turnId": &*turn_id,
        });
        self.shared
            .registry()
            .began(session_id, &turn_id, generation);
        tracing::info!(target: "codex_skills::manager", session = &**session_id, turn = &*turn_id, "a request whose answer was lost was taken");
        // Ask for what the stream did not bring meanwhile.
        if !self
            .shared
            .catch_up_calls(session_id.clone(), Because::Asked)
            .await
        {
            let turn = ActiveTurn {
                id: turn_id.clone(),
                generation,
            };
            self.shared
                .catch_up_turn(session_id, &turn, Because::Asked)
                .await;
        }
        Accepted::new(turn_id, payload)
    }
}

/// Completes the sentence "could not …" of a look.
const LOOK: &str = "read the session";

/// Result of an attempt to look at a session.
#[derive(Debug)]
enum Seen {
    Turns(Look),
    /// The server could not say.
    Nothing,
    /// Its codex ended, in these words, and what it began ended with it.
    Death(String),
    /// There is nothing to be seen any more.
    Refusal,
}

/// Source of looks; a test has its own.
trait Looks {
    /// Looks at the session once.
    fn look(&self) -> impl Future<Output = Seen> + Send;
}

/// Looks for the turn that took a request whose answer was lost, until one did, none can have, or it is too late. Nothing
/// is sent again.
async fn find(
    looks: &impl Looks,
    failed: Failed,
    until: Instant,
) -> Result<Arc<str>, RuntimeError> {
    let Failed {
        error: lost,
        instead,
    } = failed;
    let pauses = match instead {
        Some(_) => LOOKS_AT_OVERSIZED,
        None => LOOKS.len(),
    };
    let mut pauses = LOOKS.into_iter().take(pauses);
    let mut may = None;
    loop {
        let pause = match looks.look().await {
            Seen::Turns(Look::Took(turn_id)) => return Ok(turn_id),
            Seen::Turns(Look::May(turn_id)) => {
                may = Some(turn_id);
                PAUSE
            }
            Seen::Turns(Look::None(turn_id)) => match pauses.next() {
                Some(pause) => pause,
                None => return Err(given_up(turn_id.or(may), &lost, instead)),
            },
            Seen::Nothing => PAUSE,
            Seen::Death(death) => {
                return Err(match may {
                    Some(turn_id) => unknown(Some(turn_id), &lost),
                    None => ended(&lost, &death),
                });
            }
            Seen::Refusal => return Err(unknown(may, &lost)),
        };
        if Instant::now() + pause > until {
            return Err(unknown(may, &lost));
        }
        tokio::time::sleep(pause).await;
    }
}

/// Looks at the server.
struct AtServer<'a> {
    client: &'a CodexManager,
    path: String,
    message: &'a Message,
}

impl Looks for AtServer<'_> {
    async fn look(&self) -> Seen {
        let shared = &self.client.shared;
        let detail = shared.http.call(Request {
            operation: LOOK,
            method: Method::GET,
            path: &self.path,
            body: None,
            holds: Holds::History,
        });
        match detail.await {
            Ok(response) => {
                let sent = shared.registry().sent(&self.message.session_id);
                Seen::Turns(look(&Detail::read(&response.body), self.message, &sent))
            }
            Err(error) if error.kind() == RuntimeErrorKind::Unavailable => {
                let process = shared.http.process().await;
                match process.map(|process| process.death) {
                    Ok(Some(death)) => Seen::Death(death),
                    _ => Seen::Nothing,
                }
            }
            Err(_) => Seen::Refusal,
        }
    }
}

/// Returns the error of a request for which no look showed a turn; `instead` replaces the one that it can be sent
/// again.
fn given_up(
    may: Option<Arc<str>>,
    lost: &RuntimeError,
    instead: Option<RuntimeError>,
) -> RuntimeError {
    // A request that was accepted has a turn, seen or not.
    let was_accepted = lost.kind() == RuntimeErrorKind::Unknown;
    if may.is_none() && !was_accepted {
        instead.unwrap_or_else(|| not_taken(lost))
    } else {
        unknown(may, lost)
    }
}

fn not_taken(lost: &RuntimeError) -> RuntimeError {
    let text = format!(
        "{}; no turn began, and it can be sent again",
        lost.message()
    );
    let error = RuntimeError::new(
        NAME,
        "send the request",
        RuntimeErrorKind::Unavailable,
        text,
    );
    match lost.shared_http() {
        Some(failure) => error.with_http(failure),
        None => error,
    }
}

/// The error of a request whose codex ended, whatever became of it before.
fn ended(lost: &RuntimeError, death: &str) -> RuntimeError {
    let text = match lost.message() {
        known if known.contains(death) => known.to_owned(),
        other => format!("{other}; {death}"),
    };
    let kind = RuntimeErrorKind::Unavailable;
    let error = RuntimeError::new(NAME, "send the request", kind, text);
    match lost.shared_http() {
        Some(failure) => error.with_http(failure),
        None => error,
    }
}

fn unknown(turn_id: Option<Arc<str>>, lost: &RuntimeError) -> RuntimeError {
    let text = format!("{}; whether it was taken is not known", lost.message());
    let error = RuntimeError::new(NAME, "send the request", RuntimeErrorKind::Unknown, text);
    let error = match lost.shared_http() {
        Some(failure) => error.with_http(failure),
        None => error,
    };
    match turn_id {
        Some(turn_id) => error.with_turn_id(turn_id),
        None => error,
    }
}

/// Looks for the request in the turns of a session. `sent`: what else the session was sent from here.
fn look(detail: &Detail<'_>, message: &Message, sent: &Sent) -> Look {
    let before = &message.before;
    let (mut runs, mut unclear) = (None, None);
    // The turns with texts that no other request from here explains, and how many there are.
    let (mut found, mut unexplained) = (Vec::new(), 0);
    for turn in detail.newest_first() {
        let (id, status) = (turn.id(), turn.status());
        let is_active = status == TurnStatus::InProgress;
        let is_new = before.newest.is_none() || before.precedes(id);
        let did_run = before.running.iter().any(|running| **running == *id);
        if is_active && runs.is_none() {
            runs = Some(id.into());
        }
        if !is_new && !did_run && !is_active {
            continue;
        }
        let said = detail.said(turn);
        let is_known = is_new || sent.began(id);
        // The first message of a turn that was begun elsewhere is not this request; those that steer it may be.
        let own = said.iter().skip(usize::from(!is_known));
        let equal = own.filter(|text| text.trim() == message.text.trim());
        let more = equal.count().saturating_sub(sent.taken(id, &message.text));
        if more > 0 && is_known && before.newest.is_some() {
            found.push(id);
            unexplained += more;
        } else if more > 0 {
            unclear = unclear.or(Some(id.into()));
        } else if !is_active && (did_run || status != TurnStatus::Completed || said.is_empty()) {
            // It may have ended with a request that it had not read yet.
            unclear = unclear.or(Some(id.into()));
        }
    }
    let expected = 1 + sent.uncertain(before.key, &message.text);
    match (found.as_slice(), runs) {
        ([only], _) if unexplained == expected => Look::Took((*only).into()),
        ([first, ..], _) => Look::None(Some((*first).into())),
        ([], Some(turn_id)) => Look::May(turn_id),
        ([], None) => Look::None(unclear.or(before.running.first().cloned())),
    }
}

#[cfg(test)]
#[path = "lost_send_tests.rs"]
#[allow(clippy::expect_used, reason = "tests")]
mod tests;
