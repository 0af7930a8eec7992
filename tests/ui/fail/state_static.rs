use std::sync::Mutex;

use codex_skills::skill;

/// Count.
#[skill]
fn count(#[state] name: &'static str, #[state] number: &'static Mutex<u8>) -> usize {
    let _ = number;
    name.len()
}

fn main() {}
