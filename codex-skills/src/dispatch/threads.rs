//! Threads for synchronous handlers, which are kept for the next ones and never hold up the end of the program.
//!
//! A tokio runtime that ends waits for its own blocking threads, however long: a handler that never returns would keep
//! the process alive. These threads belong to no runtime. They are started when none is idle, are kept for a while
//! after their last job, and end with the process wherever they are. A job runs within the tokio runtime that it was
//! begun in, as on tokio's threads.
//!
//! The lock is held for the queue only, never while a job runs or is dropped.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How many threads there are at most; further jobs wait.
const THREADS: usize = 512;

/// How long a thread without a job is kept.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of the process.
static POOL: Pool = Pool::new(THREADS);

struct Pool {
    /// How many threads there are at most.
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    threads: usize,
    /// Threads that wait and were not called.
    idle: usize,
    /// Threads that were called and have not woken yet: other wake-ups are spurious.
    called: usize,
}

/// Runs `work` on a thread. Nothing is received when it panics or no thread can be started; it is not begun any more
/// once the receiver is dropped.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    POOL.run(work)
}

impl Pool {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: 0,
                idle: 0,
                called: 0,
            }),
            work: Condvar::new(),
        }
    }

    fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let tokio = Handle::try_current().ok();
        self.submit(Box::new(move || {
            let _within = tokio.as_ref().map(Handle::enter);
            if !done.is_closed() {
                // The one who waited may be gone.
                let _ = done.send(work());
            }
        }));
        result
    }

    fn submit(&'static self, job: Job) {
        let mut state = self.state();
        state.queue.push_back(job);
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            drop(state);
            self.work.notify_one();
        } else if state.threads < self.limit {
            state.threads += 1;
            drop(state);
            self.start();
        }
    }

    /// Starts a thread, which is counted already.
    fn start(&'static self) {
        let name = "codex-skills-handler".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(|| self.work());
        let Err(error) = started else { return };
        let mut state = self.state();
        state.threads -= 1;
        // Without any thread, what waits would wait for ever.
        let jobs = if state.threads == 0 {
            std::mem::take(&mut state.queue)
        } else {
            VecDeque::new()
        };
        drop(state);
        tracing::error!(target: "codex_skills::dispatch", %error, given_up = jobs.len(), "no thread can be started for a synchronous skill");
    }

    /// Takes jobs until there are none for a while.
    fn work(&self) {
        while let Some(job) = self.next() {
            // What a handler throws is caught where it is called; this is for what its destructors throw.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        if let Some(job) = state.queue.pop_front() {
            return Some(job);
        }
        state.idle += 1;
        loop {
            let (woken, waited) = self
                .work
                .wait_timeout(state, KEPT)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if state.called > 0 {
                state.called -= 1;
                if let Some(job) = state.queue.pop_front() {
                    return Some(job);
                }
                // Another thread took it on its way.
                state.idle += 1;
            } else if waited.timed_out() {
                state.idle -= 1;
                state.threads -= 1;
                return None;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
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
}
