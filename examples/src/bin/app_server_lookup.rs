//! The main job on your own codex: it is started, lent a function, asked, and ended.
//!
//! `cargo run --bin app_server_lookup` needs a `codex` on the `PATH` that is logged in (`codex login`); it runs one turn of your
//! account's model. Without an account, name a provider of models that speaks the Responses API:
//! `cargo run --bin app_server_lookup -- --provider-url http://127.0.0.1:8080/v1 --model NAME`. `--codex PATH` names another codex.

use std::env;
use std::process::ExitCode;

use codex_skills::app_server::SpawnAppServer;
use codex_skills::{AppServer, Error, Event, lifecycle, skill};

#[derive(Debug, thiserror::Error)]
#[error("there is no ticket `{0}`; ids look like `ABC-123`")]
struct LookupError(String);

/// Look up a ticket by its stable id.
///
/// # Returns
/// The ticket's status.
#[skill]
fn lookup_ticket(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
) -> Result<String, LookupError> {
    if !ticket_id.contains('-') {
        return Err(LookupError(ticket_id));
    }
    Ok(format!("{ticket_id} is open: the printer is on fire"))
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
    let mut spawn = AppServer::spawn();
    let mut arguments = env::args().skip(1);
    while let (Some(name), value) = (arguments.next(), arguments.next()) {
        let value = value.ok_or_else(|| Error::other(format!("{name} needs a value")))?;
        spawn = match name.as_str() {
            "--codex" => spawn.codex(value),
            "--model" => spawn.model(value),
            "--provider-url" => with_provider(spawn, &value),
            "--request" => {
                request = value;
                spawn
            }
            _ => {
                return Err(Error::other(format!(
                    "what is {name}? See the top of this file"
                )));
            }
        };
    }

    let codex = spawn.await?;
    println!("codex {}", codex.runtime().version().unwrap_or_default());
    let turn = lifecycle!(codex, skills: [lookup_ticket], cwd: ".", on_close: |report| println!("{report}"), |run| {
        run.send_and_handle(request)
            .on_event(|event| match event {
                Event::ToolStarted { tool, .. } => println!("the model calls {tool}"),
                Event::TextDelta { delta, .. } => print!("{delta}"),
                Event::Warning { text } => println!("codex says: {text}"),
                Event::TurnCompleted { .. } => println!(),
                _ => {}
            })
            .await
    })
    .await?;
    for call in &turn.dispatches {
        println!("{call:#}");
    }
    if let Some(usage) = turn.usage {
        println!("{} tokens", usage.total);
    }
    let report = codex.shutdown().await;
    if let Some(error) = report.runtime_error {
        return Err(error.into());
    }
    match turn.error {
        Some(error) => Err(Error::other(format!(
            "the turn ended as {}: {error}",
            turn.status
        ))),
        None => Ok(()),
    }
}

/// A codex whose models come from somewhere else, as its `config.toml` would have it.
fn with_provider(spawn: SpawnAppServer, url: &str) -> SpawnAppServer {
    spawn
        .config("model_provider", "\"lookup\"")
        .config("model_providers.lookup.name", "\"lookup\"")
        .config("model_providers.lookup.base_url", format!("\"{url}\""))
        .config("model_providers.lookup.wire_api", "\"responses\"")
        .config("model_providers.lookup.requires_openai_auth", "false")
        .model("mock-model")
}
