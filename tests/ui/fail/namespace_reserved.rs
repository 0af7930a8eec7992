use codex_skills::skill;

#[skill(namespace = "mcp__tickets")]
fn lookup() {}

#[skill(namespace = "web")]
fn close() {}

#[skill(namespace = "tickets", name = "mcp")]
fn open() {}

fn main() {}
