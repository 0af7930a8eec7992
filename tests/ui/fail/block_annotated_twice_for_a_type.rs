use codex_skills::skill;

struct Desk;

#[skill]
impl Desk {
    #[skill]
    fn lookup(&self) {}
}

#[skill]
impl Desk {
    #[skill]
    fn close(&self) {}
}

fn main() {}
