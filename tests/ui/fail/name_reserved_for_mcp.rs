use codex_skills::skill;

#[skill]
fn mcp__lookup() {}

#[skill(name = "mcp")]
fn lookup() {}

fn main() {}
