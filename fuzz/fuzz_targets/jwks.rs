//! Key sets: what an issuer, or whoever answers in its place, can make of a document.
//!
//! * A set has no more keys than the document has members, and every member is either one of its keys, the same as one before it,
//!   or skipped for a reason.
//! * A fetched set holds no secret, nothing with a private part, no RSA key under 2048 bits or over 8192, and no key that is for
//!   something else; nor does one that is read for `semantics: jwt_authn` verify by such a secret or such a key.
//! * What a fetched set holds, the same set in the configuration holds, too; what that one holds beyond it are secrets.
//! * A token is checked with keys that fit its algorithm, with one where it names one, and with few where it does not.
//!
//! In an input `$n2048` and so on stand for what a key has there, so that inputs are short.

#![no_main]

use std::rc::Rc;

use jwt_gate::crypto::{Alg, PublicKey};
use jwt_gate::jwt_verify::{self, KeyType, Unusable};
use jwt_gate::keys::{Key, KeySet, Origin, Selection, Skipped};
use jwt_gate::limits::{MAX_KEYS, MAX_KEYS_TRIED};
use jwt_gate::remote::Content;
use jwt_gate_fuzz::{decode, encode, Json};
use libfuzzer_sys::fuzz_target;

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fuzz_target!(|input: &[u8]| {
    let document = filled(input);
    let fetched = KeySet::parse(&document, Origin::Remote);
    let local = KeySet::parse(&document, Origin::Local);
    if let Ok(fetched) = &fetched {
        assert!(fetched.keys().len() <= MAX_KEYS);
        check_members(fetched, &document);
        check_selection(fetched);
        for key in fetched.keys() {
            match key.public() {
                PublicKey::Hmac(_) => panic!("a secret from a fetched set"),
                PublicKey::Rsa(key, _) => assert!((256..=1024).contains(&key.size())),
                _ => {}
            }
        }
    }
    let keys = |set: &Result<KeySet, _>| set.as_ref().map(|set| set.keys().to_vec()).unwrap_or_default();
    let is_public = |key: &Rc<Key>| !matches!(key.public(), PublicKey::Hmac(_));
    let (fetched, mut local) = (keys(&fetched), keys(&local));
    if local.len() < MAX_KEYS {
        local.retain(is_public);
        assert_eq!(fetched, local);
    }

    if let Ok(lenient) = <jwt_verify::KeySet as Content>::parse(&document) {
        assert!(!lenient.keys().is_empty() && lenient.keys().len() <= MAX_KEYS);
        for key in lenient.keys() {
            assert!(key.kty != KeyType::Oct || key.unusable() == Some(Unusable::RemoteSecret));
        }
    }
});

/// The input with keys in it.
fn filled(input: &[u8]) -> Vec<u8> {
    // An odd number of so many bits.
    let modulus = |bits: usize| {
        let mut modulus = vec![0xa5; bits.div_ceil(8)];
        modulus[0] = 1 << ((bits - 1) % 8);
        encode(&modulus)
    };
    let text = |hex: &str| {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
        encode(&(0..hex.len()).step_by(2).map(digit).collect::<Vec<u8>>())
    };
    let mut text_of_input = String::from_utf8_lossy(input).into_owned();
    if std::str::from_utf8(input).is_err() || input.len() > 1 << 14 {
        return input.to_vec();
    }
    for (name, value) in [
        ("$n1024", modulus(1024)),
        ("$n2047", modulus(2047)),
        ("$n2048", modulus(2048)),
        ("$n8192", modulus(8192)),
        ("$n8193", modulus(8193)),
        ("$x256", text("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")),
        ("$y256", text("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")),
        ("$x25519", text("5866666666666666666666666666666666666666666666666666666666666666")),
        ("$secret", encode(&[7; 64])),
    ] {
        if text_of_input.contains(name) {
            text_of_input = text_of_input.replace(name, &value);
        }
    }
    text_of_input.into_bytes()
}

/// Which members of the document became keys.
fn check_members(set: &KeySet, document: &[u8]) {
    let Some(object) = Json::object(document) else {
        return assert_eq!(set.keys().len(), 1, "one key in PEM");
    };
    let Some(members) = object.get("keys") else {
        assert!(set.keys().len() <= object.members().len());
        let is_named = |key: &Rc<Key>| key.kid().is_some_and(|kid| object.get(kid).is_some());
        return assert!(set.keys().iter().all(is_named));
    };
    let members = members.elements().expect("a set has an array of keys");
    let skipped = set.skipped();
    assert!(set.keys().len() + skipped.len() <= members.len());
    if skipped.len() >= MAX_KEYS || skipped.iter().any(|(_, why)| *why == Skipped::TooMany) {
        return;
    }
    let mut keys = set.keys().iter().peekable();
    for (index, member) in members.iter().enumerate() {
        if skipped.iter().any(|(skipped, _)| *skipped == index) {
            continue;
        }
        check_member(member);
        let kid = member.get("kid").map(|kid| kid.text().expect("a name"));
        // The same as one before it, where it is not the next.
        keys.next_if(|key| key.kid().map(String::as_str) == kid);
        assert!(set.keys().iter().any(|key| key.kid().map(String::as_str) == kid));
    }
    assert_eq!(keys.next().map(|key| key.kid().cloned()), None, "no member is that key");
}

/// What a key of a fetched set must be.
fn check_member(member: &Json) {
    let text = |name: &str| member.get(name).map(|value| value.text().expect("a string"));
    assert!(PRIVATE.iter().all(|name| member.get(name).is_none()), "{member:?}");
    assert!(matches!(text("use"), None | Some("sig")), "{member:?}");
    if let Some(operations) = member.get("key_ops") {
        let operations = operations.elements().expect("operations are a list");
        assert!(operations.iter().any(|operation| operation.text() == Some("verify")), "{member:?}");
    }
    let number = |name: &str| {
        let text = text(name).expect("a number is there").trim_end_matches('=');
        let bytes = decode(text.as_bytes()).expect("a number is base64url");
        bytes.into_iter().skip_while(|&byte| byte == 0).collect::<Vec<u8>>()
    };
    let algorithms: &[&str] = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let (n, e) = (number("n"), number("e"));
            let bits = n.len() * 8 - n[0].leading_zeros() as usize;
            assert!((2048..=8192).contains(&bits), "{bits} bits");
            assert!(n.last().is_some_and(|last| last % 2 == 1) && e.last().is_some_and(|last| last % 2 == 1));
            assert!(e.len() > 1 || e[0] > 1, "e = 1 signs nothing");
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        }
        (Some("EC"), Some("P-256")) => &["ES256"],
        (Some("EC"), Some("P-384")) => &["ES384"],
        (Some("EC"), Some("P-521")) => &["ES512"],
        (Some("OKP"), Some("Ed25519")) => &["EdDSA", "Ed25519"],
        _ => panic!("a key of no known type: {member:?}"),
    };
    assert!(text("alg").is_none_or(|alg| algorithms.contains(&alg)), "{member:?}");
}

/// Which keys check which token.
fn check_selection(set: &KeySet) {
    let names: Vec<Option<&str>> = set.keys().iter().map(|key| key.kid().map(String::as_str)).collect();
    for kid in names.iter().copied().chain([None, Some("unknown")]) {
        let is_known = kid.is_some() && names.contains(&kid);
        for &alg in Alg::ALL {
            match set.select(kid, alg) {
                Selection::Unknown => {}
                Selection::Keys(keys) if kid.is_some() => {
                    assert!(keys.len() == 1 && keys[0].kid().map(String::as_str) == kid && keys[0].allows(alg));
                }
                Selection::Keys(keys) | Selection::Nameless(keys) => {
                    assert!(!is_known && !keys.is_empty() && keys.len() <= MAX_KEYS_TRIED);
                    assert!(keys.iter().all(|key| key.allows(alg) && (kid.is_none() || key.kid().is_none())));
                }
            }
        }
    }
}
