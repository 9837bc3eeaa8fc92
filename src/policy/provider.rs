//! One provider: an issuer of tokens, and what a token of it must be.

use std::rc::Rc;
use std::time::Duration;

use crate::crypto::Alg;
use crate::jose::ClaimPath;
use crate::keys::KeySet;
use crate::request::Location;
use crate::verdict::HeaderName;

/// One `JwtProvider`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// `issuer`; unset, any.
    pub issuer: Option<String>,
    /// `audiences`; unset, any.
    pub audiences: Option<Vec<String>>,
    /// `algorithms`.
    pub algorithms: Vec<Alg>,
    /// `require_expiration`.
    pub require_expiration: bool,
    /// `max_lifetime`: the longest that a token may still live.
    pub max_lifetime: Option<Duration>,
    /// `clock_skew_seconds`.
    pub clock_skew: Duration,
    /// `remote_jwks` or `local_jwks`.
    pub keys: Keys,
    /// `from_headers`, `from_params`, `from_cookies`, or `Authorization: Bearer`.
    pub locations: Vec<Location>,
    /// `forward`.
    pub forward: bool,
    /// `forward_payload_header`.
    pub payload_header: Option<PayloadHeader>,
    /// `claim_to_headers`.
    pub claim_headers: Vec<ClaimHeader>,
    /// `revocation`.
    pub revocation: Option<Revocation>,
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// In the configuration.
    Local(Rc<KeySet>),
    /// In the document of that index.
    Remote(usize),
}

/// `forward_payload_header`.
#[derive(Clone, Debug)]
pub struct PayloadHeader {
    /// The header.
    pub name: HeaderName,
    /// `pad_forward_payload_header`.
    pub pad: bool,
}

/// One of `claim_to_headers`.
#[derive(Clone, Debug)]
pub struct ClaimHeader {
    /// The header.
    pub name: HeaderName,
    /// The claim.
    pub claim: ClaimPath,
}

/// `revocation`.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The document of that index.
    pub document: usize,
    /// `on_unavailable: allow`.
    pub allow_when_unavailable: bool,
}

impl Provider {
    /// The headers that this provider may set.
    pub fn output_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.payload_header
            .iter()
            .map(|header| &header.name)
            .chain(self.claim_headers.iter().map(|header| &header.name))
    }
}
