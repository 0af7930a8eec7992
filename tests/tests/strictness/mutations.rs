//! JSON texts that are made of valid ones, and the spellings of a text that are taken on purpose.

use proptest::prelude::*;
use serde_json::Value;

/// One change of a text, at one of its values.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    place: usize,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Replaced(&'static str),
    Dropped,
    Twice,
    /// A name of the object, otherwise.
    Renamed(&'static str),
    /// A further member or item.
    Further(&'static str, &'static str),
    /// A number or text in another spelling.
    Respelt(u8),
}

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "1",
    "-1",
    "-0",
    "5.0",
    "1e2",
    "0.5",
    "127",
    "128",
    "255",
    "256",
    "-128",
    "-129",
    "65536",
    "4294967296",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "1e18",
    "\"5\"",
    "\"5.0\"",
    "\"a\"",
    "\"\\u00e9\"",
    "\"Red\"",
    "\"red\"",
    "\"true\"",
    "[1]",
    "[1,2]",
    "{\"x\":1}",
    "{\"x\":1,\"y\":2}",
    "{\"Unit\":null}",
    "\"Unit\"",
    "{\"New\":1}",
    "{\"days\":3}",
    "{\"kind\":\"Circle\"}",
    "{\"t\":\"C\"}",
    "\"2026-11-27\"",
    "\"https://a.example/b c\"",
];

const NAMES: &[&str] = &[
    "a", "x", "y", "mail", "email", "Red", "red", "1", "-1", "256", "true", "kind", "t", "c",
    "szie", "size", "Unit", "radius", "days", "from", "",
];

pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let change = prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(Change::Replaced),
        2 => Just(Change::Dropped),
        1 => Just(Change::Twice),
        2 => prop::sample::select(NAMES).prop_map(Change::Renamed),
        2 => (prop::sample::select(NAMES), prop::sample::select(VALUES))
            .prop_map(|(name, value)| Change::Further(name, value)),
        3 => (0..3_u8).prop_map(Change::Respelt),
    ];
    let mutation = (0..24_usize, change).prop_map(|(place, change)| Mutation { place, change });
    prop::collection::vec(mutation, 0..4)
}

/// A text with these changes.
pub(crate) fn mutated(json: &str, mutations: &[Mutation]) -> String {
    let value: Value = serde_json::from_str(json).expect("a seed is JSON");
    let inner = value.get("v").expect("a seed");
    let mut places = 0;
    count(inner, &mut places);
    let changes: Vec<(usize, &Change)> = mutations
        .iter()
        .map(|mutation| (mutation.place % places, &mutation.change))
        .collect();
    let (mut text, mut place) = (String::from("{\"v\":"), 0);
    write(inner, &changes, &mut place, &mut text);
    text.push('}');
    text
}

fn count(value: &Value, places: &mut usize) {
    *places += 1;
    match value {
        Value::Array(items) => items.iter().for_each(|item| count(item, places)),
        Value::Object(members) => members.values().for_each(|item| count(item, places)),
        _ => {}
    }
}

fn write(value: &Value, changes: &[(usize, &Change)], place: &mut usize, text: &mut String) {
    let own = *place;
    *place += 1;
    let mine = || {
        changes
            .iter()
            .filter(|(at, _)| *at == own)
            .map(|(_, change)| *change)
    };
    let further: Vec<(&str, &str)> = mine()
        .filter_map(|change| match change {
            Change::Further(name, value) => Some((*name, *value)),
            _ => None,
        })
        .collect();
    let replaced = mine().find_map(|change| match change {
        Change::Replaced(text) => Some(*text),
        _ => None,
    });
    if let Some(replaced) = replaced {
        text.push_str(replaced);
        // What is inside keeps its places.
        *place -= 1;
        count(value, place);
        return;
    }
    let spelling = mine().find_map(|change| match change {
        Change::Respelt(spelling) => Some(*spelling),
        _ => None,
    });
    let mut parts: Vec<String> = Vec::new();
    let mut part = |name: Option<&str>, inner: &Value, place: &mut usize| {
        let here = *place;
        let mut name = name;
        let mut times = 1;
        for (_, change) in changes.iter().filter(|(at, _)| *at == here) {
            match change {
                Change::Dropped => times = 0,
                Change::Twice => times = 2,
                Change::Renamed(other) => name = name.map(|_| *other),
                _ => {}
            }
        }
        let mut text = match name {
            Some(name) => format!("{}:", Value::from(name)),
            None => String::new(),
        };
        write(inner, changes, place, &mut text);
        parts.extend(std::iter::repeat_n(text, times));
    };
    match value {
        Value::Array(items) => {
            for item in items {
                part(None, item, place);
            }
            parts.extend(further.iter().map(|(_, value)| (*value).to_owned()));
            text.push_str(&format!("[{}]", parts.join(",")));
        }
        Value::Object(members) => {
            for (name, member) in members {
                part(Some(name), member, place);
            }
            let further = further
                .iter()
                .map(|(name, value)| format!("{}:{value}", Value::from(*name)));
            parts.extend(further);
            text.push_str(&format!("{{{}}}", parts.join(",")));
        }
        Value::Number(number) => match spelling {
            Some(0) if !number.is_f64() => text.push_str(&format!("{number}.0")),
            Some(1) => text.push_str(&format!("{number}e0")),
            Some(_) => text.push_str(&format!("\"{number}\"")),
            None => text.push_str(&number.to_string()),
        },
        other => text.push_str(&other.to_string()),
    }
}

/// A value with the names and texts that only its type knows written as its schema has them.
pub(crate) fn renamed(value: &Value, aliases: &[(&str, &str)]) -> Value {
    let name = |own: &str| {
        let known = aliases.iter().find(|(alias, _)| *alias == own);
        known.map_or(own, |(_, name)| *name).to_owned()
    };
    match value {
        Value::Array(items) => items.iter().map(|item| renamed(item, aliases)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(own, inner)| (name(own), renamed(inner, aliases)))
            .collect(),
        Value::String(text) => Value::from(name(text)),
        other => other.clone(),
    }
}

/// The spellings of a text in which whole numbers are digits, texts of digits are numbers, and `null` is absence; each
/// or not.
pub(crate) fn respelt(json: &str) -> Vec<String> {
    // Large numbers keep their digits only where they are written as whole ones.
    let whole = json.replace("e0", "").replace(".0", "");
    let mut all = vec![json.to_owned(), whole.clone()];
    all.extend(varied(&[json, &whole], respell));
    all
}

/// The texts in which members that are `null` are left out; each or not.
pub(crate) fn without_nulls(json: &str) -> Vec<String> {
    varied(&[json], leave_out)
}

/// The texts with a change at each of their places, or none.
fn varied(texts: &[&str], change: fn(&mut Value, &mut usize, usize) -> bool) -> Vec<String> {
    let mut all: Vec<Value> = texts
        .iter()
        .filter_map(|json| serde_json::from_str(json).ok())
        .collect();
    // From the last one on, since the places after what is left out move.
    for place in (0..64).rev() {
        let other: Vec<Value> = all
            .iter()
            .filter_map(|value| {
                let mut value = value.clone();
                change(&mut value, &mut 0, place).then_some(value)
            })
            .collect();
        all.extend(other);
        if all.len() > 512 {
            break;
        }
    }
    all.iter().map(Value::to_string).collect()
}

/// Leaves the member at a place out, where it is `null`.
fn leave_out(value: &mut Value, at: &mut usize, place: usize) -> bool {
    *at += 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| leave_out(item, at, place)),
        Value::Object(members) => {
            let mut null = None;
            for (name, member) in members.iter_mut() {
                if *at == place && member.is_null() {
                    null = Some(name.clone());
                    break;
                }
                if leave_out(member, at, place) {
                    return true;
                }
            }
            null.is_some_and(|name| members.remove(&name).is_some())
        }
        _ => false,
    }
}

/// Respells the value at a place, where it has another spelling.
fn respell(value: &mut Value, at: &mut usize, place: usize) -> bool {
    let own = *at;
    *at += 1;
    if own == place {
        let whole = match &*value {
            Value::Number(number) if number.is_f64() => number
                .as_f64()
                .filter(|number| number.fract() == 0.0)
                .and_then(|number| serde_json::from_str(&format!("{:.0}", number + 0.0)).ok()),
            Value::String(text) if text.bytes().any(|byte| byte.is_ascii_digit()) => {
                let text = text.strip_suffix(".0").unwrap_or(text);
                serde_json::from_str::<Value>(text)
                    .ok()
                    .filter(Value::is_number)
            }
            _ => None,
        };
        if let Some(whole) = whole {
            *value = whole;
            return true;
        }
    }
    match value {
        Value::Array(items) => items.iter_mut().any(|item| respell(item, at, place)),
        Value::Object(members) => {
            let mut removed = None;
            for (name, member) in members.iter_mut() {
                if *at == place && member.is_null() {
                    removed = Some(name.clone());
                    break;
                }
                if respell(member, at, place) {
                    return true;
                }
            }
            removed.is_some_and(|name| members.remove(&name).is_some())
        }
        _ => false,
    }
}
