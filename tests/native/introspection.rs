//! `introspection`: the issuer says what a token is.

use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{json, Value};

use crate::mint::{Key, Token, AUDIENCE, ISSUER, NOW};
use crate::world::{local, merged, Reply, Request, World};

const ENDPOINT: &str = "https://issuer.example/introspect";

fn introspection(more: Value) -> Value {
    let base = json!({
        "http_uri": {"uri": ENDPOINT, "cluster": "issuer", "timeout": "2s"},
        "client_id": "gate:1",
        "client_secret_env": "SECRET",
    });
    merged(base, more)
}

/// A provider without keys.
fn opaque(more: Value) -> Value {
    let provider = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "introspection": introspection(json!({}))});
    json!({"providers": {"main": merged(provider, more)}})
}

fn key() -> Key {
    Key::ed25519(1).named("one")
}

/// A provider with keys, whose issuer is asked as `more` says.
fn beside_keys(more: Value) -> Value {
    json!({"providers": {"main": local(&[&key()], json!({"introspection": introspection(more)}))}})
}

fn active(more: Value) -> String {
    let claims =
        json!({"active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": "read", "exp": NOW + 600});
    merged(claims, more).to_string()
}

fn shown(token: &str) -> Request {
    Request::get("/").bearer(token)
}

#[test]
fn the_issuer_is_asked_as_rfc_7662_says() {
    let mut world = World::new(&opaque(json!({})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
    assert_eq!(world.ask_patiently(0, &shown("ab-._~+/==")).code(), "allowed");
    let call = &world.fetches[0].call;
    let of = |name: &str| call.headers().find(|(known, _)| *known == name).map(|(_, value)| value);
    assert_eq!(call.cluster, "issuer");
    assert_eq!((of(":method"), of(":path")), (Some("POST"), Some("/introspect")));
    assert_eq!(of(":authority"), Some("issuer.example"));
    assert_eq!(of("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(of("accept"), Some("application/json"));
    let credentials = BASE64_STANDARD.encode("gate%3A1:s3cret%2B%2F");
    assert_eq!(of("authorization"), Some(format!("Basic {credentials}").as_str()));
    assert_eq!(call.body, b"token=ab-._%7E%2B%2F%3D%3D&token_type_hint=access_token");
    assert!(!format!("{call:?}").contains("ab-"), "what is sent is nobody's to log");
}

#[test]
fn what_the_issuer_says_is_checked_like_the_claims_of_a_token() {
    for (answer, code) in [
        (active(json!({})), "allowed"),
        (active(json!({"active": false})), "token_inactive"),
        (json!({"active": false}).to_string(), "token_inactive"),
        (active(json!({"iss": "https://other.example"})), "issuer_not_allowed"),
        (active(json!({"iss": null})), "issuer_not_allowed"),
        (active(json!({"aud": "other"})), "audience_not_allowed"),
        (active(json!({"aud": null})), "audience_not_allowed"),
        (active(json!({"exp": NOW - 61})), "token_expired"),
        (active(json!({"exp": null})), "expiration_missing"),
        (active(json!({"nbf": NOW + 62})), "token_not_yet_valid"),
        (active(json!({"active": null})), "introspection_unavailable"),
        (active(json!({"active": "true"})), "introspection_unavailable"),
        (active(json!({"active": 1})), "introspection_unavailable"),
        (active(json!({"sub": 1})), "introspection_unavailable"),
        ("{\"active\":true,\"active\":true}".to_owned(), "introspection_unavailable"),
        ("<html>".to_owned(), "introspection_unavailable"),
        (String::new(), "introspection_unavailable"),
        (active(json!({"x": "x".repeat(64 * 1024)})), "introspection_unavailable"),
    ] {
        let mut world = World::new(&opaque(json!({})), 1);
        world.issuer(ENDPOINT, Reply::ok(&answer));
        let verdict = world.ask_patiently(0, &shown("opaque"));
        assert_eq!(verdict.code(), code, "{}", &answer[..answer.len().min(200)]);
        let failed = u64::from(code == "introspection_unavailable");
        let counts = (world.count("jwt_gate_introspection_ok"), world.count("jwt_gate_introspection_failed"));
        assert_eq!(counts, (1 - failed, failed), "{code}");
    }
}

#[test]
fn an_issuer_that_cannot_be_asked_is_an_outage_and_no_bad_token() {
    for reply in [Reply::status(500), Reply::status(401), Reply::hangs(), Reply::no_cluster()] {
        for mut world in [World::new(&opaque(json!({})), 1), World::without_waiting(&opaque(json!({})), 1)] {
            world.issuer(ENDPOINT, reply.clone());
            let began = world.elapsed();
            let verdict = world.ask_patiently(0, &shown("opaque"));
            assert_eq!((verdict.code(), verdict.status()), ("introspection_unavailable", 503), "{reply:?}");
            assert!(world.elapsed() - began <= 3200, "{reply:?}: {} ms", world.elapsed() - began);
            world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
            assert_eq!(world.ask_patiently(0, &shown("opaque")).code(), "allowed", "a failure is not remembered");
        }
    }
    let mut world = World::new(&opaque(json!({})), 1);
    world.issuer(ENDPOINT, Reply::never());
    let verdict = world.ask_patiently(0, &shown("opaque"));
    assert_eq!(verdict.code(), "introspection_unavailable", "a host that never answers");
}

#[test]
fn answers_are_remembered_for_as_long_as_the_configuration_says_and_the_token_lives() {
    let cache = |cache: Value| opaque(json!({"introspection": {"cache": cache}}));
    let asked = |config: &Value, answer: &str, seconds: u64| {
        let mut world = World::new(config, 1);
        world.issuer(ENDPOINT, Reply::ok(answer));
        world.ask_patiently(0, &shown("opaque"));
        world.ask_patiently(0, &shown("opaque"));
        let at_once = world.fetches.len();
        world.seconds_pass(seconds);
        world.ask_patiently(0, &shown("opaque"));
        (at_once, world.fetches.len())
    };
    let inactive = json!({"active": false}).to_string();
    let short = active(json!({"exp": NOW + 20}));
    assert_eq!(asked(&cache(json!({})), &active(json!({})), 58), (1, 1));
    assert_eq!(asked(&cache(json!({})), &active(json!({})), 61), (1, 2));
    assert_eq!(asked(&cache(json!({"ttl": "5s"})), &active(json!({})), 6), (1, 2));
    assert_eq!(asked(&cache(json!({"ttl": "1h"})), &short, 18), (1, 1));
    assert_eq!(asked(&cache(json!({"ttl": "1h"})), &short, 21), (1, 2), "never beyond exp");
    assert_eq!(asked(&cache(json!({})), &inactive, 8), (1, 1));
    assert_eq!(asked(&cache(json!({})), &inactive, 11), (1, 2));
    assert_eq!(asked(&cache(json!({"negative_ttl": "1m"})), &inactive, 58), (1, 1));
    assert_eq!(asked(&cache(json!({"ttl": "0s"})), &active(json!({})), 0), (2, 3));
}

#[test]
fn a_clock_that_is_set_back_makes_no_answer_last_longer() {
    let mut world = World::new(&opaque(json!({})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
    world.ask_patiently(0, &shown("opaque"));
    world.step_clock(-3600);
    world.issuer(ENDPOINT, Reply::ok(json!({"active": false}).to_string()));
    assert_eq!(world.ask_patiently(0, &shown("opaque")).code(), "token_inactive");
}

#[test]
fn no_more_answers_are_remembered_than_max_entries() {
    let mut world = World::new(&opaque(json!({"introspection": {"cache": {"max_entries": 2}}})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
    for _ in 0..2 {
        for token in ["a", "b", "c", "d"] {
            assert_eq!(world.ask_patiently(0, &shown(token)).code(), "allowed");
        }
    }
    assert!(world.fetches.len() >= 6, "{}", world.fetches.len());
}

#[test]
fn answers_are_remembered_by_what_they_hold() {
    // Two of 10 KB take the place of twenty small ones.
    for (claim, most_asked) in [(10, 20), (10_000, 40)] {
        let mut world = World::new(&opaque(json!({"introspection": {"cache": {"max_entries": 20}}})), 1);
        world.issuer(ENDPOINT, Reply::ok(active(json!({"x": "x".repeat(claim)}))));
        for _ in 0..2 {
            for number in 0..20 {
                assert_eq!(world.ask_patiently(0, &shown(&format!("token-{number}"))).code(), "allowed");
            }
        }
        let asked = world.fetches.len();
        assert!(asked <= most_asked && asked >= most_asked - 2, "{asked} with a claim of {claim} bytes");
    }
}

#[test]
fn the_same_token_at_the_same_time_is_one_question_and_another_token_another() {
    let mut world = World::new(&opaque(json!({})), 2);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))).after(Duration::from_millis(500)));
    let ids: Vec<_> = (0..20).map(|number| world.request(0, &shown(["a", "b"][number % 2]))).collect();
    let other_vm = world.request(1, &shown("a"));
    world.seconds_pass(1);
    for id in ids.into_iter().chain([other_vm]) {
        assert_eq!(world.verdict(id).map(|verdict| verdict.code()), Some("allowed"));
    }
    assert_eq!(world.fetches.len(), 3, "one for each token, and VM");
}

#[test]
fn who_waits_for_the_question_of_a_request_that_is_gone_asks_again() {
    let mut world = World::new(&opaque(json!({})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))).after(Duration::from_millis(500)));
    let ids: Vec<_> = (0..3).map(|_| world.request(0, &shown("a"))).collect();
    world.advance(Duration::from_millis(300));
    world.gone(ids[0]);
    world.advance(Duration::from_millis(300));
    assert_eq!(world.verdict(ids[1]), None);
    world.advance(Duration::from_millis(300));
    for id in &ids[1..] {
        assert_eq!(world.verdict(*id).map(|verdict| verdict.code()), Some("allowed"));
    }
    assert_eq!(world.fetches.len(), 2);
    let last = world.request(0, &shown("b"));
    world.gone(last);
    world.settle();
    assert_eq!(world.fetches.len(), 3, "nobody is left to ask for");
}

#[test]
fn only_what_is_no_jwt_is_asked_about_beside_keys() {
    let mut world = World::new(&beside_keys(json!({})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
    assert_eq!(world.ask(0, &shown(&Token::new(&key()).mint())).code(), "allowed");
    let forged = Token::new(&Key::ed25519(9).named("one")).mint();
    assert_eq!(world.ask(0, &shown(&forged)).code(), "signature_invalid");
    // What could be the beginning of a JOSE header makes a JWT, also where its base64url or its JSON is none.
    for header in [r#"{"#, r#" {"alg":"none"}"#, r#"{"alg":}"#, "{\u{e4}"] {
        let header = BASE64_URL_SAFE_NO_PAD.encode(header);
        for token in [format!("{header}.b.c"), format!("{header}..")] {
            assert_eq!(world.ask(0, &shown(&token)).code(), "token_malformed", "{token}");
        }
    }
    assert_eq!(world.fetches.len(), 0);
    let opaque = ["a", "a.b", "a.b.c.d", "a.b.c.d.e", "a.b.c", "bm8.b.c", "..c"];
    for token in opaque {
        assert_eq!(world.ask_patiently(0, &shown(token)).code(), "allowed", "{token}");
    }
    assert_eq!(world.fetches.len(), opaque.len());
}

#[test]
fn with_tokens_all_a_signed_token_must_be_active_too_and_a_forged_one_is_never_sent() {
    let mut world = World::new(&beside_keys(json!({"tokens": "all"})), 1);
    world.issuer(ENDPOINT, Reply::ok(json!({"active": false}).to_string()));
    let forged = Token::new(&Key::ed25519(9).named("one")).mint();
    assert_eq!(world.ask(0, &shown(&forged)).code(), "signature_invalid");
    let other = Token::new(&key()).claim("aud", "other").mint();
    assert_eq!(world.ask(0, &shown(&other)).code(), "audience_not_allowed");
    assert_eq!(world.fetches.len(), 0);
    assert_eq!(world.ask_patiently(0, &shown(&Token::new(&key()).mint())).code(), "token_inactive");
    world.issuer(ENDPOINT, Reply::ok(json!({"active": true}).to_string()));
    assert_eq!(world.ask_patiently(0, &shown(&Token::new(&key()).claim("jti", "2").mint())).code(), "allowed");
}

#[test]
fn nothing_that_is_no_token_is_sent_to_the_issuer() {
    let config = opaque(json!({"from_params": ["token"]}));
    for token in ["a%20b", "%00", "a%26b", "a%3D%3Db", "%3D", "%C3%A4"] {
        let mut world = World::new(&config, 1);
        let verdict = world.ask(0, &Request::get(&format!("/?token={token}")));
        assert_eq!(verdict.code(), "token_malformed", "{token}");
        assert_eq!(world.fetches.len(), 0);
    }
    let mut world = World::new(&opaque(json!({})), 1);
    assert_eq!(world.ask(0, &shown(&"a".repeat(16 * 1024 + 1))).code(), "token_too_large");
}

#[test]
fn services_learn_what_the_issuer_said() {
    let config = opaque(json!({
        "forward_payload_header": "x-payload",
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        "header_in_metadata": "header",
    }));
    let mut world = World::new(&config, 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))));
    let request = shown("not.JWT").header("x-user", "root").header("x-payload", "eyJ9");
    let verdict = world.ask_patiently(0, &request);
    let fields = request.edited(verdict.edits());
    let of = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(of("x-user"), ["ada"]);
    assert_eq!(of("x-payload"), [BASE64_URL_SAFE_NO_PAD.encode(active(json!({})))]);
    assert_eq!(of("authorization"), [""; 0]);
}

#[test]
fn a_host_that_cannot_hold_requests_asks_in_the_context_of_each() {
    let mut world = World::without_waiting(&opaque(json!({})), 1);
    world.issuer(ENDPOINT, Reply::ok(active(json!({}))).after(Duration::from_millis(500)));
    let ids: Vec<_> = (0..3).map(|_| world.request(0, &shown("a"))).collect();
    world.seconds_pass(1);
    for id in ids {
        assert_eq!(world.verdict(id).map(|verdict| verdict.code()), Some("allowed"));
    }
    assert_eq!(world.fetches.len(), 3);
    assert_eq!(world.ask(0, &shown("a")).code(), "allowed", "what was answered is remembered there, too");
}
