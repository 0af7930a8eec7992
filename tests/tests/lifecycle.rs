//! No session outlives its guard, however the guard ends.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codex_skills::embedded::Step;
use codex_skills::{
    CleanupReport, Client, Embedded, Error, Lifecycle, Outcome, RuntimeErrorKind, Session, Skill,
    lifecycle, skill,
};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;
use codex_skills_tests::skills::{Counter, asynchronous, synchronous};
use serde_json::json;

/// Say hello.
#[skill]
async fn greet() -> String {
    tokio::task::yield_now().await;
    "hello".to_owned()
}

/// A client whose model greets once and then says what came of it.
fn greeting() -> Client<Faulty> {
    Faulty::client(Embedded::scripted([Step::call("greet", json!({}))]))
}

fn count(codex: &Client<Faulty>) -> usize {
    codex.runtime().embedded().session_count()
}

async fn guard(codex: &Client<Faulty>) -> Lifecycle {
    codex
        .lifecycle(|draft| draft.register(codex_skills::skills![greet]))
        .await
        .unwrap()
}

/// Lets every other task run until none can.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// For what a thread does that no task waits for.
fn eventually(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never");
        std::thread::yield_now();
    }
}

/// A skill that waits at a gate.
fn gated(name: &str, gate: &Gate) -> Skill {
    let gate = gate.clone();
    asynchronous(name, move |_| {
        let gate = gate.clone();
        async move {
            gate.enter().await;
            "through".to_owned()
        }
    })
}

mod ends {
    use super::*;

    #[tokio::test]
    async fn a_session_is_gone_after_its_block_returned() {
        let codex = greeting();
        let reply = lifecycle!(codex, skills: [greet], |run| {
            assert_eq!(count(&codex), 1);
            Ok(run.send_and_handle("go").require_reply().await?.assistant_reply)
        })
        .await
        .unwrap();
        assert_eq!(reply, "greet: hello");
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_session_is_gone_after_an_error_of_its_block() {
        let codex = greeting();
        let result: Result<(), Error> = lifecycle!(codex, skills: [greet], |_| {
            std::fs::read("/nonexistent/file")?;
            Ok(())
        })
        .await;
        assert!(matches!(result, Err(Error::Other(_))));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_session_is_gone_after_a_panic_of_its_block_and_the_panic_goes_on() {
        let codex = greeting();
        let (client, reports) = (codex.clone(), Arc::new(Mutex::new(Vec::new())));
        let told = reports.clone();
        let block = tokio::spawn(async move {
            lifecycle!(
                client,
                skills: [greet],
                on_close: |report: &CleanupReport| told.lock().unwrap().push(report.deleted()),
                |run| {
                    run.send_and_handle("go").await?;
                    if count(&client) == 1 {
                        std::panic::panic_any(7_u32);
                    }
                    Ok(())
                }
            )
            .await
        });
        let panic = block.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<u32>(), Some(&7));
        assert_eq!(count(&codex), 0);
        assert_eq!(*reports.lock().unwrap(), [true]);
    }

    #[tokio::test]
    async fn a_kept_session_stays() {
        let codex = greeting();
        let id = lifecycle!(codex, skills: [greet], keep_session: true, |run| {
            Ok(run.session_id().to_owned())
        })
        .await
        .unwrap();
        codex.shutdown().await;
        assert_eq!(codex.runtime().embedded().session_ids(), [id]);
        assert_eq!(codex.runtime().count(Operation::Delete), 0);
    }

    #[tokio::test]
    async fn a_kept_session_stays_when_its_block_is_dropped() {
        let codex = greeting();
        {
            let block = lifecycle!(codex, skills: [greet], keep_session: true, |_| {
                std::future::pending::<()>().await;
                Ok(())
            });
            tokio::pin!(block);
            while count(&codex) == 0 {
                assert!(futures_util::poll!(block.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
            idle().await;
            assert!(futures_util::poll!(block.as_mut()).is_pending());
        }
        codex.shutdown().await;
        assert_eq!(count(&codex), 1);
    }

    #[tokio::test]
    async fn a_guard_can_change_its_mind() {
        let codex = greeting();
        let kept = guard(&codex).await;
        kept.keep_session(true);
        let report = kept.close().await.unwrap();
        assert!(!report.deleted());
        assert!(report.delete_response().is_none());
        assert_eq!(count(&codex), 1);
        let unkept = codex
            .lifecycle(|draft| draft)
            .keep_session(true)
            .await
            .unwrap();
        unkept.keep_session(false);
        assert!(unkept.close().await.unwrap().deleted());
        assert_eq!(count(&codex), 1);
    }

    #[tokio::test]
    async fn a_block_can_change_its_mind() {
        let codex = greeting();
        lifecycle!(codex, skills: [greet], |run| {
            run.keep_session(true);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(count(&codex), 1);
    }

    #[tokio::test]
    async fn a_session_that_could_not_be_created_runs_no_block() {
        let codex = greeting();
        codex.runtime().fault(
            Operation::Create,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        let result: Result<(), Error> = lifecycle!(codex, skills: [greet], |run| {
            assert_eq!(run.session_id(), "", "the block runs");
            Ok(())
        })
        .await;
        assert!(matches!(result, Err(Error::Runtime(_))));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn handlers_that_run_at_the_end_are_cancelled_and_counted() {
        let (gate, reported) = (Gate::new(), Mutex::new(None));
        let codex = Faulty::client(Embedded::scripted([Step::call("stop_here", json!({}))]));
        let skill = gated("stop_here", &gate);
        lifecycle!(
            codex,
            register: |draft| draft.register(skill),
            on_close: |report: &CleanupReport| *reported.lock().unwrap() = Some(report.clone()),
            |run| {
                let serve = run.serve();
                tokio::pin!(serve);
                assert!(futures_util::poll!(serve.as_mut()).is_pending());
                run.send("go").await?;
                gate.somebody().await;
                Ok(())
            }
        )
        .await
        .unwrap();
        let report = reported.lock().unwrap().take().unwrap();
        assert_eq!(report.cancelled_calls(), 1);
        assert_eq!(report.cleared(), 1);
        assert!(report.deleted());
        assert!(report.to_string().ends_with(" cancelled"), "{report}");
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }
}

mod dropped {
    use super::*;

    /// Runs a block with a turn in it, drops it after so many polls, and says whether it was done by then.
    async fn dropped_after(codex: &Client<Faulty>, polls: usize) -> bool {
        let block = lifecycle!(codex, skills: [greet], |run| {
            tokio::task::yield_now().await;
            run.send_and_handle("go").require_reply().await?;
            tokio::task::yield_now().await;
            Ok(())
        });
        tokio::pin!(block);
        for _ in 0..polls {
            if futures_util::poll!(block.as_mut()).is_ready() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    #[tokio::test]
    async fn a_session_is_gone_after_its_block_was_dropped_wherever_it_stood() {
        let (mut polls, mut created) = (0, 0);
        loop {
            let codex = greeting();
            let done = dropped_after(&codex, polls).await;
            created += codex.runtime().count(Operation::Create);
            codex.shutdown().await;
            assert_eq!(count(&codex), 0, "after {polls} polls");
            assert_eq!(
                codex.runtime().count(Operation::Delete),
                codex.runtime().count(Operation::Create),
                "after {polls} polls"
            );
            if done {
                break;
            }
            polls += 1;
        }
        assert!(
            polls > 5 && created > 5,
            "{polls} polls, {created} sessions"
        );
    }

    #[tokio::test]
    async fn a_session_is_gone_after_its_block_was_dropped_wherever_it_stood_and_everything_waits()
    {
        let mut polls = 0;
        loop {
            let codex = greeting();
            let gates: Vec<_> = [Operation::Create, Operation::Send, Operation::Delete]
                .into_iter()
                .flat_map(|operation| {
                    let (before, after) = (Gate::new(), Gate::new());
                    let runtime = codex.runtime();
                    runtime.fault(operation, Fault::HoldBefore(before.clone()));
                    runtime.fault(operation, Fault::HoldAfter(after.clone()));
                    [before, after]
                })
                .collect();
            // Each operation takes some polls more.
            let slow = tokio::spawn({
                let gates = gates.clone();
                async move {
                    for gate in gates {
                        for _ in 0..3 {
                            tokio::task::yield_now().await;
                        }
                        gate.open();
                    }
                }
            });
            let done = dropped_after(&codex, polls).await;
            slow.await.unwrap();
            codex.shutdown().await;
            assert_eq!(count(&codex), 0, "after {polls} polls");
            if done {
                break;
            }
            polls += 1;
        }
        assert!(polls > 12, "{polls} polls");
    }

    #[tokio::test]
    async fn a_session_whose_creation_was_under_way_is_deleted_when_it_is_there() {
        for hold in [Fault::HoldBefore, Fault::HoldAfter] {
            let (codex, gate) = (greeting(), Gate::new());
            codex.runtime().fault(Operation::Create, hold(gate.clone()));
            {
                let block = lifecycle!(codex, skills: [greet], |_| { Ok(()) });
                tokio::pin!(block);
                assert!(futures_util::poll!(block.as_mut()).is_pending());
                gate.somebody().await;
            }
            gate.open();
            codex.shutdown().await;
            assert_eq!(codex.runtime().count(Operation::Delete), 1);
            assert_eq!(count(&codex), 0);
        }
    }

    #[tokio::test]
    async fn a_session_of_create_session_is_deleted_when_nobody_took_it() {
        let (codex, gate) = (greeting(), Gate::new());
        codex
            .runtime()
            .fault(Operation::Create, Fault::HoldAfter(gate.clone()));
        {
            let creating = codex.create_session(|draft| draft).into_future();
            tokio::pin!(creating);
            assert!(futures_util::poll!(creating.as_mut()).is_pending());
            gate.somebody().await;
        }
        gate.open();
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_created_session_that_was_not_picked_up_is_deleted() {
        let codex = greeting();
        {
            let creating = codex.create_session(|draft| draft).into_future();
            tokio::pin!(creating);
            assert!(futures_util::poll!(creating.as_mut()).is_pending());
            idle().await;
            assert_eq!(count(&codex), 1);
        }
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_session_is_gone_after_select_dropped_its_block() {
        let codex = greeting();
        let block = lifecycle!(codex, skills: [greet], |run| {
            run.send_and_handle("go").await?;
            std::future::pending::<()>().await;
            Ok(())
        });
        let other = async {
            while codex.runtime().answers().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = block => panic!("{result:?}"),
            () = other => {}
        }
        assert_eq!(count(&codex), 1, "it is deleted in the background");
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_body_future_that_select_drops_inside_the_block_leaves_the_session_to_the_block() {
        let (gate, runs) = (Gate::new(), Counter::default());
        let codex = Faulty::client(Embedded::scripted([
            Step::calls([("stop_here", json!({})), ("count", json!({}))]),
            Step::say("done"),
        ]));
        let skills = [gated("stop_here", &gate), runs.skill("count")];
        lifecycle!(codex, register: |draft| draft.register(skills), |run| {
            tokio::select! {
                result = run.send_and_handle("go") => panic!("{result:?}"),
                () = gate.somebody() => {}
            }
            // The handler that ran goes on, and its turn too.
            let mut signals = run.signals();
            gate.open();
            while let Some(event) = signals.next().await {
                run.respond_to_signal(&event).await?;
                if let codex_skills::Event::TurnCompleted { status, .. } = event {
                    assert_eq!(status, codex_skills::TurnStatus::Completed);
                    break;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(runs.get(), 1);
        assert_eq!(codex.runtime().answers().len(), 2);
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn an_aborted_task_leaves_no_session() {
        let codex = greeting();
        let client = codex.clone();
        let task = tokio::spawn(async move {
            lifecycle!(client, skills: [greet], |_| {
                std::future::pending::<()>().await;
                Ok(())
            })
            .await
        });
        while count(&codex) == 0 {
            tokio::task::yield_now().await;
        }
        idle().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_cleanup_that_nobody_waits_for_any_more_goes_on() {
        let (codex, gate) = (greeting(), Gate::new());
        codex
            .runtime()
            .fault(Operation::Delete, Fault::HoldBefore(gate.clone()));
        {
            let closing = guard(&codex).await.close();
            tokio::pin!(closing);
            assert!(futures_util::poll!(closing.as_mut()).is_pending());
            gate.somebody().await;
        }
        assert_eq!(count(&codex), 1);
        gate.open();
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
        assert_eq!(codex.runtime().count(Operation::Delete), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sessions_dropped_by_many_tasks_at_once_are_gone() {
        let codex = greeting();
        let mut handles: Vec<(Arc<Lifecycle>, Session)> = Vec::new();
        for _ in 0..20 {
            let guard = Arc::new(guard(&codex).await);
            for _ in 0..8 {
                handles.push((guard.clone(), guard.skills().clone()));
            }
        }
        let barrier = Arc::new(tokio::sync::Barrier::new(handles.len()));
        let tasks: Vec<_> = handles
            .into_iter()
            .map(|held| {
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    drop(held);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
        assert_eq!(codex.runtime().count(Operation::Delete), 20);
    }
}

mod without_tokio {
    use super::*;

    fn tokio_runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn a_session_is_gone_after_its_tokio_runtime() {
        let (codex, tokio) = (greeting(), tokio_runtime());
        let client = codex.clone();
        tokio.spawn(async move {
            lifecycle!(client, skills: [greet], |_| {
                std::future::pending::<()>().await;
                Ok(())
            })
            .await
        });
        eventually(|| count(&codex) == 1);
        drop(tokio);
        eventually(|| count(&codex) == 0);
    }

    #[test]
    fn a_session_is_gone_after_a_tokio_runtime_of_one_thread() {
        let codex = greeting();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let open = tokio.block_on(guard(&codex));
        // The runtime is driven no more, and then it is gone.
        drop(open);
        drop(tokio);
        eventually(|| count(&codex) == 0);
    }

    #[test]
    fn a_cleanup_that_its_tokio_runtime_breaks_off_is_finished_by_a_thread() {
        let (codex, gate) = (greeting(), Gate::new());
        let tokio = tokio_runtime();
        codex
            .runtime()
            .fault(Operation::Delete, Fault::HoldBefore(gate.clone()));
        tokio.block_on(async {
            drop(guard(&codex).await);
            gate.somebody().await;
        });
        assert_eq!(count(&codex), 1);
        drop(tokio);
        eventually(|| count(&codex) == 0);
        assert_eq!(codex.runtime().count(Operation::Delete), 2);
        assert_eq!(codex.runtime().count(Operation::Detach), 1);
    }

    #[test]
    fn a_session_whose_creation_its_tokio_runtime_broke_off_is_gone() {
        let (codex, gate) = (greeting(), Gate::new());
        let tokio = tokio_runtime();
        codex
            .runtime()
            .fault(Operation::Create, Fault::HoldAfter(gate.clone()));
        let client = codex.clone();
        tokio.spawn(async move { client.lifecycle(|draft| draft).await.is_ok() });
        tokio.block_on(gate.somebody());
        drop(tokio);
        assert_eq!(count(&codex), 1);
        gate.open();
        eventually(|| count(&codex) == 0);
    }

    #[test]
    fn a_guard_may_be_dropped_outside_of_tokio() {
        let (codex, tokio) = (greeting(), tokio_runtime());
        let guard = tokio.block_on(guard(&codex));
        drop(guard);
        tokio.block_on(codex.shutdown().into_future());
        assert_eq!(count(&codex), 0);
    }

    #[test]
    fn a_guard_may_be_dropped_on_another_tokio_runtime() {
        let (codex, tokio) = (greeting(), tokio_runtime());
        let guard = tokio.block_on(guard(&codex));
        let other = tokio_runtime();
        other.block_on(async { drop(guard) });
        drop(other);
        eventually(|| count(&codex) == 0);
    }

    #[test]
    fn a_guard_that_outlives_its_tokio_runtime_cleans_up() {
        let (codex, tokio) = (greeting(), tokio_runtime());
        let guard = tokio.block_on(guard(&codex));
        drop(tokio);
        drop(guard);
        eventually(|| count(&codex) == 0);
    }

    #[test]
    fn whoever_serves_outside_of_tokio_has_calls_answered_where_the_session_was_opened() {
        let (codex, tokio) = (greeting(), tokio_runtime());
        let guard = tokio.block_on(guard(&codex));
        tokio.block_on(async { guard.send("go").await.unwrap() });
        eventually(|| tokio.block_on(async { guard.pending_calls().await.unwrap().len() == 1 }));
        assert!(futures_util::FutureExt::now_or_never(guard.serve()).is_none());
        eventually(|| codex.runtime().answers().len() == 1);
        assert_eq!(codex.runtime().answers()[0].1.to_text(), "hello");
        drop(guard);
        tokio.block_on(codex.shutdown().into_future());
    }

    #[test]
    fn nobody_waits_for_a_call_whose_tokio_runtime_is_gone() {
        let gate = Gate::new();
        let codex = Faulty::client(Embedded::scripted([Step::call("stop_here", json!({}))]));
        let skill = gated("stop_here", &gate);
        let tokio = tokio_runtime();
        let (_, session) = tokio
            .block_on(
                codex
                    .create_session(|draft| draft.register(skill))
                    .into_future(),
            )
            .unwrap();
        let serving = session.clone();
        tokio.spawn(async move { serving.serve().await });
        tokio.block_on(async {
            session.send("go").await.unwrap();
            gate.somebody().await;
        });
        drop(tokio);
        let other = tokio_runtime();
        let turn = other
            .block_on(session.send_and_handle("again").into_future())
            .unwrap();
        assert_eq!(turn.assistant_reply.as_deref(), Some("Done."), "a new turn");
        let report = other.block_on(codex.shutdown().into_future());
        assert_eq!(report.cancelled_calls, 0);
    }
}

mod errors {
    use super::*;

    #[tokio::test]
    async fn a_failed_cleanup_is_an_error_when_asked_for() {
        let codex = greeting();
        codex
            .runtime()
            .fault(Operation::Delete, Fault::Fail(RuntimeErrorKind::Refused));
        let result = lifecycle!(codex, skills: [greet], ignore_cleanup_errors: false, |_| {
            Ok(7)
        })
        .await;
        let Err(Error::Cleanup(report)) = result else {
            panic!("{result:?}")
        };
        assert!(!report.deleted());
        assert!(report.delete_error().is_some());
        assert_eq!(report.cleared(), 1);
    }

    #[tokio::test]
    async fn a_failed_cleanup_is_only_reported_by_default() {
        let (codex, reported) = (greeting(), Mutex::new(None));
        codex
            .runtime()
            .fault(Operation::Delete, Fault::Fail(RuntimeErrorKind::Refused));
        let value = lifecycle!(
            codex,
            skills: [greet],
            on_close: |report: &CleanupReport| *reported.lock().unwrap() = Some(report.clone()),
            |_| { Ok(7) }
        )
        .await
        .unwrap();
        assert_eq!(value, 7);
        let report = reported.lock().unwrap().take().unwrap();
        assert!(report.delete_error().is_some());
    }

    #[tokio::test]
    async fn a_failed_cleanup_does_not_mask_the_error_of_the_block() {
        let (codex, reported) = (greeting(), Mutex::new(None));
        codex
            .runtime()
            .fault(Operation::Delete, Fault::Fail(RuntimeErrorKind::Refused));
        let result: Result<(), Error> = lifecycle!(
            codex,
            skills: [greet],
            ignore_cleanup_errors: false,
            on_close: |report: &CleanupReport| *reported.lock().unwrap() = Some(report.clone()),
            |_| { Err(Error::other("of the block")) }
        )
        .await;
        assert_eq!(result.unwrap_err().to_string(), "of the block");
        let report = reported.lock().unwrap().take().unwrap();
        assert!(report.delete_error().is_some(), "both are told");
    }

    #[tokio::test]
    async fn a_deletion_that_panics_does_not_take_the_block_with_it() {
        let codex = greeting();
        codex.runtime().fault(Operation::Delete, Fault::Panic);
        let value = lifecycle!(codex, skills: [greet], |_| { Ok(7) }).await;
        assert_eq!(value.unwrap(), 7);
        eventually(|| codex.runtime().count(Operation::Delete) == 2);
        eventually(|| count(&codex) == 0);
        let detached = codex.runtime().count(Operation::Detach);
        assert_eq!(detached, 0, "the tokio runtime goes on");
    }

    #[derive(Debug, thiserror::Error)]
    enum Mine {
        #[error("codex: {0}")]
        Codex(#[from] Error),
        #[error("mine")]
        Mine,
    }

    #[tokio::test]
    async fn a_block_may_have_an_error_type_of_its_own() {
        let codex = greeting();
        let result = lifecycle!(codex, skills: [greet], |run| -> Result<String, Mine> {
            run.send_and_handle("go").await?;
            Err(Mine::Mine)
        })
        .await;
        assert!(matches!(result, Err(Mine::Mine)));
        codex.runtime().fault(
            Operation::Create,
            Fault::Fail(RuntimeErrorKind::Unavailable),
        );
        let result = lifecycle!(codex, skills: [greet], |_| -> Result<(), Mine> { Ok(()) }).await;
        assert!(matches!(result, Err(Mine::Codex(Error::Runtime(_)))));
        assert_eq!(count(&codex), 0);
    }
}

mod due {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deletion_whose_answer_is_lost_is_asked_for_again() {
        let codex = greeting();
        codex.runtime().fault(Operation::Delete, Fault::Lose);
        let report = guard(&codex).await.close().await.unwrap();
        assert!(report.deleted() && !report.is_due(), "{report}");
        assert_eq!(codex.runtime().count(Operation::Delete), 2);
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_goes_on_while_the_runtime_is_away_for_two_seconds() {
        let codex = greeting();
        codex.runtime().set_broken(Operation::Delete, true);
        let client = codex.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            client.runtime().set_broken(Operation::Delete, false);
        });
        let report = guard(&codex).await.close().await.unwrap();
        assert!(report.deleted(), "{report}");
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_deleted_in_time_is_due_and_tried_again_in_the_background() {
        for is_closed in [true, false] {
            let codex = greeting();
            codex.runtime().set_broken(Operation::Delete, true);
            let (guard, begun) = (guard(&codex).await, tokio::time::Instant::now());
            if is_closed {
                let report = guard.close().await.unwrap();
                assert!(report.is_due() && !report.deleted(), "{report}");
                assert!(report.to_string().contains("not deleted yet"), "{report}");
                assert!(begun.elapsed() <= Duration::from_secs(6), "waited for it");
            } else {
                drop(guard);
            }
            tokio::time::sleep(Duration::from_secs(600)).await;
            let attempts = codex.runtime().count(Operation::Delete);
            assert!((40..200).contains(&attempts), "{attempts} in ten minutes");
            codex.runtime().set_broken(Operation::Delete, false);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(count(&codex), 0);
            let report = codex.shutdown().await;
            assert!(report.cleanups.is_empty() && report.due.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_finishes_what_is_due() {
        let codex = greeting();
        codex.runtime().set_broken(Operation::Delete, true);
        for _ in 0..3 {
            assert!(guard(&codex).await.close().await.unwrap().is_due());
        }
        codex.runtime().set_broken(Operation::Delete, false);
        let report = codex.shutdown().await;
        assert_eq!((report.finished, report.due.len()), (3, 0));
        assert_eq!(report.cleanups.len(), 3);
        assert!(report.cleanups.iter().all(CleanupReport::deleted));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_says_which_sessions_are_left_behind_and_another_one_tries_again() {
        let codex = greeting();
        codex.runtime().set_broken(Operation::Delete, true);
        let (closed, dropped) = (guard(&codex).await, guard(&codex).await);
        let ids = [&closed, &dropped].map(|guard| Arc::<str>::from(guard.session_id()));
        assert!(closed.close().await.unwrap().is_due());
        drop(dropped);
        let begun = tokio::time::Instant::now();
        let report = codex.shutdown().await;
        assert!(begun.elapsed() < Duration::from_secs(75));
        let mut left = report.due.clone();
        left.sort();
        let mut expected = ids.to_vec();
        expected.sort();
        assert_eq!((report.finished, left), (0, expected));
        // Nothing is asked of a runtime that was ended, unless the program asks for it.
        let asked = codex.runtime().count(Operation::Delete);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(codex.runtime().count(Operation::Delete), asked);
        codex.runtime().set_broken(Operation::Delete, false);
        let report = codex.shutdown().await;
        assert_eq!((report.finished, report.due.len()), (2, 0));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_deletion_is_not_due() {
        let codex = greeting();
        codex
            .runtime()
            .fault(Operation::Delete, Fault::Fail(RuntimeErrorKind::Refused));
        let report = guard(&codex).await.close().await.unwrap();
        assert!(!report.is_due() && report.delete_error().is_some());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(codex.runtime().count(Operation::Delete), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_that_is_due_does_not_mask_the_error_of_the_block() {
        let codex = greeting();
        codex.runtime().set_broken(Operation::Delete, true);
        let result: Result<(), Error> = lifecycle!(
            codex,
            skills: [greet],
            ignore_cleanup_errors: false,
            |_| { Err(Error::other("of the block")) }
        )
        .await;
        assert_eq!(result.unwrap_err().to_string(), "of the block");
        codex.runtime().set_broken(Operation::Delete, false);
        assert_eq!(codex.shutdown().await.finished, 1);
    }

    /// As a codex with many threads: one deletion after the other, each half a second.
    #[tokio::test(start_paused = true)]
    async fn closing_many_sessions_at_once_runs_into_no_time_limit() {
        const SESSIONS: usize = 200;
        let codex = greeting();
        let gates: Vec<Gate> = (0..SESSIONS).map(|_| Gate::new()).collect();
        let mut guards = Vec::new();
        for gate in &gates {
            guards.push(guard(&codex).await);
            let fault = Fault::HoldBefore(gate.clone());
            codex.runtime().fault(Operation::Delete, fault);
        }
        let slow = tokio::spawn(async move {
            for gate in gates {
                gate.somebody().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                gate.open();
            }
        });
        let closing = guards.into_iter().map(Lifecycle::close);
        let reports = futures_util::future::join_all(closing).await;
        slow.await.unwrap();
        for report in reports {
            let report = report.unwrap();
            assert!(report.deleted(), "{report}");
        }
        assert_eq!(codex.runtime().count(Operation::Delete), SESSIONS);
        assert_eq!(count(&codex), 0);
    }
}

mod blocks {
    use super::*;

    #[tokio::test]
    async fn a_block_borrows_from_its_surroundings() {
        let codex = greeting();
        let (text, mut replies) = ("go".to_owned(), Vec::new());
        lifecycle!(codex, skills: [greet], |run| {
            let turn = run.send_and_handle(&text).require_reply().await?;
            replies.push(turn.assistant_reply);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!((text.as_str(), replies.len()), ("go", 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn blocks_run_in_tasks_at_the_same_time() {
        let codex = greeting();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let codex = codex.clone();
                tokio::spawn(async move {
                    lifecycle!(codex, skills: [greet], |run| {
                        Ok(run.send_and_handle("go").require_reply().await?.assistant_reply)
                    })
                    .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), "greet: hello");
        }
        assert_eq!(count(&codex), 0);
        assert_eq!(codex.runtime().count(Operation::Delete), 16);
    }

    #[tokio::test]
    async fn blocks_can_be_nested() {
        let codex = greeting();
        let reply = lifecycle!(codex, skills: [greet], |outer| {
            let inner = lifecycle!(codex, skills: [greet], |inner| {
                assert_ne!(inner.session_id(), outer.session_id());
                assert_eq!(count(&codex), 2);
                Ok(inner.send_and_handle("go").require_reply().await?.assistant_reply)
            })
            .await?;
            assert_eq!(count(&codex), 1);
            let outer = outer.send_and_handle("go").require_reply().await?;
            Ok(format!("{inner}, {}", outer.assistant_reply))
        })
        .await
        .unwrap();
        assert_eq!(reply, "greet: hello, greet: hello");
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn an_open_guard_says_what_was_created() {
        let codex = greeting();
        let guard = guard(&codex).await;
        assert_eq!(guard.created()["session"]["sessionId"], guard.session_id());
        assert_eq!(guard.skills().list(), ["greet"]);
        guard.close().await.unwrap();
    }
}

mod shutdown {
    use super::*;

    #[tokio::test]
    async fn a_shutdown_deletes_the_sessions_of_living_guards() {
        let codex = greeting();
        let (one, other) = (guard(&codex).await, guard(&codex).await);
        let report = codex.shutdown().await;
        assert_eq!(report.cleanups.len(), 2);
        assert!(report.cleanups.iter().all(CleanupReport::deleted));
        assert_eq!(count(&codex), 0);
        let error = one.send("go").await.unwrap_err();
        assert!(matches!(error, Error::SessionClosed { .. }));
        one.close().await.unwrap();
        drop(other);
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_shutdown_reports_on_the_sessions_that_were_dropped_before() {
        let codex = greeting();
        let guard_id = {
            let guard = guard(&codex).await;
            guard.session_id().to_owned()
        };
        // A block whose future is dropped half way.
        let (begun, gate) = (Arc::new(Mutex::new(None)), Gate::default());
        let block = lifecycle!(codex, skills: [greet], |run| {
            *begun.lock().unwrap() = Some(run.session_id().to_owned());
            gate.enter().await;
            Ok(())
        });
        tokio::select! {
            biased;
            ended = block => panic!("{ended:?}"),
            () = gate.somebody() => {}
        }
        let block_id = begun.lock().unwrap().take().unwrap();
        let kept = guard(&codex).await;
        kept.keep_session(true);
        drop(kept);
        let report = codex.shutdown().await;
        let mut expected = [guard_id, block_id];
        let mut told: Vec<String> = report
            .cleanups
            .iter()
            .map(|report| report.session_id().to_owned())
            .collect();
        expected.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, expected);
        assert!(report.cleanups.iter().all(CleanupReport::deleted));
        assert_eq!(count(&codex), 1, "the one that was kept");
        assert!(codex.shutdown().await.cleanups.is_empty(), "told once");
    }

    #[tokio::test]
    async fn a_cleanup_that_someone_waited_for_is_told_once() {
        let codex = greeting();
        guard(&codex).await.close().await.unwrap();
        lifecycle!(codex, skills: [greet], |_| { Ok(()) })
            .await
            .unwrap();
        assert!(codex.shutdown().await.cleanups.is_empty());
    }

    #[tokio::test]
    async fn a_shutdown_keeps_the_sessions_that_nobody_owns() {
        let codex = greeting();
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        let kept = guard(&codex).await;
        kept.keep_session(true);
        let report = codex.shutdown().await;
        assert_eq!(report.kept, 2);
        assert!(report.cleanups.is_empty());
        assert_eq!(count(&codex), 2);
        drop(session);
    }

    #[tokio::test]
    async fn a_client_that_shuts_down_opens_no_sessions() {
        let codex = greeting();
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        codex.shutdown().await;
        let opened = codex.lifecycle(|draft| draft).await;
        assert!(matches!(opened, Err(Error::ShuttingDown)));
        let created = codex.create_session(|draft| draft).await;
        assert!(matches!(created, Err(Error::ShuttingDown)));
        let attached = codex.session(session.session_id()).await;
        assert!(matches!(attached, Err(Error::ShuttingDown)));
        assert_eq!(count(&codex), 1);
    }

    #[tokio::test]
    async fn a_session_whose_creation_was_under_way_does_not_survive_a_shutdown() {
        let (codex, gate) = (greeting(), Gate::new());
        codex
            .runtime()
            .fault(Operation::Create, Fault::HoldAfter(gate.clone()));
        let opening = codex.lifecycle(|draft| draft).into_future();
        let shutdown = async {
            gate.somebody().await;
            let shutdown = codex.shutdown().into_future();
            tokio::pin!(shutdown);
            assert!(futures_util::poll!(shutdown.as_mut()).is_pending());
            gate.open();
            shutdown.await;
            assert_eq!(count(&codex), 0);
        };
        let (opened, ()) = tokio::join!(opening, shutdown);
        assert!(matches!(opened, Err(Error::ShuttingDown)));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_handle_that_was_being_opened_is_refused_by_a_shutdown() {
        let (codex, gate) = (greeting(), Gate::new());
        let (_, session) = codex.create_session(|draft| draft).await.unwrap();
        let id = session.session_id().to_owned();
        drop(session);
        codex
            .runtime()
            .fault(Operation::Resume, Fault::HoldAfter(gate.clone()));
        let opening = codex.session(&id).into_future();
        let shutdown = async {
            gate.somebody().await;
            codex.shutdown().await;
            gate.open();
        };
        let (opened, ()) = tokio::join!(opening, shutdown);
        assert!(opened.is_err() || opened.unwrap().send("go").await.is_err());
    }

    /// A client with a session whose handler runs.
    async fn running(skill: Skill) -> (Client<Faulty>, Lifecycle) {
        let codex = Faulty::client(Embedded::scripted([Step::call("work", json!({}))]));
        let guard = codex
            .lifecycle(|draft| draft.register(skill))
            .await
            .unwrap();
        let serving = guard.skills().clone();
        tokio::spawn(async move { serving.serve().await });
        guard.send("go").await.unwrap();
        idle().await;
        (codex, guard)
    }

    #[tokio::test(start_paused = true)]
    async fn handlers_finish_within_the_grace_time_and_are_answered() {
        let (codex, _guard) = running(asynchronous("work", |_| async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            "finished".to_owned()
        }))
        .await;
        let report = codex.shutdown().await;
        assert_eq!(report.cancelled_calls, 0);
        let answers = codex.runtime().answers();
        assert_eq!(answers[0].1.to_text(), "finished");
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn handlers_that_do_not_finish_in_time_are_cancelled_and_answered() {
        let begun = tokio::time::Instant::now();
        let (codex, _guard) = running(asynchronous("work", |_| std::future::pending())).await;
        let report = codex.shutdown().grace(Duration::from_secs(2)).await;
        assert_eq!(begun.elapsed().as_secs(), 2);
        assert_eq!(report.cancelled_calls, 1);
        assert_eq!(report.cleanups.len(), 1);
        let answers = codex.runtime().answers();
        assert!(answers[0].1.to_text().contains("cancelled"));
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_synchronous_handler_that_ignores_everything_does_not_hold_a_shutdown_up() {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let finished = Mutex::new(finished);
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let (codex, _guard) = running(synchronous("work", move || {
            begun.send(()).unwrap();
            finished.lock().unwrap().recv().unwrap();
            String::new()
        }))
        .await;
        begins.recv().await.unwrap();
        let report = codex.shutdown().grace(Duration::ZERO).await;
        assert_eq!(report.cancelled_calls, 1);
        finish.send(()).unwrap();
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_takes_no_answer_does_not_hold_a_shutdown_up_for_ever() {
        let (codex, _guard) = running(asynchronous("work", |_| std::future::pending())).await;
        codex
            .runtime()
            .fault(Operation::Answer, Fault::HoldBefore(Gate::new()));
        let begun = tokio::time::Instant::now();
        codex.shutdown().grace(Duration::from_secs(1)).await;
        assert_eq!(begun.elapsed().as_secs(), 6);
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_creation_that_hangs_does_not_hold_a_shutdown_up_for_ever() {
        let (codex, gate) = (greeting(), Gate::new());
        codex
            .runtime()
            .fault(Operation::Create, Fault::HoldBefore(gate.clone()));
        let client = codex.clone();
        let opening = tokio::spawn(async move { client.lifecycle(|draft| draft).await });
        gate.somebody().await;
        let shutdown = codex.shutdown().into_future();
        let shutdown = tokio::time::timeout(Duration::from_secs(90), shutdown).await;
        assert!(shutdown.is_ok());
        gate.open();
        let opened = opening.await.unwrap();
        assert!(matches!(opened, Err(Error::ShuttingDown)));
        codex.shutdown().await;
        assert_eq!(count(&codex), 0, "what comes late is deleted all the same");
    }

    #[tokio::test(start_paused = true)]
    async fn deletions_that_hang_delay_a_shutdown_once() {
        let codex = greeting();
        let mut guards = Vec::new();
        for _ in 0..5 {
            guards.push(guard(&codex).await);
            codex
                .runtime()
                .fault(Operation::Delete, Fault::HoldBefore(Gate::new()));
        }
        let begun = tokio::time::Instant::now();
        let report = codex.shutdown().await;
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert_eq!(report.cleanups.len(), 5);
        assert!(report.cleanups.iter().all(|r| r.delete_error().is_some()));
        for guard in guards {
            assert!(guard.close().await.unwrap().deleted(), "and again");
        }
    }

    #[tokio::test]
    async fn a_shutdown_tries_a_refused_deletion_again() {
        let codex = greeting();
        let guard = guard(&codex).await;
        for _ in 0..2 {
            let fault = Fault::Fail(RuntimeErrorKind::Refused);
            codex.runtime().fault(Operation::Delete, fault);
        }
        let _session = guard.skills().clone();
        assert!(guard.close().await.unwrap().delete_error().is_some());
        let report = codex.shutdown().await;
        assert!(report.cleanups[0].delete_error().is_some());
        assert!(codex.shutdown().await.cleanups[0].deleted());
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_shutdown_that_nobody_waits_for_any_more_goes_on() {
        let (codex, gate) = (greeting(), Gate::new());
        let guards = (guard(&codex).await, guard(&codex).await);
        codex
            .runtime()
            .fault(Operation::Delete, Fault::HoldBefore(gate.clone()));
        {
            let shutdown = codex.shutdown().into_future();
            tokio::pin!(shutdown);
            while gate.came() == 0 {
                assert!(futures_util::poll!(shutdown.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
        }
        gate.open();
        // Another one waits for it.
        codex.shutdown().await;
        assert_eq!(count(&codex), 0);
        assert_eq!(codex.runtime().count(Operation::Delete), 2);
        drop(guards);
    }

    #[tokio::test]
    async fn any_grace_time_will_do() {
        let codex = greeting();
        let _guard = guard(&codex).await;
        codex.shutdown().grace(Duration::MAX).await;
        assert_eq!(count(&codex), 0);
    }

    #[tokio::test]
    async fn a_shutdown_may_be_asked_for_twice_at_the_same_time() {
        let codex = greeting();
        let guard = guard(&codex).await;
        let (one, other) = tokio::join!(
            codex.shutdown().into_future(),
            codex.shutdown().into_future()
        );
        assert!(one.cleanups.len() + other.cleanups.len() >= 1);
        assert_eq!(count(&codex), 0);
        drop(guard);
    }

    #[tokio::test]
    async fn a_turn_that_was_waited_for_ends_with_a_shutdown() {
        let gate = Gate::new();
        let codex = Faulty::client(Embedded::scripted([Step::call("work", json!({}))]));
        let skill = gated("work", &gate);
        let guard = codex
            .lifecycle(|draft| draft.register(skill))
            .await
            .unwrap();
        let turn = guard.send_and_handle("go").into_future();
        let shutdown = async {
            gate.somebody().await;
            codex.shutdown().grace(Duration::ZERO).await
        };
        let (turn, report) = tokio::join!(turn, shutdown);
        assert_eq!(report.cancelled_calls, 1);
        let error = turn.unwrap_err();
        assert!(matches!(error, Error::SessionClosed { .. }), "{error}");
        for record in &error.turn().unwrap().dispatches {
            assert_eq!(record.outcome(), Outcome::Cancelled);
        }
        assert_eq!(count(&codex), 0);
    }
}
