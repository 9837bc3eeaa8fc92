//! The host's cryptography, asked as the gate asks it, against what others published to break signature checks.

use std::fmt::Write;
use std::fs;

use jwt_gate::crypto::{Alg, CryptoProvider, Portable, PublicKey};
use serde_json::json;

use crate::envoy::{project, wasm_filter};
use crate::proxy::Proxy;
use crate::rsa_case::{self, flip, padded, Hash};
use crate::signature_cases::{ecdsa, other_ecdsa, pkcs1, Case, Tally};
use crate::wire::{get, Connection};

fn start() -> Proxy {
    let module = project("target/wasm32-wasip1/release/examples/signatures.wasm");
    assert!(module.exists(), "{} is missing: `make test` builds it", module.display());
    Proxy::with_filters(vec![wasm_filter("signatures", &module, &json!(null))], |_, _| {})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ask(connection: &mut Connection, alg: &str, case: &Case) -> String {
    let question = get("/").with("x-alg", alg).with("x-key", hex(&case.key)).with("x-message", hex(&case.message));
    connection.send(&question.with("x-signature", hex(&case.signature)).bytes());
    connection.receive().text().to_owned()
}

fn holds(connection: &mut Connection, case: &Case) -> bool {
    match ask(connection, case.alg, case).as_str() {
        "holds" => true,
        "refused" => false,
        other => panic!("{}, case {}: {other}", case.set, case.number),
    }
}

#[test]
fn published_cases_come_out_as_they_should_in_the_hosts_cryptography() {
    let proxy = start();
    let mut connection = proxy.connect();
    let mut tally = Tally::default();
    for case in pkcs1().into_iter().chain(ecdsa()) {
        let found = holds(&mut connection, &case);
        tally.check(&case.set, case.number, &case.comment, case.holds, found);
    }
    assert!(tally.finish() > 3800);
    for case in other_ecdsa() {
        assert!(!holds(&mut connection, &case), "{}, case {}: {}", case.set, case.number, case.comment);
    }
    // What the host does not know is left to the next provider.
    assert_eq!(ask(&mut connection, "PS256", &pkcs1()[0]), "no answer");
    // A key that does not fit is no question for the host.
    assert_eq!(ask(&mut connection, "ES256", &pkcs1()[0]), "refused");
}

/// A signature, and what it may become on its way to a check that is less strict.
fn variants(modulus: &[u8], signature: &[u8], random: &mut fastrand::Rng) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = signature.to_vec();
    flip(&mut flipped, random.usize(..8192));
    // The same number modulo n.
    let sum = sum(signature, modulus);
    let below = &modulus[..modulus.len() - 1];
    vec![
        ("as it was made", signature.to_vec()),
        ("a bit flipped", flipped),
        ("a zero before it", [&[0], signature].concat()),
        ("a zero behind it", [signature, &[0]].concat()),
        ("without its first byte", signature.get(1..).unwrap_or_default().to_vec()),
        ("without its last byte", signature.split_last().map_or(&[][..], |(_, rest)| rest).to_vec()),
        ("without the zeros before it", padded(signature, 0)),
        ("raised by the modulus", padded(&sum, modulus.len())),
        ("the modulus", modulus.to_vec()),
        ("one less than the modulus", [below, &[modulus[modulus.len() - 1] - 1]].concat()),
        ("zero", vec![0; modulus.len()]),
        ("one", padded(&[1], modulus.len())),
        ("nothing", Vec::new()),
    ]
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let length = a.len().max(b.len()) + 1;
    let (mut sum, mut carry) = (vec![0; length], 0);
    for at in (0..length).rev() {
        let digit = |number: &[u8]| (at + number.len()).checked_sub(length).map_or(0, |at| u16::from(number[at]));
        carry += digit(a) + digit(b);
        sum[at] = carry as u8;
        carry >>= 8;
    }
    sum
}

#[test]
fn the_hosts_rsa_and_the_portable_one_say_the_same() {
    let mut random = fastrand::Rng::with_seed(1);
    let corpus = fs::read_dir(project("fuzz/corpus/rsa")).expect("the fuzz target has a corpus");
    let corpus: Vec<Vec<u8>> =
        corpus.map(|file| fs::read(file.expect("it is listed").path()).expect("it can be read")).collect();
    assert!(corpus.len() >= 8);
    let seeded = (0..400).map(|_| {
        let length = random.usize(40..400);
        (0..length).map(|_| random.u8(..)).collect()
    });
    let inputs: Vec<Vec<u8>> = corpus.into_iter().chain(seeded).collect();

    let proxy = start();
    let mut connection = proxy.connect();
    let (mut keys, mut held, mut refused) = (0, 0, 0);
    for (number, input) in inputs.iter().enumerate() {
        let Some(made) = rsa_case::Case::of(input) else { continue };
        let Ok(key) = PublicKey::rsa(&made.modulus, &made.exponent.to_be_bytes()) else { continue };
        let alg = match made.hash {
            Hash::Sha256 => Alg::Rs256,
            Hash::Sha384 => Alg::Rs384,
            Hash::Sha512 => Alg::Rs512,
        };
        keys += 1;
        for (what, signature) in variants(&made.modulus, &made.signature, &mut random) {
            let portable = Portable.verify(&key, alg, &made.message, &signature).expect("it answers every question");
            let case = Case {
                set: format!("input {number}, {what}"),
                number,
                comment: String::new(),
                alg: alg.name(),
                key: key.spki().expect("an RSA key").to_vec(),
                message: made.message.clone(),
                signature,
                holds: portable,
            };
            assert_eq!(holds(&mut connection, &case), portable, "{}, {alg}, {:?}", case.set, made.modulus);
            if portable {
                held += 1;
            } else {
                refused += 1;
            }
        }
    }
    println!("{keys} keys, {held} signatures hold, {refused} are refused");
    assert!(keys > 200 && held > 20 && refused > 2000, "{keys} keys, {held} hold, {refused} refused");
}
