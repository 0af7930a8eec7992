//! In words what codex drops on the way to the model (contract §1.4), and what code mode shows of no schema (that a
//! number is whole): bounds, lengths, patterns, formats, examples and defaults. Where they are written is the affair of
//! `lift`.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::{Object, compose};

/// What a schema demands in words, a list of texts: beside it until `lift` writes them.
pub(super) const WORDS: &str = "x-codex-skills-words";
/// The items of a tuple in their order, in words: likewise.
pub(super) const ORDER: &str = "x-codex-skills-order";

/// What the names of the members of a map may be, as a list of names or in words: likewise.
pub(super) const KEYS: &str = "x-codex-skills-keys";

/// What the macro has of a parameter's own documentation, beside that of its type.
pub(super) const OWN: &str = "x-codex-skills-own";

/// How a number that must be whole is called.
pub(super) const WHOLE: &str = "whole number";

/// The longest value or pattern that is worth repeating in a description.
const LONGEST: usize = 100;

/// The formats that JSON Schema knows; clients complain about others.
const FORMATS: [&str; 19] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// Largest integer up to which JavaScript, in which code mode's arguments are written, has all integers.
const LARGEST_EXACT: f64 = 9_007_199_254_740_991.0;

/// What decoding enforces anyway: the range of an integer type, the length of a tuple.
#[derive(Default)]
pub(super) struct Natural {
    minimum: Option<i128>,
    maximum: Option<i128>,
    /// A text's format that is no standard one, for the words.
    odd_format: Option<String>,
    length: bool,
    /// Whether the integer type has values that JavaScript has not.
    wide: bool,
}

impl Natural {
    /// Read before odd formats and tuples are rewritten.
    pub(super) fn of(schema: &Object) -> Self {
        let format = schema.get("format").and_then(Value::as_str);
        let (minimum, maximum) = match format {
            Some("int8") => (Some(i8::MIN.into()), Some(i8::MAX.into())),
            Some("int16") => (Some(i16::MIN.into()), Some(i16::MAX.into())),
            Some("int32") => (Some(i32::MIN.into()), Some(i32::MAX.into())),
            Some("int64" | "int") => (Some(i64::MIN.into()), Some(i64::MAX.into())),
            Some("uint8") => (Some(0), Some(u8::MAX.into())),
            Some("uint16") => (Some(0), Some(u16::MAX.into())),
            Some("uint32") => (Some(0), Some(u32::MAX.into())),
            Some("uint64" | "uint") => (Some(0), Some(u64::MAX.into())),
            Some("uint128") => (Some(0), None),
            _ => (None, None),
        };
        let odd_format = format
            .filter(|format| compose::has_type(schema, "string") && !FORMATS.contains(format))
            .map(str::to_owned);
        Self {
            minimum,
            maximum,
            odd_format,
            length: schema.contains_key("prefixItems"),
            wide: matches!(
                format,
                Some("int64" | "uint64" | "int" | "uint" | "int128" | "uint128")
            ),
        }
    }
}

/// Removes formats of numbers and non-standard formats.
pub(super) fn drop_odd_format(schema: &mut Object) {
    let Some(format) = schema.get("format") else {
        return;
    };
    let is_standard = |format: &str| FORMATS.contains(&format);
    if !compose::has_type(schema, "string") || !format.as_str().is_some_and(is_standard) {
        schema.remove("format");
    }
}

/// Whether there is nothing that [`describe`] or [`say_more`] would look at.
pub(super) fn is_plain(schema: &Object) -> bool {
    schema.keys().all(|keyword| is_structure(keyword))
}

/// Keywords that codex keeps, and that every step of the shaping knows.
fn is_structure(keyword: &str) -> bool {
    matches!(
        keyword,
        "type"
            | "description"
            | "properties"
            | "required"
            | "additionalProperties"
            | "items"
            | "enum"
            | "anyOf"
            | "$ref"
    )
}

/// Keywords that demand nothing.
pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "$comment"
    ) || keyword.starts_with("x-")
}

/// Whether a schema demands more than decoding enforces, leaving aside the schemas inside it.
pub(super) fn say_more(schema: &Object, natural: &Natural) -> bool {
    schema
        .iter()
        .any(|(keyword, value)| match keyword.as_str() {
            "minimum" => !is_natural(value, natural.minimum),
            "maximum" => !is_natural(value, natural.maximum),
            "minItems" | "maxItems" => !natural.length,
            "propertyNames" => !is_number_key(value),
            "uniqueItems" => value == &Value::Bool(true),
            "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minLength" | "maxLength"
            | "pattern" | "format" | "minProperties" | "maxProperties" | "patternProperties"
            | "not" | "if" | "contains" | "dependentRequired" | "dependentSchemas"
            | "contentEncoding" | "contentMediaType" => true,
            _ => false,
        })
}

fn is_natural(value: &Value, natural: Option<i128>) -> bool {
    value.as_number().and_then(integer) == natural && natural.is_some()
}

/// The names of a map whose keys are integers.
fn is_number_key(names: &Value) -> bool {
    let pattern = names.get("pattern").and_then(Value::as_str);
    matches!(pattern, Some(r"^\d+$" | r"^-?\d+$"))
}

fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// What a schema says that the model would not be shown, one entry for each demand.
pub(super) fn of(schema: &Object, natural: &Natural) -> Vec<String> {
    words(&Said::of(schema), natural)
}

/// Keywords that demand something, and which no words say.
const UNSAID: [&str; 10] = [
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "patternProperties",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Whether a keyword of a schema is neither shown to the model nor said by [`of`].
pub(super) fn is_unsaid(keyword: &str, value: &Value) -> bool {
    match keyword {
        "pattern" => value
            .as_str()
            .is_some_and(|pattern| pattern.len() > LONGEST),
        "default" => !value.is_null() && value.to_string().len() > LONGEST,
        "examples" => value.as_array().is_some_and(|examples| {
            !examples.is_empty()
                && examples
                    .iter()
                    .all(|example| example.to_string().len() > LONGEST)
        }),
        "propertyNames" => keys(Some(value)).is_none(),
        "not" => other_than(value).is_none(),
        _ => UNSAID.contains(&keyword),
    }
}

/// The description with the words, where there are any.
pub(super) fn described<'a>(own: Option<&'a str>, words: &str) -> Option<Cow<'a, str>> {
    if words.is_empty() {
        return own.map(Cow::Borrowed);
    }
    Some(append(own.unwrap_or_default(), words).into())
}

/// Two texts about the same, as one: what either says already is not repeated.
pub(super) fn join(first: &str, second: &str) -> String {
    let (first, mut second) = (first.trim(), second.trim());
    if second.is_empty() || says(first, second) {
        return first.to_owned();
    }
    if first.is_empty() || says(second, first) {
        return second.to_owned();
    }
    while let Some((sentence, rest)) = first_sentence(second)
        && sentence.contains(' ')
        && says(first, sentence)
    {
        second = rest;
    }
    let stop = if first.ends_with(['.', '!', '?', ':', ';', '`']) {
        ""
    } else {
        "."
    };
    let gap = if first.contains("\n\n") || second.contains('\n') {
        "\n\n"
    } else {
        " "
    };
    [first, stop, gap, second].concat()
}

/// Whether a text has the words of another one, whatever their case and the stop at their end.
pub(super) fn says(text: &str, other: &str) -> bool {
    let (text, other) = (plain(text), plain(other));
    let is_inside = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    !other.is_empty()
        && text.match_indices(&other).any(|(at, found)| {
            let (before, after) = (text.get(..at), text.get(at + found.len()..));
            !is_inside(before.and_then(|before| before.chars().next_back()))
                && !is_inside(after.and_then(|after| after.chars().next()))
        })
}

/// A text in small letters, with single blanks and without the stop at its end.
fn plain(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ").to_lowercase();
    text.trim_end_matches(['.', '!', '?', ':', ';', ','])
        .to_owned()
}

/// The first sentence of several, and the others.
fn first_sentence(text: &str) -> Option<(&str, &str)> {
    let end = [". ", ".\n", "\n\n"]
        .iter()
        .filter_map(|end| text.find(end))
        .min()?;
    let (sentence, rest) = text.split_at(end);
    Some((sentence, rest.trim_start_matches('.').trim_start()))
}

/// `Text (words).` for one sentence, `Text. Text. Words.` for several.
fn append(own: &str, words: &str) -> String {
    let own = own.trim();
    if own.is_empty() {
        return [&*capitalized(words), "."].concat();
    }
    let (sentence, stop) = match own.strip_suffix('.') {
        Some(sentence) => (sentence, "."),
        None => (own, ""),
    };
    let several = ends_a_sentence(sentence) || sentence.ends_with(['.', '!', '?', ':', ')', '`']);
    if !several || (sentence.ends_with('`') && !sentence.contains(['\n', ';'])) {
        return [sentence, " (", words, ")", stop].concat();
    }
    let gap = if own.contains('\n') { "\n\n" } else { " " };
    let stop = if own.ends_with(['.', '!', '?', ':', '`']) {
        ""
    } else {
        "."
    };
    [own, stop, gap, &*capitalized(words), "."].concat()
}

/// Whether a sentence or a line ends before the end of the text.
fn ends_a_sentence(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.contains(&b'\n')
        || bytes
            .windows(2)
            .any(|pair| matches!(pair, b". " | b"! " | b"? "))
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// The few keywords of a schema that may be worth words.
struct Said<'a> {
    keywords: Vec<(&'a str, &'a Value)>,
    /// Whether it is a number that must be whole, which code mode does not show.
    whole: bool,
    /// Whether it is a number, and never a text.
    numeric: bool,
}

impl<'a> Said<'a> {
    fn of(schema: &'a Object) -> Self {
        let members = schema
            .iter()
            .map(|(keyword, value)| (keyword.as_str(), value));
        Self {
            keywords: members
                .filter(|(keyword, _)| !is_structure(keyword))
                .collect(),
            whole: compose::has_type(schema, "integer")
                && !compose::has_type(schema, "number")
                && !schema.contains_key("enum"),
            numeric: ["integer", "number"]
                .iter()
                .any(|name| compose::has_type(schema, name))
                && !compose::has_type(schema, "string"),
        }
    }

    fn get(&self, keyword: &str) -> Option<&'a Value> {
        let said = self.keywords.iter().find(|(said, _)| *said == keyword);
        said.map(|(_, value)| *value)
    }

    /// Whether all values are integers that JavaScript has.
    fn is_exact(&self) -> bool {
        let bound = |keyword| self.get(keyword).and_then(Value::as_f64);
        bound("maximum").is_some_and(|most| most <= LARGEST_EXACT)
            && bound("minimum").is_some_and(|least| least >= -LARGEST_EXACT)
    }
}

fn words(schema: &Said<'_>, natural: &Natural) -> Vec<String> {
    let mut words = Vec::new();
    if schema.keywords.is_empty() && !schema.whole && natural.odd_format.is_none() {
        return words;
    }
    match (range(schema, natural), schema.whole) {
        (Some(range), true) => words.push(format!("{WHOLE}, {range}")),
        (None, true) => words.push(WHOLE.to_owned()),
        (range, false) => words.extend(range),
    }
    if schema.whole && natural.wide && !schema.is_exact() {
        words.push(format!("write it as a string beyond {LARGEST_EXACT}"));
    }
    words.extend(number(schema, "multipleOf").map(|step| format!("a multiple of {step}")));
    words.extend(schema.get("not").and_then(other_than));
    words.extend(count(
        schema,
        "minLength",
        "maxLength",
        ["character", "characters"],
    ));
    if schema.get(ORDER).is_none() {
        words.extend(count(schema, "minItems", "maxItems", ["item", "items"]));
    }
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
        words.push("no duplicates".to_owned());
    }
    words.extend(count(
        schema,
        "minProperties",
        "maxProperties",
        ["member", "members"],
    ));
    words.extend(pattern(schema.get("pattern"), "matches"));
    match schema.get(KEYS) {
        Some(Value::String(names)) => words.push(names.clone()),
        Some(Value::Object(range)) if is_exact(range) => words.extend(range_of_names(range)),
        names => {
            words.extend(keys(schema.get("propertyNames")));
            words.extend(names.and_then(named));
        }
    }
    let format = schema.get("format").and_then(Value::as_str);
    // Of a number, its range says it.
    let format = format.filter(|_| !schema.numeric);
    words.extend(
        format
            .or(natural.odd_format.as_deref())
            .map(|format| format!("{format} format")),
    );
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
    words.extend(text("contentEncoding").map(|encoding| format!("{encoding} encoded")));
    words.extend(text("contentMediaType").map(|kind| format!("contains {kind}")));
    words.extend(examples(schema));
    words.extend(default(schema));
    if schema.get("deprecated") == Some(&Value::Bool(true)) {
        words.push("deprecated".to_owned());
    }
    words
}

fn range(schema: &Said<'_>, natural: &Natural) -> Option<String> {
    // What a type of at most 32 bits enforces is said, where nothing narrower is.
    let narrow = schema.whole && !natural.wide;
    let own = |bound: Option<i128>, stricter: &str| {
        let said = narrow && schema.get(stricter).is_none();
        bound.filter(|_| said).map(|bound| bound.to_string())
    };
    let least = number(schema, "minimum").or_else(|| own(natural.minimum, "exclusiveMinimum"));
    let most = number(schema, "maximum").or_else(|| own(natural.maximum, "exclusiveMaximum"));
    let above = number(schema, "exclusiveMinimum").map(|bound| format!("more than {bound}"));
    let below = number(schema, "exclusiveMaximum").map(|bound| format!("less than {bound}"));
    let closed = match (least, most) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    };
    let bounds: Vec<String> = [above, closed, below].into_iter().flatten().collect();
    (!bounds.is_empty()).then(|| bounds.join(", "))
}

fn number(schema: &Said<'_>, keyword: &str) -> Option<String> {
    let text = schema.get(keyword)?.as_number()?.to_string();
    Some(text.strip_suffix(".0").unwrap_or(&text).to_owned())
}

fn count(schema: &Said<'_>, least: &str, most: &str, [one, many]: [&str; 2]) -> Option<String> {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let unit = |count: u64| if count == 1 { one } else { many };
    Some(
        match (bound(least).filter(|least| *least > 0), bound(most)) {
            (Some(least), Some(most)) if least == most => {
                format!("exactly {least} {}", unit(least))
            }
            (Some(least), Some(most)) => format!("{least} to {most} {}", unit(most)),
            (Some(least), None) => format!("at least {least} {}", unit(least)),
            (None, Some(most)) => format!("at most {most} {}", unit(most)),
            (None, None) => return None,
        },
    )
}

fn pattern(pattern: Option<&Value>, verb: &str) -> Option<String> {
    let pattern = pattern?.as_str()?;
    Some(if pattern.len() > LONGEST {
        format!("{verb} a pattern")
    } else {
        format!("{verb} `{pattern}`")
    })
}

/// `not 0`, for a schema that refuses single values.
fn other_than(refused: &Value) -> Option<String> {
    let refused = refused.as_object()?;
    let values = match (refused.get("const"), refused.get("enum")) {
        (Some(value), None) => std::slice::from_ref(value),
        (None, Some(Value::Array(values))) => values,
        _ => return None,
    };
    let says_no_more = refused.keys().all(|keyword| {
        matches!(keyword.as_str(), "const" | "enum" | "type") || is_annotation(keyword)
    });
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    let text = values.join(", ");
    (says_no_more && !values.is_empty() && text.len() <= LONGEST).then(|| format!("not {text}"))
}

/// What the names of members may be.
fn keys(names: Option<&Value>) -> Option<String> {
    let names = names?;
    match (
        names.get("pattern").and_then(Value::as_str),
        names.get("enum"),
    ) {
        (Some(r"^\d+$"), _) => Some("names are whole numbers, 0 or more".to_owned()),
        (Some(r"^-?\d+$"), _) => Some("names are whole numbers".to_owned()),
        (Some(_), _) => pattern(names.get("pattern"), "names match"),
        (None, Some(values)) => named(values),
        _ => None,
    }
}

fn range_of_names(range: &Object) -> Option<String> {
    let (least, most) = (range.get("least")?.as_str()?, range.get("most")?.as_str()?);
    Some(format!("names are whole numbers, {least} to {most}"))
}

/// Whether JavaScript has all integers of a range.
fn is_exact(range: &Object) -> bool {
    let bound = |name| range.get(name)?.as_str()?.parse::<f64>().ok();
    let within = |name| bound(name).is_some_and(|bound| bound.abs() <= LARGEST_EXACT);
    within("least") && within("most")
}

fn named(values: &Value) -> Option<String> {
    let values: Vec<String> = values
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .map(|value| format!("`{value}`"))
        .collect();
    (!values.is_empty()).then(|| format!("names are {}", values.join(", ")))
}

fn examples(schema: &Said<'_>) -> Option<String> {
    let shown: Vec<String> = schema
        .get("examples")?
        .as_array()?
        .iter()
        .map(Value::to_string)
        .filter(|example| example.len() <= LONGEST)
        .take(2)
        .collect();
    (!shown.is_empty()).then(|| format!("for example {}", shown.join(" or ")))
}

fn default(schema: &Said<'_>) -> Option<String> {
    let default = schema.get("default").filter(|value| !value.is_null())?;
    let shown = default.to_string();
    (shown.len() <= LONGEST).then(|| format!("default {shown}"))
}

#[cfg(test)]
#[path = "tests/words.rs"]
mod tests;
