//! When the next fetch is due: before the lifetime is over, or after a failure, ever later; and when one is tried again.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{BACKOFF, TICK};

/// How soon after a failed fetch the next one follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// First and longest pause; each is twice the one before. `failed_refetch_duration` is both.
    pub backoff: RangeInclusive<Duration>,
    /// `retry_policy`: further attempts of a fetch, before it counts as over.
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

    /// The pause after so many failed fetches in a row.
    pub fn after_failure(&self, failures: u64, random: &mut fastrand::Rng) -> Duration {
        // One pause for all failures is one that somebody chose: `failed_refetch_duration`, to the letter.
        let jitter = if self.backoff.start() == self.backoff.end() { 0.0 } else { 0.25 };
        pause(&self.backoff, failures.saturating_sub(1), jitter * random.f64())
    }

    /// The pause while the host looks for the upstream: nobody is asked, so it is always the first of [`BACKOFF`].
    pub fn while_looked_for(random: &mut fastrand::Rng) -> Duration {
        Self::default().after_failure(1, random)
    }

    /// The pause before the next attempt of a fetch that was tried again so often; `None` if that was the last.
    pub fn before_retry(&self, retried: u64, random: &mut fastrand::Rng) -> Option<Duration> {
        let retries = self.retries.as_ref().filter(|retries| retried < retries.count)?;
        // As in Envoy, where it is any part of the longest: what they share is one time, and this leaves more of it.
        Some(pause(&retries.backoff, retried, random.f64()))
    }

    /// The longest pause after a failed fetch.
    pub fn longest(&self) -> Duration {
        TICK.max(*self.backoff.end())
    }
}

/// The pause after so many others, less such a part. None is shorter than a [`TICK`], however many VMs look at the clock, and at each
/// request besides.
fn pause(backoff: &RangeInclusive<Duration>, before: u64, less: f64) -> Duration {
    let doublings = u32::try_from(before).unwrap_or(u32::MAX).min(16);
    let longest = backoff.start().saturating_mul(1 << doublings).min(*backoff.end());
    longest.mul_f64(1.0 - less).max(TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
        Duration::from_secs(from)..=Duration::from_secs(to)
    }

    /// The longest pause that can follow each number, in milliseconds, and a check that the shortest is such a part of it.
    fn pauses(
        numbers: RangeInclusive<u64>,
        shortest: f64,
        mut pause: impl FnMut(u64, &mut fastrand::Rng) -> Duration,
    ) -> Vec<u128> {
        let mut random = fastrand::Rng::with_seed(7);
        let longest = |number| {
            let pauses: Vec<u128> = (0..500).map(|_| pause(number, &mut random).as_millis()).collect();
            let (least, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            let rounded = longest.div_ceil(500) * 500;
            let part = *least as f64 / rounded as f64;
            assert!((shortest..shortest + 0.05).contains(&part), "{number}: {least} of {rounded}");
            rounded
        };
        numbers.map(longest).collect()
    }

    #[test]
    fn pauses_double_from_one_second_to_a_minute() {
        let pace = Pace::default();
        let expected = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(pauses(1..=8, 0.75, |failures, random| pace.after_failure(failures, random)), expected);
        assert_eq!(
            pauses(u64::MAX..=u64::MAX, 0.75, |failures, random| pace.after_failure(failures, random)),
            [60_000]
        );
    }

    #[test]
    fn failed_refetch_duration_is_one_pause_for_all_failures() {
        let pace = Pace { backoff: seconds(5, 5), retries: None };
        let mut random = fastrand::Rng::with_seed(7);
        for failures in 1..=4 {
            assert_eq!(pace.after_failure(failures, &mut random), Duration::from_secs(5));
        }
    }

    #[test]
    fn a_fetch_is_tried_again_so_often_and_no_more() {
        let pace = Pace { retries: Some(Retries { count: 3, backoff: seconds(20, 60) }), ..Pace::default() };
        let retries = pauses(0..=2, 0.0, |retried, random| pace.before_retry(retried, random).unwrap());
        assert_eq!(retries, [20_000, 40_000, 60_000]);
        let mut random = fastrand::Rng::with_seed(7);
        assert_eq!(pace.before_retry(3, &mut random), None);
        assert_eq!(Pace::default().before_retry(0, &mut random), None);
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
