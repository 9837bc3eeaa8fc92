//! What the VMs of one process share about a source: a small record that is compared and swapped, and the body beside it.

use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::cache_control::Freshness;
use crate::limits::WAIT_MARGIN;
use crate::time::{millis, UnixTime};

/// The shared state of one source. All zero before the first fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Which content is current.
    pub edition: Edition,
    /// When the source last confirmed the content.
    pub fetched_at: UnixTime,
    /// When the next fetch is due.
    pub next_attempt: UnixTime,
    /// Failed fetches since the last good one. One that is tried again counts already.
    pub failures: u64,
    /// How often the last one was tried again, or is about to be; 0 if the next attempt begins another.
    pub retried: u64,
    /// How many calls in a row the host did not make, as of an upstream that it has not found yet.
    pub not_sent: u64,
    /// Until when that may go on: all of its attempts share one time.
    pub ends_at: UnixTime,
    /// Whether the last one that was due has lapsed: nothing came of it in time, and what ended its VM may be what it fetched.
    pub lapsed: bool,
    /// When an unknown key last asked for a fetch.
    pub forced_at: UnixTime,
    /// Since when a fetch is someone's; after a failure, since when the pause is.
    pub lease_from: UnixTime,
    /// Until when; over before `now` if none is under way.
    pub lease_until: UnixTime,
    /// Whose it is.
    pub lease_holder: u64,
    /// What the source asks for in `Cache-Control`.
    pub freshness: Freshness,
    /// The longest `max_stale` of which the log says already that it is over; zero, if none.
    pub given_up: Duration,
}

/// Names one content. Two VMs may both publish what they take for the next one, and the lease of one of them was over: unless the
/// bodies are the same, the editions differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edition {
    /// Counts the contents; 0 means that there was none yet.
    pub version: u64,
    /// A digest of the body: who has to fetch it once more knows it again.
    pub body: u64,
}

/// Changes with the layout of record or body. It begins a record, and is part of the names of what is shared: two versions of the module
/// in one process do not take turns at what neither can read.
pub(super) const LAYOUT: &str = "jwtgate7";

const MAGIC: u64 = match LAYOUT.as_bytes().first_chunk() {
    Some(bytes) => u64::from_le_bytes(*bytes),
    None => 0,
};

/// No `max-age`.
const UNASKED: u64 = u64::MAX;

// What is long is never inlined: that would be once for every kind of document.
impl Record {
    /// Whether a fetch is under way. The lease knows its own length, because whoever holds it may have another timeout; one that
    /// lasts for more than twice that is a clock that was set back by more than a little.
    pub fn is_leased(&self, now: UnixTime) -> bool {
        let length = self.lease_until.since(self.lease_from);
        self.lease_until > now && self.lease_until.since(now) <= length.saturating_mul(2)
    }

    /// Whether a fetch was begun of which nothing came in its time, as far as that can be told.
    pub fn has_lapsed(&self, now: UnixTime) -> bool {
        self.lease_holder != 0 && !self.is_leased(now)
    }

    /// The same without a fetch under way.
    #[must_use]
    #[inline(never)]
    pub fn unleased(self) -> Self {
        Self { lease_until: UnixTime::default(), lease_holder: 0, ..self }
    }

    /// The record as it is to be read at `now`. If it was fetched later than that, the clock was set back: the content counts as
    /// fetched now, or it would serve until that time comes and longer, and the next fetch is due.
    #[must_use]
    #[inline(never)]
    pub fn at(self, now: UnixTime) -> Self {
        if self.fetched_at <= now.plus(WAIT_MARGIN) {
            return self;
        }
        Self { fetched_at: now, next_attempt: self.next_attempt.min(now), ..self }
    }

    /// The record as shared bytes.
    #[inline(never)]
    pub fn encode(&self) -> Vec<u8> {
        [
            MAGIC,
            self.edition.version,
            self.edition.body,
            self.fetched_at.as_millis(),
            self.next_attempt.as_millis(),
            self.failures,
            self.retried,
            self.not_sent,
            self.ends_at.as_millis(),
            u64::from(self.lapsed),
            self.forced_at.as_millis(),
            self.lease_from.as_millis(),
            self.lease_until.as_millis(),
            self.lease_holder,
            self.freshness.asked.map_or(UNASKED, millis),
            millis(self.given_up),
        ]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
    }

    /// Reads shared bytes; `None` if they are no record of this version.
    #[inline(never)]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: Vec<u64> =
            bytes.chunks(8).map(|field| Some(u64::from_le_bytes(field.try_into().ok()?))).collect::<Option<_>>()?;
        match *fields.as_slice() {
            [MAGIC, version, body, fetched_at, next_attempt, failures, retried, not_sent, ends_at, lapsed, forced_at, lease_from, lease_until, lease_holder, asked, given_up] => {
                Some(Self {
                    edition: Edition { version, body },
                    fetched_at: UnixTime::from_millis(fetched_at),
                    next_attempt: UnixTime::from_millis(next_attempt),
                    failures,
                    retried,
                    not_sent,
                    ends_at: UnixTime::from_millis(ends_at),
                    lapsed: lapsed != 0,
                    forced_at: UnixTime::from_millis(forced_at),
                    lease_from: UnixTime::from_millis(lease_from),
                    lease_until: UnixTime::from_millis(lease_until),
                    lease_holder,
                    freshness: Freshness { asked: (asked != UNASKED).then_some(Duration::from_millis(asked)) },
                    given_up: Duration::from_millis(given_up),
                })
            }
            _ => None,
        }
    }
}

/// A body as shared: with the edition that it is, and what the next fetch sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The [`Record::edition`] that this is the body of.
    pub edition: Edition,
    /// The address that answered it.
    pub address: &'a str,
    /// `ETag`, empty if there was none.
    pub etag: &'a str,
    /// As the source sent it.
    pub body: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry as shared bytes.
    pub fn encode(&self) -> Vec<u8> {
        let numbers =
            [MAGIC, self.edition.version, self.edition.body, self.address.len() as u64, self.etag.len() as u64];
        let texts = self.address.len() + self.etag.len() + self.body.len();
        let mut bytes = Vec::with_capacity(size_of_val(&numbers) + texts);
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend_from_slice(self.address.as_bytes());
        bytes.extend_from_slice(self.etag.as_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Reads shared bytes; `None` if they are no body of this version.
    pub fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let (magic, version, digest) = (number(&mut bytes)?, number(&mut bytes)?, number(&mut bytes)?);
        if magic != MAGIC {
            return None;
        }
        let (address, etag) = (number(&mut bytes)?, number(&mut bytes)?);
        let (address, etag) = (text(&mut bytes, address)?, text(&mut bytes, etag)?);
        Some(Self { edition: Edition { version, body: digest }, address, etag, body: bytes })
    }
}

/// The digest of a body by which editions are told apart. Whoever could make two alike has the source speak as it likes.
pub(super) fn digest(body: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(body);
    hasher.finish128().h1
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn text<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a str> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_reads_back_and_anything_else_is_ignored() {
        let edition = Edition { version: 7, body: 8 };
        let record = Record {
            edition,
            lease_holder: u64::MAX,
            fetched_at: UnixTime::from_secs(5),
            retried: 3,
            not_sent: 2,
            ends_at: UnixTime::from_secs(4),
            lapsed: true,
            freshness: Freshness { asked: Some(Duration::from_secs(60)) },
            given_up: Duration::from_secs(60),
            ..Record::default()
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        let silent = Record { freshness: Freshness::default(), ..record };
        assert_eq!(Record::decode(&silent.encode()), Some(silent));
        for length in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
        assert_eq!(Record::decode(&vec![0; bytes.len()]), None);
        assert_eq!(Record::decode(&[&bytes[..], &[0; 8]].concat()), None);

        let entry = Entry { edition, address: "http://x/", etag: "\"x\"", body: b"{}" };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes).as_ref(), Some(&entry));
        for length in 0..bytes.len() - entry.body.len() {
            assert_eq!(Entry::decode(&bytes[..length]), None);
        }
        assert_eq!(Entry::decode(&[0xff; 64]), None);
        assert_eq!(Entry::decode(&[&bytes[..24], &[0xff; 40]].concat()), None);
    }
}
