use codex_skills::skill;

#[skill(namespace = "")]
fn lookup() {}

#[skill(namespace = " tickets")]
fn close() {}

#[skill(namespace)]
fn open() {}

fn main() {}
