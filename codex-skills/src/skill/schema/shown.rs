//! What codex makes of an input schema before the model sees it (contract §1.4): keywords are dropped or rewritten, and
//! what is larger than its budget is compacted in passes until it fits. Compared with the real program by the tests of
//! conformance.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::refused::{Path, TYPES};
use super::{COMPACT_LIMIT, Object, raw};

/// Level below the root from which on compaction replaces schemas that consist of others.
const DEPTH: usize = 3;

/// Most places that a warning names.
const PLACES: usize = 3;

/// How many schemas are counted at most, to tell which form shows more.
const COUNTED: u32 = 20_000;

const COMPOSITIONS: [&str; 3] = ["anyOf", "oneOf", "allOf"];
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// A schema as the model is shown it, and what it lost on the way because of its size.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) schema: Value,
    losses: Losses,
}

/// What compaction took away.
#[derive(Debug, Default)]
struct Losses {
    /// Bytes before compaction.
    bytes: usize,
    passes: usize,
    descriptions: usize,
    definitions: Vec<Path>,
    deep: Vec<Path>,
    choices: Vec<Path>,
}

impl Shown {
    /// Shows a schema whose depth was checked.
    pub(crate) fn new(schema: &Value) -> Self {
        let mut schema = sanitized(schema);
        prune(&mut schema);
        let mut losses = Losses {
            bytes: length(&schema),
            ..Losses::default()
        };
        let passes: [fn(&mut Value, &mut Losses); 4] = [
            |schema, losses| strip_descriptions(schema, &mut losses.descriptions),
            |schema, losses| {
                drop_definitions(schema, &Path::default(), &mut losses.definitions);
                if let Value::Object(root) = schema {
                    root.retain(|keyword, _| !DEFINITIONS.contains(&keyword.as_str()));
                }
            },
            |schema, losses| collapse(schema, 0, &Path::default(), &mut losses.deep),
            |schema, losses| drop_choices(schema, &Path::default(), &mut losses.choices),
        ];
        for pass in passes {
            if length(&schema) <= COMPACT_LIMIT {
                break;
            }
            losses.passes += 1;
            pass(&mut schema, &mut losses);
        }
        Self { schema, losses }
    }

    /// Bytes of the schema as codex counts them, before it leaves anything out for its size.
    pub(crate) fn bytes(&self) -> usize {
        self.losses.bytes
    }

    /// How many members and how many descriptions the model reads, those of definitions as often as they are referred
    /// to: the more the better.
    pub(super) fn worth(&self) -> (u64, u64) {
        let definitions = |reference: &str| {
            let pointer = reference.strip_prefix('#')?;
            self.schema.pointer(pointer)
        };
        let mut left = COUNTED;
        worth(&self.schema, &definitions, &mut Vec::new(), &mut left)
    }

    /// What its size costs, in one line.
    pub(super) fn warning(&self) -> Option<String> {
        let Losses {
            bytes,
            passes,
            descriptions,
            definitions,
            deep,
            choices,
        } = &self.losses;
        if *passes == 0 {
            return None;
        }
        let mut lost = Vec::new();
        if *descriptions > 0 {
            lost.push(format!(
                "strips the descriptions inside it ({descriptions} of them)"
            ));
        }
        if !definitions.is_empty() {
            let places = listed(definitions);
            lost.push(format!(
                "drops its definitions, so that {places} may be anything"
            ));
        }
        if !deep.is_empty() {
            let places = listed(deep);
            lost.push(format!("shows nothing of what {places} may be"));
        }
        if !choices.is_empty() {
            let places = listed(choices);
            lost.push(format!("drops the forms of {places}"));
        }
        let lost = if lost.is_empty() {
            "finds nothing to leave out".to_owned()
        } else {
            lost.join(", and ")
        };
        Some(format!(
            "the input schema takes {bytes} bytes: above {COMPACT_LIMIT} codex {lost}; shorten the descriptions, take \
             fewer arguments, or make two skills of it"
        ))
    }
}

fn listed(places: &[Path]) -> String {
    let shown: Vec<String> = places.iter().take(PLACES).map(Path::to_string).collect();
    let shown = shown.join(", ");
    match places.len().checked_sub(PLACES) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

fn length(schema: &Value) -> usize {
    raw(schema).get().len()
}

/// The keywords that codex keeps, as it writes them.
fn sanitized(schema: &Value) -> Value {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(_) => return json!({"type": "string"}),
        _ => return json!({}),
    };
    let mut kept = Object::new();
    for (keyword, value) in members {
        if let Some(value) = kept_value(keyword, value) {
            kept.insert(keyword.clone(), value);
        }
    }
    if let Some(value) = members.get("const") {
        kept.insert("enum".to_owned(), json!([value]));
    }
    let is_composed = COMPOSITIONS
        .iter()
        .chain(&["$ref"])
        .any(|keyword| kept.contains_key(*keyword));
    if !kept.contains_key("type") {
        if is_composed {
            return kept.into();
        }
        let Some(name) = inferred(members) else {
            return json!({});
        };
        kept.insert("type".to_owned(), name.into());
    }
    let has_type = |name: &str| match kept.get("type") {
        Some(Value::String(own)) => own == name,
        Some(Value::Array(names)) => names.iter().any(|own| own == name),
        _ => false,
    };
    let (is_object, is_array) = (has_type("object"), has_type("array"));
    if is_object && !kept.contains_key("properties") {
        kept.insert("properties".to_owned(), json!({}));
    }
    if is_array && !kept.contains_key("items") {
        kept.insert("items".to_owned(), json!({"type": "string"}));
    }
    kept.into()
}

fn kept_value(keyword: &str, value: &Value) -> Option<Value> {
    match (keyword, value) {
        (_, Value::Null) => None,
        ("type", Value::String(name)) => {
            TYPES.contains(&name.as_str()).then(|| name.as_str().into())
        }
        ("type", Value::Array(names)) => {
            let known = names.iter().filter_map(Value::as_str);
            let known: Vec<&str> = known.filter(|name| TYPES.contains(name)).collect();
            match known.as_slice() {
                [] => None,
                [only] => Some((*only).into()),
                _ => Some(json!(known)),
            }
        }
        ("description" | "enum" | "required" | "$ref" | "minItems" | "encrypted", value) => {
            Some(value.clone())
        }
        ("items", value) => Some(sanitized(value)),
        ("additionalProperties", Value::Bool(others)) => Some((*others).into()),
        ("additionalProperties", value) => Some(sanitized(value)),
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
            let schemas: Object = schemas
                .iter()
                .map(|(name, schema)| (name.clone(), sanitized(schema)))
                .collect();
            Some(schemas.into())
        }
        ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
            Some(schemas.iter().map(sanitized).collect())
        }
        _ => None,
    }
}

/// The type that codex takes a schema without one to have.
fn inferred(members: &Object) -> Option<&'static str> {
    let has = |keywords: &[&str]| {
        keywords
            .iter()
            .any(|keyword| members.contains_key(*keyword))
    };
    if has(&["properties", "required", "additionalProperties"]) {
        Some("object")
    } else if has(&["items", "prefixItems"]) {
        Some("array")
    } else if has(&["enum", "const", "format"]) {
        Some("string")
    } else if has(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        Some("number")
    } else {
        None
    }
}

/// Calls a function with each schema right below one, and its place.
fn each_child(
    schema: &mut Object,
    path: &Path,
    with_definitions: bool,
    visit: &mut dyn FnMut(&mut Value, &Path),
) {
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    visit(schema, &path.join(name));
                }
            }
            ("$defs" | "definitions", Value::Object(schemas)) if with_definitions => {
                for (name, schema) in schemas {
                    visit(schema, &path.join(name));
                }
            }
            ("items", value @ Value::Object(_)) => visit(value, &path.join("items")),
            ("additionalProperties", value @ Value::Object(_)) => {
                visit(value, &path.join("additionalProperties"));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for (index, schema) in schemas.iter_mut().enumerate() {
                    visit(schema, &path.join(keyword).join(&index.to_string()));
                }
            }
            _ => {}
        }
    }
}

fn strip_descriptions(schema: &mut Value, lost: &mut usize) {
    if let Value::Object(members) = schema {
        *lost += usize::from(members.remove("description").is_some());
        each_child(members, &Path::default(), true, &mut |child, _| {
            strip_descriptions(child, lost);
        });
    }
}

fn drop_definitions(schema: &mut Value, path: &Path, lost: &mut Vec<Path>) {
    let Value::Object(members) = schema else {
        return;
    };
    let reference = members.get("$ref").and_then(Value::as_str);
    if reference.is_some_and(|reference| definition(reference).is_some()) {
        lost.push(path.clone());
        *schema = json!({});
        return;
    }
    each_child(members, path, false, &mut |child, path| {
        drop_definitions(child, path, lost);
    });
}

fn collapse(schema: &mut Value, depth: usize, path: &Path, lost: &mut Vec<Path>) {
    const COMPLEX: [&str; 7] = [
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "items",
        "oneOf",
        "properties",
    ];
    let Value::Object(members) = schema else {
        return;
    };
    if depth >= DEPTH && COMPLEX.iter().any(|keyword| members.contains_key(*keyword)) {
        lost.push(path.clone());
        *schema = json!({});
        return;
    }
    each_child(members, path, false, &mut |child, path| {
        collapse(child, depth + 1, path, lost);
    });
}

fn drop_choices(schema: &mut Value, path: &Path, lost: &mut Vec<Path>) {
    let Value::Object(members) = schema else {
        return;
    };
    if COMPOSITIONS
        .iter()
        .any(|keyword| members.contains_key(*keyword))
    {
        lost.push(path.clone());
        *schema = json!({});
        return;
    }
    each_child(members, path, false, &mut |child, path| {
        drop_choices(child, path, lost);
    });
}

/// The table and the name of a definition that a reference leads to or into.
fn definition(reference: &str) -> Option<(&'static str, String)> {
    let pointer = reference.strip_prefix("#/")?;
    let (table, rest) = pointer.split_once('/')?;
    let table = DEFINITIONS.into_iter().find(|known| *known == table)?;
    let name = rest.split('/').next().unwrap_or(rest);
    (!name.is_empty()).then(|| (table, name.replace("~1", "/").replace("~0", "~")))
}

/// Removes definitions that nothing refers to.
fn prune(schema: &mut Value) {
    let mut reached = BTreeSet::new();
    reach(schema, schema, true, &mut reached);
    let Value::Object(root) = schema else {
        return;
    };
    for table in DEFINITIONS {
        if let Some(Value::Object(definitions)) = root.get_mut(table) {
            definitions.retain(|name, _| reached.contains(&(table, name.clone())));
            if definitions.is_empty() {
                root.remove(table);
            }
        }
    }
}

fn reach(
    schema: &Value,
    root: &Value,
    is_root: bool,
    reached: &mut BTreeSet<(&'static str, String)>,
) {
    let Value::Object(members) = schema else {
        return;
    };
    let reference = members.get("$ref").and_then(Value::as_str);
    if let Some((table, name)) = reference.and_then(definition)
        && let Some(target) = root.get(table).and_then(|table| table.get(&name))
        && reached.insert((table, name))
    {
        reach(target, root, false, reached);
    }
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("$defs" | "definitions", _) if is_root => {}
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                for schema in schemas.values() {
                    reach(schema, root, false, reached);
                }
            }
            ("items" | "additionalProperties", schema) => reach(schema, root, false, reached),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    reach(schema, root, false, reached);
                }
            }
            _ => {}
        }
    }
}

/// The definitions of a schema that nothing refers to.
pub(super) fn unreachable(schema: &Value) -> impl Fn(&str, &str) -> bool {
    let mut reached = BTreeSet::new();
    reach(schema, schema, true, &mut reached);
    move |table: &str, name: &str| {
        !reached
            .iter()
            .any(|(known, reached)| *known == table && reached == name)
    }
}

fn worth<'a>(
    schema: &'a Value,
    definitions: &impl Fn(&'a str) -> Option<&'a Value>,
    open: &mut Vec<&'a str>,
    left: &mut u32,
) -> (u64, u64) {
    /// Beyond so many references within each other nothing is counted.
    const OPEN: usize = 16;
    let mut sum = (0_u64, 0_u64);
    let mut add = |(members, descriptions): (u64, u64)| {
        sum.0 = sum.0.saturating_add(members);
        sum.1 = sum.1.saturating_add(descriptions);
    };
    let Value::Object(members) = schema else {
        return sum;
    };
    // Definitions that refer to each other are reached on more ways than can be gone.
    let Some(rest) = left.checked_sub(1) else {
        return sum;
    };
    *left = rest;
    add((0, u64::from(members.contains_key("description"))));
    if let Some(reference) = members.get("$ref").and_then(Value::as_str)
        && !open.contains(&reference)
        && open.len() < OPEN
        && let Some(target) = definitions(reference)
    {
        open.push(reference);
        add(worth(target, definitions, open, left));
        open.pop();
    }
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(schemas)) => {
                for schema in schemas.values() {
                    add((1, 0));
                    add(worth(schema, definitions, open, left));
                }
            }
            ("items" | "additionalProperties", schema) => {
                add(worth(schema, definitions, open, left));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    add((1, 0));
                    add(worth(schema, definitions, open, left));
                }
            }
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_that_all_refer_to_each_other_are_counted_up_to_a_limit() {
        let names: Vec<String> = (0..14).map(|at| format!("D{at}")).collect();
        let members: Object = names
            .iter()
            .map(|name| (name.clone(), json!({"$ref": format!("#/$defs/{name}")})))
            .collect();
        let definitions: Object = names
            .iter()
            .map(|name| {
                (
                    name.clone(),
                    json!({"type": "object", "properties": members}),
                )
            })
            .collect();
        let schema = json!({"type": "object", "properties": members, "$defs": definitions});
        let shown = Shown {
            schema,
            losses: Losses::default(),
        };
        let (members, _) = shown.worth();
        assert!(members > 1000, "{members}");
        assert!(members <= 20 * u64::from(COUNTED), "{members}");
    }
}
