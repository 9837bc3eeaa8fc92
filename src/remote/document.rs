//! The life of one document in one VM: empty, loaded, stale; and when it is this VM's turn to fetch.
//!
//! Each tick reads the shared record. A newer version is loaded; a fetch that is due is claimed by writing a lease; whoever's
//! write wins makes the call and publishes the outcome. What comes late, after the lease was lost, is discarded, so an old
//! answer never overwrites a newer one. A VM that does not find the body of the current version fetches for itself.

mod calls;
mod own;

use std::rc::Rc;
use std::time::Duration;

use super::contract::{Gauge, Input, Need, Output};
use super::fetched::{Fetched, Validator};
use super::record::{digest, Edition, Entry};
use super::schedule::{Left, Schedule};
use super::{Content, Record, Source};
use crate::time::UnixTime;
use calls::{Begun, Step};
use own::OwnCalls;

/// How often a VM that loses a write to others tries to give its lease back.
const ATTEMPTS_TO_LEAVE: u8 = 8;

/// One document, as one VM sees it.
#[derive(Debug)]
pub struct Document<T> {
    shared_name: String,
    schedule: Schedule,
    content: Option<Rc<T>>,
    /// Which edition that is, and when the source confirmed it the last time that it was the current one.
    held: Edition,
    confirmed_at: UnixTime,
    generation: u64,
    /// Since when this VM looks for it.
    since: Option<UnixTime>,
    shown: Option<(u64, u64)>,
    /// The edition that was looked for last, whether its body was there or not.
    loaded: Edition,
    validator: Validator,
    task: Task<T>,
    /// How long it took to fetch what is to be published.
    took: Duration,
    own: OwnCalls,
    calls: u64,
    /// Whether the log says already that the host shares no body of this.
    is_said_not_shared: bool,
}

/// What this VM is doing about the document.
#[derive(Debug)]
enum Task<T> {
    Idle,
    /// Wrote this record, which holds our lease, and waits to hear whether it won.
    Claiming(Record),
    /// The call is under way.
    Calling {
        number: u64,
        step: Step,
        begun: Begun,
    },
    /// Gives the lease of a call back that nobody will hear the answer of, in so many more attempts.
    Leaving(Left, u8),
    /// Reads the record once more, to publish this.
    Publishing(Box<Fetched<T>>),
    /// Wrote this record, by which the log is to say that the content is too old to be used.
    GivingUp(Record),
    /// Wrote this record, which ends the lease.
    Ending(Record, Box<Fetched<T>>),
    /// Wrote this record, which ends a lease that ran out.
    Lapsing(Record),
}

// All of this is in the module once for each kind of document. What is called from several places is never inlined: that would be
// four kilobytes more.
impl<T: Content> Document<T> {
    /// A document that was never fetched. `seed` makes the jitter, and names this VM as a holder of leases: it must differ from VM
    /// to VM.
    pub fn new(source: Source, seed: u64) -> Self {
        Self {
            shared_name: source.shared_name(T::NAME),
            schedule: Schedule::new(source, T::NAME, seed),
            content: None,
            held: Edition::default(),
            confirmed_at: UnixTime::default(),
            generation: 0,
            since: None,
            shown: None,
            loaded: Edition::default(),
            validator: Validator::default(),
            task: Task::Idle,
            took: Duration::ZERO,
            own: OwnCalls::default(),
            calls: 0,
            is_said_not_shared: false,
        }
    }

    /// The name under which the VMs of one process share it: two configurations with the same source share it too.
    pub fn shared_name(&self) -> &str {
        &self.shared_name
    }

    /// The content, unless there was none yet or its source has not confirmed it for `max_stale`.
    pub fn content(&self, now: UnixTime) -> Option<&Rc<T>> {
        self.content.as_ref().filter(|_| now.since(self.confirmed_at()) <= self.schedule.source.max_stale)
    }

    /// When the source last confirmed the content of this VM. That of another edition, whose body is not there, says nothing of it.
    fn confirmed_at(&self) -> UnixTime {
        if self.held == self.schedule.record.edition {
            self.schedule.record.fetched_at
        } else {
            self.confirmed_at
        }
    }

    /// Counts the contents of this VM: changes whenever [`content`](Self::content) does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether waiting could meet `need`: a fetch is under way, due or about to be tried again, or what another VM fetched is not
    /// loaded yet.
    pub fn could_meet(&self, need: Need, now: UnixTime) -> bool {
        if need == Need::Newer && !self.schedule.source.refetch_on_unknown_kid {
            return false;
        }
        let due = match need {
            Need::Content => self.schedule.is_due(now) || self.schedule.is_retried_soon(now),
            Need::Newer => self.schedule.has_cooled_down(now),
        };
        due || self.schedule.is_found_soon(now)
            || !matches!(self.task, Task::Idle)
            || self.schedule.record.is_leased(now)
            || self.schedule.record.edition != self.loaded
    }

    /// Whether the first content may come soon: this VM has not looked for it any longer than a wait may take.
    pub fn is_coming(&self, now: UnixTime) -> bool {
        let is_new = self.since.is_none_or(|since| now.since(since) < self.patience());
        self.content.is_none() && is_new && self.could_meet(Need::Content, now)
    }

    /// Asks for a fetch before it is due, if the cooldown allows one.
    pub fn want_newer(&mut self, now: UnixTime) {
        self.schedule.wanted |= self.schedule.source.refetch_on_unknown_kid && self.schedule.has_cooled_down(now);
    }

    /// How long a wait that begins now may take.
    pub fn patience(&self) -> Duration {
        self.schedule.patience()
    }

    /// When the next fetch is due, from `now`.
    pub fn retry_after(&self, now: UnixTime) -> Duration {
        if self.schedule.is_due(now) {
            Duration::ZERO
        } else {
            self.schedule.pause(now)
        }
    }

    /// The whole engine.
    pub fn handle(&mut self, input: Input<'_>, now: UnixTime) -> Vec<Output> {
        match input {
            Input::Tick => vec![Output::Read],
            Input::Record(bytes, cas) => {
                let mut outputs = self.on_record(bytes.and_then(Record::decode), cas, now);
                outputs.extend(self.gauges(now));
                outputs
            }
            Input::Shared(bytes) => self.on_shared(bytes.and_then(Record::decode), now),
            Input::Written(won) => self.on_written(won, now),
            Input::Entry(bytes) => self.on_entry(bytes.and_then(Entry::decode), now),
            Input::NotStored => self.on_not_stored(),
            Input::Answer(number, answer) => self.on_answer(number, answer, now),
            Input::Own => self.on_own(now),
            Input::Abandoned(number) if !self.is_calling(number) => {
                self.own.take(number);
                Vec::new()
            }
            Input::Abandoned(_) => self.on_left(|_| Left::Abandoned),
            // What came already is published, or nobody would have it.
            Input::Stop if matches!(self.task, Task::Publishing(_)) => vec![Output::Read],
            Input::Stop => self.on_left(|begun| Left::Stopped(begun.forced_before)),
        }
    }

    #[inline(never)]
    fn on_record(&mut self, record: Option<Record>, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        // A record that is gone was never there or belongs to another version of the module: our own knowledge stays.
        let before = self.schedule.record;
        let record = self.take_record(record, now);
        let changed = record != before;
        if record.forced_at != before.forced_at || record.fetched_at != before.fetched_at {
            self.schedule.wanted = false;
        }
        if matches!(self.task, Task::Calling { .. }) && !self.schedule.record.is_leased(now) {
            // The host never answered. The number of the next call tells a late answer apart.
            self.task = Task::Idle;
        }

        let mut outputs = match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Publishing(fetched) => self.publish(fetched, cas, now),
            Task::Leaving(left, attempts) if self.schedule.is_holder() => {
                let next = self.schedule.left(left, now);
                self.write(Task::Leaving(left, attempts), next, cas)
            }
            Task::Leaving(..) => Vec::new(),
            // What a request waits for has not changed before it is read.
            Task::Idle if record.edition != self.loaded || self.may_be_found(changed, now) => {
                return vec![Output::Load]
            }
            Task::Idle if self.schedule.record.has_lapsed(now) => {
                let next = self.schedule.lapsed(now);
                self.write(Task::Lapsing(next), next, cas)
            }
            Task::Idle if self.schedule.is_free(now) => {
                let next = self.schedule.claimed(self.is_too_old(now), now);
                self.write(Task::Claiming(next), next, cas)
            }
            Task::Idle if self.is_too_old(now) && !self.schedule.is_given_up() => {
                let next = self.schedule.given_up();
                self.write(Task::GivingUp(next), next, cas)
            }
            task => {
                self.task = task;
                Vec::new()
            }
        };
        if changed {
            outputs.push(Output::Changed);
        }
        outputs
    }

    #[inline(never)]
    fn on_shared(&mut self, record: Option<Record>, now: UnixTime) -> Vec<Output> {
        if self.take_record(record, now).edition == self.loaded {
            Vec::new()
        } else {
            vec![Output::Load]
        }
    }

    /// Takes over what is shared.
    #[inline(never)]
    fn take_record(&mut self, record: Option<Record>, now: UnixTime) -> Record {
        self.confirmed_at = self.confirmed_at().min(now);
        self.schedule.record = record.unwrap_or(self.schedule.record).at(now);
        self.schedule.record
    }

    /// Whether what is missing may be there now: someone wrote, or was between the two writes of a fetch.
    #[inline(never)]
    fn may_be_found(&mut self, changed: bool, now: UnixTime) -> bool {
        let losses = &mut self.schedule.losses;
        losses.is_lost() && (changed || losses.looks_again(now))
    }

    /// Writes a record, as the next step of this task.
    #[inline(never)]
    fn write(&mut self, task: Task<T>, next: Record, cas: Option<u32>) -> Vec<Output> {
        self.task = task;
        vec![Output::Write(next.encode(), cas)]
    }

    fn publish(&mut self, fetched: Box<Fetched<T>>, cas: Option<u32>, now: UnixTime) -> Vec<Output> {
        if !self.schedule.is_holder() {
            // Whoever ended the lease counted it.
            return vec![self.schedule.said().late()];
        }
        let mut outputs = Vec::new();
        let next = match &*fetched {
            Fetched::Content { content, body, validator: Validator { address, etag }, freshness } => {
                let mut next = self.schedule.renewed(*freshness, now);
                let (is_lost, digest) = (self.schedule.losses.is_lost(), digest(body));
                let is_held = self.held == next.edition && self.content.as_ref() == Some(content);
                let is_current = if is_lost { next.edition.body == digest } else { is_held };
                if !is_current {
                    next.edition = self.schedule.next_edition(digest);
                }
                if is_lost || !is_current {
                    outputs.push(Output::Store(Entry { edition: next.edition, address, etag, body }.encode()));
                }
                next
            }
            Fetched::NotModified { freshness } => {
                self.schedule.renewed(freshness.unwrap_or(self.schedule.record.freshness), now)
            }
            Fetched::Failed(failure) => self.schedule.put_off(failure, now),
        };
        outputs.extend(self.write(Task::Ending(next, fetched), next, cas));
        outputs
    }

    fn on_written(&mut self, won: bool, now: UnixTime) -> Vec<Output> {
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Claiming(claimed) if won => {
                self.schedule.wanted = false;
                let (forced_before, ends) = (self.schedule.record.forced_at, self.schedule.ends(now));
                let mut outputs = self.schedule.take_given_up(claimed);
                outputs.extend(self.begin(Begun { forced_before, since: now, ends, is_own: false }, now));
                outputs
            }
            Task::GivingUp(next) if won => self.schedule.take_given_up(next),
            Task::Lapsing(next) if won => self.schedule.take_lapsed(next, self.content(now).is_some()),
            Task::Ending(next, fetched) if won => self.end(next, *fetched, now),
            // Someone else wrote in between: the next tick reads again and publishes then.
            Task::Ending(_, fetched) => {
                self.task = Task::Publishing(fetched);
                Vec::new()
            }
            // A host that takes no write at all is not asked for ever: the lease runs out.
            Task::Leaving(left, attempts) if !won && attempts > 0 => {
                self.task = Task::Leaving(left, attempts.saturating_sub(1));
                vec![Output::Read]
            }
            _ => Vec::new(),
        }
    }

    /// What is to be shown, with each second: in Envoy, a configuration that is on its way out shows what it has under the same names.
    #[inline(never)]
    fn gauges(&mut self, now: UnixTime) -> Vec<Output> {
        // A clock that was set back must not make it longer.
        let since = self.since.map_or(now, |since| since.min(now));
        self.since = Some(since);
        // One that never came grows old, too: whoever looks at ages alone is to see that it is missing.
        let age = now.since(if self.content.is_some() { self.confirmed_at() } else { since });
        let seen = (self.content(now).map_or(0, |content| content.length() as u64), age.as_secs());
        if self.shown.replace(seen) == Some(seen) {
            return Vec::new();
        }
        vec![Output::Gauge(Gauge::Length, seen.0), Output::Gauge(Gauge::Age, seen.1)]
    }

    #[inline(never)]
    fn take(&mut self, content: Rc<T>, edition: Edition) {
        self.content = Some(content);
        (self.loaded, self.held) = (edition, edition);
        self.schedule.losses.found();
        self.generation = self.generation.wrapping_add(1);
    }

    fn end(&mut self, next: Record, fetched: Fetched<T>, now: UnixTime) -> Vec<Output> {
        let is_new = next.edition != self.schedule.record.edition;
        let stays = self.content(now).is_some();
        let mut outputs = vec![Output::Fetched(fetched.outcome(), self.took)];
        outputs.extend(self.schedule.ended(next, fetched.failure(), stays));
        if let Fetched::Content { content, validator, .. } = fetched {
            self.validator = validator;
            if is_new {
                outputs.push(self.schedule.said().changed(&content.summary()));
            }
            if is_new || self.schedule.losses.is_lost() {
                self.take(content, next.edition);
            }
        }
        self.schedule.record = next;
        self.schedule.wanted = false;
        outputs.push(Output::Changed);
        outputs
    }

    fn on_entry(&mut self, entry: Option<Entry<'_>>, now: UnixTime) -> Vec<Output> {
        let edition = self.schedule.record.edition;
        let is_looked_for_again = self.loaded == edition;
        self.loaded = edition;
        let mut outputs = Vec::new();
        // The body is written before the record: another edition means that a third VM is at it, and its record comes next. If
        // none comes, as from a VM that lost its lease in between, the body is lost, and only a fetch brings it back.
        match entry.filter(|entry| entry.edition == edition).map(|entry| (T::parse(entry.body), entry)) {
            Some((Ok(mut content), entry)) => {
                self.content.iter().for_each(|before| content.inherit(before));
                self.take(Rc::new(content), edition);
                self.validator = Validator { address: entry.address.to_owned(), etag: entry.etag.to_owned() };
            }
            _ if is_looked_for_again => {}
            missing => {
                self.schedule.lose(now);
                if let Some((Err(problem), _)) = missing {
                    outputs.push(self.schedule.said().unreadable(&problem));
                }
            }
        }
        outputs.push(Output::Changed);
        outputs
    }

    #[inline(never)]
    fn on_not_stored(&mut self) -> Vec<Output> {
        if std::mem::replace(&mut self.is_said_not_shared, true) {
            return Vec::new();
        }
        vec![self.schedule.said().not_shared()]
    }

    #[inline(never)]
    fn on_left(&mut self, why: impl FnOnce(Begun) -> Left) -> Vec<Output> {
        match self.task {
            Task::Calling { begun, .. } => {
                self.task = Task::Leaving(why(begun), ATTEMPTS_TO_LEAVE);
                vec![Output::Read]
            }
            _ => Vec::new(),
        }
    }

    /// Whether there is content, and its source has not confirmed it for too long.
    #[inline(never)]
    fn is_too_old(&self, now: UnixTime) -> bool {
        self.content.is_some() && self.content(now).is_none()
    }
}
