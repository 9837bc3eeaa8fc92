//! One request against the providers: from the bytes of a token to a [`Principal`].
//!
//! The order of checks is fixed, and is here: size, shape, header (`alg`, `crit`), key, signature, claims, revocation.
//! Authorization follows in [`judge`](super::Policy::judge).

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use super::admission::{admit, is_meant};
use super::{
    introspection, DocumentId, Documents, Finding, Introspection, IssuerPattern, Keys, Leaf, Provider, Verifier, Want,
};
use crate::jose::{Claims, Verified};
use crate::json::Value;
use crate::limits::MAX_TOKEN_BYTES;
use crate::remote::Need;
use crate::request::{self, RequestHead};
use crate::time::UnixTime;
use crate::verdict::{Fields, Reason, Shown};

/// Who is calling: a token whose signature, claims and revocation were checked for one provider. Only
/// `Attempt::authenticate` makes one, and every way to "allow" but the named exceptions of [`Pass`](super::Pass) takes one.
#[derive(Clone, Debug)]
pub struct Principal {
    provider: usize,
    verified: Rc<Verified>,
    /// That of the provider's `issuers` which fits.
    issuer: Option<Rc<IssuerPattern>>,
    shown: Shown,
    forwarded: Fields,
}

/// Why a token, or the lack of one, did not suffice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// When another attempt has a chance; for 503.
    pub retry_after: Duration,
    /// The index of the provider that says so; `None` where several do.
    pub provider: Option<usize>,
    /// Which of the attempt's tokens it was, if its signature holds and that is of interest.
    token: Option<usize>,
}

/// The authentication of one request at one time.
pub struct Attempt<'a> {
    head: &'a RequestHead,
    providers: &'a [Provider],
    documents: &'a Documents,
    verifier: &'a mut Verifier,
    now: UnixTime,
    /// Whether several providers may look at one token.
    are_several: bool,
    /// Every token found, with the failure of the provider that came furthest, or `None` once one verified it; where one provider
    /// alone may look, only those that failed.
    seen: Vec<(Cow<'a, [u8]>, Option<Failure>)>,
    /// Credentials that are no token at all.
    unreadable: Option<Failure>,
    /// Tokens whose signatures hold and that failed all the same, where somebody asks whose they were.
    failed: Option<Vec<Rc<Verified>>>,
    /// What was lacking, where waiting could bring it.
    needs: Vec<Want>,
    /// Revocation lists that are still to come, without which tokens pass.
    coming: Vec<Want>,
}

impl Principal {
    /// The index of the provider.
    pub fn provider(&self) -> usize {
        self.provider
    }

    /// The token.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What a variable of the provider's `issuers` stands for in the token's.
    pub fn issuer_variable(&self, name: &str) -> Option<&str> {
        self.issuer.as_ref()?.value(name, self.verified.claims().issuer()?)
    }

    /// What is shown of the token.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// The headers that its provider sets; none the second time.
    pub(super) fn take_forwarded(&mut self) -> Fields {
        std::mem::take(&mut self.forwarded)
    }
}

impl Failure {
    /// Both happened: the reason that came furthest tells most.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let further = if (other.reason as usize) > (self.reason as usize) { other } else { self };
        let is_shared = other.reason == self.reason && other.provider != self.provider;
        let provider = further.provider.filter(|_| !is_shared);
        Self { retry_after: self.retry_after.max(other.retry_after), provider, ..further }
    }

    /// The same, where others may have failed before.
    #[must_use]
    pub fn after(self, before: Option<Self>) -> Self {
        before.map_or(self, |before| before.and(self))
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: Duration::ZERO, provider: None, token: None }
    }
}

impl<'a> Attempt<'a> {
    /// Begins. `remembers` says whether somebody asks whose a token is that failed, and `are_several`, whether more than one
    /// provider is going to look for tokens.
    pub fn new(
        (head, now): (&'a RequestHead, UnixTime),
        providers: &'a [Provider],
        documents: &'a Documents,
        verifier: &'a mut Verifier,
        remembers: bool,
        are_several: bool,
    ) -> Self {
        let (seen, unreadable, needs, coming) = Default::default();
        let failed = remembers.then(Vec::new);
        Self { head, providers, documents, verifier, now, are_several, seen, unreadable, failed, needs, coming }
    }

    /// The token at the provider's locations. Copies of it may stand at several; every other one must be good, too, and then there
    /// are two callers: whose rights and whose name would count?
    pub fn authenticate(&mut self, leaf: &Leaf) -> Result<Vec<Principal>, Failure> {
        let Some(provider) = self.providers.get(leaf.provider) else {
            return Err(Reason::TokenMissing.into());
        };
        let own = |reason: Reason| Failure { provider: Some(leaf.provider), ..reason.into() };
        let tokens = request::tokens(self.head, &provider.locations).map_err(|reason| {
            self.unreadable = Some(own(reason));
            own(reason)
        })?;
        let are_copies = tokens.iter().zip(tokens.iter().skip(1)).all(|(one, next)| one == next);
        let mut outcome = None;
        for token in tokens {
            let result = self.one(&token, leaf, provider).map_err(|failure| match failure.reason {
                // Some hosts join repeated headers: what stands behind a comma is another credential.
                Reason::TokenMalformed if token.contains(&b',') => own(Reason::MultipleTokens),
                _ => Failure { provider: Some(leaf.provider), ..failure },
            });
            if self.are_several || result.is_err() {
                self.note(token, result.as_ref().err().copied());
            }
            outcome = Some(match (outcome, result) {
                (None, result) => result,
                (Some(Err(before)), Err(failure)) => Err(before.and(failure)),
                (Some(Err(failure)), Ok(_)) | (Some(Ok(_)), Err(failure)) => Err(failure),
                (Some(Ok(first)), Ok(_)) => Ok(first),
            });
        }
        match outcome {
            Some(Err(failure)) => Err(failure),
            Some(Ok(principal)) if are_copies => Ok(vec![principal]),
            Some(Ok(_)) => {
                self.unreadable = Some(own(Reason::MultipleTokens));
                Err(own(Reason::MultipleTokens))
            }
            None => Err(own(Reason::TokenMissing)),
        }
    }

    /// A credential that no provider verified, if there is one.
    pub(super) fn unverified(&self) -> Option<Failure> {
        self.unreadable.or_else(|| self.seen.iter().filter_map(|(_, failure)| *failure).reduce(Failure::and))
    }

    /// The token that failed, if its signature holds.
    pub(super) fn failed(&self, failure: &Failure) -> Option<&Verified> {
        self.failed.as_ref()?.get(failure.token?).map(Rc::as_ref)
    }

    /// What was lacking, where waiting could bring it; and what those wait for whose tokens are good without it.
    pub(super) fn into_needs(self) -> (Vec<Want>, Vec<Want>) {
        (self.needs, self.coming)
    }

    fn note(&mut self, token: Cow<'a, [u8]>, failure: Option<Failure>) {
        match self.seen.iter_mut().find(|(known, _)| *known == token) {
            Some((_, known)) => {
                *known = known.take().and_then(|known| failure.map(|failure| known.and(failure)));
            }
            None => self.seen.push((token, failure)),
        }
    }

    fn one(&mut self, token: &[u8], leaf: &Leaf, provider: &Provider) -> Result<Principal, Failure> {
        let is_read = provider.reads(token);
        let verified = match &provider.introspection {
            Some(issuer) if !is_read => self.introspect(token, issuer)?,
            _ => self.verify(token, leaf, provider)?,
        };
        let asked = provider.introspection.as_ref().filter(|issuer| issuer.all && is_read);
        let checked = self.check(&verified, leaf, provider, asked.map(|issuer| (token, issuer)));
        checked.map_err(|failure| self.noted(failure, &verified))?;
        // Parts of what verified as a whole. To look for one that nobody wants would take longer than all else.
        let part = |wanted: bool, index: usize| {
            let part = || token.split(|&b| b == b'.').nth(index).map(<[u8]>::to_vec);
            wanted.then(part).flatten().unwrap_or_default()
        };
        // An answer about a token has no header.
        let shown = if is_read { verified.shown().clone() } else { provider.metadata.shown(verified.claims(), b"") };
        let payload = match &provider.payload_header {
            Some(_) if !is_read => {
                let claims = Value::Object(verified.claims().to_map()).to_string();
                BASE64_URL_SAFE_NO_PAD.encode(claims).into_bytes()
            }
            wanted => part(wanted.is_some(), 1),
        };
        let issuer = if provider.issuers.is_empty() { None } else { provider.pattern(verified.claims()).cloned() };
        let mut principal =
            Principal { provider: leaf.provider, verified, issuer, shown, forwarded: Fields::default() };
        match super::effects::forwarded(self.head, &principal, provider, payload) {
            Ok(forwarded) => {
                principal.forwarded = forwarded;
                Ok(principal)
            }
            Err(reason) => Err(self.noted(reason.into(), &principal.verified)),
        }
    }

    /// What the issuer says of the token.
    fn introspect(&mut self, token: &[u8], issuer: &Introspection) -> Result<Rc<Verified>, Failure> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TokenTooLarge.into());
        }
        if !introspection::is_token(token) {
            return Err(Reason::TokenMalformed.into());
        }
        match issuer.ask(&self.documents.services, token, self.now) {
            Ok(Finding::Active(verified)) => Ok(verified),
            Ok(Finding::Inactive) => Err(Reason::TokenInactive.into()),
            Ok(_) => Err(Reason::IntrospectionUnavailable.into()),
            Err(question) => {
                self.needs.extend(question.map(Want::Answer));
                Err(Reason::IntrospectionUnavailable.into())
            }
        }
    }

    /// Everything behind the signature; `asked`, its issuer has a say, too.
    fn check(
        &mut self,
        verified: &Verified,
        leaf: &Leaf,
        provider: &Provider,
        asked: Option<(&[u8], &Introspection)>,
    ) -> Result<(), Failure> {
        admit(verified.claims(), provider, leaf.audiences.as_deref(), self.now)?;
        if let Some((token, issuer)) = asked {
            self.introspect(token, issuer)?;
        }
        self.check_revocation(verified, provider)
    }

    fn noted(&mut self, failure: Failure, verified: &Rc<Verified>) -> Failure {
        let Some(failed) = &mut self.failed else { return failure };
        failed.push(Rc::clone(verified));
        Failure { token: Some(failed.len() - 1), ..failure }
    }

    fn verify(&mut self, token: &[u8], leaf: &Leaf, provider: &Provider) -> Result<Rc<Verified>, Failure> {
        let by = (leaf.provider, provider);
        let is_meant = |claims: &Claims| is_meant(claims, provider, leaf.audiences.as_deref()).is_ok();
        let source = match &provider.keys {
            Keys::Local(set) => return Ok(self.verifier.verify(token, by, (set, 0), is_meant)?),
            Keys::Remote(source) => *source,
            // Only a provider that reads no token itself is without keys.
            Keys::None => return Err(Reason::KeyUnknown.into()),
        };
        let Some(document) = self.documents.key_sets.get(source) else {
            return Err(Reason::KeysUnavailable.into());
        };
        let (reason, need) = match document.content(self.now) {
            None => {
                self.verifier.check_form(token, provider)?;
                (Reason::KeysUnavailable, Need::Content)
            }
            Some(set) => match self.verifier.verify(token, by, (set, document.generation()), is_meant) {
                Err(Reason::KeyUnknown) => (Reason::KeyUnknown, Need::Newer),
                result => return Ok(result?),
            },
        };
        Err(self.lacking(reason, DocumentId::KeySet(source), need, document.retry_after(self.now)))
    }

    fn check_revocation(&mut self, verified: &Verified, provider: &Provider) -> Result<(), Failure> {
        let Some(revocation) = &provider.revocation else {
            return Ok(());
        };
        let id = DocumentId::Revocations(revocation.document);
        let document = self.documents.revocations.get(revocation.document);
        match document.and_then(|document| document.content(self.now)) {
            Some(list) if list.denies(verified) => Err(Reason::TokenRevoked.into()),
            Some(_) => Ok(()),
            None if revocation.allow_when_unavailable => {
                let want = Want::Document(id, Need::Content);
                if document.is_some_and(|document| document.is_coming(self.now)) && !self.coming.contains(&want) {
                    self.coming.push(want);
                }
                Ok(())
            }
            None => {
                let retry_after = document.map(|document| document.retry_after(self.now)).unwrap_or_default();
                Err(self.lacking(Reason::RevocationUnavailable, id, Need::Content, retry_after))
            }
        }
    }

    fn lacking(&mut self, reason: Reason, id: DocumentId, need: Need, retry_after: Duration) -> Failure {
        let want = Want::Document(id, need);
        if self.documents.could_meet(id, need, self.now) && !self.needs.contains(&want) {
            self.needs.push(want);
        }
        Failure { retry_after, ..reason.into() }
    }
}
