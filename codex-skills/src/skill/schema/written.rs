//! Schemas that a user writes: kept as they are, unless the draft has their demands said in words. What codex refuses
//! and what is no schema is an error; what codex drops or rewrites silently (contract §1.4), and what providers refuse
//! at the root, is a warning that names the place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fits::{self, Taken};
use super::refused::{self, Path, TYPES};
use super::words::{self, Natural};
use super::{Object, accepts_anything, compose, lift, shown, sound, variants};
use crate::skill::descriptor::ParameterDescriptor;

/// The most places that one warning names, and the most warnings about one schema.
const PLACES: usize = 3;
const WARNINGS: usize = 12;

/// A written schema and what was found in it.
pub(super) struct Written {
    pub(super) value: Value,
    pub(super) warnings: Vec<String>,
    pub(super) undocumented: Vec<String>,
}

/// Checks an input schema, and adds the descriptions that it lacks from the parameters' docs; where it is asked for,
/// words for what codex drops, too.
pub(super) fn input(
    mut schema: Value,
    parameters: &[ParameterDescriptor],
    taken: &Taken,
    in_words: bool,
) -> Result<Written, String> {
    refused::check_depth(&schema)?;
    refused::check(&schema).map_err(|refusal| refusal.to_string())?;
    let Value::Object(root) = &mut schema else {
        return Err(not_an_object());
    };
    if !may_be_object(root) {
        return Err(not_an_object());
    }
    sound::check(&Value::Object(root.clone()))?;
    let undocumented = match root.get_mut("properties") {
        Some(Value::Object(properties)) => {
            fill_in(properties, parameters);
            properties
                .iter()
                .filter(|(_, property)| !variants::is_documented(property))
                .map(|(name, _)| name.clone())
                .collect()
        }
        _ => Vec::new(),
    };
    let mut warnings = of_root(root);
    warnings.extend(fits::check(root, taken)?);
    warnings.extend(losses(&schema, in_words));
    if in_words {
        say(&mut schema);
        lift::finish(&mut schema);
    }
    Ok(Written {
        warnings,
        value: schema,
        undocumented,
    })
}

/// What providers refuse at the root, and what code mode shows no arguments of.
fn of_root(root: &Object) -> Vec<String> {
    let mut warnings = Vec::new();
    for keyword in [
        "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "not", "if",
    ] {
        if root.contains_key(keyword) {
            warnings.push(format!(
                "the root of the input schema has `{keyword}`, for which some providers refuse the whole request, and \
                 code mode shows no argument or only some: write all arguments under `properties` at the root, and \
                 move the choice under a property"
            ));
        }
    }
    if root.get("type").is_none_or(|name| name != "object") {
        warnings.push(
            "the root of the input schema is not of the type \"object\", for which some providers refuse the whole \
             request: write `\"type\": \"object\"` and the arguments under `properties`; move the choice under a \
             property where it is one"
                .to_owned(),
        );
    }
    warnings
}

/// Keeps the demands of a schema and of those in it beside them.
fn say(schema: &mut Value) {
    let Value::Object(members) = schema else {
        return;
    };
    if compose::has_type(members, "array")
        && let Some(Value::Array(items)) = members.get("prefixItems")
    {
        let mut items = items.clone();
        items.iter_mut().for_each(say);
        let order = lift::order(items);
        members.insert(words::ORDER.to_owned(), order.into());
    }
    let said = words::of(members, &Natural::of(members));
    if !said.is_empty() {
        members.insert(words::WORDS.to_owned(), said.into());
    }
    for (keyword, value) in members.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => schemas.values_mut().for_each(say),
            ("items" | "additionalProperties", schema) => say(schema),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(say);
            }
            _ => {}
        }
    }
}

/// What the model is not shown of a generated schema, whose words say the rest.
pub(super) fn unsaid(schema: &Value) -> Vec<String> {
    let mut losses = Losses {
        root: schema,
        in_words: true,
        places: BTreeMap::new(),
    };
    losses.visit(schema, &Path::default());
    losses
        .places
        .retain(|loss, _| matches!(loss, Loss::Dropped(_)));
    losses.lines()
}

/// Checks an output schema. One that accepts everything says nothing.
pub(super) fn output(mut schema: Value) -> Result<Option<Value>, String> {
    refused::check_depth(&schema)?;
    if accepts_anything(&schema) {
        return Ok(None);
    }
    if !schema.is_object() {
        return Err("its `output_schema` is not a JSON schema: write an object".to_owned());
    }
    sound::check(&schema)
        .map_err(|error| error.replacen("its schema", "its `output_schema`", 1))?;
    schema.sort_all_objects();
    Ok(Some(schema))
}

fn not_an_object() -> String {
    "its input schema does not describe a JSON object: write `\"type\": \"object\"` at the root and \
     the arguments under `properties`"
        .to_owned()
}

/// Whether the root's type, if it says one, is an object.
fn may_be_object(root: &Object) -> bool {
    match root.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => true,
    }
}

fn fill_in(properties: &mut Object, parameters: &[ParameterDescriptor]) {
    for parameter in parameters {
        let described = parameter.description.filter(|text| !text.trim().is_empty());
        if let (Some(text), Some(Value::Object(property))) =
            (described, properties.get_mut(parameter.name))
        {
            property
                .entry("description")
                .or_insert_with(|| text.trim().into());
        }
    }
}

/// One line for each kind of loss, its places in the order of the schema.
fn losses(schema: &Value, in_words: bool) -> Vec<String> {
    let mut losses = Losses {
        root: schema,
        in_words,
        places: BTreeMap::new(),
    };
    losses.visit(schema, &Path::default());
    losses.lines()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Dropped(&'static str),
    Nullable,
    Tuple,
    UntypedValues,
    ArrayWithoutItems,
    UnknownType(String),
    Boolean,
    DanglingReference(String),
    Lone(&'static str),
}

impl Loss {
    fn line(&self, places: &[Path]) -> String {
        let shown: Vec<String> = places.iter().take(PLACES).map(Path::to_string).collect();
        let mut at = shown.join(", ");
        if places.len() > PLACES {
            at = format!("{at} and {} more", places.len() - PLACES);
        }
        match self {
            Self::Dropped(keyword) => format!(
                "codex does not show the model `{keyword}` (at {at}): say it in the description"
            ),
            Self::Nullable => {
                format!("codex drops `nullable` (at {at}): add \"null\" to the list of types")
            }
            Self::Tuple => format!(
                "codex drops `prefixItems` (at {at}) and takes the items for strings: \
                 write one schema for all `items`"
            ),
            Self::UntypedValues => format!(
                "codex takes `enum` and `const` without `type` (at {at}) for strings: write the type"
            ),
            Self::ArrayWithoutItems => format!(
                "codex takes the items of an array without `items` (at {at}) for strings: \
                 write `items`"
            ),
            Self::UnknownType(name) => format!("codex drops the unknown type `{name}` (at {at})"),
            Self::Boolean => format!(
                "codex takes the schemas `true` and `false` (at {at}) for strings: \
                 write an object"
            ),
            Self::DanglingReference(reference) => {
                format!("`{reference}` (at {at}) leads nowhere: put its target under `$defs`")
            }
            Self::Lone(keyword) => format!(
                "codex drops a `{keyword}` that stands alone (at {at}): write the type beside it"
            ),
        }
    }
}

/// Keywords that the model never sees.
const DROPPED: [&str; 28] = [
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Keywords that tell codex a type. Without one and without a type it drops all that a schema says.
const TELLING: [&str; 17] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maximum",
    "minimum",
    "multipleOf",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
];

struct Losses<'a> {
    root: &'a Value,
    /// Whether words say what can be said.
    in_words: bool,
    places: BTreeMap<Loss, Vec<Path>>,
}

impl Losses<'_> {
    fn lines(&self) -> Vec<String> {
        let kinds = self.places.len();
        let mut lines: Vec<String> = self
            .places
            .iter()
            .take(WARNINGS)
            .map(|(loss, places)| loss.line(places))
            .collect();
        if kinds > WARNINGS {
            lines.push(format!(
                "codex drops or rewrites {} more keywords of the input schema",
                kinds - WARNINGS
            ));
        }
        lines
    }

    fn note(&mut self, loss: Loss, path: &Path) {
        self.places.entry(loss).or_default().push(path.clone());
    }

    fn visit(&mut self, schema: &Value, path: &Path) {
        let Value::Object(members) = schema else {
            if schema.is_boolean() {
                self.note(Loss::Boolean, path);
            }
            return;
        };
        let is_definition = |keyword: &String| ["$defs", "definitions"].contains(&keyword.as_str());
        if members.keys().all(is_definition) {
            // It says nothing, and codex shows nothing of it.
            return;
        }
        for keyword in DROPPED {
            if let Some(value) = members.get(keyword)
                && (!self.in_words || words::is_unsaid(keyword, value))
            {
                self.note(Loss::Dropped(keyword), path);
            }
        }
        self.rewritten(members, path);
        let is_root = std::ptr::eq(schema, self.root);
        for keyword in ["properties", "$defs", "definitions"] {
            if let Some(Value::Object(schemas)) = members.get(keyword) {
                // Codex prunes definitions that nothing refers to, and nothing is lost.
                let is_pruned =
                    (is_root && keyword != "properties").then(|| shown::unreachable(self.root));
                let here = path.join(keyword);
                for (name, schema) in schemas {
                    if is_pruned
                        .as_ref()
                        .is_none_or(|is_pruned| !is_pruned(keyword, name))
                    {
                        self.visit(schema, &here.join(name));
                    }
                }
            }
        }
        if let Some(items) = members.get("items") {
            self.visit(items, &path.join("items"));
        }
        if let Some(others) = members.get("additionalProperties")
            && others.is_object()
        {
            self.visit(others, &path.join("additionalProperties"));
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(Value::Array(branches)) = members.get(keyword) {
                let here = path.join(keyword);
                for (index, branch) in branches.iter().enumerate() {
                    self.visit(branch, &here.join(&index.to_string()));
                }
            }
        }
    }

    fn rewritten(&mut self, members: &Object, path: &Path) {
        if members.contains_key("nullable") {
            self.note(Loss::Nullable, path);
        }
        if members.contains_key("prefixItems") && !(self.in_words && members.contains_key("items"))
        {
            self.note(Loss::Tuple, path);
        }
        let types: Vec<&str> = match members.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if types.is_empty() && has_values_that_are_no_strings(members) {
            self.note(Loss::UntypedValues, path);
        }
        if types.contains(&"array")
            && !members.contains_key("items")
            && !members.contains_key("prefixItems")
        {
            self.note(Loss::ArrayWithoutItems, path);
        }
        for name in types.iter().filter(|name| !TYPES.contains(name)) {
            let name = name.chars().take(32).collect();
            self.note(Loss::UnknownType(name), path);
        }
        if let Some(Value::String(reference)) = members.get("$ref")
            && !self.leads_somewhere(reference)
        {
            let reference = reference.chars().take(64).collect();
            self.note(Loss::DanglingReference(reference), path);
        }
        let is_told = types.iter().any(|name| TYPES.contains(name))
            || TELLING.iter().any(|keyword| members.contains_key(*keyword));
        for keyword in ["description", "encrypted", "minItems"] {
            if !is_told && members.contains_key(keyword) {
                self.note(Loss::Lone(keyword), path);
            }
        }
    }

    fn leads_somewhere(&self, reference: &str) -> bool {
        reference
            .strip_prefix('#')
            .is_some_and(|pointer| self.root.pointer(pointer).is_some())
    }
}

fn has_values_that_are_no_strings(members: &Object) -> bool {
    match (members.get("const"), members.get("enum")) {
        (Some(value), _) => !value.is_string(),
        (None, Some(Value::Array(values))) => values.iter().any(|value| !value.is_string()),
        (None, _) => false,
    }
}
