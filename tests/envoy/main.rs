//! The module in a real Envoy with two worker threads. `make test` builds the module and installs Envoy; `ENVOY=docker` runs the
//! same tests against a container.
//!
//! Every test starts an Envoy, an issuer and a service of its own, on free ports of the loopback.

// What is forbidden to the core is the business of a host.
#![allow(clippy::disallowed_methods)]

mod crowd;
#[path = "../support/envoy.rs"]
mod envoy;
#[allow(dead_code)] // Of what the benchmarks ask the machine, the tests use a part.
#[path = "../bench/machine.rs"]
mod machine;
#[path = "../support/mint.rs"]
mod mint;
mod modules;
mod proxy;
#[allow(dead_code)] // Made for a fuzz target, which asks about the other padding, too.
#[path = "../../fuzz/src/rsa_case.rs"]
mod rsa_case;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/signature_cases.rs"]
mod signature_cases;
#[path = "../support/wire.rs"]
mod wire;

mod answers;
mod asking;
mod clock;
mod clock_steps;
mod configuration;
mod dry_run;
mod early;
mod expressions;
mod faults;
mod forwarding;
mod hostile;
mod interop;
mod key_age;
mod key_pace;
mod key_times;
mod keys;
mod metadata;
mod parked;
mod published;
mod reload;
mod responses;
mod revocation;
mod secrets;
mod seen;
mod soak;
mod trap;

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use mint::{encode, Key, Token, AUDIENCE, ISSUER};
use proxy::{Options, Proxy};
use servers::{Behaviour, Issuer};

/// Where the issuer of the tests has its key set.
const JWKS: &str = "/jwks.json";

/// A provider of the tests' issuer.
fn provider() -> Value {
    json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "remote_jwks": {"http_uri": {"uri": format!("http://issuer.example{JWKS}"), "cluster": "issuer", "timeout": "2s"}},
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    })
}

/// A configuration with that provider alone: every route closed.
fn closed() -> Value {
    json!({"providers": {"main": provider()}})
}

/// A token that such a provider takes.
fn token(key: &Key) -> Token {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    Token::at(key, now.as_secs())
}

/// A token that names a key which nobody has.
fn of_unknown_key(kid: &str) -> String {
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    format!("{}.e30.{}", encode(header.as_bytes()), encode(&[1; 64]))
}

/// An issuer that publishes these keys.
fn issuer(keys: &[&Key]) -> Issuer {
    let issuer = Issuer::start();
    issuer.set(JWKS, key_set(keys));
    issuer
}

/// An issuer whose answer is held back until the flag is set, and a provider that waits for it for so long.
fn held_issuer(key: &Key) -> (Issuer, Arc<AtomicBool>, Value) {
    let (issuer, open) = (Issuer::start(), Arc::new(AtomicBool::new(false)));
    issuer.set(JWKS, Behaviour::Held(Arc::clone(&open), Box::new(key_set(&[key]))));
    let mut main = provider();
    main["remote_jwks"]["http_uri"]["timeout"] = json!("60s");
    (issuer, open, main)
}

fn key_set(keys: &[&Key]) -> Behaviour {
    Behaviour::json(&json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}))
}

/// Envoy with that configuration, once the gate has keys on both workers' behalf.
fn start(gate: &Value, issuer: &Issuer) -> Proxy {
    let proxy = Proxy::start(gate, issuer);
    proxy::eventually("the first key set", || proxy.count("jwt_gate_jwks_fetch_ok") > 0);
    proxy
}

/// The same with four workers, each with a VM of its own, and one on the main thread.
fn start_with_four_workers(gate: &Value, issuer: &Issuer) -> Proxy {
    let proxy = Proxy::try_start(gate, issuer, Options { workers: 4, ..Options::default() }).expect("Envoy starts");
    proxy::eventually("the first key set", || proxy.count("jwt_gate_jwks_fetch_ok") > 0);
    proxy
}
