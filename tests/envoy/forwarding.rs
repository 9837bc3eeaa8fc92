//! What the service behind the gate gets.

use base64::prelude::{Engine, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::mint::{Key, Token, ALGORITHMS};
use crate::proxy::{filter, Form, Proxy};
use crate::servers::Seen;
use crate::wire::{get, request};
use crate::{closed, issuer, provider, start, token};

#[test]
fn what_stands_behind_the_body_is_no_word_of_the_gate() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["remote_jwks"] = json!(null);
    main["local_jwks"] = json!({"inline_string": json!({"keys": [key.jwk()]}).to_string()});
    for semantics in ["jwt_gate", "jwt_authn"] {
        let gate = json!({"semantics": semantics, "providers": {"main": main}, "rules": [
            {"match": {"prefix": "/"}, "requires": {"provider_name": "main"}},
        ]});
        let proxy = Proxy::with_filters(vec![filter(&gate, Form::Struct)], |manager, _| {
            manager["http_protocol_options"] = json!({"enable_trailers": true});
        });
        let head = request("POST", "/").bearing(&token(&key).mint()).with("transfer-encoding", "chunked");
        let mut bytes = head.bytes();
        bytes.extend(b"4\r\nbody\r\n0\r\nx-user-id: root\r\nx_user_id: root\r\nX-User-Id: again\r\nx-sum: 7\r\n\r\n");
        let mut connection = proxy.connect();
        connection.send(&bytes);
        let seen = Seen::of(&connection.receive());
        assert_eq!(seen.body(), "body");
        assert_eq!(seen.values("x-sum"), ["7"], "trailers go on");
        assert_eq!(seen.values("x-user-id"), ["alice"], "{semantics}");
        if semantics == "jwt_gate" {
            assert_eq!(seen.values("x_user_id"), [""; 0]);
        }
    }
}

#[test]
fn the_service_learns_who_calls_and_never_sees_the_token() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["claim_to_headers"] = json!([
        {"header_name": "x-user-id", "claim_name": "sub"},
        {"header_name": "X-User-Roles", "claim_name": "realm.roles"},
        {"header_name": "x-user-age", "claim_name": "age"},
        {"header_name": "x-user-realm", "claim_name": "realm"},
        {"header_name": "x-user-verified", "claim_name": "verified"},
        {"header_name": "x-user-nickname", "claim_name": "nickname"},
    ]);
    main["forward_payload_header"] = json!("x-payload");
    let proxy = start(&json!({"providers": {"main": main}}), &issuer(&[&key]));
    let token = token(&key)
        .claim("realm", json!({"roles": ["a", "b"], "n": 1}))
        .claim("age", 42)
        .claim("verified", true)
        .mint();
    let payload = token.split('.').nth(1).expect("a token has a payload");

    // What a client sends under those names never arrives, however it is spelt.
    let forged = get("/orders?x=1")
        .bearing(&token)
        .with("X-User-Id", "root")
        .with("x_user_id", "root")
        .with("X-USER-Nickname", "root")
        .with("x-payload", "e30")
        .with("x-user-id", "again")
        .with("x-unrelated", "stays");
    let seen = Seen::of(&proxy.send(&forged));
    assert_eq!(seen.target(), "/orders?x=1");
    for (name, expected) in [
        ("x-user-id", vec!["alice"]),
        ("x-user-roles", vec![r#"["a","b"]"#]),
        ("x-user-age", vec!["42"]),
        ("x-user-realm", vec![r#"{"roles":["a","b"],"n":1}"#]),
        ("x-user-verified", vec!["true"]),
        ("x-user-nickname", vec![]),
        ("x_user_id", vec![]),
        ("x-payload", vec![payload]),
        ("authorization", vec![]),
        ("x-unrelated", vec!["stays"]),
    ] {
        assert_eq!(seen.values(name), expected, "{name}");
    }
}

#[test]
fn identity_headers_of_a_client_are_removed_where_nobody_is_authenticated_too() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["claim_to_headers"] = json!([{"header_name": "x-user-id", "claim_name": "sub"}]);
    let gate = json!({
        "bypass_cors_preflight": true,
        "providers": {"main": main},
        "rules": [
            {"match": {"prefix": "/open"}, "public": true},
            {"match": {"prefix": "/maybe"}, "requires": {"allow_missing_or_failed": {}}},
        ],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let preflight = request("OPTIONS", "/").with("origin", "https://a").with("access-control-request-method", "PUT");
    for request in [get("/open"), get("/maybe"), get("/maybe").bearing("x.y.z"), preflight] {
        let forged = request.with("x-user-id", "root").with("X_User-Id", "root").with("x-user-id", "\u{ff}");
        let seen = Seen::of(&proxy.send(&forged));
        let names = seen.names();
        assert!(!names.iter().any(|name| name.replace('_', "-") == "x-user-id"), "{names:?}");
    }
}

#[test]
fn a_token_is_taken_out_of_the_place_where_it_was_and_its_neighbours_stay() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["from_headers"] = json!([{"name": "x-token", "value_prefix": "Token "}]);
    main["from_params"] = json!(["access_token"]);
    main["from_cookies"] = json!(["session"]);
    let proxy = start(&json!({"providers": {"main": main}}), &issuer(&[&key]));
    let token = token(&key).mint();

    let seen = Seen::of(&proxy.send(&get("/a?b=1&c").with("x-token", format!("Token {token}"))));
    assert_eq!((seen.target(), seen.values("x-token")), ("/a?b=1&c", vec![]));

    let seen = Seen::of(&proxy.send(&get(&format!("/a?b=1&access_token={token}&c"))));
    assert_eq!(seen.target(), "/a?b=1&c");

    let seen = Seen::of(&proxy.send(&get("/a").with("cookie", format!("a=1; session={token}; b=2"))));
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);

    assert_eq!(proxy.send(&get("/a").bearing(&token)).status(), 401, "Authorization is not one of its places");
}

#[test]
fn forward_leaves_the_token_and_pads_the_payload_where_that_is_asked_for() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["forward"] = json!(true);
    main["forward_payload_header"] = json!("x-payload");
    main["pad_forward_payload_header"] = json!(true);
    let proxy = start(&json!({"providers": {"main": main}}), &issuer(&[&key]));
    for subject in ["a", "ab", "abc"] {
        let token = token(&key).claim("sub", subject).mint();
        let payload = token.split('.').nth(1).and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
        let padded = BASE64_URL_SAFE.encode(payload.expect("a payload is base64url"));
        let seen = Seen::of(&proxy.send(&get("/").bearing(&token)));
        assert_eq!(seen.values("authorization"), [format!("Bearer {token}")]);
        assert_eq!(seen.values("x-payload"), [padded]);
    }
}

#[test]
fn a_good_token_of_every_algorithm_passes_and_one_of_another_key_does_not() {
    let (mut providers, mut rules) = (json!({}), Vec::new());
    for alg in ALGORITHMS {
        let mut main = provider();
        main["remote_jwks"] = json!(null);
        main["local_jwks"] = json!({"inline_string": json!({"keys": [Key::of(alg, false).jwk()]}).to_string()});
        main["algorithms"] = json!([alg]);
        providers[alg] = main;
        rules.push(json!({"match": {"prefix": format!("/{alg}")}, "requires": {"provider_name": alg}}));
    }
    for crypto in ["auto", "host", "portable"] {
        let gate = json!({"crypto": crypto, "providers": providers, "rules": rules});
        let proxy = Proxy::start(&gate, &issuer(&[]));
        for alg in ALGORITHMS {
            let request = |token: &Token| get(&format!("/{alg}")).bearing(&token.clone().alg(alg).mint());
            let good = token(&Key::of(alg, false));
            // The first is checked, on each worker; the rest are remembered.
            for _ in 0..6 {
                assert_eq!(proxy.send(&request(&good)).status(), 200, "{crypto} {alg}");
            }
            let refused = proxy.send(&request(&token(&Key::of(alg, true))));
            assert_eq!(refused.status(), 401, "{crypto} {alg}");
            assert!(refused.text().contains("signature_invalid"), "{crypto} {alg}: {}", refused.text());
        }
    }
}

#[test]
fn a_body_reaches_the_service_whole() {
    let key = Key::rsa().named("k1");
    let proxy = start(&closed(), &issuer(&[&key]));
    let body = "x".repeat(300_000);
    let seen = Seen::of(&proxy.send(&request("POST", "/").bearing(&token(&key).mint()).carrying(body.as_bytes())));
    assert_eq!(seen.body(), body);
}
