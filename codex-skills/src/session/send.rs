//! Sending a request, and waiting for what comes of it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::builder::declared;
use super::core::SessionCore;
use super::introduction::Introducing;
use crate::dispatch::{DispatchRecord, Outcome, SubmissionStatus};
use crate::error::Error;
use crate::runtime::{Accepted, Runtime, RuntimeError, SendRequest, Tokens, TurnStatus, peer};
use crate::skill::arguments::nearest_name;
use crate::withheld;

/// How long the runtime may take to interrupt a turn that took too long, and then to take the answers of its
/// calls, before the caller is told all the same.
const ENDING: Duration = Duration::from_secs(5);

/// What both ways of sending can be told.
struct Request<'a> {
    core: &'a Arc<SessionCore>,
    text: String,
    inject_skills: Option<bool>,
    repeat_tools: bool,
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

impl Request<'_> {
    async fn send(&self) -> Result<Accepted, Error> {
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
    async fn send_until(&self, deadline: Instant) -> Result<Option<Accepted>, Error> {
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
                core.dispatcher().cancel_turn(&accepted.turn_id);
            }
        });
        Ok(None)
    }
}

/// Interrupts a turn that took too long, where the runtime reacts.
async fn interrupt(runtime: &dyn Runtime, session_id: &Arc<str>, turn_id: &Arc<str>) {
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

/// A [`send`](crate::Session::send) that was not awaited yet.
#[derive(Debug)]
#[must_use = "await it to send the request"]
pub struct SendText<'a> {
    request: Request<'a>,
}

impl<'a> SendText<'a> {
    pub(crate) fn new(core: &'a Arc<SessionCore>, text: String) -> Self {
        Self {
            request: Request {
                core,
                text,
                inject_skills: core.send_defaults.inject_skills,
                repeat_tools: core.send_defaults.repeat_tools,
            },
        }
    }

    request_options!();
}

impl<'a> IntoFuture for SendText<'a> {
    type Output = Result<Sent, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let accepted = self.request.send().await?;
            Ok(Sent {
                session_id: self.request.core.id.to_string(),
                turn_id: accepted.turn_id.to_string(),
                accepted: accepted.payload,
            })
        })
    }
}

/// A request that was accepted.
///
/// ```
/// # use codex_skills::{Error, Session};
/// async fn begin(session: &Session) -> Result<String, Error> {
///     let sent = session.send("Look around.").await?;
///     Ok(sent.turn_id)
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Sent {
    /// The session.
    pub session_id: String,
    /// The turn that works on the request.
    pub turn_id: String,
    /// What the runtime answered.
    pub accepted: Value,
}

/// Without what the runtime answered.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("session_id", &self.session_id)
            .field("turn_id", &self.turn_id)
            .field("accepted", &withheld::Json(&self.accepted))
            .finish()
    }
}

/// A turn that need not have a reply.
#[derive(Debug)]
pub struct ReplyOptional;
/// A turn that must have a reply.
#[derive(Debug)]
pub struct ReplyRequired;

/// A [`send_and_handle`](crate::Session::send_and_handle) that was not awaited yet.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run
///     .send_and_handle("Use ping.")
///     .timeout(std::time::Duration::from_secs(60))
///     .terminal("completed")
///     .await?;
/// assert_eq!(turn.assistant_reply.as_deref(), Some("ping: pong"));
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the future leaves the turn running. Handlers that run finish and are answered; later
/// calls of the turn wait for the next server.
#[derive(Debug)]
#[must_use = "await it to send the request"]
pub struct SendAndHandle<'a, R = ReplyOptional> {
    request: Request<'a>,
    timeout: Option<Duration>,
    terminal: Option<Vec<TurnStatus>>,
    reply: PhantomData<R>,
}

impl<'a> SendAndHandle<'a> {
    pub(crate) fn new(core: &'a Arc<SessionCore>, text: String) -> Self {
        Self {
            request: SendText::new(core, text).request,
            timeout: None,
            terminal: None,
            reply: PhantomData,
        }
    }

    /// Makes a turn without a reply an error, and the reply of the result a `String`.
    ///
    /// ```
    /// # #[codex_skills::skill]
    /// # fn ping() -> &'static str { "pong" }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), codex_skills::Error> {
    /// let codex = codex_skills::Embedded::demo();
    /// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
    /// let turn = run.send_and_handle("Use ping.").require_reply().await?;
    /// let reply: String = turn.assistant_reply;
    /// run.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn require_reply(self) -> SendAndHandle<'a, ReplyRequired> {
        SendAndHandle {
            request: self.request,
            timeout: self.timeout,
            terminal: self.terminal,
            reply: PhantomData,
        }
    }
}

impl<R> SendAndHandle<'_, R> {
    request_options!();

    /// How long the turn may take, from sending to its end. On expiry it is interrupted, and the error
    /// has the calls that were dispatched. A request that was not even accepted by then has no turn id yet:
    /// its turn is interrupted as soon as it is known. Default: no limit.
    ///
    /// A runtime that does not react to the interruption delays the error by some 10 seconds at most.
    ///
    /// ```
    /// # use codex_skills::{Error, Session};
    /// use std::time::Duration;
    ///
    /// async fn ask(session: &Session) -> Result<(), Error> {
    ///     match session.send_and_handle("Think.").timeout(Duration::from_secs(30)).await {
    ///         Err(error) if error.is_timeout() => {
    ///             let done = error.turn().map_or(0, |turn| turn.dispatches.len());
    ///             println!("interrupted after {done} calls");
    ///         }
    ///         turn => println!("{}", turn?.status),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The statuses, one or several, that count as the end that was hoped for; a turn that ends otherwise
    /// is an error. Texts are understood whatever their case, and those that are no end of a turn are refused before
    /// anything is sent. Default: every end will do.
    ///
    /// ```
    /// # use codex_skills::{Error, Session, TurnStatus};
    /// async fn ask(session: &Session) -> Result<(), Error> {
    ///     let ends = [TurnStatus::Completed, TurnStatus::Interrupted];
    ///     session.send_and_handle("Think.").terminal(ends).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn terminal(mut self, statuses: impl IntoStatuses) -> Self {
        self.terminal = Some(statuses.into_statuses());
        self
    }
}

/// One status, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a turn status or a list of them",
    note = "write `TurnStatus::Completed`, `\"completed\"`, or an array of either"
)]
pub trait IntoStatuses {
    /// The statuses.
    fn into_statuses(self) -> Vec<TurnStatus>;
}

impl IntoStatuses for TurnStatus {
    fn into_statuses(self) -> Vec<TurnStatus> {
        vec![self]
    }
}

impl IntoStatuses for &str {
    fn into_statuses(self) -> Vec<TurnStatus> {
        vec![self.into()]
    }
}

impl<T: Into<TurnStatus>, const N: usize> IntoStatuses for [T; N] {
    fn into_statuses(self) -> Vec<TurnStatus> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<TurnStatus>> IntoStatuses for Vec<T> {
    fn into_statuses(self) -> Vec<TurnStatus> {
        self.into_iter().map(Into::into).collect()
    }
}

/// What came of a turn.
///
/// ```
/// # #[codex_skills::skill]
/// # fn ping() -> &'static str { "pong" }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let codex = codex_skills::Embedded::demo();
/// let run = codex.lifecycle(|draft| draft.register(codex_skills::skills![ping])).await?;
/// let turn = run.send_and_handle("Use ping.").await?;
/// assert_eq!(turn.status, codex_skills::TurnStatus::Completed);
/// for call in &turn.dispatches {
///     println!("{} took {:?}", call.tool(), call.ran());
/// }
/// if let Some(tokens) = turn.usage {
///     println!("{} tokens", tokens.total);
/// }
/// run.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct TurnResult<R = Option<String>> {
    /// The session.
    pub session_id: String,
    /// The turn.
    pub turn_id: String,
    /// How the turn ended.
    pub status: TurnStatus,
    /// The last thing that the assistant said in the turn, without surrounding blanks.
    pub assistant_reply: R,
    /// The calls of the turn and of its sub-agents, in the order in which they arrived, with what became of each.
    pub dispatches: Vec<Arc<DispatchRecord>>,
    /// What the runtime answered to the request.
    pub accepted: Value,
    /// What the runtime told about the turn's end; null where that was more than
    /// [`DETAIL_BYTES`](crate::runtime::DETAIL_BYTES).
    pub detail: Value,
    /// What went wrong, where the turn failed and the runtime said so.
    pub error: Option<String>,
    /// How many tokens the turn used, where the runtime tells.
    pub usage: Option<Tokens>,
}

/// With sizes in the place of the reply, and of what the runtime told.
impl fmt::Debug for TurnResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(self.assistant_reply.as_deref(), f)
    }
}

/// With sizes in the place of the reply, and of what the runtime told.
impl fmt::Debug for TurnResult<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(Some(&self.assistant_reply), f)
    }
}

impl<R> TurnResult<R> {
    fn fmt_with(&self, reply: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnResult")
            .field("session_id", &self.session_id)
            .field("turn_id", &self.turn_id)
            .field("status", &self.status)
            .field("assistant_reply", &reply.map(withheld::text))
            .field("dispatches", &self.dispatches)
            .field("accepted", &withheld::Json(&self.accepted))
            .field("detail", &withheld::Json(&self.detail))
            .field("error", &self.error)
            .field("usage", &self.usage)
            .finish()
    }
}

/// What was known of a turn when waiting for it failed.
///
/// ```
/// # use codex_skills::{Error, Session};
/// async fn ask(session: &Session) -> Result<(), Error> {
///     let turn = session.send_and_handle("Think.").require_reply().await;
///     if let Some(turn) = turn.as_ref().err().and_then(Error::turn) {
///         println!("turn {} stood at {}", turn.turn_id, turn.status);
///         println!("{} calls were answered, and not {:?}", turn.dispatches.len(), turn.unsettled);
///     }
///     turn.map(drop)
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct TurnIncomplete {
    /// The session.
    pub session_id: String,
    /// The turn; empty when the request was not accepted in time.
    pub turn_id: String,
    /// How the turn stood.
    pub status: TurnStatus,
    /// What went wrong in the turn, where the runtime said so.
    pub error: Option<String>,
    /// The last thing that the assistant said in the turn.
    pub assistant_reply: Option<String>,
    /// The calls that were settled, with what became of each.
    pub dispatches: Vec<Arc<DispatchRecord>>,
    /// The tools of the calls that were not settled, sorted: their handlers ran still, or their answers were on their way.
    pub unsettled: Vec<String>,
}

/// With the size of the reply in its place.
impl fmt::Debug for TurnIncomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = self.assistant_reply.as_deref().map(withheld::text);
        f.debug_struct("TurnIncomplete")
            .field("session_id", &self.session_id)
            .field("turn_id", &self.turn_id)
            .field("status", &self.status)
            .field("error", &self.error)
            .field("assistant_reply", &reply)
            .field("dispatches", &self.dispatches)
            .field("unsettled", &self.unsettled)
            .finish()
    }
}

/// How many tools of calls without an answer a message names.
const NAMED: usize = 5;

impl TurnIncomplete {
    pub(crate) fn summary(&self) -> String {
        let mut open: Vec<String> = self
            .dispatches
            .iter()
            .filter(|record| !is_answered(record))
            .map(|record| record.call().qualified_tool().into_owned())
            .collect();
        let answered = self.dispatches.len() - open.len();
        open.extend(self.unsettled.iter().cloned());
        let mut summary = match answered {
            0 => "no calls were answered".to_owned(),
            1 => "1 call was answered".to_owned(),
            n => format!("{n} calls were answered"),
        };
        match open.len() {
            0 => return summary,
            1 => summary.push_str(", 1 was not"),
            n => summary.push_str(&format!(", {n} were not")),
        }
        open.sort_unstable();
        open.dedup();
        let names = open.get(..NAMED).unwrap_or(&open).join("`, `");
        summary.push_str(&format!(" (`{}`", peer::shown(&names)));
        match open.len().saturating_sub(NAMED) {
            0 => summary.push(')'),
            more => summary.push_str(&format!(" and {more} more)")),
        }
        summary
    }
}

/// Whether the model got what the handler had to say.
fn is_answered(record: &DispatchRecord) -> bool {
    let status = record.submission().status();
    record.outcome() != Outcome::Cancelled
        && matches!(
            status,
            SubmissionStatus::Accepted | SubmissionStatus::Written | SubmissionStatus::Repeated
        )
}

impl<'a> IntoFuture for SendAndHandle<'a, ReplyOptional> {
    type Output = Result<TurnResult, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.handle())
    }
}

impl<'a> IntoFuture for SendAndHandle<'a, ReplyRequired> {
    type Output = Result<TurnResult<String>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let core = self.request.core;
            let result = self.handle().await?;
            match result.assistant_reply {
                Some(assistant_reply) => Ok(TurnResult {
                    assistant_reply,
                    session_id: result.session_id,
                    turn_id: result.turn_id,
                    status: result.status,
                    dispatches: result.dispatches,
                    accepted: result.accepted,
                    detail: result.detail,
                    error: result.error,
                    usage: result.usage,
                }),
                None => Err(Error::NoReply {
                    turn: incomplete(core, &result.turn_id),
                }),
            }
        })
    }
}

impl<R> SendAndHandle<'_, R> {
    async fn handle(self) -> Result<TurnResult, Error> {
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::option("timeout", "a turn needs more than no time"));
        }
        check_terminal(self.terminal.as_deref())?;
        let core = self.request.core;
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let _serving = core.serve_turn()?;
        let _watching = core.watch();
        let accepted = match deadline {
            None => self.request.send().await?,
            Some(deadline) => match self.request.send_until(deadline).await? {
                Some(accepted) => accepted,
                None => return Err(self.timed_out("")),
            },
        };
        let turn_id = &accepted.turn_id;
        let patience = core.dispatcher().limits().decision_timeout;
        let ended = core.turn_ended(turn_id, patience);
        let ended = match deadline {
            None => ended.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, ended).await {
                Ok(ended) => ended,
                Err(_) => {
                    self.end(turn_id).await;
                    return Err(self.timed_out(turn_id));
                }
            },
        };
        if let Some(left) = ended.map_err(|error| with_turn(error, core, turn_id))? {
            self.end(turn_id).await;
            return Err(Error::Undecided {
                after: patience,
                method: left.method,
                turn: incomplete(core, turn_id),
            });
        }
        core.dispatcher().settled(Some(turn_id)).await;
        let turn = core.turn(turn_id);
        if turn.status == TurnStatus::Lost && self.terminal.is_none() {
            return Err(Error::TurnLost {
                turn: incomplete(core, turn_id),
            });
        }
        if let Some(expected) = self.terminal
            && !expected.contains(&turn.status)
        {
            return Err(Error::TurnEnded {
                expected,
                turn: incomplete(core, turn_id),
            });
        }
        Ok(TurnResult {
            session_id: core.id.to_string(),
            turn_id: turn_id.to_string(),
            status: turn.status,
            assistant_reply: turn.reply,
            dispatches: turn.records,
            accepted: accepted.payload,
            detail: serde_json::from_str(turn.detail.get()).unwrap_or_default(),
            error: turn.error,
            usage: turn.usage,
        })
    }

    /// Interrupts the turn that took too long.
    async fn end(&self, turn_id: &Arc<str>) {
        let core = self.request.core;
        interrupt(&**core.runtime(), &core.id, turn_id).await;
        core.dispatcher().cancel_turn(turn_id);
        let settled = core.dispatcher().settled(Some(turn_id));
        if tokio::time::timeout(ENDING, settled).await.is_err() {
            tracing::warn!(target: "codex_skills::session", session = &*core.id, "answers of a turn that took too long are still on their way");
        }
    }

    fn timed_out(&self, turn_id: &str) -> Error {
        Error::TurnTimeout {
            after: self.timeout.unwrap_or_default(),
            turn: incomplete(self.request.core, turn_id),
        }
    }
}

/// The ends of turns that this version knows.
const ENDS: [&str; 4] = ["completed", "failed", "interrupted", "lost"];

fn check_terminal(statuses: Option<&[TurnStatus]>) -> Result<(), Error> {
    let Some(statuses) = statuses else {
        return Ok(());
    };
    if statuses.is_empty() {
        return Err(Error::option(
            "terminal",
            "no turn ends in none of the statuses: name one",
        ));
    }
    for status in statuses {
        match status {
            TurnStatus::InProgress => {
                return Err(Error::option(
                    "terminal",
                    "`inProgress` is no end of a turn",
                ));
            }
            TurnStatus::Other(text) if text.trim().is_empty() => {
                return Err(Error::option(
                    "terminal",
                    "a status is empty: write \"completed\"",
                ));
            }
            TurnStatus::Other(text) => {
                let (text, meant) = (text.trim(), nearest_name(text, &ENDS));
                let meant = meant.map(|meant| format!(", did you mean `{meant}`?"));
                return Err(Error::option(
                    "terminal",
                    format!(
                        "no turn ends as `{text}`{}; turns end as `{}`",
                        meant.unwrap_or_default(),
                        ENDS.join("`, `")
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn incomplete(core: &SessionCore, turn_id: &str) -> Box<TurnIncomplete> {
    let turn = core.turn(turn_id);
    Box::new(TurnIncomplete {
        session_id: core.id.to_string(),
        turn_id: turn_id.to_owned(),
        status: turn.status,
        error: turn.error,
        assistant_reply: turn.reply,
        dispatches: turn.records,
        unsettled: core.dispatcher().unsettled(turn_id),
    })
}

fn with_turn(error: Error, core: &SessionCore, turn_id: &str) -> Error {
    match error {
        Error::SessionClosed {
            session_id,
            reason,
            is_lost,
            ..
        } => Error::SessionClosed {
            session_id,
            reason,
            is_lost,
            turn: Some(incomplete(core, turn_id)),
        },
        other => other,
    }
}
