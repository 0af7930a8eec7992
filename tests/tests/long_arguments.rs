//! Long arguments on each runtime: their deadline covers the check and the decoding, and what is over the limit is not
//! decoded.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use codex_skills::embedded::Step;
use codex_skills::{AppServer, Client, CodexManager, Embedded, Limits, Outcome, Runtime, Skill};
use codex_skills_tests::manager::Manager;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The one call of each turn: arguments that are decoded beside the async workers.
fn arguments() -> Value {
    json!({"text": "x".repeat(100_000)})
}

/// Arguments whose decoding waits until it is let go.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Held(#[allow(dead_code, reason = "decoded only")] String);

static LET_GO: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
static HELD: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HELD.fetch_add(1, Ordering::SeqCst);
        let held = LET_GO.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(LET_GO.1.wait_while(held, |let_go| !*let_go));
        String::deserialize(deserializer).map(Self)
    }
}

/// Arguments that count how often they are decoded.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Counted(#[allow(dead_code, reason = "decoded only")] String);

static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::SeqCst);
        String::deserialize(deserializer).map(Self)
    }
}

#[derive(Deserialize, JsonSchema)]
struct Takes<T> {
    #[allow(dead_code, reason = "decoded only")]
    text: T,
}

fn takes<T>() -> Skill
where
    T: for<'de> Deserialize<'de> + JsonSchema + Send + 'static,
{
    Skill::builder("takes").handler(|_: Takes<T>| async { Ok::<_, Infallible>("taken") })
}

/// Runs a turn with the one call, and returns what became of it and the answer.
async fn called<R: Runtime>(codex: &Client<R>, skill: Skill) -> (Outcome, String) {
    called_with(codex, skill, arguments()).await
}

async fn called_with<R: Runtime>(
    codex: &Client<R>,
    skill: Skill,
    arguments: Value,
) -> (Outcome, String) {
    let turn = async {
        let run = codex
            .lifecycle(|draft| draft.register([skill]))
            .await
            .unwrap();
        let request = format!("CALL takes {arguments}");
        let turn = run.send_and_handle(request).await.unwrap();
        let record = &turn.dispatches[0];
        (record.outcome(), record.output().to_text().into_owned())
    };
    tokio::time::timeout(PATIENCE, turn)
        .await
        .expect("it is answered")
}

fn embedded(arguments: Value) -> Client<Embedded> {
    Embedded::scripted([Step::call("takes", arguments), Step::say("done")])
}

fn manager(manager: &Manager) -> Client<CodexManager> {
    CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(manager.url())
        .build()
        .unwrap()
}

/// A codex that calls the tool in each turn, and ends the turn when it is answered.
async fn app_server(arguments: Value) -> Client<AppServer> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reads, writes) = tokio::io::split(theirs);
    tokio::spawn(serve(reads, writes, arguments));
    let (reads, writes) = tokio::io::split(ours);
    Client::new(AppServer::over(reads, writes).await.unwrap())
}

async fn serve(
    reads: ReadHalf<DuplexStream>,
    mut writes: WriteHalf<DuplexStream>,
    arguments: Value,
) {
    let mut lines = BufReader::new(reads).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let id = &message["id"];
        let turn = |status: &str| json!({"id": "turn", "status": status, "items": []});
        let said = match message["method"].as_str() {
            Some("initialize") => vec![json!({"id": id, "result": {"userAgent": "rig/0.171.0"}})],
            Some("thread/start") => vec![json!({"id": id, "result": {"thread": {"id": "thread"}}})],
            Some("turn/start") => vec![
                json!({"id": id, "result": {"turn": turn("inProgress")}}),
                json!({"method": "item/tool/call", "id": 900, "params": {
                    "threadId": "thread", "turnId": "turn", "callId": "call", "tool": "takes",
                    "arguments": arguments,
                }}),
            ],
            Some(_) if !id.is_null() => vec![json!({"id": id, "result": {}})],
            Some(_) => Vec::new(),
            None => vec![json!({"method": "turn/completed", "params": {
                "threadId": "thread", "turn": turn("completed"),
            }})],
        };
        for line in said {
            writes
                .write_all(format!("{line}\n").as_bytes())
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_covers_the_decoding_on_each_runtime() {
    let soon = Duration::from_millis(200);
    let server = Manager::start().await.unwrap();
    let (one, two) = (embedded(arguments()), manager(&server));
    for (at, (outcome, answer)) in [
        called(&one.with_call_timeout(soon), takes::<Held>()).await,
        called(&two.with_call_timeout(soon), takes::<Held>()).await,
        called(
            &app_server(arguments()).await.with_call_timeout(soon),
            takes::<Held>(),
        )
        .await,
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(outcome, Outcome::TimedOut, "{at}: {answer}");
    }
    assert_eq!(HELD.load(Ordering::SeqCst), 3, "each was being decoded");
    *LET_GO.0.lock().unwrap() = true;
    LET_GO.1.notify_all();
}

/// Items whose check takes much longer than a millisecond.
#[derive(Deserialize, JsonSchema)]
struct Listed {
    #[allow(dead_code, reason = "decoded only")]
    items: Vec<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_covers_the_check_on_each_runtime() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    let items: Vec<usize> = (0..150_000).collect();
    let long = || json!({ "items": items });
    let written = || {
        let items = json!({"type": "array", "items": {"type": "integer", "minimum": 0}});
        let builder = Skill::builder("takes")
            .input_schema(json!({"type": "object", "properties": {"items": items}}));
        builder.handler(|_: Value| async {
            RAN.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>("taken")
        })
    };
    let derived = || {
        Skill::builder("takes").handler(|_: Listed| async {
            RAN.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>("taken")
        })
    };
    let soon = Duration::from_millis(1);
    let server = Manager::start().await.unwrap();
    for (kind, skill) in [
        ("written", &written as &dyn Fn() -> Skill),
        ("derived", &derived),
    ] {
        let (one, two) = (embedded(long()), manager(&server));
        let (one, two) = (one.with_call_timeout(soon), two.with_call_timeout(soon));
        let three = app_server(long()).await.with_call_timeout(soon);
        for (at, (outcome, answer)) in [
            called_with(&one, skill(), long()).await,
            called_with(&two, skill(), long()).await,
            called_with(&three, skill(), long()).await,
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(outcome, Outcome::TimedOut, "{kind}, {at}: {answer}");
            let unchecked = "was not run: checking its arguments took longer than 1ms";
            assert!(answer.contains(unchecked), "{kind}, {at}: {answer}");
        }
    }
    assert_eq!(RAN.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_the_limit_is_refused_before_it_is_decoded_on_each_runtime() {
    let server = Manager::start().await.unwrap();
    for (argument_bytes, is_over) in [(99_999, true), (1_000_000, false)] {
        let limits = || Limits {
            argument_bytes,
            ..Limits::default()
        };
        let before = DECODED.load(Ordering::SeqCst);
        for (at, (outcome, answer)) in [
            called(
                &embedded(arguments()).with_limits(limits()),
                takes::<Counted>(),
            )
            .await,
            called(&manager(&server).with_limits(limits()), takes::<Counted>()).await,
            called(
                &app_server(arguments()).await.with_limits(limits()),
                takes::<Counted>(),
            )
            .await,
        ]
        .into_iter()
        .enumerate()
        {
            if is_over {
                assert_eq!(outcome, Outcome::InvalidArguments, "{at}: {answer}");
                assert!(
                    answer.contains("over the limit of 99999 bytes"),
                    "{at}: {answer}"
                );
            } else {
                assert_eq!(outcome, Outcome::Completed, "{at}: {answer}");
            }
        }
        let decoded = DECODED.load(Ordering::SeqCst) - before;
        assert_eq!(decoded, if is_over { 0 } else { 3 });
    }
}
