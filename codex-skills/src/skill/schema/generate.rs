//! Schemas of Rust types: schemars' output, gathered into one object and shaped for codex.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::inline::Inliner;
use super::shape::{self, Place, Shaper};
use super::words::{self, Natural};
use super::{
    Object, accepts_anything, flat, lift, raw as to_raw, refused, share, validate, variants,
    written,
};
use crate::skill::descriptor::ParameterDescriptor;

/// A shaped schema, and what was learnt on the way.
pub(super) struct Generated {
    pub(super) schema: Made,
    /// Whether it is valid by what it is made of.
    pub(super) surely_valid: bool,
    pub(super) says_more: bool,
    pub(super) undocumented: Vec<String>,
    /// What the model would not be shown of it, a line each.
    pub(super) unsaid: Vec<String>,
}

/// A schema as it was made.
pub(super) enum Made {
    Value {
        shown: Value,
        /// What arguments are checked against, where that is not what is shown.
        checked: Option<Value>,
    },
    /// From parts that were text already.
    Text(Box<RawValue>),
}

/// Types of parameters by the functions that make their schemas, which make the same each time.
pub(super) type Types = HashMap<usize, Type>;

/// What is known of the type of a parameter.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large one, and few there are"
)]
pub(super) enum Type {
    /// All but what the parameter says about it.
    Shaped(Shaped),
    /// The schema as it was generated: its shape depends on what the parameter says.
    Raw(Value),
}

/// The shaped schema of a type.
pub(super) struct Shaped {
    schema: Object,
    natural: Natural,
    says_more: bool,
    description: Option<String>,
    /// The other members as text, sorted.
    members: Vec<(String, Box<RawValue>)>,
    /// What is said of what the type is made of.
    below: lift::Part,
    /// What the type and its parts demand, in words.
    demands: String,
}

impl Type {
    fn new(raw: Value) -> Self {
        match raw {
            Value::Object(schema) if !shape::depends_on_annotations(&schema) => {
                Shaped::new(schema).map_or_else(Self::Raw, Self::Shaped)
            }
            raw => Self::Raw(raw),
        }
    }
}

impl Shaped {
    /// Hands back what text would not hold exactly, or what has to be looked at within its whole.
    fn new(raw: Object) -> Result<Self, Value> {
        let mut shaper = Shaper::for_input();
        let mut schema = raw.clone();
        let natural = shaper.body(&mut schema, Place::Inside);
        let demands = words::of(&schema, &natural);
        let mut value = Value::Object(schema);
        if shaper.refers || shaper.leaves_unsaid || flat::flatten_part(&mut value) {
            return Err(raw.into());
        }
        value.sort_all_objects();
        let Value::Object(mut schema) = value else {
            return Err(raw.into());
        };
        let below = lift::below(&mut schema);
        if !is_simple(&schema) {
            return Err(raw.into());
        }
        let description = variants::description(&schema).map(str::to_owned);
        Ok(Self {
            members: schema
                .iter()
                .filter(|(keyword, _)| *keyword != "description")
                .map(|(keyword, value)| (keyword.clone(), to_raw(value)))
                .collect(),
            demands: below.demands(demands),
            description,
            below,
            says_more: shaper.says_more,
            natural,
            schema,
        })
    }

    /// The description of a parameter of this type.
    fn described<'a>(&'a self, own: Option<&'a str>) -> Option<Cow<'a, str>> {
        let (Some(own), docs) = (own, self.below.docs()) else {
            let own = self.description.as_deref();
            return self.below.described(own, &self.demands).map(Cow::Owned);
        };
        match &self.description {
            None if docs.is_empty() => words::described(Some(own), &self.demands),
            of_type => {
                let text = words::join(own, of_type.as_deref().unwrap_or_default());
                self.below
                    .described(Some(&text), &self.demands)
                    .map(Cow::Owned)
            }
        }
    }

    /// The property of a parameter with a default.
    fn with(&self, own: Own) -> Object {
        let mut schema = self.schema.clone();
        own.write(&mut schema);
        // A default of `null` says nothing.
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        shape::keep_description(&mut schema);
        let demands = words::of(&schema, &self.natural);
        let own = variants::description(&schema);
        if let Some(text) = self.below.described(own, &self.below.demands(demands)) {
            schema.insert("description".to_owned(), text.into());
        }
        schema
    }
}

/// Whether a schema is surely valid, and the same after it was written and read.
fn is_simple(schema: &Object) -> bool {
    fn is_exact(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_f64(),
            Value::Array(items) => items.iter().all(is_exact),
            Value::Object(members) => members.values().all(is_exact),
            Value::Null | Value::Bool(_) | Value::String(_) => true,
        }
    }
    validate::are_surely_valid(schema) && schema.values().all(is_exact)
}

/// From the parameter table of a function.
pub(super) fn of_parameters(
    parameters: &[ParameterDescriptor],
    types: &mut Types,
) -> Result<Generated, String> {
    match one_by_one(parameters, types)? {
        Some(generated) => Ok(generated),
        None => all_at_once(parameters),
    }
}

pub(super) fn all_at_once(parameters: &[ParameterDescriptor]) -> Result<Generated, String> {
    let mut generator = settings().for_deserialize().into_generator();
    let root = gathered(parameters, &mut generator, |parameter, schema| {
        Own::of(parameter)?.write_into(schema);
        Ok(())
    })?;
    shape_input(root, &mut generator)
}

/// An object of the schemas of parameters.
fn gathered(
    parameters: &[ParameterDescriptor],
    generator: &mut SchemaGenerator,
    mut describe: impl FnMut(&ParameterDescriptor, &mut Value) -> Result<(), String>,
) -> Result<Value, String> {
    let mut properties = Object::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let mut schema = (parameter.schema)(generator).into();
        describe(parameter, &mut schema)?;
        properties.insert(parameter.name.to_owned(), schema);
        if parameter.required() {
            required.push(Value::from(parameter.name));
        }
    }
    let mut root = Object::new();
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), properties.into());
    root.insert("required".to_owned(), required.into());
    root.insert("additionalProperties".to_owned(), Value::Bool(false));
    Ok(root.into())
}

/// The object with its members in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Root<'a> {
    additional_properties: bool,
    properties: BTreeMap<&'static str, Property<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<&'static str>,
    r#type: &'static str,
}

enum Property<'a> {
    /// A known type, with a description.
    Of(&'a Shaped, Option<Cow<'a, str>>),
    Own(Value),
}

impl Property<'_> {
    /// A schema of its own; none where it has to be looked at within the whole.
    fn own(mut schema: Value) -> Option<Self> {
        let is_simple = schema.as_object().is_some_and(is_simple);
        is_simple.then(|| {
            schema.sort_all_objects();
            Self::Own(schema)
        })
    }
}

impl Serialize for Property<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (shaped, description) = match self {
            Self::Of(shaped, description) => (shaped, description),
            Self::Own(value) => return value.serialize(serializer),
        };
        let mut map = serializer.serialize_map(None)?;
        let mut description = description.as_deref();
        for (keyword, value) in &shaped.members {
            if keyword.as_str() > "description"
                && let Some(description) = description.take()
            {
                map.serialize_entry("description", description)?;
            }
            map.serialize_entry(keyword, value)?;
        }
        if let Some(description) = description {
            map.serialize_entry("description", description)?;
        }
        map.end()
    }
}

/// Makes the text of the whole from its parts, of which most are known. None where that would not do: parts refer
/// to definitions, or are to be checked within the whole.
fn one_by_one(
    parameters: &[ParameterDescriptor],
    types: &mut Types,
) -> Result<Option<Generated>, String> {
    for parameter in parameters {
        if let Entry::Vacant(entry) = types.entry(parameter.schema as usize) {
            let mut generator = settings().for_deserialize().into_generator();
            let mut raw: Value = (parameter.schema)(&mut generator).into();
            if !generator.definitions().is_empty() {
                let mut inliner = Inliner::new(generator.definitions());
                inliner.inline(&mut raw);
                if !inliner.left.is_empty() {
                    return Ok(None);
                }
            }
            refused::check_depth_below(&raw, PROPERTY_DEPTH)?;
            entry.insert(Type::new(raw));
        }
    }
    let mut shaper = Shaper::for_input();
    let mut properties = BTreeMap::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let own = Own::of(parameter)?;
        let property = match types.get(&(parameter.schema as usize)) {
            Some(Type::Shaped(shaped)) => {
                shaper.says_more |= shaped.says_more;
                let description = own.description.or(shaped.description.as_deref());
                if description.is_none_or(|text| text.trim().is_empty()) {
                    shaper.undocumented.push(parameter.name.to_owned());
                }
                if own.default.is_some() {
                    Property::own(shaped.with(own).into())
                } else {
                    Some(Property::Of(shaped, shaped.described(own.description)))
                }
            }
            Some(Type::Raw(raw)) => {
                let mut raw = raw.clone();
                own.write_into(&mut raw);
                if !variants::is_documented(&raw) {
                    shaper.undocumented.push(parameter.name.to_owned());
                }
                let mut shaped = shaper.shape(raw, Place::Inside);
                if shaper.leaves_unsaid || flat::flatten_part(&mut shaped) {
                    return Ok(None);
                }
                lift::finish(&mut shaped);
                Property::own(shaped)
            }
            None => None,
        };
        let Some(property) = property else {
            return Ok(None);
        };
        properties.insert(parameter.name, property);
        if parameter.required() && !required.contains(&parameter.name) {
            required.push(parameter.name);
        }
    }
    shaper.undocumented.sort_unstable();
    let root = Root {
        additional_properties: false,
        properties,
        required,
        r#type: "object",
    };
    Ok(Some(Generated {
        schema: Made::Text(to_raw(&root)),
        // All its parts are.
        surely_valid: true,
        says_more: shaper.says_more,
        undocumented: shaper.undocumented,
        unsaid: Vec::new(),
    }))
}

/// From a whole arguments type.
pub(super) fn of_arguments(
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Result<Generated, String> {
    let mut generator = settings().for_deserialize().into_generator();
    let mut root: Value = schema(&mut generator).into();
    say_own(&mut root);
    if accepts_anything(&root) {
        root = json!({"type": "object", "properties": {}, "additionalProperties": true});
    }
    shape_input(root, &mut generator)
}

/// Joins what parameters say of themselves with what their types say.
fn say_own(root: &mut Value) {
    let properties = root.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Object::values_mut) {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        if let Some(Value::String(own)) = property.remove(words::OWN) {
            let of_type = property.get("description").and_then(Value::as_str);
            let text = words::join(&own, of_type.unwrap_or_default());
            if !text.is_empty() {
                property.insert("description".to_owned(), text.into());
            }
        }
    }
}

/// From the type of an answer; none where that type says nothing.
pub(super) fn of_output(
    schema: fn(&mut SchemaGenerator) -> Option<Schema>,
) -> Result<Option<Value>, String> {
    let mut generator = settings().for_serialize().into_generator();
    let Some(schema) = schema(&mut generator) else {
        return Ok(None);
    };
    let root = of_success(schema.into(), generator.definitions());
    if accepts_anything(&root) {
        return Ok(None);
    }
    let mut shaper = Shaper::for_output();
    let mut value = shape_whole(&mut shaper, root, &mut generator)?;
    value.sort_all_objects();
    Ok(Some(value))
}

/// The schema of a successful answer: a `Result` that is all of it, also in an `Option`, is described by its value alone, as it
/// is written.
fn of_success(mut schema: Value, definitions: &Object) -> Value {
    while let Some(value) = value_of_result(&schema, definitions) {
        schema = value;
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf")
        && let [inner, null] = branches.as_mut_slice()
        && null.get("type").is_some_and(|name| name == "null")
    {
        *inner = of_success(inner.take(), definitions);
    }
    schema
}

/// The schema of the value of a `Result`, where a schema refers to one.
fn value_of_result(schema: &Value, definitions: &Object) -> Option<Value> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    let definition = definitions
        .get(name)
        .filter(|_| name.starts_with("Result_of_"))?;
    definition.pointer("/oneOf/0/properties/Ok").cloned()
}

/// The schema of whole arguments as their type has it.
pub(super) fn raw_arguments(schema: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = settings().for_deserialize().into_generator();
    let mut raw = schema(&mut generator).into();
    Inliner::new(generator.definitions()).inline(&mut raw);
    raw
}

/// The schema of parameters as their types have it.
pub(super) fn raw_parameters(parameters: &[ParameterDescriptor]) -> Value {
    let mut generator = settings().for_deserialize().into_generator();
    let mut raw = gathered(parameters, &mut generator, |_, _| Ok(())).unwrap_or_default();
    Inliner::new(generator.definitions()).inline(&mut raw);
    raw
}

/// The names of the types of parameters, by their keys.
pub(super) fn names_of_parameters(
    parameters: &[ParameterDescriptor],
) -> HashMap<String, share::Named> {
    names(|generator| {
        for parameter in parameters {
            (parameter.schema)(generator);
        }
    })
}

/// The names of the types in arguments, by their keys.
pub(super) fn names_of_arguments(
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> HashMap<String, share::Named> {
    names(|generator| {
        schema(generator);
    })
}

/// The names of types by the schemas that they have, for definitions.
fn names(make: impl FnOnce(&mut SchemaGenerator)) -> HashMap<String, share::Named> {
    let mut generator = settings().for_deserialize().into_generator();
    make(&mut generator);
    let definitions = generator.take_definitions(false);
    let mut names = HashMap::new();
    for name in definitions.keys() {
        let mut schema = Inliner::new(&definitions).described(name);
        if refused::check_depth(&schema).is_err() {
            continue;
        }
        schema = Shaper::for_input().shape(schema, Place::Inside);
        flat::flatten_part(&mut schema);
        lift::finish(&mut schema);
        let doc = schema.as_object().and_then(variants::description);
        let named = || share::Named {
            name: name.clone(),
            doc: doc.unwrap_or_default().to_owned(),
        };
        names.entry(share::key(&schema)).or_insert_with(named);
    }
    names
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None)
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
        if let Some(own) = self.description {
            let of_type = variants::description(schema).unwrap_or_default();
            let text = words::join(own, of_type);
            schema.insert("description".to_owned(), text.into());
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

fn generated(mut value: Value, shaper: Shaper) -> Result<Generated, String> {
    // What is valid beyond doubt is nothing that codex refuses.
    let mut shown = value.clone();
    let flattened = flat::flatten(&mut shown);
    lift::finish(&mut shown);
    if flattened {
        lift::finish(&mut value);
    } else {
        value = Value::Null;
    }
    let checked = if flattened { &value } else { &shown };
    let surely_valid = validate::is_surely_valid(checked);
    for schema in [checked, &shown] {
        if !surely_valid || flattened {
            refused::check(schema).map_err(|refusal| refusal.to_string())?;
        }
    }
    let unsaid = if shaper.leaves_unsaid {
        written::unsaid(&shown)
    } else {
        Vec::new()
    };
    Ok(Generated {
        schema: Made::Value {
            shown,
            checked: flattened.then_some(value),
        },
        surely_valid,
        says_more: shaper.says_more,
        undocumented: shaper.undocumented,
        unsaid,
    })
}

/// Shapes a schema with the definitions that it still refers to.
fn shape_whole(
    shaper: &mut Shaper,
    mut root: Value,
    generator: &mut SchemaGenerator,
) -> Result<Value, String> {
    let definitions = generator.take_definitions(false);
    let mut inliner = Inliner::new(&definitions);
    inliner.inline(&mut root);
    refused::check_depth(&root)?;
    let mut value = shaper.shape(root, Place::Root);
    if let Value::Object(root) = &mut value {
        let needed = define(shaper, inliner)?;
        if !needed.is_empty() {
            root.insert("$defs".to_owned(), needed.into());
        }
    }
    Ok(value)
}

/// The definitions that are referred to, and those that they refer to.
fn define(shaper: &mut Shaper, mut inliner: Inliner<'_>) -> Result<Object, String> {
    let mut needed = Object::new();
    while let Some(name) = inliner.left.pop_first() {
        if needed.contains_key(name) {
            continue;
        }
        let schema = inliner.definition(name);
        refused::check_depth(&schema)?;
        needed.insert(name.to_owned(), shaper.shape(schema, Place::Inside));
    }
    Ok(needed)
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
