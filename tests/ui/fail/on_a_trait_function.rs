use codex_skills::skill;

trait Lookup {
    #[skill]
    fn lookup();
}

fn main() {}
