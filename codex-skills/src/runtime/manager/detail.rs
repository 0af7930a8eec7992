//! A session as the server tells it, with all that happened in it: as much of it as is looked at, in place.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{KnownTurn, TurnEnd, error_of, is_spawn};
use crate::runtime::TurnStatus;
use crate::runtime::read::{Id, Ids, Text, each};

/// Turns of a session that are read, the newest.
const TURNS: usize = 16 * 1024;

/// Sub-agents of a session that are read at most.
const CHILDREN: usize = 4096;

/// A session with its turns. What cannot be read of it is missing.
#[derive(Debug, Default)]
pub(super) struct Detail<'a> {
    /// The thread that it is a sub-agent of.
    pub(super) parent: Option<Arc<str>>,
    /// Its newest turns, the oldest first; `None` where it has no list of them.
    turns: Option<VecDeque<Turn<'a>>>,
    transcript: Option<&'a RawValue>,
    whole: Option<&'a RawValue>,
}

/// A turn of a session.
#[derive(Debug, Deserialize)]
pub(super) struct Turn<'a> {
    #[serde(borrow)]
    id: Id<'a>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    thread: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transcript: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread<'a> {
    #[serde(borrow, default)]
    parent_thread_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    turns: Option<&'a RawValue>,
}

/// An item of a turn that may tell of sub-agents.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool: Option<&'a RawValue>,
    #[serde(default)]
    receiver_thread_ids: Ids,
    #[serde(borrow, default)]
    agent_thread_id: Option<&'a RawValue>,
}

/// An entry of a transcript.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    turn_id: Text<'a>,
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    content: Text<'a>,
}

impl<'a> Detail<'a> {
    /// Reads the answer about a session.
    pub(super) fn read(body: &'a str) -> Self {
        let Ok(outer) = serde_json::from_str::<Outer<'a>>(body) else {
            return Self::default();
        };
        let thread = outer.thread.map(RawValue::get);
        let thread = thread.and_then(|raw| serde_json::from_str::<Thread<'a>>(raw).ok());
        let (parent, turns) = match thread {
            Some(thread) => (thread.parent_thread_id, thread.turns),
            None => (None, None),
        };
        Self {
            parent: parent.and_then(id),
            turns: turns.and_then(newest),
            transcript: outer.transcript,
            whole: serde_json::from_str(body).ok(),
        }
    }

    /// The turns, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Turn<'a>> {
        self.turns.iter().flatten().rev()
    }

    /// The turns that it had before it was opened; `None` where there is no list of them.
    pub(super) fn known_turns(&self) -> Option<Vec<KnownTurn>> {
        let turns = self.turns.as_ref()?.iter();
        let known = turns.map(|turn| KnownTurn {
            id: turn.id.shared(),
            is_over: matches!(turn.status(), TurnStatus::Completed | TurnStatus::Failed),
        });
        Some(known.collect())
    }

    /// Returns the end of a turn, with the last reply in it.
    pub(super) fn end_of(&self, turn_id: &str) -> Option<TurnEnd> {
        let turn = self.newest_first().find(|turn| turn.id() == turn_id)?;
        let whole = self.whole.unwrap_or(RawValue::NULL);
        let mut reply = None;
        self.entries(turn_id, "assistant", |entry| {
            let is_complete = entry.status.is_some_and(|status| status.0 == "complete");
            if is_complete && !entry.content.0.trim().is_empty() {
                reply = Some(entry.content.0);
            }
        });
        Some(TurnEnd {
            turn_id: turn.id.shared(),
            status: turn.status(),
            error: turn.error.and_then(error_of),
            reply: reply.map(Cow::into_owned),
            payload: crate::runtime::detail(whole),
        })
    }

    /// The threads that the turns have to do with: sub-agents. Those that codex made for them are marked.
    pub(super) fn children(&self) -> Vec<(Arc<str>, bool)> {
        let mut children = Vec::new();
        let mut known = HashSet::new();
        for turn in self.turns.iter().flatten() {
            let Some(items) = turn.items else { continue };
            each(items, |raw| {
                let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) else {
                    return;
                };
                let word = |raw: Option<&'a RawValue>| raw.and_then(text).unwrap_or_default();
                let is_spawned = is_spawn(&word(item.kind), Some(&word(item.tool)));
                let agent = item.agent_thread_id.and_then(id);
                for child in item.receiver_thread_ids.0.into_iter().chain(agent) {
                    if children.len() < CHILDREN && known.insert((child.clone(), is_spawned)) {
                        children.push((child, is_spawned));
                    }
                }
            });
        }
        children
    }

    /// Returns the user's messages in a turn: from its items, or where there are none, from the transcript.
    pub(super) fn said(&self, turn: &Turn<'a>) -> Vec<Cow<'a, str>> {
        let mut said = turn.user_messages();
        if said.is_empty() {
            self.entries(turn.id(), "user", |entry| said.push(entry.content.0));
        }
        said
    }

    /// Looks at what someone said in a turn, as the transcript has it.
    fn entries(&self, turn_id: &str, role: &str, mut look: impl FnMut(Entry<'a>)) {
        let Some(transcript) = self.transcript else {
            return;
        };
        each(transcript, |raw| {
            if let Ok(entry) = serde_json::from_str::<Entry<'a>>(raw.get())
                && entry.turn_id.0 == turn_id
                && entry.role.0 == role
            {
                look(entry);
            }
        });
    }
}

impl<'a> Turn<'a> {
    pub(super) fn id(&self) -> &str {
        &self.id.0
    }

    /// How it stands; it runs, unless it says otherwise.
    pub(super) fn status(&self) -> TurnStatus {
        let status = self.status.and_then(text);
        status.map_or(TurnStatus::InProgress, |status| (&*status).into())
    }

    fn user_messages(&self) -> Vec<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Message<'a> {
            #[serde(borrow)]
            r#type: Text<'a>,
            #[serde(borrow, default)]
            content: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Part<'a> {
            #[serde(borrow)]
            text: Text<'a>,
        }
        let mut messages = Vec::new();
        let Some(items) = self.items else {
            return messages;
        };
        each(items, |raw| {
            let message = serde_json::from_str::<Message<'a>>(raw.get());
            let Some(message) = message.ok().filter(|one| one.r#type.0 == "userMessage") else {
                return;
            };
            let mut said = Cow::Borrowed("");
            if let Some(parts) = message.content {
                each(parts, |raw| {
                    if let Ok(part) = serde_json::from_str::<Part<'a>>(raw.get()) {
                        said += part.text.0;
                    }
                });
            }
            messages.push(said);
        });
        messages
    }
}

/// The newest turns of a list. What is no turn is left out.
fn newest(list: &RawValue) -> Option<VecDeque<Turn<'_>>> {
    if !list.get().starts_with('[') {
        return None;
    }
    let mut turns = VecDeque::new();
    each(list, |raw| {
        if let Ok(turn) = serde_json::from_str(raw.get()) {
            if turns.len() == TURNS {
                turns.pop_front();
            }
            turns.push_back(turn);
        }
    });
    Some(turns)
}

/// A text; nothing else is one.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text: Option<Text<'_>> = serde_json::from_str(raw.get()).ok();
    text.map(|text| text.0)
}

/// An id that is short enough to be kept.
fn id(raw: &RawValue) -> Option<Arc<str>> {
    let id: Option<Id<'_>> = serde_json::from_str(raw.get()).ok();
    id.filter(|id| !id.0.is_empty()).map(|id| id.shared())
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn whole() -> Value {
        json!({
            "thread": {"id": "s", "parentThreadId": "p", "turns": [
                {"id": "a", "status": "completed", "items": [
                    {"type": "userMessage", "content": [{"type": "text", "text": "do "}, {"text": "\u{e4}\n"}, 5]},
                    {"type": "collabAgentToolCall", "tool": "spawnAgent", "receiverThreadIds": ["c", "", 5]},
                    {"type": "collabAgentToolCall", "tool": "wait", "receiverThreadIds": ["d", "c"]},
                    {"type": "other", "agentThreadId": "e"},
                    0,
                ]},
                {"id": "b", "status": "failed", "error": {"message": "why"}, "items": []},
                {"id": "c", "status": 5, "items": null},
                5, {}, {"id": 7},
            ]},
            "transcript": [
                {"turnId": "b", "role": "user", "content": "go"},
                {"turnId": "b", "role": "assistant", "status": "complete", "content": "first"},
                {"turnId": "b", "role": "assistant", "status": "complete", "content": "last"},
                {"turnId": "b", "role": "assistant", "status": "complete", "content": " "},
                {"turnId": "b", "role": "assistant", "status": "streaming", "content": "half"},
                {"turnId": "a", "role": "assistant", "status": "complete", "content": "other"},
                {"turnId": "b", "role": "assistant", "content": null}, 5,
            ],
        })
    }

    #[test]
    fn as_much_is_read_as_is_looked_at() {
        let body = whole().to_string();
        let detail = Detail::read(&body);
        assert_eq!(detail.parent.as_deref(), Some("p"));
        let ids: Vec<_> = detail.newest_first().map(Turn::id).collect();
        assert_eq!(ids, ["c", "b", "a"]);
        let end = detail.end_of("b").expect("a turn");
        assert_eq!(
            (end.status, end.error.as_deref()),
            (TurnStatus::Failed, Some("why"))
        );
        assert_eq!(end.reply.as_deref(), Some("last"));
        assert_eq!(end.payload.get(), body);
        assert!(detail.end_of("d").is_none());
        let odd = detail.end_of("c").map(|end| end.status);
        assert_eq!(odd, Some(TurnStatus::InProgress));
        let said = |at: usize| {
            let turn = detail.newest_first().nth(at).expect("a turn");
            detail.said(turn)
        };
        assert_eq!(said(2), ["do \u{e4}\n"]);
        assert_eq!(said(1), ["go"]);
        assert!(said(0).is_empty());
        let children: Vec<_> = detail.children();
        let children: Vec<_> = children.iter().map(|(id, made)| (&**id, *made)).collect();
        assert_eq!(
            children,
            [("c", true), ("d", false), ("c", false), ("e", false)]
        );
    }

    #[test]
    fn what_is_no_session_has_nothing() {
        for none in [
            "",
            "null",
            "5",
            "[]",
            "{}",
            r#"{"thread":5,"transcript":{}}"#,
            "{\"thread\"",
        ] {
            let detail = Detail::read(none);
            assert!(detail.known_turns().is_none(), "{none}");
            assert!(detail.children().is_empty() && detail.parent.is_none());
            assert!(detail.end_of("a").is_none());
        }
        let without = Detail::read(r#"{"thread":{"turns":null}}"#);
        assert!(without.known_turns().is_none());
        let none = Detail::read(r#"{"thread":{"turns":[]}}"#);
        assert_eq!(none.known_turns().map(|turns| turns.len()), Some(0));
    }

    #[test]
    fn of_very_many_turns_the_newest_are_looked_at() {
        let turns: Vec<Value> = (0..TURNS + 2)
            .map(|n| json!({"id": n.to_string()}))
            .collect();
        let body = json!({"thread": {"turns": turns}}).to_string();
        let detail = Detail::read(&body);
        assert_eq!(detail.known_turns().map(|turns| turns.len()), Some(TURNS));
        let newest = detail.newest_first().next().map(Turn::id);
        assert_eq!(newest, Some(&*(TURNS + 1).to_string()));
    }
}
