use codex_skills::skill;

#[skill]
mod tickets {}

fn main() {}
