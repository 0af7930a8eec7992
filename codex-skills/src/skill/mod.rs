//! Skills: their static descriptors, the decoding of their arguments, and the shape of their answers.
//! Collecting skills is left to `catalog`, calling them to `dispatch`.

pub(crate) mod arguments;
pub(crate) mod built_in;
pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod decoding;
pub(crate) mod descriptor;
pub mod documentation;
pub(crate) mod dynamic;
pub(crate) mod fillable;
pub(crate) mod output;
pub(crate) mod returned;
pub(crate) mod schema;

pub use call::{RequestId, ToolCall};
pub use context::SkillContext;
pub use descriptor::{Location, ParameterDescriptor, SkillDescriptor, SkillSet};
pub use dynamic::{FallibleFuture, Skill, SkillBuilder, SkillParent};
pub use output::{ContentItem, OutputError, SkillFailure, SkillOutput};
pub use returned::{Explain, Reply};
