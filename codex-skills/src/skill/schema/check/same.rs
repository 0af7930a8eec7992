//! Equality of values, whatever the spelling of their numbers and the order of their members.

use std::collections::HashSet;

use serde_json::Value;

use super::document::{At, Document, Kind};
use super::number;

/// Whether a value of the arguments is this one.
pub(super) fn is(document: &Document<'_>, at: At, value: &Value) -> bool {
    match (document.kind(at), value) {
        (Kind::Null, Value::Null) => true,
        (Kind::Bool, Value::Bool(value)) => {
            document.text(at) == if *value { "true" } else { "false" }
        }
        (Kind::Number, Value::Number(number)) => {
            number::are_equal(document.text(at), &number.to_string())
        }
        (Kind::Plain | Kind::Escaped, Value::String(text)) => document.is(at, text),
        (Kind::Array, Value::Array(items)) => {
            document.items(at).count() == items.len()
                && document
                    .items(at)
                    .zip(items)
                    .all(|(at, item)| is(document, at, item))
        }
        (Kind::Object, Value::Object(members)) => {
            document.members(at).count() == members.len()
                && members.iter().all(|(name, value)| {
                    let own = document.member(at, name);
                    own.is_some_and(|own| is(document, own, value))
                })
        }
        _ => false,
    }
}

/// Whether no item of an array is there twice.
pub(super) fn are_distinct(document: &Document<'_>, at: At) -> bool {
    let mut seen = HashSet::with_hasher(foldhash::fast::RandomState::default());
    document.items(at).all(|item| {
        let mut key = String::new();
        write(document, item, &mut key);
        seen.insert(key)
    })
}

/// Writes a value so that equal ones give equal texts.
fn write(document: &Document<'_>, at: At, key: &mut String) {
    match document.kind(at) {
        Kind::Number => {
            let text = document.text(at);
            match number::Whole::read(text).and_then(number::Whole::digits) {
                Some(digits) => key.push_str(&digits),
                None => match text.parse::<f64>() {
                    Ok(float) => key.push_str(&format!("{float:e}")),
                    Err(_) => key.push_str(text),
                },
            }
        }
        Kind::Escaped => match document.string(at) {
            Some(text) => key.push_str(&Value::from(text).to_string()),
            None => key.push_str(document.text(at)),
        },
        Kind::Array => {
            key.push('[');
            for item in document.items(at) {
                write(document, item, key);
                key.push(',');
            }
            key.push(']');
        }
        Kind::Object => {
            let mut members: Vec<String> = document
                .members(at)
                .map(|(name, value)| {
                    let mut member = String::new();
                    write(document, name, &mut member);
                    member.push(':');
                    write(document, value, &mut member);
                    member
                })
                .collect();
            members.sort_unstable();
            key.push('{');
            key.push_str(&members.join(","));
            key.push('}');
        }
        Kind::Null | Kind::Bool | Kind::Plain | Kind::DeepArray | Kind::DeepObject => {
            key.push_str(document.text(at));
        }
    }
}
