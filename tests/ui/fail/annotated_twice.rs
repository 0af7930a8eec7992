use codex_skills::skill;

#[skill]
#[skill(group = "tickets")]
fn lookup() {}

fn main() {}
