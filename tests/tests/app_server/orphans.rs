//! No codex is left behind, however a program ends.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use codex_skills::Error;
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{on_codex, spawn};

/// Ends a program that holds a codex with an open call, and waits until nothing is left of both.
async fn nothing_is_left_after(how: &str, codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut holder = Command::new(env!("CARGO_BIN_EXE_app_server_holder"))
        .arg(codex.binary())
        .arg(how)
        .envs(home.environment())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = holder.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    assert_eq!(lines.next_line().await?.as_deref(), Some("ready"));
    if how == "wait" {
        assert!(home.processes().len() > 1, "codex runs");
        holder.kill().await?;
    }
    let status = holder.wait().await?;
    assert_eq!(
        status.success(),
        matches!(how, "exit" | "return"),
        "{status}"
    );
    home.until_no_process_is_left().await;
    Ok(())
}

on_codex!(a_program_that_is_killed_leaves_no_codex: current, old);
async fn a_program_that_is_killed_leaves_no_codex(codex: Codex) -> Result<(), Error> {
    nothing_is_left_after("wait", codex).await
}

on_codex!(a_program_that_aborts_leaves_no_codex: current, old);
async fn a_program_that_aborts_leaves_no_codex(codex: Codex) -> Result<(), Error> {
    nothing_is_left_after("abort", codex).await
}

on_codex!(a_program_that_exits_leaves_no_codex: current, old);
async fn a_program_that_exits_leaves_no_codex(codex: Codex) -> Result<(), Error> {
    nothing_is_left_after("exit", codex).await
}

on_codex!(a_program_that_ends_without_a_shutdown_leaves_no_codex: current, old);
async fn a_program_that_ends_without_a_shutdown_leaves_no_codex(codex: Codex) -> Result<(), Error> {
    nothing_is_left_after("return", codex).await
}

on_codex!(a_program_that_ends_without_a_shutdown_leaves_no_thread: current);
async fn a_program_that_ends_without_a_shutdown_leaves_no_thread(
    codex: Codex,
) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    for how in [
        "return", "error", "panic", "select", "guard", "task", "stuck",
    ] {
        for threads in ["many", "one"] {
            let program = Command::new(env!("CARGO_BIN_EXE_program_ends"))
                .arg(codex.binary())
                .args([threads, how])
                .envs(home.environment())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let ended = tokio::time::timeout(Duration::from_secs(60), program.wait_with_output());
            let ended = ended.await.expect("it ends")?;
            let status = match how {
                "error" => 1,
                "panic" => 101,
                _ => 0,
            };
            assert_eq!(ended.status.code(), Some(status), "{how}: {ended:?}");
            home.until_no_process_is_left().await;
            let left = home.rollouts();
            assert!(left.is_empty(), "{how} on {threads}: {left:?}");
        }
    }
    Ok(())
}

on_codex!(a_client_that_is_dropped_ends_its_codex: current, old);
async fn a_client_that_is_dropped_ends_its_codex(codex: Codex) -> Result<(), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;

    // Dropped while it starts, and after it did.
    let start = spawn(&codex, &home).into_future();
    drop(tokio::time::timeout(Duration::from_millis(20), start).await);
    home.until_no_process_is_left().await;
    let client = spawn(&codex, &home).await?;
    assert!(home.codex().is_some());
    drop(client);

    home.until_no_process_is_left().await;
    Ok(())
}

on_codex!(the_program_behind_the_shim_of_npm_is_started: current, old);
async fn the_program_behind_the_shim_of_npm_is_started(codex: Codex) -> Result<(), Error> {
    let is_modules = |path: &&Path| path.ends_with("node_modules");
    let Some(modules) = codex.binary().ancestors().filter(is_modules).last() else {
        // It was installed in another way.
        return Ok(());
    };
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let shim = modules.join(".bin").join("codex");

    let client = spawn(&codex, &home).codex(shim).await?;

    let running = home.codex().expect("a codex");
    let program = std::fs::read_link(format!("/proc/{running}/exe"))?;
    assert_eq!(program, codex.binary().canonicalize()?);
    assert!(client.shutdown().await.runtime_error.is_none());
    home.until_no_process_is_left().await;
    Ok(())
}
