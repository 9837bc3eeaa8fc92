//! When the next fetch of a document is due, and whose it is: what each VM makes of the shared record.
//!
//! Methods that come to a record say what is to be written; who asked takes it over once it is, with what the log says then.

use std::time::Duration;

use super::cache_control::Freshness;
use super::fetched::{Failure, FailureKind, Outcome};
use super::loss::Losses;
use super::record::Edition;
use super::said::Said;
use super::{Output, Pace, Record, Source};
use crate::limits::{NOT_SENT_PAUSES, TICK, WAIT_MARGIN};
use crate::time::UnixTime;

/// The schedule of one document, as one VM sees it.
#[derive(Debug)]
pub(super) struct Schedule {
    pub source: Source,
    pub record: Record,
    /// Somebody asks for a fetch before it is due.
    pub wanted: bool,
    /// The shared bodies that were not there.
    pub losses: Losses,
    name: &'static str,
    random: fastrand::Rng,
    holder: u64,
}

/// Why nobody will hear the answer of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// The configuration is over. When a fetch before its time was made before this one.
    Stopped(UnixTime),
    /// The request is gone that made the call.
    Abandoned,
}

// What is long is never inlined: that would be once for every kind of document.
impl Schedule {
    /// Of a document that is called `name`. `seed` makes the jitter, and names this VM as a holder of leases.
    #[inline(never)]
    pub fn new(source: Source, name: &'static str, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let holder = random.u64(1..);
        let (record, wanted, losses) = Default::default();
        Self { source, record, wanted, losses, name, random, holder }
    }

    /// What the log says of it.
    pub fn said(&self) -> Said<'_> {
        Said { field: &self.source.field, name: self.name }
    }

    /// How long a wait that begins now may take.
    pub fn patience(&self) -> Duration {
        self.source.longest().saturating_add(WAIT_MARGIN)
    }

    /// Whether the next fetch is due: its time has come, the content is as old as this configuration allows or lost, or, after a
    /// failure, the clock was set back.
    #[inline(never)]
    pub fn is_due(&self, now: UnixTime) -> bool {
        let Record { next_attempt, lease_from, failures, .. } = self.record;
        if failures > 0 {
            // How long the pause is was for whoever made the fetch to say, whose configuration may be another one; but not when
            // that was.
            return next_attempt <= now || lease_from > now.plus(WAIT_MARGIN);
        }
        let longest = self.source.pace.longest().max(self.source.longest());
        let is_over = |pause_until: UnixTime| pause_until <= now || pause_until.since(now) > longest;
        next_attempt <= now || self.is_old(now) || self.losses.due().is_some_and(is_over)
    }

    /// Whether the content is too old for this configuration, though not for the one that fetched it.
    fn is_old(&self, now: UnixTime) -> bool {
        let Record { next_attempt, fetched_at, .. } = self.record;
        let Source { lifetime, pace, .. } = &self.source;
        // A part of the lifetime as well, by which all VMs mean the same.
        let due = || pace.after_success(*lifetime, &mut fastrand::Rng::with_seed(fetched_at.as_millis()));
        next_attempt.since(fetched_at) > *lifetime && now.since(fetched_at) >= due()
    }

    /// Whether what this VM misses is fetched within what a wait may take.
    pub fn is_found_soon(&self, now: UnixTime) -> bool {
        // After a failure the pause counts.
        self.record.failures == 0 && self.losses.due().is_some_and(|due| due.since(now) < self.patience())
    }

    /// The body of the current edition is not among what is shared.
    #[inline(never)]
    pub fn lose(&mut self, now: UnixTime) {
        self.losses.lost(&self.source.pace, self.source.lifetime, &mut self.random, now);
    }

    /// How long it is until a fetch is due.
    pub fn pause(&self, now: UnixTime) -> Duration {
        let pause = self.record.next_attempt.since(now);
        let due = self.losses.due().filter(|_| self.record.failures == 0);
        due.map_or(pause, |due| pause.min(due.since(now)))
    }

    /// Whether a fetch may begin.
    #[inline(never)]
    pub fn is_free(&self, now: UnixTime) -> bool {
        !self.record.is_leased(now) && (self.is_due(now) || (self.wanted && self.has_cooled_down(now)))
    }

    /// Whether `retry_policy` has an attempt left within what a wait may take, or the host has not found the upstream yet.
    #[inline(never)]
    pub fn is_retried_soon(&self, now: UnixTime) -> bool {
        // Of the first fetch alone: in a long outage nobody waits for what has failed so often.
        let Record { failures, retried, not_sent, next_attempt, .. } = self.record;
        failures == 1 && (retried > 0 || not_sent > 0) && next_attempt.since(now) < self.patience()
    }

    /// Whether a fetch before its time may begin.
    pub fn has_cooled_down(&self, now: UnixTime) -> bool {
        self.record.forced_at > now || now.since(self.record.forced_at) >= self.source.cooldown
    }

    /// Whether the lease is this VM's.
    pub fn is_holder(&self) -> bool {
        self.record.lease_holder == self.holder
    }

    /// Until when the request may take that is made now. An attempt that follows a failed one has what is left of its time, as in
    /// jwt_authn, and a [`TICK`] at least, since nobody looks at the clock more often.
    #[inline(never)]
    pub fn ends(&self, now: UnixTime) -> UnixTime {
        let longest = now.plus(self.source.longest());
        if self.record.retried > 0 && self.is_due(now) && !self.is_late(now) {
            self.record.ends_at.max(now.plus(TICK)).min(longest)
        } else {
            longest
        }
    }

    /// Whether the time of the fetch has been over for long, as after a clock that was set forth, or a machine that slept: its next
    /// attempt has another time as long, and is the last.
    fn is_late(&self, now: UnixTime) -> bool {
        self.record.ends_at.plus(WAIT_MARGIN) < now
    }

    /// Claims the lease.
    #[inline(never)]
    pub fn claimed(&self, is_too_old: bool, now: UnixTime) -> Record {
        let forced_at = if self.wanted { now } else { self.record.forced_at };
        // No longer than any other fetch where the clock was set back. One before its time moves the end of no other.
        let longest = now.plus(self.source.longest());
        let (retried, ends_at) = match self.record.retried {
            0 => (0, longest),
            _ if self.is_late(now) => (u64::MAX, longest),
            retried => (retried, self.record.ends_at.min(longest)),
        };
        let (lease_from, lease_until) = (now, self.ends(now).plus(WAIT_MARGIN));
        let Record { given_up, .. } = if is_too_old { self.given_up() } else { self.record };
        // Whatever made it due, it stays so: what tells of a clock that was set back is overwritten here.
        let next_attempt = if self.is_due(now) { self.record.next_attempt.min(now) } else { self.record.next_attempt };
        Record {
            next_attempt,
            forced_at,
            retried,
            ends_at,
            lease_from,
            lease_until,
            lease_holder: self.holder,
            given_up,
            ..self.record
        }
    }

    /// Whether the log says that the content is too old for whoever lets it serve as long as this source.
    pub fn is_given_up(&self) -> bool {
        self.record.given_up >= self.source.max_stale
    }

    /// The record with that noted.
    pub fn given_up(&self) -> Record {
        Record { given_up: self.record.given_up.max(self.source.max_stale), ..self.record }
    }

    /// Ends the lease with an answer, which has the content confirmed.
    #[inline(never)]
    pub fn renewed(&mut self, freshness: Freshness, now: UnixTime) -> Record {
        let lifetime = freshness.within(self.source.lifetime);
        let next_attempt = now.plus(self.source.pace.after_success(lifetime, &mut self.random));
        let (failures, retried, not_sent, lapsed, given_up) = (0, 0, 0, false, Duration::ZERO);
        Record {
            freshness,
            fetched_at: now,
            failures,
            retried,
            not_sent,
            lapsed,
            given_up,
            next_attempt,
            ..self.record.unleased()
        }
    }

    /// Names a new content, with this body.
    pub fn next_edition(&self, body: u64) -> Edition {
        Edition { version: self.record.edition.version.saturating_add(1), body }
    }

    /// Ends the lease after a failure. A fetch before its time, for an unknown key, leaves the schedule as it was: the cooldown bounds
    /// those.
    pub fn put_off(&mut self, failure: &Failure, now: UnixTime) -> Record {
        if self.is_due(now) {
            self.failed(failure.kind, now)
        } else {
            self.record.unleased()
        }
    }

    /// Ends a lease that ran out: its VM is gone, or its host never answered. What ends a VM may be what it fetched.
    #[inline(never)]
    pub fn lapsed(&mut self, now: UnixTime) -> Record {
        // What was due to whoever claimed it may not be to this VM.
        let is_forced = self.record.forced_at == self.record.lease_from;
        match self.record.failures {
            _ if is_forced && !self.is_due(now) => self.record.unleased(),
            // A VM that is gone is no fault of the source, nor is a clock that was set back: whoever comes next calls at once.
            failures if failures == 0 || self.record.lease_until > now => {
                Record { failures: failures.max(1), lapsed: true, ..self.paused(Duration::ZERO, now) }
            }
            _ => Record { lapsed: true, ..self.failed(FailureKind::Content, now) },
        }
    }

    /// The fetch is tried again where another attempt may mend the failure and begins while some of its time is left.
    #[inline(never)]
    fn failed(&mut self, kind: FailureKind, now: UnixTime) -> Record {
        let pace = &self.source.pace;
        let Record { failures, retried, ends_at, not_sent: before, .. } = self.record;
        let not_sent = if kind == FailureKind::NotSent { before.saturating_add(1) } else { 0 };
        // Whom nobody asked has not failed: that comes from the host, which may find the upstream at any time, as when it starts.
        let is_looked_for = (1..=NOT_SENT_PAUSES).contains(&not_sent);
        // Nor is the first failure after that the second one.
        let counts = failures == 0 || !(is_looked_for || (before > 0 && not_sent == 0));
        let failures = failures.saturating_add(u64::from(retried == 0 && counts));
        let is_mended = kind == FailureKind::Connection;
        let soon = if is_mended { pace.before_retry(retried, &mut self.random) } else { None };
        let (retried, pause) = match soon.filter(|pause| now.plus(*pause) < ends_at) {
            Some(pause) => (retried.saturating_add(1), pause),
            None if is_looked_for => (0, Pace::while_looked_for(&mut self.random)),
            None => (0, pace.after_failure(failures, &mut self.random)),
        };
        Record { failures, retried, not_sent, lapsed: false, ..self.paused(pause, now) }
    }

    /// Ends the lease, and lets a pause follow that begins now: of a clock that is set back later, that tells.
    fn paused(&self, pause: Duration, now: UnixTime) -> Record {
        Record { next_attempt: now.plus(pause), lease_from: now, ..self.record.unleased() }
    }

    /// Ends the lease of a call that nobody will hear the answer of: everybody else would wait for its end. All that the call took is
    /// given back where the configuration is over; where a client went away it is not, since clients could make one call after another
    /// by going away.
    #[inline(never)]
    pub fn left(&mut self, why: Left, now: UnixTime) -> Record {
        let mut next = self.record.unleased();
        match why {
            Left::Stopped(forced_before) => {
                next.forced_at = forced_before;
                next.ends_at = next.ends_at.plus(now.since(next.lease_from));
            }
            // The cooldown runs on.
            Left::Abandoned if !self.is_due(now) => {}
            // Whoever comes next calls at once.
            Left::Abandoned if next.failures == 0 => next = Record { failures: 1, ..self.paused(Duration::ZERO, now) },
            // After that there are pauses. They do not grow: how long others wait for keys is not for those who leave to say.
            Left::Abandoned => {
                // So do further attempts end.
                let pause = self.source.pace.after_failure(next.failures, &mut self.random);
                let longest = if next.failures == 1 { self.patience() } else { pause };
                next = Record { retried: 0, ..self.paused(pause.min(longest), now) };
            }
        }
        next
    }

    /// Takes over the record that ended a lease which ran out.
    #[inline(never)]
    pub fn take_lapsed(&mut self, next: Record, stays: bool) -> Vec<Output> {
        let took = self.record.lease_until.since(self.record.lease_from);
        self.record = next;
        let line = self.said().failed(&next, "nothing came of the fetch", stays);
        vec![Output::Fetched(Outcome::Failed, took), line, Output::Changed]
    }

    /// Takes over a record that was written, and says so if the content is too old since then: of all VMs, one does.
    #[inline(never)]
    pub fn take_given_up(&mut self, next: Record) -> Vec<Output> {
        let is_news = next.given_up > self.record.given_up;
        self.record = next;
        is_news.then(|| self.said().given_up(self.source.max_stale.as_secs())).into_iter().collect()
    }

    /// What the log says of the record that ends a lease, before it is taken over; nothing of a new content.
    #[inline(never)]
    pub fn ended(&self, next: Record, failure: Option<&Failure>, stays: bool) -> Option<Output> {
        // What is tried each second is not said each time.
        if (2..=NOT_SENT_PAUSES).contains(&next.not_sent) && !next.not_sent.is_power_of_two() {
            return None;
        }
        if let Some(failure) = failure {
            return Some(self.said().failed(&next, &failure.problem, stays));
        }
        let Record { failures, given_up, .. } = self.record;
        let is_good_again = (failures > 0 && next.failures == 0) || (!given_up.is_zero() && next.given_up.is_zero());
        (is_good_again && next.edition == self.record.edition).then(|| self.said().confirmed(failures))
    }
}
