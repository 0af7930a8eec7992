use codex_skills::skill;

#[skill]
fn lookup((id, count): (String, u8), _: bool) {
    let _ = (id, count);
}

fn main() {}
