//! Which skills a session has, without listing them: groups, discovery, and metadata that can be read
//! before anything runs.
//!
//! `cargo run --bin groups_and_discovery`

use codex_skills::{Draft, Embedded, Error, SkillSet, lifecycle, skill};

mod tickets {
    use codex_skills::skill;

    /// Look up a ticket.
    #[skill(group = "tickets", read_only)]
    pub(crate) fn lookup_ticket(id: String) -> String {
        format!("{id} is open")
    }

    /// Close a ticket.
    #[skill(group = "tickets")]
    pub(crate) fn close_ticket(id: String) -> String {
        format!("{id} is closed")
    }
}

mod billing {
    use codex_skills::skill;

    /// Send an invoice.
    #[skill(group = "billing")]
    pub(crate) fn send_invoice(customer: String) -> String {
        format!("{customer} has mail")
    }
}

/// Tell the time.
#[skill]
fn tell_time() -> &'static str {
    "tea time"
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // Everything that is linked in, and where it is written.
    println!("linked in");
    for skill in &Draft::new().discover().seal()? {
        let group = skill.group().unwrap_or("-");
        println!("  {:<14} {group:<8} {}", skill.name(), skill.location());
    }

    // The metadata is static: no catalog, no session, nothing run.
    let [descriptor] = tickets::lookup_ticket::SKILLS else {
        return Err(Error::other("a function is one skill"));
    };
    println!(
        "static     {} is read only: {}",
        descriptor.name(),
        descriptor.is_read_only()
    );

    // A session with one group and one skill more.
    let codex = Embedded::demo();
    let names = lifecycle!(codex, discover: "tickets", skills: [tell_time], |run| {
        run.send_and_handle("close_ticket ABC-123").require_reply().await?;
        Ok(run.list().join(", "))
    })
    .await?;
    println!("session    {names}");

    // A crate that the program does not name is not linked, so nothing in it is found: say what you expect.
    let draft = Draft::new()
        .discover_group("billing")
        .expecting(["send_invoice", "refund"]);
    let missing = draft
        .seal()
        .err()
        .ok_or_else(|| Error::other("there is no skill `refund`"))?;
    println!("refused    {missing}");

    if names != "close_ticket, lookup_ticket, tell_time" {
        return Err(Error::other("the session has other skills"));
    }
    Ok(())
}
