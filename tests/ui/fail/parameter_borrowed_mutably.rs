use codex_skills::skill;

/// Sort.
#[skill]
fn sort(names: &mut Vec<String>, name: &mut String, text: &mut str) -> usize {
    names.len() + name.len() + text.len()
}

fn main() {}
