//! An RSA key (RFC 8017) and what a signature opens to. `rsa` judges the key, [`Exponentiation`] does the arithmetic, and the two
//! paddings compare.

use std::fmt;
use std::iter::repeat_n;
use std::sync::Arc;

use rsa::BoxedUint;
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::Digest;

use super::known::Known;
use super::modexp::{Exponentiation, Power};
use super::{pss, KeyProblem};
use crate::limits::RSA_BITS;

/// An RSA key, prepared for checking signatures: once for all keys of these numbers in the VM.
#[derive(Clone)]
pub struct RsaKey(Arc<Prepared>);

struct Prepared {
    public: rsa::PublicKey,
    exponentiation: Exponentiation,
}

static KNOWN: Known<Prepared> = Known::new();

impl RsaKey {
    /// A key from modulus and exponent, big-endian. Leading zeros, which RFC 7518 section 6.3.1.1 forbids and real sets have, are
    /// ignored.
    ///
    /// # Errors
    /// The size is out of range, the modulus is even, or the exponent is even, 1 or longer than 33 bits.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyProblem> {
        let (modulus, exponent) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
        let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyProblem::RsaSize);
        }
        if exponent.len() > 8 {
            return Err(KeyProblem::RsaValue);
        }
        let small = exponent.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let is_same = |prepared: &Prepared| prepared.exponentiation.is_of(modulus, small);
        let make = || {
            let exponentiation = Exponentiation::new(modulus, small).ok_or(KeyProblem::RsaValue)?;
            let (n, e) = (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
            let public = rsa::PublicKey::new_with_size_limits(n, e, RSA_BITS).map_err(|_| KeyProblem::RsaValue)?;
            Ok(Prepared { public, exponentiation })
        };
        KNOWN.find_or_make(is_same, make).map(Self)
    }

    /// The key as `rsa` has it.
    pub fn public(&self) -> &rsa::PublicKey {
        &self.0.public
    }

    /// Bytes of the modulus, and of every signature.
    pub fn size(&self) -> usize {
        self.0.exponentiation.modulus().len()
    }

    /// RSASSA-PKCS1-V1_5-VERIFY (RFC 8017 section 8.2.2). It is compared with the one encoding that the hash can have: a padding
    /// that is read can be misread.
    pub fn verify_pkcs1<H: Digest + AssociatedOid>(&self, message: &[u8], signature: &[u8]) -> bool {
        self.open(signature).is_some_and(|opened| is_pkcs1_encoding::<H>(&opened, message))
    }

    /// RSASSA-PSS-VERIFY (RFC 8017 section 8.1.2) with a salt as long as the hash, and MGF1 by the same hash.
    pub fn verify_pss<H: Digest>(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(mut opened) = self.open(signature) else { return false };
        let bits =
            self.size() * 8 - self.0.exponentiation.modulus().first().map_or(0, |first| first.leading_zeros() as usize);
        pss::holds::<H>(&H::digest(message), &mut opened, bits - 1)
    }

    /// RSAVP1 (RFC 8017 section 5.2.2): `None` for a signature that is not as long as the modulus, or not below it.
    fn open(&self, signature: &[u8]) -> Option<Power> {
        self.0.exponentiation.power(signature)
    }
}

impl PartialEq for RsaKey {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.public().fmt(f)
    }
}

/// Whether it is what EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) makes of the message in that length: 0, 1, at least eight times 255, 0,
/// and the hash in its `DigestInfo`.
fn is_pkcs1_encoding<H: Digest + AssociatedOid>(opened: &[u8], message: &[u8]) -> bool {
    let (oid, hash) = (H::OID.as_bytes(), H::digest(message));
    // DER of SEQUENCE { SEQUENCE { OBJECT IDENTIFIER, NULL }, OCTET STRING }; every length here is below 128.
    let (oid_length, hash_length) = (oid.len() as u8, hash.len() as u8);
    let start = [0x30, oid_length + hash_length + 8, 0x30, oid_length + 4, 0x06, oid_length];
    let middle = [0x05, 0, 0x04, hash_length];
    let info = start.iter().chain(oid).chain(&middle).chain(hash.as_slice());
    let info_length = start.len() + oid.len() + middle.len() + hash.len();
    let padding = opened.len().checked_sub(info_length + 3).filter(|&padding| padding >= 8);
    padding.is_some_and(|padding| [0, 1].iter().chain(repeat_n(&0xff, padding)).chain(&[0]).chain(info).eq(opened))
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|&b| b != 0).unwrap_or(number.len());
    number.get(start..).unwrap_or_default()
}
