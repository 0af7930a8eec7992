//! Definitions written where they are referred to, so that each place has the documentation of its type beside its own.
//! Only recursion is left to references.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Object, words};

/// Largest number of schemas that one type may become: what is larger keeps its references.
const MOST: usize = 20_000;

/// Keywords whose values are data and not schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// Replaces references by the definitions that they lead to.
pub(super) struct Inliner<'a> {
    definitions: &'a Object,
    /// The definitions that are being written.
    open: Vec<&'a str>,
    written: usize,
    /// The definitions that references still lead to.
    pub(super) left: BTreeSet<&'a str>,
}

impl<'a> Inliner<'a> {
    pub(super) fn new(definitions: &'a Object) -> Self {
        Self {
            definitions,
            open: Vec::new(),
            written: 0,
            left: BTreeSet::new(),
        }
    }

    /// A definition, whose references to itself stay.
    pub(super) fn described(&mut self, name: &'a str) -> Value {
        let mut schema = self.definitions.get(name).cloned().unwrap_or_default();
        self.open.push(name);
        self.inline(&mut schema);
        self.open.pop();
        schema
    }

    /// The same without what it says of itself.
    pub(super) fn definition(&mut self, name: &'a str) -> Value {
        let mut schema = self.described(name);
        // What it says of itself is said wherever it is referred to.
        if let Value::Object(schema) = &mut schema {
            schema.remove("description");
        }
        schema
    }

    /// Replaces the references in a schema.
    pub(super) fn inline(&mut self, schema: &mut Value) {
        match schema {
            Value::Array(schemas) => schemas.iter_mut().for_each(|schema| self.inline(schema)),
            Value::Object(members) => {
                for (keyword, value) in members.iter_mut() {
                    if keyword == "$ref" || DATA.contains(&keyword.as_str()) {
                        continue;
                    }
                    // Names of members may be those of keywords.
                    if let ("properties" | "patternProperties", Value::Object(schemas)) =
                        (keyword.as_str(), &mut *value)
                    {
                        schemas.values_mut().for_each(|schema| self.inline(schema));
                    } else if value.is_object() || value.is_array() {
                        self.inline(value);
                    }
                }
                self.resolve(members);
            }
            _ => {}
        }
    }

    fn resolve(&mut self, members: &mut Object) {
        let Some((name, definition)) = members
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.target(reference))
        else {
            return;
        };
        if self.open.contains(&name) || self.written >= MOST {
            self.left.insert(name);
            if let Some(Value::String(text)) = definition.get("description") {
                let own = members.get("description").and_then(Value::as_str);
                let text = words::join(own.unwrap_or_default(), text);
                members.insert("description".to_owned(), text.into());
            }
            return;
        }
        self.written += 1;
        let mut target = definition.clone();
        self.open.push(name);
        self.inline(&mut target);
        self.open.pop();
        members.remove("$ref");
        match target {
            Value::Object(target) => merge(members, target),
            Value::Bool(false) => {
                members.insert("not".to_owned(), Value::Object(Object::new()));
            }
            _ => {}
        }
    }

    fn target(&self, reference: &str) -> Option<(&'a str, &'a Value)> {
        let name = reference.strip_prefix("#/$defs/")?;
        let definitions = self.definitions;
        let (name, schema) = match definitions.get_key_value(name) {
            Some(found) => found,
            None => definitions.get_key_value(&decoded(name))?,
        };
        Some((name, schema))
    }
}

/// A name as it was before it became part of a URI fragment.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let name = String::from_utf8_lossy(&bytes);
    name.replace("~1", "/").replace("~0", "~")
}

/// Adds a type to what a place says of it: the place wins, but both describe it, and members of both are its members.
fn merge(members: &mut Object, target: Object) {
    for (keyword, value) in target {
        match (members.get_mut(&keyword), value) {
            (None, value) => {
                members.insert(keyword, value);
            }
            (Some(Value::String(own)), Value::String(text)) if keyword == "description" => {
                *own = words::join(own, &text);
            }
            (Some(Value::Object(own)), Value::Object(others)) if keyword == "properties" => {
                for (name, schema) in others {
                    own.entry(name).or_insert(schema);
                }
            }
            (Some(Value::Array(own)), Value::Array(others)) if keyword == "required" => {
                for name in others {
                    if !own.contains(&name) {
                        own.push(name);
                    }
                }
            }
            _ => {}
        }
    }
}
