//! A gate that stops tasks until it is opened.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Stops each task that [`enter`](Self::enter)s until it is opened, and announces arrivals.
///
/// Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    came: Arc<Semaphore>,
    may_pass: Arc<Semaphore>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            came: Arc::new(Semaphore::new(0)),
            may_pass: Arc::new(Semaphore::new(0)),
        }
    }

    /// Announces an arrival, and waits to be let through.
    pub async fn enter(&self) {
        self.came.add_permits(1);
        if let Ok(permit) = self.may_pass.acquire().await {
            permit.forget();
        }
    }

    /// Waits for an arrival. Each is announced once.
    pub async fn somebody(&self) {
        if let Ok(permit) = self.came.acquire().await {
            permit.forget();
        }
    }

    /// How many came and were not waited for.
    #[must_use]
    pub fn came(&self) -> usize {
        self.came.available_permits()
    }

    /// Lets one through, now or when it comes.
    pub fn pass(&self) {
        self.may_pass.add_permits(1);
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.may_pass.close();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
