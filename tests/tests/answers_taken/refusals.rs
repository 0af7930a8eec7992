//! What only types know: `try_from`, deserializers written by hand. All that they refuse is said at once, beside what the
//! schema forbids.

use std::borrow::Cow;
use std::convert::Infallible;

use codex_skills::{Catalog, Draft, Skill, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{all, told};

/// A word that begins with `h`, as only its deserializer knows.
#[derive(Debug)]
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('h') {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(format!("{text:?} is no word")))
        }
    }
}

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number % 2 {
            0 => Ok(Self(number)),
            _ => Err(format!("{number} is odd")),
        }
    }
}

/// One of its two is needed, as only the type knows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Pair")]
#[schemars(with = "Pair")]
struct Either(Pair);

#[derive(Debug, Deserialize, JsonSchema)]
struct Pair {
    a: Option<Word>,
    b: Option<Word>,
}

impl TryFrom<Pair> for Either {
    type Error = &'static str;

    fn try_from(pair: Pair) -> Result<Self, &'static str> {
        match pair {
            Pair { a: None, b: None } => Err("one of `a` and `b` is needed"),
            pair => Ok(Self(pair)),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Inner {
    #[serde(alias = "first")]
    a: Word,
    b: Word,
    n: u8,
}

#[skill(inline)]
fn each(
    a: Word,
    n: u8,
    e: Option<Even>,
    list: Option<Vec<Word>>,
    inner: Option<Inner>,
    either: Option<Either>,
) -> String {
    format!("{a:?} {n} {e:?} {list:?} {inner:?} {either:?}")
}

/// The same in a struct that the macro makes.
#[skill(inline)]
fn derived(
    #[serde(alias = "aa")] a: Word,
    n: u8,
    e: Option<Even>,
    list: Option<Vec<Word>>,
) -> String {
    format!("{a:?} {n} {e:?} {list:?}")
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Arguments {
    a: Word,
    n: u8,
    e: Option<Even>,
    list: Option<Vec<Word>>,
}

fn catalog() -> Catalog {
    let closure = Skill::builder("closure").handler(|arguments: Arguments| async move {
        Ok::<_, Infallible>(format!("{arguments:?}"))
    });
    Draft::new()
        .register(skills![each, derived])
        .register(closure)
        .seal()
        .expect("a catalog")
}

#[tokio::test]
async fn what_types_refuse_is_said_all_at_once_with_what_the_schema_forbids() {
    for skill in ["each", "derived", "closure"] {
        all(
            &catalog(),
            &[
                (
                    skill,
                    r#"{"a": "x", "n": 1, "e": 3, "list": ["y", "h", "z"]}"#,
                    r#"!`a`: "x" is no word; `e`: 3 is odd; `list[0]`: "y" is no word; `list[2]`: "z" is no word"#,
                ),
                (
                    skill,
                    r#"{"a": "x", "n": 300, "e": 3.0, "list": ["y", 5, "z"]}"#,
                    r#"!`n`: 300 is greater than the maximum of 255; `list[1]`: 5 is not a string; `a`: "x" is no word; `e`: 3 is odd; `list[0]`: "y" is no word; `list[2]`: "z" is no word"#,
                ),
                (
                    skill,
                    r#"{"a": "x", "e": 3}"#,
                    r#"!`n` is missing: Whole number, 0 to 255; `a`: "x" is no word; `e`: 3 is odd"#,
                ),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn what_follows_from_another_mistake_is_not_said() {
    all(
        &catalog(),
        &[
            // Without its `a`, which is refused, the pair would be empty.
            ("each", r#"{"a": "h", "n": 1, "either": {"a": "x"}}"#, r#"!`either.a`: "x" is no word"#),
            ("each", r#"{"a": "h", "n": 1, "either": {"a": 5}}"#, "!`either.a`: 5 is not a string or null"),
            ("each", r#"{"a": "h", "n": 1, "either": {}}"#, "!`either`: one of `a` and `b` is needed"),
            ("each", r#"{"a": "x", "n": 1, "either": {}}"#, "!`a`: \"x\" is no word; `either`: one of `a` and `b` is needed"),
            ("each", r#"{"a": "h", "n": 1, "inner": {"a": "x", "b": "y", "n": "z"}}"#, r#"!`inner.n`: "z" is not a whole number from 0 to 255; `inner.a`: "x" is no word; `inner.b`: "y" is no word"#),
            ("each", r#"{"a": "h", "n": 1, "inner": {"a": "x", "n": 1}}"#, r#"!`inner.b` is missing; `inner.a`: "x" is no word"#),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_refused_in_a_tuple_moves_nothing() {
    // What follows it is reported only where another item can stand in its place.
    type Each = (u8, Word, Vec<Word>, [Even; 2], bool);

    #[skill(inline)]
    fn tuple(v: Each, all: Option<Vec<(Word, u8)>>) -> String {
        format!("{v:?} {all:?}")
    }

    let catalog = Draft::new()
        .register(skills![tuple])
        .seal()
        .expect("a catalog");
    all(
        &catalog,
        &[
            (
                "tuple",
                r#"{"v": [1.0, "h", ["h"], [2, 4], true]}"#,
                r#"(1, Word("h"), [Word("h")], [Even(2), Even(4)], true) None"#,
            ),
            (
                "tuple",
                r#"{"v": [300, "h", ["h"], [2, 4], true]}"#,
                "!`v[0]`: 300 is greater than the maximum of 255",
            ),
            (
                "tuple",
                r#"{"v": [1, "x", ["h", "y", "h", "z"], [2, 4], true]}"#,
                r#"!`v[1]`: "x" is no word"#,
            ),
            (
                "tuple",
                r#"{"v": [1, "h", ["h"], [3, 4], true]}"#,
                "!`v[3][0]`: 3 is odd",
            ),
            (
                "tuple",
                r#"{"v": [1, "h", ["h"], [2, 5], null]}"#,
                "!`v[4]`: null is not true or false; `v[3][1]`: 5 is odd",
            ),
            (
                "tuple",
                r#"{"v": [1, "h", [], [2, 4], true], "all": [["x", 1], ["h", 2], ["y", 3]]}"#,
                r#"!`all[0][0]`: "x" is no word; `all[2][0]`: "y" is no word"#,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn another_name_is_not_called_unknown_while_something_else_is_wrong() {
    all(
        &catalog(),
        &[
            (
                "derived",
                r#"{"aa": "h", "n": 1, "e": 3}"#,
                "!`e`: 3 is odd",
            ),
            (
                "derived",
                r#"{"aa": "h", "n": 1, "e": 300}"#,
                "!`e`: 300 is greater than the maximum of 255",
            ),
            (
                "derived",
                r#"{"aa": "x", "n": 1, "c": 1}"#,
                r#"!unknown argument `c`, expected `a`, `e`, `list`, `n`; `aa`: "x" is no word"#,
            ),
            (
                "each",
                r#"{"a": "x", "n": 1, "inner": {"first": "h", "b": "h", "n": 1}}"#,
                r#"!`a`: "x" is no word"#,
            ),
            (
                "each",
                r#"{"a": "x", "n": 1, "inner": {"first": "h", "b": "h", "n": 1, "nn": 1}}"#,
                r#"!`inner`: unknown member `nn`, did you mean `n`?; `a`: "x" is no word"#,
            ),
        ],
    )
    .await;
}

/// Each mistake of each member, with what names it.
const MEMBERS: [(&str, [(&str, &str); 4]); 4] = [
    (
        "a",
        [
            ("\"h\"", ""),
            ("\"x\"", "`a`: \"x\" is no word"),
            ("5", "`a`: 5 is not a string"),
            ("", "`a` is missing"),
        ],
    ),
    (
        "n",
        [
            ("1", ""),
            ("1e2", ""),
            ("300", "`n`: 300 is greater"),
            ("", "`n` is missing"),
        ],
    ),
    (
        "e",
        [
            ("2", ""),
            ("3", "`e`: 3 is odd"),
            ("-1", "`e`: -1 is less"),
            ("", ""),
        ],
    ),
    (
        "list",
        [
            ("[\"h\"]", ""),
            ("[\"h\",\"x\",\"y\"]", "`list[2]`: \"y\" is no word"),
            ("[1,\"x\"]", "`list[1]`: \"x\" is no word"),
            ("null", ""),
        ],
    ),
];

#[tokio::test]
async fn each_of_several_mistakes_is_named_whatever_else_is_wrong() {
    let catalog = catalog();
    for skill in ["each", "derived", "closure"] {
        for chosen in 0..256_usize {
            let (mut members, mut mistakes) = (Vec::new(), Vec::new());
            for (position, (name, values)) in MEMBERS.iter().enumerate() {
                let (value, mistake) = values[chosen >> (2 * position) & 3];
                if !value.is_empty() {
                    members.push(format!("\"{name}\":{value}"));
                }
                if !mistake.is_empty() {
                    mistakes.push(mistake);
                }
            }
            let arguments = format!("{{{}}}", members.join(","));
            let told = told(&catalog, skill, &arguments).await;
            assert_eq!(
                told.starts_with('!'),
                !mistakes.is_empty(),
                "{skill} {arguments}: {told}"
            );
            for mistake in &mistakes {
                assert_eq!(
                    told.matches(mistake).count(),
                    1,
                    "{skill} {arguments}: {told} lacks {mistake}"
                );
            }
        }
    }
}
