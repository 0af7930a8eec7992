//! Code mode, in which most models run: what is declared of skills, by which names they are called, and what arrives.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use codex_skills::{AppServer, Catalog, Draft, Error, Skill, skill, skills};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A model that codex knows to have it.
const MODEL: &str = "gpt-6.1-sol";

/// Runs a program of a model that has these skills: what its first request declares, and what the program says.
async fn run(codex: &Codex, catalog: Catalog, program: &str) -> Result<(String, String), Error> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path())
        .current_dir(home.work());
    let environment = home.environment().into_iter();
    let client = environment
        .fold(spawn, |spawn, (name, value)| spawn.env(name, value))
        .await?;
    let session = client.lifecycle_with(catalog).model(MODEL).await?;
    session.send_and_handle(format!("EXEC {program}")).await?;
    session.close().await?;
    let requests = provider.requests();
    let first = requests.first().expect("a request").body();
    let items = first["input"].as_array().into_iter().flatten();
    let tools = items
        .filter(|item| item["type"] == "additional_tools")
        .flat_map(|item| item["tools"].as_array().into_iter().flatten());
    let tools = tools.flat_map(|tool| match tool["tools"].as_array() {
        Some(inner) => inner.iter().collect::<Vec<_>>(),
        None => vec![tool],
    });
    let declared = tools
        .filter(|tool| tool["name"] == "exec")
        .filter_map(|tool| tool["description"].as_str())
        .collect();
    let said = provider
        .calls()
        .iter()
        .flat_map(|call| provider.outputs(call))
        .map(|output| output.text())
        .collect();
    client.shutdown().await;
    Ok((declared, said))
}

/// The declaration of one skill, a line each.
fn declaration<'a>(declared: &'a str, name: &str) -> &'a str {
    let (_, from) = declared
        .split_once(&format!("### `{name}`"))
        .unwrap_or_else(|| panic!("no {name} in {declared}"));
    from.split_once("Promise<")
        .map_or(from, |(declaration, _)| declaration)
}

/// Metres above the sea, never feet.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Height(f64);

/// How urgent it is.
#[derive(Deserialize, JsonSchema)]
enum Choice {
    /// It can wait.
    Low,
    /// It cannot.
    High,
}

/// A point on the way.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Point {
    /// Degrees to the north.
    north: f64,
    /// Bytes of its picture.
    picture: Vec<u8>,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Shape {
    /// Round.
    Circle {
        /// Half of its width.
        radius: f64,
    },
    /// With four corners.
    Rectangle { width: u16, height: u16 },
}

/// Take much.
#[skill]
#[expect(
    clippy::too_many_arguments,
    unused_variables,
    reason = "only its schema is asked for"
)]
fn take_much(
    /// How high.
    height: Height,
    /// What is sent.
    bytes: Vec<u8>,
    /// Counts by name.
    counts: HashMap<String, u32>,
    /// What to do.
    choices: Vec<Choice>,
    /// By level.
    levels: BTreeMap<String, Choice>,
    /// Where.
    at: (f64, f64, String),
    /// Which one.
    id: u64,
    /// How many.
    number: i16,
    /// The way.
    way: Vec<Point>,
    /// What it looks like.
    shape: Shape,
) {
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    /// Opens a file.
    Open {
        /// Where it is.
        path: String,
        /// Whether it is made.
        create: Option<bool>,
    },
    /// Closes it.
    Close,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
struct Numbered {
    /// Its number.
    number: u8,
    #[serde(flatten)]
    which: Which,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum Which {
    First(u32),
    Second(u32),
}

fn choices() -> [Skill; 2] {
    [
        Skill::builder("act")
            .description("Act.")
            .handler(|_: Action| async { Ok::<_, Infallible>("acted") }),
        Skill::builder("pick")
            .description("Pick.")
            .handler(|_: Numbered| async { Ok::<_, Infallible>("picked") }),
    ]
}

async fn what_must_be_known_stands_at_the_properties(codex: Codex) -> Result<(), Error> {
    let catalog = Draft::new()
        .register(skills![take_much])
        .register(choices())
        .seal()?;
    assert_eq!(catalog.warnings(), [""; 0]);
    let program = "text(await tools.act({action: \"open\", path: \"a\"})); text(await tools.act({action: \"open\"})); \
                   text(await tools.pick({number: 1, First: 2})); text(await tools.pick({number: 1}))";

    let (declared, said) = run(&codex, catalog, program).await?;

    let much = declaration(&declared, "take_much");
    for text in [
        "How high. Metres above the sea, never feet.",
        "whole numbers, each 0 to 255",
        "each value a whole number, 0 to 4294967295",
        "`Low`: It can wait; `High`: It cannot",
        "a number, a number, a string, in this order",
        "write it as a string beyond 9007199254740991",
        "How many (whole number",
        "Each: A point on the way.",
        "Degrees to the north.",
        "Bytes of its picture (whole numbers, each 0 to 255).",
        "`circle`: Round; `rectangle`: With four corners.",
        "Half of its width.",
    ] {
        assert!(much.contains(text), "{text}: {much}");
    }
    let act = declaration(&declared, "act");
    for text in [
        "// `open`: Opens a file; needs `path`, may have `create`.",
        "// `close`: Closes it; needs nothing else.",
        "// Where it is.",
        "path?: string;",
    ] {
        assert!(act.contains(text), "{text}: {act}");
    }
    assert!(
        act.contains("action: \"open\" | \"close\";")
            || act.contains("action: \"close\" | \"open\";"),
        "{act}"
    );
    let pick = declaration(&declared, "pick");
    for text in [
        "Its number",
        "number: number;",
        "First?: number;",
        "Second?: number;",
    ] {
        assert!(pick.contains(text), "{text}: {pick}");
    }
    assert!(
        pick.contains("// Whole number, 0 to 4294967295. Give either `First`, or `Second`."),
        "{pick}"
    );
    // The check is as strict as the type.
    assert_eq!(said.matches("acted").count(), 1, "{said}");
    assert_eq!(said.matches("picked").count(), 1, "{said}");
    Ok(())
}

async fn what_is_written_arrives(codex: Codex) -> Result<(), Error> {
    let arrived: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = |name: &str, namespace: Option<&str>| {
        let arrived = Arc::clone(&arrived);
        let name = name.to_owned();
        let mut builder = Skill::builder(&name).description("Keep it.");
        if let Some(namespace) = namespace {
            builder = builder.namespace(namespace);
        }
        builder
            .input_schema(json!({"type": "object", "properties": {"v": {"type": "string"}}}))
            .handler(move |arguments: Value| {
                let mut all = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(json!({"name": name, "arguments": arguments}));
                async { Ok::<_, Infallible>("kept") }
            })
    };
    let catalog = Draft::new()
        .register([
            keep("plain", None),
            keep("with-dash", None),
            keep("inner", Some("words")),
        ])
        .seal()?;
    let program = "text(await tools.plain({v: \"1234567890123456789\"})); text(await tools.with_dash({v: \"b\"})); \
                   text(await tools.words__inner({v: \"é\"})); text(await tools.plain({}))";

    let (declared, said) = run(&codex, catalog, program).await?;

    for name in ["plain", "with_dash", "words__inner"] {
        declaration(&declared, name);
    }
    assert_eq!(said.matches("kept").count(), 4, "{said}");
    let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        *arrived,
        [
            json!({"name": "plain", "arguments": {"v": "1234567890123456789"}}),
            json!({"name": "with-dash", "arguments": {"v": "b"}}),
            json!({"name": "inner", "arguments": {"v": "é"}}),
            json!({"name": "plain", "arguments": {}}),
        ]
    );
    Ok(())
}

/// Schemas as they are written, each with what code mode may show in a way of its own.
fn written() -> Vec<Value> {
    let address = json!({"type": "object", "properties": {
        "street": {"type": "string", "description": "With its number."},
        "city": {"type": "string"},
    }, "required": ["city"]});
    let many: Map<String, Value> = (0..70)
        .map(|at| (format!("m{at:02}"), json!({"$ref": "#/$defs/N"})))
        .collect();
    vec![
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "number"}}, "required": ["b"]}),
        json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": true}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "boolean"}}),
        json!({"type": "object", "properties": {"a-b": {"type": "string"}, "1st": {"type": "null"}, "ümlaut": {}}}),
        json!({"type": "object", "properties": {"a": {"type": "string", "description": "One.\n\n  Two.  \nThree."}}}),
        json!({"type": "object", "properties": {"a": {"enum": ["x", 1, null, true, "quo\"te"]}}}),
        json!({"type": "object", "properties": {"a": {"const": "x"}, "b": {"enum": [1, 2], "type": "integer"}}}),
        json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}}}),
        json!({"type": "object", "properties": {"a": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}),
        json!({"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "array", "items": {}}}}),
        json!({"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"enum": ["x", "y"]}]}}}),
        json!({"type": "object", "properties": {"a": {"allOf": [{"anyOf": [{"type": "string"}, {"type": "number"}]}, {"type": "string"}]}}}),
        json!({"type": "object", "properties": {"a": address, "b": {"type": ["object", "null"], "properties": {"c": {"type": "string"}}}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A", "description": "The other."}}, "$defs": {"A": address}}),
        json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": {"type": "object",
            "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}}, "required": ["name"]}}}),
        json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {"type": "string", "description": "Deep."}}}}}}}),
        json!({"type": "object", "properties": {"a": {"type": "array", "items": address, "description": "All."}}}),
        json!({"type": "object", "required": ["x"], "properties": {"x": true, "y": {"description": "Anything."}}}),
        json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": address}}}),
        json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/U"}, {"type": "object", "properties": {"v": {"type": "string"}}}]},
            "b": {"allOf": [{"enum": ["x"]}, {"type": ["string", "null"]}, address]}}, "$defs": {"U": {"oneOf": [{"type": "string"}, {"type": "number"}]}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/B"}}, "$defs": {
            "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}),
        json!({"type": "object", "properties": many, "$defs": {"N": {"type": "object", "properties": {"n": {"type": "integer"}}}}}),
    ]
}

async fn what_is_explained_is_what_is_declared(codex: Codex) -> Result<(), Error> {
    let schemas = written().into_iter().enumerate();
    let written = schemas.map(|(at, schema)| {
        Skill::builder(format!("written_{at:02}"))
            .description("Written.")
            .input_schema(schema)
            .handler(|_: Value| async { Ok::<_, Infallible>("called") })
    });
    let catalog = Draft::new()
        .register(skills![take_much])
        .register(choices())
        .register(written.collect::<Vec<_>>())
        .seal()?;
    let names: Vec<String> = catalog.list().into_iter().map(str::to_owned).collect();
    let explained = catalog.explain().replace("\n    ", "\n");

    let (declared, _) = run(&codex, catalog, "text('nothing')").await?;

    let differ: Vec<String> = names
        .iter()
        .map(|name| {
            let declaration = declaration(&declared, name);
            let (_, declaration) = declaration.split_once("const tools: { ").expect("one");
            let declared = format!("tools.{}", declaration.trim_end_matches(": "));
            let start = format!("tools.{name}(");
            let own = explained.split(&start).nth(1).expect("an explanation");
            let own = own.split("\n\n").next().unwrap_or(own);
            (declared, format!("{start}{own}"))
        })
        .filter(|(declared, own)| declared != own)
        .map(|(declared, own)| format!("{declared}\nnot {own}"))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
    Ok(())
}

macro_rules! on_both {
    ($($test:ident),*) => { $(
        mod $test {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[cfg_attr(not(codex_installed), ignore = "codex is not installed: run tests/e2e/install.sh")]
            async fn current() -> Result<(), Error> {
                super::$test(Codex::current()).await
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[cfg_attr(
                not(previous_codex_installed),
                ignore = "codex is not installed: run tests/e2e/install.sh"
            )]
            async fn previous() -> Result<(), Error> {
                super::$test(Codex::previous()).await
            }
        }
    )* };
}
on_both!(
    what_is_explained_is_what_is_declared,
    what_must_be_known_stands_at_the_properties,
    what_is_written_arrives
);
