//! The state of one session with a sink: its turns, its waiting calls, and the frames that came for it.

use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;
use std::sync::{Arc, LazyLock, Weak};

use super::super::sent::Sent;
use super::Delivery;
use crate::runtime::newest::Newest;
use crate::runtime::{Event, EventSink, RequestHandler};
use crate::skill::ToolCall;

/// Ended turns remembered for each session, so that a late frame does not revive one.
pub(super) const ENDED_TURNS: usize = 64;
/// Turns of a session that may be active, as far as its frames show, before the oldest is given up.
const ACTIVE_TURNS: usize = 1024;
/// Waiting calls known for each session, and their size in bytes. A session that answers its calls reaches limits of
/// its own long before.
const KNOWN_CALLS: usize = 64 * 1024;
const KNOWN_BYTES: usize = 256 * 1024 * 1024;
/// Messages remembered for each session, so that the end of a turn does not repeat its last.
const MESSAGES: usize = 16;
/// Answered calls remembered for each session, so that a late announcement does not list one again.
pub(super) const ANSWERED_CALLS: usize = 256;

/// A turn whose end was not reported, and the codex process that runs it.
#[derive(Clone, Debug)]
pub(in super::super) struct ActiveTurn {
    pub(in super::super) id: Arc<str>,
    pub(in super::super) generation: u64,
}

pub(super) struct Session {
    pub(super) events: Weak<dyn EventSink>,
    pub(super) active: Vec<ActiveTurn>,
    /// The newest turn, where all before it are known.
    pub(super) newest: Option<Newest>,
    /// The newest turn when the session was opened, where it was over.
    pub(super) over: Option<Arc<str>>,
    /// Requests that were sent to it from here.
    pub(super) sent: Sent,
    /// Number of frames that came for it.
    pub(super) frames: u64,
    /// Value of `frames` at the last check for silence: by the poll of sessions, and by the pulse.
    pub(super) polled: u64,
    pub(super) pulsed: u64,
    /// State of its look-up, which runs since calls expired in an active turn.
    pub(super) looks: Looks,
    /// Frames may have been missed.
    pub(super) has_missed: bool,
    /// The turns of the last messages, with a hash of each.
    pub(super) said: VecDeque<(Arc<str>, u64)>,
    pub(super) ended: VecDeque<Arc<str>>,
    pub(super) calls: Calls,
    /// The addresses of the calls that were answered last.
    pub(super) answered: VecDeque<(u64, String)>,
    /// The handler of its questions.
    pub(super) requests: Option<RequestHandler>,
}

impl Session {
    pub(super) fn know(&mut self, turn_id: &Arc<str>) {
        if self
            .newest
            .as_ref()
            .is_none_or(|newest| newest.is_before(turn_id))
        {
            self.newest = Some(Newest::Turn(turn_id.clone()));
        }
    }

    pub(super) fn begin(&mut self, turn_id: &Arc<str>, generation: u64) {
        self.know(turn_id);
        if self.ended.contains(turn_id) {
            return;
        }
        match self.active.iter_mut().find(|turn| turn.id == *turn_id) {
            // It was not certain which process took the request; that its frames come from one is.
            Some(turn) if turn.generation == 0 => turn.generation = generation,
            Some(_) => {}
            None => self.active.push(ActiveTurn {
                id: turn_id.clone(),
                generation,
            }),
        }
        if self.active.len() > ACTIVE_TURNS {
            self.active.remove(0);
        }
    }

    /// The turns that may run: those that are active, and the newest unless it is known to be over.
    pub(super) fn running(&self) -> Vec<Arc<str>> {
        let mut running: Vec<Arc<str>> = self.active.iter().map(|turn| turn.id.clone()).collect();
        if let Some(Newest::Turn(newest)) = &self.newest
            && self.over.as_ref() != Some(newest)
            && !self.ended.contains(newest)
            && !running.contains(newest)
        {
            running.push(newest.clone());
        }
        running
    }

    /// Whether a turn is active and no frame came since the last check of this kind.
    pub(super) fn was_quiet_since(&mut self, look: Look) -> bool {
        let before = match look {
            Look::Poll => &mut self.polled,
            Look::Pulse => &mut self.pulsed,
        };
        let is_quiet = *before == self.frames;
        *before = self.frames;
        is_quiet && !self.active.is_empty()
    }

    pub(super) fn note_message(&mut self, turn_id: &Arc<str>, text: &str) {
        if self.said.len() >= MESSAGES {
            self.said.pop_front();
        }
        self.said.push_back((turn_id.clone(), hash(text)));
    }

    /// Whether this was the last message of a turn.
    pub(super) fn has_said(&self, turn_id: &Arc<str>, text: &str) -> bool {
        let mut said = self.said.iter().rev();
        said.find(|(turn, _)| turn == turn_id)
            .is_some_and(|(_, said)| *said == hash(text))
    }

    pub(super) fn tell(&self, events: Vec<Event>) -> Option<Delivery> {
        let sink = self.events.upgrade()?;
        (!events.is_empty()).then_some(Delivery {
            sink,
            resolved: None,
            events,
        })
    }
}

/// The calls of a session that wait, by request id.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) known: HashMap<String, Arc<ToolCall>>,
    /// Their size, in bytes.
    bytes: usize,
}

impl Calls {
    /// Notes a call, unless there are far too many.
    pub(super) fn insert(&mut self, request_id: String, call: Arc<ToolCall>) {
        let bytes = self.bytes + call.bytes();
        if self.known.len() >= KNOWN_CALLS || bytes > KNOWN_BYTES {
            return;
        }
        self.bytes = bytes;
        if let Some(earlier) = self.known.insert(request_id, call) {
            self.bytes -= earlier.bytes();
        }
    }

    pub(super) fn get(&self, request_id: &str) -> Option<&Arc<ToolCall>> {
        self.known.get(request_id)
    }

    pub(super) fn remove(&mut self, request_id: &str) -> Option<Arc<ToolCall>> {
        let call = self.known.remove(request_id)?;
        self.bytes -= call.bytes();
        Some(call)
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(&Arc<ToolCall>) -> bool) {
        let bytes = &mut self.bytes;
        self.known.retain(|_, call| {
            let stays = stays(call);
            if !stays {
                *bytes -= call.bytes();
            }
            stays
        });
    }
}

/// State of a session's look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    None,
    One,
    /// One runs, and is to be repeated.
    Again,
}

/// Kind of a check for silence.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Poll,
    Pulse,
}

/// Hashes a message. Meaningful within this process only.
pub(in super::super) fn hash(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    STATE.hash_one(text.trim())
}
