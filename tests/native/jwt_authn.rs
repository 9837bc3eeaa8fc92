//! `semantics: jwt_authn` by the virtual clock: what the differential test cannot reach, and one test for each sentence of Envoy's.

use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER, NOW};
use crate::world::{merged, Reply, Request, World, JWKS};

fn key() -> Key {
    Key::rsa().named("k")
}

fn provider(more: Value) -> Value {
    let provider = json!({"issuer": ISSUER, "local_jwks": {"inline_string": key_set([key().jwk()])}});
    merged(provider, more)
}

fn filter(providers: Value, requires: Value) -> Value {
    json!({
        "semantics": "jwt_authn",
        "providers": providers,
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
    })
}

fn closed(more: Value) -> World {
    World::new(&filter(json!({"main": provider(more)}), json!({"provider_name": "main"})), 1)
}

fn answer(world: &mut World, request: &Request) -> (u16, String, String) {
    let verdict = world.ask_patiently(0, request);
    let denial = verdict.denial();
    let headers = denial.headers(false);
    let challenge = headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.to_string());
    (denial.status, denial.body(false).to_string(), challenge.unwrap_or_default())
}

#[test]
fn a_denial_looks_as_envoys() {
    let mut world = closed(json!({"audiences": ["api"]}));
    let get = |token: Token| Request::get("/a?b=c").bearer(&token.mint());
    let token = || Token::new(&key());
    let bare = r#"Bearer realm="https://api.example/a?b=c""#;
    let invalid = format!(r#"{bare}, error="invalid_token""#);
    for (request, status, body, challenge) in [
        (Request::get("/a?b=c"), 401, "Jwt is missing", bare),
        (get(token().expires_in(-61)), 401, "Jwt is expired", &invalid),
        (get(token().claim("nbf", NOW + 61)), 401, "Jwt not yet valid", &invalid),
        (get(token().claim("iss", "https://other")), 401, "Jwt issuer is not configured", &invalid),
        (get(token().claim("aud", "other")), 403, "Audiences in Jwt are not allowed", &invalid),
        (get(token().kid("other")), 401, "Jwks doesn't have key to match kid or alg from Jwt", &invalid),
        (get(Token::new(&Key::other_rsa().named("k"))), 401, "Jwt verification fails", &invalid),
        (
            Request::get("/a?b=c").bearer("a.b"),
            401,
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            &invalid,
        ),
        (get(token().claim("exp", "soon")), 401, "Jwt payload [exp] field is not an integer", &invalid),
    ] {
        assert_eq!(answer(&mut world, &request), (status, body.to_owned(), challenge.to_owned()), "{request:?}");
    }
    // In a gRPC request the host makes the trailer of the same sentence.
    let verdict = world.ask(0, &Request::get("/").header("content-type", "application/grpc"));
    assert_eq!(verdict.denial().body(true), "Jwt is missing");
}

#[test]
fn a_claim_of_a_forged_token_decides_what_is_said_and_never_who_passes() {
    // Each of these says in its claims that it would pass.
    let mut world = closed(json!({}));
    let good = Token::new(&key());
    for forged in [
        format!("{}AAAA", good.unsigned()),
        good.unsigned(),
        Token::new(&Key::other_rsa().named("k")).mint(),
        Token::new(&Key::hmac(key().public_pem().as_bytes())).alg("HS256").kid("k").mint(),
    ] {
        assert_eq!(world.ask(0, &Request::get("/").bearer(&forged)).status(), 401, "{forged}");
    }
    // What is wrong in the claims is said first, as Envoy does.
    let expired = Token::new(&Key::other_rsa().named("k")).expires_in(-61);
    assert_eq!(answer(&mut world, &Request::get("/").bearer(&expired.mint())).1, "Jwt is expired");
}

#[test]
fn an_empty_beginning_is_that_of_every_path_and_an_empty_path_that_of_no_path() {
    let requires = json!({"provider_name": "main"});
    for (matches, path, status) in [
        (json!({"prefix": ""}), "/", 401),
        (json!({"prefix": ""}), "/a/b?c", 401),
        (json!({"prefix": ""}), "*", 401),
        (json!({"prefix": ""}), "", 401),
        (json!({"path": ""}), "/", 200),
        (json!({"path": ""}), "?a", 401),
    ] {
        let mut config = filter(json!({"main": provider(json!({}))}), requires.clone());
        config["rules"][0]["match"] = matches.clone();
        assert_eq!(World::new(&config, 1).ask(0, &Request::get(path)).status(), status, "{matches} {path:?}");
    }
}

#[test]
fn case_sensitive_is_not_for_regular_expressions_and_templates() {
    let requires = json!({"provider_name": "main"});
    let template = json!({
        "name": "envoy.path.match.uri_template.uri_template_matcher",
        "typed_config": {"path_template": "/a/{x}"},
    });
    for (matches, path, status) in [
        (json!({"safe_regex": {"regex": "/a/b"}}), "/a/b", 401),
        (json!({"safe_regex": {"regex": "/a/b"}}), "/A/b", 200),
        (json!({"safe_regex": {"regex": "/A/b"}}), "/a/b", 200),
        (json!({"path_match_policy": template}), "/a/b", 401),
        (json!({"path_match_policy": template}), "/A/b", 200),
        (json!({"prefix": "/a"}), "/A/b", 401),
    ] {
        let mut config = filter(json!({"main": provider(json!({}))}), requires.clone());
        config["rules"][0]["match"] = merged(matches.clone(), json!({"case_sensitive": false}));
        assert_eq!(World::new(&config, 1).ask(0, &Request::get(path)).status(), status, "{matches} {path}");
    }
}

#[test]
fn a_request_without_a_path_is_under_no_regular_expression() {
    let mut config = filter(json!({"main": provider(json!({}))}), json!({"provider_name": "main"}));
    config["rules"][0]["match"] = json!({"safe_regex": {"regex": ".*"}});
    let mut world = World::new(&config, 1);
    assert_eq!(world.ask(0, &Request::get("/")).status(), 401);
    assert_eq!(world.ask(0, &Request::new("CONNECT", "").without(":path")).status(), 200);
}

#[test]
fn the_header_host_is_the_authority() {
    for (test, status) in [
        (json!({"string_match": {"exact": "api.example"}}), 401),
        (json!({"string_match": {"exact": "other.example"}}), 200),
        (json!({"present_match": false}), 200),
        (json!({}), 401),
    ] {
        let mut config = filter(json!({"main": provider(json!({}))}), json!({"provider_name": "main"}));
        config["rules"][0]["match"]["headers"] = json!([merged(test.clone(), json!({"name": "Host"}))]);
        assert_eq!(World::new(&config, 1).ask(0, &Request::get("/")).status(), status, "{test}");
    }
}

#[test]
fn the_token_is_found_at_the_end_of_a_long_query() {
    let mut world = closed(json!({"from_params": ["t"]}));
    // Each name before all that came earlier: the order in which one that inserts each in its place would take minutes.
    let names: Vec<String> = (0..200_000).rev().map(|number| format!("{number:06}")).collect();
    let target = |token: &str| format!("/?{}&t={token}", names.join("&"));
    assert_eq!(world.ask(0, &Request::get(&target("a.b.c"))).status(), 401);
    // Taken out, and what remains is written in order.
    assert_eq!(world.ask(0, &Request::get(&target(&Token::new(&key()).mint()))).status(), 200);
}

#[test]
fn what_an_earlier_requirement_took_out_a_later_one_does_not_find() {
    let providers = json!({"a": provider(json!({})), "b": provider(json!({}))});
    let both = |first: &str, second: &str| json!({"requires_all": {"requirements": [{"provider_name": first}, {"provider_name": second}]}});
    let request = Request::get("/").bearer(&Token::new(&key()).mint());
    let mut world = World::new(&filter(providers.clone(), both("a", "b")), 1);
    assert_eq!(answer(&mut world, &request).1, "Jwt is missing");

    let forwarding = merged(providers, json!({"a": {"forward": true}}));
    let mut world = World::new(&filter(forwarding, both("a", "b")), 1);
    let verdict = world.ask(0, &request);
    assert!(!request.edited(verdict.edits()).iter().any(|(name, _)| name == "authorization"));
}

#[test]
fn a_client_never_sets_what_the_filter_sets_even_where_no_token_is_asked_for() {
    let provider = provider(json!({
        "forward_payload_header": "x-payload",
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    }));
    for (requires, request) in [
        (json!({}), Request::get("/")),
        (json!({"allow_missing": {}}), Request::get("/")),
        (json!({"allow_missing_or_failed": {}}), Request::get("/").bearer("a.b.c")),
        (json!({"extract_only_without_validation": {}}), Request::get("/").bearer("a.b.c")),
    ] {
        let mut world = World::new(&filter(json!({"main": provider}), requires.clone()), 1);
        let request = request.header("X-User", "admin").header("x-payload", "e30");
        let verdict = world.ask(0, &request);
        let names: Vec<String> = request.edited(verdict.edits()).into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name == "x-user" || name == "x-payload"), "{requires}: {names:?}");
    }
}

#[test]
fn a_request_waits_for_the_first_keys_and_for_no_others() {
    let remote =
        json!({"local_jwks": null, "remote_jwks": {"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}}});
    let config = filter(json!({"main": provider(remote)}), json!({"provider_name": "main"}));
    let mut world = World::new(&config, 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    let request = Request::get("/").bearer(&Token::new(&key()).mint());
    assert_eq!(world.ask_patiently(0, &request).code(), "allowed");
    let fetches = world.fetches.len();
    let unknown = Request::get("/").bearer(&Token::new(&key()).kid("new").mint());
    assert_eq!(world.ask(0, &unknown).code(), "key_unknown");
    world.seconds_pass(60);
    assert_eq!(world.fetches.len(), fetches);

    let mut world = World::new(&config, 2);
    world.issuer(JWKS, Reply::status(500));
    assert_eq!(answer(&mut world, &request).1, "Jwks remote fetch is failed");
}

#[test]
fn a_key_that_leaves_the_set_takes_its_tokens_with_it_where_envoy_would_remember_them() {
    let remote = json!({
        "local_jwks": null,
        "remote_jwks": {"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}, "cache_duration": "10s"},
        "jwt_cache_config": {},
    });
    let mut world = World::new(&filter(json!({"main": provider(remote)}), json!({"provider_name": "main"})), 1);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    let request = Request::get("/").bearer(&Token::new(&key()).mint());
    assert_eq!(world.ask_patiently(0, &request).code(), "allowed");
    world.issuer(JWKS, Reply::keys(&[&Key::p256(1).named("other")]));
    world.seconds_pass(20);
    assert_eq!(world.ask_patiently(0, &request).code(), "key_unknown");
}

#[test]
fn what_goes_into_metadata_is_the_payload_the_header_and_the_failure() {
    let metadata = json!({
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "failed_status_in_metadata": "failure",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    });
    let mut world = closed(metadata);
    let token = Token::new(&key()).claim("scope", "read  write").claim("n", 5);
    let verdict = world.ask(0, &Request::get("/").bearer(&token.mint()));
    let state = |name: &str| -> Value {
        let is_named = |known: &str| known.strip_prefix("jwt_authn.") == Some(name);
        let (_, text) = verdict.edits().state.iter().find(|(known, _)| is_named(known)).unwrap();
        serde_json::from_str(text).unwrap()
    };
    assert_eq!(state("payload")["scope"], json!(["read", "write"]));
    assert_eq!(state("payload")["sub"], "alice");
    assert_eq!(state("header")["alg"], "RS256");
    assert!(!verdict.edits().state.iter().any(|(name, _)| name.contains("failure")));

    let denied = world.ask(0, &Request::get("/").bearer(&token.expires_in(-61).mint()));
    let failure = ("jwt_authn.failure".into(), r#"{"code":3,"message":"Jwt is expired"}"#.into());
    assert_eq!(denied.denial().state[..], [failure]);
}

#[test]
fn a_claim_without_a_word_is_no_list_in_the_metadata() {
    let metadata = json!({
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "roles"]},
    });
    let token = Token::new(&key()).claim("scope", "").claim("roles", " ");
    let verdict = closed(metadata).ask(0, &Request::get("/").bearer(&token.mint()));
    let payload: Value = serde_json::from_str(&verdict.edits().state[0].1).unwrap();
    assert_eq!((&payload["scope"], &payload["roles"]), (&json!(""), &json!(" ")));
}

#[test]
fn a_failure_is_noted_by_the_provider_that_the_token_led_to_or_by_the_only_one() {
    let noted = |world: &mut World, request: &Request| {
        let verdict = world.ask(0, request);
        let name = |name: &str| name.strip_prefix("jwt_authn.").map(str::to_owned);
        verdict.denial().state.iter().filter_map(|(whole, _)| name(whole)).collect::<Vec<_>>()
    };
    let one = || provider(json!({"failed_status_in_metadata": "one"}));
    let two = provider(json!({"failed_status_in_metadata": "two", "issuer": "https://two.example"}));
    let missing = Request::get("/");
    let expired = Request::get("/").bearer(&Token::new(&key()).expires_in(-61).mint());
    let malformed = Request::get("/").bearer("a.b");

    let mut alone = World::new(&filter(json!({"one": one()}), json!({"provider_name": "one"})), 1);
    for request in [&missing, &expired, &malformed] {
        assert_eq!(noted(&mut alone, request), ["one"]);
    }
    let both = json!({"one": one(), "two": two});
    let mut named = World::new(&filter(both.clone(), json!({"provider_name": "one"})), 1);
    assert_eq!(noted(&mut named, &missing), [""; 0], "no token leads to a provider");
    assert_eq!(noted(&mut named, &expired), ["one"]);
    assert_eq!(noted(&mut named, &malformed), ["one"]);
    let mut found = World::new(&filter(both, json!({"allow_missing": {}})), 1);
    assert_eq!(noted(&mut found, &expired), ["one"], "by its issuer");
    assert_eq!(noted(&mut found, &malformed), [""; 0]);
}

#[test]
fn what_belongs_to_the_gates_own_semantics_is_refused_beside_envoys() {
    for (more, field) in [
        (json!({"algorithms": ["RS256"]}), "providers.main.algorithms"),
        (json!({"allow_any_audience": true}), "providers.main.allow_any_audience"),
        (json!({"issuers": ["https://login.example/{tenant}"]}), "providers.main.issuers"),
        (
            json!({"claim_to_headers": [{"header_name": "x", "value": "{claims.sub}"}]}),
            "providers.main.claim_to_headers[0].value",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x", "claim_name": "sub", "encoding": "json"}]}),
            "providers.main.claim_to_headers[0].encoding",
        ),
    ] {
        let config = filter(json!({"main": provider(more)}), json!({"provider_name": "main"}));
        let error = jwt_gate::config::Config::parse(config.to_string().as_bytes()).unwrap_err().to_string();
        let expected = "goes with jwt-gate's own semantics alone, without \"semantics: jwt_authn\" and \"jwt_rules\"";
        assert_eq!(error, format!("{field}: {expected}"));
    }
}

/// Whether the gate's own semantics refuse what Envoy's take.
fn is_refused_by_the_gate(config: &Value) -> bool {
    let own = merged(config.clone(), json!({"semantics": "jwt_gate", "providers": {"main": {"audiences": ["api"]}}}));
    jwt_gate::config::Config::parse(own.to_string().as_bytes()).is_err()
}

#[test]
fn conditions_that_envoys_filter_does_not_look_at_are_taken_and_without_effect() {
    for (name, condition) in [
        ("none", json!({})),
        ("runtime_fraction", json!({"runtime_fraction": {"default_value": {"numerator": 0}}})),
        ("runtimeFraction", json!({"runtimeFraction": {}})),
        ("grpc", json!({"grpc": {}})),
        ("tls_context", json!({"tls_context": {"presented": true}})),
        ("dynamic_metadata", json!({"dynamic_metadata": [{"filter": "x"}]})),
        ("filter_state", json!({"filter_state": [{"key": "x"}]})),
        ("cookies", json!({"cookies": [{"name": "x"}]})),
    ] {
        let mut config = filter(json!({"main": provider(json!({}))}), json!({"provider_name": "main"}));
        config["rules"][0]["match"] = merged(json!({"prefix": "/a"}), condition);
        assert_eq!(World::new(&config, 1).ask(0, &Request::get("/a")).code(), "token_missing", "{name}");
        assert_eq!(World::new(&config, 1).ask(0, &Request::get("/b")).code(), "allowed", "{name}");
        assert_eq!(is_refused_by_the_gate(&config), name != "none", "{name}: the gate ignores no condition");
    }
}

#[test]
fn what_is_longer_than_the_gate_fetches_or_pauses_is_the_longest_that_it_does() {
    let remote = |timeout: &str, pause: &str| {
        let back_off = json!({"base_interval": pause, "max_interval": pause});
        json!({"local_jwks": null, "remote_jwks": {
            "http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": timeout},
            "async_fetch": {"failed_refetch_duration": pause},
            "retry_policy": {"retry_back_off": back_off},
        }})
    };
    for (timeout, pause, is_refused) in [("60s", "3600s", false), ("61s", "3600s", true), ("60s", "7200s", true)] {
        let config = filter(json!({"main": provider(remote(timeout, pause))}), json!({"provider_name": "main"}));
        let parsed = jwt_gate::config::Config::parse(config.to_string().as_bytes()).unwrap();
        let documents = format!("{:?}", parsed.documents(1));
        assert!(documents.contains("timeout: 60s,"), "{documents}");
        assert_eq!(documents.matches("backoff: 3600s..=3600s").count(), 2, "{documents}");
        assert_eq!(is_refused_by_the_gate(&config), is_refused, "{timeout} {pause}");
    }
}

#[test]
fn an_empty_name_beside_a_path_and_an_empty_value_of_a_header_are_taken_as_in_envoy() {
    let claims = json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "", "claim_path": ["a.b"]}]});
    let mut config = filter(json!({"main": provider(claims)}), json!({"provider_name": "main"}));
    config["rules"][0]["match"]["headers"] = json!([{"name": "x-empty", "exact_match": ""}]);
    let mut world = World::new(&config, 1);
    let request = Request::get("/").header("x-empty", "");
    let verdict = world.ask(0, &request.clone().bearer(&Token::new(&key()).claim("a.b", "alice").mint()));
    assert_eq!(verdict.edits().add, [("x-user".into(), b"alice".to_vec().into())]);
    assert_eq!(world.ask(0, &request).code(), "token_missing");
    assert_eq!(world.ask(0, &Request::get("/").header("x-empty", "no")).code(), "allowed");
}

#[test]
fn an_empty_prefix_of_whole_segments_is_refused_as_envoy_does() {
    let mut config = filter(json!({"main": provider(json!({}))}), json!({}));
    config["rules"][0]["match"] = json!({"path_separated_prefix": ""});
    let error = jwt_gate::config::Config::parse(config.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "rules[0].match.path_separated_prefix: must not be empty");
}

#[test]
fn a_token_that_comes_again_costs_no_signature_check_and_expires_on_time() {
    for requires in [json!({"provider_name": "main"}), json!({"allow_missing": {}})] {
        let mut world = World::new(&filter(json!({"main": provider(json!({}))}), requires), 1);
        let request = Request::get("/").bearer(&Token::new(&key()).expires_in(300).mint());
        for _ in 0..3 {
            assert_eq!(world.ask(0, &request).code(), "allowed");
        }
        assert_eq!(world.checks(), 1);
        world.seconds_pass(361);
        assert_eq!(answer(&mut world, &request).1, "Jwt is expired");
        assert_eq!(world.checks(), 1);
    }
}

#[test]
fn a_token_that_is_written_as_no_issuer_writes_it_is_good_as_in_envoy_and_takes_no_place_among_those_remembered() {
    let mut world = closed(json!({}));
    let token = Token::new(&key()).mint();
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let (header, payload) = signed.split_once('.').expect("three parts");
    let odd = [
        format!(".{token}"),
        format!("{token}."),
        format!("{header}...{payload}.{signature}"),
        format!("{signed}.{}\t{}", &signature[..7], &signature[7..]),
    ];
    for (before, token) in odd.iter().enumerate() {
        for time in 0..2 {
            assert_eq!(world.ask(0, &Request::get("/").bearer(token)).code(), "allowed", "{token}");
            assert_eq!(world.checks() as usize, 2 * before + time + 1, "{token}");
        }
    }
    let request = Request::get("/").bearer(&token);
    for _ in 0..2 {
        assert_eq!(world.ask(0, &request).code(), "allowed");
    }
    assert_eq!(world.checks() as usize, 2 * odd.len() + 1);
}

#[test]
fn a_remembered_token_is_judged_by_the_audiences_of_each_rule() {
    let one = |audience: &str| json!({"provider_and_audiences": {"provider_name": "main", "audiences": [audience]}});
    let config = json!({
        "semantics": "jwt_authn",
        "providers": {"main": provider(json!({}))},
        "rules": [
            {"match": {"prefix": "/a"}, "requires": one("a")},
            {"match": {"prefix": "/b"}, "requires": one("b")},
        ],
    });
    let mut world = World::new(&config, 1);
    let token = Token::new(&key()).claim("aud", "a").mint();
    for (path, code) in [("/a", "allowed"), ("/b", "audience_not_allowed"), ("/a", "allowed")] {
        assert_eq!(world.ask(0, &Request::get(path).bearer(&token)).code(), code, "{path}");
    }
    assert_eq!(world.checks(), 1);
}

#[test]
fn keys_that_are_skipped_and_that_verify_nothing_are_said() {
    let remote = json!({
        "local_jwks": null,
        "remote_jwks": {"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}},
    });
    let mut world = World::new(&filter(json!({"main": provider(remote)}), json!({"provider_name": "main"})), 1);
    let unreadable = json!({"kty": "RSA", "n": "AQAB"});
    world.issuer(JWKS, Reply::ok(json!({"keys": [unreadable, key().jwk(), Key::short_rsa().jwk()]}).to_string()));
    world.seconds_pass(1);
    let lines = world.logged(Level::Info);
    let is_said = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(is_said("2 keys; with keys[2] nothing verifies: its RSA modulus"), "{lines:?}");
    assert!(is_said("; keys[0] skipped: "), "{lines:?}");
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_main"), Some(&1), "the one that is used");
}

#[test]
fn keys_are_waited_for_also_where_a_request_would_pass_without_them() {
    let remote = json!({
        "local_jwks": null,
        "remote_jwks": {"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}},
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    });
    let other = provider(json!({"issuer": "https://other.example"}));
    let providers = json!({"main": provider(remote), "other": other});
    let two = |form: &str| json!({form: {"requirements": [{"provider_name": "main"}, {"provider_name": "other"}]}});
    let request = Request::get("/").bearer(&Token::new(&key()).mint());

    for requires in
        [json!({"allow_missing_or_failed": {}}), json!({"extract_only_without_validation": {}}), two("requires_any")]
    {
        let mut world = World::new(&filter(providers.clone(), requires.clone()), 1);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        let verdict = world.ask_patiently(0, &request);
        assert!(verdict.edits().add.iter().any(|(name, _)| name == "x-user"), "{requires}");
    }

    // What fails whatever the keys are does not wait for them.
    let mut world = World::new(&filter(providers, two("requires_all")), 1);
    world.issuer(JWKS, Reply::hangs());
    assert_eq!(world.ask(0, &request).code(), "issuer_not_allowed");
}
