//! The names that a map takes whose keys are no texts, as `keys` learned them from its type.

use serde_json::{Map, Value};

use super::cure;
use super::explain::{LIST, short};
use super::number::Bound;
use crate::skill::schema::words::KEYS;

/// What a name must be.
#[derive(Debug)]
pub(super) enum Names {
    Listed(Vec<String>),
    /// A whole number in digits.
    Whole(Bound, Bound),
    Character,
}

impl Names {
    /// What is known of the names of a map.
    pub(super) fn of(schema: &Map<String, Value>) -> Option<Self> {
        match schema.get(KEYS)? {
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                Some(Self::Listed(names.map(str::to_owned).collect()))
            }
            Value::Object(range) => {
                let bound = |name: &str| range.get(name).and_then(Value::as_str);
                let bound = |name| bound(name).map(|text| Bound::new(text.to_owned()));
                Some(Self::Whole(bound("least")?, bound("most")?))
            }
            _ => Some(Self::Character),
        }
    }

    /// Whether the type reads a name.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Listed(names) => names.iter().any(|known| known == name),
            Self::Whole(least, most) => {
                is_plain(name) && least.of(name).is_ge() && most.of(name).is_le()
            }
            Self::Character => name.chars().count() == 1,
        }
    }

    /// What names there are, and which one was likely meant in place of this one.
    pub(super) fn wanted(&self, name: &str) -> String {
        match self {
            Self::Listed(names) => {
                let all: Vec<&str> = names.iter().map(String::as_str).collect();
                let listed = crate::skill::arguments::listed(&all);
                let one_of = if all.len() == 1 { "" } else { "one of " };
                let meant =
                    cure::meant(name, &all).map(|meant| format!(", did you mean `{meant}`?"));
                format!(
                    "{one_of}{}{}",
                    short(&listed, LIST),
                    meant.unwrap_or_default()
                )
            }
            Self::Whole(least, most) => {
                let digits = name.trim().trim_start_matches('+');
                let (sign, digits) = match digits.strip_prefix('-') {
                    Some(digits) => ("-", digits),
                    None => ("", digits),
                };
                let digits = digits.trim_start_matches('0');
                let meant = match digits {
                    "" => "0".to_owned(),
                    digits => format!("{sign}{digits}"),
                };
                let is_meant = name.bytes().any(|byte| byte.is_ascii_digit()) && self.has(&meant);
                let meant = if is_meant {
                    format!(", did you mean `{meant}`?")
                } else {
                    String::new()
                };
                format!(
                    "a whole number from {} to {} in quotes{meant}",
                    least.shown(),
                    most.shown()
                )
            }
            Self::Character => "a single character".to_owned(),
        }
    }
}

/// Whether a name is a whole number in digits, without a zero or a sign too many.
fn is_plain(name: &str) -> bool {
    let digits = name.strip_prefix('-').unwrap_or(name);
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits && (name == "0" || !digits.starts_with('0'))
}
