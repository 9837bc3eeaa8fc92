//! When documents are fetched again and given up, to the millisecond: on a clock that stands still until the test sets it.

use std::thread;
use std::time::Duration;

use serde_json::{json, Map, Value};

use crate::clock::{now, Clock};
use crate::crowd::outcome;
use crate::mint::Key;
use crate::proxy::{eventually_counts, eventually_on_every_worker, Proxy, NOTHING};
use crate::servers::{Behaviour, Issuer};
use crate::wire::get;
use crate::{closed, issuer, key_set, of_unknown_key, provider, token, JWKS};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GRAIN: Duration = Duration::from_millis(1);

/// What every VM needs to see the clock, and to begin what is due then.
const SETTLED: Duration = Duration::from_millis(600);

/// How many documents have the same settings, to see how their times differ.
const ALIKE: usize = 8;

/// Documents that differ in nothing but their names.
struct Alike {
    name: &'static str,
    /// The provider's field.
    field: &'static str,
    paths: Vec<String>,
}

impl Alike {
    fn new(name: &'static str, count: usize) -> Self {
        Self { name, field: "remote_jwks", paths: (0..count).map(|number| format!("/{name}-{number}")).collect() }
    }

    /// They are revocation lists.
    fn revocations(self) -> Self {
        Self { field: "revocation", ..self }
    }

    /// What the issuer says to each.
    fn answer(self, issuer: &Issuer, behaviour: &Behaviour) -> Self {
        self.paths.iter().for_each(|path| issuer.set(path, behaviour.clone()));
        self
    }

    /// A provider for each, with these settings.
    fn providers(&self, settings: &Value) -> impl Iterator<Item = (String, Value)> + '_ {
        let settings = settings.clone();
        self.paths.iter().map(move |path| {
            let mut provider = provider();
            provider["issuer"] = json!(format!("https://issuer.example{path}"));
            provider[self.field] = settings.clone();
            let uri = format!("http://issuer.example{path}");
            provider[self.field]["http_uri"] = json!({"uri": uri, "cluster": "issuer", "timeout": "2s"});
            (path[1..].to_owned(), provider)
        })
    }

    /// How many requests each has seen, the fewest first.
    fn requests(&self, issuer: &Issuer) -> Vec<usize> {
        let mut requests: Vec<usize> = self.paths.iter().map(|path| issuer.requests(path).len()).collect();
        requests.sort_unstable();
        requests
    }

    fn assert_requests(&self, issuer: &Issuer, expected: usize, when: Duration) {
        let requests = self.requests(issuer);
        assert!(requests.iter().all(|&count| count == expected), "{} {when:?}: {requests:?}", self.name);
    }

    fn await_requests(&self, issuer: &Issuer, expected: usize, when: Duration) {
        let done = || self.requests(issuer).iter().filter(|&&count| count == expected).count();
        eventually_counts(&format!("{} {when:?}", self.name), self.paths.len(), done);
    }
}

/// A clock that stands still, when it began to, and Envoy by that clock with four workers.
fn start(providers: impl Iterator<Item = (String, Value)>, issuer: &Issuer) -> (Clock, Duration, Proxy) {
    let began = now();
    let clock = Clock::stopped(began);
    let gate = json!({"providers": providers.collect::<Map<_, _>>()});
    let proxy = Proxy::answering_with(&gate, issuer, NOTHING, &clock.environment());
    (clock, began, proxy)
}

/// How many documents had been asked for again at each of these times.
fn spread(clock: &Clock, times: impl Iterator<Item = Duration>, asked: impl Fn() -> usize) -> Vec<usize> {
    let step = |time| {
        clock.stop(time);
        thread::sleep(SETTLED);
        asked()
    };
    times.map(step).collect()
}

#[test]
fn after_each_failure_the_pause_is_twice_as_long_and_a_minute_at_most_less_up_to_a_quarter() {
    let issuer = Issuer::start();
    let failing = Alike::new("failing", ALIKE).answer(&issuer, &Behaviour::status(500));
    let lists = Alike::new("lists", ALIKE).revocations().answer(&issuer, &Behaviour::status(500));
    issuer.set(JWKS, key_set(&[&Key::p256(1).named("k1")]));
    let providers = failing.providers(&json!({})).chain(lists.providers(&json!({})));
    let (clock, mut at, proxy) = start(providers, &issuer);
    let count = |what: &str| usize::try_from(proxy.count(&format!("jwt_gate_{what}_fetch_failed"))).expect("a few");
    // A fetch is over once it is counted.
    let failed = |fetches: usize| {
        for what in ["jwks", "revocation"] {
            eventually_counts(what, fetches * ALIKE, || count(what));
        }
    };
    failed(1);
    for (before, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        let pause = seconds * SECOND;
        clock.stop(at + pause * 3 / 4 - GRAIN);
        thread::sleep(SETTLED);
        failing.assert_requests(&issuer, before, pause * 3 / 4);
        lists.assert_requests(&issuer, before, pause * 3 / 4);
        at += pause;
        clock.stop(at);
        failed(before + 1);
        failing.assert_requests(&issuer, before + 1, pause);
        lists.assert_requests(&issuer, before + 1, pause);
    }
    // Each failure has one line, whichever worker fetched.
    for (line, what) in [("no key set (", "jwks"), ("no revocation list (", "revocation")] {
        assert_eq!(proxy.log().matches(line).count(), count(what), "{line}");
    }
    let asked = || failing.requests(&issuer).iter().filter(|&&count| count > 9).count();
    let asked = spread(&clock, (45..=60).step_by(3).map(|second| at + second * SECOND), asked);
    assert_eq!(asked.last(), Some(&ALIKE), "{asked:?}");
    assert!(asked.iter().any(|&count| count > 0 && count < ALIKE), "a fleet would ask all at once: {asked:?}");
}

#[test]
fn a_key_set_is_fetched_again_when_80_to_95_percent_of_what_its_issuer_and_its_cache_duration_allow_are_over() {
    let key = Key::p256(1).named("k1");
    let issuer = Issuer::start();
    let silent = Alike::new("silent", ALIKE).answer(&issuer, &key_set(&[&key]));
    let of_max_age = |name, seconds| {
        let answer = key_set(&[&key]).with("cache-control", &format!("max-age={seconds}"));
        Alike::new(name, 2).answer(&issuer, &answer)
    };
    let (least, between, above) = (of_max_age("least", 1), of_max_age("between", 100), of_max_age("above", 3600));
    let providers = [
        // Ten minutes, as in jwt_authn.
        silent.providers(&json!({})),
        least.providers(&json!({"cache_duration": "600s"})),
        between.providers(&json!({"cache_duration": "600s"})),
        above.providers(&json!({"cache_duration": "250s"})),
    ];
    let (clock, began, _proxy) = start(providers.into_iter().flatten(), &issuer);
    let all = [&silent, &least, &between, &above];
    all.iter().for_each(|alike| alike.await_requests(&issuer, 1, Duration::ZERO));
    // An answer that is on its way would be one of a later time.
    thread::sleep(SETTLED);

    for (alike, lifetime) in [(&least, 10), (&between, 100), (&above, 250)] {
        let lifetime = lifetime * SECOND;
        let (earliest, latest) = (lifetime * 80 / 100, lifetime * 95 / 100);
        clock.stop(began + earliest - GRAIN);
        thread::sleep(SETTLED);
        alike.assert_requests(&issuer, 1, earliest);
        clock.stop(began + latest);
        alike.await_requests(&issuer, 2, latest);
    }
    clock.stop(began + 480 * SECOND - GRAIN);
    thread::sleep(SETTLED);
    silent.assert_requests(&issuer, 1, 480 * SECOND);
    let asked = || silent.requests(&issuer).iter().filter(|&&count| count > 1).count();
    let asked = spread(&clock, (480..=570).step_by(18).map(|second| began + second * SECOND), asked);
    assert_eq!(asked.last(), Some(&ALIKE), "{asked:?}");
    assert!(asked.iter().any(|&count| count > 0 && count < ALIKE), "a fleet would ask all at once: {asked:?}");
}

#[test]
fn an_unknown_key_has_the_set_fetched_once_and_again_when_the_cooldown_is_over() {
    const COOLDOWN: Duration = Duration::from_secs(30);
    let issuer = issuer(&[&Key::p256(1).named("k1")]);
    let began = now();
    let clock = Clock::stopped(began);
    let proxy = Proxy::answering_with(&closed(), &issuer, NOTHING, &clock.environment());
    eventually_counts("the first key set", 1, || issuer.requests(JWKS).len());
    let unknown = get("/").bearing(&of_unknown_key("k2"));
    let is_refused = || eventually_on_every_worker("k2", || outcome(&proxy.send(&unknown)) == "401 key_unknown");
    let fetched = || issuer.requests(JWKS).len();
    is_refused();
    assert_eq!(fetched(), 2);
    clock.stop(began + COOLDOWN - GRAIN);
    thread::sleep(SETTLED);
    is_refused();
    assert_eq!(fetched(), 2);
    clock.stop(began + COOLDOWN);
    thread::sleep(SETTLED);
    is_refused();
    assert_eq!(fetched(), 3);
}

#[test]
fn a_revocation_list_that_nobody_confirms_serves_for_a_day_where_nothing_else_is_said() {
    let key = Key::p256(1).named("k1");
    let (issuer, began) = (issuer(&[&key]), now());
    issuer.set("/revoked", Behaviour::json(&json!({"revoked": [{"sub": "bob"}]})));
    let mut main = provider();
    let uri = "http://issuer.example/revoked";
    main["revocation"] = json!({"http_uri": {"uri": uri, "cluster": "issuer", "timeout": "2s"}});
    let clock = Clock::stopped(began);
    let gate = json!({"providers": {"main": main}});
    let proxy = Proxy::answering_with(&gate, &issuer, NOTHING, &clock.environment());
    let of = |sub: &str| get("/").bearing(&token(&key).claim("sub", sub).expires_in(2 * 24 * 60 * 60).mint());
    let (alice, bob) = (of("alice"), of("bob"));
    let are = |expected: [&str; 2]| {
        let outcomes = || [outcome(&proxy.send(&alice)), outcome(&proxy.send(&bob))];
        eventually_on_every_worker(expected[0], || outcomes() == expected);
    };
    are(["200 alice", "401 token_revoked"]);
    assert_eq!(issuer.requests("/revoked").len(), 1, "one fetch for every worker");

    issuer.set("/revoked", Behaviour::status(500));
    clock.stop(began + DAY);
    thread::sleep(SETTLED);
    are(["200 alice", "401 token_revoked"]);
    clock.stop(began + DAY + GRAIN);
    are(["503 revocation_unavailable"; 2]);
}

#[test]
fn keys_that_nobody_confirms_serve_for_a_day_where_nothing_else_is_said() {
    let key = Key::p256(1).named("k1");
    let (issuer, began) = (issuer(&[&key]), now());
    let clock = Clock::stopped(began);
    let proxy = Proxy::answering_with(&closed(), &issuer, NOTHING, &clock.environment());
    eventually_counts("the first key set", 1, || issuer.requests(JWKS).len());
    let good = get("/").bearing(&token(&key).expires_in(2 * 24 * 60 * 60).mint());
    let is = |expected: &str| eventually_on_every_worker(expected, || outcome(&proxy.send(&good)) == expected);
    is("200 alice");

    issuer.set(JWKS, Behaviour::status(500));
    clock.stop(began + DAY);
    thread::sleep(SETTLED);
    is("200 alice");
    clock.stop(began + DAY + GRAIN);
    is("503 keys_unavailable");
}
