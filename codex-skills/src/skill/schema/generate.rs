//! Schemas of Rust types: schemars' output, gathered into one object and shaped for codex.

use std::collections::HashMap;

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Value, json};

use super::shape::{self, Place, Shaper};
use super::words::Natural;
use super::{Object, accepts_anything, refused, validate, variants};
use crate::skill::descriptor::ParameterDescriptor;

/// A shaped schema, and what was learnt on the way.
pub(super) struct Generated {
    pub(super) value: Value,
    /// Whether it is valid by what it is made of.
    pub(super) surely_valid: bool,
    pub(super) says_more: bool,
    pub(super) undocumented: Vec<String>,
}

/// Types of parameters that were shaped before, by the functions that make their schemas.
pub(super) type Bares = HashMap<usize, Bare>;

/// The shaped schema of a type without what a parameter may say about it.
pub(super) struct Bare {
    schema: Object,
    natural: Natural,
    says_more: bool,
    refers: bool,
}

impl Bare {
    /// Takes a schema whose shape does not depend on its description and default, or hands it back.
    fn new(raw: Value) -> Result<Self, Value> {
        match raw {
            Value::Object(mut schema) if !shape::needs_rewriting(&schema) => {
                let mut shaper = Shaper::for_input();
                let natural = shaper.body(&mut schema, Place::Inside);
                Ok(Self {
                    schema,
                    natural,
                    says_more: shaper.says_more,
                    refers: shaper.refers,
                })
            }
            raw => Err(raw),
        }
    }

    /// The property of a parameter of the type.
    fn property(&self, own: Own, shaper: &mut Shaper) -> Value {
        shaper.says_more |= self.says_more;
        shaper.refers |= self.refers;
        let mut schema = self.schema.clone();
        own.write(&mut schema);
        // A default of `null` says nothing.
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        shaper.say(&mut schema, &self.natural);
        schema.into()
    }
}

/// From the parameter table of a function.
pub(super) fn of_parameters(
    parameters: &[ParameterDescriptor],
    known: &mut Bares,
) -> Result<Generated, String> {
    let mut generator = settings().for_deserialize().into_generator();
    let mut shaper = Shaper::for_input();
    let mut properties = Object::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let property = property(parameter, known, &mut shaper, &mut generator)?;
        properties.insert(parameter.name.to_owned(), property);
        if parameter.required() {
            required.push(Value::from(parameter.name));
        }
    }
    shaper.undocumented.sort_unstable();
    let mut root = Object::new();
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), properties.into());
    root.insert("required".to_owned(), required.into());
    root.insert("additionalProperties".to_owned(), Value::Bool(false));
    shape::dedupe_required(&mut root);
    define(&mut shaper, &mut root, &mut generator)?;
    generated(root.into(), shaper)
}

fn property(
    parameter: &ParameterDescriptor,
    known: &mut Bares,
    shaper: &mut Shaper,
    generator: &mut SchemaGenerator,
) -> Result<Value, String> {
    let own = Own::of(parameter)?;
    // The same function makes the same schema.
    let key = parameter.schema as usize;
    let (mut raw, bare) = match known.get(&key) {
        Some(bare) => (Value::Null, Some(bare)),
        None => {
            let raw: Value = (parameter.schema)(generator).into();
            refused::check_depth_below(&raw, PROPERTY_DEPTH)?;
            // What refers to definitions needs them in each skill.
            if generator.definitions().is_empty() {
                match Bare::new(raw) {
                    Ok(bare) => (Value::Null, Some(&*known.entry(key).or_insert(bare))),
                    Err(raw) => (raw, None),
                }
            } else {
                (raw, None)
            }
        }
    };
    if let Some(bare) = bare {
        if own.description.is_none() && !variants::is_described(&bare.schema) {
            shaper.undocumented.push(parameter.name.to_owned());
        }
        return Ok(bare.property(own, shaper));
    }
    own.write_into(&mut raw);
    if !variants::is_documented(&raw) {
        shaper.undocumented.push(parameter.name.to_owned());
    }
    Ok(shaper.shape(raw, Place::Inside))
}

/// From a whole arguments type.
pub(super) fn of_arguments(
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Result<Generated, String> {
    let mut generator = settings().for_deserialize().into_generator();
    let mut root: Value = schema(&mut generator).into();
    if accepts_anything(&root) {
        root = json!({"type": "object", "properties": {}, "additionalProperties": true});
    }
    shape_input(root, &mut generator)
}

/// From the type of an answer; none where that type says nothing.
pub(super) fn of_output(
    schema: fn(&mut SchemaGenerator) -> Option<Schema>,
) -> Result<Option<Value>, String> {
    let mut generator = settings().for_serialize().into_generator();
    let Some(schema) = schema(&mut generator) else {
        return Ok(None);
    };
    let root = schema.into();
    if accepts_anything(&root) {
        return Ok(None);
    }
    let mut shaper = Shaper::for_output();
    let mut value = shape_whole(&mut shaper, root, &mut generator)?;
    value.sort_all_objects();
    Ok(Some(value))
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

/// How many levels are above the schema of a parameter.
const PROPERTY_DEPTH: usize = 2;

/// What the declaration of a parameter adds to its type.
struct Own {
    description: Option<&'static str>,
    default: Option<Value>,
}

impl Own {
    fn of(parameter: &ParameterDescriptor) -> Result<Self, String> {
        let default = parameter.default.and_then(|default| default());
        if let Some(default) = &default {
            refused::check_depth_below(default, PROPERTY_DEPTH + 1)?;
        }
        Ok(Self {
            description: parameter.description.filter(|text| !text.trim().is_empty()),
            default,
        })
    }

    fn write_into(self, schema: &mut Value) {
        if self.description.is_none() && self.default.is_none() {
            return;
        }
        if !schema.is_object() && accepts_anything(schema) {
            *schema = json!({});
        }
        if let Value::Object(members) = schema {
            self.write(members);
        }
    }

    fn write(self, schema: &mut Object) {
        if let Some(description) = self.description {
            schema.insert("description".to_owned(), description.into());
        }
        if let Some(default) = self.default {
            schema.insert("default".to_owned(), default);
        }
    }
}

fn shape_input(root: Value, generator: &mut SchemaGenerator) -> Result<Generated, String> {
    let mut shaper = Shaper::for_input();
    let mut value = shape_whole(&mut shaper, root, generator)?;
    let Value::Object(members) = &mut value else {
        return Err(not_an_object());
    };
    if !is_object(members) {
        return Err(not_an_object());
    }
    members.insert("type".to_owned(), "object".into());
    if !members.contains_key("anyOf") {
        members
            .entry("properties")
            .or_insert_with(|| Value::Object(Object::new()));
    }
    generated(value, shaper)
}

fn generated(value: Value, shaper: Shaper) -> Result<Generated, String> {
    // What is valid beyond doubt is nothing that codex refuses.
    let surely_valid = validate::is_surely_valid(&value);
    if !surely_valid {
        refused::check(&value).map_err(|refusal| refusal.to_string())?;
    }
    Ok(Generated {
        value,
        surely_valid,
        says_more: shaper.says_more,
        undocumented: shaper.undocumented,
    })
}

fn shape_whole(
    shaper: &mut Shaper,
    root: Value,
    generator: &mut SchemaGenerator,
) -> Result<Value, String> {
    refused::check_depth(&root)?;
    let mut value = shaper.shape(root, Place::Root);
    if let Value::Object(root) = &mut value {
        define(shaper, root, generator)?;
    }
    Ok(value)
}

/// Adds the definitions that a schema refers to.
fn define(
    shaper: &mut Shaper,
    root: &mut Object,
    generator: &mut SchemaGenerator,
) -> Result<(), String> {
    let definitions = Value::Object(generator.take_definitions(false));
    refused::check_depth(&definitions)?;
    if let (true, Value::Object(definitions)) = (shaper.refers, definitions) {
        let definitions: Object = definitions
            .into_iter()
            .map(|(name, schema)| (name, shaper.shape(schema, Place::Inside)))
            .collect();
        root.insert("$defs".to_owned(), definitions.into());
    }
    Ok(())
}

/// Whether every value that the schema accepts is an object.
fn is_object(members: &Object) -> bool {
    match members.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(_) => false,
        None => members
            .get("anyOf")
            .and_then(Value::as_array)
            .is_some_and(|branches| {
                branches
                    .iter()
                    .all(|branch| branch.as_object().is_some_and(is_object))
            }),
    }
}

fn not_an_object() -> String {
    "its arguments are not a JSON object: take a struct with named fields".to_owned()
}
