//! Tokens that only their issuer can read: it is asked (RFC 7662).

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::Engine;
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

use super::{Finding, Question, Services};
use crate::jose;
use crate::remote::Answer;

/// `introspection` of a provider.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The service of that index.
    pub service: usize,
    /// `tokens: all`.
    pub all: bool,
    /// `cache.ttl`.
    pub ttl: Duration,
    /// `cache.negative_ttl`.
    pub negative_ttl: Duration,
}

/// What `application/x-www-form-urlencoded` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A text as a form has it.
pub fn form_encoded(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, PLAIN)
}

/// Whether `token` is a `b64token` (RFC 6750 section 2.1): the only kind that is sent to anyone.
pub fn is_token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|&b| b != b'=').map_or(0, |last| last + 1);
    let (text, _) = token.split_at_checked(end).unwrap_or_default();
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b))
}

/// Whether `token` is a signed JWT, however bad (RFC 7515 section 7.1): three parts, of which the first holds what could be an
/// object. An opaque token may have two dots, too.
pub fn is_signed(token: &[u8]) -> bool {
    let mut parts = token.split(|&b| b == b'.');
    let header = parts.next().filter(|_| parts.count() == 2).and_then(|header| LENIENT.decode(header).ok());
    header.is_some_and(|header| header.trim_ascii_start().starts_with(b"{"))
}

/// Takes what a careless reader might still take for base64url.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Introspection {
    /// What the issuer found out about `token`, or the question to it.
    pub(super) fn ask(
        &self,
        services: &Services,
        token: &[u8],
        now: crate::time::UnixTime,
    ) -> Result<Finding, Option<Box<Question>>> {
        let key = services.key(self.service, [token]);
        if let Some(finding) = services.find(self.service, key, now) {
            return Ok(finding);
        }
        let (Some(service), Ok(token)) = (services.get(self.service), std::str::from_utf8(token)) else {
            return Err(None);
        };
        let body = format!("token={}&token_type_hint=access_token", form_encoded(token));
        let call = service.envelope.call(Vec::new(), body.into_bytes());
        Err(Some(Box::new(Question { service: self.service, key, call, expires: None })))
    }
}

/// What the issuer answered, and for how long that holds.
pub(super) fn read(issuer: &Introspection, answer: Option<&Answer>) -> (Finding, Duration) {
    let body = answer.filter(|answer| answer.status == Some(200)).map(|answer| &answer.body);
    match body.map(|body| jose::introspected(body)) {
        Some(Ok(Some(verified))) => (Finding::Active(Rc::new(verified)), issuer.ttl),
        Some(Ok(None)) => (Finding::Inactive, issuer.negative_ttl),
        Some(Err(_)) => (Finding::Unreadable, Duration::ZERO),
        None => (Finding::Unavailable, Duration::ZERO),
    }
}
