//! Stand-ins in `Debug` for what may be a secret: arguments, answers, requests of the user, and payloads of a runtime.
//! Their sizes are shown.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

/// The size of a text, in its place.
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0)
    }
}

/// The size of a text.
pub(crate) fn text(text: &str) -> Bytes {
    Bytes(text.len())
}

/// The size of a JSON text.
pub(crate) fn raw(json: &RawValue) -> Bytes {
    text(json.get())
}

/// The kind of a JSON value and how much is in it, in its place.
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(_) => f.write_str("(boolean)"),
            Value::Number(_) => f.write_str("(number)"),
            Value::String(string) => text(string).fmt(f),
            Value::Array(items) => write!(f, "[({} items)]", items.len()),
            Value::Object(members) => write!(f, "{{({} members)}}", members.len()),
        }
    }
}
