//! One member of `keys` as Envoy reads it, with the status of the first thing that is wrong.
//!
//! `use`, `key_ops` and private members are not looked at. Numbers may have leading zeros, coordinates may lack theirs, RSA
//! exponents other than 3 and 65537 are refused.

use super::key::{Key, KeyType, Material, Unusable};
use super::{base64, Status};
use crate::crypto::{HmacKey, KeyProblem, PublicKey};
use crate::json::{Map, Value};
use crate::keys::Origin;

/// RSA moduli that Envoy's library takes, in bits; which of them are used is for [`Unusable::RsaSize`] to say.
const READABLE_RSA_BITS: std::ops::RangeInclusive<usize> = 512..=16384;

impl Key {
    /// Reads one member.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub(super) fn from_jwk(jwk: &Map<String, Value>, origin: Origin) -> Result<Self, Status> {
        let kty = text(jwk, "kty", Status::JwksMissingKty, Status::JwksBadKty)?;
        let optional = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kid, alg) = (optional("kid"), optional("alg"));
        let (kty, crv, material) = match kty {
            "EC" => {
                let (crv, key) = ec(jwk, &alg)?;
                (KeyType::Ec, crv, Material::Public(key))
            }
            "RSA" => (KeyType::Rsa, "", rsa(jwk, &alg)?),
            "oct" => (KeyType::Oct, "", oct(jwk, &alg, origin)?),
            "OKP" => (KeyType::Okp, "Ed25519", okp(jwk, &alg)?),
            _ => return Err(Status::JwksNotImplementedKty),
        };
        Ok(Self { kid, alg, kty, crv: crv.to_owned(), material })
    }
}

/// Says which curve it is, and the key.
fn ec(jwk: &Map<String, Value>, alg: &str) -> Result<(&'static str, PublicKey), Status> {
    if !alg.is_empty() && !alg.starts_with("ES") {
        return Err(Status::JwksECKeyBadAlg);
    }
    let crv = match jwk.get("crv") {
        None => "",
        Some(crv) => crv.as_str().ok_or(Status::JwksECKeyBadCrv)?,
    };
    // Either says which curve it is, both must agree, and without either it is P-256.
    let (crv, length) = match (alg, crv) {
        ("ES256" | "", "P-256") | ("ES256", "") | ("", "") => ("P-256", 32),
        ("ES384" | "", "P-384") | ("ES384", "") => ("P-384", 48),
        ("ES512" | "", "P-521") | ("ES512", "") => ("P-521", 66),
        ("", _) | (_, "") => return Err(Status::JwksECKeyAlgOrCrvUnsupported),
        _ => return Err(Status::JwksECKeyAlgNotCompatibleWithCrv),
    };
    let x = text(jwk, "x", Status::JwksECKeyMissingX, Status::JwksECKeyBadX)?;
    let y = text(jwk, "y", Status::JwksECKeyMissingY, Status::JwksECKeyBadY)?;
    let decode = |text: &str| base64::decode(text.as_bytes()).ok_or(Status::JwksEcXorYBadBase64);
    let (x, y) = (decode(x)?, decode(y)?);
    let (x, y) = (padded(&x, length), padded(&y, length));
    let key = x.zip(y).and_then(|(x, y)| PublicKey::ec(crv, &x, &y)).and_then(Result::ok);
    Ok((crv, key.ok_or(Status::JwksEcParseError)?))
}

fn rsa(jwk: &Map<String, Value>, alg: &str) -> Result<Material, Status> {
    if !alg.is_empty() && !alg.starts_with("RS") && !alg.starts_with("PS") {
        return Err(Status::JwksRSAKeyBadAlg);
    }
    let n = text(jwk, "n", Status::JwksRSAKeyMissingN, Status::JwksRSAKeyBadN)?;
    let e = text(jwk, "e", Status::JwksRSAKeyMissingE, Status::JwksRSAKeyBadE)?;
    let decode = |text: &str| base64::decode(text.as_bytes()).ok_or(Status::JwksRsaParseError);
    let (n, e) = (decode(n)?, decode(e)?);
    if !matches!(without_leading_zeros(&e), [3] | [1, 0, 1]) {
        return Err(Status::JwksRsaParseError);
    }
    rsa_material(PublicKey::rsa(&n, &e), &n).ok_or(Status::JwksRsaParseError)
}

/// What Envoy can do with an RSA key; `None` for one that it cannot read.
fn rsa_material(key: Result<PublicKey, KeyProblem>, modulus: &[u8]) -> Option<Material> {
    match key {
        Ok(key) => Some(Material::Public(key)),
        Err(KeyProblem::RsaSize) => {
            let modulus = without_leading_zeros(modulus);
            let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
            let odd = modulus.last().is_some_and(|last| last % 2 == 1);
            (odd && READABLE_RSA_BITS.contains(&bits)).then_some(Material::Unusable(Unusable::RsaSize))
        }
        Err(_) => None,
    }
}

fn oct(jwk: &Map<String, Value>, alg: &str, origin: Origin) -> Result<Material, Status> {
    if !matches!(alg, "" | "HS256" | "HS384" | "HS512") {
        return Err(Status::JwksHMACKeyBadAlg);
    }
    let k = text(jwk, "k", Status::JwksHMACKeyMissingK, Status::JwksHMACKeyBadK)?;
    let secret = base64::decode(k.as_bytes()).filter(|secret| !secret.is_empty()).ok_or(Status::JwksOctBadBase64)?;
    Ok(match origin {
        Origin::Local => Material::Secret(Box::new(HmacKey::new(secret).ok_or(Status::JwksOctBadBase64)?)),
        Origin::Remote => Material::Unusable(Unusable::RemoteSecret),
    })
}

fn okp(jwk: &Map<String, Value>, alg: &str) -> Result<Material, Status> {
    if !matches!(alg, "" | "EdDSA") {
        return Err(Status::JwksOKPKeyBadAlg);
    }
    if text(jwk, "crv", Status::JwksOKPKeyMissingCrv, Status::JwksOKPKeyBadCrv)? != "Ed25519" {
        return Err(Status::JwksOKPKeyCrvUnsupported);
    }
    let x = text(jwk, "x", Status::JwksOKPKeyMissingX, Status::JwksOKPKeyBadX)?;
    let x = base64::decode(x.as_bytes()).ok_or(Status::JwksOKPXBadBase64)?;
    if x.len() != 32 {
        return Err(Status::JwksOKPXWrongLength);
    }
    Ok(ed25519_material(PublicKey::ed25519(&x)))
}

/// What Envoy can do with 32 bytes: it does not look at them before it checks a signature.
fn ed25519_material(key: Result<PublicKey, KeyProblem>) -> Material {
    match key {
        Ok(key) => Material::Public(key),
        Err(KeyProblem::SmallOrder) => Material::Unusable(Unusable::SmallOrder),
        Err(_) => Material::Unusable(Unusable::NoPoint),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str, missing: Status, wrong_type: Status) -> Result<&'a str, Status> {
    jwk.get(name).ok_or(missing)?.as_str().ok_or(wrong_type)
}

/// A number in that many bytes; `None` if it is longer.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let number = without_leading_zeros(number);
    let zeros = length.checked_sub(number.len())?;
    Some([vec![0; zeros].as_slice(), number].concat())
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    number.get(start..).unwrap_or_default()
}
