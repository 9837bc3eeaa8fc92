//! What can be seen from outside: counters by provider, histograms, and what the access log reads.

use std::time::Duration;

use jwt_gate::config::Config;
use jwt_gate::limits::MAX_LOGGED_CHARACTERS;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER};
use crate::world::{local, merged, remote, revoking, Reply, Request, Verdict, World, JWKS, REVOKED};

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

fn token() -> Token {
    Token::new(&key())
}

fn get(token: &Token) -> Request {
    Request::get("/").bearer(&token.mint())
}

/// What was counted by provider.
fn by_provider(world: &World) -> Vec<(&str, u64)> {
    let counts = world.counts.iter();
    counts.filter_map(|(name, &count)| Some((name.strip_prefix("jwt_gate_provider_")?, count))).collect()
}

/// Two issuers; each has a key and an audience of its own, and each takes its tokens from another header if `apart`.
fn two(apart: bool, more: Value) -> Value {
    let of = |issuer: &str, key: &Key, header: &str| {
        let places = if apart { json!([{"name": header}]) } else { Value::Null };
        local(&[key], json!({"issuer": issuer, "from_headers": places}))
    };
    let providers =
        json!({"a-1": of(ISSUER, &key(), "x-a"), "b 2": of("https://b", &Key::ed25519(2).named("k2"), "x-b")});
    merged(json!({ "providers": providers }), more)
}

fn of_b() -> Token {
    Token::new(&Key::ed25519(2).named("k2")).claim("iss", "https://b")
}

#[test]
fn a_provider_counts_who_passes_with_its_tokens_and_what_it_refuses() {
    for (request, counted) in [
        (get(&token()), vec![("allowed_a_1", 1)]),
        (get(&of_b()), vec![("allowed_b_2", 1)]),
        (get(&token().expires_in(-61)), vec![("denied_a_1.token_expired", 1)]),
        (get(&of_b().claim("aud", "other")), vec![("denied_b_2.audience_not_allowed", 1)]),
        // What all of them say is nobody's.
        (Request::get("/"), vec![]),
        (get(&token().kid("unknown")), vec![]),
        (Request::get("/").bearer("a.b"), vec![]),
    ] {
        let mut world = World::new(&two(false, json!({})), 1);
        world.ask(0, &request);
        assert_eq!(by_provider(&world), counted, "{request:?}");
    }
}

#[test]
fn one_that_is_asked_alone_counts_all_that_is_refused_for_its_sake() {
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "b 2"},
        "authorize": {"scopes": {"all_of": ["read"]}},
    });
    let rules = json!({"rules": [{"match": {"path": "/open"}, "public": true}, rule]});
    for (request, counted) in [
        (Request::get("/"), vec![("denied_b_2.token_missing", 1)]),
        (Request::get("/").bearer("a.b"), vec![("denied_b_2.token_malformed", 1)]),
        (Request::get("/").bearer("a").bearer("b"), vec![("denied_b_2.multiple_tokens", 1)]),
        (Request::get("/").bearer("a.b.c,d.e.f"), vec![("denied_b_2.multiple_tokens", 1)]),
        (get(&token()), vec![("denied_b_2.key_unknown", 1)]),
        (get(&of_b()), vec![("denied_b_2.scope_insufficient", 1)]),
        (get(&of_b().claim("scope", "read")), vec![("allowed_b_2", 1)]),
        (Request::get("/open"), vec![]),
        (Request::get("/x/../open"), vec![]),
    ] {
        let mut world = World::new(&two(false, rules.clone()), 1);
        world.ask(0, &request);
        assert_eq!(by_provider(&world), counted, "{request:?}");
    }
}

#[test]
fn of_several_the_one_counts_whose_failure_is_told() {
    let both = json!({"requires_all": {"requirements": [{"provider_name": "a-1"}, {"provider_name": "b 2"}]}});
    let config = two(true, json!({"rules": [{"match": {"prefix": "/"}, "requires": both}]}));
    let request = |a: &Token, b: &Token| Request::get("/").header("x-a", a.mint()).header("x-b", b.mint());
    for (request, counted) in [
        (request(&token(), &of_b()), vec![("allowed_a_1", 1)]),
        (request(&token(), &of_b().expires_in(-61)), vec![("denied_b_2.token_expired", 1)]),
        (request(&token().claim("aud", "x"), &of_b().expires_in(-61)), vec![("denied_b_2.token_expired", 1)]),
        (request(&token().expires_in(-61), &of_b().claim("aud", "x")), vec![("denied_a_1.token_expired", 1)]),
        (request(&token().expires_in(-61), &of_b().expires_in(-61)), vec![]),
    ] {
        let mut world = World::new(&config, 1);
        world.ask(0, &request);
        assert_eq!(by_provider(&world), counted, "{request:?}");
    }
}

#[test]
fn providers_count_under_envoys_semantics_too() {
    let of = |issuer: &str, key: &Key, header: &str| {
        let places = json!([{"name": header}]);
        json!({"issuer": issuer, "local_jwks": {"inline_string": key_set([key.jwk()])}, "from_headers": places})
    };
    let any = json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let all = json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let config = json!({
        "semantics": "jwt_authn",
        "providers": {"a": of(ISSUER, &key(), "x-a"), "b": of("https://b", &Key::ed25519(2).named("k2"), "x-b")},
        "rules": [
            {"match": {"path": "/any"}, "requires": any},
            {"match": {"path": "/all"}, "requires": all},
            {"match": {"path": "/maybe"}, "requires": {"allow_missing": {}}},
        ],
    });
    let request = |path: &str, a: Option<&Token>, b: Option<&Token>| {
        let with = |request: Request, name: &str, token: Option<&Token>| match token {
            Some(token) => request.header(name, token.mint()),
            None => request,
        };
        with(with(Request::get(path), "x-a", a), "x-b", b)
    };
    let (a, b, late) = (token(), of_b(), of_b().expires_in(-61));
    for (request, counted) in [
        (request("/any", Some(&a), None), vec![("allowed_a", 1)]),
        (request("/any", None, Some(&b)), vec![("allowed_b", 1)]),
        (request("/any", None, Some(&late)), vec![("denied_b.token_expired", 1)]),
        (request("/any", None, None), vec![]),
        (request("/all", Some(&a), Some(&b)), vec![("allowed_a", 1)]),
        (request("/all", Some(&a), None), vec![("denied_b.token_missing", 1)]),
        (request("/maybe", Some(&a), None), vec![("allowed_a", 1)]),
        (request("/maybe", None, Some(&late)), vec![("denied_b.token_expired", 1)]),
        (request("/maybe", None, None), vec![]),
        (request("/open", None, None), vec![]),
    ] {
        let mut world = World::new(&config, 1);
        world.ask(0, &request);
        assert_eq!(by_provider(&world), counted, "{request:?}");
    }
}

#[test]
fn each_fetch_is_recorded_with_the_time_from_its_call_to_its_answer() {
    let config = json!({"providers": {"main": merged(remote(json!({})), revoking(json!({"refresh_interval": "1h"})))}});
    let mut world = World::new(&config, 4);
    world.issuer(JWKS, Reply::keys(&[&key()]).after(Duration::from_millis(40)));
    world.issuer(REVOKED, Reply::revoked(json!([])).after(Duration::from_millis(250)));
    world.seconds_pass(2);
    assert_eq!(world.recorded.get("jwt_gate_jwks_fetch_milliseconds"), Some(&vec![40]));
    assert_eq!(world.recorded.get("jwt_gate_revocation_fetch_milliseconds"), Some(&vec![250]));

    // One that is given up has taken as long as it may; one that never ends is not recorded.
    for (reply, recorded) in [(Reply::hangs(), Some(vec![2000])), (Reply::never(), None)] {
        let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
        world.issuer(JWKS, reply);
        world.advance(Duration::from_millis(2500));
        assert_eq!(world.recorded.get("jwt_gate_jwks_fetch_milliseconds"), recorded.as_ref());
    }
    let mut world =
        World::new(&json!({"semantics": "jwt_authn", "providers": {"main": merged(remote(json!({})), json!({}))}}), 1);
    world.issuer(JWKS, Reply::keys(&[&key()]).after(Duration::from_millis(7)));
    world.seconds_pass(1);
    assert_eq!(world.recorded.get("jwt_gate_jwks_fetch_milliseconds"), Some(&vec![7]));
}

const ALL: [&str; 5] = ["outcome", "code", "provider", "sub", "kid"];

/// What the access log reads of a request.
fn published(world: &mut World, request: &Request) -> Vec<(&'static str, String)> {
    let (published, caller) = match world.ask_patiently(0, request) {
        Verdict::Allowed(edits) => (edits.published, edits.caller),
        Verdict::Denied(denial, _) => (denial.published, denial.caller),
        Verdict::Replied(_) => panic!("an answer of the gate's own"),
    };
    let field = |name: &'static str| name.strip_prefix("jwt_gate.").expect("the beginning of every name");
    let state = published.iter().flat_map(|published| published.state(&caller));
    state.map(|(name, value)| (field(name), value.to_string())).collect()
}

fn shown<'a>(published: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    published.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn the_access_log_reads_how_a_request_ended_and_whose_it_was() {
    let ask = json!({"requires": {"provider_name": "main"}});
    let rule = |path: &str, more: &Value| merged(json!({"match": {"path": path}}), more.clone());
    let config = json!({
        "providers": {"main": local(&[&key()], json!({}))},
        "access_log": ALL,
        "bypass_cors_preflight": true,
        "rules": [
            rule("/open", &json!({"public": true})),
            rule("/maybe", &json!({"requires": {"allow_missing": {}}})),
            rule("/trial", &merged(ask.clone(), json!({"enforce": false}))),
            rule("/scope", &merged(ask.clone(), json!({"authorize": {"scopes": {"any_of": ["read"]}}}))),
            rule("/", &ask),
        ],
    });
    let to = |path: &str, token: &Token| Request::get(path).bearer(&token.mint());
    let forged = Token::new(&Key::ed25519(2).named("k1"));
    let preflight = Request::new("OPTIONS", "/")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "PUT");
    let known = |code: &'static str, outcome: &'static str| {
        vec![("outcome", outcome), ("code", code), ("provider", "main"), ("sub", "alice"), ("kid", "k1")]
    };
    for (request, expected) in [
        (to("/", &token()), vec![("outcome", "allowed"), ("provider", "main"), ("sub", "alice"), ("kid", "k1")]),
        (Request::get("/open"), vec![("outcome", "public")]),
        (Request::get("/maybe"), vec![("outcome", "anonymous")]),
        (preflight, vec![("outcome", "preflight")]),
        (Request::get("/"), vec![("outcome", "denied"), ("code", "token_missing"), ("provider", "main")]),
        (Request::get("/x/../open"), vec![("outcome", "denied"), ("code", "path_ambiguous")]),
        // Whose signature holds is known, whatever else is wrong; nobody is whom a forger names.
        (to("/", &token().expires_in(-61)), known("token_expired", "denied")),
        (to("/", &token().claim("aud", "other")), known("audience_not_allowed", "denied")),
        (to("/scope", &token()), known("scope_insufficient", "denied")),
        (to("/trial", &token().expires_in(-61)), known("token_expired", "unenforced")),
        (to("/", &forged), vec![("outcome", "denied"), ("code", "signature_invalid"), ("provider", "main")]),
        (to("/trial", &forged), vec![("outcome", "unenforced"), ("code", "signature_invalid"), ("provider", "main")]),
        (to("/", &token().without("sub")), vec![("outcome", "allowed"), ("provider", "main"), ("kid", "k1")]),
    ] {
        let mut world = World::new(&config, 1);
        assert_eq!(shown(&published(&mut world, &request)), expected, "{request:?}");
        // A token that is remembered is known as well.
        assert_eq!(shown(&published(&mut world, &request)), expected, "{request:?}");
    }
}

#[test]
fn of_two_tokens_that_fail_the_access_log_names_the_one_that_is_told_of() {
    let places = json!([{"name": "x-a"}, {"name": "x-b"}]);
    let provider = local(&[&key()], json!({"from_headers": places}));
    let mut world = World::new(&json!({"providers": {"main": provider}, "access_log": ["code", "sub"]}), 1);
    let late = token().claim("sub", "late").expires_in(-61).mint();
    let stray = token().claim("sub", "stray").claim("aud", "other").mint();
    let good = token().mint();
    for (a, b, expected) in [
        (&late, &stray, [("code", "token_expired"), ("sub", "late")]),
        (&stray, &late, [("code", "token_expired"), ("sub", "late")]),
        (&late, &good, [("code", "token_expired"), ("sub", "late")]),
        (&good, &stray, [("code", "audience_not_allowed"), ("sub", "stray")]),
    ] {
        let request = Request::get("/").header("x-a", a).header("x-b", b);
        assert_eq!(shown(&published(&mut world, &request)), expected);
    }
}

#[test]
fn the_access_log_reads_under_envoys_semantics_what_was_verified() {
    let config = json!({
        "semantics": "jwt_authn",
        "providers": {"main": {"issuer": ISSUER, "local_jwks": {"inline_string": key_set([key().jwk()])}}},
        "access_log": ALL,
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
    });
    let mut world = World::new(&config, 1);
    let allowed = [("outcome", "allowed"), ("provider", "main"), ("sub", "alice"), ("kid", "k1")];
    assert_eq!(shown(&published(&mut world, &get(&token()))), allowed);
    // It says that a token has expired before it knows who wrote it.
    let late = [("outcome", "denied"), ("code", "token_expired"), ("provider", "main")];
    assert_eq!(shown(&published(&mut world, &get(&token().expires_in(-61)))), late);
}

#[test]
fn the_access_log_reads_what_was_asked_for_and_nothing_else() {
    let config = |fields: Value| json!({"providers": {"main": local(&[&key()], json!({}))}, "access_log": fields});
    let all = [("outcome", "denied"), ("code", "token_expired"), ("provider", "main"), ("sub", "alice"), ("kid", "k1")];
    let request = get(&token().expires_in(-61));
    for expected in all {
        let mut world = World::new(&config(json!([expected.0])), 1);
        assert_eq!(shown(&published(&mut world, &request)), [expected]);
    }
    for none in [Value::Null, json!([])] {
        assert_eq!(published(&mut World::new(&config(none), 1), &request), []);
    }
    let error = |fields: Value| Config::parse(config(fields).to_string().as_bytes()).expect_err("refused").to_string();
    assert_eq!(error(json!("code")), "access_log: expected an array, found a string");
    assert_eq!(error(json!(["code", 1])), "access_log[1]: expected a string, found a number");
    assert_eq!(error(json!(["outcom"])), r#"access_log[0]: unknown field; did you mean "outcome"?"#);
    let parsed = Config::parse(config(json!(["kid"])).to_string().as_bytes()).unwrap();
    assert_eq!(parsed.semantics.writes_filter_state(), Some("access_log"));
}

#[test]
fn no_claim_forges_a_line_or_a_field_of_the_access_log() {
    let config = json!({"providers": {"main": local(&[&key()], json!({}))}, "access_log": ["sub"]});
    let mut world = World::new(&config, 1);
    for (sub, expected) in [
        ("ada\" 200 allowed\nroot", "ada%22%20200%20allowed%0Aroot".to_owned()),
        ("Zoë", "Zo%C3%AB".to_owned()),
        (&"x".repeat(1000), "x".repeat(MAX_LOGGED_CHARACTERS)),
    ] {
        let request = get(&token().claim("sub", sub));
        assert_eq!(shown(&published(&mut world, &request)), [("sub", expected.as_str())]);
    }
}

#[test]
fn the_fetches_of_each_provider_are_counted() {
    let other = "https://other.example/jwks";
    let mut main = remote(json!({}));
    main["remote_jwks"]["cache_duration"] = json!("60s");
    let mut second = main.clone();
    second["remote_jwks"]["http_uri"]["uri"] = json!(other);
    let mut world = World::new(&json!({"providers": {"one": main, "an-other": second}}), 2);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1).named("a")]));
    world.issuer(other, Reply::status(500));
    world.seconds_pass(100);
    assert_eq!(world.count("jwt_gate_provider_jwks_fetch_ok_one"), 2);
    assert_eq!(world.count("jwt_gate_provider_jwks_fetch_failed_one"), 0);
    assert_eq!(world.count("jwt_gate_provider_jwks_fetch_ok_an_other"), 0);
    let failed = world.count("jwt_gate_provider_jwks_fetch_failed_an_other");
    assert!(failed > 4 && failed == world.count("jwt_gate_jwks_fetch_failed"), "{failed}");
}

#[test]
fn a_fetch_for_two_providers_is_counted_once_in_all_and_for_each_of_them() {
    let revoking = || merged(remote(json!({})), revoking(json!({"refresh_interval": "60s"})));
    let of_another_audience = merged(revoking(), json!({"audiences": ["other"]}));
    let mut world = World::new(&json!({"providers": {"one": revoking(), "two": of_another_audience}}), 2);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1).named("a")]));
    world.issuer(REVOKED, Reply::status(500));
    world.seconds_pass(2);
    for (what, count) in [("jwks_fetch_ok", 1), ("revocation_fetch_failed", 2)] {
        let of = |provider: &str| world.count(&format!("jwt_gate_provider_{what}_{provider}"));
        assert_eq!((of("one"), of("two"), world.count(&format!("jwt_gate_{what}"))), (count, count, count), "{what}");
    }
}
