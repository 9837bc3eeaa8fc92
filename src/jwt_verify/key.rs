//! One key, and whether a signature may be checked with it at all.

use std::fmt;

use crate::crypto::{HmacKey, PublicKey};

/// A key, with what its set says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// `kid`; empty if absent.
    pub kid: String,
    /// `alg`, as it came; empty if absent.
    pub alg: String,
    /// `kty`.
    pub kty: KeyType,
    /// `crv`; empty if absent. Of an EC key, the curve that was chosen.
    pub crv: String,
    pub(super) material: Material,
}

/// `kty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyType {
    Ec,
    Rsa,
    Oct,
    Okp,
}

/// What a signature is checked with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Material {
    Public(PublicKey),
    /// A secret of any length but zero.
    Secret(Box<HmacKey>),
    Unusable(Unusable),
}

/// Why no signature holds for a key, although Envoy would check it. The key still counts: for the status of its set, and for
/// whether a token's `kid` and `alg` match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// Its RSA modulus is outside of [`RSA_BITS`](crate::limits::RSA_BITS). Envoy takes 512 to 16384 bits; 512 are broken within
    /// hours, 1024 within the means of a state (RFC 7518 section 3.3 asks for 2048), and large ones cost too much to check.
    RsaSize,
    /// Its Ed25519 point has small order: one signature holds for many messages, and anyone can make it.
    SmallOrder,
    /// It is a secret from a remote set: whoever can read the set could sign.
    RemoteSecret,
    /// Its Ed25519 key is no point: with Envoy no signature holds for it either. Or it is one of the points in another form than
    /// their own, which Envoy takes, and for which nobody can sign.
    NoPoint,
}

impl Key {
    /// Why no signature holds for it; `None` for a key that is used.
    pub fn unusable(&self) -> Option<Unusable> {
        match self.material {
            Material::Unusable(reason) => Some(reason),
            Material::Public(_) | Material::Secret(_) => None,
        }
    }
}

impl KeyType {
    /// The name in `kty`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ec => "EC",
            Self::Rsa => "RSA",
            Self::Oct => "oct",
            Self::Okp => "OKP",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaSize => "its RSA modulus has fewer than 2048 or more than 8192 bits",
            Self::SmallOrder => "it is a point of small order",
            Self::RemoteSecret => "it is a secret from a remote set",
            Self::NoPoint => "it is not a point on its curve",
        })
    }
}
