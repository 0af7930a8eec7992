use codex_skills::skill;

struct Desk;

#[skill]
impl Desk {
    #[skill]
    fn lookup(&self, id: Missing) -> Gone {
        let _ = id;
        Gone
    }
}

fn main() {}
