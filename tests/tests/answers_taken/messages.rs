//! What is said of arguments that are refused: all of it, what is missing first, with the cure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use codex_skills::{Catalog, Draft, Skill, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{all, told};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    Circle { radius: f64 },
    Rect { w: u8, h: u8 },
    Empty,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u32),
    B { s: String },
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Form {
    #[serde(alias = "plain")]
    Plain,
    #[serde(alias = "one")]
    One(u8),
    #[serde(alias = "two")]
    Two {
        a: u16,
        b: bool,
    },
    List(Vec<u8>),
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Order {
    id: u32,
    #[serde(default, rename = "userName")]
    user_name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Contact {
    #[serde(alias = "mail", alias = "e-mail")]
    email: String,
    #[serde(default)]
    age: u8,
}

fn five() -> Option<u8> {
    Some(5)
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Page {
    #[serde(default = "five")]
    size: Option<u8>,
    #[serde(default)]
    offset: Option<u8>,
}

fn catalog() -> Catalog {
    /// A shape.
    #[skill]
    fn shape(shape: Shape, maybe: Option<Shape>, adjacent: Option<Adjacent>) -> String {
        format!("{shape:?} {maybe:?} {adjacent:?}")
    }

    /// Places an order.
    #[skill]
    fn place(order: Order, list: Option<Vec<u8>>, note: Option<String>) -> String {
        format!("{order:?} {list:?} {note:?}")
    }

    /// Plain values.
    #[skill]
    fn plain(
        small: u8,
        flag: Option<bool>,
        ratio: Option<f64>,
        all: Option<Vec<i8>>,
        named: Option<BTreeMap<String, u16>>,
    ) -> String {
        format!("{small} {flag:?} {ratio:?} {all:?} {named:?}")
    }

    /// Plain values and no others.
    #[skill]
    fn plainer(small: u8, flag: bool, ratio: f64) -> String {
        format!("{small} {flag} {ratio}")
    }

    /// Contact.
    #[skill]
    fn contact(who: Contact) -> String {
        format!("{who:?}")
    }

    /// A form.
    #[skill]
    fn form(form: Form, maybe: Option<Form>) -> String {
        format!("{form:?} {maybe:?}")
    }

    /// By id.
    #[skill]
    fn by_id(ticket_id: u32) -> String {
        ticket_id.to_string()
    }

    /// A page.
    #[skill]
    fn page(page: Page, #[skill(default = Some(7))] most: Option<u8>) -> String {
        format!("{page:?} {most:?}")
    }

    /// Pages.
    #[skill]
    fn pages(#[serde(default = "five")] size: Option<u8>, pages: Option<Vec<Page>>) -> String {
        format!("{size:?} {pages:?}")
    }

    let contact_of = Skill::builder("contact_of")
        .handler(|who: Contact| async move { Ok::<_, Infallible>(format!("{who:?}")) });
    Draft::new()
        .register(skills![
            shape, place, plain, plainer, contact, form, by_id, page, pages
        ])
        .register(contact_of)
        .seal()
        .expect("a catalog")
}

/// A skill whose arguments are as many texts, all needed.
fn of_many(count: usize) -> Catalog {
    let properties = (0..count).map(|at| (format!("field_{at}"), json!({"type": "string"})));
    let properties: serde_json::Map<String, Value> = properties.collect();
    let required: Vec<&String> = properties.keys().collect();
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": "integer"}},
            "rows": {"type": "array", "items": {"type": "object", "properties": properties, "required": required}},
        },
    });
    let mut root = schema.clone();
    root["properties"] = json!(properties);
    root["properties"]["a"] = schema["properties"]["a"].clone();
    root["required"] = json!(required);
    root["additionalProperties"] = json!(false);
    let handler = |value: Value| async move { Ok::<_, Infallible>(value.to_string()) };
    Draft::new()
        .register(Skill::builder("many").input_schema(root).handler(handler))
        .register(Skill::builder("rows").input_schema(schema).handler(handler))
        .seal()
        .expect("a catalog")
}

#[tokio::test]
async fn all_that_is_missing_is_named_first_and_the_rest_is_counted() {
    for count in [3, 24, 60] {
        let catalog = of_many(count);
        for arguments in [
            "{}".to_owned(),
            r#"{"a": "x"}"#.to_owned(),
            format!(r#"{{"a": [{}"x"]}}"#, "\"x\",".repeat(500)),
        ] {
            let told = told(&catalog, "many", &arguments).await;
            for at in 0..count {
                assert!(told.contains(&format!("`field_{at}`")), "{at}: {told}");
            }
            let first = told.find("is missing").expect("what is missing");
            let wrong = told.find("is not");
            assert!(wrong.is_none_or(|wrong| first < wrong), "{told}");
        }
    }
    let catalog = of_many(3);
    all(&catalog, &[
        (
            "many",
            r#"{"field0": "x", "a": ["y"], "field_1": 5}"#,
            "!unknown argument `field0`, did you mean `field_0`?; `field_2` is missing; `a[0]`: \"y\" is not a whole number; `field_1`: 5 is not a string",
        ),
        (
            "many",
            r#"{"qq": 1, "zz": 2, "field_0": "", "field_1": "", "field_2": ""}"#,
            "!unknown argument `qq`, expected `a`, `field_0`, `field_1`, `field_2`; unknown argument `zz`",
        ),
    ])
    .await;
    let items = vec![r#""x""#; 100].join(",");
    let told = told(&catalog, "many", &format!(r#"{{"a": [{items}]}}"#)).await;
    assert!(
        told.starts_with("!`field_0` is missing; `field_1` is missing; `field_2` is missing; "),
        "{told}"
    );
    assert!(told.ends_with("; and 79 more"), "{told}");
}

#[tokio::test]
async fn misspelt_names_are_known_again_whatever_their_case() {
    all(
        &catalog(),
        &[
            (
                "by_id",
                r#"{"TICKET_ID": 1}"#,
                "!unknown argument `TICKET_ID`, did you mean `ticket_id`?",
            ),
            (
                "by_id",
                r#"{"ticketId": 1}"#,
                "!unknown argument `ticketId`, did you mean `ticket_id`?",
            ),
            (
                "by_id",
                r#"{"ticket-id": 1}"#,
                "!unknown argument `ticket-id`, did you mean `ticket_id`?",
            ),
            (
                "by_id",
                r#"{"tikcet_id": 1}"#,
                "!unknown argument `tikcet_id`, did you mean `ticket_id`?",
            ),
            (
                "place",
                r#"{"order": {"ID": 1}}"#,
                "!`order`: unknown member `ID`, did you mean `id`?",
            ),
            (
                "place",
                r#"{"order": {"id": 1, "user_name": "x"}}"#,
                "!`order`: unknown member `user_name`, did you mean `userName`?",
            ),
            (
                "place",
                r#"{"order": {"id": 1, "zzz": "x"}}"#,
                "!`order`: unknown member `zzz`, expected `id`, `userName`",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn values_in_quotes_and_json_in_strings_are_refused_with_the_cure() {
    all(&catalog(), &[
        ("plain", r#"{"small": "5"}"#, "!`small`: \"5\" is not a whole number from 0 to 255: write 5 without quotes"),
        ("plainer", r#"{"small": "5", "flag": "true", "ratio": "-2.5"}"#, "!`small`: \"5\" is not a whole number from 0 to 255: write 5 without quotes; `flag`: \"true\" is not true or false: write true without quotes; `ratio`: \"-2.5\" is not a number: write -2.5 without quotes"),
        ("plain", r#"{"small": "500"}"#, "!`small`: \"500\" is not a whole number from 0 to 255"),
        ("plain", r#"{"small": "5.5"}"#, "!`small`: \"5.5\" is not a whole number from 0 to 255"),
        ("plain", r#"{"small": 1, "flag": "false", "ratio": "null"}"#, "!`flag`: \"false\" is not true or false or null: write false without quotes; `ratio`: \"null\" is not a number or null: write null without quotes"),
        ("plain", r#"{"small": 1, "all": ["1"], "named": {"x": "1"}}"#, "!`all[0]`: \"1\" is not a whole number from -128 to 127: write 1 without quotes; `named.x`: \"1\" is not a whole number from 0 to 65535: write 1 without quotes"),
        ("plain", r#"{"small": 1, "all": "[1, 2]", "named": "{\"x\": 1}"}"#, "!`all`: \"[1, 2]\" is not an array or null: pass the array itself, not as a string; `named`: \"{\\\"x\\\": 1}\" is not an object or null: pass the object itself, not as a string"),
        ("place", r#"{"order": "{\"id\": 1}"}"#, "!`order`: \"{\\\"id\\\": 1}\" is not an object: pass the object itself, not as a string"),
        ("place", r#"{"order": " {\"id\": 1} "}"#, "!`order`: \" {\\\"id\\\": 1} \" is not an object: pass the object itself, not as a string"),
        ("place", r#"{"order": "{id: 1}"}"#, "!`order`: \"{id: 1}\" is not an object"),
        ("place", r#"{"order": {"id": 1}, "note": "{\"id\": 1}"}"#, "Order { id: 1, user_name: \"\" } None Some(\"{\\\"id\\\": 1}\")"),
        ("shape", r#"{"shape": "{\"kind\": \"Empty\"}"}"#, "!`shape`: \"{\\\"kind\\\": \\\"Empty\\\"}\" fits none of the accepted forms, expected an object whose `kind` is one of [\"Circle\",\"Rect\",\"Empty\"]: pass the object itself, not as a string"),
        ("form", r#"{"form": "{\"One\": 1}"}"#, "!`form`: \"{\\\"One\\\": 1}\" is not one of \"Plain\", {\"One\": …}, {\"Two\": …}, {\"List\": …}: pass the object itself, not as a string"),
    ])
    .await;
}

#[tokio::test]
async fn a_tagged_enum_lists_its_tags_whatever_comes_in_its_place() {
    let tags = "an object whose `kind` is one of [\"Circle\",\"Rect\",\"Empty\"]";
    for (value, shown, cure) in [
        (
            r#""Circle""#,
            r#""Circle""#,
            r#": write {"kind": "Circle", …}"#,
        ),
        (r#""Round""#, r#""Round""#, ""),
        ("5", "5", ""),
        ("[]", "the array", ""),
        ("true", "true", ""),
    ] {
        all(
            &catalog(),
            &[
                (
                    "shape",
                    &format!(r#"{{"shape": {value}}}"#),
                    &format!(
                        "!`shape`: {shown} fits none of the accepted forms, expected {tags}{cure}"
                    ),
                ),
                (
                    "shape",
                    &format!(r#"{{"shape": {{"kind": "Empty"}}, "maybe": {value}}}"#),
                    &format!(
                        "!`maybe`: {shown} fits none of the accepted forms, expected {tags} or null"
                    ),
                ),
            ],
        )
        .await;
    }
    all(&catalog(), &[
        ("shape", r#"{"shape": {"kind": "Round", "kind": "Oval"}}"#, "!`shape.kind` is given twice"),
        ("shape", r#"{"shape": {"kind": "Empty", "kind": "Empty"}}"#, "!`shape.kind` is given twice"),
        ("shape", r#"{"shape": null}"#, &format!("!`shape`: null fits none of the accepted forms, expected {tags}")),
        ("shape", r#"{"shape": {"kind": "Empty"}, "adjacent": 5}"#, "!`adjacent`: 5 fits none of the accepted forms, expected an object whose `t` is one of [\"A\",\"B\"] or null"),
        ("form", r#"{"form": "Plain", "maybe": 5}"#, "!`maybe`: 5 fits none of the accepted forms, expected \"Plain\", {\"One\": …}, {\"Two\": …}, {\"List\": …} or null"),
    ])
    .await;
}

#[tokio::test]
async fn a_name_and_another_name_of_it_are_one_too_many() {
    for skill in ["contact", "contact_of"] {
        let is_nested = skill == "contact";
        let path = if is_nested { "who." } else { "" };
        for inner in [
            r#"{"email": "a", "mail": "b"}"#,
            r#"{"mail": "a", "e-mail": "b"}"#,
            r#"{"mail": "a", "email": "b", "age": 1}"#,
        ] {
            let arguments = match is_nested {
                true => format!(r#"{{"who": {inner}}}"#),
                false => inner.to_owned(),
            };
            let told = told(&catalog(), skill, &arguments).await;
            assert_eq!(
                told,
                format!("!`{path}email` is given twice"),
                "{arguments}"
            );
        }
    }
}

#[tokio::test]
async fn null_is_absence_for_what_is_optional_and_has_a_default() {
    all(&catalog(), &[
        ("page", r#"{"page": {"size": null, "offset": null}, "most": null}"#, "Page { size: Some(5), offset: None } Some(7)"),
        ("page", r#"{"page": {}}"#, "Page { size: Some(5), offset: None } Some(7)"),
        ("page", r#"{"page": {"size": 1, "offset": 2}, "most": 3}"#, "Page { size: Some(1), offset: Some(2) } Some(3)"),
        ("pages", r#"{"size": null, "pages": [{"size": null}, {"size": 2.0}]}"#, "Some(5) Some([Page { size: Some(5), offset: None }, Page { size: Some(2), offset: None }])"),
    ])
    .await;
}

#[tokio::test]
async fn the_nearest_form_decides_where_a_variant_has_another_name() {
    all(
        &catalog(),
        &[
            ("form", r#"{"form": "plain"}"#, "Plain None"),
            (
                "form",
                r#"{"form": {"two": {"a": 1, "b": true}}}"#,
                "Two { a: 1, b: true } None",
            ),
        ],
    )
    .await;
    for (arguments, wanted) in [
        (
            r#"{"form": {"two": {"a": "x", "b": true}}}"#,
            "`form.two.a`: \"x\" is not a whole number from 0 to 65535",
        ),
        (r#"{"form": {"two": {"a": 1}}}"#, "`form.two.b` is missing"),
        (
            r#"{"form": {"one": 256}}"#,
            "`form.one`: 256 is greater than the maximum of 255",
        ),
        (
            r#"{"form": {"Lsit": [1, 256]}}"#,
            "`form.Lsit[1]`: 256 is greater than the maximum of 255",
        ),
        (
            r#"{"form": "Plain", "maybe": {"two": {"a": "x", "b": true}}}"#,
            "`maybe.two.a`: \"x\" is not a whole number from 0 to 65535",
        ),
    ] {
        let told = told(&catalog(), "form", arguments).await;
        assert!(told.contains(wanted), "{arguments}\n{told}");
        assert!(told.contains(r#"{"Two": …}"#), "{arguments}\n{told}");
    }
}

/// What is borrowed.
#[skill]
fn borrowed(text: &str, list: &[u8], cow: Cow<'_, str>, maybe: Option<&str>) -> String {
    format!("{text} {list:?} {cow} {maybe:?}")
}

#[tokio::test]
async fn borrowed_parameters_are_read_in_any_spelling_and_refused_like_others() {
    let catalog = Draft::new()
        .register(skills![borrowed])
        .seal()
        .expect("a catalog");
    all(&catalog, &[
        ("borrowed", r#"{"text": "a", "list": [1, 2.0], "cow": "c", "maybe": "d"}"#, "a [1, 2] c Some(\"d\")"),
        ("borrowed", r#"{"text": "\u00e9\n", "list": [1e0], "cow": "\ud83d\ude00", "maybe": "\""}"#, "é\n [1] 😀 Some(\"\\\"\")"),
        ("borrowed", r#"{"text": "", "list": [], "cow": "", "maybe": null}"#, " []  None"),
        ("borrowed", r#"{"text": 1, "list": "[1]", "cow": null}"#, "!`text`: 1 is not a string; `list`: \"[1]\" is not an array: pass the array itself, not as a string; `cow`: null is not a string"),
        ("borrowed", r#"{"list": [256, "1"], "coww": ""}"#, "!unknown argument `coww`, did you mean `cow`?; `text` is missing; `list[0]`: 256 is greater than the maximum of 255; `list[1]`: \"1\" is not a whole number from 0 to 255: write 1 without quotes"),
    ])
    .await;
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Place {
    at: Ipv4Addr,
    to: Option<IpAddr>,
    took: Duration,
}

/// What reads its format, and what only says one.
#[skill]
fn formats(
    place: Place,
    #[schemars(extend("format" = "date"))] day: String,
    #[schemars(extend("format" = "uri"))] link: Option<String>,
) -> String {
    format!("{place:?} {day} {link:?}")
}

#[tokio::test]
async fn formats_are_asserted_where_the_type_reads_them() {
    let catalog = Draft::new()
        .register(skills![formats])
        .seal()
        .expect("a catalog");
    let place = |at: &str, to: &str, more: &str| {
        format!(
            r#"{{"place": {{"at": "{at}", "to": {to}, "took": {{"secs": 1, "nanos": 0}}}}, {more}}}"#
        )
    };
    let good = r#""day": "2026-11-28""#;
    for (arguments, refused) in [
        (place("127.0.0.1", "\"::1\"", good), None),
        (place("127.0.0.1", "null", good), None),
        (place("127.0.0.256", "null", good), Some("place.at")),
        (place("localhost", "null", good), Some("place.at")),
        (place("127.0.0.1", "\"::g\"", good), Some("place.to")),
        // A text that is a text to its type has its format from the schema alone.
        (
            place("127.0.0.1", "null", r#""day": "tomorrow""#),
            Some("day"),
        ),
        (
            place(
                "127.0.0.1",
                "null",
                r#""day": "2026-11-28", "link": "no link""#,
            ),
            Some("link"),
        ),
    ] {
        let told = told(&catalog, "formats", &arguments).await;
        match refused {
            None => assert!(told.starts_with("Place {"), "{arguments} {told}"),
            Some(place) => assert!(
                told.starts_with(&format!("!`{place}`: ")),
                "{arguments} {told}"
            ),
        }
    }
}

/// The names of a map of numbers, and numbers that are out of the range of a type that takes no string.
#[tokio::test]
async fn names_and_ranges_say_what_is_wanted() {
    /// Count.
    #[skill]
    fn count(
        by: std::collections::BTreeMap<u16, u8>,
        #[skill(default)] signed: std::collections::BTreeMap<i32, u8>,
        #[skill(default = 1)] few: u8,
        #[skill(default)] some: Option<std::num::NonZeroU8>,
    ) -> String {
        format!("{by:?} {signed:?} {few} {some:?}")
    }

    let catalog = Draft::new().register(skills![count]).seal().unwrap();
    let cases = [
        (
            "count",
            r#"{"by":{"x":1,"1":2},"signed":{"":1}}"#,
            "!`by`: the name `x` is not a whole number from 0 to 65535 in quotes; \
             `signed`: the name `` is not a whole number from -2147483648 to 2147483647 in quotes",
        ),
        (
            "count",
            r#"{"by":{},"few":1e30}"#,
            "!`few`: 1e30 is greater than the maximum of 255",
        ),
        (
            "count",
            r#"{"by":{},"some":-1e20}"#,
            "!`some`: -1e20 is less than the minimum of 1",
        ),
        (
            "count",
            r#"{"by":{"7":1},"signed":{"-7":2}}"#,
            "{7: 1} {-7: 2} 1 None",
        ),
    ];
    all(&catalog, &cases).await;
}
