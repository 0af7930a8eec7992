use codex_skills::skill;

struct Desk;

#[skill(name = "desk", timeout = "3s")]
impl Desk {
    #[skill(crate = codex_skills)]
    fn lookup(&self) {}
}

fn main() {}
