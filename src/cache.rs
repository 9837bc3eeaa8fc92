//! Tokens that verified, so that a token that comes again costs no signature check.
//!
//! A hit skips shape, header, key and signature, and nothing else: time, issuer, audience, revocation and authorization are
//! checked on every request, and so is that the key set has not lost the key. Only tokens that verified come in; a flood of
//! forged tokens leaves no trace, and one of good tokens that are seen once does not push out those that come again: the
//! eviction resists scans.
//!
//! A token is remembered by a fingerprint: SipHash-1-3 of all its bytes, 128 bits, under a key that differs from VM to VM. Neither
//! the key nor any fingerprint is ever seen outside, so whoever wants a forgery to be taken for another token can only guess.

use std::cell::Cell;
use std::hash::Hasher;
use std::rc::Rc;

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::Weighter;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::hashed::ByNumber;
use crate::jose::Verified;
use crate::jwt_verify;
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
    fingerprints: SipHasher13,
    entries: Cache<u128, Entry, ByBytes, ByNumber>,
}

/// Stands for one token and one provider.
#[derive(Clone, Copy)]
pub struct Fingerprint(u128);

struct Entry {
    verified: Remembered,
    /// Of the key set that has the key.
    generation: Cell<u64>,
}

/// A token that verified, in the form of either semantics.
pub enum Remembered {
    /// The gate's own.
    Gate(Rc<Verified>),
    /// `semantics: jwt_authn`.
    JwtAuthn(Rc<jwt_verify::Verified>),
}

/// Weighs an entry by what it holds, and a small one like an average one: so the bound on bytes is one on entries too.
#[derive(Clone)]
struct ByBytes;

impl Weighter<u128, Entry> for ByBytes {
    fn weight(&self, _: &u128, entry: &Entry) -> u64 {
        let size = match &entry.verified {
            Remembered::Gate(verified) => verified.size(),
            Remembered::JwtAuthn(verified) => verified.size(),
        };
        size.max(CACHED_TOKEN_BYTES) as u64
    }
}

impl TokenCache {
    /// An empty cache. `secret` is the key of the fingerprints.
    pub fn new(limits: CacheLimits, secret: (u64, u64)) -> Self {
        let capacity = limits.max_entries.saturating_mul(CACHED_TOKEN_BYTES) as u64;
        Self {
            limits,
            fingerprints: SipHasher13::new_with_keys(secret.0, secret.1),
            entries: Cache::with(
                limits.max_entries,
                capacity,
                ByBytes,
                ByNumber::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    /// The fingerprint of `token` for the provider of that number; `None` for a token that is not remembered.
    pub fn fingerprint(&self, provider: u64, token: &[u8]) -> Option<Fingerprint> {
        if self.limits.max_entries == 0 || token.len() > self.limits.max_token_size {
            return None;
        }
        let mut hasher = self.fingerprints;
        hasher.write_u64(provider);
        hasher.write(token);
        Some(Fingerprint(hasher.finish128().as_u128()))
    }

    /// What the token was verified to be, if `set` still has the key. `generation` changes whenever `set` does.
    pub fn get(&mut self, fingerprint: Fingerprint, set: &KeySet, generation: u64) -> Option<Rc<Verified>> {
        let entry = self.entries.get(&fingerprint.0)?;
        let Remembered::Gate(verified) = &entry.verified else { return None };
        if entry.generation.get() != generation {
            if !verified.still_holds(set) {
                self.entries.remove(&fingerprint.0);
                return None;
            }
            entry.generation.set(generation);
        }
        Some(Rc::clone(verified))
    }

    /// What the token was verified to be for `semantics: jwt_authn`, and the generation of the key set that verified it: with
    /// another one it must be verified again.
    pub fn get_jwt(&mut self, fingerprint: Fingerprint) -> Option<(Rc<jwt_verify::Verified>, u64)> {
        let entry = self.entries.get(&fingerprint.0)?;
        let Remembered::JwtAuthn(verified) = &entry.verified else { return None };
        Some((Rc::clone(verified), entry.generation.get()))
    }

    /// Remembers a token that verified.
    pub fn insert(&mut self, fingerprint: Fingerprint, verified: Remembered, generation: u64) {
        self.entries.insert(fingerprint.0, Entry { verified, generation: Cell::new(generation) });
    }
}
