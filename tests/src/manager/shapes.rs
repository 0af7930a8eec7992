//! The JSON that codex-manager writes, member by member as it was recorded.

use serde_json::{Value, json};

use super::codex::{Pending, Session, Turn};

pub(super) const SECONDS: u64 = 1_795_353_618;
pub(super) const MILLIS: u64 = 1_795_353_619_029;
pub(super) const ISO: &str = "2026-11-22T13:20:19.121Z";
const DELETED: &str = "This chat was permanently deleted and is no longer available.";

pub(super) fn summary(session: &Session) -> Value {
    let option = |name: &str, default: Value| {
        let given = session.options.get(name).cloned();
        given.filter(|value| !value.is_null()).unwrap_or(default)
    };
    let policy = option("approvalPolicy", json!("untrusted"));
    json!({
        "sessionId": session.id,
        "title": session.title,
        "materialized": session.is_materialized(),
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
        "cwd": option("cwd", json!("/home/user/project")),
        "source": "vscode",
        "projectId": null,
    })
}

pub(super) fn thread(session: &Session, turns: Vec<Value>) -> Value {
    let active = session.turns.iter().any(|turn| turn.status == "inProgress");
    let status = if active {
        json!({"type": "active", "activeFlags": []})
    } else {
        json!({"type": "idle"})
    };
    let preview = session.turns.first().map_or("", |turn| turn.text.as_str());
    json!({
        "id": session.id,
        "environments": [{
            "environmentId": "local",
            "cwd": "/home/user/project",
            "runtimeWorkspaceRoots": ["/home/user/project"],
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
        "cwd": "/home/user/project",
        "cliVersion": "0.169.0",
        "originator": "codex_manager_api",
        "source": "vscode",
        "canAcceptDirectInput": true,
        "threadSource": null,
        "agentNickname": null,
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

pub(super) fn transcript(session: &Session) -> Vec<Value> {
    let entries = session.turns.iter().flat_map(|turn| {
        turn.items.iter().map(|item| {
            let kind = item["type"].as_str().unwrap_or_default();
            let (role, content) = match kind {
                "userMessage" => ("user", item["content"][0]["text"].clone()),
                "agentMessage" => ("assistant", item["text"].clone()),
                _ => ("system", json!(format!("[{kind}]"))),
            };
            let mut entry = json!({
                "messageId": item["id"],
                "turnId": turn.id,
                "role": role,
                "type": kind,
                "content": content,
                "status": "complete",
                "startedAt": MILLIS,
                "completedAt": MILLIS,
            });
            if role == "system" {
                entry["details"] = json!(item.to_string());
            }
            entry
        })
    });
    entries.collect()
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

pub(super) fn call_item(call: &Pending, answer: Option<&Value>) -> Value {
    json!({
        "type": "dynamicToolCall",
        "id": call.call_id,
        "namespace": null,
        "tool": call.tool,
        "arguments": call.arguments,
        "status": if answer.is_some() { "completed" } else { "inProgress" },
        "contentItems": answer.map_or(Value::Null, |answer| answer["contentItems"].clone()),
        "success": answer.map_or(Value::Null, |answer| answer["success"].clone()),
        "durationMs": answer.map(|_| 57),
        "startedAtMs": MILLIS,
        "completedAtMs": answer.map(|_| MILLIS),
    })
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

/// The item of a thread that begins another one, as codex-app-server describes it; it was not recorded.
pub(super) fn spawn_item(id: &str, parent: &str, child: &str) -> Value {
    json!({
        "type": "collabAgentToolCall",
        "id": id,
        "tool": "spawnAgent",
        "status": "completed",
        "senderThreadId": parent,
        "receiverThreadIds": [child],
        "prompt": null,
        "agentsStates": {},
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
    thread_id: &str,
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
