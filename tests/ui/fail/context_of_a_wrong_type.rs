use codex_skills::skill;

#[skill]
fn lookup(#[context] cx: &str) {
    let _ = cx;
}

fn main() {}
