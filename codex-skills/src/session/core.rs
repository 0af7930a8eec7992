//! The heart of a session: takes its events, has its calls answered, wakes whoever waits.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::ClientShared;
use super::inbox::{Action, Closed, Inbox, Left, Turn};
use super::introduction::Introduction;
use super::signals::Queue;
use super::spans::Spans;
use crate::catalog::Catalog;
use crate::dispatch::{Announced, DispatchRecord, Dispatcher, Limits, Settle};
use crate::error::Error;
use crate::runtime::{CompletedCall, Event, EventSink, RequestHandler, Runtime, RuntimeError};
use crate::skill::ToolCall;

/// What `send` does unless it is told otherwise.
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
    dispatcher: Arc<Dispatcher>,
    /// Whether the session was opened with its catalog.
    has_catalog: bool,
    /// The fingerprint of the tools that the session was created with, once it was asked for, where it is known.
    created_with: OnceLock<Option<Arc<str>>>,
    /// Whether a call was left to others.
    has_left: AtomicBool,
    inbox: Mutex<Inbox>,
    changed: Notify,
    readers: Mutex<Vec<Weak<Queue>>>,
    /// Who answers what codex asks besides calls.
    requests: Mutex<Option<RequestHandler>>,
    spans: Spans,
    this: Weak<Self>,
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
        let inbox = Inbox::new(&limits);
        let has_catalog = catalog.is_some();
        let catalog = catalog.unwrap_or_else(Catalog::empty);
        let ledger = client.ledger(&id, &limits);
        let introduction = client.introduction(&id);
        let dispatcher = Arc::new(Dispatcher::new(
            catalog.clone(),
            client.runtime.clone(),
            limits,
            ledger,
            client.common.clone(),
        ));
        let core = Arc::new_cyclic(|core: &Weak<Self>| Self {
            id: id.clone(),
            send_defaults,
            introduction,
            tokio: Handle::current(),
            dispatcher,
            has_catalog,
            created_with: OnceLock::new(),
            has_left: AtomicBool::new(false),
            inbox: Mutex::new(inbox),
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

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        self.dispatcher.catalog()
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

    /// Notes the fingerprint of the tools that the session was created with, or that nobody knows it.
    pub(crate) fn set_created_with(&self, fingerprint: Option<Arc<str>>) {
        // Told once, by whoever opens the session.
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
    fn leaves_calls(&self) -> bool {
        let has_no_tools = |created: &Arc<str>| **created == *self.catalog().fingerprint();
        !self.has_catalog
            && !self
                .known_fingerprint()
                .is_some_and(|created| has_no_tools(&created))
    }

    /// Whether a call is left to others: all are without the catalog. With a catalog that may not be the session's, those
    /// of tools that it does not have, where others can answer (contract §2.8).
    pub(crate) fn leaves(&self, call: &ToolCall) -> bool {
        if !self.has_catalog {
            return self.leaves_calls();
        }
        self.created_with.get().is_none_or(Option::is_none)
            && self.runtime().is_shared()
            && self.catalog().find(call.namespace(), &call.tool).is_none()
    }

    /// Leaves a call to others. Where there are none, those who wait for its turn are told.
    fn leave(&self, call: &ToolCall) {
        if !self.runtime().is_shared() {
            self.inbox().leave(call);
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

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a call answered and waits for the record. Cancel safe: the call goes on.
    pub(crate) async fn respond(
        &self,
        call: Arc<ToolCall>,
        announced: Announced,
    ) -> Arc<DispatchRecord> {
        self.inbox().forget_waiting(&call);
        self.dispatch(call, announced).await
    }

    /// Has a call answered; its handler runs unless its turn is over. What it returns need not be awaited.
    fn dispatch(
        &self,
        call: Arc<ToolCall>,
        announced: Announced,
    ) -> impl Future<Output = Arc<DispatchRecord>> + use<> {
        let over = self.inbox().is_over(&call);
        // The call's span is in that of its turn, unless the turn is over or a sub-agent's.
        let within = match &call.turn_id {
            Some(turn_id) if !over && call.thread_id.is_none() => self.spans.turn(turn_id),
            _ => self.spans.session().clone(),
        };
        let dispatched = within.in_scope(|| {
            let handle = self.handle();
            self.dispatcher
                .dispatch(call.clone(), announced, over, self.settled(), &handle)
        });
        // The turn may have ended before there was a handler to be cancelled.
        if !over && self.inbox().is_over(&call) {
            self.dispatcher.cancel_call(&call);
        }
        dispatched.record()
    }

    /// Has calls answered as cancelled, those excepted that were answered before.
    pub(crate) fn dismiss(&self, calls: Vec<Arc<ToolCall>>) {
        let _within = self.spans.session().enter();
        for call in calls.into_iter().filter(|call| !self.leaves(call)) {
            let (settled, handle) = (self.settled(), self.handle());
            self.dispatcher
                .dispatch(call, Announced::Event, true, settled, &handle);
        }
    }

    /// Who notes the record of a call. Holds the session: while one of its calls runs, it is found by whoever
    /// opens it again, with its ledger.
    fn settled(&self) -> Option<Arc<dyn Settle>> {
        Some(self.this.upgrade()?)
    }

    /// Has calls answered as they come, until the guard is dropped.
    pub(crate) fn serve(&self) -> Result<Serving<'_>, Error> {
        self.check_catalog()?;
        Ok(self.begin_serving())
    }

    /// The same for a turn that is waited for, which may have no calls where it is not known whether the session has
    /// tools.
    pub(crate) fn serve_turn(&self) -> Result<Serving<'_>, Error> {
        if self.known_fingerprint().is_some() {
            self.check_catalog()?;
        }
        Ok(self.begin_serving())
    }

    fn begin_serving(&self) -> Serving<'_> {
        let waiting = self.inbox().serve();
        let serving = Serving(self);
        for call in waiting {
            if self.leaves(&call) {
                self.leave(&call);
                continue;
            }
            let announced = announced(&call);
            drop(self.dispatch(call, announced));
        }
        serving
    }

    /// Remembers the turns that end while the guard lives, however many.
    pub(crate) fn watch(&self) -> Watching<'_> {
        Watching {
            core: self,
            since: self.inbox().watch(),
        }
    }

    /// Waits for the answers of all calls, and tells whether they came in time. Cancel safe.
    pub(crate) async fn settled_until(&self, deadline: Option<Instant>) -> bool {
        let settled = self.dispatcher.settled(None);
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, settled).await.is_ok(),
            None => {
                settled.await;
                true
            }
        }
    }

    /// The same for calls that were cancelled.
    pub(crate) async fn last_answers(&self, deadline: Option<Instant>) {
        if !self.settled_until(deadline).await {
            tracing::warn!(target: "codex_skills::session", session = &*self.id, "a session is let go while answers are still on their way");
        }
    }

    /// Refuses what only an open session can do.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        let closed = self.inbox().closed().cloned();
        closed.map_or(Ok(()), |closed| Err(self.closed_error(closed)))
    }

    /// What a failed request comes to: where the session was lost meanwhile, sending it again does not help.
    pub(crate) fn or_lost(&self, error: RuntimeError) -> Error {
        let lost = self
            .inbox()
            .closed()
            .filter(|closed| closed.is_lost)
            .cloned();
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
            let news = self.until(|inbox| {
                let turn = inbox.get(turn_id);
                if turn.is_some_and(Turn::has_ended) {
                    return Some(Ok(None));
                }
                if let Some(tool) = turn.and_then(|turn| turn.left.as_ref()) {
                    let waits =
                        format!("was opened without its catalog, and a call of `{tool}` waits");
                    return Some(Err(self.without_catalog(&waits)));
                }
                if let Some(closed) = inbox.closed() {
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
        self.until(|inbox| inbox.closed().map(|closed| closed.reason.clone()))
            .await
    }

    async fn until<T>(&self, mut ready: impl FnMut(&Inbox) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = ready(&self.inbox()) {
                return value;
            }
            changed.await;
        }
    }

    /// What is known of a turn.
    pub(crate) fn turn(&self, turn_id: &str) -> Turn {
        self.inbox().get(turn_id).cloned().unwrap_or_default()
    }

    /// Adds a reader of the session's events.
    pub(crate) fn read(&self) -> Arc<Queue> {
        let queue = Queue::new(self.dispatcher.limits(), self.client.common.clone());
        let mut readers = self.readers();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(&queue));
        drop(readers);
        if self.inbox().closed().is_some() {
            queue.close();
        }
        queue
    }

    /// Takes no calls any more; running handlers go on. Returns the calls that waited.
    pub(crate) fn close(&self, reason: &str) -> Vec<Arc<ToolCall>> {
        self.close_as(Closed::by_us(reason))
    }

    fn close_as(&self, closed: Closed) -> Vec<Arc<ToolCall>> {
        let reason = closed.reason.clone();
        let waiting = self.inbox().close(closed);
        self.spans.end(&reason);
        for reader in self.readers().drain(..) {
            if let Some(queue) = reader.upgrade() {
                queue.close();
            }
        }
        self.changed.notify_waiters();
        waiting
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an event's call became known.
fn announced(call: &ToolCall) -> Announced {
    if call.is_listed {
        Announced::Waiting
    } else {
        Announced::Event
    }
}

impl Settle for SessionCore {
    fn settled(&self, record: &Arc<DispatchRecord>, is_new: bool) {
        let is_first_loss = {
            let mut inbox = self.inbox();
            let lost = inbox.stripped();
            inbox.on_record(record, is_new);
            lost == 0 && inbox.stripped() > 0
        };
        if is_first_loss {
            tracing::warn!(target: "codex_skills::session", session = &*self.id, "the records of the session's turns are too large: the oldest lose their arguments and answers");
        }
    }

    /// The caller's tokio runtime, or the one that the session was opened on.
    fn handle(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.tokio.clone())
    }
}

impl EventSink for SessionCore {
    fn call_completed(&self, completed: &CompletedCall) {
        let arguments = RawValue::NULL.to_owned();
        let mut call = ToolCall::new(self.id.clone(), self.id.clone(), arguments);
        call.turn_id = Some(completed.turn_id.clone());
        call.call_id = Some(completed.call_id.clone());
        call.thread_id = completed.thread_id.clone();
        self.dispatcher
            .completed(&Arc::new(call), completed.answer, Some(self));
    }

    fn call_resolved(&self, call: &Arc<ToolCall>) {
        self.dispatcher.resolve_call(call, self);
    }

    fn answers_calls(&self) -> bool {
        !self.leaves_calls()
    }

    fn deliver(&self, event: Event) {
        let action = self.inbox().on_event(&event);
        match &event {
            Event::TurnStarted { turn_id } => drop(self.spans.turn(turn_id)),
            Event::TurnCompleted {
                turn_id, status, ..
            } => self.spans.end_turn(turn_id, status),
            _ => {}
        }
        let closed = match &event {
            Event::SessionClosed { reason, is_lost } => Some(Closed {
                reason: reason.clone(),
                is_lost: *is_lost,
            }),
            _ => None,
        };
        for reader in self.readers().iter() {
            if let Some(queue) = reader.upgrade() {
                queue.push(event.clone());
            }
        }
        match action {
            Action::None => {}
            Action::Dispatch(call) | Action::Refuse(call) if self.leaves(&call) => {
                self.leave(&call);
            }
            Action::Dispatch(call) => {
                let announced = announced(&call);
                drop(self.dispatch(call, announced));
            }
            Action::Refuse(call) => drop(self.dispatch(call, Announced::Surplus)),
            Action::CancelTurn(turn_id) => self.dispatcher.cancel_turn(&turn_id),
            Action::CancelCall(call) => self.dispatcher.expire_call(&call, self),
            Action::CancelAll => {
                self.dispatcher.cancel_all();
            }
        }
        match closed {
            Some(closed) => drop(self.close_as(closed)),
            None => self.changed.notify_waiters(),
        }
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        self.client.forget(&self.id);
        self.close("its last handle was dropped");
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

/// Somebody waits for the end of a turn.
#[must_use = "the turn is remembered while the guard lives"]
pub(crate) struct Watching<'a> {
    core: &'a SessionCore,
    since: u64,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.core.inbox().unwatch(self.since);
    }
}

/// Somebody serves the session's calls.
#[must_use = "calls are served while the guard lives"]
pub(crate) struct Serving<'a>(&'a SessionCore);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.inbox().unserve();
    }
}
