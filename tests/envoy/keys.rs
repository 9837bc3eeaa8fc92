//! Keys that come, change, and fail to come; judged by the issuer's own log of requests.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::mint::Key;
use crate::proxy::{eventually, eventually_on_every_worker, Proxy};
use crate::servers::{Behaviour, Issuer, Seen};
use crate::wire::{get, request};
use crate::{closed, issuer, key_set, of_unknown_key, provider, start, start_with_four_workers, token, JWKS};

#[test]
fn a_request_that_comes_before_the_first_keys_waits_for_them_and_its_body_is_kept() {
    let key = Key::rsa().named("k1");
    let issuer = Issuer::start();
    issuer.set(JWKS, Behaviour::After(Duration::from_millis(700), Box::new(key_set(&[&key]))));
    let proxy = Proxy::start(&closed(), &issuer);
    let token = token(&key).mint();

    let body = "order ".repeat(20_000);
    let waiting: Vec<_> = (0..8)
        .map(|number| {
            let mut connection = proxy.connect();
            let body = format!("{number} {body}");
            connection.send(&request("POST", "/orders").bearing(&token).carrying(body.as_bytes()).bytes());
            (connection, body)
        })
        .collect();
    let mut refused = proxy.connect();
    refused.send(&get("/").bytes());
    assert_eq!(refused.receive().status(), 401, "who shows no token need not wait");
    for (mut connection, body) in waiting {
        assert_eq!(Seen::of(&connection.receive()).body(), body);
    }
    assert_eq!(issuer.requests(JWKS).len(), 1);
}

const SEMANTICS: [&str; 2] = ["jwt_gate", "jwt_authn"];

/// A configuration of that provider under which every request needs a token.
fn by(semantics: &str, main: &Value) -> Value {
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}});
    json!({"semantics": semantics, "providers": {"main": main}, "rules": [rule]})
}

#[test]
fn one_fetch_serves_every_worker() {
    for semantics in SEMANTICS {
        let key = Key::rsa().named("k1");
        let issuer = issuer(&[&key]);
        let mut main = provider();
        main["remote_jwks"]["request_headers"] = json!([{"name": "x-api-key", "value": "hush-4711"}]);
        let proxy = start_with_four_workers(&by(semantics, &main), &issuer);
        let token = token(&key).mint();
        // Connections are spread over the workers.
        for _ in 0..40 {
            assert_eq!(proxy.send(&get("/").bearing(&token)).status(), 200);
        }
        thread::sleep(Duration::from_millis(500));
        let fetches = issuer.requests(JWKS);
        assert_eq!(fetches.len(), 1);
        assert_eq!(fetches[0].value("user-agent"), Some(concat!("jwt-gate/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(fetches[0].value("accept"), Some("application/json"));
        assert_eq!(fetches[0].value("host"), Some("issuer.example"));
        assert_eq!(fetches[0].value("x-api-key"), Some("hush-4711"));
        assert!(!proxy.log().contains("hush-4711"), "{}", proxy.log());
    }
}

#[test]
fn each_refresh_is_one_fetch_and_reaches_every_worker_within_a_second() {
    for semantics in SEMANTICS {
        let (old, new) = (Key::rsa().named("old"), Key::p256(1).named("new"));
        let issuer = issuer(&[&old]);
        let mut main = provider();
        main["remote_jwks"]["cache_duration"] = json!("2s");
        // A worker without the new key would otherwise fetch it for the first token that names it: in Envoy's semantics none does.
        if semantics == "jwt_gate" {
            main["remote_jwks"]["refetch_on_unknown_kid"] = json!(false);
        }
        let proxy = start_with_four_workers(&by(semantics, &main), &issuer);
        let before = Instant::now();
        eventually("three refreshes", || issuer.requests(JWKS).len() >= 4);
        // 80 to 95 % of two seconds each, and a tick until one worker notices.
        assert!(before.elapsed() >= Duration::from_millis(4700), "{:?}", before.elapsed());
        let announced = || proxy.log().matches("key set: ").count();
        assert_eq!(announced(), 1, "the refreshes brought nothing new");

        issuer.set(JWKS, key_set(&[&old, &new]));
        // Counted when the new keys are there: a refresh that brought the old ones is none of the next.
        let fetches = issuer.requests(JWKS).len();
        eventually("the next refresh", || issuer.requests(JWKS).len() > fetches);
        thread::sleep(Duration::from_secs(1));
        let rotated = get("/").bearing(&token(&new).mint());
        for _ in 0..40 {
            assert_eq!(proxy.send(&rotated).status(), 200);
        }
        assert_eq!(announced(), 2, "a rotation is one line of the log, whichever worker fetched");
        let counted = || proxy.count("jwt_gate_jwks_fetch_ok");
        eventually("every fetch is counted once", || issuer.requests(JWKS).len() as u64 == counted());
    }
}

#[test]
fn a_new_key_is_fetched_once_at_the_first_token_that_names_it_and_serves_every_worker() {
    let (old, new) = (Key::rsa().named("old"), Key::p256(1).named("new"));
    let issuer = issuer(&[&old]);
    let proxy = start_with_four_workers(&closed(), &issuer);
    assert_eq!(proxy.send(&get("/").bearing(&token(&old).mint())).status(), 200);

    issuer.set(JWKS, key_set(&[&old, &new]));
    let body = "kept while it waits";
    let order = request("POST", "/").bearing(&token(&new).mint()).carrying(body.as_bytes());
    assert_eq!(Seen::of(&proxy.send(&order)).body(), body);
    // Connections are spread over the workers: one that has not noticed the new keys yet lets the token wait for them.
    for key in [&new, &old].repeat(20) {
        assert_eq!(proxy.send(&get("/").bearing(&token(key).mint())).status(), 200);
    }
    assert_eq!(issuer.requests(JWKS).len(), 2);
}

#[test]
fn a_withdrawn_key_stops_working_with_the_next_fetch() {
    let (old, new) = (Key::rsa().named("old"), Key::p256(1).named("new"));
    let issuer = issuer(&[&old, &new]);
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("1s");
    let proxy = start(&json!({"providers": {"main": main}}), &issuer);
    let withdrawn = get("/").bearing(&token(&old).mint());
    assert_eq!(proxy.send(&withdrawn).status(), 200);
    issuer.set(JWKS, key_set(&[&new]));
    eventually_on_every_worker("the old key is refused", || proxy.send(&withdrawn).status() == 401);
    assert!(proxy.send(&withdrawn).text().contains("key_unknown"));
    assert_eq!(proxy.send(&get("/").bearing(&token(&new).mint())).status(), 200);
}

/// Sends 10,000 tokens with a `kid` that nobody knows, 20 at a time.
fn flood(proxy: &Proxy) {
    let mut connections: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
    for round in 0..500 {
        for (number, connection) in connections.iter_mut().enumerate() {
            let token = of_unknown_key(&format!("{round}-{number}"));
            connection.send(&get("/").bearing(&token).bytes());
        }
        for connection in &mut connections {
            let response = connection.receive();
            assert_eq!(response.status(), 401);
            assert!(response.text().contains("key_unknown"), "{}", response.text());
        }
    }
}

#[test]
fn a_flood_of_unknown_kids_costs_the_issuer_one_request() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let proxy = start_with_four_workers(&closed(), &issuer);
    flood(&proxy);
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
    assert_eq!(issuer.requests(JWKS).len(), 2, "one at start, one for the flood");
}

#[test]
fn a_flood_costs_an_issuer_that_fails_no_more() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let proxy = start_with_four_workers(&closed(), &issuer);
    issuer.set(JWKS, Behaviour::status(503));
    flood(&proxy);
    thread::sleep(Duration::from_secs(3));
    flood(&proxy);
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
    assert_eq!(issuer.requests(JWKS).len(), 2, "one at start, one for both floods");
}

#[test]
fn an_issuer_that_fails_is_asked_again_and_the_gate_recovers_by_itself() {
    let key = Key::rsa().named("k1");
    let good = token(&key).mint();
    let huge = Behaviour::Answer(200, Vec::new(), vec![b' '; 600 * 1024]);
    for (name, failure) in [
        ("503", Behaviour::status(503)),
        ("a page", Behaviour::Answer(200, Vec::new(), b"<html>".to_vec())),
        ("nothing", Behaviour::Answer(200, Vec::new(), Vec::new())),
        ("no JSON set", Behaviour::json(&json!([]))),
        ("too much", huge),
        ("a redirect", Behaviour::Answer(302, vec![("location", "/elsewhere".into())], Vec::new())),
        ("not modified, though nobody asked", Behaviour::status(304)),
        ("a closed connection", Behaviour::Close),
    ] {
        let issuer = Issuer::start();
        issuer.set(JWKS, failure);
        let proxy = Proxy::start(&closed(), &issuer);
        eventually(name, || proxy.count("jwt_gate_jwks_fetch_failed") > 0);
        issuer.set(JWKS, key_set(&[&key]));
        // Waits for the next attempt, within its bound; or is told when to come again.
        eventually(name, || {
            let response = proxy.send(&get("/").bearing(&good));
            assert!(
                response.status() == 200 || response.text().contains("keys_unavailable"),
                "{name}: {}",
                response.text()
            );
            response.status() == 200
        });
    }
}

#[test]
fn an_issuer_that_hangs_holds_a_request_for_a_bounded_time() {
    let key = Key::rsa().named("k1");
    let issuer = Issuer::start();
    issuer.set(JWKS, Behaviour::Hang);
    let mut main = provider();
    main["remote_jwks"]["http_uri"]["timeout"] = json!("0.5s");
    let proxy = Proxy::start(&json!({"providers": {"main": main}}), &issuer);
    let before = Instant::now();
    let response = proxy.send(&get("/").bearing(&token(&key).mint()));
    // The timeout of the fetch, and one second and a half until the root context has noticed.
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    assert_eq!(response.status(), 503);
    assert!(response.text().contains("keys_unavailable"), "{}", response.text());
    assert!(response.value("retry-after").is_some());
}

#[test]
fn a_cluster_that_does_not_exist_refuses_requests_and_says_so_in_the_log() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["remote_jwks"]["http_uri"]["cluster"] = json!("isuer");
    let proxy = Proxy::start(&json!({"providers": {"main": main}}), &issuer(&[&key]));
    let response = proxy.send(&get("/").bearing(&token(&key).mint()));
    assert_eq!(response.status(), 503, "{}", response.text());
    assert!(proxy.log().contains("providers.main.remote_jwks"), "{}", proxy.log());
    assert!(proxy.log().contains("isuer"), "{}", proxy.log());
}

#[test]
fn the_last_good_keys_serve_while_the_issuer_fails() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("1s");
    let proxy = start(&json!({"providers": {"main": main}}), &issuer);
    for failure in [Behaviour::status(500), Behaviour::Close, Behaviour::Answer(200, Vec::new(), b"{".to_vec())] {
        issuer.set(JWKS, failure);
        let failed = proxy.count("jwt_gate_jwks_fetch_failed");
        eventually("a fetch fails", || proxy.count("jwt_gate_jwks_fetch_failed") > failed);
        assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
    }
}

#[test]
fn an_unchanged_set_is_confirmed_by_its_etag() {
    let key = Key::rsa().named("k1");
    let issuer = Issuer::start();
    issuer.set(JWKS, key_set(&[&key]).with("etag", "\"v1\""));
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("1s");
    let proxy = start_with_four_workers(&json!({"providers": {"main": main}}), &issuer);
    // So many that not all of them come from the VM that fetched first.
    eventually("conditional fetches", || proxy.count("jwt_gate_jwks_fetch_not_modified") >= 8);
    assert_eq!(proxy.count("jwt_gate_jwks_fetch_ok"), 1);
    let requests = issuer.requests(JWKS);
    assert_eq!(requests[0].value("if-none-match"), None);
    let conditions = requests[1..].iter().map(|request| request.value("if-none-match"));
    assert!(conditions.clone().all(|condition| condition == Some("\"v1\"")), "{:?}", conditions.collect::<Vec<_>>());
    assert_eq!(proxy.send(&get("/").bearing(&token(&key).mint())).status(), 200);
}

#[test]
fn a_client_that_leaves_while_it_waits_disturbs_nobody() {
    let key = Key::rsa().named("k1");
    let issuer = Issuer::start();
    issuer.set(JWKS, Behaviour::After(Duration::from_millis(600), Box::new(key_set(&[&key]))));
    let proxy = Proxy::start(&closed(), &issuer);
    let good = get("/").bearing(&token(&key).mint());
    for _ in 0..10 {
        let mut leaving = proxy.connect();
        leaving.send(&good.bytes());
        assert!(leaving.is_silent_for(Duration::from_millis(10)));
    }
    assert_eq!(proxy.send(&good).status(), 200);
    eventually("every request is over", || proxy.stat("http.gateway.downstream_rq_active") == 0);
    assert_eq!(proxy.send(&good).status(), 200);
}
