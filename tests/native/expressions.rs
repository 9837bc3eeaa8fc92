//! `authorize.cel`: expressions over claims and request.

use jwt_gate::config::Config;
use jwt_gate::limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NODES};
use proptest::prelude::*;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::properties::cases;
use crate::world::{local, merged, Request, World};

fn config(cel: &str, more: Value) -> Value {
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "authorize": {"cel": cel}});
    json!({"providers": {"main": local(&[&Key::ed25519(1)], more)}, "rules": [rule]})
}

fn asks(cel: &str) -> World {
    World::new(&config(cel, json!({})), 1)
}

fn token(claims: &Value) -> String {
    let token = Token::new(&Key::ed25519(1));
    let claims = claims.as_object().unwrap().iter();
    claims.fold(token, |token, (name, value)| token.claim(name, value.clone())).mint()
}

fn is_true(cel: &str, claims: &Value) -> bool {
    let code = asks(cel).ask(0, &Request::get("/").bearer(&token(claims))).code();
    assert!(["allowed", "claim_insufficient"].contains(&code), "{code}");
    code == "allowed"
}

#[test]
fn an_expression_holds_where_it_is_true() {
    let claims = json!({
        "sub": "ada",
        "roles": ["user", "admin"],
        "level": 3,
        "ratio": 0.5,
        "large": 18_446_744_073_709_551_615_u64,
        "verified": true,
        "nothing": null,
        "tenant": {"id": "acme", "flags": {"beta": true}},
        "grants": [{"on": "orders", "may": ["read", "write"]}, {"on": "stock", "may": ["read"]}],
        "https://example.com/team": "blue",
    });
    for (cel, holds) in [
        ("true", true),
        ("false", false),
        (r#"claims.sub == "ada""#, true),
        (r#"claims.sub != "ada""#, false),
        (r#"claims["https://example.com/team"] == "blue""#, true),
        (r#"claims.roles.exists(r, r == "admin")"#, true),
        (r#"claims.roles.all(r, r == "admin")"#, false),
        (r#"claims.roles.exists_one(r, r.startsWith("a"))"#, true),
        (r#""admin" in claims.roles"#, true),
        (r#""root" in claims.roles"#, false),
        (r#"claims.roles.filter(r, r != "user") == ["admin"]"#, true),
        (r#"claims.roles.map(r, r + "!") == ["user!", "admin!"]"#, true),
        ("claims.level >= 3 && claims.level < 4", true),
        ("claims.level + 1 == 4 && claims.level * 2 % 4 == 2 && -claims.level == -3", true),
        ("claims.ratio < 1.0", true),
        ("claims.large > 9223372036854775807", true),
        ("claims.verified", true),
        ("!claims.verified", false),
        ("claims.nothing == null", true),
        (r#"claims.tenant.id == "acme" && claims.tenant.flags.beta"#, true),
        ("has(claims.tenant.id) && !has(claims.tenant.name) && !has(claims.absent)", true),
        (r#""sub" in claims && !("absent" in claims)"#, true),
        (r#"claims.grants.exists(g, g.on == "orders" && g.may.exists(m, m == "write"))"#, true),
        (r#"claims.grants.exists(g, g.on == "stock" && g.may.exists(m, m == "write"))"#, false),
        (r#"size(claims.roles) == 2 && claims.sub.size() == 3"#, true),
        (r#"claims.sub.contains("d") && claims.sub.endsWith("a")"#, true),
        (r#"string(claims.level) == "3" && int("3") == claims.level && double("0.5") == claims.ratio"#, true),
        (r#"claims.level == 3 ? claims.sub == "ada" : false"#, true),
        (r#"{"ada": true}[claims.sub]"#, true),
        ("claims.exists(name, name == \"sub\")", true),
        // CEL's own: what is true or false already does not need the other side.
        (r#"claims.absent == "x" || claims.sub == "ada""#, true),
        (r#"claims.absent == "x" && claims.sub == "ada""#, false),
        // Whatever is no boolean, or fails, is no.
        ("claims.sub", false),
        ("claims.level", false),
        ("claims.nothing", false),
        ("claims.absent", false),
        ("!claims.absent", false),
        (r#"claims.absent != "x""#, false),
        ("!(claims.level == 4 || claims.absent)", false),
        ("claims.sub > 1", false),
        ("claims.sub + 1 == 2", false),
        ("claims.level.size() == 1", false),
        ("claims.level / 0 == 1 || claims.level % 0 == 1", false),
        ("claims.large + 1u > 0u", false),
        ("9223372036854775807 + claims.level > 0", false),
        ("claims.roles[2] == \"x\" || claims.roles[-1] == \"x\"", false),
        (r#"int(claims.sub) == 1"#, false),
        ("claims.sub.exists(c, true)", false),
    ] {
        assert_eq!(is_true(cel, &claims), holds, "{cel}");
    }
}

#[test]
fn an_expression_speaks_of_the_request_too() {
    for (cel, holds) in [
        (r#"request.method == "PUT""#, true),
        (r#"request.path == "/users/a b""#, true),
        (r#"request.path.startsWith("/users/")"#, true),
        (r#"request.path == "/users/" + claims.name"#, true),
        (r#"request.host == "api.example""#, true),
        (r#"request.headers["x-tenant"] == "acme""#, true),
        (r#""x-tenant" in request.headers && !("x-other" in request.headers)"#, true),
        (r#"has(request.headers.accept) && !has(request.headers.origin)"#, true),
        (r#"request.headers["x-other"] == "acme""#, false),
        (r#"request.query["page"] == "2" && request.query.page == "2""#, true),
        (r#"has(request.query.flag) && request.query.flag == """#, true),
        (r#""x" in request.query"#, false),
        (r#"claims.roles.exists(r, r == "admin") || request.method == "GET""#, false),
    ] {
        let request =
            Request::new("PUT", "/users/a%20b?page=2&flag").header("x-tenant", "acme").header("accept", "*/*");
        let request = request.bearer(&token(&json!({"name": "a b", "roles": []})));
        let code = if holds { "allowed" } else { "claim_insufficient" };
        assert_eq!(asks(cel).ask(0, &request).code(), code, "{cel}");
    }
}

#[test]
fn an_expression_is_asked_beside_scopes_and_claims_and_of_a_caller_alone() {
    let rule = |path: &str, requires: Value| {
        let authorize = json!({
            "scopes": {"any_of": ["read"]},
            "claims": [{"claim": "tier", "equals": "gold"}],
            "cel": "claims.level > 2",
        });
        json!({"match": {"prefix": path}, "requires": requires, "authorize": authorize})
    };
    let rules = json!([rule("/maybe", json!({"allow_missing": {}})), rule("/", json!({"provider_name": "main"})),]);
    let mut world =
        World::new(&json!({"providers": {"main": local(&[&Key::ed25519(1)], json!({}))}, "rules": rules}), 1);
    for (claims, code) in [
        (json!({"scope": "read", "tier": "gold", "level": 3}), "allowed"),
        (json!({"scope": "read", "tier": "gold", "level": 2}), "claim_insufficient"),
        (json!({"scope": "read", "tier": "gold"}), "claim_insufficient"),
        (json!({"scope": "read", "level": 3}), "claim_insufficient"),
        (json!({"tier": "gold", "level": 3}), "scope_insufficient"),
    ] {
        assert_eq!(world.ask(0, &Request::get("/").bearer(&token(&claims))).code(), code, "{claims}");
    }
    assert_eq!(world.ask(0, &Request::get("/maybe")).code(), "token_missing");
}

#[test]
fn what_cannot_be_an_expression_is_refused_with_its_place() {
    let more =
        json!({"claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}], "from_params": ["token"]});
    let error = |cel: &str| match Config::parse(config(cel, more.clone()).to_string().as_bytes()) {
        Ok(_) => panic!("accepted: {cel}"),
        Err(error) => error.to_string(),
    };
    let of_request = r#"of "request" there are "method", "path", "host", and by their names "headers" and "query""#;
    let names = r#"headers and parameters are asked for by names that stand there: request.headers["x-tenant"]"#;
    let range = "what is gone through is a claim, a list of literals, or a filter of one of them";
    let mut wrong = Vec::new();
    for (cel, problem) in [
        ("", "must not be empty"),
        ("claims.", "line 1, column 8: "),
        ("claims.sub ==\n  == 1", "line 2, column 3: "),
        ("claims.size == 1 || siz(claims.a)", r#"line 1, column 21: there is no function "siz" here"#),
        ("true\n&& user == 1", r#"line 2, column 4: unknown variable "user"; there are "claims" and "request""#),
        ("claims.sub.matches('a')", r#"line 1, column 12: there is no function "matches" here"#),
        ("timestamp('x') == 1", r#"line 1, column 1: there is no function "timestamp" here"#),
        ("size()", r#"line 1, column 1: "size" is called in another way"#),
        ("contains(claims.sub, 'a')", r#"line 1, column 1: "contains" is called in another way"#),
        ("request == 1", &*format!("line 1, column 1: {of_request}")),
        ("request.body == 1", &*format!("line 1, column 1: {of_request}")),
        ("request.headers.size() == 1", &*format!("line 1, column 1: {of_request}")),
        ("request.headers.exists(h, true)", &*format!("line 1, column 1: {of_request}")),
        ("request.headers[claims.sub] == 'a'", &*format!("line 1, column 1: {names}")),
        ("claims.sub in request.query", &*format!("line 1, column 15: {names}")),
        ("request.headers['X-A'] == 'a'", r#"line 1, column 18: headers are in lower case, "X-A" is not"#),
        ("request.headers[':path'] == 'a'", r#"line 1, column 18: ":path" is not the name of a header"#),
        (
            "request.headers['x-user-id'] == 'a'",
            r#"line 1, column 18: "x-user-id" is a header that the gate sets, or finds tokens in"#,
        ),
        (
            "true &&\n request.headers.x_user_id == 'a'",
            r#"line 2, column 18: "x_user_id" is a header that the gate sets, or finds tokens in"#,
        ),
        (
            "claims.token_use == 'a' && request.query.token == 'a'",
            r#"line 1, column 42: "token" is a parameter that the gate finds tokens in"#,
        ),
        ("claims.a.all(x, x.all(y, y.all(z, z)))", "line 1, column 32: more than 2 comprehensions within each other"),
        ("claims.a.all(claims, true)", r#"line 1, column 1: "claims" is no name for a variable"#),
        ("(claims.a + claims.b).all(x, x)", &*format!("line 1, column 11: {range}")),
        ("[claims.a].all(x, x)", &*format!("line 1, column 1: {range}")),
        ("claims.a.map(x, [x]).all(y, y)", &*format!("line 1, column 14: {range}")),
        ("Message{a: 1} == 1", "line 1, column 1: there are no messages here"),
    ] {
        let expected = format!("rules[0].authorize.cel: {problem}");
        let error = error(cel);
        if !error.starts_with(&expected) || error.contains('\n') {
            wrong.push(format!("{cel}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let long = format!("{} == 1", "1".repeat(MAX_EXPRESSION_BYTES));
    assert_eq!(error(&long), format!("rules[0].authorize.cel: is longer than {MAX_EXPRESSION_BYTES} bytes"));
    let deep = format!("rules[0].authorize.cel: is deeper than {MAX_EXPRESSION_DEPTH} levels");
    for cel in [
        format!("{}true{}", "(!".repeat(200), ")".repeat(200)),
        format!("1{} == 1", " + 1".repeat(200)),
        format!("claims{}", ".a".repeat(200)),
        format!("claims{}", "[0]".repeat(200)),
        format!("{}1{} == 1", "[".repeat(200), "]".repeat(200)),
        format!("{}true", "true ? true : ".repeat(200)),
        format!("claims.a{}", ".size()".repeat(200)),
    ] {
        assert_eq!(error(&cel), deep, "{cel}");
    }
    let many = format!("[{}] == []", "1,".repeat(MAX_EXPRESSION_NODES));
    assert_eq!(error(&many), format!("rules[0].authorize.cel: has more than {MAX_EXPRESSION_NODES} parts"));
    // Whatever it is, it is an answer.
    for text in
        ["!", "-", "- ", "a.", "a[", "{", "[", "(", "'", "a?", "a?b:", "a&&", "has(", "a.all(x,", "\\", "\"\"\"", "r'"]
    {
        let _ =
            Config::parse(config(&text.repeat(MAX_EXPRESSION_BYTES / text.len()), json!({})).to_string().as_bytes());
    }
}

#[test]
fn what_the_request_says_in_two_ways_is_asked_for_in_vain() {
    for (cel, request) in [
        (r#"request.path != "/admin""#, Request::get("/x/../admin")),
        (r#"!request.path.startsWith("/admin")"#, Request::get("//admin")),
        (r#"request.path == "/users/42" || true"#, Request::get("/users/42;x")),
        (r#"request.headers["x-a"] != "1" || true"#, Request::get("/").header("x-a", "2").header("x-a", "1")),
        (r#"!has(request.headers.x_a) || true"#, Request::get("/").header("x-a", "1")),
        (r#"!("x-a" in request.headers)"#, Request::get("/").header("x_a", "1")),
        (r#"request.query.a != "1""#, Request::get("/?a=2&a=1")),
        (r#"!has(request.query.a)"#, Request::get("/?A=1")),
        (r#"!has(request.query.a)"#, Request::get("/?b=1;a=1")),
        (r#"request.host != "a.example""#, Request::get("/").header("host", "a.example")),
        (r#"request.method != "GET""#, Request::get("/").header(":method", "PUT")),
    ] {
        let mut world = World::new(&merged(config(cel, json!({})), json!({"ambiguous_paths": "allow"})), 1);
        let request = request.bearer(&token(&json!({})));
        assert_eq!(world.ask(0, &request).code(), "claim_insufficient", "{cel}");
    }
}

#[test]
fn an_expression_that_could_take_long_is_not_evaluated() {
    let numbers = |count: usize| json!({"a": (0..count).map(|number| number % 10).collect::<Vec<_>>(), "b": 7});
    let mut wrong = Vec::new();
    for (cel, few, many) in [
        ("claims.a.all(x, x >= 0)", 1000, 4000),
        ("claims.a.all(x, claims.a.all(y, x + y >= 0))", 12, 200),
        ("claims.a.all(x, x in claims.a)", 300, 1500),
        ("claims.a.map(x, claims.a).size() > 0", 200, 1500),
        ("claims.a.all(x, (claims.a + claims.a).size() > 0)", 150, 1500),
        ("claims.a.filter(x, x > 3).all(y, y > 3)", 300, 4000),
    ] {
        if !is_true(cel, &numbers(few)) || is_true(cel, &numbers(many)) {
            wrong.push(cel);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // What the README says of its expression.
    let readme = "claims.roles.exists(r, r == 'admin') || (request.method == 'GET' && claims.level >= 2)";
    let roles =
        |count: usize| json!({"roles": vec!["clerk"; count - 1].into_iter().chain(["admin"]).collect::<Vec<_>>()});
    assert!(is_true(readme, &roles(1000)));
    // A long text counts like many values.
    let text = |length: usize| json!({"a": [1, 2, 3], "t": "x".repeat(length)});
    let cel = "claims.a.all(x, claims.a.all(y, !(string(y) in claims.a) && !claims.t.contains(string(x))))";
    assert!(is_true(cel, &text(10)), "a short text");
    assert!(!is_true(cel, &text(9000)), "a long text");
    // What is not asked for costs nothing.
    let beside = merged(numbers(10), json!({"other": "x".repeat(9000)}));
    assert!(is_true("claims.a.all(x, claims.a.all(y, x + y >= 0))", &beside));
}

#[test]
fn the_deepest_expression_is_evaluated() {
    let levels = usize::from(MAX_EXPRESSION_DEPTH) / 2 - 2;
    let cel = format!("{}claims.a{}", "!(!(".repeat(levels / 2), "))".repeat(levels / 2));
    assert!(is_true(&cel, &json!({"a": true})), "{cel}");
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert!(is_true("claims.a == claims.a && claims.a.all(x, x == x) && claims.size() > 1", &json!({"a": nested})));
}

/// JSON of every type, with the numbers at the ends of what they can be.
fn any_claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 2, i64::MAX]).prop_map(Value::from),
        prop::sample::select(vec![0, 1, u64::MAX, u64::MAX - 1]).prop_map(Value::from),
        prop::sample::select(vec![0.0, -0.0, 1.5, -1.5, 1e300, -1e300, 9.3e18, 1e-300]).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "ä\u{0}", "9223372036854775808", "-1", "1e999", "nan", "\u{10ffff}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn no_claim_makes_an_expression_panic_or_hold_by_failing(a in any_claim(), b in any_claim()) {
        let claims = json!({"a": a, "b": b});
        for body in [
            "claims.a + claims.b", "claims.a - claims.b", "claims.a * claims.b", "claims.a / claims.b", "claims.a % claims.b",
            "-claims.a", "claims.a < claims.b", "claims.a >= claims.b", "claims.a in claims.b", "claims.a[claims.b]",
            "claims.a.b", "has(claims.a.b)", "size(claims.a)", "claims.a.size()", "claims.a.contains(claims.b)",
            "claims.a.startsWith(claims.b)", "claims.a.endsWith(claims.b)", "string(claims.a)", "int(claims.a)", "uint(claims.a)",
            "double(claims.a)", "claims.a ? claims.b : claims.a", "claims.a.map(x, x + claims.b)", "claims.a.filter(x, x)",
            "claims.a.exists(x, x == claims.b)", "claims.a.all(x, claims.b.exists(y, x < y))", "claims.a.exists_one(x, x)",
            "{claims.a: claims.b}", "[claims.a, claims.b][claims.a]",
        ] {
            // What fails is neither this nor its opposite; what does not fail is one of them.
            let (same, other) = (format!("({body}) == ({body})"), format!("!(({body}) == ({body}))"));
            let (same, other) = (is_true(&same, &claims), is_true(&other, &claims));
            prop_assert!(!(same && other), "{} of {}", body, claims);
        }
    }
}
