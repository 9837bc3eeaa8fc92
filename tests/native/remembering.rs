//! The cache of verified tokens: it saves the signature check and nothing else.

use jwt_gate::limits::CACHED_TOKEN_BYTES;
use serde_json::{json, Map, Value};

use crate::mint::{Key, Token, AUDIENCE};
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

fn config(more: Value) -> Value {
    merged(json!({"providers": {"main": local(&[&key()], json!({}))}}), more)
}

fn ask(world: &mut World, token: &str) -> &'static str {
    world.ask(0, &Request::get("/").bearer(token)).code()
}

#[test]
fn a_token_that_comes_again_is_not_checked_again_in_that_vm() {
    let mut world = World::new(&config(json!({})), 2);
    let token = Token::new(&key()).mint();
    for _ in 0..10 {
        assert_eq!(ask(&mut world, &token), "allowed");
    }
    assert_eq!(world.checks(), 1);
    assert_eq!(world.ask(1, &Request::get("/").bearer(&token)).code(), "allowed");
    assert_eq!(world.checks(), 2);
}

#[test]
fn a_token_that_was_refused_is_not_remembered_and_one_that_differs_in_a_bit_is_another() {
    let mut world = World::new(&config(json!({})), 1);
    let token = Token::new(&key()).mint();
    assert_eq!(ask(&mut world, &token), "allowed");
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("it is ASCII");
        if forged != token {
            assert_ne!(ask(&mut world, &forged), "allowed", "{at}");
        }
    }
    let forged = Token::new(&Key::ed25519(2).named("k1")).mint();
    let before = world.checks();
    for _ in 0..3 {
        assert_eq!(ask(&mut world, &forged), "signature_invalid");
    }
    assert_eq!(world.checks(), before + 3);
}

#[test]
fn a_remembered_token_expires_on_time() {
    let mut world = World::new(&config(json!({})), 1);
    let token = Token::new(&key()).expires_in(10).mint();
    assert_eq!(ask(&mut world, &token), "allowed");
    world.step_clock(69);
    assert_eq!(ask(&mut world, &token), "allowed");
    world.step_clock(1);
    assert_eq!(ask(&mut world, &token), "token_expired");
    assert_eq!(world.checks(), 1);
}

#[test]
fn a_remembered_token_is_judged_by_the_audiences_and_scopes_of_each_rule() {
    let rules = json!({"rules": [
        {"match": {"prefix": "/other"}, "requires": {"provider_and_audiences": {"provider_name": "main", "audiences": ["x"]}}},
        {"match": {"prefix": "/scoped"}, "requires": {"provider_name": "main"},
         "authorize": {"scopes": {"any_of": ["read"]}}},
    ]});
    let mut world = World::new(&config(rules), 1);
    let token = Token::new(&key()).mint();
    for (path, code) in [("/", "allowed"), ("/other", "audience_not_allowed"), ("/scoped", "scope_insufficient")] {
        assert_eq!(world.ask(0, &Request::get(path).bearer(&token)).code(), code, "{path}");
    }
    assert_eq!(world.checks(), 1);
}

#[test]
fn a_token_verified_for_one_provider_is_not_verified_for_another() {
    let providers = json!({"providers": {
        "first": local(&[&key()], json!({"from_headers": [{"name": "x-first"}]})),
        "second": local(&[&Key::ed25519(2).named("k1")], json!({"from_headers": [{"name": "x-second"}]})),
    }});
    let mut world = World::new(&providers, 1);
    let token = Token::new(&key()).mint();
    assert_eq!(world.ask(0, &Request::get("/").header("x-first", &token)).code(), "allowed");
    assert_eq!(world.ask(0, &Request::get("/").header("x-second", &token)).code(), "signature_invalid");
}

/// Two providers that look at one token, by keys without names: each tries its own.
fn two(first: Value, second: Value) -> Value {
    json!({"providers": {"first": first, "second": second}})
}

#[test]
fn of_two_providers_the_one_that_refuses_a_good_token_does_not_check_it_with_each_request() {
    let (own, other) = (Key::ed25519(1), Key::ed25519(2));
    let of = |key: &Key| local(&[key], json!({}));
    for (config, checks) in [(two(of(&own), of(&other)), 2), (two(of(&other), of(&own)), 3)] {
        let mut world = World::new(&config, 1);
        let token = Token::new(&own).mint();
        for _ in 0..10 {
            assert_eq!(ask(&mut world, &token), "allowed");
        }
        assert_eq!(world.checks(), checks);
    }
}

#[test]
fn a_token_that_every_provider_refuses_leaves_no_trace() {
    let of = |seed| local(&[&Key::ed25519(seed)], json!({}));
    let mut world = World::new(&two(of(1), of(2)), 1);
    let forged = Token::new(&Key::ed25519(3)).mint();
    for round in 1..=5 {
        assert_eq!(ask(&mut world, &forged), "signature_invalid");
        assert_eq!(world.checks(), 2 * round);
    }
}

#[test]
fn a_refusal_is_over_with_the_keys_that_it_was_of() {
    let key = Key::ed25519(1);
    let mut world = World::new(&two(remote(json!({})), local(&[&key], json!({}))), 1);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(2)]));
    world.seconds_pass(1);
    let token = Token::new(&key).expires_in(3000).mint();
    let allowed =
        |world: &World| ["first", "second"].map(|name| world.count(&format!("jwt_gate_provider_allowed_{name}")));
    for _ in 0..4 {
        assert_eq!(ask(&mut world, &token), "allowed");
    }
    assert_eq!(allowed(&world), [0, 4]);
    world.issuer(JWKS, Reply::keys(&[&key]));
    world.seconds_pass(600);
    assert_eq!(ask(&mut world, &token), "allowed");
    assert_eq!(allowed(&world), [1, 4], "the first that it is good for");
    // And the other way round: what verified does not outlive its key.
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(2)]));
    world.seconds_pass(600);
    assert_eq!(ask(&mut world, &token), "allowed");
    assert_eq!(allowed(&world), [1, 5]);
}

#[test]
fn a_cache_for_one_token_remembers_one() {
    let mut world = World::new(&config(json!({"token_cache": {"max_entries": 1}})), 1);
    let tokens = [0, 1].map(|id: u32| Token::new(&key()).claim("jti", id.to_string()).mint());
    for _ in 0..5 {
        assert_eq!(ask(&mut world, &tokens[0]), "allowed");
    }
    assert_eq!(world.checks(), 1);
    for token in tokens.iter().cycle().take(10) {
        assert_eq!(ask(&mut world, token), "allowed");
    }
    assert!(world.checks() >= 6, "{}", world.checks());
}

#[test]
fn a_remembered_token_is_revoked_by_the_next_list() {
    let config = json!({"providers": {"main": local(&[&key()], revoking(json!({})))}});
    let mut world = World::new(&config, 1);
    world.issuer(REVOKED, Reply::revoked(json!([])));
    world.seconds_pass(1);
    let token = Token::new(&key()).claim("jti", "t1").mint();
    assert_eq!(ask(&mut world, &token), "allowed");
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])));
    world.seconds_pass(11);
    assert_eq!(ask(&mut world, &token), "token_revoked");
    assert_eq!(world.checks(), 1);
}

#[test]
fn a_key_that_leaves_the_set_takes_its_tokens_with_it_and_those_of_other_keys_stay() {
    let (old, new) = (Key::ed25519(1).named("old"), Key::ed25519(2).named("new"));
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    world.issuer(JWKS, Reply::keys(&[&old, &new]));
    world.seconds_pass(1);
    let (by_old, by_new) = (Token::new(&old).expires_in(3000).mint(), Token::new(&new).expires_in(3000).mint());
    assert_eq!((ask(&mut world, &by_old), ask(&mut world, &by_new)), ("allowed", "allowed"));

    world.issuer(JWKS, Reply::keys(&[&new]));
    world.seconds_pass(600);
    assert_eq!(ask(&mut world, &by_new), "allowed");
    assert_eq!(world.checks(), 2, "the set changed, the key did not");
    assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&by_old)).code(), "key_unknown");

    // Another key under the name of the old one: the name is not what was trusted.
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(3).named("old"), &new]));
    world.seconds_pass(600);
    assert_eq!(ask(&mut world, &by_old), "signature_invalid");
}

#[test]
fn without_keys_a_remembered_token_does_not_pass() {
    let config = json!({"providers": {"main": remote(json!({"remote_jwks": {
        "http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "1s"}, "max_stale": "3600s",
    }}))}});
    let mut world = World::new(&config, 1);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(1);
    let token = Token::new(&key()).expires_in(30_000).mint();
    assert_eq!(ask(&mut world, &token), "allowed");
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(3500);
    assert_eq!(ask(&mut world, &token), "allowed");
    world.seconds_pass(200);
    assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&token)).code(), "keys_unavailable");
}

#[test]
fn a_flood_of_tokens_that_come_once_does_not_push_out_those_that_come_again() {
    let cache = json!({"token_cache": {"max_entries": 100}});
    // Another provider that looks at the same tokens makes none of them come again.
    let others = json!({"providers": {"other": local(&[&Key::ed25519(2).named("k2")], json!({}))}});
    for config in [config(cache.clone()), merged(config(cache), others)] {
        let mut world = World::new(&config, 1);
        let regulars: Vec<String> =
            (0..20).map(|id| Token::new(&key()).claim("jti", format!("r{id}")).mint()).collect();
        for _ in 0..3 {
            for token in &regulars {
                assert_eq!(ask(&mut world, token), "allowed");
            }
        }
        assert_eq!(world.checks(), 20);
        let (mut once, mut again) = (0, 0);
        for id in 0..2000 {
            let before = world.checks();
            ask(&mut world, &Token::new(&key()).claim("jti", format!("once {id}")).mint());
            once += world.checks() - before;
            let before = world.checks();
            assert_eq!(ask(&mut world, &regulars[id % 20]), "allowed");
            again += world.checks() - before;
        }
        assert_eq!(once, 2000);
        assert!(again <= 40, "{again} of 2000 good repeated tokens were checked again");
        // Nor does one that is ten times as long as the cache, between any two of theirs.
        again = 0;
        for round in 0..5 {
            for id in 0..1000 {
                ask(&mut world, &Token::new(&key()).claim("jti", format!("once {round} {id}")).mint());
            }
            let before = world.checks();
            for token in &regulars {
                assert_eq!(ask(&mut world, token), "allowed");
            }
            again += world.checks() - before;
        }
        assert!(again <= 10, "{again} of 100 good repeated tokens were checked again");
    }
}

/// How many of those that come again are checked again, once each of them has come three times, while tokens come that `others` makes
/// by their numbers, `each` time between any two of them.
fn checked_again(world: &mut World, others: impl Fn(usize) -> Token, each: usize) -> u64 {
    let regulars: Vec<String> = (0..20).map(|id| Token::new(&key()).claim("jti", format!("r{id}")).mint()).collect();
    for _ in 0..3 {
        for token in &regulars {
            assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(token)).code(), "allowed");
        }
    }
    let mut again = 0;
    for round in 0..600 {
        let other = others(round).mint();
        for _ in 0..each {
            world.ask_patiently(0, &Request::get("/").bearer(&other));
        }
        let before = world.checks();
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&regulars[round % 20])).code(), "allowed");
        again += world.checks() - before;
    }
    again
}

#[test]
fn tokens_of_the_same_issuer_that_are_meant_for_others_push_nobody_out_however_often_they_come() {
    let cache = json!({"token_cache": {"max_entries": 100}});
    let main = local(&[&key()], json!({"subjects": {"prefix": "a"}}));
    let mut world = World::new(&merged(json!({"providers": {"main": main}}), cache), 1);
    let foreign = |number: usize| {
        let token = Token::new(&key()).claim("jti", format!("foreign {number}"));
        match number % 3 {
            0 => token.claim("aud", "others"),
            1 => token.claim("iss", "https://other.example"),
            _ => token.claim("sub", "mallory"),
        }
    };
    assert_eq!(checked_again(&mut world, foreign, 5), 0);
    // What is refused for its time alone costs one check, however often it comes.
    let expired = Token::new(&key()).expires_in(-3600).mint();
    let before = world.checks();
    for _ in 0..5 {
        assert_eq!(ask(&mut world, &expired), "token_expired");
    }
    assert_eq!(world.checks(), before + 1);
}

#[test]
fn a_token_that_is_meant_for_one_provider_alone_is_remembered_for_all_that_look_at_it() {
    let other = local(&[&key()], json!({"audiences": ["others"]}));
    for (name, first) in [("a", "main"), ("z", "main")] {
        let mut world = World::new(&json!({"providers": {name: other, first: local(&[&key()], json!({}))}}), 1);
        let token = Token::new(&key()).mint();
        for _ in 0..10 {
            assert_eq!(ask(&mut world, &token), "allowed");
        }
        assert!(world.checks() <= 3, "{name}: {}", world.checks());
    }
}

#[test]
fn a_token_does_not_come_again_by_waiting_nor_by_a_rule_that_asks_its_provider_twice() {
    let cache = json!({"token_cache": {"max_entries": 100}});
    let service =
        json!({"http_uri": {"uri": "http://authz.example/", "cluster": "authz", "timeout": "1s"}, "protocol": "http"});
    let waits = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"service": service},
    });
    let of = |audience: &str| json!({"provider_and_audiences": {"provider_name": "main", "audiences": [audience]}});
    let twice = json!({
        "match": {"prefix": "/"},
        "requires": {"requires_any": {"requirements": [of(AUDIENCE), of(AUDIENCE)]}},
    });
    for rule in [waits, twice] {
        let mut world = World::new(&merged(config(cache.clone()), json!({ "rules": [rule] })), 1);
        world.issuer("http://authz.example/", Reply::ok(""));
        let mut ask = |id: String| {
            let token = Token::new(&key()).claim("jti", id).expires_in(3600).mint();
            let before = world.checks();
            assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&token)).code(), "allowed");
            world.checks() - before
        };
        for id in 0..60 {
            ask(format!("r{}", id % 20));
        }
        let mut again = 0;
        for round in 0..5 {
            for id in 0..1000 {
                ask(format!("once {round} {id}"));
            }
            again += (0..20).map(|id| ask(format!("r{id}"))).sum::<u64>();
        }
        assert!(again <= 10, "{again} of 100 good repeated tokens were checked again: {rule}");
    }
}

#[test]
fn tokens_of_one_request_come_once_however_often_its_rule_asks_for_them() {
    let of = |audience: &str| json!({"provider_and_audiences": {"provider_name": "main", "audiences": [audience]}});
    let headers = ["a", "b", "c", "d"].map(|name| json!({"name": name}));
    let config = json!({
        "providers": {"main": local(&[&key()], json!({"from_headers": headers}))},
        "rules": [{
            "match": {"prefix": "/"},
            "requires": {"requires_any": {"requirements": [of(AUDIENCE), of(AUDIENCE)]}},
        }],
        // New ones have a small part of it, in which those of one request have places.
        "token_cache": {"max_entries": 400},
    });
    let mut world = World::new(&config, 1);
    let token = |id: String| Token::new(&key()).claim("jti", id).expires_in(3600).mint();
    let regulars = |world: &mut World| {
        let before = world.checks();
        for id in 0..20 {
            let request = Request::get("/").header("a", token(format!("r{id}")));
            assert_eq!(world.ask(0, &request).code(), "allowed");
        }
        world.checks() - before
    };
    for _ in 0..3 {
        regulars(&mut world);
    }
    let mut again = 0;
    for round in 0..5 {
        for id in 0..400 {
            let several = ["a", "b", "c", "d"].into_iter().fold(Request::get("/"), |request, name| {
                request.header(name, token(format!("once {round} {id} {name}")))
            });
            assert_eq!(world.ask(0, &several).code(), "multiple_tokens");
        }
        again += regulars(&mut world);
    }
    assert!(again <= 10, "{again} of 100 good repeated tokens were checked again");
}

#[test]
fn a_token_that_begins_to_come_again_amid_a_flood_is_remembered() {
    let mut world = World::new(&config(json!({"token_cache": {"max_entries": 200}})), 1);
    let once = |number: usize| Token::new(&key()).claim("jti", format!("once {number}")).mint();
    let mut numbers = 0..;
    let mut flood = |world: &mut World, count: usize| {
        for number in numbers.by_ref().take(count) {
            assert_eq!(ask(world, &once(number)), "allowed");
        }
    };
    flood(&mut world, 1000);
    let late = Token::new(&key()).claim("jti", "late").mint();
    for _ in 0..3 {
        ask(&mut world, &late);
        // More than half as many as are remembered.
        flood(&mut world, 115);
    }
    for _ in 0..5 {
        let before = world.checks();
        assert_eq!(ask(&mut world, &late), "allowed");
        assert_eq!(world.checks(), before);
        flood(&mut world, 115);
    }
}

#[test]
fn as_many_tokens_of_1_kb_are_remembered_as_the_limit_says_and_a_quarter_at_least_by_envoys_semantics() {
    let token = |id| Token::new(&key()).claim("jti", format!("t{id}")).claim("filler", "x".repeat(547)).mint();
    assert_eq!(token(10).len(), 1023);
    for (semantics, count) in [("jwt_gate", 95), ("jwt_authn", 25)] {
        let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}});
        let more = json!({"token_cache": {"max_entries": 100}, "semantics": semantics, "rules": [rule]});
        let mut world = World::new(&config(more), 1);
        for _ in 0..3 {
            for id in 100..100 + count {
                assert_eq!(ask(&mut world, &token(id)), "allowed");
            }
        }
        assert_eq!(world.checks(), count, "{semantics}");
    }
}

#[test]
fn no_more_tokens_are_remembered_than_the_limit_says_and_fewer_of_large_ones() {
    // What is shown of a token is remembered with it, and counts.
    let shown = json!({"payload_in_metadata": "payload"});
    for (more, filler, count, most) in [
        (json!({}), 0, 1000, 100),
        (json!({}), 2500, 200, 100 * CACHED_TOKEN_BYTES as u64 / 2500),
        (shown, 1100, 200, 100 * CACHED_TOKEN_BYTES as u64 / 2200),
    ] {
        let more = json!({"token_cache": {"max_entries": 100}, "providers": {"main": more}});
        let mut world = World::new(&config(more), 1);
        let token = |id| Token::new(&key()).claim("jti", format!("t{id}")).claim("filler", "x".repeat(filler)).mint();
        for id in 0..count {
            assert_eq!(ask(&mut world, &token(id)), "allowed");
        }
        assert_eq!(world.checks(), count);
        // Each once more: what is not checked again was remembered all the time.
        for id in 0..count {
            assert_eq!(ask(&mut world, &token(id)), "allowed");
        }
        let remembered = 2 * count - world.checks();
        assert!((most / 2..=most).contains(&remembered), "{remembered} of {count} with {filler} bytes, not {most}");
    }
}

#[test]
fn no_more_is_remembered_where_the_same_tokens_come_to_other_providers() {
    const NAMES: [&str; 3] = ["first", "second", "third"];
    let providers: Map<_, _> = NAMES.iter().map(|name| ((*name).to_owned(), local(&[&key()], json!({})))).collect();
    let rule = |name: &&str| json!({"match": {"prefix": format!("/{name}")}, "requires": {"provider_name": name}});
    let rules: Vec<Value> = NAMES.iter().map(rule).collect();
    let config = json!({"token_cache": {"max_entries": 100}, "providers": providers, "rules": rules});
    let mut world = World::new(&config, 1);
    // There is room for all of them once, and for no token more than that.
    let token = |id| Token::new(&key()).claim("jti", format!("t{id}")).claim("filler", "x".repeat(2500)).mint();
    let tokens: Vec<String> = (0..20).map(token).collect();
    let mut checked = || {
        let before = world.checks();
        for (name, token) in NAMES.iter().flat_map(|name| tokens.iter().map(move |token| (name, token))) {
            assert_eq!(world.ask(0, &Request::get(&format!("/{name}")).bearer(token)).code(), "allowed");
        }
        world.checks() - before
    };
    assert_eq!(checked(), 60);
    let remembered = 60 - checked();
    let most = 100 * CACHED_TOKEN_BYTES as u64 / 2500;
    assert!(remembered <= most, "{remembered}, not {most}");
}

#[test]
fn the_cache_can_be_switched_off_and_does_not_take_long_tokens() {
    for (cache, filler, checks) in [
        (json!({}), 0, 1),
        (json!({"token_cache": {"max_entries": 0}}), 0, 5),
        (json!({"token_cache": {"max_token_size": 100}}), 0, 5),
        (json!({}), 4000, 5),
        (json!({"token_cache": {"max_token_size": 8192}}), 4000, 1),
        (json!({"providers": {"main": {"jwt_cache_config": {"jwt_max_token_size": 8192}}}}), 4000, 1),
        (json!({"providers": {"main": {"jwt_cache_config": {}}}}), 4000, 5),
        // Off is off, whatever a provider asks for.
        (
            json!({
                "token_cache": {"max_entries": 0},
                "providers": {"main": {"jwt_cache_config": {"jwt_cache_size": 100}}},
            }),
            0,
            5,
        ),
    ] {
        let mut world = World::new(&config(cache.clone()), 1);
        let token = Token::new(&key()).claim("filler", "x".repeat(filler)).mint();
        for _ in 0..5 {
            assert_eq!(ask(&mut world, &token), "allowed");
        }
        assert_eq!(world.checks(), checks, "{cache} {filler}");
    }
}

#[test]
fn a_provider_can_ask_for_more_tokens_to_be_remembered() {
    let tokens: Vec<String> =
        (0..400).map(|number: u32| Token::new(&key()).claim("jti", number.to_string()).mint()).collect();
    let mut checked = [0, 400].map(|size| {
        let config = config(json!({
            "token_cache": {"max_entries": 10},
            "providers": {"main": {"jwt_cache_config": {"jwt_cache_size": size}}},
        }));
        let mut world = World::new(&config, 1);
        for token in tokens.iter().chain(&tokens) {
            assert_eq!(ask(&mut world, token), "allowed");
        }
        world.checks()
    });
    checked[0] -= 400;
    checked[1] -= 400;
    assert!(checked[0] > 380 && checked[1] < 200, "checked again with 10 and with 400: {checked:?}");
}

#[test]
fn ten_thousand_tokens_of_one_kilobyte_are_remembered_by_default() {
    let mut world = World::new(&config(json!({})), 1);
    let mint = |number: u32| {
        let filler = "x".repeat(540);
        Token::new(&key()).claim("jti", number.to_string()).claim("filler", filler).mint()
    };
    let tokens: Vec<String> = (0..10_000).map(mint).collect();
    assert!((950..=1024).contains(&tokens[0].len()), "{}", tokens[0].len());
    for token in tokens.iter().chain(&tokens) {
        assert_eq!(ask(&mut world, token), "allowed");
    }
    let again = world.checks() - 10_000;
    assert!(again < 500, "{again} of 10,000 were checked again");
}
