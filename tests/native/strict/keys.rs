//! Keys that an issuer should not publish, or not in this way. Each has a signature that holds, so that the key alone is the reason.

use base64::prelude::{Engine, BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use jwt_gate::crypto::{KeyProblem, PublicKey};
use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::sec1::ToSec1Point;
use rsa::BoxedUint;
use serde_json::{json, Value};
use sha2::{Digest, Sha512};

use super::{another, code, gate, gate_with_key};
use crate::forge::PrimeRsa;
use crate::mint::{encode, key_set, Key, Token, ALGORITHMS};
use crate::world::{local, remote, Reply, Request, World, JWKS};

/// The prime of P-256.
const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff,
];

fn bytes(jwk: &Value, name: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}

#[test]
fn a_key_that_shows_any_private_part_is_no_key() {
    for (key, parts) in [
        (Key::rsa(), &["d", "p", "q", "dp", "dq", "qi", "oth"][..]),
        (Key::p256(1), &["d"]),
        (Key::p384(1), &["d"]),
        (Key::p521(1), &["d"]),
        (Key::ed25519(1), &["d"]),
    ] {
        let token = Token::new(&key).mint();
        assert_eq!(code(&mut gate_with_key(key.jwk()), &token), "allowed");
        for part in parts {
            for value in [json!("AQAB"), json!(""), json!([{"r": "AQAB"}]), json!(null)] {
                let mut jwk = key.jwk();
                jwk[part] = value;
                assert_eq!(code(&mut gate_with_key(jwk.clone()), &token), "key_unknown", "{part} of {}", key.alg());
                let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
                world.issuer(JWKS, Reply::ok(key_set([another(&jwk).jwk(), jwk])));
                let code = world.ask_patiently(0, &Request::get("/").bearer(&token)).code();
                assert_eq!(code, "key_unknown", "{part} of {}, fetched", key.alg());
                assert!(format!("{:?}", world.logs).contains("must not be published"), "{:?}", world.logs);
            }
        }
    }
}

#[test]
fn an_rsa_key_out_of_bounds_is_no_key_though_its_signatures_hold() {
    for (key, expected, what) in [
        (PrimeRsa::new(2203, 65537), "allowed", "2203 bits"),
        (PrimeRsa::new(3217, 65537), "allowed", "3217 bits"),
        (PrimeRsa::new(4423, 65537), "allowed", "4423 bits"),
        (PrimeRsa::new(2203, 5), "allowed", "e = 5"),
        (PrimeRsa::with_exponent_from(2203, (1 << 32) + 1), "allowed", "an exponent of 33 bits"),
        (PrimeRsa::new(1279, 65537), "key_unknown", "1279 bits"),
        (PrimeRsa::new(9689, 65537), "key_unknown", "9689 bits"),
        (PrimeRsa::new(9941, 65537), "key_unknown", "9941 bits"),
        // Everyone can sign: the signature is the padded hash.
        (PrimeRsa::new(2203, 1), "key_unknown", "e = 1"),
        (PrimeRsa::new(2203, 2), "key_unknown", "e = 2"),
        (PrimeRsa::with_exponent_from(2203, (1 << 33) + 1), "key_unknown", "an exponent of 34 bits"),
        (PrimeRsa::with_exponent_from(2203, (1 << 63) + 1), "key_unknown", "an exponent of 64 bits"),
    ] {
        // With an even exponent, only half of the messages have a signature.
        let token = (0..100).find_map(|count| {
            let input = Token::new(&Key::rsa()).claim("jti", format!("{count}")).unsigned();
            let signature = key.sign(input.trim_end_matches('.').as_bytes())?;
            Some(format!("{input}{}", encode(&signature)))
        });
        assert_eq!(code(&mut gate_with_key(key.jwk()), &token.unwrap()), expected, "{what}");
    }
}

#[test]
fn no_form_of_a_public_key_is_a_secret() {
    const CERTIFICATE: &str = include_str!("../../support/keys/rsa-2048.certificate.pem");
    let rsa = Key::rsa().named("k");
    let (pem, jwk) = (rsa.public_pem(), rsa.jwk());
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let spki = BASE64_STANDARD.decode(&body).unwrap();
    // Of a `SubjectPublicKeyInfo`, the last bytes are the key as PKCS #1 has it.
    let pkcs1 = spki[24..].to_vec();
    assert_eq!(&pkcs1[..4], [0x30, 0x82, 1, 10]);
    let p256 = Key::p256(1).named("k").jwk();
    let point = [bytes(&p256, "x"), bytes(&p256, "y")].concat();
    let ed25519 = Key::ed25519(1).named("k").jwk();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line feed", pem.trim_end().as_bytes().to_vec()),
        ("PEM with the line feeds of Windows", pem.replace('\n', "\r\n").into_bytes()),
        ("the body of PEM", body.clone().into_bytes()),
        (
            "PEM of PKCS #1",
            format!(
                "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
                BASE64_STANDARD.encode(&pkcs1)
            )
            .into_bytes(),
        ),
        ("DER", spki),
        ("DER of PKCS #1", pkcs1),
        ("a certificate", CERTIFICATE.as_bytes().to_vec()),
        ("a JWK", jwk.to_string().into_bytes()),
        ("a key set", key_set([jwk.clone()]).into_bytes()),
        ("the modulus in base64", jwk["n"].as_str().unwrap().as_bytes().to_vec()),
        ("the modulus", bytes(&jwk, "n")),
        ("the exponent", bytes(&jwk, "e")),
        ("the kid", b"k".to_vec()),
        ("nothing", vec![]),
        ("a point", point.clone()),
        ("a point with its prefix", [&[4], point.as_slice()].concat()),
        ("a point's first coordinate", bytes(&p256, "x")),
        ("a JWK of a point", p256.to_string().into_bytes()),
        ("an Ed25519 key", bytes(&ed25519, "x")),
        ("an Ed25519 key in base64", ed25519["x"].as_str().unwrap().as_bytes().to_vec()),
    ];
    let public = key_set([jwk, Key::p256(1).named("k").jwk(), ed25519]);
    let beside_secret = key_set([
        serde_json::from_str::<Value>(&public).unwrap()["keys"][0].clone(),
        Key::hmac(&[9; 64]).named("secret").jwk(),
    ]);
    let config = |set: &str, algorithms: Value| {
        let more = json!({"local_jwks": {"inline_string": set}, "algorithms": algorithms});
        World::new(&json!({"providers": {"main": local(&[], more)}}), 1)
    };
    // By default, then where secrets are taken but the set has none, then where it has one.
    for (mut world, refusals) in [
        (config(&public, Value::Null), &["algorithm_not_allowed"][..]),
        (config(&public, json!(ALGORITHMS)), &["key_unknown"]),
        (config(&beside_secret, json!(ALGORITHMS)), &["key_unknown", "signature_invalid"]),
    ] {
        for (what, secret) in &secrets {
            for alg in ["HS256", "HS384", "HS512"] {
                let token = Token::new(&Key::hmac(secret)).alg(alg);
                for token in [token.clone(), token.clone().kid("k"), token.kid("secret")] {
                    let code = code(&mut world, &token.mint());
                    assert!(refusals.contains(&code), "{what}, {alg}: {code}");
                }
            }
        }
        assert_eq!(code(&mut world, &Token::new(&rsa).mint()), "allowed");
    }
}

#[test]
fn a_point_has_one_form_and_is_on_its_curve() {
    for (key, length) in [(Key::p256(1), 32), (Key::p384(1), 48), (Key::p521(1), 66)] {
        let token = Token::new(&key).mint();
        let (x, y) = (bytes(&key.jwk(), "x"), bytes(&key.jwk(), "y"));
        assert_eq!((x.len(), y.len()), (length, length));
        let code_with = |x: &[u8], y: &[u8]| {
            let mut jwk = key.jwk();
            jwk["x"] = encode(x).into();
            jwk["y"] = encode(y).into();
            code(&mut gate_with_key(jwk), &token)
        };
        assert_eq!(code_with(&x, &y), "allowed");
        let flipped = |bytes: &[u8]| [&bytes[..length - 1], &[bytes[length - 1] ^ 1]].concat();
        let zero_before = |bytes: &[u8]| [&[0], bytes].concat();
        let nothing: &[u8] = &[];
        for (what, x, y) in [
            ("another x", flipped(&x), y.clone()),
            ("another y", x.clone(), flipped(&y)),
            ("halves swapped", y.clone(), x.clone()),
            ("zeros", vec![0; length], vec![0; length]),
            ("the largest numbers", vec![0xff; length], vec![0xff; length]),
            ("zeros before both", zero_before(&x), zero_before(&y)),
            ("a byte less", x[1..].to_vec(), y[1..].to_vec()),
            ("both in one", [&[4], x.as_slice(), &y].concat(), nothing.to_vec()),
            ("x compressed", [&[2 + (y[length - 1] & 1)], x.as_slice()].concat(), nothing.to_vec()),
            ("nothing", nothing.to_vec(), nothing.to_vec()),
        ] {
            assert_eq!(code_with(&x, &y), "key_unknown", "{}: {what}", key.alg());
        }
        if length == 66 {
            // The same number modulo the prime, 2^521 - 1, which leaves room for it in 66 bytes.
            let prime = [&[1][..], &[0xff; 65]].concat();
            assert_eq!(code_with(&sum(&x, &prime), &y), "key_unknown", "x raised by the prime");
            assert_eq!(code_with(&x, &sum(&y, &prime)), "key_unknown", "y raised by the prime");
        }
    }
    // P-256 leaves room for small coordinates alone.
    const PRIME: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    let mut found = 0;
    for small in 0..50u8 {
        let x = [&[0; 31][..], &[small]].concat();
        let field: [u8; 32] = x.clone().try_into().unwrap();
        let Some(point) = p256::AffinePoint::decompress(&field.into(), 0.into()).into_option() else { continue };
        let y = point.to_sec1_point(false).as_bytes()[33..].to_vec();
        assert!(PublicKey::ec("P-256", &x, &y).unwrap().is_ok());
        assert_eq!(PublicKey::ec("P-256", &sum(&x, &PRIME), &y).unwrap().unwrap_err(), KeyProblem::Point, "{small}");
        found += 1;
    }
    assert!(found > 10, "{found} points");
}

/// DER of one value; of a length below 65,536.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        length @ ..128 => vec![length as u8],
        length @ ..256 => vec![0x81, length as u8],
        length => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [&[tag], length.as_slice(), content].concat()
}

#[test]
fn a_key_names_its_curve_and_brings_none_of_its_own() {
    const EC: [u8; 9] = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const PRIME_FIELD: [u8; 9] = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 1, 1];
    let jwk = Key::p256(1).jwk();
    let point = [&[4][..], &bytes(&jwk, "x"), &bytes(&jwk, "y")].concat();
    let spki = |parameters: &[u8]| {
        let algorithm = der(0x30, &[&EC, parameters].concat());
        der(0x30, &[algorithm, der(3, &[&[0], point.as_slice()].concat())].concat())
    };
    assert_eq!(
        PublicKey::from_spki(&spki(&P256)),
        Ok(PublicKey::ec("P-256", &point[1..33], &point[33..]).unwrap().unwrap())
    );
    // A curve with the key itself for its generator: the secret is 1.
    let minus_three = [&PRIME[..31], &[PRIME[31] - 3]].concat();
    let curve = der(0x30, &[der(4, &minus_three), der(4, &[0x5a; 32])].concat());
    let field = der(0x30, &[PRIME_FIELD.to_vec(), der(2, &[&[0], &PRIME[..]].concat())].concat());
    let order = der(2, &[&[0], &PRIME[..]].concat());
    let explicit = der(0x30, &[der(2, &[1]), field, curve, der(4, &point), order, der(2, &[1])].concat());
    let nothing: &[u8] = &[];
    for (what, parameters) in [
        ("a curve of its own", explicit.as_slice()),
        ("no curve", nothing),
        ("a curve that is implied", &[5, 0]),
        ("two names", &[P256, P256].concat()),
    ] {
        assert!(PublicKey::from_spki(&spki(parameters)).is_err(), "{what}");
    }
    // In a JWK, a member that would be the curve's is not read, and the point is on P-256 or nowhere.
    let mut own = Key::p384(1).jwk();
    own["crv"] = "P-256".into();
    for name in ["p", "a", "b", "g", "n", "h"] {
        own[name] = own["x"].clone();
    }
    assert_eq!(code(&mut gate_with_key(own), &Token::new(&Key::p384(1)).mint()), "key_unknown");
}

/// `a + b`, big-endian, in as many bytes as they have.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = a.to_vec();
    let mut carry = 0;
    for (byte, add) in sum.iter_mut().zip(b).rev() {
        carry += u16::from(*byte) + u16::from(*add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    sum
}

/// Every point of small order in every encoding that decoders are known to take: `y` of 1, -1, 0 and the two of order 8, each also
/// as `-x`, and the numbers beyond the prime that are the same modulo it.
fn small_order() -> [[u8; 32]; 14] {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let near_prime = |first: u8| {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (first, 0x7f);
        y
    };
    let mut one = [0; 32];
    one[0] = 1;
    let mut points = vec![[0; 32], one, near_prime(0xec), near_prime(0xed), near_prime(0xee)];
    points.extend(ORDER_8);
    let mirrored: Vec<[u8; 32]> = points.iter().map(|&point| with_sign(point)).collect();
    points.extend(mirrored);
    points.try_into().expect("seven, and as many mirrored")
}

fn with_sign(mut point: [u8; 32]) -> [u8; 32] {
    point[31] |= 0x80;
    point
}

#[test]
fn an_ed25519_key_of_small_order_is_no_key_though_everyone_can_sign() {
    let mut forged = 0;
    for point in small_order() {
        assert!(PublicKey::ed25519(&point).is_err(), "{point:02x?}");
        let Ok(key) = VerifyingKey::from_bytes(&point) else { continue };
        // S is zero, and R one of the eight points: no secret is needed, only a few attempts.
        let attempts = (0..100).flat_map(|count| small_order().map(|r| (count, [r, [0; 32]].concat())));
        let mut tokens = attempts.map(|(count, signature)| {
            (Token::new(&Key::ed25519(1)).claim("jti", format!("{count}")).unsigned(), signature)
        });
        let (input, signature) = tokens
            .find(|(input, signature)| {
                let signature = Signature::from_slice(signature).unwrap();
                key.verify(input.trim_end_matches('.').as_bytes(), &signature).is_ok()
            })
            .expect("every eighth attempt succeeds");
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&point)});
        let token = format!("{input}{}", encode(&signature));
        assert_eq!(code(&mut gate_with_key(jwk), &token), "key_unknown", "{point:02x?}");
        // It is no signature of an honest key either.
        assert_eq!(code(&mut gate(&[&Key::ed25519(1)], json!({})), &token), "signature_invalid");
        forged += 1;
    }
    assert!(forged >= 8, "{forged} forged");
}

/// The order of Ed25519's group, most significant byte first.
const ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12,
    0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

#[test]
fn an_ed25519_signature_with_a_point_of_small_order_is_refused_though_its_equation_holds() {
    let key = Key::ed25519(1);
    let public = bytes(&key.jwk(), "x");
    let mut secret = Sha512::digest([1; 32]).to_vec();
    secret.truncate(32);
    (secret[0], secret[31]) = (secret[0] & 0xf8, secret[31] & 0x7f | 0x40);
    let order = BoxedUint::from_be_slice_vartime(&ORDER).to_nz().unwrap();
    let input = Token::new(&key).unsigned();
    let message = input.trim_end_matches('.').as_bytes();
    // S B = R + k A (RFC 8032 section 5.1.7) holds for the neutral point R and S = k a.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let hash = Sha512::digest([&neutral, public.as_slice(), message].concat());
    let hash = BoxedUint::from_le_slice_vartime(&hash).rem_vartime(&order);
    let secret = BoxedUint::from_le_slice_vartime(&secret).rem_vartime(&order);
    let signature = [&neutral, &*hash.mul_mod(&secret, &order).to_le_bytes()].concat();
    let lenient = VerifyingKey::from_bytes(public.as_slice().try_into().unwrap()).unwrap();
    assert!(lenient.verify(message, &Signature::from_slice(&signature).unwrap()).is_ok());
    let mut gate = gate(&[&key], json!({}));
    assert_eq!(code(&mut gate, &format!("{input}{}", encode(&signature))), "signature_invalid");
    assert_eq!(code(&mut gate, &Token::new(&key).mint()), "allowed");
}

#[test]
fn a_set_has_at_most_a_hundred_keys() {
    let keys: Vec<Key> = (1..=101).map(|seed| Key::ed25519(seed).named(&format!("key-{seed}"))).collect();
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    world.issuer(JWKS, Reply::ok(key_set(keys.iter().map(Key::jwk))));
    for (place, expected) in [(0, "allowed"), (99, "allowed"), (100, "key_unknown")] {
        let request = Request::get("/").bearer(&Token::new(&keys[place]).mint());
        assert_eq!(world.ask_patiently(0, &request).code(), expected, "key {place}");
    }
}

#[test]
fn an_ed25519_key_has_one_form() {
    // A number from the prime, 2^255 - 19, up to 2^255 is another form of one below 19 (RFC 8032 section 5.1.3).
    let mut found = 0;
    for small in 0..19u8 {
        let mut canonical = [0; 32];
        canonical[0] = small;
        let mut raised = [0xff; 32];
        (raised[0], raised[31]) = (0xed + small, 0x7f);
        for (canonical, raised) in [(canonical, raised), (with_sign(canonical), with_sign(raised))] {
            assert!(PublicKey::ed25519(&raised).is_err(), "{raised:02x?}");
            found += usize::from(PublicKey::ed25519(&canonical).is_ok());
        }
    }
    assert!(found > 10, "{found} points of which there is another form");
}
