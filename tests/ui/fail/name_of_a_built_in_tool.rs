use codex_skills::skill;

#[skill]
fn apply_patch() {}

#[skill(name = "exec_command")]
fn lookup() {}

fn main() {}
