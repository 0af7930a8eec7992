use codex_skills::skill;

#[skill(description = "", group = " ")]
fn lookup() {}

fn main() {}
