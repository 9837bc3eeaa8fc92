//! Tokens that verified, so that a token that comes again costs no signature check.
//!
//! A hit skips shape, header, key and signature, and nothing else: time, issuer, audience, revocation and authorization are
//! checked on every request, and so is that the key set has not lost the key. Only tokens that verified come in, and that are meant
//! for who verified them; a flood of others leaves no trace, and one of good tokens that are seen once does not push out those that
//! come again: the eviction resists scans.
//!
//! Where several providers look at one token, each has its own outcome. That one of them refuses a token, or that it is meant for
//! others, is remembered, too, but only beside another that it is good for: or each request would be checked in vain by all the
//! others.
//!
//! A token is remembered by a fingerprint: SipHash-1-3 of all its bytes, 128 bits, under a key that differs from VM to VM. Neither
//! the key nor any fingerprint is ever seen outside, so whoever wants a forgery to be taken for another token can only guess.

use std::cell::Cell;
use std::hash::Hasher;
use std::iter;
use std::rc::Rc;

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

use crate::hashed::ByNumber;
use crate::jose::Verified;
use crate::jwt_verify;
use crate::keys::KeySet;
use crate::limits::CACHED_TOKEN_BYTES;
use crate::verdict::Reason;

/// How much is remembered: `token_cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// `max_entries`; 0 switches the cache off.
    pub max_entries: usize,
    /// `max_token_size`, in bytes: longer tokens are checked every time.
    pub max_token_size: usize,
}

/// The tokens of one VM.
pub struct TokenCache {
    limits: CacheLimits,
    fingerprints: SipHasher13,
    entries: Cache<u128, Entry, ByBytes, ByNumber>,
    counts: Counts,
}

/// What counts as a use of a token: it comes again with another request, not where one request is decided once more, or where its rule
/// asks a provider twice.
enum Counts {
    /// Of all tokens but these, which the request was seen to have.
    But(SmallVec<[u128; 1]>),
    /// Of none.
    Nothing,
}

impl Counts {
    /// Takes note of a token; whether it counts.
    fn note(&mut self, fingerprint: u128) -> bool {
        match self {
            Self::But(seen) if !seen.contains(&fingerprint) => {
                seen.push(fingerprint);
                true
            }
            _ => false,
        }
    }
}

/// Stands for one token.
#[derive(Clone, Copy)]
pub struct Fingerprint(u128);

/// What came of one token.
#[derive(Clone)]
struct Entry {
    first: Outcome,
    /// For other providers.
    others: Vec<Outcome>,
}

/// What came of it for one provider.
#[derive(Clone)]
struct Outcome {
    provider: u64,
    found: Remembered,
    /// Of the key set by which it was checked.
    generation: Cell<u64>,
}

/// A token that verified, in the form of either semantics, or the reason why it did not.
#[derive(Clone)]
pub enum Remembered {
    /// The gate's own.
    Gate(Rc<Verified>),
    /// `semantics: jwt_authn`.
    JwtAuthn(Rc<jwt_verify::Verified>),
    /// What the gate's own said instead.
    Refused(Reason),
}

impl Entry {
    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        iter::once(&self.first).chain(&self.others)
    }

    fn of(&self, provider: u64) -> Option<&Outcome> {
        self.outcomes().find(|outcome| outcome.provider == provider)
    }

    fn put(&mut self, outcome: Outcome) {
        let known = iter::once(&mut self.first).chain(&mut self.others);
        match known.into_iter().find(|known| known.provider == outcome.provider) {
            Some(known) => *known = outcome,
            None => self.others.push(outcome),
        }
    }
}

impl Outcome {
    fn size(&self) -> usize {
        let held = match &self.found {
            Remembered::Gate(verified) => verified.size(),
            Remembered::JwtAuthn(verified) => verified.size(),
            Remembered::Refused(_) => 0,
        };
        size_of::<Self>() + held
    }
}

/// Weighs an entry by what it holds, and a small one like an average one: so the bound on bytes is one on entries too.
#[derive(Clone)]
struct ByBytes;

impl Weighter<u128, Entry> for ByBytes {
    fn weight(&self, _: &u128, entry: &Entry) -> u64 {
        entry.outcomes().map(Outcome::size).sum::<usize>().max(CACHED_TOKEN_BYTES) as u64
    }
}

/// The weight of so many tokens. A part of it is kept for what is new, so one alone would find no place in what it weighs.
pub fn capacity(max_entries: usize) -> u64 {
    let for_one = usize::from(max_entries == 1) * CACHED_TOKEN_BYTES / 16;
    max_entries.saturating_mul(CACHED_TOKEN_BYTES).saturating_add(for_one) as u64
}

/// How many tokens that it has forgotten the cache knows again, by half of their fingerprints, as a part of those that it remembers: one
/// that begins to come again amid a flood is taken for what it is. Both have places in one table, which doubles where they are more
/// than a power of two: with 10,000 and as many again, by 3 MiB.
const KNOWN_AGAIN: f64 = 0.6;

/// An empty cache.
fn entries(max_entries: usize) -> Cache<u128, Entry, ByBytes, ByNumber> {
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(max_entries).weight_capacity(capacity(max_entries)).ghost_allocation(KNOWN_AGAIN);
    let options = options.build().unwrap_or_else(|_| unreachable!("all that it asks for is set"));
    Cache::with_options(options, ByBytes, ByNumber::default(), DefaultLifecycle::default())
}

impl TokenCache {
    /// An empty cache. `secret` is the key of the fingerprints.
    pub fn new(limits: CacheLimits, secret: (u64, u64)) -> Self {
        Self {
            limits,
            fingerprints: SipHasher13::new_with_keys(secret.0, secret.1),
            entries: entries(limits.max_entries),
            counts: Counts::But(SmallVec::new()),
        }
    }

    /// A request is decided; `again`, if it was before, and waited.
    pub fn begin_request(&mut self, again: bool) {
        self.counts = if again { Counts::Nothing } else { Counts::But(SmallVec::new()) };
    }

    /// The fingerprint of `token`; `None` for one that is not remembered.
    pub fn fingerprint(&self, token: &[u8]) -> Option<Fingerprint> {
        if self.limits.max_entries == 0 || token.len() > self.limits.max_token_size {
            return None;
        }
        let mut hasher = self.fingerprints;
        hasher.write(token);
        Some(Fingerprint(hasher.finish128().as_u128()))
    }

    /// What the token was verified to be for the provider of that number, if `set` still has the key; or why it was refused, if
    /// another provider verified it and `set` is the same as then. `generation` changes whenever `set` does.
    pub fn get(
        &mut self,
        fingerprint: Fingerprint,
        provider: u64,
        (set, generation): (&KeySet, u64),
    ) -> Option<Result<Rc<Verified>, Reason>> {
        let outcome = self.recall(fingerprint, provider)?;
        let is_of_set = outcome.generation.get() == generation;
        match &outcome.found {
            Remembered::Gate(verified) if is_of_set => Some(Ok(Rc::clone(verified))),
            Remembered::Gate(verified) if verified.still_holds(set) => {
                outcome.generation.set(generation);
                Some(Ok(Rc::clone(verified)))
            }
            Remembered::Gate(_) => {
                self.entries.remove(&fingerprint.0);
                None
            }
            Remembered::Refused(reason) if is_of_set => Some(Err(*reason)),
            Remembered::Refused(_) | Remembered::JwtAuthn(_) => None,
        }
    }

    /// What the token was verified to be for the provider of that number by `semantics: jwt_authn`, and the generation of the key set
    /// that verified it: with another one it must be verified again.
    pub fn get_jwt(&mut self, fingerprint: Fingerprint, provider: u64) -> Option<(Rc<jwt_verify::Verified>, u64)> {
        let outcome = self.recall(fingerprint, provider)?;
        let Remembered::JwtAuthn(verified) = &outcome.found else { return None };
        Some((Rc::clone(verified), outcome.generation.get()))
    }

    /// An outcome of an earlier request. To look for one that is not there is no use of the token: one that comes for the first time
    /// would seem to come again with each provider that looks at it.
    fn recall(&mut self, fingerprint: Fingerprint, provider: u64) -> Option<&Outcome> {
        let outcome = self.entries.peek(&fingerprint.0)?.of(provider)?;
        if !self.counts.note(fingerprint.0) {
            return Some(outcome);
        }
        self.entries.get(&fingerprint.0)?.of(provider)
    }

    /// Remembers what came of a token for the provider of that number. Unless it `is_first_rate`, verified and meant for that provider,
    /// only beside what another one made of it: of what is signed by the same issuer for others, anybody may have any number.
    pub fn put(
        &mut self,
        fingerprint: Fingerprint,
        provider: u64,
        found: Remembered,
        generation: u64,
        is_first_rate: bool,
    ) {
        self.counts.note(fingerprint.0);
        let outcome = Outcome { provider, found, generation: Cell::new(generation) };
        if let Some(mut entry) = self.entries.peek(&fingerprint.0).cloned() {
            entry.put(outcome);
            // Of what only grows in its place, the crate makes no room for the rest. This is no use of it, either; one that has become
            // too large is not remembered.
            let _ = self.entries.replace(fingerprint.0, entry, true);
        } else if is_first_rate {
            self.entries.insert(fingerprint.0, Entry { first: outcome, others: Vec::new() });
        }
    }
}
