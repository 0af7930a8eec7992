//! Decoding values that passed the check of their schema, and the words for what a type refuses all the same.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::context::Invocation;
use super::output::{FailureKind, SkillFailure};
use super::schema::check::{Checked, key_before};
use crate::withheld;

/// The longest path and the longest reason, which repeat what the model wrote.
const PATH: usize = 200;
const REASON: usize = 1_500;
/// Error text for an enumeration where serde reports only that a value is expected.
const ONE_OF_ITS_VALUES: &str = "expected one of the values that its schema lists";
/// Above so many bytes, arguments take so long to decode that their call may be over.
const LONG: usize = 16 * 1024;

impl Invocation {
    /// Reads the arguments as types want them spelt, or else as they came, and asks the type what only it can tell.
    pub(crate) fn read<T>(
        &self,
        read: impl Fn(&RawValue) -> Result<T, SkillFailure>,
    ) -> Result<T, SkillFailure> {
        let arguments = self.arguments();
        let later;
        let mut checked = &self.checked;
        let mut value = read_either(checked, arguments, &read);
        if value.is_err()
            && let Some(shape) = checked.due()
        {
            let found = shape.check(&self.context.call);
            later = found.map_err(SkillFailure::arguments)?;
            checked = &later;
            if let Some(respelt) = checked.respelt(arguments) {
                value = read(&respelt);
            }
        }
        let value = value.map_err(|failure| {
            let (mut failure, was_doubted) = explained(checked, failure);
            if failure.kind == FailureKind::Arguments {
                let said = failure.message;
                failure.message = checked.with_further_refusals(arguments, said, was_doubted);
            }
            failure
        })?;
        checked
            .settle(arguments, &|question| {
                // Without an answer it counts as ignored: the call is over.
                self.context.is_cancelled() || read(question).is_ok()
            })
            .map_err(SkillFailure::arguments)?;
        if arguments.get().len() > LONG && self.context.is_cancelled() {
            return Err(SkillFailure::handler("its call is over"));
        }
        Ok(value)
    }
}

/// Reads the arguments respelt, where they are: a type may ignore what it does not read as it came. And where it reads
/// them only as they came, it knows better than its schema.
fn read_either<T>(
    checked: &Checked,
    arguments: &RawValue,
    read: impl Fn(&RawValue) -> Result<T, SkillFailure>,
) -> Result<T, SkillFailure> {
    match checked.respelt(arguments) {
        None => read(arguments),
        Some(respelt) => read(&respelt).or_else(|failure| read(arguments).map_err(|_| failure)),
    }
}

/// The failure in the words of the check, where it found what the type misses, and whether it did.
fn explained(checked: &Checked, failure: SkillFailure) -> (SkillFailure, bool) {
    let doubts = checked.doubts();
    match doubts.filter(|_| failure.kind == FailureKind::Arguments) {
        Some(doubts) if is_said_in(&failure.message, &doubts) => {
            (SkillFailure::arguments(doubts), true)
        }
        _ => (failure, false),
    }
}

/// Whether doubts say what a type says: where it names what it misses, they name that too.
fn is_said_in(message: &str, doubts: &str) -> bool {
    // Long names are cut in both.
    let begins = |name: &str| name.chars().take(20).collect::<String>();
    let last = |before: &str, ends: &[char]| before.rsplit(ends).next().map(begins);
    if let Some((before, _)) = message.split_once("` is missing") {
        let name = last(before, &['`', '.']).unwrap_or_default();
        return doubts.contains(&format!("`{name}")) || doubts.contains(&format!(".{name}"));
    }
    for unknown in ["unknown member `", "unknown argument `"] {
        if let Some((_, name)) = message.split_once(unknown) {
            return doubts.contains(&begins(name.split('`').next().unwrap_or_default()));
        }
    }
    if let Some((before, _)) = message.split_once("\" is not one of") {
        return doubts.contains(&last(before, &['"']).unwrap_or_default());
    }
    if let Some((before, _)) = message.split_once("`: its name is not one of") {
        return doubts.contains(&last(before, &['.', '`']).unwrap_or_default());
    }
    message.contains("fits none of") || message.ends_with(ONE_OF_ITS_VALUES)
}

/// Decodes the arguments into a whole struct: the derived one of a skill whose parameters carry
/// `#[serde]` or `#[schemars]` attributes, or the argument type of a closure.
///
/// # Errors
/// When they are not a value of that struct.
pub fn decode_struct<T: DeserializeOwned>(invocation: &Invocation) -> Result<T, SkillFailure> {
    invocation.read(|arguments| decode(arguments.get()).map_err(|error| error.under("")))
}

/// Decodes a value, for what is wrong with it.
pub(crate) fn reads<T: DeserializeOwned>(json: &str) -> Result<(), PathError> {
    decode::<T>(json).map(drop)
}

/// Decodes a value, all of its text.
pub(super) fn decode<T: DeserializeOwned>(json: &str) -> Result<T, PathError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(value) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(_) => Err(PathError::trailing()),
        },
        Err(error) => Err(PathError::new(json, &error)),
    }
}

/// A step on the way to a value.
#[derive(Debug)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

impl Step {
    fn of(segment: &serde_path_to_error::Segment) -> Option<Self> {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => Some(Self::Item(*index)),
            Segment::Map { key } => Some(Self::Member(key.clone())),
            Segment::Enum { variant } => Some(Self::Member(variant.clone())),
            Segment::Unknown => None,
        }
    }
}

/// A decoding error and the path inside the value at which it happened.
#[derive(Default)]
pub struct PathError {
    path: String,
    reason: String,
    steps: Vec<Step>,
}

/// Without the reason, of which the size is shown: it may repeat what the model wrote.
impl fmt::Debug for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathError")
            .field("path", &withheld::text(&self.path))
            .field("reason", &withheld::text(&self.reason))
            .finish()
    }
}

impl PathError {
    fn new(json: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let mut path = error.path().to_string();
        if path == "." {
            path.clear();
        }
        let mut reason = reason(error.inner());
        let mut steps: Vec<Step> = error.path().iter().map_while(Step::of).collect();
        // The names of members have no place of their own.
        if let Some(before) = path.strip_suffix('?') {
            let key = key_before(json, position(json, error.inner()));
            let (key, is_past) = key.unwrap_or_default();
            if !is_past {
                reason = match reason.split_once(" is not ") {
                    Some((_, expected)) => format!("its name is not {expected}"),
                    None => format!("its name does not fit: {reason}"),
                };
            }
            path = format!("{before}{key}");
            steps.push(Step::Member(key));
        }
        Self {
            path,
            reason,
            steps,
        }
    }

    /// The value ends before its text does.
    fn trailing() -> Self {
        Self {
            path: String::new(),
            reason: "the number has a fraction or an exponent, expected its digits".to_owned(),
            steps: Vec::new(),
        }
    }

    /// The way to what is wrong, as far as it is known.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether it says that something is missing.
    pub(crate) fn is_of_absence(&self) -> bool {
        words::of_member(&self.reason).is_some()
    }

    /// Whether it is the name of a member that is refused.
    pub(crate) fn is_of_name(&self) -> bool {
        let starts = |start| self.reason.starts_with(start);
        starts("unknown member ") || starts("its name ")
    }

    /// Returns the error as one of the value in which this one is a member.
    pub(crate) fn within(mut self, name: &str) -> Self {
        self.path = joined(name, &self.path);
        self.steps.insert(0, Step::Member(name.to_owned()));
        self
    }

    /// The words for the model, of this path.
    pub(crate) fn said_at(self, path: String) -> String {
        Self { path, ..self }.under("").message
    }

    /// The failure for the model, with the path continued from `name`.
    pub(crate) fn under(self, name: &str) -> SkillFailure {
        let Self { path, reason, .. } = self;
        let path = joined(name, &shortened(&path, PATH));
        SkillFailure::arguments(match words::of_member(&reason) {
            Some((member, said)) if path.is_empty() => format!("`{member}` {said}"),
            Some((member, said)) => format!("`{path}.{member}` {said}"),
            None if path.is_empty() => reason,
            None => format!("`{path}`: {reason}"),
        })
    }
}

/// A path continued from a name.
fn joined(name: &str, path: &str) -> String {
    match path {
        "" => name.to_owned(),
        path if path.starts_with('[') || name.is_empty() => format!("{name}{path}"),
        path => format!("{name}.{path}"),
    }
}

/// Where in a text an error is said to be, in bytes.
fn position(json: &str, error: &serde_json::Error) -> usize {
    let lines = json.split_inclusive('\n');
    let before = lines.take(error.line().saturating_sub(1)).map(str::len);
    before.sum::<usize>() + error.column()
}

/// Returns serde's error in words of JSON, without the position: the model's text has no lines.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position).unwrap_or(&text) {
        // serde's error for an enumeration that is given neither a text nor an object.
        "expected value" => ONE_OF_ITS_VALUES.to_owned(),
        "number out of range" => "the number is out of range, expected a smaller one".to_owned(),
        "recursion limit exceeded" => {
            "nested too deep, expected at most 127 levels in all".to_owned()
        }
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "half of a surrogate pair, expected whole characters".to_owned()
        }
        text => shortened(&words::of_json(text), REASON),
    }
}

/// The start and the end of a long text: serde says first what there is, and last what it expected.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let start = crate::boundary::before(text, most / 4);
    let end = crate::boundary::after(text, text.len() - most / 2);
    format!("{} … {}", &text[..start], &text[end..])
}

mod words {
    //! Serde's words in those of JSON.

    /// A message of serde in words of JSON; one of a type's own as it is.
    pub(super) fn of_json(text: &str) -> String {
        for invalid in ["invalid type: ", "invalid value: "] {
            if let Some((found, wanted)) = text
                .strip_prefix(invalid)
                .and_then(|rest| rest.rsplit_once(", expected "))
            {
                return format!("{} is not {}", self::found(found), expected(wanted));
            }
        }
        if let Some(rest) = text.strip_prefix("invalid length ")
            && let Some((count, wanted)) = rest.split_once(", expected ")
        {
            let unit = if count == "1" { "item" } else { "items" };
            return format!(
                "there is a list of {count} {unit}, expected {}",
                expected(wanted)
            );
        }
        if let Some((name, rest)) = quoted(text, "missing field ") {
            return format!("`{name}` is missing{rest}");
        }
        if let Some((name, rest)) = quoted(text, "unknown field ") {
            return format!("unknown member `{name}`{rest}");
        }
        if let Some((name, rest)) = quoted(text, "duplicate field ") {
            return format!("`{name}` is given twice{rest}");
        }
        if let Some(rest) = text.strip_prefix("unknown variant `")
            && let Some((name, wanted)) = rest.rsplit_once("`, expected ")
        {
            let known = wanted.strip_prefix("one of ").unwrap_or(wanted);
            return format!("{name:?} is not one of {known}");
        }
        if text.starts_with("data did not match any variant") {
            return "it fits none of the accepted forms".to_owned();
        }
        text.to_owned()
    }

    /// Splits a message about a member into its name and the error.
    pub(super) fn of_member(text: &str) -> Option<(&str, &str)> {
        let (name, said) = text.strip_prefix('`')?.split_once("` ")?;
        ["is missing", "is given twice"]
            .contains(&said)
            .then_some((name, said))
    }

    fn quoted<'a>(text: &'a str, start: &str) -> Option<(&'a str, &'a str)> {
        let rest = text.strip_prefix(start)?.strip_prefix('`')?;
        let end = rest.find("`, ").or_else(|| rest.rfind('`'))?;
        Some((rest.get(..end)?, rest.get(end + 1..)?))
    }

    fn found(text: &str) -> String {
        for kind in ["integer `", "floating point `", "boolean `", "character `"] {
            if let Some(value) = text.strip_prefix(kind) {
                return value.trim_end_matches('`').to_owned();
            }
        }
        match text {
            "sequence" | "newtype struct" | "tuple variant" => "the array".to_owned(),
            "map" | "newtype variant" | "struct variant" => "the object".to_owned(),
            "unit value" | "Option value" => "null".to_owned(),
            "unit variant" => "the string".to_owned(),
            _ => text.strip_prefix("string ").unwrap_or(text).to_owned(),
        }
    }

    fn expected(text: &str) -> String {
        if let Some(range) = whole_number(text) {
            return range;
        }
        let starts = |start: &str| text.starts_with(start);
        match text {
            "f32" | "f64" => "a number".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a character" => "a string of one character".to_owned(),
            "a sequence" | "sequence" => "an array".to_owned(),
            "a map" | "map" => "an object".to_owned(),
            "string or map" => "a string or an object".to_owned(),
            "unit" => "null".to_owned(),
            "option" => "a value or null".to_owned(),
            "a borrowed string" | "a borrowed str" => "a string".to_owned(),
            "variant identifier" | "field identifier" => "the name of a form".to_owned(),
            _ if starts("unit struct ") => "null".to_owned(),
            _ if starts("unit variant ") => "null".to_owned(),
            "newtype variant" | "struct variant" => "an object of one member".to_owned(),
            _ if starts("tuple variant") => items(text, "an array"),
            _ if starts("tuple ") || starts("a tuple of ") => items(text, "an array"),
            _ if starts("an array of length ") => items(text, "an array"),
            _ if starts("struct ") && text.contains(" with ") => items(text, "an array"),
            _ if starts("struct ") || starts("struct variant ") => "an object".to_owned(),
            _ if starts("internally tagged ") || starts("adjacently tagged ") => {
                "an object".to_owned()
            }
            _ if starts("enum ") => "one of its forms".to_owned(),
            _ => text.to_owned(),
        }
    }

    /// `an array of 3 items`, where the text ends with their count.
    fn items(text: &str, what: &str) -> String {
        let count = text
            .split(' ')
            .find(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()));
        match count {
            Some("1") => format!("{what} of 1 item"),
            Some(count) => format!("{what} of {count} items"),
            None => what.to_owned(),
        }
    }

    fn whole_number(text: &str) -> Option<String> {
        let (name, nonzero) = match text.strip_prefix("a nonzero ") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let (least, most) = match name {
            "u8" => ("0".to_owned(), u8::MAX.to_string()),
            "u16" => ("0".to_owned(), u16::MAX.to_string()),
            "u32" => ("0".to_owned(), u32::MAX.to_string()),
            "u64" | "usize" => ("0".to_owned(), u64::MAX.to_string()),
            "u128" => ("0".to_owned(), u128::MAX.to_string()),
            "i8" => (i8::MIN.to_string(), i8::MAX.to_string()),
            "i16" => (i16::MIN.to_string(), i16::MAX.to_string()),
            "i32" => (i32::MIN.to_string(), i32::MAX.to_string()),
            "i64" | "isize" => (i64::MIN.to_string(), i64::MAX.to_string()),
            "i128" => (i128::MIN.to_string(), i128::MAX.to_string()),
            _ => return None,
        };
        let zero = match (nonzero, least.as_str()) {
            (true, "0") => return Some(format!("a whole number from 1 to {most}")),
            (true, _) => ", and not 0",
            (false, _) => "",
        };
        Some(format!("a whole number from {least} to {most}{zero}"))
    }
}
