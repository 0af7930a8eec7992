//! Schemas of arguments and answers, in the forms that codex keeps (contract §1.4), and the check of arguments.
//!
//! Life of an input schema: `generate` makes it from the types (or `written` takes the user's); `shape`, `variants`,
//! `compose` and `flat` bring it into a form whose meaning codex keeps; `words` and `lift` say in descriptions what
//! codex drops; `share` defines once what repeats. The result is an [`InputShape`]: compact JSON in one or two forms,
//! which the sealed catalog keeps. While a catalog is sealed, [`Known`] makes the schema of each type once. On the first
//! call of a skill, `check/` compiles its schema.
//!
//! Invariants: the check is never stricter than the type, and never laxer than the declared schema; the same skill gives
//! the same bytes; a schema that codex refuses (`refused`) is an error of sealing. Rendering declarations is the
//! catalog's job.
//!
//! No locks but `OnceLock`s, for what is made when it is first asked for.

pub(crate) mod check;
mod compose;
mod finite;
pub(crate) mod fits;
mod flat;
mod generate;
mod inline;
pub(crate) mod keys;
mod lift;
mod pattern;
mod plain;
pub(crate) mod refused;
mod shape;
mod share;
pub(crate) mod shown;
mod sound;
pub(crate) mod text;
mod validate;
mod variants;
mod words;
mod written;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::call::ToolCall;
use super::descriptor::{InputSchema, SkillDescriptor};
use super::dynamic::Skill;
use super::output::{ContentItem, SkillOutput};
use check::{Checked, Checker, Reads, Source};
use generate::{Made, Types};
use shown::Shown;

type Object = Map<String, Value>;

/// Above this many bytes of compact JSON, codex strips the descriptions (contract §1.4).
pub(crate) const COMPACT_LIMIT: usize = 5_000;

/// From so many bytes on a schema is looked at for what is there several times.
const SHARED_FROM: usize = 1_000;

/// From so many bytes on a schema may exceed codex's budget, which counts it as codex writes it.
const COMPACTED_FROM: usize = 4_000;

/// The forms in which a schema can be declared. Both mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With definitions for what is there several times, which codex keeps since 2026.
    Shared,
    /// Without, apart from recursion.
    Inlined,
}

/// The arguments of a skill as they are declared.
#[derive(Debug)]
pub(crate) struct InputShape {
    /// What goes on the wire as `inputSchema`, as compact JSON: the form that shows most where codex keeps `$ref`.
    pub(crate) text: Box<RawValue>,
    /// The same for a codex that drops `$ref`, where that is another text.
    inlined: Option<Box<RawValue>>,
    /// The declared schema read, when it is asked for.
    declared: OnceLock<Value>,
    /// What arguments are checked against, where that is stricter than what is shown.
    checked: Option<Value>,
    /// Whether it demands more than decoding into the types enforces.
    pub(crate) says_more: bool,
    /// Built only from keywords we generate, and so known to be valid.
    surely_valid: bool,
    /// Where the schema that arguments are checked against comes from.
    source: Source,
    /// What its author may want to know, a line each.
    pub(crate) warnings: Vec<String>,
    /// The root's properties without documentation. Their schemas may have a description all the same, which says what
    /// codex drops.
    pub(crate) undocumented: Vec<String>,
    /// What checks arguments, from the first call on. Most skills of a session are never called.
    checker: OnceLock<Checker>,
    /// Whether decoding enforces all that the schema says, once a call asked.
    enforced: OnceLock<bool>,
}

impl InputShape {
    /// A schema, and the names of types that may be definitions in it.
    fn new(schema: Made, names: impl FnOnce() -> HashMap<String, share::Named>) -> Self {
        let mut shape = Self::made(schema);
        if shape.text.get().len() >= SHARED_FROM {
            shape.share(names);
        }
        shape.warn_of_size();
        shape
    }

    fn as_written(schema: Made) -> Self {
        let mut shape = Self::made(schema);
        shape.warn_of_size();
        shape
    }

    fn made(schema: Made) -> Self {
        let (text, value, checked) = match schema {
            Made::Value { mut shown, checked } => {
                shown.sort_all_objects();
                (raw(&shown), OnceLock::from(shown), checked)
            }
            Made::Text(text) => (text, OnceLock::new(), None),
        };
        Self {
            text,
            inlined: None,
            declared: value,
            checked,
            says_more: false,
            surely_valid: false,
            source: Source::Written(&[]),
            warnings: Vec::new(),
            undocumented: Vec::new(),
            checker: OnceLock::new(),
            enforced: OnceLock::new(),
        }
    }

    /// Takes the form with definitions where that shows more, or the same in fewer bytes.
    fn share(&mut self, names: impl FnOnce() -> HashMap<String, share::Named>) {
        let inlined = self.declared();
        let Some(shared) = share::shared(inlined, names) else {
            return;
        };
        let text = raw(&shared);
        let (before, after) = (Shown::new(inlined).worth(), Shown::new(&shared).worth());
        if after < before || (after == before && text.get().len() >= self.text.get().len()) {
            return;
        }
        // Arguments are checked against the form without definitions.
        let value = std::mem::replace(&mut self.declared, OnceLock::from(shared));
        if self.checked.is_none() {
            self.checked = value.into_inner();
        }
        self.inlined = Some(std::mem::replace(&mut self.text, text));
    }

    fn warn_of_size(&mut self) {
        if self.text.get().len() < COMPACTED_FROM {
            return;
        }
        let warning = Shown::new(self.declared()).warning();
        self.warnings.extend(warning);
    }

    /// The text of a form.
    pub(crate) fn in_form(&self, form: Form) -> &RawValue {
        match (form, &self.inlined) {
            (Form::Inlined, Some(inlined)) => inlined,
            _ => &self.text,
        }
    }

    /// Whether the forms differ.
    pub(crate) fn has_forms(&self) -> bool {
        self.inlined.is_some()
    }

    /// The schema as it is declared where codex keeps `$ref`.
    pub(crate) fn declared(&self) -> &Value {
        // It was written from values, so that it can be read.
        let read = || serde_json::from_str(self.text.get()).unwrap_or_default();
        self.declared.get_or_init(read)
    }

    /// The whole schema, against which arguments are checked: without definitions, and with the choices that the
    /// declared one shows as one flat object.
    pub(crate) fn value(&self) -> &Value {
        self.checked.as_ref().unwrap_or_else(|| self.declared())
    }

    fn generated(
        shaped: generate::Generated,
        source: Source,
        names: impl FnOnce() -> HashMap<String, share::Named>,
    ) -> Self {
        let mut shape = Self::new(shaped.schema, names);
        shape.says_more = shaped.says_more;
        shape.surely_valid = shaped.surely_valid;
        shape.undocumented = shaped.undocumented;
        shape.source = source;
        shape.warnings.splice(0..0, shaped.unsaid);
        shape
    }

    fn written(
        written: written::Written,
        parameters: &'static [super::descriptor::ParameterDescriptor],
    ) -> Self {
        let surely_valid = validate::is_surely_valid(&written.value);
        // What a user wrote stays as it is.
        let made = Made::Value {
            shown: written.value,
            checked: None,
        };
        let mut shape = Self::as_written(made);
        shape.source = Source::Written(parameters);
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
            validate::confirm(self.value())?;
        }
        Ok(())
    }

    /// Checks a call's arguments before they are decoded, unless decoding them enforces all that the schema says: then
    /// it is done where they are not read, for its words and for other spellings.
    ///
    /// # Errors
    /// With the text that the model reads.
    pub(crate) fn check_before(self: &Arc<Self>, call: &ToolCall) -> Result<Checked, String> {
        if self.is_enforced() && call.arguments.get().starts_with('{') {
            return Ok(Checked::later(self.clone()));
        }
        self.check(call)
    }

    /// Whether decoding enforces all that the schema says.
    pub(crate) fn is_enforced(&self) -> bool {
        *self.enforced.get_or_init(|| match self.source {
            Source::Parameters(parameters) => plain::are_enforced(parameters),
            Source::Derived(..) | Source::Closure(..) | Source::Written(_) => false,
        })
    }

    /// Checks a call's arguments against what the schema demands.
    ///
    /// # Errors
    /// With the text that the model reads.
    pub(crate) fn check(&self, call: &ToolCall) -> Result<Checked, String> {
        // The first time the schema is compiled, which may take longer than a call.
        let checker = || Checker::new(&self.source, self.declared());
        let checker = self.checker.get_or_init(checker);
        checker.check(&call.arguments, call.rounded)
    }
}

/// The schema of an answer.
#[derive(Debug)]
pub(crate) struct OutputShape {
    pub(crate) value: Value,
    /// The same as compact JSON.
    pub(crate) text: Box<RawValue>,
    /// Whether a user wrote it: then answers may be something else.
    is_written: bool,
    /// What checks answers, from the first one on.
    checker: OnceLock<Checker>,
    warned: AtomicBool,
}

impl OutputShape {
    /// The longest answer that is checked, in bytes: it is done before the answer goes.
    const CHECKED: usize = 64 * 1024;

    fn new(value: Value, is_written: bool) -> Arc<Self> {
        let text = raw(&value);
        Arc::new(Self {
            value,
            text,
            is_written,
            checker: OnceLock::new(),
            warned: AtomicBool::new(false),
        })
    }

    /// What is wrong with an answer, where the schema was written and says something else. Answers of several items,
    /// and long ones, are not looked at.
    pub(crate) fn check(&self, output: &SkillOutput) -> Option<String> {
        let [ContentItem::Text { text }] = output.items() else {
            return None;
        };
        if !self.is_written || text.len() > Self::CHECKED {
            return None;
        }
        let checker = self
            .checker
            .get_or_init(|| Checker::of_answers(&self.value));
        checker.check_answer(text).err()
    }

    /// Whether nothing was warned of before.
    pub(crate) fn is_first_warning(&self) -> bool {
        !self.warned.swap(true, Ordering::Relaxed)
    }
}

/// The schemas of a catalog in the making: what is known of a type serves all skills that have it.
#[derive(Default)]
pub(crate) struct Known {
    /// Whether written schemas have in words what codex drops.
    schema_words: bool,
    parameters: Types,
    arguments: HashMap<Arguments, Arc<InputShape>>,
    answers: HashMap<usize, Option<Arc<OutputShape>>>,
}

/// The functions that make the schema of whole arguments and decode them, and whether they are those of a closure.
type Arguments = (usize, usize, bool);

impl Known {
    /// Nothing yet. Written schemas may have in words what codex drops.
    pub(crate) fn new(schema_words: bool) -> Self {
        Self {
            schema_words,
            ..Self::default()
        }
    }

    /// The input schema of an annotated skill.
    ///
    /// # Errors
    /// When codex would refuse it, or it describes no object.
    pub(crate) fn input(
        &mut self,
        descriptor: &SkillDescriptor,
    ) -> Result<Arc<InputShape>, String> {
        let in_words = self.schema_words;
        let make = |known: &mut Types| make(descriptor, known, in_words);
        match descriptor.input {
            InputSchema::Derived(schema, reads) => {
                self.shared((schema as usize, reads as usize, false), make)
            }
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
            let taken = fits::Taken {
                schema: generate::raw_arguments(skill.arguments),
                names: (skill.members)(),
                is_open: false,
            };
            let written = written::input(schema.clone(), &[], &taken, self.schema_words)?;
            return Ok(Arc::new(InputShape::written(written, &[])));
        }
        let (schema, reads) = (skill.arguments, skill.reads);
        let key = (schema as usize, reads as usize, true);
        self.shared(key, |_| of_closure(schema, reads))
    }

    /// The output schema of an annotated skill, where there is something to say.
    ///
    /// # Errors
    /// When a written schema is none.
    pub(crate) fn output(
        &mut self,
        descriptor: &SkillDescriptor,
    ) -> Result<Option<Arc<OutputShape>>, String> {
        let is_written = descriptor.explicit_output.is_some();
        let make = || {
            let output = output(descriptor)?;
            Ok::<_, String>(output.map(|value| OutputShape::new(value, is_written)))
        };
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

fn make(
    descriptor: &SkillDescriptor,
    known: &mut Types,
    in_words: bool,
) -> Result<InputShape, String> {
    match descriptor.input {
        InputSchema::Parameters(parameters) => Ok(InputShape::generated(
            generate::of_parameters(parameters, known)?,
            Source::Parameters(parameters),
            || generate::names_of_parameters(parameters),
        )),
        InputSchema::Derived(schema, reads) => {
            let shaped = generate::of_arguments(schema)?;
            Ok(InputShape::generated(
                shaped,
                Source::Derived(schema, reads),
                || generate::names_of_arguments(schema),
            ))
        }
        InputSchema::Explicit(schema, parameters) => {
            let schema = schema().map_err(|error| not_json("input_schema", &error))?;
            let taken = fits::Taken {
                schema: generate::raw_parameters(parameters),
                names: None,
                is_open: true,
            };
            let written = written::input(schema, parameters, &taken, in_words)?;
            Ok(InputShape::written(written, parameters))
        }
    }
}

fn of_closure(
    schema: fn(&mut SchemaGenerator) -> Schema,
    reads: Reads,
) -> Result<InputShape, String> {
    let mut shaped = generate::of_arguments(schema)?;
    // Unlike the macros' decoders, a closure's argument type may ignore members that it doesn't know.
    if let Made::Value { shown, checked } = &shaped.schema {
        let schema = checked.as_ref().unwrap_or(shown);
        shaped.says_more |= schema.get("additionalProperties") == Some(&Value::Bool(false))
            || schema.get("anyOf").is_some();
    }
    Ok(InputShape::generated(
        shaped,
        Source::Closure(schema, reads),
        || generate::names_of_arguments(schema),
    ))
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
    make(descriptor, &mut Types::default(), false).map(|shape| Declared {
        value: shape.declared().clone(),
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
    let output = written::output(schema.clone())?;
    Ok(output.map(|value| OutputShape::new(value, true)))
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
