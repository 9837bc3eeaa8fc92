//! What access logs and other filters learn from the gate, and it from them: filter state, details, the choice of a route.

use serde_json::{json, Value};

use crate::mint::{Key, AUDIENCE, ISSUER};
use crate::proxy::{eventually, filter, log_access, Form, Proxy};
use crate::servers::Seen;
use crate::token;
use crate::wire::{get, request, Message, Request};

const SEMANTICS: [&str; 2] = ["jwt_gate", "jwt_authn"];

/// The state that [`provider`] writes, as access logs and other filters name it.
const PAYLOAD: &str = "%FILTER_STATE(wasm.jwt_authn.payload:PLAIN)%";

fn key() -> Key {
    Key::p256(1).named("k1")
}

/// A provider with that key in place, and all the state that there is; `more` are other fields of it.
fn provider(more: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": [key().jwk()]}).to_string()},
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "failed_status_in_metadata": "failure",
    });
    provider.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    provider
}

/// A configuration where every route needs a token of that provider; `more` are other fields of it.
fn gate(semantics: &str, provider: &Value, more: &Value) -> Value {
    let mut gate = json!({
        "semantics": semantics,
        "providers": {"main": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
    });
    gate.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    gate
}

/// A filter of Envoy's own.
fn native(kind: &str, mut configuration: Value) -> Value {
    configuration["@type"] = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}").into();
    json!({"name": kind, "typed_config": configuration})
}

/// Envoy's own filter with the configuration of a gate that has its semantics.
fn jwt_authn(gate: &Value) -> Value {
    let mut configuration = gate.clone();
    configuration.as_object_mut().expect("an object").remove("semantics");
    native("jwt_authn.v3.JwtAuthentication", configuration)
}

/// The gate, then these filters; the access log holds `format`.
fn start(gate: &Value, later: Vec<Value>, format: &Value) -> Proxy {
    let filters = [vec![filter(gate, Form::Struct)], later].concat();
    start_filters(filters, format)
}

fn start_filters(filters: Vec<Value>, format: &Value) -> Proxy {
    Proxy::with_filters(filters, |manager, folder| log_access(manager, folder, &json!({"json_format": format})))
}

/// The lines of the access log, as soon as there are so many.
fn access_log(proxy: &Proxy, lines: usize) -> Vec<Value> {
    eventually("the access log", || proxy.file("access.log").lines().count() >= lines);
    proxy.file("access.log").lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// JSON text within the access log.
fn parsed(text: &Value) -> Value {
    text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("the state is JSON"))
}

fn expired() -> Request {
    get("/").bearing(&token(&key()).expires_in(-300).mint())
}

#[test]
fn the_access_log_shows_payload_header_and_why_a_token_was_refused() {
    for (semantics, missing, expired_status) in [
        (
            "jwt_gate",
            json!({"code": "token_missing", "message": "The request carries no token."}),
            json!({"code": "token_expired", "message": "The token has expired."}),
        ),
        ("jwt_authn", json!({"code": 1, "message": "Jwt is missing"}), json!({"code": 3, "message": "Jwt is expired"})),
    ] {
        let normalize = json!({"normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]}});
        let format = json!({
            "payload": PAYLOAD,
            "header": "%FILTER_STATE(wasm.jwt_authn.header:PLAIN)%",
            "failure": "%FILTER_STATE(wasm.jwt_authn.failure:PLAIN)%",
            "cel": "%CEL(filter_state['wasm.jwt_authn.payload'])%",
        });
        let proxy = start(&gate(semantics, &provider(&normalize), &json!({})), Vec::new(), &format);
        let good = token(&key()).claim("scope", "a b").claim("name", "Zoë \"Z\"");
        for request in [get("/").bearing(&good.mint()), get("/"), expired()] {
            proxy.send(&request);
        }

        let lines = access_log(&proxy, 3);
        let mut claims: Value = serde_json::from_str(&good.payload()).expect("a payload is JSON");
        claims["scope"] = json!(["a", "b"]);
        assert_eq!(parsed(&lines[0]["payload"]), claims, "{semantics}: whole numbers included");
        assert_eq!(lines[0]["cel"], lines[0]["payload"], "{semantics}");
        assert_eq!(parsed(&lines[0]["header"]), json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}), "{semantics}");
        assert_eq!(lines[0]["failure"], Value::Null, "{semantics}");
        for (line, failure) in lines[1..].iter().zip([missing, expired_status]) {
            assert_eq!(parsed(&line["failure"]), failure, "{semantics}");
            assert_eq!((&line["payload"], &line["header"]), (&Value::Null, &Value::Null), "{semantics}");
        }
    }
}

#[test]
fn later_filters_read_the_payload() {
    let key = key();
    let alice = r#""sub":"alice""#;
    let action = |action: &str| {
        json!({"name": "action", "typed_config": {
            "@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": action, "action": action,
        }})
    };
    let by_matcher = json!({"matcher": {
        "matcher_list": {"matchers": [{
            "predicate": {"single_predicate": {
                "input": {"name": "state", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    "key": "wasm.jwt_authn.payload",
                }},
                "value_match": {"contains": alice},
            }},
            "on_match": {"action": action("ALLOW")},
        }]},
        "on_no_match": {"action": action("DENY")},
    }});
    let by_principal = json!({"rules": {"action": "ALLOW", "policies": {"alice": {
        "permissions": [{"any": true}],
        "principals": [{"filter_state": {"key": "wasm.jwt_authn.payload", "string_match": {"contains": alice}}}],
    }}}});
    let script = r#"
        function envoy_on_request(handle)
          handle:headers():replace("x-lua", handle:streamInfo():filterState():get("wasm.jwt_authn.payload"))
        end"#;
    let mutation = json!({"append": {"header": {"key": "x-mutation", "value": PAYLOAD}}});
    let later = vec![
        native("rbac.v3.RBAC", by_matcher),
        native("rbac.v3.RBAC", by_principal),
        native("lua.v3.Lua", json!({"default_source_code": {"inline_string": script}})),
        native("header_mutation.v3.HeaderMutation", json!({"mutations": {"request_mutations": [mutation]}})),
    ];
    let proxy = start(&gate("jwt_gate", &provider(&json!({})), &json!({})), later, &json!({}));

    let token_of_alice = token(&key);
    let seen = Seen::of(&proxy.send(&get("/").bearing(&token_of_alice.mint())));
    assert_eq!(seen.values("x-lua"), [token_of_alice.payload()]);
    assert_eq!(seen.values("x-mutation"), [token_of_alice.payload()]);
    let of_bob = proxy.send(&get("/").bearing(&token(&key).claim("sub", "bob").mint()));
    assert_eq!((of_bob.status(), of_bob.text()), (403, "RBAC: access denied"));
}

/// Two routes, of which the first is for what `is_gold` matches; the service gets the name of the one that was chosen.
fn with_two_routes(gate: &Value, is_gold: Value) -> Proxy {
    Proxy::with_filters(vec![filter(gate, Form::Struct)], |manager, _| {
        let route = |name: &str, matched: Value| {
            json!({
                "match": matched,
                "route": {"cluster": "service"},
                "request_headers_to_add": [{"header": {"key": "x-route", "value": name}}],
            })
        };
        manager["route_config"]["virtual_hosts"][0]["routes"] =
            json!([route("gold", is_gold), route("plain", json!({"prefix": "/"}))]);
    })
}

fn route_of(proxy: &Proxy, tier: &str) -> String {
    let token = token(&key()).claim("tier", tier).mint();
    Seen::of(&proxy.send(&get("/").bearing(&token))).values("x-route").join(",")
}

#[test]
fn the_payload_chooses_the_route_where_the_provider_clears_the_route_cache() {
    for semantics in SEMANTICS {
        for (clears, route) in [(false, "plain"), (true, "gold")] {
            // The token stays where it is: no header of the request is edited.
            let provider = provider(&json!({"forward": true, "clear_route_cache": clears}));
            let state = json!({"key": "wasm.jwt_authn.payload", "string_match": {"contains": r#""tier":"gold""#}});
            let is_gold = json!({"prefix": "/", "filter_state": [state]});
            let proxy = with_two_routes(&gate(semantics, &provider, &json!({})), is_gold);
            assert_eq!(route_of(&proxy, "gold"), route, "{semantics}, {clears}");
            assert_eq!(route_of(&proxy, "lead"), "plain", "{semantics}, {clears}");
        }
    }
}

#[test]
fn a_header_from_a_claim_chooses_the_route() {
    // Whether or not the provider clears the route cache: Envoy does so when a wasm filter edits a header.
    for semantics in SEMANTICS {
        for clears in [false, true] {
            let headers = json!([{"header_name": "x-tier", "claim_name": "tier"}]);
            let provider = provider(&json!({"claim_to_headers": headers, "clear_route_cache": clears}));
            let is_gold = json!({"prefix": "/", "headers": [{"name": "x-tier", "string_match": {"exact": "gold"}}]});
            let proxy = with_two_routes(&gate(semantics, &provider, &json!({})), is_gold);
            assert_eq!(route_of(&proxy, "gold"), "gold", "{semantics}, {clears}");
            assert_eq!(route_of(&proxy, "lead"), "plain", "{semantics}, {clears}");
        }
    }
}

#[test]
fn the_filter_state_of_an_earlier_filter_chooses_the_requirement() {
    let key = key();
    for (semantics, without) in [("jwt_gate", 401), ("jwt_authn", 200)] {
        let rules = json!({"name": "tier", "requires": {
            "strict": {"provider_and_audiences": {"provider_name": "main", "audiences": ["other"]}},
            "open": {"allow_missing": {}},
        }});
        let elsewhere = json!([{"match": {"prefix": "/elsewhere"}, "requires": {"provider_name": "main"}}]);
        let gate = gate(semantics, &provider(&json!({})), &json!({"rules": elsewhere, "filter_state_rules": rules}));
        let earlier = json!({"on_request_headers": [{
            "object_key": "tier",
            "factory_key": "envoy.string",
            "format_string": {"text_format_source": {"inline_string": "%REQ(x-tier)%"}},
        }]});
        let filters = vec![native("set_filter_state.v3.Config", earlier), filter(&gate, Form::Struct)];
        let proxy = start_filters(filters, &json!({}));
        let wrong_audience = if semantics == "jwt_gate" { 401 } else { 403 };
        let good = token(&key).mint();
        let other = token(&key).claim("aud", "other").mint();
        for (tier, bearer, status) in [
            (Some("strict"), None, 401),
            (Some("strict"), Some(&good), wrong_audience),
            (Some("strict"), Some(&other), 200),
            (Some("open"), None, 200),
            (Some("unheard-of"), None, without),
            (None, None, without),
            (None, Some(&good), 200),
        ] {
            let request = tier.iter().fold(get("/"), |request, tier| request.with("x-tier", tier));
            let request = bearer.iter().fold(request, |request, token| request.bearing(token));
            assert_eq!(proxy.send(&request).status(), status, "{semantics}, {tier:?}, {bearer:?}");
        }
    }
}

#[test]
fn the_details_of_a_refusal_are_those_of_envoys_own_filter_under_its_semantics() {
    let format = json!({"details": "%RESPONSE_CODE_DETAILS%"});
    let requests = || {
        let wrong_audience = token(&key()).claim("aud", "other").mint();
        let forged = token(&Key::p256(2).named("k1")).mint();
        [get("/"), expired(), get("/").bearing("a.b.c"), get("/").bearing(&wrong_audience), get("/").bearing(&forged)]
    };
    let details = |proxy: &Proxy| {
        let requests = requests();
        requests.iter().for_each(|request| assert_ne!(proxy.send(request).status(), 200));
        let lines = access_log(proxy, requests.len());
        lines.iter().map(|line| line["details"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    for more in [json!({}), json!({"strip_failure_response": true})] {
        let gate = gate("jwt_authn", &provider(&json!({})), &more);
        let of_envoy = details(&start_filters(vec![jwt_authn(&gate)], &format));
        assert_eq!(of_envoy[0], "jwt_authn_access_denied{Jwt_is_missing}");
        assert_eq!(details(&start(&gate, Vec::new(), &format)), of_envoy);
    }
    assert_eq!(
        details(&start(&gate("jwt_gate", &provider(&json!({})), &json!({})), Vec::new(), &format)),
        ["token_missing", "token_expired", "token_malformed", "audience_not_allowed", "signature_invalid"]
            .map(|code| format!("jwt_gate_denied{{{code}}}")),
    );
}

#[test]
fn a_grpc_request_is_refused_as_by_envoys_own_filter_under_its_semantics() {
    let gate = gate("jwt_authn", &provider(&json!({})), &json!({}));
    let call = request("POST", "/shop.Orders/List").with("content-type", "application/grpc").carrying(b"");
    let shown = |proxy: &Proxy| {
        let mut response: Message = proxy.send(&call);
        response.fields.retain(|(name, _)| name != "date");
        response.fields.sort();
        (response.start.clone(), response.fields.clone(), response.text().to_owned())
    };
    let of_gate = start(&gate, Vec::new(), &json!({}));
    let response = of_gate.send(&call);
    assert_eq!(response.value("grpc-status"), Some("16"));
    assert_eq!(response.value("grpc-message"), Some("Jwt is missing"));
    assert_eq!(shown(&of_gate), shown(&start_filters(vec![jwt_authn(&gate)], &json!({}))));
}

#[test]
fn a_stripped_refusal_has_its_status_and_nothing_else() {
    for (semantics, audience) in [("jwt_gate", 401), ("jwt_authn", 403)] {
        let gate = gate(semantics, &provider(&json!({})), &json!({"strip_failure_response": true}));
        let proxy = start(&gate, Vec::new(), &json!({}));
        let wrong = get("/").bearing(&token(&key()).claim("aud", "other").mint());
        for (request, status) in [(get("/"), 401), (expired(), 401), (wrong, audience)] {
            let response = proxy.send(&request);
            assert_eq!((response.status(), response.text()), (status, ""), "{semantics}");
            assert_eq!(response.value("www-authenticate"), None, "{semantics}");
            assert_eq!(response.value("content-type"), None, "{semantics}");
        }
    }
}

#[test]
fn a_rule_names_a_requirement_of_the_map() {
    for semantics in SEMANTICS {
        let named = json!({
            "rules": [
                {"match": {"prefix": "/maybe"}, "requirement_name": "maybe"},
                {"match": {"prefix": "/"}, "requirement_name": "token"},
            ],
            "requirement_map": {"maybe": {"allow_missing": {}}, "token": {"provider_name": "main"}},
        });
        let proxy = start(&gate(semantics, &provider(&json!({})), &named), Vec::new(), &json!({}));
        assert_eq!(proxy.send(&get("/maybe")).status(), 200, "{semantics}");
        assert_eq!(proxy.send(&get("/")).status(), 401, "{semantics}");
        assert_eq!(proxy.send(&get("/").bearing(&token(&key()).mint())).status(), 200, "{semantics}");
    }
}

#[test]
fn the_prefix_of_the_statistics_tells_two_gates_apart() {
    let outer = gate("jwt_gate", &provider(&json!({"forward": true})), &json!({"stat_prefix": "outer"}));
    let inner = gate("jwt_authn", &provider(&json!({})), &json!({"stat_prefix": "inner."}));
    let filters = vec![filter(&outer, Form::Struct), filter(&inner, Form::Struct)];
    let proxy = start_filters(filters, &json!({}));
    proxy.send(&get("/"));
    proxy.send(&get("/").bearing(&token(&key()).mint()));
    for (name, count) in [
        ("outer.jwt_gate_denied_token_missing", 1),
        ("outer.jwt_gate_allowed", 1),
        ("inner.jwt_gate_denied_token_missing", 0),
        ("inner.jwt_gate_allowed", 1),
    ] {
        eventually(name, || proxy.count(name) == count);
    }
}

#[test]
fn a_key_set_comes_from_a_variable_of_the_vm() {
    for semantics in SEMANTICS {
        let keys = json!({"local_jwks": {"environment_variable": "JWKS"}});
        let mut filter = filter(&gate(semantics, &provider(&keys), &json!({})), Form::Struct);
        filter["typed_config"]["config"]["vm_config"]["environment_variables"] =
            json!({"key_values": {"JWKS": json!({"keys": [key().jwk()]}).to_string()}});
        let proxy = start_filters(vec![filter], &json!({}));
        assert_eq!(proxy.send(&get("/")).status(), 401, "{semantics}");
        assert_eq!(proxy.send(&get("/").bearing(&token(&key()).mint())).status(), 200, "{semantics}");
    }
}
