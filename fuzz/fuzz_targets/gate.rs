//! The whole gate in a proxy in memory: whatever happens, in whichever order.
//!
//! * Every request gets exactly one answer, within a minute and a bit; two are found by [`World`], none by the end of the input.
//! * A request passes only by a rule that needs no token, or with a token that was minted here, has not been changed, and is valid
//!   at that time: its dates, audience and issuer, a key that the issuer has not withdrawn for longer than a refresh can
//!   take, and no entry of the list of revoked tokens that has been there for so long. With the gate's own semantics that holds for
//!   every token that the request carries; and one of them has the scope, where the rule asks for one.
//! * A request with one such token passes if its key, and a list without it, have been there for so long.
//! * Where a rule asks a service, a request passes only if that has said yes while it waited, or so shortly before that the answer may
//!   be kept.
//! * The gate itself answers where its metadata is, and nowhere else.
//! * What the service gets of identity is from the token, and with the gate's own semantics it gets no token that was accepted.
//!
//! An input is a script of letters, some of them with a digit behind; see [`Script::step`].

#![no_main]

#[path = "gate/configurations.rs"]
mod configurations;
#[allow(dead_code)]
#[path = "../../tests/support/mint.rs"]
mod mint;
#[path = "gate/minted.rs"]
mod minted;
#[allow(dead_code)]
#[path = "../../tests/native/world.rs"]
mod world;

use std::time::Duration;

use jwt_gate::gate::RequestId;
use jwt_gate::limits::TICK;
use libfuzzer_sys::fuzz_target;
use serde_json::{json, Value};

use configurations::{config, lenient_config, DECISIONS, KEPT};
use mint::Key;
use minted::{Changed, Minted};
use world::{Reply, Request, Verdict, World, JWKS, REVOKED};

/// How long it can take until what an issuer publishes is known: its refresh, its timeout, and the longest pause after failures.
const SETTLED: u64 = 75_000;

/// The most time that one input lets pass, in milliseconds.
const LONGEST: u64 = 200_000;

const PATHS: [&str; 14] = [
    "/closed",
    "/open/x",
    "/maybe",
    "/scope",
    "/open/../closed",
    "/open%2f..%2fclosed",
    "/OPEN/x",
    "//open/x",
    "/open/x/..;/..;/closed",
    "/open/a%2fb/../%2e%2e/closed",
    METADATA,
    "/.well-known/oauth-protected-resource/",
    "/open/../.well-known/oauth-protected-resource",
    "/asked",
];

/// Where the metadata of `protected_resource` is.
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The path of [`PATHS`] whose rule asks for a scope.
const SCOPED: usize = 3;

/// The path of [`PATHS`] about which a service is asked.
const ASKED: usize = 13;

/// Whether the rule of this path requires the provider `main`, so that a token of `secret` is none there.
fn takes_main_alone(path: usize) -> bool {
    matches!(path, SCOPED | ASKED)
}

fuzz_target!(|input: &[u8]| {
    let mut letters = input.iter().copied();
    let mut script = Script::new(letters.next().unwrap_or_default());
    while let Some(letter) = letters.next() {
        if !letter.is_ascii_alphabetic() || script.world.elapsed() > LONGEST {
            continue;
        }
        let digit = if letter.is_ascii_lowercase() { 0 } else { letters.next().unwrap_or_default() };
        script.step(letter, usize::from(digit.wrapping_sub(b'0')));
    }
    script.end();
});

/// A request that is under way, and what it carries.
struct Sent {
    id: RequestId,
    request: Request,
    path: usize,
    tokens: Vec<Minted>,
    must_pass: bool,
    at: u64,
}

/// What an issuer published, since when.
type History<T> = Vec<(u64, T)>;

struct Script {
    world: World,
    lenient: bool,
    config: Value,
    keys: Vec<Key>,
    /// The token in the making: choices for key, dates, audience, issuer, `jti`, scope.
    choices: [usize; 8],
    token: Option<Minted>,
    path: usize,
    request: Request,
    /// Its parameters.
    query: Vec<String>,
    carried: Vec<Minted>,
    clean: bool,
    sent: Vec<Sent>,
    published: History<Option<Vec<usize>>>,
    revoked: History<Option<Value>>,
    /// Whether the service says yes.
    decisions: History<bool>,
    clock_was_set: bool,
}

impl Script {
    fn new(kind: u8) -> Self {
        let lenient = matches!(kind, b'D' | b'E');
        let config = if lenient { lenient_config() } else { config() };
        let vms = if matches!(kind, b'B' | b'E') { 2 } else { 1 };
        let mut world = if kind == b'C' { World::without_waiting(&config, vms) } else { World::new(&config, vms) };
        world.interleaved = vms == 2;
        let public = Key::ed25519(1).named("k1");
        let keys = vec![
            public.clone(),
            Key::p256(1).named("k2"),
            Key::ed25519(3).named("k1"),
            Key::hmac(public.jwk().to_string().as_bytes()).named("k1"),
            Key::hmac(&[7; 64]),
        ];
        let mut script = Self {
            world,
            lenient,
            config,
            keys,
            choices: [0; 8],
            token: None,
            path: 0,
            request: Request::get(PATHS[0]),
            query: Vec::new(),
            carried: Vec::new(),
            clean: true,
            sent: Vec::new(),
            published: Vec::new(),
            revoked: Vec::new(),
            decisions: Vec::new(),
            clock_was_set: false,
        };
        script.decide(1);
        script.publish(0);
        script.revoke(0);
        script
    }

    /// Lower-case letters stand alone; a digit follows those in upper case.
    fn step(&mut self, letter: u8, digit: usize) {
        match letter {
            // The token in the making: its key, dates, audience, issuer, name, scope.
            b'K' => self.choices[0] = digit % self.keys.len(),
            b'E' => self.choices[1] = digit,
            b'N' => self.choices[2] = digit,
            b'I' => self.choices[3] = digit,
            b'A' => self.choices[4] = digit,
            b'S' => self.choices[5] = digit,
            b'J' => self.choices[6] = digit,
            b'O' => self.choices[7] = digit,
            b't' => {
                let signer = &self.keys[self.choices[0]];
                self.token = Some(Minted::new(signer, self.choices, self.world.seconds()));
            }
            b'X' => self.token.iter_mut().for_each(|token| token.change(digit)),
            // The request in the making: its path, and the token at one place or another.
            b'P' => {
                self.path = digit % PATHS.len();
                self.request = Request::get(PATHS[self.path]).header("x-user", "root");
                self.query.clear();
                self.carried.clear();
                self.clean = true;
            }
            b'b' => self.carry(|request, token| request.header("authorization", format!("Bearer {token}"))),
            b'h' => self.carry(|request, token| request.header("x-token", token)),
            b'c' => self.carry(|request, token| request.header("cookie", format!("a=b; c={token}"))),
            b'q' => {
                self.query.extend(self.token.iter().map(|token| format!("t={}", token.text)));
                let target = format!("{}?{}", PATHS[self.path], self.query.join("&"));
                self.carry(|request, _| request.target(target.as_bytes()));
            }
            b'Y' => {
                let junk = ["Basic eDp5", "Bearer", "Bearer x", "Bearer a.b.c", "Bearer e30.e30.e30", "\u{e9}"];
                self.request = self.request.clone().header("authorization", junk[digit % junk.len()]);
                self.clean = false;
            }
            b's' => self.send(),
            b'z' => {
                self.send();
                // Whatever waits longest.
                if !self.sent.is_empty() {
                    self.world.gone(self.sent.remove(0).id);
                }
            }
            // The world around it.
            b'W' => self.pass([100, 500, 1_000, 2_000, 3_500, 6_000, 12_000, 31_000, 61_000, SETTLED][digit % 10]),
            b'Q' => self.publish(digit),
            b'R' => self.revoke(digit),
            b'D' => self.decide(digit),
            b'T' => {
                let steps = [-3600, -120, -61, -5, -1, 1, 5, 61, 120, 3600];
                self.world.step_clock(steps[digit % steps.len()]);
                self.clock_was_set = true;
            }
            b'f' => {
                let vms = if self.world.interleaved { 2 } else { 1 };
                self.world.configure(&self.config, vms);
            }
            _ => {}
        }
    }

    fn publish(&mut self, choice: usize) {
        let sets: [Option<&[usize]>; 8] =
            [Some(&[0, 1]), Some(&[0]), Some(&[1]), Some(&[2, 1]), None, None, None, None];
        let choice = choice % sets.len();
        let reply = match sets[choice] {
            Some(set) => Reply::keys(&set.iter().map(|&key| &self.keys[key]).collect::<Vec<_>>()),
            None => failure(choice),
        };
        self.world.issuer(JWKS, reply);
        self.published.push((self.world.elapsed(), sets[choice].map(<[usize]>::to_vec)));
    }

    fn revoke(&mut self, choice: usize) {
        let lists = [json!([]), json!([{"jti": "t1"}]), json!([{"sub": "alice"}]), json!([{"kid": "k2"}])];
        let choice = choice % 8;
        let list = lists.get(choice).cloned();
        let reply = list.clone().map_or_else(|| failure(choice), Reply::revoked);
        self.world.issuer(REVOKED, reply);
        self.revoked.push((self.world.elapsed(), list));
    }

    fn decide(&mut self, choice: usize) {
        let choice = choice % 6;
        let reply = match choice {
            0 => Reply::ok(r#"{"result":false}"#),
            1 => Reply::ok(r#"{"result":true}"#),
            _ => failure(choice),
        };
        self.world.issuer(DECISIONS, reply);
        self.decisions.push((self.world.elapsed(), choice == 1));
    }

    fn carry(&mut self, place: impl FnOnce(Request, &str) -> Request) {
        if let Some(token) = self.token.clone() {
            self.request = place(self.request.clone(), &token.text);
            self.clean &= self.carried.is_empty();
            self.carried.push(token);
        }
    }

    fn send(&mut self) {
        let vm = usize::from(self.world.interleaved && self.sent.len() % 2 == 1);
        let now = self.world.now().as_millis();
        let tokens = self.carried.clone();
        let must_pass = match tokens.as_slice() {
            [] => self.path == 1 && self.clean,
            [token] => self.clean && self.path == 0 && self.must_be_good(token, now),
            _ => false,
        };
        let at = self.world.elapsed();
        let id = self.world.request(vm, &self.request);
        self.sent.push(Sent { id, request: self.request.clone(), path: self.path, tokens, must_pass, at });
        self.look(now);
    }

    fn pass(&mut self, time: u64) {
        let end = self.world.elapsed() + time;
        while self.world.elapsed() < end {
            let before = self.world.now().as_millis();
            // Without anyone waiting, nobody asks when it was.
            let step = if self.sent.is_empty() { end - self.world.elapsed() } else { TICK.as_millis() as u64 };
            self.world.advance(Duration::from_millis(step));
            self.look(before);
        }
    }

    fn end(mut self) {
        self.send();
        self.pass(3_500);
        if !self.sent.is_empty() {
            self.pass(62_000);
        }
        assert!(self.sent.is_empty(), "{} requests were never answered", self.sent.len());
    }

    /// Judges what was decided since `before`.
    fn look(&mut self, before: u64) {
        let mut waiting = Vec::new();
        for sent in std::mem::take(&mut self.sent) {
            match self.world.verdict(sent.id).cloned() {
                None => waiting.push(sent),
                Some(verdict) => self.judge(&sent, &verdict, before),
            }
        }
        self.sent = waiting;
    }

    fn judge(&self, sent: &Sent, verdict: &Verdict, before: u64) {
        let is_metadata = !self.lenient && PATHS[sent.path] == METADATA;
        assert_eq!(matches!(verdict, Verdict::Replied(_)), is_metadata, "{} at {}", verdict.code(), PATHS[sent.path]);
        let Verdict::Allowed(edits) = verdict else {
            return assert!(!sent.must_pass, "{} although all is well", verdict.code());
        };
        let Sent { path, tokens, .. } = sent;
        let needs_none = *path == 1 || (*path == 2 && tokens.is_empty());
        let now = self.world.now().as_millis();
        let good = |token: &Minted| self.may_be_good(token, *path, before, now);
        let in_scope = *path != SCOPED || tokens.iter().any(|token| token.has_scope);
        let all = !tokens.is_empty() && tokens.iter().all(good) && in_scope;
        let one = if self.lenient { tokens.iter().any(good) } else { all };
        // To the lenient semantics, a path is what is written.
        let is_open_as_written = self.lenient && PATHS[*path].starts_with("/open");
        assert!(needs_none || one || is_open_as_written, "{} passes", PATHS[*path]);

        assert!(self.lenient || *path != ASKED || self.was_allowed(sent.at), "nobody said yes");

        let fields = sent.request.edited(edits);
        let users: Vec<&str> =
            fields.iter().filter(|(name, _)| name == "x-user").map(|(_, value)| value.as_str()).collect();
        assert!(users.iter().all(|user| *user == "alice") && (users.is_empty() || !tokens.is_empty()), "{users:?}");
        if !self.lenient && *path != 1 {
            let holds = |token: &Minted| fields.iter().any(|(_, value)| value.contains(&token.text));
            assert!(!tokens.iter().any(holds), "a token is passed on");
        }
    }

    /// Whether a token can be good at some time from `before` to `now`.
    fn may_be_good(&self, token: &Minted, path: usize, before: u64, now: u64) -> bool {
        const SKEW: u64 = 60_000;
        let (before, now) = (before.min(now), before.max(now));
        let lives = match token.expires {
            // Envoy counts in seconds, the last one included.
            Some(expires) => before < expires * 1000 + SKEW + if self.lenient { 1000 } else { 0 },
            None => self.lenient && token.without_expiration,
        };
        let has_begun = |date: u64| date * 1000 <= now + SKEW + if self.lenient { 1000 } else { 0 };
        let is_named = if token.of_secret {
            token.key == 4 && !self.lenient && !takes_main_alone(path)
        } else {
            self.may_trust(token.key)
        };
        let is_whole = match token.changed {
            Changed::No => true,
            Changed::Perhaps => self.lenient,
            Changed::Yes => false,
        };
        is_whole
            && token.claims_hold
            && lives
            && has_begun(token.not_before)
            && (self.lenient || has_begun(token.issued_at))
            && is_named
            && (self.lenient || token.of_secret || !self.is_revoked(token))
    }

    /// Whether a token must pass where one of any provider is enough, now and as long as a request can take.
    fn must_be_good(&self, token: &Minted, now: u64) -> bool {
        let lives = token.expires.is_some_and(|expires| now + 10_000 < expires * 1000 + 60_000);
        let has_begun = |date: u64| date * 1000 <= now;
        let settled = |since: u64| self.world.elapsed() >= since + SETTLED;
        let is_trusted = match self.published.last() {
            Some((since, Some(set))) => set.contains(&token.key) && settled(*since),
            _ => false,
        };
        let is_not_revoked = match self.revoked.last() {
            Some((since, Some(list))) => !names(list, token) && settled(*since),
            _ => false,
        };
        !self.clock_was_set
            && token.changed == Changed::No
            && token.claims_hold
            && !token.of_secret
            && lives
            && has_begun(token.not_before)
            && has_begun(token.issued_at)
            && is_trusted
            && (self.lenient || is_not_revoked)
    }

    /// Whether the service has said yes since `since`, or so shortly before that its answer may be kept.
    fn was_allowed(&self, since: u64) -> bool {
        let mut until = u64::MAX;
        for (from, is_yes) in self.decisions.iter().rev() {
            if *is_yes && (until.saturating_add(KEPT) >= since || self.clock_was_set) {
                return true;
            }
            until = *from;
        }
        false
    }

    /// Whether the issuer has published this key, and not withdrawn it for so long that everyone must know.
    fn may_trust(&self, key: usize) -> bool {
        let mut until = self.world.elapsed();
        for (since, set) in self.published.iter().rev() {
            match set {
                Some(set) if set.contains(&key) => return true,
                Some(_) if until - since >= SETTLED && !self.clock_was_set => return false,
                _ => until = *since,
            }
        }
        false
    }

    /// Whether a list that names the token has been there for so long that everyone must know.
    fn is_revoked(&self, token: &Minted) -> bool {
        match self.revoked.last() {
            Some((since, Some(list))) => {
                names(list, token) && self.world.elapsed() >= since + SETTLED && !self.clock_was_set
            }
            _ => false,
        }
    }
}

fn names(list: &Value, token: &Minted) -> bool {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .any(|entry| entry["jti"] == token.jti || entry["sub"] == "alice" || (entry["kid"] == "k2" && token.key == 1))
}

fn failure(choice: usize) -> Reply {
    match choice % 4 {
        0 => Reply::status(500),
        1 => Reply::hangs(),
        2 => Reply::no_cluster(),
        _ => Reply::ok("{\"keys\": []"),
    }
}
