//! Arguments that passed their check, with what is to be tried if the type does not take them as they came, and what
//! only the type can tell.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::document::{At, Document, Kind, Value};
use super::message::{Line, message};
use super::refusals::{Known, Place, Reader, refusals};
use super::walk::{About, Edit};
use crate::skill::schema::InputShape;

/// A text that no type reads which reads texts at all.
const GARBAGE: &str = "\"\\u0001 neither this \\u0002\"";

/// What the check of arguments found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checked {
    /// The object that they stand for, where they are none.
    object: Option<Box<RawValue>>,
    rest: Option<Box<Rest>>,
    /// What checks them where they are not read.
    later: Option<Arc<InputShape>>,
    /// What decodes them.
    reader: Option<Reader>,
    /// The arrays whose positions mean something, where there is no more to say.
    tuples: Vec<At>,
}

/// What to say in place of some doubts.
pub(super) type Hint = (Range<usize>, Line);

/// How arguments differ from what is decoded.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    values: Vec<Value>,
    /// By place.
    edits: Vec<(At, Edit)>,
    doubts: Vec<(About, Line)>,
    /// What to say in place of some of them if the type reads no form of several.
    hint: Option<Hint>,
    /// The arrays whose positions mean something.
    pub(super) tuples: Vec<At>,
}

impl Checked {
    pub(super) fn as_it_is(
        object: Option<Box<RawValue>>,
        reader: Option<Reader>,
        tuples: Vec<At>,
    ) -> Self {
        Self {
            object,
            reader,
            tuples,
            ..Self::default()
        }
    }

    /// Arguments that are checked only if their types do not read them.
    pub(crate) fn later(shape: Arc<InputShape>) -> Self {
        Self {
            later: Some(shape),
            ..Self::default()
        }
    }

    /// What checks them, unless that is done.
    pub(crate) fn due(&self) -> Option<&InputShape> {
        self.later.as_deref()
    }

    pub(super) fn new(object: Option<Box<RawValue>>, rest: Rest, reader: Option<Reader>) -> Self {
        Self {
            object,
            rest: Some(Box::new(rest)),
            later: None,
            reader,
            tuples: Vec::new(),
        }
    }

    /// The object that the arguments stand for, where they are none.
    pub(crate) fn object(&self) -> Option<&RawValue> {
        self.object.as_deref()
    }

    /// The same arguments as types read them: whole numbers in digits, and no `null` for what may be left out.
    pub(crate) fn respelt(&self, arguments: &RawValue) -> Option<Box<RawValue>> {
        let rest = self.rest.as_ref().filter(|rest| !rest.edits.is_empty())?;
        rest.written(arguments.get(), None)
    }

    /// Asks the type about what it may know better than its schema. `reads` tells whether it reads such arguments.
    ///
    /// # Errors
    /// With what the model reads if the type does not know better.
    pub(crate) fn settle(
        &self,
        arguments: &RawValue,
        reads: &dyn Fn(&RawValue) -> bool,
    ) -> Result<(), String> {
        let Some(rest) = &self.rest else {
            return Ok(());
        };
        let mut wrong = Vec::new();
        for (about, said) in &rest.doubts {
            if rest.ignores(arguments.get(), about, reads) {
                wrong.push(said);
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(message(wrong, 0))
        }
    }

    /// What is to be said if the type does not read the arguments for want of a member or a variant.
    pub(crate) fn doubts(&self) -> Option<String> {
        let rest = self.rest.as_ref().filter(|rest| !rest.doubts.is_empty())?;
        let lines = rest.doubts.iter().enumerate();
        let lines = lines.map(|(at, (_, line))| match &rest.hint {
            Some((doubts, hint)) if doubts.contains(&at) => hint,
            _ => line,
        });
        Some(message(lines, 0))
    }

    /// What the types refuse besides the first thing, of which so much is said: that it is what was doubted, or not.
    pub(crate) fn with_further_refusals(
        &self,
        arguments: &RawValue,
        said: String,
        was_doubted: bool,
    ) -> String {
        let Some(reader) = self.reader else {
            return said;
        };
        let text = arguments.get();
        let mut known = Known::default();
        let mut rest = match &self.rest {
            Some(rest) => Rest::clone(rest),
            None => match Document::read(text) {
                Some(document) => {
                    let values = document.into_values();
                    let mut rest = Rest::new(values, Vec::new(), Vec::new(), None);
                    rest.tuples.clone_from(&self.tuples);
                    rest
                }
                None => return said,
            },
        };
        known.has_first = !was_doubted;
        if was_doubted {
            for (about, _) in rest.take_doubts() {
                match about {
                    About::Member { key } => known.wrong.push(Place::of_member(key)),
                    about => known.lacking.push(about.place().at),
                }
            }
        }
        let further = refusals(reader, text, rest, &known);
        let lines: Vec<Line> = [Line::of_value(said)].into_iter().chain(further).collect();
        message(&lines, 0)
    }
}

impl Rest {
    pub(super) fn new(
        values: Vec<Value>,
        mut edits: Vec<(At, Edit)>,
        doubts: Vec<(About, Line)>,
        hint: Option<Hint>,
    ) -> Self {
        edits.sort_by_key(|(at, _)| *at);
        edits.dedup_by_key(|(at, _)| *at);
        Self {
            values,
            edits,
            doubts,
            hint,
            tuples: Vec::new(),
        }
    }

    /// Whether the type does not read what is doubted, and takes the arguments all the same.
    pub(super) fn ignores(
        &self,
        text: &str,
        about: &About,
        reads: &dyn Fn(&RawValue) -> bool,
    ) -> bool {
        let garbage = || Edit::Replaced(GARBAGE.to_owned());
        let is_read = |at: At, edit: Edit| {
            let question = self.written(text, Some((at, edit)));
            question.is_some_and(|question| reads(&question))
        };
        match about {
            About::Missing { .. } => false,
            // A map takes a name twice, and not any name.
            About::Member { key } => is_read(*key, Edit::Twice) && is_read(*key, garbage()),
            About::Text(at) => is_read(*at, garbage()),
        }
    }

    pub(super) fn take_doubts(&mut self) -> Vec<(About, Line)> {
        std::mem::take(&mut self.doubts)
    }

    pub(super) fn values(&self) -> Vec<Value> {
        self.values.clone()
    }

    /// By place.
    pub(super) fn edits(&self) -> &[(At, Edit)] {
        &self.edits
    }

    pub(super) fn edits_mut(&mut self) -> &mut Vec<(At, Edit)> {
        &mut self.edits
    }

    /// The arguments with what is to be written otherwise.
    pub(super) fn written(
        &self,
        text: &str,
        question: Option<(At, Edit)>,
    ) -> Option<Box<RawValue>> {
        let document = Document::of(text, self.values.clone());
        let mut edits: Vec<(At, &Edit)> = self.edits.iter().map(|(at, edit)| (*at, edit)).collect();
        if let Some((at, edit)) = &question {
            edits.retain(|(own, _)| own != at);
            let place = edits.partition_point(|(own, _)| own < at);
            edits.insert(place, (*at, edit));
        }
        let mut writer = Writer {
            document: &document,
            edits: &edits,
            text: String::with_capacity(text.len()),
        };
        writer.value(0);
        RawValue::from_string(writer.text).ok()
    }
}

struct Writer<'a> {
    document: &'a Document<'a>,
    /// What is left of them, by place.
    edits: &'a [(At, &'a Edit)],
    text: String,
}

impl<'a> Writer<'a> {
    /// The edit of this value, which is then done.
    fn edit(&mut self, at: At) -> Option<&'a Edit> {
        let (first, rest) = self.edits.split_first()?;
        (first.0 == at).then(|| {
            self.edits = rest;
            first.1
        })
    }

    /// Leaves out the edits of a value.
    fn pass(&mut self, at: At) {
        let end = self.document.after(at);
        let done = self.edits.partition_point(|(at, _)| *at < end);
        self.edits = self.edits.get(done..).unwrap_or_default();
    }

    fn value(&mut self, at: At) {
        let document = self.document;
        if let Some(Edit::Replaced(text)) = self.edit(at) {
            self.text.push_str(text);
            self.pass(at);
            return;
        }
        let end = document.after(at);
        let is_touched = self.edits.first().is_some_and(|(first, _)| *first < end);
        match document.kind(at) {
            Kind::Array if is_touched => {
                self.text.push('[');
                let mut first = true;
                for item in document.items(at) {
                    if let Some((place, Edit::Removed)) = self.edits.first()
                        && *place == item
                    {
                        self.pass(item);
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        self.text.push(',');
                    }
                    self.value(item);
                }
                self.text.push(']');
            }
            Kind::Object if is_touched => self.object(at),
            _ => self.text.push_str(document.text(at)),
        }
    }

    fn object(&mut self, at: At) {
        let document = self.document;
        self.text.push('{');
        let mut first = true;
        for (key, value) in document.members(at) {
            let edit = self.edit(key);
            let times = match edit {
                Some(Edit::Removed) => {
                    self.pass(value);
                    0
                }
                Some(Edit::Twice) => 2,
                Some(Edit::Replaced(_)) | None => 1,
            };
            let edits = self.edits;
            for _ in 0..times {
                self.edits = edits;
                if !std::mem::take(&mut first) {
                    self.text.push(',');
                }
                match edit {
                    Some(Edit::Replaced(name)) => self.text.push_str(name),
                    _ => self.text.push_str(document.text(key)),
                }
                self.text.push(':');
                self.value(value);
            }
        }
        self.text.push('}');
    }
}
