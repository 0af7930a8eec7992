//! Opening sessions: with options, with a catalog, in a way that nothing is left behind.

use std::future::{Future, IntoFuture};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::core::{SendDefaults, SessionCore};
use super::creating::Creating;
use super::duty::Ownership;
use super::handle::Session;
use super::lifecycle::Lifecycle;
use super::requirements::{check, check_folder, declared, room, tokio_here};
use super::shared::ClientShared;
use crate::catalog::{Catalog, Draft, DraftFuture, IntoDraft, Register};
use crate::dispatch::Limits;
use crate::error::Error;
use crate::runtime::{
    ApprovalPolicy, FilesystemSandbox, NetworkAccess, NewSession, RequestHandler, Runtime,
    RuntimeError, RuntimeErrorKind, SessionOptions,
};
use crate::skill::output::bytes_of_tokens;

/// Where the catalog of a new session comes from.
enum Source<'a> {
    Draft(DraftFuture<'a>),
    Catalog(Catalog),
}

impl<'a> Source<'a> {
    fn register<D, V>(register: impl Register<D>) -> Self
    where
        D: IntoDraft<V> + 'a,
    {
        Self::Draft(register(Draft::new()).into_draft())
    }

    /// The catalog, which fits the runtime: that is known here first.
    async fn catalog(self, runtime: &dyn Runtime) -> Result<Catalog, Error> {
        match self {
            Self::Catalog(catalog) => Ok(catalog),
            Self::Draft(draft) => {
                let draft = draft.await.map_err(Error::Register)?;
                Ok(draft.seal_for(room(runtime))?)
            }
        }
    }
}

/// All settings of a new session.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) shared: Arc<ClientShared>,
    pub(super) options: SessionOptions,
    pub(super) limits: Limits,
    pub(super) send: SendDefaults,
    pub(super) requests: Option<RequestHandler>,
    /// Whether a guard owns the session.
    pub(super) is_guarded: bool,
}

impl Config {
    pub(super) fn new(shared: Arc<ClientShared>, limits: Limits) -> Self {
        Self {
            shared,
            options: SessionOptions::default(),
            limits,
            send: SendDefaults::default(),
            requests: None,
            is_guarded: false,
        }
    }
}

macro_rules! session_options {
    () => {
        /// The working directory of the session. One that is not there is an error before the runtime is asked, where
        /// sessions see this machine's folders: the embedded runtime's, and those of a codex that the client started.
        pub fn cwd(mut self, directory: impl AsRef<Path>) -> Self {
            self.config.options.cwd = Some(directory.as_ref().to_string_lossy().into_owned());
            self
        }

        /// The model.
        pub fn model(mut self, model: impl Into<String>) -> Self {
            self.config.options.model = Some(model.into());
            self
        }

        /// When codex asks before it runs a command. Skills are called without an approval.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// use codex_skills::{AppServer, ApprovalPolicy};
        ///
        /// let codex = AppServer::spawn().await?;
        /// let run = codex.lifecycle(|draft| draft).approval_policy(ApprovalPolicy::Never).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn approval_policy(mut self, policy: ApprovalPolicy) -> Self {
            self.config.options.approval_policy = Some(policy);
            self
        }

        /// Whether commands of codex reach the network.
        pub fn network_access(mut self, access: NetworkAccess) -> Self {
            self.config.options.network_access = Some(access);
            self
        }

        /// What commands of codex may touch. No sandbox covers skills.
        pub fn filesystem_sandbox(mut self, sandbox: FilesystemSandbox) -> Self {
            self.config.options.filesystem_sandbox = Some(sandbox);
            self
        }

        /// Whether the session is never written to disk: it ends with its codex, and can neither be resumed nor
        /// deleted. For codex app-server only.
        pub fn ephemeral(mut self, ephemeral: bool) -> Self {
            self.config.options.ephemeral = Some(ephemeral);
            self
        }

        /// Settings of codex in the place of those in its `config.toml`, by dotted path. For codex app-server
        /// only.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// let codex = codex_skills::AppServer::spawn().await?;
        /// let run = codex.lifecycle(|draft| draft).config([("tool_output_token_limit", 50_000)]).await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn config(
            mut self,
            settings: impl IntoIterator<Item = (impl Into<String>, impl Into<Value>)>,
        ) -> Self {
            let settings = settings
                .into_iter()
                .map(|(path, value)| (path.into(), value.into()));
            self.config.options.config.extend(settings);
            self
        }
    };
}

macro_rules! dispatch_options {
    () => {
        /// The bounds of the session, instead of the client's.
        ///
        /// ```
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), codex_skills::Error> {
        /// use codex_skills::{Embedded, Limits};
        ///
        /// let limits = Limits { open_calls: 16, ..Limits::default() };
        /// let run = Embedded::demo().lifecycle(|draft| draft).limits(limits).await?;
        /// run.close().await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn limits(mut self, limits: Limits) -> Self {
            self.config.limits = limits;
            self
        }

        /// The deadline of calls whose skill has none of its own; see [`Limits::call_timeout`].
        ///
        /// ```
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), codex_skills::Error> {
        /// use std::time::Duration;
        ///
        /// let codex = codex_skills::Embedded::demo();
        /// let run = codex.lifecycle(|draft| draft).call_timeout(Duration::from_secs(5)).await?;
        /// run.close().await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn call_timeout(mut self, timeout: Duration) -> Self {
            self.config.limits.call_timeout = timeout;
            self
        }

        /// How many handlers run at the same time, at least 1; see [`Limits::concurrent_calls`].
        pub fn max_concurrent_calls(mut self, calls: usize) -> Self {
            self.config.limits.concurrent_calls = calls;
            self
        }

        /// Whether an answer of which codex would show its model a part is a failure that asks for less; see
        /// [`Limits::whole_answers`].
        pub fn whole_answers(mut self, whole: bool) -> Self {
            self.config.limits.whole_answers = whole;
            self
        }

        /// The handler of the session's requests other than tool calls, like approvals. Write
        /// `RequestHandler::new(|request| async move { CodexReply::Grant })`.
        ///
        /// Default: it is [refused](RequestHandler::refuse) at once, and [left to others](RequestHandler::leave) in a
        /// session that was opened without its catalog, and in one of codex-manager that no guard owns: people may
        /// decide on its web pages.
        ///
        /// ```no_run
        /// # async fn example() -> Result<(), codex_skills::Error> {
        /// use codex_skills::{AppServer, CodexReply, CodexRequestKind, RequestHandler};
        ///
        /// let codex = AppServer::spawn().await?;
        /// let run = codex
        ///     .lifecycle(|draft| draft)
        ///     .on_request(RequestHandler::new(|request| async move {
        ///         match request.kind() {
        ///             CodexRequestKind::FileChange => CodexReply::Grant,
        ///             _ => CodexReply::Refuse,
        ///         }
        ///     }))
        ///     .await?;
        /// # Ok(())
        /// # }
        /// ```
        pub fn on_request(mut self, handler: RequestHandler) -> Self {
            self.config.requests = Some(handler);
            self
        }

        /// Whether each request begins with what the tools do not say
        /// ([`Catalog::supplement`](crate::Catalog::supplement)), or none. Default: only the first one of the
        /// session does, and codex keeps it in the conversation.
        ///
        /// The first is the first that is accepted; while the fate of one is unknown, the next begins with the
        /// text as well. In a session that another program created, that program's request was the first where the
        /// runtime knows of one (codex app-server and the embedded runtime do); otherwise it is the first of
        /// this client.
        pub fn inject_skills(mut self, inject: bool) -> Self {
            self.config.send.inject_skills = Some(inject);
            self
        }

        /// Whether requests repeat the dynamic tools (default: they do).
        pub fn repeat_tools(mut self, repeat: bool) -> Self {
            self.config.send.repeat_tools = repeat;
            self
        }
    };
}
pub(super) use dispatch_options;

/// A [`create_session`](crate::Client::create_session) that was not awaited yet.
///
/// ```no_run
/// # async fn example() -> Result<(), codex_skills::Error> {
/// use codex_skills::{AppServer, FilesystemSandbox};
///
/// let codex = AppServer::spawn().await?;
/// let (created, session) = codex
///     .create_session(|draft| draft.discover())
///     .cwd("/srv/project")
///     .filesystem_sandbox(FilesystemSandbox::ReadOnly)
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// When the future is dropped, a session that was or is being created is deleted in the background.
/// When the tokio runtime goes down meanwhile, a thread waits for the creation for 30 seconds, to delete the
/// session; one that a runtime tells of later is left behind.
#[must_use = "await it to create the session"]
pub struct CreateSession<'a> {
    source: Source<'a>,
    config: Config,
}

impl<'a> CreateSession<'a> {
    pub(crate) fn new<D, V>(
        shared: Arc<ClientShared>,
        limits: Limits,
        register: impl Register<D>,
    ) -> Self
    where
        D: IntoDraft<V> + 'a,
    {
        Self {
            source: Source::register(register),
            config: Config::new(shared, limits),
        }
    }

    pub(crate) fn with_catalog(
        shared: Arc<ClientShared>,
        limits: Limits,
        catalog: Catalog,
    ) -> Self {
        Self {
            source: Source::Catalog(catalog),
            config: Config::new(shared, limits),
        }
    }

    session_options!();
    dispatch_options!();
}

impl<'a> IntoFuture for CreateSession<'a> {
    type Output = Result<(Value, Session), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let catalog = self.source.catalog(&*self.config.shared.runtime).await?;
            let opened = open(self.config, catalog).await?;
            opened.ownership.release();
            Ok((opened.created, Session::of(opened.core)))
        })
    }
}

/// A [`lifecycle`](crate::Client::lifecycle) that was not awaited yet.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// use std::time::Duration;
///
/// let codex = codex_skills::Embedded::demo();
/// let run = codex
///     .lifecycle(|draft| draft)
///     .cwd(".")
///     .call_timeout(Duration::from_secs(10))
///     .ignore_cleanup_errors(false)
///     .await?;
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// When the future is dropped, a session that was or is being created is deleted in the background.
/// When the tokio runtime goes down meanwhile, a thread waits for the creation for 30 seconds, to delete the
/// session; one that a runtime tells of later is left behind.
#[must_use = "await it to open the session"]
pub struct OpenLifecycle<'a> {
    source: Source<'a>,
    config: Config,
    keep_session: bool,
    ignore_cleanup_errors: bool,
}

impl<'a> OpenLifecycle<'a> {
    pub(crate) fn new<D, V>(
        shared: Arc<ClientShared>,
        limits: Limits,
        register: impl Register<D>,
    ) -> Self
    where
        D: IntoDraft<V> + 'a,
    {
        Self::of(Source::register(register), Config::new(shared, limits))
    }

    pub(crate) fn with_catalog(
        shared: Arc<ClientShared>,
        limits: Limits,
        catalog: Catalog,
    ) -> Self {
        Self::of(Source::Catalog(catalog), Config::new(shared, limits))
    }

    fn of(source: Source<'a>, mut config: Config) -> Self {
        config.is_guarded = true;
        Self {
            source,
            config,
            keep_session: false,
            ignore_cleanup_errors: true,
        }
    }

    session_options!();
    dispatch_options!();

    /// Whether the session stays when the guard is closed (default: it is deleted).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft).keep_session(true).await?;
    /// run.close().await?;
    /// assert_eq!(codex.runtime().session_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_session(mut self, keep: bool) -> Self {
        self.keep_session = keep;
        self
    }

    /// Whether a failed deletion is only reported and logged (the default), or an error of
    /// [`close`](Lifecycle::close). It never masks an error of the block.
    pub fn ignore_cleanup_errors(mut self, ignore: bool) -> Self {
        self.ignore_cleanup_errors = ignore;
        self
    }

    /// Accepted for compatibility with the reference SDK; does nothing, as there.
    pub fn sync_runtime_on_cleanup(self, _sync: bool) -> Self {
        self
    }
}

impl<'a> IntoFuture for OpenLifecycle<'a> {
    type Output = Result<Lifecycle, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let catalog = self.source.catalog(&*self.config.shared.runtime).await?;
            let opened = open(self.config, catalog).await?;
            opened.ownership.set_delete(!self.keep_session);
            Ok(Lifecycle::new(opened, self.ignore_cleanup_errors))
        })
    }
}

/// A session that was just created; deleted when it is dropped.
pub(super) struct Opened {
    pub(super) created: Value,
    pub(super) core: Arc<SessionCore>,
    pub(super) ownership: Ownership,
}

/// Creates a session in a task of its own: when the caller is gone before it is done, the task's result
/// is dropped, and with it the session.
async fn open(config: Config, catalog: Catalog) -> Result<Opened, Error> {
    let shared = config.shared.clone();
    if shared.is_shutting_down() {
        return Err(Error::ShuttingDown);
    }
    check(&config.limits)?;
    let name = shared.runtime.name();
    let tokio = tokio_here(&*shared.runtime, "create the session")?;
    let (done, opened) = oneshot::channel();
    let token = shared.tasks.token();
    let creating = async move {
        let _token = token;
        let client = config.shared.clone();
        let mut opened = create(config, catalog).await;
        if client.is_shutting_down() {
            // The shutdown may have begun before the session was there to be seen.
            opened = Err(Error::ShuttingDown);
        }
        // If the caller is gone, delete the session here, before this task ends: a tokio runtime that goes down waits
        // for the task, and not for a cleanup that the task began.
        if let Err(Ok(mut unwanted)) = done.send(opened) {
            unwanted.ownership.finish().await;
        }
    };
    tokio.spawn(Creating::new(shared.clone(), &tokio, creating));
    opened.await.unwrap_or_else(|_| {
        Err(if shared.is_shutting_down() {
            Error::ShuttingDown
        } else {
            let kind = RuntimeErrorKind::Unavailable;
            RuntimeError::new(name, "create the session", kind, "the creation broke down").into()
        })
    })
}

async fn create(config: Config, catalog: Catalog) -> Result<Opened, Error> {
    let Config {
        shared,
        options,
        mut limits,
        send,
        requests,
        is_guarded,
    } = config;
    let tokens = options.config.get("tool_output_token_limit");
    if let (None, Some(tokens)) = (limits.shown_bytes, tokens.and_then(Value::as_u64)) {
        limits.shown_bytes = Some(bytes_of_tokens(tokens));
    }
    check_folder(&*shared.runtime, options.cwd.as_deref()).await?;
    let request = NewSession {
        dynamic_tools: declared(&catalog, &*shared.runtime)?,
        fingerprint: Some(catalog.shared_fingerprint().clone()),
        options,
    };
    let created = shared.runtime.create_session(request).await?;
    let core = SessionCore::subscribe(
        shared.clone(),
        created.session_id.clone(),
        Some(catalog),
        limits,
        send,
    );
    core.answer_requests(requests, is_guarded);
    core.set_created_with(Some(core.catalog().shared_fingerprint().clone()));
    shared.set_fingerprint(&core.id, core.catalog().shared_fingerprint().clone());
    Ok(Opened {
        created: created.payload,
        core,
        ownership: Ownership::take(shared, created.session_id, true),
    })
}
