//! Which skills a session has: gathered in a [`Draft`], checked and sealed into a [`Catalog`].

mod create_time;
mod declaration;
mod draft;
mod error;
mod explain;
mod register;
mod render;
mod room;
pub(crate) mod rules;
mod seal;
mod sealed;
mod sources;
mod type_name;

pub use create_time::{CreateTime, RuntimeSync};
pub use draft::Draft;
pub use error::{CatalogError, CatalogProblem};
pub use register::{IntoDraft, IntoDraftNow, Register};
pub use sealed::{Catalog, CatalogSkill};
pub use sources::IntoSkills;

pub(crate) use register::{DraftFuture, RegisterError};
pub(crate) use room::Room;
pub(crate) use seal::most_similar;
#[cfg(feature = "embedded")]
pub(crate) use sealed::without_instructions;
pub(crate) use sealed::{Run, RunBlocking};
