//! Finds the turn of a user's request whose answer was lost, in the thread's newest turns. The request is never
//! repeated, since it would steer the turn that it has begun.
//!
//! Codex keeps the id that a client gives its message, so that the turn is recognised for certain (contract §2.7, §4).
//! With a codex that does not, it is recognised by the text, among turns that were not known before.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::before::Before;
use super::connection::{Connection, NAME, RequestError};
use super::server::AppServer;
use super::shared::tell;
use super::wire::{self, TurnEnd};
use crate::runtime::newest::Newest;
use crate::runtime::{Accepted, RuntimeError, RuntimeErrorKind, TurnStatus};

/// Completes the sentence "could not …".
const OPERATION: &str = "send the request";

/// The pauses between looks at a thread that shows no sign of the request: it may be on its way through codex still.
const LOOKS: [Duration; 8] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(1600),
];

/// The pause between looks at a turn that may have taken the request: codex writes a message that steers once the model
/// reads it.
const PAUSE: Duration = Duration::from_millis(250);

/// A user's request as it was sent.
pub(super) struct Message {
    id: String,
    text: String,
    before: Before,
}

impl Message {
    pub(super) fn new(text: String, before: Before) -> Self {
        // Random keys: other processes send to the same thread.
        let id = || RandomState::new().build_hasher().finish();
        Self {
            id: format!("codex-skills-{:016x}{:016x}", id(), id()),
            text,
            before,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Result of one look at a thread's turns.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The turn that took the request.
    Took(Arc<str>),
    /// A turn that runs, and may take it yet.
    May(Option<Arc<str>>),
    /// No turn took it, or none that can be recognised.
    None(Option<Arc<str>>),
}

impl AppServer {
    /// Finds out what became of a request whose answer was lost, on the next connection, or on the same one where only
    /// the answer did not come.
    pub(super) async fn look_up(
        &self,
        before: &Arc<Connection>,
        thread_id: &Arc<str>,
        message: &Message,
        is_lost: bool,
    ) -> Result<Accepted, RuntimeError> {
        let search = Search {
            sent_on: before.generation,
            is_lost,
            is_shared: self.shared.settings.target.is_shared(),
            active: message.before.active.clone(),
            until: deadline(self.shared.settings.request_timeout),
        };
        let thread = AtThread {
            client: self,
            thread_id,
            message,
        };
        let found = search.run(&thread).await?;
        Ok(self.join(
            &found.connection,
            thread_id,
            found.turn_id,
            found.turns,
            found.is_gone,
        ))
    }

    async fn look(
        &self,
        connection: &Connection,
        thread_id: &Arc<str>,
        message: &Message,
        is_gone: bool,
    ) -> Result<(Look, Vec<Box<RawValue>>), RequestError> {
        if !self.shared.registry().is_subscribed(thread_id) {
            // Nothing had been sent when the connection was made.
            match self.shared.resume(connection, thread_id, true).await {
                Ok(_) => self.shared.registry().set_subscribed(thread_id, true),
                Err(error) if has_no_turns(&error) || is_gone && error.says_empty() => {
                    return Ok((Look::None(None), Vec::new()));
                }
                Err(error) => return Err(error),
            }
        }
        match self.shared.turns(connection, thread_id).await {
            Ok(turns) => Ok((look(&turns, message, is_gone), turns)),
            // Its first turn has just begun, and is not written yet.
            Err(error) if error.says("list_turns") => Ok((Look::May(None), Vec::new())),
            Err(error) if has_no_turns(&error) || is_gone && error.says_empty() => {
                Ok((Look::None(None), Vec::new()))
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on with the turn that took the request.
    fn join(
        &self,
        connection: &Arc<Connection>,
        thread_id: &Arc<str>,
        turn_id: Arc<str>,
        turns: Vec<Box<RawValue>>,
        is_gone: bool,
    ) -> Accepted {
        self.shared.registry().began(thread_id, &turn_id);
        let end = ends(&turns).find(|end| end.turn_id == turn_id);
        let status = end.as_ref().map(|end| end.status.clone());
        let payload = json!({"turn": {
            "id": &*turn_id,
            "status": status.as_ref().map(TurnStatus::as_str),
        }});
        // A process that ended took its turns with it, and the next one calls them interrupted.
        match end.filter(|end| is_gone && end.status == TurnStatus::Interrupted) {
            Some(end) => {
                let end = TurnEnd {
                    status: TurnStatus::Lost,
                    error: Some("codex ended while the turn ran".to_owned()),
                    ..end
                };
                let delivery = self.shared.registry().ended(thread_id, end, None);
                tell(delivery);
            }
            None => {
                self.shared
                    .look_after_in(connection, thread_id.clone(), turn_id.clone(), turns);
            }
        }
        tracing::info!(target: "codex_skills::app_server", session = &**thread_id, turn = &*turn_id, "a request whose answer was lost was taken");
        Accepted::new(turn_id, payload)
    }
}

/// Where looks are made.
trait Looks {
    /// What they are made through.
    type Connection: Send + Sync;

    /// Waits for another connection than those up to a generation.
    fn up_after(
        &self,
        generation: u64,
        patience: Duration,
    ) -> impl Future<Output = Result<Self::Connection, String>> + Send;

    fn generation(connection: &Self::Connection) -> u64;

    /// Looks at the thread's newest turns once. `is_gone`: the process that the request was sent to.
    fn look(
        &self,
        connection: &Self::Connection,
        is_gone: bool,
    ) -> impl Future<Output = Result<(Look, Vec<Box<RawValue>>), RequestError>> + Send;
}

/// A search for the turn that took a request. Nothing is sent again.
#[derive(Clone, Debug)]
struct Search {
    /// The connection that the request was sent on.
    sent_on: u64,
    /// Whether that was lost, rather than the answer.
    is_lost: bool,
    /// Whether codex outlives its connections.
    is_shared: bool,
    /// The turn that the request steers, if any ran.
    active: Option<Arc<str>>,
    until: Instant,
}

/// The turn that took a request.
#[derive(Debug)]
struct Found<C> {
    connection: C,
    turn_id: Arc<str>,
    turns: Vec<Box<RawValue>>,
    is_gone: bool,
}

impl Search {
    /// Looks until a turn took the request, none can have, or it is too late.
    async fn run<L: Looks>(self, thread: &L) -> Result<Found<L::Connection>, RuntimeError> {
        let mut generation = self.sent_on.saturating_sub(u64::from(!self.is_lost));
        let mut looks = LOOKS.into_iter();
        // What it steers may have taken it, whatever is seen of it later.
        let mut may = self.active;
        loop {
            let patience = self.until.saturating_duration_since(Instant::now());
            let up = thread.up_after(generation, patience).await;
            let connection = up.map_err(|why| unknown(may.take(), &why))?;
            let is_another = L::generation(&connection) != self.sent_on;
            // With its process, a request is gone.
            let is_gone = is_another && !self.is_shared;
            let pause = match thread.look(&connection, is_gone).await {
                Ok((Look::Took(turn_id), turns)) => {
                    return Ok(Found {
                        connection,
                        turn_id,
                        turns,
                        is_gone,
                    });
                }
                Ok((Look::May(turn_id), _)) => {
                    may = turn_id.or(may);
                    PAUSE
                }
                Ok((Look::None(turn_id), _)) => {
                    may = turn_id.or(may);
                    let pause = if is_gone { None } else { looks.next() };
                    match pause {
                        Some(pause) => pause,
                        None if may.is_none() && self.is_lost => return Err(not_taken()),
                        None => return Err(unknown(may, "the thread does not show it")),
                    }
                }
                Err(RequestError::Lost) => {
                    generation = L::generation(&connection);
                    continue;
                }
                Err(error) => {
                    let error = error.into_runtime("read the session");
                    return Err(unknown(may, error.message()));
                }
            };
            if Instant::now() + pause > self.until {
                return Err(unknown(may, "the turn that runs has not taken it yet"));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Looks at codex.
struct AtThread<'a> {
    client: &'a AppServer,
    thread_id: &'a Arc<str>,
    message: &'a Message,
}

impl Looks for AtThread<'_> {
    type Connection = Arc<Connection>;

    async fn up_after(
        &self,
        generation: u64,
        patience: Duration,
    ) -> Result<Arc<Connection>, String> {
        self.client.shared.up_after(generation, patience).await
    }

    fn generation(connection: &Arc<Connection>) -> u64 {
        connection.generation
    }

    async fn look(
        &self,
        connection: &Arc<Connection>,
        is_gone: bool,
    ) -> Result<(Look, Vec<Box<RawValue>>), RequestError> {
        let (thread_id, message) = (self.thread_id, self.message);
        self.client
            .look(connection, thread_id, message, is_gone)
            .await
    }
}

/// The end of a time that may be longer than clocks can tell.
fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    let latest = || now + Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(timeout).unwrap_or_else(latest)
}

fn has_no_turns(error: &RequestError) -> bool {
    [
        "no rollout found",
        "not materialized",
        "thread not found",
        "not loaded",
    ]
    .iter()
    .any(|words| error.says(words))
}

fn not_taken() -> RuntimeError {
    RuntimeError::new(
        NAME,
        OPERATION,
        RuntimeErrorKind::Unavailable,
        "codex went away before it took the request: no turn began, and it can be sent again",
    )
}

fn unknown(turn_id: Option<Arc<str>>, why: &str) -> RuntimeError {
    let text =
        format!("its answer was lost, and whether codex took the request is not known: {why}");
    let error = RuntimeError::new(NAME, OPERATION, RuntimeErrorKind::Unknown, text);
    match turn_id {
        Some(turn_id) => error.with_turn_id(turn_id),
        None => error,
    }
}

fn ends(turns: &[Box<RawValue>]) -> impl Iterator<Item = TurnEnd> {
    turns.iter().filter_map(|turn| wire::turn_end(turn).ok())
}

/// A turn, as far as a request is looked for in it.
#[derive(Deserialize)]
struct Turn {
    id: Arc<str>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    items: Vec<Value>,
}

impl Turn {
    /// What was said in it, its own request first.
    fn said(&self) -> impl Iterator<Item = &Value> {
        let items = self.items.iter();
        items.filter(|item| item["type"] == "userMessage")
    }

    fn is_active(&self) -> bool {
        TurnStatus::from(self.status.as_str().unwrap_or_default()) == TurnStatus::InProgress
    }

    /// Whether the request is said in it, of all messages of this text that have no id.
    fn says(&self, message: &Message) -> Said {
        let same = |item: &&Value| item["clientId"].is_null() && text_of(item) == message.text;
        let before = &message.before;
        if before.active.as_ref() == Some(&self.id) {
            // The first message is not what steers. More may have been said in these words before.
            return match (self.said().skip(1).any(|item| same(&item)), before.taken) {
                (true, 0 | 1) => Said::Yes,
                _ => Said::Perhaps,
            };
        }
        let is_new = |newest: &Newest| newest.is_before(&self.id);
        let is_said = || self.said().any(|item| same(&item));
        match &before.newest {
            Some(newest) if is_new(newest) && is_said() => Said::Yes,
            None if is_said() => Said::Perhaps,
            _ => Said::No,
        }
    }

    /// Whether it ended before what it was asked was written, after the request was sent.
    fn is_cut_short(&self, message: &Message) -> bool {
        let newest = message.before.newest.as_ref();
        let is_new = newest.is_none_or(|newest| newest.is_before(&self.id));
        is_new && !self.is_active() && self.said().next().is_none()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    Perhaps,
    No,
}

/// Looks for the request in the newest turns, the newest first or last. `is_gone`: the process that it was sent to, which
/// had no other client.
fn look(turns: &[Box<RawValue>], message: &Message, is_gone: bool) -> Look {
    let turns: Vec<Turn> = turns
        .iter()
        .filter_map(|turn| serde_json::from_str(turn.get()).ok())
        .collect();
    let has_id = |turn: &&Turn| turn.said().any(|item| item["clientId"] == message.id);
    if let Some(turn) = turns.iter().find(has_id) {
        return Look::Took(turn.id.clone());
    }
    let said = |wanted: Said| {
        turns
            .iter()
            .filter(move |turn| turn.says(message) == wanted)
    };
    let mut short = turns.iter().filter(|turn| turn.is_cut_short(message));
    let mut perhaps = said(Said::Perhaps);
    let (mut certain, mut unclear) = (said(Said::Yes), None);
    match (certain.next(), certain.next()) {
        (Some(turn), None) => return Look::Took(turn.id.clone()),
        (Some(turn), Some(_)) => unclear = Some(turn),
        (None, _) => {}
    }
    match (short.next(), short.next()) {
        (Some(turn), None) if is_gone && unclear.is_none() && message.before.newest.is_some() => {
            return Look::Took(turn.id.clone());
        }
        (turn, _) => unclear = unclear.or(turn),
    }
    unclear = unclear.or_else(|| perhaps.next());
    match turns.iter().rfind(|turn| turn.is_active()) {
        Some(turn) => Look::May(Some(turn.id.clone())),
        None => Look::None(unclear.map(|turn| turn.id.clone())),
    }
}

/// The text of a user's message.
fn text_of(item: &Value) -> String {
    let content = item["content"].as_array();
    let texts = content.into_iter().flatten();
    texts.filter_map(|part| part["text"].as_str()).collect()
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
#[path = "lost_send_tests.rs"]
mod tests;
