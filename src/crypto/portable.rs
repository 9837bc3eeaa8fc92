//! The provider in pure Rust: jwt-compact's `Algorithm` over RustCrypto's keys.

use std::borrow::Cow;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::ecdsa::signature::Verifier;
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

use super::modexp::Power;
use super::{Alg, CryptoProvider, Es256Key, Hash, PublicKey, RsaKey};

/// Pure Rust, in every host. Answers every question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl CryptoProvider for Portable {
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool> {
        if !key.fits(alg) {
            return Some(false);
        }
        Some(match (key, alg) {
            (PublicKey::Rsa(key, _), Alg::Rs256) => holds(&RsaPkcs1::<Sha256>::of(alg), key, message, signature),
            (PublicKey::Rsa(key, _), Alg::Rs384) => holds(&RsaPkcs1::<Sha384>::of(alg), key, message, signature),
            (PublicKey::Rsa(key, _), Alg::Rs512) => holds(&RsaPkcs1::<Sha512>::of(alg), key, message, signature),
            (PublicKey::Rsa(key, _), Alg::Ps256) => holds(&RsaPss::<Sha256>::of(alg), key, message, signature),
            (PublicKey::Rsa(key, _), Alg::Ps384) => holds(&RsaPss::<Sha384>::of(alg), key, message, signature),
            (PublicKey::Rsa(key, _), Alg::Ps512) => holds(&RsaPss::<Sha512>::of(alg), key, message, signature),
            (PublicKey::P256(key, _), _) => holds(&Es256, key, message, signature),
            (PublicKey::P384(key, _), _) => holds(&Es384, key, message, signature),
            (PublicKey::P521(key, _), _) => holds(&Es512, key, message, signature),
            (PublicKey::Ed25519(key), _) => holds(&Ed25519, key, message, signature),
            (PublicKey::Hmac(key), Alg::Hs256) => key.holds(Hash::Sha256, message, signature),
            (PublicKey::Hmac(key), Alg::Hs384) => key.holds(Hash::Sha384, message, signature),
            (PublicKey::Hmac(key), Alg::Hs512) => key.holds(Hash::Sha512, message, signature),
            (PublicKey::Rsa(..) | PublicKey::Hmac(_), _) => false,
        })
    }
}

pub(super) fn holds<A: Algorithm>(alg: &A, key: &A::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    if A::Signature::LENGTH.is_some_and(|length| length.get() != signature.len()) {
        return false;
    }
    match A::Signature::try_from_slice(signature) {
        Ok(signature) => alg.verify_signature(&signature, key, message),
        Err(_) => false,
    }
}

/// RSASSA-PKCS1-v1_5 (RFC 7518 section 3.3).
struct RsaPkcs1<H>(Alg, PhantomData<H>);

/// RSASSA-PSS, the salt as long as the hash (RFC 7518 section 3.5).
struct RsaPss<H>(Alg, PhantomData<H>);

impl<H> RsaPkcs1<H> {
    fn of(alg: Alg) -> Self {
        Self(alg, PhantomData)
    }
}

impl<H> RsaPss<H> {
    fn of(alg: Alg) -> Self {
        Self(alg, PhantomData)
    }
}

/// RSA signatures are as long as the modulus: compared with the key, not with a constant.
struct RsaSignature(Power);

impl AlgorithmSignature for RsaSignature {
    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(Power::from_slice(slice)))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl<H: Digest + AssociatedOid> Algorithm for RsaPkcs1<H> {
    // The gate checks; it has nothing to sign with.
    type SigningKey = Infallible;
    type VerifyingKey = RsaKey;
    type Signature = RsaSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0.name())
    }

    fn sign(&self, key: &Infallible, _: &[u8]) -> RsaSignature {
        match *key {}
    }

    fn verify_signature(&self, signature: &RsaSignature, key: &RsaKey, message: &[u8]) -> bool {
        key.verify_pkcs1::<H>(message, &signature.0)
    }
}

impl<H: Digest> Algorithm for RsaPss<H> {
    type SigningKey = Infallible;
    type VerifyingKey = RsaKey;
    type Signature = RsaSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0.name())
    }

    fn sign(&self, key: &Infallible, _: &[u8]) -> RsaSignature {
        match *key {}
    }

    fn verify_signature(&self, signature: &RsaSignature, key: &RsaKey, message: &[u8]) -> bool {
        key.verify_pss::<H>(message, &signature.0)
    }
}

/// A curve of RFC 7518 section 3.4: the signature is R and S, each as long as the order, concatenated.
macro_rules! ecdsa {
    ($name:ident, $curve:ident, $key:ty, $signature:ident, $length:literal) => {
        struct $name;

        struct $signature($curve::ecdsa::Signature);

        impl AlgorithmSignature for $signature {
            const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new($length);

            fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
                // Refuses zero and everything from the order upwards.
                Ok(Self($curve::ecdsa::Signature::from_slice(slice)?))
            }

            fn as_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.0.to_bytes().to_vec())
            }
        }

        impl Algorithm for $name {
            type SigningKey = Infallible;
            type VerifyingKey = $key;
            type Signature = $signature;

            fn name(&self) -> Cow<'static, str> {
                Cow::Borrowed(Alg::$name.name())
            }

            fn sign(&self, key: &Infallible, _: &[u8]) -> $signature {
                match *key {}
            }

            fn verify_signature(&self, signature: &$signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
                key.verify(message, &signature.0).is_ok()
            }
        }
    };
}

ecdsa!(Es256, p256, Es256Key, Es256Signature, 64);
ecdsa!(Es384, p384, p384::ecdsa::VerifyingKey, Es384Signature, 96);
ecdsa!(Es512, p521, p521::ecdsa::VerifyingKey, Es512Signature, 132);

/// RFC 8037 section 3.1, by the strict rules of RFC 8032 section 5.1.7 without its cofactor.
struct Ed25519;

struct Ed25519Signature(ed25519_dalek::Signature);

impl AlgorithmSignature for Ed25519Signature {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(64);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(ed25519_dalek::Signature::from_slice(slice)?))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_bytes().to_vec())
    }
}

impl Algorithm for Ed25519 {
    type SigningKey = Infallible;
    type VerifyingKey = ed25519_dalek::VerifyingKey;
    type Signature = Ed25519Signature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(Alg::EdDsa.name())
    }

    fn sign(&self, key: &Infallible, _: &[u8]) -> Ed25519Signature {
        match *key {}
    }

    fn verify_signature(&self, signature: &Ed25519Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        key.verify_strict(message, &signature.0).is_ok()
    }
}
