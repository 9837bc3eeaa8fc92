//! When the next fetch is due: before the lifetime is over, or after a failure, ever later.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{BACKOFF, TICK};

/// How soon after a failed fetch the next one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// First and longest pause; each is twice the one before. `failed_refetch_duration` is both.
    pub backoff: RangeInclusive<Duration>,
    /// `retry_policy`: quicker attempts, before each of those.
    pub retries: Option<Retries>,
}

/// `retry_policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// `num_retries`.
    pub count: u64,
    /// `retry_back_off`: `base_interval` and `max_interval`.
    pub backoff: RangeInclusive<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { backoff: BACKOFF, retries: None }
    }
}

impl Pace {
    /// The pause after a good fetch: a part of the lifetime that differs each time, so that a fleet does not beat in time.
    pub fn after_success(&self, lifetime: Duration, random: &mut fastrand::Rng) -> Duration {
        lifetime.mul_f64(0.80 + 0.15 * random.f64())
    }

    /// The pause after so many failures in a row, the last of which another attempt may mend if it was the `connection`'s or the
    /// server's. No pause is shorter than a [`TICK`], however many VMs look at the clock, and at each request besides.
    pub fn after_failure(&self, failures: u64, connection: bool, random: &mut fastrand::Rng) -> Duration {
        let before = failures.saturating_sub(1);
        let (backoff, before) = match &self.retries {
            // Each fetch has all of its retries, as in Envoy: the pauses between fetches grow by the fetch.
            Some(retries) if connection => {
                let attempts = retries.count.saturating_add(1);
                let (fetches, attempt) = (before / attempts, before % attempts);
                if attempt < retries.count {
                    (&retries.backoff, attempt)
                } else {
                    (&self.backoff, fetches)
                }
            }
            _ => (&self.backoff, before),
        };
        let doublings = u32::try_from(before).unwrap_or(u32::MAX).min(16);
        let longest = backoff.start().saturating_mul(1 << doublings).min(*backoff.end());
        // One pause for all failures is one that somebody chose: `failed_refetch_duration`, to the letter.
        let spread = if backoff.start() == backoff.end() { 0.0 } else { 0.25 };
        longest.mul_f64(1.0 - spread * random.f64()).max(TICK)
    }

    /// The longest pause after a failure.
    pub fn longest(&self) -> Duration {
        let retries = self.retries.as_ref().map(|retries| *retries.backoff.end()).unwrap_or_default();
        retries.max(*self.backoff.end()).max(TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
        Duration::from_secs(from)..=Duration::from_secs(to)
    }

    /// The longest pause that can follow each failure, in milliseconds, and a check that none is shorter than three quarters of it.
    fn pauses(pace: &Pace, connection: bool, failures: RangeInclusive<u64>) -> Vec<u128> {
        let mut random = fastrand::Rng::with_seed(7);
        let longest = |failures| {
            let pauses: Vec<u128> =
                (0..500).map(|_| pace.after_failure(failures, connection, &mut random).as_millis()).collect();
            let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            let rounded = longest.div_ceil(500) * 500;
            assert!(*shortest >= rounded * 3 / 4 && *shortest < rounded * 4 / 5, "{failures}: {shortest} of {rounded}");
            rounded
        };
        failures.map(longest).collect()
    }

    #[test]
    fn pauses_double_from_one_second_to_a_minute() {
        let expected = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(pauses(&Pace::default(), true, 1..=8), expected);
        assert_eq!(pauses(&Pace::default(), false, 1..=8), expected);
        assert_eq!(pauses(&Pace::default(), true, u64::MAX..=u64::MAX), [60_000]);
    }

    #[test]
    fn failed_refetch_duration_is_one_pause_for_all_failures() {
        let pace = Pace { backoff: seconds(5, 5), retries: None };
        let mut random = fastrand::Rng::with_seed(7);
        for failures in 1..=4 {
            assert_eq!(pace.after_failure(failures, true, &mut random), Duration::from_secs(5));
        }
    }

    #[test]
    fn every_fetch_has_its_retries_and_only_for_what_another_attempt_may_mend() {
        let pace = Pace { backoff: seconds(10, 60), retries: Some(Retries { count: 3, backoff: seconds(1, 3) }) };
        let twice = [1000, 2000, 3000, 10_000, 1000, 2000, 3000, 20_000, 1000];
        assert_eq!(pauses(&pace, true, 1..=9), twice);
        assert_eq!(pauses(&pace, false, 1..=5), [10_000, 20_000, 40_000, 60_000, 60_000]);
    }

    #[test]
    fn a_refresh_comes_when_80_to_95_percent_of_the_lifetime_are_over() {
        let mut random = fastrand::Rng::with_seed(7);
        let pauses: Vec<u64> =
            (0..1000).map(|_| Pace::default().after_success(Duration::from_secs(600), &mut random).as_secs()).collect();
        assert!(pauses.iter().all(|pause| (480..570).contains(pause)));
        assert!(pauses.iter().any(|&pause| pause < 490) && pauses.iter().any(|&pause| pause > 560));
    }
}
