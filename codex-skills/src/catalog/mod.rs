//! Which skills a session has: gathered in a [`Draft`], checked and sealed into a [`Catalog`].

mod build;
mod checks;
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
mod skill;
mod sources;
mod type_name;

pub use create_time::{CreateTime, RuntimeSync};
pub use draft::Draft;
pub use error::{CatalogError, CatalogProblem};
pub use register::{IntoDraft, IntoDraftNow, Register};
pub use sealed::Catalog;
pub use skill::CatalogSkill;
pub use sources::IntoSkills;

pub(crate) use register::{DraftFuture, RegisterError};
#[cfg(feature = "embedded")]
pub(crate) use render::without_instructions;
pub(crate) use room::Room;
pub(crate) use skill::{Run, RunBlocking};
