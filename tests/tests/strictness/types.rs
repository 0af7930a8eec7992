//! The family of types that arguments are decoded into: each shape that serde gives, with values of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroI8, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU128};
use std::time::Duration;

use codex_skills::{Catalog, Draft, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One type of the family.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// What serde alone reads, as `{:?}`.
    pub(crate) plain: fn(&str) -> Result<String, String>,
    /// Values of it.
    pub(crate) seeds: &'static [&'static str],
    /// Names of members and variants that only the type knows.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Whether its formats are more than words: no type reads them.
    pub(crate) asserts_formats: bool,
}

impl Member {
    /// Whether it has defaults for what may be `null`, or nothing for what it does not read: then serde's value is another
    /// one.
    pub(crate) fn changes(&self) -> bool {
        ["defaults", "flattened_maybe"].contains(&self.name)
    }
}

macro_rules! family {
    ($($name:ident: $type:ty, aliases $aliases:expr, formats $formats:expr, $seeds:expr;)*) => {
        $(
            /// Takes one value.
            #[skill(inline)]
            fn $name(v: $type) -> String {
                format!("{v:?}")
            }
        )*

        mod plain {
            use super::*;
            $(
                pub(super) fn $name(json: &str) -> Result<String, String> {
                    #[derive(Deserialize)]
                    #[serde(deny_unknown_fields)]
                    struct Arguments {
                        v: $type,
                    }
                    serde_json::from_str::<Arguments>(json)
                        .map(|read| format!("{:?}", read.v))
                        .map_err(|error| error.to_string())
                }
            )*
        }

        pub(crate) fn catalog() -> Catalog {
            Draft::new().register(skills![$($name),*]).seal().expect("a catalog")
        }

        pub(crate) const FAMILY: &[Member] = &[$(Member {
            name: stringify!($name),
            plain: plain::$name,
            seeds: &$seeds,
            aliases: &$aliases,
            asserts_formats: $formats,
        }),*];
    };
}

family! {
    signed: (i8, i16, i32, i64, i128), aliases [], formats false, ["[-1,-2,-3,-4,-5]", "[127,32767,2147483647,9223372036854775807,1]"];
    unsigned: (u8, u16, u32, u64, u128), aliases [], formats false, ["[1,2,3,4,5]", "[255,65535,4294967295,18446744073709551615,0]"];
    nonzero: NonZero, aliases [], formats false, [r#"{"a":1,"b":-1,"c":3}"#, r#"{"a":1,"c":3}"#];
    plain_struct: Page, aliases [], formats false, [r#"{"size":3,"offset":7,"label":"x"}"#, r#"{"size":3}"#];
    strict_struct: Strict, aliases [("nn", "n")], formats false, [r#"{"n":1,"label":"a","v":2.5}"#, r#"{"nn":1}"#];
    aliased: Contact, aliases [("mail", "email"), ("years", "age"), ("colour", "color"), ("red", "Red"), ("rouge", "Red")], formats false,
        [r#"{"email":"a@b","age":4,"color":"Red"}"#, r#"{"mail":"a@b","years":4,"colour":"red"}"#, r#"{"email":"a","others":[{"mail":"b"},{"email":"c","colour":"rouge"}]}"#];
    many_aliases: Many, aliases [("a1", "a"), ("b1", "b"), ("c1", "c"), ("d1", "d"), ("e1", "e"), ("f1", "f"), ("g1", "g"), ("h1", "h"), ("i1", "i"), ("j1", "j")], formats false,
        [r#"{"a1":1,"b1":2,"c1":3,"d1":4,"e1":5,"f1":6,"g1":7,"h1":8,"i1":9,"j1":10}"#, r#"{"a":1,"b":2,"c":3,"d":4,"e1":5,"f1":6,"g1":7,"h":8,"i":9,"j":10}"#];
    external: Ext, aliases [("unit", "Unit")], formats false, [r#""Unit""#, r#"{"New":1}"#, r#"{"Tup":[1,"x"]}"#, r#"{"Struct":{"a":1,"b":true}}"#, r#""unit""#];
    tagged: Shape, aliases [("round", "Circle"), ("r", "radius")], formats false,
        [r#"{"kind":"Circle","radius":1.5}"#, r#"{"kind":"Rect","w":1,"h":2}"#, r#"{"kind":"Empty"}"#, r#"{"kind":"round","r":1.5}"#, r#"{"kind":"Group","of":[{"kind":"Empty"},{"kind":"Rect","w":1,"h":2}]}"#];
    adjacent: Adjacent, aliases [("aa", "A")], formats false, [r#"{"t":"A","c":1}"#, r#"{"t":"B","c":{"s":"x"}}"#, r#"{"t":"C"}"#, r#"{"t":"D","c":[1,true]}"#, r#"{"c":1,"t":"aa"}"#];
    untagged: When, aliases [("until", "to")], formats false, [r#"{"days":3}"#, r#"{"from":"a","to":"b"}"#, r#"{"from":"a","until":"b"}"#, "[1,2]", r#""now""#, "true"];
    flattened: Listing, aliases [], formats false, [r#"{"query":"a","size":3,"offset":4,"label":"x"}"#, r#"{"query":"a","size":3}"#];
    flattened_enum: Query, aliases [], formats false, [r#"{"id":1,"kind":"Rect","w":1,"h":2}"#, r#"{"id":1,"kind":"Empty"}"#];
    flattened_map: Open, aliases [], formats false, [r#"{"id":1,"x":2,"y":3}"#, r#"{"id":1}"#];
    enum_keys: BTreeMap<Color, u8>, aliases [("red", "Red"), ("rouge", "Red")], formats false, [r#"{"Red":1,"Blue":2}"#, "{}"];
    whole_keys: BTreeMap<u8, i8>, aliases [], formats false, [r#"{"1":1,"255":2}"#, "{}"];
    signed_keys: BTreeMap<i16, i8>, aliases [], formats false, [r#"{"-1":1,"255":2}"#];
    bool_keys: BTreeMap<bool, Option<u8>>, aliases [], formats false, [r#"{"true":1,"false":null}"#];
    borrowed: (Cow<'static, str>, Box<str>, char, Option<String>), aliases [], formats false, [r#"["a","b","c","d"]"#, r#"["a","b","é",null]"#];
    lists: (Vec<u8>, [i8; 2], BTreeSet<u16>, Vec<Option<bool>>), aliases [], formats false, ["[[1,2],[3,4],[5,6],[true,null]]"];
    options: Option<Vec<Option<Page>>>, aliases [], formats false, [r#"[{"size":3},null]"#, "null"];
    defaults: Defaults, aliases [], formats false, [r#"{"a":1,"b":"x","c":[1],"d":true,"e":3}"#, r#"{"e":null}"#, "{}"];
    whole: (i8, i16, i32, u16, u32, NonZeroI8, NonZeroU16, isize, usize), aliases [], formats false,
        ["[1,2,3,4,5,6,7,8,9]", "[-128,-32768,-2147483648,65535,4294967295,-1,65535,-1,0]"];
    listed_whole: (Vec<i16>, Option<u16>, Option<NonZeroI8>, BTreeMap<String, i32>), aliases [], formats false,
        [r#"[[1,-2],3,-4,{"x":5}]"#, r#"[[],null,null,{}]"#];
    addresses: (Ipv4Addr, Ipv6Addr, IpAddr), aliases [], formats true, [r#"["127.0.0.1","::1","10.0.0.1"]"#, r#"["1.2.3.4","fe80::1","::"]"#];
    outcome: Result<u8, String>, aliases [], formats false, [r#"{"Ok":1}"#, r#"{"Err":"x"}"#];
    maybe_tagged: Option<Shape>, aliases [("round", "Circle"), ("r", "radius")], formats false, [r#"{"kind":"Rect","w":1,"h":2}"#, "null", r#"{"kind":"round","r":2}"#];
    flattened_maybe: FlatMaybe, aliases [], formats false, [r#"{"id":1,"size":3,"offset":4}"#, r#"{"id":1}"#];
    flattened_external: FlatExternal, aliases [("unit", "Unit")], formats false, [r#"{"id":1,"New":3}"#, r#"{"id":1,"Struct":{"a":1,"b":null}}"#];
    flattened_untagged: FlatUntagged, aliases [("until", "to")], formats false, [r#"{"id":1,"days":3}"#, r#"{"id":1,"from":"a","to":"b"}"#];
    flattened_twice: FlatTwice, aliases [("r", "radius")], formats false, [r#"{"id":1,"size":3,"kind":"Rect","w":1,"h":2}"#, r#"{"id":1,"size":3,"kind":"Circle","r":1}"#];
    ranged: Ranged, aliases [], formats true, [r#"{"a":1,"code":"abc","list":[1]}"#, r#"{"a":10,"code":"zz","list":[1,2,3],"d":9}"#];
    parsed: Parsed, aliases [], formats false, [r#"{"day":"2026-11-27","url":"https://a.example/"}"#, r#"{"day":"2026-11-27","url":"https://a.example/","took":{"secs":1,"nanos":2}}"#];
    newtypes: (Metres, Wrapped, Marker), aliases [], formats false, ["[1.5,{\"size\":1},null]"];
    tree: Tree, aliases [("kids", "children")], formats false, [r#"{"name":"a","children":[{"name":"b"},{"name":"c","kids":[]}]}"#];
    any_value: (serde_json::Value, u8), aliases [], formats false, [r#"[{"a":[1,2.5,null]},1]"#];
}

#[derive(Debug, Deserialize, JsonSchema)]
struct NonZero {
    a: NonZeroU8,
    b: Option<NonZeroI64>,
    c: NonZeroU128,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Page {
    size: u8,
    offset: Option<u64>,
    #[serde(default)]
    label: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(alias = "nn")]
    n: u16,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    v: f64,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
enum Color {
    #[serde(alias = "red", alias = "rouge")]
    Red,
    Green,
    Blue,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Contact {
    #[serde(alias = "mail")]
    email: String,
    #[serde(default, alias = "years")]
    age: u8,
    #[serde(alias = "colour")]
    color: Option<Color>,
    #[serde(default)]
    others: Vec<Contact>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Many {
    #[serde(alias = "a1")]
    a: u8,
    #[serde(alias = "b1")]
    b: u8,
    #[serde(alias = "c1")]
    c: u8,
    #[serde(alias = "d1")]
    d: u8,
    #[serde(alias = "e1")]
    e: u8,
    #[serde(alias = "f1")]
    f: u8,
    #[serde(alias = "g1")]
    g: u8,
    #[serde(alias = "h1")]
    h: u8,
    #[serde(alias = "i1")]
    i: u8,
    #[serde(alias = "j1")]
    j: u8,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Ext {
    #[serde(alias = "unit")]
    Unit,
    New(u8),
    Tup(u8, String),
    Struct {
        a: i8,
        b: Option<bool>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    #[serde(alias = "round")]
    Circle {
        #[serde(alias = "r")]
        radius: f64,
    },
    Rect {
        w: u8,
        h: u8,
    },
    Group {
        of: Vec<Shape>,
    },
    Empty,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    #[serde(alias = "aa")]
    A(u32),
    B {
        s: String,
    },
    C,
    D(u8, bool),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum When {
    Days {
        days: u8,
    },
    Span {
        from: String,
        #[serde(alias = "until")]
        to: String,
    },
    List(Vec<i32>),
    Text(String),
    Flag(bool),
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Listing {
    query: String,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Query {
    id: u32,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FlatMaybe {
    id: u32,
    #[serde(flatten)]
    page: Option<Page>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FlatExternal {
    id: u32,
    #[serde(flatten)]
    ext: Ext,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Span {
    Days {
        days: u8,
    },
    Dates {
        from: String,
        #[serde(alias = "until")]
        to: String,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FlatUntagged {
    id: u32,
    #[serde(flatten)]
    span: Span,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FlatTwice {
    id: u32,
    #[serde(flatten)]
    page: Page,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Open {
    id: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Defaults {
    a: u8,
    b: String,
    c: Vec<u8>,
    d: bool,
    e: Option<u8>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            a: 7,
            b: "b".to_owned(),
            c: vec![1],
            d: true,
            e: Some(5),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Ranged {
    #[schemars(range(min = 1, max = 10))]
    a: u8,
    #[schemars(regex(pattern = "^[a-z]{2,5}$"))]
    code: String,
    #[schemars(length(min = 1, max = 3))]
    list: Vec<u8>,
    #[serde(default)]
    #[schemars(range(max = 9))]
    d: u32,
    #[schemars(extend("format" = "date"))]
    day: Option<String>,
}

/// A day as a type reads it: with `-` or with `/`.
#[derive(Debug)]
struct Day(String);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_day = text.len() == 10
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"-/".contains(&byte));
        if is_day {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(format!("`{text}` is no day")))
        }
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

/// An address as a lenient type reads it: blanks are none of its business.
#[derive(Debug)]
struct Address(String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("https://") {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom(format!("`{text}` is no address")))
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Parsed {
    day: Day,
    #[schemars(with = "String", extend("format" = "uri"))]
    url: Address,
    #[serde(default)]
    took: Duration,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Metres(f64);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Wrapped {
    inner: Page,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Marker;

#[derive(Debug, Deserialize, JsonSchema)]
struct Tree {
    #[schemars(length(max = 8))]
    name: String,
    #[serde(default, alias = "kids")]
    children: Vec<Tree>,
}
