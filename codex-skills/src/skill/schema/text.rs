//! A value as the text of an answer: strings as they are, everything else as compact JSON.

use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use serde_json::Error;

/// Renders a value.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    let mut json = serde_json::Serializer::new(Vec::new());
    let mut bare = None;
    value.serialize(Text {
        json: &mut json,
        bare: &mut bare,
    })?;
    match bare {
        Some(text) => Ok(text),
        None => String::from_utf8(json.into_inner()).map_err(Error::custom),
    }
}

type Json<'a> = &'a mut serde_json::Serializer<Vec<u8>>;

/// Takes a string at the top as it is and leaves everything else to `serde_json`.
struct Text<'a> {
    json: Json<'a>,
    bare: &'a mut Option<String>,
}

macro_rules! as_json {
    ($($method:ident($($name:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method(self, $($name: $kind),*) -> Result<(), Error> {
            self.json.$method($($name),*)
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
        self.json.serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.json
            .serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        self.json.serialize_seq(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Error> {
        self.json.serialize_tuple(len)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.json.serialize_tuple_struct(name, len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.json.serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        self.json.serialize_map(len)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, Error> {
        self.json.serialize_struct(name, len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.json
            .serialize_struct_variant(name, index, variant, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_bare_and_the_rest_is_compact_json() {
        assert_eq!(to_text("a \"b\"").ok().as_deref(), Some("a \"b\""));
        assert_eq!(to_text(&Some("x")).ok().as_deref(), Some("x"));
        assert_eq!(to_text(&()).ok().as_deref(), Some("null"));
        assert_eq!(to_text(&None::<u8>).ok().as_deref(), Some("null"));
        assert_eq!(to_text(&'c').ok().as_deref(), Some("\"c\""));
        assert_eq!(
            to_text(&vec![("a", 1)]).ok().as_deref(),
            Some("[[\"a\",1]]")
        );
    }
}
