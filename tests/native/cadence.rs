//! When one fetch follows another: what an answer asks for, what a failure brings, and a fetch of which nothing came.

use std::time::Duration;

use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
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
