use codex_skills::skill;

struct Desk<T>(T);

#[skill]
impl<T> Desk<T> {
    #[skill]
    fn lookup(&self) {}
}

fn main() {
    Desk(1).lookup();
}
