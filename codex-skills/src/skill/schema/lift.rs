//! Words where the model reads them. Code mode shows the descriptions of properties and of nothing else (see the
//! contract of code mode), so what is said of items, of the values of maps and of choices is said at the property that
//! has them. While a schema is shaped, its demands are kept beside it as `WORDS`; here they become text.

use serde_json::Value;

use super::words::{self, ORDER, WHOLE, WORDS};
use super::{Object, compose, variants};

/// What is to be said of a schema at the property that has it.
#[derive(Default)]
pub(super) struct Part {
    /// Sentences of authors.
    docs: String,
    /// Demands.
    words: Vec<String>,
}

impl Part {
    fn doc(&mut self, text: &str) {
        self.docs = words::join(&self.docs, text);
    }

    /// The sentences.
    pub(super) fn docs(&self) -> &str {
        &self.docs
    }

    /// These demands and those of the parts as one text.
    pub(super) fn demands(&self, mut own: Vec<String>) -> String {
        own.extend(self.words.iter().cloned());
        own.join("; ")
    }

    /// A description with the sentences and with demands.
    pub(super) fn described(&self, own: Option<&str>, demands: &str) -> Option<String> {
        let text = words::join(own.unwrap_or_default(), &self.docs);
        let text = words::described(Some(&text), demands)?;
        (!text.trim().is_empty()).then(|| text.into_owned())
    }

    /// Leaves out that a number is whole, where a noun says it.
    fn without_noun(&mut self) {
        if let Some(first) = self.words.first_mut()
            && let Some(bounds) = first.strip_prefix(WHOLE)
            && !bounds.starts_with('s')
        {
            *first = bounds.trim_start_matches(", ").to_owned();
        }
        self.words.retain(|word| !word.is_empty());
    }

    /// All as one text.
    fn text(&self) -> String {
        self.described(None, &self.words.join("; "))
            .unwrap_or_default()
    }
}

/// Writes the words of a whole schema, whose properties are arguments.
pub(super) fn finish(root: &mut Value) {
    if let Value::Object(root) = root {
        property(root);
        if let Some(Value::Object(definitions)) = root.get_mut("$defs") {
            for definition in definitions.values_mut() {
                if let Value::Object(definition) = definition {
                    property(definition);
                }
            }
        }
    }
}

/// Writes the words of a schema that is a property into its description.
pub(super) fn property(schema: &mut Object) {
    let demands = take_words(schema);
    let below = below(schema);
    let own = variants::description(schema).map(str::to_owned);
    if let Some(text) = below.described(own.as_deref(), &below.demands(demands)) {
        schema.insert("description".to_owned(), text.into());
    }
}

/// Takes the demands that were kept beside a schema.
pub(super) fn take_words(schema: &mut Object) -> Vec<String> {
    match schema.remove(WORDS) {
        Some(Value::Array(words)) => words
            .into_iter()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Takes the texts of what a schema is made of, besides its properties, which keep theirs.
pub(super) fn below(schema: &mut Object) -> Part {
    let mut part = Part::default();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for schema in properties.values_mut() {
            if let Value::Object(schema) = schema {
                property(schema);
            }
        }
    }
    if let Some(Value::String(order)) = schema.remove(ORDER) {
        // The order tells all that is to be said of the items.
        if let Some(items) = object(schema, "items") {
            take(items);
        }
        part.words.push(order);
    } else if let Some(items) = object(schema, "items") {
        let items = elements(items, "each");
        part.doc(&items.docs);
        part.words.extend(items.words);
    }
    if let Some(values) = object(schema, "additionalProperties") {
        let values = elements(values, "each value");
        part.doc(&values.docs);
        part.words.extend(values.words);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = schema.get_mut(keyword) {
            choices(branches, &mut part);
        }
    }
    if let Some(Value::Array(parts)) = schema.get_mut("allOf") {
        for inner in parts.iter_mut().filter_map(Value::as_object_mut) {
            let inner = take(inner);
            part.doc(&inner.docs);
            part.words.extend(inner.words);
        }
    }
    part
}

/// Takes the texts of a schema that is no property.
fn take(schema: &mut Object) -> Part {
    let demands = take_words(schema);
    let below = below(schema);
    let mut part = Part {
        docs: String::new(),
        words: demands,
    };
    if let Some(Value::String(text)) = schema.remove("description") {
        part.doc(&text);
    }
    part.doc(&below.docs);
    part.words.extend(below.words);
    part
}

fn object<'a>(schema: &'a mut Object, keyword: &str) -> Option<&'a mut Object> {
    schema.get_mut(keyword).and_then(Value::as_object_mut)
}

/// What is to be said of all items of a list, or of all values of a map.
fn elements(schema: &mut Object, each: &str) -> Part {
    let noun = ["array", "object"]
        .into_iter()
        .find(|name| compose::has_type(schema, name))
        .map(noun);
    let part = take(schema);
    let mut said = Part::default();
    if !part.docs.is_empty() {
        said.docs = format!("{}: {}", capitalized(each), part.docs);
    }
    said.words.extend(of_each(&part.words, each, noun));
    said
}

/// The demands on each element; `noun` says what one is where it has elements itself.
fn of_each(words: &[String], each: &str, noun: Option<&str>) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let rest: String = rest.iter().flat_map(|word| [", ", word.as_str()]).collect();
    if let Some(noun) = noun {
        return Some(format!("{each} {noun}, {first}{rest}"));
    }
    Some(match first.strip_prefix(WHOLE) {
        Some("s") | None => format!("{each} {first}{rest}"),
        Some("") => format!("{each} a {WHOLE}{rest}"),
        // `whole number, 0 to 255`
        Some(bounds) if each == "each" => {
            let bounds = bounds.strip_prefix(", ").unwrap_or(bounds);
            format!("{WHOLE}s, each {bounds}{rest}")
        }
        Some(bounds) => format!("{each} a {WHOLE}{bounds}{rest}"),
    })
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// What is to be said of the forms of a choice, by the names of the forms.
fn choices(branches: &mut [Value], part: &mut Part) {
    let mut docs = Vec::new();
    for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
        let name = form(branch);
        let is_listed = branch.get("enum").is_some();
        let mut taken = take(branch);
        if name.is_some() && taken.docs.is_empty() {
            taken.without_noun();
        }
        let text = taken.text();
        if text.is_empty() {
            continue;
        }
        if is_listed {
            // Its values are named already.
            part.doc(&text);
            continue;
        }
        let text = text.strip_suffix('.').unwrap_or(&text);
        docs.push(match name {
            Some(name) => format!("{name}: {text}"),
            None => text.to_owned(),
        });
    }
    if !docs.is_empty() {
        part.doc(&format!("{}.", capitalized(&docs.join("; "))));
    }
}

/// Name of one form of a choice: the value of its tag, the members that it needs, or its type.
fn form(branch: &Object) -> Option<String> {
    if let Some((_, value)) = tag(branch) {
        return Some(format!("`{value}`"));
    }
    let required: Vec<String> = variants::required(branch)
        .map(|name| format!("`{name}`"))
        .collect();
    if !required.is_empty() {
        return Some(required.join(" and "));
    }
    let types: Vec<&str> = ["array", "boolean", "integer", "number", "object", "string"]
        .into_iter()
        .filter(|name| compose::has_type(branch, name))
        .collect();
    match types.as_slice() {
        [only] => Some(noun(only).to_owned()),
        _ => None,
    }
}

/// The member whose one value tells a form from the others, and that value.
pub(super) fn tag(branch: &Object) -> Option<(&str, &str)> {
    let properties = branch.get("properties")?.as_object()?;
    variants::required(branch).find_map(|name| {
        match properties.get(name)?.get("enum")?.as_array()?.as_slice() {
            [Value::String(value)] => Some((name, value.as_str())),
            _ => None,
        }
    })
}

/// A type in words.
fn noun(name: &str) -> &'static str {
    match name {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "an object",
        "null" => "null",
        _ => "a string",
    }
}

/// The items of a tuple in words, from their shaped schemas: `a number, a string, in this order`.
pub(super) fn order(items: Vec<Value>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| match item {
            Value::Object(item) => item_in_words(item),
            _ => "anything".to_owned(),
        })
        .collect();
    match items.as_slice() {
        [only] => format!("exactly one item: {only}"),
        items => format!("{}, in this order", items.join(", ")),
    }
}

fn item_in_words(mut item: Object) -> String {
    let names: Vec<&str> = match item.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut nouns: Vec<&str> = names.into_iter().map(noun).collect();
    nouns.dedup();
    let name = if nouns.is_empty() || nouns.len() > 3 {
        "anything".to_owned()
    } else {
        nouns.join(" or ")
    };
    let values = match item.get("enum") {
        Some(Value::Array(values)) => {
            let values: Vec<String> = values
                .iter()
                .map(|value| format!("`{}`", bare(value)))
                .collect();
            format!("one of {}", values.join(", "))
        }
        _ => name,
    };
    let mut part = take(&mut item);
    part.without_noun();
    let text = if part.docs.is_empty() {
        part.words.join("; ")
    } else {
        part.text()
    };
    let text = text.strip_suffix('.').unwrap_or(&text);
    if text.is_empty() {
        values
    } else {
        format!("{values} ({text})")
    }
}

fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
