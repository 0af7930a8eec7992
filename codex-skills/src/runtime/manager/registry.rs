//! Which session a frame belongs to: children to their parents, answers to their calls.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::RandomState;
use std::sync::{Arc, LazyLock, Weak};

use tokio::sync::watch;

use super::asked::AskedIn;
use super::lost_send::Before;
use super::sent::Sent;
use super::wire::{Frame, KnownTurn, PendingCall, TurnEnd};
use crate::runtime::newest::Newest;
use crate::runtime::{Event, EventSink, RequestHandler};
use crate::skill::ToolCall;

/// How many ended turns of a session are remembered, so that a late word of one does not revive it.
const ENDED_TURNS: usize = 64;
/// How many threads are remembered that were found to be nobody's here.
const STRANGERS: usize = 4096;
/// How many children of sessions are followed; the oldest are forgotten, and asked about again when they call.
const CHILDREN: usize = 16 * 1024;
/// How many turns of a session run at the same time, as far as the frames tell, before the oldest is given up.
const ACTIVE_TURNS: usize = 1024;
/// How many waiting calls of a session are known, and how many bytes of them. A session that answers its calls has limits of
/// its own long before.
const KNOWN_CALLS: usize = 64 * 1024;
const KNOWN_BYTES: usize = 256 * 1024 * 1024;

/// Which sessions are asked about.
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

/// A turn that has not ended as far as anybody knows, and the codex process that runs it.
#[derive(Clone, Debug)]
pub(super) struct ActiveTurn {
    pub(super) id: Arc<str>,
    pub(super) generation: u64,
}

/// Events for one sink, in order.
pub(super) struct Delivery {
    sink: Arc<dyn EventSink>,
    /// The call that an answer was taken of, most likely one whose response was lost.
    resolved: Option<Arc<ToolCall>>,
    events: Vec<Event>,
}

impl Delivery {
    /// Hands it to the session, which may call the registry again: not under the registry's lock.
    pub(super) fn tell(self) {
        if let Some(call) = &self.resolved {
            self.sink.call_resolved(call);
        }
        for event in self.events {
            self.sink.deliver(event);
        }
    }
}

/// The sessions that somebody listens to.
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
    /// The sessions that were created and are not listened to yet.
    created: HashSet<Arc<str>>,
    /// The answers that are under way, by process and request id.
    answering: HashMap<(u64, String), Outbound>,
    /// At how many sessions those are looked for that nobody listens to any more.
    sweep_at: usize,
}
/// Whose sub-agent a thread is.
struct Parent {
    /// The session at the root.
    session_id: Arc<str>,
    /// Whether codex made the thread for it.
    is_spawned: bool,
}

/// How many sessions are being deleted, with sub-agents, at the same time.
const FAMILIES: usize = 4096;

/// The answer of a call on its way.
struct Outbound {
    /// How many requests carry it.
    requests: usize,
    /// What the stream says of the call meanwhile.
    fate: watch::Sender<Option<Fate>>,
}

/// What became of a call whose answer is under way, as the stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// An answer was taken.
    Resolved,
    /// No answer is wanted any more.
    Expired,
    /// Another process runs, and the one that called is gone.
    Restarted,
}

/// How many messages of a session are remembered, so that the end of a turn does not repeat its last.
const MESSAGES: usize = 16;
/// How many answered calls of a session are remembered, so that a late announcement of one does not have it wait again.
const ANSWERED_CALLS: usize = 256;

struct Session {
    events: Weak<dyn EventSink>,
    active: Vec<ActiveTurn>,
    /// The newest turn, where all before it are known.
    newest: Option<Newest>,
    /// The newest turn when the session was opened, where it was over.
    over: Option<Arc<str>>,
    /// What it was sent from here.
    sent: Sent,
    /// How many frames of it came.
    frames: u64,
    /// How many had come when it was last looked whether there were some, by those who poll and those who ask
    /// whether codex runs.
    polled: u64,
    pulsed: u64,
    /// Whether somebody looks after it, since calls expired in a turn that runs.
    looks: Looks,
    /// Whether frames of it may have been missed.
    has_missed: bool,
    /// The turns of the last messages, with a hash of each.
    said: VecDeque<(Arc<str>, u64)>,
    ended: VecDeque<Arc<str>>,
    calls: Calls,
    /// The addresses of the calls that were answered last.
    answered: VecDeque<(u64, String)>,
    /// Who decides what codex asks besides.
    requests: Option<RequestHandler>,
}

/// The calls of a session that wait, by request id.
#[derive(Default)]
struct Calls {
    known: HashMap<String, Arc<ToolCall>>,
    /// Their size, in bytes.
    bytes: usize,
}

impl Calls {
    /// Notes a call, unless there are far too many.
    fn insert(&mut self, request_id: String, call: Arc<ToolCall>) {
        let bytes = self.bytes + call.bytes();
        if self.known.len() >= KNOWN_CALLS || bytes > KNOWN_BYTES {
            return;
        }
        self.bytes = bytes;
        if let Some(earlier) = self.known.insert(request_id, call) {
            self.bytes -= earlier.bytes();
        }
    }

    fn get(&self, request_id: &str) -> Option<&Arc<ToolCall>> {
        self.known.get(request_id)
    }

    fn remove(&mut self, request_id: &str) -> Option<Arc<ToolCall>> {
        let call = self.known.remove(request_id)?;
        self.bytes -= call.bytes();
        Some(call)
    }

    fn retain(&mut self, mut stays: impl FnMut(&Arc<ToolCall>) -> bool) {
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

/// Who looks after a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    None,
    One,
    /// One does, and it is to be done once more.
    Again,
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
        // A sub-agent that is opened serves itself.
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

    /// A session was created, before anybody listens to it.
    pub(super) fn created(&mut self, session_id: &Arc<str>) {
        if self.created.len() >= STRANGERS {
            self.created.clear();
        }
        self.created.insert(session_id.clone());
    }

    /// Which turns a session has had, where that was told.
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

    /// A request is about to be sent to a session: what is known of it before.
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

    /// A turn took a request that was sent to a session; without one, none did.
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

    /// What a session was sent from here.
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

    /// Sessions with their active turns.
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
        // Those that somebody waits for come first.
        live.sort_by_key(|(_, turns)| turns.is_empty());
        live
    }

    /// The sessions with an active turn of which nothing was heard since this was asked before.
    pub(super) fn quiet(&mut self) -> Vec<Arc<str>> {
        let sessions = self.sessions.iter_mut();
        sessions
            .filter(|(_, session)| session.events.strong_count() > 0)
            .filter_map(|(id, session)| session.was_quiet_since(Look::Pulse).then(|| id.clone()))
            .collect()
    }

    /// Whether to look after the session that serves a thread: where a turn of it runs, unless that is done already.
    /// Then it is done once more.
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

    /// A session was looked after. Whether it is to be done once more.
    pub(super) fn end_look(&mut self, session_id: &str) -> bool {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return false;
        };
        let again = session.looks == Looks::Again && !session.active.is_empty();
        session.looks = if again { Looks::One } else { Looks::None };
        again
    }

    /// Whether a call is known that a list has.
    pub(super) fn knows(&self, thread_id: &Arc<str>, request_id: &str, generation: u64) -> bool {
        let owner = self.owner(thread_id.clone());
        let session = self.sessions.get(&owner);
        let known = session.and_then(|session| session.calls.get(request_id));
        known.is_some_and(|call| call.generation == generation)
            || self
                .answering
                .contains_key(&(generation, request_id.to_owned()))
    }

    /// The threads that are served: sessions that somebody listens to, and their children.
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

    /// The children of a session.
    pub(super) fn children(&self, session_id: &str) -> Vec<Arc<str>> {
        self.parents
            .keys()
            .filter(|child| *self.owner((*child).clone()) == *session_id)
            .cloned()
            .collect()
    }

    /// Whether a thread is a session here, or the child of one.
    pub(super) fn serves(&self, thread_id: &Arc<str>) -> bool {
        self.parents.contains_key(thread_id) || self.sessions.contains_key(thread_id)
    }

    /// A turn began, as the answer to a request says.
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

    /// Whether a thread's calls may be a session's without anybody knowing yet, because its beginning was
    /// not heard. Says so once for a thread.
    pub(super) fn is_unknown(&mut self, thread_id: &Arc<str>) -> bool {
        if self.serves(thread_id)
            || self
                .sessions
                .values()
                .all(|session| session.active.is_empty())
        {
            return false;
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.clear();
        }
        self.strangers.insert(thread_id.clone())
    }

    /// Nobody could say whose thread it is.
    pub(super) fn ask_again(&mut self, thread_id: &Arc<str>) {
        self.strangers.remove(thread_id);
    }

    /// An answer is sent. Whoever sends it is told what the stream says of the call.
    pub(super) fn begin_answer(&mut self, call: &ToolCall) -> watch::Receiver<Option<Fate>> {
        let outbound = self.answering.entry(address(call));
        let outbound = outbound.or_insert_with(|| Outbound {
            requests: 0,
            fate: watch::Sender::new(None),
        });
        outbound.requests += 1;
        outbound.fate.subscribe()
    }

    /// It arrived or did not.
    pub(super) fn end_answer(&mut self, call: &ToolCall) {
        if let Entry::Occupied(mut answers) = self.answering.entry(address(call)) {
            answers.get_mut().requests -= 1;
            if answers.get().requests == 0 {
                answers.remove();
            }
        }
    }

    /// Tells those who answer a call what became of it; whether there are some.
    fn tell_answering(&self, call: &ToolCall, fate: Fate) -> bool {
        let outbound = self.answering.get(&address(call));
        outbound.is_some_and(|outbound| {
            outbound.fate.send_replace(Some(fate));
            true
        })
    }

    /// A call was answered, or needs no answer.
    pub(super) fn answered(&mut self, call: &ToolCall) {
        let Some(session) = self.sessions.get_mut(&call.session_id) else {
            return;
        };
        let address = address(call);
        let known = session.calls.get(&address.1);
        if known.is_some_and(|known| known.same_address(call)) {
            session.calls.remove(&address.1);
        }
        if !session.answered.contains(&address) {
            if session.answered.len() >= ANSWERED_CALLS {
                session.answered.pop_front();
            }
            session.answered.push_back(address);
        }
    }

    /// Another codex process runs: the calls of the ones before are gone.
    pub(super) fn restarted(&mut self, generation: u64) -> Vec<Delivery> {
        for ((process, _), outbound) in &self.answering {
            if *process != generation {
                outbound.fate.send_replace(Some(Fate::Restarted));
            }
        }
        let sessions = self.sessions.values_mut();
        sessions
            .filter_map(|session| {
                let mut gone = Vec::new();
                session.calls.retain(|call| {
                    let stays = call.generation == generation;
                    if !stays {
                        gone.push(Event::CallExpired(call.clone()));
                    }
                    stays
                });
                session.tell(gone)
            })
            .collect()
    }

    /// Takes a frame, and says whom to tell what. Frames of sessions that nobody here listens to are
    /// nobody's business.
    pub(super) fn take(&mut self, frame: Frame, generation: u64) -> Option<Delivery> {
        match frame {
            Frame::Ready | Frame::Pong | Frame::Other => None,
            // Questions are asked beside, once for all announcements.
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
                // The answer that was taken is most likely the one that is under way from here.
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

    /// A thread is a sub-agent of a session.
    fn adopt(&mut self, child: Arc<str>, session_id: &Arc<str>, is_spawned: bool) {
        // What is a session here serves itself.
        if self.sessions.contains_key(&child) {
            return;
        }
        match self.parents.entry(child.clone()) {
            Entry::Occupied(mut known) => known.get_mut().is_spawned |= is_spawned,
            Entry::Vacant(unknown) => {
                unknown.insert(Parent {
                    session_id: session_id.clone(),
                    is_spawned,
                });
                self.children.push_back(child);
            }
        }
        while self.children.len() > CHILDREN {
            if let Some(oldest) = self.children.pop_front() {
                self.parents.remove(&oldest);
            }
        }
    }

    /// Frames may be missed from now on, for the stream is down.
    pub(super) fn miss(&mut self) {
        for session in self.sessions.values_mut() {
            session.has_missed = true;
        }
    }

    /// Notes the sub-agents of a session that is to be deleted. Tells whether there can be no others.
    pub(super) fn remember_family(&mut self, session_id: &Arc<str>, is_up: bool) -> bool {
        let children: Vec<Arc<str>> = self
            .parents
            .iter()
            .filter(|(_, parent)| parent.is_spawned && parent.session_id == *session_id)
            .map(|(child, _)| child.clone())
            .collect();
        self.join_family(session_id, children);
        let session = self.sessions.get(session_id);
        is_up && session.is_some_and(|session| !session.has_missed)
    }

    /// Adds sub-agents to those that are to be deleted with a session; those that are new.
    pub(super) fn join_family(
        &mut self,
        session_id: &Arc<str>,
        children: Vec<Arc<str>>,
    ) -> Vec<Arc<str>> {
        if children.is_empty()
            || (self.families.len() >= FAMILIES && !self.families.contains_key(session_id))
        {
            return Vec::new();
        }
        let family = self.families.entry(session_id.clone()).or_default();
        let mut joined = Vec::new();
        for child in children {
            // What is a session here is deleted by its own guard.
            let is_session = child == *session_id || self.sessions.contains_key(&child);
            if !is_session && !family.contains(&child) && family.len() < CHILDREN {
                family.push(child.clone());
                joined.push(child);
            }
        }
        joined
    }

    /// The sub-agents that are to be deleted with a session.
    pub(super) fn family(&self, session_id: &str) -> Vec<Arc<str>> {
        self.families.get(session_id).cloned().unwrap_or_default()
    }

    /// A session is deleted, which may be a sub-agent's.
    pub(super) fn leave_families(&mut self, child: &str) {
        self.families.retain(|_, family| {
            family.retain(|known| **known != *child);
            !family.is_empty()
        });
    }

    /// A turn ended: the stream says so, or a poll.
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
        // A child's turn is nobody's turn here; its calls are.
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
            // A late word: nobody waits for the answer any more.
            if session.ended.contains(turn_id) {
                return None;
            }
            if call.thread_id.is_none() {
                session.begin(turn_id, generation);
            }
        }
        let address = (generation, request_id);
        let is_answered = self.answering.contains_key(&address);
        // Each call is announced twice (contract, Stream), and its answer may be taken between the two.
        if is_listed || !session.answered.contains(&address) {
            session.calls.insert(address.1, call.clone());
        }
        if is_listed && is_answered {
            return None;
        }
        session.tell(vec![Event::ToolCall(call)])
    }

    /// Who decides in the session that serves a thread.
    pub(super) fn asked_in(
        &self,
        thread_id: &Arc<str>,
        turn_id: Option<&Arc<str>>,
    ) -> Option<AskedIn> {
        let session_id = self.owner(thread_id.clone());
        let session = self.sessions.get(&session_id)?;
        // A late word: no decision is wanted any more.
        if turn_id.is_some_and(|turn_id| session.ended.contains(turn_id)) {
            return None;
        }
        // One that was upgraded may be the last, and would end under the lock.
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

    /// Has what codex asks in a session decided by `handler`.
    pub(super) fn set_requests(&mut self, session_id: &str, handler: RequestHandler) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.requests = Some(handler);
        }
    }

    /// The session that serves a thread: its own, or the one whose child it is.
    fn owner(&self, thread_id: Arc<str>) -> Arc<str> {
        match self.parents.get(&thread_id) {
            Some(parent) => parent.session_id.clone(),
            None => thread_id,
        }
    }

    fn session(&mut self, thread_id: &Arc<str>) -> Option<&mut Session> {
        let owner = self.owner(thread_id.clone());
        self.sessions.get_mut(&owner)
    }
}

/// Who looks whether something was heard of a session.
#[derive(Clone, Copy)]
enum Look {
    Poll,
    Pulse,
}

/// A hash of what is said, for this process.
pub(super) fn hash(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    STATE.hash_one(text.trim())
}

fn address(call: &ToolCall) -> (u64, String) {
    let request_id = call.request_id.as_ref().map(ToString::to_string);
    (call.generation, request_id.unwrap_or_default())
}

impl Session {
    fn know(&mut self, turn_id: &Arc<str>) {
        if self
            .newest
            .as_ref()
            .is_none_or(|newest| newest.is_before(turn_id))
        {
            self.newest = Some(Newest::Turn(turn_id.clone()));
        }
    }

    fn begin(&mut self, turn_id: &Arc<str>, generation: u64) {
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
    fn running(&self) -> Vec<Arc<str>> {
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

    /// Whether a turn is active of which nothing was heard since this look.
    fn was_quiet_since(&mut self, look: Look) -> bool {
        let before = match look {
            Look::Poll => &mut self.polled,
            Look::Pulse => &mut self.pulsed,
        };
        let is_quiet = *before == self.frames;
        *before = self.frames;
        is_quiet && !self.active.is_empty()
    }

    fn note_message(&mut self, turn_id: &Arc<str>, text: &str) {
        if self.said.len() >= MESSAGES {
            self.said.pop_front();
        }
        self.said.push_back((turn_id.clone(), hash(text)));
    }

    /// Whether this was the last message of a turn.
    fn has_said(&self, turn_id: &Arc<str>, text: &str) -> bool {
        let mut said = self.said.iter().rev();
        said.find(|(turn, _)| turn == turn_id)
            .is_some_and(|(_, said)| *said == hash(text))
    }

    fn tell(&self, events: Vec<Event>) -> Option<Delivery> {
        let sink = self.events.upgrade()?;
        (!events.is_empty()).then_some(Delivery {
            sink,
            resolved: None,
            events,
        })
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
