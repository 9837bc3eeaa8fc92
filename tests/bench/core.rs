//! The functions of the core, natively: `cargo bench --bench core`. What a request costs is measured in Envoy; this shows which
//! step a change made cheaper.

#[path = "../support/mint.rs"]
mod mint;

use std::hint::black_box;
use std::rc::Rc;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion};
use jwt_gate::cache::TokenCache;
use jwt_gate::config::Config;
use jwt_gate::crypto::Portable;
use jwt_gate::gate::{Event, Gate};
use jwt_gate::jose::{self, CompactJws, JoseHeader};
use jwt_gate::keys::{KeySet, Origin, Selection};
use jwt_gate::policy::Verifier;
use jwt_gate::request::{tokens, Location, RequestHead};
use jwt_gate::time::UnixTime;
use serde_json::{json, Value};

use mint::{key_set, Key, Token, ALGORITHMS, AUDIENCE, ISSUER, NOW};

fn head(path: &str, token: &str) -> RequestHead {
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    RequestHead::new(vec![
        field(":method", "GET"),
        field(":path", path),
        field(":authority", "gateway"),
        field("accept", "application/json"),
        field("user-agent", "bench"),
        field("authorization", &format!("Bearer {token}")),
    ])
}

fn gate(keys: &[&Key], rules: Value) -> Gate {
    let set = key_set(keys.iter().map(|key| key.jwk()));
    let config = json!({
        "providers": {"main": {"issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": set}}},
        "rules": rules,
    });
    let config = Config::parse(config.to_string().as_bytes()).expect("it is a configuration");
    let verifier = Verifier::new(vec![Box::new(Portable)], TokenCache::new(config.token_cache, (1, 2)));
    let documents = config.documents(1);
    Gate::new(config.semantics, documents, verifier, true)
}

fn rules(count: usize) -> Value {
    (0..count)
        .map(|n| json!({"match": {"prefix": format!("/service{n}/api")}, "requires": {"provider_name": "main"}}))
        .collect()
}

fn parsing(c: &mut Criterion) {
    let token = Token::new(&Key::rsa().named("k1")).mint();
    c.bench_function("token: shape", |b| b.iter(|| CompactJws::parse(black_box(token.as_bytes())).is_ok()));
    let jws = CompactJws::parse(token.as_bytes()).expect("it is one");
    c.bench_function("token: header", |b| b.iter(|| JoseHeader::parse(black_box(&jws)).is_ok()));
    let head = head("/orders?page=2", &token);
    c.bench_function("request: find the token", |b| b.iter(|| tokens(black_box(&head), &[Location::Bearer]).is_ok()));
    for count in [1, 20, 100] {
        let set = key_set((0..count).map(|n| Key::p256(n + 1).named(&n.to_string()).jwk()));
        let parse = || KeySet::parse(black_box(set.as_bytes()), Origin::Remote).is_ok();
        c.bench_function(&format!("key set: parse {count} keys"), |b| b.iter(parse));
    }
}

fn checking(c: &mut Criterion) {
    for alg in ALGORITHMS {
        let key = Key::of(alg, false).named("k1");
        let token = Token::new(&key).alg(alg).mint();
        let set = KeySet::parse(key_set([key.jwk()]).as_bytes(), Origin::Local).expect("it is a set");
        let jws = CompactJws::parse(token.as_bytes()).expect("it is a token");
        let header = JoseHeader::parse(&jws).expect("it has a header");
        let Selection::Keys(keys) = set.select(header.kid.as_deref(), header.alg) else { panic!("no key for {alg}") };
        let keys: Vec<Rc<_>> = keys.into_iter().cloned().collect();
        let keys: Vec<&Rc<_>> = keys.iter().collect();
        let crypto: Vec<Box<dyn jwt_gate::crypto::CryptoProvider>> = vec![Box::new(Portable)];
        let check = || jose::verify(black_box(&jws), &header, &keys, &crypto).is_ok();
        assert!(check(), "{alg}");
        c.bench_function(&format!("signature and claims: {alg}"), |b| b.iter(check));
    }
}

fn deciding(c: &mut Criterion) {
    let key = Key::rsa().named("k1");
    let token = Token::new(&key).mint();
    let now = UnixTime::from_secs(NOW);
    for count in [1, 100, 1000] {
        let mut gate = gate(&[&key], rules(count));
        let head = head(&format!("/service{}/api/x", count - 1), &token);
        c.bench_function(&format!("gate: a known token, the last of {count} rules"), |b| {
            b.iter_batched(|| head.clone(), |head| gate.handle(Event::Request(1, head), now), BatchSize::SmallInput);
        });
    }
}

criterion_group!(core, parsing, checking, deciding);
criterion_main!(core);
