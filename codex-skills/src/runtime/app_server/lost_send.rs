//! What became of a request of the user whose answer was lost: looked up in the thread's newest turns, and never
//! repeated, since a turn that began would be steered by its own request.
//!
//! Codex keeps the id that a client gives its message with the message, so that a turn can be told for certain (contract
//! §2.7, §4). A codex that does not is told by the text, in turns that were not known before.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::AppServer;
use super::connection::{Connection, NAME, RequestError};
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

/// A request of the user as it was sent.
pub(super) struct Message {
    id: String,
    text: String,
    before: Before,
}

/// What is known of a thread when a request is sent to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// The newest turn, where it is known.
    pub(super) newest: Option<Newest>,
    /// The turn that runs, which the request steers then.
    pub(super) active: Option<Arc<str>>,
    /// How many requests that turn took already.
    pub(super) taken: u64,
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

/// What a look at a thread's turns shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// The turn that took the request.
    Took(Arc<str>),
    /// A turn that runs, and may take it yet.
    May(Option<Arc<str>>),
    /// None did, or one of which it cannot be told.
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
        let until = deadline(self.shared.settings.request_timeout);
        let mut generation = if is_lost {
            before.generation
        } else {
            before.generation.saturating_sub(1)
        };
        let mut looks = LOOKS.into_iter();
        // What it steers may have taken it, whatever is seen of it later.
        let mut may = message.before.active.clone();
        let is_shared = self.shared.settings.target.is_shared();
        loop {
            let patience = until.saturating_duration_since(Instant::now());
            let up = self.shared.up_after(generation, patience).await;
            let connection = up.map_err(|why| unknown(may.take(), &why))?;
            let is_another = connection.generation != before.generation;
            // With its process, a request is gone.
            let is_gone = is_another && !is_shared;
            let look = self.look(&connection, thread_id, message, is_gone).await;
            let pause = match look {
                Ok((Look::Took(turn_id), turns)) => {
                    return Ok(self.join(&connection, thread_id, turn_id, turns, is_gone));
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
                        None if may.is_none() && is_lost => return Err(not_taken()),
                        None => return Err(unknown(may, "the thread does not show it")),
                    }
                }
                Err(RequestError::Lost) => {
                    generation = connection.generation;
                    continue;
                }
                Err(error) => {
                    let error = error.into_runtime("read the session");
                    return Err(unknown(may, error.message()));
                }
            };
            if Instant::now() + pause > until {
                return Err(unknown(may, "the turn that runs has not taken it yet"));
            }
            tokio::time::sleep(pause).await;
        }
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
                Err(error) if has_no_turns(&error) => return Ok((Look::None(None), Vec::new())),
                Err(error) => return Err(error),
            }
        }
        match self.shared.turns(connection, thread_id).await {
            Ok(turns) => Ok((look(&turns, message, is_gone), turns)),
            // Its first turn has just begun, and is not written yet.
            Err(error) if error.says("list_turns") => Ok((Look::May(None), Vec::new())),
            Err(error) if has_no_turns(&error) => Ok((Look::None(None), Vec::new())),
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
mod tests {
    use super::*;

    fn message() -> Message {
        let newest = Some(Newest::Turn("b-old".into()));
        sent(Before {
            newest,
            ..Before::default()
        })
    }

    fn sent(before: Before) -> Message {
        Message::new("do it".to_owned(), before)
    }

    /// A message that steers a turn that took some requests before.
    fn steering(turn_id: &str, taken: u64) -> Message {
        sent(Before {
            newest: Some(Newest::Turn(turn_id.into())),
            active: Some(turn_id.into()),
            taken,
        })
    }

    fn look(turns: &[Box<RawValue>], message: &Message) -> Look {
        super::look(turns, message, false)
    }

    /// A look after the process of codex ended.
    fn look_after_end(turns: &[Box<RawValue>], message: &Message) -> Look {
        super::look(turns, message, true)
    }

    fn turn(id: &str, status: &str, items: &Value) -> Box<RawValue> {
        let turn = json!({"id": id, "status": status, "items": items});
        RawValue::from_string(turn.to_string()).expect("JSON")
    }

    fn said(client_id: Option<&str>, text: &str) -> Value {
        json!([{"type": "userMessage", "clientId": client_id, "content": [{"type": "text", "text": text}]}])
    }

    #[test]
    fn ids_of_messages_differ() {
        assert_ne!(message().id(), message().id());
    }

    #[test]
    fn a_turn_is_told_by_the_id_of_its_message() {
        let message = message();
        let own = turn("c-new", "inProgress", &said(Some(message.id()), "do it"));
        let others = turn("d-other", "completed", &said(Some("theirs"), "do it"));
        assert_eq!(look(&[others, own], &message), Look::Took("c-new".into()));
    }

    #[test]
    fn a_message_that_steered_is_found_in_a_turn_that_was_known() {
        let message = message();
        let own = turn("b-old", "inProgress", &said(Some(message.id()), "do it"));
        assert_eq!(look(&[own], &message), Look::Took("b-old".into()));
    }

    #[test]
    fn without_ids_a_turn_is_told_by_its_text_unless_it_was_known() {
        let message = message();
        let same = |id| turn(id, "completed", &said(None, "do it"));
        assert_eq!(look(&[same("b-old")], &message), Look::None(None));
        assert_eq!(
            look(&[same("c-new"), same("b-old")], &message),
            Look::Took("c-new".into())
        );
        let another = turn("c-new", "completed", &said(None, "do something else"));
        assert_eq!(look(&[another], &message), Look::None(None));
    }

    #[test]
    fn a_turn_that_runs_may_take_it_yet() {
        let message = message();
        let running = turn("c-new", "inProgress", &json!([]));
        assert_eq!(look(&[running], &message), Look::May(Some("c-new".into())));
        let others = turn("b-old", "inProgress", &said(Some("theirs"), "stay"));
        assert_eq!(look(&[others], &message), Look::May(Some("b-old".into())));
    }

    #[test]
    fn a_turn_that_ended_before_its_message_was_written_took_it() {
        let message = message();
        let ended = turn("c-new", "interrupted", &json!([]));
        assert_eq!(
            look_after_end(&[ended], &message),
            Look::Took("c-new".into())
        );
        let ended = turn("b-old", "interrupted", &json!([]));
        assert_eq!(look_after_end(&[ended], &message), Look::None(None));
    }

    #[test]
    fn an_empty_turn_may_be_anothers_where_codex_goes_on_or_there_are_two() {
        let message = message();
        let ended = |id| turn(id, "interrupted", &json!([]));
        let unclear = Look::None(Some("c-new".into()));
        assert_eq!(look(&[ended("c-new")], &message), unclear);
        let two = [ended("c-new"), ended("d-new")];
        assert_eq!(look_after_end(&two, &message), unclear);
    }

    #[test]
    fn the_id_of_a_message_is_believed_before_any_other_sign() {
        let message = message();
        let own = || turn("c-new", "completed", &said(Some(message.id()), "do it"));
        for sign in [json!([]), said(None, "do it")] {
            let other = || turn("d-new", "interrupted", &sign);
            for turns in [[other(), own()], [own(), other()]] {
                assert_eq!(look_after_end(&turns, &message), Look::Took("c-new".into()));
            }
        }
    }

    #[test]
    fn without_ids_the_same_text_in_two_turns_is_unclear() {
        let same = |id| turn(id, "completed", &said(None, "do it"));
        assert_eq!(
            look(&[same("c-new"), same("d-new")], &message()),
            Look::None(Some("c-new".into()))
        );
    }

    #[test]
    fn a_turn_that_was_steered_and_ended_since_has_taken_it_perhaps() {
        let perhaps = Look::None(Some("b-old".into()));
        for items in [
            json!([]),
            said(Some("another"), "begin"),
            said(None, "begin"),
            // Its own first request is not what steers it.
            said(None, "do it"),
        ] {
            for status in ["completed", "interrupted", "failed"] {
                let ended = turn("b-old", status, &items);
                let message = steering("b-old", 1);
                assert_eq!(look(std::slice::from_ref(&ended), &message), perhaps);
                assert_eq!(look_after_end(&[ended], &message), perhaps);
            }
        }
    }

    #[test]
    fn without_ids_a_turn_that_was_steered_is_told_by_its_later_texts() {
        let mut items = said(None, "do it");
        let later = items[0].clone();
        items.as_array_mut().expect("a list").push(later);
        for status in ["inProgress", "completed"] {
            let ended = turn("b-old", status, &items);
            for taken in [0, 1] {
                assert_eq!(
                    look(std::slice::from_ref(&ended), &steering("b-old", taken)),
                    Look::Took("b-old".into())
                );
            }
        }
        // It was steered in the same words before, perhaps.
        let ended = turn("b-old", "completed", &items);
        assert_eq!(
            look(&[ended], &steering("b-old", 2)),
            Look::None(Some("b-old".into()))
        );
    }

    #[tokio::test]
    async fn a_time_that_no_clock_tells_is_long() {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        assert!(deadline(Duration::MAX) > Instant::now() + year);
        assert!(deadline(Duration::ZERO) <= Instant::now());
    }

    #[test]
    fn of_a_thread_whose_turns_are_not_known_nothing_is_believed_without_an_id() {
        let message = sent(Before::default());
        for odd in [said(None, "do it"), json!([])] {
            let turn = turn("c-new", "interrupted", &odd);
            assert_eq!(look(&[turn], &message), Look::None(Some("c-new".into())));
        }
        let own = turn("c-new", "completed", &said(Some(message.id()), "do it"));
        assert_eq!(look(&[own], &message), Look::Took("c-new".into()));
    }
}
