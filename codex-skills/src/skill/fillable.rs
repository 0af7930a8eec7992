//! Finds at compile time what a parameter's type lacks, and has the compiler report it at the type.
//!
//! Bounds alone would have rustc report each missing trait apart, or the outermost type instead of the one inside
//! that lacks something. So each named type is asked first. `Reads::<T>::HAS` is an inherent constant where `T`
//! deserializes, and the constant of [`Lacking`] where not; the number that comes of these questions chooses the
//! function of [`Parameter`] to call, which either has the bounds, or a bound that nothing fulfils and our message.

use std::convert::Infallible;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::arguments::Slot;

/// Asks whether a type deserializes.
pub struct Reads<T: ?Sized>(PhantomData<T>);

impl<T: DeserializeOwned> Reads<T> {
    /// It does.
    pub const HAS: u8 = 1;
}

/// Asks whether a type has a JSON schema.
pub struct Described<T: ?Sized>(PhantomData<T>);

impl<T: JsonSchema> Described<T> {
    /// It does.
    pub const HAS: u8 = 2;
}

/// The answer where it does not.
pub trait Lacking {
    /// Nothing.
    const HAS: u8 = 0;
}

impl<T: ?Sized> Lacking for Reads<T> {}
impl<T: ?Sized> Lacking for Described<T> {}

/// Returns what to report of a type, after the types inside of it were asked.
#[must_use]
pub const fn after(inside: u8, own: u8) -> u8 {
    if inside == 3 { own } else { 4 }
}

/// A type of which is known what it has: 0 nothing, 1 `Deserialize`, 2 a schema, 3 both; 4 stands for a type that has
/// one inside that lacks something. Numbers, since rustc prints them where it prints this type.
pub struct Parameter<const HAS: u8, T: ?Sized>(PhantomData<T>);

impl<T: DeserializeOwned + JsonSchema> Parameter<3, T> {
    /// The slot of a parameter of this type.
    #[must_use]
    pub const fn slot(name: &'static str, description: Option<&'static str>) -> Slot<T> {
        Slot::new(name, description)
    }

    /// Nothing is lacking.
    pub const fn check() {}
}

impl<T: ?Sized> Parameter<4, T> {
    /// A slot that stands for one that cannot be.
    #[must_use]
    pub const fn slot(name: &'static str, _: Option<&'static str>) -> Slot<T>
    where
        T: Sized,
    {
        Slot::refused(name)
    }

    /// The error is at a type inside.
    pub const fn check() {}
}

impl<T: ?Sized> Parameter<0, T> {
    /// Does not compile, and says what is missing.
    pub const fn slot(_: &'static str, _: Option<&'static str>) -> Slot<T>
    where
        T: Sized + Argument,
    {
        match T::NEVER {}
    }

    /// Does not compile, and says what is missing.
    pub const fn check()
    where
        T: Argument,
    {
    }
}

impl<T: ?Sized> Parameter<1, T> {
    /// Does not compile, and says what is missing.
    pub const fn slot(_: &'static str, _: Option<&'static str>) -> Slot<T>
    where
        T: Sized + HasSchema,
    {
        match T::NEVER {}
    }

    /// Does not compile, and says what is missing.
    pub const fn check()
    where
        T: HasSchema,
    {
    }
}

impl<T: ?Sized> Parameter<2, T> {
    /// Does not compile, and says what is missing.
    pub const fn slot(_: &'static str, _: Option<&'static str>) -> Slot<T>
    where
        T: Sized + HasDeserialize,
    {
        match T::NEVER {}
    }

    /// Does not compile, and says what is missing.
    pub const fn check()
    where
        T: HasDeserialize,
    {
    }
}

/// Types that the model can fill. Implemented by nothing: it is asked for where both traits are missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a skill",
    label = "needs `serde::Deserialize` and `schemars::JsonSchema`",
    note = "if the type is yours, add `#[derive(serde::Deserialize, schemars::JsonSchema)]` to it (of schemars 1: `cargo tree -i schemars` shows which one you have)",
    note = "if it is of another crate, enable that crate's feature `serde` and schemars' feature for the crate (`chrono04`, `uuid1`, `url2`, ..), or take a type of your own",
    note = "if the program provides the value and not the model, write `#[state]` before the parameter and take a reference"
)]
pub trait Argument {
    #[doc(hidden)]
    const NEVER: Infallible;
}

/// Types with a JSON schema. Implemented by nothing: it is asked for where the schema is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a skill: it has no JSON schema",
    label = "needs `schemars::JsonSchema`",
    note = "if the type is yours, add `#[derive(schemars::JsonSchema)]` to it (of schemars 1: `cargo tree -i schemars` shows which one you have)",
    note = "if it is of another crate, enable schemars' feature for the crate (`chrono04`, `uuid1`, `url2`, ..), or write `#[schemars(with = \"String\")]` with the type that its JSON looks like"
)]
pub trait HasSchema {
    #[doc(hidden)]
    const NEVER: Infallible;
}

/// Types that are read from JSON. Implemented by nothing: it is asked for where `Deserialize` is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a skill: it cannot be read from JSON",
    label = "needs `serde::Deserialize`",
    note = "if the type is yours, add `#[derive(serde::Deserialize)]` to it",
    note = "if it is of another crate, enable that crate's feature `serde`, or write `#[serde(with = \"..\")]` with a module that reads it"
)]
pub trait HasDeserialize {
    #[doc(hidden)]
    const NEVER: Infallible;
}
