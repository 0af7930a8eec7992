use codex_skills::skill;

/// Look up a ticket.
#[skill]
fn lookup(
    #[skill(description = "its id")] id: String,
    #[skill(desc = "its id")] other: String,
    #[skill(optional)] limit: u8,
    #[skill(required)] page: u8,
    #[skill("perPage")] size: u8,
) -> bool {
    true
}

fn main() {}
