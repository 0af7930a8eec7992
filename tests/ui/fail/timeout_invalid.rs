use codex_skills::skill;

#[skill(timeout = "soon")]
fn lookup() {}

#[skill(timeout = 30)]
fn close() {}

#[skill(timeout = "0s")]
fn open() {}

#[skill(timeout = "48h")]
fn keep() {}

fn main() {}
