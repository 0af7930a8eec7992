use codex_skills::skill;

#[skill(nmae = "lookup")]
fn lookup() {}

#[skill(colour = "red")]
fn close() {}

fn main() {}
