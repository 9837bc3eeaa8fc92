//! `shadow`: a second configuration decides about the same requests, and nothing shows it but its counters.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use jwt_gate::config::Config;
use jwt_gate::request::AskFilterState;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER};
use crate::world::{local, merged, remote, Reply, Request, World, JWKS};

const OTHER_JWKS: &str = "http://other.example/jwks";

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

fn token() -> Token {
    Token::new(&key())
}

fn get(token: &Token) -> Request {
    Request::get("/").bearer(&token.mint())
}

/// A provider in the first configuration, and the same one, changed, in its shadow.
fn beside(first: Value, second: Value) -> Value {
    json!({
        "providers": {"main": local(&[&key()], first)},
        "shadow": {"providers": {"main": local(&[&key()], second)}},
    })
}

/// What the shadow counted.
fn shadows(world: &World) -> Vec<(&str, u64)> {
    let of_shadow =
        world.counts.iter().filter_map(|(name, &count)| Some((name.strip_prefix("jwt_gate_shadow_")?, count)));
    of_shadow.collect()
}

fn error(config: &Value) -> String {
    Config::parse(config.to_string().as_bytes()).expect_err("it should be refused").to_string()
}

#[test]
fn every_difference_is_counted_and_none_has_an_effect() {
    let stricter = json!({"audiences": ["billing"]});
    let rows = [
        (json!({}), json!({}), get(&token()), "allowed", vec![("same", 1)]),
        (json!({}), json!({}), Request::get("/"), "token_missing", vec![("same", 1)]),
        (
            json!({}),
            stricter.clone(),
            get(&token()),
            "allowed",
            vec![("denies_audience_not_allowed", 1), ("would_deny", 1)],
        ),
        (stricter.clone(), json!({}), get(&token()), "audience_not_allowed", vec![("would_allow", 1)]),
        (
            stricter,
            json!({"issuer": "https://other.example"}),
            get(&token()),
            "audience_not_allowed",
            vec![("other_reason", 1)],
        ),
    ];
    for (first, second, request, code, counted) in rows {
        let mut world = World::new(&beside(first.clone(), second), 1);
        let verdict = world.ask(0, &request);
        assert_eq!(verdict.code(), code);
        assert_eq!(shadows(&world), counted, "{code}");
        let mut alone = World::new(&json!({"providers": {"main": local(&[&key()], first)}}), 1);
        assert_eq!(alone.ask(0, &request), verdict);
    }
}

#[test]
fn a_dry_run_counts_as_what_it_decides_in_either() {
    let mut config = beside(json!({}), json!({}));
    config["enforce"] = json!(false);
    let mut world = World::new(&config, 1);
    assert_eq!(world.ask(0, &Request::get("/")).code(), "allowed");
    assert_eq!(shadows(&world), [("same", 1)]);
    let mut config = beside(json!({}), json!({"audiences": ["billing"]}));
    config["shadow"]["enforce"] = json!(false);
    let mut world = World::new(&config, 1);
    assert_eq!(world.ask(0, &get(&token())).code(), "allowed");
    assert_eq!(shadows(&world), [("denies_audience_not_allowed", 1), ("would_deny", 1)]);
}

#[test]
fn no_request_waits_for_the_shadow() {
    let mut other = remote(json!({}));
    other["remote_jwks"]["http_uri"]["uri"] = OTHER_JWKS.into();
    let config = json!({"providers": {"main": local(&[&key()], json!({}))}, "shadow": {"providers": {"main": other}}});
    for can_wait in [true, false] {
        let mut world = if can_wait { World::new(&config, 1) } else { World::without_waiting(&config, 1) };
        world.issuer(OTHER_JWKS, Reply::keys(&[&key()]).after(Duration::from_secs(1)));
        assert_eq!(world.ask(0, &get(&token())).code(), "allowed");
        assert_eq!(shadows(&world), [("undecided", 1)]);
        world.seconds_pass(3);
        assert_eq!(world.ask(0, &get(&token())).code(), "allowed");
        assert_eq!(shadows(&world), [("same", 1), ("undecided", 1)], "its keys are fetched all the same");
    }
}

#[test]
fn the_shadow_fetches_keys_that_it_does_not_know_and_never_what_is_the_firsts_to_fetch() {
    let new = Key::ed25519(2).named("k2");
    let unknown = |world: &World| Request::get("/").bearer(&Token::at(&new, world.seconds()).mint());
    // Its own document.
    let mut other = remote(json!({}));
    other["remote_jwks"]["http_uri"]["uri"] = OTHER_JWKS.into();
    let first = local(&[&key(), &new], json!({}));
    let mut world = World::new(&json!({"providers": {"main": first}, "shadow": {"providers": {"main": other}}}), 1);
    world.issuer(OTHER_JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(60);
    world.issuer(OTHER_JWKS, Reply::keys(&[&key(), &new]));
    let request = unknown(&world);
    assert_eq!(world.ask(0, &request).code(), "allowed");
    world.seconds_pass(1);
    assert_eq!((world.ask(0, &request).code(), world.fetches.len()), ("allowed", 2));
    assert_eq!(shadows(&world), [("same", 1), ("undecided", 1)]);

    // A shared one: a token that the first does not even look at must not use its cooldown up.
    let rules = json!([{"match": {"prefix": "/"}, "public": true}]);
    let config = json!({
        "providers": {"main": remote(json!({}))},
        "rules": rules,
        "shadow": {"providers": {"main": remote(json!({}))}},
    });
    let mut world = World::new(&config, 1);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(60);
    let request = unknown(&world);
    world.ask(0, &request);
    world.seconds_pass(10);
    assert_eq!(world.fetches.len(), 1, "{:?}", world.fetches);
}

#[test]
fn a_source_that_both_have_is_one_document_whenever_either_would_fetch_it() {
    for more in [json!({}), json!({"remote_jwks": {"cache_duration": "3600s"}})] {
        let second = json!({"providers": {"renamed": remote(more)}});
        let config = json!({"providers": {"main": remote(json!({}))}, "shadow": second});
        let parsed = Config::parse(config.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.documents(1).ids().len(), 1);
        let mut world = World::new(&config, 2);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        world.seconds_pass(5);
        assert_eq!(world.fetches.len(), 1);
        assert_eq!(world.ask(0, &get(&token())).code(), "allowed");
        assert_eq!(shadows(&world), [("same", 1)]);
        let gauges: Vec<&String> = world.gauges.keys().collect();
        assert_eq!(gauges, ["jwt_gate_jwks_age_seconds_main", "jwt_gate_jwks_keys_main"]);
    }
}

#[test]
fn nothing_that_one_remembers_is_remembered_by_the_other() {
    // Both have one provider, at the same index, and each takes a token by another key and another algorithm list.
    let other = Key::ed25519(2).named("k1");
    for (first, second) in
        [("jwt_gate", "jwt_gate"), ("jwt_gate", "jwt_authn"), ("jwt_authn", "jwt_gate"), ("jwt_authn", "jwt_authn")]
    {
        let of = |semantics: &str, key: &Key| {
            let mut provider = json!({"issuer": ISSUER, "local_jwks": {"inline_string": key_set([key.jwk()])}});
            if semantics == "jwt_gate" {
                provider["allow_any_audience"] = true.into();
            }
            json!({
                "semantics": semantics,
                "providers": {"main": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
            })
        };
        let mut config = of(first, &key());
        config["shadow"] = of(second, &other);
        let mut world = World::new(&config, 1);
        for round in 1..=3 {
            assert_eq!(world.ask(0, &get(&token())).code(), "allowed", "{first}, {second}");
            assert_ne!(world.ask(0, &get(&Token::new(&other))).code(), "allowed", "{first}, {second}");
            let counted = [("denies_signature_invalid", round), ("would_allow", round), ("would_deny", round)];
            assert_eq!(shadows(&world), counted, "{first}, {second}");
        }
    }
}

#[test]
fn a_token_that_comes_again_is_checked_once_for_each() {
    let mut world = World::new(&beside(json!({}), json!({})), 1);
    for _ in 0..5 {
        world.ask(0, &get(&token()));
    }
    assert_eq!(world.checks(), 2);
    assert_eq!(shadows(&world), [("same", 5)]);
}

#[test]
fn a_request_for_which_there_is_no_room_is_no_decision_to_compare() {
    let config =
        json!({"providers": {"main": remote(json!({}))}, "shadow": {"providers": {"main": remote(json!({}))}}});
    let mut world = World::new(&config, 1);
    for _ in 0..jwt_gate::limits::MAX_WAITING {
        world.request(0, &get(&token()));
    }
    assert_eq!(world.ask(0, &get(&token())).code(), "overloaded");
    assert_eq!(shadows(&world), []);
}

#[test]
fn the_shadow_reads_the_filter_state_of_the_first_or_its_own_where_the_first_has_none() {
    let rules = |name: &str| json!({"name": name, "requires": {"open": {"allow_missing": {}}}});
    let mut config = beside(json!({}), json!({}));
    config["shadow"]["filter_state_rules"] = rules("tier");
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
    config["filter_state_rules"] = rules("tier");
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
    config["filter_state_rules"] = rules("another");
    assert_eq!(error(&config), "shadow.filter_state_rules: must name the same filter state as the first configuration");
}

#[test]
fn a_shadow_that_decides_after_a_wait_has_what_the_filter_state_was_when_the_request_came() {
    let rules = json!({"name": "tier", "requires": {"strict": {"provider_and_audiences": {"provider_name": "main", "audiences": ["other"]}}}});
    let config = json!({
        "providers": {"main": remote(json!({}))},
        "filter_state_rules": rules,
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
        "shadow": {
            "providers": {"main": remote(json!({}))},
            "filter_state_rules": rules,
            "rules": [{"match": {"prefix": "/elsewhere"}, "requires": {"provider_name": "main"}}],
        },
    });
    for semantics in ["jwt_gate", "jwt_authn"] {
        let mut config = config.clone();
        config["semantics"] = json!(semantics);
        let mut world = World::new(&config, 1);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        // Afterwards the host would answer about another request.
        let is_its_callback = Rc::new(Cell::new(true));
        let seen = Rc::clone(&is_its_callback);
        let state: AskFilterState = Rc::new(move || Some(if seen.get() { b"strict".to_vec() } else { b"no".to_vec() }));
        let good = Token::at(&key(), world.seconds()).mint();
        let id = world.request_with(0, &Request::get("/").bearer(&good), Some(state));
        is_its_callback.set(false);
        assert_eq!(world.verdict(id), None, "it waits for the keys");
        world.seconds_pass(1);
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
        assert_eq!(shadows(&world), [("denies_audience_not_allowed", 1), ("would_deny", 1)], "{semantics}");
    }
}

#[test]
fn what_a_shadow_cannot_be_is_refused() {
    let with = |more: Value| merged(beside(json!({}), json!({})), json!({ "shadow": more }));
    let shared =
        |field: &str| format!("shadow.{field}: cannot stand in \"shadow\": it is that of the whole configuration");
    let vain =
        |field: &str| format!("shadow.{field}: cannot stand in \"shadow\", which has no effect but on its counters");
    for (config, expected) in [
        (with(json!({"stat_prefix": "x"})), shared("stat_prefix")),
        (with(json!({"token_cache": {}})), shared("token_cache")),
        (with(json!({"crypto": "auto"})), shared("crypto")),
        (with(json!({"shadow": {}})), vain("shadow")),
        (with(json!({"access_log": ["code"]})), vain("access_log")),
        (with(json!({"providers": null})), "shadow.providers: is required".to_owned()),
        (with(json!({"provider": {}})), "shadow.provider: unknown field; did you mean \"providers\"?".to_owned()),
        (
            with(json!({"providers": {"main": {"isuer": "x"}}})),
            "shadow.providers.main.isuer: unknown field; did you mean \"issuer\"?".to_owned(),
        ),
        (
            with(json!({"providers": {"main": {"jwt_cache_config": {"jwt_max_token_size": 16_385}}}})),
            "shadow.providers.main.jwt_cache_config.jwt_max_token_size: must be from 0 to 16384".to_owned(),
        ),
        (json!({"providers": {}, "shadow": {}}), "providers: needs at least one provider".to_owned()),
    ] {
        assert_eq!(error(&config), expected);
    }
}
