//! Schemas that are there several times, written once under `$defs`: smaller, and shown whole where the same without
//! definitions would exceed codex's budget. Only a codex that keeps `$ref` can be given it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Object, raw, variants};

/// A type that may be a definition.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    /// What is said of it wherever it is.
    pub(super) doc: String,
}

/// Least bytes of a schema that is worth a definition.
const LEAST: usize = 80;

/// The same schema with definitions for what repeats; none where nothing does. Names are those of types, by their keys.
/// What is said of a type is said at the first place that has it, where code mode shows it too, and not again beside
/// what other places say of their own.
pub(super) fn shared(
    schema: &Value,
    names: impl FnOnce() -> HashMap<String, Named>,
) -> Option<Value> {
    let Value::Object(root) = schema else {
        return None;
    };
    let mut counted = Counted::default();
    let definitions = match root.get("$defs") {
        Some(Value::Object(definitions)) => definitions.clone(),
        _ => Object::new(),
    };
    for (name, definition) in &definitions {
        // What is equal to a definition is a reference to it.
        counted.times.insert(key(definition), 2);
        counted.children(definition);
        counted.defined.insert(key(definition), name.clone());
    }
    counted.children(schema);
    let Counted { times, defined } = counted;
    let repeated = |key: &String| times.get(key).is_some_and(|times| *times > 1);
    if !times
        .keys()
        .any(|key| repeated(key) && !defined.contains_key(key))
        && defined.is_empty()
    {
        return None;
    }
    let mut writer = Writer {
        times: &times,
        names: names(),
        taken: definitions.keys().cloned().collect(),
        told: BTreeSet::new(),
        defined,
        written: Object::new(),
    };
    for (name, definition) in &definitions {
        let mut definition = definition.clone();
        writer.children(&mut definition, name);
        writer.written.insert(name.clone(), definition);
    }
    let mut value = schema.clone();
    if let Value::Object(root) = &mut value {
        root.remove("$defs");
    }
    writer.children(&mut value, "value");
    if let Value::Object(root) = &mut value
        && !writer.written.is_empty()
    {
        root.insert("$defs".to_owned(), writer.written.into());
    }
    value.sort_all_objects();
    Some(value)
}

/// What makes schemas the same, wherever they stand: all but the description and whether `null` is allowed too.
pub(super) fn key(schema: &Value) -> String {
    let Value::Object(members) = schema else {
        return String::new();
    };
    let mut members = members.clone();
    members.remove("description");
    without_null(&mut members);
    let mut value = Value::Object(members);
    value.sort_all_objects();
    raw(&value).get().to_owned()
}

/// Removes `null` from what a schema accepts besides other values. Says whether it was there.
fn without_null(members: &mut Object) -> bool {
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        let before = branches.len();
        let null = json!({"type": "null"});
        if before > 2 {
            branches.retain(|branch| *branch != null);
        }
        return branches.len() < before;
    }
    let Some(Value::Array(names)) = members.get("type") else {
        return false;
    };
    let others: Vec<Value> = names
        .iter()
        .filter(|name| *name != "null")
        .cloned()
        .collect();
    let ([only], true) = (others.as_slice(), others.len() < names.len()) else {
        return false;
    };
    let only = only.clone();
    members.insert("type".to_owned(), only);
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    true
}

/// Whether a schema may be a definition.
fn may_be_shared(schema: &Value, key: &str) -> bool {
    key.len() >= LEAST
        && schema.as_object().is_some_and(|schema| {
            !schema.contains_key("$ref")
                && !schema.contains_key("default")
                && ["properties", "enum", "anyOf"]
                    .iter()
                    .any(|keyword| schema.contains_key(*keyword))
        })
}

#[derive(Default)]
struct Counted {
    times: BTreeMap<String, usize>,
    /// The definitions that are there already.
    defined: BTreeMap<String, String>,
}

impl Counted {
    fn visit(&mut self, schema: &Value) {
        let key = key(schema);
        if may_be_shared(schema, &key) {
            let times = self.times.entry(key).or_default();
            *times += 1;
            if *times > 1 {
                return;
            }
        }
        self.children(schema);
    }

    fn children(&mut self, schema: &Value) {
        let Value::Object(members) = schema else {
            return;
        };
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(schemas)) => {
                    schemas.values().for_each(|schema| self.visit(schema));
                }
                ("items" | "additionalProperties", schema) => self.visit(schema),
                ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                    schemas.iter().for_each(|schema| self.visit(schema));
                }
                _ => {}
            }
        }
    }
}

struct Writer<'a> {
    times: &'a BTreeMap<String, usize>,
    names: HashMap<String, Named>,
    taken: BTreeSet<String>,
    /// The definitions whose types have been described.
    told: BTreeSet<String>,
    defined: BTreeMap<String, String>,
    written: Object,
}

impl Writer<'_> {
    /// Writes a schema that stands at a member of this name.
    fn visit(&mut self, schema: &mut Value, near: &str) {
        let key = key(schema);
        let is_shared = may_be_shared(schema, &key) && self.times.get(&key) > Some(&1);
        if !is_shared {
            self.children(schema, near);
            return;
        }
        let name = match self.defined.get(&key) {
            Some(name) => name.clone(),
            None => self.define(&key, schema, near),
        };
        let Value::Object(members) = schema else {
            return;
        };
        let reference = json!({"$ref": format!("#/$defs/{}", encoded(&name))});
        let is_nullable = without_null(members);
        let description = variants::description(members).map(|text| self.once(&key, text));
        let mut written = if is_nullable {
            json!({"anyOf": [reference, {"type": "null"}]})
        } else {
            reference
        };
        if let Some(text) = description {
            written["description"] = text.into();
        }
        *schema = written;
    }

    /// A description without what is said of its type, if that is said somewhere already.
    fn once(&mut self, key: &str, text: &str) -> String {
        let Some(doc) = self.names.get(key).map(|named| named.doc.as_str()) else {
            return text.to_owned();
        };
        let Some(own) = text.strip_suffix(doc).filter(|_| !doc.is_empty()) else {
            return text.to_owned();
        };
        let is_first = self.told.insert(key.to_owned());
        let own = own.trim_end();
        // What ends within a sentence has the words of the type for its own.
        if is_first || !own.ends_with(['.', '!', '?', ':', ';', '`']) {
            return text.to_owned();
        }
        own.to_owned()
    }

    fn define(&mut self, key: &str, schema: &Value, near: &str) -> String {
        let wanted = self.names.get(key).map(|named| plain(&named.name));
        let wanted = wanted.unwrap_or_else(|| capitalized(near));
        let name = self.free(wanted);
        self.defined.insert(key.to_owned(), name.clone());
        let mut definition = schema.clone();
        if let Value::Object(members) = &mut definition {
            members.remove("description");
            without_null(members);
        }
        self.children(&mut definition, near);
        self.written.insert(name.clone(), definition);
        name
    }

    /// A name that no other definition has.
    fn free(&mut self, wanted: String) -> String {
        let mut name = wanted.clone();
        let mut number = 2;
        while self.taken.contains(&name) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        self.taken.insert(name.clone());
        name
    }

    fn children(&mut self, schema: &mut Value, near: &str) {
        let Value::Object(members) = schema else {
            return;
        };
        for (keyword, value) in members.iter_mut() {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(schemas)) => {
                    for (name, schema) in schemas.iter_mut() {
                        self.visit(schema, name);
                    }
                }
                ("items" | "additionalProperties", schema) => self.visit(schema, near),
                ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                    schemas
                        .iter_mut()
                        .for_each(|schema| self.visit(schema, near));
                }
                _ => {}
            }
        }
    }
}

/// A name of letters, digits and underscores, so that no reference has to escape it.
fn plain(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    let name: String = name
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    if name.is_empty() {
        "Value".to_owned()
    } else {
        name
    }
}

fn capitalized(name: &str) -> String {
    let name = plain(name);
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// A name as part of a URI fragment.
fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'~' => text.push_str("~0"),
            b'/' => text.push_str("~1"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
