//! Where the schema that arguments are checked against comes from.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::refusals::{Reader, Reads};
use crate::skill::descriptor::ParameterDescriptor;

/// Where the schema that arguments are checked against comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The types of a function's parameters.
    Parameters(&'static [ParameterDescriptor]),
    /// The type of a function's arguments, made by its macro.
    Derived(fn(&mut SchemaGenerator) -> Schema, Reads),
    /// The type of a closure's argument.
    Closure(fn(&mut SchemaGenerator) -> Schema, Reads),
    /// Written by the user, for a function with these parameters or for a closure.
    Written(&'static [ParameterDescriptor]),
}

impl Source {
    /// The schema of the types; none where it is written.
    pub(super) fn schema(&self) -> Option<Value> {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|settings| {
                settings.inline_subschemas = true;
                settings.meta_schema = None;
            })
            .for_deserialize()
            .into_generator();
        let mut root: Value = match self {
            Self::Parameters(parameters) => of_parameters(parameters, &mut generator),
            Self::Derived(schema, _) | Self::Closure(schema, _) => schema(&mut generator).into(),
            Self::Written(_) => return None,
        };
        let definitions = generator.take_definitions(false);
        if let Value::Object(members) = &mut root
            && !definitions.is_empty()
        {
            members.insert("$defs".to_owned(), definitions.into());
        }
        Some(root)
    }

    /// The names of the parameters, in their order.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Parameters(parameters) => {
                let names = parameters.iter().map(|parameter| parameter.name.to_owned());
                Some(names.collect())
            }
            Self::Derived(..) | Self::Closure(..) | Self::Written(_) => None,
        }
    }

    /// What decodes the arguments; none for those of a closure with a written schema.
    pub(super) fn reader(&self) -> Option<Reader> {
        match self {
            Self::Parameters(parameters) => Some(Reader::Parameters(parameters)),
            Self::Derived(_, reads) | Self::Closure(_, reads) => Some(Reader::Whole(*reads)),
            Self::Written([]) => None,
            Self::Written(parameters) => Some(Reader::Parameters(parameters)),
        }
    }

    /// Whether a value that is no object may be the only argument.
    pub(super) fn takes_bare(&self) -> bool {
        match self {
            Self::Parameters(_) | Self::Derived(..) => true,
            Self::Written(parameters) => parameters.len() == 1,
            Self::Closure(..) => false,
        }
    }
}

fn of_parameters(parameters: &[ParameterDescriptor], generator: &mut SchemaGenerator) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let schema = (parameter.schema)(generator).into();
        properties.insert(parameter.name.to_owned(), schema);
        if parameter.required() {
            required.push(parameter.name);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
