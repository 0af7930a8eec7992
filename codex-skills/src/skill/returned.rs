//! From the value a handler returns to an answer, and to the schema of that value.
//!
//! The macros know a return type only as tokens, so the choice between `Result` and plain values is
//! left to method resolution: an inherent method for `Result` wins over the trait's for anything
//! else. The type parameter `Via` on the traits makes the compiler name *our* trait, with our
//! message, when nothing fits.

use std::fmt::{self, Display};
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::descriptor::Answer;
use super::output::{SkillFailure, SkillOutput};
use super::schema::text::{Written, to_text};

/// Marks the way in which a type fulfils [`Reply`] or [`Explain`].
#[derive(Debug)]
pub struct Standard;
/// Marks the answer type that is taken as it is.
#[derive(Debug)]
pub struct Verbatim;
/// Marks an implementation that applies to no type. Beside it, the compiler has a choice, so that it names the trait and
/// our message instead of what the only other implementation asks for.
#[derive(Debug)]
pub struct Inapplicable;
/// Implemented by no type.
pub trait Never {}

/// Values that a skill can answer with: everything that serializes, and [`SkillOutput`].
///
/// Strings are sent as they are, `()` and `None` as `null`, other values as compact JSON. A number that JSON does
/// not have (NaN, infinity), and the key of a map that is no text, number, boolean or word, make the call a failure
/// that names the place.
///
/// An error of a `Result` inside of an answer never reads as success. Where it is all of the answer (`Result` in an
/// `Option`, a `Box` or another `Result`), the call fails with it, as with the `Result` that the skill returns; the macro
/// refuses to compile those that it sees, since `Result<Option<T>, E>` says the same. Where it is one of several values
/// (`Vec<Result<T, E>>`, a map, a field), the call is a failure in part, which names the first error, counts the others and
/// has all of the answer. Where errors are nothing but data, answer with an enum of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of a skill",
    label = "neither `serde::Serialize` nor `SkillOutput`",
    note = "if the type, or the one inside of it, is yours, add `#[derive(serde::Serialize)]` to it",
    note = "for images, audio or several items return `codex_skills::SkillOutput`"
)]
pub trait Reply<Via>: Sized {
    /// Turns the value into an answer.
    ///
    /// # Errors
    /// When the value does not serialize, or is an error.
    fn into_answer(self) -> Result<SkillOutput, SkillFailure>;
}

impl<T: Serialize> Reply<Standard> for T {
    fn into_answer(self) -> Answer {
        match to_text(&self) {
            Ok(Written::Text(text)) => Ok(SkillOutput::text(text)),
            Ok(Written::Failure(text)) => Err(SkillFailure::handler(text)),
            Ok(Written::Partly(text)) => Err(SkillFailure::partly(text)),
            Err(error) => Err(SkillFailure::handler(error.to_string())),
        }
    }
}

#[diagnostic::do_not_recommend]
impl Reply<Verbatim> for SkillOutput {
    fn into_answer(self) -> Answer {
        Ok(self)
    }
}

impl<T: Never> Reply<Inapplicable> for T {
    fn into_answer(self) -> Answer {
        Ok(SkillOutput::new())
    }
}

/// Errors that can be shown to the model: everything that implements `Display`.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` cannot be told to the model",
    label = "needs `std::fmt::Display`",
    note = "the model reads the error's `Display` text; `#[derive(thiserror::Error)]` writes one"
)]
pub trait Explain<Via> {
    /// The text for the model.
    fn explain(&self) -> String;
}

impl<E: Display> Explain<Standard> for E {
    fn explain(&self) -> String {
        self.to_string()
    }
}

impl<E: Never> Explain<Inapplicable> for E {
    fn explain(&self) -> String {
        String::new()
    }
}

/// A handler's return value.
pub struct Returned<T>(pub T);

/// Without the value, which is an answer.
impl<T> fmt::Debug for Returned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned(..)")
    }
}

impl<T, E> Returned<Result<T, E>> {
    /// The answer of a fallible handler.
    ///
    /// # Errors
    /// When the handler failed or its value does not serialize.
    pub fn answer<V, W>(self) -> Answer
    where
        T: Reply<V>,
        E: Explain<W>,
    {
        match self.0 {
            Ok(value) => value.into_answer(),
            Err(error) => Err(SkillFailure::handler(error.explain())),
        }
    }
}

/// Answers of handlers that do not return a `Result`.
pub trait Infallible<T> {
    /// The answer.
    ///
    /// # Errors
    /// When the value does not serialize.
    fn answer<V>(self) -> Answer
    where
        T: Reply<V>;
}

impl<T> Infallible<T> for Returned<T> {
    fn answer<V>(self) -> Answer
    where
        T: Reply<V>,
    {
        self.0.into_answer()
    }
}

/// A return type, as the macro wrote it down. Its `schema` is that of a successful answer.
#[derive(Debug)]
pub struct ReturnType<T>(PhantomData<T>);

impl<T> ReturnType<T> {
    /// Names the type.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macros call it")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: JsonSchema, E> ReturnType<Result<T, E>> {
    /// The schema of the value of a fallible handler, with or without one of its error.
    #[must_use]
    pub fn schema(self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

/// Return types with a schema that are no `Result`.
pub trait Plain {
    /// The schema of the answer.
    #[must_use]
    fn schema(self, generator: &mut SchemaGenerator) -> Option<Schema>;
}

impl<T: JsonSchema> Plain for ReturnType<T> {
    fn schema(self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

/// Return types without a schema: looked for by reference, after all others.
pub trait NoSchema: Sized {
    /// None.
    #[must_use]
    fn schema(self, _: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

impl<T> NoSchema for &ReturnType<T> {}

/// A default value, to be shown in the schema when it serializes.
#[derive(Debug)]
pub struct DefaultValue<T>(pub T);

impl<T: Serialize> DefaultValue<T> {
    /// The value as JSON.
    pub fn shown(self) -> Option<serde_json::Value> {
        serde_json::to_value(self.0).ok()
    }
}

/// Defaults that cannot be shown.
pub trait NotShown: Sized {
    /// None.
    fn shown(self) -> Option<serde_json::Value> {
        None
    }
}

impl<T> NotShown for DefaultValue<T> {}
