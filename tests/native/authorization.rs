//! `authorize`: what a token must say beyond being valid.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, Request, World};

fn asks(authorize: Value) -> World {
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": authorize});
    let provider = local(&[&Key::ed25519(1)], json!({}));
    World::new(&json!({"providers": {"main": provider}, "rules": [rule]}), 1)
}

fn token(claims: &Value) -> Request {
    let token = claims
        .as_object()
        .unwrap()
        .iter()
        .fold(Token::new(&Key::ed25519(1)), |token, (name, value)| token.claim(name, value.clone()));
    Request::get("/").bearer(&token.mint())
}

#[test]
fn scopes_are_words_of_scope_or_else_of_scp() {
    let (any, all) = (json!({"any_of": ["read", "write"]}), json!({"all_of": ["read", "write"]}));
    let (mut any, mut all) = (asks(json!({ "scopes": any })), asks(json!({ "scopes": all })));
    for (claims, has_any, has_all) in [
        (json!({}), false, false),
        (json!({"scope": ""}), false, false),
        (json!({"scope": "read"}), true, false),
        (json!({"scope": "write read"}), true, true),
        (json!({"scope": "other read  write"}), true, true),
        (json!({"scope": "reader writer"}), false, false),
        (json!({"scope": "READ WRITE"}), false, false),
        (json!({"scope": "read,write"}), false, false),
        (json!({"scope": "read\twrite"}), false, false),
        (json!({"scope": 1}), false, false),
        (json!({"scope": ["read", "write"]}), false, false),
        (json!({"scope": ["read", "write"], "scp": "read write"}), false, false),
        (json!({"scope": {"read": true}}), false, false),
        (json!({"scp": "read write"}), true, true),
        (json!({"scp": ["read", "write"]}), true, true),
        (json!({"scp": ["read write"]}), false, false),
        (json!({"scp": ["read", 1]}), true, false),
        (json!({"scp": [["read"]]}), false, false),
        (json!({"scope": "other", "scp": "read write"}), false, false),
        (json!({"scope": "read write", "scp": []}), true, true),
        (json!({"scopes": "read write"}), false, false),
    ] {
        let expected = |has: bool| if has { "allowed" } else { "scope_insufficient" };
        assert_eq!(any.ask(0, &token(&claims)).code(), expected(has_any), "any_of, {claims}");
        assert_eq!(all.ask(0, &token(&claims)).code(), expected(has_all), "all_of, {claims}");
    }
}

#[test]
fn a_denial_names_the_scopes_of_the_rule_and_nothing_of_the_token() {
    let mut world = asks(json!({"scopes": {"all_of": ["read", "write"]}}));
    let verdict = world.ask(0, &token(&json!({"scope": "read secret"})));
    let challenge = concat!(
        r#"Bearer error="insufficient_scope", "#,
        r#"error_description="The token lacks a scope that this route requires.", scope="read write""#
    );
    assert_eq!(verdict.denial().headers(true), [("www-authenticate", challenge.into())]);
}

#[test]
fn a_condition_on_a_claim_holds_as_its_table_says() {
    /// What a condition makes of a claim; `not` turns the first two around.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Is {
        Yes,
        No,
        OfAnotherType,
    }
    use Is::{No, OfAnotherType, Yes};

    // The columns: a claim that is absent, null, "gold", "goldfish", 7, true, [], ["gold", 7], [["gold"]] and {"gold": 1}.
    let claims = [
        json!({}),
        json!({"c": null}),
        json!({"c": "gold"}),
        json!({"c": "goldfish"}),
        json!({"c": 7}),
        json!({"c": true}),
        json!({"c": []}),
        json!({"c": ["gold", 7]}),
        json!({"c": [["gold"]]}),
        json!({"c": {"gold": 1}}),
    ];
    let other = OfAnotherType;
    for (test, expected) in [
        (json!({"equals": "gold"}), [No, other, Yes, No, other, other, other, other, other, other]),
        (json!({"equals": 7}), [No, other, other, other, Yes, other, other, other, other, other]),
        (json!({"equals": 8}), [No, other, other, other, No, other, other, other, other, other]),
        (json!({"equals": true}), [No, other, other, other, other, Yes, other, other, other, other]),
        (json!({"equals": false}), [No, other, other, other, other, No, other, other, other, other]),
        (json!({"any_of": ["gold", "silver"]}), [No, other, Yes, No, other, other, No, Yes, No, other]),
        (json!({"any_of": [7, "x"]}), [No, other, No, No, Yes, other, No, Yes, No, other]),
        (json!({"any_of": [true]}), [No, other, other, other, other, Yes, No, No, No, other]),
        (json!({"contains": "gold"}), [No, other, other, other, other, other, No, Yes, No, other]),
        (json!({"contains": 7}), [No, other, other, other, other, other, No, Yes, No, other]),
        (json!({"prefix": "gold"}), [No, other, Yes, Yes, other, other, other, other, other, other]),
        (json!({"prefix": "goldf"}), [No, other, No, Yes, other, other, other, other, other, other]),
        (json!({"present": true}), [No, No, Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
        (json!({"present": false}), [Yes, Yes, No, No, No, No, No, No, No, No]),
    ] {
        for not in [false, true] {
            let mut condition = test.clone();
            condition["claim"] = "c".into();
            condition["not"] = not.into();
            let mut world = asks(json!({ "claims": [condition] }));
            for (claims, expected) in claims.iter().zip(expected) {
                let holds = (expected == Yes && !not) || (expected == No && not);
                let code = if holds { "allowed" } else { "claim_insufficient" };
                assert_eq!(world.ask(0, &token(claims)).code(), code, "{test}, not: {not}, {claims} is {expected:?}");
            }
        }
    }
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    for (wanted, claim, same) in [
        ("1", "1.0", true),
        ("1.0", "1", true),
        ("1", "1e0", true),
        ("-1", "-1.0", true),
        ("0", "-0.0", true),
        ("0.1", "0.10", true),
        ("9007199254740993", "9007199254740993", true),
        ("9007199254740993", "9007199254740992", false),
        ("18446744073709551615", "18446744073709551615", true),
        ("1", "2", false),
        ("1", "1.5", false),
        ("1", "-1", false),
    ] {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut world = asks(json!({"claims": [{"claim": "c", "equals": json(wanted)}]}));
        let code = if same { "allowed" } else { "claim_insufficient" };
        assert_eq!(world.ask(0, &token(&json!({"c": json(claim)}))).code(), code, "{wanted} and {claim}");
    }
}

#[test]
fn a_claim_is_found_by_dots_or_by_its_names() {
    let claims = json!({
        "realm_access": {"roles": ["admin"]},
        "https://example.com/roles": ["admin"],
        "a.b": "admin",
        "list": [{"role": "admin"}],
        "": "admin",
    });
    for (condition, found) in [
        (json!({"claim": "realm_access.roles"}), true),
        (json!({"claim": "realm_access.roles.admin"}), false),
        (json!({"claim": "realm_access"}), false),
        (json!({"claim_path": ["realm_access", "roles"]}), true),
        (json!({"claim_path": ["realm_access.roles"]}), false),
        (json!({"claim_path": ["https://example.com/roles"]}), true),
        (json!({"claim": "https://example.com/roles"}), false),
        (json!({"claim_path": ["a.b"]}), true),
        (json!({"claim": "a.b"}), false),
        (json!({"claim": "list.role"}), false),
        (json!({"claim": "list.0.role"}), false),
        (json!({"claim": "Realm_access.roles"}), false),
    ] {
        let mut condition = condition;
        condition["any_of"] = json!(["admin"]);
        let mut world = asks(json!({"claims": [condition.clone()]}));
        let code = if found { "allowed" } else { "claim_insufficient" };
        assert_eq!(world.ask(0, &token(&claims)).code(), code, "{condition}");
    }
}

#[test]
fn all_conditions_must_hold_and_scopes_are_asked_first() {
    let mut world = asks(json!({
        "scopes": {"all_of": ["read"]},
        "claims": [{"claim": "tier", "equals": "gold"}, {"claim": "email_verified", "equals": true}],
    }));
    for (claims, code) in [
        (json!({"scope": "read", "tier": "gold", "email_verified": true}), "allowed"),
        (json!({"scope": "read", "tier": "gold"}), "claim_insufficient"),
        (json!({"scope": "read", "email_verified": true}), "claim_insufficient"),
        (json!({"tier": "gold", "email_verified": true}), "scope_insufficient"),
        (json!({}), "scope_insufficient"),
        (json!({"scope": "read", "tier": "gold", "email_verified": "true"}), "claim_insufficient"),
    ] {
        assert_eq!(world.ask(0, &token(&claims)).code(), code, "{claims}");
    }
}

#[test]
fn what_a_service_learns_of_the_caller_comes_from_the_token_that_has_the_rights() {
    let provider = |seed: u8, header: &str| {
        let outputs = json!([
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-tier", "claim_name": "tier"},
            {"header_name": format!("x-of{header}"), "claim_name": "sub"},
        ]);
        let more = json!({
            "from_headers": [{"name": header}], "claim_to_headers": outputs, "payload_in_metadata": "payload",
        });
        local(&[&Key::ed25519(seed)], more)
    };
    let mut world = World::new(
        &json!({
            "providers": {"a": provider(1, "-a"), "b": provider(2, "-b")},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}},
                "authorize": {"scopes": {"all_of": ["read"]}},
            }],
            "access_log": ["provider", "sub"],
        }),
        1,
    );
    let token = |seed: u8, claims: Value| {
        let claims = claims.as_object().unwrap().clone().into_iter();
        claims.fold(Token::new(&Key::ed25519(seed)), |token, (name, value)| token.claim(&name, value)).mint()
    };
    let reader = |seed: u8| token(seed, json!({"sub": "reader", "scope": "read"}));
    let other = |seed: u8| token(seed, json!({"sub": "other", "tier": "gold"}));
    for (a, b, provider) in [(reader(1), other(2), "a"), (other(1), reader(2), "b")] {
        let verdict = world.ask(0, &Request::get("/").header("-a", &a).header("-b", &b));
        assert_eq!(verdict.code(), "allowed");
        let edits = verdict.edits();
        let set = |name: &str| {
            let values: Vec<_> =
                edits.set.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value).collect();
            values
        };
        assert_eq!(set("x-user"), [b"reader"], "{provider}");
        assert_eq!(set("x-tier"), [b""; 0], "{provider}: of the other token");
        let names = if provider == "a" { ["reader", "other"] } else { ["other", "reader"] };
        assert_eq!([set("x-of-a"), set("x-of-b")], names.map(|name| vec![name.as_bytes()]), "{provider}");
        assert!(matches!(edits.state.as_slice(), [(_, payload)] if payload.contains("reader")), "{:?}", edits.state);
        let published = edits.published.iter().flat_map(|published| published.state(&edits.caller));
        let published: Vec<_> = published.map(|(_, value)| value).collect();
        assert_eq!(published, [provider, "reader"]);
    }
}

#[test]
fn authorization_is_for_callers_and_one_token_must_have_everything() {
    let provider = |seed: u8, header: &str| local(&[&Key::ed25519(seed)], json!({"from_headers": [{"name": header}]}));
    let rule = |path: &str, requires: Value| {
        let authorize = json!({"scopes": {"all_of": ["read"]}, "claims": [{"claim": "tier", "equals": "gold"}]});
        json!({"match": {"prefix": path}, "requires": requires, "authorize": authorize})
    };
    let both = json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    let mut world = World::new(
        &json!({
            "providers": {"a": provider(1, "x-a"), "b": provider(2, "x-b")},
            "rules": [
                rule("/both", both),
                rule("/maybe", json!({"allow_missing": {}})),
                rule("/anything", json!({"allow_missing_or_failed": {}})),
            ],
        }),
        1,
    );
    let token = |seed: u8, claims: &[(&str, &str)]| {
        claims.iter().fold(Token::new(&Key::ed25519(seed)), |token, (name, value)| token.claim(name, *value)).mint()
    };
    let (scope, tier) = (("scope", "read"), ("tier", "gold"));
    for (request, code, what) in [
        (
            Request::get("/both").header("x-a", token(1, &[scope])).header("x-b", token(2, &[tier])),
            "claim_insufficient",
            "each token has a half",
        ),
        (
            Request::get("/both").header("x-a", token(1, &[])).header("x-b", token(2, &[scope, tier])),
            "allowed",
            "one token has everything",
        ),
        (Request::get("/maybe"), "token_missing", "nobody has no scopes"),
        (
            Request::get("/anything").header("x-a", "bad"),
            "token_missing",
            "one who showed nothing good has none either",
        ),
        (Request::get("/maybe").header("x-a", token(1, &[scope, tier])), "allowed", "a caller has"),
    ] {
        assert_eq!(world.ask(0, &request).code(), code, "{what}");
    }
}
