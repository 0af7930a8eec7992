//! Schemas as codex keeps them (contract §1.4), checks of what they demand, and values as text.
//! Which schema a skill has is decided here; rendering it into a declaration is the catalog's job.

mod compose;
mod generate;
pub(crate) mod refused;
mod shape;
pub(crate) mod text;
mod validate;
mod variants;
mod words;
mod written;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::descriptor::{InputSchema, SkillDescriptor};
use super::dynamic::Skill;
use generate::{Made, Types};
use validate::Validator;

type Object = Map<String, Value>;

/// Above this many bytes of compact JSON, codex strips the descriptions (contract §1.4).
pub(crate) const COMPACT_LIMIT: usize = 5_000;

/// The arguments of a skill as they are declared.
#[derive(Debug)]
pub(crate) struct InputShape {
    /// What goes on the wire as `inputSchema`: compact JSON.
    pub(crate) text: Box<RawValue>,
    /// The same read, when somebody asks.
    value: OnceLock<Value>,
    /// Whether it demands more than decoding into the types enforces.
    pub(crate) says_more: bool,
    /// Whether it is valid by what it is made of.
    surely_valid: bool,
    /// Whether decoding alone decides which members the root has and needs.
    root_is_decoded: bool,
    /// What its author may want to know, a line each.
    pub(crate) warnings: Vec<String>,
    /// The root's properties that nobody described. Their schemas may have a description all the same: what codex
    /// drops is said there.
    pub(crate) undocumented: Vec<String>,
    /// What checks arguments, from the first call on. Most skills of a session are never called.
    validator: OnceLock<Validator>,
}

impl InputShape {
    fn new(schema: Made) -> Self {
        let (text, value) = match schema {
            Made::Value(mut value) => {
                value.sort_all_objects();
                (raw(&value), OnceLock::from(value))
            }
            Made::Text(text) => (text, OnceLock::new()),
        };
        let mut warnings = Vec::new();
        let compact_len = text.get().len();
        if compact_len > COMPACT_LIMIT {
            warnings.push(format!(
                "the input schema takes {compact_len} bytes: above {COMPACT_LIMIT} codex strips \
                 the descriptions inside it; shorten them or take fewer arguments"
            ));
        }
        Self {
            text,
            value,
            says_more: false,
            surely_valid: false,
            root_is_decoded: false,
            warnings,
            undocumented: Vec::new(),
            validator: OnceLock::new(),
        }
    }

    /// The schema.
    pub(crate) fn value(&self) -> &Value {
        // It was written from values, so that it can be read.
        let read = || serde_json::from_str(self.text.get()).unwrap_or_default();
        self.value.get_or_init(read)
    }

    fn generated(shaped: generate::Generated, root_is_decoded: bool) -> Self {
        Self {
            says_more: shaped.says_more,
            surely_valid: shaped.surely_valid,
            undocumented: shaped.undocumented,
            root_is_decoded,
            ..Self::new(shaped.schema)
        }
    }

    fn written(written: written::Written) -> Self {
        let surely_valid = validate::is_surely_valid(&written.value);
        let mut shape = Self::new(Made::Value(written.value));
        shape.says_more = true;
        shape.surely_valid = surely_valid;
        shape.undocumented = written.undocumented;
        shape.warnings.splice(0..0, written.warnings);
        shape
    }

    /// Makes sure that arguments can be checked.
    ///
    /// # Errors
    /// When the schema is not valid.
    pub(crate) fn confirm(&self) -> Result<(), String> {
        if self.says_more && !self.surely_valid {
            self.validator()?;
        }
        Ok(())
    }

    /// Checks arguments against what the schema demands beyond the types.
    ///
    /// # Errors
    /// With what the model is told.
    pub(crate) fn check(&self, arguments: &RawValue) -> Result<(), String> {
        if self.says_more {
            self.validator()?.check(arguments)
        } else {
            Ok(())
        }
    }

    /// Compiles the schema the first time, which may take longer than a call.
    fn validator(&self) -> Result<&Validator, String> {
        if let Some(validator) = self.validator.get() {
            return Ok(validator);
        }
        let mut validator = Validator::new(self.value())?;
        if self.root_is_decoded {
            validator = validator.leaving_the_root_to_decoding();
        }
        Ok(self.validator.get_or_init(|| validator))
    }
}

/// The schema of an answer.
#[derive(Debug)]
pub(crate) struct OutputShape {
    pub(crate) value: Value,
    /// The same as compact JSON.
    pub(crate) text: Box<RawValue>,
}

impl OutputShape {
    fn new(value: Value) -> Arc<Self> {
        let text = raw(&value);
        Arc::new(Self { value, text })
    }
}

/// The schemas of a catalog in the making: what is known of a type serves all skills that have it.
#[derive(Default)]
pub(crate) struct Known {
    parameters: Types,
    arguments: HashMap<Arguments, Arc<InputShape>>,
    answers: HashMap<usize, Option<Arc<OutputShape>>>,
}

/// The function that makes the schema of whole arguments, and whether they are those of a closure.
type Arguments = (usize, bool);

impl Known {
    /// The input schema of an annotated skill.
    ///
    /// # Errors
    /// When codex would refuse it, or it describes no object.
    pub(crate) fn input(
        &mut self,
        descriptor: &SkillDescriptor,
    ) -> Result<Arc<InputShape>, String> {
        let make = |known: &mut Types| make(descriptor, known);
        match descriptor.input {
            InputSchema::Derived(schema) => self.shared((schema as usize, false), make),
            _ => make(&mut self.parameters).map(Arc::new),
        }
    }

    /// The input schema of a skill made at run time.
    ///
    /// # Errors
    /// When codex would refuse it, or it describes no object.
    pub(crate) fn dynamic_input(&mut self, skill: &Skill) -> Result<Arc<InputShape>, String> {
        if let Some(schema) = &skill.meta.input_schema {
            refused::check_depth(schema)?;
            return Ok(Arc::new(InputShape::written(written::input(
                schema.clone(),
                &[],
            )?)));
        }
        let schema = skill.arguments;
        self.shared((schema as usize, true), |_| of_closure(schema))
    }

    /// The output schema of an annotated skill, where there is something to say.
    ///
    /// # Errors
    /// When a written schema is none.
    pub(crate) fn output(
        &mut self,
        descriptor: &SkillDescriptor,
    ) -> Result<Option<Arc<OutputShape>>, String> {
        let make = || Ok::<_, String>(output(descriptor)?.map(OutputShape::new));
        match descriptor.output_schema {
            Some(schema) if descriptor.explicit_output.is_none() => {
                let key = schema as usize;
                if let Some(shape) = self.answers.get(&key) {
                    return Ok(shape.clone());
                }
                let shape = make()?;
                self.answers.insert(key, shape.clone());
                Ok(shape)
            }
            _ => make(),
        }
    }

    fn shared(
        &mut self,
        key: Arguments,
        make: impl FnOnce(&mut Types) -> Result<InputShape, String>,
    ) -> Result<Arc<InputShape>, String> {
        if let Some(shape) = self.arguments.get(&key) {
            return Ok(shape.clone());
        }
        let shape = Arc::new(make(&mut self.parameters)?);
        self.arguments.insert(key, shape.clone());
        Ok(shape)
    }
}

fn make(descriptor: &SkillDescriptor, known: &mut Types) -> Result<InputShape, String> {
    match descriptor.input {
        InputSchema::Parameters(parameters) => Ok(InputShape::generated(
            generate::of_parameters(parameters, known)?,
            false,
        )),
        // The derived struct may know members by other names than the schema: `#[serde(alias)]`.
        InputSchema::Derived(schema) => {
            Ok(InputShape::generated(generate::of_arguments(schema)?, true))
        }
        InputSchema::Explicit(schema, parameters) => {
            let schema = schema().map_err(|error| not_json("input_schema", &error))?;
            Ok(InputShape::written(written::input(schema, parameters)?))
        }
    }
}

fn of_closure(schema: fn(&mut SchemaGenerator) -> Schema) -> Result<InputShape, String> {
    let mut shaped = generate::of_arguments(schema)?;
    // Unlike the macros' decoders, a closure's argument type may ignore members that it doesn't know.
    if let Made::Value(schema) = &shaped.schema {
        shaped.says_more |= schema.get("additionalProperties") == Some(&Value::Bool(false))
            || schema.get("anyOf").is_some();
    }
    Ok(InputShape::generated(shaped, false))
}

/// Something as compact JSON. For what always serializes, like strings and JSON values.
pub(crate) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The input schema of one annotated skill.
pub(crate) struct Declared {
    pub(crate) value: Value,
}

/// The input schema of one annotated skill.
///
/// # Errors
/// When codex would refuse it, or it describes no object.
pub(crate) fn input(descriptor: &SkillDescriptor) -> Result<Declared, String> {
    make(descriptor, &mut Types::default()).map(|shape| Declared {
        value: shape.value().clone(),
    })
}

/// The output schema of an annotated skill, where there is something to say.
///
/// # Errors
/// When a written schema is none.
pub(crate) fn output(descriptor: &SkillDescriptor) -> Result<Option<Value>, String> {
    if let Some(schema) = descriptor.explicit_output {
        let schema = schema().map_err(|error| not_json("output_schema", &error))?;
        return written::output(schema);
    }
    descriptor
        .output_schema
        .map_or(Ok(None), generate::of_output)
}

/// The output schema of a skill made at run time.
///
/// # Errors
/// When it is not a schema.
pub(crate) fn dynamic_output(skill: &Skill) -> Result<Option<Arc<OutputShape>>, String> {
    let Some(schema) = &skill.meta.output_schema else {
        return Ok(None);
    };
    refused::check_depth(schema)?;
    Ok(written::output(schema.clone())?.map(OutputShape::new))
}

/// The description at the root of a schema: the documentation of an arguments type.
pub(crate) fn description_of(schema: &Value) -> Option<String> {
    schema
        .get("description")
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|description| !description.is_empty())
        .map(str::to_owned)
}

fn not_json(option: &str, error: &str) -> String {
    format!("its `{option}` is not JSON: {error}")
}

/// Whether a schema accepts everything.
fn accepts_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
