//! Keys that are published as certificates or in PEM instead of JWKs: the same bounds, and no key too many.

use base64::prelude::{Engine, BASE64_STANDARD};
use jwt_gate::crypto::{KeyProblem, PublicKey};
use jwt_gate::keys::{KeySet, KeySetProblem, Origin, Skipped};
use serde_json::json;

use crate::mint::{Key, Token, ALGORITHMS};
use crate::world::{local, remote, Reply, Request, World, JWKS};

const CERTIFICATE: &str = include_str!("../support/keys/rsa-2048.certificate.pem");
const CERTIFICATE_V1: &str = include_str!("../support/keys/rsa-2048.certificate-v1.pem");
const SHORT_CERTIFICATE: &str = include_str!("../support/keys/rsa-1024.certificate.pem");

fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The key as a `SubjectPublicKeyInfo`.
fn spki(key: &Key) -> Vec<u8> {
    let set = KeySet::parse(json!({"keys": [key.jwk()]}).to_string().as_bytes(), Origin::Local).unwrap();
    match set.keys()[0].public() {
        // RFC 8410 section 4.
        PublicKey::Ed25519(point) => {
            [&[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0][..], point.as_bytes()].concat()
        }
        other => other.spki().unwrap().to_vec(),
    }
}

fn public(key: &Key) -> String {
    pem("PUBLIC KEY", &spki(key))
}

fn skipped(document: &str) -> Skipped {
    match KeySet::parse(document.as_bytes(), Origin::Local) {
        Err(KeySetProblem::NoUsableKey(Some(reason))) => reason,
        other => panic!("{document}: {other:?}"),
    }
}

#[test]
fn a_public_key_in_pem_checks_tokens_of_its_type() {
    for alg in ALGORITHMS.into_iter().filter(|alg| !alg.starts_with("HS")) {
        let text = public(&Key::of(alg, false));
        let more = json!({"algorithms": ALGORITHMS, "local_jwks": {"inline_string": text}});
        let mut world = World::new(&json!({"providers": {"main": local(&[], more)}}), 1);
        for (key, code) in [
            (Key::of(alg, false), "allowed"),
            // It has no name, so a token may have any.
            (Key::of(alg, false).named("any"), "allowed"),
            (Key::of(alg, true), "signature_invalid"),
        ] {
            let token = Token::new(&key).alg(alg).mint();
            assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), code, "{alg}");
        }
    }
}

#[test]
fn a_map_of_certificates_names_its_keys() {
    let document = json!({"one": CERTIFICATE, "two": public(&Key::p256(1)), "short": SHORT_CERTIFICATE}).to_string();
    let set = KeySet::parse(document.as_bytes(), Origin::Local).unwrap();
    let kids: Vec<_> = set.keys().iter().map(|key| key.kid().map(String::as_str)).collect();
    assert_eq!(kids, [Some("one"), Some("two")]);
    assert_eq!(set.skipped(), [(2, Skipped::Unsound(KeyProblem::RsaSize))]);
    let more = json!({"local_jwks": {"inline_string": document}});
    let mut world = World::new(&json!({"providers": {"main": local(&[], more)}}), 1);
    for (key, code) in [
        (Key::rsa().named("one"), "allowed"),
        (Key::p256(1).named("two"), "allowed"),
        (Key::rsa().named("two"), "key_unknown"),
        (Key::other_rsa().named("one"), "signature_invalid"),
        (Key::rsa().named("three"), "key_unknown"),
        (Key::short_rsa().named("short"), "key_unknown"),
    ] {
        let token = Token::new(&key).mint();
        assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), code);
    }
}

#[test]
fn what_is_no_key_in_a_map_of_certificates_is_skipped() {
    for other in [json!(""), json!("none"), json!(null), json!(5), Key::p256(1).jwk()] {
        let document = json!({"one": CERTIFICATE, "other": other}).to_string();
        let set = KeySet::parse(document.as_bytes(), Origin::Local).unwrap();
        assert_eq!((set.keys().len(), set.skipped()), (1, &[(1, Skipped::Malformed)][..]), "{other}");
    }
}

#[test]
fn certificates_can_be_fetched() {
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    world.issuer(JWKS, Reply::ok(json!({"one": CERTIFICATE}).to_string()));
    world.seconds_pass(1);
    let token = Token::new(&Key::rsa().named("one")).mint();
    assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), "allowed");
}

#[test]
fn a_certificate_may_stand_alone_and_be_of_the_first_version() {
    let jwk = KeySet::parse(json!({"keys": [Key::rsa().jwk()]}).to_string().as_bytes(), Origin::Local).unwrap();
    for text in [
        CERTIFICATE.to_owned(),
        CERTIFICATE_V1.to_owned(),
        format!("\n{CERTIFICATE}\n"),
        CERTIFICATE.replace('\n', "\r\n"),
        Key::rsa().public_pem(),
    ] {
        assert_eq!(KeySet::parse(text.as_bytes(), Origin::Remote).unwrap(), jwk, "{text}");
    }
}

#[test]
fn the_bounds_on_keys_hold_in_every_form() {
    let good = spki(&Key::p256(1));
    let mut off_curve = good.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let small_order = [&spki(&Key::ed25519(1))[..12], &[1], &[0; 31]].concat();
    // The last byte of the name of P-256; that of Ed25519's name says Ed448.
    let mut other_curve = good.clone();
    other_curve[22] += 1;
    let mut other_type = spki(&Key::ed25519(1));
    other_type[8] = 0x71;
    for (text, reason) in [
        (SHORT_CERTIFICATE.to_owned(), Skipped::Unsound(KeyProblem::RsaSize)),
        (Key::short_rsa().public_pem(), Skipped::Unsound(KeyProblem::RsaSize)),
        (pem("PUBLIC KEY", &off_curve), Skipped::Unsound(KeyProblem::Point)),
        (pem("PUBLIC KEY", &small_order), Skipped::Unsound(KeyProblem::SmallOrder)),
        (pem("PUBLIC KEY", &other_curve), Skipped::UnknownType),
        (pem("PUBLIC KEY", &other_type), Skipped::UnknownType),
        (pem("PUBLIC KEY", &good[..good.len() - 1]), Skipped::Malformed),
        (pem("PUBLIC KEY", &[good.as_slice(), &[0]].concat()), Skipped::Malformed),
        (pem("CERTIFICATE", &good), Skipped::Malformed),
        (pem("PRIVATE KEY", &good), Skipped::Malformed),
        (pem("PUBLIC KEY", b""), Skipped::Malformed),
        (format!("{CERTIFICATE}{CERTIFICATE_V1}"), Skipped::Malformed),
        (CERTIFICATE.replace("END CERTIFICATE", "END PUBLIC KEY"), Skipped::Malformed),
        (CERTIFICATE.replace("-----END CERTIFICATE-----", ""), Skipped::Malformed),
        (CERTIFICATE.replacen('A', "?", 1), Skipped::Malformed),
        (include_str!("../support/keys/rsa-2048.pem").to_owned(), Skipped::Malformed),
    ] {
        assert_eq!(skipped(&text), reason, "{text}");
        assert_eq!(skipped(&json!({ "kid": text }).to_string()), reason, "{text}");
    }
}

#[test]
fn an_object_of_other_texts_is_no_key_set() {
    for document in [
        json!({}),
        json!({"error": "not found"}),
        json!({"one": "x", "two": ""}),
        json!({"keys": CERTIFICATE}),
        json!({"keys": {"one": CERTIFICATE}}),
    ] {
        let parsed = KeySet::parse(document.to_string().as_bytes(), Origin::Local);
        assert_eq!(parsed.unwrap_err(), KeySetProblem::Malformed, "{document}");
    }
}

#[test]
fn no_byte_of_a_certificate_makes_its_reader_panic() {
    let (_, der) = jwt_gate::crypto::pem_block(CERTIFICATE).unwrap();
    for index in 0..der.len() {
        for byte in [0, 1, 0x30, 0x7f, 0x80, 0x81, 0xa0, 0xff] {
            let mut changed = der.clone();
            changed[index] = byte;
            let _ = PublicKey::from_certificate(&changed);
        }
        assert!(PublicKey::from_certificate(&der[..index]).is_err(), "{index} bytes");
    }
}
