//! From the bytes of a token to a [`Verified`]: remembered, or by its shape, its header, its key and its signature.

use std::rc::Rc;

use super::Provider;
use crate::cache::{Remembered, TokenCache};
use crate::crypto::CryptoProvider;
use crate::jose::{self, Claims, CompactJws, JoseHeader, Verified};
use crate::jwt_verify::{self, Status, Token};
use crate::keys::{KeySet, Selection};
use crate::verdict::{Reason, Shown};

/// What checks tokens in one VM.
pub struct Verifier {
    crypto: Vec<Box<dyn CryptoProvider>>,
    cache: TokenCache,
    /// What tells the providers of a shadow from those of the same index that decide.
    realm: u64,
}

const FIRST: u64 = 0;

/// No index of a provider has this bit.
const SHADOW: u64 = 1 << 63;

impl Verifier {
    /// `crypto` is asked in order.
    pub fn new(crypto: Vec<Box<dyn CryptoProvider>>, cache: TokenCache) -> Self {
        Self { crypto, cache, realm: FIRST }
    }

    /// Lets a shadow decide: what is remembered of its providers is nothing to those of the same index that decide, nor the other
    /// way round.
    pub fn in_the_shadow<T>(&mut self, decide: impl FnOnce(&mut Self) -> T) -> T {
        self.realm = SHADOW;
        let decided = decide(self);
        self.realm = FIRST;
        decided
    }

    /// Checks everything about `token` that needs neither a key nor the time.
    ///
    /// # Errors
    /// The first of size, shape, header, algorithm and type that is not as it should be.
    pub fn check_form<'t>(&self, token: &'t [u8], provider: &Provider) -> Result<(CompactJws<'t>, JoseHeader), Reason> {
        let jws = CompactJws::parse(token)?;
        let header = JoseHeader::parse(&jws)?;
        if !provider.algorithms.iter().any(|allowed| allowed.same_as(header.alg)) {
            return Err(Reason::AlgorithmNotAllowed);
        }
        if !provider.kind.takes(header.typ.as_deref()) {
            return Err(Reason::TypeNotAllowed);
        }
        Ok((jws, header))
    }

    /// A request is decided; `again`, if it was before, and waited.
    pub fn begin_request(&mut self, again: bool) {
        self.cache.begin_request(again);
    }

    /// Checks `token` for the provider of that index with the keys of `set`, which is the `generation`th of that provider. Only one
    /// whose claims say that it `is_meant` for that provider is remembered for it alone.
    ///
    /// # Errors
    /// What [`check_form`](Self::check_form) says, [`Reason::KeyUnknown`], [`Reason::SignatureInvalid`] or
    /// [`Reason::ClaimsMalformed`].
    pub fn verify(
        &mut self,
        token: &[u8],
        (index, provider): (usize, &Provider),
        (set, generation): (&KeySet, u64),
        is_meant: impl Fn(&Claims) -> bool,
    ) -> Result<Rc<Verified>, Reason> {
        let Some(fingerprint) = self.cache.fingerprint(token) else {
            return self.check(token, provider, set);
        };
        let number = self.number(index);
        if let Some(outcome) = self.cache.get(fingerprint, number, (set, generation)) {
            return outcome;
        }
        let outcome = self.check(token, provider, set);
        let found = outcome
            .as_ref()
            .map_or_else(|reason| Remembered::Refused(*reason), |verified| Remembered::Gate(Rc::clone(verified)));
        let is_first_rate = outcome.as_ref().is_ok_and(|verified| is_meant(verified.claims()));
        self.cache.put(fingerprint, number, found, generation, is_first_rate);
        outcome
    }

    fn check(&self, token: &[u8], provider: &Provider, set: &KeySet) -> Result<Rc<Verified>, Reason> {
        let (jws, header) = self.check_form(token, provider)?;
        let verified = match set.select(header.kid.as_deref(), header.alg) {
            Selection::Keys(keys) => jose::verify(&jws, &header, &keys, &self.crypto)?,
            Selection::Nameless(keys) => {
                jose::verify(&jws, &header, &keys, &self.crypto).map_err(|reason| match reason {
                    Reason::SignatureInvalid => Reason::KeyUnknown,
                    other => other,
                })?
            }
            Selection::Unknown => return Err(Reason::KeyUnknown),
        };
        let shown = provider.metadata.shown(verified.claims(), jws.header());
        Ok(Rc::new(verified.showing(shown)))
    }

    /// What `token`, found for the provider of that index, was verified to be for `semantics: jwt_authn`, and by which generation of
    /// its key set: with another one it must be verified again.
    pub fn recall_jwt(&mut self, token: &[u8], index: usize) -> Option<(Rc<jwt_verify::Verified>, u64)> {
        self.cache.get_jwt(self.cache.fingerprint(token)?, self.number(index))
    }

    /// Checks the signature of a token that [`jwt_verify`] has read from `token`, with a key of `set`, which is the `generation`th of
    /// that provider. `show` says what is shown of it.
    ///
    /// # Errors
    /// Those of [`jwt_verify::verify`].
    pub fn verify_jwt(
        &mut self,
        (token, read): (&[u8], Token),
        index: usize,
        (set, generation): (&jwt_verify::KeySet, u64),
        show: impl FnOnce(&Token) -> Shown,
    ) -> Result<Rc<jwt_verify::Verified>, Status> {
        // Envoy passes over dots and white space. Who has one good token could write it in any number of ways, to push others out.
        let is_compact = token.len() == read.signing_input.len() + 1 + (read.signature.len() * 4).div_ceil(3);
        let verified = jwt_verify::verify(read, set, &self.crypto)?;
        let shown = show(verified.token());
        let verified = Rc::new(verified.showing(shown));
        if let Some(fingerprint) = self.cache.fingerprint(token).filter(|_| is_compact) {
            let found = Remembered::JwtAuthn(Rc::clone(&verified));
            self.cache.put(fingerprint, self.number(index), found, generation, true);
        }
        Ok(verified)
    }

    /// By which the outcomes of the provider of that index are told from all others.
    fn number(&self, index: usize) -> u64 {
        index as u64 ^ self.realm
    }
}
