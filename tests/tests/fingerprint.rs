//! Fingerprints are kept on users' disks: the same catalog has the same one in every version.

use std::collections::BTreeMap;
use std::convert::Infallible;

use codex_skills::{Draft, Skill, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How urgent it is.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Priority {
    /// It can wait.
    Low,
    /// Now.
    High,
}

/// What to look for.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Filter {
    /// The words to look for.
    words: Vec<String>,
    /// The most that is wanted.
    limit: Option<u32>,
    priority: Option<Priority>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Tree {
    label: String,
    children: Vec<Tree>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    /// A circle.
    Circle { radius: f64 },
    /// A square.
    Square { side: f64 },
}

/// Look up a ticket by its "stable" id.
#[skill]
fn lookup(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    /// How many comments to include.
    #[skill(default = 5)]
    comments: u32,
    verbose: bool,
) -> String {
    format!("{ticket_id} {comments} {verbose}")
}

/// Find tickets.
#[skill(namespace = "tickets", defer)]
fn find(
    /// What is wanted.
    filter: Filter,
    place: Option<(f64, f64)>,
    /// Names and numbers.
    extra: BTreeMap<String, i64>,
) -> Vec<Filter> {
    let _ = (place, extra);
    vec![filter]
}

/// Walk a tree.
#[skill(namespace = "tickets")]
fn walk(tree: Tree, shape: Shape, any: serde_json::Value) -> Option<Tree> {
    let _ = (shape, any);
    Some(tree)
}

/// The arguments of a closure.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sum {
    /// The numbers to add.
    #[schemars(length(min = 1), inner(range(min = 0, max = 100)))]
    numbers: Vec<u8>,
    #[serde(default)]
    note: Option<String>,
}

fn draft() -> Draft {
    let written = Skill::builder("written")
        .input_schema(json!({"type": "object", "properties": {"b": {"type": "string", "pattern": "^a"}, "a": {}}}))
        .handler(|_: serde_json::Value| async { Ok::<_, Infallible>(()) });
    Draft::new()
        .register(skills![lookup, find, walk])
        .register(written)
        .describe_namespace("tickets", "What customers complain about.")
        .skill("sum")
        .handler(|sum: Sum| async move { Ok::<_, Infallible>((sum.numbers.len(), sum.note)) })
}

#[test]
fn a_catalog_keeps_its_fingerprint_from_version_to_version() {
    assert_eq!(
        draft().seal().unwrap().fingerprint(),
        "sha256:ebba46e96c0f1e4c0e7a848abce945f3f6cc745576195f43d9692d0776146b29"
    );
}
