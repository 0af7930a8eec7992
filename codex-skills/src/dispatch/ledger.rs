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

/// What a ledger keeps of a settled call.
pub(crate) trait Kept: Clone {
    /// Its size in memory, roughly, in bytes.
    fn bytes(&self) -> usize;

    /// What still says that the call was answered, without its answer.
    fn without_answer(&self) -> Self;
}

/// The calls of one session.
#[derive(Debug)]
pub(crate) struct Ledger<R, S> {
    running: HashMap<CallKey, Open<R>>,
    /// The size of what came with the running calls, and of their answers, in bytes.
    running_bytes: usize,
    /// Those of them that are answers on their way.
    answer_bytes: usize,
    settled: HashMap<CallKey, S>,
    /// The keys of `settled` whose answers are kept, oldest first.
    order: VecDeque<CallKey>,
    /// The keys of `settled` whose answers were dropped, oldest first: all of them older than those in `order`.
    spent: VecDeque<CallKey>,
    /// The size of the answers that are kept, in bytes.
    bytes: usize,
    capacity: usize,
    capacity_bytes: usize,
    /// Whether the turn of a call was ever left out.
    has_turnless: bool,
}

/// A running call.
#[derive(Debug)]
struct Open<R> {
    running: R,
    bytes: usize,
    /// Those of them that are an answer.
    answer: usize,
}

impl<R: Clone, S: Kept> Ledger<R, S> {
    /// A ledger that remembers `capacity` settled calls, at least the newest, and the newest answers as far as they have
    /// `capacity_bytes` together.
    pub(crate) fn new(capacity: usize, capacity_bytes: usize) -> Self {
        Self {
            running: HashMap::default(),
            running_bytes: 0,
            answer_bytes: 0,
            settled: HashMap::default(),
            order: VecDeque::new(),
            spent: VecDeque::new(),
            bytes: 0,
            capacity: capacity.max(1),
            capacity_bytes,
            has_turnless: false,
        }
    }

    /// Claims a call. `Run` is said once for a key, for as long as the ledger remembers it.
    pub(crate) fn claim(&mut self, key: &CallKey, running: R) -> Claim<R, S> {
        if let Some(settled) = self.settled.get(key) {
            return Claim::Repeat(settled.clone());
        }
        match self.running.entry(key.clone()) {
            Entry::Occupied(entry) => Claim::Join(entry.get().running.clone()),
            Entry::Vacant(entry) => {
                let bytes = key.bytes();
                self.running_bytes += bytes;
                entry.insert(Open {
                    running,
                    bytes,
                    answer: 0,
                });
                self.has_turnless |= key.turn_id().is_none();
                Claim::Run
            }
        }
    }

    /// Adds to the size of a running call: its answer is known, and on its way.
    pub(crate) fn weigh(&mut self, key: &CallKey, more: usize) {
        if let Some(open) = self.running.get_mut(key) {
            open.bytes += more;
            open.answer += more;
            self.running_bytes += more;
            self.answer_bytes += more;
        }
    }

    /// Notes the answer of a call that was claimed. Beyond the capacity the oldest calls are forgotten, and the oldest
    /// answers are dropped, which leaves that there were some.
    pub(crate) fn settle(&mut self, key: &CallKey, answer: S) {
        let Some((key, open)) = self.running.remove_entry(key) else {
            if let Some(settled) = self.settled.get_mut(key)
                && !self.spent.contains(key)
            {
                self.bytes = self.bytes + answer.bytes() - settled.bytes();
                *settled = answer;
                self.drop_answers(self.capacity_bytes);
            }
            return;
        };
        self.running_bytes -= open.bytes;
        self.answer_bytes -= open.answer;
        self.bytes += answer.bytes();
        self.settled.insert(key.clone(), answer);
        self.order.push_back(key);
        while self.settled.len() > self.capacity {
            self.forget_oldest();
        }
        self.drop_answers(self.capacity_bytes);
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.spent.pop_front() {
            self.settled.remove(&oldest);
        } else if let Some(oldest) = self.order.pop_front()
            && let Some(answer) = self.settled.remove(&oldest)
        {
            self.bytes -= answer.bytes();
        }
    }

    /// Drops the oldest answers, until the others have no more than these bytes. That there were some stays, so that no
    /// handler runs again.
    pub(crate) fn drop_answers(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(answer) = self.settled.remove(&oldest) {
                self.bytes -= answer.bytes();
                let key = oldest.without_arguments();
                self.settled.insert(key.clone(), answer.without_answer());
                self.spent.push_back(key);
            }
        }
    }

    /// Takes a settled call up again: its answer is on its way once more.
    pub(crate) fn reopen(&mut self, key: &CallKey, running: R) {
        if let Some((key, answer)) = self.settled.remove_entry(key) {
            if let Some(at) = self.spent.iter().position(|spent| *spent == key) {
                self.spent.remove(at);
            } else {
                self.order.retain(|settled| *settled != key);
                self.bytes -= answer.bytes();
            }
            let bytes = answer.bytes();
            self.running_bytes += bytes;
            self.answer_bytes += bytes;
            let open = Open {
                running,
                bytes,
                answer: bytes,
            };
            self.running.insert(key, open);
        }
    }

    /// Gives a claim up, as if the call had never been seen.
    pub(crate) fn disclaim(&mut self, key: &CallKey) {
        if let Some(open) = self.running.remove(key) {
            self.running_bytes -= open.bytes;
            self.answer_bytes -= open.answer;
        }
    }

    /// The size of the answers that are remembered, in bytes.
    pub(crate) fn settled_bytes(&self) -> usize {
        self.bytes
    }

    /// The size of what came with the running calls, and of their answers, in bytes.
    pub(crate) fn running_bytes(&self) -> usize {
        self.running_bytes
    }

    /// The size of the answers that are on their way, in bytes.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// What is kept for a call whose handler runs.
    pub(crate) fn running_of(&self, key: &CallKey) -> Option<&R> {
        self.running.get(key).map(|open| &open.running)
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
        self.running.iter().map(|(key, open)| (key, &open.running))
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

    /// An answer that weighs as much as it has characters.
    impl Kept for String {
        fn bytes(&self) -> usize {
            self.len()
        }

        fn without_answer(&self) -> Self {
            format!("no {self}")
        }
    }

    impl Kept for &'static str {
        fn bytes(&self) -> usize {
            self.len()
        }

        fn without_answer(&self) -> Self {
            "dropped"
        }
    }

    impl Kept for () {
        fn bytes(&self) -> usize {
            0
        }

        fn without_answer(&self) -> Self {}
    }

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
        let mut ledger = Ledger::new(8, 1000);
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        assert_eq!(ledger.claim(&key("a"), 2), Claim::Join(1));
        ledger.settle(&key("a"), "answer");
        assert_eq!(ledger.claim(&key("a"), 3), Claim::Repeat("answer"));
    }

    #[test]
    fn the_same_call_id_in_another_turn_is_another_call() {
        let mut ledger: Ledger<u8, ()> = Ledger::new(8, 1000);
        let other = key_in("v", "a");
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        assert_eq!(ledger.claim(&other, 2), Claim::Run);
        assert_eq!(ledger.running_len(), 2);
    }

    #[test]
    fn the_oldest_settled_call_is_forgotten_and_no_running_one() {
        let mut ledger = Ledger::new(2, 1000);
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
        let mut ledger = Ledger::new(1, 1000);
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
        let mut ledger = Ledger::new(1, 1000);
        ledger.claim(&key("a"), 0);
        ledger.disclaim(&key("a"));
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Run);
        ledger.settle(&key("a"), ());
        ledger.disclaim(&key("a"));
        assert_eq!(ledger.claim(&key("a"), 2), Claim::Repeat(()));
    }

    #[test]
    fn a_capacity_of_zero_still_remembers_the_newest() {
        let mut ledger = Ledger::new(0, 1000);
        ledger.claim(&key("a"), 0);
        ledger.settle(&key("a"), ());
        assert_eq!(ledger.claim(&key("a"), 0), Claim::Repeat(()));
        ledger.settle(&key("never claimed"), ());
        assert_eq!(ledger.running_len(), 0);
    }

    #[test]
    fn an_answer_that_is_dropped_for_its_size_leaves_that_there_was_one() {
        let mut ledger = Ledger::new(3, 10);
        for id in ["aaaa", "bbbb", "cccc", "dddd"] {
            assert_eq!(ledger.claim(&key(id), 0), Claim::Run);
            ledger.settle(&key(id), id.to_owned());
        }
        assert_eq!(
            ledger.claim(&key("aaaa"), 1),
            Claim::Run,
            "forgotten for its age"
        );
        let dropped = "no bbbb".to_owned();
        assert_eq!(ledger.claim(&key("bbbb"), 1), Claim::Repeat(dropped));
        for id in ["cccc", "dddd"] {
            assert_eq!(ledger.claim(&key(id), 1), Claim::Repeat(id.to_owned()));
        }
        assert_eq!(ledger.settled_bytes(), 8);
    }

    #[test]
    fn an_answer_larger_than_all_room_is_dropped_and_its_call_is_not_forgotten() {
        let mut ledger = Ledger::new(3, 0);
        ledger.claim(&key("a"), 0);
        ledger.settle(&key("a"), "answer");
        assert_eq!(ledger.claim(&key("a"), 1), Claim::Repeat("dropped"));
        assert_eq!(ledger.settled_bytes(), 0);
        // Taken up again, and settled again, nothing is counted twice.
        ledger.reopen(&key("a"), 1);
        ledger.settle(&key("a"), "answer");
        assert_eq!((ledger.settled_bytes(), ledger.running_bytes()), (0, 0));
    }

    #[test]
    fn running_calls_weigh_what_came_with_them_and_what_they_answer() {
        let mut ledger = Ledger::new(3, 1000);
        ledger.claim(&key("a"), 0);
        ledger.claim(&key("b"), 0);
        ledger.weigh(&key("a"), 100);
        assert_eq!(ledger.running_bytes(), 100 + 2 * "null".len());
        assert_eq!(ledger.answer_bytes(), 100);
        ledger.settle(&key("a"), "answer");
        ledger.disclaim(&key("b"));
        assert_eq!((ledger.running_bytes(), ledger.answer_bytes()), (0, 0));
        ledger.reopen(&key("a"), 1);
        assert_eq!((ledger.running_bytes(), ledger.settled_bytes()), (6, 0));
        ledger.settle(&key("a"), "answer");
        ledger.drop_answers(0);
        assert_eq!((ledger.running_bytes(), ledger.settled_bytes()), (0, 0));
    }
}
