//! The tokens of one requirement, one after the other: Envoy's authenticator.
//!
//! The order of checks is Envoy's: form, issuer, time, audience, subject, lifetime, key, signature. So what is said about a token
//! may come from claims that nobody signed; what lets it pass never does.

use std::rc::Rc;

use smol_str::SmolStr;

use super::extract::{Extractor, Found};
use super::filter::Filter;
use super::headers::Headers;
use super::provider::{Keys, Provider};
use crate::json::Value;
use crate::jwt_verify::{header_value, json_text, CheckAudience, KeySet, Status, Token, Verified};
use crate::policy::{DocumentId, Documents, Metadata, Verifier, Want};
use crate::remote::Need;
use crate::time::UnixTime;
use crate::verdict::{FieldValue, HeaderName, Shown, State};

/// One request on its way through the filter.
pub(super) struct Run<'a> {
    pub filter: &'a Filter,
    pub headers: Headers<'a>,
    pub documents: &'a Documents,
    pub verifier: &'a mut Verifier,
    pub now: UnixTime,
    /// What later filters can read.
    pub state: State,
    /// A provider asked for it.
    pub clear_route_cache: bool,
    /// The key sets that were lacking and can be waited for.
    pub needs: Vec<Want>,
    /// Whether the latest requirement lacked one.
    pub lacks_keys: bool,
}

/// Whose tokens are looked for, and what happens to those that fail.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The one provider; without one, the provider of the token's issuer.
    pub provider: Option<usize>,
    /// In place of the provider's.
    pub audiences: Option<&'a CheckAudience>,
    pub allow_missing: bool,
    pub allow_failed: bool,
    /// Set to `false` where the token that is checked last is not good.
    pub status_header: Option<&'a HeaderName>,
}

/// What became of a requirement.
pub(super) struct Outcome {
    pub result: Result<Proof, Refusal>,
    /// Whether keys were lacking that may still come: Envoy goes on with what does not need them.
    pub is_pending: bool,
}

/// Why a requirement holds.
pub(super) enum Proof {
    /// Every token that was looked for verified; this is the last, and its provider.
    Token(Rc<Verified>, Option<usize>),
    /// It allows requests without a good token.
    Allowed,
}

/// Why a requirement does not hold, and which provider says so; none, where several do.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub status: Status,
    pub provider: Option<usize>,
}

impl<'a> Run<'a> {
    /// Checks every token that `extractor` finds, the last one first.
    pub fn authenticate(&mut self, extractor: &Extractor, wanted: Wanted<'_>) -> Outcome {
        self.lacks_keys = false;
        extractor.sanitize(&mut self.headers);
        let mut tokens = extractor.extract(&self.headers);
        if tokens.is_empty() {
            self.note_failure(Status::JwtMissed, None);
        }
        // Envoy keeps it from one token to the next.
        let mut provider = wanted.provider;
        let mut result = Err(Status::JwtMissed);
        while let Some(found) = tokens.pop() {
            result = self.one(&found, wanted, &mut provider);
            if result.is_err() && !wanted.allow_failed && !wanted.allow_missing {
                break;
            }
        }
        if let (Some(name), Err(status)) = (wanted.status_header, &result) {
            if *status != Status::JwtMissed {
                self.headers.remove(name);
                self.headers.add(name, FieldValue::Ready(SmolStr::new_static("false")));
            }
        }
        let result = match result {
            Ok(verified) => Ok(Proof::Token(verified, provider)),
            Err(_) if wanted.allow_failed => Ok(Proof::Allowed),
            Err(Status::JwtMissed) if wanted.allow_missing => Ok(Proof::Allowed),
            Err(status) => Err(Refusal { status, provider }),
        };
        Outcome { result, is_pending: self.lacks_keys }
    }

    fn one(
        &mut self,
        found: &Found<'_>,
        wanted: Wanted<'_>,
        provider: &mut Option<usize>,
    ) -> Result<Rc<Verified>, Status> {
        let result = self.verify(found, wanted, provider);
        match &result {
            Ok(verified) => self.take(found, verified, *provider),
            Err(status) => self.note_failure(*status, *provider),
        }
        result
    }

    /// `provider` becomes the one that the token's issuer names, where no other was wanted.
    fn verify(
        &mut self,
        found: &Found<'_>,
        wanted: Wanted<'_>,
        provider: &mut Option<usize>,
    ) -> Result<Rc<Verified>, Status> {
        // Remembered by who looked for it: the provider, or whichever has the issuer.
        let asked = wanted.provider.unwrap_or(usize::MAX);
        let (remembered, read) = match self.verifier.recall_jwt(&found.token, asked) {
            Some(remembered) => (Some(remembered), None),
            None => (None, Some(Token::parse(&found.token)?)),
        };
        let known = remembered.as_ref().map(|(verified, _)| verified.token());
        let token = known.or(read.as_ref()).ok_or(Status::JwtBadFormat)?;
        if !found.issuers.allow(&token.iss) {
            return Err(Status::JwtUnknownIssuer);
        }
        *provider = wanted.provider.or_else(|| self.filter.provider_of_issuer(&token.iss));
        let index = provider.ok_or(Status::JwtUnknownIssuer)?;
        let provider = self.filter.provider(index).ok_or(Status::JwtUnknownIssuer)?;

        let now = self.now.as_millis() / 1000;
        token.check_time(now, provider.clock_skew)?;
        if !wanted.audiences.unwrap_or(&provider.audiences).allows(&token.audiences) {
            return Err(Status::JwtAudienceNotAllowed);
        }
        if !provider.takes_subject(token) || !provider.takes_lifetime(token, now) {
            return Err(Status::JwtVerificationFail);
        }
        let (set, generation) = self.key_set(provider)?;
        let show = |token: &Token| shown(token, &provider.metadata);
        // Envoy would take a remembered token whatever became of its key.
        match (remembered, read) {
            (Some((verified, known)), _) if known == generation => Ok(verified),
            (Some((verified, _)), _) => {
                let read = verified.token().clone();
                self.verifier.verify_jwt((&found.token, read), asked, (&set, generation), show)
            }
            (None, Some(read)) => self.verifier.verify_jwt((&found.token, read), asked, (&set, generation), show),
            (None, None) => Err(Status::JwtBadFormat),
        }
    }

    /// The keys, and which generation of them this is.
    fn key_set(&mut self, provider: &'a Provider) -> Result<(Rc<KeySet>, u64), Status> {
        let source = match &provider.keys {
            Keys::Local(set) => return Ok((Rc::clone(set), 0)),
            Keys::Remote(source) => *source,
        };
        let document = self.documents.jwt_key_sets.get(source).ok_or(Status::JwksFetchFail)?;
        if let Some(set) = document.content(self.now) {
            return Ok((Rc::clone(set), document.generation()));
        }
        let id = DocumentId::JwtKeySet(source);
        let lacking = Want::Document(id, Need::Content);
        if self.documents.could_meet(id, Need::Content, self.now) && !self.needs.contains(&lacking) {
            self.needs.push(lacking);
        }
        self.lacks_keys = true;
        Err(Status::JwksFetchFail)
    }

    /// What a good token does to the request.
    fn take(&mut self, found: &Found<'_>, verified: &Verified, provider: Option<usize>) {
        let Some(provider) = provider.and_then(|index| self.filter.provider(index)) else { return };
        self.forward(verified.token(), verified.shown(), provider);
        if !provider.forward {
            found.remove(&mut self.headers);
        }
    }

    /// Sets the headers and the state that `provider` sets from a token.
    pub fn forward(&mut self, token: &Token, shown: &Shown, provider: &Provider) {
        if let Some(header) = &provider.payload_header {
            let mut value = token.payload_text().as_bytes().to_vec();
            if header.pad {
                value.resize(value.len().next_multiple_of(4), b'=');
            }
            self.headers.add(&header.name, value);
        }
        let mut claim_added = false;
        for header in &provider.claim_headers {
            let value = token.claim_literal(header.claim.names()).and_then(header_value);
            // One with line breaks is the host's to refuse: Envoy answers 503.
            if let Some(value) = value {
                self.headers.add(&header.name, value);
                claim_added = true;
            }
        }
        let metadata = &provider.metadata;
        for (name, text) in [(&metadata.header, &shown.header), (&metadata.payload, &shown.payload)] {
            if let Some((name, text)) = name.as_ref().zip(text.clone()) {
                self.set_state(name, text);
            }
        }
        self.clear_route_cache |= provider.clear_route_cache && (claim_added || metadata.payload.is_some());
    }

    /// Leaves word of a failure as `provider` says; where none is known yet, as the only one that there is says.
    fn note_failure(&mut self, status: Status, provider: Option<usize>) {
        let provider = provider.or(self.filter.only_provider()).and_then(|index| self.filter.provider(index));
        if let Some(name) = provider.and_then(|provider| provider.metadata.failed_status.as_ref()) {
            self.set_state(name, SmolStr::new_static(status.failure()));
        }
    }

    fn set_state(&mut self, name: &SmolStr, value: SmolStr) {
        match self.state.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.state.push((name.clone(), value)),
        }
    }
}

/// What later filters can read of a token.
pub(super) fn shown(token: &Token, metadata: &Metadata) -> Shown {
    let header = || json_text::write(&Value::Object(token.header.clone())).into();
    let payload = || json_text::write(&metadata.normalized(token.payload.clone())).into();
    Shown { payload: metadata.payload.as_ref().map(|_| payload()), header: metadata.header.as_ref().map(|_| header()) }
}
