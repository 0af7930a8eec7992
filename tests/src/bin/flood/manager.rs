//! Floods of a codex-manager, which is a process of its own: `flood manager-serves` says at which port it listens, and reads
//! from its standard input what it is to say.

use std::convert::Infallible;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use codex_skills::{Client, CodexManager, Draft, Event, Session, skills};
use futures_util::stream;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;

use super::{Bounds, Failure, Growth, MIB, long};

const SESSION: &str = "01a20376-1b18-75a0-8c01-e6a677c63e7d";

/// The most that is read of all of a session here.
const HISTORY: usize = 4 * MIB;

/// What a flood is of.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Frames of the stream, each made from its number.
    Frames(usize, fn(usize) -> String),
    /// Answers to requests of one kind, of which nothing but their beginning and what is repeated differs.
    Bodies(&'static str),
}

fn flood_of(case: &str) -> Option<Flood> {
    Some(match case {
        "children" => Flood::Frames(200, children),
        "calls" => Flood::Frames(400, |n| call(n, SESSION, MIB)),
        "adoptions" => Flood::Frames(8_000, |n| call(n, &format!("stranger-{n}"), 4_000)),
        "questions" => Flood::Frames(4_000, question),
        "health" => Flood::Bodies("health"),
        "created" => Flood::Bodies("create"),
        "page" => Flood::Bodies("page"),
        "resumed" => Flood::Bodies("resume"),
        "detail" => Flood::Bodies("detail"),
        "waiting" => Flood::Bodies("calls"),
        _ => return None,
    })
}

fn frame(kind: &str, thread_id: &str, payload: &str) -> String {
    format!(r#"{{"type":"{kind}","threadId":"{thread_id}","payload":{payload}}}"#)
}

fn children(n: usize) -> String {
    let ids = (0..1000).map(|m| format!("\"01a20376-1b18-75a0-{n:06}-{m:06}\""));
    let ids = ids.collect::<Vec<_>>().join(",");
    let item = format!(r#"{{"type":"collabAgentToolCall","receiverThreadIds":[{ids}]}}"#);
    let payload = format!(r#"{{"params":{{"turnId":"t","item":{item}}}}}"#);
    frame("app_server.item.completed", SESSION, &payload)
}

fn call(n: usize, thread_id: &str, bytes: usize) -> String {
    let row = format!(
        r#"{{"requestId":"{n}","turnId":"t","callId":"c{n}","tool":"long","arguments":{{"bytes":1,"x":"{}"}}}}"#,
        "x".repeat(bytes)
    );
    frame("tool_call_requested", thread_id, &row)
}

fn question(n: usize) -> String {
    let details = format!("[{}0]", "0,".repeat(4_000));
    let row = format!(
        r#"{{"approvalId":"{n}","method":"item/commandExecution/requestApproval","turnId":"t","itemId":"i{n}","details":{details}}}"#
    );
    frame("approval", SESSION, &row)
}

/// Runs a flood.
pub(super) async fn flood(case: &str, bounds: Bounds) -> Result<(), Failure> {
    let flood = flood_of(case).ok_or("there is no such case")?;
    let mut server = Server::start(case).await?;
    let mut builder = CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(&server.url)
        .timeout(Duration::from_secs(60))
        .poll_intervals(Duration::from_secs(3600), Duration::from_secs(3600))
        .history_limit(HISTORY);
    if bounds == Bounds::None {
        builder = builder.history_limit(usize::MAX);
    }
    let client = builder.build()?.with_limits(bounds.limits());
    match flood {
        Flood::Frames(..) => frames(case, &client, &mut server).await,
        Flood::Bodies(of) => bodies(of, &client).await,
    }
}

async fn frames(
    case: &str,
    client: &Client<CodexManager>,
    server: &mut Server,
) -> Result<(), Failure> {
    let catalog = Draft::new().register(skills![long]).seal()?;
    let (_, session) = client.create_session_with(catalog).await?;
    let mut signals = session.signals();
    // Its stream is there as soon as a turn is asked for.
    session.send("go").await?;
    if case != "calls" {
        serve_in_background(&session);
    }
    let growth = Growth::begin()?;
    server.pour().await?;
    while let Some(event) = signals.next().await {
        if matches!(&event, Event::TurnStarted { turn_id } if **turn_id == *LAST) {
            break;
        }
    }
    growth.print()?;
    Ok(())
}

fn serve_in_background(session: &Session) {
    let session = session.clone();
    tokio::spawn(async move { session.serve().await });
}

async fn bodies(of: &str, client: &Client<CodexManager>) -> Result<(), Failure> {
    let catalog = || Draft::new().register(skills![long]).seal();
    let runtime = client.runtime();
    let growth = Growth::begin()?;
    match of {
        "health" => drop(runtime.health().await),
        "create" => drop(client.create_session_with(catalog()?).await),
        "page" => drop(runtime.list_sessions(None).await),
        "resume" => drop(client.session(SESSION).catalog(catalog()?).await),
        "detail" => {
            let (_, session) = client.create_session_with(catalog()?).await?;
            drop(session.detail().await);
        }
        _ => {
            let (_, session) = client.create_session_with(catalog()?).await?;
            drop(session.drain_pending_calls().await);
        }
    }
    growth.print()?;
    Ok(())
}

/// The turn that begins when all frames were read.
const LAST: &str = "everything-was-read";

/// The process that floods.
struct Server {
    url: String,
    says: ChildStdin,
    _child: Child,
}

impl Server {
    async fn start(case: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["manager-serves", "small", case])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (says, hears) = (child.stdin.take(), child.stdout.take());
        let mut port = String::new();
        let mut hears = BufReader::new(hears.ok_or("no output")?);
        hears.read_line(&mut port).await?;
        Ok(Self {
            url: format!("http://127.0.0.1:{}", port.trim()),
            says: says.ok_or("no input")?,
            _child: child,
        })
    }

    /// Has the frames written.
    async fn pour(&mut self) -> std::io::Result<()> {
        self.says.write_all(b"pour\n").await?;
        self.says.flush().await
    }
}

struct Serving {
    case: String,
    pours: Notify,
    sessions: AtomicUsize,
}

/// Is the codex-manager that floods, until its input ends.
pub(super) async fn serve() -> Result<(), Failure> {
    let case = std::env::args().nth(3).ok_or("no case")?;
    let serving = Arc::new(Serving {
        case,
        pours: Notify::new(),
        sessions: AtomicUsize::new(0),
    });
    let app = Router::new().fallback(answer).with_state(serving.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let pours = serving.clone();
    let heard = tokio::task::spawn_blocking(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            pours.pours.notify_one();
        }
    });
    Ok(heard.await?)
}

/// A body that begins so, and goes on with the same for half a GiB.
fn endless(beginning: &'static str, more: &'static str) -> Response {
    const CHUNK: usize = 256 * 1024;
    let chunk = Bytes::from(more.repeat(CHUNK / more.len()));
    let chunks = std::iter::once(Bytes::from_static(beginning.as_bytes()))
        .chain(std::iter::repeat_n(chunk, 96 * MIB / CHUNK))
        .map(Ok::<_, Infallible>);
    Response::new(Body::from_stream(stream::iter(chunks)))
}

async fn answer(
    State(serving): State<Arc<Serving>>,
    method: Method,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let path = uri.path().trim_start_matches("/api");
    if path == "/stream"
        && let Ok(upgrade) = upgrade
    {
        return upgrade.on_upgrade(move |socket| pour(socket, serving));
    }
    let is = |case: &str| serving.case == case;
    match (method, path) {
        (Method::GET, "/health") if is("health") => endless(r#"{"codex":["#, "[0],"),
        (Method::GET, "/health") => {
            json(r#"{"status":"ok","codex":{"running":true,"pid":7,"initialized":true}}"#)
        }
        (Method::GET, "/sessions") => endless(r#"{"data":["#, "[0],"),
        (Method::POST, "/sessions") if is("created") => endless(r#"{"session":["#, "[0],"),
        (Method::POST, "/sessions") => {
            let n = serving.sessions.fetch_add(1, Ordering::Relaxed);
            let id = if n == 0 {
                SESSION.to_owned()
            } else {
                format!("{SESSION}-{n}")
            };
            json(&format!(r#"{{"session":{{"sessionId":"{id}"}}}}"#))
        }
        (Method::POST, path) if path.ends_with("/messages") => {
            json(r#"{"status":"accepted","turnId":"t"}"#)
        }
        (Method::POST, path) if path.ends_with("/resume") && is("resumed") => {
            endless(r#"{"thread":{"turns":["#, r#"{"id":"a"},"#)
        }
        // Nothing is decided here.
        (Method::POST, path) if path.ends_with("/decision") => std::future::pending().await,
        (Method::GET, path) if path.ends_with("/tool-calls") && is("waiting") => {
            endless(r#"{"data":["#, r#"{"requestId":"1","tool":"x"},"#)
        }
        (Method::GET, path)
            if path.ends_with("/tool-calls")
                || path.ends_with("/approvals")
                || path.ends_with("/tool-input") =>
        {
            json(r#"{"data":[]}"#)
        }
        (Method::GET, path) if path.contains("stranger") => std::future::pending().await,
        (Method::GET, path) if path.starts_with("/sessions/") && is("detail") => {
            endless(r#"{"thread":{"turns":["#, r#"{"id":"a"},"#)
        }
        _ => json(r#"{"status":"ok"}"#),
    }
}

fn json(text: &str) -> Response {
    let headers = [("content-type", "application/json")];
    (headers, text.to_owned()).into_response()
}

/// Writes the frames of a flood, once it is to.
async fn pour(mut socket: WebSocket, serving: Arc<Serving>) {
    let mut say = async |text: String| socket.send(Message::text(text)).await.is_ok();
    say(r#"{"type":"ready","threadId":null}"#.to_owned()).await;
    serving.pours.notified().await;
    if let Some(Flood::Frames(frames, made)) = flood_of(&serving.case) {
        for n in 0..frames {
            if !say(made(n)).await {
                return;
            }
        }
    }
    let turn = format!(r#"{{"params":{{"turn":{{"id":"{LAST}"}}}}}}"#);
    say(frame("app_server.turn.started", SESSION, &turn)).await;
    std::future::pending::<()>().await;
}
