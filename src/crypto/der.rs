//! The forms in which hosts take keys and signatures: DER.

use std::borrow::Cow;

use rsa::pkcs8::{Document, EncodePublicKey};

use super::{Alg, PublicKey};

impl PublicKey {
    /// The key as a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7); `None` for a kind of key that hosts do not take.
    pub fn spki(&self) -> Option<Vec<u8>> {
        let document = match self {
            Self::Rsa(key) => key.public().to_public_key_der(),
            Self::P256(key) => key.public().to_public_key_der(),
            Self::P384(key) => key.to_public_key_der(),
            Self::P521(key) => key.to_public_key_der(),
            Self::Ed25519(_) | Self::Hmac(_) => return None,
        };
        document.ok().map(Document::into_vec)
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
