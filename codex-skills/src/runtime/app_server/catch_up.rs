//! Resumes the sessions on a new connection, and finds out how their turns ended meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::connection::{Connection, RequestError};
use super::registry::{Fate, Live};
use super::shared::{Shared, State, tell};
use super::version::Server;
use super::wire;
use crate::runtime::fingerprints::Fingerprints;
use crate::runtime::{TurnStatus, peer};

/// Threads resumed at the same time.
const RESUMED_AT_ONCE: usize = 8;

/// How long to retry a thread whose first turn codex has not written yet.
const UNWRITTEN: Duration = Duration::from_secs(10);

/// Pause between those retries.
const UNWRITTEN_PAUSE: Duration = Duration::from_millis(10);

impl Shared {
    /// Resumes the sessions on a new connection.
    pub(super) async fn serve(self: &Arc<Self>, connection: &Arc<Connection>, server: Server) {
        let fingerprints = Fingerprints::in_folder(self.settings.home(&server)).await;
        self.set_server(server, fingerprints);
        self.registry().unsubscribed();
        self.set_state(State::Resuming(connection.clone()));
        let live = self.registry().live();
        let resumed = live.into_iter().map(|live| async move {
            // Codex may still hold a thread for its old connection, and lets go of it.
            self.resume_live(connection, live).await;
        });
        let mut resumed = stream::iter(resumed).buffer_unordered(RESUMED_AT_ONCE);
        while resumed.next().await.is_some() {}
        self.set_state(State::Up(connection.clone()));
    }

    async fn resume_live(self: &Arc<Self>, connection: &Arc<Connection>, live: Live) {
        if live.is_child {
            // The calls of a sub-agent went with its process; a shared codex outlives the connection.
            if self.settings.target.is_shared()
                && let Err(error) = self.resume(connection, &live.thread_id, true).await
            {
                tracing::debug!(target: "codex_skills::app_server", thread = &*live.thread_id, ?error, "a sub-agent was not resumed");
            }
            return;
        }
        let without_turns = live.active.is_none();
        match self
            .resume(connection, &live.thread_id, without_turns)
            .await
        {
            Ok(resumed) => {
                self.registry().set_subscribed(&live.thread_id, true);
                if let Some(turn_id) = live.active {
                    self.look_after(connection, live.thread_id, turn_id, &resumed);
                }
            }
            Err(error) if live.fate == Fate::Unwritten && error.says("no rollout found") => {
                // The thread exists in codex's memory, but cannot be resumed before its first request is written.
                self.registry().set_subscribed(&live.thread_id, false);
            }
            Err(RequestError::Lost) => {}
            // Codex was killed before it had written the first turn that it announced.
            Err(error)
                if (error.says("no rollout found") || error.says_empty())
                    && !self.settings.target.is_shared() =>
            {
                self.thread_lost(&live.thread_id, "codex has no history of the session");
            }
            Err(error) => {
                let error = error.into_runtime("resume the session");
                self.close_thread(&live.thread_id, &error.to_string());
            }
        }
    }

    /// Resumes a thread, so that codex reports its events on this connection.
    pub(super) async fn resume(
        &self,
        connection: &Connection,
        thread_id: &str,
        without_turns: bool,
    ) -> Result<Box<RawValue>, RequestError> {
        let timeout = self.settings.request_timeout;
        let params = json!({"threadId": thread_id, "excludeTurns": without_turns});
        let until = Instant::now() + UNWRITTEN.min(timeout);
        let is_shared = self.settings.target.is_shared();
        loop {
            let resumed = connection.request("thread/resume", &params, timeout).await;
            match resumed {
                // The first turn of the thread has just begun and is not written yet, or only its empty file is there.
                Err(error)
                    if (error.says("list_turns") || is_shared && error.says_empty())
                        && Instant::now() < until =>
                {
                    tokio::time::sleep(UNWRITTEN_PAUSE).await;
                }
                resumed => return resumed,
            }
        }
    }

    /// Finds out how a turn ended while the connection was lost.
    pub(super) fn look_after(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        resumed: &RawValue,
    ) {
        #[derive(Deserialize)]
        struct Resumed {
            thread: Thread,
        }
        #[derive(Deserialize)]
        struct Thread {
            #[serde(default)]
            turns: Vec<Box<RawValue>>,
        }
        let turns = serde_json::from_str::<Resumed>(resumed.get())
            .map(|resumed| resumed.thread.turns)
            .unwrap_or_default();
        self.look_after_in(connection, thread_id, turn_id, turns);
    }

    /// The same with codex's list of turns.
    pub(super) fn look_after_in(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        thread_id: Arc<str>,
        turn_id: Arc<str>,
        turns: Vec<Box<RawValue>>,
    ) {
        if !self.ends_as(&thread_id, &turn_id, turns, false) {
            let (shared, connection) = (self.clone(), connection.clone());
            tokio::spawn(async move { shared.confirm(&connection, thread_id, turn_id).await });
        }
    }

    /// Reports the end of a turn as codex's list of turns has it; returns whether nothing is left to find out. A turn
    /// that reads `interrupted` may be about to read `completed` (contract §7).
    fn ends_as(
        &self,
        thread_id: &Arc<str>,
        turn_id: &str,
        turns: Vec<Box<RawValue>>,
        is_confirmed: bool,
    ) -> bool {
        let mut ends = turns
            .iter()
            .filter_map(|turn| Some((turn, wire::turn_end(turn).ok()?)));
        let Some((turn, end)) = ends.find(|(_, end)| *end.turn_id == *turn_id) else {
            return false;
        };
        for (call_id, answer) in wire::answers_in(turn) {
            self.completed(thread_id, &end.turn_id, call_id, answer);
        }
        let reply = end.reply.clone();
        match end.status {
            TurnStatus::InProgress => true,
            TurnStatus::Interrupted if !is_confirmed => false,
            _ => {
                let delivery = self.registry().ended(thread_id, end, reply);
                tell(delivery);
                true
            }
        }
    }

    /// Asks again about a turn that read `interrupted`, until its end is reported, or `interrupted` has stood for 2 s.
    async fn confirm(&self, connection: &Arc<Connection>, thread_id: Arc<str>, turn_id: Arc<str>) {
        let until = Instant::now() + Duration::from_secs(2);
        while !self.registry().has_ended(&thread_id, &turn_id) {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let turns = match self.turns(connection, &thread_id).await {
                Err(RequestError::Lost) => return,
                turns => turns.unwrap_or_default(),
            };
            let is_confirmed = Instant::now() >= until;
            if self.ends_as(&thread_id, &turn_id, turns, is_confirmed) {
                return;
            }
            if is_confirmed {
                let end = wire::TurnEnd {
                    turn_id: turn_id.clone(),
                    status: TurnStatus::Lost,
                    error: Some("its end was not heard, and codex does not list it".to_owned()),
                    reply: None,
                    detail: RawValue::NULL.to_owned().into(),
                };
                let delivery = self.registry().ended(&thread_id, end, None);
                tell(delivery);
                return;
            }
        }
    }

    /// The newest turns of a thread.
    pub(super) async fn turns(
        &self,
        connection: &Connection,
        thread_id: &str,
    ) -> Result<Vec<Box<RawValue>>, RequestError> {
        #[derive(Deserialize)]
        struct Listed {
            data: Vec<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        struct ReadThread {
            thread: Turns,
        }
        #[derive(Deserialize)]
        struct Turns {
            #[serde(default)]
            turns: Vec<Box<RawValue>>,
        }
        let timeout = self.settings.request_timeout;
        let unreadable = |error: serde_json::Error| RequestError::Unreadable(peer::place(&error));
        let params = json!({"threadId": thread_id, "limit": 5, "sortDirection": "desc", "itemsView": "full"});
        match connection
            .request("thread/turns/list", &params, timeout)
            .await
        {
            Ok(listed) => serde_json::from_str::<Listed>(listed.get())
                .map(|listed| listed.data)
                .map_err(unreadable),
            Err(RequestError::Refused(_)) => {
                // A codex that has no such list.
                let params = json!({"threadId": thread_id, "includeTurns": true});
                let read = connection.request("thread/read", &params, timeout).await?;
                serde_json::from_str::<ReadThread>(read.get())
                    .map(|read| read.thread.turns)
                    .map_err(unreadable)
            }
            Err(error) => Err(error),
        }
    }
}
