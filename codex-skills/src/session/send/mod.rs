//! Sending a request, and waiting for what comes of it.
//!
//! A request is sent on its own (`text`) or with the wait for its turn (`turn`, `wait`); both prepare it alike (`request`). Which ends
//! of a turn will do is in `statuses`, what came of it in `result`, and who watches it meanwhile in `progress`.

mod progress;
mod request;
mod result;
mod statuses;
mod text;
mod turn;
mod wait;

pub use result::{TurnIncomplete, TurnResult};
pub use statuses::IntoStatuses;
pub use text::{SendText, Sent};
pub use turn::{ReplyOptional, ReplyRequired, SendAndHandle};
