use codex_skills::skill;

#[skill(name = "lookup ticket!")]
fn lookup() {}

fn main() {}
