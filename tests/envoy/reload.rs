//! Configurations and modules that are replaced while requests come, by a file of filters (ECDS).

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::crowd::{alone_with, outcome, Crowd, Kind};
use crate::envoy;
use crate::machine::Memory;
use crate::mint::Key;
use crate::modules;
use crate::proxy::{eventually, Proxy};
use crate::wire::get;
use crate::{held_issuer, issuer, provider, token, JWKS};

/// Every route closed but this one.
fn with_open(prefix: &str) -> Value {
    json!({"providers": {"main": provider()}, "rules": [{"match": {"prefix": prefix}, "public": true}]})
}

fn module() -> Vec<u8> {
    fs::read(envoy::module()).expect("the module is there")
}

/// Waits until a route is open on every worker, over which connections are spread.
fn opens(proxy: &Proxy, path: &str) {
    let request = get(path).bytes();
    eventually(path, || {
        let mut clients: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.send(&request));
        clients.iter_mut().all(|client| client.receive().status() == 200)
    });
}

/// What clients send, and are told whatever is replaced.
fn kinds(key: &Key) -> Vec<Kind> {
    let good = (0..8).map(|number| {
        let sub = format!("user-{number}");
        let token = token(key).claim("sub", sub.as_str()).mint();
        Kind::bearing(&sub, "/", &token, &[&format!("200 {sub}")])
    });
    let bad = [
        Kind::bearing("forged", "/", &token(&Key::p256(9).named("k1")).mint(), &["401 signature_invalid"]),
        Kind::bearing("expired", "/", &token(key).expires_in(-100).mint(), &["401 token_expired"]),
        Kind::bearing("elsewhere", "/", &token(key).claim("aud", "elsewhere").mint(), &["401 audience_not_allowed"]),
        Kind::new("none", &get("/"), &["401 token_missing"]),
    ];
    good.chain(bad).collect()
}

#[test]
fn a_configuration_or_a_module_is_replaced_without_a_wrong_decision_or_a_lost_request() {
    let _alone = alone_with(5_000);
    let key = Key::p256(1).named("k1");
    let issuer = issuer(&[&key]);
    let proxy = Proxy::answering(&with_open("/open0"), &issuer);
    let mut crowd = Crowd::open(proxy.port, 2_000);
    let vms = || proxy.stat("wasm.envoy.wasm.runtime.v8.active");
    let (before, created) = (vms(), proxy.stat("wasm.envoy.wasm.runtime.v8.created"));
    opens(&proxy, "/open0");

    let (tally, ()) = crowd.during(&kinds(&key), || {
        proxy.reconfigure(&with_open("/open1"));
        opens(&proxy, "/open1");
        assert_eq!(proxy.send(&get("/open0")).status(), 401);
        // The same again.
        proxy.reconfigure(&with_open("/open1"));
        // One that is refused.
        proxy.reconfigure(&json!({"providers": {}}));
        eventually("the refusal is logged", || proxy.log().contains("configuration refused: providers"));
        opens(&proxy, "/open1");
        // Another version of the module.
        proxy.replace(&with_open("/open2"), &modules::version(&module(), "next"));
        opens(&proxy, "/open2");
        assert!(proxy.stat("wasm.envoy.wasm.runtime.v8.created") >= created + before - 1, "it runs in new VMs");
        // One that is no module.
        proxy.replace(&with_open("/open3"), b"\0asm");
        eventually("the refusal is logged", || proxy.log().contains("Failed to load Wasm code"));
        opens(&proxy, "/open2");
        assert_eq!(proxy.send(&get("/open3")).status(), 401);
    });
    tally.assert_right("while everything is replaced");
    eventually("the VMs of old versions are gone", || vms() == before);
    assert_eq!(issuer.requests(JWKS).len(), 1, "the keys are those that were there");
}

#[test]
fn a_request_that_waits_while_its_module_is_replaced_is_answered() {
    for waits_from_the_start in [true, false] {
        let key = Key::p256(1).named("k1");
        let (issuer, open, main) = held_issuer(&key);
        let gate = |prefix: &str| json!({"providers": {"main": main}, "rules": [{"match": {"prefix": prefix}, "public": true}]});
        let proxy = Proxy::answering(&gate("/open0"), &issuer);
        eventually("the first fetch", || !issuer.requests(JWKS).is_empty());
        let good = get("/").bearing(&token(&key).mint()).bytes();
        let mut clients = Vec::new();
        let mut more = || {
            let mut some: Vec<_> = (0..100).map(|_| proxy.connect()).collect();
            some.iter_mut().for_each(|client| client.send(&good));
            clients.append(&mut some);
            eventually("they wait", || proxy.stat("http.gateway.downstream_rq_active") == clients.len() as u64);
        };
        // Without a request that waits, the configuration ends at once, and the fetch with it.
        if waits_from_the_start {
            more();
        }
        proxy.reconfigure(&gate("/open1"));
        opens(&proxy, "/open1");
        more();
        proxy.replace(&gate("/open2"), &modules::version(&module(), "next"));
        opens(&proxy, "/open2");
        more();
        open.store(true, Ordering::Relaxed);
        let answered = Instant::now();
        for client in &mut clients {
            assert_eq!(outcome(&client.receive()), "200 alice");
        }
        assert!(answered.elapsed() < Duration::from_secs(10), "not when the lease of a lost call is over");
    }
}

/// How often the threads of Envoy have gone to sleep so far.
fn sleeps(proxy: &Proxy) -> u64 {
    let of = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("the kernel counts them")
    };
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid())).expect("Envoy runs").flatten();
    tasks.map(|task| of(&fs::read_to_string(task.path().join("status")).expect("its threads stay"))).sum()
}

/// How often it wakes within a second without requests.
fn wakes(proxy: &Proxy) -> u64 {
    let before = sleeps(proxy);
    std::thread::sleep(Duration::from_secs(1));
    sleeps(proxy) - before
}

/// Reloads the configuration so many times; what the process has grown by. It wakes no more often than before.
fn growth(reloads: u64) -> u64 {
    let key = Key::p256(1).named("k1");
    let issuer = issuer(&[&key]);
    let proxy = Proxy::answering(&with_open("/open"), &issuer);
    let at_first = wakes(&proxy);
    let mut crowd = Crowd::open(proxy.port, 100);
    let mut reload = |rounds: std::ops::Range<u64>| {
        let (tally, ()) = crowd.during(&kinds(&key), || {
            for round in rounds {
                let before = proxy.reloads();
                proxy.reconfigure(&with_open(&format!("/open{}", round % 10)));
                eventually("the reload", || proxy.reloads() > before);
            }
        });
        tally.assert_right("while the configuration is reloaded");
        Memory::of(proxy.pid()).resident
    };
    let warm = reload(0..20);
    let grown = reload(20..20 + reloads).saturating_sub(warm);
    let at_last = wakes(&proxy);
    println!("{reloads} reloads: {warm} bytes and {grown} more; awake {at_first} times in a second, now {at_last}");
    // A tick of each old configuration would be ten for each of five VMs.
    assert!(at_last < 5 * at_first, "{at_first} and {at_last}");
    grown
}

#[test]
fn reloads_do_not_grow_the_memory() {
    assert!(growth(40) < 8 << 20);
}

#[test]
#[ignore = "takes the whole machine: `make test` and `make soak` run it after the others"]
fn a_thousand_reloads_do_not_grow_the_memory() {
    assert!(growth(1000) < 6 << 20);
}
