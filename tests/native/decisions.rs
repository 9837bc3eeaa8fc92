//! Which request passes, and why the others do not.

use std::collections::BTreeSet;
use std::time::Duration;

use jwt_gate::limits::{MAX_TOKENS_PER_REQUEST, MAX_TOKEN_BYTES, MAX_WAITING};
use jwt_gate::verdict::Reason;
use serde_json::{json, Value};

use crate::mint::{encode, sign_compact, Key, Token, AUDIENCE, ISSUER, NOW};
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

/// One VM, one provider with an RSA key in the configuration.
fn gate(more: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::rsa()], more)}}), 1)
}

/// The same with rules.
fn gate_with_rules(rules: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::rsa()], json!({}))}, "rules": rules}), 1)
}

fn good() -> Token {
    Token::new(&Key::rsa())
}

#[test]
fn every_reason_is_reached_and_looks_as_its_table_says() {
    let rsa = Key::rsa().named("k");
    let get = || Request::get("/orders");
    let provider = |more: Value| json!({"providers": {"main": local(&[&rsa], more)}});
    let asks = |authorize: Value| {
        let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": authorize});
        merged(provider(json!({})), json!({ "rules": [rule] }))
    };
    let token = |token: &Token| get().bearer(&token.mint());
    let good = Token::new(&rsa);
    let closed_admin = json!({"rules": [
        {"match": {"prefix": "/admin"}, "requires": {"provider_name": "main"}},
        {"match": {"prefix": "/"}, "public": true},
    ]});

    let http_uri = |uri: &str| json!({"uri": uri, "cluster": "some", "timeout": "1s"});
    let introspection =
        |uri: &str| json!({"http_uri": http_uri(uri), "client_id": "gate", "client_secret_env": "SECRET"});
    let service = |uri: &str| json!({"service": {"protocol": "authzen", "http_uri": http_uri(uri)}});

    let rows: Vec<(Reason, u16, Value, Request)> = vec![
        (Reason::TokenMissing, 401, provider(json!({})), get()),
        (
            Reason::MultipleTokens,
            400,
            provider(json!({})),
            get().header("authorization", good.bearer()).header("authorization", good.bearer()),
        ),
        (Reason::PathAmbiguous, 400, merged(provider(json!({})), closed_admin), Request::get("/x/..%2fadmin")),
        (Reason::TokenTooLarge, 401, provider(json!({})), get().bearer(&"a".repeat(MAX_TOKEN_BYTES + 1))),
        (Reason::TokenMalformed, 401, provider(json!({})), get().bearer("only.two")),
        (Reason::HeaderMalformed, 401, provider(json!({})), token(&good.clone().header("crit", json!(["exp"])))),
        (Reason::AlgorithmNotAllowed, 401, provider(json!({"algorithms": ["ES256", "RS384"]})), token(&good)),
        (Reason::TypeNotAllowed, 401, provider(json!({"typ": ["at+jwt"]})), token(&good)),
        (Reason::KeyUnknown, 401, provider(json!({})), token(&good.clone().kid("another"))),
        (Reason::KeysUnavailable, 503, json!({"providers": {"main": remote(json!({}))}}), token(&good)),
        (Reason::SignatureInvalid, 401, provider(json!({})), token(&Token::new(&Key::other_rsa().named("k")))),
        (Reason::ClaimsMalformed, 401, provider(json!({})), token(&good.clone().claim("exp", "soon"))),
        (Reason::IssuerNotAllowed, 401, provider(json!({})), token(&good.clone().claim("iss", "https://other"))),
        (Reason::AudienceNotAllowed, 401, provider(json!({})), token(&good.clone().claim("aud", "other"))),
        (Reason::SubjectNotAllowed, 401, provider(json!({"subjects": {"exact": "bob"}})), token(&good)),
        (
            Reason::ClaimMissing,
            401,
            provider(json!({"profile": "rfc9068"})),
            token(&good.clone().header("typ", "at+jwt")),
        ),
        (Reason::ExpirationMissing, 401, provider(json!({})), token(&good.clone().without("exp"))),
        (Reason::TokenExpired, 401, provider(json!({})), token(&good.clone().expires_in(-60))),
        (Reason::TokenNotYetValid, 401, provider(json!({})), token(&good.clone().claim("nbf", NOW + 61))),
        (Reason::IssuedInTheFuture, 401, provider(json!({})), token(&good.clone().claim("iat", NOW + 61))),
        (Reason::LifetimeTooLong, 401, provider(json!({"max_lifetime": "300s"})), token(&good)),
        (Reason::TokenRevoked, 401, provider(revoking(json!({}))), token(&good.clone().claim("jti", "revoked"))),
        (
            Reason::RevocationUnavailable,
            503,
            provider(revoking(json!({"http_uri": {"uri": "http://issuer.example/nothing"}}))),
            token(&good),
        ),
        (
            Reason::ClaimNotForwardable,
            401,
            provider(json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]})),
            token(&good.clone().claim("sub", "alice\r\nx-admin: true")),
        ),
        (
            Reason::TokenInactive,
            401,
            provider(json!({"introspection": introspection("https://issuer.example/inactive")})),
            get().bearer("opaque"),
        ),
        (
            Reason::IntrospectionUnavailable,
            503,
            provider(json!({"introspection": introspection("http://issuer.example/nothing")})),
            get().bearer("opaque"),
        ),
        (Reason::AuthorizationDenied, 403, asks(service("https://authz.example/no")), token(&good)),
        (Reason::AuthorizationUnavailable, 503, asks(service("http://issuer.example/nothing")), token(&good)),
        (Reason::ScopeInsufficient, 403, asks(json!({"scopes": {"all_of": ["a", "b"]}})), token(&good)),
        (Reason::ClaimInsufficient, 403, asks(json!({"claims": [{"claim": "sub", "equals": "bob"}]})), token(&good)),
    ];

    let mut reached = BTreeSet::new();
    for (reason, status, config, request) in rows {
        let mut world = World::new(&config, 2);
        world.issuer(REVOKED, Reply::revoked(json!([{"jti": "revoked"}])));
        world.issuer("http://issuer.example/nothing", Reply::status(404));
        world.issuer("https://issuer.example/inactive", Reply::ok(r#"{"active":false}"#));
        world.issuer("https://authz.example/no", Reply::ok(r#"{"decision":false}"#));
        world.issuer(JWKS, Reply::status(500));
        let verdict = world.ask_patiently(0, &request);
        assert_eq!((verdict.code(), verdict.status()), (reason.code(), status), "{request:?}");
        assert_eq!(world.count(&format!("jwt_gate_denied_{}", reason.code())), 1, "{}", reason.code());
        reached.insert(reason.code());
    }

    let mut crowded = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    for _ in 0..MAX_WAITING {
        crowded.request(0, &token(&good));
    }
    let verdict = crowded.ask(0, &token(&good));
    assert_eq!((verdict.code(), verdict.status()), ("overloaded", 503));
    reached.insert(verdict.code());

    let all: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(reached, all);
}

#[test]
fn a_denial_challenges_as_rfc_6750_says_and_repeats_nothing_of_the_request() {
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"scopes": {"any_of": ["orders:read", "orders:write"]}},
    });
    let mut world = gate_with_rules(json!([rule]));
    for (request, status, challenge) in [
        (Request::get("/evil"), 401, Some("Bearer")),
        (
            Request::get("/evil").bearer("evil"),
            401,
            Some(r#"Bearer error="invalid_token", error_description="The token is not a signed JWT in compact form.""#),
        ),
        (
            Request::get("/evil").bearer("evil,evil"),
            400,
            Some(
                r#"Bearer error="invalid_request", error_description="The request carries more than one credential.""#,
            ),
        ),
        (
            Request::get("/evil").bearer(&good().claim("scope", "evil").mint()),
            403,
            Some(concat!(
                r#"Bearer error="insufficient_scope", "#,
                r#"error_description="The token lacks a scope that this route requires.", scope="orders:read orders:write""#,
            )),
        ),
        (Request::get("/evil#"), 400, None),
    ] {
        let verdict = world.ask(0, &request);
        let denial = verdict.denial();
        assert_eq!(verdict.status(), status, "{request:?}");
        let headers = denial.headers(false);
        let shown = headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.as_ref());
        assert_eq!(shown, challenge, "{request:?}");
        assert!(!format!("{headers:?}{}", denial.body(false)).contains("evil"), "{denial:?}");
    }
    assert!(!format!("{:?}", world.logs).contains("evil"), "{:?}", world.logs);
}

#[test]
fn every_route_is_closed_by_default() {
    for (rules, what) in [
        (Value::Null, "no rules"),
        (json!([{"match": {"prefix": "/other"}, "public": true}]), "a rule for something else"),
        (json!([{"match": {"path": "/orders/"}, "public": true}]), "a rule for a path with another end"),
        (json!([{"match": {"prefix": "/order"}, "public": true}]), "a prefix that ends within a segment"),
        (json!([{"match": {"safe_regex": {"regex": "/order"}}, "public": true}]), "a part of the path"),
        (
            json!([{"match": {"prefix": "/", "headers": [{"name": "x-internal"}]}, "public": true}]),
            "a header that is not there",
        ),
    ] {
        let mut world = gate_with_rules(rules);
        assert_eq!(world.ask(0, &Request::get("/orders")).code(), "token_missing", "{what}");
        assert_eq!(world.ask(0, &Request::get("/orders").bearer(&good().mint())).code(), "allowed", "{what}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let mut world = gate_with_rules(json!([
        {"match": {"path": "/health"}, "public": true},
        {"match": {"prefix": "/docs/internal"}, "requires": {"provider_name": "main"}},
        {"match": {"path_separated_prefix": "/docs"}, "public": true},
        {"match": {"safe_regex": {"regex": "/v[0-9]+/status"}}, "public": true},
        {"match": {"prefix": "/hook", "headers": [
            {"name": ":method", "string_match": {"exact": "POST"}},
            {"name": "x-kind", "string_match": {"prefix": "open", "ignore_case": true}},
        ]}, "public": true},
        {"match": {"prefix": "/not-get", "headers": [
            {"name": ":method", "string_match": {"exact": "GET"}, "invert_match": true},
        ]}, "public": true},
        {"match": {"prefix": "/health"}, "requires": {"allow_missing": {}}},
        {"match": {"prefix": "/here", "headers": [
            {"name": "Host", "string_match": {"exact": "api.example"}},
        ]}, "public": true},
        {"match": {"safe_regex": {"regex": "/any/[a-z]+"}, "case_sensitive": false}, "public": true},
    ]));
    let post = |path: &str| Request::new("POST", path);
    for (request, code) in [
        (Request::get("/health"), "allowed"),
        (Request::get("/health?verbose"), "allowed"),
        (Request::get("/health/x").bearer("bad"), "token_malformed"),
        (Request::get("/health").bearer("bad"), "allowed"),
        (Request::get("/docs"), "allowed"),
        (Request::get("/docs/a/b"), "allowed"),
        (Request::get("/docsx"), "token_missing"),
        (Request::get("/docs/internal"), "token_missing"),
        (Request::get("/docs/internal/x"), "token_missing"),
        (Request::get("/docs/internals"), "allowed"),
        (Request::get("/v12/status"), "allowed"),
        (Request::get("/v12/status/x"), "token_missing"),
        (Request::get("/x/v12/status"), "token_missing"),
        (post("/hook").header("x-kind", "OPEN-1"), "allowed"),
        (post("/hook").header("x-kind", "closed"), "token_missing"),
        (post("/hook"), "token_missing"),
        (Request::get("/hook").header("x-kind", "open"), "token_missing"),
        (post("/not-get"), "allowed"),
        (Request::get("/not-get"), "token_missing"),
        // A host hands `Host` over as `:authority`.
        (Request::get("/here"), "allowed"),
        (Request::get("/Any/Case"), "allowed"),
        (Request::get("/"), "token_missing"),
    ] {
        assert_eq!(world.ask(0, &request).code(), code, "{request:?}");
    }
}

#[test]
fn no_spelling_of_a_closed_path_looks_open() {
    let mut open_beside_closed = gate_with_rules(json!([
        {"match": {"prefix": "/admin"}, "requires": {"provider_name": "main"}},
        {"match": {"prefix": "/"}, "public": true},
    ]));
    let mut open_within_closed = gate_with_rules(json!([{"match": {"prefix": "/open"}, "public": true}]));
    for path in [
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/%2E./admin",
        "/x/.%2e/admin",
        "/%2e/admin",
        "/x%2f..%2fadmin",
        "/x/..%2Fadmin",
        "/%61dmin",
        "/%2561dmin",
        "/x/..%5cadmin",
        "/x/..\\admin",
        "/\\admin",
        "/x\\y/../admin",
        "/x%5cy/../admin",
        "\\admin",
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/admin;a=b",
        "/admin%3ba=b",
        "/ADMIN",
        "/x/../../../admin",
        "/x//../admin",
        "/x/%252e%252e/admin",
        "/admin/../x",
        "/admin/..;/x",
        "/admin%2f..%2fx",
        // Resolved by one who leaves `%2f` alone, as the URL standard does, and reads `%2e%2e` as dots.
        "/x/a%2fb/../%2e%2e/admin",
        "/x/a%2Fb/%2e%2e/%2e%2e/admin",
        // Resolved by one, then decoded and resolved by the next.
        "/x/a%252fb/../%252e%252e/admin",
        // Decoded by one who then looks for a query, a fragment or the end of a string.
        "/admin%3fx",
        "/admin%23x",
        "/admin%00x",
        "/admin%253fx",
    ] {
        assert_eq!(open_beside_closed.ask(0, &Request::get(path)).code(), "path_ambiguous", "{path}");
    }
    for path in [
        "/open/../admin",
        "/open/%2e%2e/admin",
        "/open%2f..%2fadmin",
        "/open/..%5cadmin",
        "/open/..;/admin",
        "/open/x/../../admin",
        "/open/./../admin",
        "/open//../../admin",
        "/open/..",
        "/OPEN",
        "/open/a%2fb/../%2e%2e/admin",
    ] {
        let code = open_within_closed.ask(0, &Request::get(path)).code();
        assert_eq!(code, "path_ambiguous", "{path}");
    }
    for (path, code) in [
        ("/x/../y", "allowed"),
        ("/x//y", "allowed"),
        ("/x/%20y", "allowed"),
        ("/x?to=/../admin", "allowed"),
        ("/x/admin", "allowed"),
        ("/administration", "allowed"),
        ("/admin//x", "token_missing"),
        ("/admin/./x", "token_missing"),
        ("/admin/x;y", "token_missing"),
        ("/x/why%3f", "allowed"),
        ("/x/https%3A%2F%2Felsewhere.example%2Fa%2Fb%3Fc=d", "allowed"),
    ] {
        assert_eq!(open_beside_closed.ask(0, &Request::get(path)).code(), code, "{path}");
    }
}

#[test]
fn a_path_that_can_be_read_in_too_many_ways_is_refused() {
    let mut world = gate_with_rules(json!([
        {"match": {"prefix": "/admin"}, "requires": {"provider_name": "main"}},
        {"match": {"prefix": "/"}, "public": true},
    ]));
    for (encodings, code) in [(1, "allowed"), (8, "allowed"), (100, "path_ambiguous")] {
        let path = format!("/x/%{}2e", "25".repeat(encodings));
        assert_eq!(world.ask(0, &Request::get(&path)).code(), code, "{path}");
    }
}

#[test]
fn a_target_that_no_rule_can_judge_is_refused_before_anything_else() {
    let mut world = gate_with_rules(json!([{"match": {"prefix": "/"}, "public": true}]));
    for target in [&b"/x#y"[..], b"/x?y#z", b"/\xff", b"/x?\xc3\x28", b"/x\0/y", b"/x?\0"] {
        assert_eq!(world.ask(0, &Request::get("/").target(target)).code(), "path_ambiguous", "{target:?}");
    }
}

#[test]
fn authorization_is_one_scheme_one_space_and_one_token() {
    let mut world = gate(json!({}));
    let token = good().mint();
    for (value, code) in [
        (format!("Bearer {token}"), "allowed"),
        (format!("bearer {token}"), "allowed"),
        (format!("BEARER {token}"), "allowed"),
        (format!("bEaReR {token}"), "allowed"),
        (format!("Bearer  {token}"), "token_malformed"),
        (format!("Bearer\t{token}"), "token_malformed"),
        (format!("Bearer {token} "), "token_malformed"),
        (format!("Bearer {token} x"), "token_malformed"),
        (format!("Bearer {token};"), "token_malformed"),
        (format!("Bearer {token}="), "token_malformed"),
        (format!("Bearer \"{token}\""), "token_malformed"),
        (format!("Bearer Bearer {token}"), "token_malformed"),
        (format!("Bearer: {token}"), "token_missing"),
        (format!("Bearer{token}"), "token_missing"),
        (format!(" Bearer {token}"), "token_missing"),
        (format!("XBearer {token}"), "token_missing"),
        (format!("Token {token}"), "token_missing"),
        (token.clone(), "token_missing"),
        ("Bearer".to_owned(), "token_malformed"),
        ("Bearer ".to_owned(), "token_malformed"),
        (String::new(), "token_missing"),
        ("Basic YWxpY2U6c2VjcmV0".to_owned(), "token_missing"),
        (format!("Bearer {token},{token}"), "multiple_tokens"),
        (format!("Bearer {token}, Bearer {token}"), "multiple_tokens"),
        (format!("Basic YWxpY2U6c2VjcmV0, Bearer {token}"), "multiple_tokens"),
        (format!("Bearer {token}, Basic YWxpY2U6c2VjcmV0"), "multiple_tokens"),
        (format!("Bearer {token},"), "multiple_tokens"),
    ] {
        let verdict = world.ask(0, &Request::get("/").header("authorization", &value));
        assert_eq!(verdict.code(), code, "{}", value.replace(&token, "<token>"));
    }
    let twice = Request::get("/").bearer(&token).header("Authorization", "Basic YWxpY2U6c2VjcmV0");
    assert_eq!(world.ask(0, &twice).code(), "multiple_tokens");
    let beyond_text = Request::get("/").header("authorization", b"Bearer \xff\xfe.a.b");
    assert_eq!(world.ask(0, &beyond_text).code(), "token_malformed");
}

#[test]
fn tokens_are_looked_for_where_the_provider_says_and_nowhere_else() {
    let token = good().mint();
    let requests = [
        ("Authorization", Request::get("/").bearer(&token)),
        ("x-token", Request::get("/").header("X-Token", format!("JWT {token}"))),
        ("query", Request::get(&format!("/?access_token={token}"))),
        ("cookie", Request::get("/").header("cookie", format!("a=b; session={token}"))),
    ];
    for (more, found) in [
        (json!({}), "Authorization"),
        (json!({"from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}]}), "Authorization"),
        (json!({"from_headers": [{"name": "x-token", "value_prefix": "JWT "}]}), "x-token"),
        (json!({"from_params": ["access_token"]}), "query"),
        (json!({"from_cookies": ["session"]}), "cookie"),
    ] {
        let mut world = gate(more.clone());
        for (place, request) in &requests {
            let expected = if *place == found { "allowed" } else { "token_missing" };
            assert_eq!(world.ask(0, request).code(), expected, "{place} under {more}");
        }
    }
}

#[test]
fn every_token_found_must_be_valid() {
    let mut world = gate(json!({"from_headers": [{"name": "x-token"}], "from_params": ["t"], "from_cookies": ["c"]}));
    let (good, bad) = (good().mint(), good().expires_in(-3600).mint());
    for (request, code) in [
        (
            Request::get(&format!("/?t={good}")).header("x-token", &good).header("cookie", format!("c={good}")),
            "allowed",
        ),
        (Request::get(&format!("/?t={bad}")).header("x-token", &good), "token_expired"),
        (Request::get(&format!("/?t={good}&t={bad}")), "token_expired"),
        (Request::get("/").header("x-token", &good).header("x-token", &bad), "token_expired"),
        (Request::get("/").header("cookie", format!("c={good}; c={bad}")), "token_expired"),
        (Request::get("/").header("x-token", &good).header("cookie", "c=x"), "token_malformed"),
        (Request::get("/?t=").header("x-token", &good), "token_malformed"),
        (Request::get(&format!("/?{}", format!("t={good}&").repeat(MAX_TOKENS_PER_REQUEST + 1))), "multiple_tokens"),
    ] {
        assert_eq!(world.ask(0, &request).code(), code, "{request:?}");
    }
}

#[test]
fn two_good_tokens_of_one_provider_are_two_callers_and_neither_passes() {
    let mut world = gate(json!({
        "from_headers": [{"name": "x-token"}], "from_params": ["t"], "from_cookies": ["c"],
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    }));
    let [alice, bob] = ["alice", "bob"].map(|subject| good().claim("sub", subject).mint());
    let expired = good().expires_in(-3600).mint();
    for (request, code) in [
        (Request::get(&format!("/?t={alice}&t={bob}")), "multiple_tokens"),
        (Request::get(&format!("/?t={alice}&t={alice}")), "allowed"),
        (Request::get(&format!("/?t={alice}")).header("x-token", &bob), "multiple_tokens"),
        (Request::get("/").header("x-token", &alice).header("x-token", &bob), "multiple_tokens"),
        (Request::get("/").header("x-token", &alice).header("cookie", format!("c={bob}")), "multiple_tokens"),
        (Request::get("/").header("cookie", format!("c={alice}; c={bob}")), "multiple_tokens"),
        // Who has only to log in again is told so.
        (Request::get(&format!("/?t={alice}&t={bob}&t={expired}")), "token_expired"),
    ] {
        assert_eq!(world.ask(0, &request).code(), code, "{request:?}");
    }
}

#[test]
fn an_unsigned_token_does_not_exist() {
    let mut world = gate(json!({}));
    let payload = good().payload();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        for signature in ["", "AA", "bm9uZQ"] {
            let token = format!("{}.{}.{signature}", encode(header.as_bytes()), encode(payload.as_bytes()));
            let expected = if signature.is_empty() { "token_malformed" } else { "algorithm_not_allowed" };
            assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), expected, "{alg:?} {signature:?}");
        }
    }
}

#[test]
fn shared_secrets_count_only_where_the_configuration_names_them() {
    let secret = Key::hmac(&[7; 64]);
    let token = Request::get("/").bearer(&Token::new(&secret).mint());
    let set = |more: Value| json!({"providers": {"main": local(&[&secret, &Key::rsa()], more)}});
    assert_eq!(World::new(&set(json!({})), 1).ask(0, &token).code(), "algorithm_not_allowed");
    assert_eq!(World::new(&set(json!({"algorithms": ["HS512"]})), 1).ask(0, &token).code(), "algorithm_not_allowed");
    assert_eq!(World::new(&set(json!({"algorithms": ["HS256"]})), 1).ask(0, &token).code(), "allowed");

    // A remote set that publishes a secret does not make it a key, even beside good keys.
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}}), 1);
    world.issuer(JWKS, Reply::keys(&[&secret, &Key::rsa()]));
    assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&good().mint())).code(), "allowed");
    assert_eq!(world.ask(0, &token).code(), "algorithm_not_allowed");
}

#[test]
fn a_public_key_is_never_a_secret() {
    let rsa = Key::rsa();
    let pem = rsa.public_pem();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----"), "{pem}");
    let jwk = rsa.jwk();
    let secrets = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line feed", pem.trim_end().as_bytes().to_vec()),
        ("JWK", jwk.to_string().into_bytes()),
        ("modulus", jwk["n"].as_str().unwrap().as_bytes().to_vec()),
    ];
    for algorithms in [json!(null), json!(["RS256", "HS256"])] {
        let other = Key::hmac(&[9; 64]);
        let mut world =
            World::new(&json!({"providers": {"main": local(&[&rsa, &other], json!({"algorithms": algorithms}))}}), 1);
        for (what, secret) in &secrets {
            let forged = Token::new(&Key::hmac(secret)).mint();
            let code = world.ask(0, &Request::get("/").bearer(&forged)).code();
            let expected = if algorithms.is_null() { "algorithm_not_allowed" } else { "signature_invalid" };
            assert_eq!(code, expected, "{what}");
        }
    }
}

#[test]
fn times_hold_to_the_second() {
    let ms = |seconds: u64, millis: u64| json!((seconds * 1000 + millis) as f64 / 1000.0);
    for (skew, claim, value, code) in [
        (60, "exp", json!(NOW - 60), "token_expired"),
        (60, "exp", json!(NOW - 59), "allowed"),
        (60, "exp", ms(NOW - 60, 500), "allowed"),
        (0, "exp", json!(NOW), "token_expired"),
        (0, "exp", json!(NOW + 1), "allowed"),
        (0, "exp", json!(0), "token_expired"),
        (3600, "exp", json!(0), "token_expired"),
        (60, "nbf", json!(NOW + 60), "allowed"),
        (60, "nbf", json!(NOW + 61), "token_not_yet_valid"),
        (60, "nbf", ms(NOW + 60, 500), "token_not_yet_valid"),
        (0, "nbf", json!(NOW), "allowed"),
        (0, "nbf", json!(NOW + 1), "token_not_yet_valid"),
        (0, "nbf", json!(0), "allowed"),
        (60, "iat", json!(NOW + 60), "allowed"),
        (60, "iat", json!(NOW + 61), "issued_in_the_future"),
        (0, "iat", json!(NOW), "allowed"),
        (0, "iat", json!(NOW + 1), "issued_in_the_future"),
        (0, "iat", json!(0), "allowed"),
    ] {
        let mut world = gate(json!({"clock_skew_seconds": skew}));
        let request = Request::get("/").bearer(&good().claim(claim, value.clone()).mint());
        assert_eq!(world.ask(0, &request).code(), code, "{claim} {value}, skew {skew}");
    }
}

#[test]
fn a_token_that_was_good_is_asked_again_on_every_request() {
    let mut world = gate(json!({"clock_skew_seconds": 0}));
    let request = Request::get("/").bearer(&good().expires_in(2).mint());
    assert_eq!(world.ask(0, &request).code(), "allowed");
    world.advance(Duration::from_millis(1999));
    assert_eq!(world.ask(0, &request).code(), "allowed");
    world.advance(Duration::from_millis(1));
    assert_eq!(world.ask(0, &request).code(), "token_expired");
}

#[test]
fn a_mistyped_claim_is_an_error_and_not_an_absence() {
    let mut world =
        gate(json!({"issuer": null, "audiences": null, "allow_any_audience": true, "require_expiration": false}));
    for (claim, value) in [
        ("exp", json!("1900000000")),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("exp", json!([1_900_000_000])),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("nbf", json!(-0.5)),
        ("iat", json!("0")),
        ("iat", json!({})),
        ("iss", json!(1)),
        ("iss", json!(null)),
        ("iss", json!([ISSUER])),
        ("sub", json!(1)),
        ("sub", json!(null)),
        ("jti", json!(1)),
        ("aud", json!(1)),
        ("aud", json!(null)),
        ("aud", json!({})),
        ("aud", json!([AUDIENCE, 1])),
        ("aud", json!([[AUDIENCE]])),
    ] {
        let request = Request::get("/").bearer(&good().claim(claim, value.clone()).mint());
        assert_eq!(world.ask(0, &request).code(), "claims_malformed", "{claim}: {value}");
    }
    for payload in [
        "",
        " ",
        "null",
        "[]",
        "\"claims\"",
        "{} {}",
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"exp":1,"\u0065xp":9999999999}"#,
        "{\"sub\":\"\u{1}\"}",
        "{'sub':'a'}",
    ] {
        let token = sign_compact(&Key::rsa(), "RS256", br#"{"alg":"RS256"}"#, payload.as_bytes());
        let expected = if payload.is_empty() { "token_malformed" } else { "claims_malformed" };
        assert_eq!(world.ask(0, &Request::get("/").bearer(&token)).code(), expected, "{payload}");
    }
}

#[test]
fn audiences_hold_in_every_form() {
    let mut world = gate(json!({"audiences": ["api", "https://api.example/"]}));
    let mut any = gate(json!({"audiences": null, "allow_any_audience": true}));
    for (aud, code) in [
        (Some(json!("api")), "allowed"),
        (Some(json!(["api"])), "allowed"),
        (Some(json!(["other", "api"])), "allowed"),
        (Some(json!("https://api.example/")), "allowed"),
        (Some(json!("https://api.example")), "audience_not_allowed"),
        (Some(json!("API")), "audience_not_allowed"),
        (Some(json!("api ")), "audience_not_allowed"),
        (Some(json!("ap")), "audience_not_allowed"),
        (Some(json!("")), "audience_not_allowed"),
        (Some(json!([])), "audience_not_allowed"),
        (Some(json!(["other"])), "audience_not_allowed"),
        (None, "audience_not_allowed"),
    ] {
        let token = match &aud {
            Some(aud) => good().claim("aud", aud.clone()),
            None => good().without("aud"),
        };
        let request = Request::get("/").bearer(&token.mint());
        assert_eq!(world.ask(0, &request).code(), code, "{aud:?}");
        assert_eq!(any.ask(0, &request).code(), "allowed", "{aud:?}, any audience");
    }
}

#[test]
fn an_issuer_is_compared_exactly_and_only_where_one_is_configured() {
    let mut world = gate(json!({}));
    let mut any = gate(json!({"issuer": null}));
    for (iss, code) in [
        (Some(ISSUER.to_owned()), "allowed"),
        (Some(format!("{ISSUER}/")), "issuer_not_allowed"),
        (Some(ISSUER.to_uppercase()), "issuer_not_allowed"),
        (Some(String::new()), "issuer_not_allowed"),
        (None, "issuer_not_allowed"),
    ] {
        let token = match &iss {
            Some(iss) => good().claim("iss", iss.as_str()),
            None => good().without("iss"),
        };
        let request = Request::get("/").bearer(&token.mint());
        assert_eq!(world.ask(0, &request).code(), code, "{iss:?}");
        assert_eq!(any.ask(0, &request).code(), "allowed", "{iss:?}, any issuer");
    }
}

#[test]
fn a_token_may_do_without_an_end_only_where_the_provider_says_so() {
    let endless = Request::get("/").bearer(&good().without("exp").mint());
    let expired = Request::get("/").bearer(&good().expires_in(-61).mint());
    assert_eq!(gate(json!({})).ask(0, &endless).code(), "expiration_missing");
    let mut lenient = gate(json!({"require_expiration": false}));
    assert_eq!(lenient.ask(0, &endless).code(), "allowed");
    assert_eq!(lenient.ask(0, &expired).code(), "token_expired");
}

#[test]
fn a_token_must_not_live_on_for_longer_than_the_provider_says() {
    for (require_expiration, expires_in, code) in [
        (true, Some(599), "allowed"),
        (true, Some(600), "lifetime_too_long"),
        (true, Some(601), "lifetime_too_long"),
        (true, None, "expiration_missing"),
        (false, Some(599), "allowed"),
        (false, None, "lifetime_too_long"),
    ] {
        let mut world = gate(json!({"max_lifetime": "600s", "require_expiration": require_expiration}));
        let token = expires_in.map_or_else(|| good().without("exp"), |seconds| good().expires_in(seconds));
        let code_found = world.ask(0, &Request::get("/").bearer(&token.mint())).code();
        assert_eq!(code_found, code, "{require_expiration} {expires_in:?}");
    }
}

#[test]
fn a_preflight_passes_only_where_the_configuration_says_so() {
    let preflight = Request::new("OPTIONS", "/orders")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    let provider = local(&[&Key::rsa()], json!({}));
    let mut strict = World::new(&json!({ "providers": {"main": provider} }), 1);
    let mut open = World::new(&json!({"providers": {"main": provider}, "bypass_cors_preflight": true}), 1);
    assert_eq!(strict.ask(0, &preflight).code(), "token_missing");
    assert_eq!(open.ask(0, &preflight).code(), "allowed");
    assert_eq!(open.count("jwt_gate_allowed_preflight"), 1);
    for (request, what) in [
        (Request::new("OPTIONS", "/orders").header("origin", "https://app.example"), "no requested method"),
        (Request::new("OPTIONS", "/orders").header("access-control-request-method", "POST"), "no origin"),
        (
            Request::get("/orders").header("origin", "x").header("access-control-request-method", "POST"),
            "another method",
        ),
    ] {
        assert_eq!(open.ask(0, &request).code(), "token_missing", "{what}");
    }
}

#[test]
fn every_way_to_pass_is_counted_by_its_own_name() {
    let mut world = gate_with_rules(json!([
        {"match": {"prefix": "/public"}, "public": true},
        {"match": {"prefix": "/maybe"}, "requires": {"allow_missing": {}}},
    ]));
    world.ask(0, &Request::get("/public"));
    world.ask(0, &Request::get("/maybe"));
    world.ask(0, &Request::get("/maybe").bearer(&good().mint()));
    world.ask(0, &Request::get("/").bearer(&good().mint()));
    world.ask(0, &Request::get("/"));
    for (counter, count) in [
        ("jwt_gate_allowed", 2),
        ("jwt_gate_allowed_public", 1),
        ("jwt_gate_allowed_anonymous", 1),
        ("jwt_gate_denied_token_missing", 1),
        ("jwt_gate_provider_allowed_main", 2),
        ("jwt_gate_provider_denied_main.token_missing", 1),
    ] {
        assert_eq!(world.count(counter), count, "{counter}");
    }
    assert_eq!(world.counts.len(), 6, "{:?}", world.counts);
}

#[test]
fn a_grpc_denial_says_so_to_the_host() {
    let mut world = gate(json!({}));
    for (content_type, grpc) in
        [("application/grpc", true), ("application/grpc+proto", true), ("application/json", false)]
    {
        let verdict = world.ask(0, &Request::new("POST", "/").header("content-type", content_type));
        assert!(matches!(verdict, crate::world::Verdict::Denied(_, found) if found == grpc), "{content_type}");
    }
}

#[test]
fn logs_and_debug_output_hold_no_token_and_no_secret() {
    let secret = Key::hmac(b"correct horse battery staple correct horse");
    let config = json!({"providers": {"main": local(&[&secret], json!({"algorithms": ["HS256"]}))}});
    let parsed = jwt_gate::config::Config::parse(config.to_string().as_bytes()).unwrap();
    let shown = format!("{parsed:?} {:?}", parsed.semantics);
    let key = secret.jwk()["k"].as_str().unwrap().to_owned();
    assert!(!shown.contains("horse") && !shown.contains(&key), "{shown}");
    assert!(!shown.contains("[99, 111, 114"), "{shown}");

    let mut world = World::new(&config, 1);
    let token = good().mint();
    let verdict = world.ask(0, &Request::get("/").bearer(&token));
    let shown = format!("{:?} {:?}", world.logs, verdict.denial());
    assert!(shown.contains("AlgorithmNotAllowed"), "{shown}");
    for part in token.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}
