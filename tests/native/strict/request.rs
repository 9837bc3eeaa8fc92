//! Where a token may be in a request, and how it must stand there.

use serde_json::{json, Value};

use super::gate;
use crate::mint::{Key, Token};
use crate::world::{Request, World};

fn gate_at(locations: Value) -> World {
    gate(&[&Key::p256(1)], locations)
}

fn good() -> String {
    Token::new(&Key::p256(1)).mint()
}

fn bad() -> String {
    Token::new(&Key::p256(2)).mint()
}

#[test]
fn a_token_in_the_query_is_decoded_once_and_is_then_as_strict_as_any_other() {
    let mut world = gate_at(json!({"from_params": ["access_token"]}));
    let (good, bad) = (good(), bad());
    let everything_encoded: String = good.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (query, expected) in [
        (format!("access_token={good}"), "allowed"),
        (format!("x=1&access_token={good}&y=2"), "allowed"),
        (format!("access_token={everything_encoded}"), "allowed"),
        (format!("access_token={}", good.replace('.', "%2e")), "allowed"),
        (format!("access%5ftoken={good}"), "allowed"),
        (format!("?access_token={good}"), "token_missing"),
        (format!("Access_Token={good}"), "token_missing"),
        (format!("access_token[]={good}"), "token_missing"),
        (format!("access.token={good}"), "token_missing"),
        (format!("access+token={good}"), "token_missing"),
        (format!("+access_token={good}"), "token_missing"),
        (format!("x=1;access_token={good}"), "token_missing"),
        (format!("access_token%3d{good}"), "token_missing"),
        (format!("access%255ftoken={good}"), "token_missing"),
        (format!("access_token={}", good.replace('.', "%252e")), "token_malformed"),
        (format!("access_token={}", good.replacen('.', "%2", 1)), "token_malformed"),
        (format!("access_token={}", good.replacen('.', "%2g", 1)), "token_malformed"),
        (format!("access_token={}", good.replacen('.', "%u002e", 1)), "token_malformed"),
        (format!("access_token={}", good.replacen('.', "%c0%ae", 1)), "token_malformed"),
        (format!("access_token={good}+"), "token_malformed"),
        (format!("access_token=+{good}"), "token_malformed"),
        (format!("access_token=%20{good}"), "token_malformed"),
        (format!("access_token={good}%00"), "token_malformed"),
        (format!("access_token={good}%0a"), "token_malformed"),
        (format!("access_token={good};x=1"), "token_malformed"),
        (format!("access_token={good}%26access_token={bad}"), "token_malformed"),
        (format!("access_token=Bearer%20{good}"), "token_malformed"),
        (format!("access_token={good},{bad}"), "multiple_tokens"),
        (format!("access_token={good}%2c{bad}"), "multiple_tokens"),
        (format!("access_token={good}&access_token={bad}"), "signature_invalid"),
        (format!("access_token={bad}&access_token={good}"), "signature_invalid"),
        (format!("access_token={good}&access%5Ftoken={bad}"), "signature_invalid"),
        (format!("access_token={good}&access_token="), "token_malformed"),
        (format!("access_token={good}&access_token"), "token_malformed"),
        (format!("access_token={good}&x=%26access_token={bad}"), "allowed"),
    ] {
        let shown = query.replace(&good, "<good>").replace(&bad, "<bad>");
        assert_eq!(world.ask(0, &Request::get(&format!("/?{query}"))).code(), expected, "{shown}");
    }
    // Only what stands behind the first question mark is a query.
    assert_eq!(world.ask(0, &Request::get(&format!("/access_token={good}"))).code(), "token_missing");
    assert_eq!(world.ask(0, &Request::get(&format!("/%3faccess_token={good}"))).code(), "token_missing");
    assert_eq!(world.ask(0, &Request::get(&format!("/?x#access_token={good}"))).code(), "path_ambiguous");
}

#[test]
fn a_cookie_is_one_token_with_a_pair_of_quotes_at_most() {
    let mut world = gate_at(json!({"from_cookies": ["session"]}));
    let (good, bad) = (good(), bad());
    for (cookie, expected) in [
        (format!("session={good}"), "allowed"),
        (format!("session=\"{good}\""), "allowed"),
        (format!("a=1; session={good}; b=2"), "allowed"),
        (format!("a=1;session={good};"), "allowed"),
        (format!("a=\"1; session={good}"), "allowed"),
        (format!("session=\"{good}"), "token_malformed"),
        (format!("session={good}\""), "token_malformed"),
        (format!("session=\"\"{good}\"\""), "token_malformed"),
        (format!("session='{good}'"), "token_malformed"),
        (format!("session=\\\"{good}\\\""), "token_malformed"),
        (format!("session=\" {good}\""), "token_malformed"),
        (format!("session={}", good.replace('.', "%2e")), "token_malformed"),
        (format!("session={}", good.replacen('.', "\\056", 1)), "token_malformed"),
        (format!("session=Bearer {good}"), "token_malformed"),
        (format!("session={good}="), "token_malformed"),
        (format!("session={good} x"), "token_malformed"),
        ("session=\"\"".to_owned(), "token_malformed"),
        ("session=\"".to_owned(), "token_malformed"),
        ("session=".to_owned(), "token_malformed"),
        ("session".to_owned(), "token_missing"),
        (format!("Session={good}"), "token_missing"),
        (format!("\"session\"={good}"), "token_missing"),
        (format!("$session={good}"), "token_missing"),
        (format!("__Host-session={good}"), "token_missing"),
        (format!("session%3d{good}"), "token_missing"),
        (format!("a=1, session={good}"), "token_missing"),
        (format!("session={good},session={bad}"), "multiple_tokens"),
        (format!("session={good}; session={bad}"), "signature_invalid"),
        (format!("session={bad}; session={good}"), "signature_invalid"),
        (format!("session={good}; session=\"{bad}\""), "signature_invalid"),
        (format!("session={good}; session ={bad}"), "signature_invalid"),
        (format!("session={good}; a=\"; session={bad}; b=\""), "signature_invalid"),
        (format!("session={good}; session="), "token_malformed"),
    ] {
        let shown = cookie.replace(&good, "<good>").replace(&bad, "<bad>");
        assert_eq!(world.ask(0, &Request::get("/").header("cookie", &cookie)).code(), expected, "{shown}");
    }
    let twice =
        Request::get("/").header("cookie", format!("session={good}")).header("Cookie", format!("session={bad}"));
    assert_eq!(world.ask(0, &twice).code(), "signature_invalid");
}

#[test]
fn a_good_token_never_covers_for_another_in_the_same_request() {
    let (good, bad) = (good(), bad());
    let places = json!({
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x-token"}],
        "from_params": ["t"],
        "from_cookies": ["c"],
    });
    let mut world = gate_at(places);
    let request = |authorization: &str, header: &str, param: &str, cookie: &str| {
        let path = if param.is_empty() { "/".to_owned() } else { format!("/?t={param}") };
        let request = Request::get(&path);
        let request = if authorization.is_empty() { request } else { request.bearer(authorization) };
        let request = if header.is_empty() { request } else { request.header("x-token", header) };
        if cookie.is_empty() {
            request
        } else {
            request.header("cookie", format!("c={cookie}"))
        }
    };
    // Every set of places with good tokens, and the same with one of them bad.
    for places in 1..16u32 {
        let token = |place: u32, bad_place: u32| match places >> place & 1 {
            0 => "",
            _ if place == bad_place => bad.as_str(),
            _ => good.as_str(),
        };
        let in_places = |bad: u32| request(token(0, bad), token(1, bad), token(2, bad), token(3, bad));
        assert_eq!(world.ask(0, &in_places(u32::MAX)).code(), "allowed", "{places:04b}");
        for bad in (0..4).filter(|bad| places >> bad & 1 == 1) {
            assert_eq!(world.ask(0, &in_places(bad)).code(), "signature_invalid", "{places:04b}, bad at {bad}");
        }
    }
    // A place that the provider does not name holds no token of it, good or bad.
    let mut world = gate_at(json!({}));
    assert_eq!(world.ask(0, &request(&good, &bad, &bad, &bad)).code(), "allowed");
    assert_eq!(world.ask(0, &request("", &good, &good, &good)).code(), "token_missing");
    for other in ["proxy-authorization", "x-authorization", "authorization2", "www-authenticate"] {
        let elsewhere = Request::get("/").header(other, format!("Bearer {good}"));
        assert_eq!(world.ask(0, &elsewhere).code(), "token_missing", "{other}");
    }
}
