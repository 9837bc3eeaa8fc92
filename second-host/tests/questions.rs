//! Questions to a service, each in the context of the request that it is about.

use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::types::Status;
use serde_json::{json, Value};

use jwt_gate_second_host::{Call, Outcome, Proxy};

use crate::mint::{Key, Token};
use crate::{ask, assert_passed_as_alice, bearing, local, start, token};

/// A provider whose keys stand in the configuration, and a service that decides about every request of its callers.
pub fn decided(key: &Key) -> Value {
    let uri = json!({"uri": "http://authz.example/decide", "cluster": "authz", "timeout": "2s"});
    let mut gate = local(&[key]);
    gate["rules"] = json!([{
        "match": {"prefix": "/"},
        "requires": {"provider_name": "main"},
        "authorize": {"service": {"protocol": "authzen", "http_uri": uri}},
    }]);
    gate
}

const YES: &str = r#"{"decision":true}"#;
const NO: &str = r#"{"decision":false}"#;

fn send(proxy: &mut Proxy, key: &Key) -> proxy_wasm_host::abi::v0_2_1::ContextId {
    proxy.send(&bearing(&Token::new(key).bearer()))
}

#[test]
fn a_request_waits_for_the_answer_to_its_question_and_then_is_decided() {
    let key = Key::p256(1).named("k1");
    for (answer, code) in [
        (Some((200, YES)), "passed"),
        (Some((200, NO)), "authorization_denied"),
        (Some((200, "{}")), "authorization_unavailable"),
        (Some((500, YES)), "authorization_unavailable"),
        (None, "authorization_unavailable"),
    ] {
        let mut proxy = start(&decided(&key));
        let id = send(&mut proxy, &key);
        assert_eq!(proxy.outcome(id), Outcome::Parked);
        let question = proxy.fetch();
        assert_eq!((question.caller(), question.target().as_str()), (id, "authz /decide"));
        match answer {
            Some((status, body)) => proxy.answer(question, status, body),
            None => proxy.fail(question),
        }
        let outcome = proxy.outcome(id);
        assert_eq!(outcome.code(), code, "{answer:?}");
        if code == "passed" {
            assert_passed_as_alice(&outcome);
        }
    }
}

#[test]
fn requests_with_the_same_question_share_it_and_who_is_left_asks_again() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&decided(&key));
    let ids: Vec<_> = (0..4).map(|_| send(&mut proxy, &key)).collect();
    let question = proxy.fetch();
    assert_eq!(question.caller(), ids[0]);
    proxy.end(ids[0]);
    let again = proxy.fetch();
    assert_eq!(again.caller(), ids[3], "who came last waits longest");
    proxy.answer(question, 200, NO);
    assert!(ids[1..].iter().all(|id| proxy.outcome(*id) == Outcome::Parked), "the first question was another's");
    proxy.answer(again, 200, YES);
    for id in &ids[1..] {
        assert_passed_as_alice(&proxy.outcome(*id));
    }
}

#[test]
fn a_question_that_nobody_answers_or_takes_ends_in_time() {
    let key = Key::p256(1).named("k1");
    let mut proxy = start(&decided(&key));
    let id = send(&mut proxy, &key);
    for _ in 0..31 {
        proxy.advance(Duration::from_millis(100));
        proxy.tick();
    }
    assert_eq!(proxy.outcome(id).code(), "authorization_unavailable");
    for status in [Status::BadArgument, Status::InternalFailure] {
        let mut proxy = start(&decided(&key));
        proxy.faults().refuse(Call::Dispatch, 0, status);
        assert_eq!(ask(&mut proxy, &token(&key)).code(), "authorization_unavailable", "{status}");
        assert!(proxy.is_alive(), "{status}");
    }
}
