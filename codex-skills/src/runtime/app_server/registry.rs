//! Routes what codex says to the sessions of this client: a pure state machine, without I/O and without a clock.
//!
//! Invariants: a turn ends once, whatever repeats its end; a waiting call is listed once, at its newest address; a
//! sub-agent belongs to the session at the root, never to another sub-agent.
//!
//! Life of a thread: `created` or `subscribe`d; turns `begin` and `end`, calls are listed and `answered` or expired;
//! `unsubscribed` when the connection is replaced, until the thread is resumed; removed by `close` or `process_lost`. A
//! thread whose sink is gone is swept later.
//!
//! Locks: [`Shared`](super::shared::Shared) keeps it behind one mutex. Its methods return [`Delivery`]s, which the
//! caller hands to the sinks after it has released that mutex, since a sink may come back to the registry.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};

use foldhash::HashMap;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::before::Before;
use super::wire::{Notice, TurnEnd};
use crate::runtime::newest::Newest;
use crate::runtime::{Event, EventSink, RequestHandler, TurnStatus};
use crate::skill::{RequestId, ToolCall};

/// What became of a thread that codex had in its memory only, after why.
pub(super) const NOTHING_WRITTEN: &str = "and the session was in its memory only: create it again";
/// Ended turns remembered for each session, so that a late notification does not revive one.
const ENDED_TURNS: usize = 64;
/// Threads without a sink that are kept all the same, because codex has not written them to disk.
const MEMORABLE: usize = 4096;
/// Sub-agents followed; the oldest are forgotten, and looked up again when they call.
const CHILDREN: usize = 16 * 1024;
/// Waiting calls listed for each thread, and their size in bytes. A session that answers its calls reaches limits of
/// its own long before.
const LISTED_CALLS: usize = 64 * 1024;
const LISTED_BYTES: usize = 256 * 1024 * 1024;

/// Events for one sink, in order.
pub(super) type Delivery = (Arc<dyn EventSink>, Vec<Event>);

/// A call for a sink.
pub(super) type Call = (Arc<dyn EventSink>, Arc<ToolCall>);

/// The threads of this client, their sub-agents, and the sinks of their events.
#[derive(Default)]
pub(super) struct Registry {
    threads: HashMap<Arc<str>, Thread>,
    parents: HashMap<Arc<str>, Arc<str>>,
    /// The keys of `parents`, oldest first.
    children: VecDeque<Arc<str>>,
    /// Number of threads at which those without a sink are swept next.
    sweep_at: usize,
}

struct Thread {
    events: Weak<dyn EventSink>,
    requests: Option<RequestHandler>,
    active: Option<Arc<str>>,
    /// Requests of this client that the active turn took.
    taken: u64,
    /// The active turn has said something since its session subscribed.
    spoke: bool,
    ended: VecDeque<Arc<str>>,
    calls: HashMap<Address, Waiting>,
    /// Size of `calls` in bytes.
    call_bytes: usize,
    arrivals: u64,
    /// The connection was replaced while calls waited.
    was_cut: bool,
    fate: Fate,
    is_subscribed: bool,
}

/// A call that waits for its answer.
struct Waiting {
    call: Arc<ToolCall>,
    since: Instant,
    /// Position of this announcement among those of the thread.
    arrival: u64,
}

/// Where an answer goes: [`ToolCall::same_address`].
type Address = (Option<RequestId>, u64);

fn address(call: &ToolCall) -> Address {
    (call.request_id.clone(), call.generation)
}

/// Persistence of a thread: what becomes of it when its process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is on disk.
    Persisted,
    /// Nothing was sent yet, so it is not on disk.
    Unwritten,
    /// It is never on disk.
    Ephemeral,
}

/// A session that is to be taken up after a connection was made.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) thread_id: Arc<str>,
    pub(super) active: Option<Arc<str>>,
    pub(super) fate: Fate,
    /// Whether it is the child of a session.
    pub(super) is_child: bool,
}

impl Registry {
    pub(super) fn subscribe(&mut self, thread_id: Arc<str>, events: Weak<dyn EventSink>) {
        if self.threads.len() >= self.sweep_at {
            // Codex cannot say again that a thread is not on disk.
            let few = self.threads.len() < MEMORABLE;
            self.threads.retain(|_, thread| {
                thread.events.strong_count() > 0 || (few && thread.fate != Fate::Persisted)
            });
            let threads = std::mem::take(&mut self.threads);
            self.retain_children(|_, parent| threads.contains_key(parent));
            self.threads = threads;
            self.sweep_at = (2 * self.threads.len()).max(64);
        }
        match self.threads.entry(thread_id) {
            // It had another sink, or was created just now.
            Entry::Occupied(mut known) => {
                let thread = known.get_mut();
                thread.events = events;
                thread.requests = None;
            }
            Entry::Vacant(place) => {
                place.insert(Thread {
                    events,
                    requests: None,
                    active: None,
                    taken: 0,
                    spoke: false,
                    ended: VecDeque::new(),
                    calls: HashMap::default(),
                    call_bytes: 0,
                    arrivals: 0,
                    was_cut: false,
                    fate: Fate::Persisted,
                    is_subscribed: true,
                });
            }
        }
    }

    /// Records a created thread, which has no sink yet.
    pub(super) fn created(&mut self, thread_id: &Arc<str>, fate: Fate) {
        let nobody: Weak<dyn EventSink> = Weak::<Nobody>::new();
        self.subscribe(thread_id.clone(), nobody);
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.fate = fate;
        }
    }

    pub(super) fn set_requests(&mut self, thread_id: &str, handler: RequestHandler) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.requests = Some(handler);
        }
    }

    /// Returns the session's handler of server requests other than tool calls, if it has one.
    pub(super) fn requests(&self, thread_id: &Arc<str>) -> Option<RequestHandler> {
        self.threads.get(self.owner(thread_id))?.requests.clone()
    }

    pub(super) fn forget(&mut self, thread_id: &str) {
        self.threads.remove(thread_id);
        self.retain_children(|_, parent| **parent != *thread_id);
    }

    fn retain_children(&mut self, stays: impl Fn(&Arc<str>, &Arc<str>) -> bool) {
        let known = self.parents.len();
        self.parents.retain(|child, parent| stays(child, parent));
        if self.parents.len() < known {
            let parents = &self.parents;
            self.children.retain(|child| parents.contains_key(child));
        }
    }

    /// Whether a thread, or the session it is a sub-agent of, has a sink.
    pub(super) fn serves(&self, thread_id: &Arc<str>) -> bool {
        self.threads
            .get(self.owner(thread_id))
            .is_some_and(|thread| thread.events.strong_count() > 0)
    }

    /// Returns the sink that receives the calls of a thread. Drop it after releasing the registry lock: it may be the
    /// last reference to the session.
    pub(super) fn listener(&self, thread_id: &Arc<str>) -> Option<Arc<dyn EventSink>> {
        self.threads.get(self.owner(thread_id))?.events.upgrade()
    }

    /// Whether a thread is the child of a session.
    pub(super) fn is_child(&self, thread_id: &Arc<str>) -> bool {
        self.owner(thread_id) != thread_id
    }

    pub(super) fn fate(&self, thread_id: &str) -> Fate {
        self.threads
            .get(thread_id)
            .map_or(Fate::Persisted, |thread| thread.fate)
    }

    pub(super) fn set_fate(&mut self, thread_id: &str, fate: Fate) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.fate = fate;
        }
    }

    /// Returns the turn that runs, as far as codex has said.
    pub(super) fn active(&self, thread_id: &str) -> Option<Arc<str>> {
        self.threads.get(thread_id)?.active.clone()
    }

    /// Returns the state of a thread before a request is sent, to find the request's turn later if its answer is lost.
    pub(super) fn before(&self, thread_id: &str) -> Before {
        let Some(thread) = self.threads.get(thread_id) else {
            return Before::default();
        };
        let newest = thread.ended.iter().chain(&thread.active).max();
        Before {
            newest: match newest {
                Some(turn_id) => Some(Newest::Turn(turn_id.clone())),
                None => (thread.fate != Fate::Persisted).then_some(Newest::None),
            },
            active: thread.active.clone(),
            taken: thread.taken,
        }
    }

    /// Whether a turn is known to be over.
    pub(super) fn has_ended(&self, thread_id: &str, turn_id: &str) -> bool {
        self.threads
            .get(thread_id)
            .is_some_and(|thread| thread.ended.iter().any(|ended| **ended == *turn_id))
    }

    /// Whether codex reports the thread's events on this connection.
    pub(super) fn is_subscribed(&self, thread_id: &str) -> bool {
        self.threads
            .get(thread_id)
            .is_none_or(|thread| thread.is_subscribed)
    }

    pub(super) fn set_subscribed(&mut self, thread_id: &str, is_subscribed: bool) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.is_subscribed = is_subscribed;
        }
    }

    /// Returns the threads with a sink, those with an active turn first, then their sub-agents.
    pub(super) fn live(&self) -> Vec<Live> {
        let mut live: Vec<Live> = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.events.strong_count() > 0)
            .map(|(thread_id, thread)| Live {
                thread_id: thread_id.clone(),
                active: thread.active.clone(),
                fate: thread.fate,
                is_child: false,
            })
            .collect();
        live.sort_by_key(|live| live.active.is_none());
        let children = self.parents.keys().filter(|child| self.serves(child));
        live.extend(children.map(|child| Live {
            thread_id: child.clone(),
            active: None,
            fate: Fate::Persisted,
            is_child: true,
        }));
        live
    }

    /// Notes that the connection was replaced: codex reports nothing of a thread until it is resumed.
    pub(super) fn unsubscribed(&mut self) {
        for thread in self.threads.values_mut() {
            thread.is_subscribed = false;
            thread.was_cut = true;
        }
    }

    /// Returns the waiting calls of a thread, to be announced again.
    pub(super) fn again(&self, thread_id: &str) -> Option<Delivery> {
        let thread = self.threads.get(thread_id)?;
        let mut calls: Vec<&Waiting> = thread.calls.values().collect();
        calls.sort_unstable_by_key(|waiting| waiting.arrival);
        let calls = calls.into_iter();
        thread.tell(
            calls
                .map(|waiting| Event::ToolCall(waiting.call.clone()))
                .collect(),
        )
    }

    /// Returns the calls of a session that wait for an answer, oldest first.
    pub(super) fn waiting(&self, thread_id: &str) -> Vec<ToolCall> {
        let calls = self.threads.get(thread_id).map(|thread| &thread.calls);
        let mut calls: Vec<&Waiting> = calls.into_iter().flat_map(HashMap::values).collect();
        calls.sort_by_key(|waiting| waiting.arrival);
        calls
            .into_iter()
            .map(|waiting| {
                let mut call = ToolCall::clone(&waiting.call);
                call.is_listed = true;
                call
            })
            .collect()
    }

    /// Records a turn that the answer to a request names.
    pub(super) fn began(&mut self, thread_id: &str, turn_id: &Arc<str>) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.begin(turn_id);
        }
    }

    /// Records that a turn took a request, which began it or steered it.
    pub(super) fn took(&mut self, thread_id: &str, turn_id: &Arc<str>) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.begin(turn_id);
            thread.taken += 1;
        }
    }

    /// Removes an answered call; returns since when it waited.
    pub(super) fn answered(&mut self, call: &ToolCall) -> Option<Instant> {
        let thread = self.threads.get_mut(&call.session_id)?;
        let waiting = thread.calls.remove(&address(call))?;
        thread.call_bytes -= waiting.call.bytes();
        Some(waiting.since)
    }

    /// Records a thread as the sub-agent of a session, or of one of its sub-agents. Returns whether the session is
    /// known.
    pub(super) fn adopt(&mut self, parent_id: &Arc<str>, thread_id: Arc<str>) -> bool {
        let owner = self.owner(parent_id).clone();
        let is_known = self.threads.contains_key(&owner) && owner != thread_id;
        if is_known && !self.threads.contains_key(&thread_id) {
            if self.parents.insert(thread_id.clone(), owner).is_none() {
                self.children.push_back(thread_id);
            }
            if self.children.len() > CHILDREN
                && let Some(oldest) = self.children.pop_front()
            {
                self.parents.remove(&oldest);
            }
        }
        is_known
    }

    fn thread_of_turn(&self, turn_id: &Arc<str>) -> Option<Arc<str>> {
        let has = |thread: &Thread| {
            thread.active.as_ref() == Some(turn_id) || thread.ended.contains(turn_id)
        };
        let mut threads = self.threads.iter();
        threads
            .find(|(_, thread)| has(thread))
            .map(|(thread_id, _)| thread_id.clone())
    }

    /// Lists a call and returns the sink to announce it to. Returns the call itself if no session of this client owns
    /// it.
    #[allow(clippy::result_large_err, reason = "it is handed on at once")]
    pub(super) fn call(&mut self, mut call: ToolCall, now: Instant) -> Result<Call, ToolCall> {
        let owner = self.parents.get(&call.session_id);
        if let Some(owner) = owner.filter(|_| !self.threads.contains_key(&call.session_id)) {
            call.thread_id = Some(std::mem::replace(&mut call.session_id, owner.clone()));
        }
        let thread = self.threads.get_mut(&call.session_id);
        let Some((thread, events)) =
            thread.and_then(|thread| thread.events.upgrade().map(|events| (thread, events)))
        else {
            if let Some(thread_id) = call.thread_id.take() {
                call.session_id = thread_id;
            }
            return Err(call);
        };
        if call.thread_id.is_some() {
            call.session_turn_id.clone_from(&thread.active);
        }
        let call = Arc::new(call);
        thread.was_cut &= !thread.calls.is_empty();
        if thread.was_cut {
            // A replay on another connection has another address.
            thread.unlist(|known| is_same(known, &call));
        }
        thread.arrivals += 1;
        let waiting = Waiting {
            call: call.clone(),
            since: now,
            arrival: thread.arrivals,
        };
        let bytes = thread.call_bytes + call.bytes();
        if thread.calls.len() < LISTED_CALLS && bytes <= LISTED_BYTES {
            thread.call_bytes = bytes;
            thread.list(waiting);
        }
        Ok((events, call))
    }

    /// Applies a notification; returns the events it causes and their sink.
    pub(super) fn take(&mut self, notice: Notice) -> Option<Delivery> {
        match notice {
            Notice::Children {
                parent_id,
                thread_ids,
            } => {
                for thread_id in thread_ids {
                    self.adopt(&parent_id, thread_id);
                }
                None
            }
            Notice::TurnStarted {
                thread_id,
                turn_id,
                root_turn_id,
            } => {
                if let Some(root) = root_turn_id
                    && !self.threads.contains_key(&thread_id)
                    && let Some(parent_id) = self.thread_of_turn(&root)
                {
                    self.adopt(&parent_id, thread_id.clone());
                }
                let thread = self.threads.get_mut(&thread_id)?;
                thread.begin(&turn_id);
                thread.tell(vec![Event::TurnStarted { turn_id }])
            }
            Notice::TurnCompleted { thread_id, end } => {
                let spoke = self
                    .threads
                    .get(&thread_id)
                    .is_none_or(|thread| thread.spoke);
                // Its last message may have been sent before the session subscribed.
                let reply = end.reply.clone().filter(|_| !spoke);
                self.ended(&thread_id, end, reply)
            }
            Notice::Delta {
                thread_id,
                turn_id,
                text,
            } => self.threads.get(&thread_id)?.tell(vec![Event::TextDelta {
                turn_id,
                delta: text,
            }]),
            Notice::Message {
                thread_id,
                turn_id,
                text,
            } => {
                let thread = self.threads.get_mut(&thread_id)?;
                thread.spoke |= thread.active.as_ref() == Some(&turn_id);
                thread.tell(vec![Event::Message { turn_id, text }])
            }
            Notice::ToolStarted {
                thread_id,
                turn_id,
                call_id,
                namespace,
                tool,
            } => {
                let owner = self.owner(&thread_id);
                self.threads.get(owner)?.tell(vec![Event::ToolStarted {
                    turn_id,
                    call_id,
                    namespace,
                    tool,
                }])
            }
            Notice::ToolCompleted {
                thread_id,
                turn_id,
                call_id,
                namespace,
                tool,
                success,
                answer: _,
            } => {
                let owner = self.owner(&thread_id).clone();
                let thread = self.threads.get_mut(&owner)?;
                let mut events = thread.expire(|call| {
                    call.call_id.as_ref() == Some(&call_id)
                        && call.turn_id.as_ref() == Some(&turn_id)
                });
                events.push(Event::ToolCompleted {
                    turn_id,
                    call_id,
                    namespace,
                    tool,
                    success,
                });
                thread.tell(events)
            }
            Notice::Usage {
                thread_id,
                turn_id,
                usage,
            } => self
                .threads
                .get(&thread_id)?
                .tell(vec![Event::TokenUsage { turn_id, usage }]),
            Notice::Gone { thread_id, reason } => {
                self.retain_children(|child, _| *child != thread_id);
                self.close(&thread_id, reason, false)
            }
            Notice::Warning { thread_id, text } => {
                let owner = self.owner(thread_id.as_ref()?);
                self.threads.get(owner)?.tell(vec![Event::Warning { text }])
            }
        }
    }

    /// Ends a turn, as codex reported it or as its list of turns has it after a reconnect.
    pub(super) fn ended(
        &mut self,
        thread_id: &Arc<str>,
        end: TurnEnd,
        reply: Option<String>,
    ) -> Option<Delivery> {
        let owner = self.owner(thread_id).clone();
        let own = owner == *thread_id;
        let thread = self.threads.get_mut(&owner)?;
        let mut events = thread.expire(|call| call.turn_id.as_ref() == Some(&end.turn_id));
        // The turn of a sub-agent is no turn of the session; its calls are the session's.
        if own && thread.end(&end.turn_id) {
            if let Some(text) = reply {
                events.push(Event::Message {
                    turn_id: end.turn_id.clone(),
                    text,
                });
            }
            events.push(Event::TurnCompleted {
                turn_id: end.turn_id,
                status: end.status,
                error: end.error,
                detail: end.detail,
            });
        }
        thread.tell(events)
    }

    /// Ends the calls and turns of a process that is gone, and the threads that it had in memory only.
    pub(super) fn process_lost(&mut self, reason: &str) -> Vec<Delivery> {
        let mut lost = Vec::new();
        let deliveries = self
            .threads
            .iter_mut()
            .filter_map(|(thread_id, thread)| {
                let mut events = thread.expire(|_| true);
                if let Some(turn_id) = thread.active.take() {
                    thread.end(&turn_id);
                    events.push(Event::TurnCompleted {
                        turn_id,
                        status: TurnStatus::Lost,
                        error: Some(reason.to_owned()),
                        detail: RawValue::NULL.to_owned().into(),
                    });
                }
                if thread.fate != Fate::Persisted {
                    events.push(Event::SessionClosed {
                        reason: format!("{reason}, {NOTHING_WRITTEN}"),
                        is_lost: true,
                    });
                    lost.push(thread_id.clone());
                }
                thread.tell(events)
            })
            .collect();
        for thread_id in lost {
            self.forget(&thread_id);
        }
        deliveries
    }

    /// Closes a thread of which nothing more is heard. `is_lost`: codex had written nothing of it to disk.
    pub(super) fn close(
        &mut self,
        thread_id: &str,
        reason: &str,
        is_lost: bool,
    ) -> Option<Delivery> {
        let thread = self.threads.get(thread_id)?;
        let delivery = thread.tell(vec![Event::SessionClosed {
            reason: reason.to_owned(),
            is_lost,
        }]);
        self.forget(thread_id);
        delivery
    }

    /// Closes all threads.
    pub(super) fn close_all(&mut self, reason: &str) -> Vec<Delivery> {
        let ids: Vec<Arc<str>> = self.threads.keys().cloned().collect();
        ids.iter()
            .filter_map(|id| self.close(id, reason, false))
            .collect()
    }

    fn owner<'a>(&'a self, thread_id: &'a Arc<str>) -> &'a Arc<str> {
        if self.threads.contains_key(thread_id) {
            return thread_id;
        }
        self.parents.get(thread_id).unwrap_or(thread_id)
    }
}

impl Thread {
    fn begin(&mut self, turn_id: &Arc<str>) {
        if self.fate == Fate::Unwritten {
            self.fate = Fate::Persisted;
        }
        if !self.ended.contains(turn_id) && self.active.as_ref() != Some(turn_id) {
            self.active = Some(turn_id.clone());
            self.taken = 0;
            self.spoke = false;
        }
    }

    /// Records the end of a turn; returns whether it was the first report of it.
    fn end(&mut self, turn_id: &Arc<str>) -> bool {
        if self.active.as_ref() == Some(turn_id) {
            self.active = None;
        }
        if self.ended.contains(turn_id) {
            return false;
        }
        self.ended.push_back(turn_id.clone());
        if self.ended.len() > ENDED_TURNS {
            self.ended.pop_front();
        }
        true
    }

    fn list(&mut self, waiting: Waiting) {
        if let Some(earlier) = self.calls.insert(address(&waiting.call), waiting) {
            self.call_bytes -= earlier.call.bytes();
        }
    }

    fn unlist(&mut self, gone: impl Fn(&ToolCall) -> bool) -> Vec<Waiting> {
        let gone = self.calls.extract_if(|_, waiting| gone(&waiting.call));
        let gone: Vec<Waiting> = gone.map(|(_, waiting)| waiting).collect();
        let bytes: usize = gone.iter().map(|waiting| waiting.call.bytes()).sum();
        self.call_bytes -= bytes;
        gone
    }

    /// Removes calls that codex wants no answer to any more; returns their events, oldest first.
    fn expire(&mut self, gone: impl Fn(&ToolCall) -> bool) -> Vec<Event> {
        let mut gone = self.unlist(gone);
        gone.sort_by_key(|waiting| waiting.arrival);
        let events = gone.into_iter().map(|waiting| waiting.call);
        events.map(Event::CallExpired).collect()
    }

    fn tell(&self, events: Vec<Event>) -> Option<Delivery> {
        if events.is_empty() {
            return None;
        }
        Some((self.events.upgrade()?, events))
    }
}

/// Whether two announcements are of the same call.
fn is_same(one: &ToolCall, other: &ToolCall) -> bool {
    one.call_id.is_some()
        && one.call_id == other.call_id
        && one.turn_id == other.turn_id
        && one.thread_id == other.thread_id
}

/// Sink type of a thread without a sink; no value of it exists.
struct Nobody;

impl EventSink for Nobody {
    fn deliver(&self, _event: Event) {}
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
#[path = "registry_tests.rs"]
mod tests;
