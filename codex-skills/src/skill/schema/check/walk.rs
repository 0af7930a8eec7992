//! Walks a document along a plan: what fits, what is to be respelt, what only the type knows, and what breaks it.
//!
//! A choice is made by what its branches look like from outside; where that leaves several, each is judged, and
//! judgements are remembered by check and value. So the work grows with the arguments, however they nest. Words are
//! found only along the branch that was chosen.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::choice;
use super::document::{At, Document, Kind};
use super::explain::{self, Said};
use super::leaf::Meter;
use super::number::{self, Whole};
use super::plan::{ArrayRules, Check, Id, NumberRules, ObjectRules, Plan, TextRules, Types};
use super::refusals::{Known, Place};
use super::same;

/// The most violations that are collected, besides all that is missing and unknown in the last object and at the root.
pub(super) const VIOLATIONS: usize = 32;
/// The deepest way from the root: references and compositions count, too.
const DEEPEST: u32 = 700;
/// The most steps: so many, and so many for each value.
const STEPS: usize = 1_000_000;
const STEPS_EACH: usize = 200;
/// The most judgements that are remembered: some for each value, and no more than take about 8 MiB.
const KNOWN_EACH: usize = 4;
const LEAST_KNOWN: usize = 4 * 1024;
const MOST_KNOWN: usize = 400_000;
/// How many doubts there may be about one call: each is settled by decoding the arguments once more, which is to take no
/// longer than decoding so many bytes, within bounds.
const DOUBTED_BYTES: usize = 1024 * 1024;
const LEAST_DOUBTS: usize = 64;
const MOST_DOUBTS: usize = 1024;

/// How a value fits a schema, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// As it is.
    Exact,
    /// When something is written otherwise: `5.0` as `5`, a text as a whole number, nothing for `null`.
    Respelt,
    /// If the type says so.
    Doubtful,
    /// Not at all.
    Broken,
}

/// What is to be written otherwise.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Replaced(String),
    /// The name and the value of a member are left out.
    Removed,
    /// The member is there twice, which types refuse of members that they know.
    Twice,
}

/// What the schema forbids, and the type may know better.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The schema, of which one answer is enough.
    pub(super) check: Id,
    pub(super) about: About,
    /// What the model reads if the type does not.
    pub(super) said: Said,
}

#[derive(Clone, Debug)]
pub(super) enum About {
    /// A member without a property, which may be another name of one. Its name, and whether any others are allowed.
    Member { key: At },
    /// Members that are missing in an object, beside some that have no property.
    Missing { object: Place },
    /// A text that is not in its format, or none of those that are listed.
    Text(At),
}

impl About {
    /// The value that it is about.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Member { key } => Place::of_member(*key),
            Self::Missing { object } => *object,
            Self::Text(at) => Place::of_item(*at),
        }
    }
}

/// What came of a walk.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<Said>,
    pub(super) edits: Vec<(At, Edit)>,
    pub(super) doubts: Vec<Doubt>,
    /// What to say if the type reads none of the forms that it is asked about, in place of some doubts.
    pub(super) hints: Vec<Said>,
    pub(super) hinted: Range<usize>,
    /// How many violations there are besides.
    pub(super) more: usize,
    /// Where the violations are.
    pub(super) known: Known,
    /// The arrays whose positions mean something.
    pub(super) tuples: Vec<At>,
}

#[derive(Clone, Copy)]
pub(super) enum Segment {
    Key(At),
    Index(usize),
}

/// The way from the root. Short ones need no memory of their own.
pub(super) struct Path {
    few: [Segment; 8],
    many: Vec<Segment>,
    len: usize,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            few: [Segment::Index(0); 8],
            many: Vec::new(),
            len: 0,
        }
    }
}

impl Path {
    fn push(&mut self, segment: Segment) {
        match self.few.get_mut(self.len) {
            Some(place) => *place = segment,
            None => {
                if self.many.is_empty() {
                    self.many.extend(self.few);
                }
                self.many.truncate(self.len);
                self.many.push(segment);
            }
        }
        self.len += 1;
    }

    fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
        if self.len <= self.few.len() {
            self.many.clear();
        }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        let all = if self.len > self.few.len() {
            &self.many
        } else {
            self.few.as_slice()
        };
        all.get(..self.len).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Judged {
    fit: Fit,
    reported: bool,
}

/// What does not change along a walk.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) plan: &'a Plan,
    pub(super) document: &'a Document<'a>,
    pub(super) meter: &'a Meter,
    /// Whether large numbers may have lost digits before they were written.
    pub(super) rounded: bool,
}

pub(super) struct Walk<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) findings: Findings,
    pub(super) path: Path,
    /// The value that the path leads to.
    pub(super) here: Place,
    /// The object that forms are flattened into, and what it demands itself.
    pub(super) outside: Option<(At, &'a ObjectRules)>,
    pub(super) known: HashMap<(Id, At), Judged, RandomState>,
    /// Texts that may name a form by another name, and are taken for its name.
    pub(super) assumed: HashSet<At, RandomState>,
    /// Whether the words of a nearest form are kept already.
    pub(super) hinted: bool,
    pub(super) reporting: bool,
    depth: u32,
    pub(super) steps: usize,
    steps_left: usize,
    pub(super) known_most: usize,
    pub(super) doubts_most: usize,
    /// The lowest address that its frames reached.
    #[cfg(test)]
    pub(super) lowest: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ground: Ground<'a>) -> Self {
        Self {
            ground,
            findings: Findings::default(),
            path: Path::default(),
            here: Place::default(),
            outside: None,
            known: HashMap::with_hasher(RandomState::default()),
            assumed: HashSet::with_hasher(RandomState::default()),
            hinted: false,
            reporting: true,
            depth: 0,
            steps: 0,
            known_most: ground
                .document
                .len()
                .saturating_mul(KNOWN_EACH)
                .clamp(LEAST_KNOWN, MOST_KNOWN),
            doubts_most: doubts_about(ground.document),
            #[cfg(test)]
            lowest: usize::MAX,
            steps_left: STEPS.saturating_add(STEPS_EACH.saturating_mul(ground.document.len())),
        }
    }

    pub(super) fn document(&self) -> &'a Document<'a> {
        self.ground.document
    }

    /// Walks from the root.
    pub(super) fn run(&mut self) -> Fit {
        self.check(self.ground.plan.root, 0)
    }

    /// How a value fits; with words, edits and doubts while reporting.
    pub(super) fn check(&mut self, id: Id, at: At) -> Fit {
        #[cfg(test)]
        self.note_stack();
        self.steps += 1;
        if self.steps > self.steps_left {
            return self.breaks(|| {
                "there is too much to check, expected a shorter list or fewer levels".to_owned()
            });
        }
        if self.depth >= DEEPEST {
            return self.breaks(|| "nested too deep to be checked".to_owned());
        }
        let check = self.ground.plan.check(id);
        if check.shared {
            let key = (id, at);
            match self.known.get(&key) {
                Some(known) if known.reported || !self.reporting => return known.fit,
                _ => {}
            }
            self.depth += 1;
            let fit = self.one(check, id, at);
            self.depth -= 1;
            let reported = self.reporting;
            self.remember(key, Judged { fit, reported });
            return fit;
        }
        self.depth += 1;
        let fit = self.one(check, id, at);
        self.depth -= 1;
        fit
    }

    /// How a value fits, without words.
    pub(super) fn judge(&mut self, id: Id, at: At) -> Fit {
        let key = (id, at);
        if let Some(known) = self.known.get(&key) {
            return known.fit;
        }
        let reporting = std::mem::replace(&mut self.reporting, false);
        let fit = self.check(id, at);
        self.reporting = reporting;
        if !self.known.contains_key(&key) {
            let reported = false;
            self.remember(key, Judged { fit, reported });
        }
        fit
    }

    /// Remembers a judgement. Those before are forgotten where they are too many: most are of values that were passed,
    /// and what is judged again takes steps.
    fn remember(&mut self, key: (Id, At), known: Judged) {
        if self.known.len() >= self.known_most {
            self.known.clear();
        }
        self.known.insert(key, known);
    }

    #[cfg(test)]
    fn note_stack(&mut self) {
        let here = 0_u8;
        self.lowest = self.lowest.min(std::ptr::from_ref(&here).addr());
    }

    pub(super) fn is_reporting(&self) -> bool {
        self.reporting
    }

    fn one(&mut self, check: &'a Check, id: Id, at: At) -> Fit {
        match (&check.object, &check.parts) {
            (Some(rules), Some(parts)) if !parts.choices.is_empty() => {
                let outside = self.outside.replace((at, rules));
                let fit = self.one_in(check, id, at);
                self.outside = outside;
                fit
            }
            _ => self.one_in(check, id, at),
        }
    }

    fn one_in(&mut self, check: &'a Check, id: Id, at: At) -> Fit {
        let kind = self.document().kind(at);
        let mut fit = match self.types(check, at, kind) {
            Fit::Broken => return Fit::Broken,
            fit => fit,
        };
        if let Some(values) = &check.values {
            fit = fit.max(self.values(values, id, at, kind));
        }
        if fit == Fit::Broken {
            return fit;
        }
        let rules = match kind {
            Kind::Number => match &check.number {
                Some(rules) => self.number(rules, self.document().text(at), at),
                None => Fit::Exact,
            },
            Kind::Plain | Kind::Escaped => self.text(check, id, at),
            Kind::Array => match &check.array {
                Some(rules) => self.array(check, rules, at),
                None => Fit::Exact,
            },
            Kind::Object => match &check.object {
                Some(rules) => self.object(check, rules, id, at),
                None => Fit::Exact,
            },
            Kind::DeepArray | Kind::DeepObject => {
                self.breaks(|| "nested too deep, expected at most 127 levels in all".to_owned())
            }
            Kind::Null | Kind::Bool => Fit::Exact,
        };
        fit = fit.max(rules);
        if fit == Fit::Broken && !self.reporting {
            return fit;
        }
        match &check.parts {
            Some(_) => fit.max(self.parts(check, at)),
            None => fit,
        }
    }

    fn types(&mut self, check: &'a Check, at: At, kind: Kind) -> Fit {
        let types = check.types;
        let document = self.document();
        let fits = match kind {
            Kind::Null => types.has(Types::NULL),
            Kind::Bool => types.has(Types::BOOL),
            Kind::Plain | Kind::Escaped => types.has(Types::STRING),
            Kind::Array | Kind::DeepArray => types.has(Types::ARRAY),
            Kind::Object | Kind::DeepObject => types.has(Types::OBJECT),
            Kind::Number if types.has(Types::NUMBER) => true,
            Kind::Number if types.has(Types::INTEGER) => {
                return self.whole(check, document.text(at), at);
            }
            Kind::Number => false,
        };
        if fits {
            return Fit::Exact;
        }
        let is_wide = check.number.as_ref().is_some_and(|rules| rules.wide);
        if is_wide
            && types.has(Types::INTEGER)
            && !types.has(Types::NUMBER)
            && let Some(text) = document.string(at).filter(|text| number::is_decimal(text))
        {
            return self.whole(check, &text, at).max(Fit::Respelt);
        }
        self.breaks(|| explain::wrong_type(document, at, check))
    }

    /// A number where a whole one is wanted.
    fn whole(&mut self, check: &'a Check, text: &str, at: At) -> Fit {
        let document = self.document();
        if number::is_plain(text) && document.kind(at) == Kind::Number {
            return Fit::Exact;
        }
        let Some(whole) = Whole::read(text) else {
            return self.breaks(|| explain::wrong_type(document, at, check));
        };
        let is_small = whole.magnitude.is_some_and(|size| size < (1 << 53));
        // Where the type has a narrow range and takes no string, the range says what is wrong.
        let is_narrow = check
            .number
            .as_ref()
            .is_some_and(|rules| !rules.wide && rules.least.is_some() && rules.most.is_some());
        let may_be_rounded = self.ground.rounded && document.kind(at) == Kind::Number;
        let is_beyond = || {
            check
                .number
                .as_ref()
                .is_some_and(|rules| rules.is_beyond(text))
        };
        if may_be_rounded && !is_small && !is_narrow && !is_beyond() {
            return self.breaks(|| explain::rounded(document, at));
        }
        match whole.digits() {
            Some(digits) => {
                self.edit(at, || Edit::Replaced(digits));
                Fit::Respelt
            }
            // The bounds tell, where there are any.
            None if check.number.is_some() => Fit::Respelt,
            None => self.breaks(|| explain::wrong_type(document, at, check)),
        }
    }

    fn values(&mut self, values: &'a [serde_json::Value], id: Id, at: At, kind: Kind) -> Fit {
        let document = self.document();
        if self.assumed.contains(&at) {
            return Fit::Exact;
        }
        let Some(value) = values.iter().find(|value| same::is(document, at, value)) else {
            let said = || explain::none_of(document, at, values);
            // A variant may have further names.
            return if self.ground.plan.of_type && matches!(kind, Kind::Plain | Kind::Escaped) {
                self.doubts(id, at, said)
            } else {
                self.breaks(said)
            };
        };
        let spelling = (kind == Kind::Number).then(|| value.to_string());
        match spelling.filter(|spelling| spelling != document.text(at)) {
            Some(spelling) => {
                self.edit(at, || Edit::Replaced(spelling));
                Fit::Respelt
            }
            None => Fit::Exact,
        }
    }

    fn number(&mut self, rules: &'a NumberRules, text: &str, at: At) -> Fit {
        match explain::number(rules, text) {
            None => Fit::Exact,
            Some(said) => {
                let document = self.document();
                self.breaks(|| format!("{} {said}", explain::found(document, at)))
            }
        }
    }

    fn text(&mut self, check: &'a Check, id: Id, at: At) -> Fit {
        let document = self.document();
        if !check.types.has(Types::STRING) {
            // It was taken for a number.
            return match (&check.number, document.string(at)) {
                (Some(rules), Some(text)) => self.number(rules, &text, at),
                _ => Fit::Exact,
            };
        }
        let Some(rules) = &check.text else {
            // Where anything goes, the type may not look at it.
            let is_half = check.types != Types::ALL
                && document.kind(at) == Kind::Escaped
                && document.string(at).is_none();
            return if is_half {
                self.breaks(|| explain::HALF.to_owned())
            } else {
                Fit::Exact
            };
        };
        let Some(text) = document.string(at) else {
            return self.breaks(|| explain::HALF.to_owned());
        };
        self.text_rules(rules, id, &text, at)
    }

    fn text_rules(&mut self, rules: &'a TextRules, id: Id, text: &str, at: At) -> Fit {
        let document = self.document();
        if let Some(said) = explain::text(rules, text, self.ground.meter) {
            return self.breaks(|| format!("{} {said}", explain::found(document, at)));
        }
        let Some(format) = rules.format.as_ref().filter(|format| !format.matches(text)) else {
            return Fit::Exact;
        };
        let said = || {
            let found = explain::found(document, at);
            format!("{found} is not in the {} format", format.name)
        };
        if self.ground.plan.of_type {
            return self.doubts(id, at, said);
        }
        self.breaks(said)
    }

    fn array(&mut self, check: &'a Check, rules: &'a ArrayRules, at: At) -> Fit {
        let document = self.document();
        if rules.is_tuple() && self.findings.tuples.last() != Some(&at) {
            self.findings.tuples.push(at);
        }
        let mut fit = Fit::Exact;
        let mut count = 0;
        let mut contained = 0;
        for (index, item) in document.items(at).enumerate() {
            count += 1;
            let inner = rules.first.get(index).copied().or(rules.rest);
            if let Some(inner) = inner {
                fit = fit.max(self.inside(Segment::Index(index), inner, item));
                if self.is_over(fit) {
                    return fit;
                }
            }
            if let Some(contains) = &rules.contains {
                contained += u64::from(self.judge(contains.check, item) != Fit::Broken);
            }
        }
        if let Some(said) = explain::count(count, rules.least, rules.most, ["item", "items"]) {
            fit = fit.max(self.breaks(|| said));
        }
        if let Some(contains) = &rules.contains
            && (contained < contains.least || contains.most.is_some_and(|most| contained > most))
        {
            fit = fit.max(self.breaks(|| "it has not the items that it needs".to_owned()));
        }
        if rules.unique && !same::are_distinct(document, at) {
            fit = fit.max(self.breaks(|| "an item is there twice".to_owned()));
        }
        if let Some(rest) = rules.unevaluated {
            let covered = choice::covered_items(self, check, at);
            for (index, item) in document.items(at).enumerate() {
                if index >= covered {
                    fit = fit.max(self.inside(Segment::Index(index), rest, item));
                }
            }
        }
        fit
    }

    /// Checks something inside the value.
    pub(super) fn inside(&mut self, segment: Segment, id: Id, at: At) -> Fit {
        if !self.reporting {
            return self.check(id, at);
        }
        let here = std::mem::replace(&mut self.here, Place::of(segment, at));
        self.path.push(segment);
        let fit = self.check(id, at);
        self.path.pop();
        self.here = here;
        fit
    }

    /// Whether nothing more would be learnt.
    pub(super) fn is_over(&self, fit: Fit) -> bool {
        fit == Fit::Broken && !self.reporting
    }

    fn parts(&mut self, check: &'a Check, at: At) -> Fit {
        let Some(parts) = &check.parts else {
            return Fit::Exact;
        };
        let mut fit = Fit::Exact;
        for part in parts.reference.iter().chain(&parts.all) {
            fit = fit.max(self.check(*part, at));
            if self.is_over(fit) {
                return fit;
            }
        }
        for one in &parts.choices {
            fit = fit.max(choice::choose(self, one, at));
            if self.is_over(fit) {
                return fit;
            }
        }
        // What only the type knows is no reason to refuse.
        if let Some(not) = parts.not
            && self.judge(not, at) < Fit::Doubtful
        {
            let document = self.document();
            let lists = self.ground.plan.check(not).values.is_some();
            fit = fit.max(self.breaks(|| match lists {
                true => explain::ruled_out(document, at),
                false => "it is what its schema rules out by `not`".to_owned(),
            }));
        }
        if let Some(condition) = &parts.condition {
            let holds = self.judge(condition.test, at) != Fit::Broken;
            let next = if holds {
                condition.then
            } else {
                condition.otherwise
            };
            if let Some(next) = next {
                fit = fit.max(self.check(next, at));
            }
        }
        fit
    }

    /// Something that the schema forbids of a value inside.
    pub(super) fn breaks_inside(
        &mut self,
        segment: Segment,
        at: At,
        said: impl FnOnce() -> String,
    ) -> Fit {
        let here = std::mem::replace(&mut self.here, Place::of(segment, at));
        self.path.push(segment);
        let fit = self.breaks(said);
        self.path.pop();
        self.here = here;
        fit
    }

    /// Something that the schema forbids. The words are made only where they are read.
    pub(super) fn breaks(&mut self, said: impl FnOnce() -> String) -> Fit {
        self.breaks_so(|walk| Said::at(walk.path(), said()))
    }

    /// The same with a place of its own.
    pub(super) fn breaks_so(&mut self, said: impl FnOnce(&Self) -> Said) -> Fit {
        if self.reporting {
            if self.findings.violations.len() >= VIOLATIONS {
                self.findings.more += 1;
            } else {
                let said = said(self);
                if !self.findings.violations.contains(&said) {
                    self.findings.violations.push(said);
                }
                self.findings.known.wrong.push(self.here);
            }
        }
        Fit::Broken
    }

    fn doubts(&mut self, id: Id, text: At, said: impl FnOnce() -> String) -> Fit {
        self.doubts_so(id, text, |walk| Said::at(walk.path(), said()))
    }

    /// A text that the type may read all the same. One answer is enough for all texts of a schema.
    pub(super) fn doubts_so(&mut self, id: Id, text: At, said: impl FnOnce(&Self) -> Said) -> Fit {
        if !self.reporting {
            return Fit::Doubtful;
        }
        let is_same = |doubt: &Doubt| doubt.check == id && matches!(doubt.about, About::Text(_));
        if self.findings.doubts.iter().any(is_same) {
            return Fit::Doubtful;
        }
        if self.findings.doubts.len() >= self.doubts_most {
            return self.breaks_so(said);
        }
        let said = said(self);
        let (check, about) = (id, About::Text(text));
        self.findings.doubts.push(Doubt { check, about, said });
        Fit::Doubtful
    }

    pub(super) fn edit(&mut self, at: At, edit: impl FnOnce() -> Edit) {
        if self.reporting {
            self.findings.edits.push((at, edit()));
        }
    }

    pub(super) fn is_at_root(&self) -> bool {
        self.path.len == 0
    }

    pub(super) fn path(&self) -> String {
        explain::path(self.document(), self.path.segments())
    }
}

fn doubts_about(document: &Document<'_>) -> usize {
    let (start, end) = document.span(0);
    (DOUBTED_BYTES / (end - start).max(1)).clamp(LEAST_DOUBTS, MOST_DOUBTS)
}
