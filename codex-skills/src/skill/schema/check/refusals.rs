//! What types refuse of arguments besides what their schema forbids, all of it: serde stops at the first thing, so that
//! it is left out and the rest is decoded again, in some rounds.

use std::ops::Range;
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
const ROUNDS: usize = 24;
const BYTES: usize = 1024 * 1024;
/// How many other items are tried in the place of one that is left out.
const TRIES: usize = 3;

/// How deep arguments may be for their types to be asked: serde decodes what an untagged type refuses once for each variant
/// that may be meant, and so at each level.
const DEPTH: usize = 8;

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
    /// The value that a last step leads to.
    pub(super) fn of(step: Segment, at: At) -> Self {
        match step {
            Segment::Key(key) => Self::of_member(key),
            Segment::Index(_) => Self::of_item(at),
        }
    }

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
    let document = Document::of(text, rest.values());
    let mut spoilt = known.lacking.clone();
    let mut left = Left::new(&document, rest);
    for place in &known.wrong {
        spoilt.push(place.at);
        left.leave_out(*place);
    }
    let mut lines = Vec::new();
    let mut is_read = false;
    let rounds = match is_deep(text) {
        true => 0,
        false => (BYTES / text.len().max(1)).clamp(1, ROUNDS),
    };
    for round in 0..rounds {
        let error = match left
            .rest
            .written(text, None)
            .map(|json| read(reader, &json))
        {
            Some(Some(Err(error))) => error,
            read => {
                is_read = matches!(read, Some(Some(Ok(()))));
                break;
            }
        };
        let (place, path) = left.find(error.steps());
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
        left.leave_out(place);
    }
    let ask = |json: &RawValue| matches!(read(reader, json), Some(Ok(())));
    let wrong = doubts.into_iter().filter(|(about, _)| {
        let at = about.place().at;
        let is_left = !left.done.iter().any(|done| done.inside.contains(&at));
        if is_read && is_left {
            left.rest.ignores(text, about, &ask)
        } else {
            // The schema says that it is wrong, which is said where the schema says more.
            !known.has_first
        }
    });
    let mut all: Vec<Line> = wrong.map(|(_, line)| line).collect();
    all.append(&mut lines);
    all
}

/// Whether a JSON text has more levels than types are asked about.
fn is_deep(json: &str) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    json.bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH
    })
}

/// Decodes arguments. A type that panics says nothing.
fn read(reader: Reader, arguments: &RawValue) -> Option<Result<(), PathError>> {
    catch_unwind(AssertUnwindSafe(|| reader.read(arguments))).ok()
}

/// What is left of arguments.
struct Left<'d, 't> {
    document: &'d Document<'t>,
    rest: Rest,
    done: Vec<Done>,
}

/// A value that was left out.
struct Done {
    place: Place,
    inside: Range<At>,
    tries: usize,
}

impl<'d, 't> Left<'d, 't> {
    fn new(document: &'d Document<'t>, rest: Rest) -> Self {
        Self {
            document,
            rest,
            done: Vec::new(),
        }
    }

    /// The value that a path leads to, or the last one on the way to it, and the path.
    fn find(&self, steps: &[Step]) -> (Place, String) {
        let document = self.document;
        let mut place = Place::default();
        let mut way = Vec::new();
        for step in steps {
            let inner = match step {
                Step::Item(index) if document.kind(place.at) == Kind::Array => {
                    let items = document.items(place.at).enumerate();
                    let mut left = items.filter(|(_, item)| !self.is_removed(*item));
                    let item = left.nth(*index);
                    item.map(|(index, item)| (Place::of_item(item), Segment::Index(index)))
                }
                Step::Member(name) if document.kind(place.at) == Kind::Object => {
                    let keys = document.members(place.at).map(|(key, _)| key);
                    let named = keys.filter(|key| document.is(*key, name));
                    let left = named.filter(|key| !self.is_removed(*key));
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
            // Another value may stand in its place.
            if self.done.iter().any(|done| done.place == place) {
                break;
            }
        }
        (place, explain::path(document, &way))
    }

    fn is_removed(&self, noted: At) -> bool {
        let is = |(at, edit): &(At, Edit)| *at == noted && matches!(edit, Edit::Removed);
        self.rest.edits().iter().any(is)
    }

    /// Leaves a value out, and what it is in where there is no other way.
    fn leave_out(&mut self, place: Place) {
        let mut place = place;
        while place.at != 0 {
            if let Some(edit) = self.edit(place) {
                self.rest.note(place.noted, edit);
                return;
            }
            place = self
                .parent(place.at)
                .map_or_else(Place::default, |at| self.place(at));
        }
    }

    /// What stands for a value: nothing, or another item where those after it keep their positions, which mean something in
    /// a tuple.
    fn edit(&mut self, place: Place) -> Option<Edit> {
        let document = self.document;
        let known = self.done.iter_mut().find(|done| done.place == place);
        let tries = match known {
            Some(done) => {
                done.tries += 1;
                done.tries
            }
            None => {
                let inside = place.at..document.after(place.at);
                let tries = 0;
                self.done.push(Done {
                    place,
                    inside,
                    tries,
                });
                0
            }
        };
        if place.noted != place.at {
            return Some(Edit::Removed);
        }
        let array = self.parent(place.at)?;
        let is_last = document.after(place.at) == document.after(array);
        if !self.rest.tuples.contains(&array) || (tries == 0 && is_last) {
            return Some(Edit::Removed);
        }
        let is_fine = |item: &At| {
            let inside = *item..document.after(*item);
            !self.done.iter().any(|done| inside.contains(&done.place.at))
        };
        let is_alike = |item: &At| document.kind(*item) == document.kind(place.at);
        let others = document.items(array).filter(is_alike).filter(is_fine);
        let other = others.take(TRIES).nth(tries)?;
        Some(Edit::Replaced(document.text(other).to_owned()))
    }

    /// The array or object that a value is in.
    fn parent(&self, at: At) -> Option<At> {
        let is_parent = |parent: &At| {
            let kind = self.document.kind(*parent);
            matches!(kind, Kind::Array | Kind::Object) && self.document.after(*parent) > at
        };
        (0..at).rev().find(is_parent)
    }

    fn place(&self, at: At) -> Place {
        let parent = self.parent(at).map(|parent| self.document.kind(parent));
        match parent {
            Some(Kind::Object) => Place::of_member(at.saturating_sub(1)),
            Some(_) => Place::of_item(at),
            None => Place::default(),
        }
    }
}

impl Rest {
    /// Notes what stands for a value. The arguments themselves stay.
    fn note(&mut self, noted: At, edit: Edit) {
        let edits = self.edits_mut();
        edits.retain(|(at, _)| *at != noted);
        let position = edits.partition_point(|(at, _)| *at < noted);
        edits.insert(position, (noted, edit));
    }
}
