//! What is said of a value that is none of several: forms of an enumeration, listed words, names of a map. It names
//! them, what the nearest one lacks, and what was likely meant.

use std::collections::BTreeMap;

use codex_skills::{Catalog, Draft, skill, skills};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{all, told};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Amount {
    Number(f64),
    Text(String),
    Weighed { grams: u16, of: String },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Span {
    Days { days: u8 },
    Dates { from: String, to: String },
    List(Vec<u8>),
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Shape {
    Dot,
    Line,
    #[serde(rename = "circle")]
    Circle(f64),
    Rect {
        w: u8,
        h: u8,
    },
}

/// With words for its variants.
#[derive(Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
enum Level {
    /// Much.
    VeryHigh,
    /// Little.
    Low,
    /// As it comes.
    #[serde(alias = "any")]
    Default,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Step {
    Wait { secs: u8 },
    Done,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    shape: Shape,
}

#[skill(inline)]
fn amount(v: Amount, more: Option<Amount>) -> String {
    format!("{v:?} {more:?}")
}

#[skill(inline)]
fn span(v: Vec<Span>) -> String {
    format!("{v:?}")
}

#[skill(inline)]
fn shape(v: Shape) -> String {
    format!("{v:?}")
}

#[skill(inline)]
fn flat(v: Flat) -> String {
    format!("{v:?}")
}

#[skill(inline)]
fn level(v: Level, more: Option<Level>) -> String {
    format!("{v:?} {more:?}")
}

#[skill(inline)]
fn step(v: Step) -> String {
    format!("{v:?}")
}

#[skill(inline)]
fn maps(
    #[skill(default)] small: BTreeMap<u8, u8>,
    #[skill(default)] large: BTreeMap<i64, u8>,
    #[skill(default)] levels: BTreeMap<Level, u8>,
    #[skill(default)] flags: BTreeMap<bool, u8>,
    #[skill(default)] letters: BTreeMap<char, u8>,
) -> String {
    format!("{small:?} {large:?} {levels:?} {flags:?} {letters:?}")
}

fn catalog() -> Catalog {
    Draft::new()
        .register(skills![amount, span, shape, flat, level, step, maps])
        .seal()
        .expect("a catalog")
}

#[tokio::test]
async fn an_untagged_enum_names_all_its_forms_and_what_the_nearest_lacks() {
    const AMOUNTS: &str = "a string or a number or an object with `grams`, `of`";
    const SPANS: &str = "an array or an object with `days` or an object with `from`, `to`";
    let none = |place: &str, found: &str, forms: &str| {
        format!("!`{place}`: {found} fits none of the accepted forms, expected {forms}")
    };
    for (skill, arguments, said) in [
        ("amount", r#"{"v": true}"#, none("v", "true", AMOUNTS)),
        ("amount", r#"{"v": null}"#, none("v", "null", AMOUNTS)),
        ("amount", r#"{"v": [1]}"#, none("v", "the array", AMOUNTS)),
        (
            "amount",
            r#"{"v": 1, "more": [1]}"#,
            none("more", "the array", &format!("{AMOUNTS} or null")),
        ),
        (
            "amount",
            r#"{"v": {"grams": 5}}"#,
            none("v", "the object", AMOUNTS) + "; in the nearest one `v.of` is missing",
        ),
        (
            "amount",
            r#"{"v": {"grams": 70000, "of": "x"}}"#,
            none("v", "the object", AMOUNTS)
                + "; in the nearest one `v.grams`: 70000 is greater than the maximum of 65535",
        ),
        (
            "amount",
            r#"{"v": {"gram": 5, "of": "x"}}"#,
            none("v", "the object", AMOUNTS)
                + "; in the nearest one `v`: unknown member `gram`, did you mean `grams`?",
        ),
        (
            "span",
            r#"{"v": [{"from": "a"}]}"#,
            none("v[0]", "the object", SPANS) + "; in the nearest one `v[0].to` is missing",
        ),
        (
            "span",
            r#"{"v": [{"from": "a"}, [300]]}"#,
            none("v[1]", "the array", SPANS)
                + "; in the nearest one `v[1][0]`: 300 is greater than the maximum of 255; "
                + &none("v[0]", "the object", SPANS)[1..]
                + "; in the nearest one `v[0].to` is missing",
        ),
        ("span", r#"{"v": ["a"]}"#, none("v[0]", "\"a\"", SPANS)),
    ] {
        assert_eq!(
            told(&catalog(), skill, arguments).await,
            said,
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn a_form_by_its_name_is_written_alone_and_as_it_is_shown() {
    const FORMS: &str = r#""Dot", "Line", {"circle": …}, {"Rect": …}"#;
    for (value, found, cure) in [
        (r#""circle""#, r#""circle""#, r#": write {"circle": …}"#),
        (
            r#""Shape::Circle""#,
            r#""Shape::Circle""#,
            r#", did you mean {"circle": …}?"#,
        ),
        (
            r#""s.circle""#,
            r#""s.circle""#,
            r#", did you mean {"circle": …}?"#,
        ),
        (
            r#""shape/dot""#,
            r#""shape/dot""#,
            r#", did you mean "Dot"?"#,
        ),
        (r#""LINE""#, r#""LINE""#, r#", did you mean "Line"?"#),
        (r#""unheard of""#, r#""unheard of""#, ""),
        (
            r#"{"Dot": null}"#,
            "the object of `Dot`",
            r#": write "Dot""#,
        ),
        (r#"{"Dot": {}}"#, "the object of `Dot`", r#": write "Dot""#),
        (
            r#"{"Dot": true, "x": 1}"#,
            "the object of `Dot`, `x`",
            r#": write "Dot" alone"#,
        ),
        (
            r#"{"Circle": 1}"#,
            "the object of `Circle`",
            r#", did you mean {"circle": …}?"#,
        ),
        (
            r#"{"rect": {"w": 1, "h": 2}}"#,
            "the object of `rect`",
            r#", did you mean {"Rect": …}?"#,
        ),
        (
            r#"{"circle": 1, "Rect": {"w": 1, "h": 2}}"#,
            "the object of `circle`, `Rect`",
            ": write only one of `circle` and `Rect`",
        ),
        (
            r#"{"Dot": null, "circle": 1}"#,
            "the object of `Dot`, `circle`",
            ": write only one of `Dot` and `circle`",
        ),
        (
            r#"{"type": "Dot"}"#,
            "the object of `type`",
            r#": write "Dot""#,
        ),
        (
            r#"{"kind": "Rect", "w": 1, "h": 2}"#,
            "the object of `kind`, `w`, `h`",
            r#": write {"Rect": …}"#,
        ),
        (
            r#"["Dot"]"#,
            "the array",
            r#": write "Dot" itself, not in an array"#,
        ),
        (
            r#""{\"circle\": 1}""#,
            r#""{\"circle\": 1}""#,
            ": pass the object itself, not as a string",
        ),
        ("{}", "the empty object", ""),
        ("5", "5", ""),
        ("null", "null", ""),
    ] {
        assert_eq!(
            told(&catalog(), "shape", &format!(r#"{{"v": {value}}}"#)).await,
            format!("!`v`: {found} is not one of {FORMS}{cure}")
        );
    }
    all(
        &catalog(),
        &[
            ("shape", r#"{"v": {"circle": 1, "x": 2}}"#, "!`v`: unknown member `x`, expected `circle`"),
            ("shape", r#"{"v": {"crcle": "1"}}"#, "!`v.crcle`: \"1\" is not a number: write 1 without quotes; `v`: the object of `crcle` is not one of \"Dot\", \"Line\", {\"circle\": …}, {\"Rect\": …}, did you mean {\"circle\": …}?"),
            ("flat", r#"{"v": {"id": 1, "circle": 1}}"#, "Flat { id: 1, shape: Circle(1.0) }"),
            ("flat", r#"{"v": {"id": 1, "circle": 1, "Rect": {"w": 1, "h": 2}}}"#, "!`v`: the object of `id`, `circle`, `Rect` is not one of {\"circle\": …}, {\"Rect\": …}, {\"Dot\": …}, {\"Line\": …}: write only one of `circle` and `Rect`"),
        ],
    )
    .await;
}

#[tokio::test]
async fn members_of_another_form_are_not_dropped_where_forms_are_flattened() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Period {
        Days { days: u8 },
        Dates { from: String, to: String },
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Asked {
        id: u8,
        #[serde(flatten)]
        period: Period,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Maybe {
        id: u8,
        #[serde(flatten)]
        period: Option<Period>,
    }

    #[skill(inline)]
    fn flattened(v: Option<Asked>, m: Option<Maybe>) -> String {
        format!("{v:?} {m:?}")
    }

    const FORMS: &str = "the object fits none of the accepted forms, expected an object with `days` or an object with `from`, `to`";
    const OTHER: &str = "it is of another form than the rest, leave it out";
    let catalog = Draft::new()
        .register(skills![flattened])
        .seal()
        .expect("a catalog");
    for (arguments, said) in [
        (
            r#"{"v": {"id": 1, "days": 1}}"#,
            "Some(Asked { id: 1, period: Days { days: 1 } }) None".to_owned(),
        ),
        (
            r#"{"m": {"id": 1}}"#,
            "None Some(Maybe { id: 1, period: None })".to_owned(),
        ),
        (
            r#"{"v": {"id": 1, "days": 300}}"#,
            format!(
                "!`v`: {FORMS}; in the nearest one `v.days`: 300 is greater than the maximum of 255"
            ),
        ),
        (
            r#"{"v": {"id": 1, "from": "a"}}"#,
            format!("!`v`: {FORMS}; in the nearest one `v.to` is missing"),
        ),
        (
            r#"{"v": {"id": 1, "days": 1, "from": "a"}}"#,
            format!("!`v.from`: {OTHER}"),
        ),
        (
            r#"{"v": {"id": 1, "days": 1, "from": "a", "to": "b"}}"#,
            format!("!`v.from`: {OTHER}; `v.to`: {OTHER}"),
        ),
        (
            r#"{"m": {"id": 1, "from": "a"}}"#,
            format!("!`m`: {FORMS}; in the nearest one `m.to` is missing"),
        ),
        (
            r#"{"m": {"id": 1, "days": 300}}"#,
            format!(
                "!`m`: {FORMS}; in the nearest one `m.days`: 300 is greater than the maximum of 255"
            ),
        ),
    ] {
        assert_eq!(
            told(&catalog, "flattened", arguments).await,
            said,
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn a_listed_word_that_is_misspelt_is_known_again_and_all_are_listed() {
    const LISTED: &str = r#"["very-high","low","default"]"#;
    for (value, found, cure) in [
        (
            r#""VeryHigh""#,
            r#""VeryHigh""#,
            r#", did you mean "very-high"?"#,
        ),
        (
            r#""very_high""#,
            r#""very_high""#,
            r#", did you mean "very-high"?"#,
        ),
        (
            r#""Level::Low""#,
            r#""Level::Low""#,
            r#", did you mean "low"?"#,
        ),
        (r#"" low ""#, r#"" low ""#, r#", did you mean "low"?"#),
        (r#""middle""#, r#""middle""#, ""),
        (
            r#"{"low": null}"#,
            "the object of `low`",
            r#": write "low""#,
        ),
        (r#"["low"]"#, "the array", r#": write "low""#),
        ("1", "1", ""),
        ("null", "null", ""),
    ] {
        assert_eq!(
            told(&catalog(), "level", &format!(r#"{{"v": {value}}}"#)).await,
            format!("!`v`: {found} is not one of {LISTED}{cure}")
        );
    }
    all(
        &catalog(),
        &[
            ("level", r#"{"v": "any", "more": null}"#, "Default None"),
            ("level", r#"{"v": "low", "more": 5}"#, "!`more`: 5 fits none of the accepted forms, expected one of [\"very-high\",\"low\",\"default\"] or null"),
            ("step", r#"{"v": {"kind": "wait", "secs": 1}}"#, "!`v.kind`: \"wait\" is not one of [\"Wait\",\"Done\"], did you mean \"Wait\"?"),
            ("step", r#"{"v": {"type": "Wait", "secs": 1}}"#, "!`v.kind` is missing, expected one of [\"Wait\",\"Done\"]: `type` is to be called `kind`"),
            ("step", r#"{"v": {"Wait": {"secs": 1}}}"#, "!`v.kind` is missing, expected one of [\"Wait\",\"Done\"]: write {\"kind\": \"Wait\", …} with its members beside it"),
            ("step", r#"{"v": "done"}"#, "!`v`: \"done\" fits none of the accepted forms, expected an object whose `kind` is one of [\"Wait\",\"Done\"], did you mean {\"kind\": \"Done\", …}?"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_names_of_maps_are_judged_all_at_once_in_their_order() {
    all(
        &catalog(),
        &[
            ("maps", r#"{"small": {"0": 1, "255": 2}, "large": {"-9223372036854775808": 1}, "levels": {"any": 1}, "flags": {"true": 1}, "letters": {"é": 1}}"#, "{0: 1, 255: 2} {-9223372036854775808: 1} {Default: 1} {true: 1} {'é': 1}"),
            ("maps", r#"{"small": {"b": 1, "+2": 1, "01": 300, "256": 2, "-1": 1, "7": 1}}"#, "!`small`: the name `b` is not a whole number from 0 to 255 in quotes; `small`: the name `+2` is not a whole number from 0 to 255 in quotes, did you mean `2`?; `small.01`: 300 is greater than the maximum of 255; `small`: the name `01` is not a whole number from 0 to 255 in quotes, did you mean `1`?; `small`: the name `256` is not a whole number from 0 to 255 in quotes; `small`: the name `-1` is not a whole number from 0 to 255 in quotes"),
            ("maps", r#"{"large": {"1e2": 1, "-0": 1, "9223372036854775808": 1}}"#, "!`large`: the name `1e2` is not a whole number from -9223372036854775808 to 9223372036854775807 in quotes; `large`: the name `-0` is not a whole number from -9223372036854775808 to 9223372036854775807 in quotes, did you mean `0`?; `large`: the name `9223372036854775808` is not a whole number from -9223372036854775808 to 9223372036854775807 in quotes"),
            ("maps", r#"{"levels": {"Low": 1, "high": 2}, "flags": {"yes": 1, "True": 2}, "letters": {"ab": 1, "": 2}}"#, "!`levels`: the name `Low` is not one of `very-high`, `low`, `any`, `default`, did you mean `low`?; `levels`: the name `high` is not one of `very-high`, `low`, `any`, `default`; `flags`: the name `yes` is not one of `true`, `false`; `flags`: the name `True` is not one of `true`, `false`, did you mean `true`?; `letters`: the name `ab` is not a single character; `letters`: the name `` is not a single character"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_number_beyond_its_range_is_not_called_rounded_however_it_came() {
    /// Takes each.
    #[skill(inline)]
    fn numbers(g: Option<i64>, h: Option<u64>, i: Option<i128>, j: Option<u128>) -> String {
        format!("{g:?} {h:?} {i:?} {j:?}")
    }
    let catalog = Draft::new()
        .register(skills![numbers])
        .seal()
        .expect("a catalog");
    for (name, number, most) in [
        ("g", 1e20, "greater than the maximum of 9223372036854775807"),
        ("g", -1e20, "less than the minimum of -9223372036854775808"),
        (
            "h",
            1e20,
            "greater than the maximum of 18446744073709551615",
        ),
        ("h", -1e20, "less than the minimum of 0"),
        (
            "i",
            1e40,
            "greater than the maximum of 170141183460469231731687303715884105727",
        ),
        (
            "j",
            1e40,
            "greater than the maximum of 340282366920938463463374607431768211455",
        ),
    ] {
        for (arguments, spelling) in [
            (json!({ name: number }), "a value"),
            (json!({ name: format!("{number:e}") }), "a string"),
        ] {
            let output = catalog.call("numbers", &arguments).await.expect("a skill");
            let text = output.to_text().into_owned();
            assert!(text.contains(most), "{spelling}: {text}");
        }
        let arguments = format!("{{\"{name}\": {number:.0}}}");
        let text = told(&catalog, "numbers", &arguments).await;
        assert!(text.contains(most), "{text}");
    }
    // In its range it may have lost digits, and at the very end of it.
    for number in [1e18, 9_223_372_036_854_775_807.0] {
        let output = catalog
            .call("numbers", json!({"g": number}))
            .await
            .expect("a skill");
        let text = output.to_text().into_owned();
        assert!(text.contains("may have lost digits"), "{text}");
    }
    assert_eq!(
        told(&catalog, "numbers", r#"{"g": "5 "}"#).await,
        "!`g`: \"5 \" is not a whole number from -9223372036854775808 to 9223372036854775807 or null: write 5 without quotes"
    );
}
