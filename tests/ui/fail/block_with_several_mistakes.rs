use codex_skills::skill;

struct Desk;

#[skill]
impl Desk {
    #[skill(nmae = "x")]
    fn lookup(&self, _id: &u8) {}

    #[skill]
    fn close<T>(&self, _ticket: T) {}
}

fn main() {}
