//! `#[skill]`, one file a step: what the attribute says, what the signature says, what the
//! documentation says, which names are allowed, and the code that comes of it.

pub(crate) mod args;
pub(crate) mod attribute;
pub(crate) mod derived;
pub(crate) mod docs;
pub(crate) mod duration;
pub(crate) mod expand;
pub(crate) mod json;
mod keys;
pub(crate) mod location;
pub(crate) mod names;
pub(crate) mod parameter;
pub(crate) mod signature;
pub(crate) mod slot;
