//! Our own codex-manager against exchanges and frames of the real one, which were recorded over codex 0.169.

use std::collections::HashMap;

use codex_skills_tests::manager::Manager;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;

use crate::contract::{client, differences, kind};

const EXCHANGES: &str = include_str!("../../fixtures/manager-exchanges.json");
const FRAMES: &str = include_str!("../../fixtures/manager-frames.jsonl");

/// What is compared in words besides shapes.
const WORDS: [&str; 5] = ["status", "code", "message", "error", "issues"];

/// The other side of the recorded exchanges: our manager, and its ids in place of the recorded ones.
struct Player {
    manager: Manager,
    http: reqwest::Client,
    ids: HashMap<&'static str, String>,
}

impl Player {
    fn own(&self, text: &str) -> String {
        let replace =
            |text: String, (name, id): (&&str, &String)| text.replace(&format!("{{{name}}}"), id);
        self.ids.iter().fold(text.to_owned(), replace)
    }

    /// What is waited for, or done to the server, before a request.
    async fn prepare(&mut self, before: &str) {
        let session = self.ids.get("session").cloned().unwrap_or_default();
        match before {
            "a call waits" => {
                let waits = |manager: &Manager| manager.pending() == 1;
                self.manager.until(before, waits).await;
                self.ids
                    .insert("request", self.manager.waiting()[0].to_string());
            }
            "an approval waits" => {
                let waits = |manager: &Manager| manager.approvals() == 1;
                self.manager.until(before, waits).await;
            }
            "the turn is over" => {
                let over = |manager: &Manager| manager.is_idle(&session);
                self.manager.until(before, over).await;
            }
            "codex dies" => {
                let waits = |manager: &Manager| manager.pending() == 1;
                self.manager.until("a call waits", waits).await;
                self.manager.kill_codex();
            }
            "the server is started again" => {
                self.manager.stop().await;
                self.manager.start_again().await;
            }
            other => panic!("{other} is not known"),
        }
    }

    async fn ask(&self, row: &Value) -> (u16, Value) {
        let method = row["method"].as_str().expect("a method").parse();
        let path = self.own(row["path"].as_str().expect("a path"));
        let url = format!("{}/api{path}", self.manager.url());
        let mut call = self.http.request(method.expect("a method"), url);
        if let Some(kind) = row["type"].as_str() {
            let body = match &row["body"] {
                Value::String(text) if text == "129 tools" => many_tools().to_string(),
                Value::String(text) => text.clone(),
                body => self.own(&body.to_string()),
            };
            call = call.header("content-type", kind).body(body);
        }
        let response = call.send().await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }
}

fn many_tools() -> Value {
    let tool = |at| json!({"name": format!("t{at}"), "description": "d", "inputSchema": {}});
    json!({"dynamicTools": (0..129).map(tool).collect::<Vec<_>>()})
}

#[tokio::test]
async fn every_exchange_with_the_real_server_is_answered_alike() {
    let rows: Vec<Value> = serde_json::from_str(EXCHANGES).expect("recorded exchanges");
    let mut player = Player {
        manager: Manager::start().await.expect("a port"),
        http: client(),
        ids: HashMap::new(),
    };
    let mut wrong = Vec::new();
    for row in &rows {
        if let Some(before) = row["before"].as_str() {
            player.prepare(before).await;
        }
        let (status, ours) = player.ask(row).await;
        let mut found = Vec::new();
        if row["status"] != status {
            found.push(format!("{} became {status}", row["status"]));
        }
        differences(&row["answer"], &ours, "", &mut found);
        for word in WORDS {
            let recorded = match &row["answer"][word] {
                Value::String(text) => json!(player.own(text)),
                other => other.clone(),
            };
            if recorded != ours[word]
                && !row["label"].as_str().unwrap_or_default().contains("method")
            {
                found.push(format!("{word}: {recorded} became {}", ours[word]));
            }
        }
        if row["path"]
            .as_str()
            .is_some_and(|path| path == "/sessions/{session}")
        {
            let recorded = kinds_of_entries(&row["answer"]);
            if recorded != kinds_of_entries(&ours) {
                found.push(format!("{recorded:?} became {:?}", kinds_of_entries(&ours)));
            }
        }
        if !found.is_empty() {
            wrong.push(format!("{}: {found:#?}", row["label"]));
        }
        remember(&mut player.ids, row, &ours);
    }
    assert!(rows.len() > 130, "{}", rows.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The transcript, as the kinds and the words of its entries.
fn kinds_of_entries(answer: &Value) -> Vec<String> {
    let entries = answer["transcript"].as_array().into_iter().flatten();
    let kind = |entry: &Value| {
        let kind = entry["type"].as_str().unwrap_or_default();
        // What commands are called in transcripts is the manager's own affair.
        let noted = kind.ends_with(".resolved");
        let content = entry["content"].as_str().filter(|_| noted);
        format!("{kind} {}", content.unwrap_or_default())
    };
    entries.map(kind).collect()
}

fn remember(ids: &mut HashMap<&'static str, String>, row: &Value, ours: &Value) {
    let mut keep = |name, id: &Value| {
        if let Some(id) = id.as_str() {
            ids.insert(name, id.to_owned());
        }
    };
    match row["label"].as_str().unwrap_or_default() {
        "create" => keep("session", &ours["session"]["sessionId"]),
        label if label.contains("send") => keep("turn", &ours["turnId"]),
        "approvals" => keep("approval", &ours["data"][0]["approvalId"]),
        _ => {}
    }
}

/// What a scenario's user says, and what happens when the model waits for something.
fn scenario(name: &str) -> (&'static str, &'static str) {
    const CALL: &str = r#"CALL lookup_ticket {"ticket_id":"A-1"}"#;
    const BOTH: &str =
        "CALL lookup_ticket {\"ticket_id\":\"A-1\"}\nCALL lookup_ticket {\"ticket_id\":\"A-2\"}";
    const COMMAND: &str = r#"CALL exec_command {"cmd":"touch a","sandbox_permissions":"require_escalated","justification":"a test"}"#;
    const INPUT: &str = r#"CALL request_user_input {"questions":[{"id":"q1","header":"Color","question":"Which?","options":[]}]}"#;
    match name {
        "none" | "supervisor" => ("hello", ""),
        "one" => (CALL, "answer"),
        "par2" => (BOTH, "answer"),
        "unknown" => (r#"CALL nope {"a":1}"#, ""),
        "interrupt" => (CALL, "interrupt"),
        "delete" => (CALL, "delete"),
        "approval-accept" => (COMMAND, "accept"),
        "approval-decline" => (COMMAND, "decline"),
        "approval-cancel" => (COMMAND, "cancel"),
        "approval-interrupt" => (COMMAND, "interrupt"),
        "input-answer" => (INPUT, "input"),
        "input-none" => (INPUT, "interrupt"),
        "child" => (
            "CHILD lookup_ticket {\"ticket_id\":\"CHILD-1\"}\nTHEN\nCALL lookup_ticket {\"ticket_id\":\"PARENT-1\"}",
            "answer",
        ),
        other => panic!("{other} is not known"),
    }
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

/// Reads frames until none comes any more: a ping is answered after all that was published.
async fn read(socket: &mut Socket, frames: &mut Vec<Value>, last: impl Fn(&Value) -> bool) {
    loop {
        let message = socket.next().await.expect("a frame").expect("a frame");
        let frame: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        let ended = last(&frame);
        frames.push(frame);
        if ended {
            return;
        }
    }
}

/// Plays a scenario on a manager of our own; its frames.
async fn play(name: &str) -> Vec<Value> {
    let manager = Manager::start().await.expect("a port");
    if name == "supervisor" {
        manager.set_supervised();
    }
    let mut socket = crate::contract::open(&manager, "").await;
    let mut frames = Vec::new();
    read(&mut socket, &mut frames, |frame| frame["type"] == "ready").await;
    frames.clear();
    let http = client();
    let post = async |path: &str, body: Value| {
        let call = http.post(format!("{}/api{path}", manager.url()));
        let call = call.header("content-type", "application/json");
        let response = call.body(body.to_string()).send().await.expect("an answer");
        let body = response.bytes().await.expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    let tools = json!([{"name": "lookup_ticket", "description": "d", "inputSchema": {}}]);
    let created = post("/sessions", json!({"dynamicTools": tools})).await;
    let session = created["session"]["sessionId"].as_str().expect("an id");
    let (text, action) = scenario(name);
    post(
        &format!("/sessions/{session}/messages"),
        json!({"text": text}),
    )
    .await;
    let ended = |frame: &Value| {
        let is_end =
            frame["type"] == "notification" && frame["payload"]["method"] == "turn/completed";
        is_end && frame["threadId"] == json!(session)
    };
    let waits = |frame: &Value| {
        let kind = frame["type"].as_str().unwrap_or_default();
        ended(frame)
            || matches!(
                kind,
                "tool_call_requested" | "approval" | "tool_user_input_requested"
            )
    };
    loop {
        read(&mut socket, &mut frames, waits).await;
        let last = frames.last().expect("a frame");
        if ended(last) {
            break;
        }
        let id = last["payload"]["requestId"].as_str();
        let id = id
            .or(last["payload"]["approvalId"].as_str())
            .expect("an id")
            .to_owned();
        if text.lines().count() > manager.calls().len() && text.contains('\n') && name == "par2" {
            continue;
        }
        match action {
            "answer" => {
                for request in manager.waiting() {
                    post(
                        &format!("/tool-calls/{request}/response"),
                        json!({"text": "ok"}),
                    )
                    .await;
                }
            }
            "interrupt" => {
                post(&format!("/sessions/{session}/interrupt"), json!({})).await;
            }
            "delete" => {
                let url = format!("{}/api/sessions/{session}", manager.url());
                http.delete(url).send().await.expect("an answer");
            }
            "input" => {
                let body = json!({"decision": "accept", "answers": {"q1": {"answers": ["red"]}}});
                post(&format!("/tool-input/{id}/decision"), body).await;
            }
            decision => {
                post(
                    &format!("/approvals/{id}/decision"),
                    json!({"decision": decision}),
                )
                .await;
            }
        }
    }
    if name.ends_with("-interrupt") || name == "input-none" {
        let resolved = |frame: &Value| {
            frame["payload"]["method"] == "serverRequest/resolved"
                && frame["type"] == "notification"
        };
        read(&mut socket, &mut frames, resolved).await;
    }
    if name == "delete" {
        read(&mut socket, &mut frames, |frame| {
            frame["type"] == "session_deleted"
        })
        .await;
    }
    if name == "one" {
        let url = format!("{}/api/sessions/{session}", manager.url());
        http.get(url).send().await.expect("an answer");
        let notice = |frame: &Value| {
            frame["payload"]["method"] == "deprecationNotice" && frame["type"] == "notification"
        };
        read(&mut socket, &mut frames, notice).await;
        let url = format!("{}/api/sessions/{session}", manager.url());
        http.delete(url).send().await.expect("an answer");
        read(&mut socket, &mut frames, |frame| {
            frame["type"] == "session_deleted"
        })
        .await;
    }
    if name == "supervisor" {
        let done = |frame: &Value| frame["type"] == "orchestrator_job_completed";
        read(&mut socket, &mut frames, done).await;
    }
    frames
}

fn recorded() -> Vec<(String, Vec<Value>)> {
    let mut scenarios: Vec<(String, Vec<Value>)> = Vec::new();
    for line in FRAMES.lines() {
        let line: Value = serde_json::from_str(line).expect("a recorded line");
        let name = line["scenario"].as_str().expect("a name");
        match scenarios.last_mut().filter(|(last, _)| last == name) {
            Some((_, frames)) => frames.push(line["frame"].clone()),
            None => scenarios.push((name.to_owned(), vec![line["frame"].clone()])),
        }
    }
    scenarios
}

/// The order of a scenario's frames: those of its own thread, up to the end that the scenario has.
fn order(frames: &[Value]) -> Vec<String> {
    let own = frames.iter().find_map(|frame| frame["threadId"].as_str());
    let counts = |frame: &&Value| {
        let kind = frame["type"].as_str().unwrap_or_default();
        // Other sessions have a part in what is said of the account, and jobs go their own way.
        frame["threadId"].as_str() == own && !kind.starts_with("orchestrator")
    };
    let name = |frame: &Value| match frame["type"].as_str() {
        Some("notification") => format!("notification {}", frame["payload"]["method"]),
        _ => kind(frame),
    };
    let mut order: Vec<String> = frames.iter().filter(counts).map(name).collect();
    if let Some(at) = order
        .iter()
        .position(|name| name.starts_with("session_deleted"))
    {
        order.truncate(at + 1);
    }
    order
}

#[tokio::test]
async fn the_frames_of_each_scenario_come_in_the_recorded_order() {
    let mut wrong = Vec::new();
    for (name, frames) in recorded() {
        // Two threads at once have no order between them, and theirs is looked at in shapes only.
        let (theirs, ours) = (order(&frames), order(&play(&name).await));
        // The first of two answers may be read before or after the second one is posted.
        let answered = |name: &String| name.starts_with("tool_call_resolved");
        let until = match name.as_str() {
            "child" => 0,
            "par2" => theirs.iter().position(answered).expect("an answer"),
            _ => theirs.len().min(ours.len()),
        };
        let differs = (0..until).find(|at| theirs[*at] != ours[*at]);
        if let Some(at) = differs {
            wrong.push(format!(
                "{name}, frame {at}: {:?} became {:?}",
                theirs[at], ours[at]
            ));
        }
        assert!(until > 30 || name == "child", "{name}: {until} frames");
        assert!(
            ours.len() >= theirs.len() || name == "child" || ended_early(&name),
            "{name}: {:#?}",
            &theirs[ours.len()..]
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the recording goes on with the deletion that cleaned up.
fn ended_early(name: &str) -> bool {
    !matches!(name, "one" | "delete")
}

#[tokio::test]
async fn the_frames_of_each_scenario_have_the_recorded_shape() {
    let mut compared = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, frames) in recorded() {
        let ours = play(&name).await;
        for frame in ours.iter().filter(|frame| frame["type"] != "notification") {
            let kind = kind(frame);
            let mut found = Vec::new();
            match frames
                .iter()
                .find(|theirs| crate::contract::kind(theirs) == kind)
            {
                Some(theirs) => differences(theirs, frame, "", &mut found),
                None => found.push("the real server has none".to_owned()),
            }
            if !found.is_empty() && !compared.contains(&kind) {
                wrong.push(format!("{name}: {kind}: {found:#?}"));
            }
            compared.insert(kind);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared.len() >= 45, "{}: {compared:#?}", compared.len());
}

/// A sub-agent: nothing says `thread/started`, and only the completed item names it.
#[tokio::test]
async fn a_sub_agent_is_announced_by_the_completed_item_alone() {
    let frames = play("child").await;
    let parent = frames[0]["threadId"].clone();
    let began: Vec<&Value> = frames
        .iter()
        .filter(|frame| frame["type"] == "app_server.thread.started")
        .collect();
    assert_eq!(began.len(), 1);
    let receivers = |kind: &str| {
        let mut items = frames
            .iter()
            .filter(|frame| frame["type"] == kind)
            .map(|frame| &frame["payload"]["params"]["item"]);
        items
            .find(|item| item["type"] == "collabAgentToolCall")
            .expect("an item")["receiverThreadIds"]
            .clone()
    };
    assert_eq!(receivers("app_server.item.started"), json!([]));
    let children = receivers("app_server.item.completed");
    assert_ne!(children[0], parent);
    assert!(frames.iter().any(|frame| frame["type"] == "tool_call_requested" && frame["threadId"] == children[0]));
}
