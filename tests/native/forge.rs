//! Keys that no issuer should publish, with what it takes to sign for them: so that a test of their refusal has a signature that
//! holds, and nothing but the refusal can be the reason.

use p256::elliptic_curve::bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use rsa::BoxedUint;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use crate::mint::encode;

/// An RSA key whose modulus is a prime of Mersenne's, `2^bits - 1`: of any length without a search, and whoever knows it can sign.
/// What checks a signature sees no difference.
pub struct PrimeRsa {
    bits: usize,
    exponent: u64,
}

impl PrimeRsa {
    /// The lengths of some of these primes, around every bound.
    pub const BITS: [usize; 7] = [1279, 2203, 2281, 3217, 4423, 9689, 9941];

    /// A key of that length with the first exponent from this one on that has an inverse.
    pub fn with_exponent_from(bits: usize, exponent: u64) -> Self {
        let mut key = Self::new(bits, exponent);
        let mut order = key.modulus();
        order[bits.div_ceil(8) - 1] -= 1;
        while inverse(remainder(&order, key.exponent), key.exponent).is_none() {
            key.exponent += 1;
        }
        key
    }

    /// A key of that length.
    pub fn new(bits: usize, exponent: u64) -> Self {
        assert!(Self::BITS.contains(&bits), "2^{bits} - 1 is no prime");
        Self { bits, exponent }
    }

    /// The modulus, big-endian.
    pub fn modulus(&self) -> Vec<u8> {
        let mut bytes = vec![0xff; self.bits.div_ceil(8)];
        bytes[0] = (1 << (self.bits % 8)) - 1;
        bytes
    }

    /// What is published.
    pub fn jwk(&self) -> Value {
        let exponent = self.exponent.to_be_bytes();
        let start = exponent.iter().position(|&byte| byte != 0).expect("an exponent is not zero");
        json!({"kty": "RSA", "n": encode(&self.modulus()), "e": encode(&exponent[start..])})
    }

    /// A signature of RS256; `None` where the exponent is even and the padded hash is no square.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let encoding = pkcs1_of_sha256(message, self.bits.div_ceil(8));
        let signature = self.power(&encoding, &self.secret());
        (self.power(&signature, &self.exponent.to_be_bytes()) == encoding).then_some(signature)
    }

    /// A number that undoes the exponent: its inverse modulo `n - 1`, and for 2, since `n` is 3 modulo 4, `(n + 1) / 4`.
    fn secret(&self) -> Vec<u8> {
        if self.exponent == 2 {
            let mut power = vec![0; self.bits.div_ceil(8)];
            power[0] = 1 << (self.bits % 8);
            return divided(&power, 4);
        }
        let mut order = self.modulus();
        *order.last_mut().expect("it is not empty") -= 1;
        // (1 + k * order) / e, with the k for which that has no remainder.
        let inverse = inverse(remainder(&order, self.exponent), self.exponent).expect("n - 1 has no factor of e");
        let k = (self.exponent - inverse) % self.exponent;
        divided(&times_plus_one(&order, k), self.exponent)
    }

    fn power(&self, base: &[u8], exponent: &[u8]) -> Vec<u8> {
        let modulus = BoxedUint::from_be_slice_vartime(&self.modulus());
        let params = BoxedMontyParams::new_vartime(modulus.to_odd().expect("odd"));
        let base = BoxedUint::from_be_slice(base, params.bits_precision()).expect("a number of that size");
        let power = BoxedMontyForm::new(base, &params).pow(&BoxedUint::from_be_slice_vartime(exponent));
        let bytes = power.retrieve().to_be_bytes();
        bytes[bytes.len() - self.bits.div_ceil(8)..].to_vec()
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) with SHA-256.
pub fn pkcs1_of_sha256(message: &[u8], length: usize) -> Vec<u8> {
    const INFO: [u8; 19] = [0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32];
    let padding = vec![0xff; length - 3 - INFO.len() - 32];
    [&[0, 1], padding.as_slice(), &[0], &INFO, &Sha256::digest(message)].concat()
}

/// `number * factor + 1`, big-endian.
fn times_plus_one(number: &[u8], factor: u64) -> Vec<u8> {
    let mut product = [&[0; 9], number].concat();
    let mut carry = 1u128;
    for byte in product.iter_mut().rev() {
        carry += u128::from(*byte) * u128::from(factor);
        *byte = carry as u8;
        carry >>= 8;
    }
    product
}

fn remainder(number: &[u8], by: u64) -> u64 {
    number.iter().fold(0, |rest, &byte| ((u128::from(rest) << 8 | u128::from(byte)) % u128::from(by)) as u64)
}

/// Rounded down.
fn divided(number: &[u8], by: u64) -> Vec<u8> {
    let mut rest = 0;
    let digit = |&byte: &u8| {
        let value = u128::from(rest) << 8 | u128::from(byte);
        rest = (value % u128::from(by)) as u64;
        (value / u128::from(by)) as u8
    };
    number.iter().map(digit).collect()
}

/// Of `number` modulo `modulus`, by Euclid's algorithm; `None` if they have a common factor.
fn inverse(number: u64, modulus: u64) -> Option<u64> {
    let (mut rests, mut factors) = ((i128::from(modulus), i128::from(number % modulus)), (0i128, 1i128));
    while rests.1 != 0 {
        let quotient = rests.0 / rests.1;
        rests = (rests.1, rests.0 - quotient * rests.1);
        factors = (factors.1, factors.0 - quotient * factors.1);
    }
    (rests.0 == 1).then(|| factors.0.rem_euclid(i128::from(modulus)) as u64)
}
