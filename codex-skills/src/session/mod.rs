//! Sessions: created with a catalog, sent requests, served, and cleaned up however they end.

#[cfg(feature = "app-server")]
mod app_server;
mod attach;
mod block;
mod builder;
mod cleanup;
mod client;
mod core;
mod creating;
mod deletions;
mod delivery;
mod driver;
mod duty;
#[cfg(feature = "embedded")]
mod embedded;
mod handle;
mod introduction;
mod lifecycle;
#[cfg(feature = "manager")]
mod manager;
mod past;
mod presence;
mod report;
mod requirements;
mod rescue;
mod send;
mod shared;
mod shutdown;
mod signals;
mod spans;
mod state;

pub use attach::OpenSession;
pub use builder::{CreateSession, OpenLifecycle};
pub use cleanup::CloseSession;
pub use client::Client;
pub use handle::Session;
pub use lifecycle::Lifecycle;
pub use report::CleanupReport;
pub use send::{
    IntoStatuses, ReplyOptional, ReplyRequired, SendAndHandle, SendText, Sent, TurnIncomplete,
    TurnResult,
};
pub use shutdown::{Shutdown, ShutdownReport};
pub use signals::Signals;

#[doc(hidden)]
pub use block::{AsClient, catch_panic, fallible, finish_lifecycle, returning, then_register};
