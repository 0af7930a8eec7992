use codex_skills::skill;

#[skill(name = "tickets.lookup")]
fn lookup() {}

#[skill(name = "tickets.lookup", namespace = "tickets")]
fn find() {}

fn main() {}
