//! Lend Rust functions to Codex sessions.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod skill;

pub use skill::{
    Argument, ContentItem, Explain, Location, OutputError, ParameterDescriptor, Reply, RequestId,
    Skill, SkillBuilder, SkillContext, SkillDescriptor, SkillFailure, SkillOutput, SkillSet,
    ToolCall,
};

#[doc(hidden)]
pub mod __private {
    //! What the macros' output names. Not part of the public interface.

    pub use ::inventory;
    pub use ::schemars;
    pub use ::serde;
    pub use ::serde_json;

    pub use crate::skill::arguments::{Arguments, PathError, Slot, decode_struct};
    pub use crate::skill::context::Invocation;
    pub use crate::skill::descriptor::{
        Answer, Handler, HandlerFuture, InputSchema, StateKey, WrittenSchema,
    };
    pub use crate::skill::returned::{
        DefaultValue, Infallible, NoSchema, NotShown, Plain, ReturnType, Returned,
    };
}
