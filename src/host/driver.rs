//! Feeds events to the gate and applies its effects, after every borrow of the gate has ended: what the host calls back while an
//! effect is applied finds the gate free.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use jwt_gate_abi::Action;

use super::hostcalls;
use super::metrics::Metrics;
use crate::gate::{Effect, Event, Gate, RequestId};
use crate::limits::{MAX_KEY_SET_BYTES, MAX_REVOCATION_BYTES, MAX_SERVICE_ANSWER_BYTES};
use crate::log::Level;
use crate::policy::DocumentId;
use crate::remote::{Answer, Call, Gauge};
use crate::request::AskFilterState;
use crate::stats::{self, Counter, Histogram};
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

/// A counter, its number once the host knows it, and what the host has not been told yet.
#[derive(Clone)]
struct Counted {
    counter: Counter,
    metric: Option<u32>,
    pending: u64,
}

/// One gate with its host.
pub struct Driver {
    root: u32,
    gate: RefCell<Gate>,
    can_wait: bool,
    filter_state: Option<AskFilterState>,
    stat_prefix: String,
    metrics: Rc<Metrics>,
    /// By their [indices](Counter::index).
    counters: RefCell<Vec<Option<Counted>>>,
    /// One document may be that of several providers.
    gauges: HashMap<(DocumentId, Gauge), Vec<u32>>,
    /// Those that were recorded, by what they are of.
    histograms: RefCell<HashMap<Histogram, u32>>,
    shared_names: HashMap<DocumentId, String>,
    /// By the host's numbers, with the contexts in which they are. Some hosts show every answer to the root context.
    calls: RefCell<HashMap<u32, (u32, Called)>>,
}

/// What a call is for, and its number there.
#[derive(Clone, Copy)]
enum Called {
    Document(DocumentId, u64),
    Service(u64),
}

impl Driver {
    /// Takes a gate; `root` is the root context that it belongs to, and `metrics` are those of the VM.
    pub fn new(
        root: u32,
        gate: Gate,
        shared_names: HashMap<DocumentId, String>,
        stat_prefix: &str,
        metrics: &Rc<Metrics>,
    ) -> Self {
        let full = |name: &str| stats::full_name(stat_prefix, name);
        let mut gauges: HashMap<_, Vec<u32>> = HashMap::new();
        for (id, gauge, name) in gate.gauges() {
            gauges.entry((id, gauge)).or_default().extend(metrics.gauge(full(&name)));
        }
        let filter_state = gate.filter_state().map(|name| {
            let path = ["filter_state\0", name].concat();
            Rc::new(move || hostcalls::property(&path)) as AskFilterState
        });
        let (stat_prefix, metrics) = (stat_prefix.to_owned(), Rc::clone(metrics));
        let (counters, histograms, calls) = Default::default();
        let at_the_start = gate.counters();
        let (can_wait, gate) = (gate.can_wait(), RefCell::new(gate));
        let driver = Self {
            root,
            gate,
            can_wait,
            filter_state,
            stat_prefix,
            metrics,
            counters,
            gauges,
            histograms,
            shared_names,
            calls,
        };
        for counter in at_the_start {
            driver.count(counter, 0);
        }
        driver.counters.borrow_mut().iter_mut().flatten().for_each(|counted| driver.define(counted));
        driver
    }

    /// The head of the request of this context arrived.
    pub fn on_request(&self, id: RequestId) -> Course {
        let Some(head) = hostcalls::request_head() else {
            // A request that cannot be read must not be taken for one without a path, which might fall under no rule.
            hostcalls::deny(&Denial::from(Reason::KeysUnavailable), false);
            return Course::Answered;
        };
        self.run(Event::Request(id, head.with_filter_state(self.filter_state.clone())), Some(id))
    }

    /// The trailers of a request that went on arrived: what services would believe in its head they do not get behind its body, from
    /// where some put it there.
    pub fn on_trailers(&self) -> Course {
        let trailers = hostcalls::request_trailers();
        let own = trailers.map(|trailers| self.gate.borrow().own_headers(&trailers));
        if own.is_some_and(|own| own.iter().all(|name| hostcalls::remove_trailer(name))) {
            return Course::Passed;
        }
        hostcalls::log(Level::Error, "jwt-gate: the host does not edit the trailers of a request, which is refused");
        hostcalls::deny(&Denial::from(Reason::KeysUnavailable), false);
        Course::Answered
    }

    /// The request is over: the host ends its calls with it.
    pub fn on_gone(&self, id: RequestId) {
        self.calls.borrow_mut().retain(|_, (context, _)| *context != id);
        self.run(Event::Gone(id), None);
    }

    /// Anything but a request.
    pub fn on_event(&self, event: Event<'_>) {
        self.run(event, None);
    }

    /// The configuration is over.
    pub fn stop(&self) {
        self.on_event(Event::Stop);
        self.flush_counters();
    }

    /// Whether the host can hold a request and go on with it later.
    pub fn can_wait(&self) -> bool {
        self.can_wait
    }

    /// Whether requests wait that came under this configuration.
    pub fn is_awaited(&self) -> bool {
        self.gate.borrow().has_waiting()
    }

    /// Whether it made this call, by the host's number, and has no answer yet.
    pub fn has_call(&self, token: u32) -> bool {
        self.calls.borrow().contains_key(&token)
    }

    /// Tells the host what was counted since the last time. Told with each request, that would cost more than the request.
    pub fn flush_counters(&self) {
        for counted in self.counters.borrow_mut().iter_mut().flatten() {
            let count = std::mem::take(&mut counted.pending);
            if count == 0 {
                continue;
            }
            self.define(counted);
            if let Some(metric) = counted.metric {
                hostcalls::count(metric, count);
            }
            if let Some((what, code)) = counted.counter.said() {
                hostcalls::log(Level::Debug, &format!("{what}: {code} ({count})"));
            }
        }
    }

    fn count(&self, counter: Counter, count: u64) {
        let (index, mut counters) = (counter.index(), self.counters.borrow_mut());
        if index >= counters.len() {
            counters.resize(index + 1, None);
        }
        if let Some(place) = counters.get_mut(index) {
            let counted = place.get_or_insert(Counted { counter, metric: None, pending: 0 });
            counted.pending = counted.pending.saturating_add(count);
        }
    }

    fn define(&self, counted: &mut Counted) {
        if counted.metric.is_none() {
            let name = self.gate.borrow().counter_name(counted.counter);
            counted.metric = self.metrics.counter(stats::full_name(&self.stat_prefix, &name));
        }
    }

    fn histogram(&self, histogram: Histogram) -> Option<u32> {
        let known = self.histograms.borrow().get(&histogram).copied();
        known.or_else(|| {
            let metric = self.metrics.histogram(stats::full_name(&self.stat_prefix, histogram.name()))?;
            self.histograms.borrow_mut().insert(histogram, metric);
            Some(metric)
        })
    }

    /// The answer to a call that the current context made: the root context, or that of a request, which is then `current`.
    pub fn on_answer(&self, token: u32, headers: usize, body: usize, current: Option<RequestId>) -> Course {
        let call = self.calls.borrow_mut().remove(&token);
        let Some((_, call)) = call else {
            return self.unless_forgotten(Course::Parked, current);
        };
        let longest = match call {
            Called::Document(DocumentId::KeySet(_) | DocumentId::JwtKeySet(_), _) => MAX_KEY_SET_BYTES,
            Called::Document(DocumentId::Revocations(_), _) => MAX_REVOCATION_BYTES,
            Called::Service(_) => MAX_SERVICE_ANSWER_BYTES,
        };
        let course = self.run(call.answered(hostcalls::answer(headers, body, longest)), current);
        self.unless_forgotten(course, current)
    }

    /// A request to which no call leads back any more is refused, where only that could: some hosts let it go on.
    fn unless_forgotten(&self, course: Course, current: Option<RequestId>) -> Course {
        let has_call = |id| self.calls.borrow().values().any(|(context, _)| *context == id);
        let waits = |id| self.gate.borrow().is_waiting(id);
        match current.filter(|&id| course == Course::Parked && !self.can_wait && waits(id) && !has_call(id)) {
            Some(id) => {
                hostcalls::deny(&Denial::from(Reason::KeysUnavailable), false);
                self.run(Event::Gone(id), None);
                Course::Answered
            }
            None => course,
        }
    }

    /// Handles `event` and whatever follows from it. `current` is the request whose callback this is.
    fn run(&self, event: Event<'_>, current: Option<RequestId>) -> Course {
        self.gate.borrow_mut().begin_callback();
        // Without a terminal effect a request does not go on.
        let mut course = Course::Parked;
        let mut effects: VecDeque<Effect> = self.handle(event).into();
        while let Some(effect) = effects.pop_front() {
            let followed = match effect {
                Effect::Allow(id, edits) if current == Some(id) => {
                    course = if hostcalls::allow(&edits) { Course::Passed } else { Course::Answered };
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
                    self.act_on(id, current, || {
                        if hostcalls::allow(&edits) {
                            hostcalls::resume();
                        }
                    });
                    Vec::new()
                }
                Effect::Deny(id, denial, grpc) => {
                    self.act_on(id, current, || hostcalls::deny(&denial, grpc));
                    Vec::new()
                }
                Effect::Reply(id, reply) => {
                    self.act_on(id, current, || hostcalls::reply(&reply));
                    Vec::new()
                }
                Effect::Wait(_) => Vec::new(),
                Effect::Remove(_, names) => {
                    // What is not removed is removed, or refused, when it goes on.
                    for name in &names {
                        hostcalls::remove_header(name);
                    }
                    Vec::new()
                }
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
                    let is_stored = hostcalls::share(&self.body_name(id), &bytes);
                    if is_stored {
                        Vec::new()
                    } else {
                        self.handle(Event::NotStored(id))
                    }
                }
                Effect::Call(id, number, call) => {
                    self.call(current.unwrap_or(self.root), Called::Document(id, number), &call)
                }
                Effect::Ask(id, number, call) if current == Some(id) => self.call(id, Called::Service(number), &call),
                Effect::Ask(id, number, call) => {
                    self.act_on(id, current, || self.call(id, Called::Service(number), &call)).unwrap_or_default()
                }
                Effect::Count(counter) => {
                    self.count(counter, 1);
                    Vec::new()
                }
                Effect::Record(histogram, value) => {
                    if let Some(metric) = self.histogram(histogram) {
                        hostcalls::record(metric, value);
                    }
                    Vec::new()
                }
                Effect::Settle(id) => self.handle(Event::Settled(id)),
                Effect::Gauge(id, gauge, value) => {
                    for &metric in self.gauges.get(&(id, gauge)).into_iter().flatten() {
                        hostcalls::record(metric, value);
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

    /// Does something to another request than the `current` one, and comes back to that.
    fn act_on<T>(&self, id: RequestId, current: Option<RequestId>, act: impl FnOnce() -> T) -> Option<T> {
        let done = hostcalls::act_on(id).then(act);
        hostcalls::act_on(current.unwrap_or(self.root));
        done
    }

    /// Makes a call in the context at hand, which is that of this number.
    fn call(&self, context: u32, called: Called, call: &Call) -> Vec<Effect> {
        match hostcalls::dispatch(call) {
            Some(token) => {
                self.calls.borrow_mut().insert(token, (context, called));
                Vec::new()
            }
            None => self.handle(called.answered(Some(Answer { not_sent: true, ..Answer::default() }))),
        }
    }

    fn name(&self, id: DocumentId) -> &str {
        self.shared_names.get(&id).map_or("", String::as_str)
    }

    fn body_name(&self, id: DocumentId) -> String {
        format!("{} body", self.name(id))
    }
}

impl Called {
    fn answered(self, answer: Option<Answer>) -> Event<'static> {
        match self {
            Self::Document(id, number) => Event::Answer(id, number, answer),
            Self::Service(number) => Event::Answered(number, answer.filter(|answer| !answer.not_sent)),
        }
    }
}
