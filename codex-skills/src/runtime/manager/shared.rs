//! What the stream's task and the requests share: who listens, and which codex process is there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::http::{Http, Request};
use super::link::{LinkConfig, LinkState};
use super::profile::Settings;
use super::registry::{Delivery, Registry};
use super::wire::Frame;
use crate::runtime::RuntimeError;
use crate::runtime::fingerprints::Fingerprints;

/// Generations from here on are not process ids: a server that does not tell its process's id may be
/// another one after each connection.
pub(super) const UNNAMED: u64 = 1 << 63;

/// What the stream's task and the requests share.
pub(super) struct Shared {
    pub(super) http: Http,
    pub(super) settings: Settings,
    /// Which catalogs sessions were created with.
    pub(super) fingerprints: Fingerprints,
    pub(super) link: LinkConfig,
    pub(super) connect_timeout: Duration,
    pub(super) answer_bytes: usize,
    pub(super) message_bytes: usize,
    pub(super) stream_per_session: bool,
    pub(super) registry: Mutex<Registry>,
    /// How the stream stands: as the worst of its sockets.
    pub(super) state: watch::Sender<LinkState>,
    /// How each socket stands, by the thread that it is for; without one it is for all.
    pub(super) links: Mutex<HashMap<Option<Arc<str>>, LinkState>>,
    /// There may be other threads than before that sockets are for.
    pub(super) threads: Notify,
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

    /// Notes how a socket stands.
    pub(super) fn set_link(&self, thread_id: Option<&Arc<str>>, state: LinkState) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(thread_id.cloned(), state);
        self.conclude(&links);
    }

    /// Forgets the sockets of all other threads.
    pub(super) fn retain_links(&self, threads: &HashSet<Arc<str>>) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|thread, _| {
            thread
                .as_ref()
                .is_none_or(|thread| threads.contains(thread))
        });
        self.conclude(&links);
    }

    fn conclude(&self, links: &HashMap<Option<Arc<str>>, LinkState>) {
        let worst = links.values().max().copied();
        let worst = worst.unwrap_or(LinkState::Connecting);
        // Whoever sleeps until it changes is not woken for nothing.
        self.state
            .send_if_modified(|state| std::mem::replace(state, worst) != worst);
    }

    /// Tells whom it concerns about a frame.
    pub(super) fn deliver(&self, frame: Frame) {
        self.deliver_of(frame, self.generation());
    }

    fn deliver_of(&self, frame: Frame, generation: u64) {
        let is_child = matches!(frame, Frame::Children { .. });
        let delivery = self.registry().take(frame, generation);
        tell(delivery);
        if is_child {
            self.threads.notify_one();
        }
    }

    /// The same for a frame of the stream, which a certain process may have sent. It may be the first word
    /// of a child.
    pub(super) fn deliver_frame(self: &Arc<Self>, frame: Frame, process: Option<u64>) {
        if let Frame::Call { thread_id, .. } = &frame
            && self.registry().is_unknown(thread_id)
        {
            let (shared, thread_id) = (self.clone(), thread_id.clone());
            tokio::spawn(async move { shared.adopt(thread_id).await });
        }
        self.deliver_of(frame, process.unwrap_or_else(|| self.generation()));
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
