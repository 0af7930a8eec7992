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

use tokio::time::Instant;

use super::result::TurnResult;
use crate::dispatch::discard;
use crate::error::Error;
use crate::runtime::Event;
use crate::session::core::SessionCore;
use crate::session::signals::Signals;
use crate::session::state::Turn;

/// How long an end that the wait saw may take to reach the reader. The two are steps of one function.
const GRACE: Duration = Duration::from_secs(1);

/// The same where events were dropped, of which the end may be one.
const GRACE_OF_LOST: Duration = Duration::from_millis(100);

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
    /// None once everything was shown that there will ever be, or the callback panicked.
    reading: Option<Reading<'a>>,
    /// The last turns whose ends were shown.
    ended: VecDeque<Arc<str>>,
    /// Events that were dropped before they were shown.
    lost: u64,
}

struct Reading<'a> {
    signals: Signals,
    callback: Callback<'a>,
}

impl<'a> Progress<'a> {
    /// Reads from now on.
    pub(super) fn new(core: &'a SessionCore, callback: Callback<'a>) -> Self {
        let signals = Signals::new(core.read());
        Self {
            core,
            reading: Some(Reading { signals, callback }),
            ended: VecDeque::new(),
            lost: 0,
        }
    }

    /// Waits for a turn, and shows the events up to its end meanwhile.
    pub(super) async fn during(
        mut self,
        turn: impl Future<Output = Result<TurnResult, Error>>,
    ) -> Result<TurnResult, Error> {
        let mut turn = pin!(turn);
        let mut result = loop {
            let Some(reading) = &mut self.reading else {
                break turn.await;
            };
            // The turn first: its time runs out however many events come.
            tokio::select! {
                biased;
                result = &mut turn => break result,
                event = reading.signals.next() => self.show(event),
            }
            tokio::task::coop::consume_budget().await;
        };
        let turn_id = match &result {
            Ok(turn) => Some(turn.turn_id.clone()),
            Err(error) => error.turn().map(|turn| turn.turn_id.clone()),
        };
        self.catch_up(turn_id.as_deref(), result.is_err()).await;
        self.count_lost();
        if let Ok(turn) = &mut result {
            turn.lost_events = self.lost;
        }
        result
    }

    /// Shows what had happened by now, and the end of the turn. A turn that took too long may be interrupted, whose end
    /// comes a moment later.
    async fn catch_up(&mut self, turn_id: Option<&str>, was_given_up: bool) {
        let mut left = self
            .reading
            .as_ref()
            .map_or(0, |reading| reading.signals.waiting());
        // Fewer may be left than there were: the queue drops some for a large one that comes meanwhile.
        while left > 0
            && let Some(reading) = &mut self.reading
            && let Some(event) = reading.signals.try_next()
        {
            left -= 1;
            self.show(Some(event));
            tokio::task::coop::consume_budget().await;
        }
        self.count_lost();
        let grace = if self.lost == 0 { GRACE } else { GRACE_OF_LOST };
        let until = Instant::now() + grace;
        while self.is_behind(turn_id, was_given_up)
            && let Some(reading) = &mut self.reading
        {
            match tokio::time::timeout_at(until, reading.signals.next()).await {
                Ok(event) => self.show(event),
                Err(_) => return,
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Whether an end is known to the session, or expected of a turn that was given up, and was not shown yet.
    fn is_behind(&self, turn_id: Option<&str>, was_given_up: bool) -> bool {
        let is_shown = |id: &str| self.ended.iter().any(|ended| **ended == *id);
        self.core.look(|opening| {
            let has_ended =
                |id: &&str| was_given_up || opening.turn(id).is_some_and(Turn::has_ended);
            let ended = turn_id.filter(has_ended);
            opening.closed().is_some() || ended.is_some_and(|id| !is_shown(id))
        })
    }

    /// Ends the reading, so that nothing waits in the queue any more.
    fn stop(&mut self) {
        self.count_lost();
        if let Some(Reading { callback, .. }) = self.reading.take()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(callback)))
        {
            discard(panic);
        }
    }

    fn count_lost(&mut self) {
        if let Some(reading) = &self.reading {
            self.lost = reading.signals.lost();
        }
    }

    fn show(&mut self, event: Option<Event>) {
        let (Some(event), Some(reading)) = (event, &mut self.reading) else {
            self.stop();
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (reading.callback.0)(&event))) {
            discard(panic);
            tracing::error!(target: "codex_skills::session", session = &*self.core.id, "the callback of `on_event` panicked: it is shown nothing more, and the turn goes on");
            self.stop();
        }
        if let Event::TurnCompleted { turn_id, .. } = event {
            self.ended.truncate(ENDS - 1);
            self.ended.push_front(turn_id);
        }
    }
}
