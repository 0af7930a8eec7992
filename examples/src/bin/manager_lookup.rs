//! The main job on a codex-manager: a session there, lent a function, asked, and deleted.
//!
//! `cargo run --bin manager_lookup` goes to the codex-manager of your current profile, by default
//! `http://127.0.0.1:3001`, and runs one turn of its account's model. `-- --base-url http://127.0.0.1:4000` names another one,
//! `--request TEXT` asks something else. How to start one is in `guide::manager`.

use std::process::ExitCode;

use codex_skills::{Client, CodexManager, Error, lifecycle, skill};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Ticket {
    id: String,
    status: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no ticket `{0}`; ids look like `ABC-123`")]
struct NoSuchTicket(String);

/// Look up a ticket by its stable id.
///
/// # Returns
/// The ticket and its current status.
#[skill]
fn lookup_ticket(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
) -> Result<Ticket, NoSuchTicket> {
    if !ticket_id.contains('-') {
        return Err(NoSuchTicket(ticket_id));
    }
    Ok(Ticket {
        id: ticket_id,
        status: "open",
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let mut request = "Use lookup_ticket for ABC-123 and summarize in a sentence.".to_owned();
    let mut settings = CodexManager::builder();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| Error::other(format!("{name} needs a value")))?;
        match name.as_str() {
            "--base-url" => settings = settings.base_url(value),
            "--request" => request = value,
            _ => {
                return Err(Error::other(format!(
                    "what is {name}? See the top of this file"
                )));
            }
        }
    }
    let codex = settings.build()?;
    check(&codex).await?;

    let turn = lifecycle!(
        codex,
        skills: [lookup_ticket],
        cwd: ".",
        on_close: |report| println!("cleanup   {report}"),
        |run| {
            println!("session   {}", run.session_id());
            println!("request   {request}");
            run.send_and_handle(request).require_reply().await
        }
    )
    .await?;
    for call in &turn.dispatches {
        println!("call      {call:#}");
        println!("answer    {}", call.output().to_text());
    }
    println!("reply     {}", turn.assistant_reply);
    Ok(())
}

/// Says what to do when there is no server, or when its codex cannot work.
async fn check(codex: &Client<CodexManager>) -> Result<(), Error> {
    let manager = codex.runtime();
    let health = manager.health().await.map_err(|error| {
        Error::other(format!(
            "{error}\n\n\
             There is no codex-manager at {}. Start one with `pnpm dev:api` in a clone of\n\
             https://github.com/jmillpps/codex-manager, or name another one with `--base-url http://…`.",
            manager.base_url()
        ))
    })?;
    if health["codex"]["running"] != true {
        return Err(Error::other(format!(
            "The codex of the codex-manager at {} does not run: start codex-manager again.",
            manager.base_url()
        )));
    }
    println!("manager   {}", manager.base_url());
    Ok(())
}
