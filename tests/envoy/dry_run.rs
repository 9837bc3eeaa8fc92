//! `enforce: false` in a real Envoy: every request passes, the client learns nothing of it, and the operator all.

use serde_json::json;

use crate::mint::Key;
use crate::proxy::{eventually, Proxy};
use crate::servers::Seen;
use crate::wire::get;
use crate::{issuer, provider, start, token};

#[test]
fn what_would_be_refused_reaches_the_service_with_its_token_and_without_what_the_client_said_of_itself() {
    let key = Key::rsa().named("k1");
    let gate = json!({"providers": {"main": provider()}, "enforce": false});
    let proxy = start(&gate, &issuer(&[&key]));
    let late = token(&key).expires_in(-300).mint();
    let seen = Seen::of(&proxy.send(&get("/orders").bearing(&late).with("x-user-id", "root")));
    assert_eq!(seen.values("authorization"), [format!("Bearer {late}")]);
    assert_eq!(seen.values("x-user-id"), Vec::<&str>::new());
    let good = token(&key).mint();
    let seen = Seen::of(&proxy.send(&get("/orders").bearing(&good).with("x-user-id", "root")));
    assert_eq!(seen.values("authorization"), [format!("Bearer {good}")]);
    assert_eq!(seen.values("x-user-id"), ["alice"]);
    Seen::of(&proxy.send(&get("/orders")));

    for (name, count) in [
        ("jwt_gate_allowed", 1),
        ("jwt_gate_allowed_unenforced", 2),
        ("jwt_gate_unenforced_token_expired", 1),
        ("jwt_gate_unenforced_token_missing", 1),
        ("jwt_gate_denied_token_missing", 0),
    ] {
        eventually(name, || proxy.count(name) == count);
    }
    let log = proxy.log();
    assert!(log.contains(r#"jwt-gate: "enforce: false": EVERY REQUEST PASSES, whatever it carries"#), "{log}");
    assert!(log.contains("not enforced, would be denied: token_expired (1)"), "{log}");
    assert!(!log.contains(&late), "{log}");
}

#[test]
fn a_request_passes_for_whose_keys_it_has_waited_in_vain() {
    let gate = json!({"providers": {"main": provider()}, "enforce": false});
    let key = Key::rsa().named("k1");
    // Its issuer has no key set.
    let proxy = Proxy::start(&gate, &crate::servers::Issuer::start());
    Seen::of(&proxy.send(&get("/orders").bearing(&token(&key).mint())));
    eventually("the counter", || proxy.count("jwt_gate_unenforced_keys_unavailable") == 1);
}

#[test]
fn a_shadow_decides_beside_and_nothing_shows_it_but_its_counters() {
    let key = Key::rsa().named("k1");
    let mut stricter = provider();
    stricter["audiences"] = json!(["another"]);
    let gate = json!({"providers": {"main": provider()}, "shadow": {"providers": {"main": stricter}}});
    let issuer = issuer(&[&key]);
    let proxy = start(&gate, &issuer);
    Seen::of(&proxy.send(&get("/orders").bearing(&token(&key).mint())));
    assert_eq!(proxy.send(&get("/orders")).status(), 401);
    for (name, count) in [
        ("jwt_gate_shadow_would_deny", 1),
        ("jwt_gate_shadow_denies_audience_not_allowed", 1),
        ("jwt_gate_shadow_same", 1),
        ("jwt_gate_shadow_undecided", 0),
    ] {
        eventually(name, || proxy.count(name) == count);
    }
    assert_eq!(issuer.requests(crate::JWKS).len(), 1, "both have the one source");
}
