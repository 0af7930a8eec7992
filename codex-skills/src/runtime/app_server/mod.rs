//! The runtime of codex app-server: a program that this client starts, or one behind a socket. Sessions are its
//! threads.
//!
//! [A chapter of the manual](crate::guide::app_server) has a program to begin with, and what can go wrong.
//
// Parts: `supervisor` keeps one connection at a time (`process` or `socket`, read and written by `transport`); `wire` reads what
// codex writes; `registry` routes it to sessions; `shared` ties both together on the reading task; `connection` matches
// requests with their answers; `server` is the seam, and `threads` has its requests; `catch_up` and `lost_send` have what follows a
// lost connection.
//
// Life cycle (`shared::State`): `open` shakes hands → Up; a lost connection → Down; a new one → Resuming (each thread is
// resumed, and the end of its turn looked up) → Up; no attempt left, or shut down → Gone. Requests wait while Down or
// Resuming, within their timeout.
//
// Invariants: a request id is meaningful on one connection (its `generation`) only, so an answer is never written to
// another one; the reading task never waits.
//
// Locks: see `shared`.

mod before;
mod catch_up;
mod child;
mod connection;
mod error;
mod intern;
mod locate;
mod lost_send;
mod options;
mod process;
mod registry;
mod server;
mod server_requests;
mod settings;
mod shared;
mod shown;
mod socket;
mod supervisor;
mod threads;
mod transport;
mod version;
mod wire;

pub use self::error::AppServerError;
pub use self::options::{ConnectAppServer, SpawnAppServer};
pub use self::server::AppServer;
pub use self::settings::RestartPolicy;
