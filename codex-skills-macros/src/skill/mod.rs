//! `#[skill]`, one file a step: what the attribute says, what the signature says, what the
//! documentation says, which names are allowed, and the code that comes of it.

pub(crate) mod analysis;
mod answer;
pub(crate) mod args;
pub(crate) mod attribute;
pub(crate) mod borrowing;
mod built_in;
pub(crate) mod derived;
pub(crate) mod docs;
pub(crate) mod duration;
pub(crate) mod expand;
mod foreign;
pub(crate) mod json;
mod keys;
mod leaves;
pub(crate) mod location;
pub(crate) mod names;
pub(crate) mod parameter;
mod sections;
pub(crate) mod signature;
pub(crate) mod slot;
mod types;
