//! What holds for any skills in any order, and for any arguments.
#![allow(
    clippy::unused_async,
    dead_code,
    reason = "skills are async to be run as such, and fields are there to be shown"
)]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use calls::{declared, raw};
use codex_skills::{Catalog, Draft, Embedded, Skill, SkillOutput, skill, skills};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

// Any skills in any order.

/// What a skill is made of.
#[derive(Clone, Debug)]
struct Made {
    name: String,
    namespace: Option<String>,
    deferred: bool,
    description: String,
    properties: BTreeMap<String, Value>,
    output: Option<String>,
}

impl Made {
    fn skill(&self) -> Skill {
        let schema = json!({"type": "object", "properties": self.properties});
        let builder = Skill::builder(&self.name)
            .description(&self.description)
            .input_schema(schema);
        let builder = match &self.namespace {
            Some(namespace) => builder.namespace(namespace),
            None => builder,
        };
        let builder = if self.deferred {
            builder.defer()
        } else {
            builder
        };
        let builder = match &self.output {
            Some(text) => builder
                .output_schema(json!({"type": "string", "description": text}))
                .output_description(text),
            None => builder,
        };
        builder.handler(|_: Value| async { Ok::<_, Infallible>(()) })
    }

    fn key(&self) -> (Option<String>, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

fn property() -> impl Strategy<Value = Value> {
    (
        select(vec!["string", "integer", "boolean", "object"]),
        any::<String>(),
    )
        .prop_map(|(name, text)| json!({"type": name, "description": text}))
}

fn made() -> impl Strategy<Value = Made> {
    (
        "[a-zA-Z0-9_-]{1,12}",
        any::<String>(),
        btree_map(any::<String>(), property(), 0..4),
        any::<Option<String>>(),
        (option::of("[a-c]_n"), any::<bool>()),
    )
        .prop_map(|(name, description, properties, output, placed)| Made {
            name: format!("{name}_x"),
            deferred: placed.0.is_some() && placed.1,
            namespace: placed.0,
            description,
            properties,
            output,
        })
}

/// Skills of different names, in two orders.
fn in_two_orders() -> impl Strategy<Value = (Vec<Made>, Vec<Made>)> {
    vec(made(), 0..12)
        .prop_map(|mut all| {
            let mut names = BTreeSet::new();
            all.retain(|made| names.insert(made.key()));
            all
        })
        .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
}

fn sealed(all: &[Made]) -> Catalog {
    Draft::new()
        .register(all.iter().map(Made::skill))
        .seal()
        .expect("a catalog")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn skills_in_any_order_are_one_catalog((one, other) in in_two_orders()) {
        let (one, other) = (sealed(&one), sealed(&other));

        prop_assert_eq!(one.dynamic_tools().get(), other.dynamic_tools().get());
        prop_assert_eq!(one.instruction_text(), other.instruction_text());
        prop_assert_eq!(one.fingerprint(), other.fingerprint());
        prop_assert_eq!(one.warnings(), other.warnings());
    }

    #[test]
    fn dynamic_tools_are_what_was_registered((all, _) in in_two_orders()) {
        let catalog = sealed(&all);

        let mut expected: Vec<&Made> = all.iter().collect();
        expected.sort_by_key(|made| made.key());
        let declared = declared(&catalog);
        let mut tools: Vec<(Option<&str>, &Value)> = Vec::new();
        for tool in declared.as_array().unwrap() {
            match tool["tools"].as_array() {
                Some(inner) => tools.extend(inner.iter().map(|inner| (tool["name"].as_str(), inner))),
                None => tools.push((None, tool)),
            }
        }
        prop_assert_eq!(tools.len(), expected.len());
        for ((namespace, tool), made) in tools.into_iter().zip(expected) {
            prop_assert_eq!(tool.as_object().unwrap().len(), 4 + usize::from(made.deferred));
            prop_assert_eq!(&tool["type"], "function");
            prop_assert_eq!(namespace, made.namespace.as_deref());
            prop_assert_eq!(tool["deferLoading"] == true, made.deferred);
            prop_assert_eq!(&tool["name"], &made.name);
            prop_assert_eq!(&tool["description"], &made.description);
            prop_assert_eq!(&tool["inputSchema"]["properties"], &json!(made.properties));
        }
    }

    #[test]
    fn what_is_sealed_is_found_by_its_name_and_taken_by_codex((all, _) in in_two_orders()) {
        let catalog = sealed(&all);

        for made in &all {
            let name = match &made.namespace {
                Some(namespace) => format!("{namespace}.{}", made.name),
                None => made.name.clone(),
            };
            let skill = catalog.get(&name).expect("a skill");
            prop_assert_eq!(skill.qualified_name(), name);
            prop_assert_eq!(skill.name(), &made.name);
            prop_assert_eq!(skill.namespace(), made.namespace.as_deref());
        }
        // The embedded runtime refuses what codex refuses.
        let codex = Embedded::demo();
        let created = RUNTIME.block_on(async { codex.create_session_with(catalog).await });
        prop_assert!(created.is_ok(), "{:?}", created.err());
    }

    #[test]
    fn what_is_registered_in_pieces_is_what_is_registered_at_once(
        (all, _) in in_two_orders(),
        cut in 0_usize..12,
    ) {
        let (first, second) = all.split_at(cut.min(all.len()));
        let pieces = Draft::new()
            .register(second.iter().map(Made::skill))
            .register(first.iter().map(Made::skill))
            .seal()
            .expect("a catalog");

        let whole = sealed(&all);
        prop_assert_eq!(pieces.fingerprint(), whole.fingerprint());
    }
}

#[skill]
fn first(a: u8) -> u8 {
    a
}

/// Second.
#[skill]
fn second(tree: Tree) -> String {
    tree.name
}

/// Third.
#[skill(group = "texts")]
async fn third(text: &str, #[skill(default = 5)] times: usize) -> String {
    text.repeat(times.min(5))
}

fn annotated() -> [Draft; 3] {
    [
        Draft::new().register(skills![first, second, third]),
        Draft::new()
            .register(skills![third])
            .register(skills![second, first]),
        Draft::new()
            .discover_group("texts")
            .register(skills![second])
            .register(skills![first, third]),
    ]
}

#[test]
fn annotated_skills_in_any_order_are_one_catalog() {
    let [one, others @ ..] = annotated().map(|draft| draft.seal().unwrap());

    for other in others {
        assert_eq!(one.dynamic_tools().get(), other.dynamic_tools().get());
        assert_eq!(one.instruction_text(), other.instruction_text());
        assert_eq!(one.fingerprint(), other.fingerprint());
    }
}

// Any arguments.

#[derive(Deserialize, JsonSchema)]
struct Tree {
    name: String,
    #[schemars(range(max = 9))]
    weight: Option<f64>,
    #[serde(default)]
    children: Vec<Tree>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Number(f64),
    Text { text: String },
    Nothing,
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

fn ran<T>(_: T) -> String {
    RUNS.fetch_add(1, Ordering::SeqCst);
    "done".to_owned()
}

#[skill]
async fn table(
    text: &str,
    number: Option<i64>,
    #[skill(default)] map: BTreeMap<String, Value>,
    kind: Option<Kind>,
) -> String {
    ran((text, number, map, kind))
}

#[skill]
async fn derived(
    #[schemars(length(max = 20))] text: String,
    #[serde(default)]
    #[schemars(range(min = 1))]
    number: Option<i64>,
    #[serde(default)] map: BTreeMap<String, Value>,
) -> String {
    ran((text, number, map))
}

#[skill]
async fn recursive(tree: Tree) -> String {
    ran(tree)
}

#[skill]
fn anything(text: Value) -> String {
    ran(text)
}

#[skill(input_schema = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#)]
fn written(text: Option<String>) -> String {
    ran(text)
}

#[derive(Deserialize, JsonSchema)]
struct Arguments {
    text: String,
    number: Option<u8>,
    kind: Option<Kind>,
    tree: Option<Tree>,
}

fn closure() -> Skill {
    Skill::builder("closure")
        .handler(|arguments: Arguments| async move { Ok::<_, Infallible>(ran(arguments)) })
}

const SKILLS: [&str; 6] = [
    "table",
    "derived",
    "recursive",
    "anything",
    "written",
    "closure",
];

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    Draft::new()
        .register(skills![table, derived, recursive, anything, written])
        .register(closure())
        .seal()
        .expect("a catalog")
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
});

/// The answer of a call, and how many handlers ran for it.
fn call(skill: &str, arguments: &str) -> (SkillOutput, usize) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = RUNS.load(Ordering::SeqCst);
    let output = RUNTIME
        .block_on(CATALOG.call(skill, raw(arguments)))
        .expect("an answer");
    (output, RUNS.load(Ordering::SeqCst) - before)
}

/// Numbers as a model may write them.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        (any::<i8>(), any::<i16>()).prop_map(|(whole, exponent)| format!("{whole}e{exponent}")),
        "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?",
        select(vec![
            "1e400",
            "-1e400",
            "1e-400",
            "-0",
            "0.0",
            "5.0",
            "18446744073709551616"
        ])
        .prop_map(str::to_owned),
    ]
}

/// Strings as a model may write them, quotes included.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z \\u{e9}\\u{1f600}]{0,8}",
        1 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        1 => select(vec![r"\n", r"\\", r#"\""#, r"\/", r"\ud800", r"\udc00", r"\ud83d\ude00", r"\u0000"])
            .prop_map(str::to_owned),
    ];
    vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "text", "number", "map", "kind", "tree", "name", "weight", "children", "nothing",
    ];
    prop_oneof![
        6 => select(known.to_vec()).prop_map(|name| format!("\"{name}\"")),
        1 => string(),
    ]
}

/// Any JSON as text: members in any order, repeated ones, odd blanks.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false", "\"nothing\"", "{}", "[]"]).prop_map(str::to_owned),
        number(),
        string(),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            vec((key(), inner), 0..6).prop_map(object),
        ]
    })
}

fn object(members: Vec<(String, String)>) -> String {
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("{name}\t: {value}"))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// Arguments that are nearly right.
fn nearly() -> impl Strategy<Value = String> {
    let tree = r#"{"name": "a", "children": [{"name": "b", "weight": 1e0}]}"#;
    let members = vec![
        ("\"text\"".to_owned(), "\"a\"".to_owned()),
        ("\"number\"".to_owned(), "5".to_owned()),
        (
            "\"kind\"".to_owned(),
            r#"{"text": {"text": "a"}}"#.to_owned(),
        ),
        (
            "\"map\"".to_owned(),
            r#"{"a": [1, {"b": null}]}"#.to_owned(),
        ),
        ("\"tree\"".to_owned(), tree.to_owned()),
    ];
    let size = 0..=members.len();
    (
        subsequence(members, size),
        proptest::option::of((key(), json_text())),
    )
        .prop_map(|(mut members, odd)| {
            members.extend(odd);
            object(members)
        })
}

/// Nesting of any depth, of any kind, in a place where it may or may not belong.
fn deep() -> impl Strategy<Value = String> {
    (
        1_usize..400,
        select(vec![
            ("[", "]"),
            ("{\"name\":", "}"),
            ("{\"children\":[", "]}"),
        ]),
        key(),
        any::<bool>(),
    )
        .prop_map(|(depth, (open, close), key, bare)| {
            let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            if bare {
                nested
            } else {
                format!("{{{key}: {nested}}}")
            }
        })
}

/// One answer: a success means that the handler ran once, a refusal that it did not run.
fn answered_once(skill: &str, arguments: &str) -> Result<(), TestCaseError> {
    let (output, runs) = call(skill, arguments);

    prop_assert_eq!(output.items().len(), 1);
    let text = output.to_text();
    if output.is_success() {
        prop_assert_eq!(runs, 1);
    } else {
        prop_assert_eq!(runs, 0, "{}", text);
        let start = format!("skill `{skill}` was not run, its arguments are invalid: ");
        prop_assert!(text.starts_with(&start), "{}", text);
        prop_assert!(text.len() > start.len());
        prop_assert!(text.len() < 10_000);
    }
    Ok(())
}

#[test]
fn any_arguments_have_one_answer_and_never_a_panic() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    };
    let arguments = prop_oneof![3 => nearly(), 3 => json_text(), 1 => deep()];
    let mut runner = proptest::test_runner::TestRunner::new(config);

    runner
        .run(&arguments, |arguments| {
            SKILLS
                .iter()
                .try_for_each(|skill| answered_once(skill, &arguments))
        })
        .unwrap();

    // Some were good and some were bad, or nothing was tested.
    assert!(RUNS.load(Ordering::SeqCst) > 100);
}

#[test]
fn megabytes_have_one_answer() {
    let text = "x".repeat(3_000_000);
    let numbers = vec![1_u8; 1_000_000];
    for arguments in [
        json!({"text": text}),
        json!({"text": numbers}),
        json!({text.clone(): 1}),
        json!(numbers),
    ] {
        for skill in SKILLS {
            let (output, runs) = call(skill, &arguments.to_string());
            assert_eq!(output.items().len(), 1);
            assert_eq!(runs, usize::from(output.is_success()));
        }
    }
}
