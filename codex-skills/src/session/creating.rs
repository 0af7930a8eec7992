//! Creation of a session that survives its tokio runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;

use super::presence::Busy;
use super::rescue;
use super::shared::ClientShared;

/// Time that a thread has to finish a creation.
const LAST_CREATION: Duration = Duration::from_secs(30);

/// A creation on a task. When the tokio runtime drops it unfinished, a thread finishes it, so that it is
/// known which session is to be deleted.
pub(super) struct Creating {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    begun: bool,
    shared: Arc<ClientShared>,
    tokio: tokio::runtime::Id,
    /// Keeps the end of the client waiting.
    _busy: Option<Busy>,
}

impl Creating {
    pub(super) fn new(
        shared: Arc<ClientShared>,
        tokio: &Handle,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            work: Some(Box::pin(work)),
            begun: false,
            _busy: shared.background.begin(tokio),
            tokio: tokio.id(),
            shared,
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
        self.shared.runtime.detach(self.tokio);
        let work = async {
            // A creation that hangs is given up.
            let _ = tokio::time::timeout(LAST_CREATION, work).await;
        };
        rescue::finish(&self.shared, work, !std::thread::panicking());
    }
}
