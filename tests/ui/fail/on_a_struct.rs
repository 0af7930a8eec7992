use codex_skills::skill;

#[skill]
struct Desk;

fn main() {}
