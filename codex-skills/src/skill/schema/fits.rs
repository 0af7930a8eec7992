//! Whether a written schema fits the handler that it is for: the names, what is required, and the types, as far as they
//! are known. What no call can get right is an error; what only some calls get right is a warning.

use serde::de::value::Error as ProbeError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::refused::Path;
use super::{Object, sound, variants};

/// Most levels that are compared.
const DEPTH: usize = 8;

/// What a handler takes.
pub(super) struct Taken {
    /// The schema of its arguments, as its type has it.
    pub(super) schema: Value,
    /// The names that it reads, where they are known: with those that only decoding knows.
    pub(super) names: Option<&'static [&'static str]>,
    /// Whether it ignores what it does not know.
    pub(super) is_open: bool,
}

/// Compares a written schema with what its handler takes, and says what some calls will get wrong.
///
/// # Errors
/// With what no call can get right.
pub(super) fn check(written: &Object, taken: &Taken) -> Result<Vec<String>, String> {
    let mut comparison = Comparison {
        taken,
        warnings: Vec::new(),
    };
    if let Value::Object(handler) = &taken.schema {
        comparison.members(written, handler, &Path::default(), 0)?;
    }
    Ok(comparison.warnings)
}

struct Comparison<'a> {
    taken: &'a Taken,
    warnings: Vec<String>,
}

impl Comparison<'_> {
    /// At the root errors, below warnings: what decoding knows besides (aliases) is only known at the root.
    fn report(&mut self, is_error: bool, text: String) -> Result<(), String> {
        if is_error {
            return Err(text);
        }
        self.warnings.push(text);
        Ok(())
    }

    fn members(
        &mut self,
        written: &Object,
        handler: &Object,
        path: &Path,
        depth: usize,
    ) -> Result<(), String> {
        let (Some(ours), Some(theirs)) = (properties(written), properties(handler)) else {
            return Ok(());
        };
        if theirs.is_empty() || depth > DEPTH {
            return Ok(());
        }
        let is_root = depth == 0;
        // Parts may describe more members than the properties.
        let is_whole = !["allOf", "anyOf", "oneOf", "$ref", "patternProperties"]
            .iter()
            .any(|keyword| written.contains_key(*keyword) || handler.contains_key(*keyword));
        let is_alias =
            |name: &str| is_root && self.taken.names.is_some_and(|names| names.contains(&name));
        let unknown: Vec<&String> = ours
            .keys()
            .filter(|name| !theirs.contains_key(*name) && !is_alias(name))
            .collect();
        let has_alias = ours
            .keys()
            .any(|name| !theirs.contains_key(name) && is_alias(name));
        let others = handler.get("additionalProperties");
        let is_closed = others == Some(&Value::Bool(false)) && !(is_root && self.taken.is_open);
        if is_whole && (others.is_none() || others == Some(&Value::Bool(false))) {
            for name in unknown {
                let place = path.join(name);
                let text = if is_closed {
                    format!(
                        "its input schema has {place}, which its handler refuses: remove it, or let the handler take it"
                    )
                } else {
                    format!(
                        "its input schema has {place}, which its handler ignores: remove it, or let the handler take it"
                    )
                };
                self.report(is_root && is_closed, text)?;
            }
        }
        for name in variants::required(handler) {
            let place = path.join(name);
            if !ours.contains_key(name) {
                if is_whole && !has_alias {
                    let text = format!(
                        "its handler needs {place}, which its input schema does not have: describe it under \
                         `properties`, or give it a default"
                    );
                    self.report(is_root, text)?;
                }
            } else if !variants::required(written).any(|required| required == name) {
                self.warnings.push(format!(
                    "its handler needs {place}, which its input schema does not require: list it under `required`, or \
                     give it a default"
                ));
            }
        }
        for (name, ours) in ours {
            if let (Value::Object(ours), Some(Value::Object(theirs))) = (ours, theirs.get(name)) {
                self.types(ours, theirs, &path.join(name), depth)?;
            }
        }
        Ok(())
    }

    fn types(
        &mut self,
        ours: &Object,
        theirs: &Object,
        path: &Path,
        depth: usize,
    ) -> Result<(), String> {
        let (Some(written), Some(taken)) = (types(ours), types(theirs)) else {
            return Ok(());
        };
        let fits = |one: &str, other: &str| {
            one == other || matches!((one, other), ("integer", "number") | ("number", "integer"))
        };
        let both = |name: &&String| taken.iter().any(|taken| fits(name, taken));
        let others = written.iter().filter(|name| *name != "null");
        if others.clone().next().is_some() && !others.clone().any(|name| both(&name)) {
            let text = format!(
                "{path} is \"{}\" in its input schema, and its handler takes \"{}\": make them the same",
                written.join("\" or \""),
                taken.join("\" or \"")
            );
            return self.report(depth == 0, text);
        }
        if let (Some(ours), Some(theirs)) = (values(ours), values(theirs)) {
            let unknown: Vec<String> = ours
                .iter()
                .filter(|value| !value.is_null() && !theirs.contains(value))
                .map(ToString::to_string)
                .collect();
            if !unknown.is_empty() {
                self.warnings.push(format!(
                    "{path} may be {} in its input schema, which its handler does not know: remove it, or let the \
                     handler take it",
                    unknown.join(" or ")
                ));
            }
        }
        self.members(ours, theirs, path, depth + 1)?;
        if let (Some(Value::Object(ours)), Some(Value::Object(theirs))) =
            (ours.get("items"), theirs.get("items"))
            && depth < DEPTH
        {
            self.types(ours, theirs, &path.join("items"), depth + 1)?;
        }
        Ok(())
    }
}

fn properties(schema: &Object) -> Option<&Object> {
    schema.get("properties").and_then(Value::as_object)
}

/// The types that a schema names, by its values where it names none. None where it does not say.
fn types(schema: &Object) -> Option<Vec<String>> {
    let mut names: Vec<String> = match schema.get("type") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => match values(schema) {
            Some(values) => [
                "array", "boolean", "integer", "null", "number", "object", "string",
            ]
            .into_iter()
            .filter(|name| values.iter().any(|value| sound::is_of(value, name)))
            .map(str::to_owned)
            .collect(),
            None => of_branches(schema)?,
        },
    };
    // Decimal texts are taken for integers that JavaScript has not.
    let format = schema.get("format").and_then(Value::as_str);
    if matches!(
        format,
        Some("int64" | "uint64" | "int" | "uint" | "int128" | "uint128")
    ) {
        names.push("string".to_owned());
    }
    (!names.is_empty()).then_some(names)
}

fn of_branches(schema: &Object) -> Option<Vec<String>> {
    let branches = ["anyOf", "oneOf"]
        .iter()
        .find_map(|keyword| schema.get(*keyword))?
        .as_array()?;
    let mut names = Vec::new();
    for branch in branches {
        names.extend(types(branch.as_object()?)?);
    }
    Some(names)
}

/// The values that a schema lists.
fn values(schema: &Object) -> Option<Vec<&Value>> {
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.iter().collect());
    }
    let branches = schema.get("oneOf")?.as_array()?;
    let mut all = Vec::new();
    for branch in branches {
        all.extend(values(branch.as_object()?)?);
    }
    Some(all)
}

/// The members that a struct reads, aliases among them; none for what is no struct, or one with flattened members.
pub(crate) fn members_of<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    let mut found = None;
    // It fails in any case: nothing is there to be read.
    let _ = T::deserialize(Probe(&mut found));
    found
}

/// Tells which members a type asks for.
struct Probe<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        Err(ProbeError::custom("nothing"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ProbeError> {
        *self.0 = Some(fields);
        Err(ProbeError::custom("nothing"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
