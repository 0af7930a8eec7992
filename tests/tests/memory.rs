//! The memory that checking arguments takes: as many bytes are allocated as the arguments are long, times a constant,
//! however deep and wide they are and whatever forms their schema has. Their types read nothing, so that it is the
//! check that is measured.
#![allow(dead_code, reason = "of types only their schemas are used")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::borrow::Cow;
use std::convert::Infallible;
use std::marker::PhantomData;

use codex_skills::{Catalog, Draft, Skill};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATIONS: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// What is checked as a `T`, and read as nothing.
struct Seen<T>(PhantomData<T>);

impl<'de, T> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Seen<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

struct Arguments<T>(PhantomData<T>);

impl<'de, T> Deserialize<'de> for Arguments<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Arguments<T> {
    fn schema_name() -> Cow<'static, str> {
        "Arguments".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<T>();
        schemars::json_schema!({"type": "object", "properties": {"v": inner}, "required": ["v"]})
    }
}

#[derive(JsonSchema, Serialize)]
#[serde(tag = "t")]
enum Tagged {
    L,
    And { items: Vec<Tagged> },
    Not { item: Box<Tagged> },
}

#[derive(JsonSchema, Serialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    L,
    All(Vec<Adjacent>),
    Not(Box<Adjacent>),
}

#[derive(JsonSchema, Serialize)]
enum External {
    N(u8),
    Neg(Box<External>),
    All(Vec<External>),
}

#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
enum Untagged {
    Pair {
        a: Box<Untagged>,
        op: String,
    },
    Call {
        a: Box<Untagged>,
        name: Option<String>,
    },
    Many(Vec<Untagged>),
    Num(i8),
}

#[derive(JsonSchema, Serialize)]
struct Nested {
    n: Option<u8>,
    next: Option<Box<Nested>>,
    #[serde(default)]
    all: Vec<Nested>,
}

fn typed<T: JsonSchema + Send + 'static>() -> Catalog {
    let handler = |_: Arguments<T>| async { Ok::<_, Infallible>("seen") };
    Draft::new()
        .register(Skill::builder("skill").handler(handler))
        .seal()
        .expect("a catalog")
}

fn written(node: Value) -> Catalog {
    let schema = json!({
        "type": "object",
        "properties": {"v": {"$ref": "#/$defs/n"}},
        "required": ["v"],
        "$defs": {"n": node, "leaf": {"type": "integer", "maximum": 5}},
    });
    let handler = |_: Seen<Value>| async { Ok::<_, Infallible>("seen") };
    Draft::new()
        .register(
            Skill::builder("skill")
                .input_schema(schema)
                .handler(handler),
        )
        .seal()
        .expect("a catalog")
}

/// The bytes that are allocated for a call with these arguments, and whether they were taken.
fn bytes(tokio: &tokio::runtime::Runtime, catalog: &Catalog, value: &str) -> (usize, bool) {
    let arguments = calls::raw(&format!("{{\"v\":{value}}}"));
    let region = Region::new(ALLOCATIONS);
    let output = tokio
        .block_on(catalog.call("skill", arguments))
        .expect("a skill");
    let bytes = region.change().bytes_allocated;
    (bytes, output.is_success())
}

/// What grows beside the arguments: the call, its answer, and what is said of them.
const BESIDE: usize = 16 * 1024;

/// Asserts that so many times the size takes no more than so many times the bytes, and some for what grows in steps.
fn grows_linearly(
    tokio: &tokio::runtime::Runtime,
    catalog: &Catalog,
    sizes: &[usize],
    slack: f64,
    taken: bool,
    make: impl Fn(usize) -> String,
) {
    // The first call compiles the schema.
    bytes(tokio, catalog, &make(1));
    let mut before: Option<(usize, usize)> = None;
    for size in sizes {
        let text = make(*size);
        let start: String = text.chars().take(80).collect();
        let (bytes, is_taken) = bytes(tokio, catalog, &text);
        assert_eq!(is_taken, taken, "{size}: {start}");
        if let Some((size_before, bytes_before)) = before {
            let times = *size as f64 / size_before as f64 * slack;
            let most = bytes_before as f64 * times + BESIDE as f64;
            assert!(
                bytes as f64 <= most,
                "{size}: {bytes} bytes, {size_before}: {bytes_before}, {start}"
            );
        }
        before = Some((*size, bytes));
    }
}

/// A form: what opens and closes a level of it, and a list of items, a good leaf and a bad one.
struct Form {
    name: &'static str,
    catalog: Catalog,
    level: [&'static str; 2],
    list: [&'static str; 2],
    good: &'static str,
    bad: &'static str,
}

fn forms() -> Vec<Form> {
    let form = |name, catalog, level, list, good, bad| Form {
        name,
        catalog,
        level,
        list,
        good,
        bad,
    };
    let object = |inner: Value| json!({"type": "object", "properties": {"a": inner, "x": {"type": "integer"}}, "required": ["a"]});
    let choice = |keyword: &str| {
        let node = json!({"$ref": "#/$defs/n"});
        json!({keyword: [
            {"type": "object", "properties": {"a": node, "x": {"type": "integer"}}, "required": ["a", "x"]},
            {"type": "object", "properties": {"a": node, "y": {"type": "string"}}, "required": ["a"], "not": {"required": ["x"]}},
            {"type": "array", "items": node},
            {"allOf": [{"$ref": "#/$defs/leaf"}, {"type": "integer"}]},
        ]})
    };
    let of_refs = json!({"anyOf": [
        object(json!({"allOf": [{"$ref": "#/$defs/n"}]})),
        {"type": "array", "items": {"$ref": "#/$defs/n"}},
        {"$ref": "#/$defs/leaf"},
    ]});
    let all = json!({"allOf": [
        {"type": ["object", "array", "integer"]},
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "items": {"$ref": "#/$defs/n"}, "maximum": 5},
        {"properties": {"a": {"$ref": "#/$defs/n"}}, "items": {"$ref": "#/$defs/n"}},
    ]});
    vec![
        form(
            "tagged",
            typed::<Tagged>(),
            [r#"{"t":"And","items":["#, "]}"],
            [r#"{"t":"And","items":["#, "]}"],
            r#"{"t":"L"}"#,
            r#"{"t":5}"#,
        ),
        form(
            "tagged",
            typed::<Tagged>(),
            [r#"{"t":"Not","item":"#, "}"],
            [r#"{"t":"And","items":["#, "]}"],
            r#"{"t":"L"}"#,
            "{}",
        ),
        form(
            "adjacent",
            typed::<Adjacent>(),
            [r#"{"t":"Not","c":"#, "}"],
            [r#"{"t":"All","c":["#, "]}"],
            r#"{"t":"L"}"#,
            r#"{"t":5}"#,
        ),
        form(
            "external",
            typed::<External>(),
            [r#"{"Neg":"#, "}"],
            [r#"{"All":["#, "]}"],
            r#"{"N":1}"#,
            r#"{"N":-1}"#,
        ),
        form(
            "untagged",
            typed::<Untagged>(),
            [r#"{"a":"#, r#","name":"x"}"#],
            ["[", "]"],
            "1",
            "true",
        ),
        form(
            "untagged",
            typed::<Untagged>(),
            [r#"{"op":"+","a":"#, "}"],
            ["[", "]"],
            r#"{"a":1}"#,
            r#"{"a":{}}"#,
        ),
        form(
            "nested",
            typed::<Nested>(),
            [r#"{"next":"#, "}"],
            [r#"{"all":["#, "]}"],
            r#"{"n":1}"#,
            r#"{"n":-1}"#,
        ),
        form(
            "nested",
            typed::<Nested>(),
            [r#"{"all":["#, "]}"],
            [r#"{"all":["#, "]}"],
            r#"{"n":1}"#,
            "5",
        ),
        form(
            "anyOf",
            written(choice("anyOf")),
            [r#"{"a":"#, "}"],
            ["[", "]"],
            "3",
            "30",
        ),
        form(
            "anyOf",
            written(choice("anyOf")),
            [r#"{"x":1,"a":"#, "}"],
            ["[", "]"],
            r#"{"a":1}"#,
            r#"{"a":9}"#,
        ),
        form(
            "oneOf",
            written(choice("oneOf")),
            [r#"{"a":"#, "}"],
            ["[", "]"],
            "3",
            "30",
        ),
        form(
            "oneOf",
            written(choice("oneOf")),
            [r#"{"x":1,"a":"#, "}"],
            ["[", "]"],
            r#"{"a":1}"#,
            r#"{"a":9}"#,
        ),
        form(
            "$ref",
            written(of_refs),
            [r#"{"a":"#, "}"],
            ["[", "]"],
            r#"{"a":1}"#,
            r#"{"a":9}"#,
        ),
        form(
            "allOf",
            written(all),
            [r#"{"a":"#, "}"],
            ["[", "]"],
            r#"{"a":1}"#,
            r#"{"a":9}"#,
        ),
    ]
}

#[derive(JsonSchema, Serialize)]
#[rustfmt::skip]
struct Wide { a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8 }

/// What is wrong beyond what is said costs next to nothing, however much is missing from each object.
fn what_is_not_said_costs_little(tokio: &tokio::runtime::Runtime) {
    let catalog = typed::<Vec<Wide>>();
    let many = |count| format!("[{}]", vec![r#"{"x":1}"#; count].join(","));
    bytes(tokio, &catalog, &many(1));
    let (few, taken) = bytes(tokio, &catalog, &many(100));
    let (lots, _) = bytes(tokio, &catalog, &many(10_100));
    assert!(!taken);
    let each = (lots - few) / 10_000;
    assert!(each < 1_000, "{each} bytes for each object");
}

/// One test, since what others allocate would be counted.
#[test]
fn memory_grows_with_the_depth_and_the_width_of_the_arguments() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    what_is_not_said_costs_little(&tokio);
    for form in forms() {
        let Form {
            name,
            catalog,
            level: [open, close],
            list: [first, last],
            good,
            bad,
        } = &form;
        for (leaf, taken) in [(good, true), (bad, false)] {
            println!("{name} {open} {leaf}");
            grows_linearly(&tokio, catalog, &[1, 15, 30, 60], 1.5, taken, |depth| {
                format!("{}{leaf}{}", open.repeat(depth), close.repeat(depth))
            });
            grows_linearly(&tokio, catalog, &[10_000, 100_000], 2.0, taken, |count| {
                format!("{first}{}{last}", vec![*leaf; count].join(","))
            });
        }
    }
}
