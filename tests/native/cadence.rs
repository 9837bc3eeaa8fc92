//! When one fetch follows another: what an answer asks for, what a failure brings, and a fetch of which nothing came.

use std::time::Duration;

use jwt_gate::limits::TICK;
use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token, AUDIENCE};
use crate::world::{merged, remote, Reply, Request, World, JWKS};

/// Longer than any other pause, so that it can be told from a retry.
const FAILED: &str = "300s";

fn config(more: Value) -> Value {
    let pace = json!({"async_fetch": {"failed_refetch_duration": FAILED}});
    json!({"providers": {"main": remote(json!({"remote_jwks": merged(pace, more)}))}})
}

fn key() -> Key {
    Key::ed25519(1).named("one")
}

/// From each fetch to the next, in milliseconds.
fn gaps(world: &World) -> Vec<u64> {
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn keys_that_are_confirmed_without_a_word_on_their_age_live_as_long_as_before() {
    let mut world = World::new(&config(json!({"cache_duration": "600s"})), 2);
    let keys = || Reply::keys(&[&key()]).etag("\"1\"");
    world.issuer(JWKS, keys().cache_control("max-age=60"));
    world.seconds_pass(1);
    world.issuer(JWKS, keys());
    world.seconds_pass(300);
    let silent = gaps(&world);
    assert!(silent.len() >= 5 && silent.iter().all(|gap| (48_000..=57_500).contains(gap)), "{silent:?}");
    assert_eq!(world.count("jwt_gate_jwks_fetch_not_modified"), silent.len() as u64);
    // What it says of another age counts from then on, and for every VM.
    world.issuer(JWKS, keys().cache_control("max-age=200"));
    world.seconds_pass(60);
    world.issuer(JWKS, keys());
    world.seconds_pass(900);
    let longer = gaps(&world).split_off(silent.len() + 1);
    assert!(longer.len() >= 4 && longer.iter().all(|gap| (160_000..=190_500).contains(gap)), "{longer:?}");
    // Other keys without a word live as long as the configuration says.
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(2).named("two")]).etag("\"2\""));
    world.seconds_pass(1500);
    assert!(gaps(&world).last().is_some_and(|gap| (480_000..=570_500).contains(gap)), "{:?}", gaps(&world));
}

/// A fetch that may take so long, with all of its attempts.
fn within(timeout: &str, more: Value) -> Value {
    merged(json!({"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": timeout}}), more)
}

#[test]
fn a_fetch_is_tried_again_as_often_and_as_soon_as_retry_policy_says() {
    let policy = |more: Value| json!({ "retry_policy": more });
    for (more, pauses) in [
        (json!({}), &[][..]),
        (policy(json!({"num_retries": 0})), &[]),
        (policy(json!({})), &[1000]),
        (policy(json!({"num_retries": 6})), &[1000, 2000, 4000, 8000, 10_000, 10_000]),
        (
            policy(json!({
                "num_retries": 3,
                "retry_back_off": {"base_interval": "2s", "max_interval": "5s"},
            })),
            &[2000, 4000, 5000],
        ),
        // What Envoy's own documentation shows. No VM looks more often than ten times a second.
        (
            policy(json!({"num_retries": 4, "retry_back_off": {"base_interval": "0.01s", "max_interval": "20s"}})),
            &[100, 100, 100, 100],
        ),
    ] {
        let mut world = World::new(&config(within("60s", more.clone())), 4);
        world.issuer(JWKS, Reply::status(500));
        world.seconds_pass(290);
        let gaps = gaps(&world);
        let is_like = |(gap, longest): (&u64, &u64)| (longest * 3 / 4..=longest + 200).contains(gap);
        assert!(gaps.len() == pauses.len() && gaps.iter().zip(pauses).all(is_like), "{more}: {gaps:?}");
    }
}

#[test]
fn all_attempts_of_a_fetch_share_its_timeout_whichever_worker_makes_them() {
    let policy = json!({"retry_policy": {"num_retries": 9}});
    let mut world = World::new(&config(within("5s", policy)), 4);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(310);
    // After 3 s at most, the next pause would be one of 3 s at least. Then comes the pause after a fetch, and another fetch.
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    assert_eq!(at.len(), 6, "{:?}", gaps(&world));
    for fetch in [&world.fetches[..3], &world.fetches[3..]] {
        for attempt in fetch {
            let left = Duration::from_millis(5000 - (attempt.at - fetch[0].at));
            assert_eq!(attempt.call.timeout, left, "{:?}", gaps(&world));
        }
    }
    assert!(gaps(&world)[2] >= 300_000, "{:?}", gaps(&world));
    let says = |what| world.logged(Level::Warn).iter().filter(|line| line.contains(what)).count();
    assert_eq!(says("(1 failed in a row, and is tried again): status 500"), 2, "{:?}", world.logs);
    assert_eq!(says("(1 failed in a row): status 500"), 1, "{:?}", world.logs);
    assert_eq!(says("(2 failed in a row, and is tried again): status 500"), 2, "{:?}", world.logs);
}

#[test]
fn pauses_between_fetches_grow_by_the_fetch_and_not_by_its_attempts() {
    let policy = json!({"retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "0.2s"}}});
    let mut world = World::new(&json!({"providers": {"main": remote(json!({ "remote_jwks": policy }))}}), 4);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(20);
    let expected = [200, 400, 1000, 200, 400, 2000, 200, 400, 4000, 200, 400, 8000];
    let is_like = |(gap, longest): (&u64, &u64)| (longest * 3 / 4..=longest + 200).contains(gap);
    let gaps = gaps(&world);
    assert!(gaps.len() >= expected.len() && gaps.iter().zip(&expected).all(is_like), "{gaps:?}");
}

#[test]
fn an_attempt_that_comes_late_still_has_some_time_and_is_the_last() {
    let policy = json!({"retry_policy": {"num_retries": 9, "retry_back_off": {"base_interval": "1s"}}});
    let mut world = World::new(&config(within("2s", policy)), 2);
    world.issuer(JWKS, Reply::status(500));
    world.advance(Duration::from_millis(500));
    assert_eq!(world.fetches.len(), 1);
    // As after a machine that slept.
    world.step_clock(3);
    world.seconds_pass(60);
    assert_eq!(world.fetches.len(), 2, "{:?}", gaps(&world));
    assert_eq!(world.fetches[1].call.timeout, TICK);
}

#[test]
fn only_what_another_attempt_may_mend_is_tried_again_and_only_while_time_is_left() {
    let policy = json!({"retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "0.2s"}}});
    for (reply, is_tried_again) in [
        (Reply::status(500), true),
        (Reply::status(503), true),
        (Reply::no_cluster(), true),
        // That took all of it.
        (Reply::hangs(), false),
        (Reply::status(404), false),
        (Reply::status(302), false),
        (Reply::status(304), false),
        (Reply::ok("<html>"), false),
        (Reply::ok(r#"{"keys": []}"#), false),
    ] {
        let mut world = World::new(&config(policy.clone()), 2);
        world.issuer(JWKS, reply.clone());
        world.seconds_pass(60);
        assert_eq!(world.fetches.len(), if is_tried_again { 3 } else { 1 }, "{reply:?}");
    }
}

#[test]
fn an_issuer_that_says_no_is_not_asked_again_at_once_where_its_keys_are() {
    let issuer = "https://issuer.example";
    let config = json!({"providers": {"main": {"issuer": issuer, "audiences": [AUDIENCE], "discovery": {
        "cluster": "issuer",
        "timeout": "1s",
        "retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "0.2s"}},
        "async_fetch": {"failed_refetch_duration": FAILED},
    }}}});
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
    }
}

#[test]
fn a_fetch_of_which_nothing_comes_is_a_failure_like_any_other() {
    let config = json!({"providers": {"main": remote(json!({}))}});
    let mut world = World::new(&config, 4);
    world.issuer(JWKS, Reply::never());
    world.seconds_pass(600);
    let gaps = gaps(&world);
    // Each after the lease of the one before it, and ever longer after that.
    assert!(gaps.len() >= 6 && gaps.last() >= Some(&45_000), "{gaps:?}");
    assert!(gaps.windows(2).take(5).all(|pair| pair[0] < pair[1]), "{gaps:?}");
    let ended = gaps.len() as u64;
    let counted = world.count("jwt_gate_jwks_fetch_failed");
    assert!((ended..=ended + 1).contains(&counted), "{counted} of {ended}");
    let said = world.logged(Level::Warn).iter().filter(|line| line.contains("nothing came of the fetch")).count();
    assert_eq!(said as u64, counted, "{:?}", world.logs);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.advance(Duration::from_secs(70));
    assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 1);
}

#[test]
fn no_pause_is_shorter_than_a_tick_however_many_requests_ask_for_keys() {
    let hasty = json!({
        "async_fetch": {"failed_refetch_duration": "1ms"},
        "retry_policy": {"num_retries": 100, "retry_back_off": {"base_interval": "1ms"}},
    });
    let config = json!({"providers": {"main": remote(json!({"remote_jwks": hasty}))}});
    let mut world = World::without_waiting(&config, 1);
    world.issuer(JWKS, Reply::status(500));
    let request = Request::get("/").bearer(&Token::new(&key()).mint());
    for _ in 0..100 {
        world.request(0, &request);
        world.advance(Duration::from_millis(10));
    }
    let fetches = world.fetches.len();
    assert!((5..=14).contains(&fetches), "{fetches} in a second: {:?}", gaps(&world));
}
