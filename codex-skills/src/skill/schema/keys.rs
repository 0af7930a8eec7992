//! The names that the members of a map may have, where its keys are no texts. Types know them, and their schemas do not
//! say them: neither the range of integers, nor booleans, nor the words of an enumeration once one is documented. They
//! are learned from decoding, which asks for them.

use schemars::{Schema, SchemaGenerator};
use serde::de::value::{Error as ProbeError, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, json};

use super::words::KEYS;

/// Most maps in one type whose names are looked for, and most levels down to one.
const MAPS: usize = 32;
const DEPTH: usize = 8;

/// A name that no enumeration has.
const OTHER: &str = "\u{1} no name \u{2}";

type Words = &'static [&'static str];

/// What the keys of a map are decoded from.
#[derive(Clone, Debug, PartialEq)]
enum Names {
    Words(Words),
    /// Integers, the least and the most in digits.
    Whole(String, String),
    Letters,
}

impl Names {
    /// For [`KEYS`].
    fn said(&self) -> Value {
        match self {
            Self::Words(words) => (*words).into(),
            Self::Whole(least, most) => json!({"least": least, "most": most}),
            Self::Letters => "names are single characters".into(),
        }
    }
}

/// A step from a schema to one inside it.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Item,
    Value,
}

/// The schema of a type with the names that the members of its maps may have.
pub(crate) fn named<T: DeserializeOwned>(
    mut schema: Schema,
    generator: &mut SchemaGenerator,
) -> Schema {
    for way in ways(schema.as_value(), generator.definitions()) {
        let mut names = None;
        // It fails in any case: nothing is there to be read.
        let _ = T::deserialize(Probe {
            way: &way,
            names: &mut names,
        });
        if let (Some(names), Some(members)) = (names, schema.as_object_mut()) {
            insert(members, &way, &names, generator.definitions_mut());
        }
    }
    schema
}

/// The ways to maps whose names are open.
fn ways(schema: &Value, definitions: &Map<String, Value>) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    walk(
        schema,
        definitions,
        &mut Vec::new(),
        &mut Vec::new(),
        &mut found,
    );
    found
}

fn walk<'a>(
    schema: &'a Value,
    definitions: &'a Map<String, Value>,
    way: &mut Vec<Step>,
    open: &mut Vec<&'a str>,
    found: &mut Vec<Vec<Step>>,
) {
    let Value::Object(members) = schema else {
        return;
    };
    if way.len() > DEPTH || found.len() >= MAPS {
        return;
    }
    if let Some(name) = definition(members)
        && !open.contains(&name)
        && let Some(target) = definitions.get(name)
    {
        open.push(name);
        walk(target, definitions, way, open, found);
        open.pop();
    }
    let is_map = values(members).is_some() && !members.contains_key("properties");
    if is_map && !members.contains_key("propertyNames") && !members.contains_key(KEYS) {
        found.push(way.clone());
    }
    let mut down = |step: Step, schema: &'a Value, way: &mut Vec<Step>| {
        way.push(step);
        walk(schema, definitions, way, open, found);
        way.pop();
    };
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    down(Step::Member(name.clone()), schema, way);
                }
            }
            ("items", schema) => down(Step::Item, schema, way),
            _ => {}
        }
    }
    if let Some(schema) = values(members).filter(|_| is_map) {
        down(Step::Value, schema, way);
    }
    // An option is what it holds, or null.
    if let Some(Value::Array(branches)) = members.get("anyOf") {
        for branch in branches {
            walk(branch, definitions, way, open, found);
        }
    }
}

/// What the values of a map are. schemars writes a pattern for the names where these are integers.
fn values(members: &Map<String, Value>) -> Option<&Value> {
    match members.get("additionalProperties") {
        None => None,
        Some(Value::Bool(false)) => members
            .get("patternProperties")?
            .as_object()?
            .values()
            .next(),
        others => others,
    }
}

fn values_mut(members: &mut Map<String, Value>) -> Option<&mut Value> {
    match members.get("additionalProperties")? {
        Value::Bool(false) => members
            .get_mut("patternProperties")?
            .as_object_mut()?
            .values_mut()
            .next(),
        _ => members.get_mut("additionalProperties"),
    }
}

/// The definition that a schema refers to.
fn definition(members: &Map<String, Value>) -> Option<&str> {
    members.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn insert(
    members: &mut Map<String, Value>,
    way: &[Step],
    names: &Names,
    definitions: &mut Map<String, Value>,
) {
    if let Some(name) = definition(members).map(str::to_owned)
        && let Some(Value::Object(mut target)) = definitions.get_mut(&name).map(Value::take)
    {
        insert(&mut target, way, names, definitions);
        definitions.insert(name, target.into());
    }
    if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
        for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
            insert(branch, way, names, definitions);
        }
    }
    let Some((step, rest)) = way.split_first() else {
        if members.contains_key("additionalProperties") {
            members.insert(KEYS.to_owned(), names.said());
        }
        return;
    };
    let inner = match step {
        Step::Member(name) => members
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(name)),
        Step::Item => members.get_mut("items"),
        Step::Value => values_mut(members),
    };
    if let Some(Value::Object(inner)) = inner {
        insert(inner, rest, names, definitions);
    }
}

/// Goes a way into a type, and notes the names that it asks for at its end.
struct Probe<'a> {
    way: &'a [Step],
    names: &'a mut Option<Names>,
}

fn nothing() -> ProbeError {
    ProbeError::custom("nothing")
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        Err(nothing())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        visitor.visit_some(self)
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
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        match self.way.first() {
            Some(Step::Item) => Err(nothing()),
            _ => visitor.visit_map(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        match self.way.first() {
            Some(Step::Item) => visitor.visit_seq(self),
            _ => Err(nothing()),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Probe<'_> {
    type Error = ProbeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ProbeError> {
        let name = match self.way.first() {
            None => return seed.deserialize(Name(self.names)).map(Some),
            Some(Step::Member(name)) => name.as_str(),
            _ => return seed.deserialize(AnyName).map(Some),
        };
        let key: StrDeserializer<'_, ProbeError> = name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ProbeError> {
        seed.deserialize(self.inside()?)
    }
}

impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = ProbeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ProbeError> {
        seed.deserialize(self.inside()?).map(Some)
    }
}

impl Probe<'_> {
    fn inside(&mut self) -> Result<Probe<'_>, ProbeError> {
        let (_, way) = self.way.split_first().ok_or_else(nothing)?;
        Ok(Probe {
            way,
            names: self.names,
        })
    }
}

/// Name of a member that a map is asked for.
struct Name<'a>(&'a mut Option<Names>);

impl Name<'_> {
    fn note<T>(self, names: Names) -> Result<T, ProbeError> {
        *self.0 = Some(names);
        Err(nothing())
    }
}

macro_rules! whole {
    ($($method:ident, $visit:ident, $kind:ident);*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
            // A type without 0 refuses it.
            let has_zero = visitor.$visit::<ProbeError>(0).is_ok();
            let least = if $kind::MIN == 0 && !has_zero { 1 } else { $kind::MIN };
            self.note(Names::Whole(least.to_string(), $kind::MAX.to_string()))
        })*
    };
}

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        Err(nothing())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: Words,
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        // One that takes any other name besides has no list.
        let other: StrDeserializer<'_, ProbeError> = OTHER.into_deserializer();
        if visitor.visit_enum(other).is_ok() {
            return Err(nothing());
        }
        self.note(Names::Words(variants))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        self.note(Names::Words(&["true", "false"]))
    }

    fn deserialize_char<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        self.note(Names::Letters)
    }

    whole! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_i64, visit_i64, i64;
        deserialize_u64, visit_u64, u64;
        deserialize_i128, visit_i128, i128;
        deserialize_u128, visit_u128, u128
    }

    forward_to_deserialize_any! {
        f32 f64 str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

macro_rules! any_whole {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
            visitor.visit_u64(1)
        })*
    };
}

/// Some name of a member, whatever names are decoded into.
struct AnyName;

impl<'de> Deserializer<'de> for AnyName {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        visitor.visit_str("0")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        visitor.visit_bool(true)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: Words,
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        let first = variants.first().ok_or_else(nothing)?;
        let name: StrDeserializer<'_, ProbeError> = (*first).into_deserializer();
        visitor.visit_enum(name)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ProbeError> {
        visitor.visit_char('0')
    }

    any_whole! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_i128 deserialize_u128
    }

    forward_to_deserialize_any! {
        f32 f64 str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
