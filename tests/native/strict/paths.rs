//! Targets that a rule reads in one way and a service in another.

use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, Request, World};

fn gate(rules: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::p256(1)], json!({}))}, "rules": rules}), 1)
}

/// `/admin` is closed, and everything else is open.
fn all_but_admin() -> World {
    gate(json!([
        {"match": {"prefix": "/admin"}, "requires": {"provider_name": "main"}},
        {"match": {"safe_regex": {"regex": ".*"}}, "public": true},
    ]))
}

#[test]
fn a_path_that_a_parser_of_urls_reads_otherwise_is_refused() {
    let mut world = all_but_admin();
    // `new URL(target, base)` and its like take what stands between two slashes and the next one for a host.
    for path in [
        "//x/admin",
        "//x:80/admin/users",
        "//user@x/admin",
        "///x/admin",
        "//x/y/../admin",
        "/%2fx/admin",
        "/%2Fx/admin",
        "%2f%2fx/admin",
        "/\\x/admin",
        "/%5cx/admin",
        "//x\\admin",
        "/x/..//y/admin",
        "/.//x/admin",
    ] {
        assert_eq!(world.ask(0, &Request::get(path)).code(), "path_ambiguous", "{path}");
    }
    for path in ["//x/y", "/x//admin", "/", "//", "/x/", "/x/..//y"] {
        assert_eq!(world.ask(0, &Request::get(path)).code(), "allowed", "{path}");
    }
}

#[test]
fn what_follows_an_encoded_end_of_a_path_may_not_count() {
    let mut world = all_but_admin();
    for path in [
        "/admin%3fx",
        "/admin%3F",
        "/admin%253fx",
        "/admin%23x",
        "/admin%00",
        "/admin%00.html",
        "/admin%2500x",
        "/x/..%2fadmin%3f/y",
        "/x/../admin%3f",
        "/admin;%3fx",
    ] {
        assert_eq!(world.ask(0, &Request::get(path)).code(), "path_ambiguous", "{path}");
    }
    for path in ["/x%3fy", "/x%00y", "/x%23/admin", "/x?%3f/admin"] {
        assert_eq!(world.ask(0, &Request::get(path)).code(), "allowed", "{path}");
    }
    assert_eq!(world.ask(0, &Request::get("/admin/x%3fy")).code(), "token_missing");
    // What is open is closed again where only its beginning counts.
    let mut world = gate(json!([{"match": {"path": "/health"}, "public": true}]));
    assert_eq!(world.ask(0, &Request::get("/health")).code(), "allowed");
    for path in ["/health%3f/../admin", "/health%00/admin", "/health%23"] {
        assert_eq!(world.ask(0, &Request::get(path)).code(), "path_ambiguous", "{path}");
    }
}

#[test]
fn a_target_of_another_form_than_a_path_is_refused() {
    let mut world = all_but_admin();
    for target in [
        "http://api.example/admin",
        "HTTP://api.example/admin",
        "https://user@api.example:443/admin",
        "http:/admin",
        "http:admin",
        "http://api.example",
        "http://api.example/",
        "api.example:443",
        "admin",
        "./admin",
        "../admin",
        "?/admin",
        "x",
    ] {
        assert_eq!(world.ask(0, &Request::get(target)).code(), "path_ambiguous", "{target}");
    }
    let mut world = gate(json!([{"match": {"prefix": "/"}, "public": true}]));
    // What is no path is under no rule for paths.
    for target in ["*", ""] {
        assert_eq!(world.ask(0, &Request::new("OPTIONS", target)).code(), "token_missing", "{target:?}");
    }
}

#[test]
fn the_query_and_its_delimiters_open_no_path() {
    let open_beside_closed = || gate(json!([{"match": {"prefix": "/open"}, "public": true}]));
    for (path, code) in [
        ("/open", "allowed"),
        ("/open?", "allowed"),
        ("/open??", "allowed"),
        ("/open?/../admin", "allowed"),
        ("/admin?/open", "token_missing"),
        ("/admin?x=/../open", "token_missing"),
        ("/admin??/open", "token_missing"),
        ("/?/open", "token_missing"),
        ("/admin#/open", "path_ambiguous"),
        ("/open#/../admin", "path_ambiguous"),
        ("/open?x#y", "path_ambiguous"),
        ("/admin;/open", "token_missing"),
        ("/open/x;/admin", "allowed"),
        ("/open;/admin", "path_ambiguous"),
        ("/open;/../admin", "path_ambiguous"),
        ("/;/open", "path_ambiguous"),
        ("/openx", "token_missing"),
        ("/open%20", "token_missing"),
        ("/Open", "path_ambiguous"),
    ] {
        assert_eq!(open_beside_closed().ask(0, &Request::get(path)).code(), code, "{path}");
    }
    let token = Token::new(&Key::p256(1)).mint();
    assert_eq!(open_beside_closed().ask(0, &Request::get("/admin?/open").bearer(&token)).code(), "allowed");
}
