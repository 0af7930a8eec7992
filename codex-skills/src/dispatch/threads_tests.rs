#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::mpsc;
use std::thread;

use super::*;

/// Threads of a test of its own.
fn pool(limit: usize) -> &'static Pool {
    Box::leak(Box::new(Pool::new(limit)))
}

#[test]
fn a_thread_that_is_idle_is_used_again() {
    let pool = pool(8);
    let used: std::collections::HashSet<_> = (0..50)
        .map(|_| {
            let id = pool.run(|| thread::current().id()).blocking_recv().unwrap();
            // Until it waits again.
            while pool.state().idle == 0 {
                thread::yield_now();
            }
            id
        })
        .collect();
    assert_eq!(used.len(), 1);
}

#[test]
fn more_jobs_than_threads_wait_and_are_not_begun_when_they_are_given_up() {
    let pool = pool(2);
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Arc::new(Mutex::new(gone));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let gone = gone.clone();
            pool.run(move || gone.lock().unwrap().recv().unwrap())
        })
        .collect();
    let (ran, runs) = mpsc::channel();
    for number in 0..10 {
        let ran = ran.clone();
        let waiting = pool.run(move || ran.send(number).unwrap());
        if number % 2 == 0 {
            drop(waiting);
        } else {
            std::mem::forget(waiting);
        }
    }
    drop(ran);
    assert!(runs.try_recv().is_err(), "there are two threads");
    go.send(()).unwrap();
    go.send(()).unwrap();
    for busy in busy {
        busy.blocking_recv().unwrap();
    }
    let mut ran: Vec<i32> = runs.iter().collect();
    ran.sort_unstable();
    assert_eq!(ran, [1, 3, 5, 7, 9]);
}

#[test]
fn jobs_that_wait_for_each_other_run_at_the_same_time() {
    let (first, (go, gone)) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    let (begun, begins) = first;
    let one = run(move || {
        begun.send(()).unwrap();
        gone.recv().unwrap();
        1
    });
    begins.recv().unwrap();
    let other = run(move || go.send(()).unwrap());
    other.blocking_recv().unwrap();
    assert_eq!(one.blocking_recv().unwrap(), 1);
}

#[test]
fn a_job_that_panics_costs_no_thread() {
    let panicked = run(|| std::panic::panic_any(7_u32));
    assert!(panicked.blocking_recv().is_err());
    assert_eq!(run(|| 1).blocking_recv().unwrap(), 1);
}

#[test]
fn a_job_runs_within_the_tokio_runtime_that_began_it() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let id = tokio.block_on(run_id());
    assert_eq!(id, Some(tokio.handle().id()));
}

async fn run_id() -> Option<tokio::runtime::Id> {
    let id = run(|| Handle::try_current().ok().map(|handle| handle.id()));
    id.await.unwrap()
}
