//! `anyOf`, `oneOf` and `allOf`: unwrapped where they hold one schema, and `null` moved from a branch
//! into the type. Codex of early 2026 drops `oneOf` and `allOf`; `anyOf` is kept by all.

use serde_json::{Value, json};

use super::{Object, words};

/// Merges compositions of one schema into their parent. Says whether `null` was among the branches.
pub(super) fn unwrap(schema: &mut Object) -> bool {
    let mut nullable = false;
    // Each round removes a composition, of which there are as many as the schema is deep.
    while let Some(keyword) = ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .find(|keyword| can_unwrap(schema, keyword))
    {
        let Some(Value::Array(mut branches)) = schema.remove(keyword) else {
            break;
        };
        if keyword != "allOf" {
            let before = branches.len();
            branches.retain(|branch| !is_null(branch));
            nullable |= branches.len() < before;
        }
        match branches.len() {
            0 => {
                schema.insert("type".to_owned(), "null".into());
            }
            1 => merge(schema, branches.swap_remove(0)),
            _ => {
                schema.insert(keyword.to_owned(), Value::Array(branches));
            }
        }
    }
    nullable
}

/// Whether a round of [`unwrap`] would change something, and nothing would be lost.
fn can_unwrap(schema: &Object, keyword: &str) -> bool {
    let Some(Value::Array(branches)) = schema.get(keyword) else {
        return false;
    };
    let alone = schema
        .keys()
        .all(|other| other == keyword || words::is_annotation(other));
    let has_null = keyword != "allOf" && branches.iter().any(is_null);
    match branches.as_slice() {
        [] => false,
        [only] => alone || fits(schema, only, keyword),
        _ => has_null && alone,
    }
}

/// Whether a branch says nothing that its parent says otherwise.
fn fits(schema: &Object, branch: &Value, keyword: &str) -> bool {
    branch.as_object().is_some_and(|branch| {
        branch.iter().all(|(name, value)| {
            name == keyword
                || words::is_annotation(name)
                || schema.get(name).is_none_or(|own| own == value)
        }) && !branch.contains_key("properties")
            && !branch.contains_key("additionalProperties")
    })
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

/// What the parent says about itself wins; of descriptions both are kept.
fn merge(schema: &mut Object, branch: Value) {
    if let Value::Object(branch) = branch {
        for (keyword, value) in branch {
            match (schema.get_mut(&keyword), &value) {
                (Some(Value::String(own)), Value::String(text)) if keyword == "description" => {
                    *own = words::join(own, text);
                }
                (Some(_), _) => {}
                (None, _) => {
                    schema.insert(keyword, value);
                }
            }
        }
    }
}

/// Writes `anyOf` where there is only `oneOf`.
pub(super) fn prefer_any_of(schema: &mut Object) {
    if !schema.contains_key("anyOf")
        && let Some(branches) = schema.remove("oneOf")
    {
        schema.insert("anyOf".to_owned(), branches);
    }
}

/// Adds `null` to what a schema accepts.
pub(super) fn allow_null(schema: &mut Object) {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(types) = schema.get_mut("type") {
        add_null(types);
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf")
        && !branches.iter().any(is_null)
    {
        branches.push(json!({"type": "null"}));
    }
    if let Some(reference) = schema.remove("$ref") {
        let branches = json!([{"$ref": reference}, {"type": "null"}]);
        schema.insert("anyOf".to_owned(), branches);
    }
}

fn add_null(types: &mut Value) {
    match types {
        Value::String(name) if name != "null" => *types = json!([name, "null"]),
        Value::Array(names) if !names.iter().any(|name| name == "null") => {
            names.push("null".into());
        }
        _ => {}
    }
}

/// Whether the type, or one of the types, has this name.
pub(super) fn has_type(schema: &Object, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(own)) => own == name,
        Some(Value::Array(names)) => names.iter().any(|own| own == name),
        _ => false,
    }
}

/// Maps whose keys are not plain strings: schemars writes `patternProperties` and closes the object,
/// and codex would show an object without members.
pub(super) fn pattern_properties(schema: &mut Object) {
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    if !closed || schema.contains_key("properties") || schema.contains_key("propertyNames") {
        return;
    }
    let Some(Value::Object(patterns)) = schema.get("patternProperties") else {
        return;
    };
    let mut members = patterns.iter();
    let (Some((pattern, value)), None) = (members.next(), members.next()) else {
        return;
    };
    let (names, value) = (json!({ "pattern": pattern }), value.clone());
    schema.remove("patternProperties");
    schema.insert("additionalProperties".to_owned(), value);
    schema.insert("propertyNames".to_owned(), names);
}
