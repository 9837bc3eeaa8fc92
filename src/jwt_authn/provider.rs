//! One `JwtProvider`, as Envoy reads it.

use std::rc::Rc;
use std::time::Duration;

use crate::jwt_verify::{CheckAudience, KeySet, Token};
use crate::policy::{ClaimHeader, Metadata, PayloadHeader};
use crate::request::StringMatch;
use crate::verdict::HeaderName;

/// One `JwtProvider`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// `issuer`; empty, any.
    pub issuer: String,
    /// `audiences`.
    pub audiences: CheckAudience,
    /// `subjects`.
    pub subjects: Option<StringMatch>,
    /// `require_expiration`.
    pub require_expiration: bool,
    /// `max_lifetime`.
    pub max_lifetime: Option<Duration>,
    /// `clock_skew_seconds`.
    pub clock_skew: u64,
    /// `remote_jwks` or `local_jwks`.
    pub keys: Keys,
    /// `from_headers`: names and prefixes.
    pub from_headers: Vec<(HeaderName, String)>,
    /// `from_params`.
    pub from_params: Vec<String>,
    /// `from_cookies`.
    pub from_cookies: Vec<String>,
    /// `forward`.
    pub forward: bool,
    /// `forward_payload_header`.
    pub payload_header: Option<PayloadHeader>,
    /// `claim_to_headers`.
    pub claim_headers: Vec<ClaimHeader>,
    /// `clear_route_cache`.
    pub clear_route_cache: bool,
    /// `payload_in_metadata`, `header_in_metadata` and `failed_status_in_metadata`.
    pub metadata: Metadata,
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// In the configuration.
    Local(Rc<KeySet>),
    /// In the document of that index.
    Remote(usize),
}

impl Provider {
    /// The headers that this provider may set.
    pub fn output_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let payload = self.payload_header.iter().map(|header| &header.name);
        payload.chain(self.claim_headers.iter().map(|header| &header.name))
    }

    /// Whether `sub` is one of `subjects`.
    pub(super) fn takes_subject(&self, token: &Token) -> bool {
        self.subjects.as_ref().is_none_or(|subjects| subjects.matches(token.sub.as_bytes()))
    }

    /// Whether `exp` is there and near enough.
    pub(super) fn takes_lifetime(&self, token: &Token, now: u64) -> bool {
        match self.max_lifetime {
            // To Envoy, what no signed number of 64 bits holds lies in the past.
            Some(_) if token.exp > i64::MAX as u64 => true,
            Some(longest) => token.exp > 0 && Duration::from_secs(token.exp.saturating_sub(now)) < longest,
            None => token.exp > 0 || !self.require_expiration,
        }
    }
}
