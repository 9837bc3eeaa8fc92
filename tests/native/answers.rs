//! What a refusal says: the challenge, the metadata of the resource that it names, and what the configuration has it say instead.

use std::collections::BTreeSet;
use std::time::Duration;

use jwt_gate::config::Config;
use jwt_gate::limits::MAX_WAITING;
use jwt_gate::request::RequestHead;
use jwt_gate::verdict::{HeaderMap, Reason};
use serde_json::{json, Value};

use crate::mint::{Key, Token, ISSUER};
use crate::world::{local, merged, remote, Reply, Request, Verdict, World, JWKS};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// One provider with a key in the configuration, and whatever `more` says.
fn config(more: Value) -> Value {
    merged(json!({"providers": {"main": local(&[&Key::rsa()], json!({}))}}), more)
}

fn resource(more: Value) -> Value {
    config(json!({"protected_resource": merged(json!({"resource": "https://api.example/mcp"}), more)}))
}

fn responses(entries: Value) -> Value {
    config(json!({ "responses": entries }))
}

fn page() -> Request {
    Request::get("/orders?a=b").header("accept", "text/html,*/*;q=0.8")
}

fn expired() -> Request {
    Request::get("/orders").bearer(&Token::new(&Key::rsa()).expires_in(-3600).mint())
}

fn ask(config: &Value, request: &Request) -> Verdict {
    World::new(config, 1).ask(0, request)
}

/// Status, headers and body of a refusal, as the client sees them.
fn answer(config: &Value, request: &Request) -> (u16, Vec<(String, String)>, String) {
    let verdict = ask(config, request);
    let Verdict::Denied(denial, grpc) = &verdict else { panic!("{}", verdict.code()) };
    let response = denial.local_response(*grpc);
    (denial.status, fields(&response.headers), response.body.to_string())
}

/// The fields of a header map, read as the host reads it.
fn fields(map: &HeaderMap) -> Vec<(String, String)> {
    let head = RequestHead::from_map(map.as_bytes().to_vec()).expect("a header map");
    let text = |part: &[u8]| String::from_utf8(part.to_vec()).expect("a text");
    head.fields().map(|(name, value)| (text(name), text(value))).collect()
}

fn header(config: &Value, request: &Request, name: &str) -> Option<String> {
    let (_, headers, _) = answer(config, request);
    let mut values = headers.into_iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} twice");
    value
}

fn document(config: &Value, path: &str) -> Value {
    let verdict = ask(config, &Request::get(path));
    let Verdict::Replied(reply) = &verdict else { panic!("{path}: {}", verdict.code()) };
    serde_json::from_str(&reply.response.body).expect("JSON")
}

fn error_of(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_metadata_is_where_the_rfc_puts_it_and_the_challenge_says_so() {
    for (resource, path, url) in [
        ("https://api.example", WELL_KNOWN.to_owned(), format!("https://api.example{WELL_KNOWN}")),
        ("https://api.example/", WELL_KNOWN.to_owned(), format!("https://api.example{WELL_KNOWN}")),
        ("https://api.example/mcp", format!("{WELL_KNOWN}/mcp"), format!("https://api.example{WELL_KNOWN}/mcp")),
        (
            "https://a.example:8443/b/c/",
            format!("{WELL_KNOWN}/b/c/"),
            format!("https://a.example:8443{WELL_KNOWN}/b/c/"),
        ),
        ("http://localhost:8080/x", format!("{WELL_KNOWN}/x"), format!("http://localhost:8080{WELL_KNOWN}/x")),
        ("https://[::1]:8443/", WELL_KNOWN.to_owned(), format!("https://[::1]:8443{WELL_KNOWN}")),
    ] {
        let config = config(json!({"protected_resource": {"resource": resource}}));
        assert_eq!(document(&config, &path)["resource"], resource);
        let challenge = header(&config, &Request::get("/"), "www-authenticate").unwrap();
        assert_eq!(challenge, format!(r#"Bearer resource_metadata="{url}""#));
    }
}

#[test]
fn the_metadata_holds_what_the_configuration_says_and_what_follows_from_its_providers() {
    let path = format!("{WELL_KNOWN}/mcp");
    let provider = |more: Value| local(&[&Key::rsa()], more);
    assert_eq!(
        document(&resource(json!({})), &path),
        json!({"resource": "https://api.example/mcp", "authorization_servers": [ISSUER], "bearer_methods_supported": ["header"]})
    );
    let several = json!({"providers": {
        "text": provider(json!({"issuer": "accounts.example"})),
        "b": provider(json!({"issuer": "https://b.example", "from_params": ["access_token"]})),
        "none": provider(json!({"issuer": null, "from_cookies": ["session"]})),
        "again": provider(json!({"issuer": ISSUER, "from_headers": [{"name": "x-token"}]})),
    }});
    assert_eq!(
        document(&merged(resource(json!({})), several.clone()), &path),
        json!({
            "resource": "https://api.example/mcp",
            "authorization_servers": [ISSUER, "https://b.example"],
            "bearer_methods_supported": ["header", "query"],
        })
    );
    let more = json!({
        "authorization_servers": ["https://login.example/tenant"],
        "bearer_methods_supported": ["query"],
        "scopes_supported": ["orders:read", "orders:write"],
        "resource_name": "Orders \"and\" more",
        "resource_documentation": "https://api.example/docs?v=1#start",
        "resource_policy_uri": "https://api.example/policy",
        "resource_tos_uri": "https://api.example/terms",
    });
    let expected = merged(json!({"resource": "https://api.example/mcp"}), more.clone());
    assert_eq!(document(&merged(resource(more), several), &path), expected);
    // A provider that looks for tokens where no client would put them has no method.
    let cookies = json!({"providers": {"main": {"from_cookies": ["session"]}}});
    let plain = document(&merged(resource(json!({})), cookies), &path);
    assert_eq!(plain.get("bearer_methods_supported"), None, "{plain}");
    let anywhere =
        json!({"providers": {"main": {"from_headers": [{"name": "Authorization", "value_prefix": "JWT "}]}}});
    assert_eq!(document(&merged(resource(json!({})), anywhere), &path)["bearer_methods_supported"], json!(["header"]));
}

#[test]
fn the_metadata_is_everyones_by_get_and_head_and_by_no_other_method() {
    let closed = json!({"rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]});
    let mut world = World::new(&merged(resource(json!({})), closed), 1);
    let path = format!("{WELL_KNOWN}/mcp");
    for (method, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("PUT", 405), ("get", 405)] {
        let bad = Token::new(&Key::other_rsa()).mint();
        for request in [Request::new(method, &path), Request::new(method, &path).bearer(&bad)] {
            let verdict = world.ask(0, &request);
            let Verdict::Replied(reply) = &verdict else { panic!("{method}: {}", verdict.code()) };
            assert_eq!(reply.status, status, "{method}");
            let headers = fields(&reply.response.headers);
            let value = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            assert_eq!(value("access-control-allow-origin"), Some("*"), "{method}");
            assert_eq!(reply.response.body.is_empty(), status != 200, "{method}");
            assert_eq!(value("content-type"), (status == 200).then_some("application/json"), "{method}");
            assert_eq!(value("cache-control"), (status == 200).then_some("max-age=3600"), "{method}");
            assert_eq!(value("allow"), (status != 200).then_some("GET, HEAD, OPTIONS"), "{method}");
            assert_eq!(
                value("access-control-allow-headers"),
                (status == 204).then_some("authorization, *"),
                "{method}"
            );
        }
    }
    assert_eq!(world.counts.keys().collect::<Vec<_>>(), ["jwt_gate_answered_metadata"]);
    assert_eq!(world.count("jwt_gate_answered_metadata"), 12);
}

#[test]
fn the_path_of_the_metadata_has_one_spelling_and_what_is_not_it_falls_under_the_rules() {
    let mut world = World::new(&resource(json!({})), 1);
    for path in [format!("{WELL_KNOWN}/mcp"), format!("{WELL_KNOWN}/mcp?"), format!("{WELL_KNOWN}/mcp?a=/../b")] {
        assert_eq!(world.ask(0, &Request::get(&path)).code(), "replied", "{path}");
    }
    for path in [
        WELL_KNOWN.to_owned(),
        format!("{WELL_KNOWN}/mcp/"),
        format!("{WELL_KNOWN}/mcp/x"),
        format!("{WELL_KNOWN}/mcpx"),
        format!("{WELL_KNOWN}/MCP"),
        format!("{WELL_KNOWN}/%6dcp"),
        format!("{WELL_KNOWN}//mcp"),
        format!("{WELL_KNOWN}/mcp;x"),
        format!("{WELL_KNOWN}/mcp#x"),
        format!("/{WELL_KNOWN}/mcp"),
        format!("/x/..{WELL_KNOWN}/mcp"),
        format!("/?{WELL_KNOWN}/mcp"),
        String::new(),
    ] {
        let code = world.ask(0, &Request::get(&path)).code();
        assert!(["token_missing", "path_ambiguous"].contains(&code), "{path}: {code}");
    }
    // Where nothing is configured, it is a path like any other.
    assert_eq!(ask(&config(json!({})), &Request::get(WELL_KNOWN)).code(), "token_missing");
}

#[test]
fn with_metadata_a_challenge_names_the_scopes_of_the_rule_too() {
    let scopes = |scopes: Value| json!({ "scopes": scopes });
    let rule = |path: &str, authorize: Value| {
        let rule = json!({"match": {"prefix": path}, "requires": {"provider_name": "main"}});
        merged(rule, json!({ "authorize": authorize }))
    };
    let rules = json!({"rules": [
        {"match": {"prefix": "/open"}, "public": true},
        rule("/any", scopes(json!({"any_of": ["a", "b"]}))),
        rule("/claims", json!({"scopes": {"all_of": ["a"]}, "claims": [{"claim": "sub", "equals": "bob"}]})),
        rule("/plain", Value::Null),
    ]});
    let config = merged(resource(json!({})), rules.clone());
    let end = r#"resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp""#;
    let token = |scope: &str| Token::new(&Key::rsa()).claim("scope", scope).mint();
    for (request, challenge) in [
        (Request::get("/any"), format!(r#"Bearer scope="a b", {end}"#)),
        (Request::get("/plain"), format!("Bearer {end}")),
        (Request::get("/no-rule"), format!("Bearer {end}")),
        (
            Request::get("/any").bearer("x"),
            format!(
                r#"Bearer error="invalid_token", error_description="The token is not a signed JWT in compact form.", scope="a b", {end}"#
            ),
        ),
        (
            Request::get("/any").bearer(&token("c")),
            format!(
                r#"Bearer error="insufficient_scope", error_description="The token lacks a scope that this route requires.", scope="a b", {end}"#
            ),
        ),
        (
            Request::get("/claims").bearer(&token("a")),
            format!(
                r#"Bearer error="insufficient_scope", error_description="The token lacks a claim that this route requires.", {end}"#
            ),
        ),
    ] {
        assert_eq!(header(&config, &request, "www-authenticate"), Some(challenge), "{request:?}");
    }
    // Without it, only the scopes that are lacking.
    let plain = merged(self::config(json!({})), rules);
    assert_eq!(header(&plain, &Request::get("/any"), "www-authenticate").as_deref(), Some("Bearer"));
    // A refusal that a token does not heal has no challenge.
    assert_eq!(header(&config, &Request::get("/any#"), "www-authenticate"), None);
    let bare = merged(config, json!({"strip_failure_response": true}));
    assert_eq!(answer(&bare, &Request::get("/any")), (401, Vec::new(), String::new()));
}

#[test]
fn an_entry_says_what_it_says_and_leaves_the_rest_as_it_is() {
    let get = Request::get("/orders");
    let json_type = ("content-type".to_owned(), "application/problem+json".to_owned());
    let challenge = ("www-authenticate".to_owned(), "Bearer".to_owned());
    let (_, _, problem) = answer(&config(json!({})), &get);

    let status = answer(&responses(json!([{"status": 403}])), &get);
    let problem_of_403 = problem.replace("401", "403").replace("Unauthorized", "Forbidden");
    assert_eq!(status, (403, vec![challenge.clone(), json_type.clone()], problem_of_403));
    let hidden = answer(&responses(json!([{"status": 404}])), &get);
    let problem_of_404 = problem.replace("401", "404").replace("Unauthorized", "Not Found");
    assert_eq!(hidden, (404, vec![json_type.clone()], problem_of_404), "a challenge would tell that it is there");

    let text = answer(&responses(json!([{"body": "{code} {status} {detail} {{x}}"}])), &get);
    let content_type = ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned());
    let body = "token_missing 401 The request carries no token. {x}";
    assert_eq!(text, (401, vec![challenge.clone(), content_type], body.to_owned()));

    let page = json!([{"body": "<p>{detail}", "content_type": "text/html", "status": 403}]);
    let content_type = ("content-type".to_owned(), "text/html".to_owned());
    let body = "<p>The request carries no token.";
    assert_eq!(answer(&responses(page), &get), (403, vec![challenge.clone(), content_type], body.to_owned()));

    let headers = json!([{"headers": [
        {"name": "X-Code", "value": "{code}; {status}"},
        {"name": "x-note", "value": "a {{b}}"},
        {"name": "x-note", "value": "c"},
    ]}]);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![
        challenge,
        json_type.clone(),
        field("x-code", "token_missing; 401"),
        field("x-note", "a {b}"),
        field("x-note", "c"),
    ];
    assert_eq!(answer(&responses(headers), &get), (401, expected, problem.clone()));

    let own = json!([{"headers": [{"name": "WWW-Authenticate", "value": "Bearer realm=\"shop\""}]}]);
    let expected = vec![json_type, field("www-authenticate", "Bearer realm=\"shop\"")];
    assert_eq!(answer(&responses(own), &get), (401, expected, problem));

    let (_, headers, body) = answer(&responses(json!([{"body": ""}])), &get);
    assert_eq!((headers.len(), body.as_str()), (2, ""), "the host leaves the type of an empty body out");
}

#[test]
fn a_401_keeps_its_challenge_and_a_503_says_when_to_come_back_unless_the_entry_does() {
    let down = json!({"providers": {"main": {"local_jwks": null, "remote_jwks": remote(json!({}))["remote_jwks"]}}});
    let ask = |entry: Value| {
        let mut world = World::new(&merged(responses(json!([entry])), down.clone()), 1);
        world.issuer(JWKS, Reply::status(500));
        let verdict = world.ask_patiently(0, &Request::get("/").bearer(&Token::new(&Key::rsa()).mint()));
        assert_eq!(verdict.code(), "keys_unavailable");
        let headers = verdict.denial().headers(false);
        headers.into_iter().filter(|(name, _)| *name != "content-type").map(|(name, _)| name.to_owned()).collect()
    };
    let own = json!([{"name": "retry-after", "value": "7"}]);
    for (entry, expected) in [
        (json!({"body": "x"}), vec!["retry-after"]),
        (json!({"body": "x", "headers": own}), vec!["retry-after"]),
        (json!({"status": 500}), vec![]),
        (json!({"status": 401}), vec!["www-authenticate"]),
    ] {
        let headers: Vec<String> = ask(entry.clone());
        assert_eq!(headers, expected, "{entry}");
    }
}

#[test]
fn the_first_entry_for_the_code_counts_and_those_of_the_rule_before_all_others() {
    let entry = |codes: &[&str], body: &str| match codes {
        [] => json!({ "body": body }),
        codes => json!({"codes": codes, "body": body}),
    };
    let config = config(json!({
        "responses": [
            entry(&["token_expired", "token_revoked"], "expired"),
            entry(&["token_expired", "token_missing"], "missing"),
            entry(&[], "other"),
        ],
        "rules": [
            {"match": {"prefix": "/own"}, "requires": {"provider_name": "main"}, "responses": [entry(&["token_missing"], "own")]},
            {"match": {"prefix": "/all"}, "requires": {"provider_name": "main"}, "responses": [entry(&[], "all")]},
            {"match": {"prefix": "/plain"}, "requires": {"provider_name": "main"}},
        ],
    }));
    let expired = |path: &str| Request::get(path).bearer(&Token::new(&Key::rsa()).expires_in(-3600).mint());
    for (request, body) in [
        (Request::get("/own"), "own"),
        (expired("/own"), "expired"),
        (Request::get("/own").bearer("x"), "other"),
        (Request::get("/all"), "all"),
        (expired("/all"), "all"),
        (Request::get("/plain"), "missing"),
        (Request::get("/no-rule"), "missing"),
        (expired("/no-rule"), "expired"),
        (Request::get("/x/../own"), "other"),
    ] {
        assert_eq!(answer(&config, &request).2, body, "{request:?}");
    }
    // What no entry is for is said as ever.
    let some = responses(json!([entry(&["token_expired"], "expired")]));
    assert!(answer(&some, &Request::get("/")).2.contains("about:blank"));
}

#[test]
fn a_request_that_waits_in_vain_or_finds_no_room_is_answered_by_its_rule_as_well() {
    let config = json!({
        "providers": {"main": remote(json!({}))},
        "rules": [{"match": {"prefix": "/own"}, "requires": {"provider_name": "main"}, "responses": [{"body": "{code}, by the rule"}]}],
        "responses": [{"body": "{code}, by all"}],
    });
    let mut world = World::new(&config, 1);
    let request = |path: &str| Request::get(path).bearer(&Token::new(&Key::rsa()).mint());
    let first = world.request(0, &request("/own"));
    for _ in 1..MAX_WAITING {
        world.request(0, &request("/"));
    }
    assert_eq!(world.ask(0, &request("/own")).denial().body(false), "overloaded, by the rule");
    assert_eq!(world.ask(0, &request("/")).denial().body(false), "overloaded, by all");
    world.advance(Duration::from_secs(60));
    assert_eq!(world.verdict(first).unwrap().denial().body(false), "keys_unavailable, by the rule");
}

#[test]
fn a_status_of_an_entry_comes_before_the_one_of_its_code() {
    let statuses = json!({"statuses": {"token_missing": 403}});
    let with = |entry: Value| answer(&merged(responses(json!([entry])), statuses.clone()), &Request::get("/"));
    assert_eq!(with(json!({"body": "{status}"})).2, "403");
    let (status, _, body) = with(json!({"body": "{status}", "status": 418}));
    assert_eq!((status, body.as_str()), (418, "418"));
}

#[test]
fn every_reason_leaves_a_json_body_json() {
    let body = r#"{{"error": {{"code": "{code}", "message": "{detail}", "status": {status}}}}}"#;
    let config = responses(json!([{"content_type": "application/json", "body": body}]));
    let Ok(config) = Config::parse(config.to_string().as_bytes()) else { panic!("a good configuration") };
    let jwt_gate::gate::Semantics::Gate(policy) = config.semantics else { panic!("its own semantics") };
    let response = &policy.responses.of_all[0];
    for &reason in Reason::ALL {
        let text = response.body.as_ref().unwrap().text.filled(reason, reason.status(), "");
        let body: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({"code": reason.code(), "message": reason.detail(), "status": reason.status()});
        assert_eq!(body["error"], expected);
    }
}

#[test]
fn a_browser_is_redirected_and_everyone_else_is_answered() {
    let login = json!([{
        "codes": ["token_missing"],
        "body": "log in",
        "headers": [{"name": "x-code", "value": "{code} {status}"}],
        "redirect": {"location": "https://login.example/start?why={code}&to={path}"},
    }]);
    let config = responses(login);
    let (status, headers, body) = answer(&config, &page());
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let location = "https://login.example/start?why=token_missing&to=%2Forders%3Fa%3Db";
    let expected =
        [field("location", location), field("cache-control", "no-store"), field("x-code", "token_missing 302")];
    assert_eq!((status, headers.as_slice(), body.as_str()), (302, &expected[..], ""));
    assert_eq!(answer(&config, &Request::new("HEAD", "/").header("accept", "text/html")).0, 302);

    for request in [
        Request::get("/orders"),
        Request::get("/orders").header("accept", "*/*"),
        Request::get("/orders").header("accept", "application/json, text/html;q=0"),
        Request::new("POST", "/orders").header("accept", "text/html"),
        Request::new("OPTIONS", "/orders").header("accept", "text/html"),
        Request::get("/orders").header("accept", "text/html").header("content-type", "application/grpc-web"),
    ] {
        let (status, headers, _) = answer(&config, &request);
        assert_eq!(status, 401, "{request:?}");
        assert!(headers.iter().all(|(name, _)| name != "location"), "{request:?}");
    }
    // Another code has no redirect.
    let expired = expired().header("accept", "text/html");
    assert_eq!(answer(&config, &expired).0, 401);
    for status in [302, 303, 307] {
        let redirect = json!([{"redirect": {"location": "/login", "status": status}}]);
        assert_eq!(answer(&responses(redirect), &page()).0, status);
    }
    let kept = json!([{
        "redirect": {"location": "/login"},
        "headers": [{"name": "cache-control", "value": "private"}],
    }]);
    assert_eq!(header(&responses(kept), &page(), "cache-control").as_deref(), Some("private"));
}

#[test]
fn a_redirect_without_codes_is_for_what_another_login_can_heal() {
    let config = merged(
        responses(json!([{"redirect": {"location": "/login"}}])),
        json!({"rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"scopes": {"any_of": ["a"]}}}]}),
    );
    let good = page().bearer(&Token::new(&Key::rsa()).mint());
    for (request, status) in
        [(page(), 302), (expired().header("accept", "text/html"), 302), (good, 403), (page().target(b"/a#b"), 400)]
    {
        assert_eq!(answer(&config, &request).0, status, "{request:?}");
    }
    let named = json!([{"codes": ["scope_insufficient"], "redirect": {"location": "/why"}}]);
    let config = merged(config, json!({ "responses": named }));
    assert_eq!(answer(&config, &page().bearer(&Token::new(&Key::rsa()).mint())).0, 302);
}

#[test]
fn the_way_back_leads_nowhere_else_and_holds_no_token() {
    let config = merged(
        responses(json!([{"redirect": {"location": "/login?to={path}"}}])),
        json!({
            "providers": {"main": {"from_params": ["t"]}},
            "bad_token_beside_good": "deny",
        }),
    );
    let token = Token::new(&Key::rsa()).expires_in(-3600).mint();
    for (target, to) in [
        ("/orders?a=b&c", "%2Forders%3Fa%3Db%26c"),
        (&format!("/orders?a&t={token}&b"), "%2Forders%3Fa%26b"),
        (&format!("/orders?%74={token}"), "%2Forders"),
        (&format!("/orders?access_token={token}"), "%2Forders"),
        ("//elsewhere.example/x", "%2F"),
        ("/\\elsewhere.example/x", "%2F"),
        ("/%5celsewhere.example", "%2F%255celsewhere.example"),
        ("/a&to=https://elsewhere.example", "%2Fa%26to%3Dhttps%3A%2F%2Felsewhere.example"),
        (&format!("/{}", "a".repeat(3000)), "%2F"),
    ] {
        let request = page().target(target.as_bytes());
        assert_eq!(header(&config, &request, "location"), Some(format!("/login?to={to}")), "{target}");
    }
    for target in [&b"/a\r\nset-cookie: a=b"[..], b"/a\nb", b"/a b", b"/a\"b", b"/\xc3\xa9"] {
        let location = header(&config, &page().target(target), "location").unwrap();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%/?=".contains(&b);
        assert!(location.bytes().all(is_plain), "{location}");
    }
}

#[test]
fn nothing_else_of_a_request_is_in_any_answer() {
    let config = merged(
        responses(json!([{
            "body": "{code} {status} {detail}",
            "headers": [{"name": "x-code", "value": "{code} {status} {detail}"}],
            "redirect": {"location": "/login?why={code}"},
        }])),
        json!({"protected_resource": {"resource": "https://api.example"}}),
    );
    let evil = |request: Request| {
        request
            .header("x-evil", "evil")
            .header("evil", "x")
            .header("cookie", "evil=evil")
            .header("referer", "https://evil.example/")
            .header("host", "evil.example")
    };
    let token = Token::new(&Key::rsa()).claim("sub", "evil").claim("aud", "evil").mint();
    for request in [
        Request::get("/evil?evil"),
        Request::get("/evil").bearer("evil"),
        Request::get("/evil").bearer(&token),
        Request::get("/evil").header("accept", "text/html"),
        Request::new("EVIL", "/evil").header("accept", "evil/evil"),
        Request::new("POST", "/evil").header("content-type", "application/grpc+evil"),
        Request::get(WELL_KNOWN),
        Request::get(&format!("{WELL_KNOWN}?evil")),
        Request::new("EVIL", WELL_KNOWN),
    ] {
        let said = match ask(&config, &evil(request.clone())) {
            Verdict::Denied(denial, grpc) => {
                let response = denial.local_response(grpc);
                format!("{:?} {}", fields(&response.headers), response.body)
            }
            Verdict::Replied(reply) => format!("{:?} {}", fields(&reply.response.headers), reply.response.body),
            Verdict::Allowed(_) => panic!("allowed: {request:?}"),
        };
        assert!(!said.to_lowercase().contains("evil"), "{said}");
    }
}

#[test]
fn a_grpc_request_has_status_and_headers_of_an_entry_and_the_sentence_for_a_body() {
    let call = Request::new("POST", "/shop.Orders/List").header("content-type", "application/grpc");
    let entry = json!({
        "status": 403,
        "body": "<p>no",
        "content_type": "text/html",
        "headers": [{"name": "grpc-status", "value": "5"}, {"name": "x-code", "value": "{code}"}],
        "redirect": {"location": "/login"},
    });
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let config = responses(json!([entry]));
    let expected =
        vec![field("www-authenticate", "Bearer"), field("grpc-status", "5"), field("x-code", "token_missing")];
    assert_eq!(answer(&config, &call), (403, expected, "The request carries no token.".to_owned()));
    // Of gRPC alone.
    let (_, headers, body) = answer(&config, &Request::get("/"));
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, body.as_str()), (vec!["www-authenticate", "content-type", "x-code"], "<p>no"));
    let bare = merged(config, json!({"strip_failure_response": true}));
    let expected = vec![field("grpc-status", "5"), field("x-code", "token_missing")];
    assert_eq!(answer(&bare, &call), (403, expected, String::new()));
}

#[test]
fn a_stripped_answer_says_what_is_configured_and_nothing_else() {
    let bare = |entry: Value| merged(responses(json!([entry])), json!({"strip_failure_response": true}));
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let get = Request::get("/");
    assert_eq!(answer(&bare(json!({"status": 404})), &get), (404, Vec::new(), String::new()));
    let header = json!({"headers": [{"name": "x-code", "value": "{code}"}]});
    assert_eq!(answer(&bare(header), &get), (401, vec![field("x-code", "token_missing")], String::new()));
    let body = json!({"body": "no", "content_type": "text/css"});
    assert_eq!(answer(&bare(body), &get), (401, vec![field("content-type", "text/css")], "no".to_owned()));
    let redirect = json!({"redirect": {"location": "/login"}});
    assert_eq!(answer(&bare(redirect.clone()), &get), (401, Vec::new(), String::new()));
    assert_eq!(answer(&bare(redirect), &page()).0, 302);
    // A refusal without an entry is as bare as before.
    let other = bare(json!({"codes": ["token_expired"], "body": "x"}));
    assert_eq!(answer(&other, &get), (401, Vec::new(), String::new()));
    assert_eq!(answer(&other, &expired()).2, "x");
}

#[test]
fn a_response_that_cannot_be_is_refused_with_its_path_and_the_reason() {
    let of = |entry: Value| error_of(&responses(json!([entry])));
    let with_header = |name: &str, value: &str| of(json!({"headers": [{"name": name, "value": value}]}));
    let leads = |location: &str| of(json!({"redirect": {"location": location}}));
    let braces = "braces hold one of code, status, detail; one that is meant is written twice";
    let rule = |more: Value| {
        let rule = json!({"match": {"prefix": "/"}, "responses": [{"status": 404}]});
        error_of(&config(json!({ "rules": [merged(rule, more)] })))
    };
    for (found, expected) in [
        (error_of(&responses(json!([]))), "responses: must not be empty"),
        (error_of(&responses(json!({}))), "responses: expected an array, found an object"),
        (of(json!({})), "responses[0]: needs one of status, body, headers, redirect"),
        (of(json!({"codes": ["token_missing"]})), "responses[0]: needs one of status, body, headers, redirect"),
        (of(json!({"code": "token_missing"})), r#"responses[0].code: unknown field; did you mean "codes"?"#),
        (of(json!({"codes": [], "status": 404})), "responses[0].codes: must not be empty"),
        (
            of(json!({"codes": ["token_mising"], "status": 404})),
            r#"responses[0].codes[0]: no code of a refusal; did you mean "token_missing"?"#,
        ),
        (of(json!({"status": 200})), "responses[0].status: must be from 400 to 599"),
        (of(json!({"status": 302})), "responses[0].status: must be from 400 to 599"),
        (of(json!({"content_type": "text/plain", "status": 404})), r#"responses[0].content_type: needs "body""#),
        (
            of(json!({"content_type": "text/plain\r\nx: y", "body": ""})),
            "responses[0].content_type: holds characters that no header may hold",
        ),
        (of(json!({"body": "{cod}"})), &format!("responses[0].body: {braces}")),
        (of(json!({"body": "{path}"})), &format!("responses[0].body: {braces}")),
        (of(json!({"body": "a { b"})), &format!("responses[0].body: {braces}")),
        (of(json!({"body": "a } b"})), &format!("responses[0].body: {braces}")),
        (of(json!({"body": "{code"})), &format!("responses[0].body: {braces}")),
        (of(json!({"body": "{é}"})), &format!("responses[0].body: {braces}")),
        (
            of(json!({"body": "{{\"a\": {code}}}", "content_type": "application/json"})),
            r#"responses[0].body: is not the JSON that "content_type" says"#,
        ),
        (
            of(json!({"body": "no", "content_type": "application/problem+json; charset=utf-8"})),
            r#"responses[0].body: is not the JSON that "content_type" says"#,
        ),
        (with_header("x y", "1"), "responses[0].headers[0].name: not the name of a header"),
        (with_header(":status", "200"), "responses[0].headers[0].name: not the name of a header"),
        (with_header("x", "a\r\nb: c"), "responses[0].headers[0].value: holds characters that no header may hold"),
        (with_header("x", "{path}"), &format!("responses[0].headers[0].value: {braces}")),
        (with_header("x", ""), "responses[0].headers[0].value: must not be empty"),
        (with_header("grpc-status", "0"), "responses[0].headers[0].value: must be from 1 to 16"),
        (with_header("grpc-status", "17"), "responses[0].headers[0].value: must be from 1 to 16"),
        (with_header("grpc-status", "+5"), "responses[0].headers[0].value: must be from 1 to 16"),
        (with_header("grpc-status", "{status}"), "responses[0].headers[0].value: must be from 1 to 16"),
        (of(json!({"headers": [{"value": "x"}]})), "responses[0].headers[0].name: is required"),
        (of(json!({"headers": [{"name": "x"}]})), "responses[0].headers[0].value: is required"),
        (of(json!({"redirect": {}})), "responses[0].redirect.location: is required"),
        (
            of(json!({"redirect": {"location": "/", "status": 301}})),
            "responses[0].redirect.status: must be 302, 303 or 307",
        ),
        (
            leads("/login?to={detail}"),
            "responses[0].redirect.location: braces hold one of code, path; one that is meant is written twice",
        ),
        (
            leads("/login/{path}"),
            r#"responses[0].redirect.location: {path} belongs behind a "?": elsewhere it would say where the redirect leads"#,
        ),
        (
            leads("https://login.example{path}?x={path}"),
            r#"responses[0].redirect.location: {path} belongs behind a "?": elsewhere it would say where the redirect leads"#,
        ),
        (
            error_of(&responses(json!([{"status": 404}, {"codes": ["token_missing"], "status": 403}]))),
            "responses[1]: is never used: the entries before it are for all of its codes",
        ),
        (
            error_of(&responses(
                json!([{"codes": ["token_missing"], "status": 404}, {"codes": ["token_missing"], "status": 403}]),
            )),
            "responses[1]: is never used: the entries before it are for all of its codes",
        ),
        (
            rule(json!({"requires": {"provider_name": "main"}, "responses": [{"status": 99}]})),
            "rules[0].responses[0].status: must be from 400 to 599",
        ),
        (
            rule(json!({"public": true})),
            r#"rules[0].responses: cannot stand beside "public: true": nobody is refused there"#,
        ),
    ] {
        assert_eq!(found, expected);
    }
    for name in [
        "Connection",
        "content-length",
        "Content-Type",
        "grpc-message",
        "keep-alive",
        "location",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        assert_eq!(
            with_header(name, "x"),
            "responses[0].headers[0].name: this header frames the answer or has a field of its own, and cannot be set"
        );
    }
    for location in [
        "//elsewhere.example",
        "login",
        "https://",
        "https:///x",
        "https://?x",
        "ftp://x",
        "/a b",
        "/a\\b",
        "javascript:x",
        "/é",
    ] {
        assert_eq!(leads(location), r#"responses[0].redirect.location: expected "https://host/path" or "/path""#);
    }
    assert_eq!(leads(""), "responses[0].redirect.location: must not be empty");
}

#[test]
fn a_protected_resource_that_cannot_be_is_refused_with_its_path_and_the_reason() {
    let of = |more: Value| error_of(&resource(more));
    for (found, expected) in [
        (
            error_of(&config(json!({"protected_resource": "x"}))),
            "protected_resource: expected an object, found a string",
        ),
        (of(json!({"resource": null})), "protected_resource.resource: is required"),
        (of(json!({"resource": "api.example"})), r#"protected_resource.resource: expected "https://host/path""#),
        (of(json!({"resource": "https:///x"})), r#"protected_resource.resource: expected "https://host/path""#),
        (
            of(json!({"resource": "https://api.example/\"x"})),
            r#"protected_resource.resource: expected "https://host/path""#,
        ),
        (
            of(json!({"resource": "https://api.example/a\\b"})),
            r#"protected_resource.resource: expected "https://host/path""#,
        ),
        (
            of(json!({"resource": "https://api.example/a\r\nb"})),
            r#"protected_resource.resource: expected "https://host/path""#,
        ),
        (
            of(json!({"resource": "https://api.example/#a"})),
            "protected_resource.resource: must have no query and no fragment",
        ),
        (
            of(json!({"resource": "https://api.example/?a"})),
            "protected_resource.resource: must have no query and no fragment",
        ),
        (of(json!({"authorization_servers": []})), "protected_resource.authorization_servers: must not be empty"),
        (
            of(json!({"authorization_servers": ["https://a.example", "b"]})),
            r#"protected_resource.authorization_servers[1]: expected "https://host/path""#,
        ),
        (
            of(json!({"authorization_servers": ["https://a.example/?x"]})),
            "protected_resource.authorization_servers[0]: must have no query and no fragment",
        ),
        (
            of(json!({"scopes_supported": ["a b"]})),
            "protected_resource.scopes_supported[0]: a scope has characters that RFC 6749 does not allow",
        ),
        (of(json!({"scopes_supported": []})), "protected_resource.scopes_supported: must not be empty"),
        (
            of(json!({"bearer_methods_supported": ["heder"]})),
            r#"protected_resource.bearer_methods_supported[0]: must be "header" or "query""#,
        ),
        (
            of(json!({"bearer_methods_supported": ["body"]})),
            r#"protected_resource.bearer_methods_supported[0]: must be "header" or "query""#,
        ),
        (of(json!({"resource_name": ""})), "protected_resource.resource_name: must not be empty"),
        (
            of(json!({"resource_documentation": "x"})),
            r#"protected_resource.resource_documentation: expected "https://host/path""#,
        ),
        (
            of(json!({"resource_policy_uri": "x"})),
            r#"protected_resource.resource_policy_uri: expected "https://host/path""#,
        ),
        (of(json!({"resource_tos_uri": "x"})), r#"protected_resource.resource_tos_uri: expected "https://host/path""#),
        (
            of(json!({"resourse_name": "x"})),
            r#"protected_resource.resourse_name: unknown field; did you mean "resource_name"?"#,
        ),
    ] {
        assert_eq!(found, expected);
    }
    for issuer in [json!(null), json!("accounts.example")] {
        let config = merged(resource(json!({})), json!({"providers": {"main": {"issuer": issuer}}}));
        assert_eq!(
            error_of(&config),
            r#"protected_resource: needs "authorization_servers": no provider has an "issuer" that is an address"#
        );
    }
}

#[test]
fn envoys_semantics_and_istios_rules_have_neither() {
    let envoy = json!({"semantics": "jwt_authn", "providers": {"main": {"local_jwks": {"inline_string": "{}"}}}});
    let istio = json!({"jwt_rules": [{"issuer": ISSUER, "jwks": "{}"}]});
    let why = r#"goes with jwt-gate's own semantics alone, without "semantics: jwt_authn" and "jwt_rules""#;
    for base in [envoy.clone(), istio] {
        for (name, value) in [
            ("responses", json!([{"status": 404}])),
            ("protected_resource", json!({"resource": "https://api.example"})),
        ] {
            assert_eq!(error_of(&merged(base.clone(), json!({ name: value }))), format!("{name}: {why}"));
        }
    }
    let key = local(&[&Key::rsa()], json!({}));
    let rules =
        json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "responses": [{"status": 404}]}]);
    let config = json!({"semantics": "jwt_authn", "providers": {"main": key}, "rules": rules});
    assert_eq!(error_of(&config), format!("rules[0].responses: {why}"));
}

#[test]
fn the_example_of_the_readme_does_what_is_said_there() {
    let readme = include_str!("../../README.md");
    let block = readme.split("\n## Answers\n").nth(1).and_then(|text| text.split("```").nth(1)).expect("an example");
    let quoted = |from: &str, quote: char| {
        let text = block.split(from).nth(1).and_then(|rest| rest.split(quote).nth(1));
        text.unwrap_or_else(|| panic!("no {from} in {block}"))
    };
    let resource = block.split("resource: ").nth(1).and_then(|rest| rest.lines().next()).expect("a resource");
    let config = config(json!({
        "protected_resource": {"resource": resource, "scopes_supported": ["orders:read", "orders:write"]},
        "responses": [{
            "codes": ["token_missing", "token_expired"],
            "redirect": {"location": quoted("location: ", '"')},
            "content_type": "application/json",
            "body": quoted("body: ", '\''),
        }],
        "rules": [{"match": {"prefix": "/admin"}, "requires": {"provider_name": "main"}, "responses": [{"status": 404, "body": ""}]}],
    }));
    let message = r#"{"error": {"code": "token_missing", "message": "The request carries no token."}}"#;
    assert_eq!(answer(&config, &Request::get("/orders")).2, message);
    let location = header(&config, &page(), "location");
    assert_eq!(location.as_deref(), Some("https://login.example/start?to=%2Forders%3Fa%3Db"));
    let hidden = answer(&config, &Request::get("/admin"));
    assert_eq!((hidden.0, hidden.2.as_str()), (404, ""));
    let challenge = header(&config, &Request::get("/orders"), "www-authenticate").unwrap();
    let said = challenge.strip_prefix("Bearer ").unwrap();
    assert!(readme.contains(&format!("`{said}`")), "{said}");
    document(&config, &format!("{WELL_KNOWN}/mcp"));
}

#[test]
fn what_was_said_to_one_is_said_to_the_next_one_only_where_all_of_it_is_the_same() {
    let scoped = |prefix: &str, scope: &str, more: Value| {
        let rule = json!({
            "match": {"prefix": prefix},
            "requires": {"provider_name": "main"},
            "authorize": {"scopes": {"all_of": [scope]}},
        });
        merged(rule, more)
    };
    let login = |location: &str| json!({"responses": [{"redirect": {"location": location}, "body": "log in"}]});
    let rules = json!([
        scoped("/read", "read", json!({})),
        scoped("/write", "write", json!({})),
        scoped(
            "/own",
            "read",
            json!({"responses": [{"status": 404, "body": "nothing here", "codes": ["token_missing"]}]})
        ),
        scoped("/back", "read", login("https://login.example/?to={path}")),
        scoped("/login", "read", login("https://login.example/")),
    ]);
    let config = resource(json!({"resource": "https://api.example/mcp"}));
    let config = merged(config, json!({"rules": rules, "statuses": {"token_expired": 418}}));
    let mut world = World::new(&config, 1);
    let token = Token::new(&Key::rsa());
    let bearers = [None, Some(token.clone().mint()), Some(token.expires_in(-3600).mint()), Some("no token".to_owned())];
    let mut said = Vec::new();
    for _ in 0..2 {
        for path in ["/read", "/write", "/own", "/back?1", "/back?2", "/login?1", "/none"] {
            for bearer in &bearers {
                for (name, value) in [("x-other", "1"), ("content-type", "application/grpc"), ("accept", "text/html")] {
                    let request = Request::get(path).header(name, value);
                    let request = match bearer {
                        Some(bearer) => request.bearer(bearer),
                        None => request,
                    };
                    // The world compares with what is said anew.
                    let verdict = world.ask(0, &request);
                    if let Verdict::Denied(denial, grpc) = &verdict {
                        let redirects_back = denial.status == 302 && path.starts_with("/back");
                        assert_eq!(denial.prepared.is_none(), redirects_back, "{path}");
                        let response = denial.local_response(*grpc);
                        said.push((denial.status, fields(&response.headers), response.body.to_string()));
                    }
                }
            }
        }
    }
    let (first, again) = said.split_at(said.len() / 2);
    assert_eq!(first, again);
    let different: BTreeSet<String> = first.iter().map(|answer| format!("{answer:?}")).collect();
    assert_eq!((first.len(), different.len()), (81, 31));
}
