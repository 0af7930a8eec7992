//! Which skills a session has: gathered in a [`Draft`], checked and sealed into a [`Catalog`].

mod declaration;
mod draft;
mod error;
mod explain;
mod phase;
mod render;
pub(crate) mod rules;
mod seal;
mod sealed;

pub use draft::{Draft, Drafting, IntoDraft, IntoDraftNow, IntoSkills, Register};
pub use error::{CatalogError, CatalogProblem};
pub use phase::{CreateTime, Phase, RuntimeSync, Skills};
pub use sealed::{Catalog, CatalogSkill};

pub(crate) use draft::{DraftFuture, RegisterError, Room};
pub(crate) use phase::sealed as sealed_phase;
pub(crate) use seal::most_similar;
#[cfg(feature = "embedded")]
pub(crate) use sealed::without_instructions;
pub(crate) use sealed::{Run, RunBlocking};
