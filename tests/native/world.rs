//! A proxy in memory: worker VMs, the data that they share, a clock that the test turns, and issuers that answer by script.
//!
//! Effects are applied as the adapter applies them: in order, and what follows from one before what stands behind it. Every
//! request gets at most one terminal effect; a second one fails the test at once, and [`World::settle`] finds the ones without.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use jwt_gate::cache::TokenCache;
use jwt_gate::config::Config;
use jwt_gate::crypto::{Alg, CryptoProvider, Portable, PublicKey};
use jwt_gate::gate::{Effect, Event, Gate, RequestId};
use jwt_gate::limits::TICK;
use jwt_gate::log::Level;
use jwt_gate::policy::{DocumentId, Verifier};
use jwt_gate::remote::{Answer, Call};
use jwt_gate::request::{AskFilterState, RequestHead};
use jwt_gate::stats::Counter;
use jwt_gate::time::UnixTime;
use jwt_gate::verdict::{Denial, Edits, Reply as Answered};
use serde_json::{json, Value};

use crate::mint::{key_set, Key, AUDIENCE, ISSUER, NOW};

/// The address of the key set of [`remote`].
pub const JWKS: &str = "http://issuer.example/jwks";

/// The address of the revocation list of [`revoking`].
pub const REVOKED: &str = "http://issuer.example/revoked";

/// A provider with keys in the configuration, and whatever `more` says.
pub fn local(keys: &[&Key], more: Value) -> Value {
    let provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": key_set(keys.iter().map(|key| key.jwk()))},
    });
    merged(provider, more)
}

/// A provider whose keys are fetched, within two seconds.
pub fn remote(more: Value) -> Value {
    let provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "remote_jwks": {"http_uri": {"uri": JWKS, "cluster": "issuer", "timeout": "2s"}},
    });
    merged(provider, more)
}

/// What a provider says to poll a list of revoked tokens; `more` goes into `revocation`.
pub fn revoking(more: Value) -> Value {
    let revocation = json!({"http_uri": {"uri": REVOKED, "cluster": "issuer", "timeout": "2s"}});
    json!({ "revocation": merged(revocation, more) })
}

/// `base` with the members of `more` in it; an object goes into an object, `null` takes a member out.
pub fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        for (name, value) in more {
            match (base.get_mut(&name), value) {
                (_, Value::Null) => {
                    base.shift_remove(&name);
                }
                (Some(old), value) if old.is_object() && value.is_object() => *old = merged(old.take(), value),
                (_, value) => {
                    base.insert(name, value);
                }
            }
        }
    }
    base
}

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Request(Vec<(String, Vec<u8>)>);

impl Request {
    /// `GET path`.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Any request.
    pub fn new(method: &str, path: &str) -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Self(vec![
            field(":method", method),
            field(":scheme", "https"),
            field(":authority", "api.example"),
            field(":path", path),
        ])
    }

    /// Any bytes for `:path`.
    pub fn target(mut self, target: &[u8]) -> Self {
        for (name, value) in &mut self.0 {
            if name == ":path" {
                *value = target.to_vec();
            }
        }
        self
    }

    /// Without the field `name`.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// `Authorization: Bearer`, with this token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// As the host hands it over.
    pub fn head(&self) -> RequestHead {
        RequestHead::new(self.0.clone())
    }

    /// The header fields that the service gets: first what is removed, then what is set, then what is added.
    pub fn edited(&self, edits: &Edits) -> Vec<(String, String)> {
        let mut fields: Vec<(String, Vec<u8>)> =
            self.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        fields.retain(|(name, _)| !edits.remove.iter().any(|removed| removed == name));
        for (name, value) in &edits.set {
            let place = fields.iter().position(|(known, _)| known == name).unwrap_or(fields.len());
            fields.retain(|(known, _)| known != name);
            fields.insert(place.min(fields.len()), (name.to_string(), value.to_vec()));
        }
        fields.extend(edits.add.iter().map(|(name, value)| (name.to_string(), value.to_vec())));
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        fields.into_iter().map(|(name, value)| (name, text(value))).collect()
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It went on.
    Allowed(Edits),
    /// It was answered; as gRPC if the flag is set.
    Denied(Denial, bool),
    /// The gate itself was asked, and answered.
    Replied(Answered),
}

impl Verdict {
    /// `"allowed"`, `"replied"`, or the code of the denial.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Denied(denial, _) => denial.reason.code(),
            Self::Replied(_) => "replied",
        }
    }

    /// What the client sees, or 200.
    pub fn status(&self) -> u16 {
        match self {
            Self::Allowed(_) => 200,
            Self::Denied(denial, _) => denial.status,
            Self::Replied(reply) => reply.status,
        }
    }

    /// The denial.
    pub fn denial(&self) -> &Denial {
        match self {
            Self::Denied(denial, _) => denial,
            other => panic!("the request was not denied: {}", other.code()),
        }
    }

    /// The edits of a request that went on.
    pub fn edits(&self) -> &Edits {
        match self {
            Self::Allowed(edits) => edits,
            other => panic!("the request was not allowed: {}", other.code()),
        }
    }
}

/// What an issuer does when it is asked.
#[derive(Clone, Debug)]
pub struct Reply {
    kind: ReplyKind,
    etag: Option<String>,
    cache_control: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    after: Duration,
}

#[derive(Clone, Debug)]
enum ReplyKind {
    Status(u16, Vec<u8>),
    WithoutStatus(Vec<u8>),
    Hangs,
    Never,
    NoCluster,
    Late(Vec<u8>),
}

impl Reply {
    fn of(kind: ReplyKind) -> Self {
        Self { kind, etag: None, cache_control: None, headers: Vec::new(), after: Duration::from_millis(10) }
    }

    /// 200 with this body, after 10 ms.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::of(ReplyKind::Status(200, body.as_ref().to_vec()))
    }

    /// 200 with the public parts of these keys.
    pub fn keys(keys: &[&Key]) -> Self {
        Self::ok(key_set(keys.iter().map(|key| key.jwk())))
    }

    /// 200 with a list of revoked tokens.
    pub fn revoked(entries: Value) -> Self {
        Self::ok(json!({ "revoked": entries }).to_string())
    }

    /// Another status.
    pub fn status(status: u16) -> Self {
        Self::of(ReplyKind::Status(status, Vec::new()))
    }

    /// A body, and no `:status`.
    pub fn without_status(body: impl AsRef<[u8]>) -> Self {
        Self::of(ReplyKind::WithoutStatus(body.as_ref().to_vec()))
    }

    /// Nothing until the host gives up and says so.
    pub fn hangs() -> Self {
        Self::of(ReplyKind::Hangs)
    }

    /// Nothing at all, not even from the host.
    pub fn never() -> Self {
        Self::of(ReplyKind::Never)
    }

    /// The host knows no such upstream.
    pub fn no_cluster() -> Self {
        Self::of(ReplyKind::NoCluster)
    }

    /// 200 with these keys, long after the host should have given up.
    pub fn late_keys(keys: &[&Key], after: Duration) -> Self {
        Self::of(ReplyKind::Late(key_set(keys.iter().map(|key| key.jwk())).into_bytes())).after(after)
    }

    /// With an `ETag`; a request that knows it gets 304.
    pub fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    /// With `Cache-Control`.
    pub fn cache_control(mut self, value: &str) -> Self {
        self.cache_control = Some(value.to_owned());
        self
    }

    /// With another header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// After that long.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// When, in milliseconds since the test began.
    pub at: u64,
    /// Of what.
    pub uri: String,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// The call itself.
    pub call: Call,
}

struct Vm {
    gate: Gate,
    names: HashMap<DocumentId, String>,
    queue: VecDeque<Effect>,
    has_ended: bool,
}

struct InFlight {
    context: Option<RequestId>,
    due: u64,
    vm: usize,
    asked: Asked,
    answer: Option<Answer>,
}

/// What a call is for, and its number there.
#[derive(Clone, Copy)]
enum Asked {
    Document(DocumentId, u64),
    Service(u64),
}

impl Asked {
    fn answered(self, answer: Option<Answer>) -> Event<'static> {
        match self {
            Self::Document(id, number) => Event::Answer(id, number, answer),
            Self::Service(number) => Event::Answered(number, answer.filter(|answer| !answer.not_sent)),
        }
    }
}

/// The proxy.
pub struct World {
    /// Every call that was made.
    pub fetches: Vec<Fetch>,
    /// The request in whose context the host is, where it cannot leave that.
    context: Option<RequestId>,
    checks: Rc<Cell<u64>>,
    /// How often each counter was counted.
    pub counts: BTreeMap<String, u64>,
    /// What each histogram got.
    pub recorded: BTreeMap<&'static str, Vec<u64>>,
    /// The latest value of each gauge.
    pub gauges: BTreeMap<String, u64>,
    /// What was logged.
    pub logs: Vec<(Level, String)>,
    /// What was taken out of requests before they waited.
    pub removed: Vec<String>,
    /// The most requests that were decided in one callback.
    pub most_decided: usize,
    decided: usize,
    /// Whether the VMs' threads take turns after every single effect, which is when races show.
    pub interleaved: bool,
    /// The longest body that the host keeps for all VMs, in bytes.
    pub longest_shared: usize,
    vms: Vec<Vm>,
    in_force: usize,
    can_wait: bool,
    elapsed: u64,
    clock_offset: i64,
    shared: HashMap<String, (Vec<u8>, u32)>,
    versions: u32,
    issuers: HashMap<String, Reply>,
    in_flight: Vec<InFlight>,
    /// The requests whose answers arrived at the same time as the one that is handled.
    arriving: Vec<RequestId>,
    requests: BTreeMap<RequestId, (usize, Option<Verdict>)>,
    arrived: RequestId,
    seeds: u64,
}

/// The provider in pure Rust, and how often it was asked.
struct Counting(Rc<Cell<u64>>);

impl CryptoProvider for Counting {
    fn verify(&self, key: &PublicKey, alg: Alg, message: &[u8], signature: &[u8]) -> Option<bool> {
        self.0.set(self.0.get() + 1);
        Portable.verify(key, alg, message, signature)
    }
}

impl World {
    /// How many signatures were checked.
    pub fn checks(&self) -> u64 {
        self.checks.get()
    }

    /// As many VMs with this configuration, not ticked yet. Issuers hang until they are told otherwise.
    pub fn new(config: &Value, vms: usize) -> Self {
        let mut world = Self::empty();
        world.configure(config, vms);
        world
    }

    /// The same in a host that cannot hold requests.
    pub fn without_waiting(config: &Value, vms: usize) -> Self {
        let mut world = Self { can_wait: false, ..Self::empty() };
        world.configure(config, vms);
        world
    }

    fn empty() -> Self {
        Self {
            fetches: Vec::new(),
            counts: BTreeMap::new(),
            recorded: BTreeMap::new(),
            context: None,
            gauges: BTreeMap::new(),
            checks: Rc::default(),
            logs: Vec::new(),
            removed: Vec::new(),
            most_decided: 0,
            decided: 0,
            interleaved: false,
            longest_shared: usize::MAX,
            vms: Vec::new(),
            in_force: 0,
            can_wait: true,
            elapsed: 0,
            clock_offset: 0,
            shared: HashMap::new(),
            versions: 0,
            issuers: HashMap::new(),
            in_flight: Vec::new(),
            arriving: Vec::new(),
            requests: BTreeMap::new(),
            arrived: 0,
            seeds: 0,
        }
    }

    /// Puts a configuration in force in new VMs. The old ones finish what they hold.
    pub fn configure(&mut self, config: &Value, vms: usize) {
        let environment = |name: &str| (name == "SECRET").then(|| "s3cret+/".to_owned());
        let config = Config::parse_in(config.to_string().as_bytes(), &environment);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        self.in_force = self.vms.len();
        for _ in 0..vms {
            self.seeds += 1;
            let documents = config.documents(self.seeds);
            let names = documents.ids().into_iter().map(|id| (id, documents.shared_name(id).to_owned())).collect();
            let cache = TokenCache::new(config.token_cache, (1, 2));
            let verifier = Verifier::new(vec![Box::new(Counting(Rc::clone(&self.checks)))], cache);
            let mut gate = Gate::new(config.semantics.clone(), documents, verifier, self.can_wait);
            config.shadow.iter().for_each(|shadow| gate.cast_shadow(shadow.clone()));
            self.vms.push(Vm { gate, names, queue: VecDeque::new(), has_ended: false });
        }
        self.run((self.in_force..self.vms.len()).map(|vm| (vm, None, Event::Start)).collect());
    }

    /// The same, and the old ones hold nothing any more: they end, and with them their calls.
    pub fn configure_at_once(&mut self, config: &Value, vms: usize) {
        let ended = self.in_force..self.vms.len();
        self.configure(config, vms);
        self.in_flight.retain(|call| !ended.contains(&call.vm));
        self.run(ended.clone().map(|vm| (vm, None, Event::Stop)).collect());
        self.vms[ended].iter_mut().for_each(|vm| vm.has_ended = true);
    }

    /// What the issuer at `uri` answers from now on.
    pub fn issuer(&mut self, uri: &str, reply: Reply) {
        self.issuers.insert(uri.to_owned(), reply);
    }

    /// The gate's clock.
    pub fn now(&self) -> UnixTime {
        UnixTime::from_millis((NOW * 1000 + self.elapsed).saturating_add_signed(self.clock_offset))
    }

    /// The same in seconds: for `iat` of a token that is minted now.
    pub fn seconds(&self) -> u64 {
        self.now().as_millis() / 1000
    }

    /// Milliseconds since the test began.
    pub fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Somebody sets the clock.
    pub fn step_clock(&mut self, seconds: i64) {
        self.clock_offset += seconds * 1000;
    }

    /// Lets time pass: answers arrive, VMs tick.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.elapsed + u64::try_from(duration.as_millis()).expect("a short test");
        let tick = u64::try_from(TICK.as_millis()).expect("a short tick");
        loop {
            let next_tick = (self.elapsed / tick + 1) * tick;
            let next_answer = self.in_flight.iter().map(|call| call.due).min().unwrap_or(u64::MAX);
            let next = next_tick.min(next_answer).min(end);
            self.elapsed = self.elapsed.max(next);
            let mut events = Vec::new();
            let (arrived, rest) = std::mem::take(&mut self.in_flight).into_iter().partition(|call| call.due <= next);
            self.in_flight = rest;
            for InFlight { vm, context, asked, answer, .. } in arrived {
                // The answer to a call of a request that is gone goes nowhere.
                if context.is_none_or(|id| self.requests.contains_key(&id)) {
                    self.arriving.extend(context);
                    events.push((vm, context, asked.answered(answer)));
                }
            }
            if next == next_tick {
                let running = (0..self.vms.len()).filter(|&vm| !self.vms[vm].has_ended);
                events.extend(running.map(|vm| (vm, None, Event::Tick)));
            }
            self.run(events);
            if next == end {
                return;
            }
        }
    }

    /// Lets so many seconds pass.
    pub fn seconds_pass(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    /// A request arrives at a VM of the configuration in force.
    pub fn request(&mut self, vm: usize, request: &Request) -> RequestId {
        self.request_with(vm, request, None)
    }

    /// One whose filter state the host is asked for so.
    pub fn request_with(&mut self, vm: usize, request: &Request, state: Option<AskFilterState>) -> RequestId {
        // No number twice: one of a request that is gone may still be under way.
        self.arrived += 1;
        let id = self.arrived;
        let vm = self.in_force + vm;
        self.requests.insert(id, (vm, None));
        self.run(vec![(vm, Some(id), Event::Request(id, request.head().with_filter_state(state)))]);
        id
    }

    /// How the request ended; `None` while it waits.
    pub fn verdict(&self, id: RequestId) -> Option<&Verdict> {
        self.requests.get(&id).and_then(|(_, verdict)| verdict.as_ref())
    }

    /// A request that is decided at once.
    pub fn ask(&mut self, vm: usize, request: &Request) -> Verdict {
        let id = self.request(vm, request);
        self.verdict(id).cloned().unwrap_or_else(|| panic!("the request waits: {request:?}"))
    }

    /// A request, and the time that it needs.
    pub fn ask_patiently(&mut self, vm: usize, request: &Request) -> Verdict {
        let id = self.request(vm, request);
        for _ in 0..650 {
            if let Some(verdict) = self.verdict(id) {
                return verdict.clone();
            }
            self.advance(TICK);
        }
        panic!("the request waited for more than a minute: {request:?}");
    }

    /// The client goes away.
    pub fn gone(&mut self, id: RequestId) {
        let (vm, verdict) = self.requests.remove(&id).expect("a request");
        assert_eq!(verdict, None, "the request had been decided");
        self.run(vec![(vm, Some(id), Event::Gone(id))]);
    }

    /// Lets a minute pass, and asserts that no request is left without an answer.
    pub fn settle(&mut self) {
        self.seconds_pass(65);
        for (id, (vm, verdict)) in &self.requests {
            assert!(verdict.is_some(), "request {id} in VM {vm} was never answered");
        }
    }

    /// How often this was counted.
    pub fn count(&self, counter: &str) -> u64 {
        self.counts.get(counter).copied().unwrap_or_default()
    }

    /// Everything that was logged at `level`.
    pub fn logged(&self, level: Level) -> Vec<&str> {
        self.logs.iter().filter(|(known, _)| *known == level).map(|(_, message)| message.as_str()).collect()
    }

    /// Overwrites everything that is shared, as another version of the module might.
    pub fn scribble(&mut self, what: &str, bytes: &[u8]) {
        self.versions += 1;
        for (name, value) in &mut self.shared {
            if name.ends_with(" body") == (what == "body") {
                *value = (bytes.to_vec(), self.versions);
            }
        }
    }

    fn run(&mut self, events: Vec<(usize, Option<RequestId>, Event<'_>)>) {
        if self.interleaved {
            self.arriving.clear();
            for (vm, _, event) in events {
                self.vms[vm].gate.begin_callback();
                let effects = self.handle(vm, event);
                self.vms[vm].queue.extend(effects);
            }
            while self.vms.iter().any(|vm| !vm.queue.is_empty()) {
                for vm in 0..self.vms.len() {
                    self.apply_next(vm);
                }
            }
        } else {
            for (vm, context, event) in events {
                if let Some(place) = self.arriving.iter().position(|&id| context == Some(id)) {
                    self.arriving.remove(place);
                }
                self.context = context.filter(|_| !self.can_wait);
                self.decided = 0;
                self.vms[vm].gate.begin_callback();
                let effects = self.handle(vm, event);
                self.vms[vm].queue.extend(effects);
                while !self.vms[vm].queue.is_empty() {
                    self.apply_next(vm);
                }
            }
        }
    }

    fn handle(&mut self, vm: usize, event: Event<'_>) -> Vec<Effect> {
        let now = self.now();
        self.vms[vm].gate.handle(event, now)
    }

    fn apply_next(&mut self, vm: usize) {
        let Some(effect) = self.vms[vm].queue.pop_front() else { return };
        let followed = match effect {
            Effect::Allow(id, edits) => self.end(vm, id, Verdict::Allowed(edits)),
            Effect::Deny(id, denial, grpc) => {
                // Whatever was said before, it is what this refusal says.
                let anew = Denial { prepared: None, ..(*denial).clone() }.local_response(grpc);
                assert_eq!(denial.local_response(grpc), anew);
                self.end(vm, id, Verdict::Denied(*denial, grpc))
            }
            Effect::Reply(id, reply) => self.end(vm, id, Verdict::Replied(reply)),
            Effect::Wait(id) => {
                let in_flight = self.in_flight.iter().any(|call| call.context == Some(id));
                let has_call = in_flight || self.arriving.contains(&id);
                assert!(self.can_wait || has_call, "request {id} waits, and nothing leads back to it");
                Vec::new()
            }
            Effect::Remove(id, names) => {
                assert!(!self.can_wait && self.context == Some(id), "request {id} is edited in another context");
                self.removed.extend(names.iter().map(ToString::to_string));
                Vec::new()
            }
            Effect::Settle(id) => self.handle(vm, Event::Settled(id)),
            Effect::Read(id) => {
                let (bytes, cas) = self.read(&self.vms[vm].names[&id]);
                self.handle(vm, Event::Record(id, bytes.as_deref(), cas))
            }
            Effect::Write(id, bytes, cas) => {
                let name = self.vms[vm].names[&id].clone();
                let won = self.read(&name).1 == cas;
                if won {
                    self.write(name, bytes);
                }
                self.handle(vm, Event::Written(id, won))
            }
            Effect::Load(id) => {
                let (bytes, _) = self.read(&format!("{} body", self.vms[vm].names[&id]));
                self.handle(vm, Event::Entry(id, bytes.as_deref()))
            }
            Effect::Store(id, bytes) => {
                // A write that finds no room may be a trap, and a trap lets a request go on that its own call is answered for.
                let undecided = self.context.filter(|id| matches!(self.requests.get(id), Some((_, None))));
                assert_eq!(undecided, None, "a body is shared before the request is decided that fetched it");
                if bytes.len() > self.longest_shared {
                    self.handle(vm, Event::NotStored(id))
                } else {
                    let name = format!("{} body", self.vms[vm].names[&id]);
                    self.write(name, bytes);
                    Vec::new()
                }
            }
            Effect::Call(id, number, call) => self.call(vm, self.context, Asked::Document(id, number), call),
            Effect::Ask(id, number, call) => {
                assert!(self.can_wait || self.context == Some(id), "request {id} asks in another context");
                self.call(vm, Some(id), Asked::Service(number), call)
            }
            Effect::Count(counter) => {
                let gate = &self.vms[vm].gate;
                let is_lazy = matches!(counter, Counter::ProviderDenied(..));
                assert!(is_lazy || gate.counters().contains(&counter), "{counter:?} is not there from the start");
                *self.counts.entry(gate.counter_name(counter)).or_default() += 1;
                Vec::new()
            }
            Effect::Record(histogram, value) => {
                self.recorded.entry(histogram.name()).or_default().push(value);
                Vec::new()
            }
            Effect::Gauge(id, gauge, value) => {
                let gauges = self.vms[vm].gate.gauges();
                let named = gauges.into_iter().filter(|(known, kind, _)| (*known, *kind) == (id, gauge));
                self.gauges.extend(named.map(|(.., name)| (name, value)));
                Vec::new()
            }
            Effect::Log(level, message) => {
                self.logs.push((level, message));
                Vec::new()
            }
        };
        for effect in followed.into_iter().rev() {
            self.vms[vm].queue.push_front(effect);
        }
    }

    fn end(&mut self, vm: usize, id: RequestId, verdict: Verdict) -> Vec<Effect> {
        let (owner, known) = self.requests.get_mut(&id).unwrap_or_else(|| panic!("request {id} is gone: {verdict:?}"));
        assert_eq!(*owner, vm, "request {id} was decided by another VM");
        assert!(self.can_wait || self.context == Some(id), "request {id} was decided in another context");
        assert_eq!(*known, None, "request {id} was decided twice, now {verdict:?}");
        *known = Some(verdict);
        self.decided += 1;
        self.most_decided = self.most_decided.max(self.decided);
        Vec::new()
    }

    fn call(&mut self, vm: usize, context: Option<RequestId>, asked: Asked, call: Call) -> Vec<Effect> {
        let of = |name: &str| call.headers().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        let part = |name: &str| of(name).unwrap_or_default();
        let uri = format!("{}://{}{}", part(":scheme"), part(":authority"), part(":path"));
        let if_none_match = of("if-none-match");
        let reply = self.issuers.get(&uri).cloned().unwrap_or_else(Reply::hangs);
        let timeout = u64::try_from(call.timeout.as_millis()).expect("a short timeout");
        let after = u64::try_from(reply.after.as_millis()).expect("a short delay");
        self.fetches.push(Fetch { at: self.elapsed, uri, if_none_match: if_none_match.clone(), call });
        let has_another = self.in_flight.iter().any(|call| context.is_some() && call.context == context);
        assert!(
            self.can_wait || !has_another,
            "request {context:?} has two calls, and the answer to one lets it go on"
        );
        let unchanged = reply.etag.is_some() && reply.etag == if_none_match;
        let (due, answer) = match reply.kind {
            ReplyKind::NoCluster => {
                return self.handle(vm, asked.answered(Some(Answer { not_sent: true, ..Answer::default() })))
            }
            ReplyKind::Never => return Vec::new(),
            ReplyKind::Hangs => (timeout, None),
            ReplyKind::WithoutStatus(body) => (after, Some(Answer { body, ..Answer::default() })),
            ReplyKind::Late(body) => (after, Some(Answer { status: Some(200), body, ..Answer::default() })),
            ReplyKind::Status(..) if after >= timeout => (timeout, None),
            ReplyKind::Status(status, body) => {
                let (status, body) = if unchanged { (304, Vec::new()) } else { (status, body) };
                let head = RequestHead::new(reply.headers);
                (
                    after,
                    Some(Answer {
                        not_sent: false,
                        status: Some(status),
                        etag: reply.etag,
                        cache_control: reply.cache_control,
                        body,
                        head,
                    }),
                )
            }
        };
        self.in_flight.push(InFlight { due: self.elapsed + due, vm, context, asked, answer });
        Vec::new()
    }

    fn read(&self, name: &str) -> (Option<Vec<u8>>, Option<u32>) {
        self.shared.get(name).cloned().unzip()
    }

    fn write(&mut self, name: String, bytes: Vec<u8>) {
        self.versions += 1;
        self.shared.insert(name, (bytes, self.versions));
    }
}
