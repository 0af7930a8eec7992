//! Schemas of Rust types: schemars' output, gathered into one object and shaped for codex.

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Value, json};

use super::shape::{Place, Shaper};
use super::{Object, accepts_anything, refused};
use crate::skill::descriptor::ParameterDescriptor;

/// A shaped schema, and what was learnt on the way.
pub(super) struct Generated {
    pub(super) value: Value,
    pub(super) says_more: bool,
    pub(super) undocumented: Vec<String>,
}

/// From the parameter table of a function.
pub(super) fn of_parameters(parameters: &[ParameterDescriptor]) -> Result<Generated, String> {
    let mut generator = settings().for_deserialize().into_generator();
    let mut properties = Object::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let schema = (parameter.schema)(&mut generator).into();
        properties.insert(parameter.name.to_owned(), property(parameter, schema));
        if parameter.required() {
            required.push(Value::from(parameter.name));
        }
    }
    let root = [
        ("type", "object".into()),
        ("properties", properties.into()),
        ("required", required.into()),
        ("additionalProperties", false.into()),
    ];
    let root: Object = root
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
    shape_input(root.into(), &mut generator)
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

/// The schema of a parameter with what its declaration adds to the type.
fn property(parameter: &ParameterDescriptor, mut schema: Value) -> Value {
    let description = parameter.description.filter(|text| !text.trim().is_empty());
    let default = parameter.default.and_then(|default| default());
    if description.is_none() && default.is_none() {
        return schema;
    }
    if !schema.is_object() && accepts_anything(&schema) {
        schema = json!({});
    }
    if let Value::Object(members) = &mut schema {
        if let Some(description) = description {
            members.insert("description".to_owned(), description.into());
        }
        if let Some(default) = default {
            members.insert("default".to_owned(), default);
        }
    }
    schema
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
    refused::check(&value).map_err(|refusal| refusal.to_string())?;
    Ok(Generated {
        value,
        says_more: shaper.says_more,
        undocumented: shaper.undocumented,
    })
}

fn shape_whole(
    shaper: &mut Shaper,
    root: Value,
    generator: &mut SchemaGenerator,
) -> Result<Value, String> {
    let definitions = Value::Object(generator.take_definitions(false));
    refused::check_depth(&root)?;
    refused::check_depth(&definitions)?;
    let mut value = shaper.shape(root, Place::Root);
    if let (true, Value::Object(root), Value::Object(definitions)) =
        (shaper.refers, &mut value, definitions)
    {
        let definitions: Object = definitions
            .into_iter()
            .map(|(name, schema)| (name, shaper.shape(schema, Place::Inside)))
            .collect();
        root.insert("$defs".to_owned(), definitions.into());
    }
    Ok(value)
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
