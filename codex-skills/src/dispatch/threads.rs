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

/// Threads at most; further jobs wait.
const THREADS: usize = 512;

/// Time for which a thread without a job is kept.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of the process.
static POOL: Pool = Pool::new(THREADS);

struct Pool {
    /// Threads at most.
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
                // The receiver may have been dropped.
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
#[path = "threads_tests.rs"]
mod tests;
