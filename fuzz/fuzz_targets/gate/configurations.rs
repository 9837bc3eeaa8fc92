//! The two configurations that scripts run under.

use serde_json::{json, Value};

use crate::mint::{key_set, Key, AUDIENCE};
use crate::world::{merged, remote, revoking};

/// The issuer whose tokens are signed with a secret.
pub const SECRET_ISSUER: &str = "https://secret.example";

/// The service that is asked about one path.
pub const DECISIONS: &str = "http://authz.example/decide";

/// How long its answers are kept, and may be under way, in milliseconds.
pub const KEPT: u64 = 2_000 + 1_000;

fn places() -> Value {
    json!({
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x-token"}],
        "from_params": ["t"],
        "from_cookies": ["c"],
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    })
}

/// The gate's own semantics.
pub fn config() -> Value {
    let main = merged(remote(revoking(json!({"refresh_interval": "3s"}))), places());
    let main = merged(main, json!({"remote_jwks": {"cache_duration": "5s"}}));
    let secret = json!({
        "issuer": SECRET_ISSUER,
        "audiences": [AUDIENCE],
        "algorithms": ["HS256"],
        "local_jwks": {"inline_string": key_set([Key::hmac(&[7; 64]).jwk()])},
    });
    json!({
        "providers": {"main": main, "secret": merged(secret, places())},
        "protected_resource": {"resource": "https://api.example"},
        "rules": [
            {"match": {"prefix": "/open"}, "public": true},
            {"match": {"prefix": "/maybe"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "main"}, {"provider_name": "secret"}, {"allow_missing": {}},
            ]}}},
            {"match": {"prefix": "/scope"}, "requires": {"provider_name": "main"},
             "authorize": {"scopes": {"all_of": ["write"]}}},
            {"match": {"prefix": "/asked"}, "requires": {"provider_name": "main"}, "authorize": {"service": {
                "protocol": "opa",
                "http_uri": {"uri": DECISIONS, "cluster": "authz", "timeout": "1s"},
                "cache": {"ttl": "2s", "max_entries": 10},
            }}},
        ],
    })
}

/// `semantics: jwt_authn`.
pub fn lenient_config() -> Value {
    let main = merged(remote(json!({"remote_jwks": {"cache_duration": "5s"}})), places());
    json!({
        "semantics": "jwt_authn",
        "providers": {"main": main},
        "rules": [
            {"match": {"prefix": "/open"}},
            {"match": {"prefix": "/maybe"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "main"}, {"allow_missing": {}},
            ]}}},
            {"match": {"prefix": "/"}, "requires": {"provider_name": "main"}},
        ],
    })
}
