//! Skills inside functions, even two of the same name.
use codex_skills::{skill, skills};

fn first() -> &'static str {
    /// The first.
    #[skill]
    fn lookup() {}
    lookup();
    skills![lookup].iter().next().unwrap().description()
}

fn second() -> &'static str {
    struct Local;
    /// The second.
    #[skill]
    async fn lookup(#[state] local: &Local) {
        let _ = local;
    }
    skills![lookup].iter().next().unwrap().description()
}

fn main() {
    assert_eq!((first(), second()), ("The first.", "The second."));
}
