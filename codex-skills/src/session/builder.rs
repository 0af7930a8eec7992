//! Opening sessions: with options, with a catalog, in a way that nothing is left behind.

use std::future::{Future, IntoFuture};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::client::ClientShared;
use super::core::{SendDefaults, SessionCore};
use super::creating::Creating;
use super::duty::Ownership;
use super::handle::Session;
use super::lifecycle::Lifecycle;
use crate::catalog::{Catalog, Draft, DraftFuture, IntoDraft, Register, Room};
use crate::dispatch::Limits;
use crate::drivers;
use crate::error::Error;
use crate::runtime::{
    ApprovalPolicy, FilesystemSandbox, NetworkAccess, NewSession, RequestHandler, Runtime,
    RuntimeError, RuntimeErrorKind, SessionOptions, ToolFormat,
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
struct Config {
    shared: Arc<ClientShared>,
    options: SessionOptions,
    limits: Limits,
    send: SendDefaults,
    requests: Option<RequestHandler>,
    /// Whether a guard owns the session.
    is_guarded: bool,
}

impl Config {
    fn new(shared: Arc<ClientShared>, limits: Limits) -> Self {
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

/// The tokio runtime that a session is opened on, which is fit for it.
fn tokio_here(runtime: &dyn Runtime, operation: &'static str) -> Result<Handle, RuntimeError> {
    let tokio = drivers::with_time();
    let fit = tokio.and_then(|tokio| runtime.unfit_tokio().map_or(Ok(tokio), Err));
    fit.map_err(|lacks| {
        let kind = RuntimeErrorKind::Refused;
        RuntimeError::new(runtime.name(), operation, kind, lacks)
    })
}

fn check(limits: &Limits) -> Result<(), Error> {
    if limits.call_timeout.is_zero() {
        return Err(Error::option(
            "call_timeout",
            "no call can be answered in no time; `Duration::MAX` means no deadline",
        ));
    }
    let counts = [
        (
            "max_concurrent_calls",
            limits.concurrent_calls,
            "handlers run",
        ),
        ("open_calls", limits.open_calls, "calls are taken"),
    ];
    let sizes = [
        ("argument_bytes", limits.argument_bytes, "arguments fit"),
        ("open_bytes", limits.open_bytes, "calls are taken"),
        ("output_bytes", limits.output_bytes, "answers fit"),
    ];
    for (option, limit, what) in counts.into_iter().chain(sizes) {
        if limit == 0 {
            return Err(Error::option(
                option,
                format!("no {what} with 0: give at least 1; `usize::MAX` means no limit"),
            ));
        }
    }
    Ok(())
}

/// How many tools the runtime's sessions take, where that is limited.
fn room(runtime: &dyn Runtime) -> Option<Room> {
    runtime.tool_limit().map(|tools| Room {
        runtime: runtime.name(),
        tools,
    })
}

/// Checks that the working directory is one, where the runtime sees what this process sees.
async fn check_folder(runtime: &dyn Runtime, cwd: Option<&str>) -> Result<(), Error> {
    let Some((cwd, path)) = cwd.and_then(|cwd| Some((cwd, runtime.folder(cwd)?))) else {
        return Ok(());
    };
    if cwd.is_empty() {
        let reason = "it is empty: give a folder, like `.`, or leave it out";
        return Err(Error::option("cwd", reason));
    }
    // A file system may take its time.
    let looked = tokio::task::spawn_blocking(move || {
        let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let shown = shown.display().to_string();
        match std::fs::metadata(&path) {
            Ok(folder) if folder.is_dir() => Ok(()),
            Ok(_) => Err(format!(
                "`{shown}` is not a folder: give the one that it is in"
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
                "`{shown}` is no folder here ({error}): create it, or give another"
            )),
            Err(error) => Err(format!(
                "`{shown}` cannot be looked at ({error}): give a folder that can"
            )),
        }
    });
    // Without an answer, tokio goes down.
    match looked.await {
        Ok(Err(reason)) => Err(Error::option("cwd", reason)),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// The tools of a catalog as the runtime takes them.
pub(super) fn declared(
    catalog: &Catalog,
    runtime: &dyn Runtime,
) -> Result<Option<Arc<RawValue>>, Error> {
    match runtime.tool_format() {
        ToolFormat::Canonical => Ok(catalog.shared_tools(runtime.keeps_references())),
        ToolFormat::Flat if catalog.flat_tools().is_some() => Ok(catalog.shared_flat_tools()),
        ToolFormat::Flat => Err(Error::NoNamespaces {
            runtime: runtime.name(),
            skills: catalog.namespaced(),
        }),
    }
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

/// A [`session`](crate::Client::session) that was not awaited yet.
///
/// ```no_run
/// # async fn example() -> Result<(), codex_skills::Error> {
/// use codex_skills::{AppServer, Draft};
///
/// let catalog = Draft::new().discover().seal()?;
/// let codex = AppServer::spawn().await?;
/// let session = codex.session("01a2").catalog(catalog).await?;
/// session.serve().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "await it to get the session"]
pub struct OpenSession {
    config: Config,
    session_id: Arc<str>,
    catalog: Option<Catalog>,
    created_with: Option<Arc<str>>,
}

impl OpenSession {
    pub(crate) fn new(shared: Arc<ClientShared>, limits: Limits, session_id: Arc<str>) -> Self {
        Self {
            config: Config::new(shared, limits),
            session_id,
            catalog: None,
            created_with: None,
        }
    }

    /// The [fingerprint](Catalog::fingerprint) of the catalog that the session was created with, where the
    /// program knows it better than the runtime. Another catalog is refused.
    pub fn created_with(mut self, fingerprint: impl AsRef<str>) -> Self {
        self.created_with = Some(fingerprint.as_ref().into());
        self
    }

    /// The catalog that the session was created with. Another one is refused.
    ///
    /// Without it, a session can be sent requests and watched; its calls are left alone, for those who have the
    /// catalog, unless it is known that the session was created without tools. A handle that is opened with the catalog
    /// later takes the place of those without, which are closed. On a codex that this program started no other client
    /// can answer: there a [`send_and_handle`](crate::Session::send_and_handle) whose turn waits for a call is an
    /// error.
    ///
    /// Where it is not known what the session was created with, calls of tools that are not in this catalog are left
    /// alone too, if others can answer them.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    dispatch_options!();
}

impl IntoFuture for OpenSession {
    type Output = Result<Session, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(attach(self))
    }
}

/// Makes a session with the tools and the history of another one.
pub(super) async fn fork(core: &SessionCore) -> Result<Session, Error> {
    core.check_open()?;
    let (client, send) = (core.client.clone(), core.send_defaults);
    let catalog = core.has_catalog().then(|| core.catalog().clone());
    let limits = core.limits().clone();
    if client.is_shutting_down() {
        return Err(Error::ShuttingDown);
    }
    tokio_here(&*client.runtime, "fork the session")?;
    let forked = client.runtime.fork_session(core.id.clone()).await?;
    let fork = SessionCore::subscribe(client.clone(), forked.session_id, catalog, limits, send);
    fork.answer_requests(core.requests(), false);
    if core.introduction.is_made() {
        fork.introduction.note();
    }
    let fingerprint = core.known_fingerprint();
    if let Some(fingerprint) = fingerprint.clone() {
        client.set_fingerprint(&fork.id, fingerprint);
    }
    fork.set_created_with(fingerprint);
    Ok(Session::of(fork))
}

async fn attach(open: OpenSession) -> Result<Session, Error> {
    let OpenSession {
        config,
        session_id,
        catalog,
        created_with,
    } = open;
    let other_catalog = |created: &str, catalog: &Catalog| Error::OtherCatalog {
        session_id: session_id.to_string(),
        created: created.to_owned(),
        catalog: catalog.fingerprint().to_owned(),
    };
    check(&config.limits)?;
    tokio_here(&*config.shared.runtime, "open the session")?;
    if let Some(catalog) = &catalog {
        declared(catalog, &*config.shared.runtime)?;
    }
    // One after the other, so that the handles share one ledger.
    let attaching = config.shared.attaching(&session_id);
    let _attaching = attaching.lock().await;
    if let Some(core) = config.shared.find(&session_id) {
        if !core.is_closed() {
            match (&catalog, core.created_with()) {
                (Some(catalog), Some(created)) if catalog.fingerprint() != created => {
                    return Err(other_catalog(created, catalog));
                }
                // It was opened without: its calls are answered from now on.
                (Some(catalog), _) if !core.has_catalog() && !catalog.is_empty() => {
                    core.close("it was opened again with its catalog");
                }
                _ => {
                    if config.requests.is_some() {
                        core.answer_requests(config.requests, false);
                    }
                    return Ok(Session::of(core));
                }
            }
        }
        // Its cancelled calls are still being answered, and must not be found waiting.
        core.settled(None).await;
    }
    if config.shared.is_shutting_down() {
        return Err(Error::ShuttingDown);
    }
    let created = created_with.or_else(|| config.shared.fingerprint(&session_id));
    if let (Some(catalog), Some(created)) = (&catalog, created.as_deref())
        && catalog.fingerprint() != created
    {
        return Err(other_catalog(created, catalog));
    }
    // Before it is resumed: calls that wait are announced at once.
    let core = SessionCore::subscribe(
        config.shared.clone(),
        session_id.clone(),
        catalog.clone(),
        config.limits,
        config.send,
    );
    core.answer_requests(config.requests, false);
    let resumed = config.shared.runtime.resume(session_id.clone()).await?;
    if resumed.has_requests == Some(true) {
        core.introduction.note();
    }
    let created = created.or(resumed.fingerprint);
    if let (Some(catalog), Some(created)) = (&catalog, created.as_deref())
        && catalog.fingerprint() != created
    {
        core.close("it has other tools");
        return Err(other_catalog(created, catalog));
    }
    core.set_created_with(created);
    if config.shared.is_shutting_down() {
        core.close("the client was shut down");
        return Err(Error::ShuttingDown);
    }
    Ok(Session::of(core))
}
