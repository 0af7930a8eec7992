//! A serializer around another one that refuses what JSON has no word for, where `serde_json` writes `null`, and
//! remembers the place of what could not be written.
//!
//! The place is kept while an error comes back up, so that a value that can be written costs nothing more.

use std::cell::{Cell, RefCell};
use std::fmt::{Display, Write as _};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Reason of `serde_json` when the key of a map is `null`, an array or an object.
const NO_KEY: &str = "key must be a string";

/// Place of what could not be written, from the inside out, and the errors that are values inside.
#[derive(Debug, Default)]
pub(super) struct Trail {
    steps: RefCell<Vec<Step>>,
    /// The text of the error that stopped the writing.
    failed: RefCell<Option<String>>,
    /// Whether errors inside are written as the values that they are, and counted.
    takes_errors: bool,
    errors: Cell<usize>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl Trail {
    /// A trail past the errors inside.
    pub(super) fn past_errors() -> Self {
        Self {
            takes_errors: true,
            ..Self::default()
        }
    }

    /// The number of errors inside that were passed.
    pub(super) fn errors(&self) -> usize {
        self.errors.get()
    }

    /// The text of the error inside that stopped the writing.
    pub(super) fn failed(&self) -> Option<String> {
        self.failed.take()
    }

    fn push(&self, step: impl FnOnce() -> Step) {
        // A serializer that is called by a serializer only takes turns with it.
        if let Ok(mut steps) = self.steps.try_borrow_mut() {
            steps.push(step());
        }
    }

    /// Notes an error inside.
    ///
    /// # Errors
    /// Unless errors are written as values.
    fn meet<T: Serialize + ?Sized, E: serde::ser::Error>(&self, value: &T) -> Result<(), E> {
        self.errors.set(self.errors.get() + 1);
        if self.takes_errors {
            return Ok(());
        }
        self.failed.replace(Some(text_of(value)));
        Err(E::custom("an error is inside"))
    }

    /// Returns the place as a path, `rows[3].mean`; empty at the root.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.borrow().iter().rev() {
            // Writing to a string does not fail.
            let _ = match step {
                Step::Member(name) if path.is_empty() => write!(path, "{name}"),
                Step::Member(name) => write!(path, ".{name}"),
                Step::Item(at) => write!(path, "[{at}]"),
            };
        }
        path
    }
}

/// A serializer whose numbers are finite.
pub(super) struct Finite<'a, S> {
    pub(super) inner: S,
    pub(super) trail: &'a Trail,
}

/// A value inside another one.
struct Within<'a, T: ?Sized> {
    value: &'a T,
    trail: &'a Trail,
}

impl<T: Serialize + ?Sized> Serialize for Within<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Finite {
            inner: serializer,
            trail: self.trail,
        })
    }
}

fn infinite<E: serde::ser::Error>(number: f64) -> E {
    let number = match number {
        number if number.is_nan() => "NaN",
        number if number > 0.0 => "infinity",
        _ => "-infinity",
    };
    E::custom(format_args!(
        "{number} is no number that JSON has: answer with `null`, or fail and say why"
    ))
}

macro_rules! as_they_are {
    ($($method:ident($($name:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method(self, $($name: $kind),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($name),*)
        })*
    };
}

macro_rules! compounds {
    ($($method:ident($($name:ident: $kind:ty),*) -> $compound:ident),* $(,)?) => {
        $(fn $method(self, $($name: $kind),*) -> Result<Self::$compound, S::Error> {
            Ok(Compound::new(self.inner.$method($($name),*)?, self.trail, None))
        })*
    };
}

impl<'a, S: Serializer> Serializer for Finite<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    as_they_are! {
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
        serialize_char(v: char),
        serialize_str(v: &str),
        serialize_bytes(v: &[u8]),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(name: &'static str),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    }

    compounds! {
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
    }

    fn serialize_f32(self, v: f32) -> Result<S::Ok, S::Error> {
        if v.is_finite() {
            self.inner.serialize_f32(v)
        } else {
            Err(infinite(v.into()))
        }
    }

    fn serialize_f64(self, v: f64) -> Result<S::Ok, S::Error> {
        if v.is_finite() {
            self.inner.serialize_f64(v)
        } else {
            Err(infinite(v))
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let trail = self.trail;
        self.inner.serialize_some(&Within { value, trail })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let trail = self.trail;
        self.inner
            .serialize_newtype_struct(name, &Within { value, trail })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let trail = self.trail;
        if is_error(name, variant) {
            trail.meet(value)?;
        }
        let value = Within { value, trail };
        let written = self
            .inner
            .serialize_newtype_variant(name, index, variant, &value);
        written.inspect_err(|_| trail.push(|| Step::Member(variant.to_owned())))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self
            .inner
            .serialize_tuple_variant(name, index, variant, len)?;
        Ok(Compound::new(inner, self.trail, Some(variant)))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self
            .inner
            .serialize_struct_variant(name, index, variant, len)?;
        Ok(Compound::new(inner, self.trail, Some(variant)))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// What has members: a list, a map, a structure, a variant of these.
pub(super) struct Compound<'a, C> {
    inner: C,
    trail: &'a Trail,
    /// Position of the next item.
    at: usize,
    variant: Option<&'static str>,
}

impl<'a, C> Compound<'a, C> {
    fn new(inner: C, trail: &'a Trail, variant: Option<&'static str>) -> Self {
        Self {
            inner,
            trail,
            at: 0,
            variant,
        }
    }

    /// Notes the place of a member that could not be written.
    fn noted<T, E>(&self, written: Result<T, E>, step: impl FnOnce() -> Step) -> Result<T, E> {
        written.inspect_err(|_| {
            self.trail.push(step);
            if let Some(variant) = self.variant {
                self.trail.push(|| Step::Member(variant.to_owned()));
            }
        })
    }
}

macro_rules! items {
    ($($compound:ident::$method:ident),* $(,)?) => {
        $(impl<C: $compound> $compound for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let (at, trail) = (self.at, self.trail);
                self.at += 1;
                let written = self.inner.$method(&Within { value, trail });
                self.noted(written, || Step::Item(at))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

macro_rules! fields {
    ($($compound:ident),* $(,)?) => {
        $(impl<C: $compound> $compound for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let trail = self.trail;
                let written = self.inner.serialize_field(key, &Within { value, trail });
                self.noted(written, || Step::Member(key.to_owned()))
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner
            .serialize_key(key)
            .map_err(|error| of_a_key(key, error))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let (at, trail) = (self.at, self.trail);
        self.at += 1;
        let written = self.inner.serialize_value(&Within { value, trail });
        self.noted(written, || Step::Item(at))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.serialize_key(key)?;
        let trail = self.trail;
        let written = self.inner.serialize_value(&Within { value, trail });
        self.noted(written, || Step::Member(name_of(key)))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

/// Whether a variant is the error of a `Result`, as the standard library writes it.
pub(super) fn is_error(name: &str, variant: &str) -> bool {
    name == "Result" && variant == "Err"
}

/// An error as a text: itself where it is one, else its JSON.
fn text_of(value: &(impl Serialize + ?Sized)) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The error of a key, said in words of JSON where `serde_json` says its own.
fn of_a_key<E: serde::ser::Error>(key: &(impl Serialize + ?Sized), error: E) -> E {
    let said = error.to_string();
    if said == NO_KEY {
        let kind = match serde_json::to_value(key) {
            Ok(serde_json::Value::Null) => "`null`",
            Ok(serde_json::Value::Array(_)) => "an array",
            Ok(serde_json::Value::Object(_)) => "an object",
            _ => "an array or an object",
        };
        return E::custom(format_args!(
            "a key of a map is {kind}, and the names in a JSON object are strings"
        ));
    }
    if said.starts_with("float key") {
        return E::custom("a key of a map is NaN or infinity, which JSON does not have");
    }
    error
}

/// A key that was written, for a path.
fn name_of(key: &(impl Serialize + ?Sized)) -> String {
    let written = serde_json::to_string(key).unwrap_or_default();
    written.trim_matches('"').to_owned()
}
