//! What code mode shows of a tool: its arguments as a type of TypeScript (contract §8.1). Compared with the real program by the
//! tests of conformance.

use serde_json::{Map, Value};

/// Most bytes of a type that are rendered here.
const BYTES: usize = 64 * 1024;
/// How many references of a schema codex follows, all together.
const REFERENCES: usize = 32;
/// How often codex follows a reference within itself.
const FOLLOWED: usize = 2;

const UNKNOWN: &str = "unknown";

/// The type of arguments, by their schema as codex shows it.
pub(super) fn arguments(shown: &Value) -> String {
    let mut renderer = Renderer {
        root: shown,
        open: Vec::new(),
        references: REFERENCES,
        left: BYTES,
    };
    renderer.schema(shown)
}

struct Renderer<'a> {
    root: &'a Value,
    /// The references that are being followed.
    open: Vec<&'a str>,
    /// References that may still be followed.
    references: usize,
    /// Bytes that may still be written.
    left: usize,
}

impl<'a> Renderer<'a> {
    fn schema(&mut self, schema: &'a Value) -> String {
        if self.left == 0 {
            return UNKNOWN.to_owned();
        }
        let text = match schema {
            Value::Bool(false) => "never".to_owned(),
            Value::Object(members) => self.members(schema, members),
            _ => UNKNOWN.to_owned(),
        };
        self.left = self.left.saturating_sub(text.len());
        if self.left == 0 {
            return UNKNOWN.to_owned();
        }
        text
    }

    fn members(&mut self, schema: &'a Value, members: &'a Map<String, Value>) -> String {
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            return self.reference(schema, reference);
        }
        if let Some(values) = members.get("enum").and_then(Value::as_array) {
            return joined(values.iter().map(Value::to_string), " | ");
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(schemas) = members.get(keyword).and_then(Value::as_array) {
                let types: Vec<String> = schemas.iter().map(|part| self.schema(part)).collect();
                return joined(types.into_iter(), " | ");
            }
        }
        if let Some(schemas) = members.get("allOf").and_then(Value::as_array) {
            let types: Vec<String> = schemas.iter().map(|part| self.part(part)).collect();
            return joined(types.into_iter(), " & ");
        }
        match members.get("type") {
            Some(Value::String(name)) => self.named(name, members),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                let types: Vec<String> = names.map(|name| self.named(name, members)).collect();
                joined(types.into_iter(), " | ")
            }
            _ => UNKNOWN.to_owned(),
        }
    }

    /// A schema of several that hold at once.
    fn part(&mut self, schema: &'a Value) -> String {
        let text = self.schema(schema);
        if is_union(self.target(schema).unwrap_or(schema)) {
            return format!("({text})");
        }
        text
    }

    /// What a schema refers to.
    fn target(&self, schema: &'a Value) -> Option<&'a Value> {
        let reference = schema.get("$ref")?.as_str()?;
        self.root.pointer(reference.strip_prefix('#')?)
    }

    fn reference(&mut self, schema: &'a Value, reference: &'a str) -> String {
        let followed = self.open.iter().filter(|open| **open == reference).count();
        let Some(target) = self.target(schema).filter(|_| followed < FOLLOWED) else {
            return UNKNOWN.to_owned();
        };
        let Some(references) = self.references.checked_sub(1) else {
            return UNKNOWN.to_owned();
        };
        self.references = references;
        self.open.push(reference);
        let text = self.schema(target);
        self.open.pop();
        text
    }

    fn named(&mut self, name: &str, members: &'a Map<String, Value>) -> String {
        match name {
            "integer" | "number" => "number".to_owned(),
            "array" => {
                let items = members.get("items").map(|items| self.schema(items));
                format!("Array<{}>", items.as_deref().unwrap_or(UNKNOWN))
            }
            "object" => self.object(members),
            "string" | "boolean" | "null" => name.to_owned(),
            _ => UNKNOWN.to_owned(),
        }
    }

    fn object(&mut self, members: &'a Map<String, Value>) -> String {
        let required = members.get("required").and_then(Value::as_array);
        let is_required = |name: &str| {
            required.is_some_and(|required| required.iter().any(|known| known == name))
        };
        let mut properties: Vec<(&String, &Value)> = members
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .collect();
        properties.sort_unstable_by_key(|(name, _)| *name);
        let mut lines = Vec::new();
        let mut is_described = false;
        for (name, schema) in &properties {
            let description = schema.get("description").and_then(Value::as_str);
            for line in description.unwrap_or_default().lines() {
                if !line.trim().is_empty() {
                    is_described = true;
                    lines.push(format!("// {}", line.trim()));
                }
            }
            let optional = if is_required(name) { "" } else { "?" };
            let schema = self.schema(schema);
            lines.push(format!("{}{optional}: {schema};", member(name)));
        }
        match members.get("additionalProperties") {
            Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => lines.push(format!("[key: string]: {UNKNOWN};")),
            Some(others) => {
                let others = self.schema(others);
                lines.push(format!("[key: string]: {others};"));
            }
            None if properties.is_empty() => lines.push(format!("[key: string]: {UNKNOWN};")),
            None => {}
        }
        match (lines.is_empty(), is_described) {
            (true, _) => "{}".to_owned(),
            (_, true) => format!("{{\n  {}\n}}", lines.join("\n  ")),
            (_, false) => format!("{{ {} }}", lines.join(" ")),
        }
    }
}

/// Whether a schema is one of several types.
fn is_union(schema: &Value) -> bool {
    let several = |keyword: &&str| {
        let values = schema.get(*keyword).and_then(Value::as_array);
        values.is_some_and(|values| values.len() > 1)
    };
    ["enum", "anyOf", "oneOf", "type"].iter().any(several)
}

fn joined(types: impl Iterator<Item = String>, separator: &str) -> String {
    let types: Vec<String> = types.collect();
    if types.is_empty() {
        return UNKNOWN.to_owned();
    }
    types.join(separator)
}

/// The name of a member, in quotes where it is no identifier.
fn member(name: &str) -> String {
    let is_identifier = name.bytes().enumerate().all(|(at, byte)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => true,
        b'0'..=b'9' => at > 0,
        _ => false,
    });
    if is_identifier && !name.is_empty() {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}
