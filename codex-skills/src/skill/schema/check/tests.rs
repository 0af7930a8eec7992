//! The number of steps of a walk, which grows with the arguments; and how forms are distinguished.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::document::Document;
use super::leaf::Meter;
use super::walk::{Fit, Ground, Walk};
use super::{Checker, Source, compile};

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(dead_code, reason = "its schema is tested")]
enum Filter {
    And {
        items: Vec<Filter>,
    },
    Or {
        items: Vec<Filter>,
    },
    Not {
        item: Box<Filter>,
    },
    Eq {
        field: String,
        #[schemars(range(min = 0, max = 100))]
        value: i64,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "its schema is tested")]
enum Expr {
    Pair {
        left: Box<Expr>,
        right: Box<Expr>,
        op: String,
    },
    Call {
        left: Box<Expr>,
        name: String,
    },
    Num(i64),
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "its schema is tested")]
enum Sum {
    Add(Box<Sum>, Box<Sum>),
    Neg(Box<Sum>),
    Num(#[schemars(range(min = 0))] i64),
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
#[allow(dead_code, reason = "its schema is tested")]
enum Adjacent {
    All(Vec<Adjacent>),
    Any { of: Vec<Adjacent> },
    Leaf(#[schemars(range(max = 9))] u8),
}

fn plan_of<T: JsonSchema>() -> super::plan::Plan {
    let schema = Source::Closure(T::json_schema, |_| Ok(()))
        .schema()
        .expect("a schema");
    compile::plan(&schema, true)
}

fn steps(plan: &super::plan::Plan, text: &str) -> (Fit, usize) {
    let document = Document::read(text).expect("JSON");
    let meter = Meter::default();
    let mut walk = Walk::new(Ground {
        plan,
        document: &document,
        meter: &meter,
        rounded: false,
    });
    let fit = walk.run();
    assert!(walk.findings.violations.len() < 50);
    (fit, walk.steps)
}

/// Asserts that twice the size takes no more than some more than twice the steps.
fn grows_linearly(plan: &super::plan::Plan, sizes: &[usize], make: impl Fn(usize) -> String) {
    let mut before: Option<(usize, usize)> = None;
    for size in sizes {
        let text = make(*size);
        let (_, steps) = steps(plan, &text);
        if let Some((size_before, steps_before)) = before {
            let factor = size.div_ceil(size_before) + 1;
            assert!(
                steps <= steps_before * factor + 200,
                "{size}: {steps} steps, {size_before}: {steps_before}, {}",
                text.chars().take(200).collect::<String>()
            );
        }
        before = Some((*size, steps));
    }
}

fn nested(depth: usize, open: &str, leaf: &str, close: &str) -> String {
    format!("{}{leaf}{}", open.repeat(depth), close.repeat(depth))
}

const DEPTHS: [usize; 7] = [1, 2, 4, 8, 16, 32, 60];

#[test]
fn the_work_grows_with_the_depth_of_the_arguments() {
    let leaves = |bad: &[&str]| {
        bad.iter()
            .map(|leaf| (*leaf).to_owned())
            .collect::<Vec<_>>()
    };
    for leaf in leaves(&[
        r#"{"type":"eq","field":"a","value":3}"#,
        r#"{"type":"eq","field":"a","value":300}"#,
        r#"{"type":"zz"}"#,
        "{}",
        "5",
    ]) {
        let plan = plan_of::<Filter>();
        grows_linearly(&plan, &DEPTHS, |depth| {
            nested(depth, r#"{"type":"and","items":["#, &leaf, "]}")
        });
    }
    for leaf in leaves(&["5", "\"x\"", "{}", r#"{"left":5}"#]) {
        let plan = plan_of::<Expr>();
        grows_linearly(&plan, &DEPTHS, |depth| {
            nested(depth, r#"{"left":"#, &leaf, r#","name":"x"}"#)
        });
        grows_linearly(&plan, &DEPTHS, |depth| {
            nested(depth, r#"{"right":5,"op":"+","left":"#, &leaf, "}")
        });
    }
    for leaf in leaves(&[r#"{"Num":-5}"#, r#"{"Num":5}"#, "{}", r#"{"Zzz":1}"#]) {
        let plan = plan_of::<Sum>();
        grows_linearly(&plan, &DEPTHS, |depth| {
            nested(depth, r#"{"Neg":"#, &leaf, "}")
        });
    }
    for leaf in leaves(&[r#"{"t":"Leaf","c":10}"#, r#"{"t":"Leaf","c":1}"#, "{}", "1"]) {
        let plan = plan_of::<Adjacent>();
        grows_linearly(&plan, &DEPTHS, |depth| {
            nested(depth, r#"{"t":"All","c":["#, &leaf, "]}")
        });
    }
}

#[test]
fn words_of_the_nearest_form_are_looked_for_once_however_deep_the_doubts_are() {
    let plan = plan_of::<Expr>();
    // Each level may have its members by other names, in either form.
    for (open, close) in [
        (r#"{"left":"#, r#","nom":"x"}"#),
        (r#"{"nom":"x","left":"#, "}"),
        (r#"{"operator":"+","right":5,"left":"#, "}"),
        (
            r#"{"right":{"left":1,"nom":"y"},"left":"#,
            r#","name":"x","op":"+","more":1}"#,
        ),
    ] {
        for leaf in ["5", "\"x\"", "{}", r#"{"left":5,"nom":"z"}"#] {
            grows_linearly(&plan, &DEPTHS, |depth| nested(depth, open, leaf, close));
        }
    }
    let document = Document::read(r#"{"left":{"left":5,"nom":"z"},"nom":"x"}"#).expect("JSON");
    let meter = Meter::default();
    let mut walk = Walk::new(Ground {
        plan: &plan,
        document: &document,
        meter: &meter,
        rounded: false,
    });
    assert_eq!(walk.run(), Fit::Doubtful);
    assert!(walk.hinted && !walk.findings.hints.is_empty());
}

#[test]
fn the_work_grows_with_the_width_of_the_arguments() {
    let widths = [10, 1_000, 100_000];
    let wide = |open: &str, item: &str, close: &str, count: usize| {
        let mut text = open.to_owned();
        for _ in 0..count {
            let _ = write!(text, "{item},");
        }
        format!("{text}{item}{close}")
    };
    for item in [
        r#"{"type":"eq","field":"a","value":300}"#,
        r#"{"type":"zz"}"#,
    ] {
        let plan = plan_of::<Filter>();
        grows_linearly(&plan, &widths, |count| {
            wide(r#"{"type":"and","items":["#, item, "]}", count)
        });
    }
    let plan = plan_of::<Vec<Expr>>();
    for item in ["5", "\"x\"", r#"{"left":5,"name":"x"}"#, r#"{"left":5}"#] {
        grows_linearly(&plan, &widths, |count| wide("[", item, "]", count));
    }
}

#[test]
fn the_work_grows_with_the_arguments_for_written_schemas_too() {
    for keyword in ["anyOf", "oneOf"] {
        let schema = json!({
            "type": "object",
            "properties": {"node": {"$ref": "#/$defs/node"}},
            "$defs": {"node": {keyword: [
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}, "x": {"type": "integer"}}, "required": ["a"]},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}, "y": {"type": "string"}}, "required": ["a"]},
                {"allOf": [{"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/leaf"}]},
            ]}, "leaf": {"type": "integer", "maximum": 5}},
        });
        let plan = compile::plan(&schema, false);
        for leaf in ["3", "30", "\"x\"", "{}"] {
            grows_linearly(&plan, &DEPTHS, |depth| {
                format!(r#"{{"node":{}}}"#, nested(depth, r#"{"a":"#, leaf, "}"))
            });
        }
    }
    let twice = json!({
        "$ref": "#/$defs/n",
        "$defs": {"n": {"allOf": [{"$ref": "#/$defs/m"}, {"$ref": "#/$defs/m"}]},
            "m": {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}}},
    });
    grows_linearly(&compile::plan(&twice, false), &DEPTHS, |depth| {
        nested(depth, r#"{"a":"#, "5", "}")
    });
}

#[test]
fn a_schema_that_is_only_itself_ends() {
    let plan = compile::plan(&json!({"$ref": "#"}), false);
    assert_eq!(steps(&plan, "{}").0, Fit::Broken);
    let plan = compile::plan(&json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}), false);
    assert_eq!(steps(&plan, "{}").0, Fit::Broken);
}

#[test]
fn the_tag_decides_which_form_is_spoken_of() {
    let checker = Checker::new(
        &Source::Closure(Filter::json_schema, |_| Ok(())),
        &json!({}),
    );
    let told = |text: &str| {
        let raw = serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON");
        match checker.check(&raw, false) {
            Err(said) => said,
            Ok(checked) => checked.doubts().unwrap_or_default(),
        }
    };
    for (text, said) in [
        (
            "{}",
            r#"`type` is missing, expected one of ["and","or","not","eq"]"#,
        ),
        (
            r#"{"type":"xor"}"#,
            r#"`type`: "xor" is not one of ["and","or","not","eq"]"#,
        ),
        (r#"{"type":"not"}"#, "`item` is missing"),
        (
            r#"{"type":"and","items":[{"type":"eq","field":"a"}]}"#,
            "`items[0].value` is missing",
        ),
        (
            r#"{"type":"and","items":[{"type":"eq","field":"a","value":101}]}"#,
            "`items[0].value`: 101 is greater than the maximum of 100",
        ),
    ] {
        assert_eq!(told(text), said, "{text}");
    }
}
