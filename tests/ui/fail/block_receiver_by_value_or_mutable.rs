use codex_skills::skill;

struct Desk;

#[skill]
impl Desk {
    #[skill]
    fn lookup(&mut self) {}

    #[skill]
    fn close(self) {}

    #[skill]
    fn open(self: Box<Self>) {}
}

fn main() {}
