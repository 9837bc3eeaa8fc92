//! The signature check, by the library's way of choosing keys, and the only way to a [`Verified`].
//!
//! Every key is tried whose `kid` and `alg` do not contradict the token; a key or a token without them contradicts nothing. What
//! is computed depends on the type of the key, and the hash on the token's `alg`, even where that belongs to another type: then
//! it is SHA-256.
//!
//! Not copied, because more signatures than the one that was made would hold: ECDSA signatures whose halves are shorter or longer
//! than the order (Envoy cuts at half the length, whatever it is). An Ed25519 signature is checked by the strict rules of
//! [`Portable`](crate::crypto::Portable). Keys that are [`Unusable`](super::Unusable) verify nothing.

use super::key::{Key, KeyType, Material};
use super::{KeySet, Status, Token};
use crate::crypto::{ecdsa_holds, Alg, CryptoProvider, Hash, PublicKey};
use crate::json::{Map, Value};
use crate::verdict::Shown;

/// A token whose signature holds. Nothing but [`verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified(Token, Shown);

impl Verified {
    /// The token.
    pub fn token(&self) -> &Token {
        &self.0
    }

    /// What is shown of it.
    pub fn shown(&self) -> &Shown {
        &self.1
    }

    /// The same, of which that is shown.
    #[must_use]
    pub fn showing(self, shown: Shown) -> Self {
        Self(self.0, shown)
    }

    /// About what it takes in memory, in bytes. Counted, because the trees of its JSON may take a hundred times their text.
    pub fn size(&self) -> usize {
        let Token { header, payload, kid, iss, sub, audiences, jti, signature, signing_input, .. } = &self.0;
        let texts: usize = [kid, iss, sub, jti, signing_input].into_iter().map(String::capacity).sum();
        let audiences: usize = audiences.iter().map(|audience| size_of::<String>() + audience.capacity()).sum();
        let trees = members(header) + members(payload);
        size_of::<Self>() + trees + texts + audiences + signature.capacity() + self.1.size()
    }
}

/// What the members of an object take: their texts and trees, and for each, place in a list with its hash and place in an index.
/// Both have room for more, and for the first few at once.
fn members(object: &Map<String, Value>) -> usize {
    const FEWEST: usize = 4;
    const PLACE: usize = size_of::<(usize, String, Value)>() + 2 * size_of::<usize>();
    let places = if object.is_empty() { 0 } else { object.len().next_power_of_two().max(FEWEST) };
    places * PLACE + object.iter().map(|(name, value)| name.capacity() + within(value)).sum::<usize>()
}

/// What a value takes beyond its own place. How deep it goes has a bound in the reader.
fn within(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(values) => values.capacity() * size_of::<Value>() + values.iter().map(within).sum::<usize>(),
        Value::Object(object) => members(object),
    }
}

/// Checks the signature of `token` with the keys of `set`. `providers` are asked in their order. Neither time nor audience is
/// looked at.
///
/// # Errors
/// [`Status::JwksKidAlgMismatch`] if no key has its `kid` and `alg`, [`Status::JwtEd25519SignatureWrongLength`] as soon as an
/// Ed25519 key meets a signature of another length, [`Status::JwtVerificationFail`].
pub fn verify(token: Token, set: &KeySet, providers: &[Box<dyn CryptoProvider>]) -> Result<Verified, Status> {
    let mut matched = false;
    for key in set.keys() {
        let other_kid = !token.kid.is_empty() && !key.kid.is_empty() && key.kid != token.kid;
        let other_alg = !key.alg.is_empty() && key.alg != token.alg.name();
        if other_kid || other_alg {
            continue;
        }
        matched = true;
        if key.kty == KeyType::Okp && token.signature.len() != 64 {
            return Err(Status::JwtEd25519SignatureWrongLength);
        }
        if holds(&token, key, providers) {
            return Ok(Verified(token, Shown::default()));
        }
    }
    Err(if matched { Status::JwtVerificationFail } else { Status::JwksKidAlgMismatch })
}

fn holds(token: &Token, key: &Key, providers: &[Box<dyn CryptoProvider>]) -> bool {
    let (message, signature) = (token.signing_input.as_bytes(), token.signature.as_slice());
    let ask = |key: &PublicKey, alg: Alg| {
        let answer = providers.iter().find_map(|provider| provider.verify(key, alg, message, signature));
        answer.unwrap_or(false)
    };
    match &key.material {
        Material::Public(key @ PublicKey::Ed25519(_)) => ask(key, Alg::EdDsa),
        Material::Public(key @ PublicKey::Rsa(..)) => ask(key, token.alg),
        Material::Public(key) if key.fits(token.alg) => ask(key, token.alg),
        Material::Public(key) => {
            let hash = match token.alg {
                Alg::Es384 => Hash::Sha384,
                Alg::Es512 => Hash::Sha512,
                _ => Hash::Sha256,
            };
            ecdsa_holds(key, hash, message, signature)
        }
        Material::Secret(secret) => {
            let hash = match token.alg {
                Alg::Hs384 => Hash::Sha384,
                Alg::Hs512 => Hash::Sha512,
                _ => Hash::Sha256,
            };
            secret.holds(hash, message, signature)
        }
        Material::Unusable(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use ::base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn size(payload: &str) -> usize {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.c2ln", encode(r#"{"alg":"ES256"}"#), encode(payload));
        Verified(Token::parse(token.as_bytes()).unwrap(), Shown::default()).size()
    }

    #[test]
    fn a_token_weighs_what_its_values_take_however_short_they_are_written() {
        let least = 2000 * size_of::<Value>();
        for (what, values) in [
            ("an array", format!("[{}]", vec!["1"; 2000].join(","))),
            ("arrays within arrays", format!("[{}]", vec!["[1]"; 1000].join(","))),
            ("an object", format!("{{{}}}", (0..2000).map(|at| format!("\"{at:x}\":1")).collect::<Vec<_>>().join(","))),
            ("objects within an array", format!("[{}]", vec![r#"{"a":1}"#; 1000].join(","))),
        ] {
            let size = size(&format!(r#"{{"v":{values}}}"#));
            assert!(size >= least && size <= 6 * least, "{what}: {size}, and its values alone take {least}");
        }
        let text = size(&format!(r#"{{"sub":"{}"}}"#, "x".repeat(3000)));
        assert!((10_000..12_000).contains(&text), "{text}: as text in base64, as a claim, and as `sub`");
    }
}
