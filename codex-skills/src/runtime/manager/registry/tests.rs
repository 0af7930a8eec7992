use std::sync::Mutex;

use serde_json::value::RawValue;

use super::*;
use crate::runtime::TurnStatus;

#[derive(Default)]
struct Sink(Mutex<Vec<Event>>);

impl EventSink for Sink {
    fn deliver(&self, event: Event) {
        if let Ok(mut events) = self.0.lock() {
            events.push(event);
        }
    }
}

/// A registry with one session, and its listener.
fn registry() -> (Registry, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    let events: Arc<dyn EventSink> = sink.clone();
    let mut registry = Registry::default();
    registry.subscribe("s".into(), Arc::downgrade(&events));
    (registry, sink)
}

fn call(thread_id: &str, request_id: &str, is_listed: bool) -> Frame {
    Frame::Call {
        thread_id: thread_id.into(),
        call: PendingCall {
            request_id: request_id.to_owned(),
            turn_id: Some("t".into()),
            call_id: Some(format!("call {request_id}").into()),
            namespace: None,
            tool: "tool".into(),
            arguments: RawValue::NULL.to_owned(),
        },
        is_listed,
    }
}

fn end(status: TurnStatus) -> TurnEnd {
    TurnEnd {
        turn_id: "t".into(),
        status,
        error: None,
        reply: None,
        payload: RawValue::NULL.to_owned().into(),
    }
}

fn told(delivery: Option<Delivery>) -> Vec<Event> {
    delivery.map(|told| told.events).unwrap_or_default()
}

#[test]
fn calls_of_threads_that_nobody_here_has_are_nobodys_business() {
    let (mut registry, _sink) = registry();
    assert!(told(registry.take(call("other", "0", false), 1)).is_empty());
}

#[test]
fn a_thread_is_asked_about_once_and_only_while_a_turn_may_have_begun_it() {
    let (mut registry, _sink) = registry();
    let stranger: Arc<str> = "other".into();
    assert!(!registry.is_unknown(&stranger), "nothing runs");
    registry.began("s", &"t".into(), 1);
    assert!(registry.is_unknown(&stranger));
    assert!(!registry.is_unknown(&stranger), "it was asked about");
    assert!(!registry.is_unknown(&"s".into()));
}

#[test]
fn calls_of_children_and_their_children_go_to_the_session() {
    let (mut registry, _sink) = registry();
    for (parent, child) in [("s", "child"), ("child", "grandchild")] {
        registry.take(
            Frame::Children {
                parent_id: parent.into(),
                thread_ids: vec![child.into()],
                are_spawned: true,
            },
            1,
        );
    }
    let events = told(registry.take(call("grandchild", "0", false), 1));
    let [Event::ToolCall(call)] = &events[..] else {
        unreachable!("{events:?}")
    };
    assert_eq!(&*call.session_id, "s");
    assert_eq!(call.thread_id.as_deref(), Some("grandchild"));
    assert_eq!(registry.children("s").len(), 2);
}

#[test]
fn a_child_that_is_opened_as_a_session_has_its_own_calls() {
    let (mut registry, sink) = registry();
    registry.take(
        Frame::Children {
            parent_id: "s".into(),
            thread_ids: vec!["child".into()],
            are_spawned: true,
        },
        1,
    );
    let events: Arc<dyn EventSink> = sink.clone();
    registry.subscribe("child".into(), Arc::downgrade(&events));
    let events = told(registry.take(call("child", "0", false), 1));
    let [Event::ToolCall(call)] = &events[..] else {
        unreachable!("{events:?}")
    };
    assert_eq!((&*call.session_id, &call.thread_id), ("child", &None));
    assert!(registry.children("s").is_empty());
}

#[test]
fn a_session_is_looked_after_once_at_a_time() {
    let (mut registry, _sink) = registry();
    let id: Arc<str> = "s".into();
    assert_eq!(registry.begin_look(&id), None, "nothing runs");
    registry.began("s", &"t".into(), 1);
    assert_eq!(registry.begin_look(&id), Some(id.clone()));
    for _ in 0..100 {
        assert_eq!(registry.begin_look(&id), None, "one does already");
    }
    assert!(registry.end_look("s"), "once more");
    assert!(!registry.end_look("s"));
    assert_eq!(registry.begin_look(&id), Some(id.clone()));
    registry.begin_look(&id);
    registry.ended(&id, end(TurnStatus::Completed));
    assert!(!registry.end_look("s"), "the turn is over");
}

#[test]
fn turns_that_may_run_are_those_that_are_not_over() {
    let turn = |id: &str, is_over| KnownTurn {
        id: id.into(),
        is_over,
    };
    let (mut registry, _sink) = registry();
    let running = |registry: &mut Registry| registry.begin_send("s", "do it").running;
    assert!(running(&mut registry).is_empty());
    registry.knows_turns("s", Some(vec![turn("a", false), turn("b", true)]));
    assert!(running(&mut registry).is_empty());
    registry.knows_turns("s", Some(vec![turn("a", true), turn("b", false)]));
    assert_eq!(running(&mut registry), ["b".into()]);
    registry.began("s", &"t".into(), 1);
    assert_eq!(running(&mut registry), ["t".into()]);
    registry.ended(&"s".into(), end(TurnStatus::Completed));
    assert!(running(&mut registry).is_empty());
}

#[test]
fn a_late_call_of_an_ended_turn_is_left_out_and_revives_nothing() {
    let (mut registry, _sink) = registry();
    registry.began("s", &"t".into(), 1);
    assert!(!told(registry.ended(&"s".into(), end(TurnStatus::Completed))).is_empty());
    assert!(told(registry.take(call("s", "0", true), 1)).is_empty());
    registry.began("s", &"t".into(), 1);
    assert!(!registry.is_active("s", "t"));
}

#[test]
fn the_end_of_a_turn_takes_its_calls_away() {
    let (mut registry, _sink) = registry();
    registry.take(call("s", "0", false), 1);
    let events = told(registry.ended(&"s".into(), end(TurnStatus::Interrupted)));
    assert!(matches!(
        events[..],
        [Event::CallExpired(_), Event::TurnCompleted { .. }]
    ));
}

#[test]
fn a_new_process_takes_away_the_calls_of_the_old_one_and_no_others() {
    let (mut registry, _sink) = registry();
    registry.take(call("s", "0", false), 1);
    registry.take(call("s", "1", false), 2);
    let deliveries = registry.restarted(2);
    let events: Vec<Event> = deliveries
        .into_iter()
        .flat_map(|told| told.events)
        .collect();
    let [Event::CallExpired(call)] = &events[..] else {
        unreachable!("{events:?}")
    };
    assert_eq!(call.call_id.as_deref(), Some("call 0"));
}

#[test]
fn a_list_says_nothing_of_a_call_whose_answer_is_under_way() {
    let (mut registry, _sink) = registry();
    let events = told(registry.take(call("s", "0", false), 1));
    let [Event::ToolCall(answered)] = &events[..] else {
        unreachable!("{events:?}")
    };
    registry.begin_answer(answered);
    assert!(told(registry.take(call("s", "0", true), 1)).is_empty());
    assert!(
        !told(registry.take(call("s", "0", true), 2)).is_empty(),
        "another process"
    );
    registry.end_answer(answered);
    assert!(!told(registry.take(call("s", "0", true), 1)).is_empty());
    assert!(registry.answering.is_empty());
}

#[test]
fn a_call_that_was_answered_between_its_announcements_does_not_expire() {
    let (mut registry, _sink) = registry();
    let events = told(registry.take(call("s", "0", false), 1));
    let [Event::ToolCall(answered)] = &events[..] else {
        unreachable!("{events:?}")
    };
    registry.begin_answer(answered);
    registry.end_answer(answered);
    registry.answered(answered);
    registry.take(call("s", "0", false), 1);
    let resolved = |request_id: &str| Frame::Resolved {
        thread_id: "s".into(),
        request_id: request_id.to_owned(),
        is_expired: false,
    };
    assert!(told(registry.take(resolved("0"), 1)).is_empty());
    assert!(told(registry.ended(&"s".into(), end(TurnStatus::Interrupted))).len() == 1);
    // The next process has another call of this id, which another client answers.
    let (mut registry, _sink) = self::registry();
    registry.answered(answered);
    registry.take(call("s", "0", false), 2);
    let expired = told(registry.take(resolved("0"), 2));
    assert!(
        matches!(expired[..], [Event::CallExpired(_)]),
        "{expired:?}"
    );
    // One that a list has waits indeed.
    registry.answered(answered);
    registry.take(call("s", "0", true), 1);
    let expired = told(registry.take(resolved("0"), 1));
    assert!(
        matches!(expired[..], [Event::CallExpired(_)]),
        "{expired:?}"
    );
}

#[test]
fn only_sessions_of_which_nothing_was_heard_are_quiet() {
    let (mut registry, _sink) = registry();
    registry.began("s", &"t".into(), 1);
    assert!(registry.live(&Which::Quiet).is_empty(), "it has just begun");
    assert!(registry.quiet().is_empty(), "each look has its own time");
    assert_eq!(registry.quiet().len(), 1);
    assert_eq!(registry.live(&Which::Quiet).len(), 1);
    registry.take(
        Frame::TurnStarted {
            thread_id: "s".into(),
            turn_id: "t".into(),
        },
        1,
    );
    assert!(registry.live(&Which::Quiet).is_empty());
    assert_eq!(registry.live(&Which::Active).len(), 1);
}

#[test]
fn sessions_that_nobody_listens_to_are_forgotten() {
    let (mut registry, sink) = registry();
    drop(sink);
    assert!(registry.live(&Which::All).is_empty());
    let other: Arc<dyn EventSink> = Arc::new(Sink::default());
    for id in 0..200 {
        registry.subscribe(format!("{id}").into(), Arc::downgrade(&other));
    }
    assert!(!registry.sessions.contains_key("s"));
    assert_eq!(registry.live(&Which::All).len(), 200);
}

#[test]
fn threads_are_the_sessions_that_somebody_listens_to_and_their_children() {
    let (mut registry, sink) = registry();
    registry.take(
        Frame::Children {
            parent_id: "s".into(),
            thread_ids: vec!["a".into(), "b".into(), "s".into()],
            are_spawned: true,
        },
        1,
    );
    let mut threads: Vec<_> = registry.threads().into_iter().collect();
    threads.sort_unstable();
    assert_eq!(threads, ["a".into(), "b".into(), "s".into()]);
    assert_eq!(registry.live(&Which::Of("a".into())).len(), 1);
    assert!(registry.live(&Which::Of("other".into())).is_empty());
    drop(sink);
    assert!(registry.threads().is_empty());
}
