use codex_skills::skill;

use std::cell::Cell;

#[skill]
async fn lookup(#[state] count: &Cell<u8>) {
    count.set(1);
}

#[skill]
fn close(#[state] count: &Cell<u8>) {
    count.set(1);
}

fn main() {}
