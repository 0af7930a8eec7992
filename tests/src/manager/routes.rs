//! The routes of codex-manager, row by row of the contract table.
#![allow(clippy::result_large_err, reason = "an answer either way")]

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::checks::{check_decision, check_settings, check_tools, limit, too_small, wrong};
use super::session::{Question, Session};
use super::state::{Inner, Interrupt, State};
use super::{hindrance, shapes, stream};

const BODY_BYTES: usize = 1024 * 1024;

type App = Shared<Arc<State>>;

pub(super) fn router(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/health", get(health))
        .route("/sessions", get(list).post(create))
        .route("/sessions/{id}", get(read).delete(delete))
        .route("/sessions/{id}/messages", post(messages))
        .route("/sessions/{id}/tool-calls", get(tool_calls))
        .route("/sessions/{id}/interrupt", post(interrupt))
        .route("/sessions/{id}/resume", post(resume))
        .route("/sessions/{id}/approvals", get(approvals))
        .route("/sessions/{id}/tool-input", get(tool_input))
        .route("/tool-calls/{id}/response", post(answer))
        .route("/approvals/{id}/decision", post(decide_approval))
        .route("/tool-input/{id}/decision", post(decide_input))
        .route("/stream", get(stream::open));
    Router::new()
        .nest("/api", api)
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            hindrance::hinder,
        ))
        .with_state(state)
}

pub(super) fn reply(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, json, body.to_string()).into_response()
}

async fn unknown(request: Request) -> Response {
    let message = format!(
        "Route {}:{} not found",
        request.method(),
        request.uri().path()
    );
    reply(
        404,
        &json!({"message": message, "error": "Not Found", "statusCode": 404}),
    )
}

/// A request's body as Fastify and Zod see it: `None` when there is none, a string when it is text.
///
/// What says that it is too large is answered at once and its connection closed, while the client still writes.
async fn body_of(request: Request, limit: usize) -> Result<Option<Value>, Response> {
    let headers = request.headers().clone();
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match to_bytes(request.into_body(), limit).await {
        Ok(bytes) => parse(&headers, &bytes),
        Err(_) => Err(too_large()),
    }
}

fn too_large() -> Response {
    let mut response = reply(413, &shapes::failed("Request body is too large"));
    response.headers_mut().insert(
        header::CONNECTION,
        header::HeaderValue::from_static("close"),
    );
    response
}

fn parse(headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Value>, Response> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let json = kind.contains("json");
    if bytes.is_empty() && json {
        let message = "Body cannot be empty when content-type is set to 'application/json'";
        return Err(reply(400, &shapes::failed(message)));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    if !json {
        return Ok(Some(json!(String::from_utf8_lossy(bytes))));
    }
    serde_json::from_slice(bytes).map(Some).map_err(|_| {
        let message = "Body is not valid JSON but content-type is set to 'application/json'";
        reply(400, &shapes::failed(message))
    })
}

/// A body that must be an object.
async fn object(request: Request) -> Result<Value, Response> {
    match body_of(request, BODY_BYTES).await? {
        Some(body) if body.is_object() => Ok(body),
        other => Err(wrong("object", &[], other.as_ref())),
    }
}

/// A body that may be missing.
fn optional(body: Option<Value>) -> Result<Value, Response> {
    match body {
        None => Ok(json!({})),
        Some(body) if body.is_object() => Ok(body),
        other => Err(wrong("object", &[], other.as_ref())),
    }
}

/// The body of a request to a session that may be used. What Fastify says comes first, and what Zod says last.
async fn session_body(
    state: &State,
    id: &str,
    request: Request,
) -> Result<Option<Value>, Response> {
    let limit = state.lock().body_bytes.unwrap_or(BODY_BYTES);
    let body = body_of(request, limit).await?;
    match barred(state, id) {
        Some(response) => Err(response),
        None => Ok(body),
    }
}

async fn health(Shared(state): App) -> Response {
    let inner = state.lock();
    let (pid, dead) = (inner.pid, inner.dead);
    drop(inner);
    let mut codex = json!({"running": !dead, "pid": (!dead).then_some(pid), "initialized": !dead});
    if dead {
        codex["lastExit"] = json!({"code": null, "signal": "SIGKILL", "at": shapes::ISO});
    }
    reply(
        200,
        &json!({
            "status": "ok", "service": "api",
            "codex": codex,
            "orchestratorQueue": {"enabled": true},
            "auth": {"hasOpenAiApiKey": false, "codexHomeAuthFile": false, "likelyUnauthenticated": true},
            "timestamp": shapes::ISO,
        }),
    )
}

/// A page of the sessions that were used, and on the first one all others that codex has in memory.
async fn list(Shared(state): App, Query(query): Query<Vec<(String, String)>>) -> Response {
    let get = |name: &str| {
        let mut pairs = query.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let limit = match limit(get("limit")) {
        Ok(limit) => limit,
        Err(response) => return response,
    };
    let inner = state.lock();
    let after = get("cursor").map(|cursor| cursor.strip_prefix("after ")?.parse::<usize>().ok());
    if inner.dead || after == Some(None) {
        return reply(500, &shapes::internal());
    }
    let archived = get("archived") == Some("true");
    let system = get("includeSystemOwned") == Some("true");
    let mut sessions: Vec<&Session> = inner.sessions.values().filter(|_| !archived).collect();
    sessions.sort_by(|a, b| b.id.cmp(&a.id));
    let (used, unused): (Vec<&Session>, Vec<&Session>) = sessions
        .into_iter()
        .partition(|session| !session.turns.is_empty());
    let begin = after.flatten().unwrap_or(0);
    let mut page: Vec<&Session> = used.iter().skip(begin).take(limit).copied().collect();
    if after.is_none() {
        let rest = used.iter().skip(limit).chain(&unused);
        page.extend(rest.filter(|session| session.loaded));
    }
    page.retain(|session| system || !session.system);
    let data: Vec<Value> = page
        .iter()
        .map(|session| shapes::summary(session, true))
        .collect();
    let next = (begin + limit < used.len()).then(|| format!("after {}", begin + limit));
    reply(
        200,
        &json!({"data": data, "nextCursor": next, "archived": archived}),
    )
}

async fn create(Shared(state): App, request: Request) -> Response {
    let body = match body_of(request, BODY_BYTES).await.and_then(optional) {
        Ok(body) => body,
        Err(response) => return response,
    };
    match check_settings(&body).and_then(|()| check_tools(body.get("dynamicTools"))) {
        Err(response) => return response,
        Ok(false) => return reply(500, &shapes::internal()),
        Ok(true) => {}
    }
    let (created, slowness) = (create_in(&state, body), state.lock().creation_delay);
    tokio::time::sleep(slowness).await;
    created
}

fn create_in(state: &State, body: Value) -> Response {
    let mut inner = state.lock();
    if inner.dead {
        return reply(500, &shapes::internal());
    }
    let tools = body["dynamicTools"].as_array();
    let names: HashSet<String> = tools
        .into_iter()
        .flatten()
        .filter_map(|tool| Some(tool["name"].as_str()?.trim().to_owned()))
        .collect();
    let id = inner.create(body, Some(names));
    let session = &inner.sessions[&id];
    reply(
        200,
        &json!({
            "session": shapes::summary(session, false),
            "thread": shapes::thread(session, Vec::new()),
        }),
    )
}

/// A session with its turns, as reads and resumes show it.
fn shown(session: &Session) -> Value {
    let turns = session.turns.iter().map(|turn| shapes::turn(turn, "full"));
    json!({
        "session": shapes::summary(session, true),
        "thread": shapes::thread(session, turns.collect()),
    })
}

async fn read(Shared(state): App, Path(id): Path<String>) -> Response {
    let mut inner = state.lock();
    if inner.deleted.contains_key(&id) {
        return reply(410, &shapes::deleted(&id, None));
    }
    if inner.dead || !inner.sessions.contains_key(&id) {
        return reply(500, &shapes::internal());
    }
    inner.notify("deprecationNotice", None, None, &shapes::deprecation());
    let session = &inner.sessions[&id];
    let mut body = shown(session);
    body["transcript"] = json!(shapes::transcript(session));
    reply(200, &body)
}

/// What keeps a session from being used, where something does.
fn barred(state: &State, id: &str) -> Option<Response> {
    let inner = state.lock();
    if inner.deleted.contains_key(id) {
        return Some(reply(410, &shapes::deleted(id, None)));
    }
    let system = inner.sessions.get(id).is_some_and(|session| session.system);
    system.then(|| reply(403, &shapes::system(id)))
}

/// Whether codex takes it for an id of a thread at all.
fn is_an_id(id: &str) -> bool {
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12]
        && id
            .chars()
            .all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}

async fn delete(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    let fails = |inner: &Inner| inner.dead || inner.undeletable.contains(&id);
    if fails(&state.lock()) || !is_an_id(&id) {
        return reply(500, &shapes::internal());
    }
    match state.delete(&id) {
        Some(title) => reply(
            200,
            &json!({"status": "ok", "sessionId": id, "title": title, "deletedFileCount": 1}),
        ),
        None => reply(404, &json!({"status": "not_found", "sessionId": id})),
    }
}

async fn messages(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = match session_body(&state, &id, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if state.lock().dead {
        return reply(500, &shapes::internal());
    }
    if state.lock().forgotten.contains_key(&id) {
        return reply(409, &shapes::no_rollout(&id));
    }
    if !state.lock().sessions.contains_key(&id) {
        return reply(404, &json!({"status": "not_found", "sessionId": id}));
    }
    let body = match body {
        Some(body) if body.is_object() => body,
        other => return wrong("object", &[], other.as_ref()),
    };
    let Some(text) = body["text"].as_str() else {
        return wrong("string", &[json!("text")], body.get("text"));
    };
    if text.trim().is_empty() {
        return too_small(&[json!("text")]);
    }
    let checked = check_settings(&body).and_then(|()| check_tools(body.get("dynamicTools")));
    if let Err(response) = checked {
        return response;
    }
    keep_settings(&mut state.lock(), &id, &body);
    if body.get("dynamicTools").is_some() {
        // The thread is resumed with them, though codex ignores them.
        state.lock().announce_again(&id);
    }
    match state.send(&id, text) {
        Some(turn_id) => reply(
            202,
            &json!({"status": "accepted", "sessionId": id, "turnId": turn_id}),
        ),
        None => reply(404, &json!({"status": "not_found", "sessionId": id})),
    }
}

/// The settings of a message are those of its session from then on.
fn keep_settings(inner: &mut Inner, id: &str, body: &Value) {
    let Some(session) = inner.sessions.get_mut(id) else {
        return;
    };
    for key in [
        "model",
        "approvalPolicy",
        "networkAccess",
        "filesystemSandbox",
    ] {
        if let Some(value) = body.get(key) {
            session.options[key] = value.clone();
        }
    }
}

async fn tool_calls(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    let inner = state.lock();
    let own = inner
        .pending
        .iter()
        .filter(|(_, call)| call.thread_id == id);
    let data: Vec<Value> = own
        .map(|(request, call)| shapes::pending(*request, call))
        .collect();
    reply(200, &json!({"data": data}))
}

async fn approvals(state: App, id: Path<String>) -> Response {
    asked(&state, &id, Question::Approval)
}

async fn tool_input(state: App, id: Path<String>) -> Response {
    asked(&state, &id, Question::UserInput)
}

fn asked(state: &State, id: &str, question: Question) -> Response {
    if let Some(response) = barred(state, id) {
        return response;
    }
    let inner = state.lock();
    let own = inner
        .asked
        .iter()
        .filter(|(_, asked)| asked.thread_id == id);
    let own = own.filter(|(_, asked)| asked.question == question);
    let data: Vec<Value> = own
        .map(|(request, asked)| shapes::asked(*request, asked))
        .collect();
    reply(200, &json!({"data": data}))
}

async fn interrupt(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = session_body(&state, &id, request).await;
    let body = match body.and_then(optional) {
        Ok(body) => body,
        Err(response) => return response,
    };
    match state.interrupt(&id, body["turnId"].as_str()) {
        Interrupt::Done(turn_id) => reply(
            200,
            &json!({"status": "ok", "sessionId": id, "turnId": turn_id}),
        ),
        Interrupt::NoActiveTurn => {
            reply(409, &json!({"status": "no_active_turn", "sessionId": id}))
        }
        Interrupt::Refused => reply(500, &shapes::internal()),
    }
}

async fn resume(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = session_body(&state, &id, request).await;
    if let Err(response) = body.and_then(optional) {
        return response;
    }
    let mut inner = state.lock();
    if inner.dead || !inner.sessions.contains_key(&id) {
        return reply(500, &shapes::internal());
    }
    inner.announce_again(&id);
    match inner.sessions.get_mut(&id) {
        Some(session) => {
            session.loaded = true;
            reply(200, &shown(session))
        }
        None => reply(500, &shapes::internal()),
    }
}

async fn answer(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = match object(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let items = body.get("contentItems").and_then(Value::as_array);
    let known = |item: &Value| matches!(item["type"].as_str(), Some("inputText" | "inputImage"));
    if let Some(at) = items.and_then(|items| items.iter().position(|item| !known(item))) {
        let issue = json!({
            "code": "invalid_union", "errors": [], "note": "No matching discriminator",
            "discriminator": "type", "path": ["contentItems", at, "type"], "message": "Invalid input",
        });
        return reply(400, &shapes::invalid(&issue));
    }
    let success = body.get("success").and_then(Value::as_bool).unwrap_or(true);
    let given = match (body.get("response"), items, body["text"].as_str()) {
        (Some(response), ..) if !response.is_null() => response.clone(),
        (_, Some(items), _) => json!({"contentItems": items, "success": success}),
        (_, _, Some(text)) => {
            json!({"contentItems": [{"type": "inputText", "text": text}], "success": success})
        }
        _ => json!({"contentItems": [], "success": success}),
    };
    let request = id.parse().ok();
    decided(
        "requestId",
        &id,
        request.and_then(|request| state.answer(request, given)),
    )
}

/// What is said of a decision or an answer: the thread that waited for it, or nothing did.
fn decided(key: &str, id: &str, thread: Option<String>) -> Response {
    match thread {
        Some(thread) => reply(200, &json!({"status": "ok", key: id, "threadId": thread})),
        None => reply(404, &json!({"status": "not_found", key: id})),
    }
}

async fn decide_approval(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = match object(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if let Err(response) = check_decision(&body) {
        return response;
    }
    let scope = body["scope"].as_str().unwrap_or("turn");
    let said = json!({"status": "resolved", "decision": body["decision"], "scope": scope});
    let decision = match (body["decision"].as_str(), scope) {
        (Some("accept"), "session") => json!({"decision": "acceptForSession"}),
        (decision, _) => json!({"decision": decision}),
    };
    let decide = |request| state.decide(Question::Approval, request, (&body, &said), decision);
    decided("approvalId", &id, id.parse().ok().and_then(decide))
}

async fn decide_input(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = match object(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if let Err(response) = check_decision(&body) {
        return response;
    }
    let said = json!({"status": "resolved", "decision": body["decision"]});
    let accepted = body["decision"] == "accept";
    let answers = body.get("answers").filter(|_| accepted).cloned();
    let answers = json!({"answers": answers.unwrap_or_else(|| json!({}))});
    let decision = body.get("response").cloned().unwrap_or(answers);
    let decide = |request| state.decide(Question::UserInput, request, (&body, &said), decision);
    decided("requestId", &id, id.parse().ok().and_then(decide))
}
