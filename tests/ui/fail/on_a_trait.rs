use codex_skills::skill;

#[skill]
trait Lookup {}

fn main() {}
