//! The names that code expanded from `#[skill]` and `lifecycle!` uses: a key to the compiler's messages.
//!
//! A program names none of these; it reads them where a message ends with "required by a bound in ...". What to do is
//! said at the message's beginning and in its notes.
//!
//! | name in a message | what the compiler checks |
//! |---|---|
//! | [`Parameter`] | whether the model can fill a parameter of this type: `serde::Deserialize` and `schemars::JsonSchema` |
//! | [`Argument`], [`HasDeserialize`], [`HasSchema`] | the trait that it lacks: both, the first, the second |
//! | [`Returned`], [`Infallible`] | whether a value can be an answer ([`Reply`](crate::Reply)), and an error be explained ([`Explain`](crate::Explain)) |
//! | [`StateKey`] | whether a `#[state]` can be shared between threads: `Send + Sync + 'static` |
//! | [`Invocation`], [`CallContext`] | whether a `#[context]` is a [`SkillContext`](crate::SkillContext) |
//! | [`WrittenSchema`] | whether an `input_schema` is JSON text, a `serde_json::Value` or a `schemars::Schema` |
//! | [`SkillList`] | the value of [`skills!`](crate::skills), which [`Draft::register`](crate::Draft::register) takes |
//! | [`AsClient`] | whether `lifecycle!` begins with a [`Client`](crate::Client) |
//! | [`CreateTime`](crate::CreateTime), [`RuntimeSync`](crate::RuntimeSync) | whether a catalog can still change: a draft's can, a session's cannot |
//!
//! These items follow the macros of the same version, and change with them: a change here is no breaking change.

pub use crate::session::AsClient;
pub use crate::skill::context::{CallContext, Invocation};
pub use crate::skill::descriptor::{SkillList, StateKey, WrittenSchema};
pub use crate::skill::fillable::{Argument, HasDeserialize, HasSchema, Parameter};
pub use crate::skill::returned::{Infallible, Returned};
