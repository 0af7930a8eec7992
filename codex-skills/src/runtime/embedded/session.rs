//! One session of the embedded runtime: its conversation, its active turn, its waiting calls.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::model::{AnyModel, Content, HistoryItem, ModelError, ModelItem, ModelTurn};
use super::shown::shown;
use super::tools::Tools;
use crate::runtime::{
    Accepted, ApprovalPolicy, Event, EventSink, FilesystemSandbox, NetworkAccess, NewSession,
    SessionOptions, TurnStatus,
};
use crate::skill::call::qualified;
use crate::skill::output::{SHOWN_BYTES, bytes_of_tokens};
use crate::skill::{RequestId, SkillOutput, ToolCall};

/// Rounds that a turn may have before it is ended as failed.
const ROUNDS: usize = 256;

pub(super) struct EmbeddedSession {
    id: Arc<str>,
    model: Arc<dyn AnyModel>,
    request_ids: Arc<AtomicU64>,
    tools: Tools,
    fingerprint: Option<Arc<str>>,
    options: SessionOptions,
    /// In seconds since 1970.
    created_at: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Arc<[Weak<dyn EventSink>]>,
    history: Vec<Arc<HistoryItem>>,
    turns: Vec<(Arc<str>, TurnStatus)>,
    active: Option<Active>,
    pending: HashMap<Arc<str>, Pending>,
    deleted: bool,
}

impl State {
    fn is_active(&self, turn_id: &Arc<str>) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| active.turn_id == *turn_id)
    }
}

/// Ends a turn when it is dropped, and wakes those who wait for its end. Made before the turn's task, which may be
/// dropped with its tokio runtime before it ever ran.
struct Ending {
    session: Arc<EmbeddedSession>,
    turn_id: Arc<str>,
    status: TurnStatus,
    error: Option<String>,
    _ended: DropGuard,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.session
            .end(&self.turn_id, self.status.clone(), self.error.take());
    }
}

/// The turn that runs.
#[derive(Clone)]
struct Active {
    turn_id: Arc<str>,
    interrupted: CancellationToken,
    ended: CancellationToken,
}

/// A call that waits for its answer.
struct Pending {
    call: Arc<ToolCall>,
    answer: oneshot::Sender<Arc<SkillOutput>>,
}

impl EmbeddedSession {
    pub(super) fn new(
        id: Arc<str>,
        model: Arc<dyn AnyModel>,
        request_ids: Arc<AtomicU64>,
        tools: Tools,
        request: &NewSession,
    ) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self {
            id,
            model,
            request_ids,
            tools,
            fingerprint: request.fingerprint.clone(),
            options: request.options.clone(),
            created_at: now,
            state: Mutex::default(),
        }
    }

    fn summary(&self) -> Value {
        let options = &self.options;
        json!({
            "sessionId": &*self.id,
            "title": "New chat",
            "materialized": false,
            "modelProvider": "embedded",
            "cwd": options.cwd,
            "approvalPolicy": options.approval_policy.map(ApprovalPolicy::as_str),
            "sessionControls": {
                "model": options.model,
                "networkAccess": options.network_access.map(NetworkAccess::as_str),
                "filesystemSandbox": options.filesystem_sandbox.map(FilesystemSandbox::as_str),
            },
            "createdAt": self.created_at,
        })
    }

    pub(super) fn created(&self) -> Value {
        let thread = json!({"id": &*self.id, "turns": []});
        let created = [("session", self.summary()), ("thread", thread)];
        created
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }

    /// The fingerprint of the catalog that it was created with.
    pub(super) fn fingerprint(&self) -> Option<Arc<str>> {
        self.fingerprint.clone()
    }

    pub(super) fn subscribe(&self, events: Weak<dyn EventSink>) {
        let mut state = self.state();
        let others = state
            .events
            .iter()
            .filter(|events| events.strong_count() > 0);
        state.events = others.cloned().chain([events]).collect();
    }

    pub(super) fn history(&self) -> Vec<Arc<HistoryItem>> {
        self.state().history.clone()
    }

    pub(super) fn detail(&self) -> Value {
        self.detail_of(None)
    }

    /// The session with its turns and their transcript, or with one of them.
    fn detail_of(&self, turn_id: Option<&Arc<str>>) -> Value {
        let state = self.state();
        let wanted = |id: &Arc<str>| turn_id.is_none_or(|turn_id| turn_id == id);
        let turns: Vec<Value> = state
            .turns
            .iter()
            .filter(|(id, _)| wanted(id))
            .map(|(id, status)| json!({"id": &**id, "status": status.as_str()}))
            .collect();
        let transcript: Vec<Value> = state
            .history
            .iter()
            .enumerate()
            .filter(|(_, item)| wanted(&item.turn_id))
            .filter_map(|(at, item)| {
                let (role, text) = match &item.content {
                    Content::User(text) => ("user", text),
                    Content::Assistant(text) => ("assistant", text),
                    Content::Call { .. } | Content::Output { .. } => return None,
                };
                Some(json!({
                    "messageId": at.to_string(),
                    "turnId": &*item.turn_id,
                    "role": role,
                    "type": "message",
                    "content": text,
                    "status": "complete",
                }))
            })
            .collect();
        json!({
            "session": self.summary(),
            "thread": {"id": &*self.id, "turns": turns},
            "transcript": transcript,
        })
    }

    pub(super) fn deliver(&self, event: Event) {
        let events = self.state().events.clone();
        let Some((last, others)) = events.split_last() else {
            return;
        };
        for events in others.iter().filter_map(Weak::upgrade) {
            events.deliver(event.clone());
        }
        if let Some(events) = last.upgrade() {
            events.deliver(event);
        }
    }

    /// The calls that wait, oldest first.
    pub(super) fn pending_calls(&self) -> Vec<Arc<ToolCall>> {
        let mut calls: Vec<Arc<ToolCall>> = self
            .state()
            .pending
            .values()
            .map(|pending| pending.call.clone())
            .collect();
        calls.sort_by_key(|call| {
            call.request_id
                .as_ref()
                .and_then(|id| id.as_json().parse::<u64>().ok())
        });
        calls
    }

    /// Takes an answer; says whether the call waited for it.
    pub(super) fn answer(&self, call: &ToolCall, output: Arc<SkillOutput>) -> bool {
        let mut state = self.state();
        let asked = |pending: &Pending| pending.call.request_id == call.request_id;
        let waiting = match &call.call_id {
            Some(call_id) => state.pending.get_key_value(call_id),
            // A call that a test or program made by hand.
            None => state.pending.iter().find(|(_, pending)| asked(pending)),
        };
        let waiting = waiting.filter(|(_, pending)| asked(pending));
        let waiting = waiting.map(|(call_id, _)| call_id.clone());
        let Some(pending) = waiting.and_then(|call_id| state.pending.remove(&call_id)) else {
            return false;
        };
        drop(state);
        pending.answer.send(output).is_ok()
    }

    /// Starts a turn, or steers the active one.
    pub(super) fn send(self: &Arc<Self>, text: String) -> Result<Accepted, String> {
        if text.trim().is_empty() {
            return Err("text must not be empty".to_owned());
        }
        let mut state = self.state();
        if state.deleted {
            return Err(format!("thread not found: {}", self.id));
        }
        let steered = state.active.as_ref().map(|active| active.turn_id.clone());
        let turn_id = match &steered {
            Some(turn_id) => turn_id.clone(),
            None => Uuid::now_v7().to_string().into(),
        };
        state.history.push(Arc::new(HistoryItem {
            turn_id: turn_id.clone(),
            content: Content::User(text),
        }));
        if steered.is_none() {
            let active = Active {
                turn_id: turn_id.clone(),
                interrupted: CancellationToken::new(),
                ended: CancellationToken::new(),
            };
            state.turns.push((turn_id.clone(), TurnStatus::InProgress));
            state.active = Some(active.clone());
            drop(state);
            let ending = Ending {
                session: self.clone(),
                turn_id: turn_id.clone(),
                // Without an end of its own, the turn went with its tokio runtime.
                status: TurnStatus::Interrupted,
                error: None,
                _ended: active.ended.drop_guard(),
            };
            tokio::spawn(self.clone().turn(active.interrupted, ending));
        }
        let payload = json!({
            "status": "accepted",
            "sessionId": &*self.id,
            "turnId": &*turn_id,
        });
        Ok(Accepted::new(turn_id, payload))
    }

    /// Interrupts the active turn and waits for its end.
    pub(super) async fn interrupt(&self, turn_id: Option<&str>) -> Result<(), String> {
        let active = self.state().active.clone();
        let Some(active) = active else {
            return Err("no active turn to interrupt".to_owned());
        };
        match turn_id {
            Some(turn_id) if !turn_id.is_empty() && turn_id != &*active.turn_id => {
                return Err(format!(
                    "expected active turn id {} but found {turn_id}",
                    active.turn_id
                ));
            }
            _ => active.interrupted.cancel(),
        }
        active.ended.cancelled().await;
        Ok(())
    }

    /// Whether the session is being deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.state().deleted
    }

    /// Takes no more requests, interrupts the active turn and waits for its end. May be dropped and
    /// repeated.
    pub(super) async fn wind_down(&self) {
        let active = {
            let mut state = self.state();
            state.deleted = true;
            state.active.clone()
        };
        if let Some(active) = active {
            active.interrupted.cancel();
            active.ended.cancelled().await;
        }
    }

    /// Runs a turn to its end.
    async fn turn(self: Arc<Self>, interrupted: CancellationToken, mut ending: Ending) {
        let turn_id = &ending.turn_id;
        self.deliver(Event::TurnStarted {
            turn_id: turn_id.clone(),
        });
        let result = tokio::select! {
            biased;
            () = interrupted.cancelled() => Ok(TurnStatus::Interrupted),
            result = self.rounds(turn_id) => result,
        };
        match result {
            Ok(status) => ending.status = status,
            Err(error) => {
                ending.status = TurnStatus::Failed;
                ending.error = Some(error.to_string());
            }
        }
    }

    /// Ends a turn, its waiting calls included.
    fn end(&self, turn_id: &Arc<str>, status: TurnStatus, error: Option<String>) {
        let expired: Vec<(Arc<str>, Pending)> = {
            let mut state = self.state();
            if state.is_active(turn_id) {
                state.active = None;
            }
            if let Some(turn) = state.turns.iter_mut().find(|(id, _)| id == turn_id) {
                turn.1 = status.clone();
            }
            state
                .pending
                .extract_if(|_, pending| pending.call.turn_id.as_ref() == Some(turn_id))
                .collect()
        };
        for (call_id, pending) in expired {
            self.record(
                turn_id,
                output(&call_id, &pending.call.qualified_tool(), CANCELLED, None),
            );
            self.deliver(Event::CallExpired(pending.call.clone()));
            self.deliver(completed(&pending.call, false));
        }
        self.deliver(Event::TurnCompleted {
            turn_id: turn_id.clone(),
            status,
            error,
            detail: raw(&self.detail_of(Some(turn_id))),
        });
    }

    async fn rounds(self: &Arc<Self>, turn_id: &Arc<str>) -> Result<TurnStatus, ModelError> {
        for round in 0..ROUNDS {
            let shown = self.history();
            let seen = shown.len();
            let turn = ModelTurn {
                session_id: self.id.clone(),
                turn_id: turn_id.clone(),
                round,
                tools: self.tools.listed.clone(),
                deferred_tools: self.tools.deferred.clone(),
                history: shown,
            };
            let items = AssertUnwindSafe(self.model.respond(turn))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(ModelError("the model panicked".to_owned())))?;
            let mut answers = Vec::new();
            for item in items {
                match item {
                    ModelItem::Message(text) => self.say(turn_id, text),
                    ModelItem::Call {
                        namespace,
                        tool,
                        arguments,
                        rounded,
                        call_id,
                    } => {
                        let call_id =
                            call_id.unwrap_or_else(|| format!("call_{}", Uuid::now_v7().simple()));
                        let arguments = (arguments, rounded);
                        answers.extend(self.call(
                            turn_id,
                            namespace,
                            tool,
                            arguments,
                            call_id.into(),
                        ));
                    }
                }
            }
            if answers.is_empty() && self.is_over(turn_id, seen) {
                return Ok(TurnStatus::Completed);
            }
            // The outputs are in the order of the calls, whatever the order of the answers, and there when all are.
            for output in join_all(answers).await {
                self.record(turn_id, output);
            }
        }
        Err(ModelError(format!(
            "the turn had {ROUNDS} rounds and no end"
        )))
    }

    /// Whether the model has nothing to respond to that it has not seen: no steering text, and no output
    /// that needed no client. If so, the turn can't be steered any more: the next text begins another.
    fn is_over(&self, turn_id: &Arc<str>, seen: usize) -> bool {
        let mut state = self.state();
        let goes_on = state.history.iter().skip(seen).any(|item| {
            item.turn_id == *turn_id
                && matches!(item.content, Content::User(_) | Content::Output { .. })
        });
        if !goes_on && state.is_active(turn_id) {
            state.active = None;
        }
        !goes_on
    }

    fn say(&self, turn_id: &Arc<str>, text: String) {
        self.record(turn_id, Content::Assistant(text.clone()));
        self.deliver(Event::TextDelta {
            turn_id: turn_id.clone(),
            delta: text.clone(),
        });
        self.deliver(Event::Message {
            turn_id: turn_id.clone(),
            text,
        });
    }

    /// Makes a call. What it returns completes with the output that the model is shown; calls that codex
    /// answers itself are recorded at once.
    fn call<'a>(
        &'a self,
        turn_id: &Arc<str>,
        namespace: Option<String>,
        tool: String,
        (arguments, rounded): (String, bool),
        call_id: Arc<str>,
    ) -> Option<impl Future<Output = Content> + Send + use<'a>> {
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let shown_name = qualified(namespace.as_deref(), &tool).into_owned();
        self.record(
            turn_id,
            Content::Call {
                call_id: call_id.clone(),
                tool: shown_name.clone(),
                arguments: arguments.clone(),
            },
        );
        // A name with a dot in it is the qualified one of another tool.
        let known = self.tools.names.get(&shown_name).filter(|known| {
            *known.name == *tool && known.namespace.as_deref() == namespace.as_deref()
        });
        let Some(known) = known else {
            let text = format!("unsupported call: {tool}");
            self.record(turn_id, output(&call_id, &shown_name, &text, None));
            return None;
        };
        let arguments = match RawValue::from_string(arguments) {
            Ok(arguments) => arguments,
            Err(error) => {
                let text = format!("failed to parse function arguments: {error}");
                self.record(turn_id, output(&call_id, &shown_name, &text, None));
                return None;
            }
        };
        let mut call = ToolCall::new(self.id.clone(), known.name.clone(), arguments);
        call.rounded = rounded;
        call.turn_id = Some(turn_id.clone());
        call.call_id = Some(call_id.clone());
        call.request_id = Some(RequestId::from(
            self.request_ids.fetch_add(1, Ordering::Relaxed),
        ));
        call.namespace.clone_from(&known.namespace);
        let call = Arc::new(call);
        let (answer, answered) = oneshot::channel();
        // A call with the id of one that waits takes its place; the earlier is cancelled (contract §2.3).
        self.state().pending.insert(
            call_id.clone(),
            Pending {
                call: call.clone(),
                answer,
            },
        );
        self.deliver(Event::ToolStarted {
            turn_id: turn_id.clone(),
            call_id: call_id.clone(),
            namespace: call.namespace.clone(),
            tool: call.tool.clone(),
        });
        self.deliver(Event::ToolCall(call.clone()));
        let tokens = self.options.config.get("tool_output_token_limit");
        let limit = tokens
            .and_then(Value::as_u64)
            .map_or(SHOWN_BYTES, bytes_of_tokens);
        Some(async move {
            let answer = answered.await;
            let success = answer.as_ref().is_ok_and(|answer| answer.is_success());
            self.deliver(completed(&call, success));
            match answer {
                Ok(answer) => {
                    let text = shown(&answer, limit);
                    output(&call_id, &shown_name, &text, Some(answer))
                }
                Err(_) => output(&call_id, &shown_name, CANCELLED, None),
            }
        })
    }

    fn record(&self, turn_id: &Arc<str>, content: Content) {
        self.state().history.push(Arc::new(HistoryItem {
            turn_id: turn_id.clone(),
            content,
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CANCELLED: &str = "dynamic tool call was cancelled before receiving a response";

fn output(call_id: &Arc<str>, tool: &str, text: &str, output: Option<Arc<SkillOutput>>) -> Content {
    Content::Output {
        call_id: call_id.clone(),
        tool: tool.to_owned(),
        text: text.to_owned(),
        output,
    }
}

/// The end of a call, which the runtime made with these ids.
fn completed(call: &ToolCall, success: bool) -> Event {
    Event::ToolCompleted {
        turn_id: call.turn_id.clone().unwrap_or_default(),
        call_id: call.call_id.clone().unwrap_or_default(),
        namespace: call.namespace.clone(),
        tool: call.tool.clone(),
        success,
    }
}

/// A value as JSON text.
fn raw(value: &Value) -> Arc<RawValue> {
    let raw = serde_json::value::to_raw_value(value);
    raw.unwrap_or_else(|_| RawValue::NULL.to_owned()).into()
}
