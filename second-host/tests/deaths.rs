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

#[test]
fn a_vm_that_is_killed_at_any_point_lets_nothing_pass() {
    // Its signature takes so long to check that most points are within the check.
    let key = Key::p521(1).named("k1");
    let forged = Token::new(&Key::p521(2).named("k1")).bearer();
    let mut killed = 0;
    let mut fuel = 10_000;
    loop {
        let mut proxy = Proxy::new(&Platform::built().with_fuel(fuel), NOW, |_, _| None);
        let is_configured = proxy.configure(&local(&[&key]).to_string());
        let outcome = proxy.ask(&bearing(&forged));
        assert!(!matches!(outcome, Outcome::Passed(_)), "forged, with {fuel}");
        let outcome = ask(&mut proxy, &token(&key));
        if proxy.is_alive() && is_configured {
            assert_passed_as_alice(&outcome);
            break;
        }
        assert_nothing_passes(&mut proxy, &key);
        killed += usize::from(is_configured);
        fuel += fuel / 4;
    }
    assert!(killed >= 8, "{killed} points within a request");
}
