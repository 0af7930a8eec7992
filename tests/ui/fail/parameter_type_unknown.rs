use codex_skills::skill;

#[skill]
fn lookup(id: Missing) {
    let _ = id;
}

fn main() {}
