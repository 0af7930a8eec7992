//! Skills are items like any other: they can be imported from another crate.
use codex_skills::skills;
use codex_skills_tests::library::{self, Desk, shout};

fn main() {
    let names: Vec<_> = skills![shout, library::whisper, Desk].iter().map(|s| s.name()).collect();
    assert_eq!(names, ["shout", "whisper", "greet"]);
    assert_eq!(shout("a"), "A");
}
