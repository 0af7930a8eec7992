//! What a session refuses, said by the compiler.
//!
//! A session has methods of the names that a draft has for changes, with a bound that no session meets. So the
//! compiler says *why* a session cannot register, at the name of the method, and where to do it, instead of "no
//! method named `register`". These methods stay out of the documentation, and can never run. The bound is on a reference,
//! since rustc refuses a plain bound that cannot hold where it is written, and not where it is used.
//!
//! They are written out for each type: a macro would add its own lines to the message.

/// A catalog that can still change: a [`Draft`](crate::Draft), by reference.
#[diagnostic::on_unimplemented(
    message = "skills are registered when a session is created, and this session exists already",
    label = "the catalog of a session is sealed: codex takes tools at creation only",
    note = "register in the callback: `codex.create_session(|draft| draft.register(skills![..]))`, or `codex.lifecycle(..)`",
    note = "or name the skills in the block: `lifecycle!(codex, skills: [..], |run| {{ .. }})`",
    note = "a session with other skills is another session"
)]
pub trait CreateTime {}

/// A runtime that takes a changed catalog: there is none.
#[diagnostic::on_unimplemented(
    message = "no runtime takes a changed catalog: codex reads tools when a session is created, and never again",
    label = "catalogs are create-time only",
    note = "register all skills in the callback of `create_session` or `lifecycle`; they are declared with the session",
    note = "to send a request, use `send` or `send_and_handle`"
)]
pub trait RuntimeSync {}
