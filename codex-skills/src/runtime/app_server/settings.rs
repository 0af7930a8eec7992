//! Settings of a client: how codex is started or reached, and what is done when it is lost.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::AppServerError;
use super::process::Program;
use super::socket::Address;
use super::transport::{Drain, Source};
use super::version::Server;

/// Policy of restarts and reconnects when codex is lost.
///
/// A codex that was started is started again, and its sessions are taken up where they are on disk; a socket is
/// connected again. Delays double and are jittered.
///
/// ```
/// use std::time::Duration;
///
/// use codex_skills::app_server::RestartPolicy;
///
/// let policy = RestartPolicy { max_delay: Duration::from_secs(2), ..RestartPolicy::default() };
/// assert_eq!(policy.attempts, 8);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RestartPolicy {
    /// How often it is tried in a row; 0: never. Sessions are closed when nothing is left to try. Default: 8; of a
    /// client that connects: without end.
    pub attempts: usize,
    /// The delay before the second attempt; the first is made at once. Default: 100 milliseconds.
    pub delay: Duration,
    /// The longest delay. Default: 10 seconds.
    pub max_delay: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(10),
        }
    }
}

impl RestartPolicy {
    /// Never tries again by itself.
    #[must_use]
    pub fn never() -> Self {
        Self {
            attempts: 0,
            ..Self::default()
        }
    }
}

/// The codex that a client talks to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Program(Program),
    Socket(Address),
    Streams(Streams),
}

/// The two streams of a codex that the program started itself. They can be taken once.
#[derive(Clone)]
pub(super) struct Streams(Arc<Mutex<Option<(Source, Drain)>>>);

impl Streams {
    pub(super) fn new(source: Source, drain: Drain) -> Self {
        Self(Arc::new(Mutex::new(Some((source, drain)))))
    }

    pub(super) fn take(&self) -> Option<(Source, Drain)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

impl Target {
    /// Whether other clients may have the same threads.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Returns its address, as a user knows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Program(_) | Self::Streams(_) => "codex app-server".to_owned(),
            Self::Socket(address) => address.shown(),
        }
    }
}

/// All settings of a client.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) target: Target,
    /// Codex's home on this machine, as the program named it.
    pub(super) home: Option<PathBuf>,
    /// How long a request may take.
    pub(super) request_timeout: Duration,
    /// How long codex may take to be ready.
    pub(super) start_timeout: Duration,
    /// How long each step of ending a process may take.
    pub(super) grace: Duration,
    pub(super) restart: RestartPolicy,
    pub(super) heartbeat: Duration,
    pub(super) model: Option<String>,
    pub(super) sandbox: Option<crate::runtime::FilesystemSandbox>,
    pub(super) approval_policy: Option<crate::runtime::ApprovalPolicy>,
    pub(super) ephemeral: bool,
    pub(super) token_limit: Option<u64>,
}

impl Settings {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            home: None,
            request_timeout: Duration::from_secs(60),
            start_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(2),
            restart: RestartPolicy::default(),
            heartbeat: Duration::from_secs(15),
            model: None,
            sandbox: None,
            approval_policy: None,
            ephemeral: false,
            token_limit: None,
        }
    }

    /// Codex's home, where it may be written to: one that the program named, or that a codex was started with and says it
    /// has. What a peer names alone is none.
    pub(super) fn home(&self, server: &Server) -> Option<PathBuf> {
        if self.home.is_some() {
            return self.home.clone();
        }
        let Target::Program(program) = &self.target else {
            return None;
        };
        let inherited = program.inherited_home()?;
        let said = server.home.as_deref()?;
        is_same(&inherited, said).then_some(inherited)
    }

    pub(super) fn check(&self) -> Result<(), AppServerError> {
        let durations = [
            ("request_timeout", self.request_timeout),
            ("start_timeout", self.start_timeout),
            ("heartbeat", self.heartbeat),
        ];
        for (option, duration) in durations {
            if duration.is_zero() {
                return Err(AppServerError::InvalidOption {
                    option,
                    reason: "nothing is done in no time".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether two paths are of one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
