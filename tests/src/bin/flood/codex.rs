//! Floods of a codex app-server.

use std::sync::Arc;
use std::time::Duration;

use codex_skills::{AppServer, Client, Draft, Event, Session, skills};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Mutex, watch};

use super::{Bounds, Failure, Growth, MIB, RAN, long};

const THREAD: &str = "01a20376-1b18-75a0-8c01-e6a677c63e7d";
/// How many calls wait for their answers at the same time, where they are answered.
const PACE: usize = 8;

/// What the client wrote by now.
#[derive(Clone, Copy, Default)]
struct Heard {
    answers: usize,
    /// Whether the last request was answered.
    last: bool,
}

struct Peer<W> {
    writes: Mutex<W>,
    heard: watch::Sender<Heard>,
}

impl<W: AsyncWrite + Unpin> Peer<W> {
    async fn say(&self, line: &str) -> std::io::Result<()> {
        let mut writes = self.writes.lock().await;
        writes.write_all(line.as_bytes()).await?;
        writes.write_all(b"\n").await
    }

    /// Waits for the answer to a request that the reader answers, when everything before it was read.
    async fn hear_the_last(&self, hears: &mut watch::Receiver<Heard>) -> Result<(), Failure> {
        self.say(r#"{"method":"currentTime/read","id":"last","params":{}}"#)
            .await?;
        hears.wait_for(|heard| heard.last).await?;
        Ok(())
    }

    /// Reads what the client writes; a deaf one only until it has a session.
    async fn listen(&self, reads: impl AsyncRead + Unpin, is_deaf: bool) -> std::io::Result<()> {
        let mut reads = BufReader::new(reads);
        let mut line = Vec::new();
        let mut sessions = 0;
        loop {
            line.clear();
            if reads.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            // What it is about is said first.
            let head = &line[..line.len().min(64)];
            let says = |what: &[u8]| head.windows(what.len()).any(|part| part == what);
            if says(b"\"initialize\"") {
                self.say(r#"{"id":1,"result":{"userAgent":"rig/0.171.0"}}"#)
                    .await?;
            } else if says(b"\"thread/start\"") {
                let message: Value = serde_json::from_slice(&line)?;
                sessions += 1;
                let id = match sessions {
                    1 => THREAD.to_owned(),
                    n => format!("{THREAD}-{n}"),
                };
                let result = json!({"id": message["id"], "result": {"thread": {"id": id}}});
                self.say(&result.to_string()).await?;
                if is_deaf {
                    std::future::pending::<()>().await;
                }
            } else if !says(b"\"method\":") {
                let is_last = line.starts_with(b"{\"id\":\"last\"");
                self.heard.send_modify(|heard| {
                    heard.answers += usize::from(!is_last);
                    heard.last |= is_last;
                });
            }
        }
    }
}

fn call(n: usize, thread: &str, turn: &str, arguments: &str) -> String {
    format!(
        r#"{{"method":"item/tool/call","id":{n},"params":{{"threadId":"{thread}","turnId":"{turn}","callId":"c{n}","tool":"long","arguments":{arguments}}}}}"#
    )
}

fn ended(turn: &str, items: &str) -> String {
    format!(
        r#"{{"method":"turn/completed","params":{{"threadId":"{THREAD}","turn":{{"id":"{turn}","status":"completed","items":[{items}]}}}}}}"#
    )
}

/// One line of a flood, by its number.
type Line = Box<dyn Fn(usize) -> String + Send + Sync>;

/// How many lines a flood has, and which.
fn lines(case: &str) -> Option<(usize, Line)> {
    let half_a_mib = r#"{"bytes":524288}"#;
    let (lines, line): (usize, Line) = match case {
        "one-turn" => (128, Box::new(move |n| call(n, THREAD, "t", half_a_mib))),
        "unended-turns" => (
            128,
            Box::new(move |n| call(n, THREAD, &format!("t{n}"), half_a_mib)),
        ),
        "many-turns" => (
            128,
            Box::new(move |n| {
                // The end of a turn whose call is answered.
                let over = format!("t{}", n.wrapping_sub(2 * PACE));
                call(n, THREAD, &format!("t{n}"), half_a_mib) + "\n" + &ended(&over, "")
            }),
        ),
        "unserved" | "large-calls" => (
            96,
            Box::new(|n| {
                let arguments = format!(r#"{{"bytes":1,"x":"{}"}}"#, "x".repeat(MIB));
                call(n, THREAD, "t", &arguments)
            }),
        ),
        "deaf-calls" => (
            256,
            Box::new(|n| call(n, THREAD, "t", r#"{"bytes":1048576}"#)),
        ),
        "deaf-requests" => (
            16_000,
            Box::new(|n| {
                format!(
                    r#"{{"method":"item/commandExecution/requestApproval","id":{n},"params":{{"threadId":"{THREAD}","turnId":"t","itemId":"i{n}","command":"{}"}}}}"#,
                    "x".repeat(2_000)
                )
            }),
        ),
        "deaf-refusals" => (
            20_000,
            Box::new(|n| {
                format!(
                    r#"{{"method":"item/tool/call","id":{n},"params":{{"threadId":"{THREAD}"}}}}"#
                )
            }),
        ),
        "strangers" => (
            8_000,
            Box::new(|n| {
                let arguments = format!(r#"{{"x":"{}"}}"#, "x".repeat(4_000));
                call(n, &format!("stranger-{n}"), "t", &arguments)
            }),
        ),
        "children" => {
            let ids = (0..1000).map(|m| format!("\"01a20376-1b18-75a0-8c01-LINE{m:06}\""));
            let ids = ids.collect::<Vec<_>>().join(",");
            let line = format!(
                r#"{{"method":"item/completed","params":{{"threadId":"{THREAD}","turnId":"t","item":{{"type":"collabAgentToolCall","id":"x","senderThreadId":"{THREAD}","receiverThreadIds":[{ids}]}}}}}}"#
            );
            (
                200,
                Box::new(move |n| line.replace("LINE", &format!("{n:06}"))),
            )
        }
        "child-list" => (
            1,
            Box::new(|_| {
                let mut ids = String::new();
                for n in 0..200_000 {
                    ids.push_str(&format!("\"01a20376-1b18-75a0-8c01-e6a67{n:07}\","));
                }
                format!(
                    r#"{{"method":"item/completed","params":{{"threadId":"{THREAD}","turnId":"t","item":{{"type":"collabAgentToolCall","id":"x","receiverThreadIds":[{}]}}}}}}"#,
                    ids.trim_end_matches(',')
                )
            }),
        ),
        "signals" => (
            128,
            Box::new(|n| {
                format!(
                    r#"{{"method":"item/agentMessage/delta","params":{{"threadId":"{THREAD}","turnId":"t","delta":"{}{n}"}}}}"#,
                    "x".repeat(MIB)
                )
            }),
        ),
        "replies" => (
            128,
            Box::new(|n| {
                format!(
                    r#"{{"method":"item/completed","params":{{"threadId":"{THREAD}","turnId":"t{n}","item":{{"type":"agentMessage","id":"x","text":"{}"}}}}}}"#,
                    "x".repeat(MIB)
                )
            }),
        ),
        "details" => (
            17,
            Box::new(|n| match n {
                // As a value it takes many times as much.
                0 => ended("t0", &("[0],".repeat(MIB + MIB / 8) + "0")),
                _ => ended(&format!("t{n}"), &format!("\"{}\"", "x".repeat(5 * MIB))),
            }),
        ),
        "long-ids" => (
            600,
            Box::new(|n| call(n, THREAD, &format!("{n}{}", "t".repeat(MIB / 8)), "{}")),
        ),
        "names" => (
            6_000,
            Box::new(|n| {
                let long = "x".repeat(900);
                let call = call(n, THREAD, &format!("{n}-{long}"), "{}");
                call.replace("\"long\"", &format!("\"{n}-{long}\""))
            }),
        ),
        _ => return None,
    };
    Some((lines, line))
}

/// Ends a flood that nothing answers: the turn of this id begins when everything before it was read.
const READ: &str = "everything-was-read";
/// After how long without a call that runs none is waited for.
const QUIET: Duration = Duration::from_secs(1);

/// Waits until everything that was said is read, and nothing runs any more.
async fn read_to_the_end(
    session: &Session,
    peer: &Peer<impl AsyncWrite + Unpin>,
) -> Result<(), Failure> {
    let mut signals = session.signals();
    let line = format!(
        r#"{{"method":"turn/started","params":{{"threadId":"{THREAD}","turn":{{"id":"{READ}","status":"inProgress","items":[]}}}}}}"#
    );
    peer.say(&line).await?;
    while let Some(event) = signals.next().await {
        if matches!(&event, Event::TurnStarted { turn_id } if **turn_id == *READ) {
            break;
        }
    }
    // Handlers run as long as their answers have a place.
    while tokio::time::timeout(QUIET, RAN.notified()).await.is_ok() {}
    Ok(())
}

/// Runs a flood.
pub(super) async fn flood(case: &str, bounds: Bounds) -> Result<(), Failure> {
    if case == "left-sessions" {
        return left_sessions(bounds).await;
    }
    let (lines, line) = lines(case).ok_or("there is no such case")?;
    let is_deaf = case.starts_with("deaf");
    let is_paced = matches!(
        case,
        "one-turn" | "unended-turns" | "many-turns" | "large-calls"
    );
    let (client, peer, mut hears) = start(bounds, is_deaf).await?;
    let catalog = Draft::new().register(skills![long]).seal()?;
    let (_, session) = client.create_session_with(catalog).await?;
    if case != "unserved" {
        let session = session.clone();
        tokio::spawn(async move { session.serve().await });
        tokio::task::yield_now().await;
    }
    let signals = session.signals();
    let growth = Growth::begin()?;
    for n in 0..lines {
        peer.say(&line(n)).await?;
        if is_paced {
            let enough = n.saturating_sub(PACE);
            hears.wait_for(|heard| heard.answers >= enough).await?;
        }
    }
    if is_deaf {
        read_to_the_end(&session, &peer).await?;
    } else {
        peer.hear_the_last(&mut hears).await?;
    }
    growth.print()?;
    drop(signals);
    Ok(())
}

/// Sessions that are left one after the other, each with answers that it remembers.
async fn left_sessions(bounds: Bounds) -> Result<(), Failure> {
    const SESSIONS: usize = 56;
    const CALLS: usize = 8;
    let (client, peer, mut hears) = start(bounds, false).await?;
    let growth = Growth::begin()?;
    for session in 0..SESSIONS {
        let catalog = Draft::new().register(skills![long]).seal()?;
        let (_, handle) = client.create_session_with(catalog).await?;
        let id = handle.session_id().to_owned();
        let served = handle.clone();
        let serving = tokio::spawn(async move { served.serve().await });
        tokio::task::yield_now().await;
        for n in 0..CALLS {
            peer.say(&call(n, &id, "t", r#"{"bytes":520000}"#)).await?;
        }
        let enough = (session + 1) * CALLS;
        hears.wait_for(|heard| heard.answers >= enough).await?;
        serving.abort();
        let _ = serving.await;
    }
    peer.hear_the_last(&mut hears).await?;
    growth.print()?;
    Ok(())
}

type Started = (
    Client<AppServer>,
    Arc<Peer<tokio::io::WriteHalf<tokio::io::DuplexStream>>>,
    watch::Receiver<Heard>,
);

async fn start(bounds: Bounds, is_deaf: bool) -> Result<Started, Failure> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reads, writes) = tokio::io::split(theirs);
    let (heard, hears) = watch::channel(Heard::default());
    let peer = Arc::new(Peer {
        writes: Mutex::new(writes),
        heard,
    });
    let listening = peer.clone();
    tokio::spawn(async move { listening.listen(reads, is_deaf).await });
    let (reads, writes) = tokio::io::split(ours);
    let runtime = AppServer::over(reads, writes).await?;
    Ok((
        Client::new(runtime).with_limits(bounds.limits()),
        peer,
        hears,
    ))
}
