//! What a client reads where the configuration says it: the metadata of the resource, templates, redirects, and gRPC.

use serde_json::{json, Value};

use crate::mint::{Key, ISSUER};
use crate::proxy::eventually;
use crate::wire::{get, request};
use crate::{issuer, provider, start, token};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

#[test]
fn a_client_finds_its_way_from_a_refusal_to_the_issuer() {
    let key = Key::rsa().named("k1");
    let gate = json!({
        "providers": {"main": provider()},
        "protected_resource": {"resource": "https://api.example/mcp", "scopes_supported": ["tools"]},
        "rules": [{"match": {"prefix": "/mcp"}, "requires": {"provider_name": "main"},
                   "authorize": {"scopes": {"all_of": ["tools"]}}}],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    assert_eq!(proxy.count("jwt_gate_answered_metadata"), 0, "there from the start, at zero");

    let end = format!("resource_metadata=\"https://api.example{METADATA}\"");
    let refused = proxy.send(&get("/mcp"));
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.value("www-authenticate"), Some(format!("Bearer scope=\"tools\", {end}").as_str()));
    let expired = proxy.send(&get("/other").bearing(&token(&key).expires_in(-300).mint()));
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"The token has expired.\", {end}");
    assert_eq!(expired.value("www-authenticate"), Some(challenge.as_str()));

    let document = proxy.send(&get(METADATA).bearing("not-a-token"));
    assert_eq!((document.status(), document.value("content-type")), (200, Some("application/json")));
    assert_eq!(document.value("cache-control"), Some("max-age=3600"));
    assert_eq!(document.value("access-control-allow-origin"), Some("*"));
    let expected = json!({
        "resource": "https://api.example/mcp",
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["tools"],
    });
    assert_eq!(serde_json::from_slice::<Value>(&document.body).expect("JSON"), expected);

    let mut connection = proxy.connect();
    connection.send(&request("HEAD", METADATA).bytes());
    let head = connection.try_receive(true).expect("an answer");
    assert_eq!((head.status(), head.value("content-type")), (200, Some("application/json")));
    // Whatever followed the head would be taken for the next answer.
    connection.send(&get(&format!("{METADATA}?x")).bytes());
    assert_eq!(connection.receive().body, document.body);

    let preflight = request("OPTIONS", METADATA)
        .with("origin", "https://client.example")
        .with("access-control-request-method", "GET")
        .with("access-control-request-headers", "mcp-protocol-version");
    let allowed = proxy.send(&preflight);
    assert_eq!((allowed.status(), allowed.text()), (204, ""));
    assert_eq!(allowed.value("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(allowed.value("access-control-allow-headers"), Some("authorization, *"));
    let posted = proxy.send(&request("POST", METADATA).carrying(b"x"));
    assert_eq!((posted.status(), posted.value("allow"), posted.text()), (405, Some("GET, HEAD, OPTIONS"), ""));
    eventually("the count of answers", || proxy.count("jwt_gate_answered_metadata") == 5);
    assert_eq!(proxy.send(&get("/.well-known/oauth-protected-resource")).status(), 401, "of another resource");
}

#[test]
fn a_refusal_says_what_the_configuration_has_it_say() {
    let key = Key::rsa().named("k1");
    let rule = |path: &str, responses: Value| json!({"match": {"prefix": path}, "requires": {"provider_name": "main"}, "responses": responses});
    let gate = json!({
        "providers": {"main": provider()},
        "responses": [{
            "codes": ["token_missing", "token_expired"],
            "content_type": "application/json",
            "body": r#"{{"error": "{code}", "status": {status}}}"#,
            "headers": [{"name": "x-code", "value": "{code}"}, {"name": "x-code", "value": "{status}"}],
            "redirect": {"location": "https://login.example/start?to={path}", "status": 303},
        }],
        "rules": [
            rule("/hidden", json!([{"status": 404, "body": ""}])),
            rule("/own", json!([{"headers": [{"name": "www-authenticate", "value": "Bearer realm=\"shop\""}]}])),
        ],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let expired = token(&key).expires_in(-300).mint();

    for (request, code) in [(get("/orders"), "token_missing"), (get("/orders").bearing(&expired), "token_expired")] {
        let response = proxy.send(&request);
        assert_eq!((response.status(), response.value("content-type")), (401, Some("application/json")));
        assert!(response.value("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        let codes: Vec<&str> =
            response.fields.iter().filter(|(name, _)| name == "x-code").map(|(_, v)| v.as_str()).collect();
        assert_eq!(codes, [code, "401"]);
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(body, json!({"error": code, "status": 401}));
    }

    let page = |target: &str| get(target).with("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    for (target, to) in [("/orders?a=b&c", "%2Forders%3Fa%3Db%26c"), ("//elsewhere.example/x", "%2F")] {
        let response = proxy.send(&page(target));
        assert_eq!((response.status(), response.text()), (303, ""), "{target}");
        let location = format!("https://login.example/start?to={to}");
        assert_eq!(response.value("location"), Some(location.as_str()));
        assert_eq!(response.value("cache-control"), Some("no-store"));
        assert_eq!((response.value("www-authenticate"), response.value("content-type")), (None, None));
    }
    assert_eq!(proxy.send(&page("/orders").bearing("bad")).status(), 401, "no entry is for that code");

    let hidden = proxy.send(&page("/hidden"));
    assert_eq!((hidden.status(), hidden.text(), hidden.value("content-type")), (404, "", None));
    assert_eq!(hidden.value("www-authenticate"), None);
    assert_eq!(proxy.send(&get("/own")).value("www-authenticate"), Some("Bearer realm=\"shop\""));
}

#[test]
fn a_grpc_client_gets_the_status_of_an_entry_and_its_headers() {
    let key = Key::rsa().named("k1");
    let entry = |codes: Value, more: Value| {
        let mut entry = json!({"codes": codes, "body": "<p>no", "content_type": "text/html"});
        entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        entry
    };
    let gate = json!({
        "providers": {"main": provider()},
        "responses": [
            entry(json!(["token_missing"]), json!({"status": 403, "headers": [{"name": "x-code", "value": "{code}"}]})),
            entry(json!(["token_malformed"]), json!({"headers": [{"name": "grpc-status", "value": "5"}]})),
        ],
    });
    let proxy = start(&gate, &issuer(&[&key]));
    let call =
        || request("POST", "/shop.Orders/List").with("content-type", "application/grpc").with("accept", "text/html");
    for (call, status, code, message) in [
        (call(), "7", Some("token_missing"), "The request carries no token."),
        (call().bearing("x"), "5", None, "The token is not a signed JWT in compact form."),
    ] {
        let response = proxy.send(&call.carrying(b""));
        assert_eq!((response.status(), response.value("content-type")), (200, Some("application/grpc")));
        assert_eq!((response.value("grpc-status"), response.value("grpc-message")), (Some(status), Some(message)));
        assert_eq!((response.value("x-code"), response.text()), (code, ""));
    }
    assert_eq!(proxy.send(&get("/").bearing("x")).value("grpc-status"), None, "no business of another client");
}
