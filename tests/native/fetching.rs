//! How keys come and go: one fetch for all VMs, waits that end, and keys that stay when the issuer does not.

use std::time::Duration;

use jwt_gate::limits::{MAX_KEY_SET_BYTES, MAX_WAITING, MIN_MAX_AGE, TICK, WAIT_MARGIN};
use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{key_set, Key, Token, ISSUER};
use crate::world::{local, merged, remote, revoking, Reply, Request, World, JWKS, REVOKED};

const SECOND: Duration = Duration::from_secs(1);
const MINUTES_10: u64 = 600;

fn config(more: Value) -> Value {
    json!({"providers": {"main": remote(json!({ "remote_jwks": more }))}})
}

fn one() -> Key {
    Key::ed25519(1).named("one")
}

fn two() -> Key {
    Key::ed25519(2).named("two")
}

/// A request with a token of `key` that lives for a day.
fn signed(world: &World, key: &Key) -> Request {
    Request::get("/").bearer(&Token::at(key, world.seconds()).expires_in(86_400).mint())
}

/// VMs that have the keys of `one`.
fn running(more: Value, vms: usize) -> World {
    let mut world = World::new(&config(more), vms);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.advance(SECOND);
    world
}

#[test]
fn four_vms_fetch_once_at_the_start() {
    for interleaved in [false, true] {
        let mut world = World::new(&config(json!({})), 4);
        world.interleaved = interleaved;
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.seconds_pass(60);
        assert_eq!(world.fetches.len(), 1, "interleaved: {interleaved}, {:?}", world.fetches);
        assert!(world.fetches[0].at <= 100, "{:?}", world.fetches);
        assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 1);
        for vm in 0..4 {
            let request = signed(&world, &one());
            assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
        }
    }
}

#[test]
fn a_fetch_asks_as_its_configuration_says() {
    let mut world =
        running(json!({"http_uri": {"uri": "http://issuer.example:8080/realms/x/certs?v=1", "timeout": "1.5s"}}), 1);
    world.advance(SECOND);
    let call = &world.fetches[0].call;
    assert_eq!((call.cluster.as_str(), call.timeout), ("issuer", Duration::from_millis(1500)));
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "issuer.example:8080"),
        (":path", "/realms/x/certs?v=1"),
        ("accept", "application/json"),
    ] {
        assert!(call.headers().any(|field| field == (name, value)), "{name}");
    }
    assert!(call.headers().any(|(name, value)| name == "user-agent" && value.starts_with("jwt-gate/")));
    assert!(!call.headers().any(|(name, _)| name == "if-none-match"));
}

#[test]
fn requests_before_the_first_keys_wait_and_then_pass_in_every_vm() {
    let mut world = World::new(&config(json!({})), 4);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(1500)));
    let (good, bad) = (signed(&world, &one()), signed(&world, &Key::ed25519(9).named("one")));
    let waiting: Vec<_> = (0..4).map(|vm| (world.request(vm, &good), world.request(vm, &bad))).collect();
    world.advance(Duration::from_millis(1400));
    let late = world.request(2, &good);
    for (good, bad) in &waiting {
        assert_eq!((world.verdict(*good), world.verdict(*bad)), (None, None));
    }
    world.advance(Duration::from_millis(400));
    for (good, bad) in waiting {
        assert_eq!(world.verdict(good).unwrap().code(), "allowed");
        assert_eq!(world.verdict(bad).unwrap().code(), "signature_invalid");
    }
    assert_eq!(world.verdict(late).unwrap().code(), "allowed");
    assert_eq!(world.fetches.len(), 1);
    world.settle();
}

#[test]
fn only_what_waiting_can_change_waits() {
    let mut world = World::new(&config(json!({})), 1);
    let token = Token::at(&one(), world.seconds());
    for (request, code) in [
        (Request::get("/"), "token_missing"),
        (Request::get("/").bearer("garbage"), "token_malformed"),
        (Request::get("/").bearer(&token.clone().header("alg", "none").mint()), "algorithm_not_allowed"),
        (Request::get("/").bearer(&token.clone().header("crit", json!(["x"])).mint()), "header_malformed"),
    ] {
        assert_eq!(world.ask(0, &request).code(), code);
    }
}

#[test]
fn a_wait_is_bounded_and_ends_in_503() {
    // The host says that there was no answer, or says nothing at all.
    for reply in [Reply::hangs(), Reply::never()] {
        let mut world = World::new(&config(json!({})), 2);
        world.issuer(JWKS, reply.clone());
        let request = signed(&world, &one());
        let ids = [world.request(0, &request), world.request(1, &request)];
        world.advance(Duration::from_millis(1900));
        assert_eq!(ids.map(|id| world.verdict(id).cloned()), [None, None], "{reply:?}");
        world.advance(Duration::from_millis(100) + WAIT_MARGIN + 2 * TICK);
        for id in ids {
            let verdict = world.verdict(id).unwrap_or_else(|| panic!("{reply:?}: still waiting"));
            assert_eq!((verdict.code(), verdict.status()), ("keys_unavailable", 503), "{reply:?}");
            let headers = verdict.denial().headers(false);
            let retry = headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, value)| value.parse::<u64>());
            assert!(matches!(retry, Some(Ok(1..=60))), "{reply:?}: {headers:?}");
        }
        world.settle();
    }
}

#[test]
fn between_two_attempts_nobody_waits() {
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(300);
    let last = world.fetches.last().unwrap().at;
    while world.fetches.last().unwrap().at == last {
        world.advance(TICK);
    }
    world.advance(SECOND);
    let request = signed(&world, &one());
    let verdict = world.ask(0, &request);
    assert_eq!(verdict.code(), "keys_unavailable");
    assert!(verdict.denial().retry_after > Duration::from_secs(30), "{:?}", verdict.denial());
}

#[test]
fn a_request_waits_for_the_attempts_that_retry_policy_has_left_and_for_no_other() {
    let retries = json!({"retry_policy": {"num_retries": 1, "retry_back_off": {"base_interval": "800ms"}}});
    let play = |more: Value, replies: &[Reply]| {
        let mut world = World::new(&config(more), 1);
        let request = signed(&world, &one());
        let id = world.request(0, &request);
        let verdict = |world: &World| world.verdict(id).map(|verdict| verdict.code().to_owned());
        let fetched = |world: &World| ["ok", "failed"].map(|how| world.count(&format!("jwt_gate_jwks_fetch_{how}")));
        let mut verdicts = Vec::new();
        for (reply, answered) in replies.iter().zip(1..) {
            world.issuer(JWKS, reply.clone());
            while fetched(&world).iter().sum::<u64>() < answered && world.elapsed() < 2000 {
                world.advance(Duration::from_millis(10));
            }
            world.advance(Duration::from_millis(50));
            verdicts.push(verdict(&world));
        }
        verdicts
    };
    let (down, up) = (|| Reply::status(500), || Reply::keys(&[&one()]));
    let (refused, allowed) = (Some("keys_unavailable".to_owned()), Some("allowed".to_owned()));
    assert_eq!(play(json!({}), &[down()]).first(), Some(&refused), "without the policy");
    assert_eq!(play(retries.clone(), &[down(), up()]), [None, allowed], "500, then 200");
    assert_eq!(play(retries, &[down(), down()]), [None, refused], "500, then 500: none is left");
}

#[test]
fn failures_back_off_and_the_first_success_forgets_them() {
    let mut world = World::new(&config(json!({})), 4);
    world.issuer(JWKS, Reply::status(503));
    world.seconds_pass(600);
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (index, gap) in gaps.iter().enumerate() {
        let longest = (1000 << index.min(6)).min(60_000);
        assert!((longest * 3 / 4..=longest + 300).contains(gap), "gap {index} is {gap} ms of {longest}: {gaps:?}");
    }
    assert!((12..=22).contains(&at.len()), "{at:?}");
    assert_eq!(world.count("jwt_gate_jwks_fetch_failed"), at.len() as u64);

    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(61);
    let request = signed(&world, &one());
    assert_eq!(world.ask(3, &request).code(), "allowed");
    world.issuer(JWKS, Reply::status(503));
    let before = world.fetches.len();
    world.seconds_pass(MINUTES_10);
    let gap = world.fetches[before + 1].at - world.fetches[before].at;
    assert!(gap <= 1300, "the first failure after a success waits {gap} ms");
}

#[test]
fn a_failed_fetch_keeps_the_keys() {
    let good = one();
    for (what, reply) in [
        ("an error", Reply::status(500)),
        ("not found", Reply::status(404)),
        ("a redirect", Reply::status(302)),
        ("no content", Reply::status(204)),
        ("not modified, unasked", Reply::status(304)),
        ("no status", Reply::without_status(key_set([two().jwk()]))),
        ("garbage", Reply::ok("<html>")),
        ("nothing", Reply::ok("")),
        ("bytes that are no text", Reply::ok([0xff, 0xfe, 0, 1])),
        ("half a document", Reply::ok(r#"{"keys": ["#)),
        ("no keys", Reply::ok(r#"{"keys": []}"#)),
        ("keys that are no list", Reply::ok(r#"{"keys": {}}"#)),
        ("two lists", Reply::ok(r#"{"keys": [], "keys": []}"#)),
        ("no key that can be used", Reply::ok(key_set([Key::short_rsa().jwk()]))),
        ("secrets alone", Reply::ok(key_set([Key::hmac(&[1; 64]).jwk()]))),
        ("too much", Reply::ok(vec![b' '; MAX_KEY_SET_BYTES + 1])),
        ("deep nesting", Reply::ok("[".repeat(100_000))),
        ("no answer", Reply::hangs()),
        ("no answer and no word of it", Reply::never()),
        ("no such cluster", Reply::no_cluster()),
        ("an answer that comes too late", Reply::keys(&[&two()]).after(Duration::from_secs(5))),
    ] {
        let mut world = running(json!({"cache_duration": "60s"}), 2);
        world.issuer(JWKS, reply);
        world.seconds_pass(900);
        for vm in 0..2 {
            let request = signed(&world, &good);
            assert_eq!(world.ask(vm, &request).code(), "allowed", "{what}, VM {vm}");
        }
        assert!(world.fetches.len() > 10, "{what}: {} fetches", world.fetches.len());
        assert!(world.count("jwt_gate_jwks_fetch_failed") > 10, "{what}");
        assert!(world.logged(Level::Warn).iter().all(|line| line.ends_with("the last good one stays")), "{what}");
        // The next good answer counts at once.
        world.issuer(JWKS, Reply::keys(&[&two()]));
        world.seconds_pass(70);
        let request = signed(&world, &two());
        assert_eq!(world.ask(1, &request).code(), "allowed", "{what}");
    }
}

#[test]
fn a_set_as_large_as_the_limit_is_read() {
    let mut body = key_set([one().jwk()]);
    body.push_str(&" ".repeat(MAX_KEY_SET_BYTES - body.len()));
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::ok(body));
    world.advance(SECOND);
    let request = signed(&world, &one());
    assert_eq!(world.ask(0, &request).code(), "allowed");
}

#[test]
fn a_rotation_reaches_every_vm() {
    let mut world = running(json!({"cache_duration": "60s"}), 4);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    world.seconds_pass(60);
    for vm in 0..4 {
        let (old, new) = (signed(&world, &one()), signed(&world, &two()));
        assert_eq!(world.ask(vm, &old).code(), "allowed", "VM {vm}, the old key beside the new one");
        assert_eq!(world.ask(vm, &new).code(), "allowed", "VM {vm}, the new key");
    }
    world.issuer(JWKS, Reply::keys(&[&two()]));
    world.seconds_pass(60);
    for vm in 0..4 {
        // The cooldown is over: an old token asks for newer keys once, and is denied then.
        let (old, new) = (signed(&world, &one()), signed(&world, &two()));
        assert_eq!(world.ask_patiently(vm, &old).code(), "key_unknown", "VM {vm}, the withdrawn key");
        assert_eq!(world.ask(vm, &new).code(), "allowed", "VM {vm}, the new key");
    }
}

#[test]
fn an_unknown_kid_fetches_at_once_and_the_first_token_of_a_new_key_passes() {
    for vm in 0..4 {
        let mut world = running(json!({}), 4);
        world.seconds_pass(5);
        world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
        let request = signed(&world, &two());
        let began = world.elapsed();
        assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "VM {vm}");
        assert!(world.elapsed() - began <= 300, "it took {} ms", world.elapsed() - began);
        assert_eq!(world.fetches.len(), 2);
        world.advance(2 * TICK);
        for other in 0..4 {
            let request = signed(&world, &two());
            assert_eq!(world.ask(other, &request).code(), "allowed", "VM {other}, after VM {vm}");
        }
    }
}

#[test]
fn unknown_kids_fetch_once_per_cooldown_however_many_come() {
    for interleaved in [false, true] {
        let mut world = running(json!({}), 4);
        world.interleaved = interleaved;
        world.seconds_pass(5);
        let before = world.fetches.len();
        let mut refused = 0;
        // 10,000 tokens in 25 seconds, each naming another key, spread over the VMs.
        for burst in 0..250 {
            for index in 0..40 {
                let kid = format!("unknown-{burst}-{index}");
                let token = format!(
                    "{}.e30.AAAA",
                    crate::mint::encode(format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#).as_bytes())
                );
                let id = world.request(index % 4, &Request::get("/").bearer(&token));
                refused += usize::from(world.verdict(id).is_some());
            }
            world.advance(TICK);
        }
        assert_eq!(world.fetches.len() - before, 1, "interleaved: {interleaved}");
        assert!(refused > 9_500, "{refused} were refused at once");
        let request = signed(&world, &one());
        assert_eq!(world.ask(0, &request).code(), "allowed", "known keys serve on meanwhile");
        world.settle();
        assert_eq!(world.count("jwt_gate_denied_key_unknown"), 10_000);

        // After the cooldown, the next one may ask again.
        world.request(1, &Request::get("/").bearer(&Token::new(&two()).mint()));
        world.seconds_pass(1);
        assert_eq!(world.fetches.len() - before, 2, "interleaved: {interleaved}");
    }
}

#[test]
fn the_cooldown_is_what_the_configuration_says_and_holds_after_a_failure_too() {
    for reply in [Reply::keys(&[&one()]), Reply::status(500)] {
        let mut world = running(json!({"refetch_cooldown": "5s"}), 2);
        world.issuer(JWKS, reply.clone());
        let before = world.fetches.len();
        for _ in 0..200 {
            let request = signed(&world, &two());
            world.request(0, &request);
            world.advance(TICK);
        }
        let asked_at: Vec<u64> = world.fetches[before..].iter().map(|fetch| fetch.at).collect();
        let gaps: Vec<u64> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() >= 3 && gaps.iter().all(|gap| (5000..=5300).contains(gap)), "{reply:?}: {gaps:?}");
        world.settle();
    }
}

#[test]
fn cache_control_shortens_a_lifetime_but_not_below_its_floor() {
    for (header, configured, shortest, longest) in [
        ("max-age=60", "600s", 48, 58),
        ("max-age=1", "600s", 8, 11),
        ("max-age=86400", "60s", 48, 58),
        ("max-age=1", "2s", 1, 3),
        ("no-cache", "60s", 48, 58),
        ("public, max-age=0", "60s", 48, 58),
        ("no-cache, no-store, max-age=0, must-revalidate", "60s", 48, 58),
        ("public", "60s", 48, 58),
    ] {
        let mut world = World::new(&config(json!({ "cache_duration": configured })), 2);
        world.issuer(JWKS, Reply::keys(&[&one()]).cache_control(header));
        world.seconds_pass(200);
        let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at).collect();
        let gaps: Vec<u64> = at.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
        assert!(gaps.len() >= 2, "{header}: {at:?}");
        assert!(gaps.iter().all(|gap| (shortest..=longest).contains(gap)), "{header} in {configured}: {gaps:?}");
    }
    assert_eq!(MIN_MAX_AGE, 10 * SECOND);
}

#[test]
fn keys_are_fetched_again_before_their_lifetime_is_over_and_304_renews_them() {
    let mut world = World::new(&config(json!({})), 4);
    world.issuer(JWKS, Reply::keys(&[&one()]).etag("W/\"1\""));
    world.seconds_pass(4 * MINUTES_10);
    let at: Vec<u64> = world.fetches.iter().map(|fetch| fetch.at / 1000).collect();
    for pair in at.windows(2) {
        assert!((480..=571).contains(&(pair[1] - pair[0])), "{at:?}");
    }
    assert!(at.len() >= 4, "{at:?}");
    assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 1);
    assert_eq!(world.count("jwt_gate_jwks_fetch_not_modified"), at.len() as u64 - 1);
    assert!(world.fetches[1..].iter().all(|fetch| fetch.if_none_match.as_deref() == Some("W/\"1\"")));
    world.issuer(JWKS, Reply::keys(&[&two()]).etag("W/\"2\""));
    world.seconds_pass(MINUTES_10);
    let request = signed(&world, &two());
    assert_eq!(world.ask(0, &request).code(), "allowed");
    assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 2);
}

#[test]
fn renewed_keys_are_not_stale() {
    let mut world = World::new(&config(json!({"cache_duration": "60s", "max_stale": "120s"})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).etag("\"1\""));
    world.seconds_pass(3600);
    for vm in 0..2 {
        let request = signed(&world, &one());
        assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
    }
}

#[test]
fn keys_that_nobody_confirms_any_more_are_no_keys() {
    let mut world = running(json!({"cache_duration": "60s", "max_stale": "300s"}), 2);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(298);
    let request = signed(&world, &one());
    assert_eq!(world.ask(0, &request).code(), "allowed");
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_main"), Some(&1));
    world.seconds_pass(3);
    for vm in 0..2 {
        let verdict = world.ask_patiently(vm, &request);
        assert_eq!((verdict.code(), verdict.status()), ("keys_unavailable", 503), "VM {vm}");
    }
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_main"), Some(&0), "keys that are not used are none");
    // That they are still the same is enough.
    world.issuer(JWKS, Reply::keys(&[&one()]).etag("\"1\""));
    world.seconds_pass(61);
    assert_eq!(world.ask(1, &request).code(), "allowed");
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_main"), Some(&1));
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(310);
    assert_eq!(world.ask_patiently(0, &request).code(), "keys_unavailable");
    world.issuer(JWKS, Reply::keys(&[&one()]).etag("\"1\""));
    world.seconds_pass(61);
    assert_eq!(world.fetches.last().and_then(|fetch| fetch.if_none_match.as_deref()), Some("\"1\""));
    (0..2).for_each(|vm| assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}"));
}

#[test]
fn a_shorter_lifetime_counts_for_keys_that_are_there() {
    let mut world = running(json!({"cache_duration": "1h"}), 2);
    world.seconds_pass(120);
    world.configure(&config(json!({"cache_duration": "60s"})), 2);
    world.seconds_pass(2);
    assert_eq!(world.fetches.len(), 2, "they are older than the new configuration allows");
}

#[test]
fn two_providers_with_one_source_share_its_fetches() {
    let provider = |audience: &str| remote(json!({ "audiences": [audience] }));
    let mut world = World::new(&json!({"providers": {"a": provider("a"), "b": provider("b")}}), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(30);
    assert_eq!(world.fetches.len(), 1, "{:?}", world.fetches);
    for audience in ["a", "b"] {
        let token = Token::at(&one(), world.seconds()).claim("aud", audience).mint();
        assert_eq!(world.ask(1, &Request::get("/").bearer(&token)).code(), "allowed", "{audience}");
    }
}

#[test]
fn two_providers_that_ask_with_other_headers_share_nothing() {
    let provider = |issuer: &str, tenant: &str| {
        let headers = json!({"request_headers": [{"name": "x-tenant", "value": tenant}]});
        remote(json!({"issuer": issuer, "remote_jwks": headers}))
    };
    let mut world =
        World::new(&json!({"providers": {"a": provider("https://a", "a"), "b": provider("https://b", "b")}}), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(30);
    let tenants: Vec<&str> = world
        .fetches
        .iter()
        .filter_map(|fetch| fetch.call.headers().find(|(name, _)| *name == "x-tenant").map(|(_, value)| value))
        .collect();
    assert!(tenants.len() == 2 && tenants.contains(&"a") && tenants.contains(&"b"), "{tenants:?}");
}

#[test]
fn what_request_headers_name_is_sent_in_place_of_the_usual_value_whatever_is_fetched() {
    let headers = json!({"request_headers": [
        {"name": "accept", "value": "application/jwk-set+json"},
        {"name": "user-agent", "value": "gateway"},
        {"name": "authorization", "value": "Bearer of-the-gateway"},
    ]});
    let provider = merged(remote(json!({"remote_jwks": headers})), revoking(headers));
    let mut world = World::new(&json!({"providers": {"main": provider}}), 1);
    world.seconds_pass(1);
    let mut fetched: Vec<&str> = world.fetches.iter().map(|fetch| fetch.uri.as_str()).collect();
    fetched.sort_unstable();
    fetched.dedup();
    assert_eq!(fetched.len(), 2, "keys and revocations: {fetched:?}");
    for fetch in &world.fetches {
        let values = |name: &str| -> Vec<&str> {
            fetch.call.headers().filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
        };
        assert_eq!(values("accept"), ["application/jwk-set+json"], "{}", fetch.uri);
        assert_eq!(values("user-agent"), ["gateway"], "{}", fetch.uri);
        assert_eq!(values("authorization"), ["Bearer of-the-gateway"], "{}", fetch.uri);
    }
}

#[test]
fn a_clock_that_is_set_back_or_forward_stops_nothing() {
    for step in [-86_400 * 365, -86_400, -3600, -1, 1, 3600, 7200, 86_400 * 2, 86_400 * 365] {
        let mut world = running(json!({"cache_duration": "60s"}), 2);
        world.step_clock(step);
        world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
        for vm in 0..2 {
            let request = signed(&world, &one());
            assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "{step} s, VM {vm}");
        }
        world.seconds_pass(70);
        let request = signed(&world, &two());
        assert_eq!(world.ask(1, &request).code(), "allowed", "{step} s: the rotation came");
        let before = world.fetches.len();
        assert!(before <= 5, "{step} s: {before} fetches");
        world.seconds_pass(600);
        let rate = world.fetches.len() - before;
        assert!((9..=14).contains(&rate), "{step} s: {rate} fetches in ten minutes");
    }
}

#[test]
fn an_answer_that_comes_after_its_lease_changes_nothing() {
    for reply in [Reply::never(), Reply::late_keys(&[&two()], Duration::from_millis(3500))] {
        let mut world = World::new(&config(json!({})), 2);
        world.issuer(JWKS, reply.clone());
        world.seconds_pass(1);
        world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
        world.advance(Duration::from_millis(2300));
        assert_eq!(world.fetches.len(), 2, "{reply:?}: the lease of a call without an answer ran out");
        // The late one comes while the other call is under way.
        world.seconds_pass(7);
        assert_eq!(world.fetches.len(), 2, "{reply:?}");
        assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 1, "{reply:?}");
        for vm in 0..2 {
            let (good, late) = (signed(&world, &one()), signed(&world, &two()));
            assert_eq!(world.ask(vm, &good).code(), "allowed", "{reply:?}, VM {vm}");
            assert_eq!(world.ask_patiently(vm, &late).code(), "key_unknown", "{reply:?}, VM {vm}");
        }
    }
}

#[test]
fn more_requests_than_may_wait_are_told_to_come_back() {
    let mut world = World::new(&config(json!({})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
    let request = signed(&world, &one());
    let ids: Vec<_> = (0..MAX_WAITING + 10).map(|_| world.request(0, &request)).collect();
    let refused: Vec<_> = ids.iter().filter_map(|id| world.verdict(*id)).collect();
    assert_eq!(refused.len(), 10);
    assert!(refused.iter().all(|verdict| (verdict.code(), verdict.status()) == ("overloaded", 503)));
    assert_eq!(world.ask(0, &Request::get("/")).code(), "token_missing", "what need not wait is answered");
    let elsewhere = world.request(1, &request);
    assert_eq!(world.verdict(elsewhere), None, "each VM has room of its own");
    // They are let go a few at a time.
    world.seconds_pass(3);
    assert_eq!(ids.iter().filter(|id| world.verdict(**id).unwrap().code() == "allowed").count(), MAX_WAITING);
    let again = world.ask(0, &request);
    assert_eq!(again.code(), "allowed");
}

#[test]
fn the_answer_to_one_request_too_many_is_shaped_like_every_other() {
    let remote = json!({"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}});
    let envoys = json!({
        "semantics": "jwt_authn",
        "providers": {"main": {"remote_jwks": remote}},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}],
    });
    for (config, more, status, has_body) in [
        (config(json!({})), json!({"statuses": {"overloaded": 429}}), 429, true),
        (config(json!({})), json!({"strip_failure_response": true}), 503, false),
        (envoys.clone(), json!({}), 503, true),
        (envoys, json!({"strip_failure_response": true}), 503, false),
    ] {
        let mut world = World::new(&merged(config, more.clone()), 1);
        world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
        let request = signed(&world, &one());
        let last = (0..=MAX_WAITING).map(|_| world.request(0, &request)).last().unwrap();
        let denial = world.verdict(last).unwrap().denial();
        assert_eq!((denial.reason.code(), denial.status), ("overloaded", status), "{more}");
        assert_eq!(!denial.body(false).is_empty(), has_body, "{more}");
        assert_eq!(!denial.headers(false).is_empty(), has_body, "{more}");
    }
}

#[test]
fn a_request_that_goes_away_while_it_waits_is_forgotten() {
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
    let request = signed(&world, &one());
    let ids: Vec<_> = (0..MAX_WAITING).map(|_| world.request(0, &request)).collect();
    world.advance(Duration::from_millis(500));
    for id in ids {
        world.gone(id);
    }
    let next = world.request(0, &request);
    assert_eq!(world.verdict(next), None, "their room is free again");
    world.settle();
    assert_eq!(world.verdict(next).unwrap().code(), "allowed");
    assert_eq!(world.count("jwt_gate_allowed"), 1);
}

/// How many calls the requests of one VM make for themselves beside the fetch of others.
const OWN_CALLS: usize = 16;

#[test]
fn in_a_host_that_cannot_resume_from_the_root_a_cold_request_makes_its_own_call() {
    let mut world = World::without_waiting(&config(json!({})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(300)));
    let request = signed(&world, &one());
    let first = world.request(0, &request);
    assert_eq!(world.verdict(first), None, "it waits for its own call");
    // The document is being fetched, but that leads back to none of these.
    let beside: Vec<_> = [0, 1, 1].into_iter().map(|vm| world.request(vm, &request)).collect();
    assert!(beside.iter().all(|&id| world.verdict(id).is_none()), "each waits for its own call");
    world.seconds_pass(1);
    for id in [&[first][..], &beside].concat() {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    }
    assert_eq!((world.ask(0, &request).code(), world.ask(1, &request).code()), ("allowed", "allowed"));
    assert_eq!(world.fetches.len(), 4);
    assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 4);

    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    let new = signed(&world, &two());
    assert_eq!(world.ask_patiently(1, &new).code(), "allowed");
    world.seconds_pass(1);
    assert_eq!(world.ask(0, &new).code(), "allowed", "both have what is shared");
    assert_eq!(world.fetches.len(), 5);
}

#[test]
fn a_cold_request_calls_beside_the_fetches_of_others_after_a_failed_one_too_but_not_in_its_pause() {
    let mut world = World::without_waiting(&config(json!({})), 2);
    world.issuer(JWKS, Reply::status(500));
    while world.count("jwt_gate_jwks_fetch_failed") == 0 {
        world.advance(Duration::from_millis(50));
    }
    let request = signed(&world, &one());
    let failed = world.fetches.len();
    assert_eq!(world.ask(0, &request).code(), "keys_unavailable");
    assert_eq!(world.fetches.len(), failed, "the pause counts for requests");

    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(400)));
    while world.fetches.len() == failed {
        world.advance(Duration::from_millis(50));
    }
    let beside: Vec<_> = [0, 1, 1].into_iter().map(|vm| world.request(vm, &request)).collect();
    assert!(beside.iter().all(|&id| world.verdict(id).is_none()), "each waits for its own call");
    world.seconds_pass(1);
    for id in beside {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    }
}

#[test]
fn no_cold_request_calls_beside_a_fetch_that_follows_one_of_which_nothing_came() {
    // What it brought may have ended its VM, and in some hosts the request goes on then.
    for lapses in 1..=2 {
        let mut world = World::without_waiting(&config(json!({})), 1);
        world.issuer(JWKS, Reply::never());
        let request = signed(&world, &one());
        let beside = |world: &mut World| {
            let before = world.fetches.len();
            while world.fetches.len() == before {
                world.advance(Duration::from_millis(50));
            }
            let id = world.request(0, &request);
            (world.fetches.len() - before - 1, world.verdict(id).map(|verdict| verdict.code().to_owned()))
        };
        // The last one is under way when the issuer begins to answer those that follow.
        while world.fetches.len() < lapses {
            world.advance(Duration::from_millis(50));
        }
        world.issuer(JWKS, Reply::status(500).after(Duration::from_millis(300)));
        assert_eq!(beside(&mut world), (0, Some("keys_unavailable".to_owned())), "{lapses}");
        assert_eq!(world.count("jwt_gate_jwks_fetch_failed"), lapses as u64);
        world.advance(Duration::from_millis(400));
        assert_eq!(beside(&mut world), (1, None), "that one was answered");
    }
}

#[test]
fn a_cold_burst_beside_one_failing_fetch_after_the_other_is_no_burst_of_fetches() {
    let mut world = World::without_waiting(&config(json!({})), 1);
    world.issuer(JWKS, Reply::status(500).after(Duration::from_millis(300)));
    let request = signed(&world, &one());
    for _ in 0..3000 {
        world.request(0, &request);
        world.advance(Duration::from_millis(10));
    }
    let pauses_alone = 4..=8;
    let in_pauses = world.fetches.len().saturating_sub(OWN_CALLS);
    assert!(pauses_alone.contains(&in_pauses), "{} in half a minute", world.fetches.len());
}

#[test]
fn a_cold_request_calls_beside_the_fetches_of_others_for_each_document_that_it_lacks() {
    let config = json!({"providers": {"main": merged(remote(json!({})), revoking(json!({})))}});
    let mut world = World::without_waiting(&config, 1);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(300)));
    world.issuer(REVOKED, Reply::revoked(json!([])).after(Duration::from_millis(300)));
    let request = signed(&world, &one());
    let ids = [(); 3].map(|()| world.request(0, &request));
    world.seconds_pass(2);
    for id in ids {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    }
}

const OTHER_JWKS: &str = "http://other.example/jwks";

/// Takes a token of the issuer at [`OTHER_JWKS`] or, looked for after that, of the one at [`JWKS`].
fn of_either() -> Value {
    let at_other = json!({"http_uri": {"uri": OTHER_JWKS, "cluster": "jwks", "timeout": "2s"}});
    let other = remote(json!({"issuer": "https://other.example", "remote_jwks": at_other}));
    let providers = json!({"a": other, "b": remote(json!({}))});
    let any = json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    json!({"providers": providers, "rules": [{"match": {"prefix": "/"}, "requires": any}]})
}

#[test]
fn a_cold_request_with_calls_of_its_own_never_has_two_of_them_under_way() {
    for others in [Reply::keys(&[&two()]).after(Duration::from_millis(200)), Reply::status(500), Reply::hangs()] {
        let mut world = World::without_waiting(&of_either(), 1);
        world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(300)));
        world.issuer(OTHER_JWKS, others);
        let request = signed(&world, &one());
        let first = world.request(0, &request);
        // Whatever the one that comes later asks for beside that, it does so by itself, too.
        let beside = world.request(0, &request);
        world.seconds_pass(8);
        for id in [first, beside] {
            assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
        }
    }
}

#[test]
fn in_a_host_that_cannot_hold_requests_a_new_key_of_a_later_provider_is_fetched_in_its_turn() {
    let after = Duration::from_millis(150);
    let mut world = World::without_waiting(&of_either(), 2);
    world.issuer(OTHER_JWKS, Reply::keys(&[&Key::ed25519(3).named("three")]).after(after));
    world.issuer(JWKS, Reply::keys(&[&one()]).after(after));
    world.seconds_pass(60);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]).after(after));
    let fetches = world.fetches.len();
    let id = world.request(0, &signed(&world, &two()));
    world.seconds_pass(2);
    assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    assert_eq!(world.fetches.len(), fetches + 2, "{:?}", &world.fetches[fetches..]);
}

#[test]
fn in_a_host_that_cannot_hold_requests_whoever_finds_a_lease_that_ran_out_fetches_at_once() {
    let mut world = World::without_waiting(&config(json!({})), 1);
    world.issuer(JWKS, Reply::late_keys(&[&one()], Duration::from_millis(3900)));
    // Between two ticks, as the next one comes too.
    world.advance(Duration::from_millis(50));
    let request = signed(&world, &one());
    let first = world.request(0, &request);
    world.advance(Duration::from_millis(3010));
    assert_eq!((world.fetches.len(), world.verdict(first)), (1, None));
    world.issuer(JWKS, Reply::keys(&[&one()]));
    let second = world.request(0, &request);
    world.advance(Duration::from_millis(20));
    assert_eq!(world.verdict(second).expect("it was decided").code(), "allowed");
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn in_a_host_that_cannot_hold_requests_a_token_of_an_unknown_key_fetches_once_however_short_the_cooldown_is() {
    let mut world = World::without_waiting(&config(json!({"refetch_cooldown": "1s"})), 1);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(60);
    for reply in [Reply::hangs(), Reply::keys(&[&one()]).after(Duration::from_millis(1900))] {
        let fetches = world.fetches.len();
        world.issuer(JWKS, reply);
        let id = world.request(0, &signed(&world, &Key::ed25519(9).named("nine")));
        world.advance(Duration::from_millis(2100));
        assert_eq!(world.verdict(id).expect("its one fetch is over").code(), "key_unknown");
        assert_eq!(world.fetches.len(), fetches + 1);
        world.seconds_pass(60);
    }
}

#[test]
fn a_burst_of_cold_requests_with_calls_of_their_own_is_bounded() {
    let mut world = World::without_waiting(&config(json!({})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(300)));
    let request = signed(&world, &one());
    let ids: Vec<_> = (0..1000).map(|number| world.request(number % 2, &request)).collect();
    let refused = ids.iter().filter_map(|&id| world.verdict(id));
    assert!(refused.clone().all(|verdict| verdict.code() == "keys_unavailable"));
    // One fetch that is shared, and sixteen beside it in each VM.
    assert_eq!((world.fetches.len(), refused.count()), (33, 967));
    world.seconds_pass(1);
    let allowed = ids.iter().filter(|&&id| world.verdict(id).is_some_and(|verdict| verdict.code() == "allowed"));
    assert_eq!(allowed.count(), 33);
}

#[test]
fn a_call_beside_the_fetch_of_others_that_fails_or_is_lost_leaves_no_request_behind() {
    for reply in [Reply::status(500), Reply::ok("[]"), Reply::hangs()] {
        let mut world = World::without_waiting(&config(json!({})), 1);
        world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
        let request = signed(&world, &one());
        let first = world.request(0, &request);
        world.issuer(JWKS, reply.after(Duration::from_millis(100)));
        let (second, leaves) = (world.request(0, &request), world.request(0, &request));
        world.gone(leaves);
        assert_eq!(world.fetches.len(), 3);
        world.seconds_pass(6);
        assert_eq!(world.verdict(first).expect("it was decided").code(), "allowed");
        assert!(world.verdict(second).is_some(), "it was decided");
        assert_eq!(world.ask(0, &request).code(), "allowed");
    }
}

#[test]
fn keys_that_a_call_beside_the_fetch_of_others_brought_serve_until_the_shared_ones_are_there() {
    let mut world = World::without_waiting(&config(json!({"cache_duration": "60s"})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
    let request = signed(&world, &one());
    let first = world.request(0, &request);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    let (one_token, two_token) = (signed(&world, &one()), signed(&world, &two()));
    assert_eq!(world.ask_patiently(1, &two_token).code(), "allowed");
    // What is shared came from the first call, and counts for all.
    world.seconds_pass(2);
    assert_eq!(world.verdict(first).expect("it was decided").code(), "allowed");
    world.issuer(JWKS, Reply::keys(&[&one()]));
    assert_eq!(world.ask(1, &one_token).code(), "allowed");
    assert_eq!(world.ask_patiently(1, &two_token).code(), "key_unknown");
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(3600);
    assert_eq!(world.ask(1, &signed(&world, &one())).code(), "allowed", "they grow old from when they were fetched");
}

#[test]
fn a_call_of_its_own_that_fails_or_is_lost_leaves_no_request_behind() {
    for reply in [Reply::status(500), Reply::hangs(), Reply::no_cluster(), Reply::ok("[]")] {
        let mut world = World::without_waiting(&config(json!({})), 1);
        world.issuer(JWKS, reply);
        let request = signed(&world, &one());
        assert_eq!(world.ask_patiently(0, &request).code(), "keys_unavailable");
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.seconds_pass(5);
        assert_eq!(world.ask(0, &request).code(), "allowed", "the root fetches too");
    }
    let mut world = World::without_waiting(&config(json!({})), 1);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(Duration::from_millis(500)));
    let request = signed(&world, &one());
    let leaves = world.request(0, &request);
    world.gone(leaves);
    world.seconds_pass(10);
    assert_eq!(world.ask(0, &request).code(), "allowed", "the lease of the lost call ran out");
}

#[test]
fn whoever_asks_for_unknown_keys_and_leaves_starts_the_cooldown_all_the_same() {
    let mut world = World::without_waiting(&config(json!({})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::hangs());
    let before = world.fetches.len();
    for turn in 0..200 {
        let (known, unknown) = (signed(&world, &one()), signed(&world, &two()));
        let id = world.request(turn % 2, &unknown);
        if world.verdict(id).is_none() {
            world.gone(id);
        }
        assert_eq!(world.ask(turn % 2, &known).code(), "allowed");
        world.advance(TICK);
    }
    assert_eq!(world.fetches.len() - before, 1);
}

#[test]
fn clients_that_leave_their_own_calls_hold_nobody_up_and_do_not_hammer_the_issuer() {
    let mut world = World::without_waiting(&config(json!({})), 1);
    let request = signed(&world, &one());
    let first = world.request(0, &request);
    world.gone(first);
    let second = world.request(0, &request);
    assert_eq!(world.verdict(second), None, "it makes a call of its own, at once");
    world.gone(second);
    for _ in 0..10_000 {
        world.advance(Duration::from_millis(1));
        let id = world.request(0, &request);
        if world.verdict(id).is_none() {
            world.gone(id);
        }
    }
    let in_pauses = world.fetches.len().saturating_sub(OWN_CALLS);
    assert!((3..=15).contains(&in_pauses), "{} fetches in ten seconds", world.fetches.len());
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(4);
    let request = signed(&world, &one());
    assert_eq!(world.ask(0, &request).code(), "allowed", "the pauses stay short");
}

#[test]
fn a_good_token_of_one_provider_does_not_wait_for_the_keys_of_another() {
    let config = json!({"providers": {
        "here": local(&[&Key::p256(1)], json!({})),
        "there": remote(json!({"issuer": "https://there.example"})),
    }});
    let mut world = World::new(&config, 1);
    let here = Request::get("/").bearer(&Token::new(&Key::p256(1)).mint());
    assert_eq!(world.ask(0, &here).code(), "allowed");
    let there = Token::at(&one(), world.seconds()).claim("iss", "https://there.example").mint();
    let waiting = world.request(0, &Request::get("/").bearer(&there));
    assert_eq!(world.verdict(waiting), None);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.settle();
}

#[test]
fn every_reply_leaves_every_request_with_one_answer() {
    // The seed is fixed: a failure repeats.
    let mut random = 0x5eed_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for round in 0..24 {
        let mut world = World::new(&config(json!({"cache_duration": "20s", "refetch_cooldown": "5s"})), 3);
        world.interleaved = round % 2 == 0;
        for _ in 0..60 {
            let reply = match next(8) {
                0 => Reply::status(500),
                1 => Reply::hangs(),
                2 => Reply::never(),
                3 => Reply::no_cluster(),
                4 => Reply::keys(&[&one()]).after(SECOND),
                5 => Reply::keys(&[&one(), &two()]).etag("\"2\""),
                6 => Reply::ok("garbage"),
                _ => Reply::keys(&[&two()]),
            };
            world.issuer(JWKS, reply);
            let key = if next(2) == 0 { one() } else { two() };
            let request = signed(&world, &key);
            let vm = next(3) as usize;
            let id = world.request(vm, &request);
            match next(12) {
                0 if world.verdict(id).is_none() => world.gone(id),
                1 => world.step_clock(next(7200) as i64 - 3600),
                2 => world.configure(&config(json!({"cache_duration": "20s"})), 3),
                _ => {}
            }
            world.advance(Duration::from_millis(next(4000)));
        }
        world.settle();
        world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
        world.seconds_pass(120);
        for vm in 0..3 {
            let request = signed(&world, &two());
            assert_eq!(world.ask(vm, &request).code(), "allowed", "round {round}, VM {vm}");
        }
    }
}

#[test]
fn a_clock_step_during_a_fetch_neither_loses_it_nor_holds_requests_for_ever() {
    for step in [-86_400, -3600, 3600, 86_400] {
        for reply in [Reply::keys(&[&one()]).after(SECOND), Reply::hangs(), Reply::never()] {
            let mut world = World::new(&config(json!({})), 2);
            world.issuer(JWKS, reply.clone());
            world.advance(Duration::from_millis(200));
            let request = signed(&world, &one());
            let ids = [world.request(0, &request), world.request(1, &request)];
            world.step_clock(step);
            world.seconds_pass(10);
            for id in ids {
                assert!(world.verdict(id).is_some(), "{step} s, {reply:?}: still waiting after ten seconds");
            }
            world.issuer(JWKS, Reply::keys(&[&one()]));
            world.seconds_pass(120);
            for vm in 0..2 {
                let request = signed(&world, &one());
                assert_eq!(world.ask(vm, &request).code(), "allowed", "{step} s, {reply:?}, VM {vm}");
            }
        }
    }
}

#[test]
fn a_lease_holds_though_the_clock_was_set_back_a_little_or_the_timeout_is_another_now() {
    let quick = |timeout: &str| {
        json!({
            "http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": timeout},
            "async_fetch": {"failed_refetch_duration": "100ms"},
        })
    };
    let slow = || Reply::keys(&[&one()]).after(Duration::from_millis(1500));
    let mut world = World::new(&config(quick("2s")), 2);
    world.issuer(JWKS, slow());
    world.advance(Duration::from_millis(200));
    world.step_clock(-1);
    world.seconds_pass(1);
    assert_eq!(world.fetches.len(), 1, "the clock was set back");
    let mut world = World::new(&config(quick("60s")), 2);
    world.issuer(JWKS, slow());
    world.advance(Duration::from_millis(200));
    world.configure(&config(quick("1s")), 2);
    world.seconds_pass(1);
    assert_eq!(world.fetches.len(), 1, "the timeout is shorter now");
}

#[test]
fn keys_that_were_fetched_while_the_clock_was_ahead_do_not_serve_beyond_max_stale() {
    const MONTH: i64 = 86_400 * 30;
    let mut world = running(json!({"cache_duration": "60s", "max_stale": "300s"}), 2);
    world.step_clock(MONTH);
    world.seconds_pass(61);
    world.step_clock(-MONTH);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(290);
    let request = signed(&world, &one());
    for vm in 0..2 {
        assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
    }
    let before = world.fetches.len();
    world.seconds_pass(20);
    for vm in 0..2 {
        assert_eq!(world.ask_patiently(vm, &request).code(), "keys_unavailable", "VM {vm}");
    }
    world.seconds_pass(600);
    let attempts = world.fetches.len() - before;
    assert!((8..=20).contains(&attempts), "{attempts} attempts in ten minutes");
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(61);
    assert_eq!(world.ask(1, &request).code(), "allowed");
}

#[test]
fn a_kid_is_unknown_even_where_a_key_without_a_name_might_have_signed() {
    let mut world = World::new(&config(json!({})), 1);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1)]));
    world.advance(SECOND);
    let by_nameless = signed(&world, &one());
    assert_eq!(world.ask(0, &by_nameless).code(), "allowed", "the nameless key did sign");
    world.issuer(JWKS, Reply::keys(&[&two()]));
    let by_new = signed(&world, &two());
    assert_eq!(world.ask_patiently(0, &by_new).code(), "allowed");
    assert_eq!(world.fetches.len(), 2);
}

#[test]
fn a_reconfiguration_fetches_only_what_changed() {
    let mut world = running(json!({}), 4);
    let request = signed(&world, &one());
    for (more, vms) in [
        (json!({}), 4),
        (json!({"cache_duration": "300s"}), 2),
        (json!({"refetch_cooldown": "60s", "max_stale": "1h"}), 4),
    ] {
        world.configure(&config(more.clone()), vms);
        for vm in 0..vms {
            assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}, at once, {more}");
        }
        world.seconds_pass(2);
        assert_eq!(world.fetches.len(), 1, "{more}");
    }
    // The same source in another provider, and beside a new one.
    let mut more = json!({"providers": {"renamed": remote(json!({}))}});
    more = merged(
        more,
        json!({"providers": {"new": remote(json!({
            "issuer": format!("{ISSUER}/new"),
            "remote_jwks": {"http_uri": {"uri": "http://issuer.example/new"}},
        }))}}),
    );
    world.configure(&more, 2);
    assert_eq!(world.ask(1, &request).code(), "allowed");
    world.seconds_pass(1);
    let asked: Vec<&str> = world.fetches.iter().map(|fetch| fetch.uri.as_str()).collect();
    assert_eq!(asked, [JWKS, "http://issuer.example/new"]);
}

#[test]
fn requests_that_wait_in_an_old_configuration_are_still_answered() {
    let mut world = World::new(&config(json!({})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]).after(SECOND));
    let request = signed(&world, &one());
    let old = world.request(0, &request);
    world.advance(Duration::from_millis(500));
    world.configure(&config(json!({"cache_duration": "300s"})), 2);
    let new = world.request(0, &request);
    world.seconds_pass(1);
    assert_eq!(world.verdict(old).map(|verdict| verdict.code()), Some("allowed"));
    assert_eq!(world.verdict(new).map(|verdict| verdict.code()), Some("allowed"));
    assert_eq!(world.fetches.len(), 1);
}

#[test]
fn what_a_stranger_wrote_into_the_shared_data_is_overcome() {
    // As they were before they had a nonce: leased for ever, and with other keys for the version that is current.
    let old_record: Vec<u8> = [u64::from_le_bytes(*b"jwtgate1"), 1, 0, 0, 0, 0, u64::MAX, 7]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    let old_body = [&1u64.to_le_bytes()[..], &0u64.to_le_bytes(), key_set([two().jwk()]).as_bytes()].concat();
    for (what, bytes) in [
        ("record", old_record.as_slice()),
        ("body", old_body.as_slice()),
        ("record", &b""[..]),
        ("record", b"garbage"),
        ("record", &[0; 64]),
        ("record", &[0xff; 64]),
        ("body", b""),
        ("body", b"garbage"),
        ("body", &[0; 64]),
    ] {
        let mut world = running(json!({"cache_duration": "60s"}), 2);
        let request = signed(&world, &one());
        world.scribble(what, bytes);
        world.seconds_pass(2);
        assert_eq!(world.ask(0, &request).code(), "allowed", "{what} {bytes:?}: what is loaded serves on");
        world.scribble(what, bytes);
        world.configure(&config(json!({"cache_duration": "60s"})), 2);
        for vm in 0..2 {
            let strange = signed(&world, &two());
            assert_eq!(world.ask_patiently(vm, &strange).code(), "key_unknown", "{what} {bytes:?}: new VM {vm}");
            assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "{what} {bytes:?}: new VM {vm}");
        }
        world.seconds_pass(600);
        assert!(world.fetches.len() < 20, "{what} {bytes:?}: {} fetches", world.fetches.len());
    }
}

#[test]
fn a_body_that_is_lost_before_every_vm_has_it_is_fetched_once_more() {
    let mut world = World::new(&config(json!({"cache_duration": "60s"})), 3);
    world.issuer(JWKS, Reply::keys(&[&one()]).etag("\"1\""));
    world.seconds_pass(30);
    world.issuer(JWKS, Reply::keys(&[&two()]).etag("\"2\""));
    while world.count("jwt_gate_jwks_fetch_ok") < 2 {
        world.advance(Duration::from_millis(10));
    }
    world.scribble("body", b"garbage");
    world.issuer(JWKS, Reply::keys(&[&two()]).etag("\"1\""));
    world.seconds_pass(10);
    assert_eq!(world.fetches.len(), 3, "{:?}", world.fetches);
    assert_eq!(world.fetches[2].if_none_match, None, "what it has is not what is current");
    for vm in 0..3 {
        let request = signed(&world, &two());
        assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
    }
}

#[test]
fn an_old_answer_never_overwrites_a_newer_one() {
    let mut world = running(json!({"refetch_cooldown": "1s"}), 2);
    world.seconds_pass(5);
    // The second VM asks, and hears nothing until its lease is over; then the first one asks.
    world.issuer(JWKS, Reply::late_keys(&[&one(), &Key::ed25519(3).named("old")], Duration::from_millis(3500)));
    let request = signed(&world, &two());
    world.request(1, &request);
    world.advance(Duration::from_millis(2500));
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]).after(SECOND));
    let waiting = world.request(0, &request);
    world.seconds_pass(3);
    assert_eq!(world.fetches.len(), 3, "{:?}", world.fetches);
    let said = "providers.main.remote_jwks: no key set: nothing came of the fetch; the last good one stays";
    assert_eq!(world.logged(Level::Warn), [said], "once, and the late answer is nobody's");
    assert_eq!(world.verdict(waiting).unwrap().code(), "allowed");
    for vm in 0..2 {
        assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
    }
    world.settle();
}

#[test]
fn a_cooldown_ends_though_the_clock_was_set_back() {
    let mut world = running(json!({}), 2);
    let unknown = signed(&world, &Key::ed25519(3).named("three"));
    world.request(0, &unknown);
    world.seconds_pass(2);
    assert_eq!(world.fetches.len(), 2);
    world.step_clock(-86_400);
    world.seconds_pass(2);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    let request = signed(&world, &two());
    assert_eq!(world.ask_patiently(1, &request).code(), "allowed");
}

#[test]
fn the_age_and_the_size_of_each_document_can_be_seen() {
    let gate = json!({"providers": {"the main-one": remote(revoking(json!({})))}});
    let mut world = World::new(&gate, 2);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1).named("a"), &Key::ed25519(2).named("b")]));
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "x"}])));
    world.seconds_pass(1);
    let gauge = |world: &World, name: &str| world.gauges.get(&format!("jwt_gate_{name}_the_main_one")).copied();
    assert_eq!(gauge(&world, "jwks_keys"), Some(2));
    assert_eq!(gauge(&world, "revocation_entries"), Some(1));
    world.issuer(JWKS, Reply::status(500));
    world.issuer(REVOKED, Reply::revoked(json!([])));
    world.seconds_pass(700);
    assert_eq!(gauge(&world, "jwks_keys"), Some(2));
    assert!((699..=701).contains(&gauge(&world, "jwks_age_seconds").expect("it is told")), "{:?}", world.gauges);
    assert_eq!(gauge(&world, "revocation_entries"), Some(0));
    assert!(gauge(&world, "revocation_age_seconds") < Some(11), "{:?}", world.gauges);
}

#[test]
fn keys_that_never_came_grow_old() {
    let mut world = World::new(&json!({"providers": {"the main-one": remote(json!({}))}}), 2);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(100);
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_the_main_one"), Some(&0));
    assert!(world.gauges["jwt_gate_jwks_age_seconds_the_main_one"] >= 99, "{:?}", world.gauges);
    world.issuer(JWKS, Reply::keys(&[&Key::ed25519(1).named("a")]));
    world.seconds_pass(61);
    assert_eq!(world.gauges.get("jwt_gate_jwks_keys_the_main_one"), Some(&1));
    assert!(world.gauges["jwt_gate_jwks_age_seconds_the_main_one"] <= 61, "{:?}", world.gauges);
}

#[test]
fn each_change_of_a_key_set_is_one_line_of_the_log() {
    let mut world = running(json!({"cache_duration": "60s"}), 4);
    let lines = |world: &World, level| world.logged(level).iter().filter(|line| line.contains("key set")).count();
    assert_eq!((lines(&world, Level::Info), lines(&world, Level::Warn)), (1, 0), "{:?}", world.logs);
    // Nothing changes.
    world.seconds_pass(120);
    assert_eq!((lines(&world, Level::Info), lines(&world, Level::Warn)), (1, 0), "{:?}", world.logs);
    world.issuer(JWKS, Reply::status(500));
    world.seconds_pass(62);
    let failures = lines(&world, Level::Warn);
    assert!(failures > 0, "{:?}", world.logs);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(60);
    assert_eq!((lines(&world, Level::Info), lines(&world, Level::Warn)), (2, failures), "{:?}", world.logs);
    assert!(world.logged(Level::Info).iter().any(|line| line.contains("is confirmed again, after")));
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    world.seconds_pass(60);
    assert_eq!((lines(&world, Level::Info), lines(&world, Level::Warn)), (3, failures), "{:?}", world.logs);
}

#[test]
fn a_key_that_is_skipped_is_said_though_the_others_stay_as_they_were() {
    let mut world = running(json!({"cache_duration": "60s"}), 4);
    let request = signed(&world, &one());
    (0..4).for_each(|vm| assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}"));
    let checks = world.checks();
    world.issuer(JWKS, Reply::keys(&[&one(), &Key::short_rsa()]));
    world.seconds_pass(200);
    let lines: Vec<&str> =
        world.logged(Level::Info).into_iter().filter(|line| line.contains("keys[1] skipped")).collect();
    assert_eq!(lines.len(), 1, "{:?}", world.logs);
    (0..4).for_each(|vm| assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}"));
    assert_eq!(world.checks(), checks, "the key that stays keeps its tokens");
}

#[test]
fn that_keys_are_too_old_to_be_used_is_one_line_of_the_log() {
    for down in [Reply::status(500), Reply::never()] {
        let mut world = running(json!({"cache_duration": "60s", "max_stale": "300s"}), 4);
        world.issuer(JWKS, down.clone());
        world.seconds_pass(299);
        assert!(world.logged(Level::Error).is_empty(), "{down:?}: {:?}", world.logs);
        assert!(world.logged(Level::Warn).iter().all(|line| line.ends_with("the last good one stays")), "{down:?}");
        let before = world.logs.len();
        world.seconds_pass(5);
        assert_eq!(
            world.logged(Level::Error),
            ["providers.main.remote_jwks: the key set is not used any more: nobody confirmed it for 300 s"],
            "{down:?}"
        );
        world.seconds_pass(900);
        assert_eq!(world.logged(Level::Error).len(), 1, "{down:?}: {:?}", world.logs);
        assert!(!world.logs[before..].iter().any(|(_, line)| line.contains("stays")), "{down:?}: {:?}", world.logs);
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.seconds_pass(61);
        assert!(
            world.logged(Level::Info).last().is_some_and(|line| line.contains("is confirmed again")),
            "{:?}",
            world.logs
        );
        // It is said again when it happens again.
        world.issuer(JWKS, down);
        world.seconds_pass(400);
        assert_eq!(world.logged(Level::Error).len(), 2, "{:?}", world.logs);
    }
}

#[test]
fn a_key_that_a_refresh_on_another_worker_brings_is_not_asked_for_once_more() {
    let mut world = World::new(&config(json!({"cache_duration": "60s"})), 2);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(1);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]).after(SECOND));
    while world.fetches.len() < 2 {
        world.advance(TICK);
    }
    let request = signed(&world, &two());
    let waiting = [0, 1].map(|vm| world.request(vm, &request));
    world.seconds_pass(5);
    for id in waiting {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
    }
    assert_eq!(world.fetches.len(), 2, "{:?}", world.fetches);
}

#[test]
fn who_waits_for_one_document_is_not_judged_for_the_change_of_another() {
    let other = remote(json!({
        "issuer": "https://other.example",
        "remote_jwks": {"http_uri": {"uri": "http://other.example/jwks"}, "async_fetch": {"failed_refetch_duration": "0.1s"}},
    }));
    let nameless: Vec<Key> = (1..=8).map(Key::ed25519).collect();
    let rules = json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]);
    let mut world = World::new(&json!({"providers": {"main": remote(json!({})), "other": other}, "rules": rules}), 1);
    world.issuer(JWKS, Reply::keys(&nameless.iter().collect::<Vec<_>>()));
    world.issuer("http://other.example/jwks", Reply::status(503));
    world.seconds_pass(60);
    world.issuer(JWKS, Reply::keys(&nameless.iter().collect::<Vec<_>>()).after(SECOND));
    let strange = signed(&world, &Key::ed25519(9).named("strange"));
    let waiting: Vec<_> = (0..50).map(|_| world.request(0, &strange)).collect();
    let before = world.checks();
    world.seconds_pass(2);
    for id in waiting {
        assert_eq!(world.verdict(id).expect("it was decided").code(), "key_unknown");
    }
    assert!(world.checks() - before <= 2 * 50 * 8, "{} checks", world.checks() - before);
}

/// The same provider as Envoy's filter would have it.
fn as_envoy(more: Value) -> Value {
    let rules = json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "main"}}]);
    let provider = remote(json!({ "remote_jwks": more }));
    json!({"semantics": "jwt_authn", "providers": {"main": provider}, "rules": rules})
}

#[test]
fn keys_with_which_nothing_verifies_take_no_good_ones_place_in_the_semantics_of_envoy_either() {
    for (what, useless) in [("too short", Key::short_rsa().jwk()), ("a secret", Key::hmac(&[1; 64]).jwk())] {
        let mut world = World::new(&as_envoy(json!({"cache_duration": "60s", "async_fetch": {}})), 2);
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.advance(SECOND);
        world.issuer(JWKS, Reply::ok(key_set([useless])));
        world.seconds_pass(300);
        for vm in 0..2 {
            let request = signed(&world, &one());
            assert_eq!(world.ask(vm, &request).code(), "allowed", "{what}, VM {vm}");
        }
        assert!(world.logged(Level::Warn).iter().all(|line| line.contains("no key that can be used")), "{what}");
    }
}

#[test]
fn a_key_set_is_fetched_about_once_a_second_at_most_however_short_it_is_to_live() {
    for lifetime in ["0s", "0.001s", "0.05s"] {
        let mut world = World::new(&as_envoy(json!({ "cache_duration": lifetime })), 4);
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.seconds_pass(10);
        assert!(world.fetches.len() <= 13, "{lifetime}: {} fetches", world.fetches.len());
        let request = signed(&world, &one());
        assert_eq!(world.ask_patiently(3, &request).code(), "allowed", "{lifetime}");
    }
}

#[test]
fn in_a_host_that_cannot_hold_requests_a_body_is_shared_when_its_request_is_decided_or_gone() {
    let provider = merged(remote(json!({})), revoking(json!({})));
    let config = json!({ "providers": { "main": provider } });
    for leaves in [false, true] {
        let mut world = World::without_waiting(&config, 2);
        world.issuer(JWKS, Reply::keys(&[&one()]));
        world.issuer(REVOKED, Reply::revoked(json!([])).after(SECOND));
        let request = signed(&world, &one());
        let id = world.request(0, &request);
        // The keys are there, and the request waits for the list.
        world.advance(Duration::from_millis(500));
        assert_eq!(world.verdict(id), None);
        if leaves {
            world.gone(id);
        } else {
            world.advance(SECOND);
            assert_eq!(world.verdict(id).expect("it was decided").code(), "allowed");
        }
        world.seconds_pass(3);
        for vm in 0..2 {
            assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "VM {vm}");
        }
    }
}

#[test]
fn in_a_host_that_cannot_hold_requests_no_token_of_a_new_key_is_to_blame_while_keys_are_fetched() {
    let mut noting = config(json!({}));
    noting["providers"]["main"]["failed_status_in_metadata"] = json!("failure");
    let mut world = World::without_waiting(&noting, 1);
    world.issuer(JWKS, Reply::keys(&[&one()]));
    assert_eq!(world.ask_patiently(0, &signed(&world, &one())).code(), "allowed");
    world.seconds_pass(60);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]).after(SECOND));
    let request = signed(&world, &two());
    let first = world.request(0, &request);
    // The call of the first is under way, and nothing leads back to the next one.
    let second = world.ask(0, &request);
    assert_eq!((second.code(), second.status()), ("keys_unavailable", 503));
    // It is still the provider's.
    assert_eq!(second.denial().caller.provider, Some(0));
    let failed = second.denial().failed_status.clone().expect("it is noted");
    assert!(failed.state().all(|(name, text)| name == "jwt_authn.failure" && text.contains("keys_unavailable")));
    assert!(second.denial().headers(false).iter().any(|(name, _)| *name == "retry-after"));
    world.seconds_pass(2);
    assert_eq!(world.verdict(first).expect("it was decided").code(), "allowed");
    assert_eq!(world.ask(0, &request).code(), "allowed");
    // Whose key is not among them either is told so.
    let unknown = signed(&world, &Key::ed25519(9).named("nine"));
    assert_eq!(world.ask_patiently(0, &unknown).code(), "key_unknown");
}

#[test]
fn a_clock_that_was_ahead_when_a_fetch_failed_keeps_no_other_one_away_when_it_is_right_again() {
    const YEAR: i64 = 365 * 24 * 3600;
    let answered = Reply::status(500).after(Duration::from_millis(440));
    for (reply, is_answered) in [(answered, true), (Reply::hangs(), false), (Reply::never(), false)] {
        let mut world = World::new(&config(json!({})), 1);
        world.issuer(JWKS, reply);
        // The call is under way when the clock jumps, and has failed when it comes back: by its answer, or at the next tick, by which
        // its time seems to be over.
        world.advance(Duration::from_millis(510));
        assert_eq!((world.fetches.len(), world.count("jwt_gate_jwks_fetch_failed")), (1, 0));
        world.step_clock(YEAR);
        let mut passed = Duration::ZERO;
        while world.count("jwt_gate_jwks_fetch_failed") == 0 {
            world.advance(Duration::from_millis(10));
            passed += Duration::from_millis(10);
        }
        assert_eq!(passed < Duration::from_millis(90), is_answered, "{passed:?}");
        rights_itself(&mut world, -YEAR);
    }
}

#[test]
fn a_clock_that_was_ahead_when_clients_left_their_own_calls_keeps_no_other_one_away() {
    const YEAR: i64 = 365 * 24 * 3600;
    for calls in 1..=2 {
        let mut world = World::without_waiting(&config(json!({})), 1);
        world.issuer(JWKS, Reply::hangs());
        for _ in 0..calls {
            let id = world.request(0, &signed(&world, &one()));
            assert_eq!(world.verdict(id), None, "it makes a call of its own");
            world.step_clock(YEAR);
            world.gone(id);
        }
        rights_itself(&mut world, -YEAR * calls);
    }
}

/// The clock is set, and the issuer is there: soon its keys are.
fn rights_itself(world: &mut World, seconds: i64) {
    world.step_clock(seconds);
    let before = world.fetches.len();
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(10);
    assert!(world.fetches.len() > before, "{:?}", world.fetches);
    assert_eq!(world.ask(0, &signed(world, &one())).code(), "allowed");
}
