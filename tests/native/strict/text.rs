//! Two readers of one text must not see two things: JSON that is not strict is refused wherever it decides something.

use jwt_gate::keys::{KeySet, KeySetProblem, Origin};
use serde_json::json;

use super::{code, gate, signed};
use crate::mint::{key_set, Key, Token};
use crate::world::{remote, Reply, Request, World, JWKS};

/// An object, spoilt in every way in which readers are known to differ. Its own members stay as they are.
fn spoilt(object: &str) -> Vec<(&'static str, Vec<u8>)> {
    let first = |members: &str| object.replacen('{', &format!("{{{members},"), 1).into_bytes();
    let text = |bytes: &[u8]| [b"{\"x\":\"", bytes, b"\",", &object.as_bytes()[1..]].concat();
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        first(&format!("\"x\":{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    assert!(object.starts_with('{') && object.ends_with('}'), "{object}");
    vec![
        ("a member twice", first(r#""x":1,"x":2"#)),
        ("a member twice, the same", first(r#""x":1,"x":1"#)),
        ("a member twice, once with an escape", first(r#""x":1,"\u0078":2"#)),
        ("a member twice, with escapes of two forms", first(r#""/":1,"\/":2"#)),
        ("a member twice, without a name", first(r#""":1,"":2"#)),
        ("a member twice within a member", first(r#""y":{"x":1,"x":1}"#)),
        ("a member twice within a list", first(r#""y":[{"x":1,"x":1}]"#)),
        ("a letter after it", format!("{object}x").into_bytes()),
        ("another object after it", format!("{object}{object}").into_bytes()),
        ("a comma after it", format!("{object},").into_bytes()),
        ("a zero after it", format!("{object}\0").into_bytes()),
        ("a comment after it", format!("{object}//").into_bytes()),
        ("a byte order mark before it", format!("\u{feff}{object}").into_bytes()),
        ("a letter before it", format!("x{object}").into_bytes()),
        ("a list around it", format!("[{object}]").into_bytes()),
        ("no end", object.as_bytes()[..object.len() - 1].to_vec()),
        ("a comma too many", format!("{},}}", &object[..object.len() - 1]).into_bytes()),
        ("a comment within", first("/**/\"x\":1")),
        ("single quotes", first("'x':1")),
        ("a name without quotes", first("x:1")),
        ("bytes that are no text", text(b"\xff\xfe")),
        ("a slash of two bytes", text(b"\xc0\xaf")),
        ("half a pair of surrogates, encoded", text(b"\xed\xa0\x80")),
        ("a character cut off", text(b"\xe2\x82")),
        ("a character beyond Unicode", text(b"\xf4\x90\x80\x80")),
        ("half a pair of surrogates, escaped", text(br"\ud800")),
        ("the other half", text(br"\udc00x")),
        ("an escape that is none", text(br"\x41")),
        ("a control character", text(b"\x01")),
        ("a line feed in a string", text(b"\n")),
        ("a zero in a string", text(b"\0")),
        ("lists 200 deep", nested("[", "", "]", 200)),
        ("objects 200 deep", nested("{\"y\":", "1", "}", 200)),
        ("a list without an end", first(&format!("\"x\":{}", "[".repeat(9_000)))),
        ("a number beyond a double", first(r#""x":1e999"#)),
        ("a number with a zero before it", first(r#""x":01"#)),
        ("a number with a sign", first(r#""x":+1"#)),
        ("a number in base 16", first(r#""x":0x1"#)),
        ("a number without a fraction behind its dot", first(r#""x":1."#)),
        ("not a number", first(r#""x":NaN"#)),
        ("infinity", first(r#""x":-Infinity"#)),
        ("a word that JSON does not know", first(r#""x":undefined"#)),
    ]
}

/// What no reader reads in two ways.
fn sound(object: &str) -> Vec<Vec<u8>> {
    let deep = format!("\"x\":{}{},", "[".repeat(100), "]".repeat(100));
    let members = [deep.as_str(), r#""x":"\ud83d\ude00\u0000","#, r#""X":1,"x":2,"#, r#""x":{"x":1},"#, " \n\t\r"];
    members.iter().map(|members| object.replacen('{', &format!("{{{members}"), 1).into_bytes()).collect()
}

#[test]
fn a_header_that_two_readers_read_in_two_ways_is_refused() {
    let mut world = gate(&[&Key::p256(1).named("k")], json!({}));
    let payload = Token::new(&Key::p256(1)).payload();
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    for header in sound(header) {
        assert_eq!(code(&mut world, &signed(&header, &payload)), "allowed", "{}", String::from_utf8_lossy(&header));
    }
    for (what, header) in spoilt(header) {
        assert_eq!(code(&mut world, &signed(header, &payload)), "header_malformed", "{what}");
    }
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"k"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"k"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"k"}"#,
        r#"{"alg":"ES256","kid":"k","kid":"other"}"#,
        r#"{"alg":"ES256","kid":"k","crit":["x"],"crit":[]}"#,
    ] {
        assert_eq!(code(&mut world, &signed(header, &payload)), "header_malformed", "{header}");
    }
}

#[test]
fn claims_that_two_readers_read_in_two_ways_are_refused() {
    let mut world = gate(&[&Key::p256(1)], json!({}));
    let payload = Token::new(&Key::p256(1)).payload();
    let mut ask = |payload: &[u8]| code(&mut world, &signed(r#"{"alg":"ES256"}"#, payload));
    for payload in sound(&payload) {
        assert_eq!(ask(&payload), "allowed", "{}", String::from_utf8_lossy(&payload));
    }
    for (what, payload) in spoilt(&payload) {
        assert_eq!(ask(&payload), "claims_malformed", "{what}");
    }
    for more in [
        r#""sub":"root""#,
        r#""\u0073ub":"root""#,
        r#""exp":9999999999"#,
        r#""aud":"another""#,
        r#""scope":"a","scope":"admin""#,
        r#""realm_access":{"roles":["user"],"roles":["admin"]}"#,
    ] {
        let twice = payload.replacen('{', &format!("{{{more},"), 1);
        assert_eq!(ask(twice.as_bytes()), "claims_malformed", "{twice}");
    }
}

#[test]
fn a_key_set_that_two_readers_read_in_two_ways_is_none() {
    let set = key_set([Key::p256(1).jwk()]);
    for set in sound(&set) {
        assert_eq!(KeySet::parse(&set, Origin::Remote).map(|set| set.keys().len()), Ok(1), "{set:?}");
    }
    // In the set itself, and in its key.
    let key = Key::p256(1).jwk().to_string();
    let within = |key: Vec<u8>| [b"{\"keys\":[", key.as_slice(), b"]}"].concat();
    let in_key = spoilt(&key).into_iter().map(|(what, key)| (what, within(key)));
    for (what, set) in spoilt(&set).into_iter().chain(in_key) {
        // Within a list, a list, another key and a comma are JSON: of the first nothing can be used.
        let problem = KeySet::parse(&set, Origin::Remote).map(|_| ()).unwrap_err();
        let is_list = what == "a list around it" && matches!(problem, KeySetProblem::NoUsableKey(Some(_)));
        assert!(problem == KeySetProblem::Malformed || is_list, "{what}: {problem:?}");
    }
    let two_keys = |one: &Key, two: &Key| format!(r#"{{"keys":[{}],"keys":[{}]}}"#, one.jwk(), two.jwk());
    let set = two_keys(&Key::p256(1), &Key::p256(2));
    assert_eq!(KeySet::parse(set.as_bytes(), Origin::Remote), Err(KeySetProblem::Malformed));
}

#[test]
fn a_fetched_set_that_is_not_strict_json_leaves_the_keys_that_were_there() {
    let good = Request::get("/").bearer(&Token::new(&Key::p256(1)).mint());
    let forged = Request::get("/").bearer(&Token::new(&Key::p256(2)).mint());
    let twice = |name: &str| format!(r#"{{"{name}":[{}],"keys":[{}]}}"#, Key::p256(1).jwk(), Key::p256(2).jwk());
    let mut world =
        World::new(&json!({"providers": {"main": remote(json!({"remote_jwks": {"cache_duration": "60s"}}))}}), 1);
    world.issuer(JWKS, Reply::keys(&[&Key::p256(1)]));
    assert_eq!(world.ask_patiently(0, &good).code(), "allowed");
    world.issuer(JWKS, Reply::ok(twice("keys")));
    world.seconds_pass(120);
    assert_eq!(world.ask_patiently(0, &good).code(), "allowed");
    assert_eq!(world.ask_patiently(0, &forged).code(), "signature_invalid");
    // With another name the second list alone is one of keys, and that one is taken.
    world.issuer(JWKS, Reply::ok(twice("other")));
    world.seconds_pass(120);
    assert_eq!(world.ask_patiently(0, &good).code(), "signature_invalid");
    assert_eq!(world.ask_patiently(0, &forged).code(), "allowed");
}
