//! RSA with a public key: our power is that of another library, and a signature holds where `rsa` says so. What a host says of the
//! same signatures a test in Envoy asks (`the_hosts_rsa_and_the_portable_one_say_the_same`).

#![no_main]

use jwt_gate::crypto::{Exponentiation, RsaKey};
use jwt_gate_fuzz::{padded, Case, Hash, Holds};
use libfuzzer_sys::fuzz_target;
use num_bigint::BigUint;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::digest::const_oid::AssociatedOid;
use sha2::digest::{Digest, FixedOutputReset};
use sha2::{Sha256, Sha384, Sha512};

fuzz_target!(|input: &[u8]| {
    let Some(case) = Case::of(input) else { return };
    check_power(&case.modulus, case.exponent, &case.signature);
    let holds = match case.hash {
        Hash::Sha256 => check_signature::<Sha256>(&case),
        Hash::Sha384 => check_signature::<Sha384>(&case),
        Hash::Sha512 => check_signature::<Sha512>(&case),
    };
    if let Some(expected) = case.expected {
        assert_eq!(holds, Some(expected));
    }
});

/// `base^exponent` is what another library says, and there is none of a base of another length, or not below the modulus.
fn check_power(modulus: &[u8], exponent: u64, base: &[u8]) {
    let power = Exponentiation::new(modulus, exponent).expect("a modulus and an exponent").power(base);
    let is_below = base.len() == modulus.len() && base < modulus;
    let expected = is_below.then(|| {
        let number = BigUint::from_bytes_be;
        padded(&number(base).modpow(&exponent.into(), &number(modulus)).to_bytes_be(), modulus.len())
    });
    assert_eq!(power.map(|power| power.to_vec()), expected);
}

/// A signature holds where `rsa` says so, which is returned; `None` if this is no key.
fn check_signature<H>(case: &Case) -> Option<Holds>
where
    H: Digest + AssociatedOid + FixedOutputReset,
{
    let Case { modulus, exponent, message, signature, .. } = case;
    let key = RsaKey::new(modulus, &exponent.to_be_bytes());
    let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
    assert_eq!(key.is_ok(), (2048..=8192).contains(&bits) && *exponent < 1 << 33);
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
