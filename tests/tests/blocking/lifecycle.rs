//! Sessions end with their guards, however those end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use codex_skills::blocking::Client;
use codex_skills::{Draft, Embedded, Error, RuntimeErrorKind, Skill, skills};
use codex_skills_tests::faulty::{Fault, Faulty, Operation};
use codex_skills_tests::gate::Gate;

use super::{check, codex, register, repeat, soon};

/// An error of the program's own.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Codex(#[from] Error),
    #[error("no")]
    Own,
}

fn left(codex: &Client<Embedded>) -> usize {
    codex.runtime().session_count()
}

fn faulty(fault: Fault) -> Client<Faulty> {
    let codex = Faulty::client(Embedded::demo()).blocking();
    codex.runtime().fault(Operation::Delete, fault);
    codex
}

#[test]
fn a_block_returns_its_value_and_leaves_no_session() {
    let codex = codex();
    let id = codex
        .lifecycle(register)
        .run(|run| {
            assert_eq!(left(&codex), 1);
            assert_eq!(run.created()["session"]["sessionId"], run.session_id());
            assert_eq!(
                run.skills().list(),
                ["repeat", "repeat_inline", "whereabouts"]
            );
            Ok(run.session_id().to_owned())
        })
        .unwrap();
    assert!(!id.is_empty());
    assert_eq!(left(&codex), 0);
}

#[test]
fn a_block_that_fails_leaves_no_session() {
    let codex = codex();
    let failed = codex.lifecycle(register).run(|run| {
        run.send("  ").wait()?;
        Ok(())
    });
    assert!(matches!(
        failed,
        Err(Error::InvalidOption { option: "text", .. })
    ));
    assert_eq!(left(&codex), 0);
}

#[test]
fn a_block_may_fail_with_an_error_of_its_own() {
    let codex = codex();
    let failed = codex.lifecycle(register).try_run(|run| {
        check(run)?;
        Err::<(), _>(Failure::Own)
    });
    assert!(matches!(failed, Err(Failure::Own)));
    let opened = codex
        .lifecycle(|draft| draft.register([Skill::builder("no name").blocking_handler(no)]))
        .try_run(|_| Ok::<(), Failure>(()));
    assert!(matches!(opened, Err(Failure::Codex(Error::Catalog(_)))));
    assert_eq!(left(&codex), 0);
}

fn no(_: codex_skills_tests::skills::Anything) -> Result<(), std::fmt::Error> {
    Ok(())
}

#[test]
fn a_block_that_panics_leaves_no_session_and_the_panic_goes_on() {
    let codex = codex();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        codex.lifecycle(register).run(|run| {
            check(run)?;
            if left(&codex) == 1 {
                panic!("as planned");
            }
            Ok(())
        })
    }));
    assert_eq!(left(&codex), 0);
    let panic = caught.expect_err("the panic");
    assert_eq!(panic.downcast_ref(), Some(&"as planned"));
}

#[test]
fn a_panic_in_a_runtime_closes_too() {
    soon(|| {
        let codex = codex();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let _run = codex.lifecycle(register).wait();
                panic!("as planned");
            })
        }));
        assert!(caught.is_err());
        assert_eq!(left(&codex), 0);
    });
}

#[test]
fn a_dropped_guard_has_deleted_its_session() {
    let codex = codex();
    drop(codex.lifecycle(register).wait().unwrap());
    assert_eq!(left(&codex), 0);
}

#[test]
fn a_guard_that_is_dropped_in_a_runtime_has_deleted_its_session() {
    soon(|| {
        let codex = codex();
        let run = codex.lifecycle(register).wait().unwrap();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(async { drop(run) });
        assert_eq!(left(&codex), 0);
    });
}

#[test]
fn dropping_a_guard_waits_for_a_slow_deletion() {
    let gate = Gate::new();
    let codex = faulty(Fault::HoldBefore(gate.clone()));
    let run = codex.lifecycle(register).wait().unwrap();
    thread::scope(|scope| {
        let dropped = scope.spawn(|| drop(run));
        thread::sleep(Duration::from_millis(50));
        assert!(!dropped.is_finished());
        gate.open();
        dropped.join().unwrap();
    });
    assert_eq!(codex.runtime().embedded().session_count(), 0);
}

#[test]
fn close_says_what_became_of_the_session() {
    let codex = codex();
    let run = codex.lifecycle(register).wait().unwrap();
    let id = run.session_id().to_owned();
    let report = run.close().unwrap();
    assert_eq!(report.session_id(), id);
    assert_eq!(report.cleared(), 3);
    assert!(report.deleted());
    assert_eq!(report.delete_response().unwrap()["status"], "ok");
    assert_eq!(left(&codex), 0);
}

#[test]
fn a_kept_session_stays() {
    let codex = codex();
    let (by_option, by_guard) = (
        codex
            .lifecycle(register)
            .keep_session(true)
            .run(|run| Ok(run.session_id().to_owned()))
            .unwrap(),
        codex
            .lifecycle(register)
            .run(|run| {
                run.keep_session(true);
                Ok(run.session_id().to_owned())
            })
            .unwrap(),
    );
    let dropped = codex.lifecycle(register).wait().unwrap();
    dropped.keep_session(true);
    drop(dropped);
    assert_eq!(left(&codex), 3);
    for id in [by_option, by_guard] {
        assert!(codex.close_session(id, true).wait().unwrap().deleted());
    }
    assert_eq!(left(&codex), 1);
}

#[test]
fn a_failed_cleanup_is_ignored_unless_asked_for() {
    let codex = faulty(Fault::Fail(RuntimeErrorKind::Refused));
    codex.lifecycle(register).run(|_| Ok(())).unwrap();

    let codex = faulty(Fault::Fail(RuntimeErrorKind::Refused));
    let failed = codex
        .lifecycle(register)
        .ignore_cleanup_errors(false)
        .run(|_| Ok(()));
    assert!(matches!(failed, Err(Error::Cleanup(_))));
}

#[test]
fn a_failed_cleanup_masks_neither_an_error_nor_a_panic() {
    let codex = faulty(Fault::Fail(RuntimeErrorKind::Refused));
    let failed = codex
        .lifecycle(register)
        .ignore_cleanup_errors(false)
        .try_run(|_| Err::<(), _>(Failure::Own));
    assert!(matches!(failed, Err(Failure::Own)));

    let codex = faulty(Fault::Fail(RuntimeErrorKind::Refused));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        codex
            .lifecycle(register)
            .ignore_cleanup_errors(false)
            .run(|_| -> Result<(), Error> { panic!("as planned") })
    }));
    assert_eq!(
        caught.expect_err("the panic").downcast_ref(),
        Some(&"as planned")
    );
}

#[test]
fn a_register_callback_may_fail_and_then_no_session_is_opened() {
    let codex = codex();
    let failed = codex
        .create_session(|_| Err::<Draft, _>("no skills today"))
        .wait();
    assert_eq!(
        failed.err().unwrap().to_string(),
        "the register callback failed: no skills today"
    );
    let opened = codex
        .create_session(|draft| Ok::<_, Error>(draft.register(skills![repeat])))
        .wait();
    assert!(opened.is_ok());
    assert_eq!(left(&codex), 1);
}

#[test]
fn a_created_session_stays_and_can_be_taken_up_and_closed() {
    let codex = codex();
    let (created, session) = codex.create_session(register).cwd("/").wait().unwrap();
    assert_eq!(created["session"]["sessionId"], session.session_id());
    let id = session.session_id().to_owned();
    let catalog = session.catalog().clone();
    drop(session);

    let session = codex.session(&id).catalog(catalog).wait().unwrap();
    check(&session).unwrap();
    let report = codex.close_session(&id, true).wait().unwrap();
    assert_eq!((report.cleared(), report.deleted()), (3, true));
    let again = codex.close_session(&id, true).wait().unwrap();
    assert!(!again.deleted(), "it is gone already");
    assert!(codex.session(&id).wait().is_err());
}

#[test]
fn a_shutdown_deletes_what_guards_own_and_opens_nothing_more() {
    let codex = codex();
    let (_, _session) = codex.create_session(register).wait().unwrap();
    let run = codex.lifecycle(register).wait().unwrap();
    let report = codex
        .shutdown()
        .grace(Duration::from_secs(1))
        .wait()
        .unwrap();
    assert_eq!((report.cleanups.len(), report.kept), (1, 1));
    assert_eq!(left(&codex), 1);
    drop(run);
    assert!(matches!(
        codex.lifecycle(register).wait(),
        Err(Error::ShuttingDown)
    ));
}
