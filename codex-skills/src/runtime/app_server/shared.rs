//! State shared by the task that reads the connection and the requests of callers.
//!
//! [`Shared::take`] handles each message of codex, on the reading task: it looks up the session in the registry,
//! releases the lock, and delivers the events. It never waits; what has to (writing, looking up an unknown thread) runs
//! on tasks of its own, in bounded number.
//!
//! Locks: `registry`, `asked`, `keeper`, `server` and `warned` are independent; none is held while another is taken,
//! while an event is delivered, or across an await.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::intern::Texts;
use super::registry::{Delivery, NOTHING_WRITTEN, Registry};
use super::server_requests::{Address, Asked};
use super::settings::{Settings, Target};
use super::version::Server;
use super::wire::{self, Message, Notice};
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::peer::{self, Sparse};
use crate::runtime::{CodexRequest, CompletedCall, Event, TakenAnswer};
use crate::skill::{RequestId, SkillOutput, ToolCall};

/// Depth to which the sub-agents of a session are followed.
const GENERATIONS: usize = 8;

/// Bytes of a warning that distinguish it from others.
const WARNED_BYTES: usize = 200;

/// KiB of calls of unknown threads that wait while their session is looked up, and the least that each counts for: 256
/// calls at most.
const STRANGERS_KIB: usize = 16 * 1024;
const STRANGER_KIB: u32 = 64;

/// Small answers of the reader, such as refusals, that may wait to be written.
const WRITING: usize = 4096;

/// Distinct warnings remembered, so that each is logged once.
const WARNED: usize = 4096;

/// State of the connection to codex.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Disconnected, with the reason; the driver connects again.
    Down(Arc<str>),
    /// Connected; its sessions are being resumed.
    Resuming(Arc<Connection>),
    Up(Arc<Connection>),
    /// Given up, with the reason.
    Gone(Arc<str>),
}

impl State {
    pub(super) fn connection(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Resuming(connection) | Self::Up(connection) => Some(connection),
            Self::Down(_) | Self::Gone(_) => None,
        }
    }
}

/// The task that keeps the connection, and whether it is gone with its tokio runtime.
#[derive(Default)]
struct Keeper {
    /// Which one it is.
    number: u64,
    tokio: Option<tokio::runtime::Id>,
    process: Option<u32>,
    is_gone: bool,
}

/// State shared by the task that reads the connection and the requests of callers.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) registry: Mutex<Registry>,
    pub(super) state: watch::Sender<State>,
    /// Cancelled when the client shuts down.
    pub(super) stop: CancellationToken,
    /// Cancelled when codex has ended.
    pub(super) ended: CancellationToken,
    /// Notified by [`AppServer::restart`](super::AppServer::restart).
    pub(super) again: Notify,
    pub(super) asked: Asked,
    keeper: Mutex<Keeper>,
    server: Mutex<(Server, Fingerprints)>,
    generations: AtomicU64,
    reconnects: AtomicU64,
    malformed: AtomicU64,
    warned: Mutex<HashSet<String>>,
    left_waiting: AtomicU64,
    /// Permits for calls of unknown threads, in KiB.
    strangers: Arc<Semaphore>,
    /// Permits for small answers of the reader.
    writing: Arc<Semaphore>,
    /// Limits log lines about messages that cannot be read.
    pub(super) unread: Sparse,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            registry: Mutex::default(),
            state: watch::Sender::new(State::Down("it is not there yet".into())),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
            again: Notify::new(),
            asked: Asked::default(),
            keeper: Mutex::default(),
            server: Mutex::new((Server::default(), Fingerprints::default())),
            generations: AtomicU64::new(1),
            reconnects: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            warned: Mutex::default(),
            left_waiting: AtomicU64::new(0),
            strangers: Arc::new(Semaphore::new(STRANGERS_KIB)),
            writing: Arc::new(Semaphore::new(WRITING)),
            unread: Sparse::default(),
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the caller's tokio runtime keeps the connection from now on; returns the number of its task.
    pub(super) fn set_keeper(&self, tokio: tokio::runtime::Id) -> u64 {
        let mut keeper = self.keeper();
        *keeper = Keeper {
            number: keeper.number + 1,
            tokio: Some(tokio),
            ..Keeper::default()
        };
        keeper.number
    }

    /// Has the caller's tokio runtime keep the connection, where the one that did is gone; returns the number of its
    /// task then.
    pub(super) fn succeed_keeper(&self, tokio: tokio::runtime::Id) -> Option<u64> {
        let is_gone = std::mem::take(&mut self.keeper().is_gone);
        is_gone.then(|| self.set_keeper(tokio))
    }

    /// Whether the connection is gone with its tokio runtime, and nothing is left to be ended.
    pub(super) fn has_no_keeper(&self) -> bool {
        self.keeper().is_gone
    }

    /// Notes the process that was started, or that it is ended.
    pub(super) fn set_process(&self, process: Option<u32>) {
        self.keeper().process = process;
    }

    /// The tokio runtime goes down: if it kept the connection, that is lost, and made anew for the next request.
    pub(super) fn detach(&self, tokio: tokio::runtime::Id) {
        let process = {
            let mut keeper = self.keeper();
            if keeper.tokio != Some(tokio) {
                return;
            }
            keeper.tokio = None;
            keeper.is_gone = true;
            keeper.process.take()
        };
        // It would hold the threads while another one deletes them. What owned it may be long in being dropped.
        if let Some(process) = process {
            super::child::terminate(process);
        }
        self.lose_connection();
    }

    /// The task that kept the connection is dropped, and was not at its end.
    pub(super) fn keeper_dropped(&self, number: u64) {
        let mut keeper = self.keeper();
        if keeper.number != number {
            return;
        }
        keeper.tokio = None;
        keeper.is_gone = true;
        drop(keeper);
        self.lose_connection();
    }

    /// Ends what waits for answers on a connection that nothing reads any more.
    fn lose_connection(&self) {
        let why = "its tokio runtime ended".into();
        let state = match &self.settings.target {
            // There are no others.
            Target::Streams(_) => State::Gone(why),
            _ => State::Down(why),
        };
        let state = self.state.send_replace(state);
        if let Some(connection) = state.connection() {
            connection.set_lost();
        }
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(super) fn set_server(&self, server: Server, fingerprints: Fingerprints) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = (server, fingerprints);
    }

    pub(super) fn server(&self) -> (Server, Fingerprints) {
        self.server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(super) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that cannot be read, and logs it; of many in a row only some.
    fn count_unread(&self, what: &str, error: &serde_json::Error) {
        self.count_malformed();
        if let Some(left_out) = self.unread.line() {
            let error = peer::place(error);
            tracing::warn!(target: "codex_skills::app_server", error, left_out, "{what}");
        }
    }

    pub(super) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Whether to log a warning: true the first time.
    pub(super) fn warns(&self, mut of: String) -> bool {
        let end = crate::boundary::before(&of, WARNED_BYTES);
        of.truncate(end);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < WARNED && warned.insert(of)
    }

    /// Ends what a process that is gone had in memory.
    pub(super) fn process_lost(&self, why: &str) {
        self.asked.forget(|_| true);
        let deliveries = self.registry().process_lost(why);
        for delivery in deliveries {
            tell(Some(delivery));
        }
    }

    pub(super) fn close_thread(&self, thread_id: &str, why: &str) {
        self.end_thread(thread_id, why, false);
    }

    /// Closes a thread of which codex had written nothing.
    pub(super) fn thread_lost(&self, thread_id: &str, why: &str) {
        self.end_thread(thread_id, &format!("{why}, {NOTHING_WRITTEN}"), true);
    }

    fn end_thread(&self, thread_id: &str, why: &str, is_lost: bool) {
        self.asked.forget(|of| of.thread_id == thread_id);
        let delivery = self.registry().close(thread_id, why, is_lost);
        tell(delivery);
    }

    pub(super) fn close_all(&self, why: &str) {
        self.asked.forget(|_| true);
        let deliveries = self.registry().close_all(why);
        for delivery in deliveries {
            tell(Some(delivery));
        }
    }

    /// Handles a message of codex. Never waits.
    pub(super) fn take(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        bytes: &[u8],
        texts: &mut Texts,
    ) {
        if let Some(call) = wire::whole_call(bytes, connection.generation, texts) {
            return self.offer_or_ask(connection, call);
        }
        let message = match wire::message(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.count_unread("a message of codex cannot be read and is left out", &error);
                return;
            }
        };
        match message {
            Message::Response { id, outcome } => connection.answered(id, outcome),
            Message::Notification { method, params } => self.notified(&method, params),
            Message::Request { id, method, params } if method == "item/tool/call" => {
                self.called(connection, id, params, texts);
            }
            Message::Request { id, method, params } => {
                self.asked(connection, id, &method, params);
            }
            Message::Other => self.count_malformed(),
        }
    }

    fn notified(&self, method: &str, params: &RawValue) {
        if method == "serverRequest/resolved" {
            if let Some((thread_id, id)) = wire::resolved(params) {
                self.asked
                    .forget(|of| of.thread_id == &*thread_id && *of.id == id);
            }
            return;
        }
        match wire::notice(method, params) {
            Ok(None) => {}
            Ok(Some(notice)) => {
                if let Notice::Warning { thread_id, text } = &notice
                    && self.warns(format!("codex: {text}"))
                {
                    let text = peer::shown(text);
                    tracing::info!(target: "codex_skills::app_server", session = thread_id.as_deref(), "codex says: {text}");
                }
                match &notice {
                    Notice::TurnCompleted { thread_id, end } => self
                        .asked
                        .forget(|of| of.thread_id == &**thread_id && of.turn_id == &*end.turn_id),
                    Notice::Gone { thread_id, .. } => {
                        self.asked.forget(|of| of.thread_id == &**thread_id);
                    }
                    _ => {}
                }
                if let Notice::ToolCompleted {
                    thread_id,
                    turn_id,
                    call_id,
                    answer: Some(answer),
                    ..
                } = &notice
                {
                    self.completed(thread_id, turn_id, call_id.clone(), *answer);
                }
                let delivery = self.registry().take(notice);
                tell(delivery);
            }
            Err(error) => {
                self.count_unread(
                    "a notification of codex cannot be read and is left out",
                    &error,
                );
            }
        }
    }

    /// Reports to a session which answer of a call codex took.
    pub(super) fn completed(
        &self,
        thread_id: &Arc<str>,
        turn_id: &Arc<str>,
        call_id: Arc<str>,
        answer: TakenAnswer,
    ) {
        let (listener, is_child) = {
            let registry = self.registry();
            (registry.listener(thread_id), registry.is_child(thread_id))
        };
        if let Some(sink) = listener {
            let mut completed = CompletedCall::new(turn_id.clone(), call_id, answer);
            completed.thread_id = is_child.then(|| thread_id.clone());
            sink.call_completed(&completed);
        }
    }

    fn called(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        id: RequestId,
        params: &RawValue,
        texts: &mut Texts,
    ) {
        match wire::call(id.clone(), params, connection.generation, texts) {
            Err(error) => {
                self.count_unread("a call of codex cannot be read and is refused", &error);
                let thread_id = wire::thread_of(params);
                let listener = thread_id.and_then(|id| self.registry().listener(&id));
                let ours = listener.is_some_and(|sink| sink.answers_calls());
                if ours || !self.settings.target.is_shared() {
                    let text = "the call failed: its parameters cannot be read";
                    self.write_later(connection, refused(&id, text));
                }
            }
            Ok(call) => self.offer_or_ask(connection, call),
        }
    }

    fn offer_or_ask(self: &Arc<Self>, connection: &Arc<Connection>, call: ToolCall) {
        let Some(call) = self.offer(call) else {
            return;
        };
        let kib = u32::try_from(call.bytes() / 1024).unwrap_or(u32::MAX);
        let place = self.strangers.clone();
        let Ok(place) = place.try_acquire_many_owned(kib.max(STRANGER_KIB)) else {
            return self.leave(connection, &call);
        };
        let (shared, connection) = (self.clone(), connection.clone());
        tokio::spawn(async move {
            shared.ask_whose(&connection, call).await;
            drop(place);
        });
    }

    /// Leaves a call whose session is not looked up, since too many look-ups run: refuses it where this client is
    /// alone.
    fn leave(&self, connection: &Arc<Connection>, call: &ToolCall) {
        match &call.request_id {
            Some(id) if !self.settings.target.is_shared() => {
                let text = format!(
                    "`{}` failed: too many calls of unknown threads wait",
                    call.tool
                );
                self.write_later(connection, refused(id, &text));
            }
            _ => self.count_left(
                "a call of an unknown thread is left to others: too many are asked about",
            ),
        }
    }

    /// Writes on a task of its own, since the reader does not wait; not when too many do.
    fn write_later(&self, connection: &Arc<Connection>, answer: Vec<u8>) {
        let Ok(place) = self.writing.clone().try_acquire_owned() else {
            return self.count_left("codex does not read: a request is left without an answer");
        };
        let connection = connection.clone();
        tokio::spawn(async move {
            connection.write(answer).await;
            drop(place);
        });
    }

    fn count_left(&self, what: &str) {
        self.left_waiting.fetch_add(1, Ordering::Relaxed);
        if let Some(left_out) = self.unread.line() {
            tracing::warn!(target: "codex_skills::app_server", left_out, "{what}");
        }
    }

    pub(super) fn left_waiting(&self) -> u64 {
        self.left_waiting.load(Ordering::Relaxed)
    }

    /// Announces a call to its session; returns it if no session of this client owns it.
    fn offer(&self, call: ToolCall) -> Option<ToolCall> {
        // Deliver events only after releasing the registry lock.
        let offered = self.registry().call(call, Instant::now());
        match offered {
            Ok((sink, call)) => {
                sink.deliver(Event::ToolCall(call));
                None
            }
            Err(call) => Some(call),
        }
    }

    /// Looks up whether the calling thread is a sub-agent of a session whose start was not reported here. If it is not,
    /// refuses the call, unless another client may answer it.
    async fn ask_whose(self: &Arc<Self>, connection: &Arc<Connection>, call: ToolCall) {
        let (Some(id), tool) = (call.request_id.clone(), call.tool.clone()) else {
            return;
        };
        let mut ancestry = vec![call.session_id.clone()];
        while ancestry.len() < GENERATIONS {
            let Some(parent_id) = self.parent(connection, ancestry.last()).await else {
                break;
            };
            let is_ours = self.registry().adopt(&parent_id, call.session_id.clone());
            if is_ours {
                break;
            }
            ancestry.push(parent_id);
        }
        if self.offer(call).is_some() && !self.settings.target.is_shared() {
            let text = format!("`{tool}` failed: nobody serves the session's calls");
            connection.write(refused(&id, &text)).await;
        }
    }

    async fn parent(
        &self,
        connection: &Connection,
        thread_id: Option<&Arc<str>>,
    ) -> Option<Arc<str>> {
        let params = json!({"threadId": &**thread_id?});
        let timeout = self.settings.request_timeout;
        let read = connection
            .request("thread/read", &params, timeout)
            .await
            .ok()?;
        wire::parent(&read)
    }

    /// Answers a request that is no tool call.
    fn asked(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        id: RequestId,
        method: &str,
        params: &RawValue,
    ) {
        let thread_id = wire::thread_of(params);
        let serves = |thread_id| self.registry().serves(thread_id);
        if self.settings.target.is_shared() && !thread_id.as_ref().is_some_and(serves) {
            return;
        }
        if method == "currentTime/read" {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let result = json!({"currentTimeAt": now.as_secs()});
            self.write_later(connection, wire::result(&id, &result));
            return;
        }
        let handler = thread_id
            .as_ref()
            .and_then(|thread_id| self.registry().requests(thread_id));
        if handler.is_none() && self.settings.target.is_shared() {
            // Without a handler, on a shared codex: another client answers.
            return;
        }
        let bytes = method.len() + params.get().len();
        if !self.asked.has_room(bytes) {
            let text = "codex-skills has too many requests to answer";
            return self.write_later(connection, wire::refusal(&id, text));
        }
        let params = serde_json::from_str(params.get()).unwrap_or_default();
        let request = CodexRequest::new(method, thread_id.as_deref(), params);
        let address = Address {
            connection: connection.clone(),
            id,
        };
        self.asked.ask(address, request, bytes, handler);
    }

    /// Waits until codex is connected and its sessions are resumed.
    pub(super) async fn up(&self, patience: Duration) -> Result<Arc<Connection>, String> {
        self.up_after(0, patience).await
    }

    /// Like [`up`](Self::up), on a connection later than `generation`.
    pub(super) async fn up_after(
        &self,
        generation: u64,
        patience: Duration,
    ) -> Result<Arc<Connection>, String> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| match state {
            State::Up(connection) => connection.generation > generation,
            State::Gone(_) => true,
            State::Down(_) | State::Resuming(_) => false,
        });
        let settled = tokio::time::timeout(patience, settled).await;
        drop(settled);
        match &*self.state.borrow() {
            State::Up(connection) if connection.generation > generation => Ok(connection.clone()),
            State::Up(_) => Err("the connection was lost".to_owned()),
            State::Down(why) | State::Gone(why) => Err(why.to_string()),
            State::Resuming(_) => Err(format!(
                "its sessions were not taken up within {patience:?}"
            )),
        }
    }
}

/// Delivers events. Call it after releasing the registry lock.
pub(super) fn tell(delivery: Option<Delivery>) {
    if let Some((sink, events)) = delivery {
        for event in events {
            sink.deliver(event);
        }
    }
}

/// The refusal of a call. A text can always be written.
fn refused(id: &RequestId, text: &str) -> Vec<u8> {
    wire::answer(id, &SkillOutput::failure(text)).unwrap_or_else(|_| wire::refusal(id, text))
}
