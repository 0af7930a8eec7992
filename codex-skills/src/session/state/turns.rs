//! What a session knows of its turns: how they stand, what was said, and the records of their calls, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::weight;
use crate::dispatch::{DispatchRecord, Limits, SubmissionStatus};
use crate::runtime::{Event, TokenUsage, Tokens, TurnStatus};
use crate::skill::call::CallKey;

/// How many turns may be under way, as far as the events tell, before the oldest is given up.
const UNENDED_TURNS: usize = 1024;

/// What is known of a turn.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) status: TurnStatus,
    pub(crate) error: Option<String>,
    pub(crate) reply: Option<String>,
    pub(crate) records: Vec<Arc<DispatchRecord>>,
    pub(crate) detail: Arc<RawValue>,
    pub(crate) usage: Option<Tokens>,
    /// The tool of a call that is answered neither here nor elsewhere.
    pub(crate) left: Option<Arc<str>>,
    /// What codex asks and is left to others, by id, since when, oldest first.
    pub(crate) undecided: Vec<Left>,
    /// Position of its end among the ends of turns.
    pub(super) ended: Option<u64>,
    /// How many of the oldest records are known to be stripped.
    pub(super) stripped: usize,
}

impl Turn {
    /// Whether its end was seen, whatever its status reads like.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            status: TurnStatus::InProgress,
            error: None,
            reply: None,
            records: Vec::new(),
            detail: RawValue::NULL.to_owned().into(),
            usage: None,
            left: None,
            undecided: Vec::new(),
            ended: None,
            stripped: 0,
        }
    }
}

impl Turn {
    /// Notes a record, and says what the records that it takes the place of weighed, and what it weighs.
    fn note(&mut self, record: &Arc<DispatchRecord>, is_new: bool) -> (usize, usize) {
        if !is_new {
            let key = CallKey::new(&record.call);
            let mut known = self.records.iter();
            if let Some(at) = known.position(|known| CallKey::new(&known.call) == key)
                && let Some(earlier) = self.records.get_mut(at)
            {
                if !has_arrived(record) && has_arrived(earlier) {
                    return (0, 0);
                }
                let before = earlier.bytes();
                *earlier = record.clone();
                self.stripped = self.stripped.min(at);
                return (before, record.bytes());
            }
        }
        let records = &mut self.records;
        let at = records.partition_point(|earlier| earlier.arrival <= record.arrival);
        records.insert(at, record.clone());
        self.stripped = self.stripped.min(at);
        (0, record.bytes())
    }
}

/// Something that codex asks and that is left to others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Left {
    pub(crate) id: Arc<str>,
    pub(crate) method: String,
    pub(crate) since: Instant,
}

fn has_arrived(record: &DispatchRecord) -> bool {
    record.submission().status() == SubmissionStatus::Accepted
}

/// The turns of a session since it was opened.
#[derive(Debug)]
pub(super) struct Turns {
    /// Oldest first: the turn that is asked for is nearly always the last.
    pub(super) turns: VecDeque<(Arc<str>, Turn)>,
    /// How many turns ended.
    ended: u64,
    /// How many turns had ended when those who wait for one began to.
    watches: BTreeMap<u64, usize>,
    remembered_turns: usize,
    /// The size of what is remembered, in bytes, and how much that may be.
    pub(super) bytes: usize,
    remembered_bytes: usize,
    /// How many records lost their arguments and answers.
    pub(super) stripped: u64,
    /// How many tokens the session had used when that was last said.
    used: u64,
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            turns: VecDeque::new(),
            ended: 0,
            watches: BTreeMap::new(),
            remembered_turns: limits.remembered_turns.max(1),
            bytes: 0,
            remembered_bytes: limits.remembered_bytes,
            stripped: 0,
            used: 0,
        }
    }

    /// Takes an event, as far as it says something of a turn.
    pub(super) fn on_event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::TurnStarted { turn_id } => {
                self.turn(turn_id);
            }
            Event::Message { turn_id, text } => {
                let text = text.trim();
                if !text.is_empty() {
                    self.change(turn_id, |turn| turn.reply = Some(text.to_owned()));
                }
            }
            Event::TurnCompleted {
                turn_id,
                status,
                error,
                detail,
            } => {
                let end = self.ended;
                self.ended += 1;
                self.change(turn_id, |turn| {
                    turn.ended.get_or_insert(end);
                    turn.status = status.clone();
                    turn.error.clone_from(error);
                    turn.detail = detail.clone();
                });
            }
            Event::TokenUsage { turn_id, usage } => self.on_usage(turn_id, usage),
            Event::RequestWaiting {
                turn_id: Some(turn_id),
                id,
                request,
            } => {
                let left = &mut self.turn(turn_id).undecided;
                if left.iter().all(|known| known.id != *id) {
                    left.push(Left {
                        id: id.clone(),
                        method: request.method.clone(),
                        since: now,
                    });
                }
            }
            Event::RequestSettled {
                turn_id: Some(turn_id),
                id,
            } => self.turn(turn_id).undecided.retain(|left| left.id != *id),
            _ => {}
        }
    }

    /// Adds what the model's last answer used to its turn. The same numbers come again when a session is taken up.
    fn on_usage(&mut self, turn_id: &Arc<str>, usage: &TokenUsage) {
        if usage.session.total <= self.used {
            return;
        }
        self.used = usage.session.total;
        *self.turn(turn_id).usage.get_or_insert_default() += usage.last;
    }

    /// Remembers the turns that end from now on, until [`unwatch`](Self::unwatch) is called with what is returned.
    pub(super) fn watch(&mut self) -> u64 {
        *self.watches.entry(self.ended).or_default() += 1;
        self.ended
    }

    /// Releases one watch.
    pub(super) fn unwatch(&mut self, since: u64) {
        if let Some(watches) = self.watches.get_mut(&since) {
            *watches -= 1;
            if *watches == 0 {
                self.watches.remove(&since);
            }
        }
    }

    /// Turns that ended from here on are watched.
    pub(super) fn watched(&self) -> u64 {
        self.watches.keys().next().copied().unwrap_or(u64::MAX)
    }

    /// Notes a settled call, or that its answer arrived after all. `is_new`: nothing was noted of it before.
    pub(super) fn on_record(&mut self, record: &Arc<DispatchRecord>, is_new: bool) {
        // A sub-agent's call belongs to the turn of the session that it works for.
        let call = &record.call;
        if let Some(turn_id) = call.session_turn_id.as_ref().or(call.turn_id.as_ref()) {
            let (before, after) = self.turn(turn_id).note(record, is_new);
            self.bytes = self.bytes + after - before;
            self.shrink();
        }
    }

    /// Changes what is known of a turn, apart from its records.
    fn change(&mut self, turn_id: &Arc<str>, change: impl FnOnce(&mut Turn)) {
        let turn = self.turn(turn_id);
        let before = weight::of_texts(turn);
        change(turn);
        let after = weight::of_texts(turn);
        self.bytes = self.bytes + after - before;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.remembered_bytes && weight::lighten(self) {}
    }

    /// What is known of a turn.
    pub(super) fn get(&self, turn_id: &str) -> Option<&Turn> {
        let mut turns = self.turns.iter().rev();
        turns.find(|(id, _)| **id == *turn_id).map(|(_, turn)| turn)
    }

    pub(super) fn turn(&mut self, turn_id: &Arc<str>) -> &mut Turn {
        let known = self.turns.iter().rposition(|(id, _)| id == turn_id);
        let at = known.unwrap_or_else(|| {
            self.make_room();
            self.turns.push_back((turn_id.clone(), Turn::default()));
            self.turns.len() - 1
        });
        &mut self.turns[at].1
    }

    /// Forgets the oldest ended turns when there are enough, except those that are watched; others only when there are far
    /// too many.
    fn make_room(&mut self) {
        let watched = self.watched();
        let may_go = |turn: &Turn| turn.ended.is_some_and(|end| end < watched);
        let ended = self.turns.iter().filter(|(_, turn)| may_go(turn)).count();
        let excess = (ended + 1).saturating_sub(self.remembered_turns);
        for _ in 0..excess {
            let oldest = self.turns.iter().position(|(_, turn)| may_go(turn));
            self.forget_turn(oldest.unwrap_or_default());
        }
        if self.turns.len() >= self.remembered_turns.saturating_add(UNENDED_TURNS) {
            self.forget_turn(0);
        }
    }

    pub(super) fn forget_turn(&mut self, at: usize) {
        if let Some((_, turn)) = self.turns.remove(at) {
            self.bytes -= weight::of(&turn);
        }
    }
}
