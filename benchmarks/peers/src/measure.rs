//! Timing that a shared machine does not spoil: contenders take turns, and medians are reported.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::Result;

static QUICK: AtomicBool = AtomicBool::new(false);

/// Makes everything short from now on.
pub fn be_quick() {
    QUICK.store(true, Ordering::Relaxed);
}

/// So many, or few in a quick run.
pub fn many(count: usize) -> usize {
    if QUICK.load(Ordering::Relaxed) {
        count.div_ceil(20)
    } else {
        count
    }
}

/// A tokio runtime with so many threads.
pub fn runtime(threads: usize) -> Result<Runtime> {
    let runtime = if threads == 1 {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
    };
    Ok(runtime?)
}

/// Runs it on a worker, and not beside the workers.
pub fn on_worker<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    runtime.block_on(async { tokio::spawn(work).await? })
}

/// What was measured of one contender.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// Notes how long so many calls took together.
    pub fn add(&mut self, took: Duration, calls: usize) {
        let each = took.as_nanos() / calls.max(1) as u128;
        self.0.push(u64::try_from(each).unwrap_or(u64::MAX));
    }

    /// The value below which so many of a thousand are, in nanoseconds.
    pub fn quantile(&self, thousandths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(0) as f64
    }

    /// The median in nanoseconds.
    pub fn median(&self) -> f64 {
        self.quantile(500)
    }
}
