//! One request: what is sent, and sending it within a time.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::runtime::{Accepted, Runtime, RuntimeError, SendRequest};
use crate::session::core::SessionCore;
use crate::session::introduction::Introducing;
use crate::session::requirements::declared;
use crate::withheld;

/// How long the runtime may take to interrupt a turn that took too long, and then to take the answers of its
/// calls, before the caller has its error all the same.
pub(super) const ENDING: Duration = Duration::from_secs(5);

/// A request with its options, which both ways of sending have.
pub(super) struct Request<'a> {
    pub(super) core: &'a Arc<SessionCore>,
    text: String,
    pub(super) inject_skills: Option<bool>,
    pub(super) repeat_tools: bool,
}

/// Without the text, of which the size is shown.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("core", self.core)
            .field("text", &withheld::text(&self.text))
            .field("inject_skills", &self.inject_skills)
            .field("repeat_tools", &self.repeat_tools)
            .finish()
    }
}

/// A request as it is sent.
struct Prepared {
    request: SendRequest,
    /// Where it is the first, which begins with what the tools do not say.
    introducing: Option<Introducing>,
}

impl Prepared {
    async fn send(self, runtime: &dyn Runtime, id: Arc<str>) -> Result<Accepted, RuntimeError> {
        let accepted = runtime.send(id, self.request).await?;
        if let Some(introducing) = self.introducing {
            introducing.done();
        }
        Ok(accepted)
    }
}

impl<'a> Request<'a> {
    /// A request with the session's defaults.
    pub(super) fn new(core: &'a Arc<SessionCore>, text: String) -> Self {
        Self {
            core,
            text,
            inject_skills: core.send_defaults.inject_skills,
            repeat_tools: core.send_defaults.repeat_tools,
        }
    }

    /// Sends, and waits until it is accepted.
    pub(super) async fn send(&self) -> Result<Accepted, Error> {
        let prepared = self.prepare()?;
        let runtime = &**self.core.runtime();
        let accepted = prepared.send(runtime, self.core.id.clone()).await;
        accepted.map_err(|error| self.core.or_lost(error))
    }

    /// What is sent.
    fn prepare(&self) -> Result<Prepared, Error> {
        if self.text.trim().is_empty() {
            return Err(Error::option(
                "text",
                "the request is empty: say what to do",
            ));
        }
        self.core.check_open()?;
        let catalog = self.core.catalog();
        let dynamic_tools = if self.repeat_tools {
            declared(catalog, &**self.core.runtime())?
        } else {
            None
        };
        let introducing = match self.inject_skills {
            None => self.core.introduction.take_on(),
            Some(_) => None,
        };
        let mut request = SendRequest::new(
            if self.inject_skills == Some(true) || introducing.is_some() {
                catalog.supplemented(&self.text)
            } else {
                self.text.clone()
            },
        );
        request.dynamic_tools = dynamic_tools;
        Ok(Prepared {
            request,
            introducing,
        })
    }

    /// Sends on a task of its own. When the request is not accepted in time, the turn that it may come to yet
    /// is interrupted, and `None` returned.
    pub(super) async fn send_until(&self, deadline: Instant) -> Result<Option<Accepted>, Error> {
        let (core, prepared) = (self.core, self.prepare()?);
        let (runtime, id) = (core.runtime().clone(), core.id.clone());
        let mut sending = tokio::spawn(async move { prepared.send(&*runtime, id).await });
        match tokio::time::timeout_at(deadline, &mut sending).await {
            Ok(Ok(accepted)) => {
                return accepted.map(Some).map_err(|error| core.or_lost(error));
            }
            Ok(Err(error)) => {
                return Err(match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(error) => Error::other(error),
                });
            }
            Err(_) => {}
        }
        let (runtime, id, core) = (
            core.runtime().clone(),
            core.id.clone(),
            Arc::downgrade(core),
        );
        tokio::spawn(async move {
            let Ok(Ok(accepted)) = sending.await else {
                return;
            };
            interrupt(&*runtime, &id, &accepted.turn_id).await;
            if let Some(core) = core.upgrade() {
                core.cancel_turn(&accepted.turn_id);
            }
        });
        Ok(None)
    }
}

/// Interrupts a turn that took too long, where the runtime reacts.
pub(super) async fn interrupt(runtime: &dyn Runtime, session_id: &Arc<str>, turn_id: &Arc<str>) {
    let interrupt = runtime.interrupt(session_id.clone(), Some(turn_id.clone()));
    let failure = match tokio::time::timeout(ENDING, interrupt).await {
        Ok(interrupted) => interrupted.err().map(|error| error.to_string()),
        Err(_) => Some(format!("no answer within {ENDING:?}")),
    };
    if let Some(error) = failure {
        tracing::warn!(target: "codex_skills::session", session = &**session_id, error, "a turn that took too long was not interrupted");
    }
}

macro_rules! request_options {
    () => {
        /// Whether the request begins with what the tools do not say
        /// ([`Catalog::supplement`](crate::Catalog::supplement)). Default: that of the session, where the first
        /// request begins with it.
        pub fn inject_skills(mut self, inject: bool) -> Self {
            self.request.inject_skills = Some(inject);
            self
        }

        /// Whether the dynamic tools are repeated with the request (the session's default: they are). Only
        /// the declaration at creation counts for codex; the repetition serves servers between.
        pub fn repeat_tools(mut self, repeat: bool) -> Self {
            self.request.repeat_tools = repeat;
            self
        }
    };
}
pub(super) use request_options;
