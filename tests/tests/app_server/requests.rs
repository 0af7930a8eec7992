//! What codex asks besides calls, and the calls of its sub-agents.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use codex_skills::{
    ApprovalPolicy, CodexReply, CodexRequestKind, Error, RequestHandler, TurnStatus,
};
use codex_skills_tests::codex::Codex;
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, echo, held};

use crate::support::{Rig, call, catalog, command, on_codex, until};

on_codex!(a_command_is_refused_unless_somebody_grants_it: current, previous, old);
async fn a_command_is_refused_unless_somebody_grants_it(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let refuses = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .await?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let asked = asked.clone();
        RequestHandler::new(move |request| {
            asked.lock().expect("no panic").push(request.kind());
            async { CodexReply::Grant }
        })
    };
    let grants = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .on_request(handler)
        .await?;

    let refused = refuses.send_and_handle(command("touch by-nobody")).await?;
    let granted = grants.send_and_handle(command("touch by-somebody")).await?;

    assert_eq!(
        (refused.status, granted.status),
        (TurnStatus::Completed, TurnStatus::Completed)
    );
    assert!(
        rig.answers()[0].contains("rejected by user"),
        "{:?}",
        rig.answers()
    );
    assert!(!rig.home.work().join("by-nobody").exists());
    assert!(
        rig.home.work().join("by-somebody").exists(),
        "{:?}",
        rig.answers()
    );
    assert_eq!(
        *asked.lock().expect("no panic"),
        [CodexRequestKind::Command]
    );
    refuses.close().await?;
    grants.close().await?;
    rig.end().await
}

on_codex!(a_handler_that_panics_refuses: current);
async fn a_handler_that_panics_refuses(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .on_request(RequestHandler::new(|_| async { panic!("no idea") }))
        .await?;

    run.send_and_handle(command("touch by-nobody")).await?;

    assert!(
        rig.answers()[0].contains("rejected by user"),
        "{:?}",
        rig.answers()
    );
    run.close().await?;
    rig.end().await
}

on_codex!(the_call_of_a_sub_agent_is_answered_by_the_skills_of_its_parent: current);
async fn the_call_of_a_sub_agent_is_answered_by_the_skills_of_its_parent(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let run = rig
        .client
        .lifecycle_with(catalog([held(&runs, &gate)]))
        .await?;
    let serving = run.clone();
    let serve = tokio::spawn(async move { serving.serve().await });

    // The parent goes on meanwhile.
    let script = format!("SPAWN {}", call("held", ["a"]));
    let turn = run.send_and_handle(script).await?;
    gate.somebody().await;
    gate.open();
    until("its model was told", || {
        let calls = rig.provider.calls();
        calls.len() == 2 && !rig.provider.outputs(&calls[1]).is_empty()
    })
    .await;

    assert_eq!(turn.status, TurnStatus::Completed);
    let calls = rig.provider.calls();
    assert_ne!(calls[1].thread_id, run.session_id());
    assert_eq!(rig.answers()[1], "held a");
    assert_eq!(runs.get(), 1);
    // The sub-agent's thread goes with it.
    assert!(run.close().await?.deleted());
    assert!(!serve.await.expect("no panic").unwrap().is_empty());
    rig.end().await
}

on_codex!(a_handler_that_blocks_holds_up_no_other_session: current);
async fn a_handler_that_blocks_holds_up_no_other_session(codex: Codex) -> Result<(), Error> {
    const LONG: Duration = Duration::from_secs(10);
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let (asks, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let (end, ends) = mpsc::channel();
    let ends = Mutex::new(ends);
    // It blocks before there is a future.
    let blocks = RequestHandler::new(move |_| {
        asks.send(()).expect("the test waits");
        let ended = ends.lock().expect("no panic").recv_timeout(LONG);
        ended.expect("the other session goes on");
        async { CodexReply::Grant }
    });
    let blocked = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .on_request(blocks)
        .await?;
    let quick = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    let others = async {
        asked.recv().await;
        let turn = quick.send_and_handle(call("echo", ["a"])).await;
        end.send(()).expect("the handler waits");
        turn
    };
    let (blocked_turn, quick_turn) = tokio::join!(
        blocked.send_and_handle(command("touch by-somebody")),
        others
    );

    assert_eq!(blocked_turn?.status, TurnStatus::Completed);
    assert_eq!(quick_turn?.dispatches.len(), 1);
    assert!(rig.home.work().join("by-somebody").exists());
    blocked.close().await?;
    quick.close().await?;
    rig.end().await
}

on_codex!(a_handler_is_dropped_when_its_turn_ends: current);
async fn a_handler_is_dropped_when_its_turn_ends(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let alive = Arc::new(());
    let handler = {
        let (gate, alive) = (gate.clone(), Arc::downgrade(&alive));
        RequestHandler::new(move |_| {
            let (gate, held) = (gate.clone(), alive.upgrade());
            async move {
                gate.enter().await;
                drop(held);
                CodexReply::Grant
            }
        })
    };
    let run = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .on_request(handler)
        .await?;

    let interrupt = async {
        gate.somebody().await;
        run.interrupt().await
    };
    let (turn, interrupted) =
        tokio::join!(run.send_and_handle(command("touch by-nobody")), interrupt);

    interrupted?;
    assert_eq!(turn?.status, TurnStatus::Interrupted);
    until("it is dropped", || Arc::strong_count(&alive) == 1).await;
    run.close().await?;
    rig.end_unanswered().await
}

on_codex!(a_session_that_is_opened_again_asks_its_new_handler: current);
async fn a_session_that_is_opened_again_asks_its_new_handler(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .approval_policy(ApprovalPolicy::OnRequest)
        .await?;
    let grants = RequestHandler::new(|_| async { CodexReply::Grant });

    let again = rig
        .client
        .session(run.session_id())
        .on_request(grants)
        .await?;
    again.send_and_handle(command("touch by-somebody")).await?;

    assert!(
        rig.home.work().join("by-somebody").exists(),
        "{:?}",
        rig.answers()
    );
    run.close().await?;
    rig.end().await
}
