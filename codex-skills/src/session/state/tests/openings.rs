//! A session that is open more than once: each opening ends for itself.

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::super::*;
use super::world::Handle;

fn call(id: &str) -> Arc<ToolCall> {
    let mut call = ToolCall::new("s".into(), "tool".into(), RawValue::NULL.to_owned());
    call.call_id = Some(id.into());
    Arc::new(call)
}

fn run(state: &mut State<Handle>, id: OpeningId, call: &Arc<ToolCall>) -> Option<CallKey> {
    match state.answer(id, call, Announced::Event) {
        Command::Run(admitted) => Some(admitted.running.0),
        _ => None,
    }
}

fn keys(cancelled: Vec<Handle>) -> Vec<CallKey> {
    cancelled.into_iter().map(|handle| handle.0).collect()
}

#[test]
fn an_opening_that_ends_cancels_the_calls_that_it_claimed_and_no_others() {
    let limits = Limits::default();
    let mut state = State::new(&limits);
    let first = state.open(&limits);
    let of_first = run(&mut state, first, &call("a"));
    let second = state.open(&limits);
    let of_second = run(&mut state, second, &call("b"));
    assert!(of_first.is_some() && of_second.is_some());
    assert_eq!(keys(state.cancel_all(first)), Vec::from_iter(of_first));
    let closed = Event::SessionClosed {
        reason: "it was closed".to_owned(),
        is_lost: false,
    };
    let cancelled = match state.on_event(second, &closed, false, Instant::now()) {
        Command::CancelAll(cancelled) => keys(cancelled),
        _ => Vec::new(),
    };
    assert_eq!(cancelled, Vec::from_iter(of_second));
    assert_eq!(state.underway(None).len(), 2, "both are answered still");
}
