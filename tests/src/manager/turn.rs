//! Turns of the scripted codex, frame by frame in the order of the real one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::faults::Fault;
use super::script::{Directive, Script};
use super::session::{Pending, Question, Turn};
use super::shapes;
use super::state::{CallLog, Inner, State};

/// Starts a turn in a session that exists; returns its id. `done` receives the outputs of its tools.
pub(super) fn start(
    state: &Arc<State>,
    inner: &mut Inner,
    session_id: &str,
    text: &str,
    done: Option<oneshot::Sender<String>>,
) -> String {
    let turn_id = inner.fresh_id();
    let turn = Turn::new(&turn_id, text);
    let cancel = turn.cancel.clone();
    let mut first = false;
    if let Some(session) = inner.sessions.get_mut(session_id) {
        first = session.turns.is_empty();
        session.turns.push(turn);
    }
    if first {
        inner.notify(
            "warning",
            Some(session_id),
            None,
            &json!({"threadId": session_id, "message": "Model metadata for `mock-model` not found."}),
        );
    }
    let run = RunningTurn {
        state: state.clone(),
        session_id: session_id.to_owned(),
        turn_id: turn_id.clone(),
        first,
    };
    let text = text.to_owned();
    tokio::spawn(async move {
        let outputs = cancel.run_until_cancelled(run.play(&text)).await.flatten();
        // The parent may be gone.
        let _ = done.map(|done| done.send(outputs.unwrap_or_default()));
    });
    turn_id
}

pub(super) fn complete_item(inner: &mut Inner, session_id: &str, turn_id: &str, item: &Value) {
    let params = json!({
        "item": item, "threadId": session_id, "turnId": turn_id,
        "contentTokenCount": null, "completedAtMs": shapes::MILLIS,
    });
    if let Some(turn) = inner.turn(session_id, turn_id) {
        turn.put(item.clone());
    }
    inner.notify("item/completed", Some(session_id), Some(turn_id), &params);
}

fn raw_item(inner: &mut Inner, session_id: &str, turn_id: &str, item: &Value) {
    let params = json!({"threadId": session_id, "turnId": turn_id, "item": item});
    inner.notify(
        "rawResponseItem/completed",
        Some(session_id),
        Some(turn_id),
        &params,
    );
}

/// Records the output of a call, as the model reads it.
pub(super) fn output(inner: &mut Inner, session_id: &str, turn_id: &str, call: &Value, text: &str) {
    let id = format!("fco_{}", inner.fresh_id());
    let item = json!({
        "type": "function_call_output", "id": id, "call_id": call, "output": text,
        "internal_chat_message_metadata_passthrough": shapes::passthrough(turn_id),
    });
    raw_item(inner, session_id, turn_id, &item);
}

pub(super) fn raw_message(
    inner: &mut Inner,
    session_id: &str,
    turn_id: &str,
    role: &str,
    text: &str,
) {
    let kind = if role == "assistant" {
        "output_text"
    } else {
        "input_text"
    };
    let mut content = json!({"type": kind, "text": text});
    if role == "assistant" {
        content["annotations"] = json!([]);
    }
    let id = format!("msg_{}", inner.fresh_id());
    let mut item = json!({
        "type": "message", "id": id, "role": role, "content": [content],
        "internal_chat_message_metadata_passthrough": shapes::of_message(turn_id, role),
    });
    if role == "assistant" {
        item["status"] = json!("completed");
    }
    raw_item(inner, session_id, turn_id, &item);
}

/// How many tokens were used, and what the account has left.
pub(super) fn usage(inner: &mut Inner, session_id: &str, turn_id: &str) {
    let params = shapes::token_usage(session_id, turn_id);
    inner.notify(
        "thread/tokenUsage/updated",
        Some(session_id),
        Some(turn_id),
        &params,
    );
    inner.notify(
        "account/rateLimits/updated",
        None,
        None,
        &shapes::rate_limits(),
    );
}

/// One turn on its way.
struct RunningTurn {
    state: Arc<State>,
    session_id: String,
    turn_id: String,
    first: bool,
}

/// What a directive became.
enum Doing {
    /// Codex answered itself.
    Said(String, Option<Value>),
    /// A call that is announced, with its item.
    Call(Value, oneshot::Receiver<Value>),
    /// A sub-agent at work, with the id of the call that began it.
    Child(Value, oneshot::Receiver<String>),
    /// A command that waits for an approval, with its item and its request.
    Command(Value, u64, oneshot::Receiver<Value>),
    /// Questions to the user.
    Input(u64, oneshot::Receiver<Value>),
}

impl RunningTurn {
    fn notify(&self, inner: &mut Inner, method: &str, params: &Value) {
        inner.notify(method, Some(&self.session_id), Some(&self.turn_id), params);
    }

    fn start_item(&self, inner: &mut Inner, item: &Value) {
        let params = json!({
            "item": item, "threadId": self.session_id, "turnId": self.turn_id,
            "startedAtMs": shapes::MILLIS,
        });
        if let Some(turn) = inner.turn(&self.session_id, &self.turn_id) {
            turn.put(item.clone());
        }
        self.notify(inner, "item/started", &params);
    }

    fn complete_item(&self, inner: &mut Inner, item: &Value) {
        complete_item(inner, &self.session_id, &self.turn_id, item);
    }

    fn status(&self, inner: &mut Inner, flag: Option<&'static str>) {
        let flags: Vec<&str> = flag.into_iter().collect();
        if let Some(turn) = inner.turn(&self.session_id, &self.turn_id) {
            turn.flags.clone_from(&flags);
        }
        let params = json!({
            "threadId": self.session_id, "status": {"type": "active", "activeFlags": flags},
        });
        self.notify(inner, "thread/status/changed", &params);
    }

    /// Plays the whole turn; what its tools said, or `None` where it ends without an end of its own.
    async fn play(&self, text: &str) -> Option<String> {
        self.begin(text);
        let mut script = Script::of(text);
        let mut outputs = Vec::new();
        while let Some(round) = script.next_round() {
            let doing = self.respond(&round);
            let mut said = Vec::new();
            for (call_id, doing) in doing {
                said.push((call_id, self.finish(doing).await?));
            }
            let mut inner = self.state.lock();
            for (call_id, text) in said {
                let id = json!(call_id);
                output(&mut inner, &self.session_id, &self.turn_id, &id, &text);
                outputs.push(text);
            }
            usage(&mut inner, &self.session_id, &self.turn_id);
            // The model obeys the last message.
            let turn = inner.turn(&self.session_id, &self.turn_id)?;
            for steered in std::mem::take(&mut turn.steered) {
                self.user_message(&mut inner, &steered);
                script = Script::of(&steered);
                outputs.clear();
            }
        }
        let joined = outputs.join(" | ");
        let reply = script.reply.unwrap_or_else(|| match outputs.len() {
            0 => "No tool was called.".to_owned(),
            _ => format!("Tool outputs: {joined}"),
        });
        self.end(&reply).await;
        Some(joined)
    }

    fn begin(&self, text: &str) {
        let mut inner = self.state.lock();
        let inner = &mut *inner;
        self.status(inner, None);
        let turn = inner.turn(&self.session_id, &self.turn_id);
        let turn = turn.map(|turn| shapes::turn(turn, "notLoaded"));
        self.notify(
            inner,
            "turn/started",
            &json!({"threadId": self.session_id, "turn": turn}),
        );
        if self.first {
            for role in ["developer", "user"] {
                raw_message(
                    inner,
                    &self.session_id,
                    &self.turn_id,
                    role,
                    "<environment_context>",
                );
            }
        }
        self.user_message(inner, text);
        if self.is_supervised(inner) {
            inner.supervise(&self.session_id);
        }
    }

    fn is_supervised(&self, inner: &Inner) -> bool {
        let session = inner.sessions.get(&self.session_id);
        self.first && inner.supervised && session.is_some_and(|session| !session.system)
    }

    fn user_message(&self, inner: &mut Inner, text: &str) {
        raw_message(inner, &self.session_id, &self.turn_id, "user", text);
        let id = inner.fresh_id();
        self.start_item(inner, &shapes::user_item(&id, text, false));
        self.complete_item(inner, &shapes::user_item(&id, text, true));
    }

    /// The model's response, and what codex begins of it.
    fn respond(&self, round: &[Directive]) -> Vec<(String, Doing)> {
        let mut inner = self.state.lock();
        let inner = &mut *inner;
        let calls: Vec<String> = round
            .iter()
            .map(|directive| {
                let id = format!("call_{}", inner.fresh_id());
                let mut item = json!({
                    "type": "function_call", "status": "completed", "id": format!("fc_{id}"),
                    "name": directive.tool, "arguments": directive.written, "call_id": id,
                    "internal_chat_message_metadata_passthrough": {"turn_id": self.turn_id},
                });
                if directive.child {
                    item["name"] = json!("spawn_agent");
                    item["namespace"] = json!("multi_agent_v1");
                    item["arguments"] = shapes::spawn_arguments(&directive.prompt());
                }
                raw_item(inner, &self.session_id, &self.turn_id, &item);
                id
            })
            .collect();
        self.notify(
            inner,
            "rawResponse/completed",
            &shapes::raw_response(&self.session_id, &self.turn_id),
        );
        let doing = round.iter().zip(calls);
        doing
            .map(|(directive, id)| {
                let doing = self.obey(inner, directive, &id);
                (id, doing)
            })
            .collect()
    }

    fn obey(&self, inner: &mut Inner, directive: &Directive, call_id: &str) -> Doing {
        let arguments = match directive.arguments() {
            Ok(arguments) => arguments,
            Err(wrong) => return Doing::Said(wrong, None),
        };
        if directive.child {
            return self.spawn(inner, directive, call_id);
        }
        match directive.tool.as_str() {
            "exec_command" => return self.command(inner, &arguments, call_id),
            "request_user_input" => return self.input(inner, &arguments, call_id),
            _ => {}
        }
        let session = inner.sessions.get(&self.session_id);
        if !session.is_some_and(|session| session.may_call(&directive.tool)) {
            return Doing::Said(format!("unsupported call: {}", directive.tool), None);
        }
        if session.is_some_and(|session| session.system) {
            let text = "dynamic tool calls are not supported in system-owned sessions";
            return Doing::Said(text.to_owned(), None);
        }
        self.call(inner, &directive.tool, arguments, call_id)
    }

    fn call(&self, inner: &mut Inner, tool: &str, arguments: Value, call_id: &str) -> Doing {
        let (answer, answered) = oneshot::channel();
        let call = Pending {
            thread_id: self.session_id.clone(),
            turn_id: self.turn_id.clone(),
            call_id: call_id.to_owned(),
            tool: tool.to_owned(),
            arguments,
            announced: 0,
            answer,
        };
        let item = shapes::call_item(&call);
        self.start_item(inner, &item);
        let request = inner.fresh_request();
        inner.by_call.insert(call_id.to_owned(), inner.calls.len());
        inner.calls.push(CallLog {
            call_id: call_id.to_owned(),
            thread_id: self.session_id.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            accepted: 0,
            received: 0,
            output: None,
            expired: false,
            announced: Instant::now(),
            answered: None,
        });
        let (params, row) = (shapes::call_params(&call), shapes::pending(request, &call));
        let entry = shapes::waiting_call(request, &call);
        if let Some(turn) = inner.turn(&self.session_id, &self.turn_id) {
            turn.note(entry);
        }
        inner.pending.insert(request, call);
        let ids = (self.session_id.as_str(), self.turn_id.as_str());
        inner.request(
            "item/tool/call",
            ids,
            request,
            &params,
            ("tool_call_requested", &row),
        );
        self.state.changed.notify_waiters();
        Doing::Call(item, answered)
    }

    /// Begins a sub-agent, whose thread has the parent's tools and calls one of them.
    fn spawn(&self, inner: &mut Inner, directive: &Directive, call_id: &str) -> Doing {
        let prompt = directive.prompt();
        let started = shapes::spawn_item(call_id, &self.session_id, &prompt, None);
        self.start_item(inner, &started);
        let child = inner.create_child(&self.session_id);
        let idle = json!({"threadId": child, "status": {"type": "idle"}});
        inner.notify("thread/status/changed", Some(&child), None, &idle);
        let (done, outputs) = oneshot::channel();
        let completed = shapes::spawn_item(call_id, &self.session_id, &prompt, Some(&child));
        let early = inner.early_children;
        if !early {
            self.complete_item(inner, &completed);
        }
        start(&self.state, inner, &child, &prompt, Some(done));
        Doing::Child(if early { completed } else { Value::Null }, outputs)
    }

    /// A command: refused, run, or asked about, as the session's policy has it.
    fn command(&self, inner: &mut Inner, arguments: &Value, call_id: &str) -> Doing {
        let command = format!(
            "/bin/bash -lc '{}'",
            arguments["cmd"].as_str().unwrap_or_default()
        );
        let Some(session) = inner.sessions.get(&self.session_id) else {
            return Doing::Said(String::new(), None);
        };
        let (policy, cwd) = (session.policy(), session.cwd().to_owned());
        let escalated = arguments["sandbox_permissions"] == "require_escalated";
        if policy == "never" && escalated {
            let text = "approval policy is Never; reject command";
            return Doing::Said(text.to_owned(), None);
        }
        let asks = policy == "untrusted" || (escalated && policy != "never");
        let asks = asks && !session.granted.contains(&command) && !session.system;
        let item = shapes::command_item(call_id, &command, &cwd, "inProgress");
        if !asks {
            self.start_item(inner, &item);
            let item = shapes::command_item(call_id, &command, &cwd, "completed");
            return Doing::Said(RAN.to_owned(), Some(item));
        }
        self.status(inner, Some(Question::Approval.flag()));
        self.start_item(inner, &item);
        let ids = (self.session_id.as_str(), self.turn_id.as_str(), call_id);
        let params = shapes::approval_params(ids, arguments, &command, &cwd);
        let (request, decided) = inner.ask(Question::Approval, ids, params);
        self.state.changed.notify_waiters();
        Doing::Command(item, request, decided)
    }

    fn input(&self, inner: &mut Inner, arguments: &Value, call_id: &str) -> Doing {
        self.status(inner, Some(Question::UserInput.flag()));
        let ids = (self.session_id.as_str(), self.turn_id.as_str(), call_id);
        let params = shapes::input_params(ids, &arguments["questions"]);
        let (request, decided) = inner.ask(Question::UserInput, ids, params);
        self.state.changed.notify_waiters();
        Doing::Input(request, decided)
    }

    /// Returns the output that the model reads, or `None` when the call or question expired.
    async fn finish(&self, doing: Doing) -> Option<String> {
        match doing {
            Doing::Said(text, item) => {
                if let Some(item) = item {
                    self.complete_item(&mut self.state.lock(), &item);
                }
                Some(text)
            }
            Doing::Call(item, answer) => {
                let answer = answer.await.ok()?;
                let item = shapes::answered_call(item, &answer);
                self.complete_item(&mut self.state.lock(), &item);
                Some(text_of(&answer))
            }
            Doing::Child(item, outputs) => {
                if !item.is_null() {
                    tokio::task::yield_now().await;
                    self.complete_item(&mut self.state.lock(), &item);
                }
                outputs.await.ok()
            }
            Doing::Command(item, request, decided) => {
                let decision = decided.await.ok()?;
                self.decided(item, request, &decision)
            }
            Doing::Input(request, decided) => {
                let answers = decided.await.ok()?;
                let mut inner = self.state.lock();
                self.question_resolved(&mut inner, request);
                self.status(&mut inner, None);
                Some(answers.to_string())
            }
        }
    }

    fn question_resolved(&self, inner: &mut Inner, request: u64) {
        let params = json!({"threadId": self.session_id, "requestId": request});
        self.notify(inner, "serverRequest/resolved", &params);
    }

    fn decided(&self, mut item: Value, request: u64, decision: &Value) -> Option<String> {
        let mut inner = self.state.lock();
        let inner = &mut *inner;
        self.question_resolved(inner, request);
        let decision = decision["decision"].as_str().unwrap_or_default();
        if decision.starts_with("accept") {
            self.status(inner, None);
            shapes::command_ended(&mut item, "completed");
            self.complete_item(inner, &item);
            let command = item["command"].as_str().unwrap_or_default().to_owned();
            if decision == "acceptForSession"
                && let Some(session) = inner.sessions.get_mut(&self.session_id)
            {
                session.granted.insert(command);
            }
            return Some(RAN.to_owned());
        }
        shapes::command_ended(&mut item, "declined");
        self.complete_item(inner, &item);
        self.status(inner, None);
        if decision == "decline" {
            return Some("exec_command failed: rejected by user".to_owned());
        }
        output(
            inner,
            &self.session_id,
            &self.turn_id,
            &item["id"],
            "aborted by user",
        );
        usage(inner, &self.session_id, &self.turn_id);
        raw_message(
            inner,
            &self.session_id,
            &self.turn_id,
            "user",
            "<turn_aborted>",
        );
        inner.end_turn(&self.session_id, &self.turn_id, "interrupted");
        self.state.changed.notify_waiters();
        None
    }

    async fn end(&self, reply: &str) {
        let doubt = {
            let mut inner = self.state.lock();
            let inner = &mut *inner;
            let id = format!("msg_{}", inner.fresh_id());
            self.start_item(inner, &shapes::agent_item(&id, "", false));
            let middle = reply.floor_char_boundary(reply.len() / 2);
            for delta in [&reply[..middle], &reply[middle..]] {
                let params = json!({
                    "threadId": self.session_id, "turnId": self.turn_id, "itemId": id, "delta": delta,
                });
                self.notify(inner, "item/agentMessage/delta", &params);
            }
            self.complete_item(inner, &shapes::agent_item(&id, reply, true));
            raw_message(inner, &self.session_id, &self.turn_id, "assistant", reply);
            self.notify(
                inner,
                "rawResponse/completed",
                &shapes::raw_response(&self.session_id, &self.turn_id),
            );
            usage(inner, &self.session_id, &self.turn_id);
            let doubted = inner.faults.hit(Fault::FalseInterrupted);
            let doubt = inner
                .false_interrupted
                .or(doubted.then_some(Duration::from_millis(40)));
            if let Some(turn) = inner.turn(&self.session_id, &self.turn_id) {
                turn.in_doubt = doubt.is_some();
            }
            doubt
        };
        self.state.changed.notify_waiters();
        if let Some(doubt) = doubt {
            tokio::time::sleep(doubt).await;
        }
        let mut inner = self.state.lock();
        inner.end_turn(&self.session_id, &self.turn_id, "completed");
        if self.is_supervised(&inner) {
            let job = shapes::job(&self.session_id, "completed");
            inner.publish("orchestrator_job_completed", &self.session_id, &job);
        }
        drop(inner);
        self.state.changed.notify_waiters();
    }
}

/// Beginning of a command's output, as the model reads it.
const RAN: &str = "Process exited with code 0\nOutput:\n";

/// What the model reads of an answer.
pub(super) fn text_of(answer: &Value) -> String {
    let Some(items) = answer["contentItems"].as_array() else {
        return "dynamic tool response was invalid".to_owned();
    };
    let texts: Vec<&str> = items
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect();
    texts.join("\n")
}
