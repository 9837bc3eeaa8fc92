//! Requests, with the keys at hand: the module checks every signature itself, since the host has no function for it.

use serde_json::Value;

use jwt_gate_second_host::{Call, Outcome};

use crate::mint::{Key, Token, ALGORITHMS};
use crate::{ask, assert_passed_as_alice, bearing, local, start, token, HEAD};

#[test]
fn a_good_token_passes_and_the_service_learns_its_caller_and_nothing_else() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&local(&[&key]));
    for _ in 0..2 {
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    }
}

#[test]
fn what_is_not_good_is_answered_and_goes_no_further() {
    let key = Key::p256(1).named("k1");
    let other = Key::p256(2).named("k1");
    let mut proxy = start(&local(&[&key]));
    let mut altered = token(&key);
    altered.replace_range(altered.len() - 5..altered.len() - 4, if altered.ends_with('A') { "B" } else { "A" });
    for (what, token, code) in [
        ("another key's", token(&other), "signature_invalid"),
        ("another key's, whose name is unknown", token(&other.clone().named("k2")), "key_unknown"),
        ("altered", altered, "signature_invalid"),
        ("expired", Token::new(&key).expires_in(-61).mint(), "token_expired"),
        ("of another issuer", Token::new(&key).claim("iss", "https://other.example").mint(), "issuer_not_allowed"),
        ("for others", Token::new(&key).claim("aud", "others").mint(), "audience_not_allowed"),
        ("unsigned", Token::new(&key).header("alg", "none").mint(), "algorithm_not_allowed"),
        ("no token", "a.b".into(), "token_malformed"),
    ] {
        let outcome = ask(&mut proxy, &token);
        assert_eq!(outcome.code(), code, "{what}: {outcome:?}");
        let Outcome::Answered { status, body, .. } = &outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!(*status, 401, "{what}");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["code"], code, "{what}");
        let challenge = format!(r#"Bearer error="invalid_token", error_description={}"#, body["detail"]);
        assert_eq!(outcome.header("www-authenticate"), [challenge.as_str()], "{what}");
    }
    let missing = proxy.ask(&HEAD);
    assert_eq!((missing.code(), missing.header("www-authenticate")), ("token_missing", vec!["Bearer"]));
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
}

#[test]
fn every_signature_is_checked_by_the_module_where_the_host_has_no_function_for_it() {
    for alg in ALGORITHMS.iter().filter(|alg| !alg.starts_with("HS")) {
        let key = Key::of(alg, false).named("k1");
        let mut proxy = start(&local(&[&key]));
        let asked = proxy.faults().made(Call::Foreign);
        let good = Token::new(&key).alg(alg).mint();
        assert_passed_as_alice(&ask(&mut proxy, &good));
        let forged = Token::new(&Key::of(alg, true).named("k1")).alg(alg).mint();
        assert_eq!(ask(&mut proxy, &forged).code(), "signature_invalid", "{alg}");
        assert_eq!(proxy.faults().made(Call::Foreign), asked, "{alg}: asked once, at the start");
    }
}

#[test]
fn every_request_before_a_configuration_is_refused() {
    let platform = jwt_gate_second_host::Platform::built();
    let mut proxy = jwt_gate_second_host::Proxy::new(platform, crate::NOW, |_, _| None);
    assert!(!proxy.configure("{}"));
    assert_ne!(proxy.ask(&bearing("Bearer a.b.c")).code(), "passed");
}
