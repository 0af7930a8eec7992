use std::collections::{BTreeMap, HashMap};

use codex_skills::skill;

#[skill]
fn lookup(grid: HashMap<(u8, u8), String>, fine: BTreeMap<u8, String>) {
    let _ = (grid, fine);
}

#[skill]
fn find(nested: Option<Vec<BTreeMap<Vec<u8>, u8>>>, pairs: Vec<((u8, u8), String)>) {
    let _ = (nested, pairs);
}

fn main() {}
