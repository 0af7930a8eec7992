use codex_skills::skill;

struct Desk;

#[skill]
impl Lookup for Desk {
    #[skill]
    fn lookup(&self) {}
}

trait Lookup {
    fn lookup(&self);
}

fn main() {
    Desk.lookup();
}
