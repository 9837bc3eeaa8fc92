//! What a long outage does, and what time does to tokens that wait.

use std::time::Duration;

use jwt_gate::limits::{MAX_RELEASED, MAX_WAITING, TICK, WAIT_MARGIN};
use serde_json::{json, Value};

use crate::mint::{Key, Token, NOW};
use crate::world::{remote, revoking, Reply, Request, World, JWKS, REVOKED};

/// In milliseconds.
const HOUR: u64 = 3_600_000;

fn config(more: Value) -> Value {
    json!({"providers": {"main": remote(more)}})
}

fn one() -> Key {
    Key::ed25519(1).named("one")
}

fn two() -> Key {
    Key::ed25519(2).named("two")
}

#[test]
fn an_issuer_that_is_down_at_the_start_and_for_an_hour_costs_one_attempt_a_minute_and_no_wait_is_long() {
    for down in [Reply::status(503), Reply::hangs(), Reply::ok("<html>")] {
        let mut world = World::new(&config(json!({})), 4);
        world.issuer(JWKS, down.clone());
        let mut vm = 0;
        while world.elapsed() < HOUR {
            vm = (vm + 1) % 4;
            let good = Request::get("/").bearer(&Token::at(&one(), world.seconds()).mint());
            let forged = Request::get("/").bearer(&Token::at(&Key::ed25519(9).named("one"), world.seconds()).mint());
            let ids = [world.request(vm, &good), world.request(vm, &forged)];
            let began = world.elapsed();
            while ids.iter().any(|id| world.verdict(*id).is_none()) {
                world.advance(TICK);
            }
            let longest = Duration::from_secs(2) + WAIT_MARGIN + 2 * TICK;
            assert!(world.elapsed() - began <= longest.as_millis() as u64, "{down:?}: {} ms", world.elapsed() - began);
            for id in ids {
                let verdict = world.verdict(id).expect("it was decided");
                assert_eq!((verdict.code(), verdict.status()), ("keys_unavailable", 503), "{down:?}");
            }
            world.seconds_pass(7);
        }
        let fetches = world.fetches.len();
        assert!(fetches < 100, "{down:?}: {fetches} attempts");
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.seconds_pass(65);
        for vm in 0..4 {
            let good = Request::get("/").bearer(&Token::at(&one(), world.seconds()).mint());
            assert_eq!(world.ask(vm, &good).code(), "allowed", "{down:?}, VM {vm}: it recovers by itself");
        }
    }
}

#[test]
fn an_hour_without_the_issuer_changes_no_decision_where_there_are_keys_and_a_list() {
    let mut world = World::new(&config(revoking(json!({}))), 4);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "gone"}])));
    world.seconds_pass(1);
    for down in [Reply::status(503), Reply::hangs(), Reply::never(), Reply::no_cluster(), Reply::ok("<html>")] {
        world.issuer(JWKS, down.clone());
        world.issuer(REVOKED, down.clone());
        for minute in 0..60 {
            let token = |key: &Key| Token::at(key, world.seconds());
            for (token, code) in [
                (token(&one()), "allowed"),
                (token(&one()).claim("jti", "gone"), "token_revoked"),
                (token(&one()).expires_in(-100), "token_expired"),
                (token(&Key::ed25519(9).named("one")), "signature_invalid"),
            ] {
                let verdict = world.ask(minute % 4, &Request::get("/").bearer(&token.mint()));
                assert_eq!(verdict.code(), code, "{down:?}, after {minute} minutes");
            }
            world.seconds_pass(60);
        }
    }
}

/// A request with this token, which comes before the keys and waits for them for a second and a half, while the clock is set
/// forward by `step` seconds.
fn judged_later(config: &Value, token: &Token, step: i64) -> &'static str {
    let mut world = World::new(config, 1);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(1500)));
    let id = world.request(0, &Request::get("/").bearer(&token.mint()));
    world.seconds_pass(1);
    assert_eq!(world.verdict(id), None, "it waits");
    world.step_clock(step);
    world.seconds_pass(5);
    world.verdict(id).expect("it was decided").code()
}

#[test]
fn a_token_is_judged_by_the_time_at_which_its_wait_ends() {
    let strict = config(json!({"clock_skew_seconds": 0}));
    let token = Token::new(&one());
    for (what, token, step, code) in [
        ("it is good all the time", token.clone(), 0, "allowed"),
        ("it expires while it waits", token.clone().expires_in(1), 0, "token_expired"),
        ("it expires afterwards", token.clone().expires_in(2), 0, "allowed"),
        ("its time comes while it waits", token.clone().claim("nbf", NOW + 1), 0, "allowed"),
        ("its time comes afterwards", token.clone().claim("nbf", NOW + 2), 0, "token_not_yet_valid"),
        ("the clock is set forward, beyond its end", token.clone().expires_in(2), 1, "token_expired"),
        ("the clock is set forward, beyond the longest wait", token.clone(), 301, "keys_unavailable"),
        ("the clock is set back, before it was issued", token.clone(), -10, "issued_in_the_future"),
        (
            "the clock is set back, before its time",
            token.clone().claim("nbf", NOW + 1).without("iat"),
            -10,
            "token_not_yet_valid",
        ),
    ] {
        assert_eq!(judged_later(&strict, &token, step), code, "{what}");
    }
}

#[test]
fn a_token_that_is_remembered_is_judged_by_the_clock_as_it_stands_back_and_forth() {
    let mut world = World::new(&config(json!({"clock_skew_seconds": 0})), 1);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(1);
    let request = Request::get("/").bearer(&Token::at(&one(), world.seconds()).mint());
    for (step, code) in [
        (0, "allowed"),
        (400, "token_expired"),
        (-400, "allowed"),
        (-3600, "issued_in_the_future"),
        (3600, "allowed"),
        (86_400 * 365, "token_expired"),
        (-86_400 * 365, "allowed"),
    ] {
        world.step_clock(step);
        assert_eq!(world.ask_patiently(0, &request).code(), code, "{step} s");
        world.advance(TICK);
    }
}

#[test]
fn of_many_that_wait_few_are_let_go_at_once_and_all_of_them_in_the_end() {
    for reply in
        [Reply::keys(&[&one()]).after(Duration::from_millis(1500)), Reply::status(503), Reply::hangs(), Reply::never()]
    {
        let mut world = World::new(&config(json!({})), 1);
        world.issuer(JWKS, reply.clone());
        let request = Request::get("/").bearer(&Token::new(&one()).mint());
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| world.request(0, &request)).collect();
        while waiting.iter().any(|id| world.verdict(*id).is_none()) {
            world.advance(TICK);
        }
        assert_eq!(world.most_decided, MAX_RELEASED, "{reply:?}: in one callback");
        let last = world.elapsed();
        let longest = Duration::from_secs(2) + WAIT_MARGIN + TICK * (MAX_WAITING / MAX_RELEASED + 2) as u32;
        assert!(last <= longest.as_millis() as u64, "{reply:?}: the last one waited for {last} ms");
    }
}

#[test]
fn a_fetch_that_a_reload_cuts_off_is_made_again_at_once() {
    let slow = || Reply::keys(&[&one(), &two()]).after(Duration::from_millis(1500));
    for (has_keys, interleaved) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = World::new(&config(json!({})), 3);
        world.interleaved = interleaved;
        if has_keys {
            world.issuer(JWKS, Reply::keys(&[&one()]));
            world.seconds_pass(40);
            // A key that is unknown asks for newer ones; whoever asked leaves.
            world.issuer(JWKS, slow());
            let unknown = Request::get("/").bearer(&Token::at(&two(), world.seconds()).mint());
            let id = world.request(1, &unknown);
            world.advance(2 * TICK);
            world.gone(id);
        }
        world.issuer(JWKS, slow());
        world.advance(2 * TICK);
        let fetches = world.fetches.len();
        world.configure_at_once(&config(json!({"remote_jwks": {"cache_duration": "500s"}})), 3);
        world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
        let began = world.elapsed();
        for vm in 0..3 {
            let request = Request::get("/").bearer(&Token::at(&two(), world.seconds()).mint());
            assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "{has_keys}, {interleaved}, VM {vm}");
        }
        assert!(world.elapsed() - began <= 500, "{has_keys}, {interleaved}: {} ms", world.elapsed() - began);
        assert_eq!(world.fetches.len(), fetches + 1, "{has_keys}, {interleaved}");
    }
}

#[test]
fn keys_serve_for_a_day_without_their_issuer_and_no_longer() {
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::status(503));
    let token = |world: &World| Request::get("/").bearer(&Token::at(&one(), world.seconds()).mint());
    world.seconds_pass(24 * 3600 - 60);
    let request = token(&world);
    assert_eq!(world.ask(0, &request).code(), "allowed");
    world.seconds_pass(120);
    let request = token(&world);
    let verdict = world.ask_patiently(0, &request);
    assert_eq!((verdict.code(), verdict.status()), ("keys_unavailable", 503));
}
