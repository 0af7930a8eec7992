//! Timing that a shared machine does not spoil: contenders take turns, and medians are told.

use std::time::Duration;

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
