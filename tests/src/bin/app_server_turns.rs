//! Measures whole turns on the real codex, beside a client that answers at once, in one run and in turns:
//!
//! ```text
//! tests/e2e/install.sh
//! cargo run --release -p codex-skills-tests --bin app_server_turns -- [turns]
//! ```
//!
//! It prints medians of whole turns, the time from a call's arrival to its answer, how often this process wakes up
//! while nothing happens, and what a thousand sessions cost.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use codex_skills::{AppServer, Client, Error, Session, skill, skills};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::Provider;
use serde_json::json;

/// Look up a ticket.
#[skill(inline)]
fn lookup_ticket(
    /// Its id.
    ticket_id: String,
) -> String {
    format!("ok:{ticket_id}")
}

/// Where the program that stands between finds codex, and where it writes what it measured.
const BETWEEN: &str = "CODEX_SKILLS_BETWEEN";
const MEASURED: &str = "CODEX_SKILLS_MEASURED";

#[tokio::main]
async fn main() -> Result<(), Error> {
    if let Some(codex) = env::var_os(BETWEEN) {
        return Ok(between(&PathBuf::from(codex))?);
    }
    let turns = env::args()
        .nth(1)
        .and_then(|turns| turns.parse().ok())
        .unwrap_or(50);
    let codex = Codex::current();
    let provider = Provider::start().await?;
    whole_turns(&codex, &provider, turns).await?;
    latency(&codex, &provider, turns).await?;
    idle_and_memory(&codex, &provider).await
}

async fn spawn(
    codex: &Codex,
    home: &Home,
    more: &[(&str, PathBuf)],
) -> Result<Client<AppServer>, Error> {
    let program = if more.is_empty() {
        codex.binary().to_owned()
    } else {
        env::current_exe()?
    };
    let mut spawn = AppServer::spawn().codex(program).codex_home(home.path());
    for (name, value) in home.environment() {
        spawn = spawn.env(name, value);
    }
    for (name, value) in more {
        spawn = spawn.env(name, value);
    }
    Ok(spawn.await?)
}

async fn session(client: &Client<AppServer>, home: &Home) -> Result<Session, Error> {
    let register = |draft: codex_skills::Draft| draft.register(skills![lookup_ticket]);
    let session = client.create_session(register).cwd(home.work());
    Ok(session.inject_skills(false).await?.1)
}

/// The request for so many calls, in one response or one after the other.
fn request(calls: usize, parallel: bool) -> String {
    let call = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}";
    let between = if parallel { "\n" } else { "\nTHEN\n" };
    vec![call; calls].join(between)
}

async fn whole_turns(codex: &Codex, provider: &Provider, turns: usize) -> Result<(), Error> {
    let tools = json!([{
        "type": "function",
        "name": "lookup_ticket",
        "description": "Look up a ticket.",
        "inputSchema": {
            "type": "object",
            "properties": {"ticket_id": {"type": "string", "description": "Its id."}},
            "required": ["ticket_id"],
            "additionalProperties": false,
        },
    }]);
    println!("whole turns, medians of {turns}, in milliseconds");
    println!("| calls | minimal client | codex-skills | ratio |");
    println!("|---|---|---|---|");
    for (name, calls, parallel) in [
        ("1", 1, true),
        ("5, one after the other", 5, false),
        ("5 at once", 5, true),
    ] {
        let (raw_home, home) = (Home::new(provider)?, Home::new(provider)?);
        let mut raw = RawClient::start(codex, &raw_home).await?;
        let client = spawn(codex, &home, &[]).await?;
        let text = request(calls, parallel);
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for turn in 0..turns + 2 {
            // A session of its own for each turn: a history makes turns slower.
            let thread = raw.start_thread(tools.clone()).await?;
            let session = session(&client, &home).await?;
            for first in [turn % 2, (turn + 1) % 2] {
                let began = Instant::now();
                if first == 0 {
                    raw.turn(&thread, &text).await?;
                    theirs.push(began.elapsed());
                } else {
                    let ended = session.send_and_handle(&text).await?;
                    ours.push(began.elapsed());
                    assert_eq!(ended.dispatches.len(), calls, "{ended:?}");
                }
            }
        }
        // The first turns warm codex up.
        let (theirs, ours) = (median(&mut theirs[2..]), median(&mut ours[2..]));
        println!(
            "| {name} | {:.1} | {:.1} | {:.3} |",
            theirs.as_secs_f64() * 1e3,
            ours.as_secs_f64() * 1e3,
            ours.as_secs_f64() / theirs.as_secs_f64()
        );
        raw.close().await?;
        client.shutdown().await;
    }
    Ok(())
}

/// From the moment when a call is written to this process to the moment when its answer is read, as a program between
/// codex and this process sees it.
async fn latency(codex: &Codex, provider: &Provider, turns: usize) -> Result<(), Error> {
    let home = Home::new(provider)?;
    let measured = home.work().join("measured");
    let more = [
        (BETWEEN, codex.binary().to_owned()),
        (MEASURED, measured.clone()),
    ];
    let client = spawn(codex, &home, &more).await?;
    for _ in 0..turns {
        let session = session(&client, &home).await?;
        session.send_and_handle(request(1, true)).await?;
    }
    client.shutdown().await;
    let text = fs::read_to_string(measured)?;
    let mut latencies: Vec<Duration> = text
        .lines()
        .filter_map(|line| line.parse().ok().map(Duration::from_nanos))
        .collect();
    assert_eq!(latencies.len(), turns, "each call is measured");
    let middle = median(&mut latencies);
    let last = latencies[latencies.len() * 99 / 100];
    println!("\nfrom a call to its answer, {turns} calls: median {middle:?}, p99 {last:?}");
    Ok(())
}

async fn idle_and_memory(codex: &Codex, provider: &Provider) -> Result<(), Error> {
    const SESSIONS: usize = 1000;
    let home = Home::new(provider)?;
    let client = spawn(codex, &home, &[]).await?;
    let mut sessions = vec![session(&client, &home).await?];
    let (idle, before) = (Duration::from_secs(5), wake_ups()?);
    tokio::time::sleep(idle).await;
    let woken = wake_ups()? - before;
    println!("\nwake-ups in {idle:?} with an idle session: {woken}");
    let before = resident()?;
    for _ in 1..SESSIONS {
        sessions.push(session(&client, &home).await?);
    }
    let grown = resident()?.saturating_sub(before);
    println!("memory of {SESSIONS} sessions: {grown} kB more");
    client.shutdown().await;
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How often the threads of this process were scheduled after they had waited for something.
fn wake_ups() -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        sum += member(&status, "voluntary_ctxt_switches:");
    }
    Ok(sum)
}

/// The memory of this process in kB.
fn resident() -> io::Result<u64> {
    Ok(member(&fs::read_to_string("/proc/self/status")?, "VmRSS:"))
}

fn member(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// Stands between a client and codex, and writes down how long each call waited for its answer, in nanoseconds.
fn between(codex: &PathBuf) -> io::Result<()> {
    let mut child = Command::new(codex)
        .args(env::args_os().skip(1))
        .env_remove(BETWEEN)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let (called, calls) = std::sync::mpsc::channel::<Instant>();
    let forward = std::thread::spawn(move || -> io::Result<()> {
        let mut out = io::stdout().lock();
        for line in io::BufReader::new(from).lines() {
            let line = line?;
            let is_call = line.contains("\"item/tool/call\"");
            if is_call {
                // The receiver may be gone.
                let _ = called.send(Instant::now());
            }
            writeln!(out, "{line}")?;
            out.flush()?;
        }
        Ok(())
    });
    let mut measured = Vec::new();
    for line in io::stdin().lock().lines() {
        let (line, now) = (line?, Instant::now());
        if line.contains("\"contentItems\"")
            && let Ok(called) = calls.recv()
        {
            measured.push((now - called).as_nanos());
        }
        writeln!(to, "{line}")?;
        to.flush()?;
    }
    drop(to);
    if let Some(path) = env::var_os(MEASURED) {
        let lines: Vec<String> = measured.iter().map(ToString::to_string).collect();
        fs::write(path, lines.join("\n"))?;
    }
    child.wait()?;
    let _ = forward.join();
    Ok(())
}
