//! What one opening of a session knows: its turns, the calls that wait to be served, and why it was closed.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::calls::Room;
use super::turns::{Turn, Turns};
use crate::dispatch::{DispatchRecord, Limits};
use crate::runtime::Event;
use crate::skill::ToolCall;
use crate::skill::call::{CallKey, is_newer};

/// What becomes of an announced call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing: the session is closed, or the call waits already, with a newer address.
    Ignored,
    /// It waits until the session is served.
    Waits,
    /// It is to be answered now.
    Claimed,
    /// It is one too many: the session is not served, and too many wait.
    Refused,
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

/// A session since it was opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) turns: Turns,
    /// Announced, and not claimed yet: the session is not served.
    waiting: VecDeque<Arc<ToolCall>>,
    /// Their size, in bytes.
    waiting_bytes: usize,
    servers: usize,
    closed: Option<Closed>,
    /// Whether everything is cancelled, now and later.
    pub(super) is_cancelled: bool,
    /// How many calls arrived.
    pub(super) arrivals: u64,
    pub(super) room: Room,
    /// Whether it was said that records are stripped.
    said_stripped: bool,
}

impl Opening {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            turns: Turns::new(limits),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            servers: 0,
            closed: None,
            is_cancelled: false,
            arrivals: 0,
            room: Room::new(limits),
            said_stripped: false,
        }
    }

    /// Takes an event, apart from announced calls: what it says of turns, of waiting calls and of the session's end.
    pub(super) fn on_event(&mut self, event: &Event, now: Instant) {
        self.turns.on_event(event, now);
        match event {
            Event::CallExpired(call) => self.forget_waiting(call),
            Event::TurnCompleted { turn_id, .. } => {
                self.retain_waiting(|call| call.turn_id.as_ref() != Some(turn_id));
            }
            Event::SessionClosed { reason, is_lost } => {
                self.close(Closed {
                    reason: reason.clone(),
                    is_lost: *is_lost,
                });
            }
            _ => {}
        }
    }

    /// Takes an announced call: it is answered now, or it waits.
    pub(super) fn on_call(&mut self, call: &Arc<ToolCall>) -> Admission {
        if self.closed.is_some() {
            return Admission::Ignored;
        }
        if self.servers > 0 || self.is_over(call) {
            self.forget_waiting(call);
            return Admission::Claimed;
        }
        if self.has_newer(call) {
            return Admission::Ignored;
        }
        self.forget_waiting(call);
        let bytes = self.waiting_bytes + call.bytes();
        if self.waiting.len() >= self.room.calls || bytes > self.room.bytes {
            return Admission::Refused;
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(call.clone());
        Admission::Waits
    }

    /// Begins to serve, and takes the calls that waited.
    pub(super) fn serve(&mut self) -> Vec<Arc<ToolCall>> {
        self.servers += 1;
        self.take_waiting()
    }

    /// Ends to serve, once for each [`serve`](Self::serve).
    pub(crate) fn unserve(&mut self) {
        self.servers = self.servers.saturating_sub(1);
    }

    /// Remembers the turns that end from now on, until [`unwatch`](Self::unwatch) is called with what is returned.
    pub(crate) fn watch(&mut self) -> u64 {
        self.turns.watch()
    }

    /// Releases one watch.
    pub(crate) fn unwatch(&mut self, since: u64) {
        self.turns.unwatch(since);
    }

    /// Whether the turn of a call is known to have ended.
    pub(super) fn is_over(&self, call: &ToolCall) -> bool {
        call.turn_id
            .as_deref()
            .and_then(|turn_id| self.turns.get(turn_id))
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

    /// Forgets that a call waits: it is being answered, or wants no answer any more.
    pub(super) fn forget_waiting(&mut self, call: &Arc<ToolCall>) {
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
            self.turns.turn(turn_id).left = Some(call.tool.clone());
        }
    }

    /// Notes a settled call. `is_new`: nothing was noted of it before.
    pub(super) fn on_record(&mut self, record: &Arc<DispatchRecord>, is_new: bool) {
        self.turns.on_record(record, is_new);
    }

    /// Whether records are stripped since the last question: said once.
    pub(crate) fn begins_to_strip(&mut self) -> bool {
        let is_first = self.turns.stripped > 0 && !self.said_stripped;
        self.said_stripped |= is_first;
        is_first
    }

    /// Closes the session: it takes no calls any more, and those that waited are returned. The first reason stays.
    pub(crate) fn close(&mut self, closed: Closed) -> Vec<Arc<ToolCall>> {
        self.closed.get_or_insert(closed);
        self.take_waiting()
    }

    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// What is known of a turn.
    pub(crate) fn turn(&self, turn_id: &str) -> Option<&Turn> {
        self.turns.get(turn_id)
    }
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
