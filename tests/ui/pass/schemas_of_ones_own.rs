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

mod seconds {
    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<super::Opaque, D::Error> {
        u64::deserialize(from).map(super::Opaque)
    }
}

struct Opaque(u64);

#[skill(input_schema = r#"{"type": "object"}"#)]
fn pause(
    #[serde(deserialize_with = "seconds::deserialize")]
    #[schemars(with = "u64")]
    #[skill(default = Opaque(3))]
    time: Opaque,
    id: u8,
) -> u64 {
    time.0 + u64::from(id)
}

#[skill(output_schema = schemars::schema_for!(u8))]
fn open() -> u8 {
    1
}

fn main() {
    for skill in [lookup::SKILLS, close::SKILLS, pause::SKILLS, open::SKILLS] {
        assert!(!skill[0].is_documented());
    }
    lookup(None);
    close(String::new());
    pause(Opaque(1), 1);
    open();
}
