//! No session outlives a program that ends by itself, shut down or not.

use std::process::{Output, Stdio};
use std::time::Duration;

use codex_skills_tests::manager::Manager;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// Runs a program to its end, which comes in time.
async fn run(manager: &Manager, threads: &str, how: &str) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_program_ends"))
        .args([&manager.url(), threads, how])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), program.wait_with_output()).await;
    ended
        .unwrap_or_else(|_| panic!("{how} on {threads}: the program does not end"))
        .unwrap()
}

async fn leaves_nothing(how: &str, status: i32) {
    for threads in ["many", "one"] {
        let manager = Manager::start().await.unwrap();
        let ended = run(&manager, threads, how).await;
        assert_eq!(
            ended.status.code(),
            Some(status),
            "{how} on {threads}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        let left = manager.sessions();
        assert!(left.is_empty(), "{how} on {threads}: {left:?}");
        assert!(
            manager.count("DELETE", "/sessions/") > 0,
            "{how} on {threads}: it had a session"
        );
    }
}

#[tokio::test]
async fn a_program_whose_block_returns_leaves_no_session() {
    leaves_nothing("return", 0).await;
}

#[tokio::test]
async fn a_program_whose_block_fails_leaves_no_session() {
    leaves_nothing("error", 1).await;
}

#[tokio::test]
async fn a_program_whose_block_panics_leaves_no_session() {
    leaves_nothing("panic", 101).await;
}

#[tokio::test]
async fn a_program_that_drops_its_block_and_returns_leaves_no_session() {
    leaves_nothing("select", 0).await;
}

#[tokio::test]
async fn a_program_that_returns_with_an_open_guard_leaves_no_session() {
    leaves_nothing("guard", 0).await;
}

#[tokio::test]
async fn a_program_that_aborts_its_task_and_returns_leaves_no_session() {
    leaves_nothing("task", 0).await;
}

/// A server that takes its time makes the session while the program ends.
#[tokio::test]
async fn a_program_that_ends_while_a_session_is_created_leaves_none() {
    for threads in ["many", "one"] {
        let manager = Manager::start().await.unwrap();
        manager.set_creation_delay(Duration::from_millis(400));
        let begun = std::time::Instant::now();
        let ended = run(&manager, threads, "creation").await;
        let took = begun.elapsed();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{threads}: {said}");
        assert_eq!(
            manager.count("POST", "/sessions"),
            1,
            "{threads}: it was under way"
        );
        assert!(manager.sessions().is_empty(), "{threads}: {said}");
        assert!(took < Duration::from_millis(2500), "{threads}: {took:?}");
    }
}

#[tokio::test]
async fn a_synchronous_skill_that_never_returns_does_not_keep_a_program_alive() {
    leaves_nothing("stuck", 0).await;
    leaves_nothing("stuck-shutdown", 0).await;
}

#[tokio::test]
async fn a_manager_that_is_away_holds_up_the_end_of_a_program_for_three_seconds() {
    for threads in ["many", "one"] {
        let manager = Manager::start().await.unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_program_ends"))
            .args([&manager.url(), threads, "away"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        assert_eq!(
            lines.next_line().await.unwrap().as_deref(),
            Some("called"),
            "{threads}"
        );
        manager.refuse_connections(true);
        manager.cut_connections();
        let begun = std::time::Instant::now();
        let mut stdin = program.stdin.take().unwrap();
        stdin.write_all(b"\n").await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), program.wait()).await;
        assert!(ended.unwrap().unwrap().success(), "{threads}");
        let took = begun.elapsed();
        assert_eq!(manager.sessions().len(), 1, "{threads}: after {took:?}");
        assert!(took > Duration::from_secs(2), "{threads}: {took:?}");
        assert!(took < Duration::from_secs(10), "{threads}: {took:?}");
    }
}
