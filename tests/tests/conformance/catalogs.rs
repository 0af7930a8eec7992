//! Catalogs by the hundred: names, descriptions and schemas, as people write them and odd ones.

use std::convert::Infallible;

use codex_skills::{Catalog, CatalogError, Draft, Skill};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The keywords of schemas that codex knows, drops or rewrites (contract §1.4).
pub(crate) const KEYWORDS: [&str; 42] = [
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "definitions",
    "dependentRequired",
    "description",
    "else",
    "encrypted",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
];

/// A skill that is never run.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) schema: Value,
}

impl Made {
    pub(crate) fn new(name: &str, schema: Value) -> Self {
        Self {
            name: name.to_owned(),
            description: "Nobody runs it.".to_owned(),
            schema,
        }
    }

    fn skill(&self) -> Skill {
        Skill::builder(&self.name)
            .description(&self.description)
            .input_schema(self.schema.clone())
            .handler(|_: Value| async { Ok::<_, Infallible>(()) })
    }
}

/// What sealing says of them.
pub(crate) fn sealed(all: &[Made]) -> Result<Catalog, CatalogError> {
    Draft::new().register(all.iter().map(Made::skill)).seal()
}

/// The same as it is declared to codex, whether or not sealing accepts it. A builder trims names.
pub(crate) fn declared(all: &[Made]) -> Value {
    let tool = |made: &Made| {
        json!({
            "type": "function", "name": made.skill().name(), "description": made.description,
            "inputSchema": made.schema,
        })
    };
    all.iter().map(tool).collect()
}

/// Up to three skills.
pub(crate) fn catalog(rng: &mut Rng) -> Vec<Made> {
    let number = rng.usize(1..=3);
    (0..number)
        .map(|_| Made {
            name: name(rng),
            description: description(rng),
            schema: root(rng),
        })
        .collect()
}

fn name(rng: &mut Rng) -> String {
    const ODD: [&str; 24] = [
        "",
        " ",
        "\t\n",
        " a",
        "a ",
        "a b",
        "a.b",
        "a/b",
        "größe",
        "票",
        "a\u{a0}",
        "\u{2003}a",
        "a\0b",
        "$a",
        "mcp",
        "mcp__",
        "mcp__a",
        "mcp_a",
        "MCP",
        "MCP__a",
        "mcpa",
        "exec",
        "view_image",
        "-",
    ];
    match rng.u8(0..10) {
        0 => rng.choice(ODD).unwrap_or_default().to_owned(),
        1 => letters(rng, 120..136),
        2 => "twice".to_owned(),
        _ => letters(rng, 1..20),
    }
}

fn letters(rng: &mut Rng, length: std::ops::Range<usize>) -> String {
    const ALLOWED: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    let length = rng.usize(length);
    (0..length)
        .filter_map(|_| rng.choice(ALLOWED).copied().map(char::from))
        .collect()
}

fn description(rng: &mut Rng) -> String {
    match rng.u8(0..8) {
        0 => String::new(),
        1 => " ".to_owned(),
        2 => "long ".repeat(3_000),
        3 => "a\nb\u{0}c\u{1b}[31m\u{202e}🙂".to_owned(),
        _ => "Do something.".to_owned(),
    }
}

/// The schema of arguments, mostly.
fn root(rng: &mut Rng) -> Value {
    let mut schema = schema(rng, 3);
    if rng.u8(0..10) > 0
        && let Some(members) = schema.as_object_mut()
    {
        members.insert("type".to_owned(), json!("object"));
    }
    schema
}

/// The schema of arguments, without garbage.
pub(crate) fn arguments(rng: &mut Rng) -> Value {
    let mut properties = Map::new();
    for name in ["a", "b", "c"] {
        let schema = match rng.u8(0..3) {
            0 => schema(rng, 2),
            _ => json!({"type": types(rng), "description": "A word."}),
        };
        properties.insert(name.to_owned(), schema);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn schema(rng: &mut Rng, depth: usize) -> Value {
    if rng.u8(0..40) == 0 {
        return garbage(rng);
    }
    let mut members = Map::new();
    for _ in 0..rng.usize(0..5) {
        let keyword = rng.choice(KEYWORDS).unwrap_or("type");
        let value = if rng.u8(0..30) == 0 {
            garbage(rng)
        } else {
            value(rng, keyword, depth)
        };
        members.insert(keyword.to_owned(), value);
    }
    Value::Object(members)
}

/// One of each kind of JSON.
pub(crate) fn garbages() -> [Value; 9] {
    [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("a"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"a": 1}),
    ]
}

fn garbage(rng: &mut Rng) -> Value {
    rng.choice(garbages()).unwrap_or_default()
}

/// A value that is right for a keyword.
pub(crate) fn value(rng: &mut Rng, keyword: &str, depth: usize) -> Value {
    let deeper = depth.saturating_sub(1);
    let inner = |rng: &mut Rng| {
        if depth == 0 {
            json!({"type": "string"})
        } else {
            schema(rng, deeper)
        }
    };
    match keyword {
        "type" => types(rng),
        "enum" | "examples" => json!(["a", 1, null]),
        "required" => json!(["a"]),
        "properties" | "$defs" | "definitions" | "patternProperties" => {
            json!({"a": inner(rng), "b": inner(rng)})
        }
        "items"
        | "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames" => inner(rng),
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => json!([inner(rng), inner(rng)]),
        "$ref" => json!(rng.choice(["#/$defs/a", "#", "#/nowhere"])),
        "$schema" => json!("https://json-schema.org/draft/2020-12/schema"),
        "$id" => json!("https://example.com/a"),
        "dependentRequired" => json!({"a": ["b"]}),
        "encrypted" | "nullable" | "uniqueItems" => json!(rng.bool()),
        "description" | "title" => json!("A word."),
        "format" => json!("date"),
        "pattern" => json!("^a+$"),
        "const" | "default" => garbage(rng),
        _ => json!(rng.u8(1..9)),
    }
}

fn types(rng: &mut Rng) -> Value {
    const NAMES: [&str; 8] = [
        "array", "boolean", "integer", "null", "number", "object", "string", "odd",
    ];
    if rng.u8(0..4) == 0 {
        return json!([rng.choice(NAMES), rng.choice(NAMES)]);
    }
    json!(rng.choice(NAMES))
}
