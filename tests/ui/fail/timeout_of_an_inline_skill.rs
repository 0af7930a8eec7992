use codex_skills::skill;

#[skill(inline, timeout = "30s")]
fn lookup() {}

#[skill(inline, timeout = "soon")]
fn close() {}

fn main() {}
