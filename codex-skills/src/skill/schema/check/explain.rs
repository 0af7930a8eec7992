//! Words for the model: what is there, and what is expected. They speak of JSON, and repeat little of the arguments.

use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::Value;

use super::cure;
use super::document::{At, Document, Kind};
use super::leaf::{Meter, Pattern};
use super::message::Line;
use super::number::Bound;
use super::plan::{Check, Choice, Id, NumberRules, Plan, Tag, TextRules, Types};
use super::walk::Segment;
use crate::skill::arguments::{is_missing, listed as names_of, nearest_name, unknown};

/// The most names of members by which an object is shown.
const SHOWN: usize = 3;
/// How many references and compositions the forms of a choice are looked for behind.
const FORMS_DEPTH: usize = 4;
/// How much of a value, a path, and a list a message repeats, in characters.
const VALUE: usize = 60;
const PATH: usize = 120;
const LIST: usize = 300;

pub(super) const HALF: &str = "half of a surrogate pair, expected whole characters";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    path: String,
    what: What,
    /// What stands before it: of which of several forms it is said.
    pub(super) before: Option<String>,
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
            before: None,
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

    /// Says of which form it is said, which is the innermost one: where the form is, and what is there.
    pub(super) fn in_nearest_form(&mut self, form: impl FnOnce() -> (String, String)) {
        self.before.get_or_insert_with(|| {
            let (path, found) = form();
            let place = match path.as_str() {
                "" => String::new(),
                path => format!("`{}`: ", short(path, PATH)),
            };
            format!("{place}{found} fits none of the accepted forms; in the nearest one ")
        });
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.what, What::Missing(_))
    }

    fn line(&self, described: &dyn Fn(&str) -> Option<String>, names: Names<'_>) -> Line {
        let before = self.before.as_deref().unwrap_or_default();
        match &self.what {
            What::Wrong(text) if self.path.is_empty() => Line::of_value(format!("{before}{text}")),
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
                let text = self.unknown(name, known, names);
                Line::of_unknown(format!("{before}{text}"))
            }
        }
    }

    fn unknown(&self, name: &str, known: &[String], names: Names<'_>) -> String {
        // The arguments are listed in the order in which they were declared.
        let is_root = self.path.is_empty() && names.all.len() == known.len();
        let known = if is_root { names.all } else { known };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        if self.path.is_empty() {
            return if names.said && nearest_name(name, &known).is_none() {
                format!("unknown argument `{}`", short(name, VALUE))
            } else {
                short(&unknown(name, &known), 1_000)
            };
        }
        let meant = match nearest_name(name, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected {}", short(&names_of(&known), LIST)),
        };
        let (path, name) = (short(&self.path, PATH), short(name, VALUE));
        format!("`{path}`: unknown member `{name}`, {meant}")
    }
}

/// The names of the arguments, and whether they were listed before.
#[derive(Clone, Copy)]
struct Names<'a> {
    all: &'a [String],
    said: bool,
}

/// A line for each thing that is wrong.
pub(super) fn lines(
    all: &[Said],
    described: &dyn Fn(&str) -> Option<String>,
    names: &[String],
) -> Vec<Line> {
    let mut names = Names {
        all: names,
        said: false,
    };
    let lines = all.iter().map(|said| {
        let line = said.line(described, names);
        names.said |= said.path.is_empty() && matches!(said.what, What::Unknown(..));
        line
    });
    lines.collect()
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
            before: None,
        })
    }

    pub(super) fn unknown(&self, document: &Document<'_>, key: At) -> Said {
        self.unknown_name(&name(document, key))
    }

    fn unknown_name(&self, name: &str) -> Said {
        Said {
            path: self.path.clone(),
            what: What::Unknown(name.to_owned(), self.known.clone()),
            before: None,
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

fn member(path: &str, name: &str) -> String {
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
fn words(types: Types, whole: impl FnOnce() -> String) -> String {
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

fn listed(values: &[Value]) -> String {
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

/// Says that a value has none of the forms that there are.
pub(super) fn no_form(
    document: &Document<'_>,
    at: At,
    path: &str,
    choice: &Choice,
    plan: &Plan,
) -> Said {
    let is_object = document.kind(at) == Kind::Object;
    match &choice.tag {
        Some(Tag::Member { name, values }) if is_object => {
            let own = member(path, name);
            if let Some(again) = document.again(at, name) {
                return Said::twice(path.to_owned(), document, again);
            }
            match document.member(at, name) {
                Some(tag) => Said::at(own, none_of(document, tag, values)),
                None => Said::at(
                    String::new(),
                    format!(
                        "`{}` is missing, expected one of {}",
                        short(&own, PATH),
                        listed(values)
                    ),
                ),
            }
        }
        Some(Tag::Name) => {
            let found = found_with_names(document, at);
            let cure = cure::of(document, at, Types::OBJECT, None);
            let expected = short(&variants(choice), LIST);
            Said::at(
                path.to_owned(),
                format!("{found} is not one of {expected}{cure}"),
            )
        }
        _ => {
            let types = choice
                .branches
                .iter()
                .fold(Types::NONE, |all, branch| all.or(branch.outline.types));
            let expected = short(&forms(plan, choice).join(" or "), 2 * LIST);
            let found = found(document, at);
            let cure = match &choice.tag {
                Some(Tag::Member { name, values }) => cure::of_tag(document, at, name, values),
                _ => None,
            };
            let cure = cure.unwrap_or_else(|| cure::of(document, at, types, None));
            let text =
                format!("{found} fits none of the accepted forms, expected {expected}{cure}");
            Said::at(path.to_owned(), text)
        }
    }
}

/// The forms of a choice in words, those of the choices that are its forms in their place.
fn forms(plan: &Plan, choice: &Choice) -> Vec<String> {
    let (mut all, mut plain) = (Vec::new(), Types::NONE);
    collect_forms(plan, choice, FORMS_DEPTH, &mut all, &mut plain);
    if plain != Types::NONE {
        let at = if all.is_empty() || plain != Types::NULL {
            0
        } else {
            all.len()
        };
        all.insert(at, words(plain, || "a whole number".to_owned()));
    }
    all
}

fn collect_forms(
    plan: &Plan,
    choice: &Choice,
    depth: usize,
    all: &mut Vec<String>,
    plain: &mut Types,
) {
    match &choice.tag {
        Some(Tag::Member { name, values }) => {
            let name = short(name, VALUE);
            all.push(match values.as_slice() {
                [only] => format!(
                    "an object whose `{name}` is {}",
                    short(&only.to_string(), LIST)
                ),
                _ => format!("an object whose `{name}` is one of {}", listed(values)),
            });
            for branch in &choice.branches {
                *plain = plain.or(branch.outline.types.without(Types::OBJECT));
            }
        }
        Some(Tag::Name) => all.push(variants(choice)),
        None => {
            for branch in &choice.branches {
                match nested_choice(plan, branch.check, depth) {
                    Some(inner) => collect_forms(plan, inner, depth - 1, all, plain),
                    None => *plain = plain.or(branch.outline.types),
                }
            }
        }
    }
}

/// The choice that a schema is, and nothing else.
fn nested_choice(plan: &Plan, id: Id, depth: usize) -> Option<&Choice> {
    depth.checked_sub(1)?;
    let check = plan.check(id);
    let parts = check.parts.as_ref().filter(|_| check.types == Types::ALL)?;
    match (
        parts.choices.as_slice(),
        parts.reference,
        parts.all.as_slice(),
    ) {
        ([only], None, []) => Some(only),
        ([], Some(one), []) => nested_choice(plan, one, depth - 1),
        ([], None, [one]) => nested_choice(plan, *one, depth - 1),
        _ => None,
    }
}

/// The variants of an enumeration whose forms are texts and objects with one member.
fn variants(choice: &Choice) -> String {
    let mut texts = Vec::new();
    let mut objects = Vec::new();
    for branch in &choice.branches {
        texts.extend(
            branch
                .outline
                .values
                .iter()
                .flatten()
                .filter_map(Value::as_str),
        );
        objects.extend(branch.outline.required.first().map(String::as_str));
    }
    let all: Vec<String> = texts
        .iter()
        .map(|text| Value::from(*text).to_string())
        .chain(
            objects
                .iter()
                .map(|name| format!("{{{}: …}}", Value::from(*name))),
        )
        .collect();
    all.join(", ")
}

/// A value as a message shows it; an object with the names of its first members.
fn found_with_names(document: &Document<'_>, at: At) -> String {
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
