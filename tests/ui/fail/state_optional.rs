use codex_skills::skill;

struct Db;

/// Look up a ticket.
#[skill]
fn lookup(#[state] db: Option<&Db>) -> bool {
    db.is_some()
}

fn main() {}
