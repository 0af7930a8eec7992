//! The program of the README, whose lines are these.
use codex_skills::{Embedded, Error, lifecycle, skill};

/// Look up a ticket by its id.
#[skill]
fn lookup_ticket(id: String) -> String {
    format!("{id} is open")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();
    let turn = lifecycle!(codex, skills: [lookup_ticket], |run| {
        run.send_and_handle("Use lookup_ticket for ABC-123.").require_reply().await
    })
    .await?;
    println!("{}", turn.assistant_reply);
    Ok(())
}
