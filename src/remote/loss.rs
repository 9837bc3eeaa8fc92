//! Bodies that a VM looked for in what the process shares and did not find: whoever published one stopped between its two writes,
//! or the host keeps none of that size. Then each VM fetches for itself, at a pace of its own: fetches that answer each other would
//! have no end.

use std::time::Duration;

use super::Pace;
use crate::limits::TICK;
use crate::time::UnixTime;

/// What one VM misses.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// When it is to fetch what it misses; `None` if it misses nothing.
    due: Option<UnixTime>,
    /// Whether it was looked for once more by then.
    is_looked_for: bool,
    /// Since when it missed something the last time, and how often before that in a row.
    last: UnixTime,
    in_a_row: u64,
}

impl Losses {
    /// Whether something is missing.
    pub fn is_lost(&self) -> bool {
        self.due.is_some()
    }

    /// When it is to be fetched.
    pub fn due(&self) -> Option<UnixTime> {
        self.due
    }

    /// Whether it is time to look once more, before a fetch.
    pub fn looks_again(&mut self, now: UnixTime) -> bool {
        self.due.is_some_and(|due| due <= now) && !std::mem::replace(&mut self.is_looked_for, true)
    }

    /// Nothing is missing any more.
    pub fn found(&mut self) {
        self.due = None;
    }

    /// The body of a new edition is missing. The first time it may be on its way: it is looked for once more before it is fetched. No
    /// pause is longer than the `lifetime` of what is fetched, nor does another loss put off what is due already.
    pub fn lost(&mut self, pace: &Pace, lifetime: Duration, random: &mut fastrand::Rng, now: UnixTime) {
        let is_another = self.last.plus(pace.longest().saturating_mul(2)) >= now && self.last <= now;
        self.in_a_row = if is_another { self.in_a_row.saturating_add(1) } else { 0 };
        self.last = now;
        let pause = if self.in_a_row == 0 { TICK } else { pace.after_failure(self.in_a_row, random) };
        let due = now.plus(pause.min(lifetime));
        (self.due, self.is_looked_for) = (Some(self.due.map_or(due, |before| before.min(due))), false);
    }
}
