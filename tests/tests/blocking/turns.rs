//! Sending, serving, and loops of one's own.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use codex_skills::blocking::Client;
use codex_skills::embedded::Step;
use codex_skills::{Embedded, Error, Event, Outcome, SubmissionStatus, TurnStatus, skills};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::asynchronous;
use serde_json::json;

use super::{codex, register, repeat, soon};

/// A client whose model calls a skill that waits at the gate, and a repetition of a word.
fn waiting() -> Client<Embedded> {
    Embedded::scripted([
        Step::calls([("hold", json!({})), ("repeat", json!({"word": "one"}))]),
        Step::say_outputs(),
    ])
    .blocking()
}

fn gated(gate: &Gate) -> codex_skills::Skill {
    let gate = gate.clone();
    asynchronous("hold", move |_| {
        let gate = gate.clone();
        async move {
            gate.enter().await;
            "passed".to_owned()
        }
    })
}

#[test]
fn events_are_shown_on_the_thread_that_waits_and_a_panic_there_loses_nothing() {
    let here = thread::current().id();
    codex()
        .lifecycle(register)
        .run(|run| {
            let (mut calls, mut last) = (0, None);
            let turn = run
                .send_and_handle("Go.")
                .on_event(|event| {
                    assert_eq!(thread::current().id(), here);
                    calls += usize::from(matches!(event, Event::ToolCall(_)));
                    last = Some(event.clone());
                })
                .require_reply()
                .wait()?;
            assert_eq!((calls, turn.dispatches.len(), turn.lost_events), (3, 3, 0));
            assert!(matches!(last, Some(Event::TurnCompleted { .. })));
            let mut shown = 0;
            let turn = run.send_and_handle("Go.").on_event(|_| {
                shown += 1;
                panic!("out of paper");
            });
            assert_eq!(turn.wait()?.status, TurnStatus::Completed);
            assert_eq!(shown, 1);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_reply_may_be_missing_and_a_required_one_may_not() {
    let codex = Embedded::scripted([Step::items([])]).blocking();
    codex
        .lifecycle(register)
        .run(|run| {
            let optional: Option<String> = run.send_and_handle("Go.").wait()?.assistant_reply;
            assert_eq!(optional, None);
            Ok(())
        })
        .unwrap();
    codex
        .lifecycle(register)
        .run(|run| {
            let failed = run.send_and_handle("Go.").require_reply().wait();
            assert!(matches!(failed, Err(Error::NoReply { .. })));
            let required: String = run
                .send_and_handle("Go.")
                .require_reply()
                .wait()?
                .assistant_reply;
            assert_eq!(required, "Done.");
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_turn_that_takes_too_long_is_interrupted_and_its_calls_are_told() {
    let codex = waiting();
    codex
        .lifecycle(|draft| {
            draft
                .register(gated(&Gate::new()))
                .register(skills![repeat])
        })
        .run(|run| {
            let failed = run
                .send_and_handle("Go.")
                .timeout(Duration::from_millis(200))
                .wait()
                .expect_err("it never ends");
            assert!(failed.is_timeout(), "{failed}");
            let turn = failed.turn().unwrap();
            assert_eq!(turn.status, TurnStatus::Interrupted);
            let mut outcomes: Vec<_> = turn
                .dispatches
                .iter()
                .map(|call| (call.tool(), call.outcome()))
                .collect();
            outcomes.sort_by_key(|(tool, _)| *tool);
            assert_eq!(
                outcomes,
                [("hold", Outcome::Cancelled), ("repeat", Outcome::Completed)]
            );
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_turn_may_be_asked_to_end_in_a_certain_way() {
    let codex = Embedded::scripted([Step::fail("out of order")]).blocking();
    codex
        .lifecycle(register)
        .run(|run| {
            let failed = run.send_and_handle("Go.").terminal("completed").wait();
            assert!(matches!(failed, Err(Error::TurnEnded { .. })));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_turn_is_interrupted_from_another_thread() {
    let gate = Gate::new();
    let codex = waiting();
    let run = codex
        .lifecycle(|draft| draft.register(gated(&gate)).register(skills![repeat]))
        .wait()
        .unwrap();
    let session = run.skills().clone();
    let turn = thread::spawn(move || session.send_and_handle("Go.").wait());
    while gate.came() == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    run.interrupt().unwrap();
    let ended = turn.join().unwrap().unwrap();
    assert_eq!(ended.status, TurnStatus::Interrupted);
    assert!(run.interrupt().is_err(), "no turn is active");
}

#[test]
fn a_loop_of_ones_own_answers_calls_and_ends_with_the_session() {
    let codex = codex();
    let run = codex.lifecycle(register).wait().unwrap();
    let mut signals = run.signals();
    let sent = run.send("Go.").inject_skills(false).wait().unwrap();
    let mut answered = Vec::new();
    for event in signals.by_ref() {
        if let Some(record) = run.respond_to_signal(&event).unwrap() {
            assert_eq!(record.submission().status(), SubmissionStatus::Accepted);
            answered.push(record.tool().to_owned());
        }
        if matches!(event, Event::TurnCompleted { .. }) {
            assert_eq!(event.turn_id(), Some(&*sent.turn_id));
            break;
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, ["repeat", "repeat_inline", "whereabouts"]);
    assert_eq!(signals.lost(), 0);
    run.close().unwrap();
    assert!(signals.next().is_none());
    assert!(signals.next().is_none());
}

#[test]
fn a_loop_may_wait_for_a_while() {
    soon(|| {
        let codex = codex();
        let run = codex.lifecycle(register).wait().unwrap();
        let mut signals = run.signals();
        let none = signals.next_timeout(Duration::from_millis(5));
        assert_eq!(none.err(), Some(RecvTimeoutError::Timeout));
        run.send("Go.").wait().unwrap();
        let event = signals.next_timeout(Duration::from_secs(30)).unwrap();
        assert!(matches!(event, Event::TurnStarted { .. }), "{event:?}");
        run.close().unwrap();
        let ended = std::iter::from_fn(|| Some(signals.next_timeout(Duration::from_secs(30))))
            .find_map(Result::err);
        assert_eq!(ended, Some(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn calls_that_wait_are_listed_and_answered_one_by_one_or_together() {
    let codex = codex();
    let run = codex.lifecycle(register).wait().unwrap();
    let mut signals = run.signals();
    run.send("Go.").wait().unwrap();
    let calls = loop {
        let calls = run.pending_calls().unwrap();
        if calls.len() == 3 {
            break calls;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let first = run.respond_to_pending_call(&calls[0]).unwrap().unwrap();
    assert_eq!(first.call_id(), calls[0].call_id.as_deref());
    let rest = run.drain_pending_calls().unwrap();
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|record| record.is_handled()));
    assert!(signals.any(|event| matches!(event, Event::TurnCompleted { .. })));

    let mut foreign = calls[0].as_ref().clone();
    foreign.session_id = "another".into();
    let foreign = run.respond_to_pending_call(&Arc::new(foreign)).unwrap();
    assert!(foreign.is_none());
}

#[test]
fn serve_answers_calls_until_the_session_is_closed() {
    let codex = codex();
    let (_, session) = codex.create_session(register).wait().unwrap();
    let server = session.clone();
    let server = thread::spawn(move || server.serve());
    let mut signals = session.signals();
    session.send("Go.").wait().unwrap();
    assert!(signals.any(|event| matches!(event, Event::TurnCompleted { .. })));
    codex
        .close_session(session.session_id(), true)
        .wait()
        .unwrap();
    assert_eq!(server.join().unwrap().unwrap(), "it was closed");
    assert!(matches!(
        session.send("Go.").wait(),
        Err(Error::SessionClosed { .. })
    ));
}

#[test]
fn a_skill_is_tried_out_without_a_turn() {
    let codex = codex();
    let run = codex.lifecycle(register).wait().unwrap();
    let output = run
        .dispatch_tool_call("whereabouts", &json!({"word": "here"}))
        .unwrap();
    assert_eq!(output.to_text(), "here on codex-skills");
    let output = run.dispatch_tool_call("repeat", &json!({})).unwrap();
    assert!(!output.is_success());
    assert_eq!(
        run.detail().unwrap()["session"]["sessionId"],
        run.session_id()
    );
}
