//! One member of a key set (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use std::fmt;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

use crate::crypto::{Alg, KeyProblem, PublicKey};
use crate::json::{Map, Value};

/// The members of private keys (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2). Any one of an RSA key yields the others.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A usable key with what its issuer says about its use.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    kid: Option<String>,
    alg: Option<Alg>,
    public: PublicKey,
}

/// Where a set comes from: secrets are for those in the configuration alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `remote_jwks`: public keys.
    Remote,
    /// `local_jwks`.
    Local,
}

/// Why a member of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It is no JSON object, or a member of it has a wrong type.
    Malformed,
    /// Its `kty` or `crv` is unknown.
    UnknownType,
    /// Its `alg` is unknown, or not one for its type.
    OtherAlgorithm,
    /// Its `use` or `key_ops` is not for checking signatures.
    OtherUse,
    /// It is a private key, or a secret from a remote source: whoever publishes it has published a signing key.
    Secret,
    /// Its numbers are no sound key.
    Unsound(KeyProblem),
    /// The set has more than [`MAX_KEYS`](crate::limits::MAX_KEYS).
    TooMany,
}

impl Key {
    /// Reads one member of a set.
    ///
    /// # Errors
    /// Why it is skipped.
    pub fn parse(member: &Value, origin: Origin) -> Result<Self, Skipped> {
        let jwk = member.as_object().ok_or(Skipped::Malformed)?;
        let kid = text(jwk, "kid")?;
        match text(jwk, "use")? {
            None | Some("sig") => {}
            Some(_) => return Err(Skipped::OtherUse),
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => {}
            Some(Value::Array(_)) => return Err(Skipped::OtherUse),
            Some(_) => return Err(Skipped::Malformed),
        }
        let kty = text(jwk, "kty")?.ok_or(Skipped::Malformed)?;
        let is_secret = if kty == "oct" { origin == Origin::Remote } else { jwk.contains_key("k") };
        if is_secret || PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(Skipped::Secret);
        }
        let public = match kty {
            "RSA" => PublicKey::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
            "EC" => {
                let curve = text(jwk, "crv")?.ok_or(Skipped::Malformed)?;
                PublicKey::ec(curve, &bytes(jwk, "x")?, &bytes(jwk, "y")?).ok_or(Skipped::UnknownType)?
            }
            "OKP" if text(jwk, "crv")? == Some("Ed25519") => PublicKey::ed25519(&bytes(jwk, "x")?),
            "oct" => PublicKey::hmac(bytes(jwk, "k")?),
            _ => return Err(Skipped::UnknownType),
        }
        .map_err(Skipped::Unsound)?;
        let alg = match text(jwk, "alg")? {
            None => None,
            Some(name) => {
                let alg = Alg::from_name(name).filter(|&alg| public.fits(alg));
                Some(alg.ok_or(Skipped::OtherAlgorithm)?)
            }
        };
        Ok(Self { kid: kid.map(str::to_owned), alg, public })
    }

    /// A key of which no more than its name is known.
    pub(super) fn plain(kid: Option<String>, public: PublicKey) -> Self {
        Self { kid, alg: None, public }
    }

    /// `kid`.
    pub fn kid(&self) -> Option<&String> {
        self.kid.as_ref()
    }

    /// What checks the signature.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether the key may check signatures of `alg`: its type fits, and its own `alg`, if it has one, is the same.
    pub fn allows(&self, alg: Alg) -> bool {
        self.public.fits(alg) && self.alg.is_none_or(|own| own.same_as(alg))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is malformed"),
            Self::UnknownType => f.write_str("its type or curve is unknown"),
            Self::OtherAlgorithm => f.write_str("its algorithm is unknown or does not go with its type"),
            Self::OtherUse => f.write_str("it is not for checking signatures"),
            Self::Secret => f.write_str("it holds a private or secret key, which must not be published"),
            Self::Unsound(problem) => problem.fmt(f),
            Self::TooMany => f.write_str("the set has too many keys"),
        }
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Skipped> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Skipped::Malformed),
    }
}

/// A value in base64url (RFC 7518 section 2). Padding, which the RFC forbids, is what some issuers publish: here it harms no one.
fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Skipped> {
    let text = text(jwk, name)?.ok_or(Skipped::Malformed)?;
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Skipped::Malformed)
}
