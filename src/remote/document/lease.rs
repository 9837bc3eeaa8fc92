//! Whose turn it is to fetch: how a lease is claimed, and how it ends, with an answer or without.

use super::{Document, Task};
use crate::log::Level;
use crate::remote::cache_control::Freshness;
use crate::remote::fetched::{Fetched, Outcome, Validator};
use crate::remote::record::{Edition, Entry};
use crate::remote::{Content, Output, Record};
use crate::time::UnixTime;

/// A fetch, from its first request on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// When a fetch before its time was made before this one.
    pub forced_before: UnixTime,
    pub since: UnixTime,
}

/// Why nobody will hear the answer of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// The configuration is over. When a fetch before its time was made before this one.
    Stopped(UnixTime),
    /// The request is gone that made the call.
    Abandoned,
}

impl<T: Content> Document<T> {
    pub(super) fn claim(&mut self, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        let forced_at = if self.wanted { now } else { self.record.forced_at };
        let (lease_from, lease_until) = (now, now.plus(self.patience()));
        let is_given_up = self.record.is_given_up || self.is_too_old(now);
        let claimed =
            Record { forced_at, lease_from, lease_until, lease_holder: self.holder, is_given_up, ..self.record };
        self.task = Task::Claiming(claimed);
        vec![Output::Write(claimed.encode(), cas)]
    }

    pub(super) fn publish(&mut self, fetched: Fetched<T>, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        if self.record.lease_holder != self.holder {
            return vec![Output::Log(Level::Warn, format!("{}: a late answer was discarded", self.source.field))];
        }
        let mut outputs = Vec::new();
        let mut next = self.record.unleased();
        match &fetched {
            Fetched::Content { content, body, validator: Validator { address, etag }, freshness } => {
                if self.lost || self.content.as_ref() != Some(content) {
                    let version = next.edition.version.saturating_add(1);
                    next.edition = Edition { version, nonce: self.random.u64(..) };
                    outputs.push(Output::Store(Entry { edition: next.edition, address, etag, body }.encode()));
                }
                self.renew(&mut next, *freshness, now);
            }
            Fetched::NotModified { freshness } => {
                self.renew(&mut next, freshness.unwrap_or(self.record.freshness), now)
            }
            Fetched::Failed(failure) => self.put_off(&mut next, failure.connection, now),
        }
        outputs.push(Output::Write(next.encode(), cas));
        self.task = Task::Ending(next, fetched);
        outputs
    }

    /// Ends a lease that ran out: its VM is gone, or its host never answered. What ends a VM may be what it fetched.
    pub(super) fn lapse(&mut self, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        let mut next = self.record.unleased();
        if self.is_due(now) && next.failures == 0 {
            // A VM that is gone is no fault of the source: whoever comes next calls at once.
            (next.failures, next.next_attempt) = (1, now);
        } else {
            self.put_off(&mut next, false, now);
        }
        self.task = Task::Lapsing(next);
        vec![Output::Write(next.encode(), cas)]
    }

    /// What came of it, once this VM is the one that ended it.
    pub(super) fn lapsed(&mut self, next: Record, now: UnixTime) -> Vec<Output> {
        let took = now.since(self.record.lease_from);
        self.record = next;
        let line = self.failed(next.failures, "nothing came of the fetch", now);
        vec![Output::Fetched(Outcome::Failed, took), line, Output::Changed]
    }

    /// Everybody else would wait for the end of the lease. All that the call took is given back where the configuration is over;
    /// where a client went away it is not, since clients could make one call after another by going away.
    pub(super) fn leave(&mut self, left: Left, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        if self.record.lease_holder != self.holder {
            return Vec::new();
        }
        let mut next = self.record.unleased();
        match left {
            Left::Stopped(forced_before) => next.forced_at = forced_before,
            // The cooldown runs on.
            Left::Abandoned if !self.is_due(now) => {}
            // Whoever comes next calls at once.
            Left::Abandoned if next.failures == 0 => (next.failures, next.next_attempt) = (1, now),
            // After that there are pauses. They do not grow: how long others wait for keys is not for those who leave to say.
            Left::Abandoned => {
                let pause = self.source.pace.after_failure(next.failures, false, &mut self.random);
                let longest = if next.failures == 1 { self.patience() } else { pause };
                next.next_attempt = now.plus(pause.min(longest));
            }
        }
        self.task = Task::Leaving(left);
        vec![Output::Write(next.encode(), cas)]
    }

    /// After a failure. A fetch before its time, for an unknown key, leaves the schedule as it was: the cooldown bounds those.
    fn put_off(&mut self, next: &mut Record, connection: bool, now: UnixTime) {
        if self.is_due(now) {
            next.failures = next.failures.saturating_add(1);
            next.next_attempt = now.plus(self.source.pace.after_failure(next.failures, connection, &mut self.random));
        }
    }

    fn renew(&mut self, next: &mut Record, freshness: Freshness, now: UnixTime) {
        next.freshness = freshness;
        next.fetched_at = now;
        next.failures = 0;
        next.is_given_up = false;
        next.next_attempt =
            now.plus(self.source.pace.after_success(freshness.within(self.source.lifetime), &mut self.random));
    }
}
