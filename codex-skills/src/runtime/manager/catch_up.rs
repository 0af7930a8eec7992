//! Asking for what the stream did not tell: calls that wait, turns that ended, children nobody heard of.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;

use super::http::{self, NAME, Request};
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

impl Shared {
    /// Finds the session that serves a thread nobody has heard of, where there is one.
    pub(super) async fn adopt(&self, thread_id: Arc<str>) {
        let mut line = vec![thread_id.clone()];
        while line.len() <= ANCESTORS {
            let Some(youngest) = line.last() else { return };
            let path = format!("/sessions/{youngest}");
            let response = self
                .http
                .send_again(Request {
                    operation: "read the session",
                    method: Method::GET,
                    path: &path,
                    body: None,
                })
                .await;
            let Ok(response) = response else {
                self.registry().ask_again(&thread_id);
                return;
            };
            let detail = response.json();
            let Some(parent) = detail
                .pointer("/thread/parentThreadId")
                .and_then(Value::as_str)
            else {
                return;
            };
            let parent: Arc<str> = parent.into();
            if self.registry().serves(&parent) {
                for child in line.into_iter().rev() {
                    let parent_id = parent.clone();
                    self.deliver(Frame::Children {
                        parent_id,
                        thread_ids: vec![child],
                    });
                }
                self.catch_up_calls(thread_id).await;
                return;
            }
            line.push(parent);
        }
    }

    /// Asks for what the stream did not tell: the calls that wait, and how turns ended.
    pub(super) async fn catch_up(&self, which: &Which) {
        let live = self.registry().live(which);
        if live.is_empty() {
            return;
        }
        let Ok(process) = self.process().await else {
            return;
        };
        // As long as the stream is up, the manager is the one that it was.
        if self.state() != LinkState::Up {
            self.now_is(process.id);
        }
        futures_util::stream::iter(live)
            .for_each_concurrent(CATCH_UP_REQUESTS, |(session_id, turns)| async move {
                if process.is_dead {
                    for turn in turns {
                        let end = TurnEnd::lost(
                            &turn.id,
                            TurnStatus::Failed,
                            "codex does not run any more",
                        );
                        self.end(&session_id, end);
                    }
                    return;
                }
                let children = self.registry().children(&session_id);
                let mut waits = self.catch_up_calls(session_id.clone()).await;
                for child in children {
                    waits |= self.catch_up_calls(child).await;
                }
                for turn in turns {
                    // While a call of this process waits, the turn has not ended.
                    if !waits || turn.generation != self.generation() {
                        self.catch_up_turn(&session_id, &turn).await;
                    }
                }
            })
            .await;
    }

    fn end(&self, session_id: &Arc<str>, end: TurnEnd) {
        let delivery = {
            let mut registry = self.registry();
            // The stream may have told meanwhile.
            if !registry.is_active(session_id, &end.turn_id) {
                return;
            }
            registry.ended(session_id, end)
        };
        tell(delivery);
    }

    /// Announces the calls of a thread that wait; whether there are some.
    pub(super) async fn catch_up_calls(&self, thread_id: Arc<str>) -> bool {
        // The ids are those of the process that is there now, or of none any more.
        let generation = self.generation();
        match self.waiting(&thread_id).await {
            Ok(calls) => {
                let waits = !calls.is_empty();
                for call in calls {
                    let frame = Frame::Call {
                        thread_id: thread_id.clone(),
                        call,
                        is_listed: true,
                    };
                    let delivery = self.registry().take(frame, generation);
                    tell(delivery);
                }
                waits
            }
            Err(error) => {
                tracing::debug!(target: "codex_skills::manager", thread = &*thread_id, %error, "waiting calls are not known");
                false
            }
        }
    }

    pub(super) async fn waiting(
        &self,
        thread_id: &str,
    ) -> Result<Vec<wire::PendingCall>, RuntimeError> {
        let path = format!("/sessions/{thread_id}/tool-calls");
        let operation = "list the calls that wait";
        let response = self
            .http
            .send(Request {
                operation,
                method: Method::GET,
                path: &path,
                body: None,
            })
            .await?;
        if !response.status.is_success() && !matches!(response.status.as_u16(), 403 | 410) {
            return Err(http::failure(operation, &Method::GET, &path, &response));
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
    pub(super) async fn catch_up_turn(&self, session_id: &Arc<str>, turn: &ActiveTurn) {
        // A process that was followed by another one ended with all its turns.
        let generation = self.generation();
        let is_gone = turn.generation != generation
            && turn.generation != 0
            && turn.generation.max(generation) < UNNAMED;
        let path = format!("/sessions/{session_id}");
        let mut doubts = 2;
        while self.registry().is_active(session_id, &turn.id) {
            let response = self
                .http
                .send(Request {
                    operation: "read the session",
                    method: Method::GET,
                    path: &path,
                    body: None,
                })
                .await;
            let Ok(response) = response else { return };
            if response.status.as_u16() == 410 {
                self.deliver(Frame::Deleted {
                    session_id: session_id.clone(),
                });
                return;
            }
            let detail = response.json();
            match wire::turn_of_detail(&detail, &turn.id) {
                None
                | Some(TurnEnd {
                    status: TurnStatus::InProgress,
                    ..
                }) if is_gone => {
                    let end =
                        TurnEnd::lost(&turn.id, TurnStatus::Interrupted, "codex was started anew");
                    self.end(session_id, end);
                    return;
                }
                None
                | Some(TurnEnd {
                    status: TurnStatus::InProgress,
                    ..
                }) => {
                    self.catch_up_children(session_id, &detail).await;
                    return;
                }
                Some(TurnEnd {
                    status: TurnStatus::Interrupted,
                    ..
                }) if doubts > 0 && !is_gone => {
                    doubts -= 1;
                    tokio::time::sleep(DOUBT).await;
                }
                Some(end) => {
                    self.end(session_id, end);
                    return;
                }
            }
        }
    }

    /// Serves the children that a session had while nobody heard of them.
    async fn catch_up_children(&self, session_id: &Arc<str>, detail: &Value) {
        for child in wire::children_of_detail(detail) {
            if !self.registry().serves(&child) {
                self.deliver(Frame::Children {
                    parent_id: session_id.clone(),
                    thread_ids: vec![child.clone()],
                });
                self.catch_up_calls(child).await;
            }
        }
    }
}
