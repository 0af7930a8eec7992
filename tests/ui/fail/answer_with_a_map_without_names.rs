use std::collections::HashMap;

use codex_skills::skill;

#[skill]
fn by_place() -> Result<Vec<HashMap<(u8, u8), u8>>, String> {
    Ok(Vec::new())
}

fn main() {}
