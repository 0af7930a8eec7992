//! A value as the text of an answer: strings as they are, everything else as compact JSON.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use serde_json::Error;

use super::finite::{Finite, Trail};

/// A value that was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The text of a value.
    Text(String),
    /// The text of an error inside the value: that of `Option<Result<T, E>>`, or of a `Result` in another one.
    Failure(String),
}

/// Reason why a value has no text, and the place.
#[derive(Debug)]
pub(crate) struct Unwritten {
    place: String,
    reason: Error,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            write!(f, "its answer does not serialize: {}", self.reason)
        } else {
            let Self { place, reason } = self;
            write!(f, "its answer does not serialize at `{place}`: {reason}")
        }
    }
}

/// Renders a value.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<Written, Unwritten> {
    let mut json = serde_json::Serializer::new(Vec::new());
    let (mut bare, mut failed) = (None, false);
    let trail = Trail::default();
    let written = value.serialize(Text {
        json: &mut json,
        trail: &trail,
        bare: &mut bare,
        failed: &mut failed,
    });
    let text = written.and_then(|()| match bare {
        Some(text) => Ok(text),
        None => String::from_utf8(json.into_inner()).map_err(Error::custom),
    });
    match text {
        Ok(text) if failed => Ok(Written::Failure(text)),
        Ok(text) => Ok(Written::Text(text)),
        Err(reason) => Err(Unwritten {
            place: trail.path(),
            reason,
        }),
    }
}

type Json<'a> = Finite<'a, &'a mut serde_json::Serializer<Vec<u8>>>;

/// Takes a string at the top as it is, looks into a `Result` there, and leaves everything else to `serde_json`.
struct Text<'a> {
    json: &'a mut serde_json::Serializer<Vec<u8>>,
    trail: &'a Trail,
    bare: &'a mut Option<String>,
    failed: &'a mut bool,
}

impl<'a> Text<'a> {
    fn json(self) -> Json<'a> {
        Finite {
            inner: self.json,
            trail: self.trail,
        }
    }
}

macro_rules! as_json {
    ($($method:ident($($name:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method(self, $($name: $kind),*) -> Result<(), Error> {
            self.json().$method($($name),*)
        })*
    };
}

impl<'a> Serializer for Text<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = <Json<'a> as Serializer>::SerializeSeq;
    type SerializeTuple = <Json<'a> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <Json<'a> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = <Json<'a> as Serializer>::SerializeTupleVariant;
    type SerializeMap = <Json<'a> as Serializer>::SerializeMap;
    type SerializeStruct = <Json<'a> as Serializer>::SerializeStruct;
    type SerializeStructVariant = <Json<'a> as Serializer>::SerializeStructVariant;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        *self.bare = Some(text.to_owned());
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    as_json! {
        serialize_bool(v: bool),
        serialize_i8(v: i8),
        serialize_i16(v: i16),
        serialize_i32(v: i32),
        serialize_i64(v: i64),
        serialize_i128(v: i128),
        serialize_u8(v: u8),
        serialize_u16(v: u16),
        serialize_u32(v: u32),
        serialize_u64(v: u64),
        serialize_u128(v: u128),
        serialize_f32(v: f32),
        serialize_f64(v: f64),
        serialize_char(v: char),
        serialize_bytes(v: &[u8]),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(name: &'static str),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.json().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        // As the standard library writes a `Result`.
        if name == "Result" && (variant == "Ok" || variant == "Err") {
            *self.failed |= variant == "Err";
            return value.serialize(self);
        }
        self.json()
            .serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        self.json().serialize_seq(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Error> {
        self.json().serialize_tuple(len)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.json().serialize_tuple_struct(name, len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.json()
            .serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        self.json().serialize_map(len)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, Error> {
        self.json().serialize_struct(name, len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.json()
            .serialize_struct_variant(name, index, variant, len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    fn text(value: impl Serialize) -> String {
        match to_text(&value) {
            Ok(Written::Text(text)) => text,
            Ok(Written::Failure(text)) => format!("FAILED {text}"),
            Err(error) => format!("ERROR {error}"),
        }
    }

    #[derive(Serialize)]
    struct Stats {
        mean: f64,
        parts: Vec<f32>,
    }

    #[derive(Serialize)]
    enum Shape {
        Circle(f64),
        Line(f64, f64),
        Rect { w: f64 },
    }

    #[derive(Serialize)]
    struct Meters(f64);

    #[test]
    fn strings_are_bare_and_the_rest_is_compact_json() {
        assert_eq!(text("a \"b\""), "a \"b\"");
        assert_eq!(text(Some("x")), "x");
        assert_eq!(text(()), "null");
        assert_eq!(text(None::<u8>), "null");
        assert_eq!(text('c'), "\"c\"");
        assert_eq!(text(vec![("a", 1)]), "[[\"a\",1]]");
        assert_eq!(text(1.5), "1.5");
        assert_eq!(text(u128::MAX), u128::MAX.to_string());
        assert_eq!(text(Shape::Rect { w: 1.0 }), r#"{"Rect":{"w":1.0}}"#);
        let value = serde_json::json!({"a": [1, null, {"b": 1.5}]});
        assert_eq!(text(&value), value.to_string());
        let raw = serde_json::value::RawValue::from_string("[1, 2]".to_owned());
        assert_eq!(text(raw.ok()), "[1, 2]");
    }

    #[test]
    fn numbers_that_json_lacks_are_named_with_their_place() {
        let no_number = |number: &str, place: &str| {
            let at = if place.is_empty() {
                String::new()
            } else {
                format!(" at `{place}`")
            };
            format!(
                "ERROR its answer does not serialize{at}: {number} is no number that JSON has: answer with `null`, or fail and say why"
            )
        };
        let stats = |mean, part| Stats {
            mean,
            parts: vec![0.0, part],
        };
        assert_eq!(text(f64::NAN), no_number("NaN", ""));
        assert_eq!(text(Some(f32::INFINITY)), no_number("infinity", ""));
        assert_eq!(text(Meters(f64::NEG_INFINITY)), no_number("-infinity", ""));
        assert_eq!(text(stats(f64::NAN, 0.0)), no_number("NaN", "mean"));
        assert_eq!(
            text(vec![stats(0.0, f32::NAN)]),
            no_number("NaN", "[0].parts[1]")
        );
        assert_eq!(text((1, f64::NAN)), no_number("NaN", "[1]"));
        assert_eq!(text(Shape::Circle(f64::NAN)), no_number("NaN", "Circle"));
        assert_eq!(
            text(Shape::Line(0.0, f64::NAN)),
            no_number("NaN", "Line[1]")
        );
        assert_eq!(
            text(Shape::Rect { w: f64::NAN }),
            no_number("NaN", "Rect.w")
        );
        let by_name = BTreeMap::from([("a", vec![1.0]), ("b", vec![f64::NAN])]);
        assert_eq!(text(by_name), no_number("NaN", "b[0]"));
        assert_eq!(text(BTreeMap::from([(7, f64::NAN)])), no_number("NaN", "7"));
    }

    #[test]
    fn keys_are_texts_numbers_booleans_and_words_or_an_error() {
        #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
        enum Level {
            Low,
        }
        assert_eq!(text(BTreeMap::from([(1_u8, "a")])), r#"{"1":"a"}"#);
        assert_eq!(text(BTreeMap::from([(true, "a")])), r#"{"true":"a"}"#);
        assert_eq!(text(BTreeMap::from([(Level::Low, "a")])), r#"{"Low":"a"}"#);
        let pairs = HashMap::from([((1, 2), 3)]);
        assert_eq!(
            text(BTreeMap::from([("by_place", pairs)])),
            "ERROR its answer does not serialize at `by_place`: a key of a map is an array or an object, and the names in a JSON object are texts"
        );
    }

    #[test]
    fn an_error_inside_is_a_failure() {
        type Inner = Result<u8, &'static str>;
        assert_eq!(text(Some(Inner::Ok(1))), "1");
        assert_eq!(text(Some(Inner::Err("bad"))), "FAILED bad");
        assert_eq!(text(Result::<Inner, u8>::Ok(Err("bad"))), "FAILED bad");
        assert_eq!(text(Result::<Inner, u8>::Err(4)), "FAILED 4");
        // In a list, it is one of several things to tell.
        assert_eq!(text(vec![Inner::Err("bad")]), r#"[{"Err":"bad"}]"#);
    }
}
