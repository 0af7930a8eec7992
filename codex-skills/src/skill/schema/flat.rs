//! Choices between objects as one flat object: providers refuse tools whose arguments are a choice, and code mode shows
//! only a part of them. All members are there, the tag lists its values, and which members go together is said at the
//! tag. That is for showing: arguments are checked against the choice.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::words::{self, WORDS};
use super::{Object, lift, variants};

/// Most values of tags and most members that a sentence names.
const NAMED: usize = 40;

/// Flattens choices at the root, and those beside members anywhere below. Says whether there was one.
pub(super) fn flatten(root: &mut Value) -> bool {
    let Value::Object(root) = root else {
        return false;
    };
    let below = flatten_below(root);
    let here = has_choice(root);
    if here {
        object(root);
    }
    below || here
}

fn flatten_below(schema: &mut Object) -> bool {
    let mut flattened = false;
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => {
                for schema in schemas.values_mut() {
                    flattened |= flatten_part(schema);
                }
            }
            ("items" | "additionalProperties", value) => flattened |= flatten_part(value),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    flattened |= flatten_part(schema);
                }
            }
            _ => {}
        }
    }
    flattened
}

/// Flattens choices beside members in a schema that is no root.
pub(super) fn flatten_part(schema: &mut Value) -> bool {
    let Value::Object(schema) = schema else {
        return false;
    };
    let mut flattened = flatten_below(schema);
    if schema.contains_key("properties") && has_choice(schema) {
        let is_open = is_open(schema);
        object(schema);
        if !is_open {
            // A misspelt member would be lost.
            schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        flattened = true;
    }
    flattened
}

/// Whether an object, or a part of it, takes members that it does not name.
pub(super) fn is_open(schema: &Object) -> bool {
    let others = schema.get("additionalProperties");
    let own = others.is_some_and(|others| *others != Value::Bool(false))
        || ["patternProperties", "unevaluatedProperties", "$ref"]
            .iter()
            .any(|keyword| schema.contains_key(*keyword));
    let parts = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|keyword| schema.get(*keyword)?.as_array())
        .flatten();
    own || parts.into_iter().any(|part| match part {
        // What an untagged enum's variant of any value is.
        Value::Bool(anything) => *anything,
        Value::Object(part) => is_open(part) || is_anything(part),
        _ => false,
    })
}

/// Whether a part says nothing of an object: a value that may be one.
fn is_anything(part: &Object) -> bool {
    let says = [
        "properties",
        "type",
        "anyOf",
        "oneOf",
        "allOf",
        "enum",
        "const",
    ];
    !part.is_empty() && !says.iter().any(|keyword| part.contains_key(*keyword))
}

fn has_choice(schema: &Object) -> bool {
    ["anyOf", "oneOf", "allOf"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword))
}

/// Makes one flat object of an object with choices.
fn object(schema: &mut Object) {
    // What an `allOf` consists of are choices and members, of which all hold.
    if let Some(Value::Array(parts)) = schema.remove("allOf") {
        for part in parts {
            if let Value::Object(mut part) = part {
                if has_choice(&part) {
                    object(&mut part);
                }
                add_all(schema, part);
            }
        }
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = schema.remove(keyword) {
            choice(schema, branches);
        }
    }
    schema.insert("type".to_owned(), "object".into());
}

/// Adds members that are always there.
fn add_all(schema: &mut Object, part: Object) {
    let required: Vec<String> = variants::required(&part).map(str::to_owned).collect();
    require(schema, required);
    for (keyword, value) in part {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(members)) => add_members(schema, members),
            ("required" | "type", _) => {}
            ("additionalProperties", value) => {
                schema.entry(keyword).or_insert(value);
            }
            _ => {}
        }
    }
}

fn require(schema: &mut Object, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    let required = schema
        .entry("required")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(required) = required {
        required.extend(names.into_iter().map(Value::from));
        variants::dedupe(required);
    }
}

fn add_members(schema: &mut Object, members: Object) {
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        for (name, member) in members {
            match properties.get_mut(&name) {
                Some(known) => unite(known, member),
                None => {
                    properties.insert(name, member);
                }
            }
        }
    }
}

/// One form of a choice.
struct Form {
    members: Object,
    required: Vec<String>,
    doc: Option<String>,
    is_closed: bool,
}

impl Form {
    /// None for what adds no members: `{}` beside the forms of an optional choice.
    fn of(branch: Value) -> Option<Self> {
        let Value::Object(mut branch) = branch else {
            return None;
        };
        if has_choice(&branch) {
            object(&mut branch);
        }
        let demands = lift::take_words(&mut branch);
        let own = variants::description(&branch);
        let doc = words::described(own, &demands.join("; ")).map(Cow::into_owned);
        let required = variants::required(&branch).map(str::to_owned).collect();
        let is_closed = branch.get("additionalProperties") == Some(&Value::Bool(false));
        match branch.remove("properties") {
            Some(Value::Object(members)) if !members.is_empty() => Some(Self {
                members,
                required,
                doc,
                is_closed,
            }),
            _ => None,
        }
    }

    /// The value of a tag.
    fn value_of(&self, tag: &str) -> Option<&str> {
        match self.members.get(tag)?.get("enum")?.as_array()?.as_slice() {
            [Value::String(value)] if self.requires(tag) => Some(value),
            _ => None,
        }
    }

    fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }

    /// `needs `a` and `b`, may have `c``, apart from the members that all forms have.
    fn needs(&self, apart: &[String]) -> String {
        let mut may: Vec<&String> = self.members.keys().collect();
        may.retain(|name| !self.requires(name) && !apart.contains(name));
        let needs: Vec<&String> = self
            .required
            .iter()
            .filter(|name| !apart.contains(name))
            .collect();
        match (needs.as_slice(), may.as_slice()) {
            ([], []) => "needs nothing else".to_owned(),
            (needs, []) => format!("needs {}", listed(needs, "and")),
            ([], may) => format!("may have {}", listed(may, "and")),
            (needs, may) => format!(
                "needs {}, may have {}",
                listed(needs, "and"),
                listed(may, "and")
            ),
        }
    }
}

fn choice(schema: &mut Object, branches: Vec<Value>) {
    let before = branches.len();
    let all_closed = branches
        .iter()
        .all(|branch| branch.get("additionalProperties") == Some(&Value::Bool(false)));
    let forms: Vec<Form> = branches.into_iter().filter_map(Form::of).collect();
    let is_optional = forms.len() < before;
    let shared: Vec<String> = match forms.split_first() {
        Some((first, rest)) => {
            let in_all = |name: &&String| rest.iter().all(|form| form.requires(name));
            first.required.iter().filter(in_all).cloned().collect()
        }
        None => Vec::new(),
    };
    let tag = shared
        .iter()
        .find(|name| forms.iter().all(|form| form.value_of(name).is_some()))
        .cloned();
    let said = match &tag {
        Some(tag) => of_tag(&forms, tag, &shared),
        None => of_forms(&forms, &shared, is_optional),
    };
    let at: Vec<String> = match &tag {
        Some(tag) => vec![tag.clone()],
        None => places(&forms, &shared),
    };
    let closes = !schema.contains_key("additionalProperties")
        && (all_closed || forms.iter().all(|form| form.is_closed))
        && !is_optional;
    for form in forms {
        add_members(schema, form.members);
    }
    if !is_optional {
        require(schema, shared);
    }
    if closes {
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in at {
            if let Some(Value::Object(property)) = properties.get_mut(&name) {
                let demands = lift::take_words(property).join("; ");
                let own = words::described(variants::description(property), &demands);
                let text = words::join(own.as_deref().unwrap_or_default(), &said);
                property.insert("description".to_owned(), text.into());
            }
        }
    }
}

/// A line for each value of a tag: what it means, and what goes with it.
fn of_tag(forms: &[Form], tag: &str, shared: &[String]) -> String {
    let mut apart = shared.to_vec();
    apart.push(tag.to_owned());
    let mut lines: Vec<String> = forms
        .iter()
        .take(NAMED)
        .filter_map(|form| {
            let value = form.value_of(tag)?;
            let needs = form.needs(&apart);
            Some(match &form.doc {
                Some(doc) => {
                    let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
                    let doc = doc.strip_suffix('.').unwrap_or(&doc);
                    format!("`{value}`: {doc}; {needs}.")
                }
                None => format!("`{value}` {needs}."),
            })
        })
        .collect();
    match forms.len().saturating_sub(NAMED) {
        0 => {}
        1 => lines.push("What the last value needs is not said here.".to_owned()),
        more => lines.push(format!(
            "What the last {more} values need is not said here."
        )),
    }
    lines.join("\n")
}

/// Which members go together, where no tag tells.
fn of_forms(forms: &[Form], shared: &[String], is_optional: bool) -> String {
    let mut given: Vec<String> = forms
        .iter()
        .take(NAMED)
        .map(|form| {
            let own: Vec<&String> = form
                .required
                .iter()
                .filter(|name| !shared.contains(name))
                .collect();
            let members = if own.is_empty() {
                form.members
                    .keys()
                    .filter(|name| !shared.contains(name))
                    .collect()
            } else {
                own
            };
            let names = listed(&members, "and");
            match &form.doc {
                Some(doc) => {
                    let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
                    let doc = doc.strip_suffix('.').unwrap_or(&doc);
                    format!("{names} ({doc})")
                }
                None => names,
            }
        })
        .filter(|names| !names.is_empty())
        .collect();
    match forms.len().saturating_sub(NAMED) {
        0 => {}
        1 => given.push("what 1 more form needs".to_owned()),
        more => given.push(format!("what one of {more} more forms needs")),
    }
    let none = if is_optional { ", or none of them" } else { "" };
    match given.as_slice() {
        [] => String::new(),
        [only] if is_optional => format!("Give {only} or none of them."),
        [_] => String::new(),
        given => format!("Give either {}{none}.", given.join(", or ")),
    }
}

/// The members at which that is said: those that make the difference.
fn places(forms: &[Form], shared: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for form in forms {
        let own: Vec<&String> = form
            .required
            .iter()
            .filter(|name| !shared.contains(name))
            .collect();
        let all: Vec<&String> = form.members.keys().collect();
        for name in if own.is_empty() { all } else { own } {
            if !shared.contains(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

fn listed(names: &[&String], and: &str) -> String {
    let more = names.len().saturating_sub(NAMED);
    let mut names: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {and} {last}", rest.join(", ")),
    }
}

/// Lets a member be what it is in either form.
fn unite(known: &mut Value, other: Value) {
    if *known == other {
        return;
    }
    if let (Value::Object(one), Value::Object(two)) = (&mut *known, &other) {
        let is_list = |schema: &Object| {
            let mut keys = schema.keys();
            schema.get("enum").is_some_and(Value::is_array)
                && keys.all(|key| matches!(key.as_str(), "enum" | "type" | "description" | WORDS))
        };
        if is_list(one) && is_list(two) && one.get("type") == two.get("type") {
            let text = variants::description(two).map(str::to_owned);
            if let (Some(Value::Array(values)), Some(Value::Array(more))) =
                (one.get_mut("enum"), two.get("enum"))
            {
                values.extend(more.iter().cloned());
                variants::dedupe(values);
            }
            if let Some(text) = text {
                let own = variants::description(one).unwrap_or_default();
                let text = words::join(own, &text);
                one.insert("description".to_owned(), text.into());
            }
            return;
        }
        let alone = one.len() == 1;
        if let (true, Some(Value::Array(branches))) = (alone, one.get_mut("anyOf")) {
            if !branches.contains(&other) {
                branches.push(other);
            }
            return;
        }
    }
    let first = known.take();
    *known = json!({"anyOf": [first, other]});
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A choice of so many forms, with a member each.
    fn forms(count: usize, with_tag: bool) -> String {
        let branch = |at: usize| {
            let own = format!("own{at}");
            let tag = json!({"type": "string", "enum": [format!("value{at}")]});
            if with_tag {
                json!({"type": "object", "properties": {"kind": tag, (&own): {"type": "string"}}, "required": ["kind", &own]})
            } else {
                json!({"type": "object", "properties": {(&own): {"type": "string"}}, "required": [&own]})
            }
        };
        let branches: Vec<Value> = (0..count).map(branch).collect();
        let mut root = json!({"type": "object", "oneOf": branches});
        assert!(flatten(&mut root));
        let at = if with_tag { "kind" } else { "own0" };
        let text = root["properties"][at]["description"].as_str();
        text.unwrap_or_default().to_owned()
    }

    #[test]
    fn forms_beyond_those_that_are_named_are_counted() {
        let said = forms(NAMED, true);
        assert_eq!(said.lines().count(), NAMED);
        assert!(said.ends_with("`value39` needs `own39`."), "{said}");
        let said = forms(NAMED + 3, true);
        assert_eq!(said.lines().count(), NAMED + 1);
        assert!(
            said.ends_with("\nWhat the last 3 values need is not said here."),
            "{said}"
        );
        let said = forms(NAMED + 1, true);
        assert!(
            said.ends_with("\nWhat the last value needs is not said here."),
            "{said}"
        );
        assert!(forms(NAMED, false).ends_with("or `own39`."));
        let said = forms(NAMED + 3, false);
        assert!(
            said.ends_with("or `own39`, or what one of 3 more forms needs."),
            "{said}"
        );
    }

    #[test]
    fn members_beyond_those_that_are_named_are_counted() {
        let names: Vec<String> = (0..NAMED + 2).map(|at| format!("m{at}")).collect();
        let names: Vec<&String> = names.iter().collect();
        assert!(listed(&names, "and").ends_with("`m39` and 2 more"));
        assert!(listed(&names[..NAMED], "and").ends_with("`m38` and `m39`"));
    }
}
