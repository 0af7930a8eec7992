//! Our own codex-manager against what the real one was recorded to say.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use codex_skills::Error;
use codex_skills_tests::manager::Manager;
use codex_skills_tests::skills::Counter;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{catalog, echo, start};

const HTTP: &str = include_str!("../../fixtures/manager-http.json");
const STREAMS: [&str; 4] = [
    include_str!("../../fixtures/manager-ws-turn.jsonl"),
    include_str!("../../fixtures/manager-ws-interrupt.jsonl"),
    include_str!("../../fixtures/manager-ws-delete-pending.jsonl"),
    include_str!("../../fixtures/manager-ws-delete.jsonl"),
];
const CALL: &str = r#"CALL lookup_ticket {"ticket_id":"ABC-123"}"#;
/// Members that are there or not.
const OPTIONAL: [&str; 4] = ["details", "hook", "lastExit", "title"];

/// Whether a member may be missing: those that are optional, and those whose names are ids of threads.
fn may_be_missing(key: &str) -> bool {
    OPTIONAL.contains(&key) || key.starts_with("01a2")
}

/// Where two values have other members or other types. `null` is like anything.
pub(crate) fn differences(recorded: &Value, ours: &Value, place: &str, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(recorded), Value::Object(ours)) => {
            for (key, value) in recorded {
                match ours.get(key) {
                    Some(own) => differences(value, own, &format!("{place}.{key}"), found),
                    None if may_be_missing(key) => {}
                    None => found.push(format!("{place}.{key} is missing")),
                }
            }
            for key in ours.keys().filter(|key| !recorded.contains_key(*key)) {
                if !may_be_missing(key) {
                    found.push(format!("{place}.{key} is not there"));
                }
            }
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            for own in ours.iter().filter(|own| own.is_object()) {
                let alike = recorded
                    .iter()
                    .find(|value| value.is_object() && value.get("type") == own.get("type"));
                if let Some(value) = alike {
                    differences(value, own, &format!("{place}[]"), found);
                }
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => found.push(format!("{place}: {recorded} became {ours}")),
    }
}

/// Plays the recorded exchanges against a manager of our own.
struct Player {
    manager: Manager,
    http: reqwest::Client,
    sessions: HashMap<String, String>,
    requests: HashMap<String, String>,
    main: String,
    turn: String,
}

impl Player {
    /// Our session in place of a recorded one.
    fn session(&mut self, recorded: &str, label: &str) -> String {
        if recorded.starts_with("01a20000") || !recorded.starts_with("01a2") {
            return recorded.to_owned();
        }
        let manager = &self.manager;
        let own = self.sessions.entry(recorded.to_owned()).or_insert_with(|| {
            if label.starts_with("system") {
                manager.system_session()
            } else {
                manager.foreign_session()
            }
        });
        own.clone()
    }

    /// A call that waits, in place of a recorded one.
    async fn call(&mut self, recorded: &str, session: &str) {
        if recorded == "99999" || self.requests.contains_key(recorded) {
            return;
        }
        self.manager
            .until("the turn is over", |manager| manager.is_idle(session))
            .await;
        self.turn = self.manager.foreign_turn(session, CALL).expect("a turn");
        self.manager
            .until("a call waits", |manager| manager.pending() == 1)
            .await;
        self.requests
            .insert(recorded.to_owned(), self.manager.waiting()[0].to_string());
    }

    async fn play(&mut self, exchange: &Value) -> Vec<String> {
        let label = exchange["label"].as_str().expect("a label");
        let request = &exchange["request"];
        let recorded = request["path"].as_str().expect("a path");
        let mut parts: Vec<String> = recorded.split('/').map(str::to_owned).collect();
        if parts.get(2).is_some_and(|part| part == "sessions") && parts.len() > 3 {
            parts[3] = self.session(&parts[3].clone(), label);
        }
        if parts.get(2).is_some_and(|part| part == "tool-calls") {
            let main = self.main.clone();
            self.call(&parts[3].clone(), &main).await;
            parts[3] = self
                .requests
                .get(&parts[3])
                .cloned()
                .unwrap_or_else(|| parts[3].clone());
        }
        match label {
            "interrupt-pending" => {
                let main = self.main.clone();
                self.call("12", &main).await;
            }
            "delete-with-pending-call" => {
                let session = parts[3].clone();
                self.call("13", &session).await;
            }
            "interrupt-no-active-turn" | "get-session-after-turn" => {
                let main = self.main.clone();
                self.manager
                    .until("the turn is over", |manager| manager.is_idle(&main))
                    .await;
            }
            "tool-calls-pending" => {
                self.manager
                    .until("a call waits", |manager| manager.pending() == 1)
                    .await;
                self.requests
                    .insert("2".to_owned(), self.manager.waiting()[0].to_string());
            }
            _ => {}
        }
        let method = request["method"]
            .as_str()
            .expect("a method")
            .parse()
            .expect("a method");
        let mut call = self
            .http
            .request(method, format!("{}{}", self.manager.url(), parts.join("/")));
        for (name, value) in request["headers"].as_object().expect("headers") {
            call = call.header(name, value.as_str().expect("text"));
        }
        if let Some(body) = body(exchange) {
            // The turn that is interrupted is the one that was begun for it.
            let body = match request["body"]["turnId"].as_str() {
                Some(turn) => body.replace(turn, &self.turn),
                None => body,
            };
            call = call.body(body);
        }
        let response = match call.send().await {
            Ok(response) => response,
            // The connection is closed while the client still writes, and then luck decides.
            Err(_) if exchange["response"]["status"] == 413 => return Vec::new(),
            Err(error) => panic!("{label}: {error}"),
        };
        let status = response.status().as_u16();
        let ours: Value =
            serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let wanted = &exchange["response"];
        let mut found = Vec::new();
        if wanted["status"] != json!(status) {
            found.push(format!("{} became {status}: {ours}", wanted["status"]));
        }
        differences(&wanted["body"], &ours, "", &mut found);
        for key in ["status", "code", "message", "error"] {
            if wanted["body"][key] != ours[key] && !label.starts_with("unknown-route") {
                found.push(format!(
                    "{key}: {} became {}",
                    wanted["body"][key], ours[key]
                ));
            }
        }
        if label.starts_with("create-session") {
            let own = ours["session"]["sessionId"]
                .as_str()
                .expect("an id")
                .to_owned();
            let recorded = wanted["body"]["session"]["sessionId"]
                .as_str()
                .expect("an id");
            self.sessions.insert(recorded.to_owned(), own.clone());
            self.main = own;
        }
        found
    }
}

fn body(exchange: &Value) -> Option<String> {
    match &exchange["request"]["body"] {
        Value::Null => {
            let note = exchange["request"]["note"]
                .as_str()
                .or(exchange["note"].as_str())?;
            let length: usize = note.split_whitespace().find_map(|word| word.parse().ok())?;
            Some(json!({"text": "x".repeat(length - 12)}).to_string())
        }
        // Bytes that are no JSON, as they were written down.
        Value::String(bytes) => Some(
            bytes
                .trim_start_matches("b'")
                .trim_end_matches('\'')
                .to_owned(),
        ),
        body => Some(body.to_string()),
    }
}

#[tokio::test]
async fn every_recorded_exchange_is_answered_alike() {
    let recorded: Vec<Value> = serde_json::from_str(HTTP).expect("recorded exchanges");
    let mut player = Player {
        manager: Manager::start().await.expect("a port"),
        http: client(),
        sessions: HashMap::new(),
        requests: HashMap::new(),
        main: String::new(),
        turn: String::new(),
    };
    let mut found = Vec::new();
    for exchange in &recorded {
        let differences = player.play(exchange).await;
        if !differences.is_empty() {
            found.push(format!("{}: {differences:#?}", exchange["label"]));
        }
    }
    assert_eq!(recorded.len(), 66);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a frame is: its type, and the kind of item in it.
pub(crate) fn kind(frame: &Value) -> String {
    let params = &frame["payload"]["params"];
    let item = params["item"]["type"].as_str().unwrap_or_default();
    let role = params["item"]["role"].as_str().unwrap_or_default();
    let method = frame["payload"]["method"].as_str().unwrap_or_default();
    let status = params["turn"]["status"]
        .as_str()
        .or(params["status"]["type"].as_str());
    let status = status.unwrap_or_default();
    format!(
        "{} {method} {item} {role} {status}",
        frame["type"].as_str().unwrap_or_default()
    )
}

fn recorded_frames() -> Vec<Value> {
    let lines = STREAMS.iter().flat_map(|stream| stream.lines());
    lines
        .map(|line| serde_json::from_str::<Value>(line).expect("a recorded line"))
        .filter(|line| line["dir"] == "server->client")
        .map(|line| line["frame"].clone())
        .collect()
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

pub(crate) async fn open(manager: &Manager, query: &str) -> Socket {
    let address = manager.direct_url();
    let host = address.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("a connection");
    let url = format!("ws://{host}/api/stream{query}");
    tokio_tungstenite::client_async(url, stream)
        .await
        .expect("a stream")
        .0
}

async fn next(socket: &mut Socket) -> Value {
    let message = socket.next().await.expect("a frame").expect("a frame");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

/// Reads up to a frame of this type.
async fn read_to(socket: &mut Socket, kind: &str, frames: &mut Vec<Value>) {
    loop {
        let frame = next(socket).await;
        let last = frame["type"] == kind;
        frames.push(frame);
        if last {
            return;
        }
    }
}

async fn answer(manager: &Manager) {
    let [request] = manager.waiting()[..] else {
        panic!("a call waits")
    };
    let url = format!("{}/api/tool-calls/{request}/response", manager.url());
    let call = client()
        .post(url)
        .header("content-type", "application/json");
    call.body(r#"{"text":"open"}"#)
        .send()
        .await
        .expect("an answer");
}

#[tokio::test]
async fn every_frame_has_the_shape_that_was_recorded() {
    let manager = Manager::start().await.expect("a port");
    let session = manager.foreign_session();
    let mut frames = Vec::new();
    let mut unfiltered = open(&manager, "").await;
    frames.push(next(&mut unfiltered).await);
    let mut socket = open(&manager, &format!("?threadId={session}")).await;
    frames.push(next(&mut socket).await);
    assert_eq!(frames[1]["threadId"], json!(session));
    for command in [r#"{"type":"ping"}"#, "garbage"] {
        socket.send(Message::text(command)).await.expect("sent");
        frames.push(next(&mut socket).await);
    }
    assert_eq!(
        (&frames[2]["type"], &frames[3]["type"]),
        (&json!("pong"), &json!("error"))
    );
    manager.foreign_turn(&session, CALL).expect("a turn");
    read_to(&mut socket, "tool_call_requested", &mut frames).await;
    let [.., raw, row] = &frames[..] else {
        panic!("two announcements")
    };
    assert_eq!(raw["type"], "app_server.request.item.tool.call");
    assert_eq!(
        row["payload"]["requestId"],
        json!(raw["payload"]["requestId"].to_string())
    );
    answer(&manager).await;
    read_to(&mut socket, "app_server.turn.completed", &mut frames).await;
    manager
        .until("the turn is over", |manager| manager.is_idle(&session))
        .await;
    manager.foreign_turn(&session, CALL).expect("a turn");
    manager
        .until("a call waits", |manager| manager.pending() == 1)
        .await;
    let http = client();
    let base = format!("{}/api/sessions/{session}", manager.url());
    http.post(format!("{base}/interrupt"))
        .send()
        .await
        .expect("an answer");
    read_to(&mut socket, "app_server.turn.completed", &mut frames).await;
    http.delete(&base).send().await.expect("an answer");
    read_to(&mut unfiltered, "session_deleted", &mut frames).await;

    let ours: BTreeMap<String, Value> = frames
        .into_iter()
        .map(|frame| (kind(&frame), frame))
        .collect();
    let mut compared = 0;
    for recorded in recorded_frames() {
        if let Some(frame) = ours.get(&kind(&recorded)) {
            let mut found = Vec::new();
            differences(&recorded, frame, "", &mut found);
            assert!(found.is_empty(), "{}: {found:#?}", kind(&recorded));
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared} of {:?}", ours.keys());
}

#[tokio::test]
async fn a_filtered_stream_has_only_its_thread() {
    let manager = Manager::start().await.expect("a port");
    let (one, other) = (manager.foreign_session(), manager.foreign_session());
    let mut socket = open(&manager, "").await;
    next(&mut socket).await;
    let subscribe = json!({"type": "subscribe", "threadId": other}).to_string();
    socket.send(Message::text(subscribe)).await.expect("sent");
    socket
        .send(Message::text(r#"{"type":"ping"}"#))
        .await
        .expect("sent");
    assert_eq!(next(&mut socket).await["type"], "pong");
    manager.foreign_turn(&one, "hello").expect("a turn");
    manager
        .until("it is over", |manager| manager.is_idle(&one))
        .await;
    manager.foreign_turn(&other, "hello").expect("a turn");
    let mut frames = Vec::new();
    read_to(&mut socket, "app_server.turn.completed", &mut frames).await;
    // What is said of the account goes to all.
    let of_the_account = |frame: &Value| frame["type"] == "account_rate_limits_updated";
    assert!(
        frames
            .iter()
            .all(|frame| frame["threadId"] == json!(other) || of_the_account(frame))
    );
}

#[tokio::test]
async fn every_recorded_frame_passes_through_a_client_without_harm() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    run.send_and_handle("hello").await?;
    for frame in recorded_frames() {
        manager.emit(&frame);
    }
    let turn = run
        .send_and_handle(r#"CALL echo {"text":"a"}"#)
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!((runs.get(), manager.count("POST", "/tool-calls/")), (1, 1));
    assert_eq!(manager.count("GET", "/api/stream"), 1);
    Ok(())
}

/// A client of HTTP that begins each request on a connection of its own: one that the server is about to close answers
/// nothing.
pub(crate) fn client() -> reqwest::Client {
    // Another test may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    client.no_proxy().build().expect("a client")
}

/// A body that says that it is too large is refused before it is there, and its connection closed.
#[tokio::test]
async fn a_request_that_is_too_large_is_refused_and_closed_while_it_is_written() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let manager = Manager::start().await.expect("a port");
    let address = manager.direct_url().replace("http://", "");
    for (length, refused) in [(1024 * 1024 + 1, true), (1024 * 1024, false)] {
        let mut socket = tokio::net::TcpStream::connect(&address)
            .await
            .expect("a port");
        let head = format!(
            "POST /api/tool-calls/1/response HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{{"
        );
        socket.write_all(head.as_bytes()).await.expect("it is open");
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        let closed = tokio::time::timeout(
            Duration::from_millis(if refused { 10_000 } else { 300 }),
            read,
        );
        assert_eq!(closed.await.is_ok(), refused, "{length}");
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.starts_with("HTTP/1.1 413 "), refused, "{answer}");
        assert_eq!(
            answer.contains("Request body is too large"),
            refused,
            "{answer}"
        );
    }
}
