//! Sessions as codex's threads: resumed, forked, deleted, never written, and several at the same time.

use codex_skills::{Draft, Error, Event, Session, TurnStatus, skill, skills};
use codex_skills_tests::codex::Codex;
use codex_skills_tests::gate::Gate;
use codex_skills_tests::provider::Provider;
use codex_skills_tests::skills::{Counter, echo, held};
use futures_util::future::join_all;

use crate::support::{Rig, call, catalog, next, on_codex, spawn};

async fn reply(session: &Session, request: &str) -> Result<String, Error> {
    let turn = session.send_and_handle(request).require_reply().await?;
    Ok(turn.assistant_reply)
}

on_codex!(a_kept_session_is_resumed_by_another_client: current, previous, old);
async fn a_kept_session_is_resumed_by_another_client(codex: Codex) -> Result<(), Error> {
    let mut rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let (_, session) = rig.client.create_session_with(skills.clone()).await?;
    let id = session.session_id().to_owned();
    reply(&session, &call("echo", ["a"])).await?;
    let report = rig.client.shutdown().await;
    assert_eq!(report.kept, 1);
    rig.home.until_no_process_is_left().await;

    rig.client = spawn(&rig.codex, &rig.home).await?;
    let session = rig.client.session(&id).catalog(skills).await?;
    let again = reply(&session, &call("echo", ["b"])).await?;

    assert_eq!(again, "Tool outputs: echo b");
    assert_eq!(rig.answers(), ["echo a", "echo b"]);
    assert_eq!(runs.get(), 2);
    rig.client.close_session(&id, true).await?;
    rig.end().await
}

on_codex!(a_session_is_not_resumed_with_other_skills: current, previous, old);
async fn a_session_is_not_resumed_with_other_skills(codex: Codex) -> Result<(), Error> {
    let mut rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let skills = catalog([echo(&runs)]);
    let (_, session) = rig.client.create_session_with(skills.clone()).await?;
    let id = session.session_id().to_owned();
    reply(&session, "SAY hello").await?;
    rig.client.shutdown().await;
    rig.client = spawn(&rig.codex, &rig.home).await?;

    let other = catalog([echo(&runs), held(&runs, &gate)]);
    let mut open = rig.client.session(&id).catalog(other);
    if rig.codex.is_old() {
        // It does not say where its home is, so that nothing is written there.
        open = open.created_with(skills.fingerprint());
    }
    let refused = open.await;

    assert!(
        matches!(refused, Err(Error::OtherCatalog { .. })),
        "{refused:?}"
    );
    rig.client.close_session(&id, true).await?;
    rig.end().await
}

on_codex!(a_fork_has_the_skills_and_the_history: current, previous, old);
async fn a_fork_has_the_skills_and_the_history(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let (_, session) = rig
        .client
        .create_session_with(catalog([echo(&runs)]))
        .await?;
    let id = session.session_id().to_owned();
    reply(&session, &call("echo", ["a"])).await?;

    let fork = session.fork().await?;
    let fork_id = fork.session_id().to_owned();
    let said = reply(&fork, &call("echo", ["b"])).await?;

    assert_ne!(fork_id, id);
    assert_eq!(said, "Tool outputs: echo b");
    let request = rig.provider.last_request(&fork_id).expect("a request");
    assert_eq!(request.all_outputs().len(), 2);
    assert_eq!(
        reply(&session, &call("echo", ["c"])).await?,
        "Tool outputs: echo c"
    );
    assert_eq!(rig.answers(), ["echo a", "echo b", "echo c"]);
    assert_eq!(runs.get(), 3);
    // Codex keeps a thread as long as there are forks of it.
    let first = rig.client.close_session(&id, true).await?;
    assert!(!first.deleted(), "{first}");
    let second = rig.client.close_session(&fork_id, true).await?;
    assert_eq!(second.deleted(), !rig.codex.is_old(), "{second}");
    let third = rig.client.close_session(&id, true).await?;
    assert_eq!(third.deleted(), !rig.codex.is_old(), "{third}");
    rig.end().await
}

on_codex!(a_session_without_a_turn_leaves_nothing: current, previous, old);
async fn a_session_without_a_turn_leaves_nothing(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig.client.lifecycle_with(catalog([echo(&runs)])).await?;

    run.close().await?;

    rig.end().await
}

on_codex!(a_session_is_deleted_while_a_call_of_it_runs: current, previous, old);
async fn a_session_is_deleted_while_a_call_of_it_runs(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (runs, gate) = (Counter::default(), Gate::new());
    let (_, session) = rig
        .client
        .create_session_with(catalog([held(&runs, &gate)]))
        .await?;
    let id = session.session_id().to_owned();

    let delete = async {
        gate.somebody().await;
        rig.client.close_session(&id, true).await
    };
    let (turn, report) = tokio::join!(session.send_and_handle(call("held", ["a"])), delete);

    let report = report?;
    assert!(matches!(turn, Err(Error::SessionClosed { .. })), "{turn:?}");
    assert_eq!(report.cancelled_calls(), 1, "{report}");
    assert_eq!(report.deleted(), !rig.codex.is_old(), "{report}");
    assert_eq!(runs.get(), 1);
    rig.end_unanswered().await
}

on_codex!(an_ephemeral_session_is_never_written: current);
async fn an_ephemeral_session_is_never_written(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let run = rig
        .client
        .lifecycle_with(catalog([echo(&runs)]))
        .ephemeral(true)
        .await?;

    let said = reply(&run, &call("echo", ["a"])).await?;

    assert_eq!(said, "Tool outputs: echo a");
    assert!(rig.home.rollouts().is_empty());
    let report = run.close().await?;
    assert!(!report.deleted(), "{report}");
    assert!(report.delete_error().is_none(), "{report}");
    rig.end().await
}

on_codex!(an_ephemeral_session_that_was_let_go_is_opened_again_with_its_calls: current);
async fn an_ephemeral_session_that_was_let_go_is_opened_again_with_its_calls(
    codex: Codex,
) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let (_, session) = rig
        .client
        .create_session_with(skills.clone())
        .ephemeral(true)
        .await?;
    let id = session.session_id().to_owned();
    let mut events = session.events();
    session.send(call("echo", ["a"])).await?;
    next(&mut events, |event| matches!(event, Event::ToolCall(_))).await;
    drop((session, events));

    let session = rig.client.session(&id).catalog(skills).await?;
    let mut events = session.events();
    let records = session.drain_pending_calls().await?;
    next(&mut events, |event| {
        matches!(event, Event::TurnCompleted { .. })
    })
    .await;

    assert_eq!(records.len(), 1);
    assert_eq!(rig.answers(), ["echo a"]);
    assert_eq!(runs.get(), 1);
    rig.client.close_session(&id, true).await?;
    rig.end().await
}

on_codex!(an_ephemeral_session_is_opened_again_after_many_others: current);
async fn an_ephemeral_session_is_opened_again_after_many_others(codex: Codex) -> Result<(), Error> {
    // So many that sessions without handles are swept away.
    const MANY: usize = 66;
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let create = || {
        rig.client
            .create_session_with(skills.clone())
            .ephemeral(true)
    };
    let (_, session) = create().await?;
    let id = session.session_id().to_owned();
    drop(session);
    let others = join_all((0..MANY).map(|_| create().into_future())).await;

    let session = rig.client.session(&id).catalog(skills.clone()).await?;

    assert_eq!(
        reply(&session, &call("echo", ["a"])).await?,
        "Tool outputs: echo a"
    );
    assert!(others.iter().all(Result::is_ok));
    rig.end().await
}

on_codex!(sessions_at_the_same_time_have_their_own_calls: current, previous, old);
async fn sessions_at_the_same_time_have_their_own_calls(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let (first, second) = (Counter::default(), Counter::default());
    let one = rig.client.lifecycle_with(catalog([echo(&first)])).await?;
    let two = rig.client.lifecycle_with(catalog([echo(&second)])).await?;

    let (one_turn, two_turn) = tokio::join!(
        one.send_and_handle(call("echo", 0..3)),
        two.send_and_handle(call("echo", 3..5)),
    );

    let (one_turn, two_turn) = (one_turn?, two_turn?);
    assert_eq!(
        one_turn.assistant_reply.as_deref(),
        Some("Tool outputs: echo 0 | echo 1 | echo 2")
    );
    assert_eq!(
        two_turn.assistant_reply.as_deref(),
        Some("Tool outputs: echo 3 | echo 4")
    );
    assert_eq!((first.get(), second.get()), (3, 2));
    one.close().await?;
    two.close().await?;
    rig.end().await
}

on_codex!(a_call_of_a_session_that_nobody_has_does_not_hang: current, previous, old);
async fn a_call_of_a_session_that_nobody_has_does_not_hang(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let (_, session) = rig
        .client
        .create_session_with(catalog([echo(&runs)]))
        .await?;
    let id = session.session_id().to_owned();
    let request = format!("HOLD\n{}", call("echo", ["a"]));
    session.send(request).await?;
    rig.provider.gate().somebody().await;

    drop(session);
    rig.provider.gate().open();
    let told = |provider: &Provider| {
        let calls = provider.calls();
        calls.iter().any(|call| !provider.outputs(call).is_empty())
    };
    rig.provider.until("the model is told", told).await;

    assert_ne!(rig.answers(), ["echo a"]);
    assert_eq!(runs.get(), 0);
    rig.client.close_session(&id, true).await?;
    rig.end().await
}

on_codex!(a_session_of_another_process_is_left_to_it: current);
async fn a_session_of_another_process_is_left_to_it(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let runs = Counter::default();
    let skills = catalog([echo(&runs)]);
    let run = rig.client.lifecycle_with(skills.clone()).await?;
    reply(&run, "SAY hello").await?;
    let other = spawn(&rig.codex, &rig.home).await?;

    let resumed = other.session(run.session_id()).catalog(skills).await;

    let error = resumed.expect_err("it has a writer").to_string();
    assert!(error.contains("active writer"), "{error}");
    other.shutdown().await;
    assert_eq!(
        reply(&run, &call("echo", ["a"])).await?,
        "Tool outputs: echo a"
    );
    run.close().await?;
    rig.end().await
}

/// Reverse a word.
#[skill]
fn reverse(
    /// It.
    word: &str,
) -> String {
    word.chars().rev().collect()
}

on_codex!(a_lifecycle_that_is_dropped_is_cleaned_up: current, previous, old);
async fn a_lifecycle_that_is_dropped_is_cleaned_up(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let register = |draft: Draft| draft.register(skills![reverse]);
    let run = rig.client.lifecycle(register).await?;
    let turn = run
        .send_and_handle("CALL reverse {\"word\":\"tea\"}")
        .await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(rig.answers(), ["aet"]);

    drop(run);

    rig.end().await
}
