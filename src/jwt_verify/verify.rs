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
use crate::crypto::{ecdsa_holds, hmac_holds, Alg, CryptoProvider, Hash, PublicKey};

/// A token whose signature holds. Nothing but [`verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified(Token);

impl Verified {
    /// The token.
    pub fn token(&self) -> &Token {
        &self.0
    }

    /// About what it takes in memory, in bytes: its text, and the trees of its JSON, which take several times theirs.
    pub fn size(&self) -> usize {
        size_of::<Self>() + 6 * self.0.signing_input.len() + self.0.signature.len()
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
            return Ok(Verified(token));
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
            hmac_holds(&secret.0, hash, message, signature)
        }
        Material::Unusable(_) => false,
    }
}
