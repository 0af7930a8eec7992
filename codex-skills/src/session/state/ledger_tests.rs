//! Tests of the ledger.

use super::*;
use crate::skill::ToolCall;

/// A claim that borrows nothing.
#[derive(Debug, PartialEq)]
enum Seen<R, S> {
    Run,
    Join(R),
    Repeat(S),
}

fn claim<R: Clone, S: Kept>(ledger: &mut Ledger<R, S>, key: &CallKey, running: R) -> Seen<R, S> {
    match ledger.claim(key, || running) {
        Claim::Run(_) => Seen::Run,
        Claim::Join(running) => Seen::Join(running.clone()),
        Claim::Repeat(settled) => Seen::Repeat(settled),
    }
}

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
    assert_eq!(claim(&mut ledger, &key("a"), 1), Seen::Run);
    assert_eq!(claim(&mut ledger, &key("a"), 2), Seen::Join(1));
    ledger.settle(&key("a"), "answer");
    assert_eq!(claim(&mut ledger, &key("a"), 3), Seen::Repeat("answer"));
}

#[test]
fn the_same_call_id_in_another_turn_is_another_call() {
    let mut ledger: Ledger<u8, ()> = Ledger::new(8, 1000);
    let other = key_in("v", "a");
    assert_eq!(claim(&mut ledger, &key("a"), 1), Seen::Run);
    assert_eq!(claim(&mut ledger, &other, 2), Seen::Run);
    assert_eq!(ledger.running_len(), 2);
}

#[test]
fn the_oldest_settled_call_is_forgotten_and_no_running_one() {
    let mut ledger = Ledger::new(2, 1000);
    assert_eq!(claim(&mut ledger, &key("running"), 0), Seen::Run);
    for id in ["a", "b", "c"] {
        claim(&mut ledger, &key(id), 0);
        ledger.settle(&key(id), id.to_owned());
    }
    assert_eq!(
        claim(&mut ledger, &key("b"), 1),
        Seen::Repeat("b".to_owned())
    );
    assert_eq!(
        claim(&mut ledger, &key("c"), 1),
        Seen::Repeat("c".to_owned())
    );
    assert_eq!(claim(&mut ledger, &key("running"), 1), Seen::Join(0));
    assert_eq!(claim(&mut ledger, &key("a"), 1), Seen::Run);
}

#[test]
fn an_answer_on_its_way_again_is_joined_and_settled_again() {
    let mut ledger = Ledger::new(1, 1000);
    claim(&mut ledger, &key("a"), 0);
    ledger.settle(&key("a"), "lost");
    ledger.reopen(&key("a"), 1);
    assert_eq!(ledger.running_len(), 1);
    assert_eq!(claim(&mut ledger, &key("a"), 2), Seen::Join(1));
    ledger.settle(&key("a"), "arrived");
    assert_eq!(claim(&mut ledger, &key("a"), 3), Seen::Repeat("arrived"));
    ledger.reopen(&key("unknown"), 4);
    assert_eq!(ledger.running_len(), 0);
}

#[test]
fn a_claim_that_is_given_up_can_be_made_again() {
    let mut ledger = Ledger::new(1, 1000);
    claim(&mut ledger, &key("a"), 0);
    ledger.disclaim(&key("a"));
    assert_eq!(claim(&mut ledger, &key("a"), 1), Seen::Run);
    ledger.settle(&key("a"), ());
    ledger.disclaim(&key("a"));
    assert_eq!(claim(&mut ledger, &key("a"), 2), Seen::Repeat(()));
}

#[test]
fn a_capacity_of_zero_still_remembers_the_newest() {
    let mut ledger = Ledger::new(0, 1000);
    claim(&mut ledger, &key("a"), 0);
    ledger.settle(&key("a"), ());
    assert_eq!(claim(&mut ledger, &key("a"), 0), Seen::Repeat(()));
    ledger.settle(&key("never claimed"), ());
    assert_eq!(ledger.running_len(), 0);
}

#[test]
fn an_answer_that_is_dropped_for_its_size_leaves_that_there_was_one() {
    let mut ledger = Ledger::new(3, 10);
    for id in ["aaaa", "bbbb", "cccc", "dddd"] {
        assert_eq!(claim(&mut ledger, &key(id), 0), Seen::Run);
        ledger.settle(&key(id), id.to_owned());
    }
    assert_eq!(
        claim(&mut ledger, &key("aaaa"), 1),
        Seen::Run,
        "forgotten for its age"
    );
    let dropped = "no bbbb".to_owned();
    assert_eq!(claim(&mut ledger, &key("bbbb"), 1), Seen::Repeat(dropped));
    for id in ["cccc", "dddd"] {
        assert_eq!(claim(&mut ledger, &key(id), 1), Seen::Repeat(id.to_owned()));
    }
    assert_eq!(ledger.settled_bytes(), 8);
}

#[test]
fn an_answer_larger_than_all_room_is_dropped_and_its_call_is_not_forgotten() {
    let mut ledger = Ledger::new(3, 0);
    claim(&mut ledger, &key("a"), 0);
    ledger.settle(&key("a"), "answer");
    assert_eq!(claim(&mut ledger, &key("a"), 1), Seen::Repeat("dropped"));
    assert_eq!(ledger.settled_bytes(), 0);
    // Taken up again, and settled again, nothing is counted twice.
    ledger.reopen(&key("a"), 1);
    ledger.settle(&key("a"), "answer");
    assert_eq!((ledger.settled_bytes(), ledger.running_bytes()), (0, 0));
}

#[test]
fn running_calls_weigh_what_came_with_them_and_what_they_answer() {
    let mut ledger = Ledger::new(3, 1000);
    claim(&mut ledger, &key("a"), 0);
    claim(&mut ledger, &key("b"), 0);
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

fn turnless(id: &str, request: u64) -> CallKey {
    let arguments = serde_json::value::RawValue::NULL.to_owned();
    let mut call = ToolCall::new("t".into(), "tool".into(), arguments);
    call.call_id = Some(id.into());
    call.request_id = Some(request.into());
    CallKey::new(&std::sync::Arc::new(call))
}

#[test]
fn a_turn_that_is_left_out_is_remembered() {
    let mut ledger = Ledger::new(8, 1000);
    claim(&mut ledger, &key("a"), 0);
    assert!(!ledger.has_turnless(), "the turn of each is known");
    claim(&mut ledger, &turnless("b", 1), 0);
    assert!(ledger.has_turnless());
    claim(&mut ledger, &key("c"), 0);
    ledger.settle(&turnless("b", 1), ());
    assert!(ledger.has_turnless(), "it stays so");
}

#[test]
fn calls_are_seen_while_they_run_and_once_they_are_settled() {
    let mut ledger = Ledger::new(1, 1000);
    assert!(!ledger.contains(&key("a")));
    claim(&mut ledger, &key("a"), 7);
    claim(&mut ledger, &key("b"), 8);
    assert!(ledger.contains(&key("a")));
    assert_eq!(ledger.running_of(&key("a")), Some(&7));
    assert_eq!(ledger.settled_of(&key("a")), None);
    ledger.settle(&key("a"), "answer");
    assert!(ledger.contains(&key("a")));
    assert_eq!(ledger.running_of(&key("a")), None);
    assert_eq!(ledger.settled_of(&key("a")), Some(&"answer"));
    let settled: Vec<_> = ledger.settled().collect();
    assert_eq!(settled, [(&key("a"), &"answer")]);
    let running: Vec<_> = ledger.running().collect();
    assert_eq!(running, [(&key("b"), &8)]);
    ledger.settle(&key("b"), "more");
    assert!(!ledger.contains(&key("a")), "the capacity is one call");
    assert_eq!(ledger.running().count(), 0);
}

#[test]
fn what_is_known_of_a_settled_call_takes_the_place_of_what_was() {
    let mut ledger = Ledger::new(8, 1000);
    claim(&mut ledger, &key("a"), 0);
    ledger.settle(&key("a"), "written");
    ledger.settle(&key("a"), "accepted at last");
    assert_eq!(ledger.settled_of(&key("a")), Some(&"accepted at last"));
    assert_eq!(ledger.settled_bytes(), "accepted at last".len());
    ledger.drop_answers(0);
    assert_eq!(ledger.settled_bytes(), 0);
    ledger.settle(&key("a"), "too late");
    assert_eq!(ledger.settled_of(&key("a")), Some(&"dropped"));
    assert_eq!(ledger.settled_bytes(), 0);
}

#[test]
fn nothing_is_weighed_for_a_call_that_does_not_run() {
    let mut ledger: Ledger<u8, ()> = Ledger::new(8, 1000);
    ledger.weigh(&key("a"), 100);
    assert_eq!((ledger.running_bytes(), ledger.answer_bytes()), (0, 0));
    claim(&mut ledger, &key("a"), 0);
    if let Some(running) = ledger.running_mut(&key("a")) {
        *running = 9;
    }
    assert_eq!(ledger.running_of(&key("a")), Some(&9));
}
