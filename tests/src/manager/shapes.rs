//! The JSON that codex-manager writes, member by member as it was recorded.

use serde_json::{Value, json};

use super::session::{Asked, Pending, Question, Session, Turn};

pub(super) const SECONDS: u64 = 1_795_353_618;
pub(super) const MILLIS: u64 = 1_795_353_619_029;
pub(super) const ISO: &str = "2026-11-22T13:20:19.121Z";
const DELETED: &str = "This chat was permanently deleted and is no longer available.";

/// The title of a session: a sub-agent's thread has what it was asked in its place.
pub(super) fn title(session: &Session) -> String {
    let preview = session.turns.first().map(|turn| turn.text.clone());
    let given = session.title.clone();
    given.or(preview).unwrap_or_default()
}

/// A session as lists show it. Only the answer to its creation says that it is not materialized.
pub(super) fn summary(session: &Session, materialized: bool) -> Value {
    let option = |name: &str, default: Value| session.option(name).cloned().unwrap_or(default);
    let policy = session.policy();
    json!({
        "sessionId": session.id,
        "title": title(session),
        "materialized": materialized,
        "modelProvider": "mock",
        "approvalPolicy": policy,
        "sessionControls": {
            "model": option("model", Value::Null),
            "approvalPolicy": policy,
            "networkAccess": option("networkAccess", json!("restricted")),
            "filesystemSandbox": option("filesystemSandbox", json!("read-only")),
            "settings": {},
        },
        "createdAt": SECONDS,
        "updatedAt": SECONDS,
        "cwd": session.cwd(),
        "source": source(session),
        "projectId": null,
    })
}

/// Where a thread comes from: a text, or the parent of a sub-agent's.
fn source(session: &Session) -> Value {
    match &session.parent {
        None => json!("vscode"),
        Some(parent) => json!({"subAgent": {"thread_spawn": {
            "parent_thread_id": parent, "depth": 1, "agent_path": null,
            "agent_nickname": "Pauli", "agent_role": null,
        }}}),
    }
}

pub(super) fn thread(session: &Session, turns: Vec<Value>) -> Value {
    let status = match session.active() {
        Some(turn) => json!({"type": "active", "activeFlags": turn.flags}),
        None => json!({"type": "idle"}),
    };
    let preview = session.turns.first().map_or("", |turn| turn.text.as_str());
    let cwd = session.cwd();
    json!({
        "id": session.id,
        "environments": [{
            "environmentId": "local",
            "cwd": cwd,
            "runtimeWorkspaceRoots": [cwd],
        }],
        "extra": null,
        "sessionId": session.id,
        "forkedFromId": null,
        "attachedToThreadId": null,
        "parentThreadId": session.parent,
        "preview": preview,
        "ephemeral": false,
        "section": null,
        "sectionEnteredAt": null,
        "projectId": null,
        "historyMode": "paginated",
        "modelProvider": "mock",
        "model": "mock-model",
        "reasoningEffort": null,
        "createdAt": SECONDS,
        "updatedAt": SECONDS,
        "recencyAt": SECONDS,
        "status": status,
        "path": format!("/home/user/.codex/sessions/rollout-{}.jsonl", session.id),
        "cwd": cwd,
        "cliVersion": "0.169.0",
        "originator": "codex_manager_api",
        "source": source(session),
        "canAcceptDirectInput": true,
        "threadSource": null,
        "agentNickname": session.parent.as_ref().map(|_| "Pauli"),
        "agentRole": null,
        "gitInfo": null,
        "name": null,
        "daybreakEnabled": null,
        "turns": turns,
    })
}

/// A turn; `notLoaded` and `summary` views have the items that those have.
pub(super) fn turn(turn: &Turn, view: &str) -> Value {
    let items: Vec<Value> = match view {
        "full" => turn.items.clone(),
        "summary" => turn
            .items
            .iter()
            .filter(|item| item["type"] == "agentMessage")
            .cloned()
            .collect(),
        _ => Vec::new(),
    };
    let ended = turn.status != "inProgress";
    json!({
        "id": turn.id,
        "rootTurnId": turn.id,
        "items": items,
        "itemsView": view,
        "status": turn.shown_status(),
        "error": null,
        "startedAt": SECONDS,
        "completedAt": ended.then_some(SECONDS),
        "durationMs": ended.then_some(252),
    })
}

/// The transcript: what codex has of each turn, and in front of the model's words what the manager noted.
pub(super) fn transcript(session: &Session) -> Vec<Value> {
    let entries = session.turns.iter().flat_map(|turn| {
        let said = |item: &&Value| item["type"] == "agentMessage";
        let before = turn.items.iter().filter(move |item| !said(item));
        let after = turn.items.iter().filter(said);
        let entry = |item| entry(turn, item);
        let notes = turn.notes.iter().map(|note| noted(turn, note));
        before.map(entry).chain(notes).chain(after.map(entry))
    });
    entries.collect()
}

/// An item as an entry. It streams until it, or its turn, is over.
fn entry(turn: &Turn, item: &Value) -> Value {
    let kind = item["type"].as_str().unwrap_or_default();
    let (role, content) = match kind {
        "userMessage" => ("user", item["content"][0]["text"].clone()),
        "agentMessage" => ("assistant", item["text"].clone()),
        _ => ("system", json!(format!("[{kind}]"))),
    };
    let streams = turn.is_active() && item["completedAtMs"].is_null();
    let mut entry = json!({
        "messageId": item["id"],
        "turnId": turn.id,
        "role": role,
        "type": kind,
        "content": content,
        "status": if streams { "streaming" } else { "complete" },
        "startedAt": MILLIS,
    });
    if !streams {
        entry["completedAt"] = json!(MILLIS);
    }
    if role == "system" {
        entry["details"] = json!(item.to_string());
    }
    entry
}

/// A note as an entry. One of a turn that is over is over.
fn noted(turn: &Turn, note: &Value) -> Value {
    let mut entry = note.clone();
    if !turn.is_active() {
        entry["completedAt"] = json!(MILLIS);
    }
    entry
}

/// An entry that the manager itself writes into a transcript.
fn note(id: String, turn_id: &str, kind: &str, content: String, details: &Value) -> Value {
    json!({
        "messageId": id,
        "turnId": turn_id,
        "role": "system",
        "type": kind,
        "content": content,
        "details": details.to_string(),
        "startedAt": MILLIS,
        "status": "complete",
    })
}

pub(super) fn waiting_call(request: u64, call: &Pending) -> Value {
    let content = format!("Tool call requested: {}", call.tool);
    let id = format!("tool-call-{request}-{}-{}", call.call_id, call.announced);
    note(
        id,
        &call.turn_id,
        "tool_call.request",
        content,
        &call_params(call),
    )
}

pub(super) fn resolved_call(request: u64, call: &Pending, status: &str, success: bool) -> Value {
    let content = format!("Tool call {status} (success={success})");
    let id = format!("tool-call-{request}-{}-{}", call.call_id, call.announced);
    let details = json!({"requestId": request.to_string(), "status": status, "success": success});
    let mut entry = note(id, &call.turn_id, "tool_call.resolved", content, &details);
    entry["completedAt"] = json!(MILLIS);
    entry
}

fn question_id(request: u64, asked: &Asked) -> String {
    let kind = match asked.question {
        Question::Approval => "approval",
        Question::UserInput => "tool-input",
    };
    format!("{kind}-{request}")
}

pub(super) fn waiting_question(request: u64, asked: &Asked) -> Value {
    let kind = match asked.question {
        Question::Approval => "approval.request",
        Question::UserInput => "tool_input.request",
    };
    let id = question_id(request, asked);
    note(
        id,
        &asked.turn_id,
        kind,
        question_summary(asked),
        &asked.params,
    )
}

pub(super) fn resolved_question(request: u64, asked: &Asked, payload: &Value) -> Value {
    let (kind, name) = match asked.question {
        Question::Approval => ("approval.resolved", "Approval"),
        Question::UserInput => ("tool_input.resolved", "Tool input"),
    };
    let mut content = format!("{name} {}", payload["status"].as_str().unwrap_or_default());
    if let Some(decision) = payload["decision"].as_str() {
        content = format!("{content} ({decision})");
    }
    let id = question_id(request, asked);
    let mut entry = note(id, &asked.turn_id, kind, content, payload);
    entry["completedAt"] = json!(MILLIS);
    entry
}

fn question_summary(asked: &Asked) -> String {
    match asked.question {
        Question::Approval => {
            let command = asked.params["command"].as_str().unwrap_or_default();
            format!("Command approval required: {command}")
        }
        Question::UserInput => {
            let count = asked.params["questions"].as_array().map_or(0, Vec::len);
            let plural = if count == 1 { "" } else { "s" };
            format!("Tool input required ({count} question{plural})")
        }
    }
}

/// A question that waits, as the stream and the lists show it.
pub(super) fn asked(request: u64, asked: &Asked) -> Value {
    let mut row = json!({
        "method": asked.question.method(),
        "threadId": asked.thread_id,
        "turnId": asked.turn_id,
        "itemId": asked.item_id,
        "summary": question_summary(asked),
        "details": asked.params,
        "createdAt": ISO,
        "status": "pending",
    });
    match asked.question {
        Question::Approval => row["approvalId"] = json!(request.to_string()),
        Question::UserInput => {
            row["requestId"] = json!(request.to_string());
            row["questions"] = asked.params["questions"].clone();
        }
    }
    row
}

pub(super) fn approval_params(
    (thread_id, turn_id, item_id): (&str, &str, &str),
    arguments: &Value,
    command: &str,
    cwd: &str,
) -> Value {
    let words: Vec<&str> = arguments["cmd"]
        .as_str()
        .unwrap_or_default()
        .split(' ')
        .collect();
    json!({
        "kind": "command",
        "threadId": thread_id,
        "turnId": turn_id,
        "itemId": item_id,
        "startedAtMs": MILLIS,
        "environmentId": "local",
        "reason": arguments["justification"],
        "command": command,
        "cwd": cwd,
        "commandActions": [{"type": "unknown", "command": arguments["cmd"]}],
        "proposedExecpolicyAmendment": words,
        "availableDecisions": [
            "accept",
            {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": words}},
            "cancel",
        ],
    })
}

pub(super) fn input_params(
    (thread_id, turn_id, item_id): (&str, &str, &str),
    questions: &Value,
) -> Value {
    let mut questions = questions.as_array().cloned().unwrap_or_default();
    for question in &mut questions {
        question["isOther"] = json!(true);
        question["isSecret"] = json!(false);
    }
    json!({
        "threadId": thread_id,
        "turnId": turn_id,
        "itemId": item_id,
        "questions": questions,
        "isBlocking": false,
        "autoResolutionMs": null,
    })
}

pub(super) fn command_item(id: &str, command: &str, cwd: &str, status: &str) -> Value {
    let words = command
        .trim_start_matches("/bin/bash -lc '")
        .trim_end_matches('\'');
    let mut item = json!({
        "type": "commandExecution",
        "id": id,
        "pluginId": null,
        "scriptPath": null,
        "command": command,
        "cwd": cwd,
        "processId": null,
        "source": "agent",
        "status": "inProgress",
        "commandActions": [{"type": "unknown", "command": words}],
        "aggregatedOutput": null,
        "exitCode": null,
        "durationMs": null,
        "startedAtMs": MILLIS,
        "completedAtMs": null,
    });
    if status != "inProgress" {
        command_ended(&mut item, status);
    }
    item
}

pub(super) fn command_ended(item: &mut Value, status: &str) {
    item["status"] = json!(status);
    item["completedAtMs"] = json!(MILLIS);
    if status == "completed" {
        item["processId"] = json!("84183");
        item["source"] = json!("unifiedExecStartup");
        item["exitCode"] = json!(0);
        item["durationMs"] = json!(0);
    }
}

pub(super) fn call_params(call: &Pending) -> Value {
    json!({
        "threadId": call.thread_id,
        "turnId": call.turn_id,
        "callId": call.call_id,
        "namespace": null,
        "tool": call.tool,
        "arguments": call.arguments,
    })
}

pub(super) fn pending(request: u64, call: &Pending) -> Value {
    json!({
        "requestId": request.to_string(),
        "method": "item/tool/call",
        "threadId": call.thread_id,
        "turnId": call.turn_id,
        "itemId": call.call_id,
        "callId": call.call_id,
        "tool": call.tool,
        "arguments": call.arguments,
        "summary": format!("Tool call requested: {}", call.tool),
        "details": call_params(call),
        "createdAt": ISO,
        "status": "pending",
    })
}

/// The item of a call that waits.
pub(super) fn call_item(call: &Pending) -> Value {
    json!({
        "type": "dynamicToolCall",
        "id": call.call_id,
        "namespace": null,
        "tool": call.tool,
        "arguments": call.arguments,
        "status": "inProgress",
        "contentItems": null,
        "success": null,
        "durationMs": null,
        "startedAtMs": MILLIS,
        "completedAtMs": null,
    })
}

/// The item of a call with its answer.
pub(super) fn answered_call(mut item: Value, answer: &Value) -> Value {
    item["status"] = json!("completed");
    item["contentItems"] = answer["contentItems"].clone();
    item["success"] = answer["success"].clone();
    item["durationMs"] = json!(57);
    item["completedAtMs"] = json!(MILLIS);
    item
}

/// The item of a call whose turn is interrupted.
pub(super) fn cancelled_call(call: &Pending) -> Value {
    let answer = json!({"contentItems": [], "success": false});
    let mut item = answered_call(call_item(call), &answer);
    item["status"] = json!("failed");
    item
}

pub(super) fn user_item(id: &str, text: &str, completed: bool) -> Value {
    json!({
        "type": "userMessage",
        "id": id,
        "clientId": null,
        "content": [{"type": "text", "text": text, "text_elements": []}],
        "startedAtMs": MILLIS,
        "completedAtMs": completed.then_some(MILLIS),
    })
}

pub(super) fn agent_item(id: &str, text: &str, completed: bool) -> Value {
    json!({
        "type": "agentMessage",
        "moderation": null,
        "id": id,
        "text": text,
        "phase": null,
        "memoryCitation": null,
        "delivery": null,
        "questions": null,
        "startedAtMs": MILLIS,
        "completedAtMs": completed.then_some(MILLIS),
    })
}

/// What the model writes to begin another thread.
pub(super) fn spawn_arguments(prompt: &str) -> Value {
    let arguments = json!({"fork_context": true, "message": prompt});
    json!(arguments.to_string())
}

/// The item of a thread that begins another one. Only when it is completed it names the other one.
pub(super) fn spawn_item(id: &str, parent: &str, prompt: &str, child: Option<&str>) -> Value {
    let mut states = json!({});
    if let Some(child) = child {
        states[child] = json!({"status": "pendingInit", "message": null});
    }
    json!({
        "type": "collabAgentToolCall",
        "id": id,
        "tool": "spawnAgent",
        "status": if child.is_some() { "completed" } else { "inProgress" },
        "senderThreadId": parent,
        "receiverThreadIds": child.as_slice(),
        "prompt": prompt,
        "model": if child.is_some() { "mock-model" } else { "" },
        "reasoningEffort": "medium",
        "agentsStates": states,
        "startedAtMs": MILLIS,
        "completedAtMs": child.map(|_| MILLIS),
    })
}

/// What codex adds to items of the model's own form.
pub(super) fn passthrough(turn_id: &str) -> Value {
    json!({"turn_id": turn_id, "create_time": 1_795_353_619.5})
}

/// The same of a message of a role.
pub(super) fn of_message(turn_id: &str, role: &str) -> Value {
    if role == "assistant" {
        return json!({"turn_id": turn_id, "content_item_kinds": ["unknown"]});
    }
    json!({
        "turn_id": turn_id,
        "create_time": 1_795_353_619.5,
        "content_item_kinds": ["environments.environment_context"],
        "content_item_metadata": [{"provenance": {"type": "agents_md"}}],
    })
}

fn tokens() -> Value {
    json!({
        "totalTokens": 10077, "inputTokens": 10067, "cachedInputTokens": 0,
        "cacheWriteInputTokens": 0, "outputTokens": 10, "reasoningOutputTokens": 0,
    })
}

pub(super) fn raw_response(thread_id: &str, turn_id: &str) -> Value {
    json!({
        "threadId": thread_id,
        "turnId": turn_id,
        "responseId": "resp_1",
        "usage": tokens(),
        "usageMetadata": {
            "amount": null,
            "metadata": {
                "input_tokens": 10067, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 10077,
            },
        },
    })
}

pub(super) fn token_usage(thread_id: &str, turn_id: &str) -> Value {
    json!({
        "threadId": thread_id,
        "turnId": turn_id,
        "tokenUsage": {"total": tokens(), "last": tokens(), "modelContextWindow": 258_400},
    })
}

pub(super) fn rate_limits() -> Value {
    json!({"rateLimits": {
        "limitId": "codex", "limitName": null, "normalModelSlug": null, "primary": null,
        "secondary": null, "credits": null, "individualLimit": null, "spendControlReached": null,
        "planType": null, "rateLimitReachedType": null,
    }})
}

pub(super) fn unread(thread_id: &str, turn_id: &str) -> Value {
    json!({
        "threadId": thread_id,
        "readState": {
            "firstUnread": {"type": "turn", "turnId": turn_id},
            "revision": "c1c4318e-bdaf-42ec-974b-d2e6e9b2b8c9",
        },
    })
}

/// A job of the supervisor, which has a result in the end.
pub(super) fn job(session_id: &str, state: &str) -> Value {
    let mut job = json!({
        "jobId": "a3aa1903-6aad-4d3a-a558-f3bacfda5985",
        "projectId": format!("session:{session_id}"),
        "jobType": "agent_instruction",
        "state": state,
        "sourceSessionId": session_id,
    });
    if state == "completed" {
        job["result"] = json!({"status": "ok", "outputText": "I looked at it."});
    }
    job
}

pub(super) fn deprecation() -> Value {
    json!({"summary": "Full-history hydration is deprecated for paginated threads.", "details": null})
}

/// What is said of a request to a session of which codex has no more than its database.
pub(super) fn no_rollout(session_id: &str) -> Value {
    json!({
        "status": "error",
        "code": "invalid_state",
        "message": format!("codex rpc error -32600: no rollout found for thread id {session_id}"),
        "details": {"method": "turn/start", "sessionId": session_id},
    })
}

pub(super) fn deleted(session_id: &str, title: Option<&str>) -> Value {
    let mut body = json!({
        "status": "deleted",
        "sessionId": session_id,
        "message": DELETED,
        "deletedAt": ISO,
    });
    if let Some(title) = title {
        body["title"] = json!(title);
    }
    body
}

pub(super) fn system(session_id: &str) -> Value {
    json!({
        "status": "error",
        "code": "system_session",
        "sessionId": session_id,
        "message": "system-owned sessions are reserved for orchestrator workers",
    })
}

pub(super) fn internal() -> Value {
    json!({"status": "error", "code": "internal_error", "message": "internal server error"})
}

pub(super) fn invalid(issue: &Value) -> Value {
    json!({
        "status": "error",
        "code": "invalid_request",
        "message": "request validation failed",
        "issues": [issue],
    })
}

pub(super) fn failed(message: &str) -> Value {
    json!({"status": "error", "code": "request_failed", "message": message})
}

/// The envelope of what codex says.
pub(super) fn signal(
    signal: &str,
    method: &str,
    thread_id: Option<&str>,
    turn_id: Option<&str>,
    params: &Value,
    session: Option<&Session>,
) -> Value {
    let event = format!(
        "app_server.{}{}",
        if signal == "request" { "request." } else { "" },
        dotted(method)
    );
    json!({
        "type": event,
        "threadId": thread_id,
        "payload": {
            "source": "app_server",
            "signalType": signal,
            "eventType": event,
            "method": method,
            "receivedAt": ISO,
            "context": {"threadId": thread_id, "turnId": turn_id},
            "params": params,
            "session": session.map(|session| json!({
                "id": session.id, "title": session.title, "projectId": null,
            })),
        },
    })
}

/// `item/agentMessage/delta` becomes `item.agent_message.delta`.
fn dotted(method: &str) -> String {
    let mut dotted = String::new();
    for letter in method.chars() {
        match letter {
            '/' => dotted.push('.'),
            letter if letter.is_ascii_uppercase() => {
                dotted.push('_');
                dotted.push(letter.to_ascii_lowercase());
            }
            letter => dotted.push(letter),
        }
    }
    dotted
}
