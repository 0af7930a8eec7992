//! Schemas as text, as values and as expressions.
use codex_skills::{SkillSet, skill};

const SCHEMA: &str = r#"{"type": "object"}"#;

#[skill(input_schema = SCHEMA, output_schema = serde_json::json!({"type": "string"}))]
fn lookup(id: Option<String>) -> String {
    id.unwrap_or_default()
}

#[skill(input_schema = schemars::json_schema!({"type": "object"}))]
fn close(#[schemars(length(max = 3))] id: String) -> String {
    id
}

#[skill(output_schema = schemars::schema_for!(u8))]
fn open() -> u8 {
    1
}

fn main() {
    for skill in [lookup::SKILLS, close::SKILLS, open::SKILLS] {
        assert!(!skill[0].is_documented());
    }
    lookup(None);
    close(String::new());
    open();
}
