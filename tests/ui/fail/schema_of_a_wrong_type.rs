use codex_skills::skill;

#[skill(input_schema = 5)]
fn lookup() {}

fn main() {}
