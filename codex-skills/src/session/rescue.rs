//! Finishes work that a tokio runtime broke off when it went down, on a thread with a tokio runtime of its own.
//!
//! A runtime goes down when `main` returns, and then the process ends, with this thread in it. So the one that drops
//! the work waits for it, for a bounded time: on the thread that drops the runtime or on a worker that ends, where no
//! other task runs any more. `Runtime::shutdown_timeout` and `shutdown_background` bound that wait too.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::shared::ClientShared;

/// How long a runtime may take to be ended after the work, when the program has neither a client nor a session of it any more.
const RUNTIME_END: Duration = Duration::from_secs(5);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The thread of a client, while there is one.
#[derive(Default)]
pub(super) struct Rescue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: Option<UnboundedSender<Work>>,
    /// Until when the work is waited for.
    until: Option<Instant>,
}

impl Rescue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has work finished on the client's thread. `is_awaited`: and waits for it, for the client's
/// [exit grace](crate::Client::with_exit_grace) since the first work.
pub(super) fn finish(
    shared: &Arc<ClientShared>,
    work: impl Future<Output = ()> + Send + 'static,
    is_awaited: bool,
) {
    // Dropped with the work, however that ends.
    let (open, finished) = mpsc::channel::<()>();
    let work: Work = Box::pin(async move {
        let _open = open;
        work.await;
    });
    let until = {
        let mut state = shared.rescue.state();
        let until = *state.until.get_or_insert_with(|| shared.exit_until(false));
        let refused = match &state.queue {
            Some(queue) => queue.send(work).err().map(|refused| refused.0),
            None => Some(work),
        };
        if let Some(work) = refused {
            state.queue = start(shared.clone(), work);
        }
        until
    };
    if is_awaited {
        let _ = finished.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Starts the thread with its first work. One that cannot be started drops the work, which says so.
fn start(shared: Arc<ClientShared>, work: Work) -> Option<UnboundedSender<Work>> {
    let (queue, works) = unbounded_channel();
    // The receiver is there.
    let _ = queue.send(work);
    let started = std::thread::Builder::new()
        .name("codex-skills-cleanup".to_owned())
        .spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(tokio) = tokio {
                tokio.block_on(serve(shared, works));
            }
        });
    match started {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::error!(target: "codex_skills::session", %error, "sessions may be left behind: no thread could finish their cleanup");
            None
        }
    }
}

/// Works until nothing is left, and ends the runtime when the program has neither a client nor a session of it any more.
async fn serve(shared: Arc<ClientShared>, mut works: UnboundedReceiver<Work>) {
    let mut open = JoinSet::new();
    loop {
        while let Ok(work) = works.try_recv() {
            open.spawn(work);
        }
        if open.is_empty() {
            let mut state = shared.rescue.state();
            let Ok(work) = works.try_recv() else {
                *state = State::default();
                break;
            };
            open.spawn(work);
        }
        tokio::select! {
            work = works.recv() => drop(work.map(|work| open.spawn(work))),
            _ = open.join_next() => {}
        }
    }
    if shared.is_unused() {
        let _ = tokio::time::timeout(RUNTIME_END, shared.runtime.shutdown()).await;
    }
}
