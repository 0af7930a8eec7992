//! Lend Rust functions to Codex sessions.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod catalog;
mod dispatch;
mod error;
pub mod runtime;
mod session;
mod skill;

pub use catalog::{
    Catalog, CatalogError, CatalogProblem, CatalogSkill, CreateTime, Draft, Drafting, IntoDraft,
    IntoDraftNow, IntoSkills, Phase, RuntimeSync, Skills,
};
pub use dispatch::{
    CallError, DispatchRecord, Limits, Outcome, RetryPolicy, SubmissionRecord, SubmissionStatus,
};
pub use error::Error;
#[cfg(feature = "embedded")]
pub use runtime::embedded::{self, Embedded};
pub use runtime::{
    ApprovalPolicy, Event, FilesystemSandbox, NetworkAccess, Runtime, RuntimeError,
    RuntimeErrorKind, TurnStatus,
};
pub use session::{
    Bound, CleanupReport, Client, CloseSession, CreateSession, IntoStatuses, Lifecycle,
    OpenLifecycle, OpenSession, ReplyOptional, ReplyRequired, SendAndHandle, SendText, Sent,
    Session, ShutdownReport, Signals, TurnIncomplete, TurnResult,
};
pub use skill::{
    Argument, ContentItem, Explain, Location, OutputError, ParameterDescriptor, Reply, RequestId,
    Skill, SkillBuilder, SkillContext, SkillDescriptor, SkillFailure, SkillOutput, SkillParent,
    SkillSet, ToolCall,
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

/// Opens a session, runs a block in it, and closes it however the block ends.
///
/// `lifecycle!(runtime, options, |run| { … })` is a future. `runtime` is a runtime or a client, `run` the
/// open session. `?` works in the block and has the error type [`Error`], unless the block says
/// otherwise: `|run| -> Result<T, MyError> { … }`. The block may borrow from its surroundings; the future is
/// `Send` if the block is.
///
/// The options are written `name: value`, in any order:
///
/// - `skills: [lookup, tickets::close]`, `discover: all`, `discover: "group"` and
///   `register: |draft| …` say which skills the session has; `catalog: sealed` takes a sealed catalog
///   instead. `state: value`, `state: [a, b]` and `shared_state: arc` give the state that they need, and
///   `require_documentation: true` refuses skills without it.
/// - `cwd`, `model`, `approval_policy`, `network_access`, `filesystem_sandbox`, `keep_session`,
///   `inject_skills`, `repeat_tools`, `call_timeout`, `max_concurrent_calls`, `ignore_cleanup_errors` and
///   `sync_runtime_on_cleanup` are those of the session's builder.
/// - `on_close: |report| …` is given the report of the cleanup.
#[macro_export]
macro_rules! lifecycle {
    ($($written:tt)*) => { $crate::__private::lifecycle_block!($crate; $($written)*) };
}

#[doc(hidden)]
pub mod __private {
    //! What the macros' output names. Not part of the public interface.

    pub use ::codex_skills_macros::{lifecycle_block, skills_list};
    pub use ::inventory;
    pub use ::schemars;
    pub use ::serde;
    pub use ::serde_json;

    pub use crate::session::{
        AsClient, catch_panic, client_of, fallible, finish_lifecycle, returning, then_register,
    };
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
