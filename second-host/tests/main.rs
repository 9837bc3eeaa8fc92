//! The built module in a second host: what holds in Envoy must hold where another engine runs it, where the host has no functions
//! of its own, and where it refuses what it is asked for.

mod calls;
mod deaths;
mod faults;
mod imports;
mod keys;
#[path = "../../tests/support/mint.rs"]
mod mint;
mod plain_host;
mod questions;
mod reload;
mod requests;

use jwt_gate_second_host::{Outcome, Proxy};
use serde_json::{json, Value};

use mint::{key_set, Key, Token, AUDIENCE, ISSUER, NOW};

/// What every request says, after which come its own headers.
const HEAD: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "api.example"), (":path", "/orders")];

/// Why `crypto: host` is refused in a host without the function for it.
const NO_SIGNATURES: &str = r#"crypto: this host has no "verify_signature": "auto" or "portable" would do"#;

/// A configuration of one provider, whose keys stand in it.
fn local(keys: &[&Key]) -> Value {
    configuration(json!({"local_jwks": {"inline_string": set(keys)}}))
}

/// The same, whose keys are fetched within two seconds.
fn remote() -> Value {
    let uri = json!({"uri": "http://issuer.example/jwks", "cluster": "issuer", "timeout": "2s"});
    configuration(json!({"remote_jwks": {"http_uri": uri}}))
}

fn configuration(keys: Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    });
    for (name, value) in keys.as_object().expect("an object") {
        provider[name] = value.clone();
    }
    json!({"providers": {"main": provider}})
}

fn set(keys: &[&Key]) -> String {
    key_set(keys.iter().map(|key| key.jwk()))
}

/// The module with that configuration.
fn start(configuration: &Value) -> Proxy {
    Proxy::start(NOW, &configuration.to_string())
}

/// The same, once it has fetched these keys.
fn started_with_keys(keys: &[&Key]) -> Proxy {
    let mut proxy = start(&remote());
    proxy.tick();
    let fetch = proxy.fetch();
    proxy.answer(fetch, 200, &set(keys));
    proxy
}

/// Why the module refuses a configuration: the one line that it says to it.
fn refusal(proxy: &mut Proxy, configuration: &str) -> String {
    let before = proxy.log().len();
    assert!(!proxy.configure(configuration), "{configuration}");
    let said = proxy.log().split_off(before);
    let [line] = &said[..] else { panic!("{configuration}: {said:?}") };
    line.strip_prefix("jwt-gate: configuration refused: ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

/// The function of a host to which every signature holds, but that of the second question of the module at its start.
fn credulous(name: &[u8], arguments: &[u8]) -> Option<Vec<u8>> {
    let wrong = arguments.windows(14).any(|text| text == b"something else");
    (name == b"verify_signature").then(|| vec![0x08, u8::from(!wrong)])
}

/// What becomes of a request with this token, whose client says that it is mallory.
fn ask(proxy: &mut Proxy, token: &str) -> Outcome {
    proxy.ask(&bearing(&format!("Bearer {token}")))
}

fn bearing(credentials: &str) -> Vec<(&str, &str)> {
    [&HEAD[..], &[("authorization", credentials), ("x-user-id", "mallory"), ("accept", "*/*")]].concat()
}

/// The service gets the request of [`bearing`] with a good token of alice, and nothing of what only the gate is to see or to say.
fn assert_passed_as_alice(outcome: &Outcome) {
    let Outcome::Passed(headers) = outcome else { panic!("{outcome:?}") };
    let mut rest: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    rest.sort_unstable();
    let mut expected = [&HEAD[..], &[("accept", "*/*"), ("x-user-id", "alice")]].concat();
    expected.sort_unstable();
    assert_eq!(rest, expected);
}

/// A token that such a provider takes, if it has this key.
fn token(key: &Key) -> String {
    Token::new(key).mint()
}
