//! Waiting for a future on a thread that may block.
//!
//! The future is polled on the caller's thread, and may therefore borrow from it. Whatever it spawns, and
//! its timers, belong to a runtime in the background: so nothing depends on a runtime that the caller
//! may be in, and is blocking.

use std::cell::Cell;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{block_in_place, coop::unconstrained};

use crate::error::Error;

/// How many threads run asynchronous skills and the work between calls. Synchronous skills have
/// threads of their own.
const WORKERS: usize = 2;

thread_local! {
    /// Whether the background started this thread.
    static OF_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// The runtime in the background: one for the process, started by the first wait, never stopped.
fn background() -> Result<Handle, Error> {
    static BACKGROUND: Mutex<Option<Runtime>> = Mutex::new(None);
    let mut background = BACKGROUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*background {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("codex-skills")
        .on_thread_start(|| OF_BACKGROUND.set(true))
        .enable_all()
        .build()
        .map_err(|error| Error::other(format!("no threads to wait with were started: {error}")))?;
    let handle = runtime.handle().clone();
    *background = Some(runtime);
    Ok(handle)
}

/// Waits for what `work` comes to, whatever runtime the thread is in.
pub(super) fn wait<F: IntoFuture>(work: F) -> Result<F::Output, Error> {
    if Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed()) {
        return Err(Error::other(
            "the thread is ending, and cannot wait any more",
        ));
    }
    let background = background()?;
    Ok(blocking(|| {
        let _entered = background.enter();
        drive(work.into_future())
    }))
}

/// Waits for a future that needs no runtime.
pub(super) fn wait_idly<F: Future>(work: F) -> F::Output {
    blocking(|| drive(work))
}

/// Runs `body`, which blocks. A worker of the background hands its tasks to another thread before: what
/// is waited for may be among them.
fn blocking<T>(body: impl FnOnce() -> T) -> T {
    // A thread of the background may be in another runtime at the moment, where no tasks can be handed over.
    let in_background = OF_BACKGROUND.get()
        && Handle::try_current().is_ok_and(|current| {
            background().is_ok_and(|background| background.id() == current.id())
        });
    if in_background {
        block_in_place(body)
    } else {
        body()
    }
}

fn drive<F: Future>(future: F) -> F::Output {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parked.clone());
    let mut context = Context::from_waker(&waker);
    // The budget of the task that is being blocked is not renewed before the future is ready.
    let mut future = pin!(unconstrained(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        // The flag, because others on this thread may have used up the token of `park`.
        while !parked.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// A thread that waits.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
