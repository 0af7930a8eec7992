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

use super::codex::State;
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
        .route("/tool-calls/{id}/response", post(answer))
        .route("/stream", get(stream::open));
    Router::new()
        .nest("/api", api)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            hindrance::hinder,
        ))
        .with_state(state)
}

fn reply(status: u16, body: &Value) -> Response {
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
async fn body_of(request: Request) -> Result<Option<Value>, Response> {
    let headers = request.headers().clone();
    // What is too large is read all the same: a connection that is closed with something unread is reset, and whether
    // its answer arrives is then a matter of luck.
    let bytes = to_bytes(request.into_body(), 64 * BODY_BYTES).await;
    let Some(bytes) = bytes.ok().filter(|bytes| bytes.len() <= BODY_BYTES) else {
        let mut response = reply(413, &shapes::failed("Request body is too large"));
        response.headers_mut().insert(
            header::CONNECTION,
            header::HeaderValue::from_static("close"),
        );
        return Err(response);
    };
    parse(&headers, &bytes)
}

fn parse(headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Value>, Response> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if !kind.contains("json") {
        return Ok(Some(json!(String::from_utf8_lossy(bytes))));
    }
    serde_json::from_slice(bytes).map(Some).map_err(|_| {
        let message = "Body is not valid JSON but content-type is set to 'application/json'";
        reply(400, &shapes::failed(message))
    })
}

fn wrong(expected: &str, path: &[Value], found: Option<&Value>) -> Response {
    let found = match found {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    let message = format!("Invalid input: expected {expected}, received {found}");
    let issue =
        json!({"expected": expected, "code": "invalid_type", "path": path, "message": message});
    reply(400, &shapes::invalid(&issue))
}

fn too_small(path: &[Value]) -> Response {
    let issue = json!({
        "origin": "string", "code": "too_small", "minimum": 1, "inclusive": true, "path": path,
        "message": "Too small: expected string to have >=1 characters",
    });
    reply(400, &shapes::invalid(&issue))
}

/// What Zod says of `dynamicTools`, and whether codex would take them.
fn check_tools(tools: Option<&Value>) -> Result<bool, Response> {
    let Some(tools) = tools else { return Ok(true) };
    let Some(list) = tools.as_array() else {
        return Err(wrong("array", &[json!("dynamicTools")], Some(tools)));
    };
    if list.len() > 128 {
        let issue = json!({
            "origin": "array", "code": "too_big", "maximum": 128, "inclusive": true,
            "path": ["dynamicTools"], "message": "Too big: expected array to have <=128 items",
        });
        return Err(reply(400, &shapes::invalid(&issue)));
    }
    let mut names = HashSet::new();
    let mut fine = true;
    for (at, tool) in list.iter().enumerate() {
        let path = |key: &str| [json!("dynamicTools"), json!(at), json!(key)];
        for key in ["name", "description"] {
            match tool[key].as_str() {
                None => return Err(wrong("string", &path(key), tool.get(key))),
                Some(text) if text.trim().is_empty() => return Err(too_small(&path(key))),
                Some(_) => {}
            }
        }
        let schema = tool.get("inputSchema");
        if !schema.is_some_and(Value::is_object) {
            return Err(wrong("record", &path("inputSchema"), schema));
        }
        let name = tool["name"].as_str().unwrap_or_default();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        fine &=
            name.chars().all(plain) && names.insert(name) && tool["inputSchema"]["type"] != "null";
    }
    Ok(fine)
}

async fn health(Shared(state): App) -> Response {
    let inner = state.lock();
    let (pid, dead) = (inner.pid, inner.dead);
    drop(inner);
    reply(
        200,
        &json!({
            "status": "ok", "service": "api",
            "codex": {"running": !dead, "pid": (!dead).then_some(pid), "initialized": !dead},
            "orchestratorQueue": {"enabled": true},
            "auth": {"hasOpenAiApiKey": false, "codexHomeAuthFile": false, "likelyUnauthenticated": true},
            "timestamp": shapes::ISO,
        }),
    )
}

async fn list(Shared(state): App, Query(query): Query<Vec<(String, String)>>) -> Response {
    let get = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let limit = get("limit")
        .map_or(Ok(100), str::parse::<usize>)
        .unwrap_or(0);
    if !(1..=200).contains(&limit) {
        return too_small(&[json!("limit")]);
    }
    let after: usize = get("cursor")
        .and_then(|cursor| cursor.parse().ok())
        .unwrap_or(0);
    let inner = state.lock();
    let mut sessions: Vec<_> = inner
        .sessions
        .values()
        .filter(|session| !session.system)
        .collect();
    sessions.sort_by(|a, b| b.id.cmp(&a.id));
    let data: Vec<Value> = sessions
        .iter()
        .skip(after)
        .take(limit)
        .map(|session| shapes::summary(session))
        .collect();
    let next = (after + limit < sessions.len()).then(|| (after + limit).to_string());
    reply(
        200,
        &json!({"data": data, "nextCursor": next, "archived": get("archived") == Some("true")}),
    )
}

async fn create(Shared(state): App, request: Request) -> Response {
    let body = match body_of(request).await {
        Ok(body) => body.unwrap_or_else(|| json!({})),
        Err(response) => return response,
    };
    if !body.is_object() {
        return wrong("object", &[], Some(&body));
    }
    match check_tools(body.get("dynamicTools")) {
        Err(response) => return response,
        Ok(false) => return reply(500, &shapes::internal()),
        Ok(true) => {}
    }
    let mut inner = state.lock();
    if inner.dead {
        return reply(500, &shapes::internal());
    }
    let id = inner.create(body, None);
    let session = &inner.sessions[&id];
    reply(
        200,
        &json!({"session": shapes::summary(session), "thread": shapes::thread(session, Vec::new())}),
    )
}

async fn read(Shared(state): App, Path(id): Path<String>) -> Response {
    let mut inner = state.lock();
    if inner.deleted.contains_key(&id) {
        return reply(410, &shapes::deleted(&id, None));
    }
    if inner.dead {
        return reply(500, &shapes::internal());
    }
    let Some(session) = inner.sessions.get_mut(&id) else {
        return reply(500, &shapes::internal());
    };
    session.read = true;
    let turns = session
        .turns
        .iter()
        .map(|turn| shapes::turn(turn, "full"))
        .collect();
    reply(
        200,
        &json!({
            "session": shapes::summary(session),
            "thread": shapes::thread(session, turns),
            "transcript": shapes::transcript(session),
        }),
    )
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

async fn delete(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
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
    let body = match body_of(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    if !state.lock().sessions.contains_key(&id) {
        return reply(404, &json!({"status": "not_found", "sessionId": id}));
    }
    let Some(body) = body.filter(Value::is_object) else {
        return wrong("object", &[], None);
    };
    let Some(text) = body["text"].as_str() else {
        return wrong("string", &[json!("text")], body.get("text"));
    };
    if text.trim().is_empty() {
        return too_small(&[json!("text")]);
    }
    if let Err(response) = check_tools(body.get("dynamicTools")) {
        return response;
    }
    if state.lock().dead {
        return reply(
            500,
            &json!({
                "status": "error", "code": "codex_error", "message": "codex is not running",
                "details": {"method": "turn/start", "sessionId": id},
            }),
        );
    }
    match state.send(&id, text) {
        Some(turn_id) => reply(
            202,
            &json!({"status": "accepted", "sessionId": id, "turnId": turn_id}),
        ),
        None => reply(404, &json!({"status": "not_found", "sessionId": id})),
    }
}

async fn tool_calls(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    let data: Vec<Value> = state
        .lock()
        .pending
        .iter()
        .filter(|(_, call)| call.thread_id == id)
        .map(|(request, call)| shapes::pending(*request, call))
        .collect();
    reply(200, &json!({"data": data}))
}

async fn interrupt(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    match state.interrupt(&id) {
        Some(turn_id) => reply(
            200,
            &json!({"status": "ok", "sessionId": id, "turnId": turn_id}),
        ),
        None => reply(409, &json!({"status": "no_active_turn", "sessionId": id})),
    }
}

async fn resume(Shared(state): App, Path(id): Path<String>) -> Response {
    if let Some(response) = barred(&state, &id) {
        return response;
    }
    let inner = state.lock();
    match inner.sessions.get(&id) {
        Some(session) => {
            let turns = session
                .turns
                .iter()
                .map(|turn| shapes::turn(turn, "full"))
                .collect();
            reply(
                200,
                &json!({"session": shapes::summary(session), "thread": shapes::thread(session, turns)}),
            )
        }
        None => reply(500, &shapes::internal()),
    }
}

async fn answer(Shared(state): App, Path(id): Path<String>, request: Request) -> Response {
    let body = match body_of(request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let Some(body) = body.as_ref().filter(|body| body.is_object()) else {
        return wrong("object", &[], body.as_ref());
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
    let taken = id
        .parse()
        .ok()
        .and_then(|request| state.answer(request, given));
    match taken {
        Some(thread) => reply(
            200,
            &json!({"status": "ok", "requestId": id, "threadId": thread}),
        ),
        None => reply(404, &json!({"status": "not_found", "requestId": id})),
    }
}
