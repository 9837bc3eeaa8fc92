//! The forms in which keys are published.
//!
//! A set is a JSON object with an array `keys` (RFC 7517 section 5), or a JSON object that maps each `kid` to a certificate or a
//! public key in PEM, as Google publishes them, or one certificate or public key in PEM alone, which has no `kid`.

use super::{Key, Origin, Skipped};
use crate::crypto::{EncodingProblem, PublicKey};
use crate::json::{self, Map, Value};

const PEM: &str = "-----BEGIN ";

/// One key as it is published, not yet read.
pub(super) enum Member {
    /// A JWK.
    Jwk(Value),
    /// PEM, by a name or without one.
    Pem(Option<String>, String),
}

impl Member {
    /// The members of a document; `None` if it has none of the forms.
    pub(super) fn of(document: &[u8]) -> Option<Vec<Self>> {
        let text = document.trim_ascii_start();
        if text.starts_with(PEM.as_bytes()) {
            return Some(vec![Self::Pem(None, String::from_utf8(text.to_vec()).ok()?)]);
        }
        let mut document = json::parse_object(document)?;
        match document.remove("keys") {
            Some(Value::Array(members)) => Some(members.into_iter().map(Self::Jwk).collect()),
            Some(_) => None,
            None => by_name(document),
        }
    }

    /// Reads it.
    pub(super) fn read(self, origin: Origin) -> Result<Key, Skipped> {
        match self {
            Self::Jwk(jwk) => Key::parse(&jwk, origin),
            Self::Pem(kid, text) => {
                let public = PublicKey::from_pem(&text).map_err(|problem| match problem {
                    EncodingProblem::Malformed => Skipped::Malformed,
                    EncodingProblem::UnknownType => Skipped::UnknownType,
                    EncodingProblem::Unsound(problem) => Skipped::Unsound(problem),
                })?;
                Ok(Key::plain(kid, public))
            }
        }
    }
}

/// Google's form, by which it is known: some member is PEM.
fn by_name(document: Map<String, Value>) -> Option<Vec<Member>> {
    let text = |value: Value| if let Value::String(text) = value { text } else { String::new() };
    let is_pem = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(PEM));
    let is_known = document.values().any(is_pem);
    is_known.then(|| document.into_iter().map(|(kid, value)| Member::Pem(Some(kid), text(value))).collect())
}
