//! Opening a session that exists: resumed, forked, or another handle on one that is open.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::builder::{Config, dispatch_options};
use super::core::SessionCore;
use super::handle::Session;
use super::requirements::{check, declared, tokio_here};
use super::shared::ClientShared;
use crate::catalog::Catalog;
use crate::dispatch::Limits;
use crate::error::Error;
use crate::runtime::RequestHandler;

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
