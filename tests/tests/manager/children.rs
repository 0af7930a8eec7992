//! Sub-agents: their calls are the turn's, and their threads end with the session.

use codex_skills::{Error, SubmissionStatus};
use codex_skills_tests::manager::{Fault, Manager};
use codex_skills_tests::skills::Counter;

use crate::support::{catalog, echo, only, start};

const CHILD: &str = r#"CHILD echo {"text":"a"}"#;

/// The thread of the only sub-agent.
fn child(manager: &Manager) -> String {
    only(manager).thread_id
}

#[tokio::test]
async fn calls_of_sub_agents_are_in_the_records_of_the_turn() -> Result<(), Error> {
    let (manager, client) = start().await;
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let text = format!("{CHILD}\nTHEN\nCALL echo {{\"text\":\"b\"}}");
    let turn = run.send_and_handle(text).await?;
    let of: Vec<_> = turn
        .dispatches
        .iter()
        .map(|call| (call.call().thread_id.is_some(), call.submission().status()))
        .collect();
    let taken = SubmissionStatus::Accepted;
    assert_eq!(of, [(true, taken), (false, taken)]);
    let called = turn.dispatches[0].call();
    assert_eq!(called.session_turn_id.as_deref(), Some(&*turn.turn_id));
    assert_ne!(called.turn_id.as_deref(), Some(&*turn.turn_id));
    assert_eq!((manager.calls().len(), runs.get()), (2, 2));
    Ok(())
}

/// Its turn may begin, and call, before anything says whose it is.
#[tokio::test]
async fn a_sub_agent_that_calls_before_it_is_named_is_served_and_deleted() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.set_early_children();
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    let turn = run.send_and_handle(CHILD).await?;
    assert_eq!((turn.dispatches.len(), runs.get()), (1, 1));
    let called = turn.dispatches[0].call();
    assert_eq!(called.thread_id.as_deref(), Some(&*child(&manager)));
    assert_eq!(called.session_turn_id.as_deref(), Some(&*turn.turn_id));
    run.close().await?;
    assert_eq!(manager.sessions(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_threads_of_sub_agents_are_deleted_with_their_session() -> Result<(), Error> {
    for is_heard in [true, false] {
        let (manager, client) = start().await;
        if !is_heard {
            manager.force(Fault::RefuseStream, u32::MAX);
        }
        let run = client
            .lifecycle_with(catalog(vec![echo(&Counter::default())]))
            .await?;
        run.send_and_handle(CHILD).await?;
        assert_eq!(manager.sessions().len(), 2);
        let report = run.close().await?;
        assert!(report.deleted(), "{report}");
        assert_eq!(manager.sessions(), Vec::<String>::new());
    }
    Ok(())
}

/// They are known to the server only.
#[tokio::test]
async fn a_link_that_is_cut_while_sub_agents_are_looked_up_leaves_none() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.force(Fault::RefuseStream, u32::MAX);
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle(CHILD).await?;
    manager.force(Fault::ResetConnections, 2);
    let report = run.close().await?;
    assert!(report.deleted(), "{report}");
    assert_eq!(manager.happened(Fault::ResetConnections), 2);
    assert_eq!(manager.sessions(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_sub_agent_that_cannot_be_deleted_yet_stays_due_and_its_session_is_deleted()
-> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle(CHILD).await?;
    let child = child(&manager);
    manager.set_undeletable(&child, true);
    let report = run.close().await?;
    assert!(
        report.deleted() && !report.is_due() && report.delete_error().is_none(),
        "{report}"
    );
    assert_eq!(manager.sessions(), [child.as_str()]);
    manager.set_undeletable(&child, false);
    manager
        .until("it is deleted", |manager| manager.sessions().is_empty())
        .await;
    Ok(())
}

#[tokio::test]
async fn a_shutdown_says_which_sub_agents_are_left() -> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle(CHILD).await?;
    let child = child(&manager);
    manager.set_undeletable(&child, true);
    run.close().await?;
    let report = client.shutdown().await;
    let due: Vec<&str> = report.due.iter().map(|id| &**id).collect();
    assert_eq!(due, [child.as_str()]);
    Ok(())
}

/// The server says no more of such an id than that something went wrong, and would never say anything else.
#[tokio::test]
async fn what_is_no_id_of_a_session_is_not_asked_for_again() -> Result<(), Error> {
    let (_manager, client) = start().await;
    let report = client.close_session("garbage", true).await?;
    assert!(!report.is_due() && !report.deleted(), "{report}");
    assert!(
        report.to_string().contains("no id of a session"),
        "{report}"
    );
    Ok(())
}
