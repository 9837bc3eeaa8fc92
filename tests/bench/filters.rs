//! The filters that are compared, each as Envoy's configuration has it.

use std::path::PathBuf;

use jwt_gate::config::Config;
use serde_json::{json, Value};

use crate::envoy::{module, project, wasm_filter};
use crate::mint::{key_set, Key, AUDIENCE, ISSUER};

/// The filters before the router; or why this build cannot have them.
pub type Filters = Result<Vec<Value>, String>;

/// The keys of the benchmark: one for each algorithm.
pub fn key(alg: &str) -> Key {
    Key::of(alg, false).named(key_name(alg))
}

/// A key that claims to be the one of [`key`].
pub fn forger(alg: &str) -> Key {
    Key::of(alg, true).named(key_name(alg))
}

fn key_name(alg: &str) -> &'static str {
    match &alg[..2] {
        "RS" | "PS" => "rsa",
        "ES" => "p-256",
        _ => "ed25519",
    }
}

/// All of them, as an issuer publishes them.
pub fn published() -> String {
    key_set(["RS256", "ES256", "EdDSA"].map(|alg| key(alg).jwk()))
}

/// Nothing but the router.
pub fn none() -> Filters {
    Ok(Vec::new())
}

/// What every provider says, native or not: whose tokens, for whom, and the keys.
pub fn provider(keys: &str) -> Value {
    json!({"issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": keys}})
}

/// One rule for everything.
pub fn one_rule() -> Value {
    json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}])
}

/// That many rules, of which the last one matches the requests.
pub fn rules(count: usize) -> Value {
    let rule = |prefix: String| json!({"match": {"prefix": prefix}, "requires": {"provider_name": "main"}});
    let others = (1..count).map(|number| rule(format!("/service-{number}/v1")));
    others.chain([rule("/orders".into())]).collect()
}

/// The same with path templates.
pub fn templates(count: usize) -> Value {
    let rule = |template: String| {
        let template = json!({
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": template,
        });
        let policy = json!({"name": "envoy.path.match.uri_template.uri_template_matcher", "typed_config": template});
        json!({"match": {"path_match_policy": policy}, "requires": {"provider_name": "main"}})
    };
    let others = (1..count).map(|number| rule(format!("/service-{number}/v1/{{id}}")));
    others.chain([rule("/orders/{id}".into())]).collect()
}

/// Envoy's own filter.
pub fn native(provider: Value, rules: Value) -> Filters {
    Ok(vec![json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"main": provider},
            "rules": rules,
        },
    })])
}

/// The same with its cache.
pub fn native_with_cache(mut provider: Value, rules: Value) -> Filters {
    provider["jwt_cache_config"] = json!({});
    native(provider, rules)
}

/// jwt-gate with a provider and rules, and whatever `more` says at the top.
pub fn gate(vm: &str, provider: Value, rules: Value, more: &Value) -> Filters {
    let mut configuration = json!({"providers": {"main": provider}, "rules": rules});
    for (name, value) in more.as_object().into_iter().flatten() {
        configuration[name] = value.clone();
    }
    // What this build does not know yet is no reason not to measure the rest.
    Config::parse(configuration.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let configuration = json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration});
    Ok(vec![wasm_filter(vm, &module(), &configuration)])
}

/// jwt-gate as the example (`envoy.yaml`) has it: keys fetched, revocations polled, claims forwarded, payload, header and decision
/// for the access log, the resource described, scopes and a claim of the path asked for. The service that decides about one of its paths is there, and not asked: these requests have another path.
pub fn gate_with_everything(vm: &str) -> Filters {
    let fetched = |path: &str| {
        let uri = format!("http://issuer.example{path}");
        json!({"uri": uri, "cluster": "issuer", "timeout": "2s"})
    };
    let claims = [("x-user-id", "sub"), ("x-user-scope", "scope"), ("x-token-id", "jti"), ("x-token-expires", "exp")];
    let provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "remote_jwks": {"http_uri": fetched("/jwks.json"), "cache_duration": "600s"},
        "revocation": {"http_uri": fetched("/revocations.json"), "refresh_interval": "10s"},
        "claim_to_headers": claims.map(|(header, claim)| json!({"header_name": header, "claim_name": claim})),
        "payload_in_metadata": "caller",
        "header_in_metadata": "token_header",
        "failed_status_in_metadata": "refusal",
    });
    let public = |path: &str| json!({"match": {"path": path}, "public": true});
    let to_read = |prefix: &str, scope: &str| {
        json!({
            "match": {"prefix": prefix, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "requires": {"provider_name": "main"},
            "authorize": {"scopes": {"all_of": [scope]}},
        })
    };
    let to_write = |prefix: &str, scope: &str| {
        json!({
            "match": {"prefix": prefix},
            "requires": {"provider_name": "main"},
            "authorize": {"scopes": {"all_of": [scope]}},
        })
    };
    let rules = json!([
        public("/auth/register"),
        public("/auth/login"),
        public("/inventory/catalog"),
        {"match": {"path": "/auth/logout"}, "requires": {"provider_name": "main"}},
        {
            "match": {"prefix": "/users"},
            "requires": {"provider_name": "main"},
            "authorize": {
                "scopes": {"all_of": ["orders:read"]},
                "claims": [{"claim": "sub", "equals": "{path.1}"}],
            },
        },
        {
            "match": {"path": "/orders/report"},
            "requires": {"provider_name": "main"},
            "authorize": {
                "scopes": {"all_of": ["orders:read"]},
                "service": {"protocol": "authzen", "http_uri": fetched("/access/v1/evaluation")},
            },
        },
        to_read("/orders", "orders:read"),
        to_write("/orders", "orders:write"),
        to_read("/inventory", "inventory:read"),
        to_write("/inventory", "inventory:write"),
    ]);
    let more = json!({
        "access_log": ["outcome", "code", "provider", "sub", "kid"],
        "protected_resource": {
            "resource": "http://shop.example",
            "scopes_supported": ["orders:read", "orders:write", "inventory:read", "inventory:write"],
        },
    });
    gate(vm, provider, rules, &more)
}

/// The list that the issuer of [`gate_with_everything`] publishes.
pub fn revocations() -> Value {
    let revoked = (0..100).map(|number| json!({"jti": format!("logged-out-{number}")}));
    json!({"revoked": revoked.collect::<Vec<_>>()})
}

/// A filter that does the least, by the name of its module.
pub fn floor(name: &str) -> Filters {
    let module: PathBuf = project(&format!("target/{name}.wasm"));
    assert!(module.exists(), "{} is missing: `make bench` builds it", module.display());
    let nothing = json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": ""});
    Ok(vec![wasm_filter(name, &module, &nothing)])
}
