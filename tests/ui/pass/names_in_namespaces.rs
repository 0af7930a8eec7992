//! Names of codex's own tools are free in a namespace, and one name may be in several.

use codex_skills::{Draft, skill, skills};

#[skill(namespace = "tickets")]
fn wait() {}

/// Found by searching, in whatever namespace the draft has.
#[skill(defer)]
fn lookup() {}

struct Desk;

#[skill(namespace = "desk", defer)]
impl Desk {
    #[skill]
    fn exec(&self) {}

    #[skill(namespace = "tickets", name = "exec")]
    fn execute(&self) {}
}

fn main() {
    let draft = Draft::new().register(skills![wait, lookup, Desk]).state(Desk);
    let catalog = draft.namespace("common").seal().unwrap();
    assert_eq!(
        catalog.list(),
        ["common.lookup", "desk.exec", "tickets.exec", "tickets.wait"]
    );
}
