//! Which session a message belongs to: children to their parents, answers to their calls. A pure state
//! machine: messages in, events out.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};

use foldhash::HashMap;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::lost_send::Before;
use super::wire::{Notice, TurnEnd};
use crate::runtime::newest::Newest;
use crate::runtime::{Event, EventSink, RequestHandler, TurnStatus};
use crate::skill::{RequestId, ToolCall};

/// What became of a thread that codex had in its memory only, after why.
pub(super) const NOTHING_WRITTEN: &str = "and the session was in its memory only: create it again";
/// How many ended turns of a session are remembered, so that a late word of one does not revive it.
const ENDED_TURNS: usize = 64;
/// How many threads that nobody listens to are remembered because they are not on disk.
const MEMORABLE: usize = 4096;
/// How many children of sessions are followed; the oldest are forgotten, and asked about again when they call.
const CHILDREN: usize = 16 * 1024;
/// How many waiting calls of a thread are listed, and how many bytes of them. A session that answers its calls has limits
/// of its own long before.
const LISTED_CALLS: usize = 64 * 1024;
const LISTED_BYTES: usize = 256 * 1024 * 1024;

/// Events for one sink, in order.
pub(super) type Delivery = (Arc<dyn EventSink>, Vec<Event>);

/// A call for a sink.
pub(super) type Call = (Arc<dyn EventSink>, Arc<ToolCall>);

/// The sessions that somebody listens to.
#[derive(Default)]
pub(super) struct Registry {
    threads: HashMap<Arc<str>, Thread>,
    parents: HashMap<Arc<str>, Arc<str>>,
    /// The keys of `parents`, oldest first.
    children: VecDeque<Arc<str>>,
    /// At how many threads those are looked for that nobody listens to any more.
    sweep_at: usize,
}

struct Thread {
    events: Weak<dyn EventSink>,
    requests: Option<RequestHandler>,
    active: Option<Arc<str>>,
    /// How many requests of this client the active turn took.
    taken: u64,
    /// Whether a message of the active turn was heard.
    spoke: bool,
    ended: VecDeque<Arc<str>>,
    calls: HashMap<Address, Waiting>,
    /// The size of `calls`, in bytes.
    call_bytes: usize,
    arrivals: u64,
    /// Whether the connection was made anew while calls waited.
    was_cut: bool,
    fate: Fate,
    is_subscribed: bool,
}

/// A call that waits for its answer.
struct Waiting {
    call: Arc<ToolCall>,
    since: Instant,
    /// The how manieth announcement of the thread it is.
    arrival: u64,
}

/// Where an answer goes: [`ToolCall::same_address`].
type Address = (Option<RequestId>, u64);

fn address(call: &ToolCall) -> Address {
    (call.request_id.clone(), call.generation)
}

/// What becomes of a thread when its process ends.
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
            // What is known of a thread that is not on disk, nobody can tell again.
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
            // Somebody else listened to it, or it was created just now.
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

    /// A thread was created, before anybody listens to it.
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

    /// Who answers what is no tool call, where the session said so.
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

    /// Whether somebody here listens to a thread, or to a parent of it.
    pub(super) fn serves(&self, thread_id: &Arc<str>) -> bool {
        self.threads
            .get(self.owner(thread_id))
            .is_some_and(|thread| thread.events.strong_count() > 0)
    }

    /// Where the calls of a thread are told of. It may be the last that keeps the session, and is dropped without the
    /// registry's lock.
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

    /// The turn that runs, as far as anybody knows.
    pub(super) fn active(&self, thread_id: &str) -> Option<Arc<str>> {
        self.threads.get(thread_id)?.active.clone()
    }

    /// What a request that is sent now finds.
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

    /// Whether nothing more is said of a thread until it is resumed.
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

    /// The threads that somebody listens to, those with a turn first.
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

    /// Another connection was made: nothing is said of any thread until it is resumed.
    pub(super) fn unsubscribed(&mut self) {
        for thread in self.threads.values_mut() {
            thread.is_subscribed = false;
            thread.was_cut = true;
        }
    }

    /// The calls of a thread that wait, to be told again.
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

    /// The calls of a session that wait for an answer, oldest first.
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

    /// A turn began, as the answer to a request says.
    pub(super) fn began(&mut self, thread_id: &str, turn_id: &Arc<str>) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.begin(turn_id);
        }
    }

    /// A turn took a request, which began it or steered it.
    pub(super) fn took(&mut self, thread_id: &str, turn_id: &Arc<str>) {
        if let Some(thread) = self.threads.get_mut(thread_id) {
            thread.begin(turn_id);
            thread.taken += 1;
        }
    }

    /// A call is answered. Says since when it waited.
    pub(super) fn answered(&mut self, call: &ToolCall) -> Option<Instant> {
        let thread = self.threads.get_mut(&call.session_id)?;
        let waiting = thread.calls.remove(&address(call))?;
        thread.call_bytes -= waiting.call.bytes();
        Some(waiting.since)
    }

    /// A thread is the child of a session, or of a child of one. Says whether the session is known.
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

    /// A call came. It is handed back when it is nobody's here.
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

    /// Takes a notification, and says whom to tell what.
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
                // What it said may have been said before anybody listened.
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

    /// A turn ended: codex says so, or what was read after a connection was made.
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
        // A child's turn is nobody's turn here; its calls are.
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

    /// The process is gone, and with it its calls, its turns, and the threads that it had in memory only.
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

    /// Nothing will be heard of a thread any more. `is_lost`: and codex had written nothing of it.
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

    /// Nothing will be heard of anything any more.
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

    /// Notes the end of a turn, and says whether it was news.
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

    /// Takes calls away, oldest first.
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

/// Whether two announcements are of one call.
fn is_same(one: &ToolCall, other: &ToolCall) -> bool {
    one.call_id.is_some()
        && one.call_id == other.call_id
        && one.turn_id == other.turn_id
        && one.thread_id == other.thread_id
}

/// Never made: the sink of a thread to which nobody listens yet.
struct Nobody;

impl EventSink for Nobody {
    fn deliver(&self, _event: Event) {}
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
#[path = "registry_tests.rs"]
mod tests;
