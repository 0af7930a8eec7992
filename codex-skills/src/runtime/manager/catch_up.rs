//! Asks the server for what the stream did not bring: waiting calls, ended turns, unknown sub-agents.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;

use super::address;
use super::detail::Detail;
use super::exchange::{Holds, NAME, Request};
use super::failure;
use super::link::LinkState;
use super::registry::{ActiveTurn, Which};
use super::shared::{Shared, UNNAMED, tell};
use super::wire::{self, Frame, TurnEnd};
use crate::runtime::{RuntimeError, RuntimeErrorKind, TurnStatus};

/// How many ancestors of a thread are looked at to find the session that serves it.
const ANCESTORS: usize = 8;
/// How many requests of a catch-up are under way at the same time.
const CATCH_UP_REQUESTS: usize = 16;
/// How long an `interrupted` that only a poll shows must last before it is believed: for up to 300 ms it
/// is shown for turns that complete (contract §7).
const DOUBT: Duration = Duration::from_millis(400);
/// Reason for a turn that was lost with its codex process.
const RESTARTED: &str = "codex was started anew while it ran";

/// Why sessions are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// Something may have been missed, as after a reconnect; the stream is not in doubt.
    Asked,
    /// No frame came for a while; if something is found, the stream has failed to bring it.
    Silent,
}

impl Shared {
    /// Finds the session that an unknown thread is a sub-agent of, if it is one of this client's.
    pub(super) async fn adopt(self: &Arc<Self>, thread_id: Arc<str>) {
        let mut line = vec![thread_id.clone()];
        while line.len() <= ANCESTORS {
            let Some(youngest) = line.last() else { return };
            let operation = "read the session";
            let Ok(path) = address::path(operation, "/sessions", youngest, "") else {
                return;
            };
            let response = self
                .http
                .send_again(Request {
                    operation,
                    method: Method::GET,
                    path: &path,
                    body: None,
                    holds: Holds::History,
                })
                .await;
            let Ok(response) = response else {
                self.registry().ask_again(&thread_id);
                return;
            };
            let Some(parent) = Detail::read(&response.body).parent else {
                return;
            };
            if self.registry().serves(&parent) {
                for child in line.into_iter().rev() {
                    let parent_id = parent.clone();
                    self.deliver(Frame::Children {
                        parent_id,
                        thread_ids: vec![child],
                        are_spawned: true,
                    });
                }
                self.catch_up_questions(&thread_id).await;
                self.catch_up_calls(thread_id, Because::Asked).await;
                return;
            }
            line.push(parent);
        }
    }

    /// Ends the turns of a codex that does not run any more.
    pub(super) async fn check_codex(&self) {
        if let Ok(process) = self.http.process().await
            && let Some(death) = &process.death
        {
            self.end_all(&Which::Active, death);
        }
    }

    fn end_all(&self, which: &Which, death: &str) {
        let live = self.registry().live(which);
        for (session_id, turns) in live {
            for turn in turns {
                self.end(&session_id, TurnEnd::lost(&turn.id, death));
            }
        }
    }

    /// Asks for what the stream did not bring: the calls that wait, and how turns ended.
    pub(super) async fn catch_up(self: &Arc<Self>, which: &Which, because: Because) {
        let live = self.registry().live(which);
        if live.is_empty() {
            return;
        }
        let Ok(process) = self.http.process().await else {
            return;
        };
        // As long as the stream is up, the manager is the one that it was.
        let is_up = self.state() == LinkState::Up;
        if !is_up {
            self.now_is(process.id);
        }
        if let Some(death) = &process.death {
            self.end_all(&Which::Active, death);
            return;
        }
        let because = if is_up { because } else { Because::Asked };
        futures_util::stream::iter(live)
            .for_each_concurrent(CATCH_UP_REQUESTS, |(session_id, turns)| async move {
                let children = self.registry().children(&session_id);
                let mut waits = self.catch_up_calls(session_id.clone(), because).await;
                self.catch_up_questions(&session_id).await;
                for child in children {
                    self.catch_up_questions(&child).await;
                    waits |= self.catch_up_calls(child, because).await;
                }
                for turn in turns {
                    // While a call of this process waits, the turn has not ended.
                    if !waits || turn.generation != self.generation() {
                        self.catch_up_turn(&session_id, &turn, because).await;
                    }
                }
            })
            .await;
    }

    /// Ends a turn, unless the stream has brought its end; returns whether it had not.
    fn end(&self, session_id: &Arc<str>, end: TurnEnd) -> bool {
        let delivery = {
            let mut registry = self.registry();
            // The stream may have brought it meanwhile.
            if !registry.is_active(session_id, &end.turn_id) {
                return false;
            }
            let turn_id = end.turn_id.clone();
            (registry.ended(session_id, end), turn_id)
        };
        let (delivery, turn_id) = delivery;
        self.forget_questions(session_id, Some(&turn_id));
        tell(delivery);
        true
    }

    /// Something was found that the stream should have brought.
    fn found(&self, thread_id: &Arc<str>, because: Because) {
        if because == Because::Silent
            && let Some(pulse) = self.pulse_of(thread_id)
        {
            pulse.doubt();
        }
    }

    /// Announces the calls of a thread that wait; whether there are some.
    pub(super) async fn catch_up_calls(&self, thread_id: Arc<str>, because: Because) -> bool {
        // The ids are those of the process that is there now, or of none any more.
        let generation = self.generation();
        match self.waiting(&thread_id).await {
            Ok(calls) => {
                let waits = !calls.is_empty();
                for call in calls {
                    let delivery = {
                        let mut registry = self.registry();
                        if !registry.knows(&thread_id, &call.request_id, generation) {
                            self.found(&thread_id, because);
                        }
                        let frame = Frame::Call {
                            thread_id: thread_id.clone(),
                            call,
                            is_listed: true,
                        };
                        registry.take(frame, generation)
                    };
                    tell(delivery);
                }
                waits
            }
            Err(error) => {
                self.unknown(&thread_id, &error);
                false
            }
        }
    }

    /// Logs that the server was asked in vain: aloud where it answered and asking again does not help, as where a history
    /// is longer than is read.
    fn unknown(&self, thread: &str, error: &RuntimeError) {
        if error.kind() != RuntimeErrorKind::Refused {
            tracing::debug!(target: "codex_skills::manager", thread, %error, "what waits or ended is not known");
        } else if let Some(left_out) = self.unread.line() {
            tracing::warn!(target: "codex_skills::manager", thread, %error, left_out, "what waits or ended is not known");
        }
    }

    pub(super) async fn waiting(
        &self,
        thread_id: &str,
    ) -> Result<Vec<wire::PendingCall>, RuntimeError> {
        let operation = "list the calls that wait";
        let path = address::path(operation, "/sessions", thread_id, "/tool-calls")?;
        let response = self
            .http
            .send(Request {
                operation,
                method: Method::GET,
                path: &path,
                body: None,
                holds: Holds::History,
            })
            .await?;
        if !response.status.is_success() && !matches!(response.status.as_u16(), 403 | 410) {
            return Err(failure::of(operation, &Method::GET, &path, &response, None));
        }
        let (calls, unread) = wire::pending_calls(&response.body).map_err(|reason| {
            RuntimeError::new(NAME, operation, RuntimeErrorKind::Unavailable, reason)
        })?;
        if unread > 0 {
            self.count_malformed();
            tracing::warn!(target: "codex_skills::manager", unread, "calls that cannot be read are left out");
        }
        Ok(calls)
    }

    /// Asks how a turn ended that the stream may have ended unheard.
    pub(super) async fn catch_up_turn(
        &self,
        session_id: &Arc<str>,
        turn: &ActiveTurn,
        because: Because,
    ) {
        // A process that was followed by another one ended with all its turns.
        let generation = self.generation();
        let is_gone = turn.generation != generation
            && turn.generation != 0
            && turn.generation.max(generation) < UNNAMED;
        let operation = "read the session";
        let Ok(path) = address::path(operation, "/sessions", session_id, "") else {
            return;
        };
        let mut doubts = 2;
        while self.registry().is_active(session_id, &turn.id) {
            let response = self
                .http
                .send(Request {
                    operation,
                    method: Method::GET,
                    path: &path,
                    body: None,
                    holds: Holds::History,
                })
                .await;
            let response = match response {
                Ok(response) => response,
                Err(error) => return self.unknown(session_id, &error),
            };
            if response.status.as_u16() == 410 {
                self.deliver(Frame::Deleted {
                    session_id: session_id.clone(),
                });
                return;
            }
            let detail = Detail::read(&response.body);
            let end = detail.end_of(&turn.id);
            let status = end
                .as_ref()
                .map_or(&TurnStatus::InProgress, |end| &end.status);
            match (end.as_ref(), status) {
                // codex shows `interrupted` for a turn that its process left behind.
                (_, TurnStatus::InProgress | TurnStatus::Interrupted) if is_gone => {
                    self.end(session_id, TurnEnd::lost(&turn.id, RESTARTED));
                    return;
                }
                (_, TurnStatus::InProgress) | (None, _) => {
                    self.catch_up_children(session_id, detail.children()).await;
                    return;
                }
                (_, TurnStatus::Interrupted) if doubts > 0 => {
                    doubts -= 1;
                    tokio::time::sleep(DOUBT).await;
                }
                (Some(end), _) => {
                    if self.end(session_id, end.clone()) {
                        self.found(session_id, because);
                    }
                    return;
                }
            }
        }
    }

    /// Records the sub-agents that a session got while the stream was down, and announces their calls.
    async fn catch_up_children(&self, session_id: &Arc<str>, children: Vec<(Arc<str>, bool)>) {
        for (child, is_spawned) in &children {
            if !self.registry().serves(child) {
                let are_spawned =
                    *is_spawned || children.iter().any(|other| *other == (child.clone(), true));
                self.deliver(Frame::Children {
                    parent_id: session_id.clone(),
                    are_spawned,
                    thread_ids: vec![child.clone()],
                });
                self.catch_up_calls(child.clone(), Because::Asked).await;
            }
        }
    }
}
