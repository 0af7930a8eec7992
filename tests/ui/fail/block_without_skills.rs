use codex_skills::skill;

#[skill]
impl Desk {
    fn lookup(&self) {}
}

struct Desk;

fn main() {
    Desk.lookup();
}
