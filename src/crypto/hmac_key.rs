//! A shared secret, ready for checking (RFC 2104): what each hash makes of the secret alone is done once.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::Hash;

/// A secret of any length.
#[derive(Clone)]
pub struct HmacKey {
    secret: Vec<u8>,
    sha256: Hmac<Sha256>,
    sha384: Hmac<Sha384>,
    sha512: Hmac<Sha512>,
}

impl HmacKey {
    /// Takes a secret. `None` never comes about: a key of any length is one, and is hashed or filled up.
    pub fn new(secret: Vec<u8>) -> Option<Self> {
        let sha256 = Hmac::new_from_slice(&secret).ok()?;
        let sha384 = Hmac::new_from_slice(&secret).ok()?;
        let sha512 = Hmac::new_from_slice(&secret).ok()?;
        Some(Self { secret, sha256, sha384, sha512 })
    }

    /// Bytes of the secret.
    pub fn size(&self) -> usize {
        self.secret.len()
    }

    /// Whether `signature` is the HMAC of `message`, however short the secret is.
    pub fn holds(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        fn check<M: Mac + Clone>(keyed: &M, message: &[u8], signature: &[u8]) -> bool {
            keyed.clone().chain_update(message).verify_slice(signature).is_ok()
        }
        match hash {
            Hash::Sha256 => check(&self.sha256, message, signature),
            Hash::Sha384 => check(&self.sha384, message, signature),
            Hash::Sha512 => check(&self.sha512, message, signature),
        }
    }
}

impl PartialEq for HmacKey {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

/// The secret is nobody's to log, nor what was made of it.
impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_one_byte_is_a_secret() {
        // As Python's `hmac` has it.
        let signature = [
            0x98, 0x31, 0xa5, 0xaf, 0xef, 0xa7, 0x70, 0xd5, 0xfe, 0x6c, 0x98, 0x5f, 0x6c, 0x34, 0x37, 0x96, 0xca, 0x3d,
            0x27, 0x65, 0x1d, 0x69, 0xe2, 0x48, 0x64, 0xf1, 0xf9, 0x94, 0x8d, 0xeb, 0xfa, 0xcf,
        ];
        let key = HmacKey::new(b"k".to_vec()).unwrap();
        for _ in 0..2 {
            assert!(key.holds(Hash::Sha256, b"message", &signature));
            assert!(!key.holds(Hash::Sha256, b"message", &signature[..31]));
            assert!(!key.holds(Hash::Sha384, b"message", &signature));
            assert!(!key.holds(Hash::Sha256, b"message", &[0; 32]));
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", HmacKey::new(b"hunter2".to_vec()).unwrap()), "HmacKey");
    }
}
