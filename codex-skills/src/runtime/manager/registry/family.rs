//! The sub-agents of sessions: the session that each belongs to, and which are deleted with it.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::Registry;

/// Foreign threads remembered, so that each is looked up once.
pub(super) const STRANGERS: usize = 4096;
/// Sub-agents followed; the oldest are forgotten, and looked up again when they call.
const CHILDREN: usize = 16 * 1024;
/// Sessions with sub-agents whose deletion is remembered at the same time.
const FAMILIES: usize = 4096;

/// The parent of a sub-agent.
pub(super) struct Parent {
    /// The session at the root.
    pub(super) session_id: Arc<str>,
    /// Codex made the thread for this session.
    pub(super) is_spawned: bool,
}

impl Registry {
    /// Returns the sub-agents of a session.
    pub(in super::super) fn children(&self, session_id: &str) -> Vec<Arc<str>> {
        self.parents
            .keys()
            .filter(|child| *self.owner((*child).clone()) == *session_id)
            .cloned()
            .collect()
    }

    /// Whether a thread is a session of this client, or a sub-agent of one.
    pub(in super::super) fn serves(&self, thread_id: &Arc<str>) -> bool {
        self.parents.contains_key(thread_id) || self.sessions.contains_key(thread_id)
    }

    /// Whether a thread is to be looked up: it may be a sub-agent of a session, whose start was not reported. True once
    /// for each thread.
    pub(in super::super) fn is_unknown(&mut self, thread_id: &Arc<str>) -> bool {
        if self.serves(thread_id)
            || self
                .sessions
                .values()
                .all(|session| session.active.is_empty())
        {
            return false;
        }
        if self.strangers.len() >= STRANGERS {
            self.strangers.clear();
        }
        self.strangers.insert(thread_id.clone())
    }

    /// Has a thread looked up again, since the server could not be asked.
    pub(in super::super) fn ask_again(&mut self, thread_id: &Arc<str>) {
        self.strangers.remove(thread_id);
    }

    /// Records a thread as a sub-agent of a session.
    pub(super) fn adopt(&mut self, child: Arc<str>, session_id: &Arc<str>, is_spawned: bool) {
        // A session of this client receives its own events.
        if self.sessions.contains_key(&child) {
            return;
        }
        match self.parents.entry(child.clone()) {
            Entry::Occupied(mut known) => known.get_mut().is_spawned |= is_spawned,
            Entry::Vacant(unknown) => {
                unknown.insert(Parent {
                    session_id: session_id.clone(),
                    is_spawned,
                });
                self.children.push_back(child);
            }
        }
        while self.children.len() > CHILDREN {
            if let Some(oldest) = self.children.pop_front() {
                self.parents.remove(&oldest);
            }
        }
    }

    /// Records the sub-agents of a session that is to be deleted. Returns whether there can be no others.
    pub(in super::super) fn remember_family(&mut self, session_id: &Arc<str>, is_up: bool) -> bool {
        let children: Vec<Arc<str>> = self
            .parents
            .iter()
            .filter(|(_, parent)| parent.is_spawned && parent.session_id == *session_id)
            .map(|(child, _)| child.clone())
            .collect();
        self.join_family(session_id, children);
        let session = self.sessions.get(session_id);
        is_up && session.is_some_and(|session| !session.has_missed)
    }

    /// Adds sub-agents to those that are to be deleted with a session; returns the new ones.
    pub(in super::super) fn join_family(
        &mut self,
        session_id: &Arc<str>,
        children: Vec<Arc<str>>,
    ) -> Vec<Arc<str>> {
        if children.is_empty()
            || (self.families.len() >= FAMILIES && !self.families.contains_key(session_id))
        {
            return Vec::new();
        }
        let family = self.families.entry(session_id.clone()).or_default();
        let mut joined = Vec::new();
        for child in children {
            // A session of this client is deleted by its own guard.
            let is_session = child == *session_id || self.sessions.contains_key(&child);
            if !is_session && !family.contains(&child) && family.len() < CHILDREN {
                family.push(child.clone());
                joined.push(child);
            }
        }
        joined
    }

    /// The sub-agents that are to be deleted with a session.
    pub(in super::super) fn family(&self, session_id: &str) -> Vec<Arc<str>> {
        self.families.get(session_id).cloned().unwrap_or_default()
    }

    /// A session is deleted, which may be a sub-agent's.
    pub(in super::super) fn leave_families(&mut self, child: &str) {
        self.families.retain(|_, family| {
            family.retain(|known| **known != *child);
            !family.is_empty()
        });
    }

    /// The session that serves a thread: its own, or the one whose child it is.
    pub(super) fn owner(&self, thread_id: Arc<str>) -> Arc<str> {
        match self.parents.get(&thread_id) {
            Some(parent) => parent.session_id.clone(),
            None => thread_id,
        }
    }
}
