//! The heart of a session, shared by its handles: what it was opened with, and waiting for what becomes of it.
//!
//! What it knows is in its [`state`](super::state), a pure machine behind one lock. What happens goes in and is carried out in
//! [`driver`](super::driver). The locks of a session are never held together: the state's, the readers', the spans'.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::delivery::{Running, SessionState};
use super::introduction::Introduction;
use super::shared::ClientShared;
use super::signals::Queue;
use super::spans::Spans;
use super::state::{Closed, Left, Opening, OpeningId, State, Turn};
use crate::catalog::Catalog;
use crate::dispatch::{Executor, Limits};
use crate::error::Error;
use crate::runtime::{EventSink, RequestHandler, Runtime, RuntimeError};
use crate::skill::ToolCall;
use crate::skill::context::Interest;

/// Defaults of `send`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendDefaults {
    /// Which requests begin with what the tools do not say: each or none, or only the first.
    pub(crate) inject_skills: Option<bool>,
    pub(crate) repeat_tools: bool,
}

impl Default for SendDefaults {
    fn default() -> Self {
        Self {
            inject_skills: None,
            repeat_tools: true,
        }
    }
}

/// One session of one client. The handles on it share it; the runtime holds it weakly.
pub(crate) struct SessionCore {
    pub(crate) id: Arc<str>,
    pub(crate) client: Arc<ClientShared>,
    pub(crate) send_defaults: SendDefaults,
    pub(crate) introduction: Introduction,
    /// Where background work of the session runs.
    pub(crate) tokio: Handle,
    pub(super) executor: Executor,
    state: SessionState,
    /// Which opening of the session this is.
    pub(super) opening: OpeningId,
    /// Lost when everything is cancelled, now and later.
    pub(super) interest: Interest,
    /// Whether the session was opened with its catalog.
    has_catalog: bool,
    /// The fingerprint of the tools that the session was created with, once it was asked for, where it is known.
    created_with: OnceLock<Option<Arc<str>>>,
    /// Whether a call was left to others.
    has_left: AtomicBool,
    pub(super) changed: Notify,
    readers: Mutex<Vec<Weak<Queue>>>,
    /// What answers what codex asks besides calls.
    requests: Mutex<Option<RequestHandler>>,
    pub(super) spans: Spans,
    pub(super) this: Weak<Self>,
}

impl SessionCore {
    /// Makes the core and subscribes it to the session's events. Within a tokio runtime only.
    ///
    /// Without a catalog, calls are left alone unless it is [known](Self::set_created_with) that the session was created
    /// without tools.
    pub(crate) fn subscribe(
        client: Arc<ClientShared>,
        id: Arc<str>,
        catalog: Option<Catalog>,
        limits: Limits,
        send_defaults: SendDefaults,
    ) -> Arc<Self> {
        let has_catalog = catalog.is_some();
        let catalog = catalog.unwrap_or_else(Catalog::empty);
        let state = client.state(&id, &limits);
        let opening = state.lock().open(&limits);
        let introduction = client.introduction(&id);
        let (runtime, common) = (client.runtime.clone(), client.common.clone());
        let executor = Executor::new(catalog.clone(), runtime, limits, common);
        let core = Arc::new_cyclic(|core: &Weak<Self>| Self {
            id: id.clone(),
            send_defaults,
            introduction,
            tokio: Handle::current(),
            executor,
            state,
            opening,
            interest: Interest::default(),
            has_catalog,
            created_with: OnceLock::new(),
            has_left: AtomicBool::new(false),
            changed: Notify::new(),
            readers: Mutex::default(),
            requests: Mutex::default(),
            spans: Spans::new(id.clone(), client.runtime.name(), catalog.len()),
            this: core.clone(),
            client,
        });
        core.client.remember(&core);
        let sink: Weak<dyn EventSink> = Arc::downgrade(&(core.clone() as Arc<dyn EventSink>));
        core.client.runtime.subscribe(id, sink);
        core
    }

    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.client.runtime
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        self.executor.catalog()
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.executor.limits()
    }

    /// What the session knows, locked. Nothing else is locked before it is unlocked.
    pub(super) fn state(&self) -> MutexGuard<'_, State<Arc<Running>>> {
        self.state.lock()
    }

    /// Looks at what the session knows of its turns and of its end.
    pub(super) fn look<T: Default>(&self, look: impl FnOnce(&mut Opening) -> T) -> T {
        self.state()
            .opening(self.opening)
            .map(look)
            .unwrap_or_default()
    }

    /// Has what codex asks besides calls answered by `handler`. Without one it is left to the people who attend the
    /// session, where there are some and no guard owns it, and else refused, if the session's calls are answered here.
    pub(crate) fn answer_requests(&self, handler: Option<RequestHandler>, is_guarded: bool) {
        let is_attended = self.runtime().is_attended() && !is_guarded;
        let unasked = || match is_attended {
            true => Some(RequestHandler::leave()),
            false => self.has_catalog.then(RequestHandler::refuse),
        };
        let handler = handler.or_else(unasked);
        if let Some(handler) = handler {
            *self.requests.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler.clone());
            self.runtime().set_request_handler(&self.id, handler);
        }
    }

    /// Who answers what codex asks besides calls.
    pub(crate) fn requests(&self) -> Option<RequestHandler> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the session was opened with its catalog.
    pub(crate) fn has_catalog(&self) -> bool {
        self.has_catalog
    }

    /// Notes the fingerprint of the tools that the session was created with, or that it is not known.
    pub(crate) fn set_created_with(&self, fingerprint: Option<Arc<str>>) {
        // Set once, when the session is opened.
        let _ = self.created_with.set(fingerprint);
    }

    /// The fingerprint of the tools that the session was created with, where it is known.
    pub(crate) fn created_with(&self) -> Option<&str> {
        if self.has_catalog {
            return Some(self.catalog().fingerprint());
        }
        self.created_with.get()?.as_deref()
    }

    /// The same, unless it is only what a handle was opened with.
    pub(crate) fn known_fingerprint(&self) -> Option<Arc<str>> {
        self.created_with.get()?.clone()
    }

    /// Whether calls of the session are left to those who have its catalog. Not knowing whether it has tools is not
    /// knowing that it has none.
    pub(super) fn leaves_calls(&self) -> bool {
        let has_no_tools = |created: &Arc<str>| **created == *self.catalog().fingerprint();
        !self.has_catalog
            && !self
                .known_fingerprint()
                .is_some_and(|created| has_no_tools(&created))
    }

    /// Whether a call is left to others: all are without the catalog. With a catalog that may not be the session's, those
    /// of tools that it does not have, where others can answer (contract §2.8).
    pub(crate) fn leaves(&self, call: &ToolCall) -> bool {
        self.leaves_where(self.runtime().is_shared(), call)
    }

    /// The same on a runtime that others use as well, or that they do not.
    pub(super) fn leaves_where(&self, is_shared: bool, call: &ToolCall) -> bool {
        if !self.has_catalog {
            return self.leaves_calls();
        }
        is_shared
            && self.created_with.get().is_none_or(Option::is_none)
            && self.catalog().find(call.namespace(), &call.tool).is_none()
    }

    /// Leaves a call to others. Where there are none, those that wait for its turn get an error.
    pub(super) fn leave(&self, call: &ToolCall) {
        if !self.runtime().is_shared() {
            self.look(|opening| opening.leave(call));
        }
        if !self.has_left.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "codex_skills::session",
                session = &*self.id,
                tool = &*call.tool,
                "calls are left to others: the session was opened without its catalog, or with another one"
            );
        }
    }

    /// Whether calls can be answered: not without the catalog.
    pub(crate) fn check_catalog(&self) -> Result<(), Error> {
        if self.leaves_calls() {
            let has_tools = if self.known_fingerprint().is_some() {
                "has tools, and was opened without their catalog"
            } else {
                "was opened without its catalog"
            };
            return Err(self.without_catalog(has_tools));
        }
        Ok(())
    }

    fn without_catalog(&self, what: &str) -> Error {
        Error::option(
            "catalog",
            format!(
                "session {} {what}: its calls are answered by who opens it with `.catalog(..)`",
                self.id
            ),
        )
    }

    /// Remembers the turns that end while the guard lives, however many.
    pub(crate) fn watch(&self) -> Watching<'_> {
        Watching {
            core: self,
            since: self.look(Opening::watch),
        }
    }

    /// Refuses what only an open session can do.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        let closed = self.look(|opening| opening.closed().cloned());
        closed.map_or(Ok(()), |closed| Err(self.closed_error(closed)))
    }

    /// What a failed request comes to: where the session was lost meanwhile, sending it again does not help.
    pub(crate) fn or_lost(&self, error: RuntimeError) -> Error {
        let closed = self.look(|opening| opening.closed().cloned());
        let lost = closed.filter(|closed| closed.is_lost);
        lost.map_or_else(|| error.into(), |closed| self.closed_error(closed))
    }

    fn closed_error(&self, closed: Closed) -> Error {
        Error::SessionClosed {
            session_id: self.id.to_string(),
            reason: closed.reason,
            is_lost: closed.is_lost,
            turn: None,
        }
    }

    /// Waits until a turn is over, or the session closed; or until something that codex asks in it was left to others for
    /// so long without a decision, which is returned. Cancel safe.
    pub(crate) async fn turn_ended(
        &self,
        turn_id: &str,
        patience: Duration,
    ) -> Result<Option<Left>, Error> {
        let mut waits: Option<Left> = None;
        loop {
            let news = self.until(|opening| {
                let turn = opening.turn(turn_id);
                if turn.is_some_and(Turn::has_ended) {
                    return Some(Ok(None));
                }
                if let Some(tool) = turn.and_then(|turn| turn.left.as_ref()) {
                    let waits =
                        format!("was opened without its catalog, and a call of `{tool}` waits");
                    return Some(Err(self.without_catalog(&waits)));
                }
                if let Some(closed) = opening.closed() {
                    return Some(Err(self.closed_error(closed.clone())));
                }
                let left = turn.and_then(|turn| turn.undecided.first());
                (left != waits.as_ref()).then(|| Ok(Some(left.cloned())))
            });
            let until = waits.as_ref().map(|left| left.since.checked_add(patience));
            let news = match until.flatten() {
                None => news.await,
                Some(until) => match tokio::time::timeout_at(until, news).await {
                    Ok(news) => news,
                    Err(_) => return Ok(waits),
                },
            };
            match news? {
                None => return Ok(None),
                Some(left) => waits = left,
            }
        }
    }

    /// Waits until the session is closed. Cancel safe.
    pub(crate) async fn closed(&self) -> String {
        self.until(|opening| opening.closed().map(|closed| closed.reason.clone()))
            .await
    }

    async fn until<T>(&self, mut ready: impl FnMut(&Opening) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = self.look(|opening| ready(opening)) {
                return value;
            }
            changed.await;
        }
    }

    /// What is known of a turn.
    pub(crate) fn turn(&self, turn_id: &str) -> Turn {
        let turn = self.look(|opening| opening.turn(turn_id).cloned());
        turn.unwrap_or_default()
    }

    /// Adds a reader of the session's events.
    pub(crate) fn read(&self) -> Arc<Queue> {
        let queue = Queue::new(self.limits(), self.client.common.clone());
        let mut readers = self.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&queue));
        drop(readers);
        if self.is_closed() {
            queue.close();
        }
        queue
    }

    /// Whether it takes no calls any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.look(|opening| opening.closed().is_some())
    }

    /// Takes no calls any more; running handlers go on. Returns the calls that waited.
    pub(crate) fn close(&self, reason: &str) -> Vec<Arc<ToolCall>> {
        self.close_as(Closed::by_us(reason))
    }

    pub(super) fn close_as(&self, closed: Closed) -> Vec<Arc<ToolCall>> {
        let reason = closed.reason.clone();
        let waiting = self.look(|opening| opening.close(closed));
        self.spans.end(&reason);
        for reader in self.readers().drain(..) {
            if let Some(queue) = reader.upgrade() {
                queue.close();
            }
        }
        self.changed.notify_waiters();
        waiting
    }

    pub(super) fn readers(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        self.client.forget(&self.id);
        self.close("its last handle was dropped");
        let forgotten = self.state().forget(self.opening);
        // Outside of the lock.
        drop(forgotten);
    }
}

impl fmt::Debug for SessionCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("runtime", &self.runtime().name())
            .field("catalog", self.catalog())
            .finish_non_exhaustive()
    }
}

/// A wait for the end of a turn.
#[must_use = "the turn is remembered while the guard lives"]
pub(crate) struct Watching<'a> {
    core: &'a SessionCore,
    since: u64,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.core.look(|opening| opening.unwatch(self.since));
    }
}
