//! A codex-manager of our own, on loopback, that follows the contract and breaks where a test wants it to.
//!
//! A scripted codex is behind it: a request's lines `CALL name {json}` are the calls of its turn, those of one round at
//! the same time, `THEN` begins another round, `SAY words` is the reply, and `CHILD name {json}` has a sub-agent call and
//! waits for its end. `CALL exec_command {json}` runs a command and `CALL request_user_input {json}` asks the user.
//!
//! What it says was recorded from the real one (`fixtures/manager-*`); `tests/README.md` lists what still differs.

mod checks;
mod faults;
mod hindrance;
mod questions;
mod routes;
mod script;
mod session;
mod shapes;
mod state;
mod stream;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::faults::Fault;
use self::session::{Question, Session};
use self::state::State;
pub use self::state::{CallLog, Seen};
use crate::wire;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running codex-manager. It ends when it is dropped.
#[derive(Debug)]
pub struct Manager {
    state: Arc<State>,
    server: SocketAddr,
    relay: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Manager {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::new(State::default());
        state.lock().pid = 4242;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = listener.local_addr()?;
        let service =
            routes::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let serve = async move {
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            let _ = axum::serve(listener, service).await;
        };
        let front = TcpListener::bind("127.0.0.1:0").await?;
        let relay = front.local_addr()?;
        let wires = state.wires.clone();
        Ok(Self {
            tasks: vec![
                tokio::spawn(serve),
                tokio::spawn(wire::relay(front, server, wires)),
            ],
            state,
            server,
            relay,
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.relay)
    }

    /// Its address past the relay that cuts connections: for measurements.
    #[must_use]
    pub fn direct_url(&self) -> String {
        format!("http://{}", self.server)
    }

    /// Switches faults on, drawn from a seed.
    pub fn set_faults(&self, faults: &[Fault], seed: u64) {
        self.state.lock().faults.set(faults, seed);
    }

    /// Has a fault happen for certain, the next so many times.
    pub fn force(&self, fault: Fault, times: u32) {
        self.state.lock().faults.force(fault, times);
    }

    /// How often a fault happened.
    #[must_use]
    pub fn happened(&self, fault: Fault) -> u32 {
        let inner = self.state.lock();
        inner.faults.happened.get(&fault).copied().unwrap_or(0)
    }

    /// How large a message may be, where it is set up for others than 1 MiB.
    pub fn set_body_bytes(&self, bytes: usize) {
        self.state.lock().body_bytes = Some(bytes);
    }

    /// Whether deleting a session fails.
    pub fn set_undeletable(&self, session_id: &str, is_undeletable: bool) {
        let mut inner = self.state.lock();
        if is_undeletable {
            inner.undeletable.insert(session_id.to_owned());
        } else {
            inner.undeletable.remove(session_id);
        }
    }

    /// What `Retry-After` says, in seconds.
    pub fn set_retry_after(&self, seconds: u64) {
        self.state.lock().retry_after = Some(seconds);
    }

    /// For how long before each turn's end reads of its session show `interrupted`.
    pub fn set_false_interrupted(&self, during: Duration) {
        self.state.lock().false_interrupted = Some(during);
    }

    /// How long after a session was made that is answered.
    pub fn set_creation_delay(&self, delay: Duration) {
        self.state.lock().creation_delay = delay;
    }

    /// Resets each open connection as soon as the server writes on it. What is sent to the server still arrives.
    pub fn cut_at_next_word(&self) {
        self.state.wires.cut_all_at_next_word();
    }

    /// Says nothing of this codex method on the stream any more.
    pub fn silence(&self, method: &'static str) {
        self.state.lock().quiet.insert(method);
    }

    /// Starts it anew in an instant: connections are reset, calls are gone, request ids begin at 0. The real one is away
    /// for two seconds: see [`Self::stop`].
    pub fn restart(&self) {
        self.state.restart();
    }

    /// Stops it: connections are reset, and nothing listens at its address until [`Self::start_again`].
    pub async fn stop(&self) {
        self.state.wires.listen(false).await;
        self.state.restart();
    }

    /// Starts it anew after [`Self::stop`].
    pub async fn start_again(&self) {
        self.state.wires.listen(true).await;
    }

    /// Has its supervisor look at the first turn of each session, in a session of its own.
    pub fn set_supervised(&self) {
        self.state.lock().supervised = true;
    }

    /// Has sub-agents begin their turns before anything says whose they are.
    pub fn set_early_children(&self) {
        self.state.lock().early_children = true;
    }

    /// Its codex dies, and it does not care.
    pub fn kill_codex(&self) {
        self.state.kill_codex();
    }

    /// Resets all connections.
    pub fn cut_connections(&self) {
        self.state.wires.cut_all();
    }

    /// Makes the open connections carry nothing any more, without closing them.
    pub fn silence_connections(&self) {
        self.state.wires.silence_all();
    }

    /// Makes the open streams carry nothing any more, without closing them; requests pass.
    pub fn silence_streams(&self) {
        for stream in self.state.lock().streams.drain(..) {
            stream.silence();
        }
    }

    /// Whether new connections are reset at once.
    pub fn refuse_connections(&self, refuse: bool) {
        self.state.wires.refuse(refuse);
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.wires.accepted()
    }

    /// Makes a session that the manager owns itself.
    #[must_use]
    pub fn system_session(&self) -> String {
        let mut inner = self.state.lock();
        let id = inner.create(Value::Null, None);
        if let Some(session) = inner.sessions.get_mut(&id) {
            session.system = true;
            session.title = Some("New chat supervisor".to_owned());
        }
        id
    }

    /// Makes a session as another client would, whose model may call any tool.
    #[must_use]
    pub fn foreign_session(&self) -> String {
        self.state.lock().create(Value::Null, None)
    }

    /// Starts a turn as another client would; its id.
    #[must_use]
    pub fn foreign_turn(&self, session_id: &str, text: &str) -> Option<String> {
        self.state.send(session_id, text)
    }

    /// Loses a session without an event.
    pub fn forget(&self, session_id: &str) {
        self.state.lock().sessions.remove(session_id);
    }

    /// Sends a frame to everybody.
    pub fn emit(&self, frame: &Value) {
        self.state.lock().broadcast(frame);
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<CallLog> {
        self.state.lock().calls.clone()
    }

    /// How many calls wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// How many approvals wait for a decision.
    #[must_use]
    pub fn approvals(&self) -> usize {
        self.asked(Question::Approval)
    }

    /// How many questions to the user wait for an answer.
    #[must_use]
    pub fn user_inputs(&self) -> usize {
        self.asked(Question::UserInput)
    }

    fn asked(&self, question: Question) -> usize {
        let inner = self.state.lock();
        let asked = inner.asked.values();
        asked.filter(|asked| asked.question == question).count()
    }

    /// The sessions that were not deleted, those of sub-agents included.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        self.state.lock().sessions.keys().cloned().collect()
    }

    /// Whether no turn of a session is active.
    #[must_use]
    pub fn is_idle(&self, session_id: &str) -> bool {
        let inner = self.state.lock();
        let session: Option<&Session> = inner.sessions.get(session_id);
        session.is_none_or(|session| session.active().is_none())
    }

    /// The request ids of the calls that wait.
    #[must_use]
    pub fn waiting(&self) -> Vec<u64> {
        self.state.lock().pending.keys().copied().collect()
    }

    /// What a session was created with.
    #[must_use]
    pub fn options(&self, session_id: &str) -> Option<Value> {
        let inner = self.state.lock();
        Some(inner.sessions.get(session_id)?.options.clone())
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.state.lock().sockets.len()
    }

    /// The requests that came.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// How many requests of a method came for paths with this in them.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        let inner = self.state.lock();
        let wanted = |seen: &&Seen| seen.method == method && seen.path.contains(path);
        inner.seen.iter().filter(wanted).count()
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it is not so after half a minute.
    #[allow(clippy::panic, reason = "a test that waits in vain has failed")]
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.state.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if so(self) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain until {what}: {:?}", self.calls());
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.state.wires.cut_all();
    }
}
