//! `issuers`: one provider for many tenants, and what becomes of the tenant.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, merged, revoking, Reply, Request, Verdict, World, REVOKED};

const PATTERN: &str = "https://login.example/{tenant}/v2.0";

fn provider(issuers: &[&str], more: Value) -> Value {
    merged(local(&[&Key::ed25519(1)], json!({"issuer": null, "issuers": issuers})), more)
}

fn gate(provider: Value, rules: Value) -> World {
    World::new(&json!({"providers": {"main": provider}, "rules": rules}), 1)
}

fn token(issuer: &str) -> Token {
    Token::new(&Key::ed25519(1)).claim("iss", issuer)
}

fn ask(world: &mut World, path: &str, token: &Token) -> Verdict {
    world.ask(0, &Request::get(path).bearer(&token.clone().mint()))
}

#[test]
fn a_provider_takes_the_tokens_of_every_issuer_that_it_names() {
    let mut world = gate(provider(&[PATTERN, "https://old.example"], json!({})), Value::Null);
    for (issuer, code) in [
        ("https://login.example/acme/v2.0", "allowed"),
        ("https://login.example/other/v2.0", "allowed"),
        ("https://old.example", "allowed"),
        ("https://old.example/", "issuer_not_allowed"),
        ("https://login.example/acme", "issuer_not_allowed"),
        ("https://login.example/a/b/v2.0", "issuer_not_allowed"),
        ("https://login.example/{tenant}/v2.0", "issuer_not_allowed"),
        ("https://issuer.example", "issuer_not_allowed"),
        ("", "issuer_not_allowed"),
    ] {
        assert_eq!(ask(&mut world, "/", &token(issuer)).code(), code, "{issuer}");
    }
    assert_eq!(ask(&mut world, "/", &token("").without("iss")).code(), "issuer_not_allowed");
}

#[test]
fn a_rule_can_ask_that_a_claim_and_the_path_agree_with_the_tenant() {
    let rules = json!([{
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"claims": [
            {"claim": "tid", "equals": "{issuer.tenant}"},
            {"claim": "tid", "equals": "{path.1}"},
        ]},
    }]);
    let mut world = gate(provider(&[PATTERN, "https://old.example"], json!({})), rules);
    for (issuer, tid, path, code) in [
        ("https://login.example/acme/v2.0", "acme", "/tenants/acme", "allowed"),
        ("https://login.example/acme/v2.0", "acme", "/tenants/other", "claim_insufficient"),
        ("https://login.example/acme/v2.0", "other", "/tenants/other", "claim_insufficient"),
        ("https://login.example/acme/v2.0", "Acme", "/tenants/Acme", "claim_insufficient"),
        // An exact issuer has no tenant.
        ("https://old.example", "acme", "/tenants/acme", "claim_insufficient"),
        ("https://old.example", "", "/tenants/", "claim_insufficient"),
    ] {
        let token = token(issuer).claim("tid", tid);
        assert_eq!(ask(&mut world, path, &token).code(), code, "{issuer}, {tid}, {path}");
    }
}

#[test]
fn the_tenant_reaches_the_service_in_a_header() {
    let headers = json!({"claim_to_headers": [
        {"header_name": "x-tenant", "value": "{issuer.tenant}"},
        {"header_name": "x-caller", "value": "{issuer.tenant}:{claims.sub}"},
        {"header_name": "x-user-id", "claim_name": "sub"},
        {"header_name": "x-gate", "value": "jwt-{{gate}}"},
    ]});
    let mut world = gate(provider(&[PATTERN, "https://old.example"], headers), Value::Null);
    let mut set = |token: Token| {
        let request = Request::get("/").header("x-tenant", "forged").header("X_Caller", "forged").bearer(&token.mint());
        let verdict = world.ask(0, &request);
        let mut fields = request.edited(verdict.edits());
        fields.retain(|(name, _)| name.starts_with("x-") || name.starts_with("x_"));
        fields.sort();
        fields
    };
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        set(token("https://login.example/acme/v2.0").claim("sub", "ada")),
        [
            field("x-caller", "acme:ada"),
            field("x-gate", "jwt-{gate}"),
            field("x-tenant", "acme"),
            field("x-user-id", "ada")
        ],
    );
    // Without a value there is no header, and none of the client's own either.
    assert_eq!(
        set(token("https://old.example").claim("sub", "ada")),
        [field("x-gate", "jwt-{gate}"), field("x-user-id", "ada")],
    );
}

#[test]
fn a_header_with_variables_holds_no_control_character() {
    let headers = json!({"claim_to_headers": [{"header_name": "x-caller", "value": "caller {claims.sub}"}]});
    let mut world = gate(provider(&[PATTERN], headers), Value::Null);
    for (sub, code) in
        [("ada", "allowed"), ("a\r\nx-admin: 1", "claim_not_forwardable"), ("ada ", "claim_not_forwardable")]
    {
        let token = token("https://login.example/acme/v2.0").claim("sub", sub);
        assert_eq!(ask(&mut world, "/", &token).code(), code, "{sub:?}");
    }
}

#[test]
fn the_first_issuer_that_fits_says_what_the_tenant_is() {
    let headers = json!({"claim_to_headers": [{"header_name": "x-tenant", "value": "{issuer.tenant}"}]});
    let first = |issuers: &[&str]| {
        let mut world = gate(provider(issuers, headers.clone()), Value::Null);
        let verdict = ask(&mut world, "/", &token("https://login.example/acme/v2.0"));
        verdict.edits().set.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(first(&[PATTERN, "https://login.example/acme/{tenant}"]), ["acme"]);
    assert_eq!(first(&["https://login.example/acme/{tenant}", PATTERN]), ["v2.0"]);
    assert!(first(&["https://login.example/acme/v2.0", PATTERN]).is_empty());
}

#[test]
fn an_entry_of_the_revocation_list_is_for_one_tenant_only_where_it_names_the_issuer() {
    let mut world = gate(provider(&[PATTERN], revoking(json!({}))), Value::Null);
    let of = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "1"}, {"iss": of("acme"), "jti": "2"}, {"iss": of("gone")}])));
    world.seconds_pass(2);
    for (tenant, jti, code) in [
        ("acme", "1", "token_revoked"),
        ("other", "1", "token_revoked"),
        ("acme", "2", "token_revoked"),
        ("other", "2", "allowed"),
        ("gone", "3", "token_revoked"),
        ("acme", "3", "allowed"),
    ] {
        assert_eq!(ask(&mut world, "/", &token(&of(tenant)).claim("jti", jti)).code(), code, "{tenant}, {jti}");
    }
}

#[test]
fn a_remembered_token_is_asked_for_its_issuer_again() {
    let main = provider(&[PATTERN], json!({}));
    let narrow = provider(&["https://login.example/other/v2.0"], json!({}));
    let rule = |path: &str, name: &str| json!({"match": {"prefix": path}, "requires": {"provider_name": name}});
    let config = json!({"providers": {"main": main, "narrow": narrow}, "rules": [rule("/main", "main"), rule("/narrow", "narrow")]});
    let mut world = World::new(&config, 1);
    for _ in 0..2 {
        let acme = token("https://login.example/acme/v2.0");
        assert_eq!(ask(&mut world, "/main", &acme).code(), "allowed");
        assert_eq!(ask(&mut world, "/narrow", &acme).code(), "issuer_not_allowed");
    }
}
