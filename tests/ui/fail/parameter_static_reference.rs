use codex_skills::skill;

#[skill]
fn lookup(id: &'static str) {
    let _ = id;
}

fn main() {}
