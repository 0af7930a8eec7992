//! What became of a request of the user whose answer was lost: looked up in the session's turns, and never repeated, since
//! a turn that began would be steered by its own request.
//!
//! codex-manager keeps no id of a client with a message. A turn is told by its text, and by being newer than those that
//! were known before: codex's ids are in the order of their time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::catch_up::Because;
use super::failure::How;
use super::http::{NAME, Request, Response};
use super::registry::ActiveTurn;
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

/// The pause between looks at a turn that may have taken the request, and at a server that is away.
const PAUSE: Duration = Duration::from_millis(250);

/// A request of the user as it was sent.
pub(super) struct Message {
    pub(super) session_id: Arc<str>,
    pub(super) text: String,
    /// The newest turn before it, where it is known.
    pub(super) newest: Option<Newest>,
}

/// What a look at a session's turns shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The turn that took the request.
    Took(Arc<str>),
    /// A turn that runs, and may take it yet.
    May(Arc<str>),
    /// None did, or one of which it cannot be told.
    None(Option<Arc<str>>),
}

/// A request of the user that failed.
pub(super) struct Failed {
    pub(super) error: RuntimeError,
    /// What is said of it where no turn began; without, that it can be sent again.
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
        Failed {
            error: lost,
            instead,
        }: Failed,
    ) -> Result<Accepted, RuntimeError> {
        let until = Instant::now() + self.shared.settings.timeout;
        let operation = "read the session";
        let path = session_path(operation, &message.session_id, "")?;
        let mut looks = LOOKS.into_iter();
        let mut may = None;
        loop {
            let detail = self.shared.http.call(Request {
                operation,
                method: Method::GET,
                path: &path,
                body: None,
            });
            let pause = match detail.await {
                Ok(response) => match look(&response.json(), message) {
                    Look::Took(turn_id) => return Ok(self.join(message, turn_id).await),
                    Look::May(turn_id) => {
                        may = Some(turn_id);
                        PAUSE
                    }
                    Look::None(turn_id) => match (looks.next(), turn_id.or(may.take())) {
                        (Some(pause), _) => pause,
                        (None, None) => return Err(instead.unwrap_or_else(|| not_taken(&lost))),
                        (None, turn_id) => return Err(unknown(turn_id, &lost)),
                    },
                },
                Err(error) if error.kind() == RuntimeErrorKind::Unavailable => {
                    // A codex that is dead says nothing any more, and what it began ended with it.
                    let process = self.shared.http.process().await;
                    if let Ok(death) = process.map(|process| process.death)
                        && let Some(death) = death
                    {
                        return Err(ended(&lost, &death));
                    }
                    PAUSE
                }
                Err(_) => return Err(lost),
            };
            if Instant::now() + pause > until {
                return Err(unknown(may, &lost));
            }
            tokio::time::sleep(pause).await;
        }
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
        // What the stream told meanwhile is known; what it did not is asked for.
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

/// Looks for the request in the turns of a session.
fn look(detail: &Value, message: &Message) -> Look {
    let turns = detail.pointer("/thread/turns").and_then(Value::as_array);
    let mut unclear = None;
    for turn in turns.into_iter().flatten().rev() {
        let Some(id) = turn.get("id").and_then(Value::as_str) else {
            continue;
        };
        let status = turn.get("status").and_then(Value::as_str).unwrap_or("");
        let is_active = TurnStatus::from(status) == TurnStatus::InProgress;
        let newest = message.newest.as_ref();
        let is_new = newest.is_none_or(|newest| newest.is_before(id));
        let said = said(turn, detail, id);
        // What a turn was begun with is known where the turn is; what steers it comes later.
        let mut own = said.iter().skip(usize::from(!is_new));
        if own.any(|text| text.trim() == message.text.trim()) && (is_new || is_active) {
            match newest {
                Some(_) => return Look::Took(id.into()),
                None => unclear = unclear.or(Some(id.into())),
            }
        } else if is_active {
            return Look::May(id.into());
        }
    }
    Look::None(unclear)
}

/// What the user said in a turn: its items, or where there are none, the transcript.
fn said(turn: &Value, detail: &Value, id: &str) -> Vec<String> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let items: Vec<String> = list(turn.get("items"))
        .iter()
        .filter(|item| item["type"] == "userMessage")
        .map(|item| {
            let parts = list(item.get("content"));
            parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect()
        })
        .collect();
    if !items.is_empty() {
        return items;
    }
    list(detail.get("transcript"))
        .iter()
        .filter(|entry| entry["turnId"] == id && entry["role"] == "user")
        .filter_map(|entry| entry["content"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(newest: Option<Newest>) -> Message {
        Message {
            session_id: "s".into(),
            text: "do it".to_owned(),
            newest,
        }
    }

    fn detail(id: &str, status: &str, texts: &[&str]) -> Value {
        let transcript: Vec<Value> = texts
            .iter()
            .map(|text| json!({"turnId": id, "role": "user", "content": text}))
            .collect();
        json!({"thread": {"turns": [{"id": id, "status": status}]}, "transcript": transcript})
    }

    #[test]
    fn a_new_turn_is_told_by_its_text() {
        for newest in [Newest::None, Newest::Turn("b".into())] {
            let message = message(Some(newest));
            let own = detail("c", "completed", &["do it\n"]);
            assert_eq!(look(&own, &message), Look::Took("c".into()));
            let others = detail("c", "completed", &["do something else"]);
            assert_eq!(look(&others, &message), Look::None(None));
            let running = detail("c", "inProgress", &[]);
            assert_eq!(look(&running, &message), Look::May("c".into()));
        }
    }

    #[test]
    fn a_turn_that_was_known_took_it_only_where_it_was_steered() {
        let message = message(Some(Newest::Turn("b".into())));
        let same = detail("b", "completed", &["do it"]);
        assert_eq!(look(&same, &message), Look::None(None));
        let running = detail("b", "inProgress", &["do it"]);
        assert_eq!(look(&running, &message), Look::May("b".into()));
        let steered = detail("b", "inProgress", &["do it", "do it"]);
        assert_eq!(look(&steered, &message), Look::Took("b".into()));
    }

    #[test]
    fn of_a_session_whose_turns_are_not_known_nothing_is_believed() {
        let message = message(None);
        let same = detail("c", "completed", &["do it"]);
        assert_eq!(look(&same, &message), Look::None(Some("c".into())));
    }
}
