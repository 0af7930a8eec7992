use std::collections::HashMap;

use codex_skills::skill;

/// Several at once.
#[skill]
fn several(names: Vec<&str>, groups: &[&str]) -> usize {
    names.len() + groups.len()
}

/// By name.
#[skill]
fn by_name(named: HashMap<&str, u8>, pair: (&str, u8), one: Option<&String>) -> usize {
    named.len() + usize::from(pair.1) + usize::from(one.is_some())
}

fn main() {}
