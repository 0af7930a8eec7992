use codex_skills::skill;

#[skill]
unsafe fn lookup() {}

fn main() {}
