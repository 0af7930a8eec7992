//! A model provider of our own, on loopback, so that the real codex runs without an account.
//!
//! The last message of the user says what the model does: each of its lines that begins with one of these is a step,
//! and the other lines say nothing.
//!
//! | line | what the model does |
//! |---|---|
//! | `CALL name arguments` | calls a tool; the arguments are the rest of the line, whatever they are; `CALL namespace.name arguments` |
//! | `EXEC program` | runs a program in code mode, which models have whose names codex knows |
//! | `SPAWN text` | starts a sub-agent that knows the conversation, and says the text to it |
//! | `SAY text` | says something |
//! | `THEN` | what follows is done in the next response, when the calls before it were answered |
//! | `HOLD` | this response waits at the [gate](Provider::gate) once it has begun |
//! | `STATUS code` | this response is an HTTP error |
//! | `FAIL text` | this response fails with that text |
//! | `BREAK` | this response ends before it is complete |
//!
//! All calls of one response are parallel. When nothing is left to do, the model says what its calls returned.

mod events;
mod request;
mod script;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::request::{Output, Request};
use self::script::{Ending, Item};
use crate::gate::Gate;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running provider. It ends when it is dropped, and so do the responses that it holds.
#[derive(Debug)]
pub struct Provider {
    state: Arc<State>,
    address: SocketAddr,
    serve: JoinHandle<()>,
    _end: DropGuard,
}

#[derive(Debug)]
struct State {
    inner: Mutex<Inner>,
    changed: Notify,
    gate: Gate,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Vec<Request>,
    calls: Vec<Call>,
}

/// A call that the model made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub call_id: String,
    /// The thread whose model made it.
    pub thread_id: String,
    /// The namespace of the tool.
    pub namespace: Option<String>,
    /// The tool.
    pub tool: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let state = Arc::new(State {
            inner: Mutex::default(),
            changed: Notify::new(),
            gate: Gate::new(),
            end: end.clone(),
        });
        let service = Router::new()
            .route("/v1/responses", post(respond))
            .route("/v1/models", get(models))
            .layer(DefaultBodyLimit::disable())
            .with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serve = tokio::spawn(async move {
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            state,
            address,
            serve,
            _end: end.drop_guard(),
        })
    }

    /// What a codex's configuration has as `base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The gate at which responses with `HOLD` wait. It is closed at first; if it is never opened, they hang.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.state.gate
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    /// The last request that a thread made.
    #[must_use]
    pub fn last_request(&self, thread_id: &str) -> Option<Request> {
        let inner = self.state.lock();
        let of_thread = |request: &&Request| request.thread_id() == thread_id;
        inner.requests.iter().rev().find(of_thread).cloned()
    }

    /// The calls so far, in the order in which the models made them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    /// Returns the outputs of a call that the model has read: none yet, one, or more than there should be. A thread
    /// repeats its history with each request, so its last one counts.
    #[must_use]
    pub fn outputs(&self, call: &Call) -> Vec<Output> {
        let Some(request) = self.last_request(&call.thread_id) else {
            return Vec::new();
        };
        let mut outputs = request.all_outputs();
        outputs.retain(|output| output.call_id() == call.call_id);
        outputs
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it is not so after a minute.
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

impl Drop for Provider {
    fn drop(&mut self) {
        self.serve.abort();
    }
}

async fn models() -> Response {
    let none = json!({"object": "list", "data": [], "models": []});
    (
        [(header::CONTENT_TYPE, "application/json")],
        none.to_string(),
    )
        .into_response()
}

async fn respond(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let request = Request::new(&headers, body);
    let round = script::next(&request);
    let (number, items) = {
        let mut inner = state.lock();
        let number = inner.requests.len() + 1;
        let items = match round.ending {
            Ending::Complete => events::items(number, &round.items),
            _ => Vec::new(),
        };
        let calls = items.iter().zip(&round.items);
        let calls = calls.filter_map(|(item, of)| call(&request, item, of));
        inner.calls.extend(calls);
        inner.requests.push(request);
        (number, items)
    };
    state.changed.notify_waiters();
    if let Ending::Status(status) = round.ending {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = json!({"error": {"message": "as the script says", "type": "scripted"}});
        return (status, error.to_string()).into_response();
    }
    let mut written = events::Written::default();
    let begun = written.begin(number);
    let rest = written.rest(number, &items, &round.ending);
    let rest = stream::once(async move {
        if round.hold {
            tokio::select! {
                () = state.gate.enter() => {}
                () = state.end.cancelled() => {}
            }
        }
        Ok::<_, Infallible>(rest)
    });
    let whole = stream::once(async { Ok(begun) }).chain(rest);
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(whole),
    )
        .into_response()
}

fn call(request: &Request, item: &Value, of: &Item) -> Option<Call> {
    let (namespace, tool, arguments) = match of {
        Item::Say(_) => return None,
        Item::Call {
            namespace,
            tool,
            arguments,
        } => (namespace.clone(), tool.as_str(), arguments),
        Item::Exec(program) => (Some("functions".to_owned()), "exec", program),
    };
    Some(Call {
        call_id: item["call_id"].as_str()?.to_owned(),
        thread_id: request.thread_id().to_owned(),
        namespace,
        tool: tool.to_owned(),
        arguments: arguments.clone(),
    })
}
