//! The main job: lend a function to a session, ask, read the reply, leave nothing behind.
//!
//! `cargo run --bin quickstart`, or with a request of your own:
//! `cargo run --bin quickstart -- "Use lookup_ticket for XYZ-7 with 2 comments."`
//!
//! It prints the catalog that the model sees, the call with its arguments, the answer, the reply, and
//! the report of the cleanup. The model is the embedded runtime's demo: a keyword matcher, so name the
//! skill in your request.

use std::time::Duration;

use codex_skills::{CatalogSkill, Embedded, Error, lifecycle, skill};

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Ticket {
    id: String,
    status: &'static str,
    comments: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no ticket `{0}`; ids look like `ABC-123`")]
struct NoSuchTicket(String);

/// Look up a ticket by its stable id.
///
/// # Returns
/// The ticket and its current status.
#[skill]
async fn lookup_ticket(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    #[skill(default = 5)]
    comments: u8,
) -> Result<Ticket, NoSuchTicket> {
    tokio::time::sleep(Duration::from_millis(5)).await; // A database takes its time.
    if !ticket_id.contains('-') {
        return Err(NoSuchTicket(ticket_id));
    }
    let all = ["Opened by Ada.", "Reproduced.", "A fix is in review."];
    Ok(Ticket {
        id: ticket_id,
        status: "open",
        comments: all
            .iter()
            .take(comments.into())
            .map(ToString::to_string)
            .collect(),
    })
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let request = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "Use lookup_ticket for ABC-123 and summarize.".to_owned());
    let codex = Embedded::demo();

    let reply = lifecycle!(
        codex,
        skills: [lookup_ticket],
        cwd: ".",
        on_close: |report| println!("cleanup   {report}"),
        |run| {
            run.catalog().iter().for_each(describe);
            println!("request   {request}");
            let turn = run.send_and_handle(request).require_reply().await?;
            for call in &turn.dispatches {
                println!("call      {}({})", call.tool(), call.arguments());
                println!("answer    {}", call.output().to_text());
            }
            println!("reply     {}", turn.assistant_reply);
            Ok(turn.assistant_reply)
        }
    )
    .await?;

    let left = codex.runtime().session_count();
    println!("sessions  {left} left");
    if reply.is_empty() || left > 0 {
        return Err(Error::other("the session left something behind"));
    }
    Ok(())
}

fn describe(skill: &CatalogSkill) {
    println!("catalog   {} — {}", skill.name(), skill.description());
    let schema = skill.input_schema();
    for (name, parameter) in schema["properties"].as_object().into_iter().flatten() {
        let (kind, words) = (
            parameter["type"].as_str(),
            parameter["description"].as_str(),
        );
        println!(
            "            {name}: {} — {}",
            kind.unwrap_or("any"),
            words.unwrap_or("?")
        );
    }
}
