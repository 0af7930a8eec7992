//! The shape in which codex keeps the meaning of a generated schema (contract §1.4): types written
//! out, few keywords, no indirection, and in words what would be dropped on the way to the model.

use serde_json::{Value, json};

use super::words::{self, Natural};
use super::{Object, accepts_anything, compose, variants};

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the top.
    Root,
    /// Below something.
    Inside,
    /// One part of an object that other schemas describe too: it must stay open to their members.
    Part,
}

/// Shapes the schemas of one skill.
pub(super) struct Shaper {
    /// Whether to say in words what codex drops.
    for_model: bool,
    /// Whether something is demanded that decoding doesn't enforce.
    pub(super) says_more: bool,
    /// Whether there are references to definitions.
    pub(super) refers: bool,
    /// The root's properties without a description.
    pub(super) undocumented: Vec<String>,
}

impl Shaper {
    pub(super) fn for_input() -> Self {
        Self {
            for_model: true,
            says_more: false,
            refers: false,
            undocumented: Vec::new(),
        }
    }

    pub(super) fn for_output() -> Self {
        Self {
            for_model: false,
            ..Self::for_input()
        }
    }

    /// Shapes a schema whose depth was checked.
    pub(super) fn shape(&mut self, schema: Value, place: Place) -> Value {
        match schema {
            Value::Object(members) => Value::Object(self.object(members, place)),
            Value::Bool(false) => json!({"not": {}}),
            _ => json!({}),
        }
    }

    fn object(&mut self, mut schema: Object, place: Place) -> Object {
        if is_plain(&schema) {
            infer_type(&mut schema);
            self.plain_children(&mut schema, place);
            dedupe_required(&mut schema);
            if self.for_model && place != Place::Root {
                keep_description(&mut schema);
            }
            return schema;
        }
        let mut nullable = compose::unwrap(&mut schema);
        nullable |= schema.remove("nullable") == Some(Value::Bool(true));
        drop_noise(&mut schema);
        variants::fold(&mut schema);
        compose::prefer_any_of(&mut schema);
        variants::write_types(&mut schema);
        infer_type(&mut schema);
        let natural = Natural::of(&schema);
        tuple_items(&mut schema);
        words::drop_odd_format(&mut schema);
        self.children(&mut schema, place);
        self.refers |= schema.contains_key("$ref");
        if nullable {
            compose::allow_null(&mut schema);
        }
        dedupe_required(&mut schema);
        self.says_more |= words::say_more(&schema, &natural);
        if self.for_model && place != Place::Root {
            keep_description(&mut schema);
            words::describe(&mut schema, &natural);
        }
        schema
    }

    fn plain_children(&mut self, schema: &mut Object, place: Place) {
        let (is_object, is_array) = kinds(schema);
        if is_object {
            self.members(schema, place, place == Place::Part);
        }
        if is_array {
            self.items(schema);
        }
    }

    fn children(&mut self, schema: &mut Object, place: Place) {
        let (is_object, is_array) = kinds(schema);
        let composed = ["anyOf", "oneOf", "allOf", "$ref"]
            .iter()
            .any(|keyword| schema.contains_key(*keyword));
        let shared = place == Place::Part || (composed && schema.contains_key("properties"));
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let place = if shared || keyword == "allOf" {
                Place::Part
            } else {
                Place::Inside
            };
            if let Some(Value::Array(branches)) = schema.get_mut(keyword) {
                for branch in branches.iter_mut() {
                    *branch = self.shape(branch.take(), place);
                }
                variants::dedupe(branches);
            }
        }
        if is_object {
            self.members(schema, place, composed || shared);
        }
        if is_array {
            self.items(schema);
        }
    }

    fn items(&mut self, schema: &mut Object) {
        match schema.get_mut("items") {
            Some(items) => *items = self.shape(items.take(), Place::Inside),
            None => drop(schema.insert("items".to_owned(), json!({}))),
        }
    }

    fn members(&mut self, schema: &mut Object, place: Place, stays_open: bool) {
        compose::pattern_properties(schema);
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, property) in properties.iter_mut() {
                if place == Place::Root && !variants::is_documented(property) {
                    self.undocumented.push(name.clone());
                }
                *property = self.shape(property.take(), Place::Inside);
            }
            if !stays_open
                && !schema.contains_key("unevaluatedProperties")
                && !schema.contains_key("additionalProperties")
            {
                schema.insert("additionalProperties".to_owned(), Value::Bool(false));
                // The type itself ignores members that it doesn't know, so that a misspelt one would
                // be lost. At the root that depends on who decodes.
                self.says_more |= place != Place::Root;
            }
        }
        if let Some(others) = schema.get_mut("additionalProperties")
            && others.is_object()
        {
            *others = if accepts_anything(others) {
                Value::Bool(true)
            } else {
                self.shape(others.take(), Place::Inside)
            };
        }
    }
}

/// Whether there is nothing to rewrite, and nothing to say in words, but what concerns members and items. Most
/// schemas are so, and need no look at each keyword.
fn is_plain(schema: &Object) -> bool {
    schema
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "type" | "description" | "properties" | "required" | "additionalProperties" => true,
            "items" => !value.is_array(),
            _ => false,
        })
}

/// Whether objects are accepted, and arrays.
fn kinds(schema: &Object) -> (bool, bool) {
    match schema.get("type") {
        Some(Value::String(name)) => (name == "object", name == "array"),
        Some(Value::Array(names)) => (
            names.iter().any(|name| name == "object"),
            names.iter().any(|name| name == "array"),
        ),
        _ => (false, false),
    }
}

/// Removes what tells the model nothing: the names of types, and `null` for what may be absent.
fn drop_noise(schema: &mut Object) {
    schema.remove("$schema");
    schema.remove("title");
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// Writes the type where the keywords leave no doubt.
fn infer_type(schema: &mut Object) {
    let says = |keyword: &str| schema.contains_key(keyword);
    if says("type") || says("anyOf") || says("oneOf") || says("allOf") || says("$ref") {
        return;
    }
    let name = if says("properties") || says("additionalProperties") || says("required") {
        "object"
    } else if says("items") || says("prefixItems") {
        "array"
    } else {
        return;
    };
    schema.insert("type".to_owned(), name.into());
}

/// Codex turns `prefixItems` into string items and refuses a list of items, so that a tuple becomes
/// an array of any of its items. Decoding knows their order.
fn tuple_items(schema: &mut Object) {
    if !compose::has_type(schema, "array") {
        return;
    }
    let listed = match schema.remove("prefixItems") {
        Some(Value::Array(items)) => items,
        _ => match schema.get_mut("items") {
            Some(Value::Array(items)) => std::mem::take(items),
            _ => return,
        },
    };
    let mut kinds = listed;
    variants::dedupe(&mut kinds);
    let items = match kinds.len() {
        0 => json!({}),
        1 => kinds.swap_remove(0),
        _ if kinds.iter().any(accepts_anything) => json!({}),
        _ => json!({ "anyOf": kinds }),
    };
    schema.insert("items".to_owned(), items);
}

fn dedupe_required(schema: &mut Object) {
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        variants::dedupe(names);
        if names.is_empty() {
            schema.remove("required");
        }
    }
}

/// Codex drops the description of a schema that says nothing else, so all the types are listed.
fn keep_description(schema: &mut Object) {
    let says_only_words = schema.contains_key("description")
        && schema.keys().all(|keyword| words::is_annotation(keyword));
    if says_only_words {
        let types = ["string", "number", "boolean", "object", "array", "null"];
        schema.insert("type".to_owned(), json!(types));
        schema.insert("items".to_owned(), json!({}));
    }
}
