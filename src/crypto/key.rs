//! The keys that check signatures, each of one type, sound by construction.

use std::fmt;

use super::{Alg, Es256Key, HmacKey, RsaKey, Spki};

/// A key that checks signatures. Built once, when a key set is read, never per request.
#[derive(Clone, Debug, PartialEq)]
pub enum PublicKey {
    /// RSA, [2048 to 8192](crate::limits::RSA_BITS) bits.
    Rsa(RsaKey, Spki),
    /// A point on P-256.
    P256(Es256Key, Spki),
    /// A point on P-384.
    P384(p384::ecdsa::VerifyingKey, Spki),
    /// A point on P-521.
    P521(p521::ecdsa::VerifyingKey, Spki),
    /// A point on edwards25519.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// A shared secret.
    Hmac(Box<HmacKey>),
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// The RSA modulus is shorter or longer than [`RSA_BITS`](crate::limits::RSA_BITS).
    RsaSize,
    /// The RSA modulus or exponent cannot belong to a key.
    RsaValue,
    /// A coordinate has the wrong length, or the point is not on the curve.
    Point,
    /// The Ed25519 point has small order: one signature would hold for many messages.
    SmallOrder,
    /// The secret is shorter than the shortest hash (RFC 7518 section 3.2).
    ShortSecret,
}

impl PublicKey {
    /// An RSA key from modulus and exponent, big-endian.
    ///
    /// # Errors
    /// Those of [`RsaKey::new`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyProblem> {
        let key = RsaKey::new(modulus, exponent)?;
        let spki = Spki::of(key.public()).ok_or(KeyProblem::RsaValue)?;
        Ok(Self::Rsa(key, spki))
    }

    /// A point on P-256 (32 bytes each), P-384 (48) or P-521 (66), by the name of `crv`; `None` for another curve.
    pub fn ec(curve: &str, x: &[u8], y: &[u8]) -> Option<Result<Self, KeyProblem>> {
        let length = match curve {
            "P-256" => 32,
            "P-384" => 48,
            "P-521" => 66,
            _ => return None,
        };
        if x.len() != length || y.len() != length {
            return Some(Err(KeyProblem::Point));
        }
        let point = [&[4], x, y].concat();
        macro_rules! point_on {
            ($curve:ident, $variant:ident) => {{
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok();
                key.and_then(|key| Some(Self::$variant(key, Spki::of(&key)?)))
            }};
        }
        let key = match curve {
            "P-256" => Es256Key::from_sec1(&point).and_then(|key| {
                let spki = Spki::of(key.public())?;
                Some(Self::P256(key, spki))
            }),
            "P-384" => point_on!(p384, P384),
            _ => point_on!(p521, P521),
        };
        Some(key.ok_or(KeyProblem::Point))
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// Another length, no point, another form of a point than its own (RFC 8032 section 5.1.3, which the library is lenient in), or
    /// a point of small order.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyProblem> {
        let bytes = x.try_into().map_err(|_| KeyProblem::Point)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyProblem::Point)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyProblem::Point);
        }
        if key.is_weak() {
            return Err(KeyProblem::SmallOrder);
        }
        Ok(Self::Ed25519(key))
    }

    /// A shared secret of at least 32 bytes.
    ///
    /// # Errors
    /// It is shorter.
    pub fn hmac(secret: Vec<u8>) -> Result<Self, KeyProblem> {
        let key = HmacKey::new(secret).filter(|key| key.size() >= 32).ok_or(KeyProblem::ShortSecret)?;
        Ok(Self::Hmac(Box::new(key)))
    }

    /// Whether the key is of the type that `alg` uses, and long enough for its hash.
    pub fn fits(&self, alg: Alg) -> bool {
        match (self, alg) {
            (Self::Rsa(key, _), Alg::Ps512) => key.size() >= 2 * 64 + 2,
            (Self::Rsa(..), Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384)
            | (Self::P256(..), Alg::Es256)
            | (Self::P384(..), Alg::Es384)
            | (Self::P521(..), Alg::Es512)
            | (Self::Ed25519(_), Alg::EdDsa | Alg::Ed25519) => true,
            (Self::Hmac(key), Alg::Hs256) => key.size() >= 32,
            (Self::Hmac(key), Alg::Hs384) => key.size() >= 48,
            (Self::Hmac(key), Alg::Hs512) => key.size() >= 64,
            _ => false,
        }
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaSize => "its RSA modulus has fewer than 2048 or more than 8192 bits",
            Self::RsaValue => "its RSA modulus or exponent cannot belong to a key",
            Self::Point => "it is not a point on its curve",
            Self::SmallOrder => "it is a point of small order",
            Self::ShortSecret => "its secret has fewer than 32 bytes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_keys_out_of_bounds_are_refused() {
        let modulus = |bytes: usize| [&[0x80][..], &vec![0; bytes - 2], &[1]].concat();
        let exponent: &[u8] = &[1, 0, 1];
        for (n, e, problem) in [
            (modulus(128), exponent, KeyProblem::RsaSize),
            ([&[0x7f][..], &vec![0xff; 255]].concat(), exponent, KeyProblem::RsaSize),
            (modulus(1025), exponent, KeyProblem::RsaSize),
            (vec![0; 256], exponent, KeyProblem::RsaSize),
            (vec![], exponent, KeyProblem::RsaSize),
            ([modulus(255), vec![2]].concat(), exponent, KeyProblem::RsaValue),
            (modulus(256), &[1][..], KeyProblem::RsaValue),
            (modulus(256), &[0][..], KeyProblem::RsaValue),
            (modulus(256), &[][..], KeyProblem::RsaValue),
            (modulus(256), &[2][..], KeyProblem::RsaValue),
            (modulus(256), &[0x7f, 0xff, 0xff, 0xff, 0xff][..], KeyProblem::RsaValue),
            (modulus(256), &[1; 9][..], KeyProblem::RsaValue),
        ] {
            assert_eq!(PublicKey::rsa(&n, e).unwrap_err(), problem, "{} bytes, e {e:?}", n.len());
        }
        for n in [modulus(256), modulus(1024), [vec![0, 0], modulus(256)].concat(), modulus(257)] {
            assert!(PublicKey::rsa(&n, exponent).is_ok(), "{} bytes", n.len());
        }
    }

    #[test]
    fn a_point_must_have_its_length_and_be_on_the_curve() {
        for (curve, length) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
            for (x, y) in [(length, length), (length - 1, length), (length, length + 1), (0, 0)] {
                let key = PublicKey::ec(curve, &vec![0; x], &vec![0; y]).unwrap();
                assert_eq!(key.unwrap_err(), KeyProblem::Point, "{curve} {x} {y}");
            }
        }
        assert!(PublicKey::ec("secp256k1", &[0; 32], &[0; 32]).is_none());
    }

    #[test]
    fn ed25519_points_of_small_order_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(PublicKey::ed25519(&one).unwrap_err(), KeyProblem::SmallOrder);
        assert_eq!(PublicKey::ed25519(&[0; 32]).unwrap_err(), KeyProblem::SmallOrder);
        assert_eq!(PublicKey::ed25519(&[0; 31]).unwrap_err(), KeyProblem::Point);
    }

    #[test]
    fn a_secret_must_be_as_long_as_the_hash() {
        assert_eq!(PublicKey::hmac(vec![0; 31]).unwrap_err(), KeyProblem::ShortSecret);
        let key = PublicKey::hmac(vec![0; 48]).unwrap();
        let fitting: Vec<_> = Alg::ALL.iter().filter(|&&alg| key.fits(alg)).collect();
        assert_eq!(fitting, [&Alg::Hs256, &Alg::Hs384]);
        assert_eq!(format!("{key:?}"), "Hmac(HmacKey)");
    }
}
