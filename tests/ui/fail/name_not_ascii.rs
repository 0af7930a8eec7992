use codex_skills::skill;

#[skill]
fn größe() {}

fn main() {}
