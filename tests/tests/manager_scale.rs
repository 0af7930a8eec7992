//! Many sessions, and how fast calls are answered. Numbers are printed; what they must be depends on the
//! machine.

#[path = "manager/support.rs"]
mod support;

use std::alloc::System;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use codex_skills::{CodexManager, Error};
use codex_skills_tests::manager::Manager;
use codex_skills_tests::skills::Counter;
use futures_util::{StreamExt as _, TryStreamExt as _};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::sync::Mutex;

use crate::support::{catalog, echo, limits};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by a test that measures: what others do would be measured too.
static ALONE: Mutex<()> = Mutex::const_new(());

const SESSIONS: usize = 10_000;
const AT_ONCE: usize = 32;
/// Says that this process is the manager.
const SERVE: &str = "CODEX_SKILLS_TEST_SERVE";

/// A manager in a process of its own, so that its memory is not counted.
struct Process {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Process {
    fn start() -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "a_manager_for_another_process", "--nocapture"])
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let say = child.stdin.take().expect("piped");
        let hear = BufReader::new(child.stdout.take().expect("piped"));
        Ok(Self { child, say, hear })
    }

    /// Asks for a fact about the manager.
    fn ask(&mut self, what: &str) -> std::io::Result<String> {
        writeln!(self.say, "{what}")?;
        loop {
            let mut line = String::new();
            if self.hear.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            // The harness says things too, and not always with a line of its own.
            if let Some((_, answer)) = line.split_once("answer: ") {
                return Ok(answer.trim().to_owned());
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_for_another_process() -> std::io::Result<()> {
    if std::env::var_os(SERVE).is_none() {
        return Ok(());
    }
    let manager = Manager::start().await?;
    tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines() {
            match line?.as_str() {
                "url" => println!("answer: {}", manager.direct_url()),
                "streams" => println!("answer: {}", manager.streams()),
                "sessions" => println!("answer: {}", manager.sessions().len()),
                other => println!("answer: what is {other}?"),
            }
        }
        Ok(())
    })
    .await?
}

/// How many bytes of memory this process has allocated and not given back.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sessions_share_a_socket_and_each_still_answers() -> Result<(), Error> {
    let _alone = ALONE.lock().await;
    let mut process = Process::start()?;
    let client = CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(process.ask("url")?)
        .build()
        .expect("settings");
    let runs = Counter::default();
    let sealed = catalog(vec![echo(&runs)]);
    let open = async |count: usize| {
        futures_util::stream::iter(0..count)
            .map(|_| client.create_session_with(sealed.clone()).into_future())
            .buffer_unordered(AT_ONCE)
            .map_ok(|(_, session)| session)
            .try_collect::<Vec<_>>()
            .await
    };
    // Connections, pools and the stream are there before anything is measured.
    let mut sessions = open(200).await?;
    sessions[0].send_and_handle("hello").await?;
    let before = allocated();
    let began = std::time::Instant::now();
    sessions.extend(open(SESSIONS - 200).await?);
    let took = began.elapsed();
    let bytes = allocated().saturating_sub(before) / (SESSIONS - 200);
    println!("{SESSIONS} sessions in {took:.1?}, {bytes} bytes of memory for each");
    assert_eq!(process.ask("streams")?, "1");
    assert_eq!(process.ask("sessions")?, SESSIONS.to_string());
    let answers = sessions
        .iter()
        .step_by(SESSIONS / 200)
        .map(|session| async {
            let turn = session
                .send_and_handle(r#"CALL echo {"text":"a"}"#)
                .require_reply()
                .await?;
            assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
            Ok::<_, Error>(())
        });
    futures_util::stream::iter(answers)
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    assert_eq!(runs.get(), 200);
    assert_eq!(process.ask("streams")?, "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_answered_when_they_arrive() -> Result<(), Error> {
    let _alone = ALONE.lock().await;
    let manager = Manager::start().await?;
    let client = CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(manager.direct_url())
        .build()
        .expect("settings")
        .with_limits(limits());
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle(r#"CALL echo {"text":"warm"}"#).await?;
    for (calls, turns) in [(1, 100), (5, 40), (50, 10)] {
        let from = manager.calls().len();
        for _ in 0..turns {
            run.send_and_handle("CALL echo {\"text\":\"a\"}\n".repeat(calls))
                .await?;
        }
        let mut times: Vec<Duration> = manager.calls()[from..]
            .iter()
            .map(|call| call.answered.expect("an answer") - call.announced)
            .collect();
        times.sort_unstable();
        assert_eq!(times.len(), calls * turns);
        let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{calls} calls at once: median {median:.1?}, p99 {slow:.1?}");
    }
    Ok(())
}
