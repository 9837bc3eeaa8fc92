//! A module that traps: the request at which it does is refused, and the next ones are judged by a new VM.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::crowd::{alone_with, outcome, Crowd, Kind};
use crate::envoy::{module, Environment};
use crate::mint::Key;
use crate::modules;
use crate::proxy::{eventually, eventually_on_every_worker, Proxy, WORKERS};
use crate::secrets::Secrets;
use crate::wire::{get, Request};
use crate::{closed, held_issuer, issuer, token};

/// The module traps at more headers than this.
const MOST_HEADERS: u8 = 40;

fn with_many_headers(request: Request) -> Request {
    (0..MOST_HEADERS).fold(request, |request, number| request.with(&format!("x-{number}"), "a"))
}

#[test]
fn a_request_at_which_the_module_traps_is_refused_and_the_next_ones_are_judged_again() {
    let _alone = alone_with(5_000);
    let key = Key::p256(1).named("k1");
    let proxy = Proxy::answering(&closed(), &issuer(&[&key]));
    let good = token(&key).mint();
    let trap = with_many_headers(get("/").bearing(&good));
    assert_eq!(outcome(&proxy.send(&trap)), "200 alice", "the module as it is has no such trap");

    let module = std::fs::read(module()).expect("the module");
    let gate = json!({"providers": closed()["providers"], "rules": [{"match": {"prefix": "/open"}, "public": true}]});
    proxy.replace(&gate, &modules::trapping(&module, MOST_HEADERS));
    eventually_on_every_worker("the module that traps", || proxy.send(&get("/open")).status() == 200);

    // Until a VM is there again, the requests of its worker are refused.
    let kinds = [
        Kind::bearing("good", "/", &good, &["200 alice", "503"]),
        Kind::bearing("forged", "/", &token(&Key::p256(9).named("k1")).mint(), &["401 signature_invalid", "503"]),
        Kind::new("none", &get("/"), &["401 token_missing", "503"]),
    ];
    let mut crowd = Crowd::open(proxy.port, 2_000);
    let (tally, ()) = crowd.during(&kinds, || {
        for _ in 0..20 {
            assert_eq!(outcome(&proxy.send(&trap)), "503");
            thread::sleep(Duration::from_millis(200));
        }
    });
    tally.assert_right("while it traps");
    assert!(tally.count("good", "503") > 0 && tally.count("good", "200 alice") > 0, "some came between");
    assert!(proxy.log().contains("Uncaught RuntimeError: unreachable"), "{}", proxy.log());
    let mut secrets = Secrets::default();
    secrets.add(&good);
    secrets.assert_not_in(proxy.log().as_bytes(), "the log");

    eventually_on_every_worker("it recovers", || {
        outcome(&proxy.send(&get("/").bearing(&token(&key).mint()))) == "200 alice"
    });
    let kinds = [
        kinds[0].expecting(&["200 alice"]),
        kinds[1].expecting(&["401 signature_invalid"]),
        kinds[2].expecting(&["401 token_missing"]),
    ];
    let (tally, ()) = crowd.during(&kinds, || thread::sleep(Duration::from_millis(500)));
    tally.assert_right("when it has recovered");
    eventually("every request is over", || proxy.stat("http.gateway.downstream_rq_active") == 0);
}

#[test]
fn requests_that_waited_in_a_vm_that_traps_end_by_the_idle_timeout_and_none_of_them_passes() {
    /// What the connection manager is told below.
    const IDLE: Duration = Duration::from_secs(5);
    let key = Key::p256(1).named("k1");
    let (issuer, open, mut main) = held_issuer(&key);
    // The gate itself would wait for longer than Envoy does. The VM that fetches may be among those that trap; the others wait for
    // the end of its lease, which is a second longer than this.
    main["remote_jwks"]["http_uri"]["timeout"] = json!("8s");
    let gate = json!({"providers": {"main": main}, "rules": [{"match": {"prefix": "/open"}, "public": true}]});
    let proxy = Proxy::answering_with(
        &gate,
        &issuer,
        |manager, _| manager["stream_idle_timeout"] = json!("5s"),
        &Environment::new(),
    );
    let module = std::fs::read(module()).expect("the module");
    proxy.replace(&gate, &modules::trapping(&module, MOST_HEADERS));
    eventually_on_every_worker("the module that traps", || {
        proxy.reloads() == 2 && proxy.send(&get("/open")).status() == 200
    });

    let good = get("/").bearing(&token(&key).mint()).bytes();
    let mut parked: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
    parked.iter_mut().for_each(|client| client.send(&good));
    let began = Instant::now();
    let waiting = || proxy.stat("http.gateway.downstream_rq_active");
    eventually("all wait", || waiting() == 100);
    // Every worker gets some of these.
    for _ in 0..40 {
        assert_eq!(outcome(&proxy.send(&with_many_headers(get("/")))), "503");
    }
    let traps = proxy.log().matches("Uncaught RuntimeError: unreachable").count();
    assert!(traps >= WORKERS, "{traps} VMs trapped");

    for client in &mut parked {
        // An answer, which is not the gate's, or the end of the connection.
        let answer = client.try_receive(false).map(|answer| outcome(&answer));
        assert!(answer.as_deref().is_none_or(|answer| ["408", "503"].contains(&answer)), "{answer:?}");
    }
    let took = began.elapsed();
    assert!(took >= IDLE / 2, "they did not wait");
    assert!(took < IDLE + Duration::from_secs(5), "the last one ended after {took:?}");
    eventually("none is left", || waiting() == 0);

    open.store(true, Ordering::Relaxed);
    eventually_on_every_worker("it recovers", || {
        outcome(&proxy.send(&get("/").bearing(&token(&key).mint()))) == "200 alice"
    });
}
