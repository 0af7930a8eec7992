use codex_skills::skill;

#[skill]
fn lookup() where String: Clone {}

fn main() {}
