//! One provider: an issuer of tokens, and what a token of it must be.

use std::rc::Rc;
use std::time::Duration;

use smol_str::SmolStr;

use super::{introspection, Introspection, IssuerPattern, Kind, Template};
use crate::crypto::Alg;
use crate::jose::{ClaimPath, Claims};
use crate::json::{self, Map, Value};
use crate::keys::KeySet;
use crate::request::{Location, StringMatch};
use crate::verdict::{HeaderName, Shown};

/// One `JwtProvider`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// `issuer`; unset, any, or what `issuers` says.
    pub issuer: Option<String>,
    /// `issuers`, in place of it.
    pub issuers: Vec<Rc<IssuerPattern>>,
    /// `audiences`; unset, any.
    pub audiences: Option<Vec<String>>,
    /// `algorithms`.
    pub algorithms: Vec<Alg>,
    /// `typ` or `profile`.
    pub kind: Kind,
    /// `require_expiration`.
    pub require_expiration: bool,
    /// `check_issued_at`: a token whose `iat` has yet to come is refused.
    pub check_issued_at: bool,
    /// `max_lifetime`: the longest that a token may still live.
    pub max_lifetime: Option<Duration>,
    /// `clock_skew_seconds`.
    pub clock_skew: Duration,
    /// `remote_jwks`, `local_jwks` or `discovery`.
    pub keys: Keys,
    /// `introspection`.
    pub introspection: Option<Introspection>,
    /// `from_headers`, `from_params`, `from_cookies`, or `Authorization: Bearer`.
    pub locations: Vec<Location>,
    /// `forward`.
    pub forward: bool,
    /// `forward_payload_header`.
    pub payload_header: Option<PayloadHeader>,
    /// `claim_to_headers`.
    pub claim_headers: Vec<ClaimHeader>,
    /// Those of them with a `value`.
    pub text_headers: Vec<TextHeader>,
    /// `revocation`.
    pub revocation: Option<Revocation>,
    /// `subjects`: what `sub` must be; unset, anything.
    pub subjects: Option<StringMatch>,
    /// `clear_route_cache`.
    pub clear_route_cache: bool,
    /// `payload_in_metadata` and its like.
    pub metadata: Metadata,
}

/// What later filters and the access log can read of a token, under the whole names of what the configuration names.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// `payload_in_metadata`.
    pub payload: Option<SmolStr>,
    /// `header_in_metadata`.
    pub header: Option<SmolStr>,
    /// `failed_status_in_metadata`.
    pub failed_status: Option<SmolStr>,
    /// `normalize_payload_in_metadata.space_delimited_claims`: strings that become lists of their words, in the payload.
    pub space_delimited_claims: Vec<String>,
}

impl Metadata {
    /// Whether something of a token that passed is read under this name.
    pub fn is_written(&self, name: &str) -> bool {
        [&self.payload, &self.header].into_iter().flatten().any(|known| known == name)
    }
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// In the configuration.
    Local(Rc<KeySet>),
    /// In the document of that index.
    Remote(usize),
    /// Nowhere: the issuer is asked about every token.
    None,
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
    /// How its value is written.
    pub encoding: ClaimEncoding,
}

/// One of `claim_to_headers` with a text for its `value`.
#[derive(Clone, Debug)]
pub struct TextHeader {
    /// The header.
    pub name: HeaderName,
    /// Its value, if the variables in it have one.
    pub value: Template,
}

/// `encoding` of `claim_to_headers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimEncoding {
    /// Numbers as the issuer wrote them, arrays and objects as JSON text.
    Json,
    /// As Envoy writes them.
    JwtAuthn,
}

/// `revocation`.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The document of that index.
    pub document: usize,
    /// `on_unavailable: allow`.
    pub allow_when_unavailable: bool,
}

impl Metadata {
    /// What is shown of a token with these claims and that JOSE header.
    pub fn shown(&self, claims: &Claims, header: &[u8]) -> Shown {
        let text = || json::parse(header).map(|header| header.to_string()).unwrap_or_default();
        Shown {
            payload: self.payload.as_ref().map(|_| self.normalized(claims.to_map()).to_string().into()),
            header: self.header.as_ref().map(|_| text().into()),
        }
    }

    /// The payload, its space-delimited claims as lists; one without a word stays the text that it is.
    pub fn normalized(&self, mut payload: Map<String, Value>) -> Value {
        for name in &self.space_delimited_claims {
            if let Some(claim) = payload.get_mut(name) {
                let words = claim.as_str().into_iter().flat_map(|text| text.split(' '));
                let words: Vec<_> = words.filter(|word| !word.is_empty()).map(Value::from).collect();
                if !words.is_empty() {
                    *claim = words.into();
                }
            }
        }
        Value::Object(payload)
    }
}

impl Provider {
    /// Whether the gate itself reads `token`, by the provider's keys; otherwise its issuer is asked what it is.
    pub fn reads(&self, token: &[u8]) -> bool {
        match (&self.keys, &self.introspection) {
            (_, None) => true,
            (Keys::None, _) => false,
            _ => introspection::is_signed(token),
        }
    }

    /// The headers that this provider may set.
    pub fn output_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.payload_header
            .iter()
            .map(|header| &header.name)
            .chain(self.claim_headers.iter().map(|header| &header.name))
            .chain(self.text_headers.iter().map(|header| &header.name))
    }

    /// Whether a token with these claims is of `issuers`, where there are any.
    pub fn takes_issuer(&self, claims: &Claims) -> bool {
        self.issuers.is_empty() || self.pattern(claims).is_some()
    }

    /// The first of `issuers` that fits the issuer of a token with these claims. Never inlined: most providers have one issuer.
    #[inline(never)]
    pub fn pattern(&self, claims: &Claims) -> Option<&Rc<IssuerPattern>> {
        let issuer = claims.issuer()?;
        self.issuers.iter().find(|pattern| pattern.fits(issuer))
    }
}
