//! The demo's model: a keyword matcher. It understands nothing; it makes examples run.

use serde_json::{Map, Value};

use super::model::{Model, ModelError, ModelItem, ModelTool, ModelTurn};
use super::script::outputs;

/// Calls the tools that the request names, deferred ones too, with arguments found in the request, and then
/// says what they answered.
#[derive(Debug)]
pub(super) struct Demo;

impl Model for Demo {
    async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
        if turn.round > 0 {
            return Ok(vec![ModelItem::say(outputs(&turn))]);
        }
        let request = turn.last_user_text();
        let tools = || turn.tools.iter().chain(&*turn.deferred_tools);
        let mut named: Vec<(usize, &ModelTool)> = tools()
            .filter_map(|tool| Some((mention(request, tool)?, tool)))
            .collect();
        named.sort_by_key(|(at, _)| *at);
        if named.is_empty() {
            let names: Vec<_> = tools().map(ModelTool::qualified_name).collect();
            return Ok(vec![ModelItem::say(format!(
                "The demo model only matches keywords, and the request names no skill. \
                 There are: {}.",
                names.join(", ")
            ))]);
        }
        let mut words = Words::of(request);
        Ok(named
            .into_iter()
            .map(|(_, tool)| ModelItem::Call {
                namespace: tool.namespace.clone(),
                tool: tool.name.clone(),
                arguments: Value::Object(arguments(
                    &referred(&tool.input_schema, &tool.input_schema, LEVELS),
                    request,
                    &mut words,
                ))
                .to_string(),
                rounded: false,
                call_id: None,
            })
            .collect())
    }
}

/// The most references within each other that are followed.
const LEVELS: usize = 4;

/// A schema with what its references lead to.
fn referred(schema: &Value, root: &Value, levels: usize) -> Value {
    match schema {
        Value::Object(members) => {
            let target = members
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
            if let Some(target) = target
                && let Some(below) = levels.checked_sub(1)
            {
                return referred(target, root, below);
            }
            if let Some(Value::Array(branches)) = members.get("anyOf")
                && let Some(branch) = branches.iter().find(|branch| branch.get("$ref").is_some())
            {
                return referred(branch, root, levels);
            }
            let inner = members.iter().filter(|(name, _)| *name != "$defs");
            inner
                .map(|(name, value)| (name.clone(), referred(value, root, levels)))
                .collect()
        }
        Value::Array(items) => items
            .iter()
            .map(|item| referred(item, root, levels))
            .collect(),
        other => other.clone(),
    }
}

/// Where the request names a tool: with its namespace, or with its name alone, which may be several tools.
fn mention(request: &str, tool: &ModelTool) -> Option<usize> {
    position(request, &tool.qualified_name()).or_else(|| position(request, &tool.name))
}

/// Where the request names a tool or a parameter, as a whole word, with underscores or blanks.
fn position(request: &str, name: &str) -> Option<usize> {
    let request = request.to_lowercase();
    let name = name.to_lowercase();
    let spaced = name.replace(['_', '-'], " ");
    [name, spaced].iter().find_map(|name| {
        request
            .match_indices(name.as_str())
            .find_map(|(at, found)| {
                let (before, after) = (&request[..at], &request[at + found.len()..]);
                let word = |c: char| c.is_alphanumeric() || c == '_';
                // `wiki.lookup` is no mention of another `lookup`.
                let qualified = before.strip_suffix('.').unwrap_or_default();
                let whole = !before.ends_with(word) && !after.starts_with(word);
                (whole && !qualified.ends_with(word)).then_some(at)
            })
    })
}

/// What in a request can be an argument, in its order.
#[derive(Debug, Default)]
struct Words {
    quoted: Vec<String>,
    identifiers: Vec<String>,
    numbers: Vec<serde_json::Number>,
}

impl Words {
    fn of(request: &str) -> Self {
        let mut words = Self::default();
        let mut rest = request;
        let mut plain = String::new();
        // Quoted pieces first; an apostrophe inside a word is no quote.
        while let Some(at) = rest.find(['"', '\'', '`', '“']) {
            let (before, from) = rest.split_at(at);
            let mut chars = from.chars();
            let open = chars.next().unwrap_or('"');
            let close = if open == '“' { '”' } else { open };
            let inside_word = before
                .chars()
                .next_back()
                .is_some_and(char::is_alphanumeric);
            let after = chars.as_str();
            plain.push_str(before);
            match after.find(close) {
                Some(end) if !inside_word => {
                    words.quoted.push(after[..end].to_owned());
                    plain.push(' ');
                    rest = &after[end + close.len_utf8()..];
                }
                _ => {
                    plain.push(' ');
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        for word in plain.split_whitespace() {
            let word = word.trim_matches(|c: char| !(c.is_alphanumeric() || c == '-'));
            if let Ok(number) = word.parse::<i64>() {
                words.numbers.push(number.into());
            } else if let Some(number) = word
                .parse::<f64>()
                .ok()
                .filter(|_| word.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
                .and_then(serde_json::Number::from_f64)
            {
                words.numbers.push(number);
            } else if is_identifier(word) {
                words.identifiers.push(word.to_owned());
            }
        }
        words
    }

    fn text(&mut self) -> Option<String> {
        take_first(&mut self.quoted).or_else(|| take_first(&mut self.identifiers))
    }
}

/// `ABC-123` and the like: letters, digits and dashes, with at least one digit and one letter.
fn is_identifier(word: &str) -> bool {
    word.contains('-')
        && word.chars().any(|c| c.is_ascii_digit())
        && word.chars().any(char::is_alphabetic)
}

fn take_first<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}

fn arguments(schema: &Value, request: &str, words: &mut Words) -> Map<String, Value> {
    let empty = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let optional = properties
        .keys()
        .map(String::as_str)
        .filter(|name| !required.contains(name) && position(request, name).is_some());
    required
        .iter()
        .copied()
        .chain(optional)
        .filter_map(|name| {
            Some((
                name.to_owned(),
                value(properties.get(name)?, request, words)?,
            ))
        })
        .collect()
}

fn value(schema: &Value, request: &str, words: &mut Words) -> Option<Value> {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return choices
            .iter()
            .find(|choice| {
                choice
                    .as_str()
                    .is_some_and(|text| position(request, text).is_some())
            })
            .cloned();
    }
    match type_of(schema) {
        "string" => words.text().map(Value::from),
        "integer" => {
            let at = words
                .numbers
                .iter()
                .position(|n| n.is_i64() || n.is_u64())?;
            Some(words.numbers.remove(at).into())
        }
        "number" => take_first(&mut words.numbers).map(Value::from),
        "boolean" => Some(Value::from(
            position(request, "false").is_none() && position(request, "no").is_none(),
        )),
        "array" => {
            let items = schema.get("items")?;
            Some(
                std::iter::from_fn(|| value(items, request, words))
                    .take(64)
                    .collect(),
            )
        }
        "object" => Some(Value::Object(arguments(schema, request, words))),
        _ => None,
    }
}

/// The first type of a schema that is not `null`.
fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or(""),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_quoted_texts_identifiers_and_numbers() {
        let words = Words::of("Don't use `a b` for ABC-123, but \"c\" and 7 or -2.5 (v2).");
        assert_eq!(words.quoted, ["a b", "c"]);
        assert_eq!(words.identifiers, ["ABC-123"]);
        assert_eq!(json!(words.numbers), json!([7, -2.5]));
    }

    #[test]
    fn arguments_are_taken_in_order_and_options_when_named() {
        let schema = json!({
            "type": "object",
            "required": ["ticket_id", "state"],
            "properties": {
                "ticket_id": {"type": "string"},
                "state": {"type": "string", "enum": ["open", "closed"]},
                "comments": {"type": ["integer", "null"]},
                "limit": {"type": "integer"},
            },
        });
        let request = "Use lookup for ABC-123 if closed, with 3 comments";
        let found = arguments(&schema, request, &mut Words::of(request));
        assert_eq!(
            Value::Object(found),
            json!({"ticket_id": "ABC-123", "state": "closed", "comments": 3})
        );
    }

    #[test]
    fn arguments_of_types_that_are_defined_once_are_found_too() {
        let schema = json!({
            "type": "object",
            "required": ["from", "to"],
            "properties": {
                "from": {"$ref": "#/$defs/Place"},
                "to": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
            },
            "$defs": {"Place": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        });
        let request = "Go from \"A\" to \"B\"";
        let schema = referred(&schema, &schema, LEVELS);
        let found = arguments(&schema, request, &mut Words::of(request));
        assert_eq!(
            Value::Object(found),
            json!({"from": {"name": "A"}, "to": {"name": "B"}})
        );
    }

    #[test]
    fn a_list_of_texts_never_runs_away() {
        let schema = json!({
            "required": ["flags"],
            "properties": {"flags": {"type": "array", "items": {"type": "boolean"}}},
        });
        let found = arguments(&schema, "flags", &mut Words::default());
        assert_eq!(found["flags"].as_array().map(Vec::len), Some(64));
    }
}
