use std::collections::BTreeMap;

use codex_skills::skill;

#[derive(serde::Deserialize)]
struct Read;

#[derive(schemars::JsonSchema)]
struct Described;

struct Neither;

/// Take several.
#[skill]
fn several(first: Vec<Option<Read>>, second: BTreeMap<String, (Described, u8)>, third: &[Box<Neither>]) -> usize {
    first.len() + second.len() + third.len()
}

fn main() {}
