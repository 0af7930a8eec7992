//! What codex asks besides calls: decided by the program, refused at once, or left to the people at the web pages.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use codex_skills::{
    CodexReply, CodexRequestKind, Error, Event, Limits, RequestHandler, Session, TurnStatus,
};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::manager::{Fault, Manager};
use codex_skills_tests::skills::Counter;
use serde_json::{Value, json};

use crate::support::{catalog, client, held, limits, start};

const COMMAND: &str = "item/commandExecution/requestApproval";
const INPUT: &str = "item/tool/requestUserInput";
const HELD: &str = r#"CALL held {"text":"a"}"#;

fn command() -> Value {
    json!({"command": "touch x", "cwd": "/work"})
}

/// Waits for the decision of a question, and says what it was.
async fn decision(manager: &Manager, request: u64) -> Value {
    let id = request.to_string();
    let of = |manager: &Manager| {
        let decisions = manager.decisions();
        decisions.into_iter().find(|(known, _)| *known == id)
    };
    manager
        .until("it is decided", |manager| of(manager).is_some())
        .await;
    of(manager).map(|(_, decision)| decision).expect("it")
}

/// Plays a turn in a session while something is asked in it.
async fn during<T>(session: &Session, gate: &Gate, ask: impl Future<Output = T>) -> T {
    let ask = async {
        gate.somebody().await;
        let asked = ask.await;
        gate.open();
        asked
    };
    let (turn, asked) = tokio::join!(session.send_and_handle(HELD).into_future(), ask);
    assert_eq!(turn.expect("a turn").status, TurnStatus::Completed);
    asked
}

#[tokio::test]
async fn what_is_asked_reaches_the_handler_once_and_its_reply_goes_back() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::DuplicateFrames, u32::MAX);
    let (gate, asked) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
    let seen = asked.clone();
    let handler = RequestHandler::new(move |request| {
        let kind = request.kind();
        seen.lock()
            .expect("no panic")
            .push((kind, request.params.clone()));
        async move {
            match kind {
                CodexRequestKind::UserInput => {
                    CodexReply::Result(json!({"answers": {"q": {"answers": ["yes"]}}}))
                }
                _ => CodexReply::Grant,
            }
        }
    });
    let run = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .on_request(handler)
        .await?;
    let id = run.session_id();
    let (granted, answered) = during(run.skills(), &gate, async {
        let granted = manager.ask(id, COMMAND, &command());
        let answered = manager.ask(id, INPUT, &json!({"questions": []}));
        (
            decision(&manager, granted).await,
            decision(&manager, answered).await,
        )
    })
    .await;
    assert_eq!(granted, json!({"decision": "accept", "scope": "turn"}));
    let answers = json!({"answers": {"q": {"answers": ["yes"]}}});
    assert_eq!(answered, json!({"decision": "accept", "response": answers}));
    let asked = asked.lock().expect("no panic");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.contains(&(CodexRequestKind::Command, command())));
    Ok(())
}

#[tokio::test]
async fn a_session_that_a_guard_owns_refuses_at_once_without_a_handler() -> Result<(), Error> {
    let (manager, client) = start().await;
    let gate = Gate::new();
    let run = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .await?;
    let refused = during(run.skills(), &gate, async {
        decision(&manager, manager.ask(run.session_id(), COMMAND, &command())).await
    })
    .await;
    assert_eq!(refused, json!({"decision": "decline"}));
    Ok(())
}

#[tokio::test]
async fn a_session_without_a_guard_leaves_it_to_people_with_an_event() -> Result<(), Error> {
    let (manager, client) = start().await;
    let gate = Gate::new();
    let (_, session) = client
        .create_session_with(catalog(vec![held(&Counter::default(), &gate)]))
        .await?;
    let mut signals = session.signals();
    let mut waits = async || loop {
        match signals.next().await.expect("it is open") {
            Event::RequestWaiting {
                turn_id,
                id,
                request,
            } => {
                assert!(turn_id.is_some());
                assert_eq!(request.params, command());
                break id.parse::<u64>().expect("a number");
            }
            Event::RequestSettled { .. } => panic!("nobody decided"),
            _ => {}
        }
    };
    during(&session, &gate, async {
        let request = manager.ask(session.session_id(), COMMAND, &command());
        assert_eq!(waits().await, request);
        assert!(manager.decisions().is_empty());
        assert!(manager.decide(request, &json!({"decision": "accept"})));
    })
    .await;
    let mut settled = false;
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(5), signals.next()).await {
        settled |= matches!(event, Event::RequestSettled { .. });
        if matches!(event, Event::TurnCompleted { .. }) {
            break;
        }
    }
    assert!(settled);
    Ok(())
}

#[tokio::test]
async fn either_can_be_had_for_each_session() -> Result<(), Error> {
    let (manager, client) = start().await;
    let gate = Gate::new();
    let sealed = catalog(vec![held(&Counter::default(), &gate)]);
    let (_, refuses) = client
        .create_session_with(sealed.clone())
        .on_request(RequestHandler::refuse())
        .await?;
    let refused = during(&refuses, &gate, async {
        decision(
            &manager,
            manager.ask(refuses.session_id(), INPUT, &json!({})),
        )
        .await
    })
    .await;
    assert_eq!(
        refused,
        json!({"decision": "decline", "response": {"answers": {}}})
    );
    let gate = Gate::new();
    let leaves = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .on_request(RequestHandler::leave())
        .await?;
    let mut signals = leaves.signals();
    during(leaves.skills(), &gate, async {
        manager.ask(leaves.session_id(), COMMAND, &command());
        while !matches!(signals.next().await, Some(Event::RequestWaiting { .. })) {}
    })
    .await;
    assert_eq!(manager.decisions().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_turn_that_waits_for_people_is_not_waited_for_without_end() -> Result<(), Error> {
    let (manager, client) = start().await;
    let gate = Gate::new();
    let (_, session) = client
        .create_session_with(catalog(vec![held(&Counter::default(), &gate)]))
        .limits(Limits {
            decision_timeout: Duration::from_millis(200),
            ..limits()
        })
        .await?;
    let ask = async {
        gate.somebody().await;
        // One that is decided in time counts no longer.
        let decided = manager.ask(session.session_id(), COMMAND, &command());
        assert!(manager.decide(decided, &json!({"decision": "decline"})));
        manager.ask(session.session_id(), INPUT, &json!({}));
    };
    let (turn, ()) = tokio::join!(session.send_and_handle(HELD).into_future(), ask);
    let error = turn.expect_err("nobody decides");
    assert!(error.is_timeout(), "{error}");
    assert!(
        error.to_string().contains(INPUT) && error.to_string().contains(".on_request(..)"),
        "{error}"
    );
    assert_eq!(error.turn().map(|turn| turn.dispatches.len()), Some(1));
    assert_eq!(manager.count("POST", "/interrupt"), 1);
    Ok(())
}

#[tokio::test]
async fn what_was_asked_while_the_stream_was_down_is_caught_up_with() -> Result<(), Error> {
    let (manager, client) = start().await;
    let gate = Gate::new();
    let run = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .on_request(RequestHandler::new(async |_| CodexReply::Grant))
        .await?;
    manager.silence(COMMAND);
    let granted = during(run.skills(), &gate, async {
        let request = manager.ask(run.session_id(), COMMAND, &command());
        manager.cut_connections();
        decision(&manager, request).await
    })
    .await;
    assert_eq!(granted["decision"], "accept");
    Ok(())
}

#[tokio::test]
async fn what_waits_is_put_to_the_handler_of_who_opens_the_session() -> Result<(), Error> {
    let (manager, one) = start().await;
    let gate = Gate::new();
    let sealed = catalog(vec![held(&Counter::default(), &gate)]);
    let (_, session) = one.create_session_with(sealed).await?;
    let mut signals = session.signals();
    during(&session, &gate, async {
        let request = manager.ask(session.session_id(), COMMAND, &command());
        while !matches!(signals.next().await, Some(Event::RequestWaiting { .. })) {}
        let grant = RequestHandler::new(async |_| CodexReply::Grant);
        let other = client(&manager);
        // Another client that only watches decides nothing; one with a handler does.
        let watches = other.session(session.session_id()).await.expect("a handle");
        assert!(manager.decisions().is_empty());
        let decides = other.session(session.session_id()).on_request(grant);
        let decides = decides.await.expect("a handle");
        assert_eq!(decision(&manager, request).await["decision"], "accept");
        drop((watches, decides));
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_handler_is_let_go_when_somebody_else_decides_or_the_turn_ends() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (gate, dropped) = (Gate::new(), Counter::default());
    struct Dropped(Counter);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.count();
        }
    }
    let count = dropped.clone();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let never = RequestHandler::new(move |_| {
        let dropped = Dropped(count.clone());
        let _ = begun.send(());
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    });
    let run = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .on_request(never)
        .await?;
    during(run.skills(), &gate, async {
        let decided = manager.ask(run.session_id(), COMMAND, &command());
        manager.ask(run.session_id(), COMMAND, &command());
        for _ in 0..2 {
            begins.recv().await;
        }
        assert!(manager.decide(decided, &json!({"decision": "decline"})));
        while dropped.get() < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    while dropped.get() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(manager.decisions().len(), 1);
    Ok(())
}

/// A list that was made before the decision has the question still when it comes.
#[tokio::test]
async fn what_was_decided_is_not_asked_again_by_an_old_word() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (gate, decides, asked) = (Gate::new(), Gate::new(), Counter::default());
    let (held_up, count) = (decides.clone(), asked.clone());
    let handler = RequestHandler::new(move |_| {
        let held_up = held_up.clone();
        count.count();
        async move {
            held_up.enter().await;
            CodexReply::Grant
        }
    });
    let run = client
        .lifecycle_with(catalog(vec![held(&Counter::default(), &gate)]))
        .on_request(handler)
        .await?;
    let id = run.session_id();
    let listed = during(run.skills(), &gate, async {
        let first = manager.ask(id, COMMAND, &command());
        decides.somebody().await;
        let path = format!("{}/api/sessions/{id}/approvals", manager.direct_url());
        let listed = crate::contract::client().get(path).send().await;
        let listed = listed.expect("an answer").text().await.expect("a body");
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let row = listed["data"][0].clone();
        assert_eq!(row["approvalId"], first.to_string(), "{listed}");
        decides.open();
        decision(&manager, first).await;
        let frame = json!({"type": "approval", "threadId": id, "payload": row});
        manager.emit(&frame);
        // What comes after it on the stream is decided, so it was read.
        decision(&manager, manager.ask(id, COMMAND, &command())).await;
        frame
    })
    .await;
    assert_eq!(asked.get(), 2, "one for each question");
    // Nor by one that comes after the end of the turn.
    manager.emit(&listed);
    run.send_and_handle("hello").await?;
    assert_eq!(asked.get(), 2);
    Ok(())
}
