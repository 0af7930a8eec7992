//! State of sessions that outlives their handles: ledgers, fingerprints, introductions. Bounded in sessions and bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use super::delivery::SessionState;
use super::introduction::Introduction;
use crate::dispatch::Limits;

/// Sessions without handles that are remembered.
const LEFT_SESSIONS: usize = 1024;

/// Bytes of answers that sessions without handles keep together; beyond it the oldest sessions lose theirs.
const LEFT_BYTES: usize = 64 * 1024 * 1024;

/// The state with which a session is opened again.
#[derive(Default)]
pub(super) struct Past {
    known: HashMap<Arc<str>, PastSession>,
    /// The sessions without handles, in the order in which they lost the last.
    left: VecDeque<Arc<str>>,
}

struct PastSession {
    state: SessionState,
    /// Fingerprint of the tools that it was created with.
    fingerprint: Option<Arc<str>>,
    introduction: Introduction,
    /// It has no handles, and is in `left`.
    has_left: bool,
}

impl Past {
    /// Returns the state of a session that is opened, with the ledger that it had before.
    pub(super) fn enter(&mut self, session_id: &Arc<str>, limits: &Limits) -> SessionState {
        let session = self
            .known
            .entry(session_id.clone())
            .or_insert_with(|| PastSession {
                state: SessionState::new(limits),
                fingerprint: None,
                introduction: Introduction::default(),
                has_left: false,
            });
        if std::mem::take(&mut session.has_left) {
            self.left.retain(|left| left != session_id);
        }
        session.state.clone()
    }

    /// Records the fingerprint of the tools that a session was created with.
    pub(super) fn set_fingerprint(&mut self, session_id: &str, fingerprint: Arc<str>) {
        if let Some(known) = self.known.get_mut(session_id) {
            known.fingerprint = Some(fingerprint);
        }
    }

    pub(super) fn fingerprint(&self, session_id: &str) -> Option<Arc<str>> {
        self.known.get(session_id)?.fingerprint.clone()
    }

    /// Returns the introduction of a session; shared, where the session is known.
    pub(super) fn introduction(&self, session_id: &str) -> Introduction {
        let known = self.known.get(session_id);
        known.map_or_else(Introduction::default, |known| known.introduction.clone())
    }

    /// Records that the last handle of a session is gone.
    pub(super) fn leave(&mut self, session_id: &Arc<str>) {
        match self.known.get_mut(session_id) {
            Some(session) if !session.has_left => session.has_left = true,
            _ => return,
        }
        self.left.push_back(session_id.clone());
        while self.left.len() > LEFT_SESSIONS {
            if let Some(oldest) = self.left.pop_front() {
                self.known.remove(&oldest);
            }
        }
        self.drop_answers();
    }

    /// Drops answers of sessions without handles beyond the limit, the oldest sessions first.
    fn drop_answers(&self) {
        let left = self.left.iter().rev().filter_map(|id| self.known.get(id));
        let mut bytes: usize = 0;
        for session in left {
            bytes = bytes.saturating_add(session.state.settled_bytes());
            if bytes > LEFT_BYTES {
                session.state.drop_answers();
            }
        }
    }

    /// Removes a deleted session.
    pub(super) fn bury(&mut self, session_id: &str) {
        let buried = self.known.remove(session_id);
        if buried.is_some_and(|session| session.has_left) {
            self.left.retain(|left| &**left != session_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(past: &mut Past, id: &str) -> Arc<str> {
        let id: Arc<str> = id.into();
        past.enter(&id, &Limits::default());
        past.set_fingerprint(&id, "tools".into());
        id
    }

    #[test]
    fn open_sessions_are_remembered_and_the_newest_of_the_others() {
        let mut past = Past::default();
        opened(&mut past, "open");
        let again = opened(&mut past, "again");
        past.leave(&again);
        for n in 0..=LEFT_SESSIONS {
            let id = opened(&mut past, &n.to_string());
            past.leave(&id);
            if n == 0 {
                opened(&mut past, "again");
            }
        }
        assert!(past.fingerprint("open").is_some() && past.fingerprint("again").is_some());
        assert!(past.fingerprint("0").is_none() && past.fingerprint("1").is_some());
        assert_eq!(past.known.len(), LEFT_SESSIONS + 2);
    }

    #[test]
    fn a_deleted_session_is_forgotten() {
        let mut past = Past::default();
        let id = opened(&mut past, "deleted");
        past.bury(&id);
        past.leave(&id);
        assert!(past.known.is_empty() && past.left.is_empty());
    }
}
