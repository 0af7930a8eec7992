//! Schemas as codex reads them (contract §1.4): which keywords they have, and what it would rewrite.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Calls `visit` with each schema inside a schema, itself included, and its place. What codex drops is
/// left out.
fn each(schema: &Value, place: &str, visit: &mut impl FnMut(&Value, &str)) {
    visit(schema, place);
    let Value::Object(members) = schema else {
        return;
    };
    for keyword in ["properties", "$defs", "definitions"] {
        for (name, inner) in members
            .get(keyword)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            each(inner, &format!("{place}/{keyword}/{name}"), visit);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        // `additionalProperties` may be a boolean, which codex keeps.
        if let Some(inner) = members.get(keyword)
            && !(keyword == "additionalProperties" && inner.is_boolean())
        {
            each(inner, &format!("{place}/{keyword}"), visit);
        }
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for inner in members
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            each(inner, &format!("{place}/{keyword}"), visit);
        }
    }
}

/// All keywords of a schema and of those inside it. The names of properties are none.
pub(crate) fn keywords(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    each(schema, "", &mut |schema, _| {
        found.extend(schema.as_object().into_iter().flat_map(Map::keys).cloned());
    });
    found
}

/// All references.
pub(crate) fn references(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    each(schema, "", &mut |schema, _| {
        found.extend(
            schema
                .get("$ref")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    });
    found
}

/// What codex does to a schema besides leaving out keywords that say nothing to the model.
pub(crate) fn rewritten(schema: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    each(schema, "", &mut |schema, place| {
        if let Some(change) = change(schema) {
            changes.push(format!("{place}: {change}"));
        }
    });
    changes
}

fn change(schema: &Value) -> Option<&'static str> {
    let Value::Object(members) = schema else {
        return Some("becomes a string");
    };
    let has = |keyword: &str| members.contains_key(keyword);
    let is = |name: &str| match members.get("type") {
        Some(Value::String(own)) => own == name,
        Some(Value::Array(names)) => names.iter().any(|own| own == name),
        _ => false,
    };
    if (has("enum") || has("const")) && !has("type") {
        Some("the values become strings")
    } else if is("array") && !has("items") {
        Some("the items become strings")
    } else if has("description") && members.len() == 1 {
        Some("the description is lost")
    } else if (has("minimum") || has("maxLength") || has("pattern")) && !has("type") {
        Some("a type is guessed")
    } else {
        None
    }
}
