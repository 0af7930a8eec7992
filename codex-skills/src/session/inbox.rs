//! What a session knows of its turns and its waiting calls: a pure state machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::weight;
use crate::dispatch::{DispatchRecord, Limits, SubmissionStatus, is_newer};
use crate::runtime::{Event, TokenUsage, Tokens, TurnStatus};
use crate::skill::ToolCall;
use crate::skill::call::CallKey;

/// How many turns may be under way, as far as the events tell, before the oldest is given up.
const UNENDED_TURNS: usize = 1024;

/// What the session is to do after an event.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Have a call answered.
    Dispatch(Arc<ToolCall>),
    /// Have a call answered that is one too many: nobody serves, and too many wait.
    Refuse(Arc<ToolCall>),
    /// Cancel the handlers of a turn.
    CancelTurn(Arc<str>),
    /// Cancel one handler.
    CancelCall(Arc<ToolCall>),
    /// Cancel all handlers.
    CancelAll,
}

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
    /// The how manieth end it was.
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

/// Why a session takes nothing any more.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub(crate) reason: String,
    /// Whether the runtime lost it before any of it was written.
    pub(crate) is_lost: bool,
}

impl Closed {
    pub(crate) fn by_us(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            is_lost: false,
        }
    }
}

/// The turns and waiting calls of one session.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Oldest first: the turn that is asked for is nearly always the last.
    pub(super) turns: VecDeque<(Arc<str>, Turn)>,
    /// How many turns ended.
    ended: u64,
    /// How many turns had ended when those who wait for one began to.
    watches: BTreeMap<u64, usize>,
    waiting: VecDeque<Arc<ToolCall>>,
    servers: usize,
    closed: Option<Closed>,
    remembered_turns: usize,
    open_calls: usize,
    open_bytes: usize,
    /// The size of the calls that wait, in bytes.
    waiting_bytes: usize,
    /// The size of what is remembered of turns, in bytes, and how much that may be.
    pub(super) bytes: usize,
    remembered_bytes: usize,
    /// How many records lost their arguments and answers.
    pub(super) stripped: u64,
    /// How many tokens the session had used when that was last told.
    used: u64,
}

impl Inbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            turns: VecDeque::new(),
            ended: 0,
            watches: BTreeMap::new(),
            waiting: VecDeque::new(),
            servers: 0,
            closed: None,
            remembered_turns: limits.remembered_turns.max(1),
            open_calls: limits.open_calls.max(1),
            open_bytes: limits.open_bytes,
            waiting_bytes: 0,
            bytes: 0,
            remembered_bytes: limits.remembered_bytes,
            stripped: 0,
            used: 0,
        }
    }

    /// Takes an event.
    pub(crate) fn on_event(&mut self, event: &Event) -> Action {
        match event {
            Event::ToolCall(call) => self.on_call(call),
            Event::CallExpired(call) => {
                self.forget_waiting(call);
                Action::CancelCall(call.clone())
            }
            Event::TurnStarted { turn_id } => {
                self.turn(turn_id);
                Action::None
            }
            Event::Message { turn_id, text } => {
                let text = text.trim();
                if !text.is_empty() {
                    self.change(turn_id, |turn| turn.reply = Some(text.to_owned()));
                }
                Action::None
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
                self.retain_waiting(|call| call.turn_id.as_deref() != Some(turn_id));
                Action::CancelTurn(turn_id.clone())
            }
            Event::SessionClosed { reason, is_lost } => {
                self.close(Closed {
                    reason: reason.clone(),
                    is_lost: *is_lost,
                });
                Action::CancelAll
            }
            Event::TokenUsage { turn_id, usage } => {
                self.on_usage(turn_id, usage);
                Action::None
            }
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
                        since: Instant::now(),
                    });
                }
                Action::None
            }
            Event::RequestSettled {
                turn_id: Some(turn_id),
                id,
            } => {
                self.turn(turn_id).undecided.retain(|left| left.id != *id);
                Action::None
            }
            Event::RequestWaiting { .. }
            | Event::RequestSettled { .. }
            | Event::TextDelta { .. }
            | Event::ToolStarted { .. }
            | Event::ToolCompleted { .. }
            | Event::Warning { .. } => Action::None,
        }
    }

    /// Adds what the model's last answer used to its turn. The same numbers are told again when a session is
    /// taken up.
    fn on_usage(&mut self, turn_id: &Arc<str>, usage: &TokenUsage) {
        if usage.session.total <= self.used {
            return;
        }
        self.used = usage.session.total;
        *self.turn(turn_id).usage.get_or_insert_default() += usage.last;
    }

    fn on_call(&mut self, call: &Arc<ToolCall>) -> Action {
        if self.closed.is_some() {
            return Action::None;
        }
        if self.servers > 0 || self.is_over(call) {
            self.forget_waiting(call);
            return Action::Dispatch(call.clone());
        }
        if self.has_newer(call) {
            return Action::None;
        }
        self.forget_waiting(call);
        let bytes = self.waiting_bytes + call.bytes();
        if self.waiting.len() >= self.open_calls || bytes > self.open_bytes {
            return Action::Refuse(call.clone());
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(call.clone());
        Action::None
    }

    /// Somebody serves from now on: these calls waited for it.
    pub(crate) fn serve(&mut self) -> Vec<Arc<ToolCall>> {
        self.servers += 1;
        self.take_waiting()
    }

    /// One server less.
    pub(crate) fn unserve(&mut self) {
        self.servers = self.servers.saturating_sub(1);
    }

    /// Somebody waits for a turn from now on: those that end meanwhile are remembered.
    pub(crate) fn watch(&mut self) -> u64 {
        *self.watches.entry(self.ended).or_default() += 1;
        self.ended
    }

    /// One who waited since then less.
    pub(crate) fn unwatch(&mut self, since: u64) {
        if let Some(watches) = self.watches.get_mut(&since) {
            *watches -= 1;
            if *watches == 0 {
                self.watches.remove(&since);
            }
        }
    }

    /// Whether the turn of a call is known to have ended.
    pub(crate) fn is_over(&self, call: &ToolCall) -> bool {
        call.turn_id
            .as_deref()
            .and_then(|turn_id| self.get(turn_id))
            .is_some_and(Turn::has_ended)
    }

    /// Whether the call waits with a newer address: an older announcement that was read late takes nothing back.
    fn has_newer(&self, call: &Arc<ToolCall>) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let key = CallKey::new(call);
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| CallKey::new(waiting) == key && !is_newer(call, waiting))
    }

    /// A call is being answered: it waits no longer.
    pub(crate) fn forget_waiting(&mut self, call: &Arc<ToolCall>) {
        if self.waiting.is_empty() {
            return;
        }
        let key = CallKey::new(call);
        // A call without ids has no key that is found again.
        self.retain_waiting(|waiting| !Arc::ptr_eq(waiting, call) && CallKey::new(waiting) != key);
    }

    fn take_waiting(&mut self) -> Vec<Arc<ToolCall>> {
        self.waiting_bytes = 0;
        self.waiting.drain(..).collect()
    }

    fn retain_waiting(&mut self, stays: impl Fn(&Arc<ToolCall>) -> bool) {
        let bytes = &mut self.waiting_bytes;
        self.waiting.retain(|call| {
            let stays = stays(call);
            if !stays {
                *bytes -= call.bytes();
            }
            stays
        });
    }

    /// Notes a call that is answered neither here nor elsewhere.
    pub(crate) fn leave(&mut self, call: &ToolCall) {
        if let Some(turn_id) = &call.turn_id {
            self.turn(turn_id).left = Some(call.tool.clone());
        }
    }

    /// Notes a settled call, or that its answer arrived after all. `is_new`: nothing was noted of it before.
    pub(crate) fn on_record(&mut self, record: &Arc<DispatchRecord>, is_new: bool) {
        // A sub-agent's call belongs to the turn of the session that it works for.
        let call = &record.call;
        if let Some(turn_id) = call.session_turn_id.as_ref().or(call.turn_id.as_ref()) {
            let (before, after) = self.turn(turn_id).note(record, is_new);
            self.bytes = self.bytes + after - before;
            self.shrink();
        }
    }

    /// How many records lost their arguments and answers.
    pub(crate) fn stripped(&self) -> u64 {
        self.stripped
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

    /// Nothing happens any more. The first reason stays. Returns the calls that waited.
    pub(crate) fn close(&mut self, closed: Closed) -> Vec<Arc<ToolCall>> {
        self.closed.get_or_insert(closed);
        self.take_waiting()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// What is known of a turn.
    pub(crate) fn get(&self, turn_id: &str) -> Option<&Turn> {
        let mut turns = self.turns.iter().rev();
        turns.find(|(id, _)| **id == *turn_id).map(|(_, turn)| turn)
    }

    fn turn(&mut self, turn_id: &Arc<str>) -> &mut Turn {
        let known = self.turns.iter().rposition(|(id, _)| id == turn_id);
        let at = known.unwrap_or_else(|| {
            self.make_room();
            self.turns.push_back((turn_id.clone(), Turn::default()));
            self.turns.len() - 1
        });
        &mut self.turns[at].1
    }

    /// Forgets the oldest ended turns when there are enough, except those that somebody may still wait for;
    /// others only when there are far too many.
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

    /// Turns that ended from here on, somebody may still wait for.
    pub(super) fn watched(&self) -> u64 {
        self.watches.keys().next().copied().unwrap_or(u64::MAX)
    }

    pub(super) fn forget_turn(&mut self, at: usize) {
        if let Some((_, turn)) = self.turns.remove(at) {
            self.bytes -= weight::of(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(remembered_turns: usize, open_calls: usize) -> Inbox {
        Inbox::new(&Limits {
            remembered_turns,
            open_calls,
            ..Limits::default()
        })
    }

    fn call(id: &str) -> Arc<ToolCall> {
        let mut call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
        call.turn_id = Some("t".into());
        call.call_id = Some(id.into());
        Arc::new(call)
    }

    fn ended(turn: &str) -> Event {
        Event::TurnCompleted {
            turn_id: turn.into(),
            status: TurnStatus::Completed,
            error: None,
            detail: RawValue::NULL.to_owned().into(),
        }
    }

    #[test]
    fn calls_wait_until_somebody_serves() {
        let mut inbox = inbox(4, 4);
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("a"))),
            Action::None
        ));
        inbox.on_event(&Event::ToolCall(call("a")));
        assert_eq!(inbox.serve().len(), 1, "the same call waits once");
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("b"))),
            Action::Dispatch(_)
        ));
        inbox.unserve();
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("c"))),
            Action::None
        ));
    }

    #[test]
    fn a_call_waits_with_its_newest_address() {
        let mut inbox = inbox(4, 4);
        for (number, generation) in [(0, 1), (1, 2), (2, 1)] {
            let mut call = ToolCall::clone(&call("a"));
            call.request_id = Some(number.into());
            call.generation = generation;
            inbox.on_event(&Event::ToolCall(Arc::new(call)));
        }
        let waiting = inbox.serve();
        let generations: Vec<u64> = waiting.iter().map(|call| call.generation).collect();
        assert_eq!(generations, [2]);
    }

    #[test]
    fn more_waiting_calls_than_allowed_are_refused() {
        let mut inbox = inbox(4, 1);
        inbox.on_event(&Event::ToolCall(call("a")));
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("b"))),
            Action::Refuse(_)
        ));
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("a"))),
            Action::None
        ));
        assert_eq!(inbox.serve().len(), 1);
    }

    #[test]
    fn a_turns_end_and_an_expiry_take_waiting_calls_away() {
        let mut inbox = inbox(4, 4);
        inbox.on_event(&Event::ToolCall(call("a")));
        inbox.on_event(&Event::CallExpired(call("a")));
        assert!(inbox.serve().is_empty());
        inbox.unserve();
        inbox.on_event(&Event::ToolCall(call("b")));
        assert!(matches!(inbox.on_event(&ended("t")), Action::CancelTurn(_)));
        assert!(inbox.serve().is_empty());
    }

    #[test]
    fn the_last_message_that_says_something_is_the_reply() {
        let mut inbox = inbox(4, 4);
        for text in ["first", " second\n", "  "] {
            inbox.on_event(&Event::Message {
                turn_id: "t".into(),
                text: text.to_owned(),
            });
        }
        assert_eq!(
            inbox.get("t").and_then(|turn| turn.reply.as_deref()),
            Some("second")
        );
    }

    #[test]
    fn old_turns_are_forgotten_and_running_ones_are_not() {
        let mut inbox = inbox(2, 4);
        inbox.on_event(&Event::TurnStarted {
            turn_id: "running".into(),
        });
        for turn in ["1", "2", "3"] {
            inbox.on_event(&ended(turn));
            inbox.on_event(&ended(turn));
        }
        assert!(inbox.get("1").is_none());
        assert!(inbox.get("2").is_some() && inbox.get("3").is_some());
        assert!(inbox.get("running").is_some());
    }

    #[test]
    fn a_closed_session_takes_no_calls() {
        let mut inbox = inbox(4, 4);
        assert!(matches!(
            inbox.on_event(&Event::SessionClosed {
                reason: "gone".to_owned(),
                is_lost: true,
            }),
            Action::CancelAll
        ));
        assert!(matches!(
            inbox.on_event(&Event::ToolCall(call("a"))),
            Action::None
        ));
        inbox.close(Closed::by_us("later"));
        let closed = inbox
            .closed()
            .map(|closed| (&*closed.reason, closed.is_lost));
        assert_eq!(closed, Some(("gone", true)));
        assert!(inbox.serve().is_empty());
    }
}
