//! Showing the events of a turn while it is waited for.
//!
//! The callback runs between two polls of the wait, on the task that awaits: it may borrow, needs no channel, and holds up
//! neither the wire nor the calls. What it is too slow for is dropped by the reader's queue, which is bounded, and counted.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::result::TurnResult;
use crate::dispatch::discard;
use crate::error::Error;
use crate::runtime::Event;
use crate::session::core::SessionCore;
use crate::session::signals::Signals;
use crate::session::state::Turn;

/// How long an end that the wait saw may take to reach the reader. The two are steps of one function.
const GRACE: Duration = Duration::from_secs(1);

/// How many ends of turns are remembered as shown.
const ENDS: usize = 16;

/// Code of the user that is shown events.
pub(super) struct Callback<'a>(Box<dyn FnMut(&Event) + Send + 'a>);

impl<'a> Callback<'a> {
    pub(super) fn new(callback: impl FnMut(&Event) + Send + 'a) -> Self {
        Self(Box::new(callback))
    }
}

impl fmt::Debug for Callback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// A reader of a session's events, and the callback that it has for them.
pub(super) struct Progress<'a> {
    core: &'a SessionCore,
    signals: Signals,
    /// Nothing after it panicked.
    callback: Option<Callback<'a>>,
    /// The last turns whose ends were shown.
    ended: VecDeque<Arc<str>>,
    /// Whether everything was shown that there will ever be.
    is_closed: bool,
}

impl<'a> Progress<'a> {
    /// Reads from now on.
    pub(super) fn new(core: &'a SessionCore, callback: Callback<'a>) -> Self {
        Self {
            core,
            signals: Signals::new(core.read()),
            callback: Some(callback),
            ended: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Waits for a turn, and shows the events up to its end meanwhile.
    pub(super) async fn during(
        mut self,
        turn: impl Future<Output = Result<TurnResult, Error>>,
    ) -> Result<TurnResult, Error> {
        let mut turn = pin!(turn);
        let mut result = loop {
            if self.is_over() {
                break turn.await;
            }
            // The turn first: its time runs out however many events come.
            tokio::select! {
                biased;
                result = &mut turn => break result,
                event = self.signals.next() => self.show(event),
            }
            tokio::task::coop::consume_budget().await;
        };
        let turn_id = match &result {
            Ok(turn) => Some(turn.turn_id.clone()),
            Err(error) => error.turn().map(|turn| turn.turn_id.clone()),
        };
        self.catch_up(turn_id.as_deref()).await;
        if let Ok(turn) = &mut result {
            turn.lost_events = self.signals.lost();
        }
        result
    }

    /// Shows what had happened by now, the end of the turn with it.
    async fn catch_up(&mut self, turn_id: Option<&str>) {
        for _ in 0..self.signals.waiting() {
            let event = self.signals.next().await;
            self.show(event);
        }
        while !self.is_over() && self.is_behind(turn_id) {
            match tokio::time::timeout(GRACE, self.signals.next()).await {
                Ok(event) => self.show(event),
                Err(_) => return,
            }
        }
    }

    /// Whether an end is known to the session that was not shown yet.
    fn is_behind(&self, turn_id: Option<&str>) -> bool {
        let is_shown = |id: &str| self.ended.iter().any(|ended| **ended == *id);
        self.core.look(|opening| {
            let has_ended = |id: &&str| opening.turn(id).is_some_and(Turn::has_ended);
            let ended = turn_id.filter(has_ended);
            opening.closed().is_some() || ended.is_some_and(|id| !is_shown(id))
        })
    }

    /// Whether nothing is shown any more.
    fn is_over(&self) -> bool {
        self.is_closed || self.callback.is_none()
    }

    fn show(&mut self, event: Option<Event>) {
        let Some(event) = event else {
            self.is_closed = true;
            return;
        };
        let Some(callback) = &mut self.callback else {
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (callback.0)(&event))) {
            discard(panic);
            tracing::error!(target: "codex_skills::session", session = &*self.core.id, "the callback of `on_event` panicked: it is shown nothing more, and the turn goes on");
            self.callback = None;
        }
        if let Event::TurnCompleted { turn_id, .. } = event {
            self.ended.truncate(ENDS - 1);
            self.ended.push_front(turn_id);
        }
    }
}
