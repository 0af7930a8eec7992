use codex_skills::skill;

#[skill]
fn lookup(#[skill] count: u8) {
    let _ = count;
}

fn main() {}
