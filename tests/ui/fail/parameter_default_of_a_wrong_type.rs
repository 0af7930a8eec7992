use codex_skills::skill;

#[skill]
fn lookup(#[skill(default = "many")] count: u8, #[skill(default = 5)] id: String) {
    let _ = (count, id);
}

fn main() {}
