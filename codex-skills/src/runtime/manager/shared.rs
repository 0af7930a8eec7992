//! State shared by the stream's task, the polls and the requests.
//!
//! Locks: `registry` and `asked` are never held together; `sockets` may be taken under `registry`, and the watch
//! `state` is written under `sockets`. No lock is held while an event is delivered, or across an await.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::answer::Outage;
use super::catch_up::Because;
use super::http::Http;
use super::link::{LinkConfig, LinkState};
use super::profile::Settings;
use super::registry::{Delivery, Registry, Which};
use super::server_requests::Asked;
use super::wire::Frame;
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::peer::Sparse;

/// First generation that is no process id. A server that does not report its codex's process id gets a new generation
/// with each connection, since it may have restarted codex.
pub(super) const UNNAMED: u64 = 1 << 63;

/// Unknown threads that are looked up at the same time.
pub(super) const ADOPTING: usize = 64;

/// State shared by the stream's task, the polls and the requests.
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
    /// The outage that answers wait out when they do not reach the server.
    pub(super) outage: Outage,
    /// State of the stream: the worst of its sockets.
    pub(super) state: watch::Sender<LinkState>,
    /// State of each socket, by the thread that it is for; `None` for the one that all share.
    pub(super) sockets: Mutex<HashMap<Option<Arc<str>>, Standing>>,
    pub(super) why_down: Mutex<String>,
    /// Notified when the threads that need a socket may have changed.
    pub(super) threads: Notify,
    /// The codex process that request ids belong to.
    pub(super) generation: AtomicU64,
    pub(super) unnamed: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) malformed: AtomicU64,
    /// Permits for looking up unknown threads.
    pub(super) adopting: Arc<Semaphore>,
    /// Limits log lines about frames that cannot be read.
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

    /// Records the state of a socket.
    pub(super) fn set_link(&self, thread_id: Option<&Arc<str>>, state: LinkState) {
        let mut sockets = self.sockets();
        sockets.entry(thread_id.cloned()).or_default().link = state;
        self.conclude(&sockets);
    }

    /// Returns the pulse of a socket.
    pub(super) fn pulse(&self, thread_id: Option<&Arc<str>>) -> Arc<Pulse> {
        let mut sockets = self.sockets();
        let standing = sockets.entry(thread_id.cloned()).or_default();
        standing.pulse.clone()
    }

    /// Returns the pulse of the socket that brings the frames of a thread.
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
        // Wake waiters only when the state has changed.
        self.state
            .send_if_modified(|state| std::mem::replace(state, worst) != worst);
    }

    /// Applies a frame and delivers its events.
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

    /// Applies a frame of the stream, from codex process `process` where that is known. Looks up a thread that it is
    /// the first to name.
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
                // Too many look-ups run: this thread is looked up with its next call.
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
        // The server reports the end of a turn before its calls expire; without it, codex may be gone (contract §9.4).
        if let Some(thread_id) = expired {
            self.look_after(&thread_id);
        }
    }

    /// Catches up with the session that owns a thread, where a turn of it runs: once at a time, and once more where
    /// that is requested meanwhile.
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

    /// Records the codex process that request ids belong to from now on. A new process counts its requests from 0; an
    /// unknown one may be new.
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

/// A socket's state and pulse.
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

/// Signs of life of a socket, and requests to its task.
#[derive(Default)]
pub(super) struct Pulse {
    /// Number of messages received, of any kind.
    pub(super) messages: AtomicU64,
    /// One more than `messages` was when the peer was pinged last.
    asked: AtomicU64,
    /// The same for when the peer was found not to answer.
    doubted: AtomicU64,
    /// Notified to ping the peer.
    pub(super) ping: Notify,
    /// Notified to replace the socket: a poll found what it should have brought.
    pub(super) replace: Notify,
}

/// Time that a stream has to bring what a poll has found, before it counts as half open.
const GRACE: Duration = Duration::from_millis(250);

impl Pulse {
    /// Has the peer pinged. Returns true, once for each silence, if it was pinged before and has not answered.
    pub(super) fn ask(&self) -> bool {
        let mark = self.messages.load(Ordering::Relaxed) + 1;
        if self.asked.swap(mark, Ordering::Relaxed) != mark {
            self.ping.notify_one();
            return false;
        }
        self.doubted.swap(mark, Ordering::Relaxed) != mark
    }

    /// Has the socket replaced unless a message comes within [`GRACE`]: what a poll found may still be on the way.
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

/// Delivers events. Call it after releasing the registry lock.
pub(super) fn tell(delivery: Option<Delivery>) {
    if let Some(delivery) = delivery {
        delivery.tell();
    }
}
