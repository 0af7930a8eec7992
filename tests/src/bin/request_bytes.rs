//! Measures how many bytes codex sends to its model in three turns with 25 skills, beside the same tools declared by
//! hand:
//!
//! ```text
//! tests/e2e/install.sh
//! cargo run --release -p codex-skills-tests --bin request_bytes
//! ```

use codex_skills::{AppServer, Catalog, Client, Draft, Error, skill};
use codex_skills_tests::codex::{Codex, Home, RawClient};
use codex_skills_tests::provider::Provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const SKILLS: usize = 25;
const TURNS: usize = 3;
/// One that codex does not know, in direct mode, and one in code mode.
const MODELS: [&str; 2] = ["mock-model", "gpt-6.1-sol"];

/// A ticket as the desk keeps it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Ticket {
    /// Stable ticket identifier.
    id: String,
    /// In one line.
    summary: String,
    /// Who works on it.
    owner: Option<String>,
    /// What was said, the newest last.
    comments: Vec<String>,
}

macro_rules! declare {
    ($($name:ident)*) => {$(
        /// Look up a ticket of the desk by its stable id, closed ones too.
        ///
        /// # Returns
        /// The ticket and its newest comments.
        #[skill(group = "measured")]
        fn $name(
            /// Stable ticket identifier, for example `ABC-123`.
            ticket_id: String,
            /// How many comments to include.
            #[skill(default = 5)]
            comments: u8,
        ) -> Result<Ticket, String> {
            Err(format!("there is no ticket {ticket_id} with {comments} comments"))
        }
    )*};
}

declare! {
    s00 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 s13 s14 s15 s16 s17 s18 s19 s20 s21 s22 s23 s24
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Codex::current();
    let catalog = Draft::new().discover_group("measured").seal()?;
    println!(
        "{SKILLS} skills, {TURNS} turns: tools {} bytes, instruction text {}, what goes before the first request {}",
        catalog.dynamic_tools().get().len(),
        catalog.instruction_text().len(),
        catalog.supplement().len()
    );
    println!();
    println!("| model | tools declared | request 1 | request 2 | request 3 | together |");
    println!("|---|---|---|---|---|---|");
    for model in MODELS {
        let by_hand = by_hand(&codex, model, &catalog).await?;
        show(model, "by hand", &by_hand, &by_hand);
        for (how, inject) in [
            ("as skills", None),
            ("as skills, `inject_skills(true)`", Some(true)),
            ("as skills, `inject_skills(false)`", Some(false)),
        ] {
            let ours = with_skills(&codex, model, &catalog, inject).await?;
            show(model, how, &ours, &by_hand);
        }
    }
    Ok(())
}

fn show(model: &str, how: &str, bytes: &[usize], beside: &[usize]) {
    let (sum, other): (usize, usize) = (bytes.iter().sum(), beside.iter().sum());
    let each: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    let more = sum.saturating_sub(other);
    println!(
        "| `{model}` | {how} | {} | {sum} (+{more}) |",
        each.join(" | ")
    );
}

/// The bytes of each request that the model was sent.
fn requests(provider: &Provider) -> Vec<usize> {
    let requests = provider.requests();
    requests
        .iter()
        .map(|request| request.body().to_string().len())
        .collect()
}

async fn with_skills(
    codex: &Codex,
    model: &str,
    catalog: &Catalog,
    inject: Option<bool>,
) -> Result<Vec<usize>, Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let environment = home.environment();
    let mut spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path())
        .current_dir(home.work());
    for (name, value) in environment {
        spawn = spawn.env(name, value);
    }
    let client: Client<AppServer> = spawn.await?;
    let mut lifecycle = client.lifecycle_with(catalog.clone()).model(model);
    if let Some(inject) = inject {
        lifecycle = lifecycle.inject_skills(inject);
    }
    let run = lifecycle.await?;
    for _ in 0..TURNS {
        run.send_and_handle("SAY done").await?;
    }
    run.close().await?;
    client.shutdown().await;
    Ok(requests(&provider))
}

async fn by_hand(codex: &Codex, model: &str, catalog: &Catalog) -> Result<Vec<usize>, Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let mut client = RawClient::start(codex, &home).await?;
    let tools: Value = serde_json::from_str(catalog.dynamic_tools().get())?;
    let params = json!({"model": model, "dynamicTools": tools, "cwd": home.work()});
    let started = client.request("thread/start", params).await?;
    let started = started.map_err(std::io::Error::other)?;
    let thread = started["thread"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for _ in 0..TURNS {
        client.turn(&thread, "SAY done").await?;
    }
    client.close().await?;
    Ok(requests(&provider))
}
