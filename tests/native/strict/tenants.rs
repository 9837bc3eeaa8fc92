//! Issuers that are no tenant of the provider, each in a token that the provider's own key has signed.

use serde_json::{json, Value};

use super::{code, gate};
use crate::mint::{Key, Token};

fn tenants(issuers: &[&str], more: Value) -> crate::world::World {
    gate(&[&Key::p256(1)], crate::world::merged(json!({"issuer": null, "issuers": issuers}), more))
}

fn of(issuer: &str) -> String {
    Token::new(&Key::p256(1)).claim("iss", issuer).mint()
}

#[test]
fn an_issuer_that_only_looks_like_a_tenants_is_another() {
    let mut world = tenants(&["https://login.example/{tenant}/v2.0", "https://{tenant}.login.example"], json!({}));
    for issuer in ["https://login.example/acme/v2.0", "https://acme.login.example"] {
        assert_eq!(code(&mut world, &of(issuer)), "allowed", "{issuer}");
    }
    for issuer in [
        "https://login.example/acme/v2.0/",
        "https://login.example/acme/v2.0?x",
        "https://login.example/acme/v2.0#x",
        "https://login.example/acme/x/v2.0",
        "https://login.example/acme/v2.0/acme/v2.0",
        "https://login.example//v2.0",
        "https://login.example/./v2.0",
        "https://login.example/../v2.0",
        "https://login.example/acme%2fx/v2.0",
        "https://login.example/%61cme/v2.0",
        "https://login.example/acme;x/v2.0",
        "https://login.example/acme@x/v2.0",
        "https://login.example/acme\\x/v2.0",
        "https://login.example/acme /v2.0",
        "https://login.example/acme\n/v2.0",
        "https://login.example/\u{430}cme/v2.0",
        "https://login.example:443/acme/v2.0",
        "https://login.example@evil.example/acme/v2.0",
        "https://login.example.evil.example/acme/v2.0",
        "HTTPS://login.example/acme/v2.0",
        "https://LOGIN.example/acme/v2.0",
        "http://login.example/acme/v2.0",
        " https://login.example/acme/v2.0",
        "https://evil.example/https://login.example/acme/v2.0",
        "https://evil.login.example.evil.example",
        "https://evil.example/.login.example",
        "https://evil.example#.login.example",
        "https://evil.example\\.login.example",
        "https://a.b.login.example",
        "https://.login.example",
        "https://login.example",
        "https://acme.login.example.",
        "https://acme.login.example/",
        "https://acme.login.example:443",
        "https://user@acme.login.example",
    ] {
        assert_eq!(code(&mut world, &of(issuer)), "issuer_not_allowed", "{issuer}");
    }
}

#[test]
fn a_token_of_one_tenant_is_none_of_another_where_the_rule_asks() {
    let provider = crate::world::local(
        &[&Key::p256(1)],
        json!({"issuer": null, "issuers": ["https://login.example/{tenant}", "https://old.example"]}),
    );
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"claims": [{"claim": "tid", "equals": "{issuer.tenant}"}]},
    });
    let mut world = crate::world::World::new(&json!({"providers": {"main": provider}, "rules": [rule]}), 1);
    for (issuer, tid, expected) in [
        ("https://login.example/acme", json!("acme"), "allowed"),
        ("https://login.example/acme", json!("other"), "claim_insufficient"),
        ("https://login.example/acme", json!(["acme", "other"]), "claim_insufficient"),
        ("https://login.example/acme", json!(null), "claim_insufficient"),
        ("https://old.example", json!("acme"), "claim_insufficient"),
        ("https://old.example", json!(""), "claim_insufficient"),
    ] {
        let token = Token::new(&Key::p256(1)).claim("iss", issuer).claim("tid", tid.clone()).mint();
        assert_eq!(code(&mut world, &token), expected, "{issuer}, {tid}");
    }
}
