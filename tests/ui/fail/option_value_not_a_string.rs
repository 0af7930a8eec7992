use codex_skills::skill;

#[skill(namespace = concat!("a", "b"))]
fn lookup() {}

#[skill(group = 5)]
fn close() {}

fn main() {}
