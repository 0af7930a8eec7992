//! Words for the model: what is there, and what is expected. They speak of JSON, and repeat little of the arguments.

use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::Value;

use super::cure;
use super::document::{At, Document, Kind};
use super::leaf::{Meter, Pattern};
use super::message::Line;
use super::number::Bound;
use super::plan::{Check, NumberRules, TextRules, Types};
use super::walk::Segment;
use crate::skill::arguments::{is_missing, listed as names_of, nearest_name, unknown};

/// The most names of members by which an object is shown.
const SHOWN: usize = 3;
/// How much of a value, a path, and a list a message repeats, in characters.
pub(super) const VALUE: usize = 60;
pub(super) const PATH: usize = 120;
pub(super) const LIST: usize = 300;

pub(super) const HALF: &str = "half of a surrogate pair, expected whole characters";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    path: String,
    what: What,
    /// What stands before it: of which of several forms it is said.
    nearest: Option<Nearest>,
}

/// The place of a value of which something is said as of the form that it comes nearest to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nearest {
    pub(super) path: String,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Nearest {
    fn said(&self) -> String {
        let Self {
            path,
            found,
            expected,
        } = self;
        let place = match path.as_str() {
            "" => String::new(),
            path => format!("`{}`: ", short(path, PATH)),
        };
        format!(
            "{place}{found} fits none of the accepted forms, expected {expected}; in the nearest one "
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Wrong(String),
    Missing(String),
    Unknown(String, Rc<[String]>),
}

impl Said {
    pub(super) fn at(path: String, text: String) -> Self {
        Self {
            path,
            what: What::Wrong(text),
            nearest: None,
        }
    }

    /// Says that a member is there twice.
    pub(super) fn twice(path: String, document: &Document<'_>, key: At) -> Self {
        let name = short(&member(&path, &name(document, key)), PATH);
        Self::at(String::new(), format!("`{name}` is given twice"))
    }

    /// The same of a member's name.
    pub(super) fn of_name(&mut self) {
        if let What::Wrong(text) = &mut self.what {
            *text = format!("its name {text}");
        }
    }

    /// Says of which form it is said, which is the innermost one: where the form is, what is there, and what is expected.
    pub(super) fn in_nearest_form(&mut self, form: impl FnOnce() -> Nearest) {
        self.nearest.get_or_insert_with(form);
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.what, What::Missing(_))
    }

    fn line(&self, described: &dyn Fn(&str) -> Option<String>, names: &[String]) -> Line {
        let nearest = self.nearest.as_ref();
        let before = nearest.map(Nearest::said).unwrap_or_default();
        // The place that was named already is not named again.
        let is_named = nearest.is_some_and(|nearest| nearest.path == self.path);
        match &self.what {
            What::Wrong(text) if self.path.is_empty() || is_named => {
                Line::of_value(format!("{before}{text}"))
            }
            What::Wrong(text) => {
                let path = short(&self.path, PATH);
                Line::of_value(format!("{before}`{path}`: {text}"))
            }
            What::Missing(name) => {
                let description = described(name).filter(|_| self.path.is_empty());
                let name = short(&member(&self.path, name), PATH);
                let text = is_missing(&name, description.as_deref());
                Line::of_missing(format!("{before}{text}"), name)
            }
            What::Unknown(name, known) => {
                let (text, again) = self.unknown(name, known, names);
                let again = again.map(|again| format!("{before}{again}"));
                Line::of_unknown(format!("{before}{text}"), again)
            }
        }
    }

    /// What is said of a member that has no place, and what of it where the names that there are were listed before.
    fn unknown(&self, name: &str, known: &[String], names: &[String]) -> (String, Option<String>) {
        // The arguments are listed in the order in which they were declared.
        let is_root = self.path.is_empty() && names.len() == known.len();
        let known = if is_root { names } else { known };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let nearest = nearest_name(name, &known);
        if self.path.is_empty() {
            let again = format!("unknown argument `{}`", short(name, VALUE));
            let text = short(&unknown(name, &known), 1_000);
            return (text, nearest.is_none().then_some(again));
        }
        let meant = match nearest {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected {}", short(&names_of(&known), LIST)),
        };
        let (path, name) = (short(&self.path, PATH), short(name, VALUE));
        (format!("`{path}`: unknown member `{name}`, {meant}"), None)
    }
}

/// A line for each thing that is wrong.
pub(super) fn lines(
    all: &[Said],
    described: &dyn Fn(&str) -> Option<String>,
    names: &[String],
) -> Vec<Line> {
    all.iter().map(|said| said.line(described, names)).collect()
}

/// The members of an object that are missing or unknown.
pub(super) struct Members {
    pub(super) path: String,
    pub(super) missing: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) known: Rc<[String]>,
}

impl Members {
    /// All of it. What was likely meant by an unknown name is not called missing.
    pub(super) fn said(&self) -> Vec<Said> {
        let missing: Vec<&str> = self.missing.iter().map(String::as_str).collect();
        let meant: Vec<&str> = self
            .unknown
            .iter()
            .filter_map(|name| nearest_name(name, &missing))
            .collect();
        let unknown = self.unknown.iter().map(|name| self.unknown_name(name));
        let missing = self.missing().filter(|said| match &said.what {
            What::Missing(name) => !meant.contains(&name.as_str()),
            _ => true,
        });
        unknown.chain(missing).collect()
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = Said> + '_ {
        self.missing.iter().map(|name| Said {
            path: self.path.clone(),
            what: What::Missing(name.clone()),
            nearest: None,
        })
    }

    pub(super) fn unknown(&self, document: &Document<'_>, key: At) -> Said {
        self.unknown_name(&name(document, key))
    }

    fn unknown_name(&self, name: &str) -> Said {
        Said {
            path: self.path.clone(),
            what: What::Unknown(name.to_owned(), self.known.clone()),
            nearest: None,
        }
    }
}

/// The name of a member, no longer than it is worth showing.
pub(super) fn name(document: &Document<'_>, key: At) -> String {
    match document.string(key) {
        Some(name) => short(&name, PATH),
        None => short(document.text(key), PATH),
    }
}

/// A place in the arguments: `items[2].price`.
pub(super) fn path(document: &Document<'_>, segments: &[Segment]) -> String {
    let mut path = String::new();
    for segment in segments {
        if path.len() > 2 * PATH {
            break;
        }
        // Writing to a string does not fail.
        let _ = match segment {
            Segment::Index(index) => write!(path, "[{index}]"),
            Segment::Key(key) if path.is_empty() => write!(path, "{}", name(document, *key)),
            Segment::Key(key) => write!(path, ".{}", name(document, *key)),
        };
    }
    path
}

pub(super) fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A value as a message shows it; objects and arrays by their kind, since they can be large.
pub(super) fn found(document: &Document<'_>, at: At) -> String {
    match document.kind(at) {
        Kind::Object | Kind::DeepObject => "the object".to_owned(),
        Kind::Array | Kind::DeepArray => "the array".to_owned(),
        Kind::Plain | Kind::Escaped => match document.string(at) {
            Some(text) => {
                let shown: String = text.chars().take(VALUE).collect();
                let cut = if shown.len() < text.len() { "…" } else { "" };
                format!("{}{cut}", Value::from(shown))
            }
            None => "the string".to_owned(),
        },
        Kind::Null | Kind::Bool | Kind::Number => short(document.text(at), VALUE),
    }
}

pub(super) fn wrong_type(document: &Document<'_>, at: At, check: &Check) -> String {
    if let Some(values) = &check.values {
        return none_of(document, at, values);
    }
    let found = found(document, at);
    if check.types == Types::NONE {
        return format!("{found} is not allowed here");
    }
    let cure = cure::of(document, at, check.types, check.number.as_deref());
    format!("{found} is not {}{cure}", expected(check))
}

/// What a schema takes.
fn expected(check: &Check) -> String {
    let whole = || {
        let rules = check.number.as_ref();
        let least = rules.and_then(|rules| rules.least.as_ref());
        let most = rules.and_then(|rules| rules.most.as_ref());
        match (least, most) {
            (Some(least), Some(most)) => {
                format!("a whole number from {} to {}", least.shown(), most.shown())
            }
            _ => "a whole number".to_owned(),
        }
    };
    words(check.types, whole)
}

/// Types in words, joined by `or`.
pub(super) fn words(types: Types, whole: impl FnOnce() -> String) -> String {
    let mut all = Vec::new();
    if types.has(Types::STRING) {
        all.push("a string".to_owned());
    }
    if types.has(Types::NUMBER) {
        all.push("a number".to_owned());
    } else if types.has(Types::INTEGER) {
        all.push(whole());
    }
    for (one, word) in [
        (Types::BOOL, "true or false"),
        (Types::ARRAY, "an array"),
        (Types::OBJECT, "an object"),
        (Types::NULL, "null"),
    ] {
        if types.has(one) {
            all.push(word.to_owned());
        }
    }
    all.join(" or ")
}

/// Says that a value is ruled out by itself.
pub(super) fn ruled_out(document: &Document<'_>, at: At) -> String {
    format!("{} is not allowed here", found(document, at))
}

/// What is wrong with the name of a member where the names have patterns.
pub(super) fn no_name<'p>(
    document: &Document<'_>,
    key: At,
    patterns: impl Iterator<Item = &'p Pattern>,
) -> String {
    let wanted: Vec<String> = patterns.map(Pattern::of_names).collect();
    let name = name(document, key);
    format!("the name `{name}` is not {}", wanted.join(" or "))
}

pub(super) fn rounded(document: &Document<'_>, at: At) -> String {
    format!(
        "{} may have lost digits on its way through a floating-point number, expected a string of its digits",
        found(document, at)
    )
}

pub(super) fn none_of(document: &Document<'_>, at: At, values: &[Value]) -> String {
    let found = found_with_names(document, at);
    let cure = cure::of_listed(document, at, values);
    match values {
        [only] => format!("{found} is not {}{cure}", short(&only.to_string(), LIST)),
        _ => format!("{found} is not one of {}{cure}", listed(values)),
    }
}

pub(super) fn listed(values: &[Value]) -> String {
    let all: Vec<String> = values.iter().map(Value::to_string).collect();
    short(&format!("[{}]", all.join(",")), LIST)
}

/// What is wrong with a number.
pub(super) fn number(rules: &NumberRules, text: &str) -> Option<String> {
    let breaks = |bound: &Option<Bound>, wrong: fn(std::cmp::Ordering) -> bool| {
        let bound = bound.as_ref()?;
        wrong(bound.of(text)).then(|| bound.shown().to_owned())
    };
    if let Some(least) = breaks(&rules.least, std::cmp::Ordering::is_lt) {
        return Some(format!("is less than the minimum of {least}"));
    }
    if let Some(most) = breaks(&rules.most, std::cmp::Ordering::is_gt) {
        return Some(format!("is greater than the maximum of {most}"));
    }
    if let Some(bound) = breaks(&rules.above, std::cmp::Ordering::is_le) {
        return Some(format!("is not greater than {bound}"));
    }
    if let Some(bound) = breaks(&rules.below, std::cmp::Ordering::is_ge) {
        return Some(format!("is not less than {bound}"));
    }
    let step = rules.step.as_ref()?;
    (!super::number::is_multiple(text, step))
        .then(|| format!("is not a multiple of {}", step.shown()))
}

/// What is wrong with a text, besides its format.
pub(super) fn text(rules: &TextRules, text: &str, meter: &Meter) -> Option<String> {
    let length = || u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let characters = ["character", "characters"];
    if let Some(least) = rules.least.filter(|least| length() < *least) {
        return Some(format!("is shorter than {}", counted(least, characters)));
    }
    if let Some(most) = rules.most.filter(|most| length() > *most) {
        return Some(format!("is longer than {}", counted(most, characters)));
    }
    let pattern = rules.pattern.as_ref()?;
    (!pattern.matches(text, meter))
        .then(|| format!("does not match `{}`", short(pattern.text(), 200)))
}

/// What is wrong with the number of items or members.
pub(super) fn count(
    count: u64,
    least: Option<u64>,
    most: Option<u64>,
    unit: [&str; 2],
) -> Option<String> {
    if let Some(least) = least.filter(|least| count < *least) {
        return Some(format!("there are fewer than {}", counted(least, unit)));
    }
    let most = most.filter(|most| count > *most)?;
    Some(format!("there are more than {}", counted(most, unit)))
}

fn counted(count: u64, [one, many]: [&str; 2]) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A value as a message shows it; an object with the names of its first members.
pub(super) fn found_with_names(document: &Document<'_>, at: At) -> String {
    match document.kind(at) {
        Kind::Object => {
            let names: Vec<String> = document
                .members(at)
                .take(SHOWN)
                .map(|(key, _)| format!("`{}`", short(&name(document, key), VALUE)))
                .collect();
            match names.as_slice() {
                [] => "the empty object".to_owned(),
                names => format!("the object of {}", names.join(", ")),
            }
        }
        _ => found(document, at),
    }
}

pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
