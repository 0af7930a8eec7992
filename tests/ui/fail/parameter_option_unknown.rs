use codex_skills::skill;

#[skill]
fn lookup(#[skill(defualt = 5)] count: u8, #[skill(name = "x")] id: u8) {
    let _ = (count, id);
}

fn main() {}
