//! The example that needs a codex, run as a user runs it, with a provider of ours instead of an account.
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
