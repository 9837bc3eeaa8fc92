//! RSA with a public key: our power is that of another library, and a signature holds where `rsa` says so.
//!
//! Well-formed signatures need no private key here. For an encoding `m` and any `s` with `s^3 > 2m`, the signature `s` opens to `m`
//! under the exponent 3 and the modulus `n = s^3 - m`: so there are good signatures, and ones with any flaw, under moduli of
//! every length.

#![no_main]

use jwt_gate::crypto::{Exponentiation, RsaKey};
use jwt_gate_fuzz::{flip, Number};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use num_bigint::BigUint;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::{Digest, FixedOutputReset};
use sha2::{Sha256, Sha384, Sha512};

#[derive(Arbitrary, Debug)]
enum Case<'a> {
    /// Any base, as a number and as a signature.
    Any { modulus: Number<'a>, exponent: Exponent, base: Number<'a>, length: Length, hash: Hash, message: &'a [u8] },
    /// A signature that was well-formed before bits of it, or of what it opens to, were flipped.
    Signed { signature: Number<'a>, padding: Padding<'a>, hash: Hash, message: &'a [u8], flipped: Flipped },
}

#[derive(Arbitrary, Debug)]
enum Exponent {
    Usual,
    Short(u32),
    Long(u64),
}

/// How long a base is.
#[derive(Arbitrary, Debug)]
enum Length {
    OfModulus,
    Other(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Arbitrary, Debug)]
enum Padding<'a> {
    Pkcs1,
    Pss {
        salt: Number<'a>,
    },
    /// A salt of a length that is not the hash's.
    PssOf {
        salt: &'a [u8],
    },
}

#[derive(Arbitrary, Debug)]
struct Flipped {
    of_encoding: Option<u16>,
    of_signature: Option<u16>,
}

fuzz_target!(|case: Case| match case {
    Case::Any { modulus, exponent, base, length, hash, message } => {
        let modulus = modulus.odd(modulus.bits(2, 8192));
        let exponent = match exponent {
            Exponent::Usual => 65537,
            Exponent::Short(exponent) => u64::from(exponent) | 3,
            Exponent::Long(exponent) => exponent | 3,
        };
        let base = base.bytes(match length {
            Length::OfModulus => modulus.len(),
            Length::Other(length) => usize::from(length) % 1100,
        });
        check_power(&modulus, exponent, &base);
        match hash {
            Hash::Sha256 => check_signature::<Sha256>(&modulus, exponent, message, &base),
            Hash::Sha384 => check_signature::<Sha384>(&modulus, exponent, message, &base),
            Hash::Sha512 => check_signature::<Sha512>(&modulus, exponent, message, &base),
        };
    }
    Case::Signed { signature, padding, hash, message, flipped } => match hash {
        Hash::Sha256 => check_signed::<Sha256>(signature, padding, message, flipped),
        Hash::Sha384 => check_signed::<Sha384>(signature, padding, message, flipped),
        Hash::Sha512 => check_signed::<Sha512>(signature, padding, message, flipped),
    },
});

/// Whether a signature holds, by each padding.
#[derive(Debug, Default, PartialEq)]
struct Holds {
    pkcs1: bool,
    pss: bool,
}

/// `base^exponent` is what another library says, and there is none of a base of another length, or not below the modulus.
fn check_power(modulus: &[u8], exponent: u64, base: &[u8]) {
    let power = Exponentiation::new(modulus, exponent).expect("a modulus and an exponent").power(base);
    let is_below = base.len() == modulus.len() && base < modulus;
    let expected = is_below.then(|| {
        let number = BigUint::from_bytes_be;
        padded(&number(base).modpow(&exponent.into(), &number(modulus)), modulus.len())
    });
    assert_eq!(power, expected);
}

/// A signature holds where `rsa` says so, which is returned; `None` if this is no key.
fn check_signature<H>(modulus: &[u8], exponent: u64, message: &[u8], signature: &[u8]) -> Option<Holds>
where
    H: Digest + AssociatedOid + FixedOutputReset,
{
    let key = RsaKey::new(modulus, &exponent.to_be_bytes());
    let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
    assert_eq!(key.is_ok(), (2048..=8192).contains(&bits) && exponent < 1 << 33);
    let key = key.ok()?;
    let (public, hash) = (key.public(), H::digest(message));
    // Its check of PKCS #1 takes a signature of another length if the number is the same.
    let library = |holds: rsa::Result<()>| holds.is_ok() && signature.len() == modulus.len();
    let expected = Holds {
        pkcs1: library(public.verify(Pkcs1v15Sign::new::<H>(), &hash, signature)),
        pss: library(public.verify(Pss::<H>::new(), &hash, signature)),
    };
    let found =
        Holds { pkcs1: key.verify_pkcs1::<H>(message, signature), pss: key.verify_pss::<H>(message, signature) };
    assert_eq!(found, expected);
    Some(found)
}

fn check_signed<H>(number: Number, padding: Padding, message: &[u8], flipped: Flipped)
where
    H: Digest + AssociatedOid + FixedOutputReset,
{
    // s is a little below 2^third, so that n, which is a little below s^3, has three times as many bits.
    let third = number.bits(683, 2730);
    let (bits, length) = (3 * third, (3 * third).div_ceil(8));
    let (mut encoding, expected) = match &padding {
        Padding::Pkcs1 => (pkcs1::<H>(message, length), Holds { pkcs1: true, pss: false }),
        Padding::Pss { salt } => {
            let salt = salt.bytes(<H as Digest>::output_size());
            (pss::<H>(message, &salt, bits - 1), Holds { pkcs1: false, pss: true })
        }
        Padding::PssOf { salt } => {
            let salt = &salt[..salt.len().min(100)];
            let is_usual = salt.len() == <H as Digest>::output_size();
            (pss::<H>(message, salt, bits - 1), Holds { pkcs1: false, pss: is_usual })
        }
    };
    encoding.splice(0..0, vec![0; length - encoding.len()]);
    if let Some(bit) = flipped.of_encoding {
        flip(&mut encoding, bit);
    }
    let encoding = BigUint::from_bytes_be(&encoding);

    let below = BigUint::from_bytes_be(&number.bytes(third / 16)) << 1u32;
    let mut signature = (BigUint::from(1u32) << third) - below - 2u32;
    if !encoding.bit(0) {
        signature -= 1u32;
    }
    let cube = signature.pow(3);
    if cube < &encoding << 1u32 {
        return;
    }
    let modulus = (cube - encoding).to_bytes_be();
    let mut signature = padded(&signature, modulus.len());
    if let Some(bit) = flipped.of_signature {
        flip(&mut signature, bit);
    }

    check_power(&modulus, 3, &signature);
    let holds = check_signature::<H>(&modulus, 3, message, &signature);
    let expected = match flipped {
        Flipped { of_encoding: None, of_signature: None } => expected,
        _ => Holds::default(),
    };
    assert_eq!(holds, Some(expected));
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2), with the `DigestInfo` as its note 1 has it.
fn pkcs1<H: Digest + AssociatedOid>(message: &[u8], length: usize) -> Vec<u8> {
    let hash = H::digest(message);
    let oid = H::OID.as_bytes();
    assert_eq!(oid.len(), 9);
    let info = [&[0x30, 17 + hash.len() as u8, 0x30, 13, 6, 9], oid, &[5, 0, 4, hash.len() as u8], &hash].concat();
    [&[0, 1], vec![0xff; length - 3 - info.len()].as_slice(), &[0], &info].concat()
}

/// EMSA-PSS (RFC 8017 section 9.1.1) with MGF1 by the same hash.
fn pss<H: Digest>(message: &[u8], salt: &[u8], bits: usize) -> Vec<u8> {
    let seed = H::new().chain_update([0; 8]).chain_update(H::digest(message)).chain_update(salt).finalize();
    let length = bits.div_ceil(8) - seed.len() - 1;
    let block = [vec![0; length - 1 - salt.len()].as_slice(), &[1], salt].concat();
    let mask = (0u32..).flat_map(|counter| H::new_with_prefix(&seed).chain_update(counter.to_be_bytes()).finalize());
    let mut masked: Vec<u8> = block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    masked[0] &= 0xff >> (8 * bits.div_ceil(8) - bits);
    [masked.as_slice(), &seed, &[0xbc]].concat()
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    // Zero has a byte, too.
    let bytes = if *number == BigUint::ZERO { &[] } else { bytes.as_slice() };
    [vec![0; length - bytes.len()].as_slice(), bytes].concat()
}
