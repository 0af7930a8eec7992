//! The driver of the stream: one WebSocket for all sessions of a client, or one for each thread where the program chose
//! so.
//!
//! Invariant: frames are applied under the codex process that the socket belongs to. It is asked for after the upgrade
//! and before the first frame is read; when another process is known, the socket is replaced.
//!
//! Life cycle: connect, read until the socket fails, is silent, is found half open, or codex restarted; mark the link
//! down (polls stand in, see `poll`); wait as [`Link`] says; connect again. With the first frame of a socket, what was
//! missed is asked for, on another task.
//!
//! Locks: none of its own, and none across an await.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::task::AbortOnDropHandle;

use super::catch_up::Because;
use super::failure;
use super::http;
use super::link::{Idle, Link, LinkState};
use super::poll;
use super::registry::Which;
use super::shared::Shared;
use super::wire::{self, Frame};
use crate::runtime::peer;

/// A WebSocket, and whose frames it brings.
struct Socket {
    stream: WebSocketStream<reqwest::Upgraded>,
    /// The thread that it is for; `None` for all.
    thread_id: Option<Arc<str>>,
    /// The codex process that sends its frames, where that is known.
    process: Option<u64>,
}

/// Keeps the stream, and polls beside it, until the task is aborted.
pub(super) async fn keep(shared: Arc<Shared>) {
    if shared.stream_per_session {
        tokio::join!(keep_sockets(&shared), poll::keep_asking(&shared));
    } else {
        tokio::join!(keep_connected(&shared, None), poll::keep_asking(&shared));
    }
}

/// Keeps a socket for each thread with a sink.
async fn keep_sockets(shared: &Arc<Shared>) {
    let mut sockets: HashMap<Arc<str>, AbortOnDropHandle<()>> = HashMap::new();
    loop {
        let threads = shared.registry().threads();
        sockets.retain(|thread, socket| threads.contains(thread) && !socket.is_finished());
        shared.retain_links(&threads);
        for thread in threads {
            sockets.entry(thread).or_insert_with_key(|thread| {
                let (shared, thread) = (shared.clone(), thread.clone());
                AbortOnDropHandle::new(tokio::spawn(async move {
                    keep_connected(&shared, Some(thread)).await;
                }))
            });
        }
        tokio::select! {
            () = shared.threads.notified() => {}
            // A dropped session gives no notice.
            () = tokio::time::sleep(shared.link.recheck) => {}
        }
    }
}

async fn keep_connected(shared: &Arc<Shared>, thread_id: Option<Arc<str>>) {
    shared.set_link(thread_id.as_ref(), LinkState::Connecting);
    let began = Instant::now();
    let mut link = Link::new(shared.link.clone());
    loop {
        match connect(shared, thread_id.clone()).await {
            Ok(socket) => {
                link.connected(began.elapsed());
                let why = read(shared, socket, &mut link, began).await;
                tracing::info!(target: "codex_skills::manager", why, "the stream is down");
            }
            Err(why) => {
                tracing::debug!(target: "codex_skills::manager", why, "the stream cannot be opened");
                shared.note_down(why);
            }
        }
        shared.set_link(thread_id.as_ref(), LinkState::Down);
        shared.registry().miss();
        shared.count_reconnect();
        tokio::time::sleep(link.lost(random())).await;
    }
}

/// Opens the stream through the HTTP client, so that proxies, TLS and headers are the same.
async fn connect(shared: &Shared, thread_id: Option<Arc<str>>) -> Result<Socket, String> {
    let key = generate_key();
    let path = match &thread_id {
        Some(thread_id) => http::with_query("/stream", "threadId", thread_id),
        None => "/stream".to_owned(),
    };
    let request = shared
        .http
        .upgrade(&path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", &key)
        .send();
    let response = tokio::time::timeout(shared.connect_timeout, request)
        .await
        .map_err(|_| "no answer to the upgrade".to_owned())?
        .map_err(failure::chain)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let hint = if response.status().is_redirection() {
            ", and redirects are not followed"
        } else {
            ""
        };
        return Err(format!(
            "the upgrade was answered {}{hint}",
            response.status()
        ));
    }
    let accepted = response
        .headers()
        .get("sec-websocket-accept")
        .and_then(|value| value.to_str().ok());
    if accepted != Some(&derive_accept_key(key.as_bytes())) {
        return Err("the upgrade was answered by no WebSocket server".to_owned());
    }
    let upgraded = response
        .upgrade()
        .await
        .map_err(|error| error.to_string())?;
    // Before any frame is read: request ids are meaningful within one process only.
    let process = shared
        .http
        .process()
        .await
        .map_err(|error| error.to_string())?;
    shared.now_is(process.id);
    let config = WebSocketConfig::default()
        .max_message_size(Some(shared.message_bytes))
        .max_frame_size(Some(shared.message_bytes));
    Ok(Socket {
        stream: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await,
        thread_id,
        process: process.id,
    })
}

/// Reads until the connection is lost; returns why it was.
async fn read(
    shared: &Arc<Shared>,
    mut socket: Socket,
    link: &mut Link,
    began: Instant,
) -> &'static str {
    let mut caught_up = false;
    let pulse = shared.pulse(socket.thread_id.as_ref());
    let mut is_asked = false;
    loop {
        if socket
            .process
            .is_some_and(|process| process != shared.generation())
        {
            // Codex restarted: the request ids of this socket are stale; reconnect.
            return "codex was started anew";
        }
        let idle = match link.tick(began.elapsed()) {
            Idle::Dead => return "nothing was heard for too long",
            Idle::Wait(idle) if !std::mem::take(&mut is_asked) => idle,
            Idle::Wait(idle) | Idle::Ping(idle) => {
                let ping = Message::text(r#"{"type":"ping"}"#);
                let sent = tokio::time::timeout(idle, socket.stream.send(ping)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return "it cannot be written to";
                }
                idle
            }
        };
        let next = tokio::select! {
            next = tokio::time::timeout(idle, socket.stream.next()) => next,
            () = pulse.ping.notified() => {
                is_asked = true;
                continue;
            }
            () = pulse.replace.notified() => return "it is half open",
        };
        let message = match next {
            Err(_) => continue,
            Ok(None) => return "the server closed it",
            Ok(Some(Err(Error::Capacity(error)))) => {
                shared.count_malformed();
                tracing::warn!(target: "codex_skills::manager", %error, "a message of the stream is too large: the stream is made anew without it");
                return "a message was too large";
            }
            Ok(Some(Err(error))) => {
                tracing::debug!(target: "codex_skills::manager", %error, "the stream failed");
                return "it failed";
            }
            Ok(Some(Ok(message))) => message,
        };
        link.heard(began.elapsed());
        pulse.messages.fetch_add(1, Ordering::Relaxed);
        let Message::Text(text) = message else {
            continue;
        };
        if !caught_up {
            // The first frame is `ready`: no frame is missed from here on; ask for what was missed before.
            caught_up = true;
            shared.set_link(socket.thread_id.as_ref(), LinkState::Up);
            let shared = shared.clone();
            let which = socket.thread_id.clone().map_or(Which::All, Which::Of);
            tokio::spawn(async move { shared.catch_up(&which, Because::Asked).await });
        }
        match wire::frame(&text) {
            Ok(Frame::Other) => {}
            Ok(frame) => shared.deliver_frame(frame, socket.process),
            Err(error) => {
                shared.count_malformed();
                if let Some(left_out) = shared.unread.line() {
                    let error = peer::place(&error);
                    tracing::warn!(target: "codex_skills::manager", error, left_out, "a frame of the stream cannot be read and is left out");
                }
            }
        }
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    // 32 bits fit.
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
