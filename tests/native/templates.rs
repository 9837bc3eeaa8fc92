//! Conditions on claims that speak of the request: `equals: "{path.1}"` and its like.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, Request, World};

fn asks(condition: Value) -> World {
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"claims": [condition]},
    });
    World::new(&json!({"providers": {"main": local(&[&Key::ed25519(1)], json!({}))}, "rules": [rule]}), 1)
}

fn token(claims: &[(&str, Value)]) -> String {
    let token = Token::new(&Key::ed25519(1));
    claims.iter().fold(token, |token, (name, value)| token.claim(name, value.clone())).mint()
}

fn code(holds: bool) -> &'static str {
    if holds {
        "allowed"
    } else {
        "claim_insufficient"
    }
}

#[test]
fn a_claim_is_compared_with_what_the_request_says() {
    let request = || Request::new("PUT", "/users/42?tenant=acme").header("x-tenant", "acme");
    for (condition, claim, holds) in [
        (json!({"equals": "{path.1}"}), json!("42"), true),
        (json!({"equals": "{path.1}"}), json!("43"), false),
        (json!({"equals": "{path.0}:{path.1}"}), json!("users:42"), true),
        (json!({"equals": "{path}"}), json!("/users/42"), true),
        (json!({"equals": "{method}"}), json!("PUT"), true),
        (json!({"equals": "{host}"}), json!("api.example"), true),
        (json!({"equals": "{header.x-tenant}"}), json!("acme"), true),
        (json!({"equals": "{query.tenant}"}), json!("acme"), true),
        (json!({"equals": "{query.tenant}"}), json!("Acme"), false),
        (json!({"equals": "{claims.other}"}), json!("x"), true),
        (json!({"equals": "{claims.nested.name}"}), json!("7"), true),
        (json!({"equals": "{{path.1}}"}), json!("{path.1}"), true),
        (json!({"any_of": ["admin", "owner:{path.1}"]}), json!("owner:42"), true),
        (json!({"any_of": ["admin", "owner:{path.1}"]}), json!("admin"), true),
        (json!({"any_of": ["admin", "owner:{path.1}"]}), json!(["x", "owner:42"]), true),
        (json!({"any_of": ["admin", "owner:{path.1}"]}), json!(["owner:43"]), false),
        (json!({"contains": "owner:{path.1}"}), json!(["x", "owner:42"]), true),
        (json!({"contains": "owner:{path.1}"}), json!("owner:42"), false),
        (json!({"prefix": "{header.x-tenant}:"}), json!("acme:7"), true),
        (json!({"prefix": "{header.x-tenant}:"}), json!("acmes:7"), false),
        (json!({"equals": "{path.1}", "not": true}), json!("43"), true),
        (json!({"equals": "{path.1}", "not": true}), json!("42"), false),
    ] {
        let mut named = condition.clone();
        named["claim"] = "c".into();
        let token = token(&[("c", claim.clone()), ("other", json!("x")), ("nested", json!({"name": 7}))]);
        assert_eq!(asks(named).ask(0, &request().bearer(&token)).code(), code(holds), "{condition} of {claim}");
    }
}

#[test]
fn a_text_with_variables_is_compared_with_the_text_of_a_whole_number_or_a_boolean() {
    for (claim, holds, not) in [
        (json!(42), true, false),
        (json!(42.0), true, false),
        (json!(43), false, true),
        (json!(42.5), false, false),
        (json!(null), false, false),
        (json!([42]), false, false),
        (json!({"42": 42}), false, false),
        (json!(true), false, true),
    ] {
        let request = || Request::get("/users/42").bearer(&token(&[("c", claim.clone())]));
        let mut world = asks(json!({"claim": "c", "equals": "{path.1}"}));
        assert_eq!(world.ask(0, &request()).code(), code(holds), "{claim}");
        let mut world = asks(json!({"claim": "c", "equals": "{path.1}", "not": true}));
        assert_eq!(world.ask(0, &request()).code(), code(not), "not, {claim}");
    }
    let request = |path: &str| Request::get(path).bearer(&token(&[("c", json!(true)), ("n", json!([7]))]));
    assert_eq!(asks(json!({"claim": "c", "equals": "{path.0}"})).ask(0, &request("/true")).code(), "allowed");
    assert_eq!(asks(json!({"claim": "n", "contains": "{path.0}"})).ask(0, &request("/7")).code(), "allowed");
    // A text without variables stays one, and a number a number.
    assert_eq!(asks(json!({"claim": "c", "equals": "true"})).ask(0, &request("/")).code(), "claim_insufficient");
    assert_eq!(asks(json!({"claim": "n", "contains": "7"})).ask(0, &request("/")).code(), "claim_insufficient");
}

#[test]
fn a_variable_without_a_value_denies_whatever_the_condition_says() {
    for variable in
        ["{path.5}", "{query.x}", "{header.x}", "{claims.x}", "{claims.list}", "{claims.empty}", "{claims.half}"]
    {
        for condition in [
            json!({"claim": "sub", "equals": variable}),
            json!({"claim": "sub", "any_of": ["user-1", variable]}),
            json!({"claim": "empty", "equals": variable}),
            json!({"claim": "absent", "equals": variable}),
            json!({"claim": "list", "contains": variable}),
            json!({"claim": "sub", "prefix": variable}),
            json!({"claim": "sub", "prefix": format!("user{variable}")}),
        ] {
            for not in [false, true] {
                let mut condition = condition.clone();
                condition["not"] = not.into();
                let claims =
                    [("sub", json!("user-1")), ("list", json!(["a", ""])), ("empty", json!("")), ("half", json!(0.5))];
                let request = Request::get("/users/42").bearer(&token(&claims));
                assert_eq!(asks(condition.clone()).ask(0, &request).code(), "claim_insufficient", "{condition}");
            }
        }
    }
}

#[test]
fn each_token_is_compared_with_its_own_claims() {
    let provider = |seed: u8, header: &str| local(&[&Key::ed25519(seed)], json!({"from_headers": [{"name": header}]}));
    let mut world = World::new(
        &json!({
            "providers": {"a": provider(1, "x-a"), "b": provider(2, "x-b")},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}},
                "authorize": {"claims": [{"claim": "sub", "equals": "{claims.owner}"}]},
            }],
        }),
        1,
    );
    let token = |seed: u8, sub: &str, owner: &str| {
        Token::new(&Key::ed25519(seed)).claim("sub", sub).claim("owner", owner).mint()
    };
    let mut ask = |a: String, b: String| world.ask(0, &Request::get("/").header("x-a", a).header("x-b", b)).code();
    assert_eq!(ask(token(1, "ada", "bob"), token(2, "bob", "ada")), "claim_insufficient");
    assert_eq!(ask(token(1, "ada", "bob"), token(2, "ada", "ada")), "allowed");
}
