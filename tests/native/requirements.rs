//! `requires`: which tokens a rule asks for, and what a bad token beside a good one means.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, Request, Verdict, World};

/// Provider `a` looks in `x-a` and sets `x-a-user`; `b` looks in `x-b` and sets `x-b-user`. Their keys differ.
fn world(requires: Value) -> World {
    let provider = |key: &Key, name: &str| {
        local(
            &[key],
            json!({
                "issuer": format!("https://{name}.example"),
                "from_headers": [{"name": format!("x-{name}")}],
                "claim_to_headers": [{"header_name": format!("x-{name}-user"), "claim_name": "sub"}],
            }),
        )
    };
    let providers = json!({"a": provider(&Key::p256(1), "a"), "b": provider(&Key::ed25519(1), "b")});
    let rules = json!([{"match": {"prefix": "/"}, "requires": requires}]);
    World::new(&json!({ "providers": providers, "rules": rules }), 1)
}

fn token(provider: &str) -> Token {
    let key = if provider == "a" { Key::p256(1) } else { Key::ed25519(1) };
    Token::new(&key).claim("iss", format!("https://{provider}.example"))
}

/// What a client shows to one provider.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Nothing,
    Good,
    Expired,
    OfTheOther,
}
use Shown::{Expired, Good, Nothing, OfTheOther};

fn request(a: Shown, b: Shown) -> Request {
    let mut request = Request::get("/");
    for (own, other, shown) in [("a", "b", a), ("b", "a", b)] {
        let token = match shown {
            Nothing => continue,
            Good => token(own),
            Expired => token(own).expires_in(-3600),
            OfTheOther => token(other),
        };
        request = request.header(&format!("x-{own}"), token.mint());
    }
    request
}

/// `"allowed a b"` with the providers whose headers the service gets, or the code. What the `asked` looked at is taken out.
fn outcome(world: &mut World, request: &Request, asked: &[&str]) -> String {
    match world.ask(0, request) {
        Verdict::Allowed(edits) => {
            let fields = request.edited(&edits);
            let has = |name: &str| fields.iter().any(|(known, _)| known == name);
            assert!(!asked.iter().any(|name| has(&format!("x-{name}"))), "a token reached the service: {fields:?}");
            let known: Vec<&str> = ["a", "b"].into_iter().filter(|name| has(&format!("x-{name}-user"))).collect();
            format!("allowed {}", known.join(" ")).trim_end().to_owned()
        }
        verdict => verdict.code().to_owned(),
    }
}

#[test]
fn requirements_hold_as_their_truth_tables_say() {
    let leaf = |name: &str| json!({ "provider_name": name });
    let any = |list: Value| json!({"requires_any": {"requirements": list}});
    let all = |list: Value| json!({"requires_all": {"requirements": list}});
    let missing = || json!({"allow_missing": {}});
    let failed = || json!({"allow_missing_or_failed": {}});

    // The columns: nothing, a good token of `a`, of `b`, of both, an expired one of `a`, the same beside a good one of `b`,
    // a good one of `a` beside an expired one of `b`, and a token of `b` shown to `a`.
    let shown = [
        (Nothing, Nothing),
        (Good, Nothing),
        (Nothing, Good),
        (Good, Good),
        (Expired, Nothing),
        (Expired, Good),
        (Good, Expired),
        (OfTheOther, Nothing),
    ];
    let expired = "token_expired";
    let unknown = "key_unknown";
    for (what, requires, expected) in [
        (
            "a",
            leaf("a"),
            ["token_missing", "allowed a", "token_missing", "allowed a", expired, expired, "allowed a", unknown],
        ),
        (
            "a or b",
            any(json!([leaf("a"), leaf("b")])),
            ["token_missing", "allowed a", "allowed b", "allowed a", expired, expired, expired, unknown],
        ),
        (
            "b or a",
            any(json!([leaf("b"), leaf("a")])),
            ["token_missing", "allowed a", "allowed b", "allowed b", expired, expired, expired, unknown],
        ),
        (
            "a and b",
            all(json!([leaf("a"), leaf("b")])),
            ["token_missing", "token_missing", "token_missing", "allowed a b", expired, expired, expired, unknown],
        ),
        (
            "a, or nothing",
            any(json!([leaf("a"), missing()])),
            ["allowed", "allowed a", "allowed", "allowed a", expired, expired, "allowed a", unknown],
        ),
        (
            "nothing, or a",
            any(json!([missing(), leaf("a")])),
            ["allowed", "allowed a", "allowed", "allowed a", expired, expired, "allowed a", unknown],
        ),
        (
            "a, or nothing good",
            any(json!([leaf("a"), failed()])),
            ["allowed", "allowed a", "allowed", "allowed a", "allowed", "allowed", "allowed a", "allowed"],
        ),
        ("nothing", missing(), ["allowed", "allowed a", "allowed b", "allowed a", expired, expired, expired, unknown]),
        (
            "nothing good",
            failed(),
            ["allowed", "allowed a", "allowed b", "allowed a", "allowed", "allowed b", "allowed a", "allowed"],
        ),
        (
            "both, or nothing",
            any(json!([all(json!([leaf("a"), leaf("b")])), missing()])),
            ["allowed", "allowed", "allowed", "allowed a b", expired, expired, expired, unknown],
        ),
        (
            "a, and b or nothing",
            all(json!([leaf("a"), any(json!([leaf("b"), missing()]))])),
            ["token_missing", "allowed a", "token_missing", "allowed a b", expired, expired, expired, unknown],
        ),
        (
            "nothing, in the form of a list",
            any(json!([missing()])),
            ["allowed", "allowed a", "allowed b", "allowed a", expired, expired, expired, unknown],
        ),
    ] {
        let text = requires.to_string();
        let names_some = text.contains("provider_name");
        let asked: Vec<&str> =
            ["a", "b"].into_iter().filter(|name| !names_some || text.contains(&format!("{name:?}"))).collect();
        let mut world = world(requires);
        for ((a, b), expected) in shown.into_iter().zip(expected) {
            let found = outcome(&mut world, &request(a, b), &asked);
            assert_eq!(found, expected, "{what}: {a:?} to a, {b:?} to b");
        }
    }
}

#[test]
fn a_header_of_another_provider_is_removed_whoever_passes() {
    let mut world = world(json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"allow_missing": {}}]}}));
    for (what, base) in [("a caller", request(Good, Nothing)), ("nobody", Request::get("/"))] {
        let request = base.header("x-a-user", "mallory").header("X-B-User", "mallory").header("x_b_user", "mallory");
        let verdict = world.ask(0, &request);
        let fields = request.edited(verdict.edits());
        assert!(fields.iter().all(|(_, value)| value != "mallory"), "{what}: {fields:?}");
        let user = fields.iter().find(|(name, _)| name == "x-a-user").map(|(_, value)| value.as_str());
        assert_eq!(user, (what == "a caller").then_some("alice"));
    }
}

#[test]
fn audiences_of_a_requirement_take_the_place_of_the_providers() {
    let mut world =
        world(json!({"provider_and_audiences": {"provider_name": "a", "audiences": ["orders", "inventory"]}}));
    for (aud, code) in
        [(json!("orders"), "allowed"), (json!(["x", "inventory"]), "allowed"), (json!("api"), "audience_not_allowed")]
    {
        let request = Request::get("/").header("x-a", token("a").claim("aud", aud.clone()).mint());
        assert_eq!(world.ask(0, &request).code(), code, "{aud}");
    }
}

#[test]
fn one_token_may_be_good_for_one_provider_of_several_in_the_same_place() {
    let provider = |key: &Key, issuer: &str| local(&[key], json!({ "issuer": issuer }));
    let providers = json!({
        "a": provider(&Key::p256(1), "https://a.example"),
        "b": provider(&Key::p256(2), "https://b.example"),
    });
    let all = json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let config = json!({
        "providers": providers,
        "rules": [{"match": {"prefix": "/all"}, "requires": all}],
    });
    let mut world = World::new(&config, 1);
    for (key, issuer, path, code) in [
        (1, "https://a.example", "/", "allowed"),
        (2, "https://b.example", "/", "allowed"),
        (1, "https://b.example", "/", "issuer_not_allowed"),
        (2, "https://a.example", "/", "issuer_not_allowed"),
        (3, "https://a.example", "/", "signature_invalid"),
        (1, "https://a.example", "/all", "signature_invalid"),
    ] {
        let token = Token::new(&Key::p256(key)).claim("iss", issuer).mint();
        assert_eq!(world.ask(0, &Request::get(path).bearer(&token)).code(), code, "key {key}, {issuer}, {path}");
    }
}

#[test]
fn of_several_failures_the_one_that_came_furthest_is_told() {
    let mut world = world(json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}}));
    let request = Request::get("/").header("x-a", "garbage").header("x-b", token("b").expires_in(-3600).mint());
    assert_eq!(world.ask(0, &request).code(), "token_expired");
}
