//! What a configuration must not be, with the words that the operator reads; and what makes no difference.

use std::collections::BTreeSet;

use jwt_gate::config::{Config, FIELDS};
use jwt_gate::gate::Semantics;
use jwt_gate::policy::Policy;
use proptest::prelude::*;
use serde_json::{json, Map, Value};

use crate::mint::{encode, key_set, Key, Token};
use crate::properties::cases;
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

fn error_of(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {config}"),
        Err(error) => error.to_string(),
    }
}

/// A good configuration in which every object of [`FIELDS`] occurs.
fn complete() -> Value {
    let remote = remote(json!({
        "algorithms": ["RS256", "EdDSA"],
        "typ": ["at+jwt"],
        "require_expiration": true,
        "check_issued_at": true,
        "max_lifetime": "24h",
        "clock_skew_seconds": 30,
        "remote_jwks": {
            "cache_duration": {"seconds": 300, "nanos": 5},
            "refetch_cooldown": "10s",
            "refetch_on_unknown_kid": true,
            "max_stale": "1h",
            "async_fetch": {"fast_listener": true, "failed_refetch_duration": "2s"},
            "retry_policy": {"num_retries": 2, "retry_on": "5xx", "retry_back_off": {"base_interval": "1s", "max_interval": "5s"}},
            "request_headers": [{"name": "x-api-key", "value": "k"}],
        },
        "jwt_cache_config": {"jwt_cache_size": 100, "jwt_max_token_size": 8192},
        "from_headers": [{"name": "x-token", "value_prefix": "JWT ", "anywhere": false}],
        "from_params": ["access_token"],
        "from_cookies": ["session"],
        "forward": true,
        "forward_payload_header": "x-payload",
        "pad_forward_payload_header": true,
        "claim_to_headers": [
            {"header_name": "x-sub", "claim_name": "sub", "encoding": "jwt_authn"},
            {"header_name": "x-roles", "claim_path": ["https://example.com/roles"]},
            {"header_name": "x-groups", "claim_path": [{"key": "https://example.com/groups"}]},
            {"header_name": "x-caller", "value": "user {claims.sub}"},
        ],
        "subjects": {"suffix": "@example.com"},
        "payload_in_metadata": "payload",
        "header_in_metadata": "header",
        "failed_status_in_metadata": "failure",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
        "clear_route_cache": true,
    }));
    let remote = merged(
        remote,
        revoking(json!({
            "refresh_interval": "5s",
            "async_fetch": {"failed_refetch_duration": "3s"},
            "on_unavailable": "allow",
            "max_stale": "1h",
            "retry_policy": {"num_retries": 2},
            "request_headers": [{"name": "x-key", "value": "s3cret"}],
        })),
    );
    let local = local(
        &[&Key::rsa()],
        json!({
            "issuer": null,
            "issuers": ["https://login.example/{tenant}"],
            "audiences": null,
            "allow_any_audience": true,
            "profile": "rfc9068",
        }),
    );
    let bytes = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key_set([Key::p256(1).jwk()]));
    let bytes = merged(local.clone(), json!({"local_jwks": {"inline_string": null, "inline_bytes": bytes}}));
    let header = |test: Value| merged(json!({"name": "x-kind"}), test);
    let mut config = json!({
        "providers": {"main": remote, "local": local, "bytes": bytes},
        "rules": [
            {"match": {"path": "/health"}, "public": true},
            {
                "match": {"prefix": "/orders", "headers": [
                    {"name": ":method", "string_match": {"exact": "GET", "ignore_case": true}, "invert_match": true},
                    header(json!({"present_match": true})),
                    header(json!({"string_match": {"prefix": "a"}})),
                    header(json!({"string_match": {"suffix": "a"}})),
                    header(json!({"string_match": {"contains": "a"}})),
                    header(json!({"string_match": {"safe_regex": {"regex": "a+", "google_re2": {"max_program_size": 100}}}})),
                    header(json!({"range_match": {"start": -1, "end": 3}, "treat_missing_header_as_empty": true})),
                    header(json!({"exact_match": "a"})),
                    header(json!({"prefix_match": "a"})),
                    header(json!({"suffix_match": "a"})),
                    header(json!({"contains_match": "a"})),
                    header(json!({"safe_regex_match": {"regex": "a+"}})),
                ]},
                "requires": {"provider_name": "main"},
                "enforce": true,
                "responses": [{"codes": ["scope_insufficient"], "status": 404, "body": "", "content_type": "text/plain"}],
                "authorize": {
                    "scopes": {"any_of": ["orders:read"]},
                    "claims": [
                        {"claim": "tier", "equals": "gold", "not": false},
                        {"claim": "tier", "any_of": ["gold", 1, true]},
                        {"claim_path": ["roles"], "contains": "admin"},
                        {"claim": "email", "prefix": "a"},
                        {"claim": "sub", "present": true},
                        {"claim": "sub", "equals": "{path.1}"},
                    ],
                },
            },
            {
                "match": {"path_separated_prefix": "/inventory"},
                "requires": {"provider_and_audiences": {"provider_name": "local", "audiences": ["inventory"]}},
                "authorize": {"scopes": {"all_of": ["inventory:read"]}},
            },
            {
                "match": {"safe_regex": {"regex": "/v[0-9]+/.*"}},
                "requires": {"requires_any": {"requirements": [
                    {"requires_all": {"requirements": [{"provider_name": "main"}, {"provider_name": "local"}]}},
                    {"allow_missing": {}},
                ]}},
            },
            {"match": {"prefix": "/maybe", "case_sensitive": false}, "requires": {"allow_missing_or_failed": {}}},
            {
                "match": {
                    "path_match_policy": {"name": "template", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                        "path_template": "/users/{id}/**",
                    }},
                    "query_parameters": [
                        {"name": "a", "string_match": {"exact": "1"}},
                        {"name": "b", "present_match": true},
                    ],
                },
                "requirement_name": "staff",
            },
            {"match": {"connect_matcher": {}}, "requirement_name": "staff"},
        ],
        "requirement_map": {"staff": {"provider_name": "main"}},
        "filter_state_rules": {"name": "tier", "requires": {"gold": {"provider_name": "main"}}},
        "strip_failure_response": true,
        "statuses": {"audience_not_allowed": 403},
        "responses": [{
            "headers": [{"name": "x-code", "value": "{code}"}],
            "redirect": {"location": "/login?to={path}", "status": 303},
        }],
        "protected_resource": {
            "resource": "https://api.example/orders",
            "authorization_servers": ["https://issuer.example"],
            "scopes_supported": ["orders:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Orders",
            "resource_documentation": "https://api.example/docs#start",
            "resource_policy_uri": "https://api.example/policy",
            "resource_tos_uri": "https://api.example/terms",
        },
        "ambiguous_paths": "deny",
        "bad_token_beside_good": "deny",
        "stat_prefix": "edge",
        "semantics": "jwt_gate",
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "bypass_cors_preflight": true,
        "token_cache": {"max_entries": 1000, "max_token_size": 2048},
        "crypto": "portable",
        "enforce": true,
        "access_log": ["outcome", "code", "provider", "sub", "kid"],
        "shadow": {"providers": {"main": remote}},
    });
    if cfg!(feature = "cel") {
        config["rules"][1]["authorize"]["cel"] = json!("claims.level > 2");
    }
    config
}

/// The fields that only Envoy's semantics have.
fn envoys_own() -> Value {
    let variable = json!({"local_jwks": {"inline_string": null, "environment_variable": "JWKS"}});
    json!({
        "semantics": "jwt_authn",
        "providers": {"main": merged(local(&[&Key::rsa()], json!({})), variable)},
        "rules": [{
            "match": {"prefix": "/"},
            "requires": {"extract_only_without_validation": {"verification_status_header": "x-verified"}},
        }],
    })
}

/// The fields that only Istio's rules have.
fn istios_own() -> Value {
    json!({"jwt_rules": [
        {
            "issuer": "https://issuer.example",
            "audiences": ["api"],
            "jwks_uri": JWKS,
            "cluster": "issuer",
            "timeout": "2s",
            "from_headers": [{"name": "x-token", "prefix": "JWT "}],
            "from_params": ["access_token"],
            "from_cookies": ["session"],
            "forward_original_token": true,
            "output_payload_to_header": "x-payload",
            "output_claim_to_headers": [{"header": "x-sub", "claim": "sub"}],
            "space_delimited_claims": ["roles"],
            "clear_route_cache": true,
        },
        {"issuer": "https://another.example", "jwks": key_set([Key::rsa().jwk()])},
    ]})
}

/// The fields of what asks others: the issuer where its keys are and what a token is, and services what a caller may do.
fn asking() -> Value {
    let http_uri = json!({"uri": "https://issuer.example/introspect", "cluster": "issuer", "timeout": "2s"});
    let discovered = json!({
        "issuer": "https://issuer.example",
        "audiences": ["api"],
        "discovery": {
            "cluster": "issuer",
            "jwks_cluster": "keys",
            "timeout": "2s",
            "cache_duration": "300s",
            "refetch_cooldown": "10s",
            "refetch_on_unknown_kid": true,
            "max_stale": "1h",
            "async_fetch": {"failed_refetch_duration": "2s"},
            "retry_policy": {"num_retries": 2},
            "request_headers": [{"name": "x-api-key", "value": "k"}],
        },
        "introspection": {
            "http_uri": http_uri,
            "client_id": "gate",
            "client_secret_env": "SECRET",
            "tokens": "all",
            "cache": {"ttl": "30s", "negative_ttl": "5s", "max_entries": 100},
        },
    });
    let service = |service: Value| {
        json!({
            "match": {"prefix": "/"},
            "requires": {"provider_name": "main"},
            "authorize": {"service": merged(json!({"http_uri": http_uri}), service)},
        })
    };
    json!({
        "providers": {"main": discovered},
        "rules": [
            service(json!({
                "protocol": "authzen",
                "on_error": "allow",
                "cache": {"ttl": "30s", "max_entries": 100},
                "request_headers": [{"name": "x-api-key", "value": "k"}],
                "subject": {"id": "{claims.sub}"},
                "action": {"id": "{method}"},
                "resource": {"id": ["{path}", 1]},
                "context": {"all": "{claims}"},
            })),
            service(json!({"protocol": "opa", "input": {"id": "{claims.sub}"}})),
            service(json!({"protocol": "http", "method": "POST", "response_headers": ["x-role"]})),
        ],
    })
}

/// What a configuration became, but for its routes, which hold hashed maps.
fn shape(config: &Value) -> String {
    let config = Config::parse_in(config.to_string().as_bytes(), &|_| Some("s3cret".to_owned())).unwrap();
    let Semantics::Gate(policy) = &config.semantics else { panic!("a configuration of the gate's own") };
    let Policy { providers, rules, fallback, bypass_cors_preflight, output_headers, .. } = &**policy;
    let documents = config.documents(1);
    let services: Vec<_> = (0..).map_while(|index| documents.services.get(index)).collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        (providers, rules, fallback, bypass_cors_preflight, output_headers),
        (&policy.responses, &policy.protected_resource),
        (config.token_cache, config.crypto),
        documents,
        services
    )
}

/// The same object elsewhere: `path` leads from the root, an empty place for `value` is made on the way.
fn with(mut config: Value, path: &[&str], value: Value) -> Value {
    let mut place = &mut config;
    for name in path {
        place = match name.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[*name],
        };
    }
    *place = value;
    config
}

#[test]
fn a_configuration_that_cannot_be_is_refused_with_its_path_and_the_reason() {
    let text = error_of;
    let base = || json!({"providers": {"main": remote(json!({}))}});
    let provider = |more: Value| text(&json!({"providers": {"main": remote(more)}}));
    let local = |more: Value| text(&json!({"providers": {"main": local(&[&Key::rsa()], more)}}));
    let jwks = |more: Value| text(&json!({"providers": {"main": remote(json!({ "remote_jwks": more }))}}));
    let list = |more: Value| text(&json!({"providers": {"main": remote(revoking(more))}}));
    let rule = |more: Value| {
        let rule = merged(json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}), more);
        text(&merged(base(), json!({ "rules": [rule] })))
    };
    let matches = |matches: Value| text(&merged(base(), json!({"rules": [{"match": matches, "public": true}]})));
    let requires =
        |requires: Value| text(&merged(base(), json!({"rules": [{"match": {"prefix": "/"}, "requires": requires}]})));
    let asks = |authorize: Value| rule(json!({ "authorize": authorize }));
    let condition = |condition: Value| asks(json!({"claims": [condition]}));
    let header = |header: Value| matches(json!({"prefix": "/", "headers": [header]}));
    let issuers = |issuers: Value| provider(json!({"issuer": null, "issuers": issuers}));
    let to_headers = |more: Value| {
        let header = merged(json!({"header_name": "x"}), more);
        provider(json!({"claim_to_headers": [header]}))
    };

    let rows: Vec<(String, &str)> = vec![
        // The whole.
        (text(&json!([])), "configuration: expected an object, found an array"),
        (text(&json!("x")), "configuration: expected an object, found a string"),
        (text(&json!({})), "providers: is required"),
        (text(&json!({"providers": {}})), "providers: needs at least one provider"),
        (text(&json!({"providers": []})), "providers: expected an object, found an array"),
        (text(&json!({"providers": null})), "providers: is required"),
        (text(&json!({"provider": {}})), r#"provider: unknown field; did you mean "providers"?"#),
        (text(&json!({"xyz": {}})), "xyz: unknown field"),
        (text(&merged(base(), json!({"bypass_cors_preflight": "yes"}))), "bypass_cors_preflight: expected true or false, found a string"),
        (text(&merged(base(), json!({"rules": {}}))), "rules: expected an array, found an object"),
        (text(&merged(base(), json!({"rules": []}))), "rules: must not be empty"),
        (text(&merged(base(), json!({"crypto": "hots"}))), r#"crypto: unknown choice; did you mean "host"?"#),
        (text(&merged(base(), json!({"token_cache": true}))), "token_cache: expected an object, found a boolean"),
        (
            text(&merged(base(), json!({"token_cache": {"max_entries": 100_001}}))),
            "token_cache.max_entries: must be from 0 to 100000",
        ),
        (
            provider(json!({"jwt_cache_config": {"jwt_max_token_size": 16_385}})),
            "providers.main.jwt_cache_config.jwt_max_token_size: must be from 0 to 16384",
        ),
        // A provider.
        (provider(json!({"isuer": "x"})), r#"providers.main.isuer: unknown field; did you mean "issuer"?"#),
        (provider(json!({"Issuer": "x"})), r#"providers.main.Issuer: unknown field; did you mean "issuer"?"#),
        (
            provider(json!({"payload_in_metdata": "x"})),
            r#"providers.main.payload_in_metdata: unknown field; did you mean "payload_in_metadata"?"#,
        ),
        (provider(json!({"issuer": 1})), "providers.main.issuer: expected a string, found a number"),
        (provider(json!({"issuer": ""})), "providers.main.issuer: must not be empty"),
        (
            provider(json!({"issuers": ["https://a.example"]})),
            r#"providers.main.issuers: cannot stand beside "issuer": choose one of both, "issuer" or "issuers""#,
        ),
        (issuers(json!([])), "providers.main.issuers: must not be empty"),
        (issuers(json!(["a", ""])), "providers.main.issuers[1]: must not be empty"),
        (issuers(json!(["{tenant}"])), r#"providers.main.issuers[0]: a pattern begins with "https://" or "http://""#),
        (issuers(json!(["https://a.example/{x}#"])), r##"providers.main.issuers[0]: a pattern holds no "?", "#", "@" and "%""##),
        (
            issuers(json!(["https://{tenant}.com"])),
            r#"providers.main.issuers[0]: in the host, a variable is a whole label, ahead of two fixed ones at least: "https://{tenant}.login.example""#,
        ),
        (issuers(json!(["https://a.example/{x}{y}"])), "providers.main.issuers[0]: a segment of the path holds one variable at most"),
        (issuers(json!(["https://a.example/{x}/{x}"])), "providers.main.issuers[0]: a variable is there twice"),
        (issuers(json!(["https://a.example/{a}/{b}/{c}/{d}/{e}"])), "providers.main.issuers[0]: has more than 4 variables"),
        (issuers(json!(["https://a.example/{x"])), "providers.main.issuers[0]: a brace without its other one"),
        (
            issuers(json!(["https://a.example/{x-y}"])),
            r#"providers.main.issuers[0]: the name of a variable is a letter, and then letters, digits and "_""#,
        ),
        (provider(json!({"audiences": "api"})), "providers.main.audiences: expected an array, found a string"),
        (provider(json!({"audiences": []})), "providers.main.audiences: must not be empty"),
        (provider(json!({"audiences": ["a", 1]})), "providers.main.audiences[1]: expected a string, found a number"),
        (provider(json!({"audiences": [""]})), "providers.main.audiences[0]: must not be empty"),
        (
            provider(json!({"audiences": null})),
            r#"providers.main: needs "audiences", or "allow_any_audience: true" to take tokens that are meant for others"#,
        ),
        (provider(json!({"typ": []})), r#"providers.main.typ: must not be empty"#),
        (provider(json!({"typ": "JWT"})), r#"providers.main.typ: expected an array, found a string"#),
        (provider(json!({"profile": "rfc9086"})), r#"providers.main.profile: unknown profile; did you mean "rfc9068"?"#),
        (provider(json!({"profile": "rfc9068", "typ": ["JWT"]})), r#"providers.main.typ: cannot stand beside "profile", which says what it is"#),
        (
            provider(json!({"profile": "rfc9068", "require_expiration": false})),
            r#"providers.main.require_expiration: cannot be false beside "profile", which asks for "exp""#,
        ),
        (provider(json!({"allow_any_audience": true})), r#"providers.main.audiences: cannot stand beside "allow_any_audience: true""#),
        (provider(json!({"algorithms": ["none"]})), "providers.main.algorithms[0]: unknown algorithm"),
        (provider(json!({"algorithms": ["RS257"]})), r#"providers.main.algorithms[0]: unknown algorithm; did you mean "RS256"?"#),
        (
            provider(json!({"algorithms": ["RS256", "HS256"]})),
            "providers.main.algorithms[1]: needs a shared secret, which only a local_jwks can hold",
        ),
        (provider(json!({"algorithms": []})), "providers.main.algorithms: must not be empty"),
        (provider(json!({"require_expiration": 1})), "providers.main.require_expiration: expected true or false, found a number"),
        (
            provider(json!({"max_lifetime": "1d"})),
            r#"providers.main.max_lifetime: expected a duration like "600s", "0.5s", "250ms", "10m" or "1h""#,
        ),
        (provider(json!({"max_lifetime": "0s"})), "providers.main.max_lifetime: must be from 1s to 31536000s"),
        (provider(json!({"max_lifetime": 600})), "providers.main.max_lifetime: expected a string, found a number"),
        (provider(json!({"max_lifetime": {"sec": 1}})), "providers.main.max_lifetime.sec: unknown field"),
        (
            provider(json!({"max_lifetime": {"seconds": 1, "nanos": 1_000_000_000}})),
            r#"providers.main.max_lifetime: expected a duration like "600s", "0.5s", "250ms", "10m" or "1h""#,
        ),
        (provider(json!({"clock_skew_seconds": -1})), "providers.main.clock_skew_seconds: expected a whole number from 0, found a number"),
        (provider(json!({"clock_skew_seconds": 1.5})), "providers.main.clock_skew_seconds: expected a whole number from 0, found a number"),
        (provider(json!({"clock_skew_seconds": 3601})), "providers.main.clock_skew_seconds: must be from 0 to 3600"),
        (provider(json!({"clock_skew_seconds": "60s"})), "providers.main.clock_skew_seconds: expected a whole number from 0, found a string"),
        (
            provider(json!({"clockSkewSeconds": 1, "clock_skew_seconds": 1})),
            r#"providers.main.clock_skew_seconds: "clock_skew_seconds" is given twice, in both spellings"#,
        ),
        // Its keys.
        (provider(json!({"remote_jwks": null})), "providers.main: needs one of remote_jwks, local_jwks, discovery, introspection"),
        (
            provider(json!({"local_jwks": {"inline_string": "{}"}})),
            r#"providers.main.local_jwks: cannot stand beside "remote_jwks": choose one of both, "remote_jwks" or "local_jwks""#,
        ),
        (jwks(json!({"http_uri": null})), "providers.main.remote_jwks.http_uri: is required"),
        (jwks(json!({"uri": "x"})), "providers.main.remote_jwks.uri: unknown field"),
        (jwks(json!({"http_uri": {"uri": null}})), "providers.main.remote_jwks.http_uri.uri: is required"),
        (jwks(json!({"http_uri": {"uri": ""}})), "providers.main.remote_jwks.http_uri.uri: must not be empty"),
        (
            jwks(json!({"http_uri": {"uri": "issuer/jwks"}})),
            r#"providers.main.remote_jwks.http_uri.uri: expected "http://host/path" or "https://host/path""#,
        ),
        (
            jwks(json!({"http_uri": {"uri": "http:///jwks"}})),
            r#"providers.main.remote_jwks.http_uri.uri: expected "http://host/path" or "https://host/path""#,
        ),
        (
            jwks(json!({"http_uri": {"uri": "http://issuer/a\r\nb"}})),
            r#"providers.main.remote_jwks.http_uri.uri: expected "http://host/path" or "https://host/path""#,
        ),
        (jwks(json!({"http_uri": {"cluster": null}})), "providers.main.remote_jwks.http_uri.cluster: is required"),
        (jwks(json!({"http_uri": {"timeout": null}})), "providers.main.remote_jwks.http_uri.timeout: is required"),
        (jwks(json!({"http_uri": {"timeout": "61s"}})), "providers.main.remote_jwks.http_uri.timeout: must be from 1ms to 60s"),
        (jwks(json!({"http_uri": {"timout": "1s"}})), r#"providers.main.remote_jwks.http_uri.timout: unknown field; did you mean "timeout"?"#),
        (jwks(json!({"cache_duration": "500ms"})), "providers.main.remote_jwks.cache_duration: must be from 1s to 2592000s"),
        (
            jwks(json!({"retry_policy": {"retry_back_off": {}}})),
            "providers.main.remote_jwks.retry_policy.retry_back_off.base_interval: is required",
        ),
        (
            jwks(json!({"retry_policy": {"retry_back_off": {"base_interval": "2s", "max_interval": "1s"}}})),
            r#"providers.main.remote_jwks.retry_policy.retry_back_off: "max_interval" is shorter than "base_interval""#,
        ),
        (
            jwks(json!({"async_fetch": {"failed_refetch_duration": "0s"}})),
            "providers.main.remote_jwks.async_fetch.failed_refetch_duration: must be from 1ms to 3600s",
        ),
        (
            jwks(json!({"request_headers": [{"name": "x-key", "value": "a\r\nb"}]})),
            "providers.main.remote_jwks.request_headers[0].value: holds characters that no header may hold",
        ),
        (
            jwks(json!({"request_headers": [{"name": ":authority", "value": "x"}]})),
            "providers.main.remote_jwks.request_headers[0].name: not the name of a header",
        ),
        (jwks(json!({"refetch_cooldown": "0s"})), "providers.main.remote_jwks.refetch_cooldown: must be from 1s to 86400s"),
        (
            jwks(json!({"max_stale": "5m"})),
            r#"providers.main.remote_jwks: "max_stale" is shorter than the time between two fetches"#,
        ),
        (local(json!({"local_jwks": {"inline_string": null}})), "providers.main.local_jwks: needs one of inline_string, inline_bytes, environment_variable"),
        (local(json!({"local_jwks": {"inline_string": "x"}})), r#"providers.main.local_jwks.inline_string: not a JSON object with an array "keys", nor keys in PEM"#),
        (local(json!({"local_jwks": {"inline_string": r#"{"keys":[]}"#}})), "providers.main.local_jwks.inline_string: it has no keys"),
        (
            local(json!({"local_jwks": {"inline_string": key_set([Key::short_rsa().jwk()])}})),
            "providers.main.local_jwks.inline_string: none of its keys can be used; the first, because its RSA modulus has fewer than 2048 or more than 8192 bits",
        ),
        (
            local(json!({"local_jwks": {"inline_string": key_set([Key::rsa().private_jwk()])}})),
            "providers.main.local_jwks.inline_string: none of its keys can be used; the first, because it holds a private or secret key, which must not be published",
        ),
        (
            local(json!({"local_jwks": {"inline_string": key_set([Key::hmac(&[1; 31]).jwk()])}})),
            "providers.main.local_jwks.inline_string: none of its keys can be used; the first, because its secret has fewer than 32 bytes",
        ),
        (
            local(json!({"algorithms": ["ES256"]})),
            r#"providers.main.local_jwks.inline_string: none of its keys is for one of the provider's "algorithms""#,
        ),
        (
            local(json!({"local_jwks": {"inline_string": key_set([Key::hmac(&[1; 64]).jwk()])}})),
            r#"providers.main.local_jwks.inline_string: none of its keys is for one of the provider's "algorithms""#,
        ),
        (local(json!({"local_jwks": {"inline_string": null, "inline_bytes": "%"}})), "providers.main.local_jwks.inline_bytes: not base64"),
        // Where tokens are, and what becomes of them.
        (provider(json!({"from_headers": [{}]})), "providers.main.from_headers[0].name: is required"),
        (provider(json!({"from_headers": [{"name": "a b"}]})), "providers.main.from_headers[0].name: not the name of a header"),
        (provider(json!({"from_headers": [{"name": ":path"}]})), "providers.main.from_headers[0].name: not the name of a header"),
        (
            provider(json!({"from_headers": [{"name": "a", "prefix": "b"}]})),
            "providers.main.from_headers[0].prefix: unknown field",
        ),
        (provider(json!({"from_params": [1]})), "providers.main.from_params[0]: expected a string, found a number"),
        (provider(json!({"from_cookies": "c"})), "providers.main.from_cookies: expected an array, found a string"),
        (provider(json!({"forward": "true"})), "providers.main.forward: expected true or false, found a string"),
        (provider(json!({"forward_payload_header": "a:b"})), "providers.main.forward_payload_header: not the name of a header"),
        (
            provider(json!({"forward_payload_header": "Host"})),
            "providers.main.forward_payload_header: this header frames or addresses the request and cannot be set",
        ),
        (
            provider(json!({"claim_to_headers": [{"header_name": "x"}]})),
            "providers.main.claim_to_headers[0]: needs one of claim_name, claim_path",
        ),
        (
            provider(json!({"claim_to_headers": [{"header_name": "content-length", "claim_name": "x"}]})),
            "providers.main.claim_to_headers[0].header_name: this header frames or addresses the request and cannot be set",
        ),
        (
            to_headers(json!({"claim_name": "a", "value": "b"})),
            r#"providers.main.claim_to_headers[0].claim_name: cannot stand beside "value": choose one of both, "value" or "claim_name""#,
        ),
        (
            to_headers(json!({"value": "{path}"})),
            r#"providers.main.claim_to_headers[0].value: holds no variables but "{claims.NAME}" and "{issuer.NAME}""#,
        ),
        (
            to_headers(json!({"value": "{issuer.tenant}"})),
            r#"providers.main.claim_to_headers[0].value: "{issuer.tenant}": no pattern of "issuers" has a variable of that name"#,
        ),
        (
            to_headers(json!({"value": "{claim.sub}"})),
            r#"providers.main.claim_to_headers[0].value: "{claim.sub}": unknown variable; did you mean "claims"?"#,
        ),
        (
            to_headers(json!({"value": "a\nb{claims.sub}"})),
            "providers.main.claim_to_headers[0].value: holds characters that no header may hold",
        ),
        (
            condition(json!({"claim": "x", "equals": "{issuer.tenant}"})),
            r#"rules[0].authorize.claims[0].equals: "{issuer.tenant}": no pattern of "issuers" has a variable of that name"#,
        ),
        (
            provider(json!({"claim_to_headers": [{"header_name": "x", "claim_name": "a..b"}]})),
            "providers.main.claim_to_headers[0].claim_name: a name between two dots is empty",
        ),
        // Revocation.
        (list(json!({"http_uri": null})), "providers.main.revocation.http_uri: is required"),
        (list(json!({"refresh_interval": "0s"})), "providers.main.revocation.refresh_interval: must be from 1s to 86400s"),
        (
            list(json!({"on_unavailable": "alow"})),
            r#"providers.main.revocation.on_unavailable: unknown choice; did you mean "allow"?"#,
        ),
        (list(json!({"on_unavailable": true})), "providers.main.revocation.on_unavailable: expected a string, found a boolean"),
        // Rules.
        (rule(json!({"match": null})), "rules[0].match: is required"),
        (rule(json!({"requires": null})), r#"rules[0]: needs "requires", or "public: true" to let everyone in"#),
        (
            text(&merged(base(), json!({"rules": [{"match": {"prefix": "/"}, "public": false}]}))),
            r#"rules[0]: needs "requires", or "public: true" to let everyone in"#,
        ),
        (rule(json!({"public": true})), r#"rules[0].requires: cannot stand beside "public: true""#),
        (
            rule(json!({"public": true, "requires": null, "authorize": {"scopes": {"any_of": ["a"]}}})),
            r#"rules[0].authorize: cannot stand beside "public: true": nobody is authenticated there"#,
        ),
        (rule(json!({"public": "yes"})), "rules[0].public: expected true or false, found a string"),
        (rule(json!({"require": {}})), r#"rules[0].require: unknown field; did you mean "requires"?"#),
        (rule(json!({"requirement_name": "x"})), r#"rules[0].requirement_name: cannot stand beside "requires": choose one of both, "requires" or "requirement_name""#),
        (matches(json!({})), "rules[0].match: needs one of prefix, path, path_separated_prefix, safe_regex, path_match_policy, connect_matcher"),
        (
            matches(json!({"prefix": "/", "path": "/"})),
            r#"rules[0].match.path: cannot stand beside "prefix": choose one of both, "prefix" or "path""#,
        ),
        (matches(json!({"prefix": "api"})), r#"rules[0].match.prefix: must begin with "/""#),
        (matches(json!({"path": "/a?b"})), "rules[0].match.path: a rule matches the path alone, without query and fragment"),
        (
            matches(json!({"prefix": "/a/../b"})),
            r#"rules[0].match.prefix: can be spelt in more than one way ("//", "/.", "%", ";" or a backslash): every request for it would be refused"#,
        ),
        (matches(json!({"safe_regex": "/a"})), "rules[0].match.safe_regex: expected an object, found a string"),
        (matches(json!({"safe_regex": {}})), "rules[0].match.safe_regex.regex: is required"),
        (header(json!({})), "rules[0].match.headers[0].name: is required"),
        (header(json!({"name": ":status"})), "rules[0].match.headers[0].name: not the name of a header"),
        (
            header(json!({"name": "x", "present_match": true, "string_match": {"exact": "a"}})),
            r#"rules[0].match.headers[0].present_match: cannot stand beside "string_match": choose one of both, "string_match" or "present_match""#,
        ),
        (
            header(json!({"name": "x", "string_match": {}})),
            "rules[0].match.headers[0].string_match: needs one of exact, prefix, suffix, contains, safe_regex",
        ),
        (header(json!({"name": "x", "string_match": {"prefix": ""}})), "rules[0].match.headers[0].string_match.prefix: must not be empty"),
        // Requirements.
        (
            requires(json!({})),
            "rules[0].requires: needs one of provider_name, provider_and_audiences, requires_any, requires_all, allow_missing, allow_missing_or_failed, extract_only_without_validation",
        ),
        (requires(json!({"provider_name": "mian"})), r#"rules[0].requires.provider_name: unknown provider; did you mean "main"?"#),
        (requires(json!({"provider_name": "another"})), "rules[0].requires.provider_name: unknown provider"),
        (
            requires(json!({"provider_and_audiences": {"provider_name": "main"}})),
            "rules[0].requires.provider_and_audiences.audiences: is required",
        ),
        (
            requires(json!({"requires_any": {"requirements": [{"provider_name": "main"}, {"provider_name": "x"}]}})),
            "rules[0].requires.requires_any.requirements[1].provider_name: unknown provider",
        ),
        (requires(json!({"requires_all": {"requirements": []}})), "rules[0].requires.requires_all.requirements: must not be empty"),
        (requires(json!({"requires_all": []})), "rules[0].requires.requires_all: expected an object, found an array"),
        (requires(json!({"allow_missing": true})), "rules[0].requires.allow_missing: expected an object, found a boolean"),
        (requires(json!({"allow_missing": {"x": 1}})), "rules[0].requires.allow_missing.x: unknown field"),
        // Authorization.
        (asks(json!({})), r#"rules[0].authorize: needs "scopes", "claims", "cel" or "service""#),
        (asks(json!({"scopes": {}})), "rules[0].authorize.scopes: needs one of any_of, all_of"),
        (
            asks(json!({"claims": [{"claim": "id", "equals": 1_234_567_890_123_456_789.0_f64}]})),
            "rules[0].authorize.claims[0].equals: a number of 2^53 and more is exact only as a whole number in JSON text",
        ),
        (asks(json!({"scopes": ["a"]})), "rules[0].authorize.scopes: expected an object, found an array"),
        (
            asks(json!({"scopes": {"any_of": ["a b"]}})),
            "rules[0].authorize.scopes.any_of: a scope has characters that RFC 6749 does not allow; one scope per element",
        ),
        (asks(json!({"claims": []})), "rules[0].authorize.claims: must not be empty"),
        (condition(json!({"equals": "x"})), "rules[0].authorize.claims[0]: needs one of claim, claim_path"),
        (condition(json!({"claim": "x"})), "rules[0].authorize.claims[0]: needs one of equals, any_of, contains, prefix, present"),
        (
            condition(json!({"claim": "x", "equals": "a", "present": true})),
            r#"rules[0].authorize.claims[0].present: cannot stand beside "equals": choose one of both, "equals" or "present""#,
        ),
        (
            condition(json!({"claim": "x", "equals": []})),
            "rules[0].authorize.claims[0].equals: expected a string, a number or a boolean, found an array",
        ),
        (condition(json!({"claim": ".x", "present": true})), "rules[0].authorize.claims[0].claim: a name between two dots is empty"),
        (condition(json!({"claim_path": [], "present": true})), "rules[0].authorize.claims[0].claim_path: must not be empty"),
        // Texts with variables.
        (
            condition(json!({"claim": "x", "equals": "{pth.1}"})),
            r#"rules[0].authorize.claims[0].equals: "{pth.1}": unknown variable; did you mean "path"?"#,
        ),
        (
            condition(json!({"claim": "x", "any_of": ["a", "{path.x}"]})),
            r#"rules[0].authorize.claims[0].any_of[1]: "{path.x}": a segment of the path is a number from 0"#,
        ),
        (
            condition(json!({"claim": "x", "contains": "{"})),
            r#"rules[0].authorize.claims[0].contains: a brace without its other one; "{{" and "}}" stand for themselves"#,
        ),
        (
            condition(json!({"claim": "x", "prefix": "{header}"})),
            r#"rules[0].authorize.claims[0].prefix: "{header}": needs a name behind a dot"#,
        ),
        (
            condition(json!({"claim": "x", "equals": "{header.Authorization}"})),
            r#"rules[0].authorize.claims[0].equals: "authorization" is a header that the gate sets, or finds tokens in"#,
        ),
    ];
    assert!(rows.len() >= 60);
    for (found, expected) in rows {
        assert_eq!(found, expected);
    }

    for (found, expected) in asking_wrongly() {
        assert_eq!(found, expected);
    }

    let regex = matches(json!({"safe_regex": {"regex": "/("}}));
    assert!(regex.starts_with("rules[0].match.safe_regex.regex: not a regular expression: "), "{regex}");
}

#[test]
fn a_text_with_variables_asks_for_nothing_that_is_the_gates_own() {
    let text = |variable: &str| {
        let main = remote(json!({
            "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
            "forward_payload_header": "x-payload",
            "from_headers": [{"name": "x-token"}],
            "from_params": ["token"],
            "from_cookies": ["token"],
        }));
        let authorize = json!({"claims": [{"claim": "x", "equals": variable}]});
        let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": authorize});
        error_of(&json!({"providers": {"main": main}, "rules": [rule]}))
    };
    let place = "rules[0].authorize.claims[0].equals";
    for name in ["x-user-id", "x_user_id", "x-payload", "x-token", "X_Token", "cookie"] {
        let problem = "is a header that the gate sets, or finds tokens in";
        let expected = format!("{place}: \"{}\" {problem}", name.to_ascii_lowercase());
        assert_eq!(text(&format!("{{header.{name}}}")), expected);
    }
    let expected = format!("{place}: \"token\" is a parameter that the gate finds tokens in");
    assert_eq!(text("{query.token}"), expected);
}

#[test]
fn a_service_cannot_set_a_header_that_a_provider_sets() {
    let main = remote(json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]}));
    let sets = |name: &str| {
        let service = json!({
            "protocol": "http",
            "http_uri": {"uri": "http://authz.example/decide", "cluster": "authz", "timeout": "1s"},
            "response_headers": ["x-other", name],
        });
        let rule =
            json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"service": service}});
        error_of(&json!({"providers": {"main": main}, "rules": [rule]}))
    };
    for name in ["x-user", "x_user"] {
        let problem = "is a header that a provider sets: two answers cannot stand in one place";
        assert_eq!(sets(name), format!("rules[0].authorize.service.response_headers[1]: {problem}"));
    }
}

#[test]
fn a_rule_cannot_ask_for_a_header_that_a_service_sets_even_behind_another_rule() {
    let service = json!({
        "protocol": "http",
        "http_uri": {"uri": "http://authz.example/decide", "cluster": "authz", "timeout": "1s"},
        "response_headers": ["x-role"],
    });
    let rule = |authorize: Value| json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": authorize});
    let asks = |text: &str| {
        let equals = rule(json!({"claims": [{"claim": "role", "equals": text}]}));
        json!({"providers": {"main": remote(json!({}))}, "rules": [equals, rule(json!({"service": service}))]})
    };
    for name in ["x-role", "x_role", "x.role"] {
        let expected = format!(
            "rules[0].authorize.claims[0].equals: \"{name}\" is a header that the gate sets, or finds tokens in"
        );
        assert_eq!(error_of(&asks(&format!("{{header.{name}}}"))), expected);
    }
    Config::parse(asks("{header.x-roles}").to_string().as_bytes()).unwrap();
}

#[cfg(not(feature = "cel"))]
#[test]
fn an_expression_in_a_module_without_them_is_refused_with_the_module_that_has_them() {
    let authorize = json!({"cel": "true"});
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": authorize});
    let error = error_of(&json!({"providers": {"main": remote(json!({}))}, "rules": [rule]}));
    let problem = "this module has no CEL: the other one that is built beside it, jwt_gate_cel.wasm, does";
    assert_eq!(error, format!("rules[0].authorize.cel: {problem}"));
}

#[test]
fn text_that_is_no_strict_json_is_refused() {
    for text in [&b""[..], b"{", b"providers: {}", b"{} {}", b"{\"a\":1,\"a\":1}", b"\xff", b"{\"providers\": {},}"] {
        let error = Config::parse(text).map(|_| ()).unwrap_err();
        assert!(["configuration", "providers"].contains(&error.path.as_str()), "{error}");
    }
}

#[test]
fn no_value_of_a_field_is_in_an_error() {
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    for path in [
        &["providers", "main", "issuer"][..],
        &["providers", "main", "remote_jwks", "http_uri", "uri"],
        &["providers", "main", "remote_jwks", "http_uri", "timeout"],
        &["providers", "main", "algorithms"],
        &["providers", "local", "local_jwks", "inline_string"],
        &["providers", "bytes", "local_jwks", "inline_bytes"],
        &["rules", "0", "match", "path"],
        &["rules", "1", "requires", "provider_name"],
    ] {
        for value in [json!(secret), json!([secret]), json!({ "x": secret })] {
            if let Err(error) = Config::parse(with(complete(), path, value).to_string().as_bytes()) {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
    }
}

/// What is wrong with questions to others.
fn asking_wrongly() -> Vec<(String, &'static str)> {
    let http_uri = json!({"uri": "https://authz.example/", "cluster": "authz", "timeout": "1s"});
    let provider = |more: Value| {
        let provider = json!({"issuer": "https://issuer.example", "audiences": ["api"]});
        error_of(&json!({"providers": {"main": merged(provider, more)}}))
    };
    let discovery = |more: Value, discovery: Value| {
        let mut more = more;
        more["discovery"] = merged(json!({"cluster": "issuer"}), discovery);
        provider(more)
    };
    let introspection = |more: Value| {
        let base = json!({"http_uri": http_uri, "client_id": "gate", "client_secret_env": "NOT_THERE"});
        provider(json!({"introspection": merged(base, more)}))
    };
    let service = |more: Value| {
        let service = merged(json!({"http_uri": http_uri}), more);
        error_of(&json!({
            "providers": {"main": remote(json!({}))},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"service": service}}],
        }))
    };
    vec![
        (discovery(json!({}), json!({"cluster": null})), "providers.main.discovery.cluster: is required"),
        (
            discovery(json!({"issuer": null}), json!({})),
            r#"providers.main.discovery: needs the provider's "issuer", which has the keys"#,
        ),
        (
            discovery(json!({"issuer": "issuer.example"}), json!({})),
            r#"providers.main.issuer: expected "http://host/path" or "https://host/path""#,
        ),
        (discovery(json!({}), json!({"timeout": "61s"})), "providers.main.discovery.timeout: must be from 1ms to 60s"),
        (
            discovery(json!({"local_jwks": {"inline_string": "x"}}), json!({})),
            r#"providers.main.discovery: cannot stand beside "local_jwks": choose one of both, "local_jwks" or "discovery""#,
        ),
        (
            introspection(json!({})),
            "providers.main.introspection.client_secret_env: is not set: vm_config.environment_variables of the wasm filter passes variables on",
        ),
        (introspection(json!({"client_secret": "x"})), r#"providers.main.introspection.client_secret: unknown field; did you mean "client_secret_env"?"#),
        (
            introspection(json!({"tokens": "opaque"})),
            r#"providers.main.introspection.tokens: cannot be "opaque" without keys: nobody would judge the others"#,
        ),
        (introspection(json!({"tokens": "opaqe"})), r#"providers.main.introspection.tokens: unknown choice; did you mean "opaque"?"#),
        (service(json!({})), "rules[0].authorize.service.protocol: is required"),
        (service(json!({"protocol": "authzn"})), r#"rules[0].authorize.service.protocol: unknown protocol; did you mean "authzen"?"#),
        (
            service(json!({"protocol": "opa", "subject": {}})),
            r#"rules[0].authorize.service.subject: goes with "protocol: authzen" alone"#,
        ),
        (
            service(json!({"protocol": "authzen", "response_headers": ["x"]})),
            r#"rules[0].authorize.service.response_headers: goes with "protocol: http" alone"#,
        ),
        (service(json!({"protocol": "opa", "input": "x"})), "rules[0].authorize.service.input: expected an object"),
        (
            service(json!({"protocol": "opa", "input": {"a": ["{pth}"]}})),
            r#"rules[0].authorize.service.input.a[0]: "{pth}": unknown variable; did you mean "path"?"#,
        ),
        (
            service(json!({"protocol": "opa", "request_headers": [{"name": "x-key", "value": "s3{cr}et"}]})),
            "rules[0].authorize.service.request_headers[0].value: holds braces that are no variable which can be had here (not \
             shown, as the value may be a secret); a brace that is meant is written twice",
        ),
        (
            service(json!({"protocol": "http", "request_headers": [{"name": "x-key", "value": "a\nb{method}"}]})),
            "rules[0].authorize.service.request_headers[0].value: holds characters that no header may hold",
        ),
        (service(json!({"protocol": "http", "method": "GET /"})), r#"rules[0].authorize.service: "method" is no method"#),
        (
            service(json!({"protocol": "http", "response_headers": ["host"]})),
            "rules[0].authorize.service.response_headers[0]: this header frames or addresses the request and cannot be set",
        ),
        (service(json!({"protocol": "opa", "cache": {}})), "rules[0].authorize.service.cache.ttl: is required"),
        (
            service(json!({"protocol": "opa", "cache": {"ttl": "1s", "max_entries": 0}})),
            "rules[0].authorize.service.cache.max_entries: must be from 1 to 100000",
        ),
    ]
}

#[test]
fn every_field_is_read_and_every_object_occurs() {
    let environment = |name: &str| match name {
        "JWKS" => Some(key_set([Key::rsa().jwk()])),
        "SECRET" => Some("s3cret".to_owned()),
        _ => None,
    };
    let parse = |config: &Value| Config::parse_in(config.to_string().as_bytes(), &environment);
    let mut seen = BTreeSet::new();
    for config in [complete(), asking(), envoys_own(), istios_own()] {
        parse(&config).unwrap();
        // Each field of the table, turned into something that no field can be, is an error at its own path.
        let mut paths: Vec<(Vec<String>, Value)> = Vec::new();
        walk(&config, &mut Vec::new(), &mut paths);
        for (path, _) in &paths {
            let names: Vec<&str> = path.iter().map(String::as_str).collect();
            let name = names[names.len() - 1];
            if name.parse::<usize>().is_ok() || !FIELDS.iter().any(|field| field.name == name) {
                continue;
            }
            let broken = with(config.clone(), &names, json!([[["no field is this"]]]));
            let error = parse(&broken).expect_err(name).to_string();
            let shown = names.iter().fold(String::new(), |shown, name| match name.parse::<usize>() {
                Ok(index) => format!("{shown}[{index}]"),
                Err(_) if shown.is_empty() => (*name).to_owned(),
                Err(_) => format!("{shown}.{name}"),
            });
            assert!(error.starts_with(&shown), "{shown}: {error}");
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.contains("seconds") && seen.contains("nanos"));
    let mut in_objects = BTreeSet::new();
    for config in [complete(), asking(), envoys_own(), istios_own()] {
        note_fields(&config, "configuration", &mut in_objects);
    }
    let is_left_out = |name| name == "cel" && cfg!(not(feature = "cel"));
    let missing: Vec<String> = FIELDS
        .iter()
        .filter(|field| field.object != "duration" && !is_left_out(field.name))
        .filter(|field| !in_objects.contains(&(field.object, field.name)))
        .map(|field| format!("{}.{}", field.object, field.name))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Adds the fields of `value`, which is an object of that name in the table, and of what is in it.
fn note_fields(value: &Value, object: &str, seen: &mut BTreeSet<(&'static str, &'static str)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let snake = name.chars().fold(String::new(), |snake, c| match c {
            'A'..='Z' => snake + "_" + &c.to_ascii_lowercase().to_string(),
            _ => snake + &c.to_string(),
        });
        let Some(field) = FIELDS.iter().find(|field| field.object == object && field.name == snake) else { continue };
        seen.insert((field.object, field.name));
        let (of_map, of_list) = (field.kind.starts_with("map of "), field.kind.starts_with("list of "));
        let inner = field.kind.rsplit(if of_map { " to " } else { "list of " }).next().unwrap_or_default();
        let values: Vec<&Value> = match value {
            Value::Object(members) if of_map => members.values().collect(),
            Value::Array(elements) if of_list => elements.iter().collect(),
            one => vec![one],
        };
        // A segment is a string or an object.
        let inner = if field.name.ends_with("path") && of_list { "path_segment" } else { inner };
        values.into_iter().for_each(|value| note_fields(value, inner, seen));
    }
}

#[test]
fn what_a_module_cannot_have_is_refused_with_what_to_use_instead() {
    let jwks = |more: Value| error_of(&json!({"providers": {"main": local(&[], json!({ "local_jwks": more }))}}));
    let retrying =
        |more: Value| error_of(&json!({"providers": {"main": remote(json!({"remote_jwks": {"retry_policy": more}}))}}));
    let matching = |more: Value| {
        error_of(&json!({
            "providers": {"main": remote(json!({}))},
            "rules": [{"match": merged(json!({"prefix": "/"}), more), "public": true}],
        }))
    };
    let istio = |more: Value| error_of(&json!({"jwt_rules": [merged(json!({"jwks_uri": JWKS}), more)]}));
    let of_cluster = "which upstream is tried is the cluster's business; jwt_authn does not read it either";
    let refusals = [
        (
            jwks(json!({"inline_string": null, "filename": "/etc/jwks.json"})),
            "providers.main.local_jwks.filename",
            r#"a wasm module has no files; put the key set into "inline_string" or into "environment_variable", or fetch it by "remote_jwks""#,
        ),
        (
            jwks(json!({"watchedDirectory": {"path": "/etc"}})),
            "providers.main.local_jwks.watchedDirectory",
            r#"a wasm module has no files; "remote_jwks" notices new keys by itself"#,
        ),
        (
            retrying(json!({"retry_priority": {"name": "x"}})),
            "providers.main.remote_jwks.retry_policy.retry_priority",
            of_cluster,
        ),
        (
            retrying(json!({"retryHostPredicate": [{"name": "x"}]})),
            "providers.main.remote_jwks.retry_policy.retryHostPredicate",
            of_cluster,
        ),
        (
            retrying(json!({"host_selection_retry_max_attempts": 3})),
            "providers.main.remote_jwks.retry_policy.host_selection_retry_max_attempts",
            of_cluster,
        ),
        (
            matching(json!({"runtimeFraction": {}})),
            "rules[0].match.runtimeFraction",
            "jwt_authn ignores it, and a share of unchecked requests is no protection; remove it",
        ),
        (
            matching(json!({"grpc": {}})),
            "rules[0].match.grpc",
            r#"jwt_authn ignores it; match the header "content-type" by "headers""#,
        ),
        (
            matching(json!({"tls_context": {"presented": true}})),
            "rules[0].match.tls_context",
            "jwt_authn ignores it; remove it",
        ),
        (
            matching(json!({"dynamicMetadata": []})),
            "rules[0].match.dynamicMetadata",
            r#"jwt_authn ignores it, and a wasm module cannot read it; use "filter_state_rules""#,
        ),
        (
            matching(json!({"filter_state": []})),
            "rules[0].match.filter_state",
            r#"jwt_authn ignores it; use "filter_state_rules""#,
        ),
        (
            matching(json!({"cookies": []})),
            "rules[0].match.cookies",
            r#"jwt_authn ignores it; match the header "cookie" by "headers""#,
        ),
        (
            matching(json!({"headers": [{"name": "x", "string_match": {"custom": {}}}]})),
            "rules[0].match.headers[0].string_match.custom",
            r#"a wasm module cannot load another extension; use "safe_regex""#,
        ),
        (
            istio(json!({"issuers": ["https://{tenant}.login.example"]})),
            "jwt_rules[0].issuers",
            r#"a rule of Istio has one issuer; write one for each, or "providers" in place of "jwt_rules""#,
        ),
        (
            istio(json!({"output_claim_to_headers": [{"header": "x", "value": "{claims.sub}"}]})),
            "jwt_rules[0].output_claim_to_headers[0].value",
            r#"Istio's rules copy claims alone; write "providers" in place of "jwt_rules""#,
        ),
    ];
    // The table of the source has no field that is not here.
    let source = include_str!("../../src/config/fields.rs");
    let table = source.split("const REFUSED: ").nth(1).and_then(|rest| rest.split("\n];").next()).unwrap();
    assert_eq!(table.lines().filter(|line| line.starts_with("    (\"")).count(), refusals.len());
    let places: BTreeSet<&str> = refusals.iter().map(|(_, place, _)| *place).collect();
    assert_eq!(places.len(), refusals.len());
    for (found, place, why) in refusals {
        assert_eq!(found, format!("{place}: cannot be had here: {why}"));
    }
    assert_eq!(
        jwks(json!({"inline_string": null, "environment_variable": "JWKS"})),
        "providers.main.local_jwks.environment_variable: is not set: vm_config.environment_variables of the wasm filter passes variables on",
    );
}

/// Every place in `value`, the root aside.
fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        path.push(name);
        found.push((path.clone(), child.clone()));
        walk(child, path, found);
        path.pop();
    }
}

/// The same configuration as protobuf JSON writes it: `lowerCamelCase`. The users' own names stay.
fn camel(value: &Value) -> Value {
    let rename = |name: &str| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |camel, word| camel + &word[..1].to_ascii_uppercase() + &word[1..])
    };
    match value {
        Value::Object(members) => {
            let known = |name: &str| FIELDS.iter().any(|field| field.name == name);
            let member = |(name, value): (&String, &Value)| {
                (if known(name) { rename(name) } else { name.clone() }, camel(value))
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(camel).collect()),
        other => other.clone(),
    }
}

#[test]
fn both_spellings_are_the_same_configuration() {
    let (snake, camel) = (complete(), camel(&complete()));
    assert!(camel.to_string().contains("claimToHeaders") && !camel.to_string().contains("claim_to_headers"));
    // Messages name a field as the operator wrote it.
    assert!(shape(&snake) == shape(&camel).replace("remoteJwks", "remote_jwks"));
    assert!(shape(&snake) != shape(&with(complete(), &["rules", "1", "requires", "provider_name"], json!("local"))));
}

#[test]
fn a_default_that_is_written_out_changes_nothing() {
    let short = json!({
        "providers": {"main": merged(remote(json!({})), revoking(json!({})))},
        "rules": [{"match": {"prefix": "/public"}, "public": true}, {"match": {"prefix": "/x"}, "requires": {"provider_name": "main"}}],
    });
    let defaults = json!({
        "allow_any_audience": false,
        "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
        "require_expiration": true,
        "clock_skew_seconds": 60,
        "remote_jwks": {"cache_duration": "600s", "refetch_cooldown": "30s", "max_stale": "24h"},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": false,
        "pad_forward_payload_header": false,
        "revocation": {"refresh_interval": "10s", "on_unavailable": "deny", "max_stale": "24h"},
        "max_lifetime": null,
        "local_jwks": null,
    });
    let mut long = with(short.clone(), &["providers", "main"], merged(short["providers"]["main"].clone(), defaults));
    long["bypass_cors_preflight"] = false.into();
    long["token_cache"] = json!({"max_entries": 10_000, "max_token_size": 4096});
    long["crypto"] = "auto".into();
    long["rules"][1]["public"] = false.into();
    long["rules"][1]["authorize"] = Value::Null;

    assert!(shape(&short) == shape(&long));

    // And by behaviour: the same requests and the same hour bring the same answers and the same fetches.
    let play = |config: &Value| {
        let mut world = World::new(config, 2);
        let key = Key::rsa().named("k");
        world.issuer(JWKS, Reply::keys(&[&key]));
        world.issuer(REVOKED, Reply::revoked(json!([{"jti": "gone"}])));
        let mut answers = Vec::new();
        for minute in 0..20 {
            let token = Token::at(&key, world.seconds());
            for token in [
                token.clone(),
                token.clone().claim("jti", "gone"),
                token.clone().expires_in(-59),
                token.clone().expires_in(-60),
                token.clone().without("exp"),
                token.clone().alg("PS512"),
                token.clone().kid("unknown"),
            ] {
                let request = Request::get(if minute % 2 == 0 { "/" } else { "/x" }).bearer(&token.mint());
                answers.push(world.ask_patiently(0, &request).code());
            }
            world.seconds_pass(60);
        }
        let fetches: Vec<(u64, String)> = world.fetches.iter().map(|fetch| (fetch.at, fetch.uri.clone())).collect();
        (answers, fetches)
    };
    assert_eq!(play(&short), play(&long));
}

#[test]
fn a_default_of_what_is_asked_that_is_written_out_changes_nothing() {
    let http_uri = json!({"uri": "http://authz.example/decide", "cluster": "authz", "timeout": "1s"});
    let introspection =
        |more: Value| merged(json!({"http_uri": http_uri, "client_id": "gate", "client_secret_env": "SECRET"}), more);
    let service = |protocol: &str, more: Value| merged(json!({"protocol": protocol, "http_uri": http_uri}), more);
    let config = |discovery: Value, [beside, alone]: [Value; 2], services: [Value; 3], top: Value| {
        let rule = |service: Value| json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"service": service}});
        let discovery = merged(json!({"cluster": "issuer"}), discovery);
        let main = remote(json!({"remote_jwks": null, "discovery": discovery, "introspection": introspection(beside)}));
        let opaque = json!({"allow_any_audience": true, "introspection": introspection(alone)});
        let rules: Vec<Value> = services.map(rule).into();
        merged(json!({"providers": {"main": main, "opaque": opaque}, "rules": rules}), top)
    };
    let nothing = || json!({});
    let short = config(
        nothing(),
        [nothing(), nothing()],
        [service("authzen", nothing()), service("opa", nothing()), service("http", json!({"cache": {"ttl": "1s"}}))],
        nothing(),
    );
    let cache = json!({"ttl": "60s", "negative_ttl": "10s", "max_entries": 10_000});
    let long = config(
        json!({
            "jwks_cluster": "issuer",
            "timeout": "5s",
            "cache_duration": "600s",
            "refetch_cooldown": "30s",
            "refetch_on_unknown_kid": true,
            "max_stale": "24h",
        }),
        [json!({"tokens": "opaque", "cache": cache}), json!({"tokens": "all", "cache": cache})],
        [
            service(
                "authzen",
                json!({
                    "on_error": "deny",
                    "subject": {"type": "user", "id": "{claims.sub}", "properties": "{claims}"},
                    "action": {"name": "{method}"},
                    "resource": {"type": "http", "id": "{path}"},
                }),
            ),
            service("opa", json!({"input": {"method": "{method}", "path": "{path}", "claims": "{claims}"}})),
            service("http", json!({"method": "GET", "cache": {"ttl": "1s", "max_entries": 10_000}})),
        ],
        json!({"enforce": true, "access_log": null, "responses": null, "strip_failure_response": false}),
    );
    assert_eq!(shape(&short), shape(&long));
    for (place, other) in [
        (&["providers", "main", "discovery", "timeout"][..], json!("4s")),
        (&["providers", "main", "introspection", "tokens"], json!("all")),
        (&["providers", "opaque", "introspection", "cache", "negative_ttl"], json!("9s")),
        (&["rules", "0", "authorize", "service", "on_error"], json!("allow")),
        (&["rules", "1", "authorize", "service", "input", "path"], json!("{method}")),
        (&["rules", "2", "authorize", "service", "method"], json!("POST")),
    ] {
        assert_ne!(shape(&short), shape(&with(long.clone(), place, other)), "{place:?}");
    }
}

#[test]
fn null_is_an_absence() {
    let mut config = complete();
    config["rules"] = Value::Null;
    config["providers"]["local"]["issuer"] = Value::Null;
    assert!(Config::parse(config.to_string().as_bytes()).is_ok());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["/", "1s", "600s", "main", "RS256", "\u{0}", "\u{10ffff}", "=", "e30"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![prop::sample::select(FIELDS).prop_map(|field| field.name.to_owned()), "[a-z_]{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn no_json_makes_the_reader_panic(value in any_json()) {
        let _ = Config::parse(value.to_string().as_bytes());
    }

    #[test]
    fn no_change_of_a_good_configuration_makes_the_reader_panic(place in any::<prop::sample::Index>(), value in any_json()) {
        let config = complete();
        let mut paths = Vec::new();
        walk(&config, &mut Vec::new(), &mut paths);
        let (path, _) = &paths[place.index(paths.len())];
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Err(error) = Config::parse(with(config, &names, value).to_string().as_bytes()) {
            prop_assert!(!error.path.is_empty() && !error.problem.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Config::parse(&bytes).is_err());
    }
}

#[test]
fn a_key_set_may_stand_there_in_every_base64_that_protobuf_json_takes() {
    // What tells the alphabets apart, and a length that needs padding.
    let set = key_set([merged(Key::p256(1).jwk(), json!({"x-note": "???>>>~~~"}))]);
    let set = format!("{set}{}", " ".repeat(3 - set.len() % 3 + 1));
    let standard = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &set);
    let url_safe = encode(set.as_bytes());
    assert!(standard.contains(['+', '/']) && standard.ends_with('=') && url_safe.contains(['-', '_']), "{standard}");
    let unpadded = standard.trim_end_matches('=').to_owned();
    for bytes in [standard, unpadded, format!("{url_safe}=="), url_safe] {
        let provider = local(&[], json!({"local_jwks": {"inline_string": null, "inline_bytes": bytes}}));
        let mut world = World::new(&json!({ "providers": {"main": provider} }), 1);
        assert_eq!(world.ask(0, &Request::get("/").bearer(&Token::new(&Key::p256(1)).mint())).code(), "allowed");
    }
}
