//! A host that refuses what it is asked for, or says what is not so.

use jwt_gate_second_host::{Call, Foreign, Outcome, Platform, Proxy};
use proxy_wasm_host::abi::v0_2_1::types::Status;

use crate::mint::{Key, Token, NOW};
use crate::{ask, assert_passed_as_alice, bearing, local, remote, set, token, HEAD};

/// What a request needs none of: without it, it is judged the same.
const DISPENSABLE: [Call; 3] = [Call::Property, Call::Foreign, Call::Metric];

fn proxy() -> Proxy {
    Proxy::new(Platform::built(), NOW, |_, _| None)
}

#[test]
fn whatever_the_host_refuses_nothing_passes_that_should_not() {
    let key = Key::p256(1).named("k1");
    let good = Token::new(&key).bearer();
    let forged = Token::new(&Key::p256(2).named("k1")).bearer();
    let mut tried = 0;
    for call in Call::ALL {
        for status in [Status::NotFound, Status::BadArgument, Status::InternalFailure, Status::Unimplemented] {
            for (spared, once) in (0..8).flat_map(|spared| [(spared, false), (spared, true)]) {
                let what = format!("{call:?} after {spared}, once: {once}, {status}");
                let mut proxy = proxy();
                if once {
                    proxy.faults().refuse_once(call, spared, status);
                } else {
                    proxy.faults().refuse(call, spared, status);
                }
                assert!(proxy.configure(&remote().to_string()), "{what}: {:?}", proxy.log());
                let parked = [&good, &forged].map(|credentials| proxy.send(&bearing(credentials)));
                for _ in 0..3 {
                    proxy.tick();
                    for fetch in proxy.fetches() {
                        proxy.answer(fetch, 200, &set(&[&key]));
                    }
                }
                let later = [&good, &forged].map(|credentials| proxy.send(&bearing(credentials)));
                let missing = proxy.ask(&HEAD);
                assert!(!matches!(missing, Outcome::Passed(_)), "{what}");
                for [good, forged] in [parked, later] {
                    assert!(!matches!(proxy.outcome(forged), Outcome::Passed(_)), "{what}");
                    match proxy.outcome(good) {
                        passed @ Outcome::Passed(_) => assert_passed_as_alice(&passed),
                        other => assert!(!DISPENSABLE.contains(&call), "{what}: {other:?}"),
                    }
                }
                assert!(proxy.is_alive(), "{what}");
                tried += 1;
            }
        }
    }
    assert!(tried > 400, "{tried}");
}

#[test]
fn a_request_that_the_host_does_not_show_is_answered() {
    let key = Key::p256(1).named("k1");
    let mut proxy = proxy();
    assert!(proxy.configure(&local(&[&key]).to_string()));
    proxy.faults().refuse(Call::ReadHeaders, 0, Status::BadArgument);
    assert!(matches!(ask(&mut proxy, &token(&key)), Outcome::Answered { status: 503, .. }));
    proxy.faults().heal();
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
}

#[test]
fn a_host_without_shared_data_has_requests_wait_and_answers_them() {
    let key = Key::p256(1).named("k1");
    let mut proxy = proxy();
    proxy.faults().refuse(Call::ReadShared, 0, Status::Unimplemented);
    proxy.faults().refuse(Call::WriteShared, 0, Status::Unimplemented);
    assert!(proxy.configure(&remote().to_string()));
    let id = proxy.send(&bearing(&Token::new(&key).bearer()));
    for _ in 0..40 {
        proxy.tick();
        for fetch in proxy.fetches() {
            proxy.answer(fetch, 200, &set(&[&key]));
        }
        proxy.advance(std::time::Duration::from_millis(100));
    }
    assert_eq!(proxy.outcome(id).code(), "keys_unavailable");
    // Keys of the configuration need none of it.
    assert!(proxy.configure(&local(&[&key]).to_string()));
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
}

#[test]
fn a_host_that_cannot_tell_signatures_apart_is_not_asked_about_them() {
    let key = Key::p256(1).named("k1");
    let hosts: [(&str, Foreign); 5] = [
        ("every signature holds", |_, _| Some(vec![0x08, 0x01])),
        ("none holds", |_, _| Some(vec![0x08, 0x00])),
        ("it says nothing", |_, _| Some(Vec::new())),
        ("it says what nobody can read", |_, _| Some(vec![0xff; 64])),
        ("it has other functions", |name, _| (name != b"verify_signature").then(|| vec![0x08, 0x01])),
    ];
    for (what, foreign) in hosts {
        let mut proxy = Proxy::new(Platform::built(), NOW, foreign);
        let mut configuration = local(&[&key]);
        assert!(proxy.configure(&configuration.to_string()), "{what}");
        let asked = proxy.faults().made(Call::Foreign);
        assert!(asked > 0, "{what}: it was asked whether it can");
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
        assert_eq!(ask(&mut proxy, &token(&Key::p256(2).named("k1"))).code(), "signature_invalid", "{what}");
        assert_eq!(proxy.faults().made(Call::Foreign), asked, "{what}");
        configuration["crypto"] = "host".into();
        assert!(!proxy.configure(&configuration.to_string()), "{what}");
    }
}

#[test]
fn a_host_that_stops_checking_signatures_lets_none_pass() {
    let key = Key::p256(1).named("k1");
    // Whatever is not the second question of the module at its start.
    let foreign: Foreign = |_, arguments| {
        let wrong = arguments.windows(14).any(|text| text == b"something else");
        Some(vec![0x08, u8::from(!wrong)])
    };
    for (crypto, good) in [("auto", "passed"), ("host", "signature_invalid")] {
        let mut proxy = Proxy::new(Platform::built(), NOW, foreign);
        let mut configuration = local(&[&key]);
        configuration["crypto"] = crypto.into();
        assert!(proxy.configure(&configuration.to_string()));
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
        proxy.faults().refuse(Call::Foreign, 0, Status::InternalFailure);
        for _ in 0..2 {
            let forged = token(&Key::p256(2).named("k1"));
            assert_eq!(ask(&mut proxy, &forged).code(), "signature_invalid", "{crypto}");
        }
        let another = Token::new(&key).claim("jti", "not remembered").mint();
        assert_eq!(ask(&mut proxy, &another).code(), good, "{crypto}: the module itself, or nobody");
        assert!(proxy.is_alive(), "{crypto}");
    }
}
