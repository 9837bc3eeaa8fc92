//! A host that refuses what it is asked for, or says what is not so.

use jwt_gate_second_host::{Call, Foreign, Outcome, Platform, Proxy};
use proxy_wasm_host::abi::v0_2_1::types::Status;

use crate::mint::{Key, Token, ALGORITHMS, NOW};
use crate::{ask, assert_passed_as_alice, bearing, credulous, local, refusal, remote, set, token, HEAD, NO_SIGNATURES};

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
    for call in Call::ALL.into_iter().filter(|call| *call != Call::Clock) {
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
        assert_eq!(refusal(&mut proxy, &configuration.to_string()), NO_SIGNATURES, "{what}");
    }
}

#[test]
fn a_host_that_checks_signatures_is_asked_once_about_a_token_unless_the_module_is_to_check_them_itself() {
    let choices = [(None, true), (Some("auto"), true), (Some("host"), true), (Some("portable"), false)];
    for alg in ALGORITHMS.iter().filter(|alg| !alg.starts_with("HS")) {
        let key = Key::of(alg, false).named("k1");
        let tokens = ["first", "second"].map(|jti| Token::new(&key).alg(alg).claim("jti", jti).mint());
        let is_known = alg.starts_with("RS") || alg.starts_with("ES");
        for (crypto, is_asked) in choices {
            let mut proxy = Proxy::new(Platform::built(), NOW, credulous);
            let mut configuration = local(&[&key]);
            if let Some(crypto) = crypto {
                configuration["crypto"] = crypto.into();
            }
            assert!(proxy.configure(&configuration.to_string()), "{alg}, {crypto:?}: {:?}", proxy.log());
            let mut asked = proxy.faults().made(Call::Foreign);
            assert_eq!(asked > 0, is_asked, "{alg}, {crypto:?}: whether it can");
            for token in &tokens {
                asked += usize::from(is_asked && is_known);
                for time in 1..=3 {
                    assert_passed_as_alice(&ask(&mut proxy, token));
                    assert_eq!(proxy.faults().made(Call::Foreign), asked, "{alg}, {crypto:?}: time {time}");
                }
            }
        }
    }
}

#[test]
fn what_the_host_says_of_a_signature_counts_unless_the_module_is_to_check_it_itself() {
    let key = Key::p256(1).named("k1");
    // The signature of the module's first question at its start, which is about a token of joe, is the only one that holds.
    let foreign: Foreign = |_, arguments| {
        let is_joes = arguments.windows(20).any(|text| text == b"eyJpc3MiOiJqb2UiLA0K");
        Some(vec![0x08, u8::from(is_joes)])
    };
    for (crypto, code) in [("auto", "signature_invalid"), ("host", "signature_invalid"), ("portable", "passed")] {
        let mut proxy = Proxy::new(Platform::built(), NOW, foreign);
        let mut configuration = local(&[&key]);
        configuration["crypto"] = crypto.into();
        assert!(proxy.configure(&configuration.to_string()), "{crypto}: {:?}", proxy.log());
        assert_eq!(ask(&mut proxy, &token(&key)).code(), code, "{crypto}");
    }
}

#[test]
fn a_host_that_stops_checking_signatures_lets_none_pass() {
    let key = Key::p256(1).named("k1");
    for (crypto, good) in [("auto", "passed"), ("host", "signature_invalid")] {
        let mut proxy = Proxy::new(Platform::built(), NOW, credulous);
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
