//! Tests of an opening's turns and waiting calls.

use serde_json::value::RawValue;

use super::*;
use crate::runtime::TurnStatus;

fn opening(remembered_turns: usize, open_calls: usize) -> Opening {
    Opening::new(&Limits {
        remembered_turns,
        open_calls,
        ..Limits::default()
    })
}

fn call(id: &str) -> Arc<ToolCall> {
    let mut call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
    call.turn_id = Some("t".into());
    call.call_id = Some(id.into());
    Arc::new(call)
}

fn ended(turn: &str) -> Event {
    Event::TurnCompleted {
        turn_id: turn.into(),
        status: TurnStatus::Completed,
        error: None,
        detail: RawValue::NULL.to_owned().into(),
    }
}

/// Takes an event: an announced call is admitted, and the others are ignored.
fn take(opening: &mut Opening, event: &Event) -> Admission {
    match event {
        Event::ToolCall(call) => opening.on_call(call),
        event => {
            opening.on_event(event, Instant::now());
            Admission::Ignored
        }
    }
}

#[test]
fn calls_wait_until_the_session_is_served() {
    let mut opening = opening(4, 4);
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("a"))),
        Admission::Waits
    ));
    take(&mut opening, &Event::ToolCall(call("a")));
    assert_eq!(opening.serve().len(), 1, "the same call waits once");
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("b"))),
        Admission::Claimed
    ));
    opening.unserve();
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("c"))),
        Admission::Waits
    ));
}

#[test]
fn a_call_waits_with_its_newest_address() {
    let mut opening = opening(4, 4);
    for (number, generation) in [(0, 1), (1, 2), (2, 1)] {
        let mut call = ToolCall::clone(&call("a"));
        call.request_id = Some(number.into());
        call.generation = generation;
        take(&mut opening, &Event::ToolCall(Arc::new(call)));
    }
    let waiting = opening.serve();
    let generations: Vec<u64> = waiting.iter().map(|call| call.generation).collect();
    assert_eq!(generations, [2]);
}

#[test]
fn more_waiting_calls_than_allowed_are_refused() {
    let mut opening = opening(4, 1);
    take(&mut opening, &Event::ToolCall(call("a")));
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("b"))),
        Admission::Refused
    ));
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("a"))),
        Admission::Ignored
    ));
    assert_eq!(opening.serve().len(), 1);
}

#[test]
fn a_turns_end_and_an_expiry_take_waiting_calls_away() {
    let mut opening = opening(4, 4);
    take(&mut opening, &Event::ToolCall(call("a")));
    take(&mut opening, &Event::CallExpired(call("a")));
    assert!(opening.serve().is_empty());
    opening.unserve();
    take(&mut opening, &Event::ToolCall(call("b")));
    take(&mut opening, &ended("t"));
    assert!(opening.serve().is_empty());
}

#[test]
fn the_last_message_that_says_something_is_the_reply() {
    let mut opening = opening(4, 4);
    for text in ["first", " second\n", "  "] {
        take(
            &mut opening,
            &Event::Message {
                turn_id: "t".into(),
                text: text.to_owned(),
            },
        );
    }
    assert_eq!(
        opening.turn("t").and_then(|turn| turn.reply.as_deref()),
        Some("second")
    );
}

#[test]
fn old_turns_are_forgotten_and_running_ones_are_not() {
    let mut opening = opening(2, 4);
    take(
        &mut opening,
        &Event::TurnStarted {
            turn_id: "running".into(),
        },
    );
    for turn in ["1", "2", "3"] {
        take(&mut opening, &ended(turn));
        take(&mut opening, &ended(turn));
    }
    assert!(opening.turn("1").is_none());
    assert!(opening.turn("2").is_some() && opening.turn("3").is_some());
    assert!(opening.turn("running").is_some());
}

#[test]
fn a_closed_session_takes_no_calls() {
    let mut opening = opening(4, 4);
    let gone = Event::SessionClosed {
        reason: "gone".to_owned(),
        is_lost: true,
    };
    take(&mut opening, &gone);
    assert!(matches!(
        take(&mut opening, &Event::ToolCall(call("a"))),
        Admission::Ignored
    ));
    opening.close(Closed::by_us("later"));
    let closed = opening
        .closed()
        .map(|closed| (&*closed.reason, closed.is_lost));
    assert_eq!(closed, Some(("gone", true)));
    assert!(opening.serve().is_empty());
}
