//! The settings of a client of codex-manager, and the runtime made with them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::CodexManager;
use super::address;
use super::answer::Outage;
use super::aside::Aside;
use super::http::{Http, Way};
use super::link::{LinkConfig, LinkState, PULSE};
use super::profile::{self, ProfileError, Settings};
use super::server_requests::Asked;
use super::shared::{ADOPTING, Shared};
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::peer::Sparse;

/// codex-manager's limit of a request's body (contract §9.6), less the envelope of an answer.
const ANSWER_BYTES: usize = 1024 * 1024 - 64;

/// The largest message of the stream that is read, in bytes.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// The largest answer with all of a session that is read, in bytes.
const HISTORY_BYTES: usize = 64 * 1024 * 1024;

/// The settings of a client that was not made yet.
///
/// ```
/// # fn main() -> Result<(), codex_skills::Error> {
/// use std::time::Duration;
///
/// use codex_skills::CodexManager;
///
/// let codex = CodexManager::builder()
///     .base_url("https://codex.example.org")
///     .bearer("a token")
///     .timeout(Duration::from_secs(10))
///     .ignore_env()
///     .build()?;
/// assert!(!format!("{codex:?}").contains("a token"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "`build` makes the client"]
pub struct CodexManagerBuilder {
    profile: Option<String>,
    profile_path: Option<PathBuf>,
    base_url: Option<Url>,
    api_prefix: Option<String>,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    bearer: Option<Secret>,
    rbac_token: Option<Secret>,
    rbac_role: Option<String>,
    rbac_actor: Option<String>,
    headers: Vec<(String, Secret)>,
    answer_bytes: Option<usize>,
    message_bytes: Option<usize>,
    history_bytes: Option<usize>,
    stream_per_session: bool,
    link: LinkConfig,
    proxy: Option<Secret>,
    system_proxy: bool,
    ignore_env: bool,
}

/// An address, which may have a password in it.
#[derive(Clone)]
struct Url(String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", profile::shown(&self.0))
    }
}

#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl CodexManagerBuilder {
    /// The profile; without one the file's current profile.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    /// Another profile file. Beside it, in `codex-skills.jsonl`, is kept which catalogs sessions were created with, so
    /// that another catalog is refused when they are opened again; where its folder does not exist, nothing is kept.
    pub fn profile_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.profile_path = Some(path.into());
        self
    }

    /// The address, like `http://127.0.0.1:3001`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(Url(url.into()));
        self
    }

    /// The beginning of all paths. Default: `/api`, as the server's.
    pub fn api_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.api_prefix = Some(prefix.into());
        self
    }

    /// How long a request may take, 30 seconds unless a profile says otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long connecting may take; 5 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// A bearer token. It is sent to the server's address only. Over plain HTTP off this machine it can be read on the
    /// way: a warning says so.
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(Secret(token.into()));
        self
    }

    /// Token, role and actor for the routes that codex-manager guards by roles.
    pub fn rbac(
        mut self,
        token: impl Into<String>,
        role: impl Into<String>,
        actor: impl Into<String>,
    ) -> Self {
        self.rbac_token = Some(Secret(token.into()));
        self.rbac_role = Some(role.into());
        self.rbac_actor = Some(actor.into());
        self
    }

    /// A header for every request and for the stream.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Secret(value.into())));
        self
    }

    /// The server's limit of an answer in bytes. Default: 1 MiB, as the server's.
    pub fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_bytes = Some(bytes);
        self
    }

    /// The largest message of the stream that is read, in bytes; 64 MiB.
    ///
    /// A larger message cannot be skipped: it costs the connection, which is made anew at once, and what was
    /// missed meanwhile is caught up with. So a call, or the end of a turn, that was too large for the stream
    /// is found all the same, a moment later: answers to requests have a [limit](Self::history_limit) of their own.
    pub fn message_limit(mut self, bytes: usize) -> Self {
        self.message_bytes = Some(bytes);
        self
    }

    /// The largest answer to a request that has all of a session, or the arguments of the calls that wait, in bytes; 64 MiB.
    ///
    /// A larger one is not read. Then the end of a turn that the stream did not bring is not found, nor are waiting
    /// calls, or the turn of a request whose answer was lost. A session is resumed all the same.
    pub fn history_limit(mut self, bytes: usize) -> Self {
        self.history_bytes = Some(bytes);
        self
    }

    /// Opens a WebSocket for each session, with `?threadId=` in its address, in place of one for all: for
    /// proxies that lead sessions to servers of their own, or let no other stream through.
    ///
    /// Such a stream does not have the calls of sub-agents, which are other threads. Each gets a stream of
    /// its own as soon as its parent's tells of it, and sessions with an active turn are asked for others
    /// after each silence of [`poll_intervals`](Self::poll_intervals). So the first call of a sub-agent may
    /// be found some seconds late, but is not lost.
    pub fn stream_per_session(mut self, per_session: bool) -> Self {
        self.stream_per_session = per_session;
        self
    }

    /// The silence after which the stream is pinged, 15 seconds; after almost three times as long it is replaced.
    pub fn heartbeat(mut self, silence: Duration) -> Self {
        self.link.heartbeat = silence;
        self.link.dead_after = silence.saturating_mul(8) / 3;
        self
    }

    /// The delays before the stream is opened again: the first one (100 milliseconds), which doubles each time, and the
    /// longest (10 seconds). They are jittered.
    pub fn reconnect_delays(mut self, first: Duration, longest: Duration) -> Self {
        self.link.backoff = first;
        self.link.max_backoff = longest;
        self
    }

    /// How often sessions with an active turn are asked about while the stream is down (1 second), and
    /// after how long a silence while it is up (10 seconds): a frame may have been lost on the way.
    pub fn poll_intervals(mut self, down: Duration, silence: Duration) -> Self {
        self.link.poll = down.max(Duration::from_millis(1));
        self.link.recheck = silence.max(Duration::from_millis(1));
        self.link.pulse = self.link.recheck.min(PULSE);
        self
    }

    /// Sends requests and the stream through a proxy, like `http://proxy.example:3128`. None is used unless one is set
    /// here or asked for with [`system_proxy`](Self::system_proxy), and a server on this machine is always
    /// reached without.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(Secret(url.into()));
        self
    }

    /// Whether requests and the stream go through the proxy that the environment (`HTTP_PROXY`, `HTTPS_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`) or the system names. Default: they do not.
    pub fn system_proxy(mut self, system_proxy: bool) -> Self {
        self.system_proxy = system_proxy;
        self
    }

    /// Leaves the environment out.
    pub fn ignore_env(mut self) -> Self {
        self.ignore_env = true;
        self
    }

    /// The runtime with these settings.
    pub(crate) fn into_runtime(self) -> Result<CodexManager, ProfileError> {
        let variable = |name: &str| std::env::var(name).ok();
        let is_named = self.profile_path.is_some();
        let path = self
            .profile_path
            .unwrap_or_else(|| profile::default_path(&variable));
        let fingerprints = fingerprints_beside(&path, is_named);
        let mut settings = Settings::of_profile(self.profile.as_deref(), &path)?;
        if !self.ignore_env {
            settings = settings.with_env(&variable)?;
        }
        if let Some(url) = self.base_url {
            settings.base_url = profile::base_url(&url.0, "CodexManagerBuilder::base_url")?;
        }
        if let Some(prefix) = self.api_prefix {
            settings.api_prefix = profile::api_prefix(&prefix);
        }
        if let Some(timeout) = self.timeout {
            settings.timeout = timeout;
        }
        let secret = |secret: Option<Secret>| secret.map(|secret| secret.0);
        settings.bearer = secret(self.bearer).or(settings.bearer);
        settings.rbac_token = secret(self.rbac_token).or(settings.rbac_token);
        settings.rbac_role = self.rbac_role.or(settings.rbac_role);
        settings.rbac_actor = self.rbac_actor.or(settings.rbac_actor);
        settings.headers.extend(
            self.headers
                .into_iter()
                .map(|(name, value)| (name, value.0)),
        );
        address::warn_off_loopback(&settings);
        let connect_timeout = self.connect_timeout.unwrap_or(Duration::from_secs(5));
        let way = Way {
            proxy: secret(self.proxy),
            system_proxy: self.system_proxy,
        };
        let answer_bytes = self.answer_bytes.unwrap_or(ANSWER_BYTES);
        let history_bytes = self.history_bytes.unwrap_or(HISTORY_BYTES);
        let http = Http::new(
            &settings,
            &way,
            connect_timeout,
            answer_bytes,
            history_bytes,
        )?;
        Ok(CodexManager {
            shared: Arc::new(Shared {
                http,
                settings,
                fingerprints,
                link: self.link,
                connect_timeout,
                answer_bytes,
                message_bytes: self.message_bytes.unwrap_or(MESSAGE_BYTES),
                stream_per_session: self.stream_per_session,
                sockets: Mutex::default(),
                why_down: Mutex::default(),
                threads: Notify::new(),
                registry: Mutex::default(),
                asked: Asked::default(),
                outage: Outage::default(),
                state: watch::Sender::new(LinkState::Connecting),
                generation: AtomicU64::new(0),
                unnamed: AtomicU64::new(0),
                reconnects: AtomicU64::new(0),
                malformed: AtomicU64::new(0),
                adopting: Arc::new(Semaphore::new(ADOPTING)),
                unread: Sparse::default(),
            }),
            stream: Mutex::default(),
            creations: Aside::default(),
            detached: Mutex::default(),
        })
    }
}

/// Returns the file of fingerprints beside the profile file. A folder that the program named is not created.
fn fingerprints_beside(profile: &Path, is_named: bool) -> Fingerprints {
    let folder = profile.parent().unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if is_named && !folder.is_dir() {
        return Fingerprints::default();
    }
    Fingerprints::in_own_folder(folder)
}
