//! How often a request has the host do something: each time costs more than what the module does in between.

use serde_json::{json, Value};

use jwt_gate_second_host::{Call, Foreign, Outcome, Platform, Proxy};

use crate::mint::{Key, Token, NOW};
use crate::{credulous, local, remote, set, HEAD};

/// The module, with the keys at hand, for services that want nothing of the token.
fn prepared(mut configuration: Value, foreign: Foreign, key: &Key) -> Proxy {
    let provider = configuration["providers"]["main"].as_object_mut().expect("a provider");
    provider.remove("claim_to_headers").expect("what they want");
    with_keys(configuration, foreign, key)
}

/// The module, with the keys at hand.
fn with_keys(configuration: Value, foreign: Foreign, key: &Key) -> Proxy {
    let mut proxy = Proxy::new(Platform::built(), NOW, foreign);
    assert!(proxy.configure(&configuration.to_string()), "{:?}", proxy.log());
    proxy.tick();
    for fetch in proxy.fetches() {
        proxy.answer(fetch, 200, &set(&[key]));
    }
    proxy
}

/// What becomes of a request, and what the host is asked for from its first to its last callback.
fn life(proxy: &mut Proxy, headers: &[(&str, &str)]) -> (Outcome, Vec<(Call, usize)>) {
    let made = |proxy: &Proxy| Call::ALL.map(|call| proxy.faults().made(call));
    let (before, lines) = (made(proxy), proxy.log().len());
    let id = proxy.send(headers);
    let outcome = proxy.outcome(id);
    proxy.end(id);
    assert_eq!(proxy.log().len(), lines, "{:?}", proxy.log());
    let asked = made(proxy).into_iter().zip(before).map(|(after, before)| after - before);
    (outcome, Call::ALL.into_iter().zip(asked).filter(|(_, times)| *times > 0).collect())
}

/// Where the keys and the cryptography come from.
fn origins(key: &Key) -> [(&'static str, Value, Foreign); 4] {
    let nothing: Foreign = |_, _| None;
    [
        ("keys of the configuration", local(&[key]), nothing),
        ("keys of the configuration, signatures for the host", local(&[key]), credulous),
        ("keys that were fetched", remote(), nothing),
        ("keys that were fetched, signatures for the host", remote(), credulous),
    ]
}

#[test]
fn a_token_that_comes_again_costs_one_reading_of_the_head_and_of_the_clock_and_one_edit() {
    let key = Key::p256(1).named("k1");
    let bearer = Token::new(&key).bearer();
    let request = [&HEAD[..], &[("authorization", &bearer)]].concat();
    let passed = Outcome::Passed(HEAD.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    for (what, configuration, foreign) in origins(&key) {
        let mut proxy = prepared(configuration, foreign, &key);
        assert_eq!(life(&mut proxy, &request).0, passed, "{what}: the edit removes the token");
        for _ in 0..3 {
            let (outcome, asked) = life(&mut proxy, &request);
            assert_eq!(outcome, passed, "{what}");
            assert_eq!(asked, [(Call::ReadHeaders, 1), (Call::EditHeaders, 1), (Call::Clock, 1)], "{what}");
        }
    }
}

#[test]
fn a_request_without_a_token_costs_one_reading_of_the_head_and_of_the_clock_and_one_answer() {
    let key = Key::p256(1).named("k1");
    for (what, configuration, foreign) in origins(&key) {
        let mut proxy = prepared(configuration, foreign, &key);
        for _ in 0..3 {
            let (outcome, asked) = life(&mut proxy, &HEAD);
            assert!(matches!(outcome, Outcome::Answered { status: 401, .. }), "{what}: {outcome:?}");
            assert_eq!(outcome.code(), "token_missing", "{what}");
            assert_eq!(asked, [(Call::ReadHeaders, 1), (Call::Answer, 1), (Call::Clock, 1)], "{what}");
        }
    }
}

#[test]
fn each_header_for_services_costs_one_edit() {
    let key = Key::p256(1).named("k1");
    let bearer = Token::new(&key).bearer();
    let request = [&HEAD[..], &[("authorization", &bearer)]].concat();
    for (what, mut configuration, foreign) in origins(&key) {
        let told = |number: usize| json!({"header_name": format!("x-{number}"), "claim_name": "sub"});
        configuration["providers"]["main"]["claim_to_headers"] = (0..3).map(told).collect();
        let mut proxy = with_keys(configuration, foreign, &key);
        life(&mut proxy, &request);
        for _ in 0..3 {
            let (_, asked) = life(&mut proxy, &request);
            assert_eq!(asked, [(Call::ReadHeaders, 1), (Call::EditHeaders, 1 + 3), (Call::Clock, 1)], "{what}");
        }
    }
}

#[test]
fn the_filter_state_is_read_once_and_only_where_no_rule_matches() {
    let key = Key::p256(1).named("k1");
    let bearer = Token::new(&key).bearer();
    let request = [&HEAD[..], &[("authorization", &bearer)]].concat();
    for (prefix, read) in [("/", None), ("/elsewhere", Some((Call::Property, 1)))] {
        for semantics in ["jwt_gate", "jwt_authn"] {
            let mut configuration = local(&[&key]);
            configuration["semantics"] = json!(semantics);
            configuration["rules"] = json!([{"match": {"prefix": prefix}, "requires": {"provider_name": "main"}}]);
            configuration["filter_state_rules"] = json!({"name": "tier", "requires": {"open": {"allow_missing": {}}}});
            let mut proxy = prepared(configuration, |_, _| None, &key);
            life(&mut proxy, &request);
            let (outcome, asked) = life(&mut proxy, &request);
            assert!(matches!(outcome, Outcome::Passed(_)), "{outcome:?}");
            let of_state: Vec<_> = asked.into_iter().filter(|(call, _)| *call == Call::Property).collect();
            assert_eq!(of_state, Vec::from_iter(read), "{semantics}, {prefix}");
        }
    }
}
