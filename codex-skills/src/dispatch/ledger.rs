//! Which calls were seen: a pure state machine that makes a handler run once.
//!
//! Generic over what is kept for a running and for a settled call, so that another ledger (one that
//! survives the process) can keep plain data.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use foldhash::HashMap;

use crate::skill::call::CallKey;

/// What to do with an announced call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim<R, S> {
    /// Run it: it is the caller's now.
    Run,
    /// Its handler runs already.
    Join(R),
    /// It was answered.
    Repeat(S),
}

/// The calls of one session.
#[derive(Debug)]
pub(crate) struct Ledger<R, S> {
    running: HashMap<CallKey, R>,
    settled: HashMap<CallKey, S>,
    /// The keys of `settled`, oldest first.
    order: VecDeque<CallKey>,
    capacity: usize,
    /// Whether the turn of a call was ever left out.
    has_turnless: bool,
}

impl<R: Clone, S: Clone> Ledger<R, S> {
    /// A ledger that remembers `capacity` settled calls, at least the newest.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            running: HashMap::default(),
            settled: HashMap::default(),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            has_turnless: false,
        }
    }

    /// Claims a call. `Run` is said once for a key, for as long as the ledger remembers it.
    pub(crate) fn claim(&mut self, key: &CallKey, running: R) -> Claim<R, S> {
        if let Some(settled) = self.settled.get(key) {
            return Claim::Repeat(settled.clone());
        }
        match self.running.entry(key.clone()) {
            Entry::Occupied(entry) => Claim::Join(entry.get().clone()),
            Entry::Vacant(entry) => {
                entry.insert(running);
                self.has_turnless |= key.turn_id().is_none();
                Claim::Run
            }
        }
    }

    /// Notes the answer of a call that was claimed, and forgets the oldest beyond the capacity.
    pub(crate) fn settle(&mut self, key: &CallKey, answer: S) {
        let Some((key, _)) = self.running.remove_entry(key) else {
            if let Some(settled) = self.settled.get_mut(key) {
                *settled = answer;
            }
            return;
        };
        self.settled.insert(key.clone(), answer);
        self.order.push_back(key);
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.settled.remove(&oldest);
            }
        }
    }

    /// Takes a settled call up again: its answer is on its way once more.
    pub(crate) fn reopen(&mut self, key: &CallKey, running: R) {
        if let Some((key, _)) = self.settled.remove_entry(key) {
            self.order.retain(|settled| *settled != key);
            self.running.insert(key, running);
        }
    }

    /// Gives a claim up, as if the call had never been seen.
    pub(crate) fn disclaim(&mut self, key: &CallKey) {
        self.running.remove(key);
    }

    /// What is kept for a call whose handler runs.
    pub(crate) fn running_of(&self, key: &CallKey) -> Option<&R> {
        self.running.get(key)
    }

    /// What is kept for a call that was answered.
    pub(crate) fn settled_of(&self, key: &CallKey) -> Option<&S> {
        self.settled.get(key)
    }

    /// Whether the call was seen.
    pub(crate) fn contains(&self, key: &CallKey) -> bool {
        self.running.contains_key(key) || self.settled.contains_key(key)
    }

    /// Whether the turn of a call was ever left out.
    pub(crate) fn has_turnless(&self) -> bool {
        self.has_turnless
    }

    /// The answer of a call, where it was answered.
    pub(crate) fn settled_call(&self, key: &CallKey) -> Option<&S> {
        self.settled.get(key)
    }

    /// The calls that were answered.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (&CallKey, &S)> {
        self.settled.iter()
    }

    /// The calls whose handlers run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (&CallKey, &R)> {
        self.running.iter()
    }

    /// How many handlers run.
    pub(crate) fn running_len(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skill::ToolCall;

    fn key(id: &str) -> CallKey {
        key_in("u", id)
    }

    fn key_in(turn_id: &str, id: &str) -> CallKey {
        let arguments = serde_json::value::RawValue::NULL.to_owned();
        let mut call = ToolCall::new("t".into(), "tool".into(), arguments);
        call.turn_id = Some(turn_id.into());
        call.call_id = Some(id.into());
        CallKey::new(&std::sync::Arc::new(call))
    }

    #[test]
    fn a_call_runs_once_then_joins_then_repeats() {
        let mut ledger = Ledger::new(8);
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        assert_eq!(ledger.claim(&key("a"), 2), Claim::Join(1));
        ledger.settle(&key("a"), "answer");
        assert_eq!(ledger.claim(&key("a"), 3), Claim::Repeat("answer"));
    }

    #[test]
    fn the_same_call_id_in_another_turn_is_another_call() {
        let mut ledger: Ledger<u8, ()> = Ledger::new(8);
        let other = key_in("v", "a");
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        assert_eq!(ledger.claim(&other, 2), Claim::Run);
        assert_eq!(ledger.running_len(), 2);
    }

    #[test]
    fn the_oldest_settled_call_is_forgotten_and_no_running_one() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.claim(&key("running"), 0), Claim::Run);
        for id in ["a", "b", "c"] {
            ledger.claim(&key(id), 0);
            ledger.settle(&key(id), id.to_owned());
        }
        assert_eq!(ledger.claim(&key("b"), 1), Claim::Repeat("b".to_owned()));
        assert_eq!(ledger.claim(&key("c"), 1), Claim::Repeat("c".to_owned()));
        assert_eq!(ledger.claim(&key("running"), 1), Claim::Join(0));
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
    }

    #[test]
    fn an_answer_on_its_way_again_is_joined_and_settled_again() {
        let mut ledger = Ledger::new(1);
        ledger.claim(&key("a"), 0);
        ledger.settle(&key("a"), "lost");
        ledger.reopen(&key("a"), 1);
        assert_eq!(ledger.running_len(), 1);
        assert_eq!(ledger.claim(&key("a"), 2), Claim::Join(1));
        ledger.settle(&key("a"), "arrived");
        assert_eq!(ledger.claim(&key("a"), 3), Claim::Repeat("arrived"));
        ledger.reopen(&key("unknown"), 4);
        assert_eq!(ledger.running_len(), 0);
    }

    #[test]
    fn a_claim_that_is_given_up_can_be_made_again() {
        let mut ledger = Ledger::new(1);
        ledger.claim(&key("a"), 0);
        ledger.disclaim(&key("a"));
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        ledger.settle(&key("a"), ());
        ledger.disclaim(&key("a"));
        assert_eq!(ledger.claim(&key("a"), 2), Claim::Repeat(()));
    }

    #[test]
    fn a_capacity_of_zero_still_remembers_the_newest() {
        let mut ledger = Ledger::new(0);
        ledger.claim(&key("a"), 0);
        ledger.settle(&key("a"), ());
        assert_eq!(ledger.claim(&key("a"), 0), Claim::Repeat(()));
        ledger.settle(&key("never claimed"), ());
        assert_eq!(ledger.running_len(), 0);
    }
}
