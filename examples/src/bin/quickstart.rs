//! The main job: lend a function to a session, ask, and clean up.
//!
//! `cargo run --bin quickstart`, or with a request of your own:
//! `cargo run --bin quickstart -- "Use lookup_ticket for XYZ-7 with 2 comments."`

use codex_skills::{Embedded, lifecycle, skill};

/// A ticket of the help desk.
#[derive(serde::Serialize, schemars::JsonSchema)]
struct Ticket {
    id: String,
    status: &'static str,
    comments: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no ticket {0}")]
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
    if !ticket_id.contains('-') {
        return Err(NoSuchTicket(ticket_id));
    }
    let all = ["Opened by Ada.", "Reproduced.", "A fix is in review."];
    Ok(Ticket {
        id: ticket_id,
        status: "open",
        comments: all.iter().take(comments.into()).map(ToString::to_string).collect(),
    })
}

#[tokio::main]
async fn main() -> Result<(), codex_skills::Error> {
    let request = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "Use lookup_ticket for ABC-123 and summarize.".to_owned());
    println!("request   {request}");
    let codex = Embedded::demo();
    let reply = lifecycle!(
        codex,
        skills: [lookup_ticket],
        cwd: ".",
        on_close: |report| println!("cleanup   {report}"),
        |run| {
            for skill in run.catalog() {
                println!("catalog   {} — {}", skill.name(), skill.description());
                println!("          {}", skill.input_schema());
            }
            let sent = run.send_and_handle(request).require_reply().await?;
            for call in &sent.dispatches {
                println!("call      {}({})", call.tool(), call.arguments());
                println!("answer    {}", call.output().to_text());
            }
            Ok(sent.assistant_reply)
        }
    )
    .await?;
    println!("reply     {reply}");
    println!("sessions  {} left", codex.runtime().session_count());
    Ok(())
}
