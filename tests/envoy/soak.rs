//! Full load for an hour, while keys are rotated and configurations and modules replaced: `make soak`.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::crowd::{alone_with, Crowd, Kind, Tally};
use crate::envoy::module;
use crate::machine::Memory;
use crate::mint::Key;
use crate::modules;
use crate::proxy::{eventually, Proxy};
use crate::wire::get;
use crate::{issuer, key_set, provider, token, JWKS};

/// One round: a key, a configuration, and every sixth time a module.
const ROUND: Duration = Duration::from_secs(10);

/// Longer than a refresh and its way to every worker.
const REFRESH: Duration = Duration::from_secs(3);

/// How large the heaps of the VMs may be, on average: they take 1.2 MiB each.
const MOST_HEAP: u64 = 2 << 20;

/// What the process may grow by after the first quarter of the time: what its allocator does not give back at once.
const MOST_GROWTH: u64 = 12 << 20;

/// What it may grow by in a run too short to be warm at its first quarter: the first modules are replaced after that, and for a
/// while there are two of each. In the first minute that was 40 MiB, and from then to the tenth up to 18.
const MOST_WARMING: u64 = 64 << 20;

/// From here on, a run is warm at its first quarter: it has the 240 MiB at which it stays after some eight minutes.
const LONG: Duration = Duration::from_secs(1800);

/// The key of a round.
fn key(round: u64) -> Key {
    Key::p256(u8::try_from(round % 200).expect("it is small") + 1).named(&format!("key-{round}"))
}

fn gate(round: u64) -> Value {
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("1s");
    json!({"providers": {"main": main}, "rules": [{"match": {"prefix": format!("/open{round}")}, "public": true}]})
}

fn kinds(round: u64) -> Vec<Kind> {
    let good = (0..100).map(|number| {
        let sub = format!("user-{number}");
        let token = token(&key(round)).claim("sub", sub.as_str()).mint();
        Kind::bearing("good", "/", &token, &[&format!("200 {sub}")])
    });
    let forger = Key::p256(250).named(&format!("key-{round}"));
    let bad = [
        Kind::bearing("forged", "/", &token(&forger).mint(), &["401 signature_invalid"]),
        Kind::bearing("expired", "/", &token(&key(round)).expires_in(-100).mint(), &["401 token_expired"]),
        Kind::bearing(
            "elsewhere",
            "/",
            &token(&key(round)).claim("aud", "elsewhere").mint(),
            &["401 audience_not_allowed"],
        ),
        Kind::bearing("withdrawn", "/", &token(&key(round - 2)).mint(), &["401 key_unknown"]),
        Kind::new("none", &get("/"), &["401 token_missing"]),
    ];
    good.chain(bad.into_iter().cycle().take(50)).collect()
}

#[test]
#[ignore = "takes the whole machine: `make test` runs it for a minute after the others, `make soak` for an hour"]
fn no_decision_is_wrong_and_the_memory_stays_under_full_load() {
    let _alone = alone_with(5_000);
    let time = std::env::var("SOAK_SECONDS").ok().map_or(3600, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let time = Duration::from_secs(time);
    let mut round = 2;
    let issuer = issuer(&[&key(round)]);
    let proxy = Proxy::answering(&gate(round), &issuer);
    let module = std::fs::read(module()).expect("the module");
    eventually("the first key set", || proxy.count("jwt_gate_jwks_fetch_ok") > 0);

    let mut crowd = Crowd::open(proxy.port, 2_000);
    let mut total = Tally::default();
    let mut warm = None;
    let (began, mut reported) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < time {
        let (tally, ()) = crowd.during(&kinds(round), || {
            issuer.set(JWKS, key_set(&[&key(round)]));
            if round % 6 == 0 {
                proxy.replace(&gate(round), &modules::version(&module, &format!("version {round}")));
            } else {
                proxy.reconfigure(&gate(round));
            }
            thread::sleep(ROUND - REFRESH);
            issuer.set(JWKS, key_set(&[&key(round), &key(round + 1)]));
            thread::sleep(REFRESH);
        });
        round += 1;
        total = total.and(tally);
        let memory = Memory::of(proxy.pid());
        if began.elapsed() >= time / 4 {
            warm.get_or_insert(memory);
        }
        if began.elapsed() - reported >= Duration::from_secs(60) || began.elapsed() >= time {
            reported = began.elapsed();
            println!(
                "{:5} s: {} requests, {} wrong, {} lost; {} MiB, of which {} MiB in the heaps of {} VMs",
                reported.as_secs(),
                total.answered(),
                total.wrong(),
                total.lost(),
                memory.resident >> 20,
                memory.heaps >> 20,
                memory.vms,
            );
        }
        total.assert_right("the soak");
        assert!(memory.heaps <= memory.vms * MOST_HEAP, "the heaps of the VMs grew: {memory:?}");
    }
    let (warm, now) = (warm.expect("it ran for a while"), Memory::of(proxy.pid()));
    let most = if time < LONG { MOST_WARMING } else { MOST_GROWTH };
    assert!(now.resident <= warm.resident + most, "the memory grew: {warm:?}, {now:?}");
}
