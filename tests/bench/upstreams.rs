//! The whole gate, natively, with what it has from others: revocation lists, key sets that change, and the answers of services.

// What is forbidden to the core is the business of a host.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use criterion::Criterion;
use jwt_gate::gate::{Effect, Event};
use jwt_gate::limits::MAX_REVOCATIONS;
use jwt_gate::remote::Answer;
use serde_json::{json, Value};

use crate::decisions::{config, key, request, rule, Gateway, PASSES};
use crate::head;
use crate::mint::{key_set, Key, Token, AUDIENCE, ISSUER, NOW};

/// How long a key set may be used, in seconds.
const REFRESH: u64 = 300;

const CENTURY: i64 = 100 * 365 * 24 * 60 * 60;

impl Gateway {
    /// Handles what happened, and says the same to every question of the gate.
    fn answering(&mut self, event: Event<'_>, body: &str) -> Vec<Effect> {
        let answer = || Some(Answer { status: Some(200), body: body.into(), ..Answer::default() });
        let mut all = Vec::new();
        let mut next = self.gate.handle(event, self.now);
        while !next.is_empty() {
            let mut following = Vec::new();
            for effect in &next {
                let event = match effect {
                    // No other VM shares anything.
                    Effect::Read(id) => Event::Record(*id, None, None),
                    Effect::Write(id, ..) => Event::Written(*id, true),
                    Effect::Load(id) => Event::Entry(*id, None),
                    Effect::Call(id, number, _) => Event::Answer(*id, *number, answer()),
                    Effect::Ask(_, number, _) => Event::Answered(*number, answer()),
                    Effect::Settle(id) => Event::Settled(*id),
                    _ => continue,
                };
                following.extend(self.gate.handle(event, self.now));
            }
            all.append(&mut next);
            next = following;
        }
        all
    }
}

/// What is fetched, by `field` of the provider.
fn fetched(field: &str, more: Value) -> Value {
    let mut config = config(&key(), json!([rule(json!({"prefix": "/"}))]));
    let provider = config["providers"]["main"].as_object_mut().expect("it is one");
    if field == "remote_jwks" {
        provider.shift_remove("local_jwks");
    }
    provider.insert(field.to_owned(), more);
    provider[field]["http_uri"] = json!({"uri": "http://issuer.example/", "cluster": "issuer", "timeout": "2s"});
    config
}

/// A known token, which is looked for in a list each time.
pub fn revocation(c: &mut Criterion) {
    let others = (1..MAX_REVOCATIONS).map(|number| format!("{number:032x}"));
    let revoked: Vec<Value> = others.chain(["gone".to_owned()]).map(|id| json!({"jti": id})).collect();
    let revoked = json!({ "revoked": revoked }).to_string();
    let mut gateway = Gateway::new(&fetched("revocation", json!({})));
    gateway.answering(Event::Start, "");
    gateway.answering(Event::Tick, &revoked);
    let of = |id: &str| head("/orders", Some(Token::new(&key()).claim("jti", id).bearer()));
    assert_eq!(gateway.outcome(&of("gone")).0, "token_revoked");
    let name = format!("gate: a known token that is not among {MAX_REVOCATIONS} revoked");
    gateway.measure(c, &name, &of("here"), PASSES);
}

/// A known token for the first time after a refresh brought another key beside its own, which is looked for in the new set.
pub fn rotation(c: &mut Criterion) {
    let others = [1, 2].map(|seed| Key::p256(seed).named("other"));
    let sets = others.clone().map(|other| key_set([key().jwk(), other.jwk()]));
    let mut gateway = Gateway::new(&fetched("remote_jwks", json!({"cache_duration": format!("{REFRESH}s")})));
    gateway.answering(Event::Start, "");
    gateway.answering(Event::Tick, &sets[0]);
    // However many times this is done, it does not expire.
    let of = |key: &Key| head("/orders", Some(Token::new(key).expires_in(CENTURY).bearer()));
    let request = of(&key());
    assert_eq!(gateway.outcome(&request), ("allowed", 1));
    let mut number = 0;
    let name = "gate: a known token, after its key set changed";
    let mut after_one_more = |gateway: &mut Gateway| {
        number += 1;
        gateway.now = gateway.now.plus(Duration::from_secs(REFRESH));
        gateway.answering(Event::Tick, &sets[number % 2]);
        request.clone()
    };
    let next = after_one_more(&mut gateway);
    assert_eq!(gateway.outcome(&next), PASSES, "{name}");
    // The set is another one.
    assert_eq!(gateway.outcome(&of(&others[1])), ("allowed", 1), "{name}");
    let mut measure = |requests: u64| {
        let spent = (0..requests).map(|_| {
            let next = after_one_more(&mut gateway);
            let started = Instant::now();
            gateway.ask(next);
            started.elapsed()
        });
        spent.sum()
    };
    c.bench_function(name, |b| b.iter_custom(&mut measure));
}

/// Answers that are kept, of the issuer about a token and of a service about a request.
pub fn kept_answers(c: &mut Criterion) {
    let uri = json!({"uri": "http://service.example/", "cluster": "service", "timeout": "2s"});
    let active = json!({"active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 600}).to_string();
    let introspection = json!({
        "http_uri": uri, "client_id": "gate", "client_secret_env": "SECRET", "cache": {"ttl": "60s"},
    });
    let opaque = json!({"providers": {"main": {
        "issuer": ISSUER, "audiences": [AUDIENCE], "introspection": introspection,
    }}});
    let mut asks = rule(json!({"prefix": "/"}));
    asks["authorize"] = json!({"service": {"http_uri": uri, "protocol": "authzen", "cache": {"ttl": "60s"}}});
    for (name, config, request, answer) in [
        ("gate: a token that its issuer was asked about", opaque, head("/orders", Some("Bearer abc".into())), &*active),
        (
            "gate: a known token and a request that a service was asked about",
            config(&key(), json!([asks])),
            request("/orders"),
            r#"{"decision":true}"#,
        ),
    ] {
        let mut gateway = Gateway::new(&config);
        let effects = gateway.answering(Event::Request(1, request.clone()), answer);
        let asked = effects.iter().filter(|effect| matches!(effect, Effect::Ask(..))).count();
        assert!(asked == 1 && effects.iter().any(|effect| matches!(effect, Effect::Allow(..))), "{name}: {effects:?}");
        gateway.measure(c, name, &request, PASSES);
    }
}

/// A good token that comes again and again, while a flood of others would push it out: itself alone is measured.
pub fn flood(c: &mut Criterion) {
    const MOST: usize = 500;
    let key = Key::p256(1).named("k1");
    let of = |key: &Key, number: usize| {
        head("/orders", Some(Token::new(key).claim("jti", format!("{number:032x}")).bearer()))
    };
    let good = of(&key, usize::MAX);
    let flood_by = |key: &Key| -> Vec<_> { (0..4 * MOST).map(|number| of(key, number)).collect() };
    for (what, flood) in [
        ("alone", Vec::new()),
        ("amid ten times as many forged ones", flood_by(&Key::p256(2).named("k1"))),
        ("amid ten times as many good ones that do not come again", flood_by(&key)),
    ] {
        let mut config = config(&key, json!([rule(json!({"prefix": "/"}))]));
        config["token_cache"] = json!({"max_entries": MOST});
        let mut gateway = Gateway::new(&config);
        let mut others = flood.iter().cycle();
        let mut measure = |requests: u64| {
            let spent = (0..requests).map(|_| {
                others.by_ref().take(10).for_each(|other| drop(gateway.ask(other.clone())));
                let good = good.clone();
                let started = Instant::now();
                gateway.ask(good);
                started.elapsed()
            });
            spent.sum()
        };
        let _: Duration = measure(MOST as u64);
        c.bench_function(&format!("gate: a known token, {what}"), |b| b.iter_custom(&mut measure));
        assert_eq!(gateway.outcome(&good), PASSES, "{what}");
    }
}

/// A rule's expression, where the build has them.
pub fn expressions(c: &mut Criterion) {
    if !cfg!(feature = "cel") {
        return;
    }
    let mut rule = rule(json!({"prefix": "/users"}));
    rule["authorize"] =
        json!({"cel": "claims.roles.exists(role, role == 'admin') && request.path.startsWith('/users/' + claims.sub)"});
    let mut gateway = Gateway::new(&config(&key(), json!([rule])));
    let of = |role: &str| {
        let token = Token::new(&key()).claim("sub", "alice").claim("roles", json!(["clerk", role]));
        head("/users/alice/orders", Some(token.bearer()))
    };
    assert_eq!(gateway.outcome(&of("guest")).0, "claim_insufficient");
    gateway.measure(c, "gate: a known token, authorized by an expression", &of("admin"), PASSES);

    // The most values for which it is evaluated.
    let mut rule = crate::decisions::rule(json!({"prefix": "/"}));
    rule["authorize"] = json!({"cel": "claims.a.all(x, claims.a.all(y, x + y >= 0))"});
    let mut gateway = Gateway::new(&config(&key(), json!([rule])));
    let of = |count: usize| head("/orders", Some(Token::new(&key()).claim("a", vec![1; count]).bearer()));
    let most = (1..1000).take_while(|&count| gateway.outcome(&of(count)).0 == "allowed").last().expect("some pass");
    assert!(most > 10, "{most}");
    gateway.measure(c, "gate: a known token, an expression of as many steps as there may be", &of(most), PASSES);
}
