//! The spans of a session and its turns. Names and fields are stable; arguments and answers are in none.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::Span;
use tracing::field::{Empty, display};

/// Turns that may have a span; the oldest lose theirs.
const TURNS: usize = 64;

/// A span that records its duration and result.
struct Timed {
    span: Span,
    began: Instant,
}

impl Timed {
    fn new(span: Span) -> Self {
        Self {
            span,
            began: Instant::now(),
        }
    }

    fn end(&self, outcome: impl Display) {
        self.span.record("outcome", display(outcome));
        let duration = self.began.elapsed().as_secs_f64() * 1e3;
        self.span.record("duration_ms", duration);
    }
}

/// The span of a session, and those of its turns within it.
pub(super) struct Spans {
    session_id: Arc<str>,
    session: Timed,
    has_ended: AtomicBool,
    turns: Mutex<VecDeque<(Arc<str>, Timed)>>,
}

impl Spans {
    /// Begins the span of a session. It has no parent: a session outlives whatever opens it.
    pub(super) fn new(session_id: Arc<str>, runtime: &str, skills: usize) -> Self {
        let session = tracing::info_span!(
            target: "codex_skills::session",
            parent: None,
            "session",
            session = &*session_id,
            runtime,
            skills,
            outcome = Empty,
            duration_ms = Empty,
        );
        Self {
            session_id,
            session: Timed::new(session),
            has_ended: AtomicBool::new(false),
            turns: Mutex::default(),
        }
    }

    /// The span of a turn that has not ended; begins it where it is the first word of the turn.
    pub(super) fn turn(&self, turn_id: &Arc<str>) -> Span {
        let mut turns = self.turns();
        if let Some((_, turn)) = turns.iter().find(|(id, _)| id == turn_id) {
            return turn.span.clone();
        }
        let span = tracing::info_span!(
            target: "codex_skills::session",
            parent: &self.session.span,
            "turn",
            session = &*self.session_id,
            turn = &**turn_id,
            outcome = Empty,
            duration_ms = Empty,
        );
        turns.push_back((turn_id.clone(), Timed::new(span.clone())));
        if turns.len() > TURNS {
            turns.pop_front();
        }
        span
    }

    /// The span of the session.
    pub(super) fn session(&self) -> &Span {
        &self.session.span
    }

    /// Ends the span of a turn.
    pub(super) fn end_turn(&self, turn_id: &str, status: impl Display) {
        let mut turns = self.turns();
        if let Some(at) = turns.iter().position(|(id, _)| **id == *turn_id)
            && let Some((_, turn)) = turns.remove(at)
        {
            drop(turns);
            turn.end(status);
        }
    }

    /// Notes how the session ended; the first reason stays.
    pub(super) fn end(&self, reason: &str) {
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            self.session.end(reason);
            self.turns().clear();
        }
    }

    fn turns(&self) -> MutexGuard<'_, VecDeque<(Arc<str>, Timed)>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
