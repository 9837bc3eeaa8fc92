//! Issuers that fail in every way there is, before there are keys and after, while requests come.

use std::thread;
use std::time::Duration;

use serde_json::{json, Value};

use crate::crowd::{alone_with, Crowd, Kind};
use crate::machine::{Memory, Usage};
use crate::mint::{self, encode, Key, AUDIENCE};
use crate::proxy::{eventually, eventually_on_every_worker, Proxy};
use crate::servers::{Behaviour, Issuer};
use crate::wire::get;
use crate::{key_set, token};

/// Issuers that bring no keys, each a provider of that name.
const BROKEN: [&str; 11] =
    ["closing", "failing", "hanging", "dripping", "redirecting", "page", "empty", "huge", "crowded", "bomb", "bare"];

/// Issuers that bring keys among what is none.
const ODD: [&str; 2] = ["stuffed", "spoilt"];

/// Fails every other time.
const FLAPPING: &str = "flapping";

/// Longer than any of the issuers' timeouts and pauses.
const A_WHILE: Duration = Duration::from_millis(2500);

fn path(name: &str) -> String {
    format!("/{name}")
}

fn set_of(jwks: impl IntoIterator<Item = Value>) -> Vec<u8> {
    mint::key_set(jwks).into_bytes()
}

/// What an issuer does that should publish `key`.
fn fault(name: &str, key: &Key) -> Behaviour {
    let answer = |body: Vec<u8>| Behaviour::Answer(200, vec![("content-type", "application/json".into())], body);
    match name {
        "closing" => Behaviour::Close,
        "failing" => Behaviour::status(503),
        "hanging" => Behaviour::Hang,
        "dripping" => Behaviour::Drip(Box::new(key_set(&[key]))),
        "redirecting" => {
            Behaviour::Answer(302, vec![("location", "http://issuer.example/elsewhere".into())], Vec::new())
        }
        "page" => Behaviour::Answer(200, vec![("content-type", "text/html".into())], b"<html>Welcome</html>".to_vec()),
        "empty" => answer(br#"{"keys": []}"#.to_vec()),
        "bare" => answer(Vec::new()),
        "huge" => answer([set_of([key.jwk()]), vec![b' '; 10 << 20]].concat()),
        "crowded" => {
            let others = (0..9_999u32).map(|number| {
                let x = [&number.to_be_bytes()[..], &[7; 28]].concat();
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&x)})
            });
            answer(set_of([key.jwk()].into_iter().chain(others)))
        }
        "bomb" => Behaviour::Answer(200, vec![("content-encoding", "gzip".into())], bomb()),
        "stuffed" => {
            let others = (0..9_999).map(|_| json!({"kty": "x"}));
            answer(set_of(others.chain([key.jwk()])))
        }
        "spoilt" => answer(set_of([json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": 1}), key.jwk()])),
        _ => panic!("{name} is no fault"),
    }
}

/// A gzip member of 130 KB that unpacks to 20 MB of spaces: one of them, and then the same 258 again and again.
fn bomb() -> Vec<u8> {
    const TIMES: usize = 80_000;
    let mut bits = vec![true, true, false];
    let mut push = |code: u32, length: u32| bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    push(0x30 + u32::from(b' '), 8);
    for _ in 0..TIMES {
        // Length 258, distance 1.
        push(0b1100_0101, 8);
        push(0, 5);
    }
    push(0, 7);
    let bytes = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, &bit| sum << 1 | u8::from(bit)));
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend(bytes);
    member.extend([0; 8]);
    member
}

fn gate() -> Value {
    let names = || BROKEN.into_iter().chain(ODD).chain([FLAPPING]);
    let provider = |name| {
        json!({
            "issuer": format!("https://{name}.example"),
            "audiences": [AUDIENCE],
            "remote_jwks": {
                "http_uri": {"uri": format!("http://issuer.example{}", path(name)), "cluster": "issuer", "timeout": "0.5s"},
                "cache_duration": "1s",
                "async_fetch": {"failed_refetch_duration": "0.2s"},
            },
            "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
        })
    };
    let rule = |name| json!({"match": {"prefix": path(name)}, "requires": {"provider_name": name}});
    json!({
        "providers": names().map(|name| (name.to_owned(), provider(name))).collect::<serde_json::Map<_, _>>(),
        "rules": names().map(rule).collect::<Vec<_>>(),
    })
}

/// Good, forged and expired tokens of these issuers, and none.
fn kinds(names: &[&str], key: &Key, [good, forged, expired]: [&[&str]; 3]) -> Vec<Kind> {
    let of_issuer = |name: &&str| {
        let issuer = format!("https://{name}.example");
        let of = |key: &Key| token(key).claim("iss", issuer.as_str());
        [
            Kind::bearing(format!("{name}: good"), &path(name), &of(key).mint(), good),
            Kind::bearing(format!("{name}: forged"), &path(name), &of(&attacker()).mint(), forged),
            Kind::bearing(format!("{name}: expired"), &path(name), &of(key).expires_in(-100).mint(), expired),
        ]
    };
    let missing = Kind::new("none", &get(&path(names[0])), &["401 token_missing"]);
    names.iter().flat_map(of_issuer).chain([missing]).collect()
}

/// Signs in the name of the issuers' key.
fn attacker() -> Key {
    Key::p256(9).named("k1")
}

const KEYS: [&[&str]; 3] = [&["200 alice"], &["401 signature_invalid"], &["401 token_expired"]];
const NO_KEYS: [&[&str]; 3] = [&["503 keys_unavailable"]; 3];

#[test]
fn whatever_issuers_do_no_decision_is_wrong_and_no_request_is_lost() {
    let _alone = alone_with(9_000);
    let key = Key::p256(1).named("k1");
    let issuer = Issuer::start();
    let break_all = || BROKEN.iter().chain(&ODD).for_each(|name| issuer.set(&path(name), fault(name, &key)));
    let flap = |time: Duration| {
        for turn in 0..time.as_millis() / 250 {
            let behaviour = if turn % 2 == 0 { Behaviour::Close } else { key_set(&[&key]) };
            issuer.set(&path(FLAPPING), behaviour);
            thread::sleep(Duration::from_millis(250));
        }
    };
    issuer.set("/elsewhere", key_set(&[&attacker()]));
    break_all();
    let proxy = Proxy::answering(&gate(), &issuer);
    // Most of these wait. The VMs of four workers have room for 4,096.
    let mut patient = Crowd::open(proxy.port, 2_000);
    let mut crowd = Crowd::open(proxy.port, 2_000);

    // From the start: who waits is told when to come again, and nobody passes whose token cannot be checked.
    let either = [0, 1, 2].map(|kind| [KEYS[kind], NO_KEYS[kind]].concat());
    let waiting =
        [kinds(&BROKEN, &key, NO_KEYS), kinds(&[FLAPPING], &key, [&either[0], &either[1], &either[2]])].concat();
    let (tally, (others, ())) = patient.during(&waiting, || crowd.during(&kinds(&ODD, &key, KEYS), || flap(A_WHILE)));
    tally.assert_right("without keys");
    others.assert_right("keys among what is none");

    // They recover, each by itself.
    let all: Vec<&str> = BROKEN.into_iter().chain(ODD).chain([FLAPPING]).collect();
    all.iter().for_each(|name| issuer.set(&path(name), key_set(&[&key])));
    let passes = |name: &str, key: &Key| {
        let good = token(key).claim("iss", format!("https://{name}.example")).mint();
        let request = get(&path(name)).bearing(&good);
        eventually_on_every_worker(name, || proxy.send(&request).status() == 200);
    };
    all.iter().for_each(|name| passes(name, &key));

    // What fails then changes nothing.
    let before = Memory::of(proxy.pid());
    break_all();
    let kinds = kinds(&all, &key, KEYS);
    let asked = |name: &str| issuer.requests(&path(name)).len();
    let asked_before: Vec<usize> = BROKEN.iter().map(|name| asked(name)).collect();
    let (tally, ()) = crowd.during(&kinds, || {
        flap(A_WHILE);
        for (name, before) in BROKEN.iter().zip(&asked_before) {
            eventually(name, || asked(name) >= before + 3);
        }
    });
    tally.assert_right("keys that cannot be had again");

    // All of that costs little: the issuers go on, the clients do not.
    let used = Usage::of(proxy.pid());
    thread::sleep(Duration::from_secs(1));
    let used = Usage::of(proxy.pid()).since(used).ran;
    assert!(used < Duration::from_millis(500), "{used:?} of a second on a CPU");
    let grown = Memory::of(proxy.pid()).resident.saturating_sub(before.resident);
    assert!(grown < 64 << 20, "{grown} bytes more");

    // The next good answer counts.
    let next = Key::p256(2).named("k2");
    all.iter().for_each(|name| issuer.set(&path(name), key_set(&[&next])));
    all.iter().for_each(|name| passes(name, &next));
}
