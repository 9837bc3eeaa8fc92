//! A host that keeps no body as long as the one that was fetched: each VM fetches for itself, and no more often than that takes.

use std::time::Duration;

use jwt_gate::log::Level;
use serde_json::{json, Value};

use crate::mint::{Key, Token};
use crate::world::{local, remote, revoking, Reply, Request, World, JWKS, REVOKED};

const VMS: usize = 3;

fn one() -> Key {
    Key::ed25519(1).named("one")
}

fn two() -> Key {
    Key::ed25519(2).named("two")
}

fn config(provider: Value) -> Value {
    json!({ "providers": { "main": provider } })
}

/// VMs in a host that keeps the record of a document, and no body.
fn world(provider: Value) -> World {
    let mut world = World::new(&config(provider), VMS);
    world.longest_shared = 64;
    world
}

fn signed(world: &World, key: &Key) -> Request {
    Request::get("/").bearer(&Token::at(key, world.seconds()).expires_in(86_400).claim("jti", "t1").mint())
}

fn fetches(world: &World, uri: &str) -> usize {
    world.fetches.iter().filter(|fetch| fetch.uri == uri).count()
}

#[test]
fn each_vm_fetches_a_key_set_once_for_each_change_and_one_of_them_keeps_it_confirmed() {
    for interleaved in [false, true] {
        let mut world = world(remote(json!({"remote_jwks": {"cache_duration": "60s"}})));
        world.interleaved = interleaved;
        world.issuer(JWKS, Reply::keys(&[&one()]).etag("\"1\""));
        world.seconds_pass(5);
        assert_eq!(fetches(&world, JWKS), VMS, "{:?}", world.fetches);
        for vm in 0..VMS {
            let request = signed(&world, &one());
            assert_eq!(world.ask(vm, &request).code(), "allowed", "VM {vm}");
        }
        let said =
            "providers.main.remote_jwks: the host does not keep so long a key set: each worker fetches it for itself";
        assert_eq!(world.logged(Level::Warn), [said; VMS]);

        world.seconds_pass(600);
        // A refresh every 48 to 57 s, of all of them.
        assert!((10..=13).contains(&(fetches(&world, JWKS) - VMS)), "{} fetches", fetches(&world, JWKS));

        let before = fetches(&world, JWKS);
        world.issuer(JWKS, Reply::keys(&[&two()]).etag("\"2\""));
        world.seconds_pass(65);
        assert!((VMS..=VMS + 1).contains(&(fetches(&world, JWKS) - before)), "{} fetches", fetches(&world, JWKS));
        for vm in 0..VMS {
            let requests = [(one(), "key_unknown"), (two(), "allowed")];
            for (key, code) in requests {
                let request = signed(&world, &key);
                assert_eq!(world.ask_patiently(vm, &request).code(), code, "VM {vm}");
            }
        }
    }
}

#[test]
fn a_source_that_never_says_the_same_twice_is_asked_at_the_pace_of_failures() {
    let mut world = world(remote(json!({})));
    for second in 0..600u64 {
        let body = json!({"keys": [one().jwk()], "at": second}).to_string();
        world.issuer(JWKS, Reply::ok(body));
        world.seconds_pass(1);
    }
    assert!(fetches(&world, JWKS) < 60, "{} fetches in ten minutes", fetches(&world, JWKS));
    for vm in 0..VMS {
        let request = signed(&world, &one());
        assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "VM {vm}");
    }
}

#[test]
fn a_list_that_another_vm_has_and_this_one_lacks_does_not_make_its_own_look_fresh() {
    let revocation = json!({"refresh_interval": "60s", "max_stale": "120s"});
    let mut world = world(local(&[&one()], revoking(revocation)));
    world.issuer(REVOKED, Reply::revoked(json!([])));
    world.seconds_pass(5);
    assert_eq!(fetches(&world, REVOKED), VMS);

    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])));
    while fetches(&world, REVOKED) == VMS {
        world.advance(Duration::from_millis(10));
    }
    world.advance(Duration::from_millis(20));
    world.issuer(REVOKED, Reply::status(500));
    let request = signed(&world, &one());
    let mut codes: Vec<&str> = (0..VMS).map(|vm| world.ask(vm, &request).code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["allowed", "allowed", "token_revoked"], "one has the new list");

    // Two minutes after the old list was confirmed it serves no more, though the new one was confirmed later.
    world.seconds_pass(121 - world.elapsed() / 1000);
    let mut codes: Vec<&str> = (0..VMS).map(|vm| world.ask_patiently(vm, &request).code()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["revocation_unavailable", "revocation_unavailable", "token_revoked"]);
}

#[test]
fn a_list_that_changes_with_every_refresh_reaches_each_vm_within_two_of_them() {
    let mut world = world(local(&[&one()], revoking(json!({"refresh_interval": "10s"}))));
    for second in 0..180u64 {
        world.issuer(REVOKED, Reply::revoked(json!([{"jti": format!("other-{second}")}])));
        world.seconds_pass(1);
    }
    let request = signed(&world, &one());
    world.issuer(REVOKED, Reply::revoked(json!([{"jti": "t1"}])));
    world.seconds_pass(20);
    for vm in 0..VMS {
        assert_eq!(world.ask(vm, &request).code(), "token_revoked", "VM {vm}");
    }
    assert!(fetches(&world, REVOKED) <= VMS * 200 / 6, "{} fetches in 200 s", fetches(&world, REVOKED));
}

#[test]
fn a_new_key_is_waited_for_where_another_vm_has_just_fetched_it() {
    let mut world = world(remote(json!({})));
    world.issuer(JWKS, Reply::keys(&[&one()]));
    world.seconds_pass(60);
    world.issuer(JWKS, Reply::keys(&[&one(), &two()]));
    let request = signed(&world, &two());
    let first = world.request(0, &request);
    while world.verdict(first).is_none() {
        world.advance(Duration::from_millis(10));
    }
    world.advance(Duration::from_millis(120));
    for vm in 0..VMS {
        assert_eq!(world.ask_patiently(vm, &request).code(), "allowed", "VM {vm}");
    }
}
