use codex_skills::skill;

#[skill]
fn lookup(#[cfg(all())] count: u8) {
    let _ = count;
}

fn main() {}
