use codex_skills::skill;

#[skill(group = "a", group = "b")]
fn lookup() {}

fn main() {}
