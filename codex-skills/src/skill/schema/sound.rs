//! Whether a written schema is a schema: judged here, in our sentences, and so alike with every feature. What codex
//! refuses besides is the affair of `refused`.

use serde_json::Value;

use super::refused::{Path, TYPES};
use super::{Object, pattern};

/// Most of a word of the schema that a message repeats.
const SHOWN: usize = 64;

/// Checks a schema whose depth was checked.
///
/// # Errors
/// With the first thing that is wrong, where it is, and what to write.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    Check { root: schema }.node(schema, &Path::default(), false)
}

struct Check<'a> {
    root: &'a Value,
}

type Checked = Result<(), String>;

fn wrong(path: &Path, what: impl std::fmt::Display) -> Checked {
    Err(format!("its schema is not valid at {path}: {what}"))
}

/// A value of the schema in a message.
fn found(value: &Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        format!("`{shown}…`")
    } else {
        format!("`{shown}`")
    }
}

impl Check<'_> {
    /// Checks a schema, which may be a part of one that other schemas describe too.
    fn node(&self, schema: &Value, path: &Path, is_part: bool) -> Checked {
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(_) => return Ok(()),
            other => {
                return wrong(
                    path,
                    format_args!("{} is no schema: write an object", found(other)),
                );
            }
        };
        for (keyword, value) in members {
            self.keyword(members, keyword, value, &path.join(keyword))?;
        }
        values(members, path)?;
        bounds(members, path)?;
        let is_part = is_part || has_parts(members);
        if !is_part {
            required_are_there(members, path)?;
        }
        Ok(())
    }

    fn keyword(&self, members: &Object, keyword: &str, value: &Value, path: &Path) -> Checked {
        match keyword {
            "const" | "default" => return Ok(()),
            _ if value.is_null() && is_known(keyword) => {
                return wrong(path, "it is `null`: leave it out");
            }
            _ => {}
        }
        match keyword {
            "type" => types(value, path),
            "enum" => match value {
                Value::Array(values) if values.is_empty() => wrong(
                    path,
                    "it lists no values, so that none is right: list some or leave it out",
                ),
                Value::Array(_) => Ok(()),
                _ => wrong(path, "list the values"),
            },
            "required" => names(value, path),
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let Value::Object(schemas) = value else {
                    return wrong(path, "map names to schemas");
                };
                for (name, schema) in schemas {
                    if keyword == "patternProperties" {
                        regex(name, &path.join(name))?;
                    }
                    self.node(schema, &path.join(name), keyword == "dependentSchemas")?;
                }
                Ok(())
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                let Value::Array(schemas) = value else {
                    return wrong(path, "list the schemas");
                };
                if schemas.is_empty() {
                    return wrong(path, "it lists no schemas: list some or leave it out");
                }
                let is_part = keyword != "prefixItems" && is_object_like(members);
                for (index, schema) in schemas.iter().enumerate() {
                    let is_part = is_part || keyword == "allOf";
                    self.node(schema, &path.join(&index.to_string()), is_part)?;
                }
                Ok(())
            }
            "items"
            | "additionalProperties"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => self.node(value, path, false),
            "not" | "if" | "then" | "else" => self.node(value, path, true),
            "minimum" | "maximum" => number(value, path),
            "exclusiveMinimum" | "exclusiveMaximum" => match value {
                Value::Bool(_) => wrong(
                    path,
                    "it is `true` or `false`, as in drafts before 6: write the bound itself",
                ),
                _ => number(value, path),
            },
            "multipleOf" => match value.as_f64() {
                Some(step) if step > 0.0 => Ok(()),
                _ => wrong(path, format_args!("{} is no number above 0", found(value))),
            },
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" | "minContains" | "maxContains" => match value.as_f64() {
                Some(count) if count >= 0.0 && count.fract() == 0.0 => Ok(()),
                _ => wrong(
                    path,
                    format_args!("{} is no whole number from 0 on", found(value)),
                ),
            },
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => match value {
                Value::Bool(_) => Ok(()),
                _ => wrong(
                    path,
                    format_args!("{} is neither `true` nor `false`", found(value)),
                ),
            },
            "pattern" => match value {
                Value::String(pattern) => regex(pattern, path),
                _ => wrong(path, format_args!("{} is no text", found(value))),
            },
            "title" | "description" | "format" | "contentEncoding" | "contentMediaType"
            | "$comment" | "$id" | "$schema" | "$anchor" => match value {
                Value::String(_) => Ok(()),
                _ => wrong(path, format_args!("{} is no text", found(value))),
            },
            "examples" => match value {
                Value::Array(_) => Ok(()),
                _ => wrong(path, "list the examples"),
            },
            "dependentRequired" => match value {
                Value::Object(all) => all
                    .iter()
                    .try_for_each(|(name, needed)| names(needed, &path.join(name))),
                _ => wrong(path, "map names to lists of names"),
            },
            "$ref" => match value {
                Value::String(reference) => self.reference(reference, path),
                _ => wrong(path, format_args!("{} is no text", found(value))),
            },
            _ => Ok(()),
        }
    }

    fn reference(&self, reference: &str, path: &Path) -> Checked {
        let shown: String = reference.chars().take(SHOWN).collect();
        let Some(pointer) = reference.strip_prefix('#') else {
            return wrong(
                path,
                format_args!(
                    "`{shown}` is in another document, which nothing loads: put it under `$defs` and write `#/$defs/..`"
                ),
            );
        };
        let is_there = if pointer.is_empty() || pointer.starts_with('/') {
            let target = self.root.pointer(&unescaped(pointer));
            target.is_some_and(|target| target.is_object() || target.is_boolean())
        } else {
            has_anchor(self.root, pointer)
        };
        if is_there {
            return Ok(());
        }
        wrong(
            path,
            format_args!(
                "`{shown}` leads nowhere: put its target under `$defs` and write `#/$defs/..`"
            ),
        )
    }
}

/// A fragment without its percent signs.
fn unescaped(pointer: &str) -> String {
    let mut parts = pointer.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn has_anchor(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.get("$anchor").is_some_and(|anchor| anchor == name)
                || members.values().any(|value| has_anchor(value, name))
        }
        Value::Array(items) => items.iter().any(|value| has_anchor(value, name)),
        _ => false,
    }
}

/// Whether the values of a keyword are judged here.
fn is_known(keyword: &str) -> bool {
    !keyword.starts_with("x-")
        && (super::words::is_annotation(keyword)
            || matches!(
                keyword,
                "type"
                    | "enum"
                    | "required"
                    | "properties"
                    | "patternProperties"
                    | "$defs"
                    | "definitions"
                    | "dependentSchemas"
                    | "dependentRequired"
                    | "anyOf"
                    | "oneOf"
                    | "allOf"
                    | "prefixItems"
                    | "items"
                    | "additionalProperties"
                    | "contains"
                    | "propertyNames"
                    | "unevaluatedItems"
                    | "unevaluatedProperties"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "minimum"
                    | "maximum"
                    | "exclusiveMinimum"
                    | "exclusiveMaximum"
                    | "multipleOf"
                    | "minLength"
                    | "maxLength"
                    | "minItems"
                    | "maxItems"
                    | "minProperties"
                    | "maxProperties"
                    | "minContains"
                    | "maxContains"
                    | "uniqueItems"
                    | "pattern"
                    | "format"
                    | "contentEncoding"
                    | "contentMediaType"
                    | "$id"
                    | "$schema"
                    | "$anchor"
                    | "$ref"
            ))
}

/// Whether other schemas describe the same value.
fn has_parts(members: &Object) -> bool {
    [
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
        "if",
        "patternProperties",
        "dependentSchemas",
    ]
    .iter()
    .any(|keyword| members.contains_key(*keyword))
}

fn is_object_like(members: &Object) -> bool {
    members.contains_key("properties") || members.get("type").is_some_and(|name| name == "object")
}

/// A type of JSON Schema, or what its author may have meant.
fn types(value: &Value, path: &Path) -> Checked {
    let name = |value: &Value| match value.as_str() {
        Some(name) if TYPES.contains(&name) => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(SHOWN).collect();
            match meant(name) {
                Some(meant) => wrong(
                    path,
                    format_args!("`{shown}` is no type of JSON schema: write \"{meant}\""),
                ),
                None => wrong(
                    path,
                    format_args!(
                        "`{shown}` is no type of JSON schema: write one of \"{}\"",
                        TYPES.join("\", \"")
                    ),
                ),
            }
        }
        None => wrong(
            path,
            format_args!("{} is no type of JSON schema: write its name", found(value)),
        ),
    };
    match value {
        Value::Array(names) if names.is_empty() => {
            wrong(path, "it lists no types: list some or leave it out")
        }
        Value::Array(names) => {
            for (at, one) in names.iter().enumerate() {
                name(one)?;
                if names.iter().take(at).any(|before| before == one) {
                    return wrong(
                        path,
                        format_args!("it lists {} twice: list it once", found(one)),
                    );
                }
            }
            Ok(())
        }
        one => name(one),
    }
}

fn meant(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "object" | "dict" | "dictionary" | "map" | "hash" | "hashmap" | "record" | "struct"
        | "json" => "object",
        "array" | "list" | "tuple" | "set" | "vec" | "sequence" | "seq" => "array",
        "string" | "str" | "text" | "char" | "date" | "datetime" | "date-time" | "uuid" | "uri"
        | "url" | "file" | "enum" => "string",
        "integer" | "int" | "int32" | "int64" | "long" | "short" | "byte" | "u8" | "u16"
        | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "usize" | "bigint" => "integer",
        "number" | "float" | "double" | "decimal" | "real" | "f32" | "f64" | "numeric" => "number",
        "boolean" | "bool" => "boolean",
        "null" | "none" | "nil" | "undefined" | "void" => "null",
        _ => return None,
    })
}

fn names(value: &Value, path: &Path) -> Checked {
    let Value::Array(names) = value else {
        return wrong(path, "list the names of the properties that must be there");
    };
    for (at, name) in names.iter().enumerate() {
        if !name.is_string() {
            return wrong(path, format_args!("{} is no name", found(name)));
        }
        if names.iter().take(at).any(|before| before == name) {
            return wrong(
                path,
                format_args!("it lists {} twice: list it once", found(name)),
            );
        }
    }
    Ok(())
}

fn number(value: &Value, path: &Path) -> Checked {
    if value.is_number() {
        return Ok(());
    }
    wrong(path, format_args!("{} is no number", found(value)))
}

fn regex(text: &str, path: &Path) -> Checked {
    match pattern::check(text) {
        Ok(()) => Ok(()),
        Err(what) => {
            let shown: String = text.chars().take(SHOWN).collect();
            wrong(path, format_args!("the pattern `{shown}` {what}"))
        }
    }
}

/// Refuses values none of which is of the type.
fn values(members: &Object, path: &Path) -> Checked {
    let (keyword, values) = match (members.get("enum"), members.get("const")) {
        (Some(Value::Array(values)), _) => ("enum", values.as_slice()),
        (_, Some(value)) => ("const", std::slice::from_ref(value)),
        _ => return Ok(()),
    };
    let types: Vec<&str> = match members.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if values
        .iter()
        .any(|value| types.iter().any(|name| is_of(value, name)))
    {
        return Ok(());
    }
    let first = values.first().map(found).unwrap_or_default();
    wrong(
        &path.join(keyword),
        format_args!(
            "{first} is not of the type \"{}\": write values of that type, or another type",
            types.join("\" or \"")
        ),
    )
}

/// Whether a value is of a type.
pub(super) fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
        Value::Number(number) => {
            name == "number"
                || (name == "integer" && number.as_f64().is_none_or(|number| number.fract() == 0.0))
        }
    }
}

/// Refuses bounds between which nothing is.
fn bounds(members: &Object, path: &Path) -> Checked {
    for (least, most) in [
        ("minimum", "maximum"),
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
    ] {
        let bound = |keyword: &str| members.get(keyword).and_then(Value::as_f64);
        if let (Some(low), Some(high)) = (bound(least), bound(most))
            && low > high
        {
            return wrong(
                &path.join(least),
                format_args!("`{least}` is above `{most}`, so that no value is right"),
            );
        }
    }
    Ok(())
}

/// Refuses demands of members that no property describes.
fn required_are_there(members: &Object, path: &Path) -> Checked {
    let Some(Value::Array(names)) = members.get("required") else {
        return Ok(());
    };
    let is_open = members
        .get("additionalProperties")
        .is_some_and(|others| others != &Value::Bool(false));
    if is_open && !members.contains_key("properties") {
        return Ok(());
    }
    let properties = members.get("properties").and_then(Value::as_object);
    let missing = names
        .iter()
        .filter_map(Value::as_str)
        .find(|name| properties.is_none_or(|properties| !properties.contains_key(*name)));
    match missing {
        Some(name) => {
            let shown: String = name.chars().take(SHOWN).collect();
            wrong(
                &path.join("required"),
                format_args!(
                    "`{shown}` is no property: describe it under `properties`, or do not require it"
                ),
            )
        }
        None => Ok(()),
    }
}
