//! The examples that run on a codex, as a user runs them, with a provider of ours instead of an account.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

use std::process::{Command, Output};

use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;

const LOOKUP: &str = env!("CARGO_BIN_EXE_app_server_lookup");
const PROGRESS: &str = env!("CARGO_BIN_EXE_progress");

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn app_server_lookup_does_the_main_job() {
    let codex = Codex::current();
    let provider = Provider::start().await.expect("a port");
    let home = Home::new(&provider).expect("a home");
    let mut command = Command::new(LOOKUP);
    command
        .arg("--codex")
        .arg(codex.binary())
        .args(["--provider-url", &provider.url()])
        .args([
            "--request",
            "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}",
        ])
        .envs(home.environment())
        .current_dir(home.work());
    let output = output(command).await;
    let (printed, problems) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{problems}");
    for line in [
        &*format!("codex {}", codex.version()),
        "the model calls lookup_ticket",
        "ABC-123 is open: the printer is on fire",
        "deleted, 1 skill cleared",
        "lookup_ticket({\"ticket_id\":\"ABC-123\"}) -> completed in",
        " tokens",
    ] {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
    home.until_no_process_is_left().await;
    assert!(home.rollouts().is_empty());
}

/// The lines without their times.
fn steps(printed: &str) -> Vec<&str> {
    printed
        .lines()
        .map(|line| line.split_once("s] ").map_or(line, |(_, step)| step).trim())
        .collect()
}

#[tokio::test]
async fn progress_shows_a_turn_of_the_embedded_runtime_in_order() {
    let output = output(Command::new(PROGRESS)).await;
    let (printed, problems) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{problems}");
    assert_eq!(
        steps(&printed),
        [
            "the turn begins",
            "I read the three reports.",
            "read_report begins (1 at work)",
            "read_report begins (2 at work)",
            "read_report begins (3 at work)",
            "read_report is done (2 at work)",
            "read_report is done (1 at work)",
            "read_report is done (0 at work)",
            "add begins (1 at work)",
            "add is done (0 at work)",
            "The revenue of the first quarter is 3060.",
            "the turn is completed",
            "4 calls: The revenue of the first quarter is 3060.",
        ]
    );
}

#[tokio::test]
#[cfg_attr(
    not(codex_installed),
    ignore = "codex is not installed: run tests/e2e/install.sh"
)]
async fn progress_shows_a_turn_of_codex_in_order() {
    let codex = Codex::current();
    let provider = Provider::start().await.expect("a port");
    let home = Home::new(&provider).expect("a home");
    let mut command = Command::new(PROGRESS);
    command
        .arg("--codex")
        .arg(codex.binary())
        .arg("CALL read_report {\"month\":1}\nTHEN\nCALL add {\"numbers\":[1010]}\nTHEN\nSAY It is 1010.")
        .envs(home.environment())
        .current_dir(home.work());
    let output = output(command).await;
    let (printed, problems) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{problems}");
    let (warnings, steps): (Vec<_>, Vec<_>) = steps(&printed)
        .into_iter()
        .partition(|step| step.starts_with("codex says: "));
    // It does not know the model.
    assert_eq!(warnings.len(), 1, "{printed}");
    assert_eq!(
        steps,
        [
            "the turn begins",
            "read_report begins (1 at work)",
            "read_report is done (0 at work)",
            "add begins (1 at work)",
            "add is done (0 at work)",
            "It is 1010.",
            "the turn is completed",
            "2 calls: It is 1010.",
        ]
    );
    home.until_no_process_is_left().await;
}

#[tokio::test]
async fn without_a_codex_it_says_how_to_get_one() {
    let mut command = Command::new(LOOKUP);
    command.args(["--codex", "/no/such/codex"]);
    let output = output(command).await;
    assert!(!output.status.success());
    let problems = text(&output.stderr);
    assert!(
        problems.contains("npm install -g @openai/codex"),
        "{problems}"
    );
}
