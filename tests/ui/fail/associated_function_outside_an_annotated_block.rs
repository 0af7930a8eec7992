use codex_skills::skill;

struct Desk;

impl Desk {
    #[skill]
    fn open() -> Self {
        Self
    }
}

fn main() {}
