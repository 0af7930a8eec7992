//! What the model may write: each spelling of a value that the schema allows runs the handler with that value, and
//! what the type or the schema forbids is refused with words that help.
#![allow(dead_code, reason = "fields are there to be shown")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;
#[path = "answers_taken/choices.rs"]
mod choices;
#[path = "answers_taken/messages.rs"]
mod messages;
#[path = "answers_taken/refusals.rs"]
mod refusals;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::num::{NonZeroI64, NonZeroU8};
use std::sync::RwLock;
use std::time::Duration;

use calls::raw;
use codex_skills::embedded::{ModelItem, Step};
use codex_skills::{Catalog, Draft, Embedded, Skill, skill, skills};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Result of a call: the answer, or after `!` what the model reads about its arguments.
async fn told(catalog: &Catalog, skill: &str, arguments: &str) -> String {
    let output = catalog.call(skill, raw(arguments)).await.expect("a skill");
    let text = output.to_text().into_owned();
    let start = format!("skill `{skill}` was not run, its arguments are invalid: ");
    match text.strip_prefix(&start) {
        Some(reason) => format!("!{reason}"),
        None => text,
    }
}

async fn all(catalog: &Catalog, cases: &[(&str, &str, &str)]) {
    let mut wrong = String::new();
    for (skill, arguments, expected) in cases {
        let told = told(catalog, skill, arguments).await;
        if told != *expected {
            let _ = writeln!(
                wrong,
                "{skill} {arguments}\n  got      {told}\n  expected {expected}"
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Sends.
#[skill]
fn send(amount: u128) -> String {
    amount.to_string()
}

fn catalog() -> Catalog {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(tag = "kind")]
    enum Shape {
        Circle { radius: f64 },
        Rect { w: u8, h: u8 },
        Empty,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum When {
        Days { days: u8 },
        Span { from: String, to: String },
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    enum Form {
        Plain,
        One(u8),
        Two { a: u16 },
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Any {
        Whole(u64),
        Text(String),
        Page { size: u32 },
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Page {
        #[serde(default)]
        size: u8,
        offset: Option<u64>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Contact {
        #[serde(alias = "mail")]
        email: String,
        #[serde(default)]
        age: u8,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Listing {
        query: String,
        #[serde(flatten)]
        page: Page,
    }

    /// Signed.
    #[skill]
    fn signed(b: i128) -> String {
        b.to_string()
    }

    /// The top.
    #[skill]
    fn top(
        top: u8,
        all: Option<Vec<i64>>,
        #[skill(default)] named: BTreeMap<String, u32>,
    ) -> String {
        format!("{top} {all:?} {named:?}")
    }

    /// Nonzero.
    #[skill]
    fn nonzero(a: NonZeroU8, b: Option<NonZeroI64>) -> String {
        format!("{a} {b:?}")
    }

    /// By id.
    #[skill]
    fn by_id(id: u64, small: Option<u32>) -> String {
        format!("{id} {small:?}")
    }

    /// One text.
    #[skill]
    fn one_text(ticket_id: String) -> String {
        ticket_id
    }

    /// Comments.
    #[skill]
    fn comments(#[skill(default = 5)] comments: u8, page: Option<Page>) -> String {
        format!("{comments} {page:?}")
    }

    /// A shape.
    #[skill]
    fn shape(shape: Shape) -> String {
        format!("{shape:?}")
    }

    /// When.
    #[skill]
    fn when(when: When) -> String {
        format!("{when:?}")
    }

    /// A form.
    #[skill]
    fn form(form: Form) -> String {
        format!("{form:?}")
    }

    /// Any.
    #[skill]
    fn any(any: Any, value: Option<Value>) -> String {
        format!("{any:?} {value:?}")
    }

    /// Contact.
    #[skill]
    fn contact(who: Contact, others: Option<Vec<Contact>>) -> String {
        format!("{who:?} {others:?}")
    }

    /// List.
    #[skill]
    fn list(#[serde(flatten)] page: Page, query: String) -> String {
        format!("{page:?} {query}")
    }

    /// Flags.
    #[skill]
    fn flags(flags: BTreeMap<bool, u8>, rows: Option<BTreeMap<u8, u8>>) -> String {
        format!("{flags:?} {rows:?}")
    }

    /// Three.
    #[skill]
    fn three(a: String, b: u8, c: bool) -> String {
        format!("{a}{b}{c}")
    }

    /// A ratio.
    #[skill]
    fn ratio(ratio: f32, pair: Option<(u8, String)>) -> String {
        format!("{ratio} {pair:?}")
    }

    let listing = Skill::builder("listing")
        .handler(|listing: Listing| async move { Ok::<_, Infallible>(format!("{listing:?}")) });
    Draft::new()
        .register(skills![
            send, signed, top, nonzero, by_id, one_text, comments, shape, when, form, any, contact,
            list, flags, three, ratio
        ])
        .register(listing)
        .seal()
        .expect("a catalog")
}

#[tokio::test]
async fn whole_numbers_in_any_spelling_reach_each_integer_type_exactly() {
    all(&catalog(), &[
        ("send", r#"{"amount": 1e18}"#, "1000000000000000000"),
        ("send", r#"{"amount": 2.5e3}"#, "2500"),
        ("send", r#"{"amount": 340282366920938463463374607431768211455}"#, "340282366920938463463374607431768211455"),
        ("send", r#"{"amount": "340282366920938463463374607431768211455"}"#, "340282366920938463463374607431768211455"),
        ("send", r#"{"amount": 12.50}"#, "!`amount`: 12.50 is not a whole number from 0 to 340282366920938463463374607431768211455"),
        ("send", r#"{"amount": 1e39}"#, "!`amount`: 1e39 is greater than the maximum of 340282366920938463463374607431768211455"),
        ("signed", r#"{"b": 0.1}"#, "!`b`: 0.1 is not a whole number from -170141183460469231731687303715884105728 to 170141183460469231731687303715884105727"),
        ("signed", r#"{"b": -1.0}"#, "-1"),
        ("top", r#"{"top": 5e0}"#, "5 None {}"),
        ("top", r#"{"top": 5.0, "all": [1e2, -0, 2.50e1], "named": {"x": 7.0}}"#, "5 Some([100, 0, 25]) {\"x\": 7}"),
        ("top", r#"{"top": 300.0}"#, "!`top`: 300.0 is greater than the maximum of 255"),
        ("top", r#"{"top": -0}"#, "0 None {}"),
        ("nonzero", r#"{"a": 1e0, "b": -3.0}"#, "1 Some(-3)"),
        ("nonzero", r#"{"a": 0}"#, "!`a`: 0 is less than the minimum of 1"),
        ("by_id", r#"{"id": "1234567890123456789"}"#, "1234567890123456789 None"),
        ("by_id", r#"{"id": 1, "small": "5"}"#, "!`small`: \"5\" is not a whole number from 0 to 4294967295 or null: write 5 without quotes"),
        ("by_id", r#"{"id": "12x"}"#, "!`id`: \"12x\" is not a whole number from 0 to 18446744073709551615"),
        ("by_id", r#"{"id": "18446744073709551616"}"#, "!`id`: \"18446744073709551616\" is greater than the maximum of 18446744073709551615"),
        ("shape", r#"{"shape": {"kind": "Rect", "w": 1.0, "h": 2e0}}"#, "Rect { w: 1, h: 2 }"),
        ("form", r#"{"form": {"One": 4.0}}"#, "One(4)"),
        ("any", r#"{"any": "5"}"#, "Text(\"5\") None"),
        ("any", r#"{"any": 5.0}"#, "Whole(5) None"),
        ("any", r#"{"any": {"size": 5.0}, "value": [2.0, null]}"#, "Page { size: 5 } Some(Array [Number(2.0), Null])"),
        ("list", r#"{"query": "x", "size": 5.0, "offset": "7"}"#, "Page { size: 5, offset: Some(7) } x"),
        ("ratio", r#"{"ratio": 3.5e39}"#, "!`ratio`: 3.5e39 is greater than the maximum of 3.4028235e38"),
        ("ratio", r#"{"ratio": 1e400}"#, "!`ratio`: 1e400 is greater than the maximum of 3.4028235e38"),
    ])
    .await;
}

#[tokio::test]
async fn null_is_absence_where_there_is_a_default() {
    all(
        &catalog(),
        &[
            ("comments", r#"{"comments": null}"#, "5 None"),
            (
                "comments",
                r#"{"page": {"size": null, "offset": null}, "comments": 3}"#,
                "3 Some(Page { size: 0, offset: None })",
            ),
            ("comments", r#"{"comments": null, "page": null}"#, "5 None"),
            (
                "top",
                r#"{"top": null}"#,
                "!`top`: null is not a whole number from 0 to 255",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_text_in_place_of_the_arguments_is_their_object_or_refused() {
    all(
        &catalog(),
        &[
            ("one_text", r#""{\"ticket_id\":\"ABC-1\"}""#, "ABC-1"),
            (
                "one_text",
                r#""ABC-1""#,
                "!a string came in place of the arguments, expected a JSON object with `ticket_id`",
            ),
            (
                "one_text",
                r#""[1]""#,
                "!a string came in place of the arguments, expected a JSON object with `ticket_id`",
            ),
            (
                "send",
                r#""5""#,
                "!a string came in place of the arguments, expected a JSON object with `amount`",
            ),
            ("send", "5", "5"),
            (
                "listing",
                r#""{\"query\": \"x\"}""#,
                "Listing { query: \"x\", page: Page { size: 0, offset: None } }",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_check_is_as_strict_as_the_type_and_the_schema() {
    all(&catalog(), &[
        ("contact", r#"{"who": {"mail": "a"}}"#, "Contact { email: \"a\", age: 0 } None"),
        ("contact", r#"{"who": {"email": "a"}, "others": [{"mail": "b", "age": 5.0}]}"#, "Contact { email: \"a\", age: 0 } Some([Contact { email: \"b\", age: 5 }])"),
        ("contact", r#"{"who": {"emial": "a"}}"#, "!`who`: unknown member `emial`, did you mean `email`?"),
        ("contact", r#"{"who": {"mail": "a", "aeg": 1}}"#, "!`who`: unknown member `aeg`, did you mean `age`?"),
        ("contact", r#"{"who": ["a", 1]}"#, "!`who`: the array is not an object"),
        ("list", r#"{"query": "x", "szie": 5}"#, "!unknown argument `szie`, did you mean `size`?"),
        ("listing", r#"{"query": "x", "szie": 5}"#, "!unknown argument `szie`, did you mean `size`?"),
        ("form", r#"{"form": {"Plain": null}}"#, "!`form`: the object of `Plain` is not one of \"Plain\", {\"One\": …}, {\"Two\": …}: write \"Plain\""),
    ])
    .await;
}

#[tokio::test]
async fn errors_speak_of_json_and_name_all_that_is_wrong() {
    all(&catalog(), &[
        ("three", "{}", "!`a` is missing; `b` is missing: Whole number, 0 to 255; `c` is missing"),
        ("three", r#"{"a": 1, "b": "x", "c": null}"#, "!`a`: 1 is not a string; `b`: \"x\" is not a whole number from 0 to 255; `c`: null is not true or false"),
        ("shape", r#"{"shape": {"kind": "Circle"}}"#, "!`shape.radius` is missing"),
        ("shape", r#"{"shape": {"kind": "Square"}}"#, "!`shape.kind`: \"Square\" is not one of [\"Circle\",\"Rect\",\"Empty\"]"),
        ("shape", r#"{"shape": {"kind": "Rect", "w": 1}}"#, "!`shape.h` is missing"),
        ("shape", r#"{"shape": {}}"#, "!`shape.kind` is missing, expected one of [\"Circle\",\"Rect\",\"Empty\"]"),
        ("when", r#"{"when": {"from": "monday"}}"#, "!`when`: the object fits none of the accepted forms, expected an object with `days` or an object with `from`, `to`; in the nearest one `when.to` is missing"),
        ("form", r#"{"form": "Round"}"#, "!`form`: \"Round\" is not one of \"Plain\", {\"One\": …}, {\"Two\": …}"),
        ("form", r#"{"form": {"Two": {}}}"#, "!`form.Two.a` is missing"),
        ("flags", r#"{"flags": {"yes": 1}}"#, "!`flags`: the name `yes` is not one of `true`, `false`"),
        ("flags", r#"{"flags": {"true": 256}}"#, "!`flags.true`: 256 is greater than the maximum of 255"),
        ("ratio", r#"{"ratio": 1, "pair": [1]}"#, "!`pair`: there are fewer than 2 items"),
        ("ratio", r#"{"ratio": 1, "pair": ["x", 1]}"#, "!`pair[0]`: \"x\" is not a whole number from 0 to 255; `pair[1]`: 1 is not a string"),
    ])
    .await;
}

#[tokio::test]
async fn a_value_is_called_with_like_its_text_or_refused() {
    let catalog = catalog();
    let text = r#"{"amount": 18446744073709551616}"#;
    let value: Value = serde_json::from_str(text).expect("JSON");
    let output = catalog.call("send", value).await.expect("a skill");
    let told_of_value = output.to_text().into_owned();
    assert!(
        told_of_value.contains("may have lost digits"),
        "{told_of_value}"
    );
    assert_eq!(told(&catalog, "send", text).await, "18446744073709551616");
    let output = catalog
        .call("send", json!({"amount": 5.0}))
        .await
        .expect("a skill");
    assert_eq!(output.to_text(), "5");
    let output = catalog
        .call("ratio", json!({"ratio": 1e18}))
        .await
        .expect("a skill");
    assert_eq!(output.to_text(), "1000000000000000000 None");
}

#[tokio::test]
async fn arguments_over_their_limit_are_refused_with_its_name() {
    let catalog = catalog();
    let text = format!(r#"{{"ticket_id": "{}"}}"#, "x".repeat(1 << 20));
    let told = told(&catalog, "one_text", &text).await;
    assert!(
        told.contains("over the limit of 1048576 bytes (`argument_bytes`)"),
        "{told}"
    );
}

/// Long.
#[skill]
async fn long_async(text: String) -> String {
    tokio::task::yield_now().await;
    text.len().to_string()
}

/// Long.
#[skill(inline)]
fn long_inline(text: String) -> String {
    text.len().to_string()
}

#[tokio::test]
async fn long_arguments_reach_each_kind_of_handler() {
    let catalog = Draft::new()
        .register(skills![long_async, long_inline])
        .seal()
        .expect("a catalog");
    let text = format!(r#"{{"text": "{}"}}"#, "x".repeat(100_000));
    for skill in ["long_async", "long_inline"] {
        assert_eq!(told(&catalog, skill, &text).await, "100000");
    }
}

/// Held by a test as long as nothing gets through.
static CHECKING: RwLock<()> = RwLock::new(());
static DECODING: RwLock<()> = RwLock::new(());

fn pass(gate: &RwLock<()>) {
    drop(
        gate.read()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    );
}

/// What takes as long to be checked as the gate is closed.
#[derive(Debug, Deserialize)]
struct Checked {
    text: String,
}

impl JsonSchema for Checked {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Checked".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        pass(&CHECKING);
        schemars::json_schema!({"type": "object", "properties": {"text": {"type": "string"}}})
    }
}

/// What takes as long to be decoded as the gate is closed.
#[derive(Debug, JsonSchema)]
struct Decoded {
    text: String,
}

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = BTreeMap::<String, String>::deserialize(deserializer)?;
        pass(&DECODING);
        let text = text.into_values().next().unwrap_or_default();
        Ok(Self { text })
    }
}

/// What a call with long arguments comes to, while a gate is closed.
fn told_while_closed(gate: &RwLock<()>, skill: Skill) -> String {
    let catalog = Draft::new().register(skill).seal().expect("a catalog");
    let closed = gate.write().expect("a gate");
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let text = format!(r#"{{"text": "{}"}}"#, "x".repeat(100_000));
    let told = tokio.block_on(told(&catalog, "slow", &text));
    drop(closed);
    told
}

#[test]
fn the_deadline_covers_the_check_of_long_arguments_and_says_so() {
    let slow = Skill::builder("slow")
        .description("Slow.")
        .timeout(Duration::from_millis(50))
        .handler(|given: Checked| async move { Ok::<_, Infallible>(given.text) });
    assert_eq!(
        told_while_closed(&CHECKING, slow),
        "skill `slow` was not run: checking its arguments took longer than 50ms; write less"
    );
}

#[test]
fn the_deadline_covers_the_decoding_of_long_arguments() {
    let slow = Skill::builder("slow")
        .description("Slow.")
        .timeout(Duration::from_millis(50))
        .handler(|given: Decoded| async move { Ok::<_, Infallible>(given.text) });
    assert_eq!(
        told_while_closed(&DECODING, slow),
        "skill `slow` failed: no answer within 50ms"
    );
}

#[tokio::test]
async fn a_script_with_values_is_taken_like_a_call_with_values() {
    let calls = [
        json!({"amount": 18_446_744_073_709_551_616_f64}),
        json!({"amount": 5.0}),
    ];
    let steps = calls.map(|arguments| Step::call("send", arguments));
    let written = Step::items([ModelItem::raw_call("send", r#"{"amount": 1e18}"#)]);
    let codex = Embedded::scripted(steps.into_iter().chain([written]));
    let (_, session) = codex
        .create_session(|draft| draft.register(skills![send]))
        .await
        .expect("a session");
    let turn = session.send_and_handle("go").await.expect("a turn");
    let told: Vec<String> = turn
        .dispatches
        .iter()
        .map(|record| record.output().to_text().into_owned())
        .collect();
    let [refused, whole, large] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(refused.contains("may have lost digits"), "{refused}");
    assert_eq!([whole.as_str(), large], ["5", "1000000000000000000"]);
}

/// What an untagged enum takes as any value keeps the object that it is flattened into open.
#[tokio::test]
async fn a_flattened_choice_with_any_value_in_it_takes_other_members() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Kind {
        Small { a: u8 },
        Other(Value),
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Thing {
        id: u8,
        #[serde(flatten)]
        kind: Kind,
    }

    /// Keep.
    #[skill]
    fn keep(thing: Thing, things: Option<Vec<Thing>>) -> String {
        format!("{thing:?} {}", things.map_or(0, |things| things.len()))
    }

    let catalog = Draft::new().register(skills![keep]).seal().unwrap();
    let cases = [
        (
            "keep",
            r#"{"thing":{"id":1,"b":2}}"#,
            r#"Thing { id: 1, kind: Other(Object {"b": Number(2)}) } 0"#,
        ),
        (
            "keep",
            r#"{"thing":{"id":1,"a":2},"things":[{"id":1,"b":2}]}"#,
            "Thing { id: 1, kind: Small { a: 2 } } 1",
        ),
    ];
    all(&catalog, &cases).await;
}
