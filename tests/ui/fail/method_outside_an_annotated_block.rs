use codex_skills::skill;

struct Desk;

impl Desk {
    #[skill]
    fn lookup(&self) {}
}

fn use_it() {
    Desk.lookup();
}

fn main() {
    use_it();
}
