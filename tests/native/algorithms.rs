//! Every algorithm: a good token passes, and nothing that differs from it in one bit does.

use std::collections::BTreeMap;

use base64::prelude::{Engine, BASE64_URL_SAFE_NO_PAD};
use jwt_gate::crypto::Alg;
use serde_json::{json, Value};

use crate::mint::{encode, key_set, sign_compact, Key, Token, ALGORITHMS};
use crate::world::{local, merged, remote, Reply, Request, World, JWKS};

/// A gate that holds these keys and takes every algorithm.
fn gate(keys: &[&Key]) -> World {
    gate_with_set(&key_set(keys.iter().map(|key| key.jwk())))
}

fn gate_with_set(set: &str) -> World {
    let more = json!({"algorithms": ALGORITHMS, "local_jwks": {"inline_string": set}});
    World::new(&json!({"providers": {"main": local(&[], more)}}), 1)
}

/// A gate that asks for no claims, so that few bits make a good token.
fn gate_for_short_tokens(key: &Key) -> World {
    let lenient = json!({
        "issuer": null,
        "audiences": null,
        "allow_any_audience": true,
        "require_expiration": false,
        "algorithms": ALGORITHMS,
    });
    World::new(&json!({"providers": {"main": local(&[key], lenient)}}), 1)
}

fn short_token(key: &Key, alg: &str) -> String {
    sign_compact(key, alg, format!(r#"{{"alg":"{alg}"}}"#).as_bytes(), br#"{"sub":"a"}"#)
}

fn code(world: &mut World, token: &str) -> &'static str {
    world.ask(0, &Request::get("/").bearer(token)).code()
}

#[test]
fn the_list_of_algorithms_here_is_the_gates() {
    let names: Vec<&str> = Alg::ALL.iter().map(|alg| alg.name()).collect();
    assert_eq!(names, ALGORITHMS);
}

#[test]
fn a_good_token_of_every_algorithm_passes_and_one_of_another_key_does_not() {
    for alg in ALGORITHMS {
        let mut world = gate(&[&Key::of(alg, false)]);
        assert_eq!(code(&mut world, &Token::new(&Key::of(alg, false)).alg(alg).mint()), "allowed", "{alg}");
        assert_eq!(code(&mut world, &Token::new(&Key::of(alg, true)).alg(alg).mint()), "signature_invalid", "{alg}");
    }
}

#[test]
fn no_bit_of_a_good_token_can_be_flipped() {
    for alg in ALGORITHMS {
        let key = Key::of(alg, false);
        let mut world = gate_for_short_tokens(&key);
        let token = short_token(&key, alg);
        assert_eq!(code(&mut world, &token), "allowed", "{alg}");
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let mut refusals: BTreeMap<&str, u32> = BTreeMap::new();
        for part in 0..3 {
            for bit in 0..parts[part].len() * 8 {
                let mut flipped = parts.clone();
                flipped[part][bit / 8] ^= 1 << (bit % 8);
                let forged: Vec<String> = flipped.iter().map(|part| encode(part)).collect();
                let refusal = code(&mut world, &forged.join("."));
                assert_ne!(refusal, "allowed", "{alg}: bit {bit} of part {part}");
                if part > 0 {
                    assert_eq!(refusal, "signature_invalid", "{alg}: bit {bit} of part {part}");
                }
                *refusals.entry(refusal).or_default() += 1;
            }
        }
        assert!(refusals.contains_key("header_malformed") && refusals.len() <= 4, "{alg}: {refusals:?}");
    }
}

#[test]
fn no_character_of_a_good_token_can_be_another_one() {
    for alg in ["RS256", "ES256", "ES512", "EdDSA", "HS256"] {
        let key = Key::of(alg, false);
        let mut world = gate_for_short_tokens(&key);
        let token = short_token(&key, alg);
        assert_eq!(code(&mut world, &token), "allowed", "{alg}");
        for place in 0..token.len() {
            for other in ["A", "Q", "_", "=", "+", ".", ""] {
                let forged = format!("{}{other}{}", &token[..place], &token[place + 1..]);
                if forged != token {
                    assert_ne!(code(&mut world, &forged), "allowed", "{alg}: {other:?} at {place}");
                }
            }
            // The letters nearest in value, which differ in the last bits alone.
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            if let Some(index) = letters.iter().position(|&b| b == token.as_bytes()[place]) {
                let near = char::from(letters[index ^ 1]);
                let forged = format!("{}{near}{}", &token[..place], &token[place + 1..]);
                assert_ne!(code(&mut world, &forged), "allowed", "{alg}: {near:?} at {place}");
            }
        }
        for grown in [
            format!("{token}A"),
            format!("{token}AAAA"),
            format!("{token}."),
            format!("{token}=="),
            format!("{token}.AAAA"),
        ] {
            assert_ne!(code(&mut world, &grown), "allowed", "{alg}: longer");
        }
    }
}

#[test]
fn a_signature_of_one_algorithm_is_none_of_another() {
    let keys: Vec<Key> = ["RS256", "ES256", "ES384", "ES512", "EdDSA", "HS256"].map(|alg| Key::of(alg, false)).into();
    let mut world = gate(&keys.iter().collect::<Vec<_>>());
    for signed in ALGORITHMS {
        for said in ALGORITHMS {
            let token = Token::new(&Key::of(signed, false)).alg(signed).header("alg", said).mint();
            let same = signed == said || [signed, said].iter().all(|alg| ["EdDSA", "Ed25519"].contains(alg));
            let expected = if same { "allowed" } else { "signature_invalid" };
            assert_eq!(code(&mut world, &token), expected, "signed {signed}, said {said}");
        }
    }
}

#[test]
fn signatures_that_are_no_numbers_of_the_group_are_refused() {
    for (alg, length) in [("ES256", 32), ("ES384", 48), ("ES512", 66)] {
        let key = Key::of(alg, false);
        let mut world = gate(&[&key]);
        let token = Token::new(&key).mint();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let good = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(good.len(), 2 * length);
        for (what, forged) in [
            ("zeros", vec![0; 2 * length]),
            ("r of zero", [vec![0; length], good[length..].to_vec()].concat()),
            ("s of zero", [good[..length].to_vec(), vec![0; length]].concat()),
            ("all ones", vec![0xff; 2 * length]),
            ("too short", good[..2 * length - 1].to_vec()),
            ("too long", [good.clone(), vec![0]].concat()),
            ("a zero before each half", [&[0], &good[..length], &[0], &good[length..]].concat()),
            ("halves swapped", [&good[length..], &good[..length]].concat()),
        ] {
            assert_eq!(code(&mut world, &format!("{input}.{}", encode(&forged))), "signature_invalid", "{alg} {what}");
        }
    }
    let key = Key::ed25519(1);
    let mut world = gate(&[&key]);
    let token = Token::new(&key).mint();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    // S + L is the same number modulo the order: RFC 8032 section 5.1.7 refuses it.
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut raised = good.clone();
    let mut carry = 0u16;
    for (byte, add) in raised[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + add;
        *byte = (carry & 0xff) as u8;
        carry >>= 8;
    }
    for (what, forged) in [
        ("zeros", vec![0; 64]),
        ("S raised by the order", raised),
        ("too short", good[..63].to_vec()),
        ("too long", [good.clone(), vec![0]].concat()),
    ] {
        assert_eq!(code(&mut world, &format!("{input}.{}", encode(&forged))), "signature_invalid", "EdDSA {what}");
    }
    let mut world = gate(&[&Key::rsa()]);
    let token = Token::new(&Key::rsa()).mint();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    for (what, forged) in [
        ("zeros", vec![0; 256]),
        ("one", [vec![0; 255], vec![1]].concat()),
        ("all ones", vec![0xff; 256]),
        ("a leading zero more", [vec![0], good.clone()].concat()),
        ("a byte less", good[1..].to_vec()),
        ("one byte", vec![1]),
    ] {
        assert_eq!(code(&mut world, &format!("{input}.{}", encode(&forged))), "signature_invalid", "RS256 {what}");
    }
}

#[test]
fn a_kid_names_one_key() {
    let (one, two) = (Key::p256(1).named("one"), Key::p256(2).named("two"));
    let mut world = gate(&[&one, &two]);
    for (token, expected, what) in [
        (Token::new(&one), "allowed", "its own name"),
        (Token::new(&two), "allowed", "the other's own name"),
        (Token::new(&one).kid("two"), "signature_invalid", "the name of the other key"),
        (Token::new(&one).kid("three"), "key_unknown", "a name that no key has"),
        (Token::new(&one).kid("ONE"), "key_unknown", "a name in other case"),
        (Token::new(&one).kid(""), "key_unknown", "an empty name"),
        (Token::new(&one).without_header("kid"), "allowed", "no name"),
        (Token::new(&Key::p256(3)), "signature_invalid", "no name and no key of ours"),
        (Token::new(&Key::p384(1)), "key_unknown", "no name, and no key for its algorithm"),
        (Token::new(&Key::p384(1)).kid("one"), "key_unknown", "the name of a key for another algorithm"),
    ] {
        assert_eq!(code(&mut world, &token.mint()), expected, "{what}");
    }
    // The same name for keys of two types is one key for each algorithm; for two of one type it names none.
    let mut world = gate(&[&Key::p256(1).named("k"), &Key::ed25519(1).named("k")]);
    assert_eq!(code(&mut world, &Token::new(&Key::p256(1)).kid("k").mint()), "allowed");
    assert_eq!(code(&mut world, &Token::new(&Key::ed25519(1)).kid("k").mint()), "allowed");
    let mut world = gate(&[&Key::p256(1).named("k"), &Key::p256(2).named("k")]);
    assert_eq!(code(&mut world, &Token::new(&Key::p256(1)).kid("k").mint()), "key_unknown");
    assert_eq!(code(&mut world, &Token::new(&Key::p256(2)).kid("k").mint()), "key_unknown");
}

#[test]
fn a_key_that_is_listed_twice_by_one_name_is_one_key_with_what_each_entry_says() {
    let jwk = |key: Key, more: Value| merged(key.named("k").jwk(), more);
    let twice = |more: Value, again: Value| key_set([jwk(Key::rsa(), more), jwk(Key::rsa(), again)]);
    let other = jwk(Key::other_rsa(), json!({}));
    for (set, alg, expected, what) in [
        (twice(json!({}), json!({"alg": "RS256"})), "RS256", "allowed", "with alg and without"),
        (twice(json!({"alg": "RS256"}), json!({})), "RS256", "allowed", "without alg and with"),
        (twice(json!({"alg": "RS256"}), json!({})), "RS512", "allowed", "by the entry without alg"),
        (twice(json!({"alg": "RS256"}), json!({"alg": "PS256"})), "PS256", "allowed", "one alg each"),
        (twice(json!({"alg": "RS256"}), json!({"alg": "PS256"})), "RS512", "key_unknown", "by neither"),
        (twice(json!({"use": "enc"}), json!({"alg": "RS256"})), "PS256", "key_unknown", "what is no key for it"),
        (key_set([jwk(Key::rsa(), json!({})), other.clone()]), "RS256", "key_unknown", "two keys"),
        (
            key_set([jwk(Key::rsa(), json!({})), jwk(Key::rsa(), json!({"alg": "RS256"})), other]),
            "RS256",
            "key_unknown",
            "three",
        ),
    ] {
        let mut world = gate_with_set(&set);
        let token = Token::new(&Key::rsa()).alg(alg).kid("k").mint();
        assert_eq!(code(&mut world, &token), expected, "{what}: {alg}");
        let forged = Token::new(&Key::other_rsa()).alg(alg).kid("k").mint();
        assert_ne!(code(&mut world, &forged), "allowed", "{what}: {alg}, forged");
    }
}

#[test]
fn a_token_without_kid_is_tried_against_eight_keys_of_its_algorithm() {
    let keys: Vec<Key> = (1..=10).map(|seed| Key::p256(seed).named(&format!("k{seed}"))).collect();
    let others: Vec<Key> = (1..=10).map(Key::ed25519).collect();
    let set: Vec<&Key> = others.iter().chain(&keys).collect();
    let mut world = gate(&set);
    for seed in 1..=10 {
        let expected = if seed <= 8 { "allowed" } else { "signature_invalid" };
        assert_eq!(code(&mut world, &Token::new(&Key::p256(seed)).mint()), expected, "key {seed}");
        assert_eq!(code(&mut world, &Token::new(&keys[usize::from(seed) - 1]).mint()), "allowed", "key {seed}, named");
    }
}

#[test]
fn a_key_is_used_for_what_its_jwk_says() {
    for (more, expected) in [
        (json!({}), "allowed"),
        (json!({"use": "sig"}), "allowed"),
        (json!({"use": "enc"}), "key_unknown"),
        (json!({"use": "SIG"}), "key_unknown"),
        (json!({"use": 1}), "key_unknown"),
        (json!({"key_ops": ["verify"]}), "allowed"),
        (json!({"key_ops": ["sign", "verify"]}), "allowed"),
        (json!({"key_ops": ["sign"]}), "key_unknown"),
        (json!({"key_ops": []}), "key_unknown"),
        (json!({"key_ops": "verify"}), "key_unknown"),
        (json!({"use": "sig", "key_ops": ["encrypt"]}), "key_unknown"),
        (json!({"alg": "RS256"}), "allowed"),
        (json!({"alg": "RS384"}), "key_unknown"),
        (json!({"alg": "PS256"}), "key_unknown"),
        (json!({"alg": "ES256"}), "key_unknown"),
        (json!({"alg": "RSA-OAEP"}), "key_unknown"),
        (json!({"alg": "none"}), "key_unknown"),
        (json!({"alg": 256}), "key_unknown"),
        (json!({"kid": 1}), "key_unknown"),
        (json!({"kty": "rsa"}), "key_unknown"),
        (json!({"n": null}), "key_unknown"),
        (json!({"x5c": ["not a certificate"], "x5t": "x", "unknown": {}}), "allowed"),
    ] {
        let mut jwk = Key::rsa().jwk();
        for (name, value) in more.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        // A key of another type keeps the set from being empty.
        let mut world = gate_with_set(&key_set([jwk, Key::ed25519(9).jwk()]));
        assert_eq!(code(&mut world, &Token::new(&Key::rsa()).mint()), expected, "{more}");
    }
    for (own, said, expected) in [
        ("EdDSA", "EdDSA", "allowed"),
        ("EdDSA", "Ed25519", "allowed"),
        ("Ed25519", "EdDSA", "allowed"),
        ("Ed25519", "Ed25519", "allowed"),
    ] {
        let mut jwk = Key::ed25519(1).jwk();
        jwk["alg"] = own.into();
        let mut world = gate_with_set(&key_set([jwk]));
        assert_eq!(
            code(&mut world, &Token::new(&Key::ed25519(1)).alg(said).mint()),
            expected,
            "{own} key, {said} token"
        );
        let provider = local(&[&Key::ed25519(1)], json!({"algorithms": [own]}));
        let mut world = World::new(&json!({"providers": {"main": provider}}), 1);
        assert_eq!(
            code(&mut world, &Token::new(&Key::ed25519(1)).alg(said).mint()),
            expected,
            "{own} allowed, {said} token"
        );
    }
}

#[test]
fn what_no_key_should_be_is_skipped_and_does_not_spoil_the_set() {
    let good = Key::p384(1);
    let off_the_curve = {
        let mut jwk = Key::p256(1).jwk();
        let mut y = BASE64_URL_SAFE_NO_PAD.decode(jwk["y"].as_str().unwrap()).unwrap();
        y[31] ^= 1;
        jwk["y"] = encode(&y).into();
        jwk
    };
    let on_another_curve = {
        let mut jwk = Key::p256(1).jwk();
        jwk["crv"] = "secp256k1".into();
        jwk
    };
    let with = |key: Key, name: &str| {
        let mut jwk = key.jwk();
        jwk[name] = "AQAB".into();
        jwk
    };
    for (what, jwk, signer) in [
        ("an RSA key of 1024 bits", Key::short_rsa().jwk(), Key::short_rsa()),
        ("a point off its curve", off_the_curve, Key::p256(1)),
        ("a point on an unknown curve", on_another_curve, Key::p256(1)),
        ("a private RSA key", Key::rsa().private_jwk(), Key::rsa()),
        ("a private EC key", Key::p256(1).private_jwk(), Key::p256(1)),
        ("a private Ed25519 key", Key::ed25519(1).private_jwk(), Key::ed25519(1)),
        ("an RSA key with one of its primes", with(Key::rsa(), "p"), Key::rsa()),
        ("an RSA key with the other", with(Key::rsa(), "q"), Key::rsa()),
        ("an RSA key with a private exponent", with(Key::rsa(), "dp"), Key::rsa()),
        ("an RSA key with the other", with(Key::rsa(), "dq"), Key::rsa()),
        ("an RSA key with a coefficient", with(Key::rsa(), "qi"), Key::rsa()),
        ("an RSA key with more primes", with(Key::rsa(), "oth"), Key::rsa()),
        ("an EC key with a secret", with(Key::p256(1), "k"), Key::p256(1)),
        ("a shared secret", Key::hmac(&[5; 64]).jwk(), Key::hmac(&[5; 64])),
    ] {
        let token = Token::new(&signer).mint();
        let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
        world.issuer(JWKS, Reply::ok(key_set([jwk, good.jwk()])));
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&Token::new(&good).mint())).code(), "allowed");
        let refused = world.ask_patiently(0, &Request::get("/").bearer(&token)).code();
        assert!(["key_unknown", "algorithm_not_allowed"].contains(&refused), "{what}: {refused}");
        assert!(format!("{:?}", world.logs).contains("keys[0] skipped"), "{what}: {:?}", world.logs);
    }
    let junk =
        [json!(null), json!(1), json!([]), json!({}), json!({"kty": "EC"}), json!({"kty": "AKP", "alg": "ML-DSA-44"})];
    let mut world = gate_with_set(&key_set(junk.into_iter().chain([good.jwk()])));
    assert_eq!(code(&mut world, &Token::new(&good).mint()), "allowed");
}

#[test]
fn a_header_brings_no_key_of_its_own() {
    let (ours, theirs) = (Key::p256(1).named("k"), Key::p256(2).named("k"));
    let mut world = gate(&[&ours]);
    for (name, value) in [
        ("jwk", theirs.jwk()),
        ("jku", Value::from("https://evil.example/jwks")),
        ("x5u", Value::from("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!(null)),
    ] {
        let forged = Token::new(&theirs).header(name, value.clone()).mint();
        assert_eq!(code(&mut world, &forged), "signature_invalid", "{name}");
        let genuine = Token::new(&ours).header(name, value).mint();
        assert_eq!(code(&mut world, &genuine), "allowed", "{name} beside a good signature is not read");
    }
}

#[test]
fn extensions_that_the_gate_does_not_know_are_refused() {
    let key = Key::p256(1);
    let mut world = gate(&[&key]);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("kid", json!(1)),
        ("alg", json!(1)),
        ("alg", json!(["ES256"])),
        ("typ", json!(1)),
    ] {
        let token = Token::new(&key).header(name, value.clone()).mint();
        assert_eq!(code(&mut world, &token), "header_malformed", "{name}: {value}");
    }
    for header in ["", " ", "[]", "null", "{}", r#"{"alg":"ES256","alg":"ES256"}"#, "{\"alg\":\"ES256\"}x"] {
        let token = sign_compact(&key, "ES256", header.as_bytes(), Token::new(&key).payload().as_bytes());
        let expected = if header.is_empty() { "token_malformed" } else { "header_malformed" };
        assert_eq!(code(&mut world, &token), expected, "{header:?}");
    }
}
