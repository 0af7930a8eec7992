//! Routes frames of the stream, and what polls find, to the sessions of this client: a pure state machine without I/O.
//!
//! Invariants: a turn ends once for its session; a waiting call is known by codex process and request id; a sub-agent
//! belongs to the session at the root; a call whose answer is on its way is not announced again by a list that still
//! has it.
//!
//! Life of a session here: `created`, `subscribe`d, its turns `began` and `ended`, its calls listed and resolved;
//! removed by `forget`. A session whose sink is gone is swept later.
//!
//! Locks: [`Shared`](super::shared::Shared) keeps it behind one mutex. Its methods return [`Delivery`]s, which the
//! caller hands on after releasing that mutex, since a sink may come back to the registry.

mod answers;
mod family;
mod session;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use self::answers::Outbound;
use self::family::{Parent, STRANGERS};
use self::session::{Calls, ENDED_TURNS, Look, Looks, Session};
use super::lost_send::Before;
use super::sent::Sent;
use super::server_requests::AskedIn;
use super::wire::{Frame, KnownTurn, PendingCall, TurnEnd};
use crate::runtime::newest::Newest;
use crate::runtime::{Event, EventSink, RequestHandler};
use crate::skill::ToolCall;

pub(super) use self::answers::Fate;
pub(super) use self::session::{ActiveTurn, hash};

/// The sessions that a look-up is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// The one that serves a thread.
    Of(Arc<str>),
    /// Those with an active turn.
    Active,
    /// Those with an active turn of which nothing was heard since the last time.
    Quiet,
}

/// Events for one sink, in order.
pub(super) struct Delivery {
    sink: Arc<dyn EventSink>,
    /// A call of which codex took an answer; most likely ours, whose response was lost.
    resolved: Option<Arc<ToolCall>>,
    events: Vec<Event>,
}

impl Delivery {
    /// Delivers the events. Call it after releasing the registry lock.
    pub(super) fn tell(self) {
        if let Some(call) = &self.resolved {
            self.sink.call_resolved(call);
        }
        for event in self.events {
            self.sink.deliver(event);
        }
    }
}

/// The sessions of this client, their sub-agents, their waiting calls, and the sinks of their events.
#[derive(Default)]
pub(super) struct Registry {
    sessions: HashMap<Arc<str>, Session>,
    /// Sub-agents.
    parents: HashMap<Arc<str>, Parent>,
    /// The keys of `parents`, oldest first, and of some that are none any more.
    children: VecDeque<Arc<str>>,
    /// The sub-agents of sessions that are being deleted.
    families: HashMap<Arc<str>, Vec<Arc<str>>>,
    strangers: HashSet<Arc<str>>,
    /// The sessions that were created and have no sink yet.
    created: HashSet<Arc<str>>,
    /// The answers on their way, by process and request id.
    answering: HashMap<(u64, String), Outbound>,
    /// Number of sessions at which those without a sink are swept next.
    sweep_at: usize,
}

impl Registry {
    pub(super) fn subscribe(&mut self, session_id: Arc<str>, events: Weak<dyn EventSink>) {
        if self.sessions.len() >= self.sweep_at {
            self.sessions
                .retain(|_, session| session.events.strong_count() > 0);
            let sessions = &self.sessions;
            self.parents
                .retain(|_, parent| sessions.contains_key(&parent.session_id));
            self.sweep_at = (2 * self.sessions.len()).max(64);
        }
        self.strangers.remove(&session_id);
        // A sub-agent that is opened as a session receives its own events.
        self.parents.remove(&session_id);
        let newest = self.created.remove(&session_id).then_some(Newest::None);
        self.sessions.insert(
            session_id,
            Session {
                events,
                newest,
                over: None,
                sent: Sent::default(),
                frames: 1,
                polled: 0,
                pulsed: 0,
                looks: Looks::None,
                has_missed: false,
                said: VecDeque::new(),
                active: Vec::new(),
                ended: VecDeque::new(),
                calls: Calls::default(),
                answered: VecDeque::new(),
                requests: None,
            },
        );
    }

    /// Records a created session, which has no sink yet.
    pub(super) fn created(&mut self, session_id: &Arc<str>) {
        if self.created.len() >= STRANGERS {
            self.created.clear();
        }
        self.created.insert(session_id.clone());
    }

    /// Records the turns that a session has had, where the server reports them.
    pub(super) fn knows_turns(&mut self, session_id: &str, turns: Option<Vec<KnownTurn>>) {
        if let (Some(session), Some(turns)) = (self.sessions.get_mut(session_id), turns) {
            session.newest.get_or_insert(Newest::None);
            for turn in &turns {
                session.know(&turn.id);
            }
            let newest = turns.into_iter().max_by(|one, two| one.id.cmp(&two.id));
            session.over = newest.filter(|turn| turn.is_over).map(|turn| turn.id);
        }
    }

    /// Records a request that is about to be sent; returns the state of the session before it.
    pub(super) fn begin_send(&mut self, session_id: &str, text: &str) -> Before {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return Before::default();
        };
        Before {
            key: session.sent.begin(text),
            newest: session.newest.clone(),
            running: session.running(),
        }
    }

    /// Records which turn took a request, or that none did.
    pub(super) fn end_send(
        &mut self,
        session_id: &str,
        before: &Before,
        turn_id: Option<&Arc<str>>,
    ) {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return;
        };
        match turn_id {
            Some(turn_id) => {
                session
                    .sent
                    .took(before.key, turn_id, before.precedes(turn_id));
            }
            None => session.sent.not_taken(before.key),
        }
    }

    /// Returns the requests that were sent to a session from here.
    pub(super) fn sent(&self, session_id: &str) -> Sent {
        let session = self.sessions.get(session_id);
        session
            .map(|session| session.sent.clone())
            .unwrap_or_default()
    }

    pub(super) fn forget(&mut self, session_id: &str) {
        self.sessions.remove(session_id);
        self.parents
            .retain(|_, parent| *parent.session_id != *session_id);
    }

    /// Returns sessions with their active turns.
    pub(super) fn live(&mut self, which: &Which) -> Vec<(Arc<str>, Vec<ActiveTurn>)> {
        let owner = match which {
            Which::Of(thread_id) => Some(self.owner(thread_id.clone())),
            _ => None,
        };
        let mut live: Vec<_> = self
            .sessions
            .iter_mut()
            .filter(|(_, session)| session.events.strong_count() > 0)
            .filter_map(|(id, session)| {
                let asked = match which {
                    Which::All => true,
                    Which::Of(_) => owner.as_ref() == Some(id),
                    Which::Active => !session.active.is_empty(),
                    Which::Quiet => session.was_quiet_since(Look::Poll),
                };
                asked.then(|| (id.clone(), session.active.clone()))
            })
            .collect();
        // Those with an active turn come first.
        live.sort_by_key(|(_, turns)| turns.is_empty());
        live
    }

    /// Returns the sessions with an active turn of which no frame came since the previous call.
    pub(super) fn quiet(&mut self) -> Vec<Arc<str>> {
        let sessions = self.sessions.iter_mut();
        sessions
            .filter(|(_, session)| session.events.strong_count() > 0)
            .filter_map(|(id, session)| session.was_quiet_since(Look::Pulse).then(|| id.clone()))
            .collect()
    }

    /// Claims the look-up of the session that owns a thread, where a turn of it runs. While one is under way, asks it
    /// to repeat instead, and returns `None`.
    pub(super) fn begin_look(&mut self, thread_id: &Arc<str>) -> Option<Arc<str>> {
        let owner = self.owner(thread_id.clone());
        let session = self.sessions.get_mut(&owner)?;
        if session.active.is_empty() {
            return None;
        }
        let is_first = session.looks == Looks::None;
        session.looks = if is_first { Looks::One } else { Looks::Again };
        is_first.then_some(owner)
    }

    /// Ends a look-up; returns whether it is to be repeated.
    pub(super) fn end_look(&mut self, session_id: &str) -> bool {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return false;
        };
        let again = session.looks == Looks::Again && !session.active.is_empty();
        session.looks = if again { Looks::One } else { Looks::None };
        again
    }

    /// Whether a listed call is known already.
    pub(super) fn knows(&self, thread_id: &Arc<str>, request_id: &str, generation: u64) -> bool {
        let owner = self.owner(thread_id.clone());
        let session = self.sessions.get(&owner);
        let known = session.and_then(|session| session.calls.get(request_id));
        known.is_some_and(|call| call.generation == generation)
            || self
                .answering
                .contains_key(&(generation, request_id.to_owned()))
    }

    /// Returns the sessions with a sink, and their sub-agents.
    pub(super) fn threads(&self) -> HashSet<Arc<str>> {
        let is_live = |id: &Arc<str>| {
            self.sessions
                .get(id)
                .is_some_and(|session| session.events.strong_count() > 0)
        };
        let sessions = self.sessions.keys().filter(|id| is_live(id));
        let children = self
            .parents
            .iter()
            .filter(|(_, parent)| is_live(&parent.session_id))
            .map(|(child, _)| child);
        sessions.chain(children).cloned().collect()
    }

    /// Records a turn that the answer to a request names.
    pub(super) fn began(&mut self, session_id: &str, turn_id: &Arc<str>, generation: u64) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.begin(turn_id, generation);
        }
    }

    /// Whether the turn is known to run.
    pub(super) fn is_active(&self, session_id: &str, turn_id: &str) -> bool {
        self.sessions
            .get(session_id)
            .is_some_and(|session| session.active.iter().any(|turn| *turn.id == *turn_id))
    }

    /// Applies a frame; returns the events it causes and their sink. Ignores frames of sessions that this client does
    /// not have.
    pub(super) fn take(&mut self, frame: Frame, generation: u64) -> Option<Delivery> {
        match frame {
            Frame::Ready | Frame::Pong | Frame::Other => None,
            // `server_requests` handles questions, once for all announcements.
            Frame::Asked { thread_id, .. } | Frame::Decided { thread_id, .. } => {
                self.session(&thread_id)?.frames += 1;
                None
            }
            Frame::Children {
                parent_id,
                thread_ids,
                are_spawned,
            } => {
                let owner = self.owner(parent_id);
                if self.sessions.contains_key(&owner) {
                    for child in thread_ids {
                        self.adopt(child, &owner, are_spawned);
                    }
                }
                None
            }
            Frame::Call {
                thread_id,
                call,
                is_listed,
            } => self.call(thread_id, call, generation, is_listed),
            Frame::Resolved {
                thread_id,
                request_id,
                is_expired,
            } => {
                let session = self.session(&thread_id)?;
                session.frames += 1;
                let call = session.calls.remove(&request_id)?;
                let mut delivery = session.tell(vec![Event::CallExpired(call.clone())]);
                if is_expired {
                    self.tell_answering(&call, Fate::Expired);
                    return delivery;
                }
                // The answer that was taken is most likely ours, which is still on its way.
                if self.tell_answering(&call, Fate::Resolved) {
                    return None;
                }
                if let Some(delivery) = &mut delivery {
                    delivery.resolved = Some(call);
                }
                delivery
            }
            Frame::TurnStarted { thread_id, turn_id } => {
                let session = self.sessions.get_mut(&thread_id)?;
                session.frames += 1;
                session.begin(&turn_id, generation);
                session.tell(vec![Event::TurnStarted { turn_id }])
            }
            Frame::Delta {
                thread_id,
                turn_id,
                text,
            } => {
                let session = self.sessions.get_mut(&thread_id)?;
                session.frames += 1;
                session.tell(vec![Event::TextDelta {
                    turn_id,
                    delta: text,
                }])
            }
            Frame::Message {
                thread_id,
                turn_id,
                text,
            } => {
                let session = self.sessions.get_mut(&thread_id)?;
                session.frames += 1;
                session.note_message(&turn_id, &text);
                session.tell(vec![Event::Message { turn_id, text }])
            }
            Frame::TurnCompleted { thread_id, end } => self.ended(&thread_id, end),
            Frame::Deleted { session_id } => {
                let session = self.sessions.get(&session_id)?;
                let delivery = session.tell(vec![Event::SessionClosed {
                    reason: "it was deleted".to_owned(),
                    is_lost: false,
                }]);
                self.forget(&session_id);
                delivery
            }
        }
    }

    /// Notes that the stream is down, so that frames may be missed.
    pub(super) fn miss(&mut self) {
        for session in self.sessions.values_mut() {
            session.has_missed = true;
        }
    }

    /// Ends a turn, as the stream or a poll reports it.
    pub(super) fn ended(&mut self, thread_id: &Arc<str>, end: TurnEnd) -> Option<Delivery> {
        let own = self.sessions.contains_key(thread_id);
        let session = self.session(thread_id)?;
        let expired: Vec<String> = session
            .calls
            .known
            .iter()
            .filter(|(_, call)| call.turn_id.as_ref() == Some(&end.turn_id))
            .map(|(id, _)| id.clone())
            .collect();
        let expired: Vec<Arc<ToolCall>> = expired
            .iter()
            .filter_map(|id| session.calls.remove(id))
            .collect();
        if own {
            session.know(&end.turn_id);
        }
        session.frames += 1;
        if !session.ended.contains(&end.turn_id) {
            session.ended.push_back(end.turn_id.clone());
            if session.ended.len() > ENDED_TURNS {
                session.ended.pop_front();
            }
        }
        let mut events: Vec<Event> = expired.iter().cloned().map(Event::CallExpired).collect();
        // The turn of a sub-agent is no turn of the session; its calls are the session's.
        if own {
            session.active.retain(|turn| turn.id != end.turn_id);
            if let Some(text) = end.reply
                && !session.has_said(&end.turn_id, &text)
            {
                events.push(Event::Message {
                    turn_id: end.turn_id.clone(),
                    text,
                });
            }
            events.push(Event::TurnCompleted {
                turn_id: end.turn_id,
                status: end.status,
                error: end.error,
                detail: end.payload,
            });
        }
        let delivery = session.tell(events);
        for call in &expired {
            self.tell_answering(call, Fate::Expired);
        }
        delivery
    }

    fn call(
        &mut self,
        thread_id: Arc<str>,
        call: PendingCall,
        generation: u64,
        is_listed: bool,
    ) -> Option<Delivery> {
        let owner = self.owner(thread_id.clone());
        let session = self.sessions.get_mut(&owner)?;
        session.frames += u64::from(!is_listed);
        let request_id = call.request_id.clone();
        let mut call = call.into_call(owner, thread_id, generation);
        call.is_listed = is_listed;
        if call.thread_id.is_some() {
            call.session_turn_id = session.active.last().map(|turn| turn.id.clone());
        }
        let call = Arc::new(call);
        if let Some(turn_id) = &call.turn_id {
            // A late announcement: its turn has ended, and no answer is wanted.
            if session.ended.contains(turn_id) {
                return None;
            }
            if call.thread_id.is_none() {
                session.begin(turn_id, generation);
            }
        }
        let address = (generation, request_id);
        let is_answered = self.answering.contains_key(&address);
        // Each call is announced twice (contract §9.5), and its answer may be taken between the two.
        if is_listed || !session.answered.contains(&address) {
            session.calls.insert(address.1, call.clone());
        }
        if is_listed && is_answered {
            return None;
        }
        session.tell(vec![Event::ToolCall(call)])
    }

    /// Returns the session that owns a thread, with its handler of questions.
    pub(super) fn asked_in(
        &self,
        thread_id: &Arc<str>,
        turn_id: Option<&Arc<str>>,
    ) -> Option<AskedIn> {
        let session_id = self.owner(thread_id.clone());
        let session = self.sessions.get(&session_id)?;
        // A late announcement: its turn has ended, and no decision is wanted.
        if turn_id.is_some_and(|turn_id| session.ended.contains(turn_id)) {
            return None;
        }
        // Do not upgrade here: the last reference would be dropped under the lock.
        if session.events.strong_count() == 0 {
            return None;
        }
        Some(AskedIn {
            turn_id: session.active.last().map(|turn| turn.id.clone()),
            events: session.events.clone(),
            handler: session.requests.clone(),
            session_id,
        })
    }

    /// Sets the handler of a session's questions.
    pub(super) fn set_requests(&mut self, session_id: &str, handler: RequestHandler) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.requests = Some(handler);
        }
    }

    fn session(&mut self, thread_id: &Arc<str>) -> Option<&mut Session> {
        let owner = self.owner(thread_id.clone());
        self.sessions.get_mut(&owner)
    }
}

#[cfg(test)]
mod tests;
