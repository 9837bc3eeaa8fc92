//! Feeds events to the gate and applies its effects, after every borrow of the gate has ended: what the host calls back while an
//! effect is applied finds the gate free.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use jwt_gate_abi::Action;

use super::hostcalls;
use super::metrics::Metrics;
use crate::gate::{Effect, Event, Gate, RequestId};
use crate::limits::{MAX_KEY_SET_BYTES, MAX_REVOCATION_BYTES};
use crate::log::Level;
use crate::policy::DocumentId;
use crate::remote::{Call, Gauge};
use crate::stats;
use crate::verdict::{Denial, Reason};

/// What became of the request whose callback it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It goes on.
    Passed,
    /// It was answered.
    Answered,
    /// It waits.
    Parked,
}

impl Course {
    /// What the callback returns. After a local reply it pauses, too: the request is answered, not passed on.
    pub fn action(self) -> Action {
        match self {
            Self::Passed => Action::Continue,
            Self::Answered | Self::Parked => Action::Pause,
        }
    }
}

/// A counter of the host, and what it has not been told yet.
struct Counter {
    metric: u32,
    pending: Cell<u64>,
}

/// One gate with its host.
pub struct Driver {
    root: u32,
    gate: RefCell<Gate>,
    /// The key of the filter state that requests are asked for.
    filter_state: Option<String>,
    counters: HashMap<&'static str, Counter>,
    gauges: HashMap<(DocumentId, Gauge), u32>,
    shared_names: HashMap<DocumentId, String>,
    calls: RefCell<HashMap<u32, (DocumentId, u64)>>,
}

impl Driver {
    /// Takes a gate; `root` is the root context that it belongs to, and `metrics` are those of the VM.
    pub fn new(
        root: u32,
        gate: Gate,
        shared_names: HashMap<DocumentId, String>,
        stat_prefix: &str,
        metrics: &Metrics,
    ) -> Self {
        let full = |name: &str| stats::full_name(stat_prefix, name);
        let counter = |name| Some(Counter { metric: metrics.counter(full(name))?, pending: Cell::new(0) });
        let counters = stats::all().filter_map(|name| Some((name, counter(name)?))).collect();
        let gauges = gate.gauges().into_iter();
        let gauges = gauges.filter_map(|(id, gauge, name)| Some(((id, gauge), metrics.gauge(full(&name))?))).collect();
        let filter_state = gate.filter_state().map(str::to_owned);
        Self { root, gate: RefCell::new(gate), filter_state, counters, gauges, shared_names, calls: RefCell::default() }
    }

    /// The head of the request of this context arrived.
    pub fn on_request(&self, id: RequestId) -> Course {
        let Some(head) = hostcalls::request_head() else {
            // A request that cannot be read must not be taken for one without a path, which might fall under no rule.
            hostcalls::deny(&Denial::from(Reason::KeysUnavailable), false);
            return Course::Answered;
        };
        let filter_state = self.filter_state.as_deref().and_then(hostcalls::filter_state);
        let event = Event::Request(id, head.with_filter_state(filter_state));
        self.run(event, Some(id))
    }

    /// Anything but a request.
    pub fn on_event(&self, event: Event<'_>) {
        self.run(event, None);
    }

    /// Tells the host what was counted since the last time. Told with each request, that would cost more than the request.
    pub fn flush_counters(&self) {
        for (name, counter) in &self.counters {
            let count = counter.pending.take();
            if count > 0 {
                hostcalls::count(counter.metric, count);
                if let Some(code) = stats::denied(name) {
                    hostcalls::log(Level::Debug, &format!("denied: {code} ({count})"));
                }
            }
        }
    }

    /// The answer to a call that the current context made: the root context, or that of a request, which is then `current`.
    pub fn on_answer(&self, token: u32, headers: usize, body: usize, current: Option<RequestId>) -> Course {
        let call = self.calls.borrow_mut().remove(&token);
        let Some((document, number)) = call else {
            return Course::Parked;
        };
        let longest = match document {
            DocumentId::KeySet(_) | DocumentId::JwtKeySet(_) => MAX_KEY_SET_BYTES,
            DocumentId::Revocations(_) => MAX_REVOCATION_BYTES,
        };
        self.run(Event::Answer(document, number, hostcalls::answer(headers, body, longest)), current)
    }

    /// Handles `event` and whatever follows from it. `current` is the request whose callback this is.
    fn run(&self, event: Event<'_>, current: Option<RequestId>) -> Course {
        // Without a terminal effect a request does not go on.
        let mut course = Course::Parked;
        let mut effects: VecDeque<Effect> = self.handle(event).into();
        while let Some(effect) = effects.pop_front() {
            let followed = match effect {
                Effect::Allow(id, edits) if current == Some(id) => {
                    hostcalls::edit_request(&edits);
                    course = Course::Passed;
                    Vec::new()
                }
                Effect::Deny(id, denial, grpc) if current == Some(id) => {
                    hostcalls::deny(&denial, grpc);
                    course = Course::Answered;
                    Vec::new()
                }
                Effect::Reply(id, reply) if current == Some(id) => {
                    hostcalls::reply(&reply);
                    course = Course::Answered;
                    Vec::new()
                }
                Effect::Allow(id, edits) => {
                    self.act_on(id, || {
                        hostcalls::edit_request(&edits);
                        hostcalls::resume();
                    });
                    Vec::new()
                }
                Effect::Deny(id, denial, grpc) => {
                    self.act_on(id, || hostcalls::deny(&denial, grpc));
                    Vec::new()
                }
                Effect::Reply(id, reply) => {
                    self.act_on(id, || hostcalls::reply(&reply));
                    Vec::new()
                }
                Effect::Wait(_) => Vec::new(),
                Effect::Read(id) => {
                    let (bytes, cas) = hostcalls::shared(self.name(id));
                    self.handle(Event::Record(id, bytes.as_deref(), cas))
                }
                Effect::Write(id, bytes, cas) => {
                    let won = hostcalls::compare_and_share(self.name(id), &bytes, cas);
                    self.handle(Event::Written(id, won))
                }
                Effect::Load(id) => {
                    let (bytes, _) = hostcalls::shared(&self.body_name(id));
                    self.handle(Event::Entry(id, bytes.as_deref()))
                }
                Effect::Store(id, bytes) => {
                    hostcalls::share(&self.body_name(id), &bytes);
                    Vec::new()
                }
                Effect::Call(id, number, call) => self.call(id, number, &call),
                Effect::Count(name) => {
                    if let Some(counter) = self.counters.get(name) {
                        counter.pending.set(counter.pending.get().saturating_add(1));
                    }
                    Vec::new()
                }
                Effect::Settle(id) => self.handle(Event::Settled(id)),
                Effect::Gauge(id, gauge, value) => {
                    if let Some(&metric) = self.gauges.get(&(id, gauge)) {
                        hostcalls::set_gauge(metric, value);
                    }
                    Vec::new()
                }
                Effect::Log(level, message) => {
                    hostcalls::log(level, &message);
                    Vec::new()
                }
            };
            // What follows comes before what stands behind: a write is answered before the next document is read.
            for effect in followed.into_iter().rev() {
                effects.push_front(effect);
            }
        }
        course
    }

    fn handle(&self, event: Event<'_>) -> Vec<Effect> {
        self.gate.borrow_mut().handle(event, hostcalls::now())
    }

    fn act_on(&self, id: RequestId, act: impl FnOnce()) {
        if hostcalls::act_on(id) {
            act();
        }
        hostcalls::act_on(self.root);
    }

    fn call(&self, id: DocumentId, number: u64, call: &Call) -> Vec<Effect> {
        match hostcalls::dispatch(call) {
            Some(token) => {
                self.calls.borrow_mut().insert(token, (id, number));
                Vec::new()
            }
            None => self.handle(Event::Answer(id, number, None)),
        }
    }

    fn name(&self, id: DocumentId) -> &str {
        self.shared_names.get(&id).map_or("", String::as_str)
    }

    fn body_name(&self, id: DocumentId) -> String {
        format!("{} body", self.name(id))
    }
}
