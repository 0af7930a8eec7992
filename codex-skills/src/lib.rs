//! Lend Rust functions to Codex sessions.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod skill;

pub use skill::{
    Argument, ContentItem, Explain, Location, OutputError, ParameterDescriptor, Reply, RequestId,
    Skill, SkillBuilder, SkillContext, SkillDescriptor, SkillFailure, SkillOutput, SkillSet,
    ToolCall,
};

pub use codex_skills_macros::skill;

/// A list of skills by path: functions annotated with [`#[skill]`](macro@skill), and types with an
/// annotated `impl` block.
///
/// ```
/// mod tickets {
///     /// Close a ticket.
///     #[codex_skills::skill]
///     pub fn close(id: u64) {}
/// }
///
/// let list = codex_skills::skills![tickets::close];
/// ```
#[macro_export]
macro_rules! skills {
    ($($list:tt)*) => { $crate::__private::skills_list!($crate; $($list)*) };
}

#[doc(hidden)]
pub mod __private {
    //! What the macros' output names. Not part of the public interface.

    pub use ::codex_skills_macros::skills_list;
    pub use ::inventory;
    pub use ::schemars;
    pub use ::serde;
    pub use ::serde_json;

    pub use crate::skill::arguments::{Arguments, PathError, Slot, decode_struct};
    pub use crate::skill::context::Invocation;
    pub use crate::skill::descriptor::{
        Answer, Handler, HandlerFuture, InputSchema, ParameterDescriptor, SkillList, StateKey,
        WrittenSchema,
    };
    pub use crate::skill::returned::{
        DefaultValue, Infallible, NoSchema, NotShown, Plain, ReturnType, Returned,
    };
}
