//! The wait for a turn: from sending the request to the turn's end and the answers of its calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::request::{ENDING, Request, interrupt};
use super::result::{TurnResult, incomplete, with_turn};
use super::statuses::check_terminal;
use crate::error::Error;
use crate::runtime::TurnStatus;

/// Which turn is good enough.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// How long it may take.
    pub(super) timeout: Option<Duration>,
    /// How it may end.
    pub(super) terminal: Option<Vec<TurnStatus>>,
}

/// Sends a request and waits for its turn, whose calls are answered meanwhile.
pub(super) async fn turn(request: Request<'_>, bounds: Bounds) -> Result<TurnResult, Error> {
    let Bounds { timeout, terminal } = bounds;
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(Error::option("timeout", "a turn needs more than no time"));
    }
    check_terminal(terminal.as_deref())?;
    let core = request.core;
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let _serving = core.serve_turn()?;
    let _watching = core.watch();
    let accepted = match deadline {
        None => request.send().await?,
        Some(deadline) => match request.send_until(deadline).await? {
            Some(accepted) => accepted,
            None => return Err(request.timed_out(timeout, "")),
        },
    };
    let turn_id = &accepted.turn_id;
    let patience = core.limits().decision_timeout;
    let ended = core.turn_ended(turn_id, patience);
    let ended = match deadline {
        None => ended.await,
        Some(deadline) => match tokio::time::timeout_at(deadline, ended).await {
            Ok(ended) => ended,
            Err(_) => {
                request.end(turn_id).await;
                return Err(request.timed_out(timeout, turn_id));
            }
        },
    };
    if let Some(left) = ended.map_err(|error| with_turn(error, core, turn_id))? {
        request.end(turn_id).await;
        return Err(Error::Undecided {
            after: patience,
            method: left.method,
            turn: incomplete(core, turn_id),
        });
    }
    core.settled(Some(turn_id)).await;
    let turn = core.turn(turn_id);
    if turn.status == TurnStatus::Lost && terminal.is_none() {
        return Err(Error::TurnLost {
            turn: incomplete(core, turn_id),
        });
    }
    if let Some(expected) = terminal
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
        lost_events: 0,
    })
}

impl Request<'_> {
    /// Interrupts the turn that took too long.
    async fn end(&self, turn_id: &Arc<str>) {
        let core = self.core;
        interrupt(&**core.runtime(), &core.id, turn_id).await;
        core.cancel_turn(turn_id);
        let settled = core.settled(Some(turn_id));
        if tokio::time::timeout(ENDING, settled).await.is_err() {
            tracing::warn!(target: "codex_skills::session", session = &*core.id, "answers of a turn that took too long are still on their way");
        }
    }

    fn timed_out(&self, timeout: Option<Duration>, turn_id: &str) -> Error {
        Error::TurnTimeout {
            after: timeout.unwrap_or_default(),
            turn: incomplete(self.core, turn_id),
        }
    }
}
