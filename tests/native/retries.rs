//! `retry_policy`: how often and how soon a fetch is tried again, and that all of its attempts share one time.

use std::time::Duration;

use jwt_gate::limits::TICK;
use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token, AUDIENCE};
use crate::world::{merged, remote, Fetch, Reply, Request, World, JWKS};

/// Longer than any other pause, so that it can be told from a retry.
const FAILED: &str = "300s";
const LONG: u64 = 300_000;

/// A fetch may take so long, with all of its attempts.
fn config(timeout: &str, more: Value) -> Value {
    let pace = json!({
        "http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": timeout},
        "async_fetch": {"failed_refetch_duration": FAILED},
    });
    json!({"providers": {"main": remote(json!({"remote_jwks": merged(pace, more)}))}})
}

fn policy(retries: u64, base: &str) -> Value {
    json!({"retry_policy": {"num_retries": retries, "retry_back_off": {"base_interval": base}}})
}

/// As often as a VM looks.
fn hasty() -> Value {
    let pauses = json!({"base_interval": "0.1s", "max_interval": "0.1s"});
    json!({"retry_policy": {"num_retries": 1000, "retry_back_off": pauses}})
}

fn key() -> Key {
    Key::ed25519(1).named("one")
}

/// From each fetch to the next, in milliseconds.
fn gaps(world: &World) -> Vec<u64> {
    world.fetches.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

/// Whether a pause can be any part of the longest, though never shorter than a tick. Answers and ticks take some time, too.
fn is_jittered((gap, longest): (&u64, &u64)) -> bool {
    (100..=longest.max(&100) + 200).contains(gap)
}

/// Lets the answer to what was asked last arrive.
fn is_answered(world: &mut World) {
    let failed = world.count("jwt_gate_jwks_fetch_failed");
    while world.count("jwt_gate_jwks_fetch_failed") == failed {
        world.advance(Duration::from_millis(10));
    }
}

#[test]
fn a_fetch_is_tried_again_as_often_and_as_soon_as_retry_policy_says() {
    for (more, pauses) in [
        (json!({}), &[][..]),
        (json!({"retry_policy": {"num_retries": 0}}), &[]),
        (json!({"retry_policy": {}}), &[1000]),
        (json!({"retry_policy": {"num_retries": 6}}), &[1000, 2000, 4000, 8000, 10_000, 10_000]),
        (
            json!({"retry_policy": {
                "num_retries": 3,
                "retry_back_off": {"base_interval": "2s", "max_interval": "5s"},
            }}),
            &[2000, 4000, 5000],
        ),
        // What Envoy's own documentation shows. No VM looks more often than ten times a second.
        (
            json!({"retry_policy": {
                "num_retries": 4,
                "retry_back_off": {"base_interval": "0.01s", "max_interval": "20s"},
            }}),
            &[100, 100, 100, 100],
        ),
    ] {
        for semantics in ["jwt_gate", "jwt_authn"] {
            let mut config = config("60s", more.clone());
            config["semantics"] = json!(semantics);
            let mut world = World::new(&config, 4);
            world.issuer(JWKS, Reply::status(500));
            world.seconds_pass(290);
            let gaps = gaps(&world);
            let are_these = gaps.len() == pauses.len() && gaps.iter().zip(pauses).all(is_jittered);
            assert!(are_these, "{semantics}, {more}: {gaps:?}");
            world.seconds_pass(60);
            assert!(world.fetches.len() > pauses.len() + 1, "the pause of five minutes is over");
        }
    }
}

#[test]
fn all_attempts_of_a_fetch_share_its_timeout_whichever_worker_makes_them() {
    let mut world = World::new(&config("5s", json!({"retry_policy": {"num_retries": 9}})), 4);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(310);
    // Two pauses of at most 1 s and 2 s fit always.
    let is_next = |_: &Fetch, next: &Fetch| next.at < LONG;
    let of_one: Vec<&[Fetch]> = world.fetches.chunk_by(is_next).collect();
    let [first, ..] = of_one[..] else { panic!("no fetch") };
    assert!((3..=10).contains(&first.len()), "{:?}", gaps(&world));
    for attempt in first {
        let left = Duration::from_millis(5000_u64.saturating_sub(attempt.at - first[0].at)).max(TICK);
        assert_eq!(attempt.call.timeout, left, "{:?}", gaps(&world));
    }
    let next = world.fetches.get(first.len()).expect("another fetch follows");
    assert!(next.at >= LONG && next.call.timeout == Duration::from_secs(5), "{:?}", gaps(&world));

    let says = |what| world.logged(Level::Warn).iter().filter(|line| line.contains(what)).count();
    assert_eq!(says("(1 failed in a row, and is tried again): status 500"), first.len() - 1, "{:?}", world.logs);
    assert_eq!(says("(1 failed in a row): status 500"), 1, "{:?}", world.logs);
    assert!(says("(2 failed in a row, and is tried again): status 500") >= 1, "{:?}", world.logs);
}

#[test]
fn pauses_between_fetches_grow_by_the_fetch_and_not_by_its_attempts() {
    let policy = policy(2, "0.2s");
    let mut world = World::new(&json!({"providers": {"main": remote(json!({ "remote_jwks": policy }))}}), 4);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(20);
    let gaps = gaps(&world);
    assert!(gaps.len() >= 12, "{gaps:?}");
    for (attempts, longest) in gaps.chunks(3).zip([1000, 2000, 4000, 8000]) {
        assert!(attempts.iter().zip(&[200, 400]).all(is_jittered), "{gaps:?}");
        assert!((longest * 3 / 4..=longest + 200).contains(&attempts[2]), "{gaps:?}");
    }
}

#[test]
fn an_attempt_that_comes_late_still_has_some_time_and_is_the_last() {
    // As after a machine that slept for so many seconds.
    for (slept, timeout) in [(2, TICK), (4, Duration::from_secs(2)), (3600, Duration::from_secs(2))] {
        let mut world = World::new(&config("2s", policy(9, "1s")), 2);
        world.issuer(JWKS, Reply::status(500));
        is_answered(&mut world);
        assert_eq!(world.fetches.len(), 1);
        world.step_clock(slept);
        world.seconds_pass(60);
        assert_eq!(world.fetches.len(), 2, "{slept}: {:?}", gaps(&world));
        assert_eq!(world.fetches[1].call.timeout, timeout, "{slept}");
    }
}

#[test]
fn a_clock_that_is_set_back_gives_a_fetch_no_more_than_its_time_once_more() {
    let mut world = World::new(&config("5s", hasty()), 2);
    world.issuer(JWKS, Reply::status(500));
    is_answered(&mut world);
    world.step_clock(-3600);
    world.seconds_pass(60);
    let fetches = world.fetches.len();
    assert!((20..=120).contains(&fetches), "{fetches}");
    assert!(world.fetches.last().is_some_and(|last| last.at < 12_000), "{:?}", gaps(&world));
}

#[test]
fn unknown_keys_in_between_give_a_fetch_that_fails_no_more_time() {
    // So that there is time for others in between.
    let pauses = json!({"num_retries": 1000, "retry_back_off": {"base_interval": "0.5s", "max_interval": "0.5s"}});
    let refreshed = json!({"retry_policy": pauses, "cache_duration": "10s", "refetch_cooldown": "1s"});
    let mut world = World::new(&config("5s", refreshed), 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::status(500));
    for second in 0..40 {
        let unknown = Token::at(&Key::ed25519(2).named(&format!("key {second}")), world.seconds()).mint();
        world.request(0, &Request::get("/").bearer(&unknown));
        world.seconds_pass(1);
    }
    // Others ask for one in each second at most.
    let gaps = gaps(&world);
    let tried_again: u64 = gaps.iter().filter(|&&gap| gap < 1000).sum();
    assert!((3000..=5500).contains(&tried_again), "{tried_again} ms of {gaps:?}");
}

#[test]
fn a_fetch_for_an_unknown_key_has_one_attempt_until_the_cooldown_is_over() {
    let more = merged(policy(3, "0.1s"), json!({"refetch_cooldown": "30s"}));
    let mut world = World::new(&config("5s", more), 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::status(503));
    for (seconds, fetches) in [(20, 2), (11, 2), (5, 3)] {
        let unknown = Token::at(&Key::ed25519(2).named("two"), world.seconds()).mint();
        world.request(0, &Request::get("/").bearer(&unknown));
        world.seconds_pass(seconds);
        assert_eq!(world.fetches.len(), fetches, "{:?}", gaps(&world));
    }
}

#[test]
fn an_attempt_that_a_reload_cuts_off_is_made_again_with_the_time_that_it_had() {
    let config = config("5s", policy(9, "0.5s"));
    let mut world = World::new(&config, 2);
    world.issuer(JWKS, Reply::status(500));
    is_answered(&mut world);
    world.issuer(JWKS, Reply::keys(&[&key()]).after(Duration::from_secs(4)));
    world.seconds_pass(3);
    assert_eq!(world.fetches.len(), 2, "{:?}", gaps(&world));
    world.configure_at_once(&config, 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(1);
    let [_, cut_off, again] = &world.fetches[..] else { panic!("{:?}", gaps(&world)) };
    assert!(cut_off.call.timeout > Duration::from_secs(4), "{:?}", cut_off.call.timeout);
    let lost = cut_off.call.timeout.abs_diff(again.call.timeout);
    assert!(lost <= 2 * TICK, "{:?} and {:?}", cut_off.call.timeout, again.call.timeout);
    assert_eq!(world.ask(0, &Request::get("/").bearer(&Token::at(&key(), world.seconds()).mint())).code(), "allowed");
}

#[test]
fn only_what_another_attempt_may_mend_is_tried_again_and_only_while_time_is_left() {
    for (reply, is_tried_again) in [
        (Reply::status(500), true),
        (Reply::status(503), true),
        // That took all of it.
        (Reply::hangs(), false),
        (Reply::status(404), false),
        (Reply::status(302), false),
        (Reply::status(304), false),
        (Reply::ok("<html>"), false),
        (Reply::ok(r#"{"keys": []}"#), false),
    ] {
        let mut world = World::new(&config("2s", policy(2, "0.2s")), 2);
        world.issuer(JWKS, reply.clone());
        world.seconds_pass(60);
        assert_eq!(world.fetches.len(), if is_tried_again { 3 } else { 1 }, "{reply:?}");
    }
}

#[test]
fn an_issuer_that_says_no_is_not_asked_again_at_once_where_its_keys_are() {
    let issuer = "https://issuer.example";
    let discovery = merged(
        json!({"cluster": "issuer", "timeout": "1s", "async_fetch": {"failed_refetch_duration": FAILED}}),
        policy(2, "0.2s"),
    );
    let config = json!({"providers": {"main": {"issuer": issuer, "audiences": [AUDIENCE], "discovery": discovery}}});
    let (openid, oauth) = (".well-known/openid-configuration", ".well-known/oauth-authorization-server");
    for (first, second, is_tried_again) in [
        (Reply::status(404), Reply::status(404), false),
        (Reply::ok("<html>"), Reply::status(404), false),
        (Reply::status(503), Reply::status(404), true),
        (Reply::status(404), Reply::hangs(), true),
    ] {
        let mut world = World::new(&config, 2);
        world.issuer(&format!("{issuer}/{openid}"), first.clone());
        world.issuer(&format!("{issuer}/{oauth}"), second.clone());
        world.seconds_pass(60);
        let fetches = if is_tried_again { 3 } else { 1 };
        assert_eq!(world.fetches.len(), 2 * fetches, "{first:?}, {second:?}: {:?}", gaps(&world));
        // Three requests of 1 s each is what all attempts of it have.
        let ends = |fetch: &Fetch| Duration::from_millis(fetch.at - world.fetches[0].at) + fetch.call.timeout;
        assert!(world.fetches.iter().all(|fetch| ends(fetch) <= Duration::from_secs(3)), "{:?}", gaps(&world));
    }
}
