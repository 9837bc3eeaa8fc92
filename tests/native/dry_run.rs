//! `enforce: false`: everything is decided, counted and logged, and nothing is refused.

use jwt_gate::config::Config;
use jwt_gate::limits::MAX_WAITING;
use jwt_gate::verdict::Edits;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER};
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

fn token() -> Token {
    Token::new(&key())
}

/// A rule for everything that asks for a scope, the caller's name in a header, and whatever `more` says.
fn config(more: Value) -> Value {
    let provider = local(&[&key()], json!({"claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}]}));
    let rule = json!({
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"scopes": {"all_of": ["read"]}},
    });
    merged(json!({"providers": {"main": provider}, "rules": [rule]}), more)
}

fn dry(more: Value) -> World {
    World::new(&merged(config(json!({"enforce": false})), more), 1)
}

fn warning(config: &Value) -> Option<String> {
    Config::parse(config.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}")).semantics.warning()
}

fn error(config: &Value) -> String {
    Config::parse(config.to_string().as_bytes()).expect_err("it should be refused").to_string()
}

fn values<'f>(fields: &'f [(String, String)], name: &str) -> Vec<&'f str> {
    fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

/// Requests, and why each is refused where that is enforced.
fn refused() -> Vec<(Request, &'static str)> {
    let get = |token: Token| Request::get("/").bearer(&token.mint());
    vec![
        (Request::get("/"), "token_missing"),
        (Request::get("/").bearer("a.b"), "token_malformed"),
        (Request::get("/").bearer("a.b").bearer("c.d"), "multiple_tokens"),
        (get(Token::new(&Key::ed25519(2).named("k1"))), "signature_invalid"),
        (get(token().kid("k2")), "key_unknown"),
        (get(token().expires_in(-61)), "token_expired"),
        (get(token().claim("aud", "other")), "audience_not_allowed"),
        (get(token().claim("sub", "a\nb")), "claim_not_forwardable"),
        (get(token()), "scope_insufficient"),
    ]
}

#[test]
fn what_would_be_refused_passes_and_is_counted_by_why() {
    for (request, code) in refused() {
        assert_eq!(World::new(&config(json!({})), 1).ask(0, &request).code(), code);
        let mut world = dry(json!({}));
        assert_eq!(world.ask(0, &request).code(), "allowed", "{code}");
        let counted = world.counts.clone().into_iter().collect::<Vec<_>>();
        let expected = [("jwt_gate_allowed_unenforced".to_owned(), 1), (format!("jwt_gate_unenforced_{code}"), 1)];
        assert_eq!(counted, expected, "{code}");
    }
    let mut world = dry(json!({}));
    assert_eq!(world.ask(0, &Request::get("/").bearer(&token().claim("scope", "read").mint())).code(), "allowed");
    assert_eq!((world.count("jwt_gate_allowed"), world.count("jwt_gate_allowed_unenforced")), (1, 0));
}

#[test]
fn the_service_gets_the_token_and_no_word_of_the_clients_about_itself() {
    let mut world = dry(json!({}));
    let impostor = |request: Request| request.header("x-user-id", "root").header("X_User_Id", "root");
    for (request, _) in refused().into_iter().take(8) {
        let request = impostor(request);
        let fields = request.edited(world.ask(0, &request).edits());
        assert_eq!(values(&fields, "x-user-id").len() + values(&fields, "x_user_id").len(), 0, "{request:?}");
        let came = request.head().values("authorization").count();
        assert_eq!(values(&fields, "authorization").len(), came, "{request:?}");
    }
    // Who is known is named, whether or not it would have been enough.
    for token in [token(), token().claim("scope", "read")] {
        let request = impostor(Request::get("/").bearer(&token.mint()));
        let fields = request.edited(world.ask(0, &request).edits());
        assert_eq!(values(&fields, "x-user-id"), ["alice"]);
        assert_eq!(values(&fields, "authorization"), [format!("Bearer {}", token.mint())]);
    }
}

#[test]
fn one_rule_can_be_tried_and_one_can_hold_in_a_dry_run() {
    let rule =
        |path: &str, more: Value| merged(json!({"match": {"path": path}, "requires": {"provider_name": "main"}}), more);
    for (whole, trial, held) in
        [(true, json!({"enforce": false}), json!({})), (false, json!({}), json!({"enforce": true}))]
    {
        let rules = json!([rule("/trial", trial), rule("/held", held), {"match": {"path": "/open"}, "public": true}]);
        let mut world = World::new(&config(json!({"enforce": whole, "rules": rules})), 1);
        assert_eq!(world.ask(0, &Request::get("/trial")).code(), "allowed");
        assert_eq!(world.ask(0, &Request::get("/held")).code(), "token_missing");
        assert_eq!(world.ask(0, &Request::get("/open")).code(), "allowed");
        // Neither of what no rule matches nor of a path that can be read in several ways is any rule known.
        for (path, code) in [("/elsewhere", "token_missing"), ("/x/../trial", "path_ambiguous")] {
            let expected = if whole { code } else { "allowed" };
            assert_eq!(world.ask(0, &Request::get(path)).code(), expected, "{path}");
        }
        assert_eq!(world.count("jwt_gate_allowed_public"), 1);
        assert_eq!(world.count("jwt_gate_unenforced_path_ambiguous"), u64::from(!whole));
    }
}

#[test]
fn a_request_that_would_wait_waits_and_passes_where_it_would_be_told_to_come_back() {
    let config = |more: Value| json!({"providers": {"main": remote(more)}, "enforce": false});
    let request = Request::get("/").bearer(&token().mint());

    let mut world = World::new(&config(json!({})), 1);
    let id = world.request(0, &request);
    assert_eq!(world.verdict(id), None);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.settle();
    assert_eq!(world.verdict(id).map(|verdict| verdict.code()), Some("allowed"));
    assert_eq!(world.count("jwt_gate_allowed"), 1, "{:?}", world.counts);

    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::status(500));
    assert_eq!(world.ask_patiently(0, &request).code(), "allowed");
    assert_eq!(world.count("jwt_gate_unenforced_keys_unavailable"), 1, "{:?}", world.counts);

    let provider = local(&[&key()], revoking(json!({})));
    let mut world = World::new(&json!({"providers": {"main": provider}, "enforce": false}), 1);
    world.issuer(REVOKED, Reply::status(500));
    assert_eq!(world.ask_patiently(0, &request).code(), "allowed");
    assert_eq!(world.count("jwt_gate_unenforced_revocation_unavailable"), 1, "{:?}", world.counts);
}

#[test]
fn a_request_for_which_there_is_no_room_to_wait_passes_under_its_own_rule_too() {
    let rule = |path: &str, enforce: bool| json!({"match": {"prefix": path}, "requires": {"provider_name": "main"}, "enforce": enforce});
    let rules = json!([rule("/trial", false), rule("/held", true)]);
    let jwt_authn = json!({
        "semantics": "jwt_authn",
        "providers": {"main": remote(json!({"forward_payload_header": "x-payload"}))},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
    });
    let gate = json!({"providers": {"main": remote(json!({"forward_payload_header": "x-payload"}))}, "rules": rules});
    for (config, path, code) in [
        (gate.clone(), "/trial", "allowed"),
        (gate.clone(), "/held", "overloaded"),
        (gate.clone(), "/elsewhere", "overloaded"),
        (merged(gate, json!({"enforce": false})), "/elsewhere", "allowed"),
        (jwt_authn.clone(), "/", "overloaded"),
        (merged(jwt_authn, json!({"enforce": false})), "/", "allowed"),
    ] {
        let mut world = World::new(&config, 1);
        let request = Request::get(path).bearer(&token().mint()).header("x-payload", "forged");
        for _ in 0..MAX_WAITING {
            world.request(0, &request);
        }
        let verdict = world.ask(0, &request);
        assert_eq!(verdict.code(), code, "{path}");
        if code == "allowed" {
            assert_eq!(world.count("jwt_gate_unenforced_overloaded"), 1);
            let fields = request.edited(verdict.edits());
            assert!(fields.iter().all(|(name, _)| name != "x-payload"), "{fields:?}");
            assert!(fields.iter().any(|(name, _)| name == "authorization"), "{fields:?}");
        }
    }
}

#[test]
fn the_filter_state_says_why_it_would_have_been() {
    let provider = local(&[&key()], json!({"failed_status_in_metadata": "failure", "payload_in_metadata": "payload"}));
    let mut world = World::new(&config(json!({"enforce": false, "providers": {"main": provider}})), 1);
    let verdict = world.ask(0, &Request::get("/"));
    let code = |text: &str| serde_json::from_str::<Value>(text).unwrap()["code"].clone();
    let why = |edits: &Edits| -> Vec<(String, Value)> {
        let states = edits.failed_status.iter().flat_map(|failed_status| failed_status.state());
        states.map(|(name, text)| (name.to_owned(), code(text))).collect()
    };
    assert_eq!(why(verdict.edits()), [("jwt_authn.failure".to_owned(), json!("token_missing"))]);
    assert!(verdict.edits().state.is_empty());
    let verdict = world.ask(0, &Request::get("/").bearer(&token().mint()));
    let [(name, _)] = verdict.edits().state.as_slice() else { panic!("{:?}", verdict.edits()) };
    assert_eq!(name.as_str(), "jwt_authn.payload");
    assert_eq!(why(verdict.edits()), [("jwt_authn.failure".to_owned(), json!("scope_insufficient"))]);
}

#[test]
fn under_envoys_semantics_every_request_passes_as_it_came_but_for_what_the_gate_sets() {
    let provider = json!({
        "issuer": ISSUER,
        "local_jwks": {"inline_string": key_set([key().jwk()])},
        "forward_payload_header": "x-payload",
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "from_params": ["t"],
    });
    let envoys = json!({
        "semantics": "jwt_authn",
        "enforce": false,
        "providers": {"main": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
    });
    let istios = json!({
        "enforce": false,
        "jwt_rules": [{
            "issuer": ISSUER,
            "jwks": key_set([key().jwk()]),
            "output_payload_to_header": "x-payload",
            "from_headers": [{"name": "authorization", "prefix": "Bearer "}],
            "from_params": ["t"],
        }],
    });
    for config in [envoys, istios] {
        let mut world = World::new(&config, 1);
        let path = format!("/a?t={}&b=%20", token().mint());
        let good = Request::get(&path).header("x-payload", "forged");
        let bad = Request::get("/a?b=%20").bearer(&token().expires_in(-61).mint()).header("x-payload", "forged");
        for (request, payloads) in [(good, 1), (bad, 0)] {
            let fields = request.edited(world.ask(0, &request).edits());
            let set = values(&fields, "x-payload");
            assert!(set.len() == payloads && !set.contains(&"forged"), "{fields:?}");
            for name in [":path", "authorization"] {
                let head = request.head();
                let came: Vec<&[u8]> = head.values(name).collect();
                let gone = values(&fields, name).into_iter().map(str::as_bytes).collect::<Vec<_>>();
                assert_eq!(gone, came, "{name}: {fields:?}");
            }
        }
        assert_eq!(world.count("jwt_gate_unenforced_token_expired"), 1, "{:?}", world.counts);
    }
}

#[test]
fn the_log_says_loudly_what_passes() {
    let rule =
        |enforce: bool| json!({"match": {"prefix": "/"}, "requires": {"provider_name": "main"}, "enforce": enforce});
    let open = json!({"match": {"path": "/open"}, "public": true});
    let loud = r#""enforce: false": EVERY REQUEST PASSES, whatever it carries"#;
    for (more, expected) in [
        (json!({}), None),
        (json!({"enforce": true, "rules": [rule(true), open]}), None),
        (json!({"enforce": false}), Some(loud.to_owned())),
        (json!({"enforce": false, "rules": [rule(false), open]}), Some(loud.to_owned())),
        (
            json!({"rules": [open, rule(false), rule(true), rule(false)]}),
            Some(format!("{loud} under rules[1] rules[3]")),
        ),
        (json!({"rules": [rule(false)]}), Some(format!("{loud} under rules[0]"))),
        (json!({"enforce": false, "rules": [rule(true)]}), Some(format!("{loud} under no rule"))),
        (json!({"enforce": false, "rules": [rule(true), rule(false)]}), Some(format!("{loud} under rules[1] no rule"))),
    ] {
        assert_eq!(warning(&merged(config(json!({})), more.clone())), expected, "{more}");
    }
    let jwt_authn = |enforce: bool| json!({"semantics": "jwt_authn", "enforce": enforce});
    assert_eq!(warning(&jwt_authn(false)).as_deref(), Some(loud));
    assert_eq!(warning(&jwt_authn(true)), None);
}

#[test]
fn what_enforce_cannot_be_is_refused() {
    let rule = |more: Value| config(json!({"rules": [merged(json!({"match": {"prefix": "/"}}), more)]}));
    let asks = json!({"requires": {"provider_name": "main"}});
    for (config, expected) in [
        (config(json!({"enforce": "no"})), "enforce: expected true or false, found a string"),
        (rule(merged(asks.clone(), json!({"enforce": 0}))), "rules[0].enforce: expected true or false, found a number"),
        (
            rule(json!({"public": true, "enforce": false})),
            r#"rules[0].enforce: cannot stand beside "public: true": nobody is refused there"#,
        ),
        (
            json!({
                "semantics": "jwt_authn",
                "rules": [{"match": {"prefix": "/"}, "enforce": false}],
            }),
            r#"rules[0].enforce: goes with jwt-gate's own semantics alone, without "semantics: jwt_authn" and "jwt_rules""#,
        ),
    ] {
        assert_eq!(error(&config), expected);
    }
}
