use codex_skills::skill;

/// Look up a ticket.
#[skill = "lookup"]
fn lookup_ticket(id: String) -> bool {
    id.is_empty()
}

fn main() {}
