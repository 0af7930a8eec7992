//! Enumerations: one flat list of values with its type, the documentation of each value folded into
//! the description, since codex keeps no text beside a single value.

use serde_json::{Value, json};

use super::{Object, words};

/// Gathers the branches that are single values into one enumeration.
pub(super) fn fold(schema: &mut Object) {
    for keyword in ["oneOf", "anyOf"] {
        let Some(Value::Array(branches)) = schema.get_mut(keyword) else {
            continue;
        };
        if branches.iter().filter(|branch| is_values(branch)).count() == 0 {
            continue;
        }
        let (values, mut others): (Vec<Value>, Vec<Value>) =
            std::mem::take(branches).into_iter().partition(is_values);
        let list = gather(&values);
        if others.is_empty() {
            schema.remove(keyword);
            let description = schema.remove("description");
            let own = description.as_ref().and_then(Value::as_str);
            if let Some(text) = list.described(own) {
                schema.insert("description".to_owned(), text.into());
            }
            // A type beside the composition can only repeat what the values are.
            schema.remove("type");
            schema.insert("enum".to_owned(), list.values.into());
        } else {
            let mut branch = Object::new();
            if let Some(text) = list.described(None) {
                branch.insert("description".to_owned(), text.into());
            }
            branch.insert("enum".to_owned(), list.values.into());
            others.insert(0, branch.into());
            schema.insert(keyword.to_owned(), others.into());
        }
    }
}

fn is_values(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| {
        (schema.contains_key("const") || schema.get("enum").is_some_and(Value::is_array))
            && schema.keys().all(|key| {
                matches!(key.as_str(), "const" | "enum" | "type") || words::is_annotation(key)
            })
    })
}

struct List {
    values: Vec<Value>,
    docs: Vec<String>,
}

impl List {
    /// `Type. `a`: text; `b`: text.`
    fn described(&self, own: Option<&str>) -> Option<String> {
        let own = own.map(str::trim).filter(|own| !own.is_empty());
        if self.docs.is_empty() {
            return own.map(str::to_owned);
        }
        let docs = self.docs.join("; ");
        Some(match own {
            Some(own) if own.ends_with(['.', '!', '?', ':']) => format!("{own} {docs}."),
            Some(own) => format!("{own}. {docs}."),
            None => format!("{docs}."),
        })
    }
}

fn gather(branches: &[Value]) -> List {
    let mut list = List {
        values: Vec::new(),
        docs: Vec::new(),
    };
    for branch in branches {
        let mut values = match (branch.get("const"), branch.get("enum")) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            (None, _) => Vec::new(),
        };
        if let (Some(text), [value]) = (summary(branch), values.as_slice()) {
            let name = match value {
                Value::String(name) => name.clone(),
                other => other.to_string(),
            };
            list.docs.push(format!("`{name}`: {text}"));
        }
        list.values.append(&mut values);
    }
    dedupe(&mut list.values);
    list
}

/// The first paragraph of a description as one line without its full stop.
fn summary(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?.trim();
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.strip_suffix('.').unwrap_or(&line);
    (!line.is_empty()).then(|| line.to_owned())
}

/// Turns `const` into `enum`, and writes the type of the values: codex takes them for strings.
pub(super) fn write_types(schema: &mut Object) {
    if let Some(value) = schema.remove("const") {
        schema.insert("enum".to_owned(), Value::Array(vec![value]));
    }
    if schema.contains_key("type") {
        return;
    }
    let Some(Value::Array(values)) = schema.get("enum") else {
        return;
    };
    let mut types: Vec<&str> = Vec::new();
    for value in values {
        let name = type_of(value);
        if !types.contains(&name) {
            types.push(name);
        }
    }
    let types = match types.as_slice() {
        [] => return,
        [only] => json!(only),
        _ => json!(types),
    };
    schema.insert("type".to_owned(), types);
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Removes repetitions, keeping the first.
pub(super) fn dedupe(values: &mut Vec<Value>) {
    let mut at = 0;
    while at < values.len() {
        let (before, rest) = values.split_at(at);
        match rest.first() {
            Some(value) if before.contains(value) => {
                values.remove(at);
            }
            _ => at += 1,
        }
    }
}

/// What a schema says of itself.
pub(super) fn description(schema: &Object) -> Option<&str> {
    schema.get("description").and_then(Value::as_str)
}

/// The names of the members that a schema demands.
pub(super) fn required(schema: &Object) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a schema has a description, at its root or (`Option`) in a branch.
pub(super) fn is_documented(schema: &Value) -> bool {
    let described = |schema: &Value| {
        let description = schema.as_object().and_then(description);
        description.is_some_and(|text| !text.trim().is_empty())
    };
    described(schema)
        || ["anyOf", "oneOf", "allOf"].iter().any(|keyword| {
            schema
                .get(keyword)
                .and_then(Value::as_array)
                .is_some_and(|branches| branches.iter().any(described))
        })
}
