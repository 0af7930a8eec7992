use codex_skills::{skill, skills};

#[skill]
fn lookup() {}

fn main() {
    let _ = skills![lookup, lookup];
}
