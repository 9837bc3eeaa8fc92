//! Keys that are fetched, and requests that wait for them.

use std::time::Duration;

use jwt_gate_second_host::{Call, Outcome};
use proxy_wasm_host::abi::v0_2_1::types::Status;

use crate::mint::{Key, Token};
use crate::{ask, assert_passed_as_alice, bearing, remote, set, start, started_with_keys, token};

#[test]
fn a_request_is_parked_until_the_first_keys_arrive() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let good = proxy.send(&bearing(&Token::new(&key).bearer()));
    let forged = proxy.send(&bearing(&Token::new(&Key::p256(2).named("k1")).bearer()));
    let gone = proxy.send(&bearing(&Token::new(&key).bearer()));
    for id in [good, forged, gone] {
        assert_eq!(proxy.outcome(id), Outcome::Parked);
    }
    proxy.end(gone);
    proxy.tick();
    let fetch = proxy.fetch();
    assert_eq!((fetch.target().as_str(), fetch.timeout()), ("issuer /jwks", Duration::from_secs(2)));
    assert_eq!(proxy.outcome(good), Outcome::Parked);

    proxy.answer(fetch, 200, &set(&[&key]));
    proxy.tick();
    assert_passed_as_alice(&proxy.outcome(good));
    assert_eq!(proxy.outcome(forged).code(), "signature_invalid");
    assert_eq!(proxy.outcome(gone), Outcome::Lost);
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
}

#[test]
fn a_fetch_without_keys_answers_those_who_wait() {
    let key = Key::p256(1).named("k1");
    for (what, answer) in [
        ("no answer", None),
        ("an error with keys in it", Some((500, set(&[&key])))),
        ("a redirect", Some((302, set(&[&key])))),
        ("no key set", Some((200, "<html>".to_owned()))),
        ("no body", Some((200, String::new()))),
    ] {
        let mut proxy = start(&remote());
        let id = proxy.send(&bearing(&Token::new(&key).bearer()));
        proxy.tick();
        let fetch = proxy.fetch();
        match answer {
            Some((status, body)) => proxy.answer(fetch, status, &body),
            None => proxy.fail(fetch),
        }
        proxy.advance(Duration::from_millis(100));
        proxy.tick();
        let outcome = proxy.outcome(id);
        assert_eq!(outcome.code(), "keys_unavailable", "{what}");
        assert!(matches!(outcome, Outcome::Answered { status: 503, .. }), "{what}: {outcome:?}");
        assert!(proxy.is_alive(), "{what}");
    }
}

#[test]
fn a_fetch_that_never_ends_answers_those_who_wait_in_time() {
    let mut proxy = start(&remote());
    let id = proxy.send(&bearing(&Token::new(&Key::p256(1)).bearer()));
    proxy.tick();
    let _never = proxy.fetch();
    for _ in 0..31 {
        proxy.advance(Duration::from_millis(100));
        proxy.tick();
    }
    assert_eq!(proxy.outcome(id).code(), "keys_unavailable");
}

#[test]
fn an_upstream_that_the_host_does_not_know_answers_those_who_wait() {
    for status in [Status::BadArgument, Status::InternalFailure] {
        let mut proxy = start(&remote());
        proxy.faults().refuse(Call::Dispatch, 0, status);
        let id = proxy.send(&bearing(&Token::new(&Key::p256(1)).bearer()));
        for _ in 0..31 {
            proxy.tick();
            proxy.advance(Duration::from_millis(100));
        }
        assert_eq!(proxy.outcome(id).code(), "keys_unavailable", "{status}");
        assert!(proxy.is_alive(), "{status}");
    }
}

#[test]
fn a_new_key_is_fetched_for_the_first_token_that_names_it() {
    let (old, new) = (Key::p256(1).named("k1"), Key::p256(2).named("k2"));
    let mut proxy = started_with_keys(&[&old]);
    assert_passed_as_alice(&ask(&mut proxy, &token(&old)));
    proxy.advance(Duration::from_secs(60));
    let id = proxy.send(&bearing(&Token::new(&new).bearer()));
    assert_eq!(proxy.outcome(id), Outcome::Parked);
    proxy.tick();
    let fetch = proxy.fetch();
    proxy.answer(fetch, 200, &set(&[&old, &new]));
    proxy.tick();
    assert_passed_as_alice(&proxy.outcome(id));
}

#[test]
fn a_key_set_that_is_too_long_for_the_host_to_share_is_fetched_once_by_each_configuration() {
    let key = Key::p256(1).named("k1");
    let long = set(&[&key]).replacen('{', &format!(r#"{{"padding":"{}","#, "x".repeat(70_000)), 1);
    let mut proxy = start(&remote());
    assert!(proxy.configure(&remote().to_string()));
    let mut fetches = 0;
    for _ in 0..100 {
        proxy.tick();
        for fetch in proxy.fetches() {
            fetches += 1;
            proxy.answer(fetch, 200, &long);
        }
        proxy.advance(Duration::from_millis(100));
    }
    assert_eq!(fetches, 2);
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    let said = "the host does not keep so long a key set: each worker fetches it for itself";
    assert_eq!(proxy.log().iter().filter(|line| line.ends_with(said)).count(), 2, "{:?}", proxy.log());
}
