//! The whole gate, natively: from the head of a request to the decision, and of a refusal to the answer as it is sent.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{BatchSize, Criterion};
use jwt_gate::cache::TokenCache;
use jwt_gate::config::Config;
use jwt_gate::crypto::{Alg, CryptoProvider, Portable, PublicKey};
use jwt_gate::gate::{Effect, Event, Gate};
use jwt_gate::policy::Verifier;
use jwt_gate::request::RequestHead;
use jwt_gate::time::UnixTime;
use serde_json::{json, Map, Value};

use crate::mint::{key_set, Key, Token, AUDIENCE, ISSUER, NOW};
use crate::{fields, head};

/// How a request with a known token ends, and after how many signature checks.
pub const PASSES: (&str, u64) = ("allowed", 0);

/// A gate and its clock.
pub struct Gateway {
    pub gate: Gate,
    pub now: UnixTime,
    pub checks: Rc<Cell<u64>>,
}

/// The provider in pure Rust, and how often it was asked: without that, a known token looks like any other.
struct Counting(Rc<Cell<u64>>);

impl CryptoProvider for Counting {
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool> {
        self.0.set(self.0.get() + 1);
        Portable.verify(key, alg, message, signature)
    }
}

impl Gateway {
    pub fn new(config: &Value) -> Self {
        let environment = |_: &str| Some("a secret".to_owned());
        let config = Config::parse_in(config.to_string().as_bytes(), &environment).expect("it is a configuration");
        let checks = Rc::default();
        let crypto = Counting(Rc::clone(&checks));
        let verifier = Verifier::new(vec![Box::new(crypto)], TokenCache::new(config.token_cache, (1, 2)));
        let documents = config.documents(1);
        let mut gate = Gate::new(config.semantics, documents, verifier, true);
        config.shadow.into_iter().for_each(|shadow| gate.cast_shadow(shadow));
        Self { gate, now: UnixTime::from_secs(NOW), checks }
    }

    /// Decides about a request, and makes what the host sends if that is a refusal.
    pub fn ask(&mut self, head: RequestHead) -> Vec<Effect> {
        let effects = self.gate.handle(Event::Request(1, head), self.now);
        for effect in &effects {
            if let Effect::Deny(_, denial, grpc) = effect {
                black_box((denial.local_response(*grpc), denial.details()));
            }
        }
        effects
    }

    /// How a request ends, and after how many signature checks.
    pub fn outcome(&mut self, head: &RequestHead) -> (&'static str, u64) {
        let before = self.checks.get();
        let effects = self.ask(head.clone());
        let outcome = effects.iter().find_map(|effect| match effect {
            Effect::Allow(..) => Some("allowed"),
            Effect::Deny(_, denial, _) => Some(denial.reason.code()),
            Effect::Reply(..) => Some("replied"),
            _ => None,
        });
        (outcome.unwrap_or_else(|| panic!("{effects:?}")), self.checks.get() - before)
    }

    /// Measures a request that came before: its token is known, if it ever was good.
    pub fn measure(&mut self, c: &mut Criterion, name: &str, head: &RequestHead, expected: (&str, u64)) {
        self.outcome(head);
        assert_eq!(self.outcome(head), expected, "{name}");
        c.bench_function(name, |b| b.iter_batched(|| head.clone(), |head| self.ask(head), BatchSize::SmallInput));
    }
}

pub fn config(key: &Key, rules: Value) -> Value {
    let set = key_set([key.jwk()]);
    json!({
        "providers": {"main": {"issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": set}}},
        "rules": rules,
    })
}

pub fn rule(matches: Value) -> Value {
    json!({"match": matches, "requires": {"provider_name": "main"}})
}

pub fn key() -> Key {
    Key::rsa().named("k1")
}

/// A request with a token of [`key`].
pub fn request(path: &str) -> RequestHead {
    head(path, Some(Token::new(&key()).bearer()))
}

/// Known tokens: what is left is mostly to find the rule.
pub fn rules(c: &mut Criterion) {
    let template = |n: usize| {
        let template = json!({
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": format!("/service{n}/api/{{id}}"),
        });
        json!({"path_match_policy": {"name": "template", "typed_config": template}})
    };
    type Form<'f> = &'f dyn Fn(usize) -> Value;
    let forms: [(&str, &[usize], Form<'_>); 3] = [
        ("rules", &[1, 100, 1000], &|n| json!({"prefix": format!("/service{n}/api")})),
        ("regular expressions", &[1, 1000], &|n| json!({"safe_regex": {"regex": format!("/service{n}/api/[a-z]+")}})),
        ("path templates", &[1, 1000], &template),
    ];
    for (what, counts, form) in forms {
        for &count in counts {
            let mut rules: Vec<Value> = (0..count).map(|n| rule(form(n))).collect();
            let path = format!("/service{}/api/x", count - 1);
            let name = format!("gate: a known token, the last of {count} {what}");
            let mut gateway = Gateway::new(&config(&key(), rules.as_slice().into()));
            // A good token passes without a rule as well, no token only by one that is public.
            rules[count - 1] = json!({"match": form(count - 1), "public": true});
            let mut public = Gateway::new(&config(&key(), rules.into()));
            assert_eq!(public.outcome(&head(&path, None)), PASSES, "{name}");
            gateway.measure(c, &name, &request(&path), PASSES);
        }
    }
}

/// Rules that the path does not tell apart: each is asked for its host.
pub fn hosts(c: &mut Criterion) {
    for count in [1, 1000] {
        let asks = |n: usize| {
            let host = if n + 1 == count { "gateway".to_owned() } else { format!("tenant-{n}") };
            let host = json!({"name": ":authority", "string_match": {"exact": host}});
            rule(json!({"prefix": "/", "headers": [host]}))
        };
        let rules: Vec<Value> = (0..count).map(asks).collect();
        let mut gateway = Gateway::new(&config(&key(), rules.into()));
        for (what, path) in [("", "/orders"), (", in 4 readings of the path", "/a%2fb%2fc")] {
            let name = format!("gate: a known token, the last of {count} rules for hosts{what}");
            gateway.measure(c, &name, &request(path), PASSES);
        }
    }
}

/// Tokens that come for the first time, another one each time, until the cache is full and beyond.
pub fn new_tokens(c: &mut Criterion) {
    for key in [Key::p256(1), Key::ed25519(1)] {
        let key = key.named("k1");
        let gateway = Gateway::new(&config(&key, json!([rule(json!({"prefix": "/"}))])));
        new_ones(c, &format!("gate: a token never seen, {}", key.alg()), gateway, &key);
    }
}

fn new_ones(c: &mut Criterion, name: &str, mut gateway: Gateway, key: &Key) {
    let mut number = 0;
    let mut new = || {
        number += 1;
        head("/orders", Some(Token::new(key).claim("jti", format!("{number:032x}")).bearer()))
    };
    for _ in 0..2 {
        assert_eq!(gateway.outcome(&new()), ("allowed", 1), "{name}");
    }
    c.bench_function(name, |b| b.iter_batched(&mut new, |head| gateway.ask(head), BatchSize::SmallInput));
}

/// What a rule asks for beyond a good token.
pub fn authorization(c: &mut Criterion) {
    let request = |sub: &str, scope: &str, role: &str| {
        let token = Token::new(&key()).claim("sub", sub).claim("scope", scope).claim("roles", json!(["clerk", role]));
        head("/users/alice/orders", Some(token.bearer()))
    };
    let other = request("mallory", "inventory:read", "guest");
    for (what, authorize, refusal) in [
        ("scopes", json!({"scopes": {"all_of": ["orders:read", "orders:write"]}}), "scope_insufficient"),
        ("any_of", json!({"claims": [{"claim": "roles", "any_of": ["auditor", "admin"]}]}), "claim_insufficient"),
        ("{path.1}", json!({"claims": [{"claim": "sub", "equals": "{path.1}"}]}), "claim_insufficient"),
    ] {
        let mut rule = rule(json!({"prefix": "/users"}));
        rule["authorize"] = authorize;
        let mut gateway = Gateway::new(&config(&key(), json!([rule])));
        let name = format!("gate: a known token, authorized by {what}");
        // What asks for nothing would let everyone pass.
        assert_eq!(gateway.outcome(&other).0, refusal, "{name}");
        gateway.measure(c, &name, &request("alice", "orders:read orders:write", "admin"), PASSES);
    }
}

/// What the service and the access log get of a token.
pub fn outputs(c: &mut Criterion) {
    let mut config = config(&key(), json!([rule(json!({"prefix": "/"}))]));
    let provider = &mut config["providers"]["main"];
    let claims = [("x-user", "sub"), ("x-audience", "aud"), ("x-expires", "exp")];
    provider["claim_to_headers"] =
        claims.map(|(header, claim)| json!({"header_name": header, "claim_name": claim})).as_slice().into();
    provider["forward_payload_header"] = "x-payload".into();
    provider["payload_in_metadata"] = "payload".into();
    let mut gateway = Gateway::new(&config);
    let request = request("/orders");
    let effects = gateway.ask(request.clone());
    let Some(Effect::Allow(_, edits)) = effects.last() else { panic!("{effects:?}") };
    let headers: Vec<&str> = edits.set.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["x-payload", "x-user", "x-audience", "x-expires"]);
    assert!(matches!(edits.state.as_slice(), [(_, payload)] if payload.contains(ISSUER)), "{:?}", edits.state);
    gateway.measure(c, "gate: a known token, claims and payload handed on", &request, PASSES);
}

/// Tokens in other places than `Authorization`, which are found there and taken out.
pub fn places(c: &mut Criterion) {
    let token = Token::new(&key()).mint();
    let cookies = [("cookie".to_owned(), format!("theme=dark; session={token}").into_bytes())];
    let cookie = RequestHead::new(fields("/orders", None).into_iter().chain(cookies).collect());
    for (what, place, request) in [
        ("a parameter", json!({"from_params": ["token"]}), head(&format!("/orders?page=2&token={token}"), None)),
        ("a cookie", json!({"from_cookies": ["session"]}), cookie),
    ] {
        let mut config = config(&key(), json!([rule(json!({"prefix": "/"}))]));
        let provider = config["providers"]["main"].as_object_mut().expect("it is one");
        provider.extend(place.as_object().expect("it is one").clone());
        Gateway::new(&config).measure(c, &format!("gate: a known token in {what}"), &request, PASSES);
    }
}

/// Several providers that look at one token: the last one's.
pub fn providers(c: &mut Criterion) {
    for count in [1, 2, 10] {
        let provider = |number: usize| {
            let key = if number + 1 == count {
                key()
            } else {
                Key::ed25519(1 + number as u8).named(&format!("other-{number}"))
            };
            let provider = &config(&key, json!([]))["providers"]["main"];
            (format!("provider-{number}"), provider.clone())
        };
        let providers: Map<_, _> = (0..count).map(provider).collect();
        let mut gateway = Gateway::new(&json!({ "providers": providers }));
        let name = format!("gate: a known token, the last of {count} providers");
        // What the others say of it is known from the second time on.
        gateway.outcome(&request("/orders"));
        gateway.measure(c, &name, &request("/orders"), PASSES);
    }
}

/// What else can be configured beside a rule, each for itself.
pub fn extras(c: &mut Criterion) {
    let plain = || config(&key(), json!([rule(json!({"prefix": "/"}))]));
    let with = |field: &str, value: Value| {
        let mut config = plain();
        config[field] = value;
        config
    };
    let mut texts = plain();
    texts["providers"]["main"]["claim_to_headers"] =
        json!([{"header_name": "x-caller", "value": "{claims.iss} {claims.sub}"}]);
    for (what, config) in [
        ("a text of claims in a header", texts),
        ("an access log", with("access_log", json!(["outcome", "code", "provider", "sub", "kid"]))),
        ("a shadow", with("shadow", plain())),
    ] {
        Gateway::new(&config).measure(c, &format!("gate: a known token, with {what}"), &request("/orders"), PASSES);
    }
}

/// Paths that others may read otherwise: in each reading, the rule is looked for again.
pub fn paths(c: &mut Criterion) {
    let rules = ["/closed", "/open"].map(|prefix| rule(json!({ "prefix": prefix })));
    let mut gateway = Gateway::new(&config(&key(), rules.as_slice().into()));
    for (what, path, expected) in [
        ("all under one rule", "/open/a%2fb%2fc", PASSES),
        ("under two rules", "/open/a%2f..%2f..%2fclosed", ("path_ambiguous", 0)),
    ] {
        let name = format!("gate: a path with encoded slashes, its readings {what}");
        gateway.measure(c, &name, &request(path), expected);
    }
}

/// Refusals: an attacker chooses how many there are.
pub fn refusals(c: &mut Criterion) {
    let key = Key::p256(1).named("k1");
    let mut gateway = Gateway::new(&config(&key, json!([rule(json!({"prefix": "/"}))])));
    gateway.measure(c, "gate: no token", &head("/orders", None), ("token_missing", 0));
    let forged = Token::new(&Key::p256(2).named("k1"));
    let forged = head("/orders", Some(forged.bearer()));
    gateway.measure(c, "gate: a forged signature, ES256", &forged, ("signature_invalid", 1));
    let good = head("/orders", Some(Token::new(&key).bearer()));
    assert_eq!(gateway.outcome(&good), ("allowed", 1));
    gateway.now = UnixTime::from_secs(NOW + 3600);
    gateway.measure(c, "gate: a known token that has expired", &good, ("token_expired", 0));
}

/// The way of Envoy's own filter.
pub fn jwt_authn(c: &mut Criterion) {
    let mut config = config(&key(), json!([rule(json!({"prefix": "/"}))]));
    config["semantics"] = "jwt_authn".into();
    let mut gateway = Gateway::new(&config);
    let good = request("/orders");
    assert_eq!(gateway.outcome(&good), ("allowed", 1));
    gateway.measure(c, "gate: a known token, `semantics: jwt_authn`", &good, PASSES);

    let key = Key::p256(1).named("k1");
    config["providers"]["main"]["local_jwks"]["inline_string"] = key_set([key.jwk()]).into();
    let gateway = Gateway::new(&config);
    new_ones(c, "gate: a token never seen, `semantics: jwt_authn`, ES256", gateway, &key);
}
