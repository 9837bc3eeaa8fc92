//! What a client reads when it is refused, byte by byte.

use serde_json::{json, Value};

use crate::mint::Key;
use crate::proxy::eventually;
use crate::wire::{get, request, Message};
use crate::{closed, issuer, provider, start, token};

/// A response as it was on the wire, without the date.
fn printed(response: &Message) -> String {
    let mut text = format!("{}\n", response.start);
    for (name, value) in response.fields.iter().filter(|(name, _)| name != "date") {
        text.push_str(&format!("{name}: {value}\n"));
    }
    format!("{text}\n{}", response.text())
}

#[test]
fn each_class_of_denial_reads_byte_by_byte_like_this() {
    let key = Key::rsa().named("k1");
    let mut main = provider();
    main["revocation"] = json!({"http_uri": {"uri": "http://x/", "cluster": "nowhere", "timeout": "1s"}});
    let gate = json!({
        "providers": {"main": provider(), "listed": main},
        "rules": [
            {"match": {"prefix": "/orders"}, "requires": {"provider_name": "main"},
             "authorize": {"scopes": {"all_of": ["orders:read", "orders:write"]}}},
            {"match": {"prefix": "/listed"}, "requires": {"provider_name": "listed"}},
            {"match": {"prefix": "/open"}, "public": true},
        ],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let good = token(&key).mint();

    assert_eq!(
        printed(&proxy.send(&get("/"))),
        "HTTP/1.1 401 Unauthorized\n\
         content-type: application/problem+json\n\
         www-authenticate: Bearer\n\
         content-length: 122\n\
         server: envoy\n\
         \n\
         {\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"code\":\"token_missing\",\
         \"detail\":\"The request carries no token.\"}"
    );
    assert_eq!(
        printed(&proxy.send(&get("/").bearing(&token(&key).expires_in(-300).mint()))),
        "HTTP/1.1 401 Unauthorized\n\
         content-type: application/problem+json\n\
         www-authenticate: Bearer error=\"invalid_token\", error_description=\"The token has expired.\"\n\
         content-length: 115\n\
         server: envoy\n\
         \n\
         {\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"code\":\"token_expired\",\
         \"detail\":\"The token has expired.\"}"
    );
    assert_eq!(
        printed(&proxy.send(&get("/orders").bearing(&good))),
        "HTTP/1.1 403 Forbidden\n\
         content-type: application/problem+json\n\
         www-authenticate: Bearer error=\"insufficient_scope\", \
         error_description=\"The token lacks a scope that this route requires.\", scope=\"orders:read orders:write\"\n\
         content-length: 144\n\
         server: envoy\n\
         \n\
         {\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\"code\":\"scope_insufficient\",\
         \"detail\":\"The token lacks a scope that this route requires.\"}"
    );
    assert_eq!(
        printed(&proxy.send(&get("/open/../orders"))),
        "HTTP/1.1 400 Bad Request\n\
         content-type: application/problem+json\n\
         content-length: 135\n\
         server: envoy\n\
         connection: close\n\
         \n\
         {\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"code\":\"path_ambiguous\",\
         \"detail\":\"The path can be read in more than one way.\"}"
    );
    let unavailable = proxy.send(&get("/listed").bearing(&good));
    let seconds: u64 = unavailable.value("retry-after").expect("503 says when").parse().expect("in seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(
        printed(&unavailable).replace(&format!("retry-after: {seconds}"), "retry-after: N"),
        "HTTP/1.1 503 Service Unavailable\n\
         content-type: application/problem+json\n\
         retry-after: N\n\
         content-length: 153\n\
         server: envoy\n\
         \n\
         {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"revocation_unavailable\",\
         \"detail\":\"The list of revoked tokens is not available.\"}"
    );
}

#[test]
fn a_grpc_request_gets_the_hosts_own_mapping() {
    let key = Key::rsa().named("k1");
    let gate = json!({
        "providers": {"main": provider()},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"},
                   "authorize": {"scopes": {"any_of": ["x"]}}}],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    for (bearer, status, message) in [
        (None, "16", "The request carries no token."),
        (Some(token(&key).mint()), "7", "The token lacks a scope that this route requires."),
    ] {
        let call = request("POST", "/shop.Orders/List").with("content-type", "application/grpc").carrying(b"");
        let call = bearer.iter().fold(call, |call, token| call.bearing(token));
        let response = proxy.send(&call);
        assert_eq!(response.status(), 200);
        assert_eq!(response.value("content-type"), Some("application/grpc"));
        assert_eq!(response.value("grpc-status"), Some(status));
        assert_eq!(response.value("grpc-message"), Some(message));
        assert_eq!(response.text(), "");
    }
}

#[test]
fn every_answer_is_counted_under_its_reason() {
    let key = Key::rsa().named("k1");
    let gate = json!({
        "bypass_cors_preflight": true,
        "providers": {"main": provider()},
        "rules": [
            {"match": {"prefix": "/open"}, "public": true},
            {"match": {"prefix": "/maybe"}, "requires": {"allow_missing": {}}},
        ],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let good = token(&key).mint();
    let preflight = request("OPTIONS", "/").with("origin", "https://a").with("access-control-request-method", "PUT");
    for (request, status, counter) in [
        (get("/").bearing(&good), 200, "jwt_gate_allowed"),
        (get("/open"), 200, "jwt_gate_allowed_public"),
        (get("/maybe"), 200, "jwt_gate_allowed_anonymous"),
        (preflight, 200, "jwt_gate_allowed_preflight"),
        (get("/"), 401, "jwt_gate_denied_token_missing"),
        (get("/").bearing("x"), 401, "jwt_gate_denied_token_malformed"),
        (get("/").bearing(&token(&key).claim("aud", "else").mint()), 401, "jwt_gate_denied_audience_not_allowed"),
        (get("//open"), 400, "jwt_gate_denied_path_ambiguous"),
    ] {
        assert_eq!(proxy.count(counter), 0, "{counter}: there from the start, at zero");
        assert_eq!(proxy.send(&request).status(), status, "{counter}");
        // The gate tells the host with its next tick.
        eventually(counter, || proxy.count(counter) == 1);
    }
    let prometheus = proxy.admin(&get("/stats/prometheus"));
    assert!(prometheus.text().contains("jwt_gate_denied_token_missing{} 1"), "{}", prometheus.text());
}

#[test]
fn without_rules_every_route_is_closed() {
    let key = Key::rsa().named("k1");
    let proxy = start(&closed(), &issuer(&[&key]));
    for target in ["/", "/public", "/.well-known/jwks.json", "/health"] {
        let body: Value = serde_json::from_slice(&proxy.send(&get(target)).body).expect("a problem");
        assert_eq!(body["code"], "token_missing", "{target}");
        assert_eq!(proxy.send(&get(target).bearing(&token(&key).mint())).status(), 200, "{target}");
    }
}
