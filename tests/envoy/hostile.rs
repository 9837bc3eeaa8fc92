//! What an attacker sends.

use serde_json::json;

use crate::mint::{encode, Key, Token};
use crate::servers::Seen;
use crate::wire::{get, request};
use crate::{closed, issuer, provider, start, token};

#[test]
fn only_one_bearer_token_in_one_authorization_header_is_taken() {
    let key = Key::rsa().named("k1");
    let proxy = start(&closed(), &issuer(&[&key]));
    let good = token(&key).mint();
    let with = |values: &[&str]| {
        values.iter().fold(get("/"), |request, value| request.with("Authorization", value.replace('%', &good)))
    };
    for (values, status, code) in [
        (&["Bearer %"][..], 200, None),
        (&["bearer %"], 200, None),
        (&["BEARER %"], 200, None),
        (&["Bearer %", "Bearer %"], 400, Some("multiple_tokens")),
        (&["Bearer %", "Basic eDp5"], 400, Some("multiple_tokens")),
        (&["Basic eDp5", "Bearer %"], 400, Some("multiple_tokens")),
        (&["Bearer %, Bearer %"], 400, Some("multiple_tokens")),
        (&["Bearer %,Basic eDp5"], 400, Some("multiple_tokens")),
        (&["Bearer  %"], 401, Some("token_malformed")),
        (&["Bearer\t%"], 401, Some("token_malformed")),
        (&["Bearer % x"], 401, Some("token_malformed")),
        (&["Bearer %="], 401, Some("token_malformed")),
        (&["Bearer %.x"], 401, Some("token_malformed")),
        (&["Bearer"], 401, Some("token_malformed")),
        (&["%"], 401, Some("token_missing")),
        (&["Basic eDp5"], 401, Some("token_missing")),
        (&["Token Bearer %"], 401, Some("token_missing")),
        (&[""], 401, Some("token_missing")),
    ] {
        let response = proxy.send(&with(values));
        assert_eq!(response.status(), status, "{values:?}: {}", response.text());
        if let Some(code) = code {
            assert!(response.text().contains(&format!("\"code\":\"{code}\"")), "{values:?}: {}", response.text());
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_or_passed_on_as_they_are() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["from_headers"] = json!([{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x-token"}]);
    main["from_params"] = json!(["t"]);
    main["from_cookies"] = json!(["t"]);
    let rule = |test| json!({"match": {"prefix": "/open", "headers": [{"name": "x-a", "string_match": test}]}, "public": true});
    let gate = json!({
        "providers": {"main": main},
        "rules": [rule(json!({"safe_regex": {"regex": "[a-z]+"}})), rule(json!({"contains": "\u{e9}"}))],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let good = token(&key).mint();
    for bytes in [&b"\xff"[..], b"\x80\x81", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9"] {
        let bearer = [b"Bearer ", bytes].concat();
        assert_eq!(proxy.send(&get("/").with("authorization", &bearer)).status(), 401);
        assert_eq!(proxy.send(&get("/").with("x-token", bytes)).status(), 401);
        assert_eq!(proxy.send(&get("/open").with("x-a", bytes)).status(), 401);
        assert_eq!(proxy.send(&get("/").with("cookie", [b"t=", bytes].concat())).status(), 401);
        let seen = Seen::of(&proxy.send(&get("/").bearing(&good).with("x-a", bytes)));
        let expected: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(seen.values("x-a"), [expected]);
    }
}

#[test]
fn an_oversized_token_is_refused_and_the_next_request_is_served() {
    let key = Key::rsa().named("k1");
    let proxy = start(&closed(), &issuer(&[&key]));
    let large = token(&key).claim("filler", "x".repeat(20_000)).mint();
    let refused = proxy.send(&get("/").bearing(&large));
    assert_eq!(refused.status(), 401);
    assert!(refused.text().contains("token_too_large"), "{}", refused.text());
    let largest = token(&key).claim("filler", "x".repeat(11_000)).mint();
    assert_eq!(proxy.send(&get("/").bearing(&largest)).status(), 200);
    let beyond_envoy = proxy.send(&get("/").bearing(&"x".repeat(70_000)));
    assert_eq!(beyond_envoy.status(), 431, "Envoy's own bound");
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
}

#[test]
fn no_spelling_of_a_closed_path_looks_open() {
    let key = Key::rsa().named("k1");
    let gate = json!({
        "providers": {"main": provider()},
        "rules": [{"match": {"prefix": "/open"}, "public": true}],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    assert_eq!(proxy.send(&get("/open/a")).status(), 200);
    for target in [
        "/open/../closed",
        "/open/..%2fclosed",
        "/open/%2e%2e/closed",
        "/open/%2E./closed",
        "/open/..\\closed",
        "/open/%5c../closed",
        "/open//../../closed",
        "/open/..;/closed",
    ] {
        let response = proxy.send(&get(target));
        assert_eq!(response.status(), 400, "{target}: {}", response.text());
        assert!(response.text().contains("path_ambiguous"), "{target}: {}", response.text());
    }
    for target in [
        "/open%2f..%2fclosed",
        "//open/../closed",
        "/./open/../closed",
        "/closed/../open/../closed",
        "/openx",
        "/OPEN",
        "/",
        "/?/open",
        "/closed?/open",
        "/closed#/open",
        "/closed/open",
    ] {
        assert_ne!(proxy.send(&get(target)).status(), 200, "{target}");
    }
    let absolute = proxy.send(&get("http://gateway/closed"));
    assert_eq!(absolute.status(), 401, "{}", absolute.text());
}

fn unsigned(alg: &str, token: &Token) -> String {
    format!("{}.{}.", encode(json!({"alg": alg}).to_string().as_bytes()), encode(token.payload().as_bytes()))
}

#[test]
fn a_forged_token_is_refused_whatever_its_header_says() {
    let key = Key::rsa().named("k1");
    let proxy = start(&closed(), &issuer(&[&key]));
    let good = token(&key).mint();
    let (head, payload, signature) = {
        let mut parts = good.split('.');
        let mut part = || parts.next().expect("a token has three parts").to_owned();
        (part(), part(), part())
    };
    let other = token(&key).claim("sub", "root").mint();
    let stolen = other.split('.').nth(1).expect("a token has a payload");
    for (name, forged, code) in [
        ("another payload", format!("{head}.{stolen}.{signature}"), "signature_invalid"),
        ("no signature", format!("{head}.{payload}."), "token_malformed"),
        ("alg none", unsigned("none", &token(&key)), "token_malformed"),
        ("alg none, with a signature", unsigned("none", &token(&key)) + &signature, "algorithm_not_allowed"),
        ("alg None", unsigned("None", &token(&key)) + &signature, "algorithm_not_allowed"),
        (
            "HS256 by the public key",
            token(&Key::hmac(key.public_pem().as_bytes()).named("k1")).mint(),
            "algorithm_not_allowed",
        ),
        ("crit", token(&key).header("crit", json!(["x"])).header("x", 1).mint(), "header_malformed"),
        (
            "jwk in the header",
            token(&Key::p256(1).named("k1")).header("jwk", Key::p256(1).named("k1").jwk()).mint(),
            "key_unknown",
        ),
    ] {
        let response = proxy.send(&request("GET", "/").bearing(&forged));
        assert_eq!(response.status(), 401, "{name}");
        assert!(response.text().contains(&format!("\"code\":\"{code}\"")), "{name}: {}", response.text());
    }
}
