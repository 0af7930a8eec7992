//! What types refuse of arguments besides what their schema forbids, all of it: serde stops at the first thing, so that
//! it is left out and the rest is decoded again, in some rounds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::value::RawValue;

use super::document::{At, Document, Kind};
use super::explain;
use super::message::Line;
use super::respell::Rest;
use super::walk::{About, Edit, Segment};
use crate::skill::arguments::read_each;
use crate::skill::decoding::{PathError, Step};
use crate::skill::descriptor::ParameterDescriptor;

/// The most rounds, and how many bytes they may decode together.
const ROUNDS: usize = 16;
const BYTES: usize = 1024 * 1024;

/// Decodes a text, for what is wrong with it.
pub(crate) type Reads = fn(&str) -> Result<(), PathError>;

/// What decodes arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader {
    /// The types of the parameters, each by itself.
    Parameters(&'static [ParameterDescriptor]),
    /// One type.
    Whole(Reads),
}

impl Reader {
    fn read(self, arguments: &RawValue) -> Result<(), PathError> {
        match self {
            Self::Parameters(parameters) => read_each(arguments, parameters),
            Self::Whole(reads) => reads(arguments.get()),
        }
    }
}

/// A value inside the arguments, and where what leaves it out is noted: at its name, where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: At,
    pub(super) noted: At,
}

impl Place {
    pub(super) fn of_member(key: At) -> Self {
        Self {
            at: key + 1,
            noted: key,
        }
    }

    pub(super) fn of_item(at: At) -> Self {
        Self { at, noted: at }
    }
}

/// What is known to be wrong before types are asked.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Values that are wrong themselves.
    pub(super) wrong: Vec<Place>,
    /// Values in which something is wrong or missing.
    pub(super) lacking: Vec<At>,
    /// Whether the first thing that types refuse is said already.
    pub(super) has_first: bool,
}

/// Asks types what they refuse, and about the doubts: a line each, without what follows from what is known.
pub(super) fn refusals(reader: Reader, text: &str, mut rest: Rest, known: &Known) -> Vec<Line> {
    let mut doubts = rest.take_doubts();
    let mut spoilt = known.lacking.clone();
    for place in &known.wrong {
        spoilt.push(place.at);
        rest.leave_out(*place);
    }
    let mut lines = Vec::new();
    let mut left_out = Vec::new();
    let mut is_read = false;
    for round in 0..(BYTES / text.len().max(1)).clamp(1, ROUNDS) {
        let error = match rest.written(text, None).map(|json| read(reader, &json)) {
            Some(Some(Err(error))) => error,
            read => {
                is_read = matches!(read, Some(Some(Ok(()))));
                break;
            }
        };
        let document = Document::of(text, rest.values());
        let (place, path) = find(&document, &rest, error.steps());
        let inside = place.at..document.after(place.at);
        // A type tells whether it knows a member: it refuses its name, or its value.
        let decided = doubts.extract_if(.., |(about, _)| match about {
            About::Member { key } if error.is_of_name() => *key + 1 == place.at,
            About::Member { key } => (*key..document.after(*key + 1)).contains(&place.at),
            About::Missing { .. } | About::Text(_) => false,
        });
        let decided: Vec<Line> = decided.map(|(_, line)| line).collect();
        let is_told = error.is_of_name() && !decided.is_empty();
        if is_told {
            lines.extend(decided);
        }
        let doubted = |(about, _): &(About, Line)| inside.contains(&about.place().at);
        let follows = spoilt.iter().any(|at| inside.contains(at)) || doubts.iter().any(doubted);
        let is_said = round == 0 && known.has_first;
        if !is_said && !is_told && !follows && !error.is_of_absence() {
            lines.push(Line::of_value(error.said_at(path)));
        }
        if place.at == 0 {
            break;
        }
        spoilt.push(place.at);
        left_out.push(inside);
        rest.leave_out(place);
    }
    let ask = |json: &RawValue| matches!(read(reader, json), Some(Ok(())));
    let wrong = doubts.into_iter().filter(|(about, _)| {
        let at = about.place().at;
        let is_left = !left_out.iter().any(|inside| inside.contains(&at));
        if is_read && is_left {
            rest.ignores(text, about, &ask)
        } else {
            // The schema says that it is wrong, which is said where the schema says more.
            !known.has_first
        }
    });
    let mut all: Vec<Line> = wrong.map(|(_, line)| line).collect();
    all.append(&mut lines);
    all
}

/// Decodes arguments. A type that panics says nothing.
fn read(reader: Reader, arguments: &RawValue) -> Option<Result<(), PathError>> {
    catch_unwind(AssertUnwindSafe(|| reader.read(arguments))).ok()
}

/// The value that a path leads to in what is left of the arguments, or the last one on the way to it, and the path in the
/// whole of them.
fn find(document: &Document<'_>, rest: &Rest, steps: &[Step]) -> (Place, String) {
    let mut place = Place::default();
    let mut way = Vec::new();
    let mut steps = steps.iter();
    for step in &mut steps {
        let inner = match step {
            Step::Item(index) if document.kind(place.at) == Kind::Array => {
                let items = document.items(place.at).map(Place::of_item).enumerate();
                let mut left = items.filter(|(_, item)| !rest.leaves_out(*item));
                left.nth(*index)
                    .map(|(index, item)| (item, Segment::Index(index)))
            }
            Step::Member(name) if document.kind(place.at) == Kind::Object => {
                let members = document.members(place.at);
                let keys = members
                    .map(|(key, _)| key)
                    .filter(|key| document.is(*key, name));
                let left = keys.filter(|key| !rest.leaves_out(Place::of_member(*key)));
                let key = left.last();
                key.map(|key| (Place::of_member(key), Segment::Key(key)))
            }
            _ => None,
        };
        let Some((inner, segment)) = inner else {
            break;
        };
        place = inner;
        way.push(segment);
    }
    (place, explain::path(document, &way))
}

impl Rest {
    /// Leaves a value out. The arguments themselves stay.
    fn leave_out(&mut self, place: Place) {
        if place.at == 0 {
            return;
        }
        let edits = self.edits_mut();
        edits.retain(|(at, _)| *at != place.noted);
        let position = edits.partition_point(|(at, _)| *at < place.noted);
        edits.insert(position, (place.noted, Edit::Removed));
    }

    fn leaves_out(&self, place: Place) -> bool {
        let is = |(at, edit): &(At, Edit)| *at == place.noted && matches!(edit, Edit::Removed);
        self.edits().iter().any(is)
    }
}
