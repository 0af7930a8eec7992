//! The surface of the crate without async.
//!
//! Each type and method is named as its asynchronous twin. Where that is awaited, a builder ends in
//! `wait()`, and a method without options just blocks:
//!
//! ```
//! use codex_skills::{Embedded, skill, skills};
//!
//! /// Say hello.
//! #[skill]
//! async fn greet(
//!     /// Whom to greet.
//!     name: String,
//! ) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! fn main() -> Result<(), codex_skills::Error> {
//!     let codex = Embedded::demo().blocking();
//!     let reply = codex
//!         .lifecycle(|draft| draft.register(skills![greet]))
//!         .cwd(".")
//!         .run(|run| {
//!             let sent = run.send_and_handle("Use greet for \"Ada\".").require_reply().wait()?;
//!             Ok(sent.assistant_reply)
//!         })?;
//!     assert!(reply.contains("Hello, Ada!"));
//!     Ok(())
//! }
//! ```
//!
//! [`run`](OpenLifecycle::run) is what [`lifecycle!`](crate::lifecycle) is to the async client: it closes the
//! session when the block returns, fails or panics. [`OpenLifecycle::wait`] returns the guard instead.
//!
//! # Threads
//! Skills run on two threads in the background (asynchronous ones) and on threads of their own
//! (synchronous ones), which all clients of the process share; the first wait starts them. So this works
//! outside of tokio and inside of any runtime, where it blocks the thread that calls it and whatever else
//! that thread would do. From an async function, prefer the async client.
//!
//! Two things would wait for themselves. A skill may use this module on *another* session, but a turn does
//! not end before its calls are answered: `send_and_handle` on the session whose call it answers waits until
//! the call's deadline. And a client that needs a runtime of yours (because its connection was opened
//! there) needs it to run: don't block its only thread.
//!
//! # Errors
//! All that block may fail when the background threads cannot be started, and when the thread that calls is
//! being torn down, in the destructor of a thread local.

#[cfg(feature = "app-server")]
mod app_server;
mod builder;
mod client;
mod lifecycle;
mod macros;
mod send;
mod session;
mod signals;
mod wait;

pub use builder::{CloseSession, CreateSession, OpenLifecycle, OpenSession, Shutdown};
pub use client::Client;
pub use lifecycle::Lifecycle;
pub use send::{SendAndHandle, SendText};
pub use session::Session;
pub use signals::Signals;
