//! No codex is left behind, however a program ends.

use std::process::Stdio;

use codex_skills::{AppServer, Error};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Ends a program that holds a codex with an open call, and waits until nothing is left of both.
async fn nothing_is_left_after(how: &str) -> Result<(), Error> {
    let Some(codex) = Codex::current() else {
        return Ok(());
    };
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

#[tokio::test]
async fn a_program_that_is_killed_leaves_no_codex() -> Result<(), Error> {
    nothing_is_left_after("wait").await
}

#[tokio::test]
async fn a_program_that_aborts_leaves_no_codex() -> Result<(), Error> {
    nothing_is_left_after("abort").await
}

#[tokio::test]
async fn a_program_that_exits_leaves_no_codex() -> Result<(), Error> {
    nothing_is_left_after("exit").await
}

#[tokio::test]
async fn a_program_that_ends_without_a_shutdown_leaves_no_codex() -> Result<(), Error> {
    nothing_is_left_after("return").await
}

#[tokio::test]
async fn a_client_that_is_dropped_ends_its_codex() -> Result<(), Error> {
    let Some(codex) = Codex::current() else {
        return Ok(());
    };
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut spawn = AppServer::spawn().codex(codex.binary());
    for (name, value) in home.environment() {
        spawn = spawn.env(name, value);
    }
    // Dropped while it starts, and after it did.
    drop(tokio::time::timeout(std::time::Duration::from_millis(20), spawn.clone()).await);
    home.until_no_process_is_left().await;
    let client = spawn.await?;
    assert_eq!(home.processes().len(), 1);
    drop(client);
    home.until_no_process_is_left().await;
    Ok(())
}

#[tokio::test]
async fn the_program_behind_the_shim_of_npm_is_started() -> Result<(), Error> {
    let Some(codex) = Codex::current() else {
        return Ok(());
    };
    let is_modules = |path: &&std::path::Path| path.ends_with("node_modules");
    let Some(modules) = codex.binary().ancestors().filter(is_modules).last() else {
        // It was installed in another way.
        return Ok(());
    };
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut spawn = AppServer::spawn().codex(modules.join(".bin").join("codex"));
    for (name, value) in home.environment() {
        spawn = spawn.env(name, value);
    }
    let client = spawn.await?;
    let [process] = home.processes()[..] else {
        panic!("one process: {:?}", home.processes());
    };
    let program = std::fs::read_link(format!("/proc/{process}/exe"))?;
    assert_eq!(program, codex.binary().canonicalize()?);
    assert!(client.shutdown().await.runtime_error.is_none());
    home.until_no_process_is_left().await;
    Ok(())
}
