//! Empty lists, trailing commas, constants.
use codex_skills::{skill, skills};

#[skill]
fn lookup() {}

mod other {
    #[codex_skills::skill]
    pub fn lookup() {}
}

fn main() {
    assert_eq!(skills![].iter().count(), 0);
    assert_eq!(skills![lookup,].iter().count(), 1);
    let list = skills! { lookup, other::lookup };
    assert_eq!(format!("{list:?}"), r#"["lookup", "lookup"]"#);
    lookup();
    other::lookup();
}
