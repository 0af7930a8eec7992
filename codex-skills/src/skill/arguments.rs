//! From the model's raw arguments to the parameters of a handler.
//!
//! Generic code is kept to one small function a type: walking the object, matching names and
//! wording errors happen once, in functions without type parameters.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::Error as AbsentError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_json::value::RawValue;

use super::context::Invocation;
use super::descriptor::{InputSchema, ParameterDescriptor, SkillDescriptor};
use super::output::SkillFailure;
use super::returned::{Closed, Nobody, Standard};
use super::schema::keys;

/// Types that the model can fill: those that deserialize and have a JSON schema.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a skill",
    label = "needs `serde::Deserialize` and `schemars::JsonSchema`",
    note = "if the type is yours, add `#[derive(serde::Deserialize, schemars::JsonSchema)]` to it (of schemars 1: `cargo tree -i schemars` shows which one you have)",
    note = "if the program provides the value and not the model, write `#[state]` before the parameter and take a reference"
)]
pub trait Argument<Via>: Sized {
    /// Decodes a value from its JSON text.
    ///
    /// # Errors
    /// When the text is not a value of this type; the message names the path inside the value.
    fn decode(json: &str) -> Result<Self, PathError>;

    /// The value of an argument that is not there, where the type has one (`Option`).
    fn absent() -> Option<Self>;

    /// The schema of the type.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

impl<T: DeserializeOwned + JsonSchema> Argument<Standard> for T {
    fn decode(json: &str) -> Result<Self, PathError> {
        decode(json)
    }

    fn absent() -> Option<Self> {
        T::deserialize(Absent).ok()
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        keys::named::<T>(generator.subschema_for::<T>(), generator)
    }
}

/// Decodes a value. Models write `5.0` where a whole number is wanted, which JSON schema takes for one: what
/// cannot be decoded as it came is tried with such numbers as whole ones.
fn decode<T: DeserializeOwned>(json: &str) -> Result<T, PathError> {
    let read = |json: &str| {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut deserializer).map_err(PathError::new)
    };
    read(json).or_else(|error| match with_whole_numbers(json) {
        Some(json) => read(&json),
        None => Err(error),
    })
}

/// The JSON text with each number like `5.0` written as `5`; `None` where there is none.
fn with_whole_numbers(json: &str) -> Option<String> {
    let mut written = String::with_capacity(json.len());
    let mut rest = json;
    let mut changed = false;
    while let Some(at) = rest.find(|c: char| c == '"' || c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        written.push_str(before);
        let (token, after) = if from.starts_with('"') {
            from.split_at(string_len(from))
        } else {
            let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
            from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()))
        };
        let whole = match token.split_once('.') {
            Some((whole, zeros)) if !token.starts_with('"') => {
                (!zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0')).then_some(whole)
            }
            _ => None,
        };
        changed |= whole.is_some();
        written.push_str(whole.unwrap_or(token));
        rest = after;
    }
    written.push_str(rest);
    changed.then_some(written)
}

/// The length of the JSON string that a text begins with.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

impl<T: Nobody> Argument<Closed> for T {
    fn decode(_: &str) -> Result<Self, PathError> {
        Err(PathError {
            path: String::new(),
            reason: String::new(),
        })
    }

    fn absent() -> Option<Self> {
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        Schema::default()
    }
}

/// A decoding error and the path inside the value at which it happened.
#[derive(Debug)]
pub struct PathError {
    path: String,
    reason: String,
}

impl PathError {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "used as a function of `map_err`"
    )]
    fn new(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        Self {
            path: if path == "." { String::new() } else { path },
            reason: reason(error.inner()),
        }
    }

    /// The failure for the model, with the path continued from `name`.
    pub(crate) fn under(self, name: &str) -> SkillFailure {
        let Self { path, reason } = self;
        let path = shortened(&path, PATH);
        let path = match path.as_str() {
            "" => name.to_owned(),
            path if path.starts_with('[') || name.is_empty() => format!("{name}{path}"),
            path => format!("{name}.{path}"),
        };
        if path.is_empty() {
            SkillFailure::arguments(reason)
        } else {
            SkillFailure::arguments(format!("`{path}`: {reason}"))
        }
    }
}

/// The longest path and the longest reason, which repeat what the model wrote.
const PATH: usize = 200;
const REASON: usize = 1_500;

/// What serde says, without the position in a text that the model never wrote in lines.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position).unwrap_or(&text) {
        // What is said of an enumeration that is given neither a text nor an object.
        "expected value" => "expected one of the values that its schema lists".to_owned(),
        "number out of range" => "the number is out of range, expected a smaller one".to_owned(),
        "recursion limit exceeded" => {
            "nested too deep, expected at most 127 levels in all".to_owned()
        }
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "half of a surrogate pair, expected whole characters".to_owned()
        }
        text => shortened(text, REASON),
    }
}

/// The start and the end of a long text: serde says first what there is, and last what it expected.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let start = text.floor_char_boundary(most / 4);
    let end = text.ceil_char_boundary(text.len() - most / 2);
    format!("{} … {}", &text[..start], &text[end..])
}

/// One parameter: its metadata and how its value is decoded.
#[derive(Debug)]
pub struct Slot<T> {
    /// The metadata.
    pub descriptor: ParameterDescriptor,
    decode: fn(&str) -> Result<T, PathError>,
    absent: fn() -> Option<T>,
    default: Option<fn() -> T>,
}

impl<T> Slot<T> {
    /// A parameter of a type that the model can fill.
    #[must_use]
    pub const fn new<V>(name: &'static str, description: Option<&'static str>) -> Self
    where
        T: Argument<V>,
    {
        Self {
            descriptor: ParameterDescriptor {
                name,
                description,
                schema: T::schema,
                optional: is_optional::<T, V>,
                default: None,
            },
            decode: T::decode,
            absent: T::absent,
            default: None,
        }
    }

    /// The value to use when the argument is absent, and how the schema shows it.
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> T, shown: fn() -> Option<Value>) -> Self {
        self.default = Some(default);
        self.descriptor.default = Some(shown);
        self
    }

    fn take(&self, raw: Option<&RawValue>) -> Result<T, SkillFailure> {
        if let Some(raw) = raw {
            return (self.decode)(raw.get()).map_err(|error| error.under(self.descriptor.name));
        }
        if let Some(default) = self.default {
            return Ok(default());
        }
        (self.absent)().ok_or_else(|| missing(&self.descriptor))
    }
}

/// The parameters of a skill that the model fills, as nested pairs: `(Slot<A>, (Slot<B>, ()))`.
pub trait Slots: Sized {
    /// Their values, nested alike.
    type Values;

    #[doc(hidden)]
    fn take(&self, raw: &[Option<&RawValue>]) -> Result<Self::Values, SkillFailure>;

    /// The values of a call's arguments.
    ///
    /// Never inlined: skills with parameters of equal types share it.
    ///
    /// # Errors
    /// When there are unknown, repeated or missing members, or a value that fits no parameter.
    #[inline(never)]
    fn decode(
        &self,
        invocation: &Invocation,
        skill: &SkillDescriptor,
    ) -> Result<Self::Values, SkillFailure> {
        self.take(Matched::new(invocation.arguments(), skill)?.values())
    }
}

impl Slots for () {
    type Values = ();

    fn take(&self, _: &[Option<&RawValue>]) -> Result<(), SkillFailure> {
        Ok(())
    }
}

impl<T, R: Slots> Slots for (Slot<T>, R) {
    type Values = (T, R::Values);

    fn take(&self, raw: &[Option<&RawValue>]) -> Result<Self::Values, SkillFailure> {
        let (first, rest) = raw.split_first().unwrap_or((&None, &[]));
        Ok((self.0.take(*first)?, self.1.take(rest)?))
    }
}

fn is_optional<T: Argument<V>, V>() -> bool {
    T::absent().is_some()
}

fn missing(descriptor: &ParameterDescriptor) -> SkillFailure {
    SkillFailure::arguments(is_missing(descriptor.name, descriptor.description))
}

/// What to say of a parameter that is needed and not there.
pub(crate) fn is_missing(name: &str, description: Option<&str>) -> String {
    match description {
        Some(description) => format!("`{name}` is missing: {}", description.trim()),
        None => format!("`{name}` is missing"),
    }
}

/// The arguments of one call by the positions of their parameters; few need no memory of their own.
struct Matched<'a> {
    few: [Option<&'a RawValue>; 8],
    many: Vec<Option<&'a RawValue>>,
    count: usize,
}

impl<'a> Matched<'a> {
    /// Matches the members of a JSON object to the parameters. `null` counts as an empty object, and any
    /// other value is the argument of a skill with a single parameter.
    fn new(raw: &'a RawValue, skill: &SkillDescriptor) -> Result<Self, SkillFailure> {
        let table = skill.parameters();
        let mut matched = Self {
            few: [None; 8],
            many: Vec::new(),
            count: table.len(),
        };
        if table.len() > matched.few.len() {
            matched.many.resize(table.len(), None);
        }
        let values = matched.values_mut();
        match raw.get().as_bytes().first() {
            Some(b'{') => serde_json::Deserializer::from_str(raw.get())
                .deserialize_map(Members {
                    table,
                    values,
                    open: matches!(skill.input, InputSchema::Explicit(..)),
                })
                .map_err(|error| SkillFailure::arguments(reason(&error)))?,
            Some(b'n') => {}
            _ => match values {
                [only] => *only = Some(raw),
                _ => {
                    return Err(SkillFailure::arguments(format!(
                        "expected a JSON object with {}",
                        listed(&names(table))
                    )));
                }
            },
        }
        Ok(matched)
    }

    fn values(&self) -> &[Option<&'a RawValue>] {
        self.few.get(..self.count).unwrap_or(&self.many)
    }

    fn values_mut(&mut self) -> &mut [Option<&'a RawValue>] {
        self.few.get_mut(..self.count).unwrap_or(&mut self.many)
    }
}

struct Members<'t, 'v, 'a> {
    table: &'t [ParameterDescriptor],
    values: &'v mut [Option<&'a RawValue>],
    open: bool,
}

impl<'a> Visitor<'a> for Members<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'a>>()? {
            let position = self.table.iter().position(|p| p.name == key.as_str());
            let Some(slot) = position.and_then(|at| self.values.get_mut(at)) else {
                if self.open {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                return Err(A::Error::custom(unknown(key.as_str(), &names(self.table))));
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom(format!(
                    "`{}` is given twice",
                    key.as_str()
                )));
            }
        }
        Ok(())
    }
}

/// A member's name: borrowed unless it is written with escapes.
struct Key<'a>(std::borrow::Cow<'a, str>);

impl Key<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(name.to_owned().into()))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

fn names(table: &[ParameterDescriptor]) -> Vec<&str> {
    table.iter().map(|parameter| parameter.name).collect()
}

/// What to say of a member that no parameter takes.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, &shown), known))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => {
            format!("unknown argument `{shown}`, did you mean `{nearest}`?")
        }
        None => format!("unknown argument `{shown}`, expected {}", listed(known)),
    }
}

/// The names that there are.
pub(crate) fn listed(known: &[&str]) -> String {
    match known {
        [] => "no members".to_owned(),
        _ => known
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Decodes the arguments into a whole struct: the derived one of a skill whose parameters carry
/// `#[serde]` or `#[schemars]` attributes, or the argument type of a closure.
///
/// # Errors
/// When they are not a value of that struct.
pub fn decode_struct<T: DeserializeOwned>(
    raw: &RawValue,
    only_member: Option<&str>,
) -> Result<T, SkillFailure> {
    let text = as_object(raw, only_member)?;
    decode(&text).map_err(|error| error.under(""))
}

fn as_object<'a>(
    raw: &'a RawValue,
    only_member: Option<&str>,
) -> Result<std::borrow::Cow<'a, str>, SkillFailure> {
    let text = raw.get();
    match (text.as_bytes().first(), only_member) {
        (Some(b'{'), _) => Ok(text.into()),
        (Some(b'n'), _) => Ok("{}".into()),
        (_, Some(name)) => Ok(format!("{{{}:{text}}}", Value::from(name)).into()),
        (_, None) => Err(SkillFailure::arguments("expected a JSON object")),
    }
}

/// Deserializes an argument that is not there: only types with a value for "absent" accept it.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = AbsentError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, AbsentError> {
        Err(AbsentError::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AbsentError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::with_whole_numbers;

    #[test]
    fn only_numbers_with_a_fraction_of_zero_become_whole() {
        for (json, whole) in [
            ("5.0", Some("5")),
            ("-12.000", Some("-12")),
            (
                r#"{"1.0": [2.0,3.5], "a\"4.0": -0.0}"#,
                Some(r#"{"1.0": [2,3.5], "a\"4.0": -0}"#),
            ),
            (r#"["\\",7.0,"é8.0"]"#, Some(r#"["\\",7,"é8.0"]"#)),
            ("[1, 2.5, 3.01, 10.10]", None),
            ("[1.0e5, 1e5, 1.0E-2]", None),
            (r#"{"a": "5.0", "b": null}"#, None),
        ] {
            assert_eq!(with_whole_numbers(json).as_deref(), whole, "{json}");
        }
    }
}
