//! `jwt_rules`: what Istio's `RequestAuthentication` means, from its own fields.

use std::time::Duration;

use jwt_gate::config::Config;
use serde_json::{json, Value};

use crate::mint::{encode, key_set, Key, Token, AUDIENCE, ISSUER};
use crate::world::{merged, Reply, Request, Verdict, World, JWKS};

const OTHER_ISSUER: &str = "https://another.example";

/// A rule for the tokens of [`token`].
fn rule(more: Value) -> Value {
    merged(json!({"issuer": ISSUER, "jwks": key_set([Key::ed25519(1).jwk()])}), more)
}

/// A rule for the tokens of [`other_token`].
fn other_rule(more: Value) -> Value {
    merged(json!({"issuer": OTHER_ISSUER, "jwks": key_set([Key::p256(2).jwk()])}), more)
}

fn token() -> Token {
    Token::new(&Key::ed25519(1))
}

fn other_token() -> Token {
    Token::new(&Key::p256(2)).claim("iss", OTHER_ISSUER)
}

fn world(rules: &[Value]) -> World {
    World::new(&json!({ "jwtRules": rules }), 1)
}

/// What the client is told: the status, the challenge and the body of Envoy's own filter.
fn refusal(verdict: &Verdict) -> (u16, String, String) {
    let denial = verdict.denial();
    let headers = denial.headers(false);
    assert_eq!(headers.len(), 1, "{headers:?}");
    (denial.status, format!("{}: {}", headers[0].0, headers[0].1), denial.body(false).to_string())
}

fn fields(request: &Request, verdict: &Verdict) -> Vec<(String, String)> {
    request.edited(verdict.edits())
}

fn values<'f>(fields: &'f [(String, String)], name: &str) -> Vec<&'f str> {
    fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_request_without_a_token_passes_whatever_the_rules_and_the_route() {
    for rules in [vec![rule(json!({}))], vec![rule(json!({})), other_rule(json!({}))]] {
        let mut world = world(&rules);
        for path in ["/", "/orders/1", "/a/../b"] {
            assert_eq!(world.ask(0, &Request::get(path)).code(), "allowed", "{path}");
        }
        // Not the scheme of a token, and so none.
        let basic = Request::get("/").header("authorization", "Basic YTpi");
        assert_eq!(world.ask(0, &basic).code(), "allowed");
    }
}

#[test]
fn a_token_that_is_not_good_is_refused_as_envoys_filter_refuses_it() {
    let realm = r#"www-authenticate: Bearer realm="https://api.example/orders", error="invalid_token""#;
    for rules in [vec![rule(json!({}))], vec![rule(json!({})), other_rule(json!({}))]] {
        let mut world = world(&rules);
        for (bearer, status, body) in [
            ("x".to_owned(), 401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"),
            (Token::new(&Key::ed25519(9)).mint(), 401, "Jwt verification fails"),
            (token().expires_in(-90).mint(), 401, "Jwt is expired"),
            (token().claim("iss", "https://nobody.example").mint(), 401, "Jwt issuer is not configured"),
            (token().without("iss").mint(), 401, "Jwt issuer is not configured"),
        ] {
            let verdict = world.ask(0, &Request::get("/orders").bearer(&bearer));
            assert_eq!(refusal(&verdict), (status, realm.to_owned(), body.to_owned()), "{} rules", rules.len());
        }
    }
}

#[test]
fn audiences_are_asked_for_only_where_a_rule_names_some() {
    let (named, other) = (token().mint(), token().claim("aud", "another").mint());
    for (audiences, code) in [(json!(null), 200), (json!([]), 200), (json!([AUDIENCE]), 403)] {
        let mut world = world(&[rule(json!({ "audiences": audiences }))]);
        assert_eq!(world.ask(0, &Request::get("/").bearer(&named)).code(), "allowed", "{audiences}");
        let verdict = world.ask(0, &Request::get("/").bearer(&other));
        let status = if let Verdict::Denied(denial, _) = &verdict { denial.status } else { 200 };
        assert_eq!(status, code, "{audiences}");
    }
}

#[test]
fn a_token_of_either_rule_passes_in_the_place_that_both_share() {
    let claim = |header: &str| json!({"outputClaimToHeaders": [{"header": header, "claim": "sub"}]});
    let mut world = world(&[rule(claim("x-one")), other_rule(claim("x-other"))]);
    for (jwt, header) in [(token().mint(), "x-one"), (other_token().mint(), "x-other")] {
        let request = Request::get("/").bearer(&jwt).header("x-one", "forged").header("x-other", "forged");
        let fields = fields(&request, &world.ask(0, &request));
        for name in ["x-one", "x-other"] {
            let expected: &[&str] = if name == header { &["alice"] } else { &[] };
            assert_eq!(values(&fields, name), expected, "{name}");
        }
        assert_eq!(values(&fields, "authorization"), [""; 0]);
    }
    // Signed with the key of the other rule.
    let crossed = Token::new(&Key::p256(2)).mint();
    assert_ne!(world.ask(0, &Request::get("/").bearer(&crossed)).code(), "allowed");
}

#[test]
fn of_two_good_tokens_in_two_places_the_one_of_the_first_issuer_by_name_counts() {
    let place = |header: &str| json!({"fromHeaders": [{"name": header}], "outputClaimToHeaders": [{"header": "x-iss", "claim": "iss"}]});
    // Neither what stands first here nor what stands first in the request.
    let mut world = world(&[rule(place("x-one")), other_rule(place("x-other"))]);
    let (one, other) = (token().mint(), other_token().mint());
    let both = Request::get("/").header("x-one", &one).header("x-other", &other);
    assert_eq!(values(&fields(&both, &world.ask(0, &both)), "x-iss"), [OTHER_ISSUER]);
    // A good one outweighs a bad one: this is Istio's requirement.
    let beside = Request::get("/").header("x-one", "bad").header("x-other", &other);
    assert_eq!(world.ask(0, &beside).code(), "allowed");
    let alone = Request::get("/").header("x-one", "bad");
    assert_ne!(world.ask(0, &alone).code(), "allowed");
}

#[test]
fn of_two_tokens_in_one_place_the_last_one_decides_and_neither_goes_on() {
    let mut world = world(&[rule(json!({})), other_rule(json!({}))]);
    let (one, other, bad) = (token().mint(), other_token().mint(), Token::new(&Key::ed25519(9)).mint());
    for (first, last) in [(&one, &other), (&other, &one), (&bad, &one)] {
        let twice = Request::get("/").bearer(first).bearer(last);
        assert_eq!(values(&fields(&twice, &world.ask(0, &twice)), "authorization"), [""; 0]);
    }
    let twice = Request::get("/").bearer(&one).bearer(&bad);
    assert_eq!(refusal(&world.ask(0, &twice)).0, 401);
}

#[test]
fn payload_and_claims_go_into_headers_and_the_token_on_only_where_that_is_asked() {
    let token = token().claim("realm", json!({"name": "north"})).claim("groups", json!(["a", "b"]));
    let mut world = world(&[rule(json!({
        "outputPayloadToHeader": "x-payload",
        "outputClaimToHeaders": [
            {"header": "x-realm", "claim": "realm.name"},
            {"header": "x-groups", "claim": "groups"},
            {"header": "x-none", "claim": "nothing"},
        ],
        "forwardOriginalToken": true,
    }))]);
    let request = Request::get("/").bearer(&token.mint()).header("x-none", "forged").header("x-payload", "forged");
    let fields = fields(&request, &world.ask(0, &request));
    assert_eq!(values(&fields, "x-payload"), [encode(token.payload().as_bytes())]);
    assert_eq!(values(&fields, "x-realm"), ["north"]);
    assert_eq!(values(&fields, "x-groups"), ["WyJhIiwiYiJd"]);
    assert_eq!(values(&fields, "x-none"), [""; 0]);
    assert_eq!(values(&fields, "authorization"), [token.bearer()]);
}

#[test]
fn tokens_are_where_a_rule_says_and_else_where_envoy_looks() {
    let jwt = token().mint();
    let places = json!({
        "fromHeaders": [{"name": "x-token"}, {"name": "x-scheme", "prefix": "JWT "}],
        "fromParams": ["t"],
        "fromCookies": ["session"],
    });
    let claim = json!({"outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}]});
    let (mut plain, mut placed) = (world(&[rule(claim.clone())]), world(&[rule(merged(claim, places))]));
    for (request, where_envoy_looks) in [
        (Request::get("/").bearer(&jwt), true),
        (Request::get(&format!("/?access_token={jwt}")), true),
        (Request::get("/").header("x-token", &jwt), false),
        (Request::get("/").header("x-scheme", format!("JWT {jwt}")), false),
        (Request::get(&format!("/?t={jwt}")), false),
        (Request::get("/").header("cookie", format!("session={jwt}")), false),
    ] {
        for (world, found) in [(&mut plain, where_envoy_looks), (&mut placed, !where_envoy_looks)] {
            let fields = fields(&request, &world.ask(0, &request));
            let expected: &[&str] = if found { &["alice"] } else { &[] };
            assert_eq!(values(&fields, "x-sub"), expected, "{request:?}");
        }
    }
}

#[test]
fn the_payload_is_in_the_filter_state_with_its_lists_of_words_taken_apart() {
    let token = token().claim("scope", "a b").claim("permission", "c").claim("roles", "d  e").claim("name", "f g");
    let mut world = world(&[rule(json!({"spaceDelimitedClaims": ["roles", "scope"]}))]);
    let verdict = world.ask(0, &Request::get("/").bearer(&token.mint()));
    let [(name, payload)] = verdict.edits().state.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(name, "jwt_authn.payload");
    let payload: Value = serde_json::from_str(payload).unwrap();
    for (claim, value) in [
        ("scope", json!(["a", "b"])),
        ("permission", json!(["c"])),
        ("roles", json!(["d", "e"])),
        ("name", json!("f g")),
        ("sub", json!("alice")),
    ] {
        assert_eq!(payload[claim], value, "{claim}");
    }
    assert!(!verdict.edits().clear_route_cache);
}

#[test]
fn a_gateway_can_choose_the_route_again_by_what_the_token_says() {
    let mut world = world(&[rule(json!({"clear_route_cache": true}))]);
    assert!(world.ask(0, &Request::get("/").bearer(&token().mint())).edits().clear_route_cache);
    assert!(!world.ask(0, &Request::get("/")).edits().clear_route_cache);
}

#[test]
fn a_cors_preflight_passes_even_with_a_bad_token_and_without_a_forged_header() {
    let mut world = world(&[rule(json!({"outputPayloadToHeader": "x-payload"}))]);
    let preflight = Request::new("OPTIONS", "/orders")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header("x-payload", "forged")
        .bearer("bad");
    let fields = fields(&preflight, &world.ask(0, &preflight));
    assert_eq!(values(&fields, "x-payload"), [""; 0]);
}

#[test]
fn keys_are_fetched_from_the_service_that_the_address_names_within_five_seconds() {
    for (more, uri, cluster, timeout) in [
        (json!({}), JWKS, "outbound|80||issuer.example", 5000),
        (
            json!({"jwksUri": "https://issuer.example/k"}),
            "https://issuer.example/k",
            "outbound|443||issuer.example",
            5000,
        ),
        (json!({"jwksUri": "http://auth.shop:8080/k"}), "http://auth.shop:8080/k", "outbound|8080||auth.shop", 5000),
        (json!({"cluster": "keys", "timeout": "2s"}), JWKS, "keys", 2000),
    ] {
        let mut world = world(&[rule(merged(json!({"jwks": null, "jwksUri": JWKS}), more))]);
        world.issuer(uri, Reply::keys(&[&Key::ed25519(1)]));
        let request = Request::get("/").bearer(&token().mint());
        assert_eq!(world.ask_patiently(0, &request).code(), "allowed", "{uri}");
        let [fetch] = world.fetches.as_slice() else { panic!("{:?}", world.fetches) };
        assert_eq!((fetch.uri.as_str(), fetch.call.cluster.as_str()), (uri, cluster));
        assert_eq!(fetch.call.timeout, Duration::from_millis(timeout), "{uri}");
        world.seconds_pass(299);
        assert_eq!(world.fetches.len(), 2, "again before five minutes are over");
    }
}

#[test]
fn an_outage_of_the_issuer_leaves_the_last_keys_and_without_any_a_token_is_refused() {
    let fetching = json!({"jwks": null, "jwksUri": JWKS});
    let mut served = world(&[rule(fetching.clone())]);
    served.issuer(JWKS, Reply::keys(&[&Key::ed25519(1)]));
    served.seconds_pass(1);
    served.issuer(JWKS, Reply::status(503));
    served.seconds_pass(3600);
    let jwt = Token::at(&Key::ed25519(1), served.seconds()).mint();
    assert_eq!(served.ask(0, &Request::get("/").bearer(&jwt)).code(), "allowed");

    let mut never = world(&[rule(fetching)]);
    never.issuer(JWKS, Reply::status(503));
    assert_eq!(never.ask(0, &Request::get("/")).code(), "allowed");
    let verdict = never.ask_patiently(0, &Request::get("/").bearer(&token().mint()));
    assert_eq!((refusal(&verdict).0, refusal(&verdict).2.as_str()), (401, "Jwks remote fetch is failed"));
}

#[test]
fn without_an_issuer_the_keys_of_the_address_alone_decide() {
    let mut world = world(&[rule(json!({"issuer": null, "jwks": "", "jwksUri": JWKS}))]);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1)]));
    for (jwt, code) in [(token().claim("iss", "anybody").mint(), true), (Token::new(&Key::ed25519(9)).mint(), false)] {
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&jwt)).code() == "allowed", code);
    }
}

#[test]
fn rules_that_cannot_be_are_refused_with_their_path_and_the_reason() {
    let text = |config: Value| match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    };
    let one = |more: Value| text(json!({ "jwt_rules": [rule(more)] }));
    let fetched = |more: Value| one(merged(json!({"jwks": null, "jwks_uri": JWKS}), more));
    let beside = |more: Value| text(merged(json!({ "jwt_rules": [rule(json!({}))] }), more));
    let replaced = "cannot stand beside \"jwt_rules\", which say all of it";
    let rows = [
        (text(json!({"jwtRules": []})), "jwtRules: must not be empty"),
        (text(json!({"jwt_rules": {}})), "jwt_rules: expected an array, found an object"),
        (text(json!({"jwt_rules": [rule(json!({})), {}]})), "jwt_rules[1]: needs \"jwks_uri\" or \"jwks\""),
        (text(json!({"jwtRules": [{"isuer": "x"}]})), "jwtRules[0].isuer: unknown field; did you mean \"issuer\"?"),
        (beside(json!({"providers": {}})), &format!("providers: {replaced}")),
        (beside(json!({"rules": []})), &format!("rules: {replaced}")),
        (beside(json!({"requirementMap": {}})), &format!("requirementMap: {replaced}")),
        (beside(json!({"filter_state_rules": {}})), &format!("filter_state_rules: {replaced}")),
        (beside(json!({"bypass_cors_preflight": false})), &format!("bypass_cors_preflight: {replaced}")),
        (
            beside(json!({"semantics": "jwt_gate"})),
            "semantics: \"jwt_rules\" mean what they mean in Istio, whose filter is \"jwt_authn\"",
        ),
        (beside(json!({"statuses": {"token_expired": 403}})), "statuses: goes with jwt-gate's own semantics alone"),
        (
            beside(json!({"badTokenBesideGood": "ignore"})),
            "badTokenBesideGood: goes with jwt-gate's own semantics alone",
        ),
        (beside(json!({"ambiguousPaths": "allow"})), "ambiguousPaths: goes with jwt-gate's own semantics alone"),
        (beside(json!({"semantics": "istio"})), "semantics: unknown choice"),
        (one(json!({"issuer": null})), "jwt_rules[0].issuer: is required"),
        (one(json!({"issuer": ""})), "jwt_rules[0].issuer: must not be empty"),
        (one(json!({"jwks": "x"})), "jwt_rules[0].jwks: Jwks is an invalid JSON"),
        (
            one(json!({"jwksUri": JWKS})),
            "jwt_rules[0].jwksUri: cannot stand beside \"jwks\": choose one of both, \"jwks\" or \"jwks_uri\"",
        ),
        (
            fetched(json!({"jwks_uri": "issuer.example/jwks"})),
            "jwt_rules[0].jwks_uri: expected \"http://host/path\" or \"https://host/path\"",
        ),
        (
            fetched(json!({"jwks_uri": "http://issuer.example:http/jwks"})),
            "jwt_rules[0].jwks_uri: names no service of the mesh",
        ),
        (fetched(json!({"timeout": "0s"})), "jwt_rules[0].timeout: must be from 1ms to 60s"),
        (one(json!({"audiences": [""]})), "jwt_rules[0].audiences[0]: must not be empty"),
        (one(json!({"fromHeaders": [{"prefix": "JWT "}]})), "jwt_rules[0].fromHeaders[0].name: is required"),
        (one(json!({"from_params": [""]})), "jwt_rules[0].from_params[0]: must not be empty"),
        (one(json!({"outputPayloadToHeader": "a b"})), "jwt_rules[0].outputPayloadToHeader: not the name of a header"),
        (
            one(json!({"output_claim_to_headers": [{"header": "host", "claim": "sub"}]})),
            "jwt_rules[0].output_claim_to_headers[0].header: this header frames or addresses the request",
        ),
        (
            one(json!({"output_claim_to_headers": [{"header": "x-sub"}]})),
            "jwt_rules[0].output_claim_to_headers[0].claim: is required",
        ),
        (one(json!({"forward": true})), "jwt_rules[0].forward: unknown field"),
    ];
    for (error, expected) in rows {
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
    // Neither is an error: what Istio's filter is called may be said, and answers may be stripped.
    let config = json!({"jwt_rules": [rule(json!({}))], "semantics": "jwt_authn", "strip_failure_response": true});
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
}
