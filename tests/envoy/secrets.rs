//! A token is a secret: nothing that the gate writes holds a part of one, good or bad, wherever it was in the request.
//!
//! Envoy's own components log whole requests at level debug, `http` and `router` among them: that is the operator's to switch on,
//! and no filter can keep Envoy from it. So it is the component `wasm` that is at its most talkative here, at level trace: there
//! Envoy writes what the module logs at any level, and each call between the two with its arguments.

use std::collections::HashSet;

use serde_json::{json, Value};

use crate::asking::{active, decided_by, opaque, DECISION, INTROSPECTION};
use crate::envoy::INTROSPECTION_SECRET;
use crate::mint::{encode, Key, AUDIENCE};
use crate::proxy::{eventually, Options, Proxy};
use crate::seen::log_lines;
use crate::servers::{Behaviour, Issuer};
use crate::wire::{get, Message, Request};
use crate::{issuer, key_set, provider, token, JWKS};

/// So many bytes in a row are a part of a token.
const PART: usize = 16;

/// In a secret of the configuration, in claims, and in a document that is no key set.
const MARKER: &str = "marker-that-nobody-else-writes";

/// Below this path the issuer is asked what a token is.
const OPAQUE: &str = "/opaque";

/// How much of the URI a challenge repeats with `semantics: jwt_authn`, as the README says.
const REPEATED: usize = 256;

/// Every run of [`PART`] bytes that must not be found.
#[derive(Default)]
pub struct Secrets(HashSet<[u8; PART]>);

impl Secrets {
    pub fn add(&mut self, secret: &str) {
        self.0.extend(secret.as_bytes().windows(PART).filter_map(|part| <[u8; PART]>::try_from(part).ok()));
    }

    fn find<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        text.windows(PART).find(|part| self.0.contains(*part))
    }

    pub fn assert_not_in(&self, text: &[u8], what: &str) {
        let found = self.find(text).map(String::from_utf8_lossy);
        assert_eq!(found, None, "a part of a token is in {what}");
    }
}

fn shared() -> Key {
    Key::hmac(MARKER.repeat(2).as_bytes()).named("shared")
}

fn gate(semantics: &str) -> Value {
    let places = json!({
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x-token"}],
        "from_params": ["t"],
        "from_cookies": ["c"],
    });
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = "1s".into();
    let keys = json!({"keys": [shared().jwk()]}).to_string();
    let mut other =
        json!({"issuer": "https://shared.example", "audiences": [AUDIENCE], "local_jwks": {"inline_string": keys}});
    if semantics == "jwt_gate" {
        other["algorithms"] = json!(["HS256"]);
    }
    for (name, value) in places.as_object().expect("it is an object") {
        main[name] = value.clone();
        other[name] = value.clone();
    }
    let either = json!({"requires_any": {"requirements": [{"provider_name": "main"}, {"provider_name": "other"}]}});
    let mut gate = json!({
        "semantics": semantics,
        "providers": {"main": main, "other": other},
        "rules": [{"match": {"prefix": "/"}, "requires": either}],
        "access_log": ["outcome", "code", "provider", "sub", "kid"],
    });
    if semantics == "jwt_gate" {
        gate["providers"]["opaque"] = opaque();
        let service = decided_by(json!({"protocol": "authzen"}));
        gate["rules"] = json!([
            {"match": {"prefix": OPAQUE}, "requires": {"provider_name": "opaque"}, "authorize": {"service": service}},
            {"match": {"prefix": "/"}, "requires": either, "authorize": {"service": service}},
        ]);
        let stricter =
            json!({"issuer": "https://shared.example", "audiences": ["others"], "local_jwks": {"inline_string": keys}});
        gate["shadow"] = json!({"providers": {"other": stricter}});
        gate["shadow"]["providers"]["other"]["algorithms"] = json!(["HS256"]);
        gate["responses"] = json!([
            {"codes": ["token_expired"], "redirect": {"location": "https://login.example/?to={path}&why={code}"}},
            {"body": "{code}: {detail}", "headers": [{"name": "x-code", "value": "{code}"}]},
        ]);
    }
    gate
}

/// Tokens by what is the matter with them.
fn tokens(key: &Key) -> Vec<(&'static str, String)> {
    let token = |key: &Key| token(key).claim("private", MARKER);
    let good = token(key).mint();
    let (unsigned, signature) = good.rsplit_once('.').expect("a token has a signature");
    let other = token(key).claim("sub", "mallory").mint();
    let (_, signature_of_other) = other.rsplit_once('.').expect("a token has a signature");
    let with_secret = token(&shared()).claim("iss", "https://shared.example");
    vec![
        ("good, by a remote key", good.clone()),
        ("good, by a secret", with_secret.mint()),
        ("forged", format!("{unsigned}.{signature_of_other}")),
        ("signed by another key", token(&Key::other_rsa().named("k1")).mint()),
        ("signed by an unknown key", token(&Key::p256(1).named("unknown")).mint()),
        ("by a public key as secret", token(&Key::hmac(key.public_pem().as_bytes()).named("k1")).mint()),
        ("by another secret", token(&Key::hmac(&[7; 64])).claim("iss", "https://shared.example").mint()),
        ("expired", token(key).expires_in(-1000).mint()),
        ("of another issuer", token(key).claim("iss", MARKER).mint()),
        ("for another audience", token(key).claim("aud", MARKER).mint()),
        ("a claim of a wrong type", token(key).claim("sub", json!([MARKER])).mint()),
        ("a header of a wrong type", token(key).header("kid", json!([MARKER])).mint()),
        ("without a signature", format!("{unsigned}.")),
        ("with a fourth part", format!("{good}.{signature}")),
        ("in the other alphabet", format!("{good}+/")),
        ("no JSON", format!("{}.{}.{signature}", encode(MARKER.as_bytes()), encode(MARKER.as_bytes()))),
        ("no token", MARKER.to_owned()),
        ("oversized", token(key).claim("filler", MARKER.repeat(600)).mint()),
        ("beyond Envoy's own bound", format!("{good}{}", "x".repeat(70_000))),
    ]
}

/// Requests that carry `token`, by where.
fn requests(token: &str) -> [(&'static str, Request); 5] {
    [
        ("Authorization", get("/").bearing(token)),
        ("a header", get("/").with("x-token", token)),
        ("the query", get(&format!("/?t={token}"))),
        ("a cookie", get("/").with("cookie", format!("a=b; c={token}"))),
        (
            "all of them",
            get(&format!("/?t={token}")).bearing(token).with("x-token", token).with("cookie", format!("c={token}")),
        ),
    ]
}

/// What was answered, without the part of the URI that a challenge of `jwt_authn` repeats.
fn said(answer: &Message, semantics: &str, target_is_secret: bool) -> Vec<u8> {
    let mut said = answer.start.clone().into_bytes();
    for (name, value) in &answer.fields {
        let is_repeated = semantics == "jwt_authn" && target_is_secret && name == "www-authenticate";
        let value = match value
            .split_once("realm=\"http://gateway/")
            .and_then(|(before, rest)| Some((before, rest.split_once('"')?)))
        {
            Some((before, (uri, after))) if is_repeated => {
                assert!(uri.len() < REPEATED, "a challenge repeats {} bytes", uri.len());
                format!("{before}{after}")
            }
            _ => value.clone(),
        };
        said.extend_from_slice(format!("\n{name}: {value}").as_bytes());
    }
    // A body of 200 is the service's, which says what it got. Envoy leaves it the cookie of a token.
    if semantics == "jwt_gate" || answer.status() != 200 {
        said.extend_from_slice(b"\n\n");
        said.extend_from_slice(&answer.body);
    }
    said
}

/// Shows tokens that are none of the gate's to read, while the issuer knows them, does not know them, and is silent; and good ones
/// while the service that is asked says no, and nothing. None of them is in an answer.
fn ask_others(proxy: &Proxy, issuer: &Issuer, good: &str, secrets: &mut Secrets) {
    secrets.add(INTROSPECTION_SECRET);
    secrets.add(&base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("gate:{INTROSPECTION_SECRET}")));
    let mut check = |what: &str, token: &str, target: &str, status: u16| {
        secrets.add(token);
        let answer = proxy.send(&get(target).bearing(token));
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
        secrets.assert_not_in(&said(&answer, "jwt_gate", false), &format!("the answer to a token that is {what}"));
    };
    let opaque = |name: &str| format!("{name}+of~the/issuer.that-nobody_else-knows==");
    check("known to the issuer", &opaque("known"), OPAQUE, 200);
    issuer.set(INTROSPECTION, Behaviour::json(&json!({"active": false, "sub": MARKER})));
    check("unknown to the issuer", &opaque("unknown"), OPAQUE, 401);
    issuer.set(INTROSPECTION, Behaviour::Close);
    check("not answered by the issuer", &opaque("unanswered"), OPAQUE, 503);
    issuer.set(DECISION, Behaviour::json(&json!({"decision": false, "context": {"reason": MARKER}})));
    check("not allowed by the service", good, "/", 403);
    issuer.set(DECISION, Behaviour::Close);
    check("not answered by the service", good, "/", 503);
}

fn check(semantics: &str) {
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    issuer.set(INTROSPECTION, Behaviour::json(&active()));
    issuer.set(DECISION, Behaviour::json(&json!({"decision": true})));
    let options = Options { logs: "wasm:trace,config:info", change: log_lines, ..Options::default() };
    let proxy = Proxy::try_start(&gate(semantics), &issuer, options).unwrap_or_else(|log| panic!("{log}"));
    eventually("the first key set", || proxy.count("jwt_gate_jwks_fetch_ok") > 0);

    let mut secrets = Secrets::default();
    secrets.add(MARKER);
    secrets.add(&encode(MARKER.repeat(2).as_bytes()));
    let mut statuses = HashSet::new();
    for (name, token) in tokens(&key) {
        secrets.add(&token);
        for (place, request) in requests(&token) {
            let answer = proxy.send(&request);
            statuses.insert(answer.status());
            let in_target = matches!(place, "the query" | "all of them");
            secrets
                .assert_not_in(&said(&answer, semantics, in_target), &format!("the answer to one {name} in {place}"));
            let good = name.starts_with("good") && place != "all of them";
            assert!(!good || answer.status() == 200, "{name} in {place}: {}", answer.text());
        }
    }
    assert!(statuses.is_superset(&HashSet::from([200, 401, 431])), "{statuses:?}");

    if semantics == "jwt_gate" {
        ask_others(&proxy, &issuer, &tokens(&key)[0].1, &mut secrets);
    }

    // What is logged besides denials: a key set that is none, the next one that is, and a configuration that is refused.
    issuer.set(JWKS, Behaviour::json(&json!({"keys": MARKER, MARKER: [MARKER]})));
    eventually("a fetch that failed", || proxy.count("jwt_gate_jwks_fetch_failed") > 0);
    issuer.set(JWKS, key_set(&[&Key::other_rsa().named("k2")]));
    eventually("a new key set", || proxy.log().matches("key set: 1 ").count() > 1);
    let mut refused = gate(semantics);
    refused["providers"]["other"]["unknown"] = MARKER.into();
    proxy.reconfigure(&refused);
    eventually("the refusal of a configuration", || proxy.log().contains("configuration refused"));

    let requests = tokens(&key).len() * requests("").len();
    eventually("the access log", || proxy.file("access.log").lines().count() >= requests);
    let access_log = proxy.file("access.log");
    secrets.assert_not_in(access_log.as_bytes(), "the access log");
    assert!(access_log.contains(" allowed - main alice k1\n"), "{access_log}");

    secrets.assert_not_in(proxy.admin(&get("/stats")).text().as_bytes(), "the statistics");
    secrets.assert_not_in(proxy.admin(&get("/stats/prometheus")).text().as_bytes(), "the statistics");
    eventually("the log is at its most talkative", || proxy.log().contains("denied: "));
    let log = proxy.log();
    secrets.assert_not_in(log.as_bytes(), "the log");
    assert!(log.contains("[trace][wasm]"), "the log is not at level trace");
    assert!(secrets.find(log.replace("denied: ", &tokens(&key)[0].1).as_bytes()).is_some(), "nothing is ever found");
}

#[test]
fn no_part_of_a_token_is_in_a_log_an_answer_or_a_statistic() {
    check("jwt_gate");
}

#[test]
fn no_part_of_a_token_is_in_a_log_an_answer_or_a_statistic_of_envoys_semantics_either() {
    check("jwt_authn");
}
