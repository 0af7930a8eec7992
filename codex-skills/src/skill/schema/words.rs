//! In words what codex drops on the way to the model (contract §1.4): bounds, lengths, patterns,
//! formats, examples and defaults, appended to the description of the schema that has them.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::{Object, compose};

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

/// What decoding enforces anyway: the range of an integer type, the length of a tuple.
#[derive(Default)]
pub(super) struct Natural {
    minimum: Option<i128>,
    maximum: Option<i128>,
    /// A text's format that is no standard one, for the words.
    odd_format: Option<String>,
    length: bool,
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
        }
    }
}

/// Removes formats of numbers, and those that nobody knows.
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

/// Appends the words to the description.
pub(super) fn describe(schema: &mut Object, natural: &Natural) {
    let words = in_words(schema, natural);
    if !words.is_empty() {
        let own = schema.get("description").and_then(Value::as_str);
        let text = append(own.unwrap_or_default(), &words);
        schema.insert("description".to_owned(), text.into());
    }
}

/// What a schema says that the model would not be shown.
pub(super) fn in_words(schema: &Object, natural: &Natural) -> String {
    words(&Said::of(schema), natural).join("; ")
}

/// The description with the words, where there are any.
pub(super) fn described<'a>(own: Option<&'a str>, words: &str) -> Option<Cow<'a, str>> {
    if words.is_empty() {
        return own.map(Cow::Borrowed);
    }
    Some(append(own.unwrap_or_default(), words).into())
}

/// `Text (words).` for one sentence, `Text. Text. Words.` for several.
fn append(own: &str, words: &str) -> String {
    let own = own.trim();
    if own.is_empty() {
        return format!("{}.", capitalized(words));
    }
    let (sentence, stop) = match own.strip_suffix('.') {
        Some(sentence) => (sentence, "."),
        None => (own, ""),
    };
    let several = ends_a_sentence(sentence) || sentence.ends_with(['.', '!', '?', ':', ')', '`']);
    if !several || (sentence.ends_with('`') && !sentence.contains(['\n', ';'])) {
        return format!("{sentence} ({words}){stop}");
    }
    let gap = if own.contains('\n') { "\n\n" } else { " " };
    let stop = if own.ends_with(['.', '!', '?', ':', '`']) {
        ""
    } else {
        "."
    };
    format!("{own}{stop}{gap}{}.", capitalized(words))
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
struct Said<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Said<'a> {
    fn of(schema: &'a Object) -> Self {
        let members = schema
            .iter()
            .map(|(keyword, value)| (keyword.as_str(), value));
        Self(
            members
                .filter(|(keyword, _)| !is_structure(keyword))
                .collect(),
        )
    }

    fn get(&self, keyword: &str) -> Option<&'a Value> {
        let said = self.0.iter().find(|(said, _)| *said == keyword);
        said.map(|(_, value)| *value)
    }
}

fn words(schema: &Said<'_>, natural: &Natural) -> Vec<String> {
    let mut words = Vec::new();
    if schema.0.is_empty() && natural.odd_format.is_none() {
        return words;
    }
    words.extend(range(schema));
    words.extend(number(schema, "multipleOf").map(|step| format!("a multiple of {step}")));
    words.extend(count(
        schema,
        "minLength",
        "maxLength",
        ["character", "characters"],
    ));
    words.extend(count(schema, "minItems", "maxItems", ["item", "items"]));
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
    let names = schema.get("propertyNames");
    words.extend(pattern(
        names.and_then(|names| names.get("pattern")),
        "names match",
    ));
    let format = schema.get("format").and_then(Value::as_str);
    words.extend(
        format
            .or(natural.odd_format.as_deref())
            .map(|format| format!("{format} format")),
    );
    words.extend(examples(schema));
    words.extend(default(schema));
    if schema.get("deprecated") == Some(&Value::Bool(true)) {
        words.push("deprecated".to_owned());
    }
    words
}

fn range(schema: &Said<'_>) -> Option<String> {
    let least = number(schema, "minimum");
    let most = number(schema, "maximum");
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
