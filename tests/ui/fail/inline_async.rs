use codex_skills::skill;

#[skill(inline)]
async fn lookup() {}

fn main() {}
