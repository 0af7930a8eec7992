//! A value as the text of an answer: strings as they are, everything else as compact JSON.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use serde_json::Error;

use super::finite::{self, Finite, Trail};

/// A value that was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The text of a value.
    Text(String),
    /// The text of an error in place of the value: that of `Option<Result<T, E>>`, or of a `Result` in another one.
    Failure(String),
    /// The text of a value with errors in it, and what is said of them.
    Partly(String),
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
            // Keys have no place of their own.
            let reason = self.reason.to_string();
            let place = if reason.starts_with("a key of") {
                " at the root"
            } else {
                ""
            };
            write!(f, "its answer does not serialize{place}: {reason}")
        } else {
            let Self { place, reason } = self;
            write!(f, "its answer does not serialize at `{place}`: {reason}")
        }
    }
}

/// Renders a value.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<Written, Unwritten> {
    let trail = Trail::default();
    match write(value, &trail) {
        Ok((text, true)) => Ok(Written::Failure(text)),
        Ok((text, false)) => Ok(Written::Text(text)),
        Err(reason) => match trail.failed() {
            Some(error) => partly(value, &trail.path(), &error),
            None => Err(Unwritten {
                place: trail.path(),
                reason,
            }),
        },
    }
}

/// Renders a value with errors in it: the first one, how many there are besides, and all of the value, which says what
/// came of the rest.
fn partly<T: Serialize + ?Sized>(
    value: &T,
    place: &str,
    error: &str,
) -> Result<Written, Unwritten> {
    let trail = Trail::past_errors();
    let (text, _) = write(value, &trail).map_err(|reason| Unwritten {
        place: trail.path(),
        reason,
    })?;
    let more = match trail.errors() {
        0 | 1 => String::new(),
        2 => " (and 1 more error)".to_owned(),
        errors => format!(" (and {} more errors)", errors - 1),
    };
    Ok(Written::Partly(format!(
        "`{place}`: {error}{more}; its whole answer: {text}"
    )))
}

/// The text of a value, and whether it is that of an error in its place.
fn write<T: Serialize + ?Sized>(value: &T, trail: &Trail) -> Result<(String, bool), Error> {
    let mut json = serde_json::Serializer::new(Vec::new());
    let (mut bare, mut failed) = (None, false);
    value.serialize(Text {
        json: &mut json,
        trail,
        bare: &mut bare,
        failed: &mut failed,
    })?;
    let text = match bare {
        Some(text) => text,
        None => String::from_utf8(json.into_inner()).map_err(Error::custom)?,
    };
    Ok((text, failed))
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
        let failed = finite::is_error(name, variant);
        if failed || (name == "Result" && variant == "Ok") {
            *self.failed |= failed;
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
            Ok(Written::Partly(text)) => format!("PARTLY {text}"),
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
            "ERROR its answer does not serialize at `by_place`: a key of a map is an array, and the names in a JSON object are strings"
        );
        assert_eq!(
            text(BTreeMap::from([(None::<u8>, 1)])),
            "ERROR its answer does not serialize at the root: a key of a map is `null`, and the names in a JSON object are strings"
        );
        assert_eq!(
            text(vec![BTreeMap::from([((), 1)])]),
            "ERROR its answer does not serialize at `[0]`: a key of a map is `null`, and the names in a JSON object are strings"
        );
        let by_row = BTreeMap::from([(BTreeMap::from([("a", 1)]), 1)]);
        assert_eq!(
            text(by_row),
            "ERROR its answer does not serialize at the root: a key of a map is an object, and the names in a JSON object are strings"
        );
    }

    #[test]
    fn an_error_inside_is_a_failure() {
        type Inner = Result<u8, &'static str>;
        assert_eq!(text(Some(Inner::Ok(1))), "1");
        assert_eq!(text(Some(Inner::Err("bad"))), "FAILED bad");
        assert_eq!(text(Result::<Inner, u8>::Ok(Err("bad"))), "FAILED bad");
        assert_eq!(text(Result::<Inner, u8>::Err(4)), "FAILED 4");
    }

    #[test]
    fn errors_inside_of_a_value_are_named_with_their_places_beside_the_rest() {
        type Inner = Result<u8, &'static str>;
        #[derive(Serialize)]
        struct Row {
            id: u8,
            closed: Inner,
        }
        #[derive(Serialize)]
        enum Step {
            Done(Inner),
        }
        let rows = |inner| {
            vec![
                Row {
                    id: 1,
                    closed: Ok(2),
                },
                Row {
                    id: 2,
                    closed: inner,
                },
            ]
        };
        assert_eq!(
            text(vec![Inner::Ok(1), Err("bad")]),
            r#"PARTLY `[1]`: bad; its whole answer: [{"Ok":1},{"Err":"bad"}]"#
        );
        assert_eq!(
            text(vec![Inner::Err("bad"), Err("worse"), Err("worst")]),
            r#"PARTLY `[0]`: bad (and 2 more errors); its whole answer: [{"Err":"bad"},{"Err":"worse"},{"Err":"worst"}]"#
        );
        assert_eq!(
            text(rows(Err("bad"))),
            r#"PARTLY `[1].closed`: bad; its whole answer: [{"id":1,"closed":{"Ok":2}},{"id":2,"closed":{"Err":"bad"}}]"#
        );
        assert_eq!(
            text(rows(Ok(3))),
            r#"[{"id":1,"closed":{"Ok":2}},{"id":2,"closed":{"Ok":3}}]"#
        );
        assert_eq!(
            text(BTreeMap::from([("a", Some(Inner::Err("bad")))])),
            r#"PARTLY `a`: bad; its whole answer: {"a":{"Err":"bad"}}"#
        );
        assert_eq!(
            text((1, Result::<u8, (u8, u8)>::Err((4, 2)))),
            r#"PARTLY `[1]`: [4,2]; its whole answer: [1,{"Err":[4,2]}]"#
        );
        assert_eq!(
            text(Step::Done(Err("bad"))),
            r#"PARTLY `Done`: bad; its whole answer: {"Done":{"Err":"bad"}}"#
        );
        // An error that holds errors is one.
        let nested = vec![Result::<u8, Vec<Inner>>::Err(vec![Err("bad")])];
        assert!(text(nested).starts_with(r#"PARTLY `[0]`: [{"Err":"bad"}]"#));
    }
}
