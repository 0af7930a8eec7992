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
use super::decoding::{PathError, decode, reason};
use super::descriptor::{InputSchema, ParameterDescriptor, SkillDescriptor};
use super::output::SkillFailure;
use super::schema::keys;

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
    pub const fn new(name: &'static str, description: Option<&'static str>) -> Self
    where
        T: DeserializeOwned + JsonSchema,
    {
        Self {
            descriptor: ParameterDescriptor {
                name,
                description,
                schema: schema_of::<T>,
                optional: || absent::<T>().is_some(),
                default: None,
                type_name: std::any::type_name::<T>,
                reads: |json| decode::<T>(json).map(drop),
            },
            decode: decode::<T>,
            absent: absent::<T>,
            default: None,
        }
    }

    /// Stands for a parameter of a type that was refused, so that the rest of the skill compiles.
    pub(super) const fn refused(name: &'static str) -> Self {
        Self {
            descriptor: ParameterDescriptor {
                name,
                description: None,
                schema: |_| Schema::default(),
                optional: || false,
                default: None,
                type_name: std::any::type_name::<T>,
                reads: |_| Ok(()),
            },
            decode: |_| Err(PathError::default()),
            absent: || None,
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
        // `null` is absence wherever there is a default.
        let raw = raw.filter(|raw| self.default.is_none() || raw.get() != "null");
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
        let is_open = matches!(skill.input, InputSchema::Explicit(..));
        invocation.read(|arguments| {
            self.take(Matched::new(arguments, skill.parameters(), is_open)?.values())
        })
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

/// Decodes each argument that is there by itself, for the first that is refused.
pub(crate) fn read_each(
    raw: &RawValue,
    table: &'static [ParameterDescriptor],
) -> Result<(), PathError> {
    let Ok(matched) = Matched::new(raw, table, true) else {
        return Ok(());
    };
    for (parameter, value) in table.iter().zip(matched.values()) {
        let is_given = |value: &&RawValue| parameter.default.is_none() || value.get() != "null";
        if let Some(value) = value.filter(is_given) {
            (parameter.reads)(value.get()).map_err(|error| error.within(parameter.name))?;
        }
    }
    Ok(())
}

/// The schema of a type.
fn schema_of<T: DeserializeOwned + JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    keys::named::<T>(generator.subschema_for::<T>(), generator)
}

/// The value of an argument that is not there, where the type has one (`Option`).
fn absent<T: DeserializeOwned>() -> Option<T> {
    T::deserialize(Absent).ok()
}

fn missing(descriptor: &ParameterDescriptor) -> SkillFailure {
    SkillFailure::arguments(is_missing(descriptor.name, descriptor.description))
}

/// Returns the error text for a required parameter that is missing.
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
    fn new(
        raw: &'a RawValue,
        table: &[ParameterDescriptor],
        open: bool,
    ) -> Result<Self, SkillFailure> {
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
                    open,
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

/// Returns the error text for a member that no parameter takes.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    match nearest_name(&shown, known) {
        Some(nearest) => {
            format!("unknown argument `{shown}`, did you mean `{nearest}`?")
        }
        None => format!("unknown argument `{shown}`, expected {}", listed(known)),
    }
}

/// The known name that was likely meant: alike, whatever its case and what joins its words.
pub(crate) fn nearest_name<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = plain(name);
    let alike = |known: &&'a str| {
        let own = plain(known);
        let is_slip = own.chars().count() > 2 && strsim::osa_distance(&own, &name) == 1;
        let score = strsim::jaro_winkler(&own, &name);
        (if is_slip { score.max(0.81) } else { score }, *known)
    };
    known
        .iter()
        .map(alike)
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The start of a name in small letters, without what joins its words.
fn plain(name: &str) -> String {
    let start = name.chars().take(64);
    let letters = start.filter(|letter| !matches!(letter, '_' | '-' | ' ' | '.'));
    letters.flat_map(char::to_lowercase).collect()
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
