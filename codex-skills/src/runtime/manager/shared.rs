//! What the stream's task and the requests share: who listens, and which codex process is there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::answer::Outage;
use super::asked::Asked;
use super::catch_up::Because;
use super::http::Http;
use super::link::{LinkConfig, LinkState};
use super::profile::Settings;
use super::registry::{Delivery, Registry, Which};
use super::wire::Frame;
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::peer::Sparse;

/// Generations from here on are not process ids: a server that does not tell its process's id may be
/// another one after each connection.
pub(super) const UNNAMED: u64 = 1 << 63;

/// How many threads that nobody has heard of are asked about at the same time.
pub(super) const ADOPTING: usize = 64;

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
    /// What codex asks besides calls.
    pub(super) asked: Asked,
    /// What answers that find no server wait for.
    pub(super) outage: Outage,
    /// How the stream stands: as the worst of its sockets.
    pub(super) state: watch::Sender<LinkState>,
    /// How each socket stands, by the thread that it is for; without one it is for all.
    pub(super) sockets: Mutex<HashMap<Option<Arc<str>>, Standing>>,
    pub(super) why_down: Mutex<String>,
    /// There may be other threads than before that sockets are for.
    pub(super) threads: Notify,
    /// Which codex process the request ids belong to.
    pub(super) generation: AtomicU64,
    pub(super) unnamed: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) malformed: AtomicU64,
    /// Places for asking whose a thread is.
    pub(super) adopting: Arc<Semaphore>,
    /// Lines about frames that cannot be read.
    pub(super) unread: Sparse,
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
        let mut sockets = self.sockets();
        sockets.entry(thread_id.cloned()).or_default().link = state;
        self.conclude(&sockets);
    }

    /// What is asked of a socket, and heard of it.
    pub(super) fn pulse(&self, thread_id: Option<&Arc<str>>) -> Arc<Pulse> {
        let mut sockets = self.sockets();
        let standing = sockets.entry(thread_id.cloned()).or_default();
        standing.pulse.clone()
    }

    /// The same for the socket that brings the frames of a thread.
    pub(super) fn pulse_of(&self, thread_id: &Arc<str>) -> Option<Arc<Pulse>> {
        let thread_id = self.stream_per_session.then(|| thread_id.clone());
        Some(self.sockets().get(&thread_id)?.pulse.clone())
    }

    /// Notes why the stream is down.
    pub(super) fn note_down(&self, why: String) {
        *self.why_down.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why the stream is down, where that is known.
    pub(super) fn why_down(&self) -> String {
        let why = self.why_down.lock();
        why.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the sockets of all other threads.
    pub(super) fn retain_links(&self, threads: &HashSet<Arc<str>>) {
        let mut sockets = self.sockets();
        sockets.retain(|thread, _| {
            thread
                .as_ref()
                .is_none_or(|thread| threads.contains(thread))
        });
        self.conclude(&sockets);
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, Standing>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conclude(&self, sockets: &HashMap<Option<Arc<str>>, Standing>) {
        let worst = sockets.values().map(|socket| socket.link).max();
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
        match &frame {
            Frame::TurnCompleted { thread_id, end } => {
                self.forget_questions(thread_id, Some(&end.turn_id));
            }
            Frame::Deleted { session_id } => self.forget_questions(session_id, None),
            Frame::Decided {
                thread_id,
                kind,
                id,
            } => self.decided(thread_id, *kind, id),
            _ => {}
        }
        let delivery = self.registry().take(frame, generation);
        tell(delivery);
        if is_child {
            self.threads.notify_one();
        }
    }

    /// The same for a frame of the stream, which a certain process may have sent. It may be the first word
    /// of a child.
    pub(super) fn deliver_frame(self: &Arc<Self>, frame: Frame, process: Option<u64>) {
        if let Frame::Call { thread_id, .. } | Frame::Asked { thread_id, .. } = &frame
            && self.registry().is_unknown(thread_id)
        {
            match self.adopting.clone().try_acquire_owned() {
                Ok(place) => {
                    let (shared, thread_id) = (self.clone(), thread_id.clone());
                    tokio::spawn(async move {
                        shared.adopt(thread_id).await;
                        drop(place);
                    });
                }
                // Too many are asked about: this one is with its next call.
                Err(_) => self.registry().ask_again(thread_id),
            }
        }
        if let Frame::Asked {
            thread_id,
            question,
        } = &frame
        {
            self.ask(thread_id, question.clone());
        }
        let expired = match &frame {
            Frame::Resolved {
                thread_id,
                is_expired: true,
                ..
            } => Some(thread_id.clone()),
            _ => None,
        };
        self.deliver_of(frame, process.unwrap_or_else(|| self.generation()));
        // The end of a turn is told before its calls expire: without one, codex may be gone (contract, Expiry).
        if let Some(thread_id) = expired {
            self.look_after(&thread_id);
        }
    }

    /// Catches up with the session that serves a thread, where a turn of it runs: once at a time, and once more where
    /// that is asked for meanwhile.
    fn look_after(self: &Arc<Self>, thread_id: &Arc<str>) {
        let Some(session_id) = self.registry().begin_look(thread_id) else {
            return;
        };
        let shared = self.clone();
        tokio::spawn(async move {
            loop {
                let which = Which::Of(session_id.clone());
                shared.catch_up(&which, Because::Asked).await;
                if !shared.registry().end_look(&session_id) {
                    return;
                }
            }
        });
    }

    /// Notes which codex process request ids belong to from now on. One that was started anew counts its
    /// requests from 0 again; one that is not known may have been.
    pub(super) fn now_is(&self, process: Option<u64>) {
        let generation =
            process.unwrap_or_else(|| UNNAMED + self.unnamed.fetch_add(1, Ordering::SeqCst));
        if self.generation.swap(generation, Ordering::SeqCst) == generation || process.is_none() {
            return;
        }
        self.forget_all_questions();
        let deliveries = self.registry().restarted(generation);
        for delivery in deliveries {
            tell(Some(delivery));
        }
    }
}

/// How a socket stands.
pub(super) struct Standing {
    link: LinkState,
    pulse: Arc<Pulse>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            link: LinkState::Connecting,
            pulse: Arc::default(),
        }
    }
}

/// What is asked of a socket, and heard of it.
#[derive(Default)]
pub(super) struct Pulse {
    /// How many messages came, whatever they were.
    pub(super) messages: AtomicU64,
    /// How many messages had come, and one, when the other side was asked whether it is there.
    asked: AtomicU64,
    /// The same for when it was found not to answer.
    doubted: AtomicU64,
    /// Asks the other side whether it is there.
    pub(super) ping: Notify,
    /// Gives the socket up: what it should have brought was found without it.
    pub(super) replace: Notify,
}

/// How long a stream may take to bring what a poll has found, before it is half open.
const GRACE: Duration = Duration::from_millis(250);

impl Pulse {
    /// Asks the other side whether it is there. Tells, once for a silence, whether it was asked before and has not
    /// answered.
    pub(super) fn ask(&self) -> bool {
        let mark = self.messages.load(Ordering::Relaxed) + 1;
        if self.asked.swap(mark, Ordering::Relaxed) != mark {
            self.ping.notify_one();
            return false;
        }
        self.doubted.swap(mark, Ordering::Relaxed) != mark
    }

    /// Has the socket replaced, unless something comes within a moment: it should have brought what was found without
    /// it, and that may be on the way.
    pub(super) fn doubt(self: Arc<Self>) {
        let before = self.messages.load(Ordering::Relaxed);
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            if self.messages.load(Ordering::Relaxed) == before {
                self.replace.notify_one();
            }
        });
    }
}

/// Outside of the registry's lock.
pub(super) fn tell(delivery: Option<Delivery>) {
    if let Some(delivery) = delivery {
        delivery.tell();
    }
}
