//! An upstream that the host does not know, or has not found yet: nothing is sent, and nobody has failed.

use std::time::Duration;

use jwt_gate::limits::{MAX_WAITING, NOT_SENT_PAUSES, WAIT_MARGIN};
use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

fn key() -> Key {
    Key::ed25519(1).named("one")
}

fn config(more: Value) -> Value {
    json!({"providers": {"main": remote(more)}})
}

fn good(world: &World) -> Request {
    Request::get("/").bearer(&Token::at(&key(), world.seconds()).mint())
}

#[test]
fn a_request_waits_for_keys_while_the_host_still_looks_for_their_upstream() {
    for seconds in [0, 1, 3, 8, 14, 30, NOT_SENT_PAUSES * 3 / 4 - 2] {
        for found_after in [100, 1000] {
            let mut world = World::new(&config(json!({})), 4);
            world.issuer(JWKS, Reply::no_cluster());
            world.seconds_pass(seconds);
            let (began, request) = (world.elapsed(), good(&world));
            let id = world.request(1, &request);
            world.advance(Duration::from_millis(found_after));
            world.issuer(JWKS, Reply::keys(&[&key()]));
            while world.verdict(id).is_none() {
                world.advance(Duration::from_millis(100));
            }
            let code = world.verdict(id).expect("it was decided").code();
            assert_eq!(code, "allowed", "found {found_after} ms after a request at {seconds} s");
            assert!(world.elapsed() - began < found_after + 1500, "{} ms", world.elapsed() - began);
        }
    }
}

#[test]
fn an_upstream_that_never_comes_is_looked_for_once_a_minute_in_the_end_and_nobody_waits_for_it() {
    let mut world = World::new(&config(json!({})), 4);
    world.issuer(JWKS, Reply::no_cluster());
    let request = good(&world);
    let began = world.elapsed();
    let refused = world.ask_patiently(1, &request);
    assert_eq!((refused.code(), refused.status()), ("keys_unavailable", 503));
    let longest = Duration::from_secs(3) + WAIT_MARGIN;
    assert!(u128::from(world.elapsed() - began) <= longest.as_millis(), "{} ms", world.elapsed() - began);

    world.seconds_pass(600);
    let request = good(&world);
    assert_eq!(world.ask(2, &request).code(), "keys_unavailable", "at once");
    world.seconds_pass(3000);
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    let pauses: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (early, late) = pauses.split_at(NOT_SENT_PAUSES as usize - 1);
    assert!(early.iter().all(|pause| (700..=1200).contains(pause)), "{early:?}");
    assert!(late.len() < 80 && late.iter().rev().take(40).all(|pause| (45_000..=60_200).contains(pause)), "{late:?}");
    let lines = world.logged(Level::Warn);
    assert!(
        lines.len() < late.len() + 10 && lines.iter().all(|line| line.contains("no upstream \"issuer\"")),
        "{lines:?}"
    );

    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(65);
    let request = good(&world);
    assert_eq!(world.ask(3, &request).code(), "allowed", "it recovers by itself");
}

#[test]
fn an_upstream_that_is_found_late_costs_no_longer_pause_than_a_second_whatever_the_configuration_says_of_failures() {
    let policy = json!({"num_retries": 3, "retry_back_off": {"base_interval": "0.2s", "max_interval": "0.4s"}});
    for more in [
        json!({"async_fetch": {"failed_refetch_duration": "60s"}}),
        json!({"async_fetch": {"failed_refetch_duration": "0.1s"}}),
        json!({"retry_policy": policy}),
        json!({"async_fetch": {"failed_refetch_duration": "60s"}, "retry_policy": policy}),
    ] {
        let mut world = World::new(&config(json!({"remote_jwks": more})), 2);
        world.issuer(JWKS, Reply::no_cluster());
        world.seconds_pass(30);
        assert!((30..=45).contains(&world.fetches.len()), "{more}: {}", world.fetches.len());
        let request = good(&world);
        let id = world.request(0, &request);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        world.advance(Duration::from_millis(1300));
        assert_eq!(world.verdict(id).map(|verdict| verdict.code()), Some("allowed"), "{more}");
    }
}

#[test]
fn the_first_failure_of_an_upstream_that_was_found_late_is_the_first() {
    let policy = json!({"num_retries": 3, "retry_back_off": {"base_interval": "0.2s", "max_interval": "0.4s"}});
    let mut world = World::new(&config(json!({"remote_jwks": {"retry_policy": policy}})), 2);
    world.issuer(JWKS, Reply::no_cluster());
    world.seconds_pass(1);
    let request = good(&world);
    let id = world.request(0, &request);
    world.issuer(JWKS, Reply::status(503));
    let before = world.fetches.len();
    while world.fetches.len() == before {
        world.advance(Duration::from_millis(50));
    }
    world.advance(Duration::from_millis(100));
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.advance(Duration::from_millis(900));
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    assert_eq!(
        world.verdict(id).map(|verdict| verdict.code()),
        Some("allowed"),
        "it waits for the next attempt: {at:?}"
    );
}

#[test]
fn an_issuer_that_says_where_its_keys_are_is_not_asked_each_second_since_their_upstream_is_missing() {
    let issuer = "https://issuer.example";
    let discovery = json!({
        "issuer": issuer,
        "remote_jwks": null,
        "discovery": {"cluster": "issuer", "jwks_cluster": "keys", "timeout": "2s"},
    });
    let mut world = World::new(&config(discovery), 2);
    let metadata = json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
    world.issuer(&format!("{issuer}/.well-known/openid-configuration"), Reply::ok(metadata));
    world.issuer(JWKS, Reply::no_cluster());
    world.seconds_pass(60);
    let asked = world.fetches.iter().filter(|fetch| fetch.uri.contains("well-known")).count();
    assert!((4..=8).contains(&asked), "{asked} times");
}

#[test]
fn an_upstream_that_is_gone_for_a_while_makes_no_long_pauses_and_the_keys_stay() {
    let mut world = World::new(&config(json!({"remote_jwks": {"cache_duration": "10s"}})), 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::no_cluster());
    world.seconds_pass(40);
    let request = good(&world);
    assert_eq!(world.ask(0, &request).code(), "allowed");
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(2).named("two")]));
    world.seconds_pass(2);
    let request = Request::get("/").bearer(&Token::at(&Key::ed25519(2).named("two"), world.seconds()).mint());
    assert_eq!(world.ask(1, &request).code(), "allowed");
}

#[test]
fn a_token_waits_for_the_first_revocation_list_also_where_none_lets_it_pass() {
    let allowing = merged(revoking(json!({"on_unavailable": "allow"})), json!({}));
    let config = json!({"providers": {"main": local(&[&key()], allowing)}});
    let of =
        |world: &World, id: &str| Request::get("/").bearer(&Token::at(&key(), world.seconds()).claim("jti", id).mint());
    let list = || Reply::revoked(json!([{"jti": "gone"}]));
    for (what, first, revoked, within) in [
        ("at once", list(), "token_revoked", 300),
        ("after a second", list().after(Duration::from_secs(1)), "token_revoked", 1300),
        ("once its upstream is found", Reply::no_cluster(), "token_revoked", 1500),
        ("never: its upstream is not there", Reply::no_cluster(), "allowed", 3300),
        ("never: it fails", Reply::status(500), "allowed", 300),
        ("never: it hangs", Reply::hangs(), "allowed", 2300),
    ] {
        let mut world = World::new(&config, 4);
        world.issuer(REVOKED, first);
        let requests = [(1, of(&world, "gone"), revoked), (2, of(&world, "here"), "allowed")];
        let ids = requests.map(|(vm, request, expected)| (world.request(vm, &request), expected));
        world.advance(Duration::from_millis(200));
        if what.contains("is found") {
            world.issuer(REVOKED, list());
        }
        while ids.iter().any(|(id, _)| world.verdict(*id).is_none()) {
            world.advance(Duration::from_millis(50));
        }
        assert!(world.elapsed() <= within, "{what}: {} ms", world.elapsed());
        for (id, expected) in ids {
            assert_eq!(world.verdict(id).expect("it was decided").code(), expected, "{what}");
        }
        // In the outage that follows nobody waits.
        if revoked == "allowed" {
            world.seconds_pass(1);
            for _ in 0..200 {
                let request = of(&world, "gone");
                assert_eq!(world.ask(3, &request).code(), "allowed", "{what}");
                world.advance(Duration::from_millis(500));
            }
        }
    }
}

#[test]
fn of_a_crowd_that_waits_for_a_list_without_which_tokens_pass_nobody_is_refused() {
    let allowing = || revoking(json!({"on_unavailable": "allow"}));
    let mut world = World::new(&json!({"providers": {"main": local(&[&key()], allowing())}}), 1);
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "7"}])).after(Duration::from_secs(1)));
    let of = |id: usize| Request::get("/").bearer(&Token::new(&key()).claim("jti", id.to_string()).mint());
    let crowd: Vec<_> = (0..MAX_WAITING).map(|id| world.request(0, &of(id))).collect();
    let waiting = crowd.iter().filter(|&&id| world.verdict(id).is_none()).count();
    assert_eq!(waiting, MAX_WAITING / 4, "the other places are for those who cannot pass without");
    world.seconds_pass(10);
    for (number, id) in crowd.into_iter().enumerate() {
        let expected = if number == 7 { "token_revoked" } else { "allowed" };
        assert_eq!(world.verdict(id).expect("it was decided").code(), expected, "{number}");
    }
}

#[test]
fn a_crowd_that_a_service_has_let_pass_takes_no_places_for_a_list_without_which_it_passes() {
    const SERVICE: &str = "http://authz.example/decide";
    let allowing = revoking(json!({"on_unavailable": "allow"}));
    let service = json!({"http_uri": {"uri": SERVICE, "cluster": "authz", "timeout": "1s"}, "protocol": "authzen"});
    let config = json!({
        "providers": {"main": local(&[&key()], allowing)},
        "rules": [{
            "match": {"prefix": "/"},
            "requires": {"provider_name": "main"},
            "authorize": {"service": service},
        }],
    });
    let mut world = World::new(&config, 1);
    world.issuer(REVOKED, Reply::hangs());
    world.issuer(SERVICE, Reply::ok(r#"{"decision":true}"#).after(Duration::from_millis(20)));
    let of = |id: usize| Request::get(&format!("/{id}")).bearer(&Token::new(&key()).mint());
    let crowd: Vec<_> = (0..MAX_WAITING / 2).map(|id| world.request(0, &of(id))).collect();
    world.advance(Duration::from_millis(1500));
    let waiting = crowd.iter().filter(|&&id| world.verdict(id).is_none()).count();
    assert_eq!(waiting, MAX_WAITING / 4);
    world.seconds_pass(10);
    assert!(crowd.iter().all(|&id| world.verdict(id).is_some_and(|verdict| verdict.code() == "allowed")));
}
