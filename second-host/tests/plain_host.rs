//! A host as `ngx_wasm_module` is one: any number is a context to it, so that no request can be resumed from outside of it; to call
//! a function that is not there is a trap; shared data that is there is overwritten by its version alone; and a request whose call
//! was answered goes on, unless it was answered too.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use jwt_gate_second_host::{module_bytes, Call, Outcome, Platform, Proxy};
use proxy_wasm_host::abi::v0_2_1::types::Status;
use wasmparser::Parser;

use crate::mint::{Key, Token, NOW};
use crate::questions::decided;
use crate::{ask, assert_passed_as_alice, bearing, local, refusal, remote, set, token, NO_SIGNATURES};

/// The module with another function of the host in the place of one of the same type.
fn with_import(module: &[u8], from: &str, to: &str) -> Vec<u8> {
    let payloads = Parser::new(0).parse_all(module).map(|payload| payload.expect("a module"));
    let place = |place: u64| usize::try_from(place).expect("it is in memory");
    let section = |(id, bytes): (u8, Range<u64>)| (id, place(bytes.start)..place(bytes.end));
    let mut sections = payloads.filter_map(|payload| payload.as_section()).map(section);
    let (_, types) = sections.next().expect("types");
    let (id, imports) = sections.next().expect("imports");
    let named = |name: &str| [&[u8::try_from(name.len()).expect("short")][..], name.as_bytes()].concat();
    let (from, to) = (named(from), named(to));
    let body = &module[imports.clone()];
    let place = body.windows(from.len()).position(|window| window == from).expect("it is imported");
    let body = [&body[..place], &to, &body[place + from.len()..]].concat();
    let size = [0, 7, 14, 21].map(|shift| (body.len() >> shift & 0x7f) as u8 | if shift < 21 { 0x80 } else { 0 });
    [&module[..types.end], &[id], &size, &body, &module[imports.end..]].concat()
}

/// To set the period of ticks works with any number, too.
fn platform() -> &'static Platform {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
        let module =
            with_import(&module_bytes("jwt_gate"), "proxy_set_effective_context", "proxy_set_tick_period_milliseconds");
        Platform::of(&module).plain()
    });
    &PLATFORM
}

fn start(configuration: &serde_json::Value) -> Proxy {
    let mut proxy = Proxy::new(platform(), NOW, |_, _| Some(vec![0x08, 0x01]));
    proxy.faults().refuse_overwriting();
    assert!(proxy.configure(&configuration.to_string()), "{:?}", proxy.log());
    proxy
}

#[test]
fn no_function_is_called_where_that_could_be_a_trap() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&local(&[&key]));
    assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    assert_eq!(ask(&mut proxy, &token(&Key::p256(2).named("k1"))).code(), "signature_invalid");
    assert_eq!(proxy.faults().made(Call::Foreign), 0);
    let mut host = local(&[&key]);
    host["crypto"] = "host".into();
    assert_eq!(refusal(&mut proxy, &host.to_string()), NO_SIGNATURES);
    assert_eq!(proxy.faults().made(Call::Foreign), 0);
}

#[test]
fn a_request_makes_its_own_call_and_is_decided_when_that_is_answered() {
    let key = Key::p256(1).named("k1");
    let forged = Token::new(&Key::p256(2).named("k1")).bearer();
    for (what, credentials, answer, code) in [
        ("good", Token::new(&key).bearer(), Some((200, set(&[&key]))), "passed"),
        ("forged", forged, Some((200, set(&[&key]))), "signature_invalid"),
        ("no keys", Token::new(&key).bearer(), Some((500, String::new())), "keys_unavailable"),
        ("no answer", Token::new(&key).bearer(), None, "keys_unavailable"),
    ] {
        let mut proxy = start(&remote());
        let id = proxy.send(&bearing(&credentials));
        assert_eq!(proxy.outcome(id), Outcome::Parked, "{what}");
        let fetch = proxy.fetch();
        assert_eq!(fetch.caller(), id, "{what}");
        match answer {
            Some((status, body)) => proxy.answer(fetch, status, &body),
            None => proxy.fail(fetch),
        }
        let outcome = proxy.outcome(id);
        assert_eq!(outcome.code(), code, "{what}: it would go on now; {:?}", proxy.log());
        if code == "passed" {
            assert_passed_as_alice(&outcome);
        }
        assert!(proxy.is_alive(), "{what}");
    }
}

#[test]
fn requests_beside_the_fetch_of_another_make_their_own_calls() {
    let key = Key::p256(1).named("k1");
    let good = Token::new(&key).bearer();
    let forged = Token::new(&Key::p256(2).named("k1")).bearer();
    for what in ["the first fetch", "one after a failed one"] {
        let mut proxy = start(&remote());
        if what != "the first fetch" {
            let id = proxy.send(&bearing(&good));
            let fetch = proxy.fetch();
            proxy.answer(fetch, 500, "");
            assert_eq!(proxy.outcome(id).code(), "keys_unavailable");
            let in_the_pause = ask(&mut proxy, &token(&key));
            assert_eq!((in_the_pause.code(), proxy.fetches().len()), ("keys_unavailable", 0));
            proxy.advance(Duration::from_secs(2));
        }
        let calls = [&good, &good, &forged].map(|credentials| {
            let id = proxy.send(&bearing(credentials));
            assert_eq!(proxy.outcome(id), Outcome::Parked, "{what}");
            (id, proxy.fetch())
        });
        let ids = [0, 1, 2].map(|place| calls[place].0);
        for (id, call) in calls.into_iter().rev() {
            assert_eq!(call.caller(), id);
            proxy.answer(call, 200, &set(&[&key]));
        }
        let [one, other, forged] = ids.map(|id| proxy.outcome(id));
        assert_passed_as_alice(&one);
        assert_passed_as_alice(&other);
        assert_eq!(forged.code(), "signature_invalid", "{what}");
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    }
}

#[test]
fn a_request_waits_without_what_services_believe() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let id = proxy.send(&bearing(&Token::new(&key).bearer()));
    assert_eq!(proxy.outcome(id), Outcome::Parked);
    // Should the answer to its call be a trap, this is what goes on.
    let held = proxy.held(id);
    assert!(!held.iter().any(|(name, _)| name == "x-user-id"), "{held:?}");
    assert!(held.contains(&("accept".to_owned(), "*/*".to_owned())), "{held:?}");
    let fetch = proxy.fetch();
    proxy.answer(fetch, 200, &set(&[&key]));
    assert_passed_as_alice(&proxy.outcome(id));
}

#[test]
fn a_refusal_that_the_host_does_not_take_is_said_in_the_fewest_words() {
    let key = Key::p256(1).named("k1");
    let forged = Token::new(&Key::p256(2).named("k1")).bearer();
    let mut proxy = start(&remote());
    let id = proxy.send(&bearing(&forged));
    let fetch = proxy.fetch();
    proxy.faults().refuse_once(Call::Answer, 0, Status::BadArgument);
    proxy.answer(fetch, 200, &set(&[&key]));
    let outcome = proxy.outcome(id);
    assert!(matches!(&outcome, Outcome::Answered { status: 503, body, .. } if body.is_empty()), "{outcome:?}");
    assert_eq!(outcome.code(), "signature_invalid", "for the access log");
}

#[test]
fn a_request_asks_a_service_itself_and_never_goes_on_before_its_own_answer() {
    let key = Key::p256(1).named("k1");
    for (status, body, code) in [
        (200, r#"{"decision":true}"#, "passed"),
        (200, r#"{"decision":false}"#, "authorization_denied"),
        (200, "", "authorization_unavailable"),
        (503, "", "authorization_unavailable"),
    ] {
        let mut proxy = start(&decided(&key));
        let ids = [0, 1].map(|_| proxy.send(&bearing(&Token::new(&key).bearer())));
        let mut questions = proxy.fetches();
        assert_eq!(questions.iter().map(|question| question.caller()).collect::<Vec<_>>(), ids);
        proxy.answer(questions.remove(1), status, body);
        assert_eq!(proxy.outcome(ids[0]), Outcome::Parked);
        assert_eq!(proxy.outcome(ids[1]).code(), code);
        proxy.answer(questions.remove(0), status, body);
        assert_eq!(proxy.outcome(ids[0]).code(), code);
    }
}

#[test]
fn no_request_is_decided_by_the_answer_to_the_call_of_another() {
    let key = Key::p256(1).named("k1");
    let good = Token::new(&key).bearer();
    let forged = Token::new(&Key::p256(2).named("k1")).bearer();
    for orders in [[&good, &forged, &good], [&forged, &good, &forged], [&forged, &forged, &good]] {
        let mut proxy = start(&remote());
        let ids = orders.map(|credentials| proxy.send(&bearing(credentials)));
        proxy.tick();
        // The last call is answered first; what calls again is answered, too.
        loop {
            let mut fetches = proxy.fetches();
            if fetches.is_empty() {
                break;
            }
            while let Some(fetch) = fetches.pop() {
                let caller = fetch.caller();
                proxy.answer(fetch, 200, &set(&[&key]));
                if ids.contains(&caller) {
                    assert_ne!(proxy.outcome(caller), Outcome::Parked, "it would go on now");
                }
            }
        }
        for (id, credentials) in ids.into_iter().zip(orders) {
            match proxy.outcome(id) {
                passed @ Outcome::Passed(_) => {
                    assert_eq!(credentials, &good);
                    assert_passed_as_alice(&passed);
                }
                Outcome::Answered { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(proxy.is_alive());
    }
}

#[test]
fn keys_that_were_rotated_are_shared_without_another_fetch() {
    let (old, new) = (Key::p256(1).named("k1"), Key::p256(2).named("k2"));
    let mut proxy = start(&remote());
    for keys in [vec![&old], vec![&old, &new], vec![&new]] {
        proxy.tick();
        let fetch = proxy.fetch();
        proxy.answer(fetch, 200, &set(&keys));
        proxy.tick();
        // What the next configuration takes up is what was fetched last.
        assert!(proxy.configure(&remote().to_string()));
        let last = keys[keys.len() - 1];
        assert_passed_as_alice(&ask(&mut proxy, &Token::new(last).claim("exp", NOW + 9_000).mint()));
        for _ in 0..10 {
            proxy.tick();
            assert!(proxy.fetches().is_empty(), "{:?}", proxy.log());
        }
        proxy.advance(Duration::from_secs(700));
    }
}

#[test]
fn a_client_that_leaves_its_own_call_holds_nobody_up() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&remote());
    let first = proxy.send(&bearing(&Token::new(&key).bearer()));
    drop(proxy.fetch());
    proxy.end(first);
    let second = proxy.send(&bearing(&Token::new(&key).bearer()));
    let fetch = proxy.fetch();
    assert_eq!(fetch.caller(), second);
    proxy.answer(fetch, 200, &set(&[&key]));
    assert_passed_as_alice(&proxy.outcome(second));
}

#[test]
fn clients_that_ask_for_unknown_keys_and_leave_make_one_call_in_the_cooldown() {
    let (key, unknown) = (Key::p256(1).named("k1"), Key::p256(2).named("k2"));
    let mut proxy = start(&remote());
    let first = proxy.send(&bearing(&Token::new(&key).bearer()));
    let fetch = proxy.fetch();
    proxy.answer(fetch, 200, &set(&[&key]));
    assert_passed_as_alice(&proxy.outcome(first));
    let mut calls = 0;
    for _ in 0..20 {
        let id = proxy.send(&bearing(&Token::new(&unknown).bearer()));
        calls += proxy.fetches().len();
        proxy.end(id);
        assert_passed_as_alice(&ask(&mut proxy, &token(&key)));
    }
    assert_eq!(calls, 1);
}
