use codex_skills::skill;

#[skill(crate = "codex_skills")]
fn lookup() {}

fn main() {}
