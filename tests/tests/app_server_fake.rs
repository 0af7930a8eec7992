//! What the real codex cannot be made to do on demand: a codex that is old, refuses, is silent, mad, overloaded or stubborn.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use codex_skills::app_server::{AppServerError, RestartPolicy, SpawnAppServer};
use codex_skills::{
    AppServer, Client, CodexReply, Error, RequestHandler, Session, TurnStatus, skill, skills,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Say a text.
#[skill]
fn echo(text: String) -> String {
    text
}

fn fake(does: &str) -> SpawnAppServer {
    AppServer::spawn()
        .codex(env!("CARGO_BIN_EXE_fake_codex"))
        .env("FAKE_CODEX", does)
        .restart(RestartPolicy::never())
}

/// A fake that writes down what it hears.
struct Heard(TempDir);

impl Heard {
    fn new() -> io::Result<Self> {
        tempfile::tempdir().map(Self)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("heard")
    }

    /// The messages with this method, or the answers without one.
    fn of(&self, method: Option<&str>) -> Vec<Value> {
        let text = fs::read_to_string(self.path()).expect("it heard something");
        let messages = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        messages
            .filter(|message| message["method"].as_str() == method)
            .collect()
    }
}

async fn session(client: &Client<AppServer>) -> Result<Session, Error> {
    let register = |draft: codex_skills::Draft| draft.register(skills![echo]);
    Ok(client.create_session(register).await?.1)
}

/// Waits for what nothing tells of.
async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

async fn failure(spawn: SpawnAppServer) -> AppServerError {
    spawn.await.expect_err("it does not start")
}

#[tokio::test]
async fn a_missing_codex_is_an_error_that_says_how_to_get_one() {
    let error = failure(AppServer::spawn().codex("/no/such/codex")).await;
    assert!(
        matches!(&error, AppServerError::NotFound { looked_for } if looked_for.as_deref() == Some(Path::new("/no/such/codex")))
    );
    assert!(
        error.to_string().contains("npm install -g @openai/codex"),
        "{error}"
    );
    let error = failure(AppServer::spawn().codex("no-such-codex-on-the-path")).await;
    assert!(matches!(error, AppServerError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_codex_that_cannot_be_started_says_why() {
    let text = tempfile::NamedTempFile::new().expect("a file");
    let error = failure(AppServer::spawn().codex(text.path())).await;
    assert!(
        matches!(error, AppServerError::CannotStart { .. }),
        "{error}"
    );
    let nowhere = fake("").current_dir("/no/such/directory");
    let error = failure(nowhere).await;
    assert!(
        matches!(error, AppServerError::CannotStart { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_old_codex_is_refused_with_the_version_that_will_do() {
    let error = failure(fake("old")).await;
    assert!(matches!(error, AppServerError::TooOld { .. }));
    let text = error.to_string();
    assert!(
        text.contains("0.90.0") && text.contains("0.105.0"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_handshake_says_what_codex_said() {
    let error = failure(fake("refuses")).await;
    assert!(matches!(error, AppServerError::Refused { .. }));
    assert!(
        error.to_string().contains("no room for another client"),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_codex_is_given_up() {
    let error = failure(fake("silent").start_timeout(Duration::from_millis(300))).await;
    assert!(matches!(error, AppServerError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_codex_that_dies_says_how_and_what_it_wrote() {
    let error = failure(fake("dies")).await;
    let AppServerError::Ended { status, stderr } = &error else {
        panic!("{error}")
    };
    assert!(status.contains('3'), "{status}");
    assert_eq!(stderr, "ERROR the config is no good");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused() {
    let error = failure(fake("").request_timeout(Duration::ZERO)).await;
    assert!(matches!(
        error,
        AppServerError::InvalidOption {
            option: "request_timeout",
            ..
        }
    ));
    for (address, wanted) in [
        ("http://127.0.0.1:1", "CodexManager::builder()"),
        ("unix:///tmp/socket", "connect_unix"),
        ("wss://127.0.0.1:1", "TLS"),
        ("ws://127.0.0.1", "names no port"),
        ("127.0.0.1:1", "ws://"),
        ("", "ws://"),
    ] {
        let error = AppServer::connect(address)
            .await
            .expect_err("it is no address");
        assert!(
            matches!(error, AppServerError::InvalidOption { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let short = AppServer::connect("ws://127.0.0.1:1").signed_bearer("short", None, None);
    let error = short.await.expect_err("the secret is too short");
    assert!(error.to_string().contains("32 bytes"), "{error}");
}

#[tokio::test]
async fn what_nobody_understands_is_left_out_and_counted() -> Result<(), Error> {
    let client = fake("junk odd-ids").await?;
    let session = session(&client).await?;
    let turn = session.send_and_handle("go").await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches.len(), 4);
    assert!(client.metrics().unreadable_messages > 0);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn the_ids_of_calls_are_echoed_exactly() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("odd-ids")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    let session = session(&client).await?;
    session.send_and_handle("go").await?;
    client.shutdown().await;
    let mut answered: Vec<(String, String)> = heard
        .of(None)
        .iter()
        .map(|answer| {
            let text = answer["result"]["contentItems"][0]["text"].as_str();
            (
                answer["id"].to_string(),
                text.unwrap_or_default().to_owned(),
            )
        })
        .collect();
    answered.sort();
    let wanted = [("\"0\"", "1"), ("\"a\\\"b\"", "3"), ("-7", "2"), ("0", "0")];
    assert_eq!(
        answered,
        wanted.map(|(id, text)| (id.to_owned(), text.to_owned()))
    );
    Ok(())
}

#[tokio::test]
async fn a_codex_without_time_is_asked_again() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("overloaded")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    session(&client).await?;
    client.shutdown().await;
    assert_eq!(heard.of(Some("thread/start")).len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_request_that_codex_forgets_is_given_up() -> Result<(), Error> {
    let client = fake("forgets")
        .request_timeout(Duration::from_millis(200))
        .await?;
    let error = session(&client).await.expect_err("nothing answers");
    assert!(
        error.to_string().contains("no answer within 200ms"),
        "{error}"
    );
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn an_interrupt_that_names_an_old_turn_is_made_again() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("elsewhere")
        .env("FAKE_CODEX_HEARD", heard.path())
        .await?;
    let session = session(&client).await?;
    session.send("go").await?;
    session.interrupt().await?;
    client.shutdown().await;
    let turns: Vec<Value> = heard
        .of(Some("turn/interrupt"))
        .iter()
        .map(|interrupt| interrupt["params"]["turnId"].clone())
        .collect();
    // The shutdown may interrupt what has not ended yet.
    assert_eq!(
        turns[..2],
        ["22222222-2222-7222-8222-222222222222", "other-turn"]
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupt_without_a_turn_is_an_error() -> Result<(), Error> {
    let client = fake("").await?;
    let session = session(&client).await?;
    let error = session.interrupt().await.expect_err("there is no turn");
    assert!(error.to_string().contains("no active turn"), "{error}");
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn everything_that_codex_asks_is_answered() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("asks").env("FAKE_CODEX_HEARD", heard.path()).await?;
    let session = session(&client).await?;
    let turn = session.send_and_handle("go").await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    client.shutdown().await;
    let answers = heard.of(None);
    let answer = |id: u64| {
        let mut of = answers.iter().filter(|answer| answer["id"] == id);
        let answer = of.next().expect("an answer");
        assert!(of.next().is_none(), "one answer");
        answer.clone()
    };
    let refusals = [
        json!({"decision": "decline"}),
        json!({"decision": "decline"}),
        json!({"permissions": {}, "scope": "turn"}),
        json!({"answers": {}}),
        json!({"action": "decline", "content": null, "_meta": null}),
    ];
    for (id, refusal) in (0..).zip(refusals) {
        assert_eq!(answer(id)["result"], refusal);
    }
    for id in [5, 6, 9] {
        assert!(answer(id)["error"]["message"].is_string(), "{}", answer(id));
    }
    assert!(answer(7)["result"]["currentTimeAt"].as_u64() > Some(1_700_000_000));
    assert!(answer(8)["result"]["decision"]["denied"].is_object());
    Ok(())
}

#[tokio::test]
async fn a_handler_of_requests_that_blocks_or_panics_holds_nothing_up() -> Result<(), Error> {
    let heard = Heard::new()?;
    let client = fake("asks").env("FAKE_CODEX_HEARD", heard.path()).await?;
    let handler = RequestHandler::new(|request| {
        // Before there is a future.
        assert!(!request.method.contains("fileChange"), "as a test wants it");
        async move {
            match request.method.as_str() {
                "item/commandExecution/requestApproval" => CodexReply::Grant,
                "something/new" => CodexReply::Result(json!({"mine": request.thread_id})),
                _ => CodexReply::Refuse,
            }
        }
    });
    let register = |draft: codex_skills::Draft| draft.register(skills![echo]);
    let (_, session) = client.create_session(register).on_request(handler).await?;
    session.send_and_handle("go").await?;
    client.shutdown().await;
    let answers = heard.of(None);
    let result = |id: u64| {
        let answer = answers.iter().find(|answer| answer["id"] == id);
        answer.expect("an answer")["result"].clone()
    };
    assert_eq!(result(0), json!({"decision": "accept"}));
    assert_eq!(result(1), json!({"decision": "decline"}));
    assert_eq!(result(9)["mine"], "11111111-1111-7111-8111-111111111111");
    Ok(())
}

/// The fake as a program that ignores SIGTERM.
#[cfg(unix)]
fn no_terminating(directory: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;

    let script = directory.join("codex");
    let fake_codex = env!("CARGO_BIN_EXE_fake_codex");
    // What is ignored before `exec` is ignored after it.
    let text = format!("#!/bin/sh\ntrap '' TERM\nexec {fake_codex} \"$@\"\n");
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_does_not_end_is_killed() -> Result<(), Error> {
    let directory = tempfile::tempdir()?;
    let client = AppServer::spawn()
        .codex(no_terminating(directory.path())?)
        .env("FAKE_CODEX", "stubborn")
        .grace(Duration::from_millis(100))
        .await?;
    let report = client.shutdown().await;
    assert!(report.runtime_error.is_none(), "{report:?}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_neither_resumes_nor_ends_is_killed() -> Result<(), Error> {
    let (directory, heard) = (tempfile::tempdir()?, Heard::new()?);
    let client = AppServer::spawn()
        .codex(no_terminating(directory.path())?)
        .env("FAKE_CODEX", "stubborn deaf")
        .env("FAKE_CODEX_HEARD", heard.path())
        .grace(Duration::from_millis(100))
        .await?;
    let session = session(&client).await?;
    session.send_and_handle("go").await?;
    client.runtime().restart();
    let resumes = || !heard.of(Some("thread/resume")).is_empty();
    until("the next one is to resume", resumes).await;

    let report = client.shutdown().await;

    assert!(report.runtime_error.is_none(), "{report:?}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_ends_is_noticed_though_its_output_is_held_open() -> Result<(), Error> {
    let client = fake("leaves faints")
        .grace(Duration::from_millis(100))
        .await?;
    let session = session(&client).await?;

    let turn = tokio::time::timeout(PATIENCE, session.send_and_handle("go").into_future()).await;

    let turn = turn.expect("it does not hang");
    assert!(turn.is_err(), "{turn:?}");
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_codex_that_crashes_whenever_it_starts_is_given_up() -> Result<(), Error> {
    let heard = Heard::new()?;
    let policy = RestartPolicy {
        attempts: 2,
        delay: Duration::from_millis(1),
        ..RestartPolicy::default()
    };
    let client = fake("crashes")
        .env("FAKE_CODEX_HEARD", heard.path())
        .restart(policy)
        .await?;

    let is_given_up = || format!("{client:?}").contains("\"gone\"");
    until("it is given up", is_given_up).await;

    assert_eq!(heard.of(Some("initialize")).len(), 3);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn nothing_waits_for_a_codex_that_is_down_once_the_client_was_shut_down() -> Result<(), Error>
{
    let policy = RestartPolicy {
        delay: Duration::from_secs(60),
        max_delay: Duration::from_secs(60),
        ..RestartPolicy::default()
    };
    let client = fake("faints").restart(policy).await?;
    let session = session(&client).await?;
    // It is a matter of luck whether the answer to its request arrives.
    drop(session.send("go").await);
    let is_down = || format!("{client:?}").contains("\"down\"");
    until("it is down", is_down).await;

    client.shutdown().await;

    let detail = tokio::time::timeout(PATIENCE, session.detail()).await;
    let error = detail.expect("it does not wait").expect_err("it is down");
    assert!(error.to_string().contains("shut down"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_turn_ends_though_no_number_of_ours_is_as_large_as_one_in_it() -> Result<(), Error> {
    let client = fake("vast").await?;
    let session = session(&client).await?;

    let turn = tokio::time::timeout(PATIENCE, session.send_and_handle("go").into_future()).await;

    let turn = turn.expect("it ends")?;
    assert_eq!(turn.status, TurnStatus::Completed);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_path_to_codex_begins_here_and_not_where_codex_works() -> Result<(), Error> {
    let here = std::env::current_dir()?;
    let name = here.file_name().expect("it is not the root");
    // Through the name of this directory, so that it leads nowhere from another one.
    let up: PathBuf = here.ancestors().skip(1).map(|_| "..").collect();
    let codex = Path::new(env!("CARGO_BIN_EXE_fake_codex"));
    let codex = codex.strip_prefix("/").expect("it is absolute");
    let elsewhere = tempfile::tempdir()?;

    let client = AppServer::spawn()
        .codex(Path::new("..").join(name).join(up).join(codex))
        .current_dir(elsewhere.path())
        .await?;

    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_connect_that_is_dropped_closes_its_connection() -> Result<(), Error> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", silent.local_addr()?);
    let connect = AppServer::connect(url).into_future();

    let mut accepted = tokio::select! {
        connected = connect => panic!("{connected:?}"),
        accepted = silent.accept() => accepted?.0,
    };

    let mut rest = Vec::new();
    let end = accepted.read_to_end(&mut rest);
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("it is closed")?;
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_a_debug_text() -> Result<(), Error> {
    let spawn = fake("")
        .env("KEY", "s3cret")
        .config("providers.x.key", "s3cret");
    assert!(!format!("{spawn:?}").contains("s3cret"), "{spawn:?}");
    let client = spawn.await?;
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
    client.shutdown().await;
    let connect = AppServer::connect("ws://127.0.0.1:1").capability_token("s3cret");
    assert!(!format!("{connect:?}").contains("s3cret"), "{connect:?}");
    let connect = connect.signed_bearer("s3cret".repeat(8), None, None);
    assert!(!format!("{connect:?}").contains("s3cret"), "{connect:?}");
    let error = connect.await.expect_err("nobody is there");
    assert!(
        matches!(error, AppServerError::Unreachable { .. }),
        "{error}"
    );
    Ok(())
}

/// A codex that the test plays, at the other end of two streams.
mod played {
    use std::sync::Arc;

    use codex_skills::{Event, SubmissionStatus};
    use codex_skills_tests::gate::Gate;
    use codex_skills_tests::skills::{Counter, held};
    use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
    use tokio::io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, duplex,
    };
    use tokio::net::TcpSocket;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    struct Played {
        hears: Lines<BufReader<DuplexStream>>,
        says: DuplexStream,
    }

    impl Played {
        /// A client, and its codex, which has so many bytes of room for what it did not read yet.
        async fn with_room(bytes: usize) -> (Client<AppServer>, Self) {
            let (hears, writes) = duplex(bytes);
            let (says, reads) = duplex(64 * 1024);
            let hears = BufReader::with_capacity(1, hears).lines();
            let mut codex = Self { hears, says };
            let agent = json!({"userAgent": "codex-skills/0.169.0 (played)"});
            let (server, ()) = tokio::join!(AppServer::over(reads, writes), async {
                codex.answers("initialize", agent).await;
                assert_eq!(codex.hears().await["method"], "initialized");
            });
            (Client::new(server.expect("it opens")), codex)
        }

        async fn hears(&mut self) -> Value {
            let heard = tokio::time::timeout(PATIENCE, self.hears.next_line()).await;
            let line = heard.expect("in time").expect("a line").expect("no end");
            serde_json::from_str(&line).expect("JSON")
        }

        async fn says(&mut self, message: Value) {
            let line = format!("{message}\n");
            self.says.write_all(line.as_bytes()).await.expect("heard");
        }

        async fn answers(&mut self, method: &str, result: Value) {
            let request = self.hears().await;
            assert_eq!(request["method"], method);
            self.says(json!({"id": request["id"], "result": result}))
                .await;
        }

        /// Makes a session.
        async fn session(
            &mut self,
            client: &Client<AppServer>,
            id: &str,
            register: impl FnOnce(codex_skills::Draft) -> codex_skills::Draft,
        ) -> Session {
            let thread = json!({"thread": {"id": id, "ephemeral": true}});
            let create = client.create_session(register).into_future();
            let (created, ()) = tokio::join!(create, self.answers("thread/start", thread));
            created.expect("a session").1
        }

        /// Calls a tool, and returns when its call is being answered.
        async fn calls(&mut self, session: &Session, tool: &str, arguments: Value) -> Event {
            let mut events = session.events();
            let params = json!({
                "threadId": session.session_id(), "turnId": "turn", "callId": "call", "tool": tool,
                "arguments": arguments,
            });
            self.says(json!({"method": "item/tool/call", "id": 7, "params": params}))
                .await;
            let event = events.next().await.expect("a call");
            assert!(session.respond_to_signal(&event).now_or_never().is_none());
            event
        }
    }

    /// Panics when it is dropped.
    struct Grenade;

    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "in the destructor of a state");
        }
    }

    #[skill]
    async fn slow(#[state] gate: &Gate, #[state] _grenade: &Grenade) -> &'static str {
        gate.enter().await;
        "done"
    }

    #[tokio::test]
    async fn a_state_that_panics_when_it_is_dropped_with_the_last_answer_costs_no_connection() {
        let (client, mut codex) = Played::with_room(64 * 1024).await;
        let gate = Gate::new();
        let state = gate.clone();
        let register =
            |draft: codex_skills::Draft| draft.register(skills![slow]).state(state).state(Grenade);
        let short = codex.session(&client, "short", register).await;
        codex.calls(&short, "slow", json!({})).await;
        gate.somebody().await;
        drop(short);
        gate.pass();
        assert_eq!(codex.hears().await["id"], 7);

        let echoes = |draft: codex_skills::Draft| draft.register(skills![echo]);
        let other = codex.session(&client, "other", echoes).await;
        let event = codex.calls(&other, "echo", json!({"text": "on"})).await;
        assert_eq!(codex.hears().await["id"], 7);
        let record = other.respond_to_signal(&event).await.expect("an answer");
        let status = record.expect("a record").submission().status();
        assert!(
            matches!(
                status,
                SubmissionStatus::Written | SubmissionStatus::Repeated
            ),
            "{status:?}"
        );
    }

    #[tokio::test]
    async fn more_answers_than_can_wait_to_be_written_are_written_once() {
        const CALLS: usize = 1500;
        let (client, mut codex) = Played::with_room(1024).await;
        let client = client.with_limits(codex_skills::Limits {
            open_calls: CALLS,
            ..codex_skills::Limits::default()
        });
        let echoes = |draft: codex_skills::Draft| draft.register(skills![echo]);
        let session = codex.session(&client, "thread", echoes).await;
        let serving = session.clone();
        tokio::spawn(async move { serving.serve().await });
        for number in 0..CALLS {
            let params = json!({
                "threadId": "thread", "turnId": "turn", "callId": format!("call {number}"), "tool": "echo",
                "arguments": {"text": number.to_string()},
            });
            codex
                .says(json!({"method": "item/tool/call", "id": number, "params": params}))
                .await;
        }
        until("all are taken up", || {
            client.metrics().received == CALLS as u64
        })
        .await;
        let mut answered = std::collections::BTreeSet::new();
        for _ in 0..CALLS {
            let answer = codex.hears().await;
            let text = answer["result"]["contentItems"][0]["text"].clone();
            assert_eq!(text, answer["id"].to_string());
            assert!(answered.insert(answer["id"].to_string()), "twice: {answer}");
        }
        until("all are settled", || client.metrics().running == 0).await;
        let metrics = client.metrics();
        assert_eq!((metrics.answered, metrics.retries), (CALLS as u64, 0));
        drop(session);
    }

    #[tokio::test]
    async fn an_answer_that_codex_does_not_read_is_given_up_with_the_connection() {
        let (client, mut codex) = Played::with_room(16 * 1024).await;
        let client = client.with_limits(codex_skills::Limits {
            submission: codex_skills::RetryPolicy {
                delay: Duration::ZERO,
                ..codex_skills::RetryPolicy::default()
            },
            ..codex_skills::Limits::default()
        });
        let echoes = |draft: codex_skills::Draft| draft.register(skills![echo]);
        let session = codex.session(&client, "thread", echoes).await;
        let text = "x".repeat(32 * 1024);
        let event = codex.calls(&session, "echo", json!({"text": text})).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(client.metrics().running, 1, "codex reads nothing");

        let Played { hears, says } = codex;
        drop(says);
        let settled = || client.metrics().running == 0;
        until("the call is settled", settled).await;
        assert_eq!(client.metrics().undelivered.given_up, 1);
        drop((hears, event, Arc::new(session)));
    }

    /// A codex that listens on a socket.
    struct Listening(tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>);

    impl Listening {
        async fn greeted(listener: &TcpListener) -> Self {
            let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
            let (stream, _) = accepted.expect("in time").expect("a connection");
            let socket = tokio_tungstenite::accept_async(stream).await;
            let mut codex = Self(socket.expect("a WebSocket"));
            let agent = json!({"userAgent": "codex-skills/0.169.0 (played)"});
            codex.answers("initialize", agent).await;
            assert_eq!(codex.hears().await["method"], "initialized");
            codex
        }

        async fn hears(&mut self) -> Value {
            // Beside messages there are pings.
            let message = async {
                loop {
                    let heard = self.0.next().await.expect("no end");
                    if let Message::Text(text) = heard.expect("a message") {
                        return text;
                    }
                }
            };
            let text = tokio::time::timeout(PATIENCE, message).await;
            serde_json::from_str(&text.expect("in time")).expect("JSON")
        }

        async fn says(&mut self, message: Value) {
            let message = Message::text(message.to_string());
            self.0.send(message).await.expect("heard");
        }

        async fn answers(&mut self, method: &str, result: Value) {
            let request = self.hears().await;
            assert_eq!(request["method"], method);
            self.says(json!({"id": request["id"], "result": result}))
                .await;
        }

        async fn calls(&mut self, tool: &str, arguments: Value, id: u32) {
            let params = json!({
                "threadId": "thread", "turnId": "turn", "callId": "call", "tool": tool,
                "arguments": arguments,
            });
            self.says(json!({"method": "item/tool/call", "id": id, "params": params}))
                .await;
        }
    }

    /// A call is answered while the connection is away, and codex says on the next one what it took: most likely the answer
    /// was written, and the word of it was lost.
    #[tokio::test]
    async fn an_answer_that_was_taken_before_it_is_sent_again_is_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let connect = AppServer::connect(url);
        let (client, mut codex) =
            tokio::join!(connect.into_future(), Listening::greeted(&listener));
        let mut limits = codex_skills::Limits::default();
        limits.submission.delay = Duration::from_secs(600);
        limits.submission.max_delay = Duration::from_secs(600);
        let client = client.expect("it connects").with_limits(limits);
        let (runs, gate) = (Counter::default(), Gate::new());
        let thread = json!({"thread": {"id": "thread", "ephemeral": false}});
        let create = client
            .create_session(|draft| draft.register([held(&runs, &gate)]))
            .into_future();
        let (created, ()) = tokio::join!(create, codex.answers("thread/start", thread.clone()));
        let session = created.expect("a session").1;
        let mut events = session.events();
        codex.calls("held", json!({"text": "a"}), 1).await;
        let event = events.next().await.expect("a call");
        let answered = session.respond_to_signal(&event);
        let meanwhile = async {
            gate.somebody().await;
            drop(codex);
            let runtime = client.runtime();
            until("the connection is gone", || {
                format!("{runtime:?}").contains("down")
            })
            .await;
            gate.open();
            until("the handler is over", || runs.get() == 1).await;
            let mut codex = Listening::greeted(&listener).await;
            codex.answers("thread/resume", thread).await;
            let item = json!({
                "type": "dynamicToolCall", "id": "call", "tool": "held", "arguments": {"text": "a"},
                "status": "completed", "success": true,
                "contentItems": [{"type": "inputText", "text": "held a"}],
            });
            let params = json!({"threadId": "thread", "turnId": "turn", "item": item});
            codex
                .says(json!({"method": "item/completed", "params": params}))
                .await;
            codex
        };
        let both = async { tokio::join!(answered, meanwhile) };
        let both = tokio::time::timeout(PATIENCE, both).await;
        let (record, codex) = both.expect("it is settled");
        let record = record.expect("it is open").expect("a call");
        let submission = record.submission();
        assert_eq!(submission.status(), SubmissionStatus::Accepted);
        assert!(record.is_handled(), "{submission:?}");
        assert_eq!(client.metrics().undelivered.total(), 0);
        drop(codex);
    }

    /// More than a socket takes whose other side does not read.
    #[skill]
    fn vast() -> String {
        "x".repeat(7 * 1024 * 1024)
    }

    #[tokio::test]
    async fn an_answer_that_a_deaf_connection_does_not_take_goes_to_the_next_one() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let address = "127.0.0.1:0".parse().expect("an address");
        socket.bind(address).expect("a port");
        let listener = socket.listen(8).expect("it listens");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let connect = AppServer::connect(url).heartbeat(Duration::from_secs(2));
        let (client, mut deaf) = tokio::join!(connect.into_future(), Listening::greeted(&listener));
        let client = client.expect("it connects");
        let thread = json!({"thread": {"id": "thread", "ephemeral": false}});
        let create = client
            .create_session(|draft| draft.register(skills![vast]))
            .into_future();
        let (created, ()) = tokio::join!(create, deaf.answers("thread/start", thread.clone()));
        let session = created.expect("a session").1;
        let serving = session.clone();
        tokio::spawn(async move { serving.serve().await });
        deaf.calls("vast", json!({}), 1).await;

        let mut codex = Listening::greeted(&listener).await;
        codex.answers("thread/resume", thread).await;
        codex.calls("vast", json!({}), 2).await;
        assert_eq!(codex.hears().await["id"], 2);
        until("the call is settled", || client.metrics().running == 0).await;
        let metrics = client.metrics();
        assert_eq!((metrics.received, metrics.answered), (1, 1));
        drop((deaf, session));
    }
}

#[test]
fn a_tokio_runtime_without_io_does_not_take_the_connection_over() {
    use tokio::runtime::Builder;

    let first = Builder::new_multi_thread().enable_all().build().unwrap();
    let client = first.block_on(async { fake("").await }).unwrap();
    drop(first);
    let second = Builder::new_current_thread().enable_time().build().unwrap();
    let refused = second.block_on(async { tokio::time::timeout(PATIENCE, session(&client)).await });
    let error = refused.expect("it fails at once").unwrap_err().to_string();
    assert!(error.contains("this tokio runtime has no I/O"), "{error}");
    // One that has it does.
    let third = Builder::new_current_thread().enable_all().build().unwrap();
    let taken = third.block_on(async { tokio::time::timeout(PATIENCE, session(&client)).await });
    assert_eq!(taken.unwrap().unwrap().list(), ["echo"]);
}
