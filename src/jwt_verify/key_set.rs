//! A key set as Envoy reads it: `keys` (RFC 7517 section 5), Google's map from `kid` to a certificate, or one public key in PEM.
//!
//! A member of `keys` that cannot be read is skipped, and its status is the set's only if nothing else can be read. One
//! certificate that cannot be read spoils its whole set. Unlike there, a fetched set has at most [`MAX_KEYS`], and one at least with
//! which something can verify.

use super::key::{Key, KeyType, Material, Unusable};
use super::{json, Status};
use crate::crypto::{pem_block, EncodingProblem, KeyProblem, PemLabel, PublicKey};
use crate::json::{Map, Value};
use crate::keys::Origin;
use crate::limits::{MAX_KEYS, MAX_KEY_SET_BYTES};
use crate::remote::Content;

/// The keys of a set, in their order, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    keys: Vec<Key>,
    /// The members of `keys` that cannot be read: their places there, and Envoy's word for what is wrong with each.
    skipped: Vec<(usize, Status)>,
    /// Those with which nothing verifies.
    unusable: Vec<(usize, Unusable)>,
    /// How many were left out.
    surplus: usize,
}

impl KeySet {
    /// Reads a set: `keys`, or certificates.
    ///
    /// # Errors
    /// It is no set, or what is wrong with the first of its keys if none can be read.
    pub fn parse(document: &[u8], origin: Origin) -> Result<Self, Status> {
        let document = json::parse_object(document).ok_or(Status::JwksParseError)?;
        match document.get("keys") {
            Some(Value::Array(members)) => Self::of_members(members, origin),
            Some(_) => Err(Status::JwksBadKeys),
            None => {
                let keys = certificates_of(&document)?;
                let unusable = keys.iter().enumerate().filter_map(|(index, key)| Some((index, key.unusable()?)));
                Ok(Self { unusable: unusable.collect(), keys, skipped: Vec::new(), surplus: 0 })
            }
        }
    }

    /// A set of one key, from a PEM block `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`Status::JwksPemBadBase64`], [`Status::JwksPemNotImplementedKty`].
    pub fn from_pem(pem: &str, kid: &str, alg: &str) -> Result<Self, Status> {
        let Some((PemLabel::PublicKey, der)) = pem_block(pem) else {
            return Err(Status::JwksPemBadBase64);
        };
        let (kty, material) = match PublicKey::from_spki(&der) {
            Ok(key @ PublicKey::Rsa(..)) => (KeyType::Rsa, Material::Public(key)),
            Ok(key @ (PublicKey::P256(..) | PublicKey::P384(..) | PublicKey::P521(..))) => {
                (KeyType::Ec, Material::Public(key))
            }
            Ok(key @ PublicKey::Ed25519(_)) => (KeyType::Okp, Material::Public(key)),
            Err(EncodingProblem::Unsound(KeyProblem::RsaSize)) => (KeyType::Rsa, Material::Unusable(Unusable::RsaSize)),
            Err(EncodingProblem::Unsound(KeyProblem::SmallOrder)) => {
                (KeyType::Okp, Material::Unusable(Unusable::SmallOrder))
            }
            Err(EncodingProblem::UnknownType) => return Err(Status::JwksPemNotImplementedKty),
            Ok(PublicKey::Hmac(_)) | Err(_) => return Err(Status::JwksPemBadBase64),
        };
        let crv = match (kty, alg) {
            (_, "ES256") => "P-256",
            (_, "ES384") => "P-384",
            (_, "ES512") => "P-521",
            (KeyType::Okp, _) => "Ed25519",
            _ => "",
        };
        let key = Key { kid: kid.to_owned(), alg: alg.to_owned(), kty, crv: crv.to_owned(), material };
        Ok(Self { keys: vec![key], skipped: Vec::new(), unusable: Vec::new(), surplus: 0 })
    }

    /// Takes the keys of `other` in after its own.
    pub fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
    }

    fn of_members(members: &[Value], origin: Origin) -> Result<Self, Status> {
        let (mut keys, mut skipped, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        let members = members.iter().enumerate();
        for (index, jwk) in members.filter_map(|(index, member)| Some((index, member.as_object()?))) {
            match Key::from_jwk(jwk, origin) {
                Ok(key) => {
                    unusable.extend(key.unusable().map(|why| (index, why)));
                    keys.push(key);
                }
                Err(problem) => skipped.push((index, problem)),
            }
        }
        if keys.is_empty() {
            return Err(skipped.first().map_or(Status::JwksNoValidKeys, |&(_, problem)| problem));
        }
        skipped.truncate(MAX_KEYS);
        unusable.truncate(MAX_KEYS);
        Ok(Self { keys, skipped, unusable, surplus: 0 })
    }

    /// The keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

fn certificates_of(document: &Map<String, Value>) -> Result<Vec<Key>, Status> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
    const END: &str = "\n-----END CERTIFICATE-----\n";
    let certificate = |(kid, value): (&String, &Value)| {
        let pem = value.as_str().filter(|pem| !kid.is_empty() && pem.starts_with(BEGIN) && pem.ends_with(END))?;
        // Of several blocks the first counts.
        let first = pem.split_inclusive("-----END CERTIFICATE-----").next()?;
        Some((kid.clone(), first.to_owned()))
    };
    let certificates: Option<Vec<_>> = document.iter().map(certificate).collect();
    let certificates = certificates.filter(|certificates| !certificates.is_empty()).ok_or(Status::JwksNoKeys)?;
    let key = |(kid, pem): (String, String)| {
        let material = match PublicKey::from_pem(&pem) {
            Ok(key @ PublicKey::Rsa(..)) => Material::Public(key),
            Err(EncodingProblem::Unsound(KeyProblem::RsaSize)) => Material::Unusable(Unusable::RsaSize),
            Err(EncodingProblem::Malformed) => return Err(Status::JwksX509ParseError),
            Ok(_) | Err(_) => return Err(Status::JwksX509GetPubkeyError),
        };
        Ok(Key { kid, alg: String::new(), kty: KeyType::Rsa, crv: String::new(), material })
    };
    certificates.into_iter().map(key).collect()
}

impl Content for KeySet {
    const NAME: &'static str = "jwt_authn key set";
    const MAX_BYTES: usize = MAX_KEY_SET_BYTES;

    fn parse(body: &[u8]) -> Result<Self, String> {
        let mut set = Self::parse(body, Origin::Remote).map_err(|status| status.text().to_owned())?;
        // A token without `kid` is tried against each that fits.
        set.surplus = set.keys.len().saturating_sub(MAX_KEYS);
        set.keys.truncate(MAX_KEYS);
        // Envoy would use some of them. The good keys from before stay, which is better than none.
        if set.length() == 0 {
            return Err(format!("no key that can be used: {}", set.summary()));
        }
        Ok(set)
    }

    fn length(&self) -> usize {
        self.keys.iter().filter(|key| key.unusable().is_none()).count()
    }

    fn summary(&self) -> String {
        let unusable = self.unusable.iter();
        let unusable: String =
            unusable.map(|(index, why)| format!("; with keys[{index}] nothing verifies: {why}")).collect();
        let skipped = self.skipped.iter().map(|(index, why)| format!("; keys[{index}] skipped: {}", why.text()));
        let surplus = if self.surplus > 0 { format!("; {} more are too many", self.surplus) } else { String::new() };
        format!("{} keys{unusable}{}{surplus}", self.keys.len(), skipped.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_set_has_no_more_keys_than_any_other() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let set = |keys: usize| format!(r#"{{"keys":[{}]}}"#, vec![key; keys].join(","));
        for (keys, kept) in [(1, 1), (MAX_KEYS, MAX_KEYS), (MAX_KEYS + 1, MAX_KEYS)] {
            let fetched = <KeySet as Content>::parse(set(keys).as_bytes()).unwrap();
            assert_eq!(fetched.keys().len(), kept, "{keys}");
            assert_eq!(fetched.summary().ends_with("100 keys; 1 more are too many"), keys > kept, "{keys}");
            // What the operator wrote is taken as it is.
            assert_eq!(KeySet::parse(set(keys).as_bytes(), Origin::Local).unwrap().keys().len(), keys);
        }
    }
}
