//! The functions of the core, natively: `cargo bench --bench core`. What a request costs is measured in Envoy; this shows which
//! step a change made cheaper. Each is tried once before it is measured, or something else could be measured under its name.

mod decisions;
#[path = "../support/mint.rs"]
mod mint;
mod upstreams;
mod ways;

use std::hint::black_box;
use std::rc::Rc;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion};
use jwt_gate::cache::{CacheLimits, Remembered, TokenCache};
use jwt_gate::crypto::{CryptoProvider, Portable};
use jwt_gate::jose::{self, CompactJws, JoseHeader, Verified};
use jwt_gate::keys::{KeySet, Origin, Selection};
use jwt_gate::limits::MAX_REVOCATIONS;
use jwt_gate::policy::RevocationList;
use jwt_gate::remote::Content;
use jwt_gate::request::{tokens, Location, RequestHead};
use jwt_gate::verdict::Reason;
use serde_json::{json, Value};

use mint::{key_set, Key, Token, ALGORITHMS, NOW};

fn fields(path: &str, authorization: Option<String>) -> Vec<(String, Vec<u8>)> {
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut fields = vec![
        field(":method", "GET"),
        field(":path", path),
        field(":authority", "gateway"),
        field("accept", "application/json"),
        field("user-agent", "bench"),
    ];
    fields.extend(authorization.map(|value| field("authorization", &value)));
    fields
}

fn head(path: &str, authorization: Option<String>) -> RequestHead {
    RequestHead::new(fields(path, authorization))
}

/// The fields as a host hands them over.
fn map(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).expect("a short field").to_le_bytes();
    let lengths = fields.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())]);
    let texts = fields.iter().flat_map(|(name, value)| [name.as_bytes(), &[0], value, &[0]].concat());
    [number(fields.len())].into_iter().chain(lengths).flatten().chain(texts).collect()
}

/// Measures what holds.
fn measure(c: &mut Criterion, name: &str, mut holds: impl FnMut() -> bool) {
    assert!(holds(), "{name}");
    c.bench_function(name, |b| b.iter(&mut holds));
}

fn parsing(c: &mut Criterion) {
    let token = Token::new(&Key::rsa().named("k1"));
    let map = map(&fields("/orders?page=2", Some(token.bearer())));
    let read = |map: Vec<u8>| RequestHead::from_map(black_box(map));
    assert!(read(map.clone()).is_some_and(|head| head.has("authorization")));
    c.bench_function("request: read the head", |b| b.iter_batched(|| map.clone(), read, BatchSize::SmallInput));
    let head = head("/orders?page=2", Some(token.bearer()));
    let token = token.mint();
    measure(c, "token: shape", || CompactJws::parse(black_box(token.as_bytes())).is_ok());
    let jws = CompactJws::parse(token.as_bytes()).expect("it is one");
    measure(c, "token: header", || JoseHeader::parse(black_box(&jws)).is_ok());
    let finds_one = || tokens(black_box(&head), &[Location::Bearer]).is_ok_and(|tokens| tokens.len() == 1);
    measure(c, "request: find the token", finds_one);
    for count in [1, 20, 100] {
        let set = key_set((0..count).map(|n| Key::p256(n + 1).named(&n.to_string()).jwk()));
        let parse = || KeySet::parse(black_box(set.as_bytes()), Origin::Remote);
        let reads_all = || parse().is_ok_and(|set| set.keys().len() == usize::from(count));
        measure(c, &format!("key set: parse {count} keys"), reads_all);
    }
}

fn checking(c: &mut Criterion) {
    for alg in ALGORITHMS {
        let key = Key::of(alg, false).named("k1");
        let (token, set) = (Token::new(&key).alg(alg).mint(), set(&key));
        let check = check(&token, &set);
        measure(c, &format!("signature and claims: {alg}"), || check().is_ok());
    }
}

fn remembering(c: &mut Criterion) {
    let key = Key::p256(1).named("k1");
    let (token, set) = (Token::new(&key).mint(), set(&key));
    let verified = Rc::new(check(&token, &set)().expect("it verifies"));
    let entry = || Remembered::Gate(Rc::clone(&verified));
    let limits = CacheLimits { max_entries: 10_000, max_token_size: 4096 };
    let empty = || TokenCache::new(limits, (1, 2));
    let (mut cache, fingerprints) = (empty(), empty());
    let of = |token: &[u8]| fingerprints.fingerprint(token);
    measure(c, "token cache: fingerprint", || of(black_box(token.as_bytes())).is_some());

    let numbered = |number: u64| of(&number.to_le_bytes()).expect("it is short");
    let mut numbers = 0..;
    let mut another = || numbered(numbers.next().expect("there is always one more"));
    let known = of(token.as_bytes()).expect("it is short");
    (0..2 * limits.max_entries).for_each(|_| cache.put(another(), 0, entry(), 0, true));
    cache.put(known, 0, entry(), 0, true);
    measure(c, "token cache: a token that is there", || {
        cache.begin_request(false);
        cache.get(black_box(known), 0, (&set, 0)).is_some()
    });

    let kept =
        (0..).map(numbered).take(2 * limits.max_entries).filter(|&other| cache.get(other, 0, (&set, 0)).is_some());
    assert_eq!(kept.count() + 1, limits.max_entries, "it is full");
    c.bench_function("token cache: one more where it is full", |b| {
        b.iter_batched(&mut another, |another| cache.put(another, 0, entry(), 0, true), BatchSize::SmallInput);
    });
}

fn revoking(c: &mut Criterion) {
    // Most entries name one token; some name those that a user got before a time.
    let entry = |number: usize| match number % 10 {
        0 => json!({"sub": format!("user-{number}"), "before": NOW}),
        _ => json!({"jti": format!("{number:08x}-0000-4000-8000-000000000000")}),
    };
    let entries: Vec<Value> = (0..MAX_REVOCATIONS).map(entry).collect();
    let text = json!({"revoked": entries}).to_string();
    let parse = || RevocationList::parse(black_box(text.as_bytes()));
    let reads_all = || parse().is_ok_and(|list| list.length() == MAX_REVOCATIONS);
    measure(c, &format!("revocation list: parse {MAX_REVOCATIONS} entries"), reads_all);

    let list = parse().expect("it is one");
    let key = Key::p256(1).named("k1");
    let set = set(&key);
    let verified = |id: Value| check(&Token::new(&key).claim("jti", id).mint(), &set)().expect("it verifies");
    assert!(list.denies(&verified(entries[1]["jti"].clone())));
    let other = verified("ffffffff-0000-4000-8000-000000000000".into());
    let passes = || !list.denies(black_box(&other));
    measure(c, &format!("revocation list: a token that is not among {MAX_REVOCATIONS} entries"), passes);
}

fn set(key: &Key) -> KeySet {
    KeySet::parse(key_set([key.jwk()]).as_bytes(), Origin::Local).expect("it is a set")
}

/// Checks signature and claims of `token`, as often as it is asked.
fn check<'a>(token: &'a str, set: &'a KeySet) -> impl Fn() -> Result<Verified, Reason> + use<'a> {
    let jws = CompactJws::parse(token.as_bytes()).expect("it is a token");
    let header = JoseHeader::parse(&jws).expect("it has a header");
    let Selection::Keys(keys) = set.select(header.kid.as_deref(), header.alg) else { panic!("no key for the token") };
    let crypto: Vec<Box<dyn CryptoProvider>> = vec![Box::new(Portable)];
    move || jose::verify(black_box(&jws), &header, &keys, &crypto)
}

criterion_group!(
    core,
    parsing,
    checking,
    remembering,
    revoking,
    decisions::rules,
    decisions::hosts,
    decisions::new_tokens,
    decisions::authorization,
    decisions::outputs,
    decisions::places,
    decisions::providers,
    decisions::extras,
    decisions::paths,
    decisions::refusals,
    decisions::jwt_authn,
    upstreams::revocation,
    upstreams::rotation,
    upstreams::kept_answers,
    upstreams::flood,
    upstreams::expressions,
    ways::without_tokens,
    ways::requirements,
    ways::configurations,
    ways::ticks,
);
criterion_main!(core);
