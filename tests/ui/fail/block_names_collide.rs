use codex_skills::skill;

struct Desk;

#[skill]
impl Desk {
    #[skill]
    fn lookup(&self) {}

    #[skill(name = "lookup")]
    fn find(&self) {}
}

fn main() {}
