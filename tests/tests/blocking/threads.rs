//! From which threads it works: all.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use codex_skills::blocking::{self, Lifecycle};
use codex_skills::embedded::Step;
use codex_skills::{Embedded, Skill, skills};
use codex_skills_tests::skills::{asynchronous, synchronous};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::{check, codex, register, repeat, round, soon, whereabouts};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn works_outside_of_a_runtime() {
    soon(|| round(&codex()));
}

#[test]
fn works_on_the_thread_of_a_current_thread_runtime() {
    soon(|| current_thread().block_on(async { round(&codex()) }));
}

#[test]
fn works_in_the_main_future_of_a_multi_thread_runtime() {
    soon(|| multi_thread().block_on(async { round(&codex()) }));
}

#[test]
fn works_on_the_only_worker_of_a_runtime() {
    soon(|| {
        let runtime = multi_thread();
        let task = runtime.spawn(async { round(&codex()) });
        runtime.block_on(task).unwrap();
    });
}

#[test]
fn works_in_spawn_blocking() {
    soon(|| {
        for runtime in [current_thread(), multi_thread()] {
            let task = runtime.spawn_blocking(|| round(&codex()));
            runtime.block_on(task).unwrap();
        }
    });
}

#[test]
fn works_in_block_in_place() {
    soon(|| {
        multi_thread().block_on(async { tokio::task::block_in_place(|| round(&codex())) });
    });
}

#[test]
fn works_in_a_local_set() {
    soon(|| {
        for runtime in [current_thread(), multi_thread()] {
            LocalSet::new().block_on(&runtime, async {
                tokio::task::spawn_local(async { round(&codex()) })
                    .await
                    .unwrap();
            });
        }
    });
}

#[test]
fn works_where_a_runtime_is_only_entered() {
    soon(|| {
        let runtime = multi_thread();
        let _entered = runtime.enter();
        round(&codex());
    });
}

#[test]
fn a_task_may_wait_more_often_than_its_budget_allows() {
    soon(|| {
        current_thread().block_on(async {
            let codex = codex();
            for _ in 0..300 {
                round(&codex);
            }
        });
    });
}

#[test]
fn one_session_serves_several_threads() {
    soon(|| {
        let codex = Embedded::demo().blocking();
        let run = codex.lifecycle(register).wait().unwrap();
        let answers: Vec<String> = thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn(move || {
                        let word = json!({"word": n.to_string()});
                        let output = run.dispatch_tool_call("repeat", &word).unwrap();
                        output.to_text().into_owned()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(answers[7], "7 7");
    });
}

#[test]
fn a_session_of_the_async_client_is_served_without_async() {
    soon(|| {
        let runtime = current_thread();
        let codex = Embedded::scripted([
            Step::call("repeat", json!({"word": "one"})),
            Step::say_outputs(),
        ]);
        let (_, session) = runtime
            .block_on(async { codex.create_session(register).await })
            .unwrap();
        let sent = blocking::Session::from(session.clone())
            .send_and_handle("Go.")
            .require_reply()
            .wait()
            .unwrap();
        assert_eq!(sent.assistant_reply, "repeat: one one");
        let codex = codex.blocking();
        codex
            .close_session(session.session_id(), true)
            .wait()
            .unwrap();
        assert_eq!(codex.runtime().session_count(), 0);
    });
}

/// A client whose model calls `ask` 16 times at once: more often than the background has threads.
fn asking(ask: Skill) -> String {
    let codex = Embedded::scripted([
        Step::calls((0..16).map(|_| ("ask", json!({})))),
        Step::say_outputs(),
    ])
    .blocking();
    codex
        .lifecycle(|draft| draft.register(ask))
        .max_concurrent_calls(16)
        .run(|run| {
            let sent = run
                .send_and_handle("Ask.")
                .require_reply()
                .timeout(Duration::from_secs(50))
                .wait()?;
            Ok(sent.assistant_reply)
        })
        .unwrap()
}

/// Has a session of its own answer, without async.
fn answer() -> String {
    let codex = Embedded::scripted([
        Step::call("whereabouts", json!({"word": "here"})),
        Step::say_outputs(),
    ])
    .blocking();
    codex
        .lifecycle(|draft| draft.register(skills![whereabouts, repeat]))
        .run(|run| {
            Ok(run
                .send_and_handle("Go.")
                .require_reply()
                .wait()?
                .assistant_reply)
        })
        .unwrap_or_else(|error| error.to_string())
}

fn all_answered() -> String {
    vec!["ask: whereabouts: here on codex-skills"; 16].join("\n")
}

#[test]
fn async_skills_may_block_on_other_sessions() {
    let asked = soon(|| {
        asking(asynchronous("ask", |_| async {
            tokio::task::yield_now().await;
            answer()
        }))
    });
    assert_eq!(asked, all_answered());
}

#[test]
fn synchronous_skills_may_block_on_other_sessions() {
    let asked = soon(|| asking(synchronous("ask", answer)));
    assert_eq!(asked, all_answered());
}

#[test]
fn skills_with_a_runtime_of_their_own_may_block_on_other_sessions() {
    let asked = soon(|| {
        asking(synchronous("ask", || {
            current_thread().block_on(async { answer() })
        }))
    });
    assert_eq!(asked, all_answered());
}

#[test]
fn a_skill_that_is_called_on_a_blocked_runtime_may_block_too() {
    soon(|| {
        current_thread().block_on(async {
            let codex = Embedded::demo().blocking();
            let ask = asynchronous("ask", |_| async { answer() });
            let run = codex.lifecycle(|draft| draft.register(ask)).wait().unwrap();
            let output = run.dispatch_tool_call("ask", &json!({})).unwrap();
            assert_eq!(output.to_text(), "whereabouts: here on codex-skills");
        });
    });
}

#[test]
fn a_guard_that_a_thread_local_drops_leaves_no_session() {
    thread_local! {
        static GUARD: RefCell<Option<Lifecycle>> = const { RefCell::new(None) };
    }
    let codex = codex();
    let client = codex.clone();
    thread::spawn(move || {
        // Made before the thread's other locals, and so dropped after them.
        GUARD.set(None);
        let run = client.lifecycle(register).wait().unwrap();
        check(&run).unwrap();
        GUARD.set(Some(run));
    })
    .join()
    .unwrap();
    let begun = Instant::now();
    while codex.runtime().session_count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is left");
        thread::sleep(Duration::from_millis(1));
    }
}
