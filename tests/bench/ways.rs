//! The ways of a request on which no signature is checked, the requirements that are not one provider, and what is read when a
//! configuration or its tokens come.

use std::hint::black_box;
use std::rc::Rc;

use criterion::{BatchSize, Criterion};
use jwt_gate::config::Config;
use jwt_gate::crypto::{Alg, PublicKey};
use jwt_gate::gate::{Effect, Event};
use jwt_gate::jwt_verify;
use jwt_gate::keys::{KeySet, Origin};
use jwt_gate::remote::{Answer, Record};
use jwt_gate::request::RequestHead;
use serde_json::{json, Value};

use crate::decisions::{config, key, request, rule, Gateway, PASSES};
use crate::mint::{key_set, Key, Token, ISSUER};
use crate::{fields, head, measure};

fn with(more: Value) -> Value {
    let mut config = config(&key(), json!([rule(json!({"prefix": "/"}))]));
    let object = config.as_object_mut().expect("it is one");
    object.extend(more.as_object().expect("it is one").clone());
    config
}

/// A request with these fields beside the usual ones.
fn asking(method: &str, path: &str, more: &[(&str, &str)]) -> RequestHead {
    let mut all = fields(path, None);
    all[0].1 = method.into();
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    RequestHead::new(all)
}

/// Requests that need no token, and those that get another answer than a problem document.
pub fn without_tokens(c: &mut Criterion) {
    let public = json!({"rules": [{"match": {"prefix": "/"}, "public": true}]});
    let login = json!({"responses": [{"redirect": {"location": "https://login.example/?to={path}"}}]});
    let metadata = json!({"protected_resource": {"resource": "https://gateway.example"}});
    let well_known = "/.well-known/oauth-protected-resource";
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    let state = json!({"filter_state_rules": {"name": "tier", "requires": {"open": {"allow_missing": {}}}}, "rules": [rule(json!({"prefix": "/other"}))]});
    let open = asking("GET", "/orders", &[]).with_filter_state(Some(Rc::new(|| Some(b"open".to_vec()))));
    for (what, more, request, outcome) in [
        ("a public route", public, asking("GET", "/orders", &[]), "allowed"),
        ("a preflight", json!({"bypass_cors_preflight": true}), asking("OPTIONS", "/", &preflight), "allowed"),
        ("no token, in a dry run", json!({"enforce": false}), asking("GET", "/orders", &[]), "allowed"),
        ("no token, where the filter state lets it pass", state, open, "allowed"),
        (
            "no token, sent to log in and back",
            login,
            asking("GET", "/a?b=c", &[("accept", "text/html")]),
            "token_missing",
        ),
        ("no token, in gRPC", json!({}), asking("POST", "/", &[("content-type", "application/grpc")]), "token_missing"),
        ("the metadata of a protected resource", metadata, asking("GET", well_known, &[]), "replied"),
    ] {
        // The usual fields name one that would stand twice.
        Gateway::new(&with(more)).measure(c, &format!("gate: {what}"), &request, (outcome, 0));
    }
}

/// Known tokens under requirements of several providers, of several issuers, and under Istio's rules.
pub fn requirements(c: &mut Criterion) {
    let other = config(&Key::ed25519(9).named("other"), json!([]))["providers"]["main"].clone();
    let two = |form: &str| {
        let both = json!([{"provider_name": "other"}, {"provider_name": "main"}]);
        let mut config =
            with(json!({"rules": [{"match": {"prefix": "/"}, "requires": {form: {"requirements": both}}}]}));
        config["providers"]["other"] = other.clone();
        config
    };
    let mut tenants = with(json!({}));
    let provider = tenants["providers"]["main"].as_object_mut().expect("it is one");
    provider.shift_remove("issuer");
    provider.insert("issuers".into(), json!(["https://{tenant}.login.example/{realm}"]));
    let rules = json!({"jwtRules": [{"issuer": ISSUER, "jwks": key_set([key().jwk()])}]});
    let of = |token: Token| head("/orders", Some(token.bearer()));
    let tenant = of(Token::new(&key()).claim("iss", "https://acme.login.example/shop"));
    for (what, config, request) in [
        ("the second of `requires_any`", two("requires_any"), request("/orders")),
        ("a tenant of a pattern of issuers", tenants, tenant),
        ("`jwtRules` of Istio", rules, request("/orders")),
    ] {
        let mut gateway = Gateway::new(&config);
        // What others say of it is known from the second time on.
        gateway.outcome(&request);
        gateway.measure(c, &format!("gate: a known token, {what}"), &request, PASSES);
    }
}

/// What is read when a configuration comes: with one rule, and with a thousand.
pub fn configurations(c: &mut Criterion) {
    for count in [1, 1000] {
        let rules: Vec<Value> = (0..count).map(|n| rule(json!({"prefix": format!("/service{n}/api")}))).collect();
        let text = config(&key(), rules.into()).to_string();
        measure(c, &format!("configuration: read {count} rules"), || Config::parse(black_box(text.as_bytes())).is_ok());
    }
    let set = key_set((1..=20).map(|number| Key::p256(number).named(&number.to_string()).jwk()));
    measure(c, "key set: parse 20 keys, `semantics: jwt_authn`", || {
        jwt_verify::KeySet::parse(black_box(set.as_bytes()), Origin::Remote).is_ok()
    });
    let token = Token::new(&Key::p256(1).named("k1")).mint();
    measure(c, "token: read, `semantics: jwt_authn`", || jwt_verify::Token::parse(black_box(token.as_bytes())).is_ok());
    // What a host's own cryptography is handed.
    let set = KeySet::parse(set.as_bytes(), Origin::Remote).expect("a key set");
    let public = set.keys()[0].public();
    measure(c, "key: its encoding for the host", || black_box(public).spki().is_some());
    measure(c, "signature: ES256 in DER for the host", || Alg::Es256.der_signature(black_box(&[7; 64])).is_some());
    assert!(matches!(public, PublicKey::P256(..)));
}

/// What each VM does ten times a second for each key set that is in force: the record is read, and nothing is due.
pub fn ticks(c: &mut Criterion) {
    let mut config = with(json!({}));
    let provider = config["providers"]["main"].as_object_mut().expect("it is one");
    provider.shift_remove("local_jwks");
    provider.insert(
        "remote_jwks".into(),
        json!({"http_uri": {"uri": "http://issuer.example/", "cluster": "issuer", "timeout": "2s"}}),
    );
    let mut gateway = Gateway::new(&config);
    let (mut record, mut calls) = (None, 0);
    // The first fetch, as a host with one VM would have it.
    let mut events: Vec<Effect> = gateway.gate.handle(Event::Start, gateway.now);
    events.extend(gateway.gate.handle(Event::Tick, gateway.now));
    let body = key_set([key().jwk()]);
    while !events.is_empty() {
        let mut following = Vec::new();
        for effect in &events {
            let cas = record.as_ref().map(|_| 1);
            following.extend(match effect {
                Effect::Read(id) => gateway.gate.handle(Event::Record(*id, record.as_deref(), cas), gateway.now),
                Effect::Write(id, bytes, _) => {
                    record = Some(bytes.clone());
                    gateway.gate.handle(Event::Written(*id, true), gateway.now)
                }
                Effect::Call(id, number, _) => {
                    calls += 1;
                    let answer = Answer { status: Some(200), body: body.clone().into_bytes(), ..Answer::default() };
                    gateway.gate.handle(Event::Answer(*id, *number, Some(answer)), gateway.now)
                }
                _ => Vec::new(),
            });
        }
        events = following;
    }
    let record = record.expect("it was written");
    assert!(calls == 1 && Record::decode(&record).is_some_and(|record| record.edition.version == 1));
    let tick = |gateway: &mut Gateway| {
        let read = gateway.gate.handle(Event::Tick, gateway.now);
        let [Effect::Read(id)] = read.as_slice() else { panic!("{read:?}") };
        gateway.gate.handle(Event::Record(*id, Some(black_box(&record)), Some(1)), gateway.now)
    };
    tick(&mut gateway);
    assert!(tick(&mut gateway).is_empty(), "nothing is due");
    c.bench_function("gate: a tick with one key set in force", |b| {
        b.iter_batched(|| (), |()| tick(&mut gateway), BatchSize::SmallInput);
    });
}
