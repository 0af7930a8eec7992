//! Attributes of serde and schemars pass through.
use std::time::Duration;

use codex_skills::{SkillSet, skill};

mod seconds {
    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<super::Opaque, D::Error> {
        u64::deserialize(from).map(super::Opaque)
    }
}

struct Opaque(u64);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    number: u8,
}

/// Search.
///
/// # Arguments
///
/// * `q` - the words
#[skill]
async fn search(
    #[serde(rename = "q", alias = "query")]
    #[schemars(length(min = 1))]
    r#type: String,
    #[schemars(range(min = 1, max = 20))]
    #[skill(default = 10, rename = "max")]
    limit: u8,
    #[serde(deserialize_with = "seconds::deserialize")]
    #[schemars(with = "u64")]
    wait: Opaque,
    #[serde(flatten)] page: Page,
    #[serde(default)] text: &str,
    duration: Option<Duration>,
) -> String {
    format!("{type}{limit}{}{}{text}{duration:?}", wait.0, page.number, type = r#type)
}

fn main() {
    assert_eq!(search::SKILLS[0].name(), "search");
    drop(search("".into(), 1, Opaque(1), Page { number: 1 }, "", None));
}
