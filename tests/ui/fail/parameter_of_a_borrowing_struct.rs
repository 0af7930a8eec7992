use codex_skills::skill;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Name<'a> {
    text: &'a str,
}

/// Count the letters.
#[skill]
fn letters(name: Name<'_>) -> usize {
    name.text.len()
}

fn main() {}
