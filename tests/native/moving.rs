//! From `jwt_authn` to the gate's own semantics: what Envoy does, what the gate does, and the field that turns this one thing back.
//! The README's table has a row for each, and no other; the differential test holds `semantics: jwt_authn` against a real Envoy.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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

fn secret() -> Key {
    Key::hmac(b"a secret that is long enough for HS256").named("s")
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
            "`clock_skew_seconds: 0`",
            closed(merged(provider(), json!({"clock_skew_seconds": 0}))),
            main(json!({"clock_skew_seconds": 60})),
            get(token().expires_in(30)),
        ),
        row(
            "`HS*`",
            closed(merged(
                provider(),
                json!({"local_jwks": {"inline_string": key_set([key().jwk(), secret().jwk()])}}),
            )),
            main(json!({"algorithms": ["ES256", "HS256"]})),
            get(Token::new(&secret())),
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

/// Differences that no field turns back: the row's name, what Envoy's semantics and the gate's have, a request, and the statuses.
fn kept() -> Vec<(&'static str, Value, Value, Request, [u16; 2])> {
    let row = |name, envoy, request| (name, envoy, json!({}), request, [200, 401]);
    let get = |token: &str| Request::get("/").bearer(token);
    let cookies = merged(provider(), json!({"from_cookies": ["t"]}));
    let params = merged(provider(), json!({"from_params": ["t"]}));
    let forged = Token::new(&Key::p256(2).named("k")).claim("aud", "other");
    vec![
        row(
            "a parameter or cookie that is repeated",
            closed(cookies),
            Request::get("/").header("cookie", format!("t={}; t=bad", token().mint())),
        ),
        row(
            "a parameter or cookie that is repeated",
            closed(params),
            Request::get(&format!("/?t={}&t=bad", token().mint())),
        ),
        (
            "two good tokens of one provider",
            closed(merged(provider(), json!({"from_params": ["t"]}))),
            json!({}),
            Request::get(&format!("/?t={}&t={}", token().mint(), token().claim("sub", "other").mint())),
            [200, 400],
        ),
        row("long tokens, many tokens", closed(provider()), get(&token().claim("x", "x".repeat(16 * 1024)).mint())),
        (
            "the order of the checks",
            closed(provider()),
            json!({"statuses": {"audience_not_allowed": 403}}),
            get(&forged.mint()),
            [403, 401],
        ),
        row("how a token may be written", closed(provider()), get(&format!("{}.", token().mint()))),
        row(
            "`crit`, `b64`, `use`, `key_ops`",
            closed(provider()),
            get(&token().header("crit", json!(["x"])).header("x", 1).mint()),
        ),
    ]
}

/// The README's other rows, and the test that holds each.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "a rule without `requires`",
        "config.rs",
        "a_configuration_that_cannot_be_is_refused_with_its_path_and_the_reason",
    ),
    ("`audiences`", "config.rs", "a_configuration_that_cannot_be_is_refused_with_its_path_and_the_reason"),
    (
        "keys while the issuer is down",
        "moving.rs",
        "keys_that_cannot_be_fetched_again_end_with_their_lifetime_where_max_stale_says_so",
    ),
    ("answers", "jwt_authn.rs", "a_denial_looks_as_envoys"),
    (
        "`extract_only_without_validation`",
        "config.rs",
        "a_configuration_that_cannot_be_is_refused_with_its_path_and_the_reason",
    ),
    ("fetches", "fetching.rs", "four_vms_fetch_once_at_the_start"),
    ("remembered tokens", "remembering.rs", "the_cache_can_be_switched_off_and_does_not_take_long_tokens"),
    ("client's own identity headers", "effects.rs", "nobody_sets_the_headers_of_the_gate"),
    ("authorization, revocation", "decisions.rs", "every_reason_is_reached_and_looks_as_its_table_says"),
];

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
    for Row { name, envoy, gate, back, request } in rows() {
        let gate = merged(envoy.clone(), gate);
        let back = merged(gate.clone(), back);
        let envoy = outcome(&merged(envoy, json!({"semantics": "jwt_authn"})), &request);
        assert_ne!(outcome(&gate, &request), envoy, "{name}: there is no difference");
        assert_eq!(outcome(&back, &request), envoy, "{name}: it is not turned back");
    }
}

#[test]
fn every_difference_without_a_field_is_there() {
    for (name, envoy, gate, request, statuses) in kept() {
        let gate = merged(envoy.clone(), gate);
        let envoy = merged(envoy, json!({"semantics": "jwt_authn"}));
        assert_eq!([outcome(&envoy, &request).0, outcome(&gate, &request).0], statuses, "{name}");
    }
}

#[test]
fn every_row_of_the_readme_has_its_test_and_every_test_its_row() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let table = readme.split("\n## What differs from Envoy's `jwt_authn`\n").nth(1).unwrap();
    let lines = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let shown: BTreeSet<&str> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert!(cells.len() == 5 && !cells.contains(&""), "a cell is empty: {line}");
            cells[0]
        })
        .collect();
    let here = rows().into_iter().map(|row| row.name).chain(kept().into_iter().map(|(name, ..)| name));
    let tested: BTreeSet<&str> = here.chain(ELSEWHERE.iter().map(|(name, ..)| *name)).collect();
    assert_eq!(shown, tested);
    for (name, file, test) in ELSEWHERE {
        let source = fs::read_to_string(project.join("tests/native").join(file)).unwrap();
        assert!(source.contains(&format!("#[test]\nfn {test}() {{")), "{name}: {file} has no {test}");
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
    let third = json!({"requires_any": {"requirements": [{"provider_name": "third"}, {"allow_missing": {}}]}});
    let deeper = json!({"requires_any": {"requirements": [{"provider_name": "second"}, third]}});
    let third = merged(provider(), json!({"from_headers": [{"name": "x-third"}]}));
    for (rules, request, status) in [
        (rule("requires_any", json!({"allow_missing": {}})), request().bearer("bad"), 401),
        (rule("requires_any", json!({"allow_missing": {}})), request(), 200),
        (rule("requires_any", optional.clone()), request().header("x-second", "bad"), 401),
        (rule("requires_any", optional.clone()), request().bearer("bad"), 401),
        (rule("requires_all", deeper), good().header("x-second", "bad"), 401),
        (rule("requires_all", optional), good().header("x-second", "bad"), 401),
        (rule("requires_all", json!({"provider_name": "second"})), good().header("x-second", "bad"), 401),
    ] {
        let config = merged(merged(either(), rules.clone()), ignoring.clone());
        let config = merged(config, json!({"providers": {"third": third}}));
        assert_eq!(outcome(&config, &request).0, status, "{rules} {request:?}");
    }
}
