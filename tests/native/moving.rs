//! From `jwt_authn` to the gate's own semantics: what Envoy does, what the gate does, and the field that turns this one thing back.
//! The README's table has a row for each; the differential test holds `semantics: jwt_authn` against a real Envoy.

use std::fs;

use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER};
use crate::world::{merged, Reply, Request, World, JWKS};

/// A configuration, what turns it back, and a request. Where a configuration cannot be Envoy's and the gate's alike, what is the
/// gate's own goes into `gate`.
struct Row {
    /// As the README's table begins.
    name: &'static str,
    /// What Envoy's semantics have.
    envoy: Value,
    /// What the gate's own have beyond that.
    gate: Value,
    /// And what turns this one difference back.
    back: Value,
    request: Request,
}

fn provider() -> Value {
    json!({
        "issuer": ISSUER,
        "audiences": ["api"],
        "local_jwks": {"inline_string": key_set([key().jwk()])},
    })
}

fn remote() -> Value {
    let remote = json!({"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}});
    merged(provider(), json!({"local_jwks": null, "remote_jwks": remote}))
}

fn key() -> Key {
    Key::p256(1).named("k")
}

fn token() -> Token {
    Token::new(&key())
}

/// One provider, and one rule that asks for its tokens everywhere.
fn closed(provider: Value) -> Value {
    json!({"providers": {"main": provider}, "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]})
}

/// What `more` says of that provider.
fn main(more: Value) -> Value {
    json!({ "providers": { "main": more } })
}

/// A second provider, and one rule that asks for a token of either.
fn either() -> Value {
    let second = json!({"from_headers": [{"name": "x-second"}], "issuer": "https://second.example"});
    let requirements = json!([{"provider_name": "main"}, {"provider_name": "second"}]);
    json!({
        "providers": {"main": provider(), "second": merged(provider(), second)},
        "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": requirements}}}],
    })
}

fn rows() -> Vec<Row> {
    let nothing = || json!({});
    let get = |token: Token| Request::get("/").bearer(&token.mint());
    let row = |name, envoy, back, request| Row { name, envoy, gate: nothing(), back, request };
    let requires = json!({"provider_name": "main"});
    let open = |path: &str| json!({"providers": {"main": provider()}, "rules": [{"match": {"prefix": path}}]});
    let public = |path: &str| json!({"rules": [{"match": {"prefix": path}, "public": true}]});
    vec![
        row(
            "a request that no rule matches",
            json!({"providers": {"main": provider()}, "rules": [{"match": {"prefix": "/orders"}, "requires": requires}]}),
            json!({"rules": [
                {"match": {"prefix": "/orders"}, "requires": requires},
                {"match": {"prefix": "/"}, "public": true},
            ]}),
            Request::get("/other"),
        ),
        Row {
            name: "`prefix: /api`",
            envoy: open("/api"),
            gate: public("/api"),
            back: json!({"rules": [{"match": {"safe_regex": {"regex": "/api.*"}}, "public": true}]}),
            request: Request::get("/apix"),
        },
        Row {
            name: "ambiguous paths",
            envoy: open("/open"),
            gate: public("/open"),
            back: json!({"ambiguous_paths": "allow"}),
            request: Request::get("/open/../closed"),
        },
        row("`exp`", closed(provider()), main(json!({"require_expiration": false})), get(token().without("exp"))),
        row(
            "`aud`",
            closed(provider()),
            main(json!({"audiences": ["api", "https://api/"]})),
            get(token().claim("aud", "https://api/")),
        ),
        row(
            "`iat`",
            closed(provider()),
            main(json!({"check_issued_at": false})),
            get(token().claim("iat", crate::mint::NOW + 3600)),
        ),
        row(
            "where tokens are looked for",
            closed(provider()),
            main(json!({"from_params": ["access_token"]})),
            Request::get(&format!("/?access_token={}", token().mint())),
        ),
        row(
            "`Authorization`",
            closed(provider()),
            main(json!({"from_headers": [{"name": "authorization", "value_prefix": "Bearer ", "anywhere": true}]})),
            Request::get("/").header("authorization", format!("Token, Bearer {}", token().mint())),
        ),
        row(
            "a bad token beside a good one",
            either(),
            json!({"bad_token_beside_good": "ignore", "providers": {"second": {"forward": true}}}),
            get(token()).header("x-second", "bad"),
        ),
        row(
            "wrong `aud`",
            closed(provider()),
            json!({"statuses": {"audience_not_allowed": 403}}),
            get(token().claim("aud", "other")),
        ),
        row(
            "keys cannot be had",
            closed(merged(remote(), json!({"remote_jwks": {"http_uri": {"uri": "http://issuer.example/down"}}}))),
            json!({"statuses": {"keys_unavailable": 401}}),
            get(token()),
        ),
        row(
            "unknown `kid`",
            closed(remote()),
            main(json!({"remote_jwks": {"refetch_on_unknown_kid": false}})),
            get(token().kid("new")),
        ),
        row(
            "a cookie's token",
            closed(merged(provider(), json!({"from_cookies": ["t"]}))),
            main(json!({"forward": true})),
            Request::get("/").header("cookie", format!("t={}", token().mint())),
        ),
        row(
            "arrays, objects and numbers in `claim_to_headers`",
            closed(merged(
                provider(),
                json!({"claim_to_headers": [{"header_name": "x-roles", "claim_name": "roles"}]}),
            )),
            main(
                json!({"claim_to_headers": [{"header_name": "x-roles", "claim_name": "roles", "encoding": "jwt_authn"}]}),
            ),
            get(token().claim("roles", json!(["a", 1]))),
        ),
    ]
}

/// What can be told apart: the status, what the service gets, and how often the issuer was asked.
fn outcome(config: &Value, request: &Request) -> (u16, Option<Vec<(String, String)>>, usize) {
    let mut world = World::new(config, 1);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.issuer("http://issuer.example/down", Reply::status(500));
    world.seconds_pass(60);
    let fetches = world.fetches.len();
    let verdict = world.ask_patiently(0, request);
    let seen = (verdict.status() == 200).then(|| request.edited(verdict.edits()));
    // Envoy's filter fetches where this one is down, too: that is counted elsewhere.
    let more = if verdict.code() == "keys_unavailable" { 0 } else { world.fetches.len() - fetches };
    (verdict.status(), seen, more)
}

#[test]
fn every_difference_is_there_and_is_turned_back_alone() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for Row { name, envoy, gate, back, request } in rows() {
        let gate = merged(envoy.clone(), gate);
        let back = merged(gate.clone(), back);
        let envoy = outcome(&merged(envoy, json!({"semantics": "jwt_authn"})), &request);
        assert_ne!(outcome(&gate, &request), envoy, "{name}: there is no difference");
        assert_eq!(outcome(&back, &request), envoy, "{name}: it is not turned back");
        let row = format!("\n| {name} |");
        assert!(readme.contains(&row), "the README has no row {row:?}");
    }
}

#[test]
fn keys_that_cannot_be_fetched_again_end_with_their_lifetime_where_max_stale_says_so() {
    let play = |config: Value| {
        let mut world = World::new(&config, 1);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        world.seconds_pass(1);
        world.issuer(JWKS, Reply::status(500));
        world.seconds_pass(660);
        let token = Token::at(&key(), world.seconds());
        world.ask_patiently(0, &Request::get("/").bearer(&token.mint())).status()
    };
    assert_eq!(play(merged(closed(remote()), json!({"semantics": "jwt_authn"}))), 401);
    assert_eq!(play(closed(remote())), 200);
    let back =
        json!({"providers": {"main": {"remote_jwks": {"max_stale": "600s"}}}, "statuses": {"keys_unavailable": 401}});
    assert_eq!(play(merged(closed(remote()), back)), 401);
    let async_fetch = json!({"semantics": "jwt_authn", "providers": {"main": {"remote_jwks": {"async_fetch": {}}}}});
    assert_eq!(play(merged(closed(remote()), async_fetch)), 200);
}

#[test]
fn a_bad_token_is_ignored_beside_a_good_one_alone_and_never_in_place_of_one() {
    let ignoring = json!({"bad_token_beside_good": "ignore"});
    let request = || Request::get("/");
    let good = || request().bearer(&token().mint());
    for (request, denied, ignored) in [
        (good(), 200, 200),
        (good().header("x-second", "bad"), 401, 200),
        (request().bearer("bad"), 401, 401),
        (request().header("x-second", "bad"), 401, 401),
        (request().bearer("bad").header("x-second", "bad"), 401, 401),
        (request(), 401, 401),
    ] {
        assert_eq!(outcome(&either(), &request).0, denied, "{request:?}");
        assert_eq!(outcome(&merged(either(), ignoring.clone()), &request).0, ignored, "{request:?}");
        let envoys = merged(either(), json!({"semantics": "jwt_authn"}));
        assert_eq!(outcome(&envoys, &request).0, ignored, "{request:?}: as in Envoy");
    }
    // Where a missing token is allowed, a bad one alone still is not, and a good one of all is not enough.
    let rule = |form: &str, more: Value| {
        let main = json!({"provider_name": "main"});
        json!({"rules": [{"match": {"prefix": "/"}, "requires": {form: {"requirements": [main, more]}}}]})
    };
    let optional = json!({"requires_any": {"requirements": [{"provider_name": "second"}, {"allow_missing": {}}]}});
    for (rules, request, status) in [
        (rule("requires_any", json!({"allow_missing": {}})), request().bearer("bad"), 401),
        (rule("requires_any", json!({"allow_missing": {}})), request(), 200),
        (rule("requires_any", optional.clone()), request().header("x-second", "bad"), 401),
        (rule("requires_any", optional.clone()), request().bearer("bad"), 401),
        (rule("requires_all", optional), good().header("x-second", "bad"), 401),
        (rule("requires_all", json!({"provider_name": "second"})), good().header("x-second", "bad"), 401),
    ] {
        let config = merged(merged(either(), rules.clone()), ignoring.clone());
        assert_eq!(outcome(&config, &request).0, status, "{rules} {request:?}");
    }
}
