use codex_skills::skill;

struct Desk;

#[skill(namespace = "tickets")]
impl Desk {
    #[skill]
    fn lookup(&self) {}

    #[skill(name = "lookup", namespace = "customers")]
    fn elsewhere(&self) {}

    #[skill(name = "lookup", namespace = "tickets")]
    fn find(&self) {}
}

fn main() {}
