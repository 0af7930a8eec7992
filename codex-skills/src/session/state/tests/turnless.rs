//! Calls whose turn an announcement leaves out: the same call, where call id and address are the same.

use serde_json::value::RawValue;

use super::super::*;
use super::world::Handle;
use crate::dispatch::{SubmissionStatus, broken_off};

fn state() -> (State<Handle>, OpeningId) {
    let limits = Limits::default();
    let mut state = State::new(&limits);
    let opening = state.open(&limits);
    (state, opening)
}

fn call(turn: Option<&str>, id: &str, request: u64) -> Arc<ToolCall> {
    let mut call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
    call.turn_id = turn.map(Into::into);
    call.call_id = Some(id.into());
    call.request_id = Some(request.into());
    Arc::new(call)
}

fn of_a_child(call: &Arc<ToolCall>) -> Arc<ToolCall> {
    let mut call = ToolCall::clone(call);
    call.thread_id = Some("child".into());
    Arc::new(call)
}

/// What the machine says of an announcement.
fn said(state: &mut State<Handle>, id: OpeningId, call: &Arc<ToolCall>) -> &'static str {
    match state.answer(id, call, Announced::Event) {
        Command::Run(_) => "run",
        Command::Join(_) => "join",
        Command::Repeat(_) => "repeat",
        Command::DeliverAgain { .. } => "deliver again",
        _ => "something else",
    }
}

fn settle(state: &mut State<Handle>, id: OpeningId, key: &CallKey) {
    let address = state.address(key).unwrap_or_else(|| key.call().clone());
    let mut record = Arc::new(broken_off(&address, 0));
    let to = SubmissionRecord::unsent(SubmissionStatus::Accepted);
    assert!(state.on_delivered(id, key, &mut record, (&address, to), true));
}

#[test]
fn a_turn_that_is_left_out_later_is_found_while_the_call_runs_and_after() {
    let (mut state, id) = state();
    let (known, turnless) = (call(Some("t"), "a", 1), call(None, "a", 1));
    assert_eq!(said(&mut state, id, &known), "run");
    assert_eq!(said(&mut state, id, &turnless), "join");
    settle(&mut state, id, &CallKey::new(&known));
    assert_eq!(said(&mut state, id, &turnless), "repeat");
}

#[test]
fn a_turn_that_is_left_out_first_is_found_while_the_call_runs_and_after() {
    let (mut state, id) = state();
    let (known, turnless) = (call(Some("t"), "a", 1), call(None, "a", 1));
    assert_eq!(said(&mut state, id, &turnless), "run");
    assert_eq!(said(&mut state, id, &known), "join");
    settle(&mut state, id, &CallKey::turnless(&known));
    assert_eq!(said(&mut state, id, &known), "repeat");
}

#[test]
fn another_address_id_or_thread_is_another_call() {
    let (mut state, id) = state();
    assert_eq!(said(&mut state, id, &call(None, "a", 1)), "run");
    assert_eq!(said(&mut state, id, &call(Some("t"), "a", 2)), "run");
    assert_eq!(said(&mut state, id, &call(None, "a", 3)), "run");
    assert_eq!(said(&mut state, id, &call(None, "b", 2)), "run");
    let child = of_a_child(&call(None, "a", 2));
    assert_eq!(said(&mut state, id, &child), "run");
}

#[test]
fn both_ways_of_one_call_stay_two_calls_where_both_were_claimed() {
    let (mut state, id) = state();
    assert_eq!(said(&mut state, id, &call(None, "a", 1)), "run");
    assert_eq!(said(&mut state, id, &call(Some("t"), "a", 2)), "run");
    // Its own key is known: the turnless one is not asked for.
    assert_eq!(said(&mut state, id, &call(Some("t"), "a", 1)), "join");
    assert_eq!(state.underway(None).len(), 2);
    assert_eq!(state.underway(Some("t")).len(), 1);
    assert_eq!(state.underway(Some("u")).len(), 0);
}

#[test]
fn what_is_said_of_a_call_without_its_turn_is_said_of_the_call() {
    let (mut state, id) = state();
    let (known, turnless) = (call(Some("t"), "a", 1), call(None, "a", 1));
    assert_eq!(said(&mut state, id, &known), "run");
    assert!(matches!(
        state.on_resolved(id, &turnless),
        Command::Notify(_)
    ));
    let expired = Event::CallExpired(turnless);
    let expired = state.on_event(id, &expired, false, Instant::now());
    assert!(matches!(expired, Command::Cancel(cancelled) if cancelled.len() == 1));
    assert_eq!(state.unsettled("t"), ["tool"]);
}

#[test]
fn what_the_runtime_says_of_an_answer_is_known_to_its_delivery() {
    for which in [true, false] {
        let (mut state, id) = state();
        let (known, own) = (call(Some("t"), "a", 1), SkillOutput::text("own"));
        let key = CallKey::new(&known);
        assert_eq!(said(&mut state, id, &known), "run");
        assert!(state.known(&key, &known, &own, true).is_none());
        let command = match which {
            true => state.on_completed(id, &known, TakenAnswer::from(&own)),
            false => state.on_resolved(id, &known),
        };
        assert!(matches!(command, Command::Notify(_)));
        assert!(state.known(&key, &known, &own, true).is_some());
    }
}
