//! What the model sends arrives in the parameters, in every way in which they can be taken.
use std::sync::Arc;

use codex_skills::{Catalog, Draft, SkillContext, SkillOutput, skill, skills};
use serde_json::{Value, json};

#[skill]
async fn borrowed(id: &str, list: &[u8], maybe: Option<&str>, rest: Option<&[bool]>) -> String {
    format!("{id} {list:?} {maybe:?} {rest:?}")
}

#[skill(inline)]
fn defaults(
    #[skill(default)] count: u8,
    #[skill(default = "open")] status: &str,
    #[skill(default = vec![1, 2])] ids: Vec<u8>,
    #[skill(rename = "ticketId")] id: Option<String>,
) -> String {
    format!("{count} {status} {ids:?} {id:?}")
}

trait Clock: Send + Sync {
    fn now(&self) -> u64;
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> u64 {
        42
    }
}

#[skill]
fn injected(
    #[state] clock: &dyn Clock,
    id: u8,
    #[state] count: Arc<u32>,
    #[context] cx: &SkillContext,
    #[context] own: SkillContext,
) -> String {
    format!("{} {id} {count} {} {}", clock.now(), cx.skill(), own.skill())
}

#[skill]
async fn derived(
    #[schemars(range(min = 1, max = 20))]
    #[skill(default = 10, rename = "max")]
    limit: u8,
    #[serde(rename = "query")] text: &str,
) -> String {
    format!("{limit} {text}")
}

#[skill(input_schema = r#"{"type": "object", "properties": {"id": {"type": "string"}}}"#)]
fn explicit(id: String) -> Result<u8, String> {
    id.parse().map_err(|error| format!("{id}: {error}"))
}

struct Desk(u8);

#[skill]
impl Desk {
    #[skill]
    async fn read(&self, plus: u8) -> u8 {
        self.0 + plus
    }

    #[skill]
    fn rich(self: Arc<Self>) -> SkillOutput {
        SkillOutput::text("a").with_text(self.0.to_string())
    }

    #[skill]
    fn fallible(&self) -> Result<SkillOutput, String> {
        Ok(SkillOutput::failure("no"))
    }
}

async fn call(catalog: &Catalog, name: &str, arguments: Value) -> (String, bool) {
    let output = catalog.call(name, arguments).await.unwrap();
    (output.to_text().into_owned(), output.is_success())
}

#[tokio::main]
async fn main() {
    let clock: Arc<dyn Clock> = Arc::new(Fixed);
    let catalog = Draft::new()
        .register(skills![borrowed, defaults, injected, derived, explicit, Desk])
        .shared_state(clock)
        .state(7_u32)
        .state(Desk(3))
        .seal()
        .unwrap();
    for (name, arguments, expected, success) in [
        ("borrowed", json!({"id": "a", "list": [1]}), "a [1] None None", true),
        (
            "borrowed",
            json!({"id": "a", "list": [], "maybe": "b", "rest": [true]}),
            "a [] Some(\"b\") Some([true])",
            true,
        ),
        ("defaults", json!({}), "0 open [1, 2] None", true),
        (
            "defaults",
            json!({"count": 1, "status": "shut", "ids": [], "ticketId": "x"}),
            "1 shut [] Some(\"x\")",
            true,
        ),
        ("injected", json!({"id": 1}), "42 1 7 injected injected", true),
        ("derived", json!({"query": "x"}), "10 x", true),
        ("derived", json!({"query": "x", "max": 3}), "3 x", true),
        ("explicit", json!({"id": "7", "more": 1}), "7", true),
        ("read", json!({"plus": 4}), "7", true),
        ("rich", json!({}), "a\n3", true),
        ("fallible", json!({}), "no", false),
    ] {
        assert_eq!(call(&catalog, name, arguments).await, (expected.to_owned(), success), "{name}");
    }
    let (text, success) = call(&catalog, "explicit", json!({"id": "x"})).await;
    assert!(text.contains("x: invalid digit") && !success, "{text}");
    let (text, success) = call(&catalog, "borrowed", json!({"id": "a", "list": [], "idd": 1})).await;
    assert!(text.contains("idd") && !success, "{text}");
}
