//! `authorize.service`: another service decides what a caller may do.

use std::time::Duration;

use serde_json::{json, Value};

use jwt_gate::limits::{MAX_WAITING, MAX_WAITING_KNOWN};

use crate::mint::{Key, Token, NOW};
use crate::world::{local, merged, Reply, Request, World};

const SERVICE: &str = "http://authz.example/decide";

fn key() -> Key {
    Key::ed25519(1).named("one")
}

fn config(service: Value) -> Value {
    let base = json!({"http_uri": {"uri": SERVICE, "cluster": "authz", "timeout": "1s"}});
    json!({
        "providers": {"main": local(&[&key()], json!({}))},
        "rules": [{
            "match": {"prefix": "/"},
            "requires": {"provider_name": "main"},
            "authorize": {"scopes": {"all_of": ["read"]}, "service": merged(base, service)},
        }],
    })
}

fn token() -> Token {
    Token::new(&key()).claim("sub", "ada").claim("scope", "read")
}

fn request(path: &str) -> Request {
    Request::get(path).bearer(&token().mint())
}

fn sent(world: &World, at: usize) -> Value {
    serde_json::from_slice(&world.fetches[at].call.body).expect("a JSON body")
}

fn header<'w>(world: &'w World, at: usize, name: &str) -> Option<&'w str> {
    world.fetches[at].call.headers().find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[test]
fn authzen_is_asked_who_does_what_with_what() {
    let mut world = World::new(&config(json!({"protocol": "authzen"})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    assert_eq!(world.ask_patiently(0, &request("/orders/42?x=1")).code(), "allowed");
    assert_eq!(header(&world, 0, ":method"), Some("POST"));
    assert_eq!(header(&world, 0, "content-type"), Some("application/json"));
    let body = sent(&world, 0);
    assert_eq!(body["subject"]["type"], "user");
    assert_eq!(body["subject"]["id"], "ada");
    assert_eq!(body["subject"]["properties"]["scope"], "read");
    assert_eq!(body["action"], json!({"name": "GET"}));
    assert_eq!(body["resource"], json!({"type": "http", "id": "/orders/42"}));
    assert_eq!(body.as_object().map(|body| body.len()), Some(3));
}

#[test]
fn each_part_of_the_question_is_open_to_templates() {
    let more = json!({
        "protocol": "authzen",
        "subject": {"type": "account", "id": "{claims.sub}@{claims.iss}"},
        "action": {"name": "{method}"},
        "resource": {"type": "{path.0}", "id": "{path.1}", "properties": {"all": ["{host}", 1, true, null]}},
        "context": {"claims": "{claims}", "of": "{header.x-tenant}"},
        "request_headers": [
            {"name": "authorization", "value": "Bearer secret"},
            {"name": "x-path", "value": "{path}"},
        ],
    });
    let mut world = World::new(&config(more), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    let of_acme = |path: &str| request(path).header("x-tenant", "acme");
    assert_eq!(world.ask_patiently(0, &of_acme("/orders/42")).code(), "allowed");
    let body = sent(&world, 0);
    assert_eq!(body["subject"], json!({"type": "account", "id": "ada@https://issuer.example"}));
    let properties = json!({"all": ["api.example", 1, true, null]});
    assert_eq!(body["resource"], json!({"type": "orders", "id": "42", "properties": properties}));
    assert_eq!((&body["context"]["of"], &body["context"]["claims"]["sub"]), (&json!("acme"), &json!("ada")));
    assert_eq!(header(&world, 0, "authorization"), Some("Bearer secret"));
    assert_eq!(header(&world, 0, "x-path"), Some("/orders/42"));
    for lacking in [of_acme("/orders"), request("/orders/42"), of_acme("/orders//42"), of_acme("/orders/42%0d")] {
        assert_eq!(world.ask(0, &lacking).code(), "authorization_denied", "{lacking:?}");
    }
    assert_eq!(world.fetches.len(), 1, "what cannot be asked is refused");
}

#[test]
fn a_header_of_the_configuration_stands_in_place_of_the_gates_own() {
    let headers =
        ["content-type", "accept", "user-agent"].map(|name| json!({"name": name, "value": format!("my {name}")}));
    let mut world = World::new(&config(json!({"protocol": "authzen", "request_headers": headers})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    assert_eq!(world.ask_patiently(0, &request("/")).code(), "allowed");
    for name in ["content-type", "accept", "user-agent"] {
        let values: Vec<_> = world.fetches[0].call.headers().filter(|(known, _)| *known == name).collect();
        assert_eq!(values, [(name, &*format!("my {name}"))]);
    }
}

#[test]
fn opa_is_asked_by_its_data_api() {
    let mut world = World::new(&config(json!({"protocol": "opa"})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"result":true}"#));
    assert_eq!(world.ask_patiently(0, &request("/orders/42?x=1")).code(), "allowed");
    let body = sent(&world, 0);
    assert_eq!((&body["input"]["method"], &body["input"]["path"]), (&json!("GET"), &json!("/orders/42")));
    assert_eq!(body["input"]["claims"]["sub"], "ada");
    let mut world = World::new(&config(json!({"protocol": "opa", "input": {"user": "{claims.sub}"}})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"result":{"allow":true,"why":"x"}}"#));
    assert_eq!(world.ask_patiently(0, &request("/orders")).code(), "allowed");
    assert_eq!(sent(&world, 0), json!({"input": {"user": "ada"}}));
}

#[test]
fn only_a_clear_yes_lets_a_request_pass() {
    let ok = |body: &str| Reply::ok(body);
    let long = format!(r#"{{"decision":true,"context":"{}"}}"#, "x".repeat(64 * 1024));
    for (protocol, reply, code) in [
        ("authzen", ok(&long), "authorization_unavailable"),
        ("authzen", ok(r#"{"decision":true}"#), "allowed"),
        ("authzen", ok(r#"{"decision":true,"context":{}}"#), "allowed"),
        ("authzen", ok(r#"{"decision":false}"#), "authorization_denied"),
        ("authzen", ok(r#"{"decision":"true"}"#), "authorization_unavailable"),
        ("authzen", ok(r#"{"decision":1}"#), "authorization_unavailable"),
        ("authzen", ok(r#"{}"#), "authorization_unavailable"),
        ("authzen", ok(r#"{"decision":true,"decision":true}"#), "authorization_unavailable"),
        ("authzen", ok(r#"[true]"#), "authorization_unavailable"),
        ("authzen", ok(""), "authorization_unavailable"),
        ("authzen", Reply::status(403), "authorization_unavailable"),
        ("authzen", Reply::status(414), "authorization_unavailable"),
        ("authzen", Reply::status(500), "authorization_unavailable"),
        ("authzen", Reply::hangs(), "authorization_unavailable"),
        ("authzen", Reply::never(), "authorization_unavailable"),
        ("authzen", Reply::no_cluster(), "authorization_unavailable"),
        ("opa", ok(r#"{"result":true}"#), "allowed"),
        ("opa", ok(r#"{"result":{"allow":true}}"#), "allowed"),
        ("opa", ok(r#"{"result":false}"#), "authorization_denied"),
        ("opa", ok(r#"{"result":{"allow":false}}"#), "authorization_denied"),
        ("opa", ok(r#"{}"#), "authorization_denied"),
        ("opa", ok(r#"{"decision_id":"x"}"#), "authorization_denied"),
        ("opa", ok(r#"{"result":{}}"#), "authorization_unavailable"),
        ("opa", ok(r#"{"result":[true]}"#), "authorization_unavailable"),
        ("opa", ok(r#"true"#), "authorization_unavailable"),
        ("http", ok(""), "allowed"),
        ("http", Reply::status(403), "authorization_denied"),
        ("http", Reply::status(401), "authorization_denied"),
        ("http", Reply::status(204), "authorization_unavailable"),
        ("http", Reply::status(302), "authorization_unavailable"),
        ("http", Reply::status(404), "authorization_unavailable"),
        ("http", Reply::status(503), "authorization_unavailable"),
    ] {
        for on_error in ["deny", "allow"] {
            let mut world = World::new(&config(json!({"protocol": protocol, "on_error": on_error})), 1);
            world.issuer(SERVICE, reply.clone());
            let verdict = world.ask_patiently(0, &request("/"));
            // Silence and 5xx are an outage; what else is neither a yes nor a no is nothing that a client may bring about.
            let text = format!("{reply:?}");
            let is_outage = ["Status(5", "Hangs", "Never", "NoCluster"].iter().any(|kind| text.contains(kind));
            let expected = if is_outage && on_error == "allow" { "allowed" } else { code };
            assert_eq!(verdict.code(), expected, "{protocol} {reply:?} {on_error}");
            let status = match expected {
                "allowed" => 200,
                "authorization_denied" => 403,
                _ => 503,
            };
            assert_eq!(verdict.status(), status);
        }
    }
}

#[test]
fn the_service_is_not_asked_about_who_lacks_more_than_its_yes() {
    let mut world = World::new(&config(json!({"protocol": "authzen", "on_error": "allow"})), 1);
    let lacking = Request::get("/").bearer(&token().claim("scope", "write").mint());
    assert_eq!(world.ask(0, &lacking).code(), "scope_insufficient");
    let forged = Token::new(&Key::ed25519(9).named("one")).claim("scope", "read").mint();
    assert_eq!(world.ask(0, &Request::get("/").bearer(&forged)).code(), "signature_invalid");
    assert_eq!(world.ask(0, &Request::get("/")).code(), "token_missing");
    assert_eq!(world.fetches.len(), 0);
}

#[test]
fn http_brings_headers_for_the_service_behind_and_takes_a_clients_own() {
    let more = json!({"protocol": "http", "method": "HEAD", "response_headers": ["x-role", "x-limit"]});
    let mut world = World::new(&config(more), 1);
    world.issuer(SERVICE, Reply::ok("").header("x-role", "clerk").header("x-role", "admin").header("x-other", "1"));
    let asked = request("/").header("x-role", "root").header("X_Limit", "none");
    let verdict = world.ask_patiently(0, &asked);
    let fields = asked.edited(verdict.edits());
    let of = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(of("x-role"), ["clerk, admin"]);
    assert!(["x-limit", "x_limit", "x-other"].into_iter().all(|name| of(name).is_empty()), "{fields:?}");
    assert_eq!(header(&world, 0, ":method"), Some("HEAD"));
    world.issuer(SERVICE, Reply::ok("").header("x-role", "a\r\nb: c"));
    assert_eq!(world.ask_patiently(0, &asked).code(), "authorization_unavailable", "no header can be that");
}

#[test]
fn a_header_in_which_clients_send_tokens_can_be_set_and_is_theirs_where_no_service_is_asked() {
    let mut config = config(json!({"protocol": "http", "response_headers": ["authorization"]}));
    let public = json!({"match": {"prefix": "/public"}, "public": true});
    config["rules"].as_array_mut().unwrap().insert(0, public);
    let mut world = World::new(&config, 1);
    world.issuer(SERVICE, Reply::ok("").header("authorization", "Basic exchanged"));
    let asked = request("/");
    let fields = asked.edited(world.ask_patiently(0, &asked).edits());
    assert!(fields.contains(&("authorization".to_owned(), "Basic exchanged".to_owned())), "{fields:?}");
    let public = Request::get("/public").header("authorization", "Basic own");
    let fields = public.edited(world.ask(0, &public).edits());
    assert!(fields.contains(&("authorization".to_owned(), "Basic own".to_owned())), "{fields:?}");
}

#[test]
fn nothing_is_remembered_unless_the_configuration_says_so() {
    let mut world = World::new(&config(json!({"protocol": "authzen"})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    assert_eq!(world.ask_patiently(0, &request("/")).code(), "allowed");
    world.issuer(SERVICE, Reply::ok(r#"{"decision":false}"#));
    assert_eq!(world.ask_patiently(0, &request("/")).code(), "authorization_denied");
}

#[test]
fn a_decision_is_remembered_by_all_that_was_sent_and_never_beyond_the_tokens_life() {
    let cached = config(json!({"protocol": "authzen", "cache": {"ttl": "60s"}}));
    let mut world = World::new(&cached, 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    let other = Request::get("/a").bearer(&token().claim("sub", "bob").mint());
    let short = Request::get("/a").bearer(&token().claim("exp", NOW + 20).mint());
    for _ in 0..2 {
        for asked in [request("/a"), request("/b"), request("/a?x"), other.clone(), short.clone()] {
            assert_eq!(world.ask_patiently(0, &asked).code(), "allowed");
        }
    }
    assert_eq!(world.fetches.len(), 4, "/a and /b, bob, and another exp: the query is not sent");
    world.seconds_pass(25);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":false}"#));
    assert_eq!(world.ask(0, &request("/a")).code(), "allowed");
    assert_eq!(world.ask_patiently(0, &short).code(), "authorization_denied", "not for the skew beyond exp");
    world.seconds_pass(40);
    assert_eq!(world.ask_patiently(0, &request("/a")).code(), "authorization_denied");
    assert_eq!(world.ask(0, &request("/a")).code(), "authorization_denied", "a no is remembered, too");
}

#[test]
fn equal_questions_at_one_time_are_asked_once() {
    let mut world = World::new(&config(json!({"protocol": "authzen"})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#).after(Duration::from_millis(300)));
    let ids: Vec<_> = (0..50).map(|number| world.request(0, &request(["/a", "/b"][number % 2]))).collect();
    world.seconds_pass(1);
    for id in ids {
        assert_eq!(world.verdict(id).map(|verdict| verdict.code()), Some("allowed"));
    }
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn a_request_asks_one_service_after_the_other_in_any_host() {
    let introspection = json!({
        "http_uri": {"uri": "https://issuer.example/introspect", "cluster": "issuer", "timeout": "1s"},
        "client_id": "gate",
        "client_secret_env": "SECRET",
    });
    let mut both = config(json!({"protocol": "opa"}));
    both["providers"]["main"]["introspection"] = introspection;
    let claims =
        json!({"active": true, "iss": "https://issuer.example", "aud": "api", "exp": NOW + 600, "scope": "read"});
    for mut world in [World::new(&both, 1), World::without_waiting(&both, 1)] {
        let slowly = |body: &str| Reply::ok(body).after(Duration::from_millis(900));
        world.issuer("https://issuer.example/introspect", slowly(&claims.to_string()));
        world.issuer(SERVICE, slowly(r#"{"result":true}"#));
        assert_eq!(world.ask_patiently(0, &Request::get("/").bearer("opaque")).code(), "allowed");
        assert_eq!(world.fetches.len(), 2);
        world.settle();
    }
}

const ISSUERS_ENDPOINT: &str = "https://issuer.example/introspect";

/// Providers whose tokens their issuer is asked about, and then the service, which says no; but who cannot be asked may pass.
fn asked_twice(providers: usize, more: Value) -> Value {
    let introspection = json!({
        "http_uri": {"uri": ISSUERS_ENDPOINT, "cluster": "issuer", "timeout": "500ms"},
        "client_id": "gate",
        "client_secret_env": "SECRET",
        "cache": {"ttl": "0s", "negative_ttl": "0s"},
    });
    let provider = |number: usize| {
        let introspection = merged(introspection.clone(), json!({"client_id": format!("gate-{number}")}));
        json!({"allow_any_audience": true, "introspection": introspection, "from_params": ["t"]})
    };
    let names: Vec<String> = (0..providers).map(|number| format!("p{number}")).collect();
    let requirements: Vec<Value> = names.iter().map(|name| json!({"provider_name": name})).collect();
    let mut config = config(json!({"protocol": "authzen", "on_error": "allow"}));
    config["providers"] = names.iter().enumerate().map(|(number, name)| (name.clone(), provider(number))).collect();
    config["rules"][0]["requires"] = json!({"requires_any": {"requirements": requirements}});
    config["rules"][0]["authorize"]["scopes"] = Value::Null;
    merged(config, more)
}

fn active() -> String {
    json!({"active": true, "sub": "ada", "exp": NOW + 600}).to_string()
}

#[test]
fn who_is_answered_does_not_stand_in_line() {
    let mut world = World::new(&config(json!({"protocol": "authzen"})), 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#).after(Duration::from_millis(10)));
    for _ in 0..3 {
        let crowd: Vec<_> = (0..1000).map(|number| world.request(0, &request(&format!("/{number}")))).collect();
        world.advance(Duration::from_millis(15));
        let allowed = crowd.iter().filter(|&&id| world.verdict(id).is_some_and(|verdict| verdict.code() == "allowed"));
        assert_eq!(allowed.count(), crowd.len());
    }
}

#[test]
fn a_crowd_of_tokens_that_nobody_has_checked_leaves_room_for_good_ones() {
    let mut config = config(json!({"protocol": "authzen"}));
    config["providers"]["main"]["from_headers"] = json!([{"name": "authorization", "value_prefix": "Bearer "}]);
    config["providers"]["main"]["introspection"] = json!({
        "http_uri": {"uri": ISSUERS_ENDPOINT, "cluster": "issuer", "timeout": "30s"},
        "client_id": "gate",
        "client_secret_env": "SECRET",
    });
    let mut world = World::new(&config, 1);
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#));
    world.issuer(ISSUERS_ENDPOINT, Reply::never());
    let opaque = |number: usize| Request::get("/").bearer(&format!("opaque-{number}"));
    let crowd: Vec<_> = (0..MAX_WAITING + 10).map(|number| world.request(0, &opaque(number))).collect();
    let waiting = crowd.iter().filter(|&&id| world.verdict(id).is_none()).count();
    assert_eq!(waiting, MAX_WAITING);
    assert_eq!(world.ask_patiently(0, &request("/")).code(), "allowed");
    // Their room has an end, too.
    world.issuer(SERVICE, Reply::never());
    let known: Vec<_> = (0..MAX_WAITING).map(|number| world.request(0, &request(&format!("/{number}")))).collect();
    let waiting = known.iter().filter(|&&id| world.verdict(id).is_none()).count();
    assert_eq!(waiting, MAX_WAITING_KNOWN - MAX_WAITING);
}

#[test]
fn nobody_passes_a_service_unasked_because_too_many_ask_also_where_its_errors_let_requests_pass() {
    let mut world = World::new(&config(json!({"protocol": "authzen", "on_error": "allow"})), 1);
    world.issuer(SERVICE, Reply::never());
    let crowd: Vec<_> =
        (0..MAX_WAITING_KNOWN + 10).map(|number| world.request(0, &request(&format!("/{number}")))).collect();
    let (waiting, refused) = crowd.split_at(MAX_WAITING_KNOWN);
    assert!(waiting.iter().all(|&id| world.verdict(id).is_none()));
    assert!(refused.iter().all(|&id| world.verdict(id).is_some_and(|verdict| verdict.code() == "overloaded")));
}

#[test]
fn where_a_request_waits_in_its_own_context_nothing_waits_with_it_that_services_believe() {
    let mut config = config(json!({"protocol": "authzen"}));
    config["providers"]["main"]["claim_to_headers"] = json!([{"header_name": "x-user", "claim_name": "sub"}]);
    let as_eve = || request("/").header("x-user", "eve").header("x_user", "eve");
    let yes = || Reply::ok(r#"{"decision":true}"#).after(Duration::from_millis(10));
    let mut world = World::without_waiting(&config, 1);
    world.issuer(SERVICE, yes());
    world.request(0, &as_eve());
    assert_eq!(world.removed, ["x-user", "x_user"]);
    // Elsewhere it is edited once, when it goes on.
    let mut world = World::new(&config, 1);
    world.issuer(SERVICE, yes());
    world.request(0, &as_eve());
    assert_eq!(world.removed, [""; 0]);
}

#[test]
fn nobody_passes_because_there_was_no_time_to_ask() {
    let config = asked_twice(1, json!({}));
    for mut world in [World::new(&config, 1), World::without_waiting(&config, 1)] {
        world.issuer(SERVICE, Reply::ok(r#"{"decision":false}"#));
        let slowly = |body: &str| Reply::ok(body).after(Duration::from_millis(100));
        world.issuer(ISSUERS_ENDPOINT, slowly(r#"{"active":false}"#));
        let crowd: Vec<_> =
            (0..1000).map(|number| world.request(0, &Request::get(&format!("/?t=x{number}")))).collect();
        world.issuer(ISSUERS_ENDPOINT, slowly(&active()));
        let last = world.request(0, &Request::get("/?t=good"));
        world.seconds_pass(5);
        assert!(crowd.iter().all(|&id| world.verdict(id).unwrap().code() == "token_inactive"));
        assert_eq!(world.verdict(last).unwrap().code(), "authorization_denied");
    }
}

#[test]
fn nobody_passes_because_there_was_no_room_to_ask() {
    for (issuers, code) in [(15, "authorization_denied"), (16, "overloaded")] {
        let any = asked_twice(issuers, json!({}));
        // Where one is asked after the other, the first that knows the token is enough for the other form.
        let mut all = any.clone();
        let requirements = all["rules"][0]["requires"]["requires_any"].take();
        all["rules"][0]["requires"] = json!({ "requires_all": requirements });
        for mut world in [World::new(&any, 1), World::new(&all, 1), World::without_waiting(&all, 1)] {
            world.issuer(SERVICE, Reply::ok(r#"{"decision":false}"#));
            world.issuer(ISSUERS_ENDPOINT, Reply::ok(active()).after(Duration::from_millis(100)));
            assert_eq!(world.ask_patiently(0, &Request::get("/?t=a")).code(), code, "{issuers}");
        }
    }
}

#[test]
fn what_a_request_asked_in_vain_before_it_was_decided_is_asked_again_for_the_next() {
    let mut config = asked_twice(2, json!({"bad_token_beside_good": "ignore"}));
    config["rules"][0]["authorize"] = Value::Null;
    let slow = "https://slow.example/introspect";
    config["providers"]["p1"]["introspection"]["http_uri"]["uri"] = slow.into();
    let mut world = World::new(&config, 1);
    world.issuer(ISSUERS_ENDPOINT, Reply::ok(active()).after(Duration::from_millis(5)));
    world.issuer(slow, Reply::never());
    let first = world.request(0, &Request::get("/?t=token"));
    world.advance(Duration::from_millis(10));
    assert_eq!(world.verdict(first).map(|verdict| verdict.code()), Some("allowed"));
    // Its call to the other issuer ends with it, without a word.
    world.issuer(slow, Reply::ok(r#"{"active":false}"#).after(Duration::from_millis(400)));
    world.issuer(ISSUERS_ENDPOINT, Reply::ok(r#"{"active":false}"#).after(Duration::from_millis(5)));
    let second = world.request(0, &Request::get("/?t=token"));
    world.advance(Duration::from_millis(450));
    assert_eq!(world.verdict(second).map(|verdict| verdict.code()), Some("token_inactive"));
}
