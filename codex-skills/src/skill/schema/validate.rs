//! Whether a schema is one at all.

use serde_json::Value;

use super::Object;
use super::refused::TYPES;

/// Whether a schema is valid by what it is made of, so that compiling it cannot fail. Others may be valid too.
pub(super) fn is_surely_valid(schema: &Value) -> bool {
    let Value::Object(members) = schema else {
        return schema.is_boolean();
    };
    are_surely_valid(members)
}

/// The same of its members.
pub(super) fn are_surely_valid(members: &Object) -> bool {
    members
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "type" => match value {
                Value::Array(names) => {
                    !names.is_empty() && are_distinct(names) && names.iter().all(is_type)
                }
                name => is_type(name),
            },
            "title" | "description" | "format" => value.is_string(),
            "default" => true,
            "enum" | "examples" => value.is_array(),
            "required" => value
                .as_array()
                .is_some_and(|names| are_distinct(names) && names.iter().all(Value::is_string)),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" => value.is_u64(),
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => value.is_boolean(),
            "items" | "additionalProperties" => is_surely_valid(value),
            "properties" => value
                .as_object()
                .is_some_and(|properties| properties.values().all(is_surely_valid)),
            "anyOf" | "oneOf" | "allOf" => value.as_array().is_some_and(|branches| {
                !branches.is_empty() && branches.iter().all(is_surely_valid)
            }),
            _ => false,
        })
}

fn is_type(name: &Value) -> bool {
    name.as_str().is_some_and(|name| TYPES.contains(&name))
}

/// Whether no value is there twice. Of long lists that is not asked.
fn are_distinct(values: &[Value]) -> bool {
    values.len() <= 64
        && values
            .iter()
            .enumerate()
            .all(|(at, value)| values.iter().take(at).all(|before| before != value))
}

/// Makes sure that a schema is one. Without the feature `validation` everything passes.
///
/// # Errors
/// When it is not a valid JSON schema, or refers to another document.
#[cfg(feature = "validation")]
pub(super) fn confirm(schema: &Value) -> Result<(), String> {
    let built = jsonschema::options()
        .should_validate_formats(true)
        .build(schema);
    let Err(error) = built else {
        return Ok(());
    };
    let place = match error.instance_path().as_str() {
        "" => "the root".to_owned(),
        path => format!("`{path}`"),
    };
    let text: String = error.masked().to_string().chars().take(200).collect();
    Err(format!("its schema is not valid at {place}: {text}"))
}

#[cfg(not(feature = "validation"))]
#[allow(clippy::unnecessary_wraps, reason = "mirrors the confirming one")]
pub(super) fn confirm(_: &Value) -> Result<(), String> {
    Ok(())
}
