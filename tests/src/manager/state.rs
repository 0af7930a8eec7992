//! Everything that the manager and its codex know, and what happens to it besides turns that run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};

use super::faults::{Fault, Faults};
use super::session::{Asked, Pending, Question, Session, Turn};
use super::{shapes, turn};
use crate::wire::{Wire, Wires};

/// What happened to one call.
#[derive(Clone, Debug)]
pub struct CallLog {
    /// The model's id of the call.
    pub call_id: String,
    /// The thread that called.
    pub thread_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub arguments: Value,
    /// How often an answer was taken: once, or never when the call expired.
    pub accepted: usize,
    /// How many answers came, taken or not.
    pub received: usize,
    /// What the model read.
    pub output: Option<String>,
    /// Whether the call ended without an answer.
    pub expired: bool,
    /// When it was announced.
    pub announced: Instant,
    /// When its answer came.
    pub answered: Option<Instant>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: HashMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: u64,
    pub(super) filter: Option<String>,
    pub(super) frames: mpsc::UnboundedSender<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) pid: u64,
    pub(super) dead: bool,
    pub(super) next_request: u64,
    next_id: u64,
    pub(super) sessions: HashMap<String, Session>,
    pub(super) deleted: HashMap<String, String>,
    /// The sessions that were deleted before the server was started anew, with their titles: it knows nothing of them, but
    /// codex has them in its database.
    pub(super) forgotten: HashMap<String, String>,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) calls: Vec<CallLog>,
    pub(super) by_call: HashMap<String, usize>,
    pub(super) sockets: Vec<Socket>,
    pub(super) seen: Vec<Seen>,
    pub(super) faults: Faults,
    pub(super) false_interrupted: Option<Duration>,
    pub(super) creation_delay: Duration,
    /// Methods of codex of which the stream says nothing.
    pub(super) quiet: HashSet<&'static str>,
    pub(super) retry_after: Option<u64>,
    /// The largest body of a request, where it was set up otherwise.
    pub(super) body_bytes: Option<usize>,
    /// The sessions whose deletion fails.
    pub(super) undeletable: HashSet<String>,
    /// The connections of the streams.
    pub(super) streams: Vec<Arc<Wire>>,
    /// The decisions that were taken, as they came, with the ids of their questions.
    pub(super) decisions: Vec<(String, Value)>,
    /// Whether the manager's supervisor looks at the first turn of each session.
    pub(super) supervised: bool,
    /// Whether a child begins its turn before its parent's item says that there is one.
    pub(super) early_children: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    pub(super) changed: Notify,
    pub(super) wires: Arc<Wires>,
}

/// What becomes of an interrupt.
pub(super) enum Interrupt {
    Done(String),
    NoActiveTurn,
    Refused,
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hit(&self, fault: Fault) -> bool {
        self.lock().faults.hit(fault)
    }

    /// Starts a turn, or steers the active one; `None` when there is no such session.
    pub(super) fn send(self: &Arc<Self>, session_id: &str, text: &str) -> Option<String> {
        let mut inner = self.lock();
        let session = inner.sessions.get_mut(session_id)?;
        session.loaded = true;
        if let Some(active) = session.turns.iter_mut().find(|turn| turn.is_active()) {
            active.steered.push(text.to_owned());
            return Some(active.id.clone());
        }
        Some(turn::start(self, &mut inner, session_id, text, None))
    }

    /// Takes an answer; the thread that it was for, or `None` when nothing waits for it.
    pub(super) fn answer(&self, request: u64, answer: Value) -> Option<String> {
        let mut inner = self.lock();
        let call = inner.pending.remove(&request)?;
        let success = answer["success"].as_bool().unwrap_or(true);
        let log = inner.log(&call.call_id);
        log.accepted += 1;
        log.output = Some(turn::text_of(&answer));
        log.answered = Some(Instant::now());
        let thread_id = call.thread_id.clone();
        inner.note(&call, request, "resolved", success);
        inner.publish(
            "tool_call_resolved",
            &thread_id,
            &json!({"requestId": request.to_string(), "status": "resolved", "success": success}),
        );
        // The turn may be gone.
        let _ = call.answer.send(answer);
        drop(inner);
        self.changed.notify_waiters();
        Some(thread_id)
    }

    /// Takes a decision: what came, what is said of it, and what codex gets. The thread that asked, or `None`.
    pub(super) fn decide(
        &self,
        question: Question,
        request: u64,
        (came, said): (&Value, &Value),
        decision: Value,
    ) -> Option<String> {
        let mut inner = self.lock();
        if inner.asked.get(&request)?.question != question {
            return None;
        }
        let asked = inner.asked.remove(&request)?;
        inner.resolve(&asked, request, said);
        inner.decisions.push((request.to_string(), came.clone()));
        let _ = asked.decision.send(decision);
        drop(inner);
        self.changed.notify_waiters();
        Some(asked.thread_id)
    }

    /// Ends a turn: the one that is named, or the active one. Its end is published before this returns.
    pub(super) fn interrupt(&self, session_id: &str, turn_id: Option<&str>) -> Interrupt {
        let mut inner = self.lock();
        let active = inner.sessions.get(session_id).and_then(Session::active);
        let active = active.map(|turn| turn.id.clone());
        let found = match (turn_id, active) {
            (Some(named), Some(active)) if named == active => active,
            (Some(_), _) => return Interrupt::Refused,
            (None, Some(active)) => active,
            (None, None) => return Interrupt::NoActiveTurn,
        };
        if inner.dead {
            return Interrupt::Refused;
        }
        inner.cancel(session_id, &found);
        drop(inner);
        self.changed.notify_waiters();
        Interrupt::Done(found)
    }

    /// Deletes a session that exists, or that codex still has; its title. Threads of its sub-agents stay.
    pub(super) fn delete(&self, session_id: &str) -> Option<String> {
        let mut inner = self.lock();
        let active = inner.sessions.get(session_id).and_then(Session::active);
        if let Some(turn_id) = active.map(|turn| turn.id.clone()) {
            inner.cancel(session_id, &turn_id);
        }
        let title = match inner.sessions.remove(session_id) {
            Some(session) => shapes::title(&session),
            None => inner.forgotten.remove(session_id)?,
        };
        inner.deleted.insert(session_id.to_owned(), title.clone());
        let payload = shapes::deleted(session_id, Some(&title));
        inner.broadcast(
            &json!({"type": "session_deleted", "threadId": session_id, "payload": payload}),
        );
        drop(inner);
        self.changed.notify_waiters();
        Some(title)
    }

    /// The manager is started anew: calls are gone, request ids begin at 0, deleted ids are known to codex alone.
    pub(super) fn restart(&self) {
        {
            let mut inner = self.lock();
            inner.pid += 1;
            inner.dead = false;
            inner.next_request = 0;
            inner.sockets.clear();
            let deleted = std::mem::take(&mut inner.deleted);
            inner.forgotten.extend(deleted);
            inner.end_all();
            for session in inner.sessions.values_mut() {
                session.loaded = false;
                session.granted.clear();
            }
        }
        self.wires.cut_all();
        self.changed.notify_waiters();
    }

    /// Codex dies; the manager goes on and says that all is well.
    pub(super) fn kill_codex(&self) {
        let mut inner = self.lock();
        inner.dead = true;
        inner.end_all();
        drop(inner);
        self.changed.notify_waiters();
    }
}

impl Inner {
    pub(super) fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        format!("01a2036a-0000-7000-8000-{:012x}", self.next_id)
    }

    pub(super) fn fresh_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request - 1
    }

    /// Makes a session, and publishes that it began.
    pub(super) fn create(&mut self, options: Value, tools: Option<HashSet<String>>) -> String {
        let id = self.insert(options, tools, None);
        let thread = self.sessions.get(&id);
        let thread = thread.map(|session| shapes::thread(session, Vec::new()));
        self.notify(
            "thread/started",
            Some(&id),
            None,
            &json!({"thread": thread}),
        );
        self.notify(
            "thread/name/updated",
            Some(&id),
            None,
            &json!({"threadId": id, "threadName": "New chat"}),
        );
        id
    }

    /// Makes the thread of a sub-agent, of which no `thread/started` speaks.
    pub(super) fn create_child(&mut self, parent: &str) -> String {
        let owner = self.sessions.get(parent);
        let tools = owner.and_then(|session| session.tools.clone());
        let options = owner.map_or(Value::Null, |session| session.options.clone());
        self.insert(options, tools, Some(parent))
    }

    fn insert(
        &mut self,
        options: Value,
        tools: Option<HashSet<String>>,
        parent: Option<&str>,
    ) -> String {
        let id = self.fresh_id();
        let session = Session {
            id: id.clone(),
            title: parent.is_none().then(|| "New chat".to_owned()),
            options,
            tools,
            turns: Vec::new(),
            system: false,
            parent: parent.map(str::to_owned),
            loaded: true,
            granted: HashSet::new(),
        };
        self.sessions.insert(id.clone(), session);
        id
    }

    pub(super) fn log(&mut self, call_id: &str) -> &mut CallLog {
        let at = self.by_call[call_id];
        &mut self.calls[at]
    }

    pub(super) fn turn(&mut self, session_id: &str, turn_id: &str) -> Option<&mut Turn> {
        self.sessions.get_mut(session_id)?.turn(turn_id)
    }

    /// Sends a frame to everybody.
    pub(super) fn broadcast(&mut self, frame: &Value) {
        self.deliver(frame, |_| true);
    }

    /// Sends a frame to those whom its thread concerns. Without a thread these are the streams without a filter; a
    /// thread that the manager owns concerns only streams of it.
    pub(super) fn emit(&mut self, thread_id: Option<&str>, frame: &Value) {
        let session = thread_id.and_then(|id| self.sessions.get(id));
        let system = session.is_some_and(|session| session.system);
        self.deliver(frame, |filter| match (filter, thread_id) {
            (Some(filter), thread) => thread == Some(filter),
            (None, _) => !system,
        });
    }

    fn deliver(&mut self, frame: &Value, concerns: impl Fn(Option<&str>) -> bool) {
        if self.sockets.is_empty() {
            return;
        }
        let frame: Arc<str> = frame.to_string().into();
        self.sockets.retain(|socket| {
            !concerns(socket.filter.as_deref()) || socket.frames.send(frame.clone()).is_ok()
        });
    }

    /// Sends a frame of the manager's own.
    pub(super) fn publish(&mut self, kind: &str, thread_id: &str, payload: &Value) {
        self.emit(
            Some(thread_id),
            &json!({"type": kind, "threadId": thread_id, "payload": payload}),
        );
    }

    /// Publishes a notification of codex in all of its forms.
    pub(super) fn notify(
        &mut self,
        method: &str,
        thread_id: Option<&str>,
        turn_id: Option<&str>,
        params: &Value,
    ) {
        self.signal(method, thread_id, turn_id, params);
        let alias = match method {
            "thread/tokenUsage/updated" => Some("thread_token_usage_updated"),
            "account/rateLimits/updated" => Some("account_rate_limits_updated"),
            _ => None,
        };
        if let Some(alias) = alias.filter(|_| !self.sockets.is_empty()) {
            let frame = json!({"type": alias, "threadId": thread_id, "payload": params});
            match thread_id {
                Some(_) => self.emit(thread_id, &frame),
                None => self.broadcast(&frame),
            }
        }
        self.raw(method, thread_id, params);
    }

    /// The first form of a notification.
    fn signal(
        &mut self,
        method: &str,
        thread_id: Option<&str>,
        turn_id: Option<&str>,
        params: &Value,
    ) {
        if self.quiet.contains(method) || self.sockets.is_empty() {
            return;
        }
        let session = thread_id.and_then(|id| self.sessions.get(id));
        let frame = shapes::signal("notification", method, thread_id, turn_id, params, session);
        self.emit(thread_id, &frame);
    }

    /// The last form of a notification.
    fn raw(&mut self, method: &str, thread_id: Option<&str>, params: &Value) {
        if self.quiet.contains(method) || self.sockets.is_empty() {
            return;
        }
        self.emit(
            thread_id,
            &json!({
                "type": "notification",
                "threadId": thread_id,
                "payload": {"method": method, "params": params},
            }),
        );
    }

    /// Publishes a request of codex, and what the manager makes of it.
    pub(super) fn request(
        &mut self,
        method: &str,
        (thread_id, turn_id): (&str, &str),
        request: u64,
        params: &Value,
        (kind, row): (&str, &Value),
    ) {
        if self.quiet.contains(method) {
            return;
        }
        let session = self.sessions.get(thread_id);
        let thread = Some(thread_id);
        let mut frame = shapes::signal("request", method, thread, Some(turn_id), params, session);
        frame["payload"]["requestId"] = json!(request);
        self.emit(thread, &frame);
        self.publish(kind, thread_id, row);
    }

    /// Announces again what waits in a thread, under the ids that it has: codex does that when a thread is resumed.
    pub(super) fn announce_again(&mut self, thread_id: &str) {
        let mut again = Vec::new();
        for (request, call) in &mut self.pending {
            if call.thread_id == thread_id {
                call.announced += 1;
                let (params, row) = (shapes::call_params(call), shapes::pending(*request, call));
                let entry = shapes::waiting_call(*request, call);
                let method = "item/tool/call";
                again.push((
                    method,
                    call.turn_id.clone(),
                    *request,
                    params,
                    "tool_call_requested",
                    row,
                    entry,
                ));
            }
        }
        for (request, asked) in &self.asked {
            if asked.thread_id == thread_id {
                let row = shapes::asked(*request, asked);
                let entry = shapes::waiting_question(*request, asked);
                let (method, kind) = (asked.question.method(), asked.question.frame());
                again.push((
                    method,
                    asked.turn_id.clone(),
                    *request,
                    asked.params.clone(),
                    kind,
                    row,
                    entry,
                ));
            }
        }
        for (method, turn_id, request, params, kind, row, entry) in again {
            if let Some(turn) = self.turn(thread_id, &turn_id) {
                turn.note(entry);
            }
            self.request(
                method,
                (thread_id, &turn_id),
                request,
                &params,
                (kind, &row),
            );
        }
    }

    fn note(&mut self, call: &Pending, request: u64, status: &str, success: bool) {
        let entry = shapes::resolved_call(request, call, status, success);
        if let Some(turn) = self.turn(&call.thread_id, &call.turn_id) {
            turn.note(entry);
        }
    }

    /// Says what became of a question.
    fn resolve(&mut self, asked: &Asked, request: u64, said: &Value) {
        let (kind, key) = match asked.question {
            Question::Approval => ("approval_resolved", "approvalId"),
            Question::UserInput => ("tool_user_input_resolved", "requestId"),
        };
        let mut payload = said.clone();
        payload[key] = json!(request.to_string());
        let entry = shapes::resolved_question(request, asked, &payload);
        if let Some(turn) = self.turn(&asked.thread_id, &asked.turn_id) {
            turn.note(entry);
        }
        self.publish(kind, &asked.thread_id, &payload);
    }

    /// Removes what waits and can have no answer any more, and says so. The questions among it.
    fn expire(&mut self, which: impl Fn(&str) -> bool) -> Vec<u64> {
        let questions: Vec<u64> = keys(&self.asked, |asked| which(&asked.turn_id));
        for request in &questions {
            if let Some(asked) = self.asked.remove(request) {
                self.resolve(&asked, *request, &json!({"status": "expired"}));
            }
        }
        let calls: Vec<u64> = keys(&self.pending, |call| which(&call.turn_id));
        for request in calls {
            let Some(call) = self.pending.remove(&request) else {
                continue;
            };
            self.log(&call.call_id).expired = true;
            self.note(&call, request, "expired", false);
            self.publish(
                "tool_call_resolved",
                &call.thread_id,
                &json!({"requestId": request.to_string(), "status": "expired", "success": false}),
            );
        }
        questions
    }

    /// Interrupts a turn, in the order of the real one: its items end, it ends, and then its calls expire.
    fn cancel(&mut self, session_id: &str, turn_id: &str) {
        let Some(turn) = self.turn(session_id, turn_id) else {
            return;
        };
        turn.cancel.cancel();
        let waiting: Vec<Value> = self
            .pending
            .values()
            .filter(|call| call.turn_id == turn_id)
            .map(shapes::cancelled_call)
            .collect();
        for item in &waiting {
            turn::complete_item(self, session_id, turn_id, item);
            let text = "dynamic tool call was cancelled before receiving a response";
            turn::output(self, session_id, turn_id, &item["id"], text);
        }
        let asked = self.asked.values().filter(|asked| asked.turn_id == turn_id);
        let asked: Vec<Value> = asked.map(|asked| json!(asked.item_id)).collect();
        for item in &asked {
            turn::output(self, session_id, turn_id, item, "aborted by user");
        }
        turn::usage(self, session_id, turn_id);
        turn::raw_message(self, session_id, turn_id, "user", "<turn_aborted>");
        self.end_turn(session_id, turn_id, "interrupted");
    }

    /// Ends a turn that is active.
    pub(super) fn end_turn(&mut self, session_id: &str, turn_id: &str, status: &'static str) {
        let Some(turn) = self
            .turn(session_id, turn_id)
            .filter(|turn| turn.is_active())
        else {
            return;
        };
        turn.status = status;
        turn.in_doubt = false;
        turn.flags.clear();
        let completed = status == "completed";
        let shown = shapes::turn(turn, if completed { "summary" } else { "notLoaded" });
        let (thread, turn) = (Some(session_id), Some(turn_id));
        let child = self.sessions.get(session_id);
        if completed && child.is_some_and(|session| session.parent.is_none()) {
            self.notify(
                "thread/readState/changed",
                thread,
                turn,
                &shapes::unread(session_id, turn_id),
            );
        }
        self.notify(
            "thread/status/changed",
            thread,
            turn,
            &json!({"threadId": session_id, "status": {"type": "idle"}}),
        );
        let params = json!({"threadId": session_id, "turn": shown});
        self.signal("turn/completed", thread, turn, &params);
        let questions = self.expire(|of| of == turn_id);
        self.raw("turn/completed", thread, &params);
        for request in questions {
            let params = json!({"threadId": session_id, "requestId": request});
            self.notify("serverRequest/resolved", thread, turn, &params);
        }
    }

    /// All turns end, and nothing is said of them but what expired.
    fn end_all(&mut self) {
        self.expire(|_| true);
        for session in self.sessions.values_mut() {
            for turn in session.turns.iter_mut().filter(|turn| turn.is_active()) {
                turn.status = "interrupted";
                turn.flags.clear();
                turn.cancel.cancel();
            }
        }
    }

    /// The supervisor takes up a session's first turn, in a session of the manager's own.
    pub(super) fn supervise(&mut self, session_id: &str) {
        for (kind, state) in [
            ("orchestrator_job_queued", "queued"),
            ("orchestrator_job_started", "running"),
        ] {
            self.publish(kind, session_id, &shapes::job(session_id, state));
        }
        let supervisor = self.create(Value::Null, None);
        if let Some(session) = self.sessions.get_mut(&supervisor) {
            session.system = true;
            session.title = Some("New chat supervisor".to_owned());
        }
    }

    /// Has a question asked; its request and what will be decided.
    pub(super) fn ask(
        &mut self,
        question: Question,
        (thread_id, turn_id, item_id): (&str, &str, &str),
        params: Value,
    ) -> (u64, oneshot::Receiver<Value>) {
        let (decision, decided) = oneshot::channel();
        let request = self.fresh_request();
        let asked = Asked {
            question,
            thread_id: thread_id.to_owned(),
            turn_id: turn_id.to_owned(),
            item_id: item_id.to_owned(),
            params,
            decision,
        };
        let row = shapes::asked(request, &asked);
        let entry = shapes::waiting_question(request, &asked);
        if let Some(turn) = self.turn(thread_id, turn_id) {
            turn.note(entry);
        }
        let ids = (thread_id, turn_id);
        let frame = (question.frame(), &row);
        self.request(question.method(), ids, request, &asked.params, frame);
        self.asked.insert(request, asked);
        (request, decided)
    }
}

fn keys<T>(map: &BTreeMap<u64, T>, which: impl Fn(&T) -> bool) -> Vec<u64> {
    let wanted = map.iter().filter(|(_, value)| which(value));
    wanted.map(|(key, _)| *key).collect()
}
