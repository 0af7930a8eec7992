//! What a walk may take of memory, of stack, and of time for patterns.
#![allow(
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "tests fail by panicking, and of types only their schemas are tested"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::document::Document;
use super::leaf::Meter;
use super::plan::Plan;
use super::walk::{Fit, Ground, Walk};
use super::{Source, compile};

/// The most stack that a check may take in a build without optimizations: threads have 2 MiB, of which others use some.
const STACK: usize = 1024 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type")]
enum Tagged {
    And { items: Vec<Tagged> },
    Not { item: Box<Tagged> },
    Leaf { value: Option<i64> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    All(Vec<Adjacent>),
    Not(Box<Adjacent>),
    Leaf(u8),
}

#[derive(Deserialize, JsonSchema)]
enum External {
    Neg(Box<External>),
    Maybe(Option<Box<External>>),
    Num(i64),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Pair {
        left: Option<Box<Untagged>>,
        op: String,
    },
    Call {
        left: Option<Box<Untagged>>,
        name: Option<String>,
    },
    Num(i64),
}

#[derive(Deserialize, JsonSchema)]
struct Chain {
    next: Option<Box<Chain>>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Kind {
    A { a: Option<u8> },
    B { b: Option<u8> },
}

#[derive(Deserialize, JsonSchema)]
struct Map(BTreeMap<String, Map>);

fn plan_of<T: JsonSchema>() -> Plan {
    let schema = Source::Closure(T::json_schema, |_| Ok(()))
        .schema()
        .expect("a schema");
    compile::plan(&schema, true)
}

fn nested(levels: usize, open: &str, leaf: &str, close: &str) -> String {
    format!("{}{leaf}{}", open.repeat(levels), close.repeat(levels))
}

/// How a text fits, what is said of it, and the stack that the walk took.
fn stack(plan: &Plan, text: &str) -> (Fit, String, usize) {
    let walked = || {
        let document = Document::read(text).expect("JSON");
        let meter = Meter::default();
        let mut walk = Walk::new(Ground {
            plan,
            document: &document,
            meter: &meter,
            rounded: false,
        });
        let here = 0_u8;
        let start = std::ptr::from_ref(&here).addr();
        let fit = walk.run();
        let said = format!("{:?}", walk.findings.violations);
        (fit, said, start.abs_diff(walk.lowest))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 * STACK);
        let running = thread.spawn_scoped(scope, walked).expect("a thread");
        running.join().expect("a walk")
    })
}

#[test]
fn the_deepest_arguments_fit_and_leave_most_of_the_stack() {
    let tagged = plan_of::<Tagged>();
    let adjacent = plan_of::<Adjacent>();
    let external = plan_of::<External>();
    let untagged = plan_of::<Untagged>();
    let chain = plan_of::<Chain>();
    let map = plan_of::<Map>();
    for (plan, open, leaf, close, levels) in [
        (
            &tagged,
            r#"{"type":"And","items":["#,
            r#"{"type":"Leaf","value":1}"#,
            "]}",
            63,
        ),
        (
            &tagged,
            r#"{"type":"Not","item":"#,
            r#"{"type":"Leaf","value":null}"#,
            "}",
            126,
        ),
        (
            &adjacent,
            r#"{"t":"All","c":["#,
            r#"{"t":"Leaf","c":1}"#,
            "]}",
            63,
        ),
        (
            &adjacent,
            r#"{"t":"Not","c":"#,
            r#"{"t":"Leaf","c":1}"#,
            "}",
            126,
        ),
        (&external, r#"{"Neg":"#, r#"{"Num":1}"#, "}", 126),
        (&external, r#"{"Maybe":"#, "null", "}", 126),
        (&untagged, r#"{"left":"#, "1", r#","op":"+"}"#, 127),
        (&untagged, r#"{"left":"#, "1", r#","name":"x"}"#, 127),
        (&chain, r#"{"a":1,"next":"#, "null", "}", 127),
        (&map, r#"{"k":"#, "{}", "}", 126),
    ] {
        for (levels, leaf) in [(levels, leaf), (levels, "true"), (3, leaf)] {
            let text = nested(levels, open, leaf, close);
            let (fit, said, stack) = stack(plan, &text);
            let start: String = text.chars().take(60).collect();
            assert!(stack < STACK, "{stack} bytes: {start}");
            assert!(!said.contains("too deep"), "{start} {said}");
            assert!(fit != Fit::Broken || leaf == "true", "{start} {said}");
        }
    }
}

#[test]
fn schemas_that_lead_to_themselves_leave_most_of_the_stack() {
    let node = |inner: serde_json::Value| {
        compile::plan(&json!({"$ref": "#/$defs/n", "$defs": {"n": inner}}), false)
    };
    let own = json!({"$ref": "#/$defs/n"});
    let two = json!([{"$ref": "#/$defs/n"}, {"allOf": [{"$ref": "#/$defs/n"}]}]);
    for inner in [
        own.clone(),
        json!({"anyOf": two}),
        json!({"oneOf": two}),
        json!({"allOf": two}),
        json!({"not": own}),
        json!({"if": own, "then": own, "else": own}),
        json!({"properties": {"a": own, "b": {"anyOf": two}}, "anyOf": two}),
        json!({"patternProperties": {"a": own}, "propertyNames": own}),
        json!({"additionalProperties": own, "unevaluatedProperties": false, "anyOf": two}),
        json!({"dependentSchemas": {"a": own}}),
        json!({"items": own, "contains": own, "unevaluatedItems": own, "anyOf": two}),
    ] {
        let plan = node(inner.clone());
        for (open, close) in [(r#"{"a":"#, "}"), ("[", "]"), (r#"{"b":["#, "]}")] {
            for levels in [1, 20, 63] {
                let text = nested(levels, open, "1", close);
                let (_, _, stack) = stack(&plan, &text);
                assert!(stack < STACK, "{stack} bytes: {open} {inner}");
            }
        }
    }
}

#[test]
fn what_is_remembered_is_bounded_for_one_call() {
    // Each item looks like each of many forms, and is judged by all of them.
    let forms: Vec<_> = (0..12)
        .map(|at| {
            let only = json!({"type": "integer", "multipleOf": at + 2});
            json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/$defs/n"}, only]}}})
        })
        .collect();
    let schema = json!({
        "type": "array",
        "items": {"anyOf": forms},
        "$defs": {"n": {"type": "integer"}},
    });
    let plan = compile::plan(&schema, false);
    for (count, item) in [
        (4_000, r#"{"a":13}"#),
        (4_000, r#"{"a":1}"#),
        (20_000, r#"{"a":2}"#),
    ] {
        let mut text = String::from("[");
        for _ in 1..count {
            let _ = write!(text, "{item},");
        }
        let _ = write!(text, "{item}]");
        let document = Document::read(&text).expect("JSON");
        let meter = Meter::default();
        let mut walk = Walk::new(Ground {
            plan: &plan,
            document: &document,
            meter: &meter,
            rounded: false,
        });
        let fit = walk.run();
        assert_eq!(fit == Fit::Broken, item == r#"{"a":1}"#, "{item}");
        assert!(walk.known.len() <= walk.known_most, "{}", walk.known.len());
        assert!(walk.known.capacity() * 14 <= 16 * 1024 * 1024);
        assert!(walk.known_most <= 4 * document.len(), "{}", walk.known_most);
        assert!(walk.findings.violations.len() <= 32);
    }
}

#[cfg(feature = "validation")]
mod patterns {
    use std::time::Duration;

    use super::*;
    use crate::skill::schema::check::{Checker, TOO_LONG};

    /// A pattern that turns back for each text of this kind until that is enough.
    const PATTERN: &str = r"^(?:(a+)\1?)+b$";

    fn texts(count: usize) -> String {
        let text = format!("\"{}c\"", "a".repeat(40));
        format!("{{\"v\":[{}]}}", vec![text; count].join(","))
    }

    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "properties": {"v": {"type": "array", "items": {"type": "string", "pattern": PATTERN}}},
        })
    }

    #[test]
    fn patterns_that_turn_back_have_a_time_for_the_whole_call() {
        let plan = compile::plan(&schema(), false);
        let text = texts(50);
        let document = Document::read(&text).expect("JSON");
        let spent = |most: Duration| {
            let meter = Meter::of(most);
            let mut walk = Walk::new(Ground {
                plan: &plan,
                document: &document,
                meter: &meter,
                rounded: false,
            });
            assert_eq!(walk.run(), Fit::Broken);
            (meter.is_exhausted(), meter.runs())
        };
        // The first text takes all of a time that is short, and the others are not looked at.
        assert_eq!(spent(Duration::from_nanos(1)), (true, 1));
        assert_eq!(spent(Duration::ZERO), (true, 0));
        assert_eq!(spent(Duration::MAX), (false, 50));
    }

    #[test]
    fn what_takes_too_long_to_match_is_refused_with_its_reason() {
        let checker = Checker::new(&Source::Written(&[]), &schema());
        let raw = |text: String| serde_json::value::RawValue::from_string(text).expect("JSON");
        let refused = checker
            .check(&raw(texts(5_000)), false)
            .expect_err("no match");
        assert_eq!(refused, TOO_LONG);
    }
}
