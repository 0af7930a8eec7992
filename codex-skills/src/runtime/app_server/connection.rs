//! One connection to codex: matches requests of this client with their answers, and queues what is written.
//!
//! Invariants: a request has one result, and [`RequestError::is_unclear`] says where codex may have acted on it all the
//! same; a receipt or sender that is accepted into the queue fires when its message is written, and is dropped when it
//! will not be.
//!
//! Life cycle: [`Connection::new`] spawns the writer; `close` lets it write what is queued and ends it; `set_lost`
//! fails all requests at once. Either way the writer ends, and `closed` returns.
//!
//! Locks: `requests` alone, held for one statement. Room in the queue is counted in messages and in KiB of large ones:
//! acquire the KiB first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::transport::{self, Frame, Outgoing, Writer, Written};
use super::version::Version;
use super::wire::{self, RpcError};
use crate::runtime::{Receipt, RuntimeError, RuntimeErrorKind, Submission};

/// Name of the runtime in messages.
pub(super) const NAME: &str = "codex app-server";

/// Messages that may wait to be written.
const QUEUE: usize = 1024;
/// KiB of large messages that may wait to be written; and the size in bytes up to which a message is small.
const QUEUE_KIB: u32 = 16 * 1024;
const SMALL_BYTES: usize = 4 * 1024;

/// Error code of a request that codex refused because it is overloaded (contract §4).
const OVERLOADED: i64 = -32001;
/// Attempts when codex reports overload.
const OVERLOADED_ATTEMPTS: usize = 10;

type Answer = Result<Box<RawValue>, RpcError>;

/// A connection, or a process and its pipes.
#[derive(Debug)]
pub(super) struct Connection {
    /// Number of this connection among those of the client. Request ids are meaningful within it only.
    pub(super) generation: u64,
    /// Largest message in bytes, where there is a limit.
    pub(super) message_limit: Option<usize>,
    outgoing: mpsc::Sender<Outgoing>,
    /// Room for large messages, in KiB.
    room: Arc<Semaphore>,
    requests: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next: AtomicU64,
    /// Codex reports which answers it took.
    tells_answers: AtomicBool,
    closing: CancellationToken,
    lost: CancellationToken,
}

/// Why a request has no result.
#[derive(Clone, Debug)]
pub(super) enum RequestError {
    /// Codex refused it.
    Refused(RpcError),
    /// Codex went away; what became of the request is not known.
    Lost,
    /// Codex did not answer in time.
    Silent(Duration),
    /// It is larger than the connection carries.
    TooLarge { bytes: usize, limit: usize },
    /// It cannot be written as JSON.
    Unwritable(String),
    /// Codex did it, and its answer cannot be read.
    Unreadable(String),
}

impl RequestError {
    /// Whether codex said so in these words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused(error) if error.message.contains(words))
    }

    /// Whether codex found the thread's file without anything in it. A codex that was killed between making the file and
    /// writing to it leaves it so; one that runs writes to it in a moment.
    pub(super) fn says_empty(&self) -> bool {
        self.says("is empty") || self.says("empty session file")
    }

    /// Whether codex may have done what it was asked.
    pub(super) fn is_unclear(&self) -> bool {
        matches!(self, Self::Lost | Self::Silent(_) | Self::Unreadable(_))
    }

    pub(super) fn into_runtime(self, operation: &'static str) -> RuntimeError {
        let (kind, message) = match self {
            Self::Refused(error) => {
                let kind = if ["not found", "no rollout found", "not loaded"]
                    .iter()
                    .any(|words| error.message.contains(words))
                {
                    RuntimeErrorKind::NotFound
                } else if error.code == OVERLOADED {
                    RuntimeErrorKind::Unavailable
                } else {
                    RuntimeErrorKind::Refused
                };
                // Codex lists all of its methods where it does not know one.
                let message = match error.message.split_once(", expected one of") {
                    Some((said, _)) => said.to_owned(),
                    None => error.message,
                };
                (kind, message)
            }
            Self::Lost => (
                RuntimeErrorKind::Unavailable,
                "codex went away before it answered; whether it took the request is not known"
                    .to_owned(),
            ),
            Self::Silent(after) => (
                RuntimeErrorKind::Unavailable,
                format!("no answer within {after:?}"),
            ),
            Self::TooLarge { bytes, limit } => (
                RuntimeErrorKind::Refused,
                format!("the request has {bytes} bytes, and the connection carries {limit}"),
            ),
            Self::Unwritable(error) => (RuntimeErrorKind::Refused, error),
            Self::Unreadable(error) => (
                RuntimeErrorKind::Unknown,
                format!("the answer cannot be read: {error}"),
            ),
        };
        RuntimeError::new(NAME, operation, kind, message)
    }
}

impl Connection {
    /// Writes to `writer` from now on. Within a tokio runtime only.
    pub(super) fn new(generation: u64, message_limit: Option<usize>, writer: Writer) -> Self {
        let (outgoing, mut queue) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let lost = CancellationToken::new();
        let (close, over) = (closing.clone(), lost.clone());
        tokio::spawn(async move {
            // Also when it panics: without a writer there is no connection.
            let ended = over.clone().drop_guard();
            transport::write(writer, &mut queue, close, over).await;
            drop(ended);
            // Drain senders that reserved a slot, so that their receipts fire.
            while queue.recv().await.is_some() {}
        });
        Self {
            generation,
            message_limit,
            outgoing,
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            requests: Mutex::default(),
            next: AtomicU64::new(1),
            tells_answers: AtomicBool::new(true),
            closing,
            lost,
        }
    }

    /// Sends a request and waits for its answer. Sends it again when codex reports overload, since it was not begun.
    pub(super) async fn request(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<Box<RawValue>, RequestError> {
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(OVERLOADED_ATTEMPTS - 1)
            .build();
        loop {
            match self.request_once(method, params, timeout).await {
                Err(RequestError::Refused(error)) if error.code == OVERLOADED => {
                    let Some(delay) = delays.next() else {
                        return Err(RequestError::Refused(error));
                    };
                    tracing::debug!(target: "codex_skills::app_server", method, ?delay, "codex has too much to do");
                    tokio::time::sleep(delay).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn request_once(
        &self,
        method: &str,
        params: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<Box<RawValue>, RequestError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let bytes = wire::request(id, method, params)
            .map_err(|error| RequestError::Unwritable(error.to_string()))?;
        if let Some(limit) = self.message_limit
            && bytes.len() > limit
        {
            return Err(RequestError::TooLarge {
                bytes: bytes.len(),
                limit,
            });
        }
        let (sender, answer) = oneshot::channel();
        self.requests().insert(id, sender);
        let _waiting = Waiting {
            connection: self,
            id,
        };
        let answered = async {
            if !self.write(bytes).await {
                return Err(RequestError::Lost);
            }
            tokio::select! {
                biased;
                answer = answer => match answer {
                    Ok(answer) => answer.map_err(RequestError::Refused),
                    Err(_) => Err(RequestError::Lost),
                },
                () = self.lost.cancelled() => Err(RequestError::Lost),
            }
        };
        tokio::time::timeout(timeout, answered)
            .await
            .unwrap_or(Err(RequestError::Silent(timeout)))
    }

    /// Returns the outcome of an answer that was written.
    pub(super) fn passed_on(&self) -> Submission {
        if self.tells_answers.load(Ordering::Relaxed) {
            Submission::Written
        } else {
            Submission::Accepted
        }
    }

    /// Records the version of the connected codex.
    pub(super) fn leads_to(&self, version: Option<Version>) {
        let tells = version.is_none_or(|version| version >= Version::TELLS_ANSWERS);
        self.tells_answers.store(tells, Ordering::Relaxed);
    }

    /// Queues an answer, whose receipt fires when it is written. Returns the receipt if there is no room now.
    pub(super) fn write_now(&self, message: Vec<u8>, receipt: Receipt) -> Result<(), Receipt> {
        let room = match kib(message.len()) {
            None => None,
            Some(kib) => match self.room.clone().try_acquire_many_owned(kib) {
                Ok(room) => Some(room),
                Err(_) => return Err(receipt),
            },
        };
        match self.outgoing.try_reserve() {
            Ok(place) => {
                place.send(Outgoing {
                    room,
                    frame: Frame::Message(message),
                    written: Written::Answer(receipt, self.passed_on()),
                });
                Ok(())
            }
            Err(_) => Err(receipt),
        }
    }

    /// Writes a message; returns whether it was written.
    pub(super) async fn write(&self, message: Vec<u8>) -> bool {
        let room = self.room(message.len()).await;
        self.write_in(room, message).await
    }

    /// Waits for room for a large message; a small one needs none.
    pub(super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.room.clone().acquire_many_owned(kib(bytes)?).await.ok()
    }

    /// Writes a message for which there is room; returns whether it was written.
    pub(super) async fn write_in(
        &self,
        room: Option<OwnedSemaphorePermit>,
        message: Vec<u8>,
    ) -> bool {
        let (written, wrote) = oneshot::channel();
        let outgoing = Outgoing {
            room,
            frame: Frame::Message(message),
            written: Written::Message(written),
        };
        self.outgoing.send(outgoing).await.is_ok() && wrote.await.is_ok()
    }

    /// Queues a ping. Never waits: a full queue is itself a sign that the peer does not read.
    pub(super) fn ping(&self) {
        // The heartbeat detects a full or closed queue by the silence.
        let _ = self.outgoing.try_send(Outgoing {
            room: None,
            frame: Frame::Ping,
            written: Written::Ping,
        });
    }

    /// Passes an answer to its request, if that still waits.
    pub(super) fn answered(&self, id: u64, outcome: Result<&RawValue, RpcError>) {
        let Some(waiting) = self.requests().remove(&id) else {
            return;
        };
        // The caller may have dropped its request.
        let _ = waiting.send(outcome.map(ToOwned::to_owned));
    }

    /// Marks the connection as lost, and fails its requests.
    pub(super) fn set_lost(&self) {
        self.lost.cancel();
        self.requests().clear();
    }

    /// Closes the connection after what is queued was written.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until the queue was written out after [`close`](Self::close), or the connection is lost.
    pub(super) async fn closed(&self) {
        self.lost.cancelled().await;
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the KiB of room that a message takes: none if it is small, at most all of it.
fn kib(bytes: usize) -> Option<u32> {
    let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
    (bytes > SMALL_BYTES).then(|| kib.clamp(1, QUEUE_KIB))
}

/// Removes a request from the table when its caller stops waiting.
struct Waiting<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.connection.requests().remove(&self.id);
    }
}
