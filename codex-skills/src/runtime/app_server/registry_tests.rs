use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;

use super::*;

#[derive(Default)]
struct Sink(Mutex<Vec<Event>>);

impl EventSink for Sink {
    fn deliver(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }
}

fn told(delivery: Option<Delivery>) -> Vec<String> {
    let events = delivery.map(|(_, events)| events).unwrap_or_default();
    events.iter().map(shown).collect()
}

fn asked(call: Result<Call, ToolCall>) -> Vec<String> {
    told(
        call.ok()
            .map(|(sink, call)| (sink, vec![Event::ToolCall(call)])),
    )
}

fn shown(event: &Event) -> String {
    let id = |call: &ToolCall| call.call_id.as_deref().unwrap_or("?").to_owned();
    match event {
        Event::ToolCall(call) => format!("call {}", id(call)),
        Event::CallExpired(call) => format!("expired {}", id(call)),
        Event::TurnStarted { turn_id } => format!("started {turn_id}"),
        Event::TurnCompleted {
            turn_id, status, ..
        } => format!("{turn_id} {status}"),
        Event::Message { text, .. } => format!("says {text}"),
        Event::ToolStarted { call_id, .. } => format!("began {call_id}"),
        Event::ToolCompleted {
            call_id, success, ..
        } => format!("ended {call_id} {success}"),
        Event::SessionClosed { reason, is_lost } => format!("closed: {reason} {is_lost}"),
        other => format!("{other:?}"),
    }
}

/// A registry with a sink for each of these threads.
fn listening(threads: &[&str]) -> (Registry, Arc<dyn EventSink>) {
    let sink: Arc<dyn EventSink> = Arc::new(Sink::default());
    let mut registry = Registry::default();
    for thread in threads {
        registry.subscribe((*thread).into(), Arc::downgrade(&sink));
    }
    (registry, sink)
}

fn call_in(thread: &str, turn: &str, call: &str, request: u64, generation: u64) -> ToolCall {
    let mut it = ToolCall::new(thread.into(), "tool".into(), RawValue::NULL.to_owned());
    it.turn_id = Some(turn.into());
    it.call_id = Some(call.into());
    it.request_id = Some(request.into());
    it.generation = generation;
    it
}

fn started(thread: &str, turn: &str, root: &str) -> Notice {
    Notice::TurnStarted {
        thread_id: thread.into(),
        turn_id: turn.into(),
        root_turn_id: Some(root.into()),
    }
}

fn ended(thread: &str, turn: &str) -> Notice {
    Notice::TurnCompleted {
        thread_id: thread.into(),
        end: end(turn, TurnStatus::Completed),
    }
}

fn end(turn: &str, status: TurnStatus) -> TurnEnd {
    TurnEnd {
        turn_id: turn.into(),
        status,
        error: None,
        reply: None,
        detail: RawValue::NULL.to_owned().into(),
    }
}

fn completed(thread: &str, turn: &str, call: &str) -> Notice {
    Notice::ToolCompleted {
        thread_id: thread.into(),
        turn_id: turn.into(),
        call_id: call.into(),
        namespace: None,
        tool: "tool".into(),
        success: false,
        answer: None,
    }
}

fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_call_waits_until_it_is_answered() {
    let (mut registry, _sink) = listening(&["t"]);
    let call = call_in("t", "u", "a", 0, 1);
    assert_eq!(asked(registry.call(call.clone(), now())), ["call a"]);
    let waiting = registry.waiting("t");
    assert!(waiting.len() == 1 && waiting[0].is_listed);
    assert!(registry.answered(&call).is_some());
    assert!(registry.waiting("t").is_empty());
    assert!(registry.answered(&call).is_none());
}

#[test]
fn a_call_that_is_replayed_is_told_again_and_waits_once() {
    let (mut registry, _sink) = listening(&["t"]);
    for _ in 0..2 {
        let call = call_in("t", "u", "a", 0, 1);
        assert_eq!(asked(registry.call(call, now())), ["call a"]);
    }
    assert_eq!(registry.waiting("t").len(), 1);
    // Another process counts from 0 as well.
    drop(registry.call(call_in("t", "v", "b", 0, 2), now()));
    assert_eq!(registry.waiting("t").len(), 2);
}

#[test]
fn a_call_that_codex_completes_itself_expires() {
    let (mut registry, _sink) = listening(&["t"]);
    drop(registry.call(call_in("t", "u", "a", 0, 1), now()));
    drop(registry.call(call_in("t", "u", "b", 1, 1), now()));
    let told = told(registry.take(completed("t", "u", "a")));
    assert_eq!(told, ["expired a", "ended a false"]);
    assert_eq!(registry.waiting("t").len(), 1);
}

#[test]
fn the_same_call_id_in_another_turn_does_not_expire() {
    let (mut registry, _sink) = listening(&["t"]);
    drop(registry.call(call_in("t", "u", "a", 0, 1), now()));
    assert_eq!(
        told(registry.take(completed("t", "v", "a"))),
        ["ended a false"]
    );
    assert_eq!(registry.waiting("t").len(), 1);
}

#[test]
fn a_turn_ends_once_and_takes_its_calls_away() {
    let (mut registry, _sink) = listening(&["t"]);
    registry.take(started("t", "u", "u"));
    assert_eq!(registry.active("t").as_deref(), Some("u"));
    drop(registry.call(call_in("t", "u", "a", 0, 1), now()));
    assert_eq!(
        told(registry.take(ended("t", "u"))),
        ["expired a", "u completed"]
    );
    assert!(registry.active("t").is_none() && registry.has_ended("t", "u"));
    assert!(told(registry.take(ended("t", "u"))).is_empty());
}

#[test]
fn a_late_word_of_a_turn_does_not_revive_it() {
    let (mut registry, _sink) = listening(&["t"]);
    registry.take(ended("t", "u"));
    registry.began("t", &"u".into());
    registry.take(started("t", "u", "u"));
    assert!(registry.active("t").is_none());
    // The end of a call of it is reported all the same.
    assert_eq!(
        told(registry.take(completed("t", "u", "a"))),
        ["ended a false"]
    );
}

#[test]
fn the_end_of_another_turn_leaves_the_active_one() {
    let (mut registry, _sink) = listening(&["t"]);
    registry.began("t", &"v".into());
    registry.take(ended("t", "u"));
    assert_eq!(registry.active("t").as_deref(), Some("v"));
}

#[test]
fn children_are_their_sessions_by_any_word_of_them() {
    let (mut registry, _sink) = listening(&["t", "other"]);
    registry.take(started("t", "u", "u"));
    // By the tool that made it, by the turn it was begun for, by what codex says when it is asked.
    registry.take(Notice::Children {
        parent_id: "t".into(),
        thread_ids: vec!["one".into()],
    });
    assert!(told(registry.take(started("two", "x", "u"))).is_empty());
    assert!(registry.adopt(&"two".into(), "three".into()));
    for (request, child) in [(0, "one"), (1, "two"), (2, "three")] {
        let call = call_in(child, "x", child, request, 1);
        let (_, call) = registry.call(call, now()).expect("it is ours");
        assert_eq!(
            (&*call.session_id, call.thread_id.as_deref()),
            ("t", Some(child))
        );
    }
    assert_eq!(registry.waiting("t").len(), 3);
    assert!(registry.waiting("other").is_empty());
    // The end of a child's turn is no end of ours.
    let told = told(registry.take(ended("two", "x")));
    assert_eq!(told, ["expired one", "expired two", "expired three"]);
}

#[test]
fn strangers_are_nobodys() {
    let (mut registry, _sink) = listening(&["t"]);
    assert!(registry.call(call_in("x", "u", "a", 0, 1), now()).is_err());
    assert!(registry.take(started("x", "u", "u")).is_none());
    assert!(registry.take(ended("x", "u")).is_none());
    assert!(!registry.adopt(&"x".into(), "y".into()));
    assert!(!registry.serves(&"x".into()));
}

#[test]
fn a_thread_that_nobody_listens_to_any_more_is_nobodys() {
    let (mut registry, sink) = listening(&["t"]);
    drop(sink);
    assert!(!registry.serves(&"t".into()));
    assert!(registry.call(call_in("t", "u", "a", 0, 1), now()).is_err());
    assert!(registry.live().is_empty());
}

#[test]
fn a_process_takes_its_calls_turns_and_unwritten_threads_along() {
    let (mut registry, _sink) = listening(&["kept"]);
    let sink: Arc<dyn EventSink> = Arc::new(Sink::default());
    for (thread, fate) in [
        ("unwritten", Fate::Unwritten),
        ("ephemeral", Fate::Ephemeral),
    ] {
        registry.created(&thread.into(), fate);
        registry.subscribe(thread.into(), Arc::downgrade(&sink));
    }
    registry.began("kept", &"u".into());
    drop(registry.call(call_in("kept", "u", "a", 0, 1), now()));
    let mut all: Vec<String> = registry
        .process_lost("it died")
        .into_iter()
        .flat_map(|delivery| told(Some(delivery)))
        .collect();
    all.sort();
    let closed = "closed: it died, and the session was in its memory only: create it again true";
    assert_eq!(all, [closed, closed, "expired a", "u lost"]);
    let live = registry.live();
    assert!(live.len() == 1 && &*live[0].thread_id == "kept" && live[0].active.is_none());
}

#[test]
fn a_thread_is_written_with_its_first_turn_and_an_ephemeral_one_never() {
    let (mut registry, sink) = listening(&[]);
    for (thread, fate, after) in [
        ("unwritten", Fate::Unwritten, Fate::Persisted),
        ("ephemeral", Fate::Ephemeral, Fate::Ephemeral),
    ] {
        registry.created(&thread.into(), fate);
        registry.subscribe(thread.into(), Arc::downgrade(&sink));
        assert_eq!(registry.fate(thread), fate);
        registry.began(thread, &"u".into());
        assert_eq!(registry.fate(thread), after);
    }
}

#[test]
fn threads_with_a_turn_are_taken_up_first() {
    let (mut registry, _sink) = listening(&["a", "b", "c"]);
    registry.began("b", &"u".into());
    assert_eq!(&*registry.live()[0].thread_id, "b");
}

#[test]
fn what_is_gone_is_closed_and_forgotten_with_its_children() {
    let (mut registry, _sink) = listening(&["t"]);
    registry.adopt(&"t".into(), "child".into());
    let gone = Notice::Gone {
        thread_id: "t".into(),
        reason: "it was deleted",
    };
    assert_eq!(told(registry.take(gone)), ["closed: it was deleted false"]);
    assert!(registry.threads.is_empty() && registry.parents.is_empty());
}

#[test]
fn ended_turns_are_remembered_up_to_a_number() {
    let (mut registry, _sink) = listening(&["t"]);
    for turn in 0..=ENDED_TURNS {
        registry.take(ended("t", &turn.to_string()));
    }
    assert!(!registry.has_ended("t", "0") && registry.has_ended("t", "1"));
}

#[test]
fn threads_that_nobody_listens_to_are_swept() {
    let (mut registry, sink) = listening(&["t"]);
    for n in 0..200 {
        let nobody: Arc<dyn EventSink> = Arc::new(Sink::default());
        registry.subscribe(n.to_string().into(), Arc::downgrade(&nobody));
    }
    assert!(registry.threads.len() < 100, "{}", registry.threads.len());
    assert!(registry.threads.contains_key("t"));
    drop(sink);
}

#[test]
fn the_oldest_children_are_forgotten_and_can_be_adopted_again() {
    let (mut registry, _sink) = listening(&["s"]);
    let child = |n: usize| -> Arc<str> { n.to_string().into() };
    for n in 0..=CHILDREN {
        assert!(registry.adopt(&"s".into(), child(n)));
    }
    assert!(!registry.serves(&child(0)) && registry.serves(&child(1)));
    assert!(registry.adopt(&"s".into(), child(0)));
    assert!(registry.serves(&child(0)) && !registry.serves(&child(1)));
    assert_eq!(registry.parents.len(), CHILDREN);
    registry.forget("s");
    assert!(registry.parents.is_empty() && registry.children.is_empty());
}
