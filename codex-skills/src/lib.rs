#![doc = include_str!("guide/links.md")]
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! [The manual](guide) is by task; this table is by part.
//!
//! | part | begin with |
//! |---|---|
//! | writing skills | [`#[skill]`](macro@skill) and its manual, [`skills!`], [`SkillContext`], [`SkillOutput`]; from closures: [`Skill`] |
//! | which skills a session has | [`Draft`], sealed into a [`Catalog`]; what is wrong with a draft: [`CatalogError`] |
//! | sessions | [`Client`], [`lifecycle!`], [`Session`]; as a guard: [`Lifecycle`]; what a turn came to: [`TurnResult`]; the cleanup: [`CleanupReport`] |
//! | calls | [`DispatchRecord`], [`Outcome`], [`SubmissionRecord`], [`Limits`]; counted: [`Metrics`] |
//! | errors | [`Error`], and what is known of an unfinished turn: [`TurnIncomplete`] |
//! | runtimes | [`AppServer`] and [`app_server`], [`CodexManager`] and [`manager`], [`Embedded`] and [`embedded`]; of your own: [`Runtime`] and [`runtime`] |
//! | without async | [`blocking`] |
//!
//! Every future is [`Send`] (that of [`lifecycle!`] if its block is). What happens when it is dropped is said
//! at each asynchronous function, under *Cancel safety*. No call of a session depends on who waits for it:
//! once its handler runs, it is answered.
//!
//! What happens goes to [`tracing`]: [a chapter of the manual](guide::logs) has its targets and spans.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod boundary;
mod catalog;
mod dispatch;
mod drivers;
mod error;
pub mod expansion;
pub mod guide;
pub mod runtime;
mod session;
mod skill;
mod suggest;
mod withheld;

pub use catalog::{
    Catalog, CatalogError, CatalogProblem, CatalogSkill, CreateTime, Draft, IntoDraft,
    IntoDraftNow, IntoSkills, Register, RuntimeSync,
};
pub use dispatch::{
    CallError, Cut, DispatchRecord, FailedCalls, Limits, Metrics, Outcome, RetryPolicy,
    SubmissionRecord, SubmissionStatus, UndeliveredAnswers,
};
pub use error::Error;
#[cfg(feature = "app-server")]
pub use runtime::app_server::{self, AppServer};
#[cfg(feature = "embedded")]
pub use runtime::embedded::{self, Embedded};
#[cfg(feature = "manager")]
pub use runtime::manager::{self, CodexManager};
pub use runtime::{
    ApprovalPolicy, CodexReply, CodexRequest, CodexRequestKind, Event, FilesystemSandbox,
    HttpFailure, NetworkAccess, RequestHandler, Runtime, RuntimeError, RuntimeErrorKind,
    RuntimeMetrics, TokenUsage, Tokens, TurnStatus,
};
pub use session::{
    CleanupReport, Client, CloseSession, CreateSession, IntoStatuses, Lifecycle, OpenLifecycle,
    OpenSession, ReplyOptional, ReplyRequired, SendAndHandle, SendText, Sent, Session, Shutdown,
    ShutdownReport, Signals, TurnIncomplete, TurnResult,
};
pub use skill::{
    ContentItem, Explain, FallibleFuture, Location, OutputError, ParameterDescriptor, Reply,
    RequestId, Skill, SkillBuilder, SkillContext, SkillDescriptor, SkillFailure, SkillOutput,
    SkillParent, SkillSet, ToolCall,
};

/// ```
/// use codex_skills::{Draft, skill, skills};
///
/// /// Find tickets.
/// #[skill(group = "tickets", timeout = "20s", read_only)]
/// async fn find_tickets(
///     /// What to look for.
///     text: &str,
///     /// How many to find at most.
///     #[skill(default = 10)]
///     limit: u8,
///     #[state] all: &Vec<String>,
/// ) -> Vec<String> {
///     let found = all.iter().filter(|ticket| ticket.contains(text));
///     found.take(limit.into()).cloned().collect()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tickets = vec!["cold tea".to_owned(), "no milk".to_owned()];
/// let catalog = Draft::new().register(skills![find_tickets]).state(tickets).seal()?;
/// let output = catalog.call("find_tickets", serde_json::json!({"text": "tea"})).await?;
/// assert_eq!(output.to_text(), r#"["cold tea"]"#);
/// # Ok(())
/// # }
/// ```
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
///
/// A function without `#[skill]` is none, and rustc says ``expected type, found function `close` ``: annotate it.
/// Methods are listed by their type: `skills![Desk]`.
#[macro_export]
macro_rules! skills {
    ($($list:tt)*) => { $crate::__private::skills_list!($crate; $($list)*) };
}

/// Opens a session, runs a block in it, and closes it however the block ends.
///
/// `lifecycle!(codex, options, |run| { … })` is a future. `codex` is a [`Client`], `run` the open
/// session. `?` works in the block and has the error type [`Error`], unless the block says otherwise:
/// `|run| -> Result<T, MyError> { … }`, where `MyError` needs a `From<Error>`. The block may borrow from its surroundings; the future is `Send` if the block is.
///
/// The options are written `name: value`, in any order:
///
/// - `skills: [lookup, tickets::close]`, `discover: all`, `discover: "group"` and
///   `register: |draft| …` say which skills the session has; `catalog: sealed` takes a sealed catalog
///   instead. `state: value`, `state: [a, b]` and `shared_state: arc` give the state that they need,
///   `namespace: "tickets"` puts those without a namespace into one, and `require_documentation: true` refuses
///   skills without documentation.
/// - `cwd`, `model`, `approval_policy`, `network_access`, `filesystem_sandbox`, `ephemeral`, `config`, `on_request`,
///   `keep_session`, `inject_skills`, `repeat_tools`, `limits`, `call_timeout`, `max_concurrent_calls`, `whole_answers`, `ignore_cleanup_errors` and
///   `sync_runtime_on_cleanup` are those of the session's builder.
/// - `on_close: |report| …` is given the [`CleanupReport`] when the block ended. It is not called where the future is
///   dropped before: nothing waits for the cleanup then, and [`Client::shutdown`] reports on it.
///
/// ```
/// use codex_skills::{Embedded, lifecycle, skill};
///
/// /// Say hello.
/// #[skill]
/// fn greet(
///     /// Whom to greet.
///     name: String,
/// ) -> String {
///     format!("Hello, {name}!")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = Embedded::demo();
/// let reply = lifecycle!(codex, skills: [greet], cwd: ".", |run| {
///     let turn = run.send_and_handle("Please greet 'Ada'.").require_reply().await?;
///     Ok(turn.assistant_reply)
/// })
/// .await?;
/// assert_eq!(reply, "greet: Hello, Ada!");
/// assert_eq!(codex.runtime().session_count(), 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Of creating the session, of the block, and of the cleanup if `ignore_cleanup_errors: false`; the block's
/// error goes first. A panic of the block goes on after the cleanup.
///
/// # Cancel safety
/// When the future is dropped, the block is dropped too, and a background task deletes the session.
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
        AsClient, catch_panic, fallible, finish_lifecycle, returning, then_register,
    };
    pub use crate::skill::arguments::{Slot, Slots};
    pub use crate::skill::context::Invocation;
    pub use crate::skill::decoding::{PathError, decode_struct};
    pub use crate::skill::descriptor::{
        Answer, Handler, HandlerFuture, InputSchema, ParameterDescriptor, SkillList, StateKey,
        WrittenSchema,
    };
    pub use crate::skill::documentation;
    pub use crate::skill::fillable::{Described, Lacking, Parameter, Reads, after};
    pub use crate::skill::returned::{
        DefaultValue, Infallible, NoSchema, NotShown, Plain, ReturnType, Returned,
    };
}
