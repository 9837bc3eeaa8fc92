//! What the service behind the gate gets: no token unless it asked for one, and headers that the gate alone sets.

use base64::prelude::{Engine, BASE64_URL_SAFE};
use serde_json::{json, Value};

use crate::mint::{encode, Key, Token};
use crate::world::{local, Request, World};

fn gate(more: Value) -> World {
    World::new(&json!({"providers": {"main": local(&[&Key::ed25519(1)], more)}}), 1)
}

fn token() -> Token {
    Token::new(&Key::ed25519(1))
}

/// The header fields that the service gets.
fn upstream(world: &mut World, request: &Request) -> Vec<(String, String)> {
    let verdict = world.ask(0, request);
    request.edited(verdict.edits())
}

fn values(fields: &[(String, String)], name: &str) -> Vec<String> {
    fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
}

#[test]
fn the_token_is_taken_out_of_wherever_it_was_and_its_neighbours_stay() {
    let jwt = token().mint();
    let everywhere = json!({
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}, {"name": "x-token", "value_prefix": "JWT "}],
        "from_params": ["access_token", "t"],
        "from_cookies": ["session"],
    });
    let mut world = gate(everywhere);
    for (request, name, left) in [
        (Request::get("/").bearer(&jwt), "authorization", vec![]),
        (Request::get("/").header("x-token", format!("JWT {jwt}")), "x-token", vec![]),
        (Request::get(&format!("/p?access_token={jwt}")), ":path", vec!["/p"]),
        (Request::get(&format!("/p?a=1&access_token={jwt}&b=%20")), ":path", vec!["/p?a=1&b=%20"]),
        (Request::get(&format!("/p?access_token={jwt}&a=1")), ":path", vec!["/p?a=1"]),
        (Request::get(&format!("/p?access%5ftoken={jwt}&a")), ":path", vec!["/p?a"]),
        (Request::get(&format!("/p?t={jwt}&access_token={jwt}&&a=b=c")), ":path", vec!["/p?&a=b=c"]),
        (Request::get(&format!("/p?a=?&t={jwt}")), ":path", vec!["/p?a=?"]),
        (Request::get("/").header("cookie", format!("session={jwt}")), "cookie", vec![]),
        (Request::get("/").header("cookie", format!("a=1; session={jwt}; b=\"2\"")), "cookie", vec!["a=1; b=\"2\""]),
        (
            Request::get("/").header("cookie", "a=1").header("cookie", format!("session=\"{jwt}\"; b=2")),
            "cookie",
            vec!["a=1; b=2"],
        ),
    ] {
        let fields = upstream(&mut world, &request);
        assert_eq!(values(&fields, name), left, "{name}");
        assert!(!format!("{fields:?}").contains(&jwt), "{name}: {fields:?}");
    }
}

#[test]
fn every_token_is_taken_out_and_what_is_no_token_stays() {
    let jwt = token().mint();
    let mut world = gate(json!({"from_headers": [{"name": "x-token", "value_prefix": "JWT "}], "from_params": ["t"]}));
    let request = Request::get(&format!("/?t={jwt}&T=1&tt=2"))
        .header("x-token", format!("JWT {jwt}"))
        .header("authorization", "Basic eDp5")
        .header("cookie", "t=3");
    let fields = upstream(&mut world, &request);
    assert_eq!(values(&fields, ":path"), ["/?T=1&tt=2"]);
    assert_eq!(values(&fields, "x-token"), [""; 0]);
    assert_eq!(values(&fields, "authorization"), ["Basic eDp5"]);
    assert_eq!(values(&fields, "cookie"), ["t=3"]);
}

#[test]
fn a_cookie_header_that_goes_as_a_whole_does_not_come_back_in_part() {
    let jwt = token().mint();
    let mut as_header = gate(json!({
        "from_headers": [{"name": "cookie", "value_prefix": "jwt="}],
        "from_cookies": ["c"],
    }));
    let mut as_output = gate(json!({
        "from_cookies": ["c"],
        "claim_to_headers": [{"header_name": "cookie", "claim_name": "absent"}],
    }));
    let request = Request::get("/").header("cookie", format!("jwt={jwt}")).header("cookie", format!("c={jwt}; a=1"));
    assert_eq!(values(&upstream(&mut as_header, &request), "cookie"), [""; 0]);
    let request = Request::get("/").header("cookie", format!("c={jwt}; identity=forged"));
    assert_eq!(values(&upstream(&mut as_output, &request), "cookie"), [""; 0]);
}

#[test]
fn a_provider_that_forwards_leaves_the_request_as_it_was() {
    let jwt = token().mint();
    let mut world =
        gate(json!({"forward": true, "from_params": ["t"], "from_cookies": ["c"], "from_headers": [{"name": "x-t"}]}));
    let request = Request::get(&format!("/?t={jwt}")).header("cookie", format!("c={jwt}")).header("x-t", &jwt);
    let verdict = world.ask(0, &request);
    assert_eq!(request.edited(verdict.edits()), request.edited(&jwt_gate::verdict::Edits::default()));
}

#[test]
fn a_token_that_failed_goes_no_further_than_one_that_passed() {
    let provider = local(&[&Key::ed25519(1)], json!({}));
    let rules = json!([{"match": {"prefix": "/"}, "requires": {"allow_missing_or_failed": {}}}]);
    let mut world = World::new(&json!({ "providers": {"main": provider}, "rules": rules }), 1);
    for value in ["Bearer garbage", "Bearer a b", "Bearer"] {
        let fields = upstream(&mut world, &Request::get("/").header("authorization", value));
        assert_eq!(values(&fields, "authorization"), [""; 0], "{value}");
    }
}

#[test]
fn the_payload_goes_into_a_header_with_or_without_padding() {
    for (pad, forward) in [(false, false), (true, false), (true, true)] {
        let mut world = gate(json!({
            "forward_payload_header": "X-Payload",
            "pad_forward_payload_header": pad,
            "forward": forward,
        }));
        // Every length modulo three, so that every padding occurs.
        for filler in ["", "x", "xx"] {
            let token = token().claim("filler", filler);
            let request = Request::get("/").bearer(&token.mint()).header("x-payload", "forged");
            let payload = token.payload();
            let expected = if pad { BASE64_URL_SAFE.encode(payload.as_bytes()) } else { encode(payload.as_bytes()) };
            assert_eq!(values(&upstream(&mut world, &request), "x-payload"), [expected], "{pad} {filler:?}");
        }
    }
}

#[test]
fn claims_of_every_type_become_headers() {
    let mut world = gate(json!({"claim_to_headers": [
        {"header_name": "X-Claim", "claim_name": "c"},
        {"header_name": "x-nested", "claim_name": "o.p"},
        {"header_name": "x-path", "claim_path": ["https://example.com/a.b"]},
    ]}));
    for (claim, expected) in [
        (json!("alice"), Some("alice")),
        (json!(""), Some("")),
        (json!("Zoë Ω 山"), Some("Zoë Ω 山")),
        (json!("a\tb"), Some("a\tb")),
        (json!("a b"), Some("a b")),
        (json!(7), Some("7")),
        (json!(-7), Some("-7")),
        (json!(1.5), Some("1.5")),
        (json!(9_007_199_254_740_993_u64), Some("9007199254740993")),
        (json!(true), Some("true")),
        (json!(false), Some("false")),
        (json!(null), None),
        (json!([]), Some("[]")),
        (json!(["a", 1, null, {"b": "c"}]), Some(r#"["a",1,null,{"b":"c"}]"#)),
        (json!({"z": 1, "a": [true]}), Some(r#"{"z":1,"a":[true]}"#)),
        (json!(["line\r\nfeed \u{1}"]), Some(r#"["line\r\nfeed \u0001"]"#)),
    ] {
        let request = Request::get("/")
            .bearer(&token().claim("c", claim.clone()).mint())
            .header("x-claim", "forged")
            .header("x-nested", "forged");
        let fields = upstream(&mut world, &request);
        assert_eq!(values(&fields, "x-claim"), expected.into_iter().collect::<Vec<_>>(), "{claim}");
        assert_eq!(values(&fields, "x-nested"), [""; 0], "an absent claim sets nothing");
    }
    let deep = token().claim("o", json!({"p": "q"})).claim("https://example.com/a.b", 3);
    let fields = upstream(&mut world, &Request::get("/").bearer(&deep.mint()));
    assert_eq!((values(&fields, "x-nested"), values(&fields, "x-path")), (vec!["q".into()], vec!["3".into()]));
}

#[test]
fn a_claim_that_no_header_can_hold_denies_the_request() {
    let mut world = gate(json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "c"}]}));
    let mut silent = gate(json!({}));
    for claim in [
        json!("alice\r\nx-admin: true"),
        json!("alice\n"),
        json!("alice\r"),
        json!("alice\0"),
        json!("\u{1}"),
        json!("alice\u{7f}"),
        json!(["\u{7f}"]),
        json!({"\u{7f}": 1}),
        // A header value has no white space at its ends: a service would read another name.
        json!(" alice"),
        json!("alice "),
        json!("\talice"),
    ] {
        let request = Request::get("/").bearer(&token().claim("c", claim.clone()).mint());
        assert_eq!(world.ask(0, &request).code(), "claim_not_forwardable", "{claim}");
        assert_eq!(silent.ask(0, &request).code(), "allowed", "{claim}, which goes nowhere");
    }
}

#[test]
fn nobody_sets_the_headers_of_the_gate() {
    let outputs = json!({
        "forward_payload_header": "x-payload",
        "claim_to_headers": [{"header_name": "X-User-Id", "claim_name": "sub"}, {"header_name": "x_tenant", "claim_name": "tenant"}],
    });
    let config = json!({
        "providers": {"main": local(&[&Key::ed25519(1)], outputs), "other": local(&[&Key::ed25519(2)], json!({
            "claim_to_headers": [{"header_name": "x-other", "claim_name": "sub"}],
        }))},
        "rules": [
            {"match": {"prefix": "/public"}, "public": true},
            {"match": {"prefix": "/maybe"}, "requires": {"allow_missing": {}}},
            {"match": {"prefix": "/failed"}, "requires": {"allow_missing_or_failed": {}}},
        ],
        "bypass_cors_preflight": true,
    });
    let mut world = World::new(&config, 1);
    let preflight = Request::new("OPTIONS", "/").header("origin", "x").header("access-control-request-method", "PUT");
    for (what, base) in [
        ("a public route", Request::get("/public")),
        ("an optional token", Request::get("/maybe")),
        ("a bad token that is let through", Request::get("/failed").bearer("bad")),
        ("a preflight", preflight),
        ("a good token", Request::get("/").bearer(&token().mint())),
        ("a good token on a public route", Request::get("/public").bearer(&token().mint())),
    ] {
        let mut request = base;
        for name in [
            "x-user-id",
            "X-User-Id",
            "X_USER_ID",
            "x_user-id",
            "X.User.Id",
            "x~user-id",
            "x-user'id",
            "x-tenant",
            "x_tenant",
            "X-Payload",
            "x_payload",
            "x-other",
            "X-OTHER",
        ] {
            request = request.header(name, "mallory");
        }
        let fields = upstream(&mut world, &request.header("x-user-identity", "stays"));
        assert!(fields.iter().all(|(_, value)| value != "mallory"), "{what}: {fields:?}");
        assert_eq!(values(&fields, "x-user-identity"), ["stays"], "{what}");
        let user = if what == "a good token" { vec!["alice"] } else { vec![] };
        assert_eq!(values(&fields, "x-user-id"), user, "{what}");
    }
}

#[test]
fn a_header_that_a_claim_sets_may_be_where_the_token_was() {
    let mut world = gate(json!({
        "from_headers": [{"name": "x-token"}],
        "claim_to_headers": [{"header_name": "x-token", "claim_name": "sub"}],
    }));
    let fields = upstream(&mut world, &Request::get("/").header("x-token", token().mint()));
    assert_eq!(values(&fields, "x-token"), ["alice"]);
}
