//! The shape in which codex keeps the meaning of a generated schema (contract §1.4): types written
//! out, few keywords, no indirection, and in words what would be dropped on the way to the model.

use serde_json::{Value, json};

use super::words::{self, Natural};
use super::{Object, accepts_anything, compose, lift, variants};

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
    /// Whether something is demanded that neither codex shows nor words say.
    pub(super) leaves_unsaid: bool,
}

impl Shaper {
    pub(super) fn for_input() -> Self {
        Self {
            for_model: true,
            says_more: false,
            refers: false,
            undocumented: Vec::new(),
            leaves_unsaid: false,
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
        let natural = self.body(&mut schema, place);
        // What a root demands besides its members, its names say if it is a map.
        if place != Place::Root || !schema.contains_key("properties") {
            self.say(&mut schema, &natural);
        }
        schema
    }

    /// Shapes all but what is said in words.
    pub(super) fn body(&mut self, schema: &mut Object, place: Place) -> Natural {
        let rewritten = needs_rewriting(schema);
        let mut nullable = false;
        if rewritten {
            nullable = compose::unwrap(schema);
            nullable |= schema.remove("nullable") == Some(Value::Bool(true));
            drop_noise(schema);
            variants::fold(schema);
            compose::prefer_any_of(schema);
            variants::write_types(schema);
        }
        infer_type(schema);
        let demanding = !words::is_plain(schema);
        let natural = if demanding {
            Natural::of(schema)
        } else {
            Natural::default()
        };
        if rewritten {
            self.tuple_items(schema);
        }
        if demanding {
            words::drop_odd_format(schema);
        }
        let composed = rewritten && self.compositions(schema, place);
        self.children(schema, place, composed);
        if rewritten {
            self.refers |= schema.contains_key("$ref");
        }
        if nullable {
            compose::allow_null(schema);
        }
        dedupe_required(schema);
        self.says_more |= demanding && words::say_more(schema, &natural);
        self.leaves_unsaid |= demanding
            && schema
                .iter()
                .any(|(keyword, value)| words::is_unsaid(keyword, value));
        natural
    }

    /// Keeps beside a schema the words for what the model would not be shown.
    pub(super) fn say(&self, schema: &mut Object, natural: &Natural) {
        if self.for_model {
            keep_description(schema);
            let words = words::of(schema, natural);
            schema.remove(words::KEYS);
            if !words.is_empty() {
                schema.insert(words::WORDS.to_owned(), words.into());
            }
        }
    }

    /// Codex turns `prefixItems` into string items and refuses a list of items, so that a tuple becomes
    /// an array of any of its items. Their order is said in words, and decoding knows it.
    fn tuple_items(&mut self, schema: &mut Object) {
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
        if self.for_model && !listed.is_empty() {
            let shaped = listed.iter().cloned();
            let shaped = shaped.map(|item| self.shape(item, Place::Inside)).collect();
            schema.insert(words::ORDER.to_owned(), lift::order(shaped).into());
        }
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

    /// Shapes what a schema is made of besides its members and items, and tells whether there is such.
    fn compositions(&mut self, schema: &mut Object, place: Place) -> bool {
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
        composed
    }

    fn children(&mut self, schema: &mut Object, place: Place, composed: bool) {
        let (is_object, is_array) = match schema.get("type") {
            Some(Value::String(name)) => (name == "object", name == "array"),
            Some(Value::Array(names)) => (
                names.iter().any(|name| name == "object"),
                names.iter().any(|name| name == "array"),
            ),
            _ => (false, false),
        };
        if is_object {
            self.members(schema, place, composed || place == Place::Part);
        }
        if is_array {
            let items = match schema.get_mut("items") {
                Some(items) => items.take(),
                None => Value::Bool(true),
            };
            schema.insert("items".to_owned(), self.shape(items, Place::Inside));
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

/// Whether keywords are to be removed, renamed or merged. Few schemas need it.
fn needs_rewriting(schema: &Object) -> bool {
    schema
        .iter()
        .any(|(keyword, value)| match keyword.as_str() {
            "$schema"
            | "title"
            | "nullable"
            | "$ref"
            | "anyOf"
            | "oneOf"
            | "allOf"
            | "const"
            | "enum"
            | "prefixItems"
            | words::KEYS => true,
            "default" => value.is_null(),
            "items" => value.is_array(),
            "description" => value.as_str().is_some_and(|text| text.trim().is_empty()),
            _ => false,
        })
}

/// Whether a description or a default may change more of the shape than these members and their words.
pub(super) fn depends_on_annotations(schema: &Object) -> bool {
    needs_rewriting(schema) || says_only_words(schema)
}

fn says_only_words(schema: &Object) -> bool {
    schema.keys().all(|keyword| words::is_annotation(keyword))
}

/// Removes what tells the model nothing: the names of types, and `null` for what may be absent.
fn drop_noise(schema: &mut Object) {
    schema.remove("$schema");
    title_into_description(schema);
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

fn dedupe_required(schema: &mut Object) {
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        variants::dedupe(names);
        if names.is_empty() {
            schema.remove("required");
        }
    }
}

/// schemars makes a title of a documentation's first line where that begins with `#`, as `#3171 the uri that a` does,
/// and codex drops titles: so its words go before the description. The name of a type says nothing.
fn title_into_description(schema: &mut Object) {
    let title = schema.remove("title");
    let title = title.as_ref().and_then(Value::as_str).unwrap_or_default();
    let description = schema.get("description").and_then(Value::as_str);
    let description = description.map(str::trim).unwrap_or_default();
    let is_said = !is_identifier(title.trim()) && !words::says(description, title);
    if is_said {
        // A sign right before a number is no heading's.
        let sign = if title.starts_with(|first: char| first.is_ascii_digit()) {
            "#"
        } else {
            ""
        };
        let text = format!("{sign}{title}\n{description}");
        let text = text.trim_end().to_owned();
        schema.insert("description".to_owned(), text.into());
    } else if description.is_empty() && schema.contains_key("description") {
        schema.remove("description");
    }
}

/// Whether a title is the name of a type: one word with `_`, `::`, `<` or a capital letter inside.
fn is_identifier(title: &str) -> bool {
    let is_mark = |letter: char| matches!(letter, '_' | ':' | '<');
    let is_hump = |(before, letter): (char, char)| before.is_lowercase() && letter.is_uppercase();
    let pairs = title.chars().zip(title.chars().skip(1));
    title.len() < 2
        || !title.contains(char::is_whitespace)
            && (title.contains(is_mark) || pairs.into_iter().any(is_hump))
}

/// Codex drops the description of a schema that says nothing else, so all the types are listed.
pub(super) fn keep_description(schema: &mut Object) {
    if schema.contains_key("description") && says_only_words(schema) {
        let types = ["string", "number", "boolean", "object", "array", "null"];
        schema.insert("type".to_owned(), json!(types));
        schema.insert("items".to_owned(), json!({}));
    }
}
