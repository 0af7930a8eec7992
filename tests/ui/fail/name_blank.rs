use codex_skills::skill;

#[skill(name = "  ")]
fn lookup() {}

fn main() {}
