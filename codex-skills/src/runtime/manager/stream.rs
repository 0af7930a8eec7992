//! The driver of the stream: one WebSocket for all sessions of a client, kept alive and made anew, with
//! polls in its place while it is down.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::link::{Idle, Link, LinkState};
use super::registry::Which;
use super::shared::Shared;
use super::wire::{self, Frame};

/// The largest message that is read, in bytes. A larger one costs the connection, which is made anew.
const MESSAGE_BYTES: usize = 256 * 1024 * 1024;

type Socket = WebSocketStream<reqwest::Upgraded>;

/// Keeps the stream, and polls beside it, until the task is aborted.
pub(super) async fn keep(shared: Arc<Shared>) {
    tokio::join!(keep_connected(&shared), keep_asking(&shared));
}

async fn keep_connected(shared: &Arc<Shared>) {
    let began = Instant::now();
    let mut link = Link::new(shared.link.clone());
    loop {
        match connect(shared).await {
            Ok(socket) => {
                link.connected(began.elapsed());
                let why = read(shared, socket, &mut link, began).await;
                tracing::info!(target: "codex_skills::manager", why, "the stream is down");
            }
            Err(why) => {
                tracing::debug!(target: "codex_skills::manager", why, "the stream cannot be opened");
            }
        }
        shared.state.send_replace(LinkState::Down);
        shared.count_reconnect();
        tokio::time::sleep(link.lost(random())).await;
    }
}

/// Stands in for the stream while it is down, and asks about sessions of which nothing is heard while it
/// is up.
async fn keep_asking(shared: &Arc<Shared>) {
    let mut state = shared.state.subscribe();
    loop {
        let (interval, which) = match *state.borrow_and_update() {
            LinkState::Up => (shared.link.recheck, Which::Quiet),
            LinkState::Connecting | LinkState::Down => (shared.link.poll, Which::Active),
        };
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            // The sender is in `shared`.
            _ = state.changed() => continue,
        }
        let shared = shared.clone();
        // A task of its own, so that the reader's has nothing to do but read.
        let asked = tokio::spawn(async move { shared.catch_up(which).await });
        if let Err(error) = asked.await {
            tracing::error!(target: "codex_skills::manager", %error, "asking about sessions failed");
        }
    }
}

/// Opens the stream through the HTTP client, so that proxies, TLS and headers are the same.
async fn connect(shared: &Shared) -> Result<Socket, String> {
    let key = generate_key();
    let request = shared
        .http
        .upgrade("/stream")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", &key)
        .send();
    let response = tokio::time::timeout(shared.connect_timeout, request)
        .await
        .map_err(|_| "no answer to the upgrade".to_owned())?
        .map_err(super::http::chain)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("the upgrade was answered {}", response.status()));
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
    // Before anything is read: request ids mean nothing without it.
    let process = shared.process().await.map_err(|error| error.to_string())?;
    shared.now_is(process.id);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
}

/// Reads until the connection is lost, and says why it was.
async fn read(
    shared: &Arc<Shared>,
    mut socket: Socket,
    link: &mut Link,
    began: Instant,
) -> &'static str {
    let mut caught_up = false;
    loop {
        let idle = match link.tick(began.elapsed()) {
            Idle::Dead => return "nothing was heard for too long",
            Idle::Wait(idle) => idle,
            Idle::Ping(idle) => {
                let ping = Message::text(r#"{"type":"ping"}"#);
                let sent = tokio::time::timeout(idle, socket.send(ping)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return "it cannot be written to";
                }
                idle
            }
        };
        let message = match tokio::time::timeout(idle, socket.next()).await {
            Err(_) => continue,
            Ok(None) => return "the server closed it",
            Ok(Some(Err(error))) => {
                tracing::debug!(target: "codex_skills::manager", %error, "the stream failed");
                return "it failed";
            }
            Ok(Some(Ok(message))) => message,
        };
        link.heard(began.elapsed());
        let Message::Text(text) = message else {
            continue;
        };
        if !caught_up {
            // The first frame is `ready`: from here on nothing is missed, and what was is asked for.
            caught_up = true;
            shared.state.send_replace(LinkState::Up);
            let shared = shared.clone();
            tokio::spawn(async move { shared.catch_up(Which::All).await });
        }
        match wire::frame(&text) {
            Ok(Frame::Other) => {}
            Ok(frame) => shared.deliver_frame(frame),
            Err(error) => {
                shared.count_malformed();
                tracing::warn!(target: "codex_skills::manager", %error, "a frame of the stream cannot be read and is left out");
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
