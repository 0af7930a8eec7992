//! What the manager refuses, as typed errors.

use codex_skills::{Error, HttpFailure, RuntimeErrorKind};
use codex_skills_tests::skills::Counter;

use crate::support::{catalog, client, echo, start};
use codex_skills_tests::manager::Manager;

fn http(error: &Error) -> (RuntimeErrorKind, &HttpFailure) {
    match error {
        Error::Runtime(error) => (error.kind(), error.http().expect("an answer")),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_request_to_a_session_of_the_managers_own_is_403() -> Result<(), Error> {
    let (manager, client) = start().await;
    let id = manager.system_session();
    let error = client.session(&id).await.expect_err("it is reserved");
    let (kind, failure) = http(&error);
    assert_eq!((kind, failure.status()), (RuntimeErrorKind::Refused, 403));
    assert_eq!(
        (failure.method(), failure.path()),
        ("POST", format!("/sessions/{id}/resume").as_str())
    );
    assert!(failure.body().contains("system_session"));
    assert!(error.to_string().contains("reserved"), "{error}");
    let report = client.close_session(&id, true).await?;
    let refused = report
        .delete_error()
        .and_then(|error| error.http())
        .map(HttpFailure::status);
    assert_eq!(refused, Some(403));
    Ok(())
}

#[tokio::test]
async fn a_request_to_a_session_that_is_not_there_is_404() -> Result<(), Error> {
    let (manager, one) = start().await;
    let (_, session) = one
        .create_session_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    // Another client, which does not tell this one.
    manager.forget(session.session_id());
    let error = session.send("hello").await.expect_err("it is gone");
    assert_eq!(
        (http(&error).0, http(&error).1.status()),
        (RuntimeErrorKind::NotFound, 404)
    );
    let report = one.close_session(session.session_id(), true).await?;
    assert!(
        !report.deleted() && report.delete_error().is_none(),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn a_request_to_a_deleted_session_is_410() -> Result<(), Error> {
    let (manager, one) = start().await;
    let (_, session) = one
        .create_session_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let other = client(&manager);
    other.close_session(session.session_id(), true).await?;
    let error = other
        .session(session.session_id())
        .await
        .expect_err("it is gone");
    assert_eq!(
        (http(&error).0, http(&error).1.status()),
        (RuntimeErrorKind::NotFound, 410)
    );
    assert!(
        other
            .close_session(session.session_id(), true)
            .await?
            .deleted()
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupt_without_a_turn_is_409() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    let error = run.interrupt().await.expect_err("nothing runs");
    assert_eq!(
        (http(&error).0, http(&error).1.status()),
        (RuntimeErrorKind::Refused, 409)
    );
    Ok(())
}

/// Weakness 24 of the reference.
#[tokio::test]
async fn the_calls_of_a_session_that_is_gone_are_none() -> Result<(), Error> {
    let (manager, one) = start().await;
    let (_, session) = one
        .create_session_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    manager.forget(session.session_id());
    assert!(session.drain_pending_calls().await?.is_empty());
    let error = session.detail().await.expect_err("it is gone");
    assert_eq!(
        (http(&error).0, http(&error).1.status()),
        (RuntimeErrorKind::Unavailable, 500)
    );
    Ok(())
}

#[tokio::test]
async fn a_manager_whose_codex_is_dead_fails_its_turns_and_says_why() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), codex_skills_tests::gate::Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![crate::support::held(&runs, &gate)]))
        .await?;
    let kill = async {
        gate.somebody().await;
        manager.kill_codex();
    };
    let turn = run
        .send_and_handle(r#"CALL held {"text":"a"}"#)
        .terminal("completed");
    let (turn, ()) = tokio::join!(turn.into_future(), kill);
    let error = turn.expect_err("codex is dead");
    assert!(
        error.to_string().contains("codex does not run any more"),
        "{error}"
    );
    assert_eq!(client.runtime().health().await?["codex"]["running"], false);
    let error = run.send("hello").await.expect_err("codex is dead");
    assert_eq!(http(&error).1.status(), 500);
    Ok(())
}

#[tokio::test]
async fn a_manager_that_is_not_there_is_unavailable() {
    let unreachable = codex_skills::CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url("http://127.0.0.1:1")
        .build()
        .expect("settings");
    let error = unreachable
        .create_session_with(catalog(Vec::new()))
        .await
        .map(|_| ())
        .expect_err("nobody is there");
    match error {
        Error::Runtime(error) => {
            assert_eq!(error.kind(), RuntimeErrorKind::Unavailable);
            assert!(error.http().is_none());
            assert!(
                error.to_string().contains("could not create the session"),
                "{error}"
            );
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn sessions_are_listed_page_by_page() -> Result<(), Error> {
    let (manager, client) = start().await;
    for _ in 0..130 {
        let session = manager.foreign_session();
        manager.foreign_turn(&session, "hello").expect("a turn");
    }
    let over = |manager: &Manager| manager.sessions().iter().all(|id| manager.is_idle(id));
    manager.until("the turns are over", over).await;
    // The first page holds all that codex has in memory, whatever its limit is.
    manager.restart();
    let first = client.runtime().list_sessions(None).await?;
    let cursor = first["nextCursor"].as_str().expect("a second page");
    let second = client.runtime().list_sessions(Some(cursor)).await?;
    let count = |page: &serde_json::Value| page["data"].as_array().map_or(0, Vec::len);
    assert_eq!((count(&first), count(&second)), (100, 30));
    assert!(second["nextCursor"].is_null());
    Ok(())
}
