//! What the gate asks others: the issuer where its keys are and what a token is, and a service what a caller may do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use serde_json::{json, Value};

use crate::envoy::INTROSPECTION_SECRET;
use crate::mint::{Key, AUDIENCE, ISSUER};
use crate::proxy::{eventually, Proxy};
use crate::servers::{Behaviour, Issuer, Seen};
use crate::wire::{get, request};
use crate::{closed, issuer, key_set, provider, start, start_with_four_workers, token};

pub const INTROSPECTION: &str = "/introspect";
pub const DECISION: &str = "/access/v1/evaluation";

fn http_uri(path: &str) -> Value {
    json!({"uri": format!("http://issuer.example{path}"), "cluster": "issuer", "timeout": "2s"})
}

/// A provider whose tokens the issuer is asked about.
pub fn opaque() -> Value {
    json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "introspection": {
            "http_uri": http_uri(INTROSPECTION),
            "client_id": "gate",
            "client_secret_env": "INTROSPECTION_SECRET",
        },
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    })
}

/// A configuration with that provider alone.
fn asking() -> Value {
    json!({"providers": {"main": opaque()}})
}

pub fn active() -> Value {
    json!({"active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": 4_000_000_000_u64})
}

/// That service, where the tests' issuer answers.
pub fn decided_by(mut service: Value) -> Value {
    service["http_uri"] = http_uri(DECISION);
    service
}

/// A rule for everything, whose callers a service decides about.
fn decided(service: Value) -> Value {
    let service = decided_by(service);
    let mut gate = closed();
    gate["rules"] = json!([
        {"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"service": service}},
    ]);
    gate
}

#[test]
fn the_issuer_says_where_its_keys_are() {
    let key = Key::rsa().named("k1");
    let issuer = Issuer::start();
    let uri = |path: &str| format!("http://issuer.example{path}");
    issuer.set(
        "/.well-known/oauth-authorization-server",
        Behaviour::json(&json!({"issuer": "http://issuer.example", "jwks_uri": uri("/keys")})),
    );
    issuer.set("/keys", key_set(&[&key]));
    let mut main = provider();
    let object = main.as_object_mut().expect("it is an object");
    object.remove("remote_jwks");
    object.insert("issuer".into(), json!("http://issuer.example"));
    object.insert("discovery".into(), json!({"cluster": "issuer", "cache_duration": "4s"}));
    let proxy = start_with_four_workers(&json!({"providers": {"main": main}}), &issuer);
    let good = get("/").bearing(&token(&key).claim("iss", "http://issuer.example").mint());
    eventually("the keys are there", || proxy.send(&good).status() == 200);
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/keys"] {
        assert_eq!(issuer.requests(path).len(), 1, "{path}: once for all workers");
    }
    // So is each refresh, in both its parts.
    eventually("refreshes", || issuer.requests("/keys").len() >= 3);
    let arrivals = issuer.arrivals("/keys");
    let gaps: Vec<f64> = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.iter().all(|gap| *gap >= 3.1), "{gaps:?}");
    assert_eq!(issuer.requests("/.well-known/oauth-authorization-server").len(), issuer.requests("/keys").len());
}

#[test]
fn the_issuer_says_what_an_opaque_token_is_while_the_request_waits_with_its_body() {
    let issuer = Issuer::start();
    issuer.set(
        INTROSPECTION,
        Behaviour::After(std::time::Duration::from_millis(200), Box::new(Behaviour::json(&active()))),
    );
    let proxy = Proxy::start(&asking(), &issuer);
    let body = "b".repeat(100_000);
    let posted = request("POST", "/").bearing("opaque+token").carrying(body.as_bytes());
    let seen = proxy.send(&posted);
    let seen = Seen::of(&seen);
    assert_eq!((seen.values("x-user-id"), seen.body() == body), (vec!["ada"], true));
    assert_eq!(seen.values("authorization"), [""; 0]);

    let asked = issuer.requests(INTROSPECTION);
    let credentials = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("gate:{INTROSPECTION_SECRET}"));
    assert_eq!(asked[0].value("authorization"), Some(format!("Basic {credentials}").as_str()));
    assert_eq!(asked[0].body, b"token=opaque%2Btoken&token_type_hint=access_token");

    issuer.set(INTROSPECTION, Behaviour::json(&json!({"active": false})));
    let refused = proxy.send(&get("/").bearing("another"));
    assert!(refused.status() == 401 && refused.text().contains("token_inactive"), "{}", refused.text());
    issuer.set(INTROSPECTION, Behaviour::Close);
    let unknown = proxy.send(&get("/").bearing("third"));
    assert!(unknown.status() == 503 && unknown.text().contains("introspection_unavailable"), "{}", unknown.text());
    eventually("what was asked is counted", || {
        (proxy.count("jwt_gate_introspection_ok"), proxy.count("jwt_gate_introspection_failed")) == (2, 1)
    });
    for secret in [INTROSPECTION_SECRET, credentials.as_str(), "opaque+token", "opaque%2Btoken"] {
        assert!(!proxy.log().contains(secret), "{secret} is in the log");
    }
}

#[test]
fn clients_that_leave_while_their_token_is_asked_about_leave_the_others_their_answer() {
    let issuer = Issuer::start();
    let open = Arc::new(AtomicBool::new(false));
    issuer.set(INTROSPECTION, Behaviour::Held(Arc::clone(&open), Box::new(Behaviour::json(&active()))));
    let proxy = Proxy::start(&asking(), &issuer);
    let request = get("/").bearing("opaque").bytes();
    let waiting = || proxy.stat("http.gateway.downstream_rq_active");
    let mut clients = Vec::new();
    // Those that are to stay come when the others are there: who came last asks again.
    for count in [100, 200] {
        let mut more: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
        more.iter_mut().for_each(|client| client.send(&request));
        clients.extend(more);
        eventually("all wait", || waiting() == count);
    }
    let asked = issuer.requests(INTROSPECTION).len();
    assert!(asked <= 2, "{asked} questions of two workers");
    // All that came first, those who asked among them.
    clients.drain(..100);
    eventually("those that left are forgotten", || waiting() == 100);
    open.store(true, Ordering::Relaxed);
    for client in &mut clients {
        assert_eq!(Seen::of(&client.receive()).values("x-user-id"), ["ada"]);
    }
    assert!(issuer.requests(INTROSPECTION).len() <= 4);
}

#[test]
fn a_service_decides_and_a_right_that_it_grants_or_takes_holds_with_the_next_request() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set(DECISION, Behaviour::json(&json!({"decision": false})));
    let proxy = start(&decided(json!({"protocol": "authzen"})), &issuer);
    let request = get("/orders/42?x").bearing(&token(&key).claim("sub", "ada").mint());
    let refused = proxy.send(&request);
    assert!(refused.status() == 403 && refused.text().contains("authorization_denied"), "{}", refused.text());
    issuer.set(DECISION, Behaviour::json(&json!({"decision": true})));
    assert_eq!(Seen::of(&proxy.send(&request)).values("x-user-id"), ["ada"]);
    let asked: Value = serde_json::from_slice(&issuer.requests(DECISION)[0].body).expect("a JSON body");
    assert_eq!((&asked["subject"]["id"], &asked["action"]["name"]), (&json!("ada"), &json!("GET")));
    assert_eq!(asked["resource"], json!({"type": "http", "id": "/orders/42"}));
    for failing in [Behaviour::status(500), Behaviour::Close, Behaviour::json(&json!({}))] {
        issuer.set(DECISION, failing);
        let failed = proxy.send(&request);
        assert!(failed.status() == 503 && failed.text().contains("authorization_unavailable"), "{}", failed.text());
    }
}

#[test]
fn a_plain_request_decides_by_its_status_and_its_headers_go_to_the_service() {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set(DECISION, Behaviour::status(200).with("x-role", "clerk").with("x-other", "1"));
    let service = json!({
        "protocol": "http",
        "response_headers": ["x-role"],
        "request_headers": [{"name": "x-forwarded-uri", "value": "{path}"}],
    });
    let proxy = start(&decided(service), &issuer);
    let request = get("/orders").bearing(&token(&key).mint()).with("x-role", "root").with("x_role", "root");
    let seen = proxy.send(&request);
    let seen = Seen::of(&seen);
    assert_eq!((seen.values("x-role"), seen.values("x_role"), seen.values("x-other")), (vec!["clerk"], vec![], vec![]));
    assert_eq!(issuer.requests(DECISION)[0].value("x-forwarded-uri"), Some("/orders"));
    issuer.set(DECISION, Behaviour::status(403));
    assert_eq!(proxy.send(&request).status(), 403);
}
