//! Arguments against their schema: a walk of our own whose work grows with the arguments, however they nest and
//! however many forms there are.
//!
//! The schema of a type is taken as `schemars` makes it, with objects closed as the model is shown them; a written one
//! is taken as it is. What the schema forbids and the type may know better (another name of a member or a variant, a
//! format that it reads itself) is a doubt, which decoding settles by asking the type.

#[cfg(test)]
mod bounds;
mod choice;
mod compile;
mod cure;
mod document;
mod explain;
mod forms;
mod leaf;
mod members;
mod message;
mod names;
mod number;
mod plan;
mod refusals;
mod respell;
mod same;
mod source;
#[cfg(test)]
mod tests;
mod walk;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use refusals::{Reader, Reads};
pub(crate) use respell::Checked;
pub(crate) use source::Source;

use document::Document;
use leaf::Meter;
use respell::Rest;
use walk::{Fit, Ground, Walk};

const TOO_LONG: &str =
    "its strings take too long to be matched with their patterns, expected shorter ones or fewer";

/// What checks the arguments of a skill.
#[derive(Debug)]
pub(crate) struct Checker {
    plan: plan::Plan,
    /// The names of the arguments in their order.
    names: Vec<String>,
    /// Whether a value that is no object may be the only argument.
    takes_bare: bool,
    /// What sealing made of the descriptions.
    descriptions: Vec<(String, String)>,
    /// What decodes the arguments.
    reader: Option<Reader>,
}

impl Checker {
    /// The checker of arguments that are shown with this schema.
    pub(crate) fn new(source: &Source, shown: &Value) -> Self {
        let properties = shown.get("properties").and_then(Value::as_object);
        let mut plan = match source.schema() {
            Some(schema) => compile::plan(&schema, true),
            None => compile::plan(shown, false),
        };
        let is_closed = shown.get("additionalProperties") == Some(&Value::Bool(false));
        if plan.of_type && is_closed {
            plan.close_root();
        }
        // The names of parameters are all that there are.
        plan.aliases_at_root &= source.names().is_none();
        let names = source.names().unwrap_or_else(|| {
            let names = properties.into_iter().flat_map(Map::keys);
            names.cloned().collect()
        });
        Self {
            plan,
            takes_bare: source.takes_bare() && names.len() == 1,
            names,
            descriptions: properties.map(described).unwrap_or_default(),
            reader: source.reader(),
        }
    }

    /// The checker of answers that are said to be of a written schema.
    pub(crate) fn of_answers(schema: &Value) -> Self {
        Self {
            plan: compile::plan(schema, false),
            takes_bare: false,
            names: Vec::new(),
            descriptions: Vec::new(),
            reader: None,
        }
    }

    /// Checks the text of an answer: JSON, or a string as it is.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(crate) fn check_answer(&self, text: &str) -> Result<(), String> {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let said = is_json.then(|| self.misfit(text));
        if said == Some(None) {
            return Ok(());
        }
        // The text of JSON may be meant as a string, too.
        match self.misfit(&Value::from(text).to_string()) {
            None => Ok(()),
            Some(as_string) => Err(said.flatten().unwrap_or(as_string)),
        }
    }

    /// What is wrong with a value that was written by a program.
    fn misfit(&self, text: &str) -> Option<String> {
        let document = Document::read(text)?;
        let meter = Meter::default();
        let mut walk = Walk::new(Ground {
            plan: &self.plan,
            document: &document,
            meter: &meter,
            rounded: false,
        });
        let is_broken = walk.run() == Fit::Broken && !meter.is_exhausted();
        let findings = walk.findings;
        is_broken.then(|| message::message(&self.lines(&findings.violations), findings.more))
    }

    /// Checks arguments. `rounded` says that their large numbers may have lost digits before they were written.
    ///
    /// # Errors
    /// With what the model reads.
    pub(crate) fn check(&self, arguments: &RawValue, rounded: bool) -> Result<Checked, String> {
        let object = self.object(arguments)?;
        let text = object.as_deref().unwrap_or(arguments).get();
        let Some(document) = Document::read(text) else {
            return Err("the arguments are not JSON, or too large".to_owned());
        };
        let meter = Meter::default();
        let mut walk = Walk::new(Ground {
            plan: &self.plan,
            document: &document,
            meter: &meter,
            rounded,
        });
        let fit = walk.run();
        let findings = walk.findings;
        if meter.is_exhausted() {
            return Err(TOO_LONG.to_owned());
        }
        if fit == Fit::Broken {
            return Err(self.all_that_is_wrong(text, document, findings));
        }
        if fit == Fit::Exact {
            drop(document);
            return Ok(Checked::as_it_is(object, self.reader, findings.tuples));
        }
        let hint = self.hint(&findings);
        let (edits, doubts) = (findings.edits, findings.doubts);
        let tuples = findings.tuples;
        let (about, said): (Vec<_>, Vec<_>) = doubts
            .into_iter()
            .map(|doubt| (doubt.about, doubt.said))
            .unzip();
        let doubts = about.into_iter().zip(self.lines(&said)).collect();
        let values = document.into_values();
        let mut rest = Rest::new(values, edits, doubts, hint);
        rest.tuples = tuples;
        Ok(Checked::new(object, rest, self.reader))
    }

    /// What to say in place of some doubts.
    fn hint(&self, findings: &walk::Findings) -> Option<respell::Hint> {
        (!findings.hints.is_empty()).then(|| {
            let lines = self.lines(&findings.hints);
            let line = message::Line::of_value(message::message(&lines, 0));
            (findings.hinted.clone(), line)
        })
    }

    /// What the schema forbids, and what types refuse besides.
    fn all_that_is_wrong(
        &self,
        text: &str,
        document: Document<'_>,
        findings: walk::Findings,
    ) -> String {
        let hint = self.hint(&findings);
        let walk::Findings {
            known,
            edits,
            tuples,
            ..
        } = findings;
        let mut all = findings.violations;
        let forbidden = all.len();
        let mut about = Vec::new();
        for doubt in findings.doubts {
            all.push(doubt.said);
            about.push(doubt.about);
        }
        let mut lines = self.lines(&all);
        if let Some((hinted, hint)) = hint {
            for line in lines
                .iter_mut()
                .skip(forbidden + hinted.start)
                .take(hinted.len())
            {
                *line = hint.clone();
            }
        }
        if let Some(reader) = self.reader.filter(|_| findings.more == 0) {
            let doubts = about.into_iter().zip(lines.split_off(forbidden)).collect();
            let mut rest = Rest::new(document.into_values(), edits, doubts, None);
            rest.tuples = tuples;
            lines.extend(refusals::refusals(reader, text, rest, &known));
        }
        if lines.is_empty() {
            return "they do not fit their schema".to_owned();
        }
        message::message(&lines, findings.more)
    }

    fn lines(&self, all: &[explain::Said]) -> Vec<message::Line> {
        let described = |name: &str| {
            let mut all = self.descriptions.iter();
            all.find(|(known, _)| known == name)
                .map(|(_, text)| text.clone())
        };
        explain::lines(all, &described, &self.names)
    }

    /// The arguments as an object, where they came as something else: nothing, the text of an object, or the only
    /// argument by itself.
    fn object(&self, arguments: &RawValue) -> Result<Option<Box<RawValue>>, String> {
        let text = arguments.get();
        match text.as_bytes().first() {
            Some(b'{') => Ok(None),
            Some(b'n') => Ok(RawValue::from_string("{}".to_owned()).ok()),
            Some(b'"') => {
                let inner = serde_json::from_str::<String>(text).ok();
                let inner = inner.and_then(|inner| RawValue::from_string(inner).ok());
                match inner.filter(|inner| inner.get().starts_with('{')) {
                    Some(object) => Ok(Some(object)),
                    None => Err(format!(
                        "a string came in place of the arguments, {}",
                        self.wanted()
                    )),
                }
            }
            _ => match self.names.as_slice() {
                [only] if self.takes_bare => {
                    let name = Value::from(only.as_str());
                    Ok(RawValue::from_string(format!("{{{name}:{text}}}")).ok())
                }
                _ => Err(self.wanted()),
            },
        }
    }

    fn wanted(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let listed = crate::skill::arguments::listed(&names);
        format!(
            "expected a JSON object with {}",
            explain::short(&listed, 1_000)
        )
    }
}

/// The name of the last member that begins before a place of a JSON text, and whether the name ends before it, too.
pub(crate) fn key_before(json: &str, place: usize) -> Option<(String, bool)> {
    let document = Document::read(json)?;
    let key = document.key_before(place)?;
    Some((explain::name(&document, key), document.span(key).1 < place))
}

fn described(properties: &Map<String, Value>) -> Vec<(String, String)> {
    let described = properties.iter().filter_map(|(name, schema)| {
        let text = schema.get("description").and_then(Value::as_str)?;
        Some((name.clone(), explain::short(text, 300)))
    });
    described.collect()
}
