use codex_skills::skill;

#[skill(inline = true, exclusive = false, read_only = "yes")]
fn lookup() {}

fn main() {}
