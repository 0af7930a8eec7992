//! What the stream's task and the requests share: who listens, and which codex process is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;

use super::http::{Http, Request};
use super::link::{LinkConfig, LinkState};
use super::profile::Settings;
use super::registry::{Delivery, Registry};
use super::wire::Frame;
use crate::runtime::RuntimeError;

/// Generations from here on are not process ids: a server that does not tell its process's id may be
/// another one after each connection.
pub(super) const UNNAMED: u64 = 1 << 63;
/// What the stream's task and the requests share.
pub(super) struct Shared {
    pub(super) http: Http,
    pub(super) settings: Settings,
    pub(super) link: LinkConfig,
    pub(super) connect_timeout: Duration,
    pub(super) answer_bytes: usize,
    pub(super) registry: Mutex<Registry>,
    pub(super) state: watch::Sender<LinkState>,
    /// Which codex process the request ids belong to.
    pub(super) generation: AtomicU64,
    pub(super) unnamed: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) malformed: AtomicU64,
}

impl Shared {
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> LinkState {
        *self.state.borrow()
    }

    /// Tells whom it concerns about a frame.
    pub(super) fn deliver(&self, frame: Frame) {
        let generation = self.generation();
        let delivery = self.registry().take(frame, generation);
        tell(delivery);
    }

    /// The same for a frame of the stream: it may be the first word of a child.
    pub(super) fn deliver_frame(self: &Arc<Self>, frame: Frame) {
        if let Frame::Call { thread_id, .. } = &frame
            && self.registry().is_unknown(thread_id)
        {
            let (shared, thread_id) = (self.clone(), thread_id.clone());
            tokio::spawn(async move { shared.adopt(thread_id).await });
        }
        self.deliver(frame);
    }

    /// The codex process as it is now.
    pub(super) async fn process(&self) -> Result<Process, RuntimeError> {
        let health = self
            .http
            .send(Request {
                operation: "ask for its health",
                method: Method::GET,
                path: "/health",
                body: None,
            })
            .await?
            .json();
        Ok(Process {
            id: health.pointer("/codex/pid").and_then(Value::as_u64),
            is_dead: health.pointer("/codex/running") == Some(&Value::Bool(false)),
        })
    }

    /// Notes which codex process request ids belong to from now on. One that was started anew counts its
    /// requests from 0 again; one that is not known may have been.
    pub(super) fn now_is(&self, process: Option<u64>) {
        let generation =
            process.unwrap_or_else(|| UNNAMED + self.unnamed.fetch_add(1, Ordering::SeqCst));
        if self.generation.swap(generation, Ordering::SeqCst) == generation || process.is_none() {
            return;
        }
        let deliveries = self.registry().restarted(generation);
        for delivery in deliveries {
            tell(Some(delivery));
        }
    }
}

/// What is known of the codex process.
#[derive(Clone, Copy)]
pub(super) struct Process {
    pub(super) id: Option<u64>,
    pub(super) is_dead: bool,
}

/// Outside of the registry's lock.
pub(super) fn tell(delivery: Option<Delivery>) {
    if let Some((sink, events)) = delivery {
        for event in events {
            sink.deliver(event);
        }
    }
}
