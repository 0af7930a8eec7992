//! The scripted codex behind the manager: sessions, turns that do what their text says, and calls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faults};
use super::shapes;
use crate::wire::Wires;

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
pub(super) struct Session {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) options: Value,
    pub(super) turns: Vec<Turn>,
    pub(super) system: bool,
    pub(super) parent: Option<String>,
    pub(super) read: bool,
}

impl Session {
    pub(super) fn is_materialized(&self) -> bool {
        self.read || !self.turns.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) status: &'static str,
    pub(super) in_doubt: bool,
    pub(super) items: Vec<Value>,
    cancel: CancellationToken,
}

impl Turn {
    /// What a read of the session shows, which may be wrong for a while.
    pub(super) fn shown_status(&self) -> &'static str {
        if self.in_doubt {
            "interrupted"
        } else {
            self.status
        }
    }
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) thread_id: String,
    pub(super) turn_id: String,
    pub(super) call_id: String,
    pub(super) tool: String,
    pub(super) arguments: Value,
    answer: oneshot::Sender<Value>,
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
    next_request: u64,
    next_id: u64,
    pub(super) sessions: HashMap<String, Session>,
    pub(super) deleted: HashMap<String, String>,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) calls: Vec<CallLog>,
    by_call: HashMap<String, usize>,
    pub(super) sockets: Vec<Socket>,
    pub(super) seen: Vec<Seen>,
    pub(super) faults: Faults,
    pub(super) false_interrupted: Option<Duration>,
    /// Announces calls without their ids of the call, or of nothing at all.
    pub(super) quiet: HashSet<&'static str>,
    pub(super) retry_after: Option<u64>,
}

/// Everything that the manager and its codex know.
#[derive(Debug, Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    pub(super) changed: Notify,
    pub(super) wires: Arc<Wires>,
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
        let (turn_id, cancel) = {
            let mut inner = self.lock();
            let turn_id = inner.fresh_id();
            let session = inner.sessions.get_mut(session_id)?;
            if let Some(active) = session
                .turns
                .iter()
                .find(|turn| turn.status == "inProgress")
            {
                return Some(active.id.clone());
            }
            let cancel = CancellationToken::new();
            session.turns.push(Turn {
                id: turn_id.clone(),
                text: text.to_owned(),
                status: "inProgress",
                in_doubt: false,
                items: Vec::new(),
                cancel: cancel.clone(),
            });
            (turn_id, cancel)
        };
        let rounds = rounds(text);
        let run = RunningTurn {
            state: self.clone(),
            session_id: session_id.to_owned(),
            turn_id: turn_id.clone(),
        };
        let text = text.to_owned();
        tokio::spawn(async move {
            let ended = cancel.run_until_cancelled(run.play(&text, rounds)).await;
            if ended.is_none() {
                run.interrupted();
            }
        });
        Some(turn_id)
    }

    /// Takes an answer; the thread that it was for, or `None` when nobody waits for it.
    pub(super) fn answer(&self, request: u64, answer: Value) -> Option<String> {
        let mut inner = self.lock();
        let call = inner.pending.remove(&request)?;
        let success = answer["success"].as_bool().unwrap_or(false);
        let log = inner.log(&call.call_id);
        log.accepted += 1;
        log.output = Some(text_of(&answer));
        log.answered = Some(Instant::now());
        let thread_id = call.thread_id.clone();
        inner.emit(
            Some(&thread_id),
            &json!({
                "type": "tool_call_resolved",
                "threadId": thread_id,
                "payload": {"requestId": request.to_string(), "status": "resolved", "success": success},
            }),
        );
        // The turn may be gone.
        let _ = call.answer.send(answer);
        drop(inner);
        self.changed.notify_waiters();
        Some(thread_id)
    }

    /// Ends the active turn; its id, or `None` when there is none.
    pub(super) fn interrupt(&self, session_id: &str) -> Option<String> {
        let inner = self.lock();
        let session = inner.sessions.get(session_id)?;
        let turn = session
            .turns
            .iter()
            .find(|turn| turn.status == "inProgress")?;
        turn.cancel.cancel();
        Some(turn.id.clone())
    }

    /// Deletes a session that exists; its title.
    pub(super) fn delete(&self, session_id: &str) -> Option<String> {
        let mut inner = self.lock();
        let session = inner.sessions.remove(session_id)?;
        for turn in session
            .turns
            .iter()
            .filter(|turn| turn.status == "inProgress")
        {
            turn.cancel.cancel();
            inner.end_turn(&session, &turn.id, "interrupted");
        }
        inner
            .deleted
            .insert(session_id.to_owned(), session.title.clone());
        let payload = shapes::deleted(session_id, Some(&session.title));
        inner.emit(
            None,
            &json!({"type": "session_deleted", "threadId": session_id, "payload": payload}),
        );
        drop(inner);
        self.changed.notify_waiters();
        Some(session.title)
    }

    /// The manager is started anew: calls are gone, request ids begin at 0, nothing is announced.
    pub(super) fn restart(&self) {
        {
            let mut inner = self.lock();
            inner.pid += 1;
            inner.next_request = 0;
            inner.sockets.clear();
            inner.expire(|_| true);
            for session in inner.sessions.values_mut() {
                for turn in session
                    .turns
                    .iter_mut()
                    .filter(|turn| turn.status == "inProgress")
                {
                    turn.status = "interrupted";
                    turn.cancel.cancel();
                }
            }
        }
        self.wires.cut_all();
        self.changed.notify_waiters();
    }

    /// Codex dies; the manager goes on and says that all is well.
    pub(super) fn kill_codex(&self) {
        let mut inner = self.lock();
        inner.dead = true;
        inner.expire(|_| true);
        for session in inner.sessions.values_mut() {
            for turn in session
                .turns
                .iter_mut()
                .filter(|turn| turn.status == "inProgress")
            {
                turn.status = "interrupted";
                turn.cancel.cancel();
            }
        }
        drop(inner);
        self.changed.notify_waiters();
    }
}

impl Inner {
    pub(super) fn fresh_id(&mut self) -> String {
        self.next_id += 1;
        format!("01a2036a-0000-7000-8000-{:012x}", self.next_id)
    }

    pub(super) fn create(&mut self, options: Value, parent: Option<&str>) -> String {
        let id = self.fresh_id();
        self.sessions.insert(
            id.clone(),
            Session {
                id: id.clone(),
                title: "New chat".to_owned(),
                options,
                turns: Vec::new(),
                system: false,
                parent: parent.map(str::to_owned),
                read: false,
            },
        );
        id
    }

    pub(super) fn log(&mut self, call_id: &str) -> &mut CallLog {
        let at = self.by_call[call_id];
        &mut self.calls[at]
    }

    /// Sends a frame to the sockets that it concerns; to all of them without a thread.
    pub(super) fn emit(&mut self, thread_id: Option<&str>, frame: &Value) {
        if self.sockets.is_empty() {
            return;
        }
        let frame: Arc<str> = frame.to_string().into();
        self.sockets.retain(|socket| {
            let concerned = match (thread_id, &socket.filter) {
                (Some(thread), Some(filter)) => filter == thread,
                _ => true,
            };
            !concerned || socket.frames.send(frame.clone()).is_ok()
        });
    }

    /// A notification of codex, which arrives in both of its forms.
    fn notify(&mut self, method: &str, thread_id: &str, turn_id: Option<&str>, params: &Value) {
        if self.quiet.contains(method) {
            return;
        }
        let session = self.sessions.get(thread_id);
        let frame = shapes::signal("notification", method, thread_id, turn_id, params, session);
        self.emit(Some(thread_id), &frame);
        self.emit(
            Some(thread_id),
            &json!({
                "type": "notification",
                "threadId": thread_id,
                "payload": {"method": method, "params": params},
            }),
        );
    }

    /// Removes calls that nobody can answer any more, and says so.
    fn expire(&mut self, which: impl Fn(&Pending) -> bool) {
        let gone: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, call)| which(call))
            .map(|(request, _)| *request)
            .collect();
        for request in gone {
            let Some(call) = self.pending.remove(&request) else {
                continue;
            };
            self.log(&call.call_id).expired = true;
            let thread_id = call.thread_id.clone();
            self.emit(
                Some(&thread_id),
                &json!({
                    "type": "tool_call_resolved",
                    "threadId": thread_id,
                    "payload": {"requestId": request.to_string(), "status": "expired", "success": false},
                }),
            );
        }
    }

    fn end_turn(&mut self, session: &Session, turn_id: &str, status: &'static str) {
        let Some(turn) = session.turns.iter().find(|turn| turn.id == turn_id) else {
            return;
        };
        let mut shown = shapes::turn(
            turn,
            if status == "completed" {
                "summary"
            } else {
                "notLoaded"
            },
        );
        shown["status"] = json!(status);
        self.notify(
            "thread/status/changed",
            &session.id,
            Some(turn_id),
            &json!({"threadId": session.id, "status": {"type": "idle"}}),
        );
        self.notify(
            "turn/completed",
            &session.id,
            Some(turn_id),
            &json!({"threadId": session.id, "turn": shown}),
        );
        self.expire(|call| call.turn_id == turn_id);
    }
}

/// One turn on its way.
struct RunningTurn {
    state: Arc<State>,
    session_id: String,
    turn_id: String,
}

impl RunningTurn {
    fn notify(&self, inner: &mut Inner, method: &str, params: &Value) {
        inner.notify(method, &self.session_id, Some(&self.turn_id), params);
    }

    fn item(&self, inner: &mut Inner, method: &str, item: &Value) {
        let mut params = json!({"item": item, "threadId": self.session_id, "turnId": self.turn_id});
        if method == "item/started" {
            params["startedAtMs"] = json!(shapes::MILLIS);
        } else {
            params["contentTokenCount"] = Value::Null;
            params["completedAtMs"] = json!(shapes::MILLIS);
            if let Some(turn) = self.turn(inner) {
                turn.items.push(item.clone());
            }
        }
        self.notify(inner, method, &params);
    }

    fn turn<'a>(&self, inner: &'a mut Inner) -> Option<&'a mut Turn> {
        let session = inner.sessions.get_mut(&self.session_id)?;
        session
            .turns
            .iter_mut()
            .find(|turn| turn.id == self.turn_id)
    }

    async fn play(&self, text: &str, rounds: Vec<Vec<Directive>>) {
        self.begin(text);
        let mut outputs = Vec::new();
        for round in rounds {
            let answers: Vec<_> = round.iter().map(|call| self.call(call)).collect();
            for (call, answer) in answers {
                // Without an answer the call expired, and so does this.
                let Ok(answer) = answer.await else { return };
                let mut inner = self.state.lock();
                if call.thread_id == self.session_id {
                    self.item(&mut inner, "item/completed", &call.item(&answer));
                }
                outputs.push(text_of(&answer));
            }
        }
        let reply = if outputs.is_empty() {
            "No tool was called.".to_owned()
        } else {
            format!("Tool outputs: {}", outputs.join(" | "))
        };
        self.end(&reply).await;
    }

    fn begin(&self, text: &str) {
        let mut inner = self.state.lock();
        let thread_id = &self.session_id;
        self.notify(
            &mut inner,
            "thread/status/changed",
            &json!({"threadId": thread_id, "status": {"type": "active", "activeFlags": []}}),
        );
        let Some(turn) = self
            .turn(&mut inner)
            .map(|turn| shapes::turn(turn, "notLoaded"))
        else {
            return;
        };
        self.notify(
            &mut inner,
            "turn/started",
            &json!({"threadId": thread_id, "turn": turn}),
        );
        let id = inner.fresh_id();
        self.item(
            &mut inner,
            "item/started",
            &shapes::user_item(&id, text, false),
        );
        self.item(
            &mut inner,
            "item/completed",
            &shapes::user_item(&id, text, true),
        );
    }

    /// Has a tool called, by a child where the directive says so.
    fn call(&self, directive: &Directive) -> (Called, oneshot::Receiver<Value>) {
        let mut inner = self.state.lock();
        let inner = &mut *inner;
        let (thread_id, turn_id) = if directive.child {
            let child = inner.create(Value::Null, Some(&self.session_id));
            let thread = inner
                .sessions
                .get(&child)
                .map(|child| shapes::thread(child, Vec::new()));
            inner.notify("thread/started", &child, None, &json!({"thread": thread}));
            let spawned = shapes::spawn_item(&format!("spawn_{child}"), &self.session_id, &child);
            self.item(inner, "item/completed", &spawned);
            (child, inner.fresh_id())
        } else {
            (self.session_id.clone(), self.turn_id.clone())
        };
        let (answer, answered) = oneshot::channel();
        let call_id = format!("call_{}", inner.calls.len());
        let call = Pending {
            thread_id: thread_id.clone(),
            turn_id: turn_id.clone(),
            call_id: call_id.clone(),
            tool: directive.tool.clone(),
            arguments: directive.arguments.clone(),
            answer,
        };
        let called = Called {
            thread_id: thread_id.clone(),
            started: shapes::call_item(&call, None),
        };
        if !directive.child {
            self.item(inner, "item/started", &called.started);
        }
        let request = inner.next_request;
        inner.next_request += 1;
        inner.by_call.insert(call_id.clone(), inner.calls.len());
        inner.calls.push(CallLog {
            call_id,
            thread_id: thread_id.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            accepted: 0,
            received: 0,
            output: None,
            expired: false,
            announced: Instant::now(),
            answered: None,
        });
        let params = shapes::call_params(&call);
        let session = inner.sessions.get(&thread_id);
        let mut signal = shapes::signal(
            "request",
            "item/tool/call",
            &thread_id,
            Some(&turn_id),
            &params,
            session,
        );
        signal["payload"]["requestId"] = json!(request);
        let row = shapes::pending(request, &call);
        inner.pending.insert(request, call);
        if !inner.quiet.contains("item/tool/call") {
            inner.emit(Some(&thread_id), &signal);
            inner.emit(
                Some(&thread_id),
                &json!({"type": "tool_call_requested", "threadId": thread_id, "payload": row}),
            );
        }
        self.state.changed.notify_waiters();
        (called, answered)
    }

    async fn end(&self, reply: &str) {
        let doubt = {
            let mut inner = self.state.lock();
            let id = format!("msg_{}", inner.fresh_id());
            self.item(
                &mut inner,
                "item/started",
                &shapes::agent_item(&id, "", false),
            );
            let middle = reply.floor_char_boundary(reply.len() / 2);
            for delta in [&reply[..middle], &reply[middle..]] {
                let params = json!({
                    "threadId": self.session_id, "turnId": self.turn_id, "itemId": id, "delta": delta,
                });
                self.notify(&mut inner, "item/agentMessage/delta", &params);
            }
            self.item(
                &mut inner,
                "item/completed",
                &shapes::agent_item(&id, reply, true),
            );
            let doubted = inner.faults.hit(Fault::FalseInterrupted);
            let doubt = inner
                .false_interrupted
                .or(doubted.then_some(Duration::from_millis(40)));
            if let Some(turn) = self.turn(&mut inner) {
                turn.in_doubt = doubt.is_some();
            }
            doubt
        };
        self.state.changed.notify_waiters();
        if let Some(doubt) = doubt {
            tokio::time::sleep(doubt).await;
        }
        self.close("completed");
    }

    fn close(&self, status: &'static str) {
        let mut inner = self.state.lock();
        let Some(turn) = self.turn(&mut inner) else {
            return;
        };
        if turn.status != "inProgress" {
            return;
        }
        turn.status = status;
        turn.in_doubt = false;
        if let Some(session) = inner.sessions.remove(&self.session_id) {
            inner.end_turn(&session, &self.turn_id, status);
            inner.sessions.insert(session.id.clone(), session);
        }
        drop(inner);
        self.state.changed.notify_waiters();
    }

    fn interrupted(&self) {
        self.close("interrupted");
    }
}

struct Called {
    thread_id: String,
    started: Value,
}

impl Called {
    fn item(&self, answer: &Value) -> Value {
        let mut item = self.started.clone();
        item["status"] = json!("completed");
        item["contentItems"] = answer["contentItems"].clone();
        item["success"] = answer["success"].clone();
        item["durationMs"] = json!(57);
        item["completedAtMs"] = json!(shapes::MILLIS);
        item
    }
}

#[derive(Debug, PartialEq)]
struct Directive {
    child: bool,
    tool: String,
    arguments: Value,
}

/// The calls that a request asks for, round by round. What is before `User request:` is instruction.
fn rounds(text: &str) -> Vec<Vec<Directive>> {
    let request = text
        .rsplit_once("User request:\n")
        .map_or(text, |(_, request)| request);
    let mut rounds = vec![Vec::new()];
    for line in request.lines() {
        let line = line.trim();
        if line == "THEN" {
            rounds.push(Vec::new());
            continue;
        }
        let (child, rest) = match (line.strip_prefix("CALL "), line.strip_prefix("CHILD ")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => continue,
        };
        let (tool, arguments) = rest.split_once(' ').unwrap_or((rest, "null"));
        if let Some(round) = rounds.last_mut() {
            round.push(Directive {
                child,
                tool: tool.to_owned(),
                arguments: serde_json::from_str(arguments).unwrap_or(Value::Null),
            });
        }
    }
    rounds.retain(|round| !round.is_empty());
    rounds
}

/// What the model reads of an answer.
fn text_of(answer: &Value) -> String {
    let Some(items) = answer["contentItems"].as_array() else {
        return "dynamic tool response was invalid".to_owned();
    };
    let texts: Vec<&str> = items
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect();
    texts.join("\n")
}
