//! `revocation`: which tokens a list denies, and what happens without one.

use std::time::Duration;

use jwt_gate::limits::{MAX_REVOCATIONS, MAX_REVOCATION_BYTES};
use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token, NOW};
use crate::world::{local, merged, revoking, Reply, Request, World, REVOKED};

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

fn config(more: Value) -> Value {
    json!({"providers": {"main": local(&[&key(), &Key::ed25519(2)], revoking(more))}})
}

/// A gate that has fetched this list.
fn gate(entries: Value) -> World {
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(REVOKED, Reply::revoked(entries));
    world.seconds_pass(1);
    world
}

fn token() -> Token {
    Token::new(&key()).claim("jti", "t1").claim("sid", "s1")
}

fn code(world: &mut World, token: &Token) -> &'static str {
    world.ask(0, &Request::get("/").bearer(&token.mint())).code()
}

#[test]
fn an_entry_denies_the_tokens_that_match_all_its_members() {
    for (entry, revoked) in [
        (json!({"jti": "t1"}), true),
        (json!({"jti": "t2"}), false),
        (json!({"jti": "T1"}), false),
        (json!({"sub": "alice"}), true),
        (json!({"sub": "alic"}), false),
        (json!({"sub": "alice", "before": NOW + 1}), true),
        (json!({"sub": "alice", "before": NOW}), false),
        (json!({"sub": "bob", "before": NOW + 1}), false),
        (json!({"before": NOW + 1}), true),
        (json!({"before": NOW}), false),
        (json!({"before": NOW as f64 + 0.5}), true),
        (json!({"sid": "s1"}), true),
        (json!({"sid": "s2"}), false),
        (json!({"kid": "k1"}), true),
        (json!({"kid": "k2"}), false),
        (json!({"kid": "k1", "before": NOW + 1}), true),
        (json!({"kid": "k1", "before": NOW}), false),
        (json!({"sub": "alice", "sid": "s1"}), true),
        (json!({"sub": "alice", "sid": "s2"}), false),
        (json!({"jti": "t1", "sub": "alice", "sid": "s1", "kid": "k1", "before": NOW + 1}), true),
        (json!({"jti": "t1", "sub": "bob"}), false),
        (json!({"client_id": "web"}), false),
    ] {
        let mut world = gate(json!([{"jti": "other"}, entry.clone()]));
        let expected = if revoked { "token_revoked" } else { "allowed" };
        assert_eq!(code(&mut world, &token()), expected, "{entry}");
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_counts_as_old() {
    let mut world = gate(json!([{"sub": "alice", "before": 1}]));
    assert_eq!(code(&mut world, &token()), "allowed");
    assert_eq!(code(&mut world, &token().without("iat")), "token_revoked");
    assert_eq!(code(&mut world, &token().without("iat").claim("sub", "bob")), "allowed");
}

#[test]
fn a_withdrawn_key_takes_its_tokens_along_whether_they_name_it_or_not() {
    let mut world = gate(json!([{"kid": "k1"}]));
    assert_eq!(code(&mut world, &token()), "token_revoked");
    assert_eq!(code(&mut world, &token().without_header("kid")), "token_revoked");
    assert_eq!(code(&mut world, &Token::new(&Key::ed25519(2))), "allowed");
}

#[test]
fn a_logout_takes_effect_within_the_refresh_interval() {
    let mut world = gate(json!([]));
    assert_eq!(code(&mut world, &token()), "allowed");
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])));
    world.seconds_pass(10);
    assert_eq!(code(&mut world, &token()), "token_revoked");
    world.issuer(REVOKED, Reply::revoked(json!([])));
    world.seconds_pass(10);
    assert_eq!(code(&mut world, &token()), "allowed");
}

#[test]
fn a_bad_document_keeps_the_last_good_list_and_is_logged_and_counted() {
    let too_many: Vec<Value> = (0..=MAX_REVOCATIONS).map(|id| json!({"jti": id.to_string()})).collect();
    for (what, reply) in [
        ("not JSON", Reply::ok("oops")),
        ("an array", Reply::ok("[]")),
        ("no list", Reply::ok("{}")),
        ("a list of another type", Reply::ok(r#"{"revoked": {"jti": "t1"}}"#)),
        ("an entry that is no object", Reply::revoked(json!(["t1"]))),
        ("an entry without members", Reply::revoked(json!([{}]))),
        ("a member that is no string", Reply::revoked(json!([{"jti": 1}]))),
        ("a null member", Reply::revoked(json!([{"jti": null}]))),
        ("a time that is no number", Reply::revoked(json!([{"sub": "x", "before": "1"}]))),
        ("a negative time", Reply::revoked(json!([{"sub": "x", "before": -1}]))),
        ("a member twice", Reply::ok(r#"{"revoked": [], "revoked": [{"jti": "x"}]}"#)),
        ("too many entries", Reply::revoked(Value::Array(too_many))),
        ("too many bytes", Reply::ok(vec![b' '; MAX_REVOCATION_BYTES + 1])),
        ("nothing", Reply::ok("")),
        ("an error page", Reply::status(500)),
        ("not found", Reply::status(404)),
        ("not modified, unasked", Reply::status(304)),
        ("a redirect", Reply::status(302)),
        ("no content", Reply::status(204)),
        ("no answer", Reply::hangs()),
    ] {
        let mut world = gate(json!([{"jti": "t1"}]));
        world.issuer(REVOKED, reply);
        world.seconds_pass(30);
        assert_eq!(code(&mut world, &token()), "token_revoked", "{what}");
        assert_eq!(code(&mut world, &token().claim("jti", "t2")), "allowed", "{what}");
        assert!(world.count("jwt_gate_revocation_fetch_failed") >= 1, "{what}");
        let warnings = world.logged(Level::Warn);
        assert!(warnings.iter().any(|line| line.contains("the last good one stays")), "{what}: {warnings:?}");
    }
}

#[test]
fn a_list_may_be_as_long_as_the_limit() {
    let entries: Vec<Value> = (0..MAX_REVOCATIONS).map(|id| json!({"jti": id.to_string()})).collect();
    let mut world = gate(Value::Array(entries));
    assert_eq!(code(&mut world, &token().claim("jti", (MAX_REVOCATIONS - 1).to_string())), "token_revoked");
    assert_eq!(code(&mut world, &token()), "allowed");
}

#[test]
fn without_a_list_the_configuration_decides() {
    for (on_unavailable, expected) in [(None, 503), (Some("deny"), 503), (Some("allow"), 200)] {
        let more = on_unavailable.map_or_else(|| json!({}), |choice| json!({ "on_unavailable": choice }));
        for reply in [Reply::status(500), Reply::hangs(), Reply::ok("garbage")] {
            let mut world = World::new(&config(more.clone()), 2);
            world.issuer(REVOKED, reply.clone());
            let request = Request::get("/").bearer(&token().mint());
            let verdict = world.ask_patiently(1, &request);
            assert_eq!(verdict.status(), expected, "{on_unavailable:?} {reply:?}");
            let bad = Request::get("/").bearer(&token().expires_in(-3600).mint());
            assert_eq!(world.ask_patiently(0, &bad).code(), "token_expired", "{on_unavailable:?}");
        }
    }
}

#[test]
fn a_list_that_nobody_confirms_any_more_is_no_list() {
    let config = config(json!({"max_stale": "60s"}));
    let mut world = World::new(&config, 1);
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])));
    world.seconds_pass(1);
    world.issuer(REVOKED, Reply::status(500));
    world.seconds_pass(50);
    assert_eq!(code(&mut world, &token().claim("jti", "t2").expires_in(600)), "allowed");
    world.seconds_pass(20);
    let request = Request::get("/").bearer(&token().claim("jti", "t2").expires_in(600).mint());
    assert_eq!(world.ask_patiently(0, &request).code(), "revocation_unavailable");
}

#[test]
fn the_list_is_polled_with_its_etag() {
    let mut world = World::new(&config(json!({"refresh_interval": "5s"})), 4);
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])).etag("\"v1\""));
    world.seconds_pass(60);
    let polls = world.fetches.len() as u64;
    assert!((12..=16).contains(&polls), "{polls}");
    assert_eq!(world.count("jwt_gate_revocation_fetch_ok"), 1);
    assert_eq!(world.count("jwt_gate_revocation_fetch_not_modified"), polls - 1);
    assert!(world.fetches.iter().skip(1).all(|fetch| fetch.if_none_match.as_deref() == Some("\"v1\"")));
    for vm in 0..4 {
        assert_eq!(world.ask(vm, &Request::get("/").bearer(&token().mint())).code(), "token_revoked");
    }
}

#[test]
fn after_a_failed_fetch_of_a_list_the_pause_is_what_the_configuration_says() {
    let pace = json!({"async_fetch": {"failed_refetch_duration": "7s"}});
    let mut world = World::new(&config(pace), 2);
    world.issuer(REVOKED, Reply::status(500));
    world.seconds_pass(60);
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 7 && gaps.iter().all(|gap| (7000..=7300).contains(gap)), "{gaps:?}");
}

#[test]
fn requests_wait_for_the_first_list_and_each_provider_has_its_own() {
    let with = |uri: &str, audience: &str| {
        local(&[&key()], merged(revoking(json!({"http_uri": {"uri": uri}})), json!({"audiences": [audience]})))
    };
    let config = json!({"providers": {
        "a": with("http://issuer.example/a", "a"),
        "b": with("http://issuer.example/b", "b"),
    }});
    let mut world = World::new(&config, 1);
    world.issuer("http://issuer.example/a", Reply::revoked(json!([{"sub": "alice"}])).after(Duration::from_secs(1)));
    world.issuer("http://issuer.example/b", Reply::revoked(json!([])));
    for (audience, expected) in [("a", "token_revoked"), ("b", "allowed")] {
        let request = Request::get("/").bearer(&token().claim("aud", audience).mint());
        let id = world.request(0, &request);
        assert_eq!(world.verdict(id), None, "{audience}");
        world.seconds_pass(2);
        assert_eq!(world.verdict(id).unwrap().code(), expected, "{audience}");
        world = {
            let mut fresh = World::new(&config, 1);
            fresh.issuer("http://issuer.example/a", Reply::revoked(json!([{"sub": "alice"}])));
            fresh.issuer("http://issuer.example/b", Reply::revoked(json!([])).after(Duration::from_secs(1)));
            fresh
        };
    }
}

#[test]
fn the_age_that_a_list_says_shortens_its_interval_within_the_same_bounds_as_that_of_keys() {
    for (header, shortest, longest) in
        [("max-age=60", 48, 58), ("max-age=1", 8, 11), ("max-age=3600", 96, 115), ("no-cache, max-age=0", 96, 115)]
    {
        let mut world = World::new(&config(json!({"refresh_interval": "120s"})), 2);
        world.issuer(REVOKED, Reply::revoked(json!([])).cache_control(header));
        world.seconds_pass(400);
        let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
        let gaps: Vec<u64> = at.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
        assert!(gaps.len() >= 3 && gaps.iter().all(|gap| (shortest..=longest).contains(gap)), "{header}: {gaps:?}");
    }
}
