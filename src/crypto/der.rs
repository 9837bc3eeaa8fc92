//! The forms in which hosts take keys and signatures: DER.

use std::borrow::Cow;

use rsa::pkcs8::EncodePublicKey;

use super::{Alg, PublicKey};

/// A key as a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7), made once for each key.
#[derive(Clone, Debug, PartialEq)]
pub struct Spki(Vec<u8>);

impl Spki {
    /// The key in DER.
    pub(super) fn of(key: &impl EncodePublicKey) -> Option<Self> {
        Some(Self(key.to_public_key_der().ok()?.into_vec()))
    }
}

impl PublicKey {
    /// The key as a `SubjectPublicKeyInfo`; `None` for a kind of key that hosts do not take.
    pub fn spki(&self) -> Option<&[u8]> {
        match self {
            Self::Rsa(_, spki) | Self::P256(_, spki) | Self::P384(_, spki) | Self::P521(_, spki) => Some(&spki.0),
            Self::Ed25519(_) | Self::Hmac(_) => None,
        }
    }
}

impl Alg {
    /// A signature of this algorithm with its numbers in DER (`ECDSA-Sig-Value` of RFC 3279 section 2.2.3); one that is a single
    /// string of bytes stays as it is. `None` if a number is out of range.
    pub fn der_signature(self, signature: &[u8]) -> Option<Cow<'_, [u8]>> {
        macro_rules! ecdsa {
            ($curve:ident) => {{
                let signature = $curve::ecdsa::Signature::from_slice(signature).ok()?;
                Some(Cow::Owned(signature.to_der().as_bytes().to_vec()))
            }};
        }
        match self {
            Self::Es256 => ecdsa!(p256),
            Self::Es384 => ecdsa!(p384),
            Self::Es512 => ecdsa!(p521),
            _ => Some(Cow::Borrowed(signature)),
        }
    }
}
