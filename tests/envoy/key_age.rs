//! How old keys are: what shows it, and when they are too old to be used.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::crowd::outcome;
use crate::mint::Key;
use crate::proxy::eventually;
use crate::servers::{Behaviour, Issuer};
use crate::wire::get;
use crate::{issuer, key_set, provider, start_with_four_workers, token, JWKS};

#[test]
fn keys_that_nobody_confirms_serve_for_max_stale_and_then_every_worker_says_when_to_come_again() {
    const MAX_STALE: Duration = Duration::from_secs(5);
    let key = Key::rsa().named("k1");
    let issuer = issuer(&[&key]);
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("1s");
    main["remote_jwks"]["max_stale"] = json!("5s");
    let proxy = start_with_four_workers(&json!({"providers": {"main": main}}), &issuer);
    let confirmed = *issuer.arrivals(JWKS).last().expect("there are keys");
    issuer.set(JWKS, Behaviour::status(500));
    eventually("a refresh fails", || proxy.count("jwt_gate_jwks_fetch_failed") > 0);

    let good = get("/").bearing(&token(&key).mint());
    let mut passed = 0;
    eventually("the keys are too old", || {
        let status = proxy.send(&good).status();
        // The gate's clock counts whole milliseconds.
        let is_too_old = confirmed.elapsed() + Duration::from_millis(5) >= MAX_STALE;
        assert!(status == 200 || (status == 503 && is_too_old), "{status} after {:?}", confirmed.elapsed());
        passed += u32::from(status == 200);
        status == 503
    });
    assert!(passed > 0, "the last good keys serve at first");
    // Connections are spread over the workers.
    for _ in 0..40 {
        let refused = proxy.send(&good);
        assert_eq!(outcome(&refused), "503 keys_unavailable");
        let pause: u64 =
            refused.value("retry-after").and_then(|value| value.parse().ok()).expect("a number of seconds");
        assert!((1..=60).contains(&pause), "{pause} s");
    }
    let said = || proxy.log().matches("the key set is not used any more").count();
    eventually("the log says so", || said() > 0);
    assert_eq!(said(), 1, "one worker says so for all");
}

#[test]
fn the_gauges_say_how_many_keys_are_usable_and_for_how_long_nobody_confirmed_them() {
    let keys = [Key::rsa().named("k1"), Key::p256(1).named("k2")];
    let issuer = Issuer::start();
    let of_no_type = json!({"kty": "x", "kid": "k3"});
    issuer.set(JWKS, Behaviour::json(&json!({"keys": [keys[0].jwk(), of_no_type, keys[1].jwk()]})));
    let mut main = provider();
    main["remote_jwks"]["cache_duration"] = json!("5s");
    let started = Instant::now();
    let proxy = start_with_four_workers(&json!({"providers": {"main": main}}), &issuer);
    let (count, age) = (|| proxy.count("jwt_gate_jwks_keys_main"), || proxy.count("jwt_gate_jwks_age_seconds_main"));
    eventually("two of three are usable", || count() == 2);
    eventually("they grow old", || {
        let age = age();
        assert!(Duration::from_secs(age) <= started.elapsed(), "{age} s after {:?}", started.elapsed());
        age >= 3
    });

    issuer.set(JWKS, key_set(&[&keys[0]]));
    eventually("a refresh brings one key", || count() == 1);
    eventually("it is young", || age() < 2);
    assert!(issuer.requests(JWKS).len() > 1);
}
