use codex_skills::skill;

#[skill(name)]
fn lookup() {}

#[skill(timeout = )]
fn close() {}

fn main() {}
