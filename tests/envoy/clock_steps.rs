//! The clock of the day, set forth and back while requests come.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Clock;
use crate::crowd::{alone_with, outcome, Crowd, Kind};
use crate::mint::Key;
use crate::proxy::{eventually, eventually_on_every_worker, Proxy, NOTHING};
use crate::wire::get;
use crate::{closed, issuer, token, JWKS};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_clock_that_steps_forth_and_back_under_load_changes_which_tokens_are_valid_now_and_nothing_else() {
    let _alone = alone_with(5_000);
    let key = Key::p256(1).named("k1");
    let (issuer, clock) = (issuer(&[&key]), Clock::new());
    let proxy = Proxy::answering_with(&closed(), &issuer, NOTHING, &clock.environment());
    eventually("the first key set", || proxy.count("jwt_gate_jwks_fetch_ok") > 0);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let now = i64::try_from(now.as_secs()).expect("it is before the end of time");
    let steady = |sub: &str| {
        let token = token(&key).claim("sub", sub).claim("iat", now - 2 * DAY).expires_in(2 * DAY).mint();
        Kind::bearing(sub, "/", &token, &[&format!("200 {sub}")])
    };
    let kinds = [
        steady("ada"),
        steady("bob"),
        Kind::bearing(
            "forged",
            "/",
            &token(&Key::p256(9).named("k1")).expires_in(2 * DAY).mint(),
            &["401 signature_invalid"],
        ),
        Kind::bearing("expired", "/", &token(&key).expires_in(-2 * DAY).mint(), &["401 token_expired"]),
        Kind::new("none", &get("/"), &["401 token_missing"]),
    ];
    let fresh = get("/").bearing(&token(&key).mint());
    let steps = [
        (0, "200 alice"),
        (HOUR, "401 token_expired"),
        (-HOUR, "401 issued_in_the_future"),
        (3 * HOUR, "401 token_expired"),
        (0, "200 alice"),
    ];
    let mut crowd = Crowd::open(proxy.port, 2_000);
    let (tally, ()) = crowd.during(&kinds, || {
        for (shift, expected) in steps {
            clock.shift(shift);
            eventually_on_every_worker(&format!("{shift} s"), || outcome(&proxy.send(&fresh)) == expected);
            thread::sleep(Duration::from_secs(1));
        }
    });
    tally.assert_right("the clock");
    let fetches = issuer.requests(JWKS).len();
    assert!(fetches <= 2 * steps.len(), "the issuer was asked {fetches} times");
}
