//! ECDSA with whatever hash: for a caller that, like Envoy, lets a token's `alg` name the hash of another type of key.
//!
//! [`CryptoProvider`](super::CryptoProvider) refuses a curve with another's hash.

use p384::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

use super::PublicKey;

/// A hash of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// Whether `signature` over `message` holds for a key on a curve, with this hash instead of the curve's own. The signature is R
/// and S, each as long as the order. Other types of keys have none.
pub fn ecdsa_holds(key: &PublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    let mut hashed = hash.of(message);
    match key {
        PublicKey::P256(key, _) => {
            // Of a hash longer than the order, its first bits count (FIPS 186-5 section 6.4.2).
            let first = hashed.first_chunk::<32>();
            let signature = p256::ecdsa::Signature::from_slice(signature).ok();
            first.zip(signature).is_some_and(|(hash, signature)| key.holds(hash, &signature))
        }
        PublicKey::P384(key, _) => p384::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_prehash(&hashed, &signature).is_ok()),
        PublicKey::P521(key, _) => {
            // As a number a shorter hash is the same with zeros in front; without them `p521` refuses SHA-256.
            hashed.splice(0..0, std::iter::repeat_n(0, 66 - hashed.len()));
            p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&hashed, &signature).is_ok())
        }
        PublicKey::Rsa(..) | PublicKey::Ed25519(_) | PublicKey::Hmac(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    use super::*;

    #[test]
    fn every_curve_takes_every_hash() {
        macro_rules! curve {
            ($curve:ident, $name:literal, $length:literal) => {{
                let secret = $curve::ecdsa::SigningKey::from_slice(&[1; $length]).unwrap();
                let point = secret.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at($length);
                let key = PublicKey::ec($name, x, y).unwrap().unwrap();
                for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                    let mut hashed = hash.of(b"message");
                    if $length > 48 {
                        hashed.splice(0..0, vec![0; $length - hashed.len()]);
                    }
                    let signature: $curve::ecdsa::Signature = secret.sign_prehash(&hashed).unwrap();
                    let signature = signature.to_bytes();
                    assert!(ecdsa_holds(&key, hash, b"message", &signature), "{} {hash:?}", $name);
                    assert!(!ecdsa_holds(&key, hash, b"messagE", &signature), "{} {hash:?}", $name);
                    assert!(!ecdsa_holds(&key, hash, b"message", &signature[1..]), "{} {hash:?}", $name);
                }
            }};
        }
        curve!(p256, "P-256", 32);
        curve!(p384, "P-384", 48);
        // The first bits of its order are zeros.
        let secret = p521::ecdsa::SigningKey::from_slice(&[&[0], &[1; 65][..]].concat()).unwrap();
        let point = secret.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(66);
        let key = PublicKey::ec("P-521", x, y).unwrap().unwrap();
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let hashed = hash.of(b"message");
            let padded = [vec![0; 66 - hashed.len()], hashed].concat();
            let signature: p521::ecdsa::Signature = secret.sign_prehash(&padded).unwrap();
            assert!(ecdsa_holds(&key, hash, b"message", &signature.to_bytes()), "P-521 {hash:?}");
        }
    }
}
