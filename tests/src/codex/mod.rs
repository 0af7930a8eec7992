//! The real codex: where it is installed, a home of its own for each test, and the smallest client that there can be.

mod home;
mod installed;
mod process;
mod raw;
mod versions;

use std::time::Duration;

pub use self::home::Home;
pub use self::installed::Codex;
pub use self::process::{Process, Server};
pub use self::raw::{RawClient, Refusal, Turn};
pub use self::versions::{CURRENT, OLD, PREVIOUS};

/// How long a test waits for what must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
