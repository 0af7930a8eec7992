use codex_skills::skill;

#[skill]
const fn lookup() {}

fn main() {}
