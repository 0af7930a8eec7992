use codex_skills::skill;

#[skill(name = " lookup")]
fn lookup() {}

fn main() {}
