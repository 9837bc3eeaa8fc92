//! What is a token, before anything in it is read.

use jwt_gate::limits::MAX_TOKEN_BYTES;
use serde_json::json;

use super::{code, gate, signed};
use crate::mint::{encode, Key, Token};
use crate::world::{Request, World};

/// A gate for the key that signs here.
fn gate_for_one() -> World {
    gate(&[&Key::p256(1)], json!({}))
}

/// Signed as it is spelt, so that nothing but the spelling is wrong.
fn spelt(header: &str, payload: &str) -> String {
    let input = format!("{header}.{payload}");
    format!("{input}.{}", encode(&Key::p256(1).sign("ES256", input.as_bytes())))
}

/// The letter beside the last one: the bits that stand for bytes are the same.
fn with_bits_beyond(part: &str) -> String {
    let (last, rest) = part.as_bytes().split_last().unwrap();
    assert!(!part.len().is_multiple_of(4), "there are bits beyond the last byte");
    format!("{}{}", std::str::from_utf8(rest).unwrap(), char::from(last + 1))
}

#[test]
fn a_token_has_one_spelling() {
    let mut world = gate_for_one();
    // Letters of which base64 has two spellings, and lengths that leave bits over.
    let header = r#"{"alg":"ES256"} "#;
    let token = |filler: usize| Token::new(&Key::p256(1)).claim("x", "???>>>").claim("y", "y".repeat(filler)).payload();
    let payload = (0..3).map(token).find(|payload| payload.len() % 3 == 1).unwrap();
    let (header, payload) = (encode(header.as_bytes()), encode(payload.as_bytes()));
    assert!(payload.contains('_') || payload.contains('-'), "{payload}");
    let good = spelt(&header, &payload);
    assert_eq!(code(&mut world, &good), "allowed");
    for (what, token) in [
        ("padding behind the header", spelt(&format!("{header}=="), &payload)),
        ("padding behind the payload", spelt(&header, &format!("{payload}=="))),
        ("padding behind the signature", format!("{good}==")),
        ("bits beyond the header", spelt(&with_bits_beyond(&header), &payload)),
        ("bits beyond the payload", spelt(&header, &with_bits_beyond(&payload))),
        (
            "bits beyond the signature",
            format!("{}.{}", good.rsplit_once('.').unwrap().0, with_bits_beyond(good.rsplit_once('.').unwrap().1)),
        ),
        ("the other alphabet", spelt(&header, &payload.replace('-', "+").replace('_', "/"))),
        ("white space in the header", spelt(&header.replacen('J', "J ", 1), &payload)),
        ("a line feed in the payload", spelt(&header, &format!("{}\n{}", &payload[..8], &payload[8..]))),
        ("a tab at the end", format!("{good}\t")),
        ("a zero at the end", format!("{good}\0")),
        ("a dot that is encoded", good.replacen('.', "%2e", 1)),
        ("a letter that is encoded", good.replacen('e', "%65", 1)),
        ("white space before it", format!(" {good}")),
        ("quotes around it", format!("\"{good}\"")),
    ] {
        assert_ne!(token, good, "{what}");
        assert_eq!(code(&mut world, &token), "token_malformed", "{what}");
    }
}

#[test]
fn a_token_has_two_dots() {
    let mut world = gate_for_one();
    let good = Token::new(&Key::p256(1)).mint();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let json = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
    for (what, token, expected) in [
        ("no dot", good.replace('.', ""), "token_malformed"),
        ("one dot", format!("{header}.{payload}"), "token_malformed"),
        ("a dot more at the end", format!("{good}."), "token_malformed"),
        ("a dot more at the start", format!(".{good}"), "token_malformed"),
        ("a dot more between", good.replacen('.', "..", 1), "token_malformed"),
        ("a part more", format!("{good}.{signature}"), "token_malformed"),
        ("no header", format!(".{payload}.{signature}"), "token_malformed"),
        (
            "no payload, which may be sent elsewhere (RFC 7515 appendix F)",
            format!("{header}..{signature}"),
            "token_malformed",
        ),
        ("no signature", format!("{header}.{payload}."), "token_malformed"),
        ("dots alone", "..".to_owned(), "token_malformed"),
        ("as many dots as a token may have bytes", ".".repeat(MAX_TOKEN_BYTES), "token_malformed"),
        // What stands behind a comma is taken for another credential.
        ("the JSON serialization", json.clone(), "multiple_tokens"),
        (
            "a good token within the JSON serialization",
            format!("{{\"{good}\":1,\"payload\":\"{payload}\"}}"),
            "multiple_tokens",
        ),
    ] {
        assert_eq!(code(&mut world, &token), expected, "{what}");
    }
}

#[test]
fn an_encrypted_token_is_none() {
    let mut world = gate_for_one();
    for header in [
        json!({"alg": "RSA-OAEP", "enc": "A256GCM"}),
        json!({"alg": "RSA1_5", "enc": "A128CBC-HS256"}),
        json!({"alg": "dir", "enc": "A128GCM"}),
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_000_000_000, "p2s": "AAAAAAAAAAA"}),
        json!({"alg": "ECDH-ES", "enc": "A128GCM", "epk": Key::p256(2).jwk()}),
        json!({"alg": "dir", "enc": "A128GCM", "zip": "DEF"}),
        // What the gate would take, in the shape of what it does not.
        json!({"alg": "ES256", "enc": "A128GCM"}),
    ] {
        let part = encode(header.to_string().as_bytes());
        for token in [format!("{part}.AAAA.AAAA.AAAA.AAAA"), format!("{part}..AAAA.AAAA.AAAA"), format!("{part}....")] {
            assert_eq!(code(&mut world, &token), "token_malformed", "{header}");
        }
        if header["alg"] != "ES256" {
            let token = signed(header.to_string(), Token::new(&Key::p256(1)).payload());
            assert_eq!(code(&mut world, &token), "algorithm_not_allowed", "{header}, signed");
        }
    }
}

#[test]
fn a_token_within_a_token_is_none() {
    let mut world = gate_for_one();
    let good = Token::new(&Key::p256(1));
    let unsigned = format!("{}.{}.", encode(br#"{"alg":"none"}"#), encode(good.payload().as_bytes()));
    for header in [r#"{"alg":"ES256","cty":"JWT"}"#, r#"{"alg":"ES256","cty":"application/jwt"}"#, r#"{"alg":"ES256"}"#]
    {
        for (what, payload) in [
            ("a good token", good.mint()),
            ("an unsigned token", unsigned.clone()),
            ("a good token as a JSON string", format!("\"{}\"", good.mint())),
            ("a good token in a list", format!("[\"{}\"]", good.mint())),
        ] {
            assert_eq!(code(&mut world, &signed(header, payload)), "claims_malformed", "{what} in {header}");
        }
        // Nobody looks for claims further in.
        let wrapped = json!({"jwt": good.mint(), "claims": {"iss": "https://issuer.example"}}).to_string();
        assert_eq!(code(&mut world, &signed(header, wrapped)), "issuer_not_allowed", "{header}");
    }
}

#[test]
fn a_good_token_that_is_too_long_is_refused() {
    let mut world = gate_for_one();
    let long = |filler: usize| Token::new(&Key::p256(1)).claim("x", "x".repeat(filler)).mint();
    let spare = MAX_TOKEN_BYTES - long(0).len();
    // Three letters of the payload are four of the token.
    for (token, expected) in [(long(spare * 3 / 4 - 2), "allowed"), (long(spare * 3 / 4 + 2), "token_too_large")] {
        assert!(token.len().abs_diff(MAX_TOKEN_BYTES) < 8, "{}", token.len());
        assert_eq!(code(&mut world, &token), expected, "{} bytes", token.len());
    }
    let huge = "a".repeat(1 << 20);
    assert_eq!(world.ask(0, &Request::get("/").bearer(&huge)).code(), "token_too_large");
}
