//! Another configuration, while requests are on their way.

use std::time::Duration;

use serde_json::json;

use jwt_gate_second_host::Outcome;

use crate::mint::{Key, Token};
use crate::{
    ask, assert_passed_as_alice, bearing, local, refusal, remote, set, start, started_with_keys, token, NO_SIGNATURES,
};

#[test]
fn a_configuration_that_is_refused_leaves_the_one_that_is_in_force() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&local(&[&key]));
    let mut misspelt = local(&[&key]);
    misspelt["providers"]["main"]["audience"] = json!(["api"]);
    let mut host = local(&[&key]);
    host["crypto"] = json!("host");
    for (what, bad, why) in [
        ("no JSON", "{".to_owned(), "configuration: not JSON: EOF while parsing an object at line 1 column 1"),
        ("nothing", String::new(), "providers: is required"),
        ("no provider", "{}".to_owned(), "providers: is required"),
        (
            "a misspelt field",
            misspelt.to_string(),
            r#"providers.main.audience: unknown field; did you mean "audiences"?"#,
        ),
        ("a signature for the host to check, which cannot", host.to_string(), NO_SIGNATURES),
    ] {
        assert_eq!(refusal(&mut proxy, &bad), why, "{what}");
        assert!(proxy.is_alive(), "{what}");
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
        assert_eq!(ask(&mut proxy, &token(&Key::p256(2).named("k1"))).code(), "signature_invalid", "{what}");
    }
}

#[test]
fn a_new_configuration_judges_the_requests_that_come_after_it() {
    let (old, new) = (Key::p256(1).named("k1"), Key::p256(2).named("k1"));
    let mut proxy = start(&local(&[&old]));
    assert_passed_as_alice(&ask(&mut proxy, &token(&old)));
    assert!(proxy.configure(&local(&[&new]).to_string()));
    assert_eq!(ask(&mut proxy, &token(&old)).code(), "signature_invalid", "it is remembered by the old one alone");
    assert_passed_as_alice(&ask(&mut proxy, &token(&new)));

    // Some hosts configure the same context again.
    assert!(proxy.configure_again(&local(&[&old]).to_string()));
    assert_eq!(ask(&mut proxy, &token(&new)).code(), "signature_invalid");
    assert_passed_as_alice(&ask(&mut proxy, &token(&old)));
}

#[test]
fn a_request_that_waits_is_judged_by_the_configuration_that_it_came_under() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let good = proxy.send(&bearing(&Token::new(&key).bearer()));
    let forged = proxy.send(&bearing(&Token::new(&Key::p256(2).named("k1")).bearer()));
    proxy.tick();
    let fetch = proxy.fetch();
    let mut strict = remote();
    strict["providers"]["main"]["audiences"] = json!(["others"]);
    assert!(proxy.configure(&strict.to_string()));
    assert_eq!(proxy.outcome(good), Outcome::Parked);
    proxy.answer(fetch, 200, &set(&[&key]));
    proxy.tick();
    assert_passed_as_alice(&proxy.outcome(good));
    assert_eq!(proxy.outcome(forged).code(), "signature_invalid");
}

#[test]
fn the_same_configuration_again_keeps_the_keys() {
    let key = Key::p256(1).named("k1");
    let mut proxy = started_with_keys(&[&key]);
    assert!(proxy.configure(&remote().to_string()));
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    assert_eq!(ask(&mut proxy, &token(&Key::p256(2).named("k1"))).code(), "signature_invalid");
}

#[test]
fn a_request_that_waits_is_judged_though_its_context_is_configured_again() {
    let key = Key::p256(1).named("k1");
    let mut strict = remote();
    strict["providers"]["main"]["audiences"] = json!(["others"]);
    for is_answered in [true, false] {
        let mut proxy = start(&remote());
        let good = proxy.send(&bearing(&Token::new(&key).bearer()));
        let forged = proxy.send(&bearing(&Token::new(&Key::p256(2).named("k1")).bearer()));
        proxy.tick();
        let fetch = proxy.fetch();
        assert!(proxy.configure_again(&strict.to_string()));
        assert_eq!(proxy.outcome(good), Outcome::Parked);
        if is_answered {
            proxy.answer(fetch, 200, &set(&[&key]));
            assert_passed_as_alice(&proxy.outcome(good));
            assert_eq!(proxy.outcome(forged).code(), "signature_invalid");
        }
        for _ in 0..40 {
            proxy.tick();
            proxy.advance(Duration::from_millis(100));
        }
        if !is_answered {
            assert_eq!(proxy.outcome(good).code(), "keys_unavailable");
        }
        assert_eq!(ask(&mut proxy, &token(&key)).code(), if is_answered { "audience_not_allowed" } else { "parked" });
    }
}
