//! Which calls were seen: a pure state machine that makes a handler run once.
//!
//! Generic over what is kept of a running and of a settled call, so that another ledger (one that survives the process) can
//! keep plain data. A key is in one of the two tables or in none: running until its answer is settled, and settled until
//! the capacity forgets it. The oldest answers are dropped before, and then only the key says that there was one.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use foldhash::HashMap;

use crate::skill::call::CallKey;

/// What to do with an announced call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim<'a, R, S> {
    /// Nothing was known of it: it is the caller's now.
    Run(&'a mut R),
    /// It is running already.
    Join(&'a mut R),
    /// It was answered.
    Repeat(S),
}

/// What a ledger keeps of a settled call.
pub(super) trait Kept: Clone {
    /// Its size in memory, roughly, in bytes.
    fn bytes(&self) -> usize;

    /// What still says that the call was answered, without its answer.
    fn without_answer(&self) -> Self;
}

/// The calls of one session.
#[derive(Debug)]
pub(super) struct Ledger<R, S> {
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

impl<R, S: Kept> Ledger<R, S> {
    /// A ledger that remembers `capacity` settled calls, at least the newest, and the newest answers as far as they have
    /// `capacity_bytes` together.
    pub(super) fn new(capacity: usize, capacity_bytes: usize) -> Self {
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

    /// Claims a call. `Run` is returned once for a key, for as long as the ledger remembers it.
    pub(super) fn claim(&mut self, key: &CallKey, running: impl FnOnce() -> R) -> Claim<'_, R, S> {
        if let Some(settled) = self.settled.get(key) {
            return Claim::Repeat(settled.clone());
        }
        match self.running.entry(key.clone()) {
            Entry::Occupied(entry) => Claim::Join(&mut entry.into_mut().running),
            Entry::Vacant(entry) => {
                let bytes = key.bytes();
                self.running_bytes += bytes;
                self.has_turnless |= key.turn_id().is_none();
                let open = entry.insert(Open {
                    running: running(),
                    bytes,
                    answer: 0,
                });
                Claim::Run(&mut open.running)
            }
        }
    }

    /// Adds to the size of a running call: its answer is known, and on its way.
    pub(super) fn weigh(&mut self, key: &CallKey, more: usize) {
        if let Some(open) = self.running.get_mut(key) {
            open.bytes += more;
            open.answer += more;
            self.running_bytes += more;
            self.answer_bytes += more;
        }
    }

    /// Notes the answer of a call that was claimed. Beyond the capacity the oldest calls are forgotten, and the oldest
    /// answers are dropped, which leaves that there were some.
    pub(super) fn settle(&mut self, key: &CallKey, answer: S) {
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
    pub(super) fn drop_answers(&mut self, bytes: usize) {
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
    pub(super) fn reopen(&mut self, key: &CallKey, running: R) {
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
    pub(super) fn disclaim(&mut self, key: &CallKey) {
        if let Some(open) = self.running.remove(key) {
            self.running_bytes -= open.bytes;
            self.answer_bytes -= open.answer;
        }
    }

    /// The size of the answers that are remembered, in bytes.
    pub(super) fn settled_bytes(&self) -> usize {
        self.bytes
    }

    /// The size of what came with the running calls, and of their answers, in bytes.
    pub(super) fn running_bytes(&self) -> usize {
        self.running_bytes
    }

    /// The size of the answers that are on their way, in bytes.
    pub(super) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// What is kept of a running call.
    pub(super) fn running_of(&self, key: &CallKey) -> Option<&R> {
        self.running.get(key).map(|open| &open.running)
    }

    /// The same, to be changed.
    pub(super) fn running_mut(&mut self, key: &CallKey) -> Option<&mut R> {
        self.running.get_mut(key).map(|open| &mut open.running)
    }

    /// What is kept of a call that was answered.
    pub(super) fn settled_of(&self, key: &CallKey) -> Option<&S> {
        self.settled.get(key)
    }

    /// Whether the call was seen.
    pub(super) fn contains(&self, key: &CallKey) -> bool {
        self.running.contains_key(key) || self.settled.contains_key(key)
    }

    /// Whether the turn of a call was ever left out.
    pub(super) fn has_turnless(&self) -> bool {
        self.has_turnless
    }

    /// The calls that were answered.
    pub(super) fn settled(&self) -> impl Iterator<Item = (&CallKey, &S)> {
        self.settled.iter()
    }

    /// The calls that run, or whose answers are on their way.
    pub(super) fn running(&self) -> impl Iterator<Item = (&CallKey, &R)> {
        self.running.iter().map(|(key, open)| (key, &open.running))
    }

    /// How many calls run, or have their answers on their way.
    pub(super) fn running_len(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
