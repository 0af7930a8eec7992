//! The events of a session for programs that watch it or run their own loop.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::dispatch::{Common, Limits};
use crate::runtime::Event;

/// Notifications that wait for a slow reader before the oldest are dropped.
const NOTIFICATIONS: usize = 1024;

/// The events of a session, from the moment of [`Session::signals`](crate::Session::signals) on.
///
/// A reader that falls behind loses notifications, oldest first, and [`lost`](Self::lost) counts them: beyond 1,024 of them,
/// and beyond [`Limits::signal_bytes`](crate::Limits::signal_bytes).
/// Tool calls are kept beside them up to the session's limit of open calls, and whatever a reader
/// misses is still found by [`drain_pending_calls`](crate::Session::drain_pending_calls).
///
/// ```
/// # use codex_skills::{Event, Session};
/// async fn watch(session: &Session) {
///     let mut signals = session.signals();
///     while let Some(event) = signals.next().await {
///         if let Event::TurnCompleted { turn_id, status, .. } = event {
///             println!("turn {turn_id}: {status}");
///         }
///     }
///     if signals.lost() > 0 {
///         println!("{} events came too fast", signals.lost());
///     }
/// }
/// ```
pub struct Signals {
    queue: Arc<Queue>,
}

impl Signals {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// The next event; `None` once the session is closed and everything was read.
    ///
    /// Cancel safe: an event is not lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let changed = self.queue.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.queue.state();
                if let Some(event) = state.pop() {
                    return Some(event);
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// The next event, where one waits.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        self.queue.state().pop()
    }

    /// How many events can be read at once.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.state().events.len()
    }

    /// How many notifications were dropped because this reader was too slow.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.state().lost
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.queue.state();
        f.debug_struct("Signals")
            .field("waiting", &state.events.len())
            .field("lost", &state.lost)
            .finish()
    }
}

/// The queue of one reader.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// Number of tool calls in the queue.
    calls: usize,
    bytes: usize,
    common: Arc<Common>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    calls: usize,
    bytes: usize,
    closed: bool,
    lost: u64,
}

impl State {
    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.forget(&event);
        Some(event)
    }

    fn forget(&mut self, event: &Event) {
        self.bytes -= event.bytes();
        if matches!(event, Event::ToolCall(_)) {
            self.calls -= 1;
        }
    }

    /// Drops the oldest events until the others have no more than these bytes: calls, which are found in other ways as
    /// well, after everything else.
    fn shrink(&mut self, bytes: usize, common: &Common) {
        while self.bytes > bytes && !self.events.is_empty() {
            let only_calls = self.events.len() == self.calls;
            self.drop_oldest(only_calls, common);
        }
    }

    fn drop_oldest(&mut self, calls: bool, common: &Common) {
        let oldest = self
            .events
            .iter()
            .position(|event| matches!(event, Event::ToolCall(_)) == calls);
        if let Some(event) = oldest.and_then(|at| self.events.remove(at)) {
            self.forget(&event);
            if self.lost == 0 {
                tracing::warn!(target: "codex_skills::session", "a reader of signals is too slow and loses the oldest");
            }
            self.lost += 1;
            common.counters.lose_notification();
        }
    }
}

impl Queue {
    /// A queue within these limits. What is lost is counted for the client too.
    pub(crate) fn new(limits: &Limits, common: Arc<Common>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Notify::new(),
            calls: limits.open_calls.max(1),
            bytes: limits.signal_bytes,
            common,
        })
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.state();
        if matches!(event, Event::ToolCall(_)) {
            if state.calls >= self.calls {
                state.drop_oldest(true, &self.common);
            }
            state.calls += 1;
        } else if state.events.len() - state.calls >= NOTIFICATIONS {
            state.drop_oldest(false, &self.common);
        }
        state.bytes += event.bytes();
        state.events.push_back(event);
        state.shrink(self.bytes, &self.common);
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::skill::ToolCall;

    #[tokio::test]
    async fn a_slow_reader_loses_notifications_and_no_calls() {
        let queue = Queue::new(&Limits::default(), Arc::default());
        let call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
        queue.push(Event::ToolCall(Arc::new(call)));
        for turn in 0..NOTIFICATIONS + 5 {
            queue.push(Event::TurnStarted {
                turn_id: turn.to_string().into(),
            });
        }
        queue.close();
        let mut signals = Signals::new(queue);
        assert_eq!(signals.lost(), 5);
        assert!(matches!(signals.next().await, Some(Event::ToolCall(_))));
        let first = signals.next().await;
        assert_eq!(first.as_ref().and_then(Event::turn_id), Some("5"));
        let mut rest = 0;
        while signals.next().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, NOTIFICATIONS - 1);
    }

    #[tokio::test]
    async fn a_slow_reader_keeps_the_newest_bytes_and_calls_longest() {
        let limits = Limits {
            signal_bytes: 10_000,
            ..Limits::default()
        };
        let queue = Queue::new(&limits, Arc::default());
        let call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
        queue.push(Event::ToolCall(Arc::new(call)));
        for n in 0..100 {
            queue.push(Event::TextDelta {
                turn_id: n.to_string().into(),
                delta: "x".repeat(3_000),
            });
        }
        queue.close();
        let mut signals = Signals::new(queue);
        assert_eq!(signals.lost(), 97);
        assert!(matches!(signals.next().await, Some(Event::ToolCall(_))));
        let next = signals.next().await;
        assert_eq!(next.as_ref().and_then(Event::turn_id), Some("97"));
    }

    #[tokio::test]
    async fn calls_alone_are_lost_as_well_when_they_are_too_large() {
        let limits = Limits {
            signal_bytes: 10_000,
            ..Limits::default()
        };
        let queue = Queue::new(&limits, Arc::default());
        for _ in 0..10 {
            let arguments = RawValue::from_string(format!("\"{}\"", "x".repeat(4_000)));
            let arguments = arguments.unwrap_or_else(|_| RawValue::NULL.to_owned());
            let call = ToolCall::new("s".into(), "tool".into(), arguments);
            queue.push(Event::ToolCall(Arc::new(call)));
        }
        assert_eq!(Signals::new(queue).lost(), 8);
    }
}
