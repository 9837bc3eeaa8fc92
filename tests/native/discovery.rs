//! `discovery`: the issuer says where its keys are.

use std::time::Duration;

use serde_json::{json, Value};

use crate::mint::{Key, Token, AUDIENCE};
use crate::world::{merged, Reply, Request, World};

const ISSUER: &str = "https://issuer.example/tenants/a";
const OPENID: &str = "https://issuer.example/tenants/a/.well-known/openid-configuration";
const OAUTH: &str = "https://issuer.example/.well-known/oauth-authorization-server/tenants/a";
const KEYS: &str = "https://keys.example/a?v=1";

fn config(more: Value) -> Value {
    let discovery = merged(json!({"cluster": "issuer", "jwks_cluster": "keys", "timeout": "2s"}), more);
    json!({"providers": {"main": {"issuer": ISSUER, "audiences": [AUDIENCE], "discovery": discovery}}})
}

fn document() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": KEYS, "grant_types_supported": ["authorization_code"]})
}

fn key() -> Key {
    Key::ed25519(1).named("one")
}

fn good() -> Request {
    Request::get("/").bearer(&Token::new(&key()).claim("iss", ISSUER).mint())
}

fn uris(world: &World) -> Vec<(&str, &str)> {
    world.fetches.iter().map(|fetch| (fetch.call.cluster.as_str(), fetch.uri.as_str())).collect()
}

#[test]
fn the_keys_are_fetched_from_where_the_issuer_says_that_they_are() {
    for (address, calls) in [(OPENID, &[OPENID][..]), (OAUTH, &[OPENID, OAUTH][..])] {
        let mut world = World::new(&config(json!({})), 3);
        world.issuer(OPENID, Reply::status(404));
        world.issuer(address, Reply::ok(document().to_string()));
        world.issuer(KEYS, Reply::keys(&[&key()]));
        assert_eq!(world.ask_patiently(0, &good()).code(), "allowed", "{address}");
        world.seconds_pass(1);
        for vm in 0..3 {
            assert_eq!(world.ask(vm, &good()).code(), "allowed", "VM {vm}: one fetch serves all");
        }
        let expected: Vec<_> = calls.iter().map(|uri| ("issuer", *uri)).chain([("keys", KEYS)]).collect();
        assert_eq!(uris(&world), expected);
        assert_eq!((world.count("jwt_gate_jwks_fetch_ok"), world.count("jwt_gate_jwks_fetch_failed")), (1, 0));
    }
}

#[test]
fn the_keys_come_from_the_cluster_of_the_document_where_no_other_is_named() {
    let mut world = World::new(&config(json!({"jwks_cluster": null})), 1);
    world.issuer(OPENID, Reply::ok(document().to_string()));
    world.issuer(KEYS, Reply::keys(&[&key()]));
    assert_eq!(world.ask_patiently(0, &good()).code(), "allowed");
    assert_eq!(uris(&world), [("issuer", OPENID), ("issuer", KEYS)]);
}

#[test]
fn a_document_that_is_none_of_the_issuers_brings_no_keys() {
    let other = |more: Value| merged(document(), more).to_string();
    for (body, problem) in [
        (other(json!({"issuer": "https://issuer.example/tenants/b"})), "\"issuer\" is not the configured issuer"),
        (other(json!({"issuer": format!("{ISSUER}/")})), "\"issuer\" is not the configured issuer"),
        (other(json!({"issuer": null})), "\"issuer\" is not the configured issuer"),
        (other(json!({"issuer": [ISSUER]})), "\"issuer\" is not the configured issuer"),
        (other(json!({"jwks_uri": null})), "\"jwks_uri\" is no address"),
        (other(json!({"jwks_uri": "file:///etc/passwd"})), "\"jwks_uri\" is no address"),
        (other(json!({"jwks_uri": "https://keys.example/\r\nx: y"})), "\"jwks_uri\" is no address"),
        (other(json!({"jwks_uri": "/keys"})), "\"jwks_uri\" is no address"),
        ("<html>".to_owned(), "no strict JSON"),
        ("[]".to_owned(), "\"issuer\" is not the configured issuer"),
        (format!("{{\"issuer\":\"{ISSUER}\",\"issuer\":\"{ISSUER}\",\"jwks_uri\":\"{KEYS}\"}}"), "no strict JSON"),
        (" ".repeat(65 * 1024), "the answer has more than 65536 bytes"),
    ] {
        let mut world = World::new(&config(json!({})), 1);
        world.issuer(OPENID, Reply::ok(&body));
        world.issuer(OAUTH, Reply::status(404));
        world.issuer(KEYS, Reply::keys(&[&key()]));
        let verdict = world.ask_patiently(0, &good());
        assert_eq!((verdict.code(), verdict.status()), ("keys_unavailable", 503), "{body}");
        assert!(world.fetches.iter().all(|fetch| fetch.uri != KEYS), "{body}");
        let log = world.logs.iter().find(|(_, line)| line.contains("discovery")).map(|(_, line)| line.as_str());
        let expected = format!("openid-configuration: {problem}; oauth-authorization-server: status 404");
        assert!(log.is_some_and(|line| line.contains(&expected)), "{log:?}, not {expected}");
        world.issuer(OPENID, Reply::ok(document().to_string()));
        assert_eq!(world.ask_patiently(0, &good()).code(), "keys_unavailable", "the next attempt has its time");
        world.seconds_pass(65);
        let later = Request::get("/").bearer(&Token::at(&key(), world.seconds()).claim("iss", ISSUER).mint());
        assert_eq!(world.ask(0, &later).code(), "allowed", "{body}: it recovers by itself");
    }
}

#[test]
fn keys_that_moved_are_fetched_anew_and_without_the_etag_of_the_old_place() {
    let mut world = World::new(&config(json!({"cache_duration": "10s"})), 1);
    world.issuer(OPENID, Reply::ok(document().to_string()));
    world.issuer(KEYS, Reply::keys(&[&key()]).etag("\"a\""));
    world.seconds_pass(10);
    let moved = "https://keys.example/b";
    world.issuer(OPENID, Reply::ok(merged(document(), json!({"jwks_uri": moved})).to_string()));
    world.issuer(moved, Reply::keys(&[&Key::ed25519(2).named("two")]).etag("\"a\""));
    world.seconds_pass(20);
    let conditions: Vec<_> = world
        .fetches
        .iter()
        .filter(|fetch| fetch.uri != OPENID)
        .map(|fetch| (fetch.uri.as_str(), fetch.if_none_match.as_deref()))
        .collect();
    assert_eq!(conditions[..3], [(KEYS, None), (KEYS, Some("\"a\"")), (moved, None)], "{conditions:?}");
    let old = Request::get("/").bearer(&Token::at(&key(), world.seconds()).claim("iss", ISSUER).mint());
    assert_eq!(world.ask_patiently(0, &old).code(), "key_unknown");
}

#[test]
fn an_etag_goes_to_no_other_place_whatever_failed_there_and_whoever_asks() {
    let moved = "https://keys.example/b";
    let new = Key::ed25519(2).named("two");
    for taken_up in [false, true] {
        let mut world = World::new(&config(json!({"cache_duration": "10s"})), 3);
        world.issuer(OPENID, Reply::ok(document().to_string()));
        world.issuer(KEYS, Reply::keys(&[&key()]).etag("\"a\""));
        world.seconds_pass(1);
        world.issuer(OPENID, Reply::ok(merged(document(), json!({"jwks_uri": moved})).to_string()));
        if taken_up {
            // Those that take up what others fetched know its place from them alone.
            world.configure_at_once(&config(json!({"cache_duration": "11s"})), 3);
            world.issuer(moved, Reply::keys(&[&new]).etag("\"a\""));
        } else {
            world.issuer(moved, Reply::status(500));
        }
        world.seconds_pass(12);
        world.issuer(moved, Reply::keys(&[&new]).etag("\"a\""));
        world.seconds_pass(30);
        let conditions: Vec<_> =
            world.fetches.iter().filter(|fetch| fetch.uri == moved).map(|fetch| fetch.if_none_match.clone()).collect();
        let unknown_there = conditions.iter().take_while(|condition| condition.is_none()).count();
        assert!(unknown_there >= if taken_up { 1 } else { 2 }, "{taken_up}: {conditions:?}");
        assert_eq!(conditions.last(), Some(&Some("\"a\"".to_owned())), "{taken_up}: {conditions:?}");
        for vm in 0..3 {
            let token = Token::at(&new, world.seconds()).claim("iss", ISSUER).mint();
            assert_eq!(world.ask(vm, &Request::get("/").bearer(&token)).code(), "allowed", "{taken_up}, VM {vm}");
        }
    }
}

#[test]
fn an_etag_goes_to_its_own_place_after_a_failure_and_from_those_that_take_it_up() {
    let mut world = World::new(&config(json!({"cache_duration": "10s"})), 3);
    world.issuer(OPENID, Reply::ok(document().to_string()));
    world.issuer(KEYS, Reply::keys(&[&key()]).etag("\"a\""));
    world.seconds_pass(1);
    world.issuer(KEYS, Reply::status(500));
    world.seconds_pass(12);
    world.issuer(KEYS, Reply::keys(&[&key()]).etag("\"a\""));
    world.configure_at_once(&config(json!({"cache_duration": "11s"})), 3);
    world.seconds_pass(20);
    let asked: Vec<_> =
        world.fetches.iter().filter(|fetch| fetch.uri == KEYS).map(|fetch| &fetch.if_none_match).collect();
    assert!(asked.len() >= 4, "{asked:?}");
    assert!(asked[1..].iter().all(|condition| condition.as_deref() == Some("\"a\"")), "{asked:?}");
}

#[test]
fn a_host_that_cannot_hold_requests_discovers_in_the_context_of_one() {
    let mut world = World::without_waiting(&config(json!({})), 1);
    world.issuer(OPENID, Reply::status(404));
    world.issuer(OAUTH, Reply::ok(document().to_string()));
    world.issuer(KEYS, Reply::keys(&[&key()]));
    let (one, beside) = (world.request(0, &good()), world.request(0, &good()));
    world.seconds_pass(1);
    for id in [one, beside] {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    }
    assert_eq!(world.ask(0, &good()).code(), "allowed");
}

#[test]
fn a_host_that_cannot_hold_requests_calls_for_the_next_document_after_what_it_took_to_discover_the_first() {
    const OTHER: &str = "http://other.example/jwks";
    let mut config = config(json!({}));
    config["providers"]["other"] = json!({
        "issuer": "https://other.example",
        "audiences": [AUDIENCE],
        "remote_jwks": {"http_uri": {"uri": OTHER, "cluster": "other", "timeout": "2s"}},
    });
    let any = json!({"requires_any": {"requirements": [{"provider_name": "main"}, {"provider_name": "other"}]}});
    config["rules"] = json!([{"match": {"prefix": "/"}, "requires": any}]);
    let mut world = World::without_waiting(&config, 1);
    let quickly = Duration::from_millis(200);
    world.issuer(OPENID, Reply::ok(document().to_string()).after(quickly));
    world.issuer(KEYS, Reply::keys(&[&Key::ed25519(2).named("two")]).after(quickly));
    world.issuer(OTHER, Reply::keys(&[&key()]).after(Duration::from_millis(1500)));
    // Both are being fetched by a tick.
    world.advance(Duration::from_millis(120));
    assert_eq!(uris(&world), [("issuer", OPENID), ("other", OTHER)]);
    let token = Token::new(&key()).claim("iss", "https://other.example").mint();
    let id = world.request(0, &Request::get("/").bearer(&token));
    world.seconds_pass(4);
    assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
}
