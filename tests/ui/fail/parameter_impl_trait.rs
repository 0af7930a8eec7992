use codex_skills::skill;

#[skill]
fn lookup(id: impl Into<String>) {
    let _: String = id.into();
}

fn main() {}
