//! Recognises input schemas that codex answers with an error (contract §1.4, *Rejected*), as opposed to those that it
//! rewrites. Nesting is bounded first, so that everything after may recurse.

use serde_json::Value;

use super::Object;

/// How deep the JSON of a schema may nest. Codex reads requests with a limit of 128 levels, of which
/// the request around a schema takes some.
pub(crate) const MAX_DEPTH: usize = 64;

/// The types of JSON Schema.
pub(super) const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Why codex refuses a schema.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("codex refuses its input schema at {path} ({reason}): {remedy}")]
pub(crate) struct Refusal {
    /// Where in the schema.
    pub(crate) path: Path,
    /// What codex says.
    pub(crate) reason: String,
    /// What to do instead.
    pub(crate) remedy: &'static str,
}

/// The way from the root of a schema to a part of it, shown as `properties.tags.items`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn join(&self, segment: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.chars().take(64).collect());
        Self(segments)
    }
}

/// The same while a schema is walked: links up to the root, from which the path is written only when it is reported.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    const ROOT: Self = Self {
        above: None,
        segment: Segment::Root,
    };

    fn join(&'a self, segment: Segment<'a>) -> Self {
        Self {
            above: Some(self),
            segment,
        }
    }

    fn path(&self) -> Path {
        let above = self.above.map(Place::path).unwrap_or_default();
        match self.segment {
            Segment::Root => above,
            Segment::Name(name) => above.join(name),
            Segment::Index(index) => above.join(&index.to_string()),
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            f.write_str("the root")
        } else {
            write!(f, "`{}`", self.0.join("."))
        }
    }
}

/// Refuses what nests too deep.
pub(crate) fn check_depth(schema: &Value) -> Result<(), String> {
    check_depth_below(schema, 0)
}

/// Refuses what nests too deep, below so many other levels.
pub(super) fn check_depth_below(schema: &Value, levels: usize) -> Result<(), String> {
    if nests_within(schema, MAX_DEPTH.saturating_sub(levels)) {
        return Ok(());
    }
    Err(format!(
        "the schema nests more than {MAX_DEPTH} levels deep: flatten it"
    ))
}

/// Recurses no deeper than the levels that are allowed.
fn nests_within(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Array(items) => items.iter().all(|item| nests_within(item, below)),
        Value::Object(members) => members.values().all(|member| nests_within(member, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Finds what codex refuses. The schema must have passed [`check_depth`].
pub(crate) fn check(schema: &Value) -> Result<(), Refusal> {
    match schema {
        Value::Object(members) if is_null_type(members) => Err(Refusal {
            path: Path::default(),
            reason: "tool input schema must not be a singleton null type".to_owned(),
            remedy: "describe an object",
        }),
        _ => check_node(schema, &Place::ROOT),
    }
}

fn is_null_type(members: &Object) -> bool {
    match members.get("type") {
        Some(Value::String(name)) => name == "null",
        Some(Value::Array(names)) => matches!(names.as_slice(), [only] if only == "null"),
        _ => false,
    }
}

fn check_node(schema: &Value, place: &Place<'_>) -> Result<(), Refusal> {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(_) => return Ok(()),
        other => {
            return Err(wrong(other, "struct JsonSchema", place, "write a schema"));
        }
    };
    for (keyword, value) in members {
        if value.is_null() {
            continue;
        }
        let here = place.join(Segment::Name(keyword));
        match keyword.as_str() {
            "type" if is_composed(members) => check_type(value, &here)?,
            "$ref" if !value.is_string() => {
                return Err(wrong(value, "a string", &here, "write a reference"));
            }
            "minItems" if !value.is_u64() => {
                return Err(wrong(value, "usize", &here, "write a number"));
            }
            "encrypted" if !value.is_boolean() => {
                return Err(wrong(value, "a boolean", &here, "write `true` or `false`"));
            }
            "description" if !value.is_string() => {
                return Err(wrong(value, "a string", &here, "write text"));
            }
            "enum" if !value.is_array() => {
                return Err(wrong(value, "a sequence", &here, "list the values"));
            }
            "required" => check_required(value, &here)?,
            "properties" => {
                let Value::Object(properties) = value else {
                    return Err(wrong(value, "a map", &here, "map names to schemas"));
                };
                check_members(properties, &here)?;
            }
            "$defs" | "definitions" => {
                if let Value::Object(definitions) = value {
                    check_members(definitions, &here)?;
                }
            }
            "items" => {
                if value.is_array() {
                    let remedy = "give one schema for all items, `anyOf` where they differ";
                    return Err(wrong(value, "struct JsonSchema", &here, remedy));
                }
                check_node(value, &here)?;
            }
            "additionalProperties" => check_node(value, &here)?,
            "anyOf" | "oneOf" | "allOf" => {
                let Value::Array(branches) = value else {
                    return Err(wrong(value, "a sequence", &here, "list the schemas"));
                };
                for (index, branch) in branches.iter().enumerate() {
                    check_node(branch, &here.join(Segment::Index(index)))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a schema is made of others. Only there codex reads the type as it is written.
fn is_composed(members: &Object) -> bool {
    ["$ref", "allOf", "anyOf", "oneOf"]
        .iter()
        .any(|keyword| members.get(*keyword).is_some_and(|value| !value.is_null()))
}

/// Codex drops unknown names from a list of types, as long as one is left.
fn check_type(value: &Value, place: &Place<'_>) -> Result<(), Refusal> {
    let is_known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    let known = match value {
        Value::Array(names) => names.is_empty() || names.iter().any(is_known),
        name => is_known(name),
    };
    if known {
        return Ok(());
    }
    Err(Refusal {
        path: place.path(),
        reason: "data did not match any variant of untagged enum JsonSchemaType".to_owned(),
        remedy: "name a type of JSON Schema",
    })
}

fn check_members(members: &Object, place: &Place<'_>) -> Result<(), Refusal> {
    members
        .iter()
        .try_for_each(|(name, schema)| check_node(schema, &place.join(Segment::Name(name))))
}

fn check_required(value: &Value, place: &Place<'_>) -> Result<(), Refusal> {
    let remedy = "list the names of the properties that must be there";
    let Value::Array(names) = value else {
        return Err(wrong(value, "a sequence", place, remedy));
    };
    match names.iter().find(|name| !name.is_string()) {
        Some(other) => Err(wrong(other, "a string", place, remedy)),
        None => Ok(()),
    }
}

fn wrong(value: &Value, expected: &str, place: &Place<'_>, remedy: &'static str) -> Refusal {
    Refusal {
        path: place.path(),
        reason: format!("invalid type: {}, expected {expected}", kind_of(value)),
        remedy,
    }
}

/// A value as serde names it in its errors.
pub(crate) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("boolean `{value}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(text) => format!("string {:?}", text.chars().take(64).collect::<String>()),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_codex_rejects_is_found_and_placed() {
        for (schema, path, reason) in [
            (json!({"type": "null"}), "the root", "singleton null type"),
            (json!({"type": ["null"]}), "the root", "singleton null type"),
            (json!(null), "the root", "invalid type: null"),
            (json!([]), "the root", "invalid type: sequence"),
            (json!(5), "the root", "invalid type: integer `5`"),
            (json!(1.5), "the root", "invalid type: floating point `1.5`"),
            (json!("x"), "the root", "invalid type: string \"x\""),
            (
                json!({"required": "a"}),
                "`required`",
                "expected a sequence",
            ),
            (json!({"required": [1]}), "`required`", "expected a string"),
            (json!({"properties": []}), "`properties`", "expected a map"),
            (
                json!({"properties": {"a": 1}}),
                "`properties.a`",
                "expected struct JsonSchema",
            ),
            (
                json!({"description": 1}),
                "`description`",
                "expected a string",
            ),
            (json!({"$ref": 1}), "`$ref`", "expected a string"),
            (json!({"minItems": -1}), "`minItems`", "expected usize"),
            (json!({"minItems": 1.0}), "`minItems`", "expected usize"),
            (
                json!({"encrypted": "true"}),
                "`encrypted`",
                "expected a boolean",
            ),
            (
                json!({"type": "odd", "anyOf": [{}]}),
                "`type`",
                "enum JsonSchemaType",
            ),
            (
                json!({"type": ["odd"], "$ref": "#"}),
                "`type`",
                "enum JsonSchemaType",
            ),
            (json!({"enum": "a"}), "`enum`", "expected a sequence"),
            (json!({"items": [{}]}), "`items`", "invalid type: sequence"),
            (json!({"anyOf": {}}), "`anyOf`", "expected a sequence"),
            (
                json!({"oneOf": [{"enum": 1}]}),
                "`oneOf.0.enum`",
                "expected a sequence",
            ),
            (
                json!({"$defs": {"X": {"items": []}}}),
                "`$defs.X.items`",
                "sequence",
            ),
            (
                json!({"additionalProperties": {"description": true}}),
                "`additionalProperties.description`",
                "invalid type: boolean `true`",
            ),
        ] {
            let refusal = check(&schema).err();
            let found = refusal.as_ref().map(|refusal| refusal.path.to_string());
            assert_eq!(found.as_deref(), Some(path), "{schema}");
            let said = refusal.map(|refusal| refusal.reason).unwrap_or_default();
            assert!(said.contains(reason), "{schema}: {said}");
        }
    }

    #[test]
    fn what_codex_rewrites_passes() {
        for schema in [
            json!(true),
            json!(false),
            json!({}),
            json!({"type": "string"}),
            json!({"type": "nonsense"}),
            json!({"type": ["object", "null"]}),
            json!({"type": ["nonsense", "string"], "anyOf": [{}]}),
            json!({"type": [], "allOf": [{}]}),
            json!({"minItems": 0, "encrypted": false, "$ref": null}),
            json!({"anyOf": [{"type": "null"}, true]}),
            json!({"properties": {"a": true, "description": {"type": "null"}}}),
            json!({"prefixItems": [{"type": "string"}]}),
            json!({"additionalProperties": false, "required": []}),
            json!({"$ref": "#/nowhere"}),
            json!({"enum": [[1], {"items": []}]}),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let mut schema = json!({});
        for _ in 0..(MAX_DEPTH - 1) {
            schema = json!({ "items": schema });
        }
        assert_eq!(check_depth(&schema), Ok(()));
        for _ in 0..10_000 {
            schema = Value::Array(vec![schema]);
        }
        assert!(check_depth(&schema).is_err());
        // Dropping so deep a value recurses too; that is its owner's affair.
        std::mem::forget(schema);
    }
}
