use codex_skills::skill;

#[skill]
extern "C" fn lookup() {}

fn main() {}
