//! Pending questions (server requests other than tool calls): each is put to its handler once, whatever is replayed, or
//! left to the people at the server's web pages, and dropped as soon as no decision is wanted any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use reqwest::Method;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::address;
use super::exchange::{Holds, Request};
use super::failure;
use super::question::{self, Kind, Question};
use super::shared::Shared;
use crate::runtime::{CodexReply, CodexRequest, Event, EventSink, RequestHandler, RuntimeError};

/// Pending questions at most, and their size in bytes; those beyond are left to others. As JSON values they take many
/// times as much memory.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Identity of a question across announcements. The id alone does not do: it begins at 0 with each codex process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    thread_id: Arc<str>,
    kind: Kind,
    id: Arc<str>,
    turn_id: Option<Arc<str>>,
    item_id: Option<Arc<str>>,
}

struct Waiting {
    asked_in: AskedIn,
    request: CodexRequest,
    /// The size of the question, in bytes.
    bytes: usize,
    /// Ends the wait for a handler; without one it is left to others.
    handler: Option<CancellationToken>,
    /// It was decided. It is remembered until its turn ends, since a list that was made before still has it.
    is_decided: bool,
}

impl Waiting {
    /// Notes the decision; whether there was none before.
    fn decide(&mut self) -> bool {
        if let Some(handler) = &self.handler {
            handler.cancel();
        }
        !std::mem::replace(&mut self.is_decided, true)
    }
}

/// Where a question is asked.
#[derive(Clone)]
pub(super) struct AskedIn {
    /// The session that answers for the thread.
    pub(super) session_id: Arc<str>,
    /// Its turn.
    pub(super) turn_id: Option<Arc<str>>,
    pub(super) events: Weak<dyn EventSink>,
    pub(super) handler: Option<RequestHandler>,
}

/// The questions that wait.
#[derive(Default)]
pub(super) struct Asked(Mutex<HashMap<Key, Waiting>>);

impl Asked {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes questions away that need no decision any more.
    fn take(&self, gone: impl Fn(&Key, &Waiting) -> bool) -> Vec<(Key, Waiting)> {
        let taken: Vec<_> = self
            .waiting()
            .extract_if(|key, known| gone(key, known))
            .collect();
        for (_, known) in &taken {
            if let Some(handler) = &known.handler {
                handler.cancel();
            }
        }
        taken
    }

    /// Remembers that a question was decided, as long as its turn runs. One without a turn would be remembered for too
    /// long: the next process may ask another one by its id.
    fn keep(&self, key: &Key) {
        let mut waiting = self.waiting();
        if key.turn_id.is_none() {
            waiting.remove(key);
        } else if let Some(known) = waiting.get_mut(key) {
            known.decide();
        }
    }

    /// Notes what was decided elsewhere, or here. Returns what had been left to others till then.
    fn decide(&self, decided: impl Fn(&Key) -> bool) -> Vec<(Key, AskedIn)> {
        let mut waiting = self.waiting();
        let mut left = Vec::new();
        for (key, known) in waiting.iter_mut().filter(|(key, _)| decided(key)) {
            if known.decide() && known.handler.is_none() {
                left.push((key.clone(), known.asked_in.clone()));
            }
        }
        waiting.retain(|key, _| key.turn_id.is_some() || !decided(key));
        left
    }
}

/// Reports that a question which was left to others is settled.
fn settled(key: Key, asked_in: &AskedIn) {
    if let Some(sink) = asked_in.events.upgrade() {
        sink.deliver(Event::RequestSettled {
            turn_id: asked_in.turn_id.clone(),
            id: key.id,
        });
    }
}

impl Shared {
    /// Puts a question to the handler of its session, where the session is one of this client's.
    pub(super) fn ask(self: &Arc<Self>, thread_id: &Arc<str>, question: Question) {
        let turn_id = question.turn_id.as_ref();
        let Some(asked_in) = self.registry().asked_in(thread_id, turn_id) else {
            return;
        };
        let key = Key {
            thread_id: thread_id.clone(),
            kind: question.kind,
            id: question.id,
            turn_id: question.turn_id,
            item_id: question.item_id,
        };
        let request = CodexRequest::new(&question.method, Some(thread_id), question.params);
        let decides = asked_in.handler.clone().filter(|handler| !handler.leaves());
        let mut waiting = self.asked.waiting();
        if waiting.contains_key(&key) {
            return;
        }
        let is_full = |waiting: &HashMap<Key, Waiting>| {
            let bytes: usize = waiting.values().map(|known| known.bytes).sum();
            waiting.len() >= WAITING || bytes + question.bytes > WAITING_BYTES
        };
        if is_full(&waiting) {
            waiting.retain(|_, known| !known.is_decided);
        }
        if is_full(&waiting) {
            return;
        }
        let handler = decides.map(|decides| self.put(key.clone(), request.clone(), decides));
        let is_left = handler.is_none();
        let known = Waiting {
            asked_in: asked_in.clone(),
            request: request.clone(),
            bytes: question.bytes,
            handler,
            is_decided: false,
        };
        waiting.insert(key.clone(), known);
        drop(waiting);
        if is_left {
            self.leave(&key, asked_in, request);
        }
    }

    /// Has a handler decide, on a task of its own.
    fn put(
        self: &Arc<Self>,
        key: Key,
        request: CodexRequest,
        handler: RequestHandler,
    ) -> CancellationToken {
        let no_use = CancellationToken::new();
        let (shared, ended) = (self.clone(), no_use.clone());
        tokio::spawn(async move {
            let asked = request.clone();
            let deciding =
                AbortOnDropHandle::new(tokio::spawn(async move { handler.ask(asked).await }));
            let Some(reply) = ended.run_until_cancelled_owned(deciding).await else {
                return;
            };
            // A handler that panics refuses.
            let reply = reply.unwrap_or(CodexReply::Refuse);
            let decision = question::decision(key.kind, reply, &request);
            match shared.decide(&key, &decision).await {
                Ok(()) => shared.asked.keep(&key),
                Err(error) => {
                    tracing::warn!(target: "codex_skills::manager", method = request.method, %error, "a decision was not taken");
                    // It is asked again, if codex still wants a decision.
                    shared.asked.waiting().remove(&key);
                }
            }
        });
        no_use
    }

    async fn decide(&self, key: &Key, decision: &serde_json::Value) -> Result<(), RuntimeError> {
        let operation = "take the decision";
        let path = key.kind.path(operation, &key.id)?;
        let request = Request {
            operation,
            method: Method::POST,
            path: &path,
            body: Some(decision.to_string().into_bytes()),
            holds: Holds::Word,
        };
        let response = self.http.send_again(request).await?;
        match response.status.as_u16() {
            // It was decided elsewhere, or codex wants no decision any more.
            200..=299 | 404 | 409 | 410 => Ok(()),
            _ => Err(failure::of(
                operation,
                &Method::POST,
                &path,
                &response,
                None,
            )),
        }
    }

    /// Reports that a question is left to others, and how to decide it.
    fn leave(&self, key: &Key, asked_in: AskedIn, request: CodexRequest) {
        let path = key.kind.path("take the decision", &key.id);
        let path = path.unwrap_or_default();
        tracing::warn!(
            target: "codex_skills::manager",
            session = &*asked_in.session_id,
            method = failure::plain(&request.method),
            "codex waits for a decision that is left to people: decide on codex-manager's web page, or POST {} to {}; a \
             session opened with `on_request` decides itself",
            key.kind.example(),
            super::profile::shown(&self.http.url(&path)),
        );
        if let Some(sink) = asked_in.events.upgrade() {
            sink.deliver(Event::RequestWaiting {
                turn_id: asked_in.turn_id,
                id: key.id.clone(),
                request: Box::new(request),
            });
        }
    }

    /// A question was decided, or its time is over.
    pub(super) fn decided(&self, thread_id: &Arc<str>, kind: Kind, id: &Arc<str>) {
        let left = self
            .asked
            .decide(|key| key.thread_id == *thread_id && key.kind == kind && key.id == *id);
        for (key, asked_in) in left {
            settled(key, &asked_in);
        }
    }

    /// A turn of a thread ended, with what it asked; without one all of them.
    pub(super) fn forget_questions(&self, thread_id: &Arc<str>, turn_id: Option<&Arc<str>>) {
        self.settle(|key, _| {
            key.thread_id == *thread_id
                && turn_id.is_none_or(|turn_id| key.turn_id.as_ref() == Some(turn_id))
        });
    }

    /// Another codex process runs: nothing that was asked is wanted any more.
    pub(super) fn forget_all_questions(&self) {
        self.settle(|_, _| true);
    }

    fn settle(&self, gone: impl Fn(&Key, &Waiting) -> bool) {
        for (key, known) in self.asked.take(gone) {
            if known.handler.is_none() && !known.is_decided {
                settled(key, &known.asked_in);
            }
        }
    }

    /// Puts to a session's new handler the questions that were left to others.
    pub(super) fn decides(self: &Arc<Self>, session_id: &str, handler: &RequestHandler) {
        if handler.leaves() {
            return;
        }
        let left = |_: &Key, known: &Waiting| {
            known.handler.is_none()
                && !known.is_decided
                && *known.asked_in.session_id == *session_id
        };
        for (key, known) in self.asked.take(left) {
            let event = Event::RequestSettled {
                turn_id: known.asked_in.turn_id.clone(),
                id: key.id.clone(),
            };
            let sink = known.asked_in.events.upgrade();
            {
                // A handler that decides at once finds the question here.
                let mut waiting = self.asked.waiting();
                let handler = self.put(key.clone(), known.request.clone(), handler.clone());
                let handler = Some(handler);
                waiting.insert(key, Waiting { handler, ..known });
            }
            if let Some(sink) = sink {
                sink.deliver(event);
            }
        }
    }

    /// Lists the pending questions of a thread; puts new ones to the handler, and drops those that are gone.
    pub(super) async fn catch_up_questions(self: &Arc<Self>, thread_id: &Arc<str>) {
        for kind in Kind::ALL {
            let operation = "list what waits for a decision";
            let Ok(path) = address::path(operation, "/sessions", thread_id, kind.list()) else {
                return;
            };
            let request = Request {
                operation,
                method: Method::GET,
                path: &path,
                body: None,
                holds: Holds::Values,
            };
            // What is asked meanwhile may be missing in the list.
            let known = self.known_questions(thread_id, kind);
            let Ok(response) = self.http.send(request).await else {
                return;
            };
            if !response.status.is_success() {
                continue;
            }
            let read = question::questions(kind, &response.body, WAITING, WAITING_BYTES);
            let Some(listed) = read else { continue };
            for id in known {
                let is_listed = |question: &Question| question.id == id;
                if !listed.is_cut && !listed.questions.iter().any(is_listed) {
                    self.decided(thread_id, kind, &id);
                }
            }
            for question in listed.questions {
                self.ask(thread_id, question);
            }
        }
    }

    fn known_questions(&self, thread_id: &Arc<str>, kind: Kind) -> Vec<Arc<str>> {
        let waiting = self.asked.waiting();
        let keys = waiting.keys();
        keys.filter(|key| key.thread_id == *thread_id && key.kind == kind)
            .map(|key| key.id.clone())
            .collect()
    }
}
