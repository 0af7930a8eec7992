//! What to write in place of a value that is nearly right: a number in quotes, an object as a string of its JSON.

use serde_json::Value;

use super::document::{At, Document, Kind};
use super::explain;
use super::number::Whole;
use super::plan::{NumberRules, Types};
use super::same;
use crate::skill::arguments::nearest_name;

/// The longest string that is looked at for the JSON of an object or an array, in bytes.
const LONGEST: usize = 64 * 1024;

/// How to write a string where something of these types is wanted; empty where that is no help.
pub(super) fn of(
    document: &Document<'_>,
    at: At,
    types: Types,
    rules: Option<&NumberRules>,
) -> String {
    let Some(text) = document.string(at) else {
        return String::new();
    };
    let text = text.trim();
    let is_json =
        || text.len() <= LONGEST && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match text.as_bytes().first() {
        Some(b'{') if types.has(Types::OBJECT) && is_json() => {
            ": pass the object itself, not as a string".to_owned()
        }
        Some(b'[') if types.has(Types::ARRAY) && is_json() => {
            ": pass the array itself, not as a string".to_owned()
        }
        _ if is_word(text, types, rules) => format!(": write {text} without quotes"),
        _ => String::new(),
    }
}

/// Whether a text is a number or a word of JSON that fits these types.
fn is_word(text: &str, types: Types, rules: Option<&NumberRules>) -> bool {
    match text {
        "true" | "false" => return types.has(Types::BOOL),
        "null" => return types.has(Types::NULL),
        _ => {}
    }
    let is_number = text.len() <= 64 && serde_json::from_str::<serde_json::Number>(text).is_ok();
    let fits =
        types.has(Types::NUMBER) || (types.has(Types::INTEGER) && Whole::read(text).is_some());
    is_number && fits && rules.is_none_or(|rules| explain::number(rules, text).is_none())
}

/// The same where some values are listed.
pub(super) fn of_listed(document: &Document<'_>, at: At, values: &[Value]) -> String {
    let is_listed = |value: &Value| values.contains(value);
    match document.kind(at) {
        Kind::Plain | Kind::Escaped => {
            let text = document.string(at).unwrap_or_default();
            let value = serde_json::from_str::<Value>(text.trim()).ok();
            match value.filter(|value| !value.is_string() && is_listed(value)) {
                Some(value) => format!(": write {value} without quotes"),
                None => match meant(&text, &texts(values)) {
                    Some(meant) => format!(", did you mean {}?", Value::from(meant)),
                    None => String::new(),
                },
            }
        }
        Kind::Number | Kind::Bool | Kind::Null => {
            let value = Value::from(document.text(at));
            if is_listed(&value) {
                format!(": write {value} with quotes")
            } else {
                String::new()
            }
        }
        // An object with nothing but a listed name, and a list of nothing but a listed value.
        Kind::Object => {
            let mut members = document.members(at);
            let only = members.next().filter(|_| members.next().is_none());
            of_only(document, only.map(|(key, _)| key), values)
        }
        Kind::Array => {
            let mut items = document.items(at);
            let only = items.next().filter(|_| items.next().is_none());
            of_only(document, only, values)
        }
        Kind::DeepArray | Kind::DeepObject => String::new(),
    }
}

fn of_only(document: &Document<'_>, only: Option<At>, values: &[Value]) -> String {
    let listed = only.and_then(|at| values.iter().find(|value| same::is(document, at, value)));
    listed.map_or_else(String::new, |value| format!(": write {value}"))
}

fn texts(values: &[Value]) -> Vec<&str> {
    values.iter().filter_map(Value::as_str).collect()
}

/// The name that a text likely means: as a whole, or after the name of its type, as in `Shape::Circle`.
pub(super) fn meant<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    let (start, last) = text.rsplit_once(['.', ':', '/']).unwrap_or(("", text));
    let qualified = (!start.is_empty() && !last.is_empty()).then(|| nearest_name(last, names));
    qualified.flatten().or_else(|| nearest_name(text, names))
}

/// The same of a text that is the name of a form which is an object.
pub(super) fn of_tag(
    document: &Document<'_>,
    at: At,
    name: &str,
    values: &[Value],
) -> Option<String> {
    let text = document.string(at)?;
    let quoted = Value::from(name);
    if let Some(named) = values.iter().find(|value| value.as_str() == Some(&*text)) {
        return Some(format!(": write {{{quoted}: {named}, …}}"));
    }
    let meant = Value::from(meant(&text, &texts(values))?);
    Some(format!(", did you mean {{{quoted}: {meant}, …}}?"))
}
