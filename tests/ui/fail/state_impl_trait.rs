use codex_skills::skill;

trait Store {}

/// Look up a ticket.
#[skill]
fn lookup(#[state] store: &impl Store) -> bool {
    let _ = store;
    true
}

fn main() {}
