//! Tokens that verified, so that a token that comes again costs no signature check.
//!
//! A hit skips shape, header, key and signature, and nothing else: time, issuer, audience, revocation and authorization are
//! checked on every request, and so is that the key set has not lost the key. Only tokens that verified come in; a flood of
//! forged tokens leaves no trace, and one of good tokens that are seen once does not push out those that come again: the
//! eviction resists scans.
//!
//! A token is remembered by a fingerprint, SipHash-2-4 of all its bytes, 128 bits, under a key that no one sees and that differs
//! from VM to VM: to be taken for another token, a forgery would have to guess it.

use std::cell::Cell;
use std::hash::Hasher;
use std::rc::Rc;

use quick_cache::unsync::Cache;
use quick_cache::Weighter;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::jose::Verified;
use crate::keys::KeySet;
use crate::limits::CACHED_TOKEN_BYTES;

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
    fingerprints: SipHasher24,
    entries: Cache<u128, Entry, ByBytes>,
}

struct Entry {
    verified: Rc<Verified>,
    /// Of the key set that has the key.
    generation: Cell<u64>,
}

/// Weighs an entry by what it holds, and a small one like an average one: so the bound on bytes is one on entries too.
#[derive(Clone)]
struct ByBytes;

impl Weighter<u128, Entry> for ByBytes {
    fn weight(&self, _: &u128, entry: &Entry) -> u64 {
        entry.verified.size().max(CACHED_TOKEN_BYTES) as u64
    }
}

impl TokenCache {
    /// An empty cache. `secret` is the key of the fingerprints.
    pub fn new(limits: CacheLimits, secret: (u64, u64)) -> Self {
        let capacity = limits.max_entries.saturating_mul(CACHED_TOKEN_BYTES) as u64;
        Self {
            limits,
            fingerprints: SipHasher24::new_with_keys(secret.0, secret.1),
            entries: Cache::with_weighter(limits.max_entries, capacity, ByBytes),
        }
    }

    /// What `token` was verified to be for that provider, if `set` still has the key. `generation` changes whenever `set` does.
    pub fn get(&mut self, provider: usize, token: &[u8], set: &KeySet, generation: u64) -> Option<Rc<Verified>> {
        let fingerprint = self.fingerprint(provider, token)?;
        let entry = self.entries.get(&fingerprint)?;
        if entry.generation.get() != generation {
            if !entry.verified.still_holds(set) {
                self.entries.remove(&fingerprint);
                return None;
            }
            entry.generation.set(generation);
        }
        Some(Rc::clone(&entry.verified))
    }

    /// Remembers a token that verified.
    pub fn insert(&mut self, provider: usize, token: &[u8], verified: &Rc<Verified>, generation: u64) {
        if let Some(fingerprint) = self.fingerprint(provider, token) {
            self.entries
                .insert(fingerprint, Entry { verified: Rc::clone(verified), generation: Cell::new(generation) });
        }
    }

    fn fingerprint(&self, provider: usize, token: &[u8]) -> Option<u128> {
        if self.limits.max_entries == 0 || token.len() > self.limits.max_token_size {
            return None;
        }
        let mut hasher = self.fingerprints;
        hasher.write_u64(provider as u64);
        hasher.write(token);
        Some(hasher.finish128().as_u128())
    }
}
