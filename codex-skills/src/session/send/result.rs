//! What came of a turn, or what was known of it when waiting for it failed.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::dispatch::{DispatchRecord, Outcome, SubmissionStatus};
use crate::error::Error;
use crate::runtime::{Tokens, TurnStatus, peer};
use crate::session::core::SessionCore;
use crate::withheld;

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
    /// What the runtime said about the turn's end; null where that was more than
    /// [`DETAIL_BYTES`](crate::runtime::DETAIL_BYTES).
    pub detail: Value,
    /// What went wrong, where the turn failed and the runtime said so.
    pub error: Option<String>,
    /// How many tokens the turn used, where the runtime tells.
    pub usage: Option<Tokens>,
    /// How many events [`on_event`](crate::SendAndHandle::on_event) was too slow for.
    pub lost_events: u64,
}

/// With sizes in the place of the reply, and of what the runtime said.
impl fmt::Debug for TurnResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_with(self.assistant_reply.as_deref(), f)
    }
}

/// With sizes in the place of the reply, and of what the runtime said.
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
            .field("lost_events", &self.lost_events)
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

/// What is known of a turn.
pub(super) fn incomplete(core: &SessionCore, turn_id: &str) -> Box<TurnIncomplete> {
    let turn = core.turn(turn_id);
    Box::new(TurnIncomplete {
        session_id: core.id.to_string(),
        turn_id: turn_id.to_owned(),
        status: turn.status,
        error: turn.error,
        assistant_reply: turn.reply,
        dispatches: turn.records,
        unsettled: core.unsettled(turn_id),
    })
}

/// The same error with what is known of the turn, where it is the session's end.
pub(super) fn with_turn(error: Error, core: &SessionCore, turn_id: &str) -> Error {
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
