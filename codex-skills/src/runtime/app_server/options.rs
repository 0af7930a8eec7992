//! Builders of clients, and the options with which codex is started or connected to.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::AppServerError;
use super::process::Program;
use super::server::AppServer;
use super::settings::{RestartPolicy, Settings, Streams, Target};
use super::socket::{Address, Place, Token};
use crate::runtime::{ApprovalPolicy, FilesystemSandbox};

impl AppServer {
    /// A client of a codex that is started now, and ended with the client; await what it returns.
    ///
    /// `codex` is looked for on `PATH`, and its native program is used where npm installed it.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), codex_skills::Error> {
    /// use codex_skills::AppServer;
    ///
    /// let codex = AppServer::spawn().model("gpt-5.5").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn() -> SpawnAppServer {
        SpawnAppServer {
            settings: Settings::new(Target::Program(Program::default())),
            program: Program::default(),
        }
    }

    /// A client of a codex that listens on a WebSocket (`codex app-server --listen ws://127.0.0.1:4500`); await
    /// what it returns.
    ///
    /// Without a token, any program that reaches the address can answer calls.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::connect("ws://127.0.0.1:4500")
    ///     .capability_token(std::env::var("CODEX_TOKEN").unwrap_or_default())
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(url: impl Into<String>) -> ConnectAppServer {
        ConnectAppServer::new(Place::Tcp(url.into()))
    }

    /// Codex at the other end of two streams that carry lines, as those of its process do. When they end, it is
    /// gone for good. Tests and benchmarks play codex there; make a client with [`Client::new`](crate::Client::new).
    #[doc(hidden)]
    pub async fn over(
        reads: impl AsyncRead + Send + 'static,
        writes: impl AsyncWrite + Send + 'static,
    ) -> Result<Self, AppServerError> {
        let streams = Streams::new(Box::pin(reads), Box::pin(writes));
        let mut settings = Settings::new(Target::Streams(streams));
        settings.restart = RestartPolicy::never();
        Self::open(settings).await
    }

    /// A client of a codex that listens on a Unix socket (`codex app-server --listen unix://PATH`); await what
    /// it returns. Any program that may open the socket can answer calls: codex makes it for its user only.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::connect_unix("/run/user/1000/codex.sock").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn connect_unix(path: impl Into<PathBuf>) -> ConnectAppServer {
        ConnectAppServer::new(Place::Unix(path.into()))
    }
}

macro_rules! shared_options {
    () => {
        /// The model of sessions that name none.
        pub fn model(mut self, model: impl Into<String>) -> Self {
            self.settings.model = Some(model.into());
            self
        }

        /// What codex's commands may touch, in sessions that do not say so. No sandbox covers skills.
        pub fn filesystem_sandbox(mut self, sandbox: FilesystemSandbox) -> Self {
            self.settings.sandbox = Some(sandbox);
            self
        }

        /// When codex asks before it runs a command, in sessions that do not say so. Skills are called without
        /// an approval.
        pub fn approval_policy(mut self, policy: ApprovalPolicy) -> Self {
            self.settings.approval_policy = Some(policy);
            self
        }

        /// Whether sessions are never written to disk (default: they are). Such a session ends with its codex,
        /// and can neither be resumed nor deleted.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// let codex = codex_skills::AppServer::spawn().ephemeral(true).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn ephemeral(mut self, ephemeral: bool) -> Self {
            self.settings.ephemeral = ephemeral;
            self
        }

        /// How many tokens of an answer the model reads; codex cuts the middle out of longer ones. Codex's own
        /// default comes to some 12,000 bytes.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// // The model reads up to some 48,000 bytes of an answer.
        /// let codex = codex_skills::AppServer::spawn().tool_output_token_limit(10_000).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn tool_output_token_limit(mut self, tokens: u64) -> Self {
            self.settings.token_limit = Some(tokens);
            self
        }

        /// How long a request may take, 60 seconds. Codex leaves some requests without an answer.
        pub fn request_timeout(mut self, timeout: Duration) -> Self {
            self.settings.request_timeout = timeout;
            self
        }

        /// How long codex may take until it is ready, 20 seconds.
        pub fn start_timeout(mut self, timeout: Duration) -> Self {
            self.settings.start_timeout = timeout;
            self
        }

        /// What to do when codex goes away.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// use codex_skills::AppServer;
        /// use codex_skills::app_server::RestartPolicy;
        ///
        /// let codex = AppServer::spawn().restart(RestartPolicy::never()).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn restart(mut self, policy: RestartPolicy) -> Self {
            self.settings.restart = policy;
            self
        }
    };
}

/// An [`AppServer::spawn`] that was not awaited yet.
///
/// ```no_run
/// # async fn example() -> Result<(), codex_skills::Error> {
/// use codex_skills::{AppServer, FilesystemSandbox};
///
/// let codex = AppServer::spawn()
///     .codex("/opt/codex/bin/codex")
///     .codex_home("/var/lib/my-bot/codex")
///     .config("model_provider", "local")
///     .env("OPENAI_API_KEY", "sk-…")
///     .filesystem_sandbox(FilesystemSandbox::ReadOnly)
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the future ends the process that it started.
#[derive(Clone, Debug)]
#[must_use = "await it to start codex"]
pub struct SpawnAppServer {
    settings: Settings,
    program: Program,
}

impl SpawnAppServer {
    /// The program, or the name that it has on `PATH`. Default: `codex`.
    pub fn codex(mut self, path: impl Into<PathBuf>) -> Self {
        self.program.codex = Some(path.into());
        self
    }

    /// Codex's home, with its settings, its login and its threads. Default: `CODEX_HOME`, or `~/.codex`. The client keeps
    /// `codex-skills.jsonl` there: which catalog each session was created with.
    pub fn codex_home(mut self, path: impl Into<PathBuf>) -> Self {
        self.program.home = Some(path.into());
        self
    }

    /// A setting in the place of one in `config.toml`, as codex's `-c` has them: the value is TOML, or a text
    /// where it is none.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::spawn().config("model_reasoning_effort", "low").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let setting = format!("{}={}", key.as_ref(), value.as_ref());
        self.program.overrides.push(setting);
        self
    }

    /// A variable of codex's environment, beside those of this program. Of these, codex is not given the credentials of
    /// this library: `CODEX_MANAGER_BEARER_TOKEN`, `CODEX_MANAGER_RBAC_TOKEN`, and others of `CODEX_MANAGER_` and
    /// `CODEX_SKILLS_` that end in `TOKEN`, `SECRET`, `PASSWORD` or `KEY`. What is named here is given.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::AppServer::spawn().env("RUST_LOG", "warn").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.program.environment.push((name.into(), value.into()));
        self
    }

    /// Another argument of `codex app-server`.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.program.arguments.push(argument.into());
        self
    }

    /// Where codex runs. Default: where this program does.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.program.directory = Some(directory.into());
        self
    }

    /// How long codex may take to end by itself, then to end after SIGTERM; 2 seconds each. Then it is killed. There is
    /// no SIGTERM on Windows: it is killed after both.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    shared_options!();

    /// Starts it.
    pub(crate) async fn open(mut self) -> Result<AppServer, AppServerError> {
        self.settings.check()?;
        self.settings.home = self.program.named_home();
        self.settings.target = Target::Program(self.program);
        AppServer::open(self.settings).await
    }
}

/// An [`AppServer::connect`] that was not awaited yet.
///
/// ```no_run
/// # async fn example() -> Result<(), codex_skills::Error> {
/// use std::time::Duration;
///
/// let codex = codex_skills::AppServer::connect("ws://127.0.0.1:4500")
///     .signed_bearer("a secret of 32 bytes and more ….", Some("my-bot"), None)
///     .heartbeat(Duration::from_secs(5))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "await it to connect"]
pub struct ConnectAppServer {
    settings: Settings,
    address: Address,
}

impl ConnectAppServer {
    fn new(place: Place) -> Self {
        let address = Address { place, token: None };
        let mut settings = Settings::new(Target::Socket(address.clone()));
        settings.restart.attempts = usize::MAX;
        Self { settings, address }
    }

    /// The token of a codex that was started with `--ws-auth capability-token`.
    pub fn capability_token(mut self, token: impl Into<String>) -> Self {
        self.address.token = Some(Token::Capability(token.into()));
        self
    }

    /// The secret, issuer and audience of a codex that was started with `--ws-auth signed-bearer-token`; `None` for an
    /// issuer or audience that codex does not check. Each connection signs a token of its own, valid for five minutes.
    pub fn signed_bearer(
        mut self,
        secret: impl Into<String>,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> Self {
        self.address.token = Some(Token::Signed {
            secret: secret.into(),
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
        });
        self
    }

    /// Codex's home, where codex runs on this machine: `codex-skills.jsonl` in it keeps which catalog each session was
    /// created with, so that [another catalog](crate::OpenSession::catalog) is refused in later runs of the program as
    /// well. Default: none. What codex itself says is not believed, since files are written there: then only the sessions
    /// that this client created are known.
    pub fn codex_home(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.home = Some(path.into());
        self
    }

    /// After how long a silence codex is asked whether it is there, 15 seconds; after three times as long the
    /// connection is given up and made anew.
    pub fn heartbeat(mut self, silence: Duration) -> Self {
        self.settings.heartbeat = silence;
        self
    }

    shared_options!();

    /// Connects.
    pub(crate) async fn open(mut self) -> Result<AppServer, AppServerError> {
        self.settings.check()?;
        self.address.check()?;
        self.settings.target = Target::Socket(self.address);
        AppServer::open(self.settings).await
    }
}
