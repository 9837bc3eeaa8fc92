//! What others published to break signature checks: Wycheproof's files for the algorithms that hosts check, too.

#![allow(dead_code)] // Each test binary uses its part.

use std::collections::BTreeMap;

use wycheproof::{ecdsa, rsa_pkcs1_verify, HashFunction, TestResult};

/// One signature.
pub struct Case {
    /// Its file and its number there.
    pub set: String,
    pub number: usize,
    /// What is tried.
    pub comment: String,
    /// The JOSE name of the algorithm.
    pub alg: &'static str,
    /// The key as a `SubjectPublicKeyInfo` in DER.
    pub key: Vec<u8>,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// Whether it holds. "Acceptable" is a missing parameter of the hash's name, which RFC 8017 tells to refuse.
    pub holds: bool,
}

/// Adds the cases of one file to a list. The files of each kind have types of their own.
macro_rules! add {
    ($cases:ident, $module:ident, $name:ident, $alg:expr) => {
        for group in $module::TestSet::load($name).expect("a file of Wycheproof").test_groups {
            let Some(alg) = $alg(&group.hash) else { continue };
            for test in group.tests {
                $cases.push(Case {
                    set: format!("{:?}", $name),
                    number: test.tc_id,
                    comment: test.comment,
                    alg,
                    key: group.der.to_vec(),
                    message: test.msg.to_vec(),
                    signature: test.sig.to_vec(),
                    holds: test.result == TestResult::Valid,
                });
            }
        }
    };
}

/// RSA with PKCS #1 v1.5 padding, of every size and every hash that JOSE has.
pub fn pkcs1() -> Vec<Case> {
    let alg = |hash: &HashFunction| match hash {
        HashFunction::Sha2_256 => Some("RS256"),
        HashFunction::Sha2_384 => Some("RS384"),
        HashFunction::Sha2_512 => Some("RS512"),
        _ => None,
    };
    let mut cases = Vec::new();
    for name in rsa_pkcs1_verify::TestName::all() {
        add!(cases, rsa_pkcs1_verify, name, alg);
    }
    cases
}

/// ECDSA as JOSE has it: each curve with its hash, both numbers side by side.
pub fn ecdsa() -> Vec<Case> {
    use ecdsa::TestName::*;
    ecdsa_of([
        (EcdsaSecp256r1Sha256P1363, "ES256"),
        (EcdsaSecp384r1Sha384P1363, "ES384"),
        (EcdsaSecp521r1Sha512P1363, "ES512"),
    ])
}

/// ECDSA on the same curves with another hash, or with the numbers in DER. None of it is a signature of JOSE.
pub fn other_ecdsa() -> Vec<Case> {
    use ecdsa::TestName::*;
    ecdsa_of([
        (EcdsaSecp256r1Sha512P1363, "ES256"),
        (EcdsaSecp384r1Sha512P1363, "ES384"),
        (EcdsaSecp256r1Sha256, "ES256"),
        (EcdsaSecp384r1Sha384, "ES384"),
        (EcdsaSecp521r1Sha512, "ES512"),
    ])
}

fn ecdsa_of(sets: impl IntoIterator<Item = (ecdsa::TestName, &'static str)>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, alg) in sets {
        add!(cases, ecdsa, name, |_: &HashFunction| Some(alg));
    }
    cases
}

/// Counts what a published case came to, and fails on a wrong one.
#[derive(Default)]
pub struct Tally(BTreeMap<String, [usize; 2]>);

impl Tally {
    pub fn check(&mut self, set: &str, number: usize, comment: &str, expected: bool, found: bool) {
        assert_eq!(found, expected, "{set}, case {number}: {comment}");
        self.0.entry(set.to_owned()).or_default()[usize::from(found)] += 1;
    }

    /// Every set has cases that hold, and among all are some that are refused. How many cases there were.
    pub fn finish(&self) -> usize {
        for (set, [refused, held]) in &self.0 {
            println!("{set}: {held} hold, {refused} refused");
            assert!(*held > 0, "{set}");
        }
        assert!(self.0.values().any(|[refused, _]| *refused > 0));
        self.0.values().flatten().sum()
    }
}
