//! The VM dies, by itself or because the host ends it: then nothing passes until there is another one.

use jwt_gate_second_host::{Call, Outcome, Platform, Proxy};
use proxy_wasm_host::abi::v0_2_1::types::Status;

use crate::mint::{Key, Token, NOW};
use crate::{ask, assert_passed_as_alice, bearing, local, remote, set, start, token, HEAD};

fn assert_nothing_passes(proxy: &mut Proxy, key: &Key) {
    assert!(!proxy.is_alive());
    for credentials in [Token::new(key).bearer(), "Bearer a.b.c".to_owned()] {
        assert_eq!(proxy.ask(&bearing(&credentials)), Outcome::Lost);
    }
    assert_eq!(proxy.ask(&HEAD), Outcome::Lost);
    assert!(!proxy.configure(&local(&[key]).to_string()), "a dead VM takes nothing");
    assert_eq!(ask(proxy, &token(key)), Outcome::Lost);
}

#[test]
fn a_host_that_does_not_edit_a_request_has_it_answered_and_the_vm_lives() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let parked = proxy.send(&bearing(&Token::new(&key).bearer()));
    assert_eq!(proxy.outcome(parked), Outcome::Parked);
    proxy.tick();
    let fetch = proxy.fetch();
    // The second header stays as the client wrote it.
    proxy.faults().refuse_once(Call::EditHeaders, 1, Status::InternalFailure);
    proxy.answer(fetch, 200, &set(&[&key]));
    assert_eq!(proxy.outcome(parked).code(), "keys_unavailable");
    assert!(proxy.log().iter().any(|line| line.contains("does not edit a request")), "{:?}", proxy.log());
    assert!(proxy.is_alive());
    proxy.faults().heal();
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
}

#[test]
fn a_new_vm_judges_once_it_has_a_configuration() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let parked = proxy.send(&bearing(&Token::new(&key).bearer()));
    proxy.replace_vm();
    assert_eq!(proxy.outcome(parked), Outcome::Lost);
    assert_eq!(ask(&mut proxy, &token(&key)), Outcome::Lost, "it has no configuration yet");
    assert!(proxy.configure(&local(&[&key]).to_string()));
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    assert_eq!(ask(&mut proxy, &token(&Key::p256(2).named("k1"))).code(), "signature_invalid");
}

/// A VM that is ended when its fuel is used up, whether it took its configuration, and what became of a request with this token.
fn ended_after(fuel: u64, key: &Key, token: &str) -> (Proxy, bool, Outcome) {
    let mut proxy = Proxy::new(&Platform::built().with_fuel(fuel), NOW, |_, _| None);
    let is_configured = proxy.configure(&local(&[key]).to_string());
    let outcome = ask(&mut proxy, token);
    (proxy, is_configured, outcome)
}

/// The least above `most / 2` that is enough for something, to a hundredth.
fn least(mut most: u64, is_enough: impl Fn(u64) -> bool) -> u64 {
    while !is_enough(most) {
        most *= 2;
    }
    let mut too_little = most / 2;
    while most - too_little > most / 100 {
        let middle = too_little + (most - too_little) / 2;
        if is_enough(middle) {
            most = middle;
        } else {
            too_little = middle;
        }
    }
    most
}

#[test]
fn a_vm_that_is_killed_at_any_point_lets_nothing_pass() {
    /// Enough to begin.
    const FIRST: u64 = 10_000;
    /// How many points of the configuration, and how many of a request.
    const POINTS: u64 = 100;
    // Its signature takes so long to check that a request takes longer than the configuration.
    let key = Key::p256(1).named("k1");
    let good = token(&key);
    let forged = token(&Key::p256(2).named("k1"));
    let configured = least(FIRST, |fuel| ended_after(fuel, &key, &good).1);
    let grid = |from: u64, to: u64| (0..POINTS).map(move |point| from + (to - from) * point / POINTS);
    for token in [&good, &forged] {
        let ended = least(configured, |fuel| ended_after(fuel, &key, token).0.is_alive());
        let mut killed = 0;
        for fuel in grid(FIRST, configured).chain(grid(configured, ended)) {
            let (mut proxy, is_configured, outcome) = ended_after(fuel, &key, token);
            if proxy.is_alive() {
                // The last point is only nearly known.
                assert!(fuel > ended / 100 * 98, "alive with {fuel} of {ended}");
                continue;
            }
            assert_eq!(outcome, Outcome::Lost, "with {fuel}");
            assert_nothing_passes(&mut proxy, &key);
            killed += u64::from(is_configured);
        }
        assert!(killed > POINTS * 9 / 10, "{killed} points within a request");
        let (_, _, outcome) = ended_after(ended, &key, token);
        if token == &good {
            assert_passed_as_alice(&outcome);
        } else {
            assert_eq!(outcome.code(), "signature_invalid");
        }
    }
}
