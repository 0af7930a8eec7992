use codex_skills::skill;

#[skill]
fn lookup() -> impl std::fmt::Display {
    5
}

fn main() {}
