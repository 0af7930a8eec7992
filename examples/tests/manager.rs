//! The examples that need a codex-manager, run as a user runs them against one of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

use codex_skills_tests::manager::Manager;

/// A program in an environment without settings of codex-manager.
fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).env("XDG_CONFIG_HOME", "/nowhere");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CODEX_MANAGER_")) {
        command.env_remove(name);
    }
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const LOOKUP: &str = env!("CARGO_BIN_EXE_manager_lookup");
const LISTENER: &str = env!("CARGO_BIN_EXE_manager_listener");

#[tokio::test]
async fn manager_lookup_does_the_main_job() {
    let manager = Manager::start().await.expect("a port");
    let request = r#"CALL lookup_ticket {"ticket_id":"ABC-123"}"#;
    let arguments = ["--base-url", &manager.url(), "--request", request];
    let output = output(program(LOOKUP, &arguments)).await;
    let (printed, problems) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{problems}");
    for line in [
        "call      lookup_ticket({\"ticket_id\":\"ABC-123\"}) -> completed in",
        "answer    {\"id\":\"ABC-123\",\"status\":\"open\"}",
        "reply     Tool outputs: {\"id\":\"ABC-123\"",
        "deleted, 1 skill cleared",
    ] {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
    assert!(manager.sessions().is_empty());
}

#[tokio::test]
async fn the_environment_names_the_manager_as_well() {
    let manager = Manager::start().await.expect("a port");
    let mut command = program(LOOKUP, &[]);
    command.env("CODEX_MANAGER_API_BASE", manager.url());
    let output = output(command).await;
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    assert!(
        printed.contains("reply     No tool was called."),
        "{printed}"
    );
}

#[tokio::test]
async fn without_a_manager_both_say_how_to_start_one() {
    for path in [LOOKUP, LISTENER] {
        // Nothing listens on a port that was just let go of.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let output = output(program(path, &["--base-url", &url])).await;
        let problems = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{problems}");
        assert!(
            problems.contains("pnpm dev:api") && problems.contains(&url),
            "{problems}"
        );
        assert!(!problems.contains("panicked"), "{problems}");
    }
}

#[tokio::test]
async fn a_codex_that_does_not_run_is_noticed() {
    let manager = Manager::start().await.expect("a port");
    manager.kill_codex();
    let output = output(program(LOOKUP, &["--base-url", &manager.url()])).await;
    let problems = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{problems}");
    assert!(problems.contains("start codex-manager again"), "{problems}");
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn manager_listener_serves_until_it_is_interrupted_and_leaves_nothing_behind() {
    let manager = Manager::start().await.expect("a port");
    let mut command = program(LISTENER, &["--base-url", &manager.url()]);
    let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("it runs"));
    let mut printed = BufReader::new(running.0.stdout.take().expect("piped"));
    let (session, mut printed) = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        printed.read_line(&mut line).expect("a line");
        let session = line.trim().rsplit(' ').next().map(str::to_owned);
        (session.expect("a session"), printed)
    })
    .await
    .unwrap();
    assert_eq!(manager.sessions(), std::slice::from_ref(&session));

    // Another client asks, also after a restart of the manager. Codex itself answers the first call, of a tool that
    // does not exist.
    manager
        .until("it listens", |manager| manager.streams() == 1)
        .await;
    let add = "CALL Shelf_add {}\nCALL add_boxes {\"boxes\":3}\nTHEN\nCALL count_boxes {}";
    manager.foreign_turn(&session, add).expect("a turn");
    let answered = |calls: usize| {
        move |manager: &Manager| {
            manager.calls().len() == calls && manager.calls().iter().all(|call| call.accepted == 1)
        }
    };
    manager.until("the calls are answered", answered(2)).await;
    manager.restart();
    manager
        .until("it listens again", |manager| manager.streams() == 1)
        .await;
    manager
        .foreign_turn(&session, "CALL count_boxes {}")
        .expect("a turn");
    manager.until("so is the next one", answered(3)).await;
    assert_eq!(manager.calls()[2].output.as_deref(), Some("3"));
    manager
        .until("its turn is over", |manager| manager.is_idle(&session))
        .await;

    let id = running.0.id().to_string();
    let interrupted = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(interrupted.success());
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        printed.read_to_string(&mut rest).expect("text");
        (rest, running.0.wait().expect("its end"))
    });
    let (rest, status) = rest.await.unwrap();
    assert!(status.success(), "{status}: {rest}");
    for line in [
        "added     3 boxes",
        "counted   3 boxes",
        "ended     by Ctrl-C",
        "deleted, 2 skills cleared",
        "cancelled 0 calls",
        "received: 3,",
    ] {
        assert!(rest.contains(line), "{line}:\n{rest}");
    }
    assert!(manager.sessions().is_empty());
}
