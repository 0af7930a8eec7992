//! Calling skills without a session, and reading what a catalog declares.

use codex_skills::{Catalog, Draft, IntoSkills};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A catalog of these skills.
pub(crate) fn catalog_of<V>(skills: impl IntoSkills<V>) -> Catalog {
    Draft::new().register(skills).seal().expect("a catalog")
}

/// JSON as the model wrote it: whatever its numbers, escapes and nesting are.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

/// What the model reads, of an answer that reports success.
pub(crate) async fn answered(
    catalog: &Catalog,
    skill: &str,
    arguments: impl Serialize + Send,
) -> String {
    let output = catalog.call(skill, arguments).await.expect("a skill");
    assert!(output.is_success(), "{}", output.to_text());
    output.to_text().into_owned()
}

/// What the model reads, of an answer that reports a failure. It is one text, and says what failed.
pub(crate) async fn failed(
    catalog: &Catalog,
    skill: &str,
    arguments: impl Serialize + Send,
) -> String {
    let output = catalog.call(skill, arguments).await.expect("a skill");
    assert!(!output.is_success(), "{}", output.to_text());
    assert_eq!(output.items().len(), 1);
    let text = output.to_text().into_owned();
    assert!(text.starts_with(&format!("skill `{skill}` ")), "{text}");
    text
}

/// The dynamic tools as codex parses them.
pub(crate) fn declared(catalog: &Catalog) -> Value {
    serde_json::from_str(catalog.dynamic_tools().get()).expect("dynamic tools are JSON")
}

/// The schema of one property of a skill's arguments.
pub(crate) fn property<'a>(catalog: &'a Catalog, skill: &str, name: &str) -> &'a Value {
    let schema = catalog.get(skill).expect("a skill").input_schema();
    schema
        .pointer(&format!("/properties/{name}"))
        .unwrap_or_else(|| panic!("no property `{name}` in {schema}"))
}
