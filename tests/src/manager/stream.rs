//! The stream of codex-manager.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::faults::Fault;
use super::state::{Socket, State};

pub(super) async fn open(
    Shared(state): Shared<Arc<State>>,
    Query(query): Query<Vec<(String, String)>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let thread = query
        .into_iter()
        .find(|(key, value)| key == "threadId" && !value.is_empty())
        .map(|(_, value)| value);
    upgrade.on_upgrade(move |socket| serve(state, thread, socket))
}

async fn serve(state: Arc<State>, filter: Option<String>, mut socket: WebSocket) {
    let (frames, mut waiting) = mpsc::unbounded_channel();
    let id = {
        let mut inner = state.lock();
        let ready = json!({"type": "ready", "threadId": filter}).to_string();
        let _ = frames.send(ready.into());
        let id = inner.sockets.last().map_or(0, |socket| socket.id + 1);
        inner.sockets.push(Socket { id, filter, frames });
        id
    };
    state.changed.notify_waiters();
    let mut held: Option<Arc<str>> = None;
    loop {
        let sent = tokio::select! {
            frame = waiting.recv() => match frame {
                Some(frame) => pass(&state, &mut socket, &mut held, frame).await,
                None => break,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => command(&state, id, &mut socket, &text).await,
                Some(Ok(Message::Binary(bytes))) => {
                    let text = String::from_utf8_lossy(&bytes);
                    command(&state, id, &mut socket, &text).await
                }
                Some(Ok(_)) => true,
                Some(Err(_)) | None => false,
            },
            () = tokio::time::sleep(Duration::from_millis(5)), if held.is_some() => {
                match held.take() {
                    Some(frame) => send(&mut socket, &frame).await,
                    None => true,
                }
            }
        };
        if !sent {
            break;
        }
    }
    state.lock().sockets.retain(|socket| socket.id != id);
    state.changed.notify_waiters();
}

/// Sends a frame, or whatever becomes of it.
async fn pass(
    state: &State,
    socket: &mut WebSocket,
    held: &mut Option<Arc<str>>,
    frame: Arc<str>,
) -> bool {
    if frame.starts_with(r#"{"threadId":null,"type":"ready""#) {
        return send(socket, &frame).await;
    }
    if state.hit(Fault::DropFrames) {
        return true;
    }
    if state.hit(Fault::DelayFrames) {
        let millis = state.lock().faults.draw(1..15);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    if held.is_none() && state.hit(Fault::ReorderFrames) {
        *held = Some(frame);
        return true;
    }
    let again = state.hit(Fault::DuplicateFrames);
    let mut sent = send(socket, &frame).await;
    if again {
        sent = sent && send(socket, &frame).await;
    }
    if let Some(late) = held.take() {
        sent = sent && send(socket, &late).await;
    }
    sent
}

async fn send(socket: &mut WebSocket, frame: &str) -> bool {
    socket.send(Message::text(frame)).await.is_ok()
}

async fn command(state: &State, id: u64, socket: &mut WebSocket, text: &str) -> bool {
    let command: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let filter = match (command["type"].as_str(), command["threadId"].as_str()) {
        (Some("ping"), _) => return send(socket, r#"{"type":"pong"}"#).await,
        (Some("subscribe"), Some(thread)) if !thread.is_empty() => Some(thread.to_owned()),
        (Some("unsubscribe"), _) => None,
        _ => {
            let error = r#"{"type":"error","message":"invalid websocket command"}"#;
            return send(socket, error).await;
        }
    };
    if let Some(socket) = state
        .lock()
        .sockets
        .iter_mut()
        .find(|socket| socket.id == id)
    {
        socket.filter = filter;
    }
    true
}
