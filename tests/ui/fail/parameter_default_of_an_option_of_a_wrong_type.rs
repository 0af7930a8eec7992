use codex_skills::skill;

#[skill]
fn lookup(#[skill(default = "many")] count: Option<u8>, #[skill(default = 5)] id: Option<String>) {
    let _ = (count, id);
}

fn main() {}
