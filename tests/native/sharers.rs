//! Several providers, or a shadow, with one source: one record of the process, one document where all is the same, and none of them
//! without a sign of its own.

use jwt_gate::config::Config;
use jwt_gate::gate::Semantics;
use jwt_gate::log::Level;
use jwt_gate::policy::Policy;
use jwt_gate::remote::Record;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{merged, remote, Reply, Request, World, JWKS};

fn key() -> Key {
    Key::ed25519(1).named("k1")
}

/// Two providers that differ in this of `remote_jwks`.
fn two(one: Value, other: Value) -> Value {
    let provider = |more: Value| remote(json!({ "remote_jwks": more }));
    json!({"providers": {"one": provider(one), "other": provider(other)}})
}

fn gaps(world: &World) -> Vec<u64> {
    world.fetches.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[test]
fn who_has_the_shorter_lifetime_fetches_at_80_to_95_percent_of_it_too() {
    for (one, other) in [("600s", "60s"), ("60s", "600s")] {
        let mut world = World::new(&two(json!({ "cache_duration": one }), json!({ "cache_duration": other })), 4);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        world.seconds_pass(1800);
        let gaps = gaps(&world);
        assert!(gaps.len() > 25 && gaps.iter().all(|gap| (48_000..=57_500).contains(gap)), "{gaps:?}");
        let (shortest, longest) = (gaps.iter().min(), gaps.iter().max());
        assert!(longest.zip(shortest).is_some_and(|(longest, shortest)| longest - shortest > 4_000), "{gaps:?}");
    }
}

#[test]
fn no_pause_after_a_failure_is_cut_short_by_who_would_have_made_a_shorter_one() {
    let short = json!({"async_fetch": {"failed_refetch_duration": "5s"}});
    for config in [two(json!({}), short.clone()), two(short, json!({}))] {
        let mut world = World::new(&config, 4);
        world.issuer(JWKS, Reply::status(500));
        world.seconds_pass(600);
        let gaps = gaps(&world);
        // Those of the first seconds are from 1 s less a quarter on.
        assert!(gaps.len() > 10 && gaps.iter().all(|gap| *gap >= 750), "{gaps:?}");
        assert!(gaps.iter().skip(4).all(|gap| *gap >= 4_900), "{gaps:?}");
    }
}

#[test]
fn two_providers_that_fetch_alike_have_one_document_and_each_shows_it() {
    let config = two(json!({}), json!({}));
    let parsed = Config::parse(config.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.documents(1).ids().len(), 1);
    let mut world = World::new(&config, 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(5);
    for provider in ["one", "other"] {
        assert_eq!(world.gauges[&format!("jwt_gate_jwks_keys_{provider}")], 1);
        assert!(world.gauges[&format!("jwt_gate_jwks_age_seconds_{provider}")] >= 4);
        assert_eq!(world.count(&format!("jwt_gate_provider_jwks_fetch_ok_{provider}")), 1);
    }
    assert_eq!(world.count("jwt_gate_jwks_fetch_ok"), 1);
}

#[test]
fn providers_whose_names_no_metric_tells_apart_have_numbers() {
    let elsewhere = json!({"remote_jwks": {"http_uri": {"uri": "https://dead.example/jwks"}}});
    let providers = json!({"shop-eu": remote(json!({})), "shop_eu": remote(elsewhere), "shop_eu_2": remote(json!({}))});
    let mut world = World::new(&json!({ "providers": providers }), 1);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.issuer("https://dead.example/jwks", Reply::status(500));
    world.seconds_pass(5);
    let keys: Vec<(&str, u64)> = world
        .gauges
        .iter()
        .filter_map(|(name, &value)| Some((name.strip_prefix("jwt_gate_jwks_keys_")?, value)))
        .collect();
    // Who has a plain name keeps it.
    assert_eq!(keys, [("shop_eu", 0), ("shop_eu_2", 1), ("shop_eu_3", 1)]);
    assert!(world.count("jwt_gate_provider_jwks_fetch_failed_shop_eu") > 0);
    assert_eq!(world.count("jwt_gate_provider_jwks_fetch_failed_shop_eu_3"), 0);
}

#[test]
fn what_a_shadow_alone_fetches_shows_as_that_of_a_provider_of_the_shadow() {
    let elsewhere = json!({"remote_jwks": {"http_uri": {"uri": "https://new.example/jwks"}}});
    let shadow = json!({"providers": {"main": remote(elsewhere), "shared": remote(json!({}))}});
    let mut world = World::new(&json!({"providers": {"main": remote(json!({}))}, "shadow": shadow}), 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.issuer("https://new.example/jwks", Reply::keys(&[&key(), &Key::ed25519(2).named("k2")]));
    world.seconds_pass(5);
    let gauges: Vec<&String> = world.gauges.keys().collect();
    assert_eq!(
        gauges,
        [
            "jwt_gate_jwks_age_seconds_main",
            "jwt_gate_jwks_age_seconds_shadow_main",
            "jwt_gate_jwks_keys_main",
            "jwt_gate_jwks_keys_shadow_main",
        ]
    );
    assert_eq!((world.gauges["jwt_gate_jwks_keys_main"], world.gauges["jwt_gate_jwks_keys_shadow_main"]), (1, 2));
    let fetched = ["main", "shadow_main"].map(|name| world.count(&format!("jwt_gate_provider_jwks_fetch_ok_{name}")));
    assert_eq!(fetched, [1, 1]);
}

#[test]
fn a_shadow_neither_hastens_what_the_first_fetches_nor_uses_up_its_cooldown() {
    // Whoever asks is let in by the first, whose rule is public, so only the shadow misses the key.
    let with = |more: Value| json!({"providers": {"main": remote(json!({ "remote_jwks": more }))}});
    let open = json!({"rules": [{"match": {"prefix": "/open"}, "public": true}]});
    let shadow = with(json!({"cache_duration": "30s", "refetch_cooldown": "1s"}));
    let config = merged(merged(with(json!({"cache_duration": "600s"})), open), json!({ "shadow": shadow }));
    let mut world = World::new(&config, 2);
    world.issuer(JWKS, Reply::keys(&[&key()]));
    world.seconds_pass(100);
    let unknown = Token::new(&Key::ed25519(3).named("k3")).mint();
    assert_eq!(world.ask(0, &Request::get("/open").bearer(&unknown)).code(), "allowed");
    world.seconds_pass(5);
    assert_eq!(world.fetches.len(), 1, "{:?}", world.fetches);
    // A key that is new since then is fetched when it is needed.
    let new = Key::ed25519(4).named("k4");
    world.issuer(JWKS, Reply::keys(&[&key(), &new]));
    let token = Token::at(&new, world.seconds()).mint();
    assert_eq!(world.ask_patiently(0, &Request::get("/").bearer(&token)).code(), "allowed");
}

#[test]
fn what_is_shared_has_the_layout_in_its_name_so_that_two_versions_of_the_module_do_not_take_turns() {
    let config = two(json!({}), json!({}));
    let documents = Config::parse(config.to_string().as_bytes()).unwrap().documents(1);
    let layout = String::from_utf8(Record::default().encode()[..8].to_vec()).unwrap();
    for id in documents.ids() {
        assert!(documents.shared_name(id).starts_with(&layout), "{}", documents.shared_name(id));
    }
}

#[test]
fn a_shadow_that_copies_the_first_has_the_same_documents_whatever_these_share_among_themselves() {
    let providers = json!({
        "one": remote(json!({"remote_jwks": {"refetch_on_unknown_kid": false}})),
        "two": remote(json!({"remote_jwks": {"cache_duration": "60s"}})),
    });
    let config = json!({"providers": providers, "shadow": {"providers": providers}});
    let parsed = Config::parse(config.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.documents(1).ids().len(), 2);
    let Semantics::Gate(first) = &parsed.semantics else { panic!("the gate's own") };
    let Some(Semantics::Gate(shadow)) = &parsed.shadow else { panic!("the gate's own") };
    let keys = |policy: &Policy| -> Vec<String> {
        policy.providers.iter().map(|provider| format!("{:?}", provider.keys)).collect()
    };
    assert_eq!(keys(first), keys(shadow));
    // What it has twice at a place that is new, it has as the first one would.
    let mut elsewhere = providers.clone();
    for provider in elsewhere.as_object_mut().expect("an object").values_mut() {
        provider["remote_jwks"]["http_uri"]["uri"] = json!("https://new.example/jwks");
    }
    let config = json!({"providers": providers, "shadow": {"providers": elsewhere}});
    assert_eq!(Config::parse(config.to_string().as_bytes()).unwrap().documents(1).ids().len(), 4);
}

#[test]
fn the_end_of_each_max_stale_is_one_line_of_the_log() {
    let lives = |max_stale: &str| json!({"cache_duration": "60s", "max_stale": max_stale});
    for (one, other) in [("300s", "900s"), ("900s", "300s")] {
        let mut world = World::new(&two(lives(one), lives(other)), 4);
        world.issuer(JWKS, Reply::keys(&[&key()]));
        world.seconds_pass(1);
        let mut said = 0;
        for _ in 0..2 {
            world.issuer(JWKS, Reply::status(500));
            for expected in [300, 900] {
                world.seconds_pass(600);
                let lines = world.logged(Level::Error);
                assert_eq!(lines.len(), said + 1, "{lines:?}");
                assert!(lines[said].ends_with(&format!("nobody confirmed it for {expected} s")), "{lines:?}");
                said += 1;
            }
            world.issuer(JWKS, Reply::keys(&[&key()]));
            world.seconds_pass(61);
        }
    }
}
