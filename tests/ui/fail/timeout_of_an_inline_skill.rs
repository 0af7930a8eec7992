use codex_skills::skill;

#[skill(inline, timeout = "30s")]
fn lookup() {}

fn main() {}
