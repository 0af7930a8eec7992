//! Arguments that the model got wrong: each call has exactly one failed answer, which names the place
//! and what is expected there, and the handler is not run.
#![allow(
    clippy::unused_async,
    dead_code,
    reason = "skills are async to be run as such, and fields are there to be shown"
)]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use calls::{answered, catalog_of, failed, raw};
use codex_skills::{Catalog, Draft, Skill, skill, skills};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const TOO_LARGE: &str = "the number is out of range, expected a smaller one";
const TOO_DEEP: &str = "nested too deep, expected at most 127 levels in all";
const HALF: &str = "half of a surrogate pair, expected whole characters";

/// How often a handler ran.
#[derive(Default)]
struct Runs(AtomicUsize);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Priority {
    High,
    Low,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Price {
    amount: f64,
    currency: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    price: Price,
    tags: Vec<String>,
}

/// Order things.
#[skill]
async fn order(
    #[state] runs: &Runs,
    /// Who orders.
    customer: String,
    items: Vec<Item>,
    priority: Option<Priority>,
    #[skill(default = 1)] copies: u8,
    notes: Option<BTreeMap<String, String>>,
) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    format!("{customer} {items:?} {priority:?} {copies} {notes:?}")
}

/// Add things, without anything that the types do not say.
#[skill]
async fn plain(
    #[state] runs: &Runs,
    /// Who adds.
    customer: String,
    numbers: Vec<u8>,
    priority: Option<Priority>,
    ratio: Option<f64>,
    #[skill(default)] names: BTreeMap<String, String>,
) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    format!("{customer} {numbers:?} {priority:?} {ratio:?} {names:?}")
}

/// Takes attributes, so that its arguments are a struct.
#[skill]
async fn derived(
    #[state] runs: &Runs,
    #[schemars(range(min = 1, max = 20))] limit: u8,
    #[serde(alias = "q")] query: String,
) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    format!("{limit} {query}")
}

/// Takes one.
#[skill]
async fn single(#[state] runs: &Runs, items: Vec<u8>) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    format!("{items:?}")
}

/// Takes nothing.
#[skill]
async fn nothing(#[state] runs: &Runs) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    "nothing".to_owned()
}

/// Takes anything.
#[skill]
async fn anything(#[state] runs: &Runs, value: Value, more: Option<Value>) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    format!("{value} {more:?}")
}

/// Takes a text.
#[skill]
async fn measure(#[state] runs: &Runs, text: &str) -> String {
    runs.0.fetch_add(1, Ordering::Relaxed);
    text.len().to_string()
}

#[derive(Deserialize, JsonSchema)]
struct Closure {
    /// How many.
    count: u32,
    place: Option<Price>,
}

fn closure(runs: Arc<Runs>) -> Skill {
    Skill::builder("closure").handler(move |closure: Closure| {
        runs.0.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(format!("{} {:?}", closure.count, closure.place)) }
    })
}

fn catalog() -> (Catalog, Arc<Runs>) {
    let runs = Arc::new(Runs::default());
    let catalog = Draft::new()
        .register(skills![
            order, plain, derived, single, nothing, anything, measure
        ])
        .register(closure(runs.clone()))
        .shared_state(runs.clone())
        .seal()
        .expect("a catalog");
    (catalog, runs)
}

/// Checks what each of these arguments is answered with, and that no handler ran.
async fn refused(skill: &str, cases: &[(&str, &str)]) {
    let (catalog, runs) = catalog();
    let mut wrong = String::new();
    for (arguments, expected) in cases {
        let text = failed(&catalog, skill, raw(arguments)).await;
        let start = format!("skill `{skill}` was not run, its arguments are invalid: ");
        let reason = text.strip_prefix(&start).unwrap_or(&text);
        if reason != *expected {
            let _ = writeln!(
                wrong,
                "{arguments}\n  got      {reason}\n  expected {expected}"
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(runs.0.load(Ordering::Relaxed), 0);
}

/// An array in an array, so many levels deep.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn what_is_missing_is_named_and_described() {
    refused(
        "plain",
        &[
            (
                "{}",
                "`customer` is missing: Who adds; `numbers` is missing: Whole numbers, each 0 to 255.",
            ),
            (
                "null",
                "`customer` is missing: Who adds; `numbers` is missing: Whole numbers, each 0 to 255.",
            ),
            (r#"{"customer": "a"}"#, "`numbers` is missing: Whole numbers, each 0 to 255."),
        ],
    )
    .await;
    refused(
        "order",
        &[
            (
                "{}",
                "`customer` is missing: Who orders; `items` is missing",
            ),
            (
                "null",
                "`customer` is missing: Who orders; `items` is missing",
            ),
            (
                r#"{"customer": "a", "items": [{"price": {"amount": 1}}]}"#,
                "`items[0].tags` is missing",
            ),
        ],
    )
    .await;
    refused(
        "derived",
        &[
            (
                "{}",
                "`limit` is missing: Whole number, 1 to 20; `query` is missing",
            ),
            (r#"{"limit": 5}"#, "`query` is missing"),
        ],
    )
    .await;
    refused(
        "closure",
        &[(
            "null",
            "`count` is missing: How many (whole number, 0 to 4294967295).",
        )],
    )
    .await;
}

#[tokio::test]
async fn a_value_of_a_wrong_type_is_named_with_its_path_and_what_is_expected() {
    refused(
        "plain",
        &[
            (
                r#"{"customer": 5}"#,
                "`numbers` is missing: Whole numbers, each 0 to 255; `customer`: 5 is not a string",
            ),
            (
                r#"{"customer": null}"#,
                "`numbers` is missing: Whole numbers, each 0 to 255; `customer`: null is not a string",
            ),
            (
                r#"{"customer": "a", "numbers": [1, "x"]}"#,
                "`numbers[1]`: \"x\" is not a whole number from 0 to 255",
            ),
            (
                r#"{"customer": "a", "numbers": [], "ratio": true}"#,
                "`ratio`: true is not a number or null",
            ),
            (
                r#"{"customer": "a", "numbers": [], "priority": "medium"}"#,
                "`priority`: \"medium\" is not one of [\"high\",\"low\",null]",
            ),
            (
                r#"{"customer": "a", "numbers": [], "priority": 5}"#,
                "`priority`: 5 is not one of [\"high\",\"low\",null]",
            ),
            (
                r#"{"customer": "a", "numbers": [], "names": {"x": 5}}"#,
                "`names.x`: 5 is not a string",
            ),
        ],
    )
    .await;
    refused(
        "order",
        &[
            (
                r#"{"customer": "a", "items": {}}"#,
                "`items`: the object is not an array",
            ),
            (
                r#"{"customer": "a", "items": [{"price": {"amount": "x"}, "tags": []}]}"#,
                "`items[0].price.amount`: \"x\" is not a number",
            ),
            (
                r#"{"customer": "a", "items": [], "priority": "medium"}"#,
                "`priority`: \"medium\" is not one of [\"high\",\"low\",null]",
            ),
        ],
    )
    .await;
    refused(
        "derived",
        &[(
            r#"{"limit": "x", "query": "a"}"#,
            "`limit`: \"x\" is not a whole number from 1 to 20",
        )],
    )
    .await;
    refused(
        "closure",
        &[(
            r#"{"count": 1, "place": {"amount": true}}"#,
            "`place.amount`: true is not a number",
        )],
    )
    .await;
}

#[tokio::test]
async fn a_number_that_does_not_fit_is_named() {
    refused(
        "plain",
        &[
            (
                r#"{"customer": "a", "numbers": [256]}"#,
                "`numbers[0]`: 256 is greater than the maximum of 255",
            ),
            (
                r#"{"customer": "a", "numbers": [-1]}"#,
                "`numbers[0]`: -1 is less than the minimum of 0",
            ),
            (
                r#"{"customer": "a", "numbers": [1.5]}"#,
                "`numbers[0]`: 1.5 is not a whole number from 0 to 255",
            ),
            (
                r#"{"customer": "a", "numbers": [18446744073709551616]}"#,
                "`numbers[0]`: 18446744073709551616 is greater than the maximum of 255",
            ),
            (
                r#"{"customer": "a", "numbers": [], "ratio": 1e400}"#,
                &format!("`ratio`: {TOO_LARGE}"),
            ),
        ],
    )
    .await;
    refused(
        "anything",
        &[(
            r#"{"value": {"a": [1, -1e400]}}"#,
            &format!("`value.a[1]`: {TOO_LARGE}"),
        )],
    )
    .await;
    refused(
        "derived",
        &[
            (
                r#"{"limit": 21, "query": "a"}"#,
                "`limit`: 21 is greater than the maximum of 20",
            ),
            (
                r#"{"limit": 1e400, "query": "a"}"#,
                "`limit`: 1e400 is greater than the maximum of 20",
            ),
        ],
    )
    .await;
    refused(
        "closure",
        &[
            (
                r#"{"count": -1}"#,
                "`count`: -1 is less than the minimum of 0",
            ),
            (
                r#"{"count": 1, "place": {"amount": 1e400}}"#,
                &format!("`place.amount`: {TOO_LARGE}"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Page {
        size: u8,
        name: String,
    }

    #[skill]
    fn whole(count: u8, below: Option<i64>, all: Vec<u16>, page: Option<Page>) -> String {
        let page = page.map(|page| (page.size, page.name));
        format!("{count} {below:?} {all:?} {page:?}")
    }

    #[skill]
    fn ranged(#[schemars(range(max = 9))] count: u32, ratio: f64, text: String) -> String {
        format!("{count} {ratio} {text}")
    }

    let catalog = catalog_of(skills![whole, ranged]);
    for (skill, arguments, answer) in [
        (
            "whole",
            r#"{"count": 5.0, "below": -7.00, "all": [1.0, 2]}"#,
            "5 Some(-7) [1, 2] None",
        ),
        (
            "whole",
            r#"{"count": 5, "all": [], "page": {"name": "\\\"1.0", "size": 2.0}}"#,
            r#"5 None [] Some((2, "\\\"1.0"))"#,
        ),
        (
            "ranged",
            r#"{"count": 9.0, "ratio": 2.0, "text": "3.0"}"#,
            "9 2 3.0",
        ),
    ] {
        assert_eq!(answered(&catalog, skill, raw(arguments)).await, answer);
    }
    for arguments in [
        r#"{"count": 5.5, "all": []}"#,
        r#"{"count": 300.0, "all": []}"#,
        r#"{"count": -5.0, "all": []}"#,
    ] {
        let text = failed(&catalog, "whole", raw(arguments)).await;
        assert!(text.contains("`count`: "), "{text}");
    }
    let text = failed(
        &catalog,
        "ranged",
        raw(r#"{"count": 10.0, "ratio": 1, "text": ""}"#),
    )
    .await;
    assert!(text.contains("count"), "{text}");
}

#[tokio::test]
async fn an_unknown_argument_is_named_with_the_nearest_known_one() {
    refused("plain", &[
        (
            r#"{"custmer": "a", "numbers": []}"#,
            "unknown argument `custmer`, did you mean `customer`?",
        ),
        (
            r#"{"zzz": "a"}"#,
            "unknown argument `zzz`, expected `customer`, `numbers`, `priority`, `ratio`, `names`; `customer` is missing: Who adds; `numbers` is missing: Whole numbers, each 0 to 255.",
        ),
    ])
    .await;
    refused(
        "nothing",
        &[(r#"{"x": 1}"#, "unknown argument `x`, expected no members")],
    )
    .await;
    refused(
        "derived",
        &[(
            r#"{"limit": 5, "query": "a", "limt": 5}"#,
            "unknown argument `limt`, did you mean `limit`?",
        )],
    )
    .await;
    refused(
        "closure",
        &[(
            r#"{"count": 1, "cuont": 2}"#,
            "unknown argument `cuont`, did you mean `count`?",
        )],
    )
    .await;
}

#[tokio::test]
async fn an_unknown_member_of_a_nested_value_is_not_lost() {
    let price = r#"{"amount": 1, "curency": "CHF"}"#;
    refused(
        "order",
        &[(
            &format!(r#"{{"customer": "a", "items": [{{"price": {price}, "tags": []}}]}}"#),
            "`items[0].price`: unknown member `curency`, did you mean `currency`?",
        )],
    )
    .await;
    refused(
        "closure",
        &[(
            &format!(r#"{{"count": 1, "place": {price}}}"#),
            "`place`: unknown member `curency`, did you mean `currency`?",
        )],
    )
    .await;
}

#[tokio::test]
async fn a_repeated_argument_is_named() {
    refused(
        "plain",
        &[(
            r#"{"customer": "a", "customer": "b", "numbers": []}"#,
            "`customer` is given twice",
        )],
    )
    .await;
    refused(
        "plain",
        &[(
            r#"{"customer": "a", "\u0063ustomer": "b", "numbers": []}"#,
            "`customer` is given twice",
        )],
    )
    .await;
    refused(
        "derived",
        &[(
            r#"{"limit": 5, "q": "a", "query": "b"}"#,
            "`query` is given twice",
        )],
    )
    .await;
    refused(
        "closure",
        &[(r#"{"count": 1, "count": 2}"#, "`count` is given twice")],
    )
    .await;
}

#[tokio::test]
async fn a_value_that_is_no_object_is_the_argument_of_a_skill_with_one_parameter() {
    let (catalog, _) = catalog();

    assert_eq!(answered(&catalog, "single", json!([1, 2])).await, "[1, 2]");
    // A text may be the text of something else.
    refused(
        "measure",
        &[(
            "\"abc\"",
            "a string came in place of the arguments, expected a JSON object with `text`",
        )],
    )
    .await;
    refused(
        "single",
        &[
            ("5", "`items`: 5 is not an array"),
            (
                "[256]",
                "`items[0]`: 256 is greater than the maximum of 255",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_value_that_is_no_object_fits_no_other_skill() {
    refused(
        "plain",
        &[(
            "\"x\"",
            "a string came in place of the arguments, expected a JSON object with `customer`, `numbers`, `priority`, \
             `ratio`, `names`",
        )],
    )
    .await;
    for arguments in ["[]", "5", "true"] {
        refused(
            "plain",
            &[(
                arguments,
                "expected a JSON object with `customer`, `numbers`, `priority`, `ratio`, `names`",
            )],
        )
        .await;
        refused(
            "nothing",
            &[(arguments, "expected a JSON object with no members")],
        )
        .await;
        refused(
            "derived",
            &[(arguments, "expected a JSON object with `limit`, `query`")],
        )
        .await;
        refused(
            "closure",
            &[(arguments, "expected a JSON object with `count`, `place`")],
        )
        .await;
    }
}

#[tokio::test]
async fn null_is_an_object_without_members() {
    let (catalog, _) = catalog();

    assert_eq!(answered(&catalog, "nothing", ()).await, "nothing");
    assert_eq!(answered(&catalog, "nothing", json!({})).await, "nothing");
}

#[tokio::test]
async fn another_name_that_serde_was_told_of_is_taken() {
    let (catalog, _) = catalog();

    let answer = answered(&catalog, "derived", json!({"limit": 5, "q": "a"})).await;

    assert_eq!(answer, "5 a");
}

#[tokio::test]
async fn what_is_nested_too_deep_is_refused_and_the_rest_is_taken() {
    let (catalog, _) = catalog();

    let deep = raw(&format!(r#"{{"value": {}}}"#, nested(100)));
    assert_eq!(answered(&catalog, "anything", deep).await.len(), 205);
    for (skill, arguments) in [
        ("anything", format!(r#"{{"value": {}}}"#, nested(130))),
        ("anything", format!(r#"{{"value": {}}}"#, nested(100_000))),
    ] {
        let text = failed(&catalog, skill, raw(&arguments)).await;
        assert!(text.ends_with(TOO_DEEP), "{text}");
        assert!(text.len() < 500, "{text}");
    }
}

#[tokio::test]
async fn nesting_where_none_belongs_is_a_wrong_type() {
    let (catalog, _) = catalog();

    let arguments = format!(r#"{{"customer": {}}}"#, nested(100_000));
    let text = failed(&catalog, "plain", raw(&arguments)).await;

    assert!(
        text.ends_with("`numbers` is missing: Whole numbers, each 0 to 255; `customer`: the array is not a string"),
        "{text}"
    );
}

#[tokio::test]
async fn half_of_a_character_is_refused_with_its_path() {
    for half in [r"\ud800", r"\udc00", r"a\ud83db"] {
        refused(
            "plain",
            &[
                (
                    &format!(r#"{{"customer": "{half}", "numbers": []}}"#),
                    &format!("`customer`: {HALF}"),
                ),
                (
                    &format!(r#"{{"{half}": 1, "customer": "a", "numbers": []}}"#),
                    HALF,
                ),
            ],
        )
        .await;
        refused(
            "derived",
            &[(
                &format!(r#"{{"limit": 1, "query": "{half}"}}"#),
                &format!("`query`: {HALF}"),
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn whole_characters_in_escapes_are_taken() {
    let (catalog, _) = catalog();

    let emoji = raw(r#"{"text": "\ud83d\ude00"}"#);

    assert_eq!(answered(&catalog, "measure", emoji).await, "4");
}

#[tokio::test]
async fn megabytes_are_taken() {
    let (catalog, _) = catalog();

    let text = "x".repeat(1_000_000);

    let length = answered(&catalog, "measure", json!({"text": text})).await;
    assert_eq!(length, "1000000");
}

#[tokio::test]
async fn an_error_repeats_little_of_the_arguments_and_keeps_what_is_expected() {
    let (catalog, _) = catalog();
    let long = "é".repeat(500_000);

    for (arguments, end) in [
        (
            json!({ "customer": "a", "numbers": [], "priority": long }),
            "is not one of [\"high\",\"low\",null]",
        ),
        (
            json!({ "customer": "a", "numbers": long }),
            "is not an array",
        ),
        (
            json!({ "customer": "a", "numbers": [], "names": { long.clone(): 5 } }),
            "5 is not a string",
        ),
        (
            json!({ long.clone(): 5, "customer": "a", "numbers": [] }),
            "`names`",
        ),
    ] {
        let text = failed(&catalog, "plain", arguments).await;

        assert!(text.len() < 2_500, "{} bytes", text.len());
        assert!(text.ends_with(end), "{text}");
    }
}

/// Two variants may be meant at each level, and serde would try both of them at each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "decoded only")]
enum Ambiguous {
    Number(i64),
    One {
        a: Box<Ambiguous>,
    },
    Two {
        a: Box<Ambiguous>,
        b: Option<String>,
    },
    Many(Vec<Ambiguous>),
}

#[derive(Deserialize, JsonSchema)]
struct TakesAmbiguous {
    #[allow(dead_code, reason = "decoded only")]
    a: Ambiguous,
}

#[tokio::test]
async fn what_is_wrong_deep_inside_an_untagged_type_is_told_without_trying_all_of_it() {
    let skill = codex_skills::Skill::builder("takes")
        .handler(|_: TakesAmbiguous| async { Ok::<_, std::convert::Infallible>("taken") });
    let catalog = codex_skills::Draft::new().register(skill).seal().unwrap();
    for (open, close) in [("{\"a\":", "}"), ("[1,", "]"), ("{\"b\":\"\",\"a\":", "}")] {
        for depth in [4, 16, 64] {
            let json = format!(
                "{{\"a\":{}true{}}}",
                open.repeat(depth),
                close.repeat(depth)
            );
            let arguments = serde_json::value::RawValue::from_string(json).unwrap();
            let output = catalog.call("takes", &arguments).await.unwrap();
            assert!(!output.is_success(), "{open} {depth}");
        }
    }
}
