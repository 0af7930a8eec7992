//! Pending server requests other than tool calls (approvals, user input), de-duplicated across reconnects: each reaches
//! its handler once, and is dropped when codex resolves it, or ends its turn or thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::connection::Connection;
use super::wire;
use crate::runtime::{CodexReply, CodexRequest, RequestHandler};
use crate::skill::RequestId;

/// Pending requests at most, and their size in bytes; those beyond are refused. As JSON values they take many times as
/// much memory.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Where the answer to a request goes.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) connection: Arc<Connection>,
    pub(super) id: RequestId,
}

impl Address {
    /// Writes an answer; returns whether it was written.
    async fn answer(&self, reply: CodexReply, request: &CodexRequest) -> bool {
        let answer = match reply.into_result(request) {
            Some(result) => wire::result(&self.id, &result),
            None => wire::refusal(&self.id, "codex-skills has no answer to this request"),
        };
        self.connection.write(answer).await
    }
}

/// Identity of a request across announcements: thread, method, turn and item.
type Key = (String, String, String, String);

struct Waiting {
    /// The size of the request, in bytes.
    bytes: usize,
    address: Address,
    task: Option<AbortHandle>,
}

/// The requests that wait for their handlers.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<HashMap<Key, Waiting>>>);

impl Asked {
    /// Whether a request of this size may be added.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let waiting = self.waiting();
        let waits: usize = waiting.values().map(|known| known.bytes).sum();
        waiting.len() < WAITING && waits.saturating_add(bytes) <= WAITING_BYTES
    }

    /// Runs the handler on a task of its own. A request that is pending already is answered at its new address instead.
    pub(super) fn ask(
        &self,
        address: Address,
        request: CodexRequest,
        bytes: usize,
        handler: Option<RequestHandler>,
    ) {
        let key = key(&request, &address);
        let mut waiting = self.waiting();
        if let Some(known) = waiting.get_mut(&key) {
            known.address = address;
            return;
        }
        waiting.insert(
            key.clone(),
            Waiting {
                bytes,
                address,
                task: None,
            },
        );
        let asked = self.clone();
        let id = key.clone();
        let task = tokio::spawn(async move {
            let reply = match handler {
                None => CodexReply::Refuse,
                Some(handler) => {
                    let it = request.clone();
                    let running =
                        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
                            handler.ask(it).await
                        }));
                    // A handler that panics refuses.
                    running.await.unwrap_or(CodexReply::Refuse)
                }
            };
            asked.settle(&id, reply, &request).await;
        });
        if let Some(known) = waiting.get_mut(&key) {
            known.task = Some(task.abort_handle());
        }
    }

    /// Writes the answer to the request's newest address.
    async fn settle(&self, key: &Key, reply: CodexReply, request: &CodexRequest) {
        loop {
            let address = self.waiting().get(key).map(|known| known.address.clone());
            let Some(address) = address else { return };
            let written = address.answer(reply.clone(), request).await;
            let mut waiting = self.waiting();
            let moved = waiting.get(key).is_some_and(|known| {
                known.address.connection.generation != address.connection.generation
            });
            if !moved {
                // If it was not written, codex asks again on the next connection.
                waiting.remove(key);
                drop(waiting);
                if written {
                    tracing::debug!(target: "codex_skills::app_server", method = request.method, "a request of codex is answered");
                }
                return;
            }
        }
    }

    /// Drops requests that codex wants no answer to any more, and stops their handlers.
    pub(super) fn forget(&self, gone: impl Fn(&Subject<'_>) -> bool) {
        self.waiting().retain(|key, known| {
            let (thread_id, _, turn_id, _) = key;
            let goes = gone(&Subject {
                thread_id,
                turn_id,
                id: &known.address.id,
            });
            if goes && let Some(task) = &known.task {
                task.abort();
            }
            !goes
        });
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pending request is about.
pub(super) struct Subject<'a> {
    pub(super) thread_id: &'a str,
    pub(super) turn_id: &'a str,
    pub(super) id: &'a RequestId,
}

fn key(request: &CodexRequest, address: &Address) -> Key {
    let text = |name: &str| request.params.get(name).and_then(serde_json::Value::as_str);
    // Without an item, the request id distinguishes requests.
    let item = match (
        text("approvalId"),
        text("itemId").or_else(|| text("callId")),
    ) {
        (Some(approval), Some(item)) => format!("{item} {approval}"),
        (None, Some(item)) => item.to_owned(),
        (_, None) => format!("{} {}", address.connection.generation, address.id.as_json()),
    };
    (
        request.thread_id.clone().unwrap_or_default(),
        request.method.clone(),
        text("turnId").unwrap_or_default().to_owned(),
        item,
    )
}
