//! Requests that a condition on a claim reads in one way and a service in another.

use jwt_gate::request::certain;
use proptest::prelude::*;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::properties::cases;
use crate::readers::readings;
use crate::world::{local, Request, World};

/// A gate whose routes are those of the user whom `variable` names.
fn owners(variable: &str, more: Value) -> World {
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"claims": [{"claim": "sub", "equals": variable}]},
    });
    let config = json!({"providers": {"main": local(&[&Key::p256(1)], json!({}))}, "rules": [rule]});
    World::new(&crate::world::merged(config, more), 1)
}

fn token(sub: &str) -> String {
    Token::new(&Key::p256(1)).claim("sub", sub).mint()
}

#[test]
fn a_path_that_may_be_another_users_is_nobodys() {
    for ambiguous_paths in ["deny", "allow"] {
        let mut world = owners("{path.1}", json!({ "ambiguous_paths": ambiguous_paths }));
        let mut ask = |path: &str, sub: &str| world.ask(0, &Request::get(path).bearer(&token(sub))).code();
        for path in ["/users/42", "/users/42/", "/users/42/orders?user=43", "/users/4%32", "/users/42/a%20b"] {
            assert_eq!(ask(path, "42"), "allowed", "{path}, {ambiguous_paths}");
            assert_eq!(ask(path, "43"), "claim_insufficient", "{path}, {ambiguous_paths}");
        }
        for path in [
            "//users/42",
            "/users//42",
            "/x//users/42",
            "//users/43/42",
            "/users;x/42",
            "/users/42;x",
            "/users/42;x=/43",
            "/users/43;/42",
            "/users/42/../43",
            "/users/42/./../43",
            "/users/42/%2e%2e/43",
            "/users/42/%252e%252e/43",
            "/users/42/..%2f43",
            "/users/42/..;/43",
            "/users/42\\..\\43",
            "/users/42%2f..%2f43",
            "/users/42%5c43",
            "/users/42%3fx",
            "/users/42%23",
            "/users/42%00",
            "/users/42%0d%0a",
            "/users/4%2532",
            "/users/43%2f42",
            "/x/../users/42",
            "/./users/42",
            "/users/%2e/42",
        ] {
            for sub in ["42", "43", "users", "", "..", ".", "42;x", "42;x=", "43;", "x", "42/43", "42?x", "4%32"] {
                // What is ahead of the segment is the same for every reader, or the segment is nobody's.
                let same = path == "/users;x/42" && sub == "42";
                let code = ask(path, sub);
                assert_eq!(code == "allowed", same, "{path} for {sub:?}, {ambiguous_paths}: {code}");
            }
        }
        for target in [&b"/users/42#"[..], b"/users/\xff", b"/users/42\0"] {
            let request = Request::get("/").target(target).bearer(&token("42"));
            assert_ne!(world.ask(0, &request).code(), "allowed", "{target:?}, {ambiguous_paths}");
        }
    }
}

/// A path out of what readers differ about.
fn any_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "/", "/", "/", "users", "42", "43", ".", "..", "%2e", "%2f", "%5c", "%25", "%3f", "%23", "%00", "%34", "\\",
        ";", "x",
    ]);
    prop::collection::vec(part, 1..9).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_reader_sees_another_segment_than_the_one_that_is_compared(path in any_path()) {
        let head = Request::get(&path).head();
        for number in 0..4 {
            let Some(segment) = certain::segment(&head, number) else { continue };
            for reading in readings(path.as_bytes()) {
                let read = reading.strip_prefix(b"/").and_then(|rest| rest.split(|&b| b == b'/').nth(number));
                let read: Option<Vec<u8>> = read.map(|read| percent_encoding::percent_decode(read).collect());
                prop_assert_eq!(read.as_deref(), Some(segment.as_bytes()), "{} of {}", number, String::from_utf8_lossy(&reading));
            }
        }
    }
}

#[test]
fn a_parameter_that_a_service_may_read_otherwise_is_nobodys() {
    let mut world = owners("{query.user}", json!({}));
    let mut ask = |query: &str| world.ask(0, &Request::get(&format!("/?{query}")).bearer(&token("42"))).code();
    for query in ["user=42", "user=%34%32", "%75ser=42", "a=43&user=42&b", "users=43&user=42"] {
        assert_eq!(ask(query), "allowed", "{query}");
    }
    for query in [
        "user=43",
        "user=42&user=43",
        "user=43&user=42",
        "user=42&%75ser=43",
        "user=42&%2575ser=43",
        "user=42&USER=43",
        "user=42&user[]=43",
        "user=42&user%5b0%5d=43",
        "user=42&+user=43",
        "user=42&%20user=43",
        "user=42;user=43",
        "a=b;user=43&user=42",
        "user=4%2532",
        "user=42%00",
        "user=42%0a",
        "user=+42",
        "User=42",
        "user[]=42",
        "user",
        "",
    ] {
        assert_eq!(ask(query), "claim_insufficient", "{query}");
    }
}

#[test]
fn a_header_that_a_service_may_read_otherwise_is_nobodys() {
    let mut world = owners("{header.x-user}", json!({}));
    for (headers, code) in [
        (&[("x-user", "42")][..], "allowed"),
        (&[("X-User", "42"), ("x-users", "43")], "allowed"),
        (&[("x-user", "43")], "claim_insufficient"),
        (&[("x-user", "42"), ("x-user", "43")], "claim_insufficient"),
        (&[("x-user", "42"), ("x-user", "42")], "claim_insufficient"),
        (&[("x-user", "42"), ("x_user", "43")], "claim_insufficient"),
        (&[("x_user", "42")], "claim_insufficient"),
        (&[("x-user", "42"), ("x.user", "43")], "claim_insufficient"),
        (&[("x-user", "42, 43")], "claim_insufficient"),
        (&[("x-user", "42\t")], "claim_insufficient"),
        (&[], "claim_insufficient"),
    ] {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(name, value));
        assert_eq!(world.ask(0, &request.bearer(&token("42"))).code(), code, "{headers:?}");
    }
    let joined = Request::get("/").header("x-user", "42, 43").bearer(&token("42, 43"));
    assert_eq!(world.ask(0, &joined).code(), "claim_insufficient");
}

#[test]
fn a_host_that_a_service_may_read_otherwise_is_nobodys() {
    let mut world = owners("{host}", json!({}));
    for (authority, code) in [
        ("api.example", "allowed"),
        ("API.EXAMPLE:8443", "allowed"),
        ("api.example.", "claim_insufficient"),
        ("x@api.example", "claim_insufficient"),
        ("api.example:80@x", "claim_insufficient"),
        ("api.example/x", "claim_insufficient"),
        ("api.example,x", "claim_insufficient"),
        ("", "claim_insufficient"),
    ] {
        let request = Request::get("/").without(":authority").header(":authority", authority);
        assert_eq!(world.ask(0, &request.bearer(&token("api.example"))).code(), code, "{authority:?}");
    }
    let request = Request::get("/").bearer(&token("api.example")).header("host", "other.example");
    assert_eq!(world.ask(0, &request).code(), "claim_insufficient", "another host beside it");
}

#[test]
fn no_client_gets_around_a_negated_condition_by_leaving_its_part_out() {
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"claims": [{"claim": "blocked", "equals": "{header.x-tenant}", "not": true}]},
    });
    let config = json!({"providers": {"main": local(&[&Key::p256(1)], json!({}))}, "rules": [rule]});
    let mut world = World::new(&config, 1);
    let token = Token::new(&Key::p256(1)).claim("blocked", "acme").mint();
    for (request, code) in [
        (Request::get("/").header("x-tenant", "other"), "allowed"),
        (Request::get("/").header("x-tenant", "acme"), "claim_insufficient"),
        (Request::get("/"), "claim_insufficient"),
        (Request::get("/").header("x-tenant", ""), "claim_insufficient"),
        (Request::get("/").header("x-tenant", "other").header("x-tenant", "acme"), "claim_insufficient"),
    ] {
        assert_eq!(world.ask(0, &request.clone().bearer(&token)).code(), code, "{request:?}");
    }
}
