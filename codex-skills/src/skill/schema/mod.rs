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

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::descriptor::{InputSchema, SkillDescriptor};
use super::dynamic::Skill;
use validate::Validator;

type Object = Map<String, Value>;

/// Above this many bytes of compact JSON, codex strips the descriptions (contract §1.4).
pub(crate) const COMPACT_LIMIT: usize = 5_000;

/// The arguments of a skill as they are declared.
#[derive(Debug)]
pub(crate) struct InputShape {
    /// What goes on the wire as `inputSchema`.
    pub(crate) value: Value,
    /// The same as compact JSON.
    pub(crate) text: Box<RawValue>,
    /// Whether it demands more than decoding into the types enforces.
    pub(crate) says_more: bool,
    /// Whether decoding alone decides which members the root has and needs.
    root_is_decoded: bool,
    /// What its author may want to know, a line each.
    pub(crate) warnings: Vec<String>,
}

/// An input schema, and the root's properties that nobody described.
type Described = (InputShape, Vec<String>);

impl InputShape {
    fn new(mut value: Value, says_more: bool, mut warnings: Vec<String>) -> Self {
        value.sort_all_objects();
        let text = raw(&value);
        let compact_len = text.get().len();
        if compact_len > COMPACT_LIMIT {
            warnings.push(format!(
                "the input schema takes {compact_len} bytes: above {COMPACT_LIMIT} codex strips \
                 the descriptions inside it; shorten them or take fewer arguments"
            ));
        }
        Self {
            value,
            text,
            says_more,
            root_is_decoded: false,
            warnings,
        }
    }

    /// What checks arguments before they are decoded, where that is needed.
    ///
    /// # Errors
    /// When the schema is not valid.
    pub(crate) fn checks(&self) -> Result<Option<Checks>, String> {
        let checks = || Checks::new(&self.value, self.root_is_decoded);
        self.says_more.then(checks).transpose()
    }

    fn generated(shaped: generate::Generated) -> Described {
        let shape = Self::new(shaped.value, shaped.says_more, Vec::new());
        (shape, shaped.undocumented)
    }

    fn written(written: written::Written) -> Described {
        let shape = Self::new(written.value, true, written.warnings);
        (shape, written.undocumented)
    }
}

/// What checks the arguments of a skill. It is compiled for the first call, where that cannot fail; most
/// skills of a session are never called.
#[derive(Debug)]
pub(crate) struct Checks {
    compiled: OnceLock<Validator>,
    root_is_decoded: bool,
}

impl Checks {
    fn new(schema: &Value, root_is_decoded: bool) -> Result<Self, String> {
        let checks = Self {
            compiled: OnceLock::new(),
            root_is_decoded,
        };
        if !validate::is_surely_valid(schema) {
            checks.compiled(schema)?;
        }
        Ok(checks)
    }

    /// Checks arguments against the schema that this was made of.
    ///
    /// # Errors
    /// With what the model is told.
    pub(crate) fn check(&self, schema: &Value, arguments: &RawValue) -> Result<(), String> {
        self.compiled(schema)?.check(arguments)
    }

    fn compiled(&self, schema: &Value) -> Result<&Validator, String> {
        if let Some(compiled) = self.compiled.get() {
            return Ok(compiled);
        }
        let mut validator = Validator::new(schema)?;
        if self.root_is_decoded {
            validator = validator.leaving_the_root_to_decoding();
        }
        Ok(self.compiled.get_or_init(|| validator))
    }
}

/// Something as compact JSON. For what always serializes, like strings and JSON values.
pub(crate) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The input schema of an annotated skill.
///
/// # Errors
/// When codex would refuse it, or it describes no object.
pub(crate) fn input(descriptor: &SkillDescriptor) -> Result<InputShape, String> {
    describe(descriptor).map(|(shape, _)| shape)
}

/// The input schema of a skill made at run time.
///
/// # Errors
/// When codex would refuse it, or it describes no object.
pub(crate) fn dynamic_input(skill: &Skill) -> Result<InputShape, String> {
    describe_dynamic(skill).map(|(shape, _)| shape)
}

/// The arguments of an annotated skill that nobody described. Their schemas may have a description
/// all the same: what codex drops is said there.
pub(crate) fn undocumented(descriptor: &SkillDescriptor) -> Vec<String> {
    describe(descriptor).map_or_else(|_| Vec::new(), |(_, names)| names)
}

/// Like [`undocumented`], for a skill made at run time.
pub(crate) fn dynamic_undocumented(skill: &Skill) -> Vec<String> {
    describe_dynamic(skill).map_or_else(|_| Vec::new(), |(_, names)| names)
}

fn describe(descriptor: &SkillDescriptor) -> Result<Described, String> {
    match descriptor.input {
        InputSchema::Parameters(parameters) => {
            generate::of_parameters(parameters).map(InputShape::generated)
        }
        // The derived struct may know members by other names than the schema: `#[serde(alias)]`.
        InputSchema::Derived(schema) => generate::of_arguments(schema).map(|shaped| {
            let (shape, undocumented) = InputShape::generated(shaped);
            let root_is_decoded = true;
            (
                InputShape {
                    root_is_decoded,
                    ..shape
                },
                undocumented,
            )
        }),
        InputSchema::Explicit(schema, parameters) => {
            let schema = schema().map_err(|error| not_json("input_schema", &error))?;
            written::input(schema, parameters).map(InputShape::written)
        }
    }
}

fn describe_dynamic(skill: &Skill) -> Result<Described, String> {
    if let Some(schema) = &skill.meta.input_schema {
        refused::check_depth(schema)?;
        return written::input(schema.clone(), &[]).map(InputShape::written);
    }
    let mut shaped = generate::of_arguments(skill.arguments)?;
    // Unlike the macros' decoders, a closure's argument type may ignore members that it doesn't know.
    shaped.says_more |= shaped.value.get("additionalProperties") == Some(&Value::Bool(false))
        || shaped.value.get("anyOf").is_some();
    Ok(InputShape::generated(shaped))
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
pub(crate) fn dynamic_output(skill: &Skill) -> Result<Option<Value>, String> {
    match &skill.meta.output_schema {
        Some(schema) => {
            refused::check_depth(schema)?;
            written::output(schema.clone())
        }
        None => Ok(None),
    }
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
