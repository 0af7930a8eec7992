//! From a schema to its plan. Nesting of the schema is bounded before.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::leaf::{Format, Pattern};
use super::names::Names;
use super::number::Bound;
use super::plan::{
    ArrayRules, Branch, Check, Choice, Condition, Contains, Dependent, Id, NumberRules,
    ObjectRules, Others, Outline, Parts, Plan, Property, Tag, TextRules, Types,
};
use crate::skill::schema::flat;
use crate::skill::schema::words::is_annotation;

type Object = Map<String, Value>;

/// Where a schema stands, as when it is shaped for the model: objects that no other schema speaks of are closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Whole,
    Part,
}

/// How many references and compositions an outline is looked for behind.
const OUTLINE_DEPTH: usize = 6;

/// The plan of a schema. That of a type closes its objects as they are closed for the model.
pub(super) fn plan(schema: &Value, of_type: bool) -> Plan {
    let mut compiler = Compiler {
        whole: schema,
        of_type,
        checks: Vec::new(),
        targets: HashMap::new(),
    };
    let root = compiler.schema(schema, Place::Whole);
    let mut plan = Plan {
        checks: compiler.checks,
        root,
        of_type,
        aliases_at_root: of_type,
    };
    outline_choices(&mut plan);
    plan
}

struct Compiler<'a> {
    whole: &'a Value,
    of_type: bool,
    checks: Vec<Check>,
    targets: HashMap<(String, Place), Id>,
}

impl<'a> Compiler<'a> {
    fn reserve(&mut self) -> Id {
        let id = Id::try_from(self.checks.len()).unwrap_or(Id::MAX);
        self.checks.push(Check::of(Types::ALL));
        id
    }

    fn schema(&mut self, schema: &Value, place: Place) -> Id {
        let id = self.reserve();
        self.fill(id, schema, place);
        id
    }

    fn fill(&mut self, id: Id, schema: &Value, place: Place) {
        let check = match schema {
            Value::Object(members) => self.members(members, place),
            Value::Bool(false) => Check::of(Types::NONE),
            _ => Check::of(Types::ALL),
        };
        if let Some(reserved) = self.checks.get_mut(id as usize) {
            let shared = reserved.shared;
            *reserved = check;
            reserved.shared = shared;
        }
    }

    fn members(&mut self, schema: &Object, place: Place) -> Check {
        let mut check = Check::of(types(schema));
        check.number = number_rules(schema);
        check.text = text_rules(schema);
        check.values = values(schema);
        check.array = self.array_rules(schema);
        check.object = self.object_rules(schema, place);
        check.parts = self.parts(schema, place);
        check
    }

    fn optional(&mut self, schema: &Object, keyword: &str) -> Option<Id> {
        let inner = schema.get(keyword)?;
        Some(self.schema(inner, Place::Whole))
    }

    fn array_rules(&mut self, schema: &Object) -> Option<Box<ArrayRules>> {
        const KEYWORDS: [&str; 7] = [
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "uniqueItems",
            "contains",
            "unevaluatedItems",
        ];
        says_any(schema, &KEYWORDS).then_some(())?;
        let listed = schema.get("prefixItems").or_else(|| schema.get("items"));
        let first = listed.and_then(Value::as_array).map(|items| {
            let each = items.iter().map(|item| self.schema(item, Place::Whole));
            each.collect()
        });
        let rest = match schema.get("items") {
            Some(Value::Array(_)) => self.optional(schema, "additionalItems"),
            Some(_) => self.optional(schema, "items"),
            None => None,
        };
        let contains = schema.get("contains").map(|inner| Contains {
            check: self.schema(inner, Place::Whole),
            least: count(schema, "minContains").unwrap_or(1),
            most: count(schema, "maxContains"),
        });
        Some(Box::new(ArrayRules {
            first: first.unwrap_or_default(),
            rest,
            least: count(schema, "minItems"),
            most: count(schema, "maxItems"),
            unique: schema.get("uniqueItems") == Some(&Value::Bool(true)),
            contains,
            unevaluated: self.optional(schema, "unevaluatedItems"),
        }))
    }

    fn object_rules(&mut self, schema: &Object, place: Place) -> Option<Box<ObjectRules>> {
        const KEYWORDS: [&str; 11] = [
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "propertyNames",
            "minProperties",
            "maxProperties",
            "dependentRequired",
            "dependentSchemas",
            "dependencies",
            "unevaluatedProperties",
        ];
        says_any(schema, &KEYWORDS).then_some(())?;
        let mut required: Vec<String> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        let mut properties = Vec::new();
        if let Some(Value::Object(own)) = schema.get("properties") {
            for (name, property) in own {
                properties.push(Property {
                    check: self.schema(property, Place::Whole),
                    required: required.contains(name),
                    has_default: self.of_type && has_default(property),
                    name: name.clone(),
                });
            }
        }
        properties.sort_by(|one, other| one.name.cmp(&other.name));
        required.retain(|name| !properties.iter().any(|property| property.name == *name));
        required.sort();
        required.dedup();
        let mut patterns = Vec::new();
        if let Some(Value::Object(own)) = schema.get("patternProperties") {
            for (pattern, inner) in own {
                patterns.push((Pattern::new(pattern), self.schema(inner, Place::Whole)));
            }
        }
        Some(Box::new(ObjectRules {
            properties,
            required,
            patterns,
            others: self.others(schema, place),
            names: self.optional(schema, "propertyNames"),
            keys: Names::of(schema),
            least: count(schema, "minProperties"),
            most: count(schema, "maxProperties"),
            dependent: self.dependent(schema),
            unevaluated: match schema.get("unevaluatedProperties") {
                Some(inner) => Some(self.rest(inner)),
                None => (self.of_type && is_closed_with_its_parts(schema, place))
                    .then_some(Others::Closed),
            },
        }))
    }

    fn others(&mut self, schema: &Object, place: Place) -> Others {
        match schema.get("additionalProperties") {
            Some(inner) => self.rest(inner),
            None if self.of_type && is_closed_for_the_model(schema, place) => Others::Closed,
            None => Others::Open,
        }
    }

    fn rest(&mut self, inner: &Value) -> Others {
        match inner {
            Value::Bool(false) => Others::Closed,
            Value::Object(members) if !members.is_empty() => {
                Others::Checked(self.schema(inner, Place::Whole))
            }
            _ => Others::Open,
        }
    }

    fn dependent(&mut self, schema: &Object) -> Vec<(String, Dependent)> {
        let mut all = Vec::new();
        for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
            let Some(Value::Object(own)) = schema.get(keyword) else {
                continue;
            };
            for (name, what) in own {
                let what = match what {
                    Value::Array(names) => {
                        let names = names.iter().filter_map(Value::as_str);
                        Dependent::Names(names.map(str::to_owned).collect())
                    }
                    inner => Dependent::Check(self.schema(inner, Place::Part)),
                };
                all.push((name.clone(), what));
            }
        }
        all
    }

    fn parts(&mut self, schema: &Object, place: Place) -> Option<Box<Parts>> {
        const KEYWORDS: [&str; 8] = [
            "$ref",
            "$dynamicRef",
            "$recursiveRef",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "if",
        ];
        says_any(schema, &KEYWORDS).then_some(())?;
        let shared = place == Place::Part || schema.contains_key("properties");
        let inner = if shared { Place::Part } else { Place::Whole };
        let mut parts = Parts::default();
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(Value::String(reference)) = schema.get(keyword) {
                let place = match schema
                    .keys()
                    .all(|key| key == keyword || is_annotation(key))
                {
                    true => place,
                    false => inner,
                };
                parts.reference = self.reference(reference, place);
            }
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            // One that stands alone is the schema itself.
            let place = if all.len() == 1 { inner } else { Place::Part };
            parts.all = all.iter().map(|part| self.schema(part, place)).collect();
        }
        for keyword in ["anyOf", "oneOf"] {
            let Some(Value::Array(branches)) = schema.get(keyword) else {
                continue;
            };
            // The forms of a type exclude each other, or it takes the first.
            let exactly_one = keyword == "oneOf" && !self.of_type;
            let (texts, others): (Vec<&Value>, Vec<&Value>) = branches
                .iter()
                .partition(|branch| !exactly_one && texts_of(branch).is_some());
            let texts = self.texts(&texts, inner);
            if others.is_empty() {
                parts.all.extend(texts);
                continue;
            }
            let others: Vec<Id> = others
                .into_iter()
                .map(|branch| self.schema(branch, inner))
                .collect();
            let branches = texts.into_iter().chain(others).map(|check| Branch {
                check,
                outline: Outline::default(),
            });
            parts.choices.push(Choice {
                branches: branches.collect(),
                exactly_one,
                tag: None,
            });
        }
        parts.not = schema.get("not").map(|not| self.schema(not, Place::Part));
        if let Some(test) = schema.get("if") {
            let mut part = |keyword: &str| {
                let inner = schema.get(keyword)?;
                Some(self.schema(inner, Place::Part))
            };
            let (then, otherwise) = (part("then"), part("else"));
            parts.condition = Some(Condition {
                test: self.schema(test, Place::Part),
                then,
                otherwise,
            });
        }
        Some(Box::new(parts))
    }

    /// The check of branches that list texts, which is that of one list: a type with words for its variants has a branch
    /// for each.
    fn texts(&mut self, branches: &[&Value], place: Place) -> Option<Id> {
        if let [only] = branches {
            return Some(self.schema(only, place));
        }
        let texts = branches.iter().filter_map(|branch| texts_of(branch));
        let texts: Vec<Value> = texts.flatten().cloned().collect();
        (!texts.is_empty()).then(|| {
            let id = self.reserve();
            if let Some(check) = self.checks.get_mut(id as usize) {
                check.types = Types::STRING;
                check.values = Some(texts.into());
            }
            id
        })
    }

    /// The check that a reference leads to; what leads nowhere demands nothing.
    fn reference(&mut self, reference: &str, place: Place) -> Option<Id> {
        let key = (reference.to_owned(), place);
        if let Some(id) = self.targets.get(&key) {
            return Some(*id);
        }
        let target = self.target(reference)?;
        let id = self.reserve();
        if let Some(check) = self.checks.get_mut(id as usize) {
            check.shared = true;
        }
        self.targets.insert(key, id);
        self.fill(id, target, place);
        Some(id)
    }

    fn target(&self, reference: &str) -> Option<&'a Value> {
        let whole = self.whole;
        let own = whole.get("$id").and_then(Value::as_str).unwrap_or_default();
        let fragment = reference.strip_prefix(own).unwrap_or(reference);
        match fragment.strip_prefix('#') {
            None => find(whole, &|schema| {
                schema.get("$id").is_some_and(|id| id == reference)
            }),
            Some("") => Some(whole),
            Some(pointer) if pointer.starts_with('/') => whole.pointer(&unescaped(pointer)),
            Some(anchor) => find(whole, &|schema| {
                ["$anchor", "$dynamicAnchor"]
                    .iter()
                    .any(|keyword| schema.get(*keyword).is_some_and(|name| name == anchor))
            }),
        }
    }
}

/// The texts that a schema lists, where it demands no more.
fn texts_of(schema: &Value) -> Option<&[Value]> {
    let schema = schema.as_object()?;
    let demands_no_more = schema
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "const" | "enum" => true,
            "type" => value == "string",
            keyword => is_annotation(keyword),
        });
    let texts = match (schema.get("const"), schema.get("enum")) {
        (Some(text), None) => std::slice::from_ref(text),
        (None, Some(Value::Array(texts))) => texts,
        _ => return None,
    };
    (demands_no_more && texts.iter().all(Value::is_string)).then_some(texts)
}

/// A schema within another that has something.
fn find<'a>(value: &'a Value, has: &dyn Fn(&Object) -> bool) -> Option<&'a Value> {
    match value {
        Value::Object(members) if has(members) => Some(value),
        Value::Object(members) => members.values().find_map(|inner| find(inner, has)),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, has)),
        _ => None,
    }
}

/// A pointer without the escapes of an address.
fn unescaped(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = after.get(escaped.map_or(0, |_| 2)..).unwrap_or_default();
    }
    String::from_utf8(bytes).unwrap_or_else(|_| pointer.to_owned())
}

/// Whether an object is shown without room for members that it does not name.
fn is_closed_for_the_model(schema: &Object, place: Place) -> bool {
    place == Place::Whole
        && schema.contains_key("properties")
        && !schema.contains_key("unevaluatedProperties")
        && !["anyOf", "oneOf", "allOf", "$ref"]
            .iter()
            .any(|keyword| schema.contains_key(*keyword))
}

/// The same of an object beside whose members there is a choice of others.
fn is_closed_with_its_parts(schema: &Object, place: Place) -> bool {
    place == Place::Whole
        && schema.contains_key("properties")
        && says_any(schema, &["anyOf", "oneOf", "allOf"])
        && !flat::is_open(schema)
}

/// Whether a property is shown with a default that is no `null`.
fn has_default(property: &Value) -> bool {
    property
        .get("default")
        .is_some_and(|default| !default.is_null())
}

fn says_any(schema: &Object, keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| schema.contains_key(*keyword))
}

/// A count; some write `3.0`.
fn count(schema: &Object, keyword: &str) -> Option<u64> {
    let number = schema.get(keyword)?;
    number.as_u64().or_else(|| {
        number
            .as_f64()
            .filter(|count| *count >= 0.0)
            .map(|count| count as u64)
    })
}

fn bound(schema: &Object, keyword: &str) -> Option<Bound> {
    let number = schema.get(keyword)?.as_number()?;
    let text = number.to_string();
    let whole = text.strip_suffix(".0").map(str::to_owned);
    Some(Bound::new(whole.unwrap_or(text)))
}

fn types(schema: &Object) -> Types {
    let own = match schema.get("type") {
        Some(Value::String(name)) => Types::of(name),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .fold(Types::NONE, |all, name| all.or(Types::of(name))),
        _ => Types::ALL,
    };
    if own != Types::ALL && schema.get("nullable") == Some(&Value::Bool(true)) {
        return own.or(Types::NULL);
    }
    own
}

fn values(schema: &Object) -> Option<Box<[Value]>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()].into()),
        (None, Some(Value::Array(values))) => Some(values.clone().into()),
        _ => None,
    }
}

fn number_rules(schema: &Object) -> Option<Box<NumberRules>> {
    let format = schema.get("format").and_then(Value::as_str);
    let mut rules = NumberRules {
        least: bound(schema, "minimum"),
        most: bound(schema, "maximum"),
        above: bound(schema, "exclusiveMinimum"),
        below: bound(schema, "exclusiveMaximum"),
        step: bound(schema, "multipleOf"),
        wide: false,
    };
    if let Some((least, most)) = format.and_then(natural) {
        rules.least.get_or_insert_with(|| Bound::new(least));
        rules.most.get_or_insert_with(|| Bound::new(most));
    }
    rules.wide = match format {
        Some("int64" | "uint64" | "int128" | "uint128" | "int" | "uint") => true,
        Some(_) => false,
        // A written schema does not say how large the handler's type is.
        None => rules
            .most
            .as_ref()
            .is_none_or(|most| most.of("9007199254740992").is_lt()),
    };
    let plain = rules.least.is_none()
        && rules.most.is_none()
        && rules.above.is_none()
        && rules.below.is_none()
        && rules.step.is_none()
        && !rules.wide;
    let numeric = types(schema).has(Types::INTEGER);
    (numeric && !plain).then(|| Box::new(rules))
}

/// The least and the most number that a type holds.
fn natural(format: &str) -> Option<(String, String)> {
    let range = |least: i128, most: u128| Some((least.to_string(), most.to_string()));
    match format {
        "int8" => range(i8::MIN.into(), i8::MAX as u128),
        "int16" => range(i16::MIN.into(), i16::MAX as u128),
        "int32" => range(i32::MIN.into(), i32::MAX as u128),
        "int64" | "int" => range(i64::MIN.into(), i64::MAX as u128),
        "int128" => range(i128::MIN, i128::MAX as u128),
        "uint8" => range(0, u8::MAX.into()),
        "uint16" => range(0, u16::MAX.into()),
        "uint32" => range(0, u32::MAX.into()),
        "uint64" | "uint" => range(0, u64::MAX.into()),
        "uint128" => range(0, u128::MAX),
        "float" => Some((format!("{:e}", f32::MIN), format!("{:e}", f32::MAX))),
        _ => None,
    }
}

fn text_rules(schema: &Object) -> Option<Box<TextRules>> {
    let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
    let rules = TextRules {
        least: count(schema, "minLength").filter(|least| *least > 0),
        most: count(schema, "maxLength"),
        pattern: text("pattern").map(Pattern::new),
        format: text("format")
            .filter(|_| types(schema).has(Types::STRING))
            .map(Format::new),
    };
    let plain = rules.least.is_none()
        && rules.most.is_none()
        && rules.pattern.is_none()
        && rules.format.is_none();
    (!plain).then(|| Box::new(rules))
}

impl Default for Outline {
    fn default() -> Self {
        Self {
            types: Types::ALL,
            constants: Vec::new(),
            required: Vec::new(),
            known: Vec::new(),
            values: None,
        }
    }
}

/// Looks at each branch from outside, and at what tells the branches of a choice apart.
fn outline_choices(plan: &mut Plan) {
    for id in 0..plan.checks.len() {
        let Some(mut parts) = plan.checks.get_mut(id).and_then(|check| check.parts.take()) else {
            continue;
        };
        for choice in &mut parts.choices {
            for branch in &mut choice.branches {
                branch.outline = outline(plan, branch.check);
            }
            choice.tag = tag(&choice.branches);
        }
        if let Some(check) = plan.checks.get_mut(id) {
            check.parts = Some(parts);
        }
    }
}

/// What a value must look like to fit a schema.
pub(super) fn outline(plan: &Plan, id: Id) -> Outline {
    outline_within(plan, id, OUTLINE_DEPTH)
}

fn outline_within(plan: &Plan, id: Id, depth: usize) -> Outline {
    let check = plan.check(id);
    let mut whole = Outline {
        types: check.types,
        ..Outline::default()
    };
    if let Some(values) = &check.values {
        whole.values = Some(values.to_vec());
        let types = values.iter().map(type_of);
        whole.types = whole.types.and(types.fold(Types::NONE, Types::or));
    }
    if let Some(object) = &check.object {
        for property in &object.properties {
            if property.required {
                whole.required.push(property.name.clone());
            }
            whole.known.push(property.name.clone());
            let values = plan.check(property.check).values.as_ref();
            // Only required members distinguish forms here: one with an alias may be absent under this name.
            if let Some(values) = values.filter(|_| property.required) {
                whole
                    .constants
                    .push((property.name.clone(), values.to_vec()));
            }
        }
        whole.required.extend(object.required.iter().cloned());
    }
    let (Some(parts), Some(depth)) = (&check.parts, depth.checked_sub(1)) else {
        return whole;
    };
    for part in parts.reference.iter().chain(&parts.all) {
        let part = outline_within(plan, *part, depth);
        whole.types = whole.types.and(part.types);
        whole.constants.extend(part.constants);
        whole.required.extend(part.required);
        whole.known.extend(part.known);
        whole.values = whole.values.or(part.values);
    }
    for choice in &parts.choices {
        let branches = choice.branches.iter();
        let types = branches.map(|branch| outline_within(plan, branch.check, depth).types);
        whole.types = whole.types.and(types.fold(Types::NONE, Types::or));
    }
    whole
}

pub(super) fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => Types::NULL,
        Value::Bool(_) => Types::BOOL,
        Value::Number(_) => Types::NUMBER.or(Types::INTEGER),
        Value::String(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Object(_) => Types::OBJECT,
    }
}

fn tag(branches: &[Branch]) -> Option<Tag> {
    let objects: Vec<&Outline> = branches
        .iter()
        .map(|branch| &branch.outline)
        .filter(|outline| outline.types.has(Types::OBJECT))
        .collect();
    let first = objects.first()?;
    let by_member = first.constants.iter().find_map(|(name, _)| {
        let mut all = Vec::new();
        for outline in &objects {
            let (_, values) = outline.constants.iter().find(|(own, _)| own == name)?;
            if values.iter().any(|value| all.contains(value)) {
                return None;
            }
            all.extend(values.iter().cloned());
        }
        Some(Tag::Member {
            name: name.clone(),
            values: all,
        })
    });
    let by_name = || {
        let alone =
            |outline: &&&Outline| outline.required.len() == 1 && outline.known == outline.required;
        (objects.len() == objects.iter().filter(alone).count()).then_some(Tag::Name)
    };
    by_member.or_else(by_name)
}
