//! Creating a session in a way that survives its tokio runtime.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a thread may take to finish a creation.
const LAST_CREATION: Duration = Duration::from_secs(30);

/// A creation on a task. When the tokio runtime drops it unfinished, a thread finishes it, so that it is
/// known which session is to be deleted.
pub(super) struct Creating {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    begun: bool,
}

impl Creating {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            begun: false,
        }
    }
}

impl Future for Creating {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.begun = true;
        // Taken out: it is not finished after a panic.
        let Some(mut work) = self.work.take() else {
            return Poll::Ready(());
        };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| self.begun) else {
            return;
        };
        let finish = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                // A creation that hangs is given up.
                let _ = runtime.block_on(async { tokio::time::timeout(LAST_CREATION, work).await });
            }
        };
        let thread = std::thread::Builder::new().name("codex-skills-creation".to_owned());
        if let Err(error) = thread.spawn(finish) {
            tracing::error!(target: "codex_skills::session", %error, "a session may be left behind: no thread could finish its creation");
        }
    }
}
