//! Requests that wait for keys by the thousand: within a bound, and none is forgotten, whoever leaves.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jwt_gate::limits::MAX_WAITING;
use serde_json::json;

use crate::crowd::{alone_with, outcome};
use crate::mint::Key;
use crate::proxy::{eventually_counts, eventually_on_every_worker, Proxy, WORKERS};
use crate::wire::{get, Connection};
use crate::{held_issuer, of_unknown_key, token, JWKS};

#[test]
fn of_ten_thousand_requests_that_come_before_the_keys_some_wait_and_the_rest_are_told_so_at_once() {
    let _alone = alone_with(12_000);
    let key = Key::p256(1).named("k1");
    let (issuer, open, main) = held_issuer(&key);
    let proxy = Proxy::answering(&json!({"providers": {"main": main}}), &issuer);
    let good = get("/").bearing(&token(&key).mint()).bytes();
    let send = |number: usize| -> Vec<Connection> {
        let mut clients: Vec<_> = (0..number).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(&good));
        clients
    };
    let waiting = || usize::try_from(proxy.stat("http.gateway.downstream_rq_active")).expect("it is a number");
    let refused = || usize::try_from(proxy.count("jwt_gate_denied_overloaded")).expect("it is a number");

    let clients = send(10_000);
    eventually_counts("waits or is refused", 10_000, || waiting() + refused());
    assert_eq!(waiting(), WORKERS * MAX_WAITING, "every worker has room for so many");
    // It counts before it is written.
    let is_told = || clients.iter().filter(|client| client.has_answer()).count();
    eventually_counts("is told so", refused(), is_told);
    let (mut refused_clients, mut clients): (Vec<_>, Vec<_>) =
        clients.into_iter().partition(|client| client.has_answer());
    for client in &mut refused_clients {
        let answer = client.receive();
        assert_eq!(outcome(&answer), "503 overloaded");
        assert!(answer.value("retry-after").is_some());
    }

    // Half of those that wait leave, and others take their place.
    clients.truncate(clients.len() / 2);
    let left = clients.len();
    eventually_counts("still waits", left, waiting);
    clients.extend(send(1_000));
    eventually_counts("waits, those who came later too", left + 1_000, waiting);

    open.store(true, Ordering::Relaxed);
    for client in &mut clients {
        assert_eq!(outcome(&client.receive()), "200 alice");
    }
    eventually_counts("waits still", 0, waiting);
    assert_eq!(issuer.requests(JWKS).len(), 1);
}

#[test]
fn ten_thousand_unknown_kids_at_once_cost_the_issuer_one_request_and_those_of_known_keys_pass_meanwhile() {
    let _alone = alone_with(12_000);
    let key = Key::p256(1).named("k1");
    let (issuer, open, mut main) = held_issuer(&key);
    // However slow the machine is, no second fetch is due.
    main["remote_jwks"]["refetch_cooldown"] = json!("1h");
    open.store(true, Ordering::Relaxed);
    let proxy = Proxy::answering(&json!({"providers": {"main": main}}), &issuer);
    let good = get("/").bearing(&token(&key).mint());
    eventually_on_every_worker("the keys are there", || outcome(&proxy.send(&good)) == "200 alice");
    open.store(false, Ordering::Relaxed);

    let mut clients: Vec<_> = (0..10_000).map(|_| proxy.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&get("/").bearing(&of_unknown_key(&number.to_string())).bytes());
    }
    let waiting = || usize::try_from(proxy.stat("http.gateway.downstream_rq_active")).expect("it is a number");
    let refused = || usize::try_from(proxy.count("jwt_gate_denied_overloaded")).expect("it is a number");
    eventually_counts("waits or is refused", 10_000, || waiting() + refused());
    assert_eq!(waiting(), WORKERS * MAX_WAITING, "every worker has room for so many");
    for _ in 0..40 {
        assert_eq!(outcome(&proxy.send(&good)), "200 alice");
    }

    open.store(true, Ordering::Relaxed);
    let outcomes: Vec<String> = clients.iter_mut().map(|client| outcome(&client.receive())).collect();
    let count = |expected: &str| outcomes.iter().filter(|outcome| *outcome == expected).count();
    let (unknown, overloaded) = (count("401 key_unknown"), count("503 overloaded"));
    assert_eq!((unknown, overloaded), (WORKERS * MAX_WAITING, 10_000 - WORKERS * MAX_WAITING));
    assert_eq!(issuer.requests(JWKS).len(), 2, "one at start, one for all of them");
}

#[test]
fn a_token_that_expires_while_it_waits_has_expired() {
    let key = Key::p256(1).named("k1");
    let (issuer, open, mut main) = held_issuer(&key);
    main["clock_skew_seconds"] = json!(0);
    let proxy = Proxy::answering(&json!({"providers": {"main": main}}), &issuer);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let send = |exp: u64| {
        let mut client = proxy.connect();
        client.send(&get("/").bearing(&token(&key).claim("exp", exp).mint()).bytes());
        client
    };
    let mut short: Vec<_> = (0..40).map(|_| send(now + 2)).collect();
    let mut long: Vec<_> = (0..40).map(|_| send(now + 600)).collect();
    eventually_counts("waits", 80, || {
        usize::try_from(proxy.stat("http.gateway.downstream_rq_active")).expect("it is a number")
    });
    thread::sleep(Duration::from_secs(3));
    open.store(true, Ordering::Relaxed);
    for client in &mut short {
        assert_eq!(outcome(&client.receive()), "401 token_expired");
    }
    for client in &mut long {
        assert_eq!(outcome(&client.receive()), "200 alice");
    }
}
