//! The budget of retries that the sessions of a client share, so that their retries do not prolong an outage.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::RetryPolicy;

/// A bucket of retries. Each takes one out, and what was taken out comes back with time, or at once when
/// the retry shows that the runtime takes answers again.
///
/// What is kept is how many are missing, so that sessions with policies of their own may share it.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    missing: Mutex<Missing>,
    returned: Notify,
    /// Retries wait in line: only the first looks at the bucket.
    line: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Missing {
    retries: f64,
    as_of: Option<Instant>,
}

impl Missing {
    /// Returns how many are missing by now.
    fn by(&mut self, now: Instant, refill: Duration) -> f64 {
        if let Some(as_of) = self.as_of.replace(now) {
            let returned = now.duration_since(as_of).as_secs_f64() / refill.as_secs_f64();
            self.retries = (self.retries - returned).max(0.0);
        }
        self.retries
    }
}

impl RetryBudget {
    /// Takes a retry out once there is one; returns whether it had to wait. Cancel safe: a dropped wait takes none.
    pub(super) async fn take(&self, policy: &RetryPolicy) -> bool {
        if policy.refill.is_zero() {
            return false;
        }
        let _first = match self.line.try_lock() {
            Ok(_) if self.try_take(policy).is_ok() => return false,
            Ok(first) => first,
            Err(_) => self.line.lock().await,
        };
        loop {
            let returned = self.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable();
            match self.try_take(policy) {
                Ok(()) => return true,
                Err(wait) => {
                    tokio::select! {
                        () = returned => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Takes a retry out, or returns the time until there is one.
    fn try_take(&self, policy: &RetryPolicy) -> Result<(), Duration> {
        let capacity = f64::from(u32::try_from(policy.budget.max(1)).unwrap_or(u32::MAX));
        let mut missing = self.missing();
        let excess = missing.by(Instant::now(), policy.refill) + 1.0 - capacity;
        // So little is an error of rounding.
        if excess <= 1e-9 {
            missing.retries += 1.0;
            return Ok(());
        }
        let wait = excess * policy.refill.as_secs_f64();
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// Puts one back: the runtime takes answers.
    pub(super) fn put_back(&self) {
        let mut missing = self.missing();
        missing.retries = (missing.retries - 1.0).max(0.0);
        drop(missing);
        self.returned.notify_waiters();
    }

    fn missing(&self) -> MutexGuard<'_, Missing> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(budget: usize, refill: Duration) -> RetryPolicy {
        RetryPolicy {
            budget,
            refill,
            ..RetryPolicy::default()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_there_is_taken_at_once_and_the_rest_as_it_comes_back() {
        let (budget, policy) = (RetryBudget::default(), policy(2, SECOND));
        let began = Instant::now();
        let mut waited = Vec::new();
        for _ in 0..4 {
            waited.push((budget.take(&policy).await, began.elapsed().as_millis()));
        }
        assert_eq!(waited, [(false, 0), (false, 0), (true, 1000), (true, 2000)]);
        tokio::time::sleep(10 * SECOND).await;
        assert!(!budget.take(&policy).await && !budget.take(&policy).await);
        assert!(budget.take(&policy).await, "no more than two come back");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_put_back_is_taken_by_the_first_in_line() {
        let (budget, policy) = (RetryBudget::default(), policy(1, 100 * SECOND));
        budget.take(&policy).await;
        let began = Instant::now();
        let (first, ()) = tokio::join!(budget.take(&policy), async {
            tokio::time::sleep(SECOND).await;
            budget.put_back();
        });
        assert!(first && began.elapsed() < 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_takes_nothing_and_lets_the_next_one_through() {
        let (budget, policy) = (RetryBudget::default(), policy(1, 3 * SECOND));
        budget.take(&policy).await;
        let began = Instant::now();
        let impatient = tokio::time::timeout(SECOND, budget.take(&policy));
        let (gave_up, _) = tokio::join!(impatient, budget.take(&policy));
        assert!(gave_up.is_err());
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_to_come_back_in_there_is_no_budget() {
        let (budget, policy) = (RetryBudget::default(), policy(0, Duration::ZERO));
        for _ in 0..1000 {
            assert!(!budget.take(&policy).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_policies_do_no_harm() {
        let budget = RetryBudget::default();
        let never = policy(0, Duration::MAX);
        assert!(!budget.take(&never).await, "there is always one");
        let taken = tokio::time::timeout(1000 * SECOND, budget.take(&never)).await;
        assert!(taken.is_err());
        assert!(!budget.take(&policy(usize::MAX, SECOND)).await);
        budget.take(&policy(1, Duration::from_nanos(1))).await;
    }
}
