//! What gets between a request and its route.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::faults::Fault;
use super::state::{Seen, State};
use crate::wire::Wire;

pub(super) async fn hinder(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    note(&state, &request);
    let wire = state.wires.of(peer);
    let path = request.uri().path().to_owned();
    // Starting a session or a turn cannot be repeated, so nothing is promised of it.
    if *request.method() == Method::POST && path.contains("/sessions") {
        return next.run(request).await;
    }
    if state.hit(Fault::SlowReads)
        && let Some(wire) = &wire
    {
        wire.slow();
    }
    if state.hit(Fault::ResetConnections) {
        return cut(wire.as_deref()).await;
    }
    if path.starts_with("/api/tool-calls/") {
        return answer(&state, wire.as_deref(), request, next).await;
    }
    if path == "/api/stream" {
        if state.hit(Fault::RefuseStream) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if let Some(wire) = &wire {
            state.lock().streams.push(wire.clone());
            if state.hit(Fault::CutFrames) {
                let bytes = state.lock().faults.draw(300..36_000);
                wire.cut_after(i64::try_from(bytes).unwrap_or(300));
            }
            if state.hit(Fault::HalfOpenStream) {
                wire.silence();
            }
        }
        return next.run(request).await;
    }
    if state.hit(Fault::HalfOpenRequests) {
        return std::future::pending().await;
    }
    let response = next.run(request).await;
    if path.ends_with("/tool-calls") && state.hit(Fault::DelayLists) {
        let millis = state.lock().faults.draw(1..40);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    response
}

/// Notes a request, and an answer with the call that it is for.
fn note(state: &State, request: &Request) {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let path = request.uri().to_string();
    let mut inner = state.lock();
    let id = path
        .strip_prefix("/api/tool-calls/")
        .and_then(|rest| rest.split('/').next()?.parse::<u64>().ok());
    let call = id.and_then(|id| inner.pending.get(&id).map(|call| call.call_id.clone()));
    if let Some(call_id) = call {
        inner.log(&call_id).received += 1;
    }
    inner.seen.push(Seen {
        method: request.method().to_string(),
        path,
        headers,
    });
    drop(inner);
    state.changed.notify_waiters();
}

async fn answer(state: &State, wire: Option<&Wire>, request: Request, next: Next) -> Response {
    if state.hit(Fault::HalfOpenRequests) {
        return std::future::pending().await;
    }
    if state.hit(Fault::Restart) {
        state.restart();
        return cut(wire).await;
    }
    if state.hit(Fault::ErrorBefore) {
        return error();
    }
    if state.hit(Fault::TooManyRequests) {
        let seconds = state.lock().retry_after.unwrap_or(0).to_string();
        return (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, seconds)],
        )
            .into_response();
    }
    if state.hit(Fault::TooLarge) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    if state.hit(Fault::InFlight) {
        let body = json!({"status": "conflict", "code": "in_flight"}).to_string();
        return (StatusCode::CONFLICT, body).into_response();
    }
    let response = next.run(request).await;
    if state.hit(Fault::ErrorAfter) {
        return error();
    }
    if state.hit(Fault::Malformed) {
        return (StatusCode::OK, "{\"status\":\"o").into_response();
    }
    if state.hit(Fault::TakenInSilence) {
        return std::future::pending().await;
    }
    if state.hit(Fault::LostResponse) {
        return cut(wire).await;
    }
    response
}

fn error() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        json!({"status": "error"}).to_string(),
    )
        .into_response()
}

/// Resets the connection; what is answered goes nowhere.
async fn cut(wire: Option<&Wire>) -> Response {
    match wire {
        Some(wire) => {
            wire.cut();
            std::future::pending().await
        }
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}
