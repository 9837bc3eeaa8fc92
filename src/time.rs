//! Points in time and what is done with them: integers only, saturating, never a panic on an extreme claim.

use std::time::Duration;

/// Milliseconds since the Unix epoch. Arithmetic saturates: an expiry beyond the end of time lies at the end of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The time that is `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The time that is `secs` seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time, later by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it has yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The whole milliseconds of `duration`, saturating.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends_of_time() {
        let end = UnixTime::from_secs(u64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(UnixTime::from_secs(1).since(end), Duration::ZERO);
        assert_eq!(UnixTime::from_secs(3).since(UnixTime::from_secs(1)), Duration::from_secs(2));
    }
}
