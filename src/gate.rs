//! The whole contract of the core: [`Gate::handle`] takes what happened and the time, and returns what is to be done.
//!
//! **Every request gets exactly one terminal effect**, [`Effect::Allow`], [`Effect::Deny`] or [`Effect::Reply`], at once or after
//! one [`Effect::Wait`]; or none, if the host said that it is [gone](Event::Gone).
//!
//! Effects are data: the host applies them in order, after `handle` has returned. What answers an effect (a record that was read)
//! comes back as the next event.

mod contract;
mod documents;
mod monitored;
mod questions;
mod semantics;
mod shadow;
mod waiting;

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::limits::{MAX_RELEASED, MAX_WAITING, MAX_WAITING_KNOWN};
use crate::policy::{Decision, DocumentId, Documents, Protocol, Verifier, Want};
use crate::remote::{Answer, Gauge, Input, Outcome};
use crate::request::RequestHead;
use crate::stats::{self, Counter, Histogram};
use crate::time::{millis, UnixTime};
use crate::verdict::{plain, Reason};

pub use contract::{Effect, Event, RequestId};
use documents::fetch_of;
use monitored::Monitored;
use questions::{Questions, UnderWay};
pub use semantics::Semantics;
use shadow::Shadow;
use waiting::{passes_without, Waiting};

/// The gate: one configuration at work, in one VM.
pub struct Gate {
    semantics: Semantics,
    shadow: Option<Box<Shadow>>,
    monitored: Monitored,
    documents: Documents,
    verifier: Verifier,
    can_wait: bool,
    started: bool,
    waiting: BTreeMap<RequestId, Waiting>,
    /// How many of them may still be let go in this callback.
    room: usize,
    calls: RequestCalls,
    questions: Questions,
    /// The names of the providers as the access log shows them.
    logged_names: Vec<SmolStr>,
}

/// In hosts that cannot resume a request from the root context: the request in whose context the host is, and the calls that
/// requests made for themselves. A request is held there while its own call is under way, since only the answer to that call leads
/// back into its context.
#[derive(Debug, Default)]
struct RequestCalls {
    current: Option<RequestId>,
    under_way: BTreeMap<(DocumentId, u64), RequestId>,
    /// What came for the request and is shared when it is decided: in some hosts a write that finds no room is a trap, and a trap lets
    /// the request go on.
    to_share: Vec<Effect>,
}

impl Gate {
    /// A gate. `can_wait` says whether the host can hold a request and go on with it later.
    pub fn new(semantics: Semantics, documents: Documents, verifier: Verifier, can_wait: bool) -> Self {
        let names = (0..semantics.provider_count()).filter_map(|index| semantics.provider(index));
        let logged_names = if semantics.access_log().is_on() { names.map(plain).collect() } else { Vec::new() };
        Self {
            monitored: Monitored::new(&semantics),
            semantics,
            shadow: None,
            documents,
            verifier,
            can_wait,
            started: false,
            waiting: BTreeMap::new(),
            room: MAX_RELEASED,
            calls: RequestCalls::default(),
            questions: Questions::default(),
            logged_names,
        }
    }

    /// Sets a second configuration beside the first. Its documents are among those of the gate.
    pub fn cast_shadow(&mut self, shadow: Semantics) {
        let shadow = Shadow::new(shadow, &self.semantics);
        self.monitored.add_shadow(&shadow.semantics, |id| shadow.owns(id));
        self.shadow = Some(Box::new(shadow));
    }

    /// The counters that are to be there from the start. Of those by provider and reason there could be many, most of them never
    /// counted, and a host keeps each for ever: they come with their first request.
    pub fn counters(&self) -> Vec<Counter> {
        let mut counters = Counter::all(self.semantics.warning().is_some(), self.shadow.is_some());
        counters.extend((0..self.semantics.provider_count()).map(Counter::ProviderAllowed));
        for (id, _, provider) in self.monitored.documents() {
            counters.extend(Outcome::ALL.map(|outcome| fetch_of(id, provider, outcome)));
        }
        counters
    }

    /// The name of a counter.
    pub fn counter_name(&self, counter: Counter) -> String {
        counter.name(counter.provider().map_or("", |provider| self.monitored.name(provider)))
    }

    /// The names of the gauges, by provider: of one document there may be several.
    pub fn gauges(&self) -> Vec<(DocumentId, Gauge, String)> {
        let of_document = |(id, names, provider): (DocumentId, [&'static str; 2], usize)| {
            let provider = self.monitored.name(provider);
            let gauges = [Gauge::Length, Gauge::Age].into_iter().zip(names);
            gauges.map(move |(gauge, name)| (id, gauge, stats::of_provider(name, provider)))
        };
        self.monitored.documents().flat_map(of_document).collect()
    }

    /// Whether the host can hold a request and go on with it later.
    pub fn can_wait(&self) -> bool {
        self.can_wait
    }

    /// Whether the request waits to be decided about.
    pub fn is_waiting(&self, id: RequestId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// Whether any request waits.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The filter state that [`RequestHead::filter_state`] asks for.
    pub fn filter_state(&self) -> Option<&str> {
        self.semantics.filter_state().or_else(|| self.shadow.as_ref()?.semantics.filter_state())
    }

    /// A callback of the host begins; everything that is handled until the next one follows from it.
    pub fn begin_callback(&mut self) {
        self.room = MAX_RELEASED;
    }

    /// The fields of a head, or of trailers, that a service would take for the gate's own.
    pub fn own_headers(&self, head: &RequestHead) -> Vec<SmolStr> {
        self.semantics.own_headers(head)
    }

    /// The contract.
    pub fn handle(&mut self, event: Event<'_>, now: UnixTime) -> Vec<Effect> {
        match event {
            Event::Start => self.documents.ids().into_iter().map(Effect::Read).collect(),
            Event::Tick => self.on_tick(now),
            Event::Request(id, head) => self.on_request(id, head, now),
            Event::Gone(id) => self.on_gone(id, now),
            Event::Stop => {
                let ids = self.documents.ids().into_iter();
                ids.flat_map(|id| self.on_document(id, Input::Stop, now)).collect()
            }
            Event::Record(id, bytes, cas) if self.started => self.on_document(id, Input::Record(bytes, cas), now),
            Event::Record(id, bytes, _) => self.on_document(id, Input::Shared(bytes), now),
            Event::Written(id, won) => self.on_document(id, Input::Written(won), now),
            Event::Entry(id, bytes) => self.on_document(id, Input::Entry(bytes), now),
            Event::NotStored(id) => self.on_document(id, Input::NotStored, now),
            Event::Answer(id, number, answer) => {
                let request = self.calls.under_way.remove(&(id, number));
                self.calls.current = request.or(self.calls.current);
                let mut effects = self.on_document(id, Input::Answer(number, answer), now);
                effects.extend(request.map(Effect::Settle));
                effects
            }
            Event::Answered(number, answer) => self.on_answered(number, answer.as_ref(), now),
            Event::Settled(id) => self.on_settled(id, now),
        }
    }

    /// What the request asked for itself is not answered any more.
    fn on_gone(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        self.waiting.remove(&id);
        let of_it = self.calls.under_way.iter().filter(|(_, &request)| request == id);
        let abandoned: Vec<(DocumentId, u64)> = of_it.map(|(&call, _)| call).collect();
        self.calls.under_way.retain(|_, request| *request != id);
        let mut effects = self.pass_on_questions(id, now);
        for (document, number) in abandoned {
            effects.extend(self.on_document(document, Input::Abandoned(number), now));
        }
        effects.append(&mut self.calls.to_share);
        effects
    }

    /// The questions of a request that is over end with it: who else waits for them asks again.
    fn pass_on_questions(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        let waiting = &self.waiting;
        // Who came last will wait longest.
        let heir = |key| waiting.iter().rev().find(|(_, waiting)| waiting.waits_for(key)).map(|(&id, _)| id);
        self.questions.gone(id, heir, now)
    }

    fn on_tick(&mut self, now: UnixTime) -> Vec<Effect> {
        self.started = true;
        self.calls.current = None;
        for waiting in self.waiting.values_mut() {
            // A clock that was set back must not make a wait longer: it begins again.
            waiting.since = waiting.since.min(now);
            waiting.is_due |= self.can_wait && waiting.is_over(now);
        }
        let mut effects = self.release(now);
        for id in self.documents.ids() {
            effects.extend(self.on_document(id, Input::Tick, now));
        }
        effects
    }

    fn on_request(&mut self, id: RequestId, head: RequestHead, now: UnixTime) -> Vec<Effect> {
        if let Some(reply) = self.semantics.reply(&head) {
            return vec![Effect::Count(Counter::AnsweredMetadata), Effect::Reply(id, reply)];
        }
        self.verifier.begin_request(false);
        match self.semantics.decide(&head, &self.documents, &mut self.verifier, now) {
            Decision::Wait(mut wants, otherwise) => {
                if self.shadow.is_some() {
                    // It decides when the wait is over, which may be in the callback of another request.
                    let _ = head.filter_state();
                }
                let passes = passes_without(&wants, &otherwise);
                if passes && self.is_crowded() {
                    return self.conclude(id, &head, *otherwise, now);
                }
                // Who has shown a good token does not stand behind a crowd that has not.
                let is_known = wants.iter().all(|want| self.is_about_caller(want));
                if self.waiting.len() >= if is_known { MAX_WAITING_KNOWN } else { MAX_WAITING } {
                    return self.apply(id, &head, self.semantics.overloaded(&head));
                }
                let (patience, documents, asked, found, tried, called, is_due) = Default::default();
                let mut waiting =
                    Waiting { head, since: now, patience, documents, asked, found, tried, called, passes, is_due };
                if self.can_wait {
                    let mut effects = vec![Effect::Wait(id)];
                    effects.extend(self.wait(id, waiting, wants, now));
                    return effects;
                }
                self.started = true;
                // Where requests wait within their own context, a trap in the answer lets them go on in some hosts.
                let mut effects = vec![Effect::Remove(id, self.own_headers(&waiting.head))];
                effects.extend(self.try_next(id, &mut waiting, &mut wants, now));
                effects.push(Effect::Settle(id));
                self.wait(id, waiting, wants, now);
                effects
            }
            decision => self.conclude(id, &head, decision, now),
        }
    }

    /// A service answered: whoever waits for that is decided about.
    fn on_answered(&mut self, number: u64, answer: Option<&Answer>, now: UnixTime) -> Vec<Effect> {
        let Some(UnderWay { owner, question, since }) = self.questions.answered(number) else {
            return Vec::new();
        };
        let finding = self.documents.services.answered(&question, answer, now);
        let is_answered = finding.is_answer();
        let mut effects = Vec::new();
        if let Some(service) = self.documents.services.get(question.service) {
            let (counter, histogram) = match service.protocol {
                Protocol::Introspection(_) => (Counter::Introspection(is_answered), Histogram::Introspection),
                Protocol::Authorization(_) => (Counter::Authorization(is_answered), Histogram::Authorization),
            };
            effects.extend([Effect::Count(counter), Effect::Record(histogram, millis(now.since(since)))]);
        }
        for (&id, waiting) in &mut self.waiting {
            if waiting.waits_for(question.key) && (self.can_wait || id == owner) {
                waiting.found.push((question.key, finding.clone()));
                waiting.is_due = self.can_wait;
            }
        }
        if self.can_wait {
            effects.extend(self.release(now));
        } else {
            self.calls.current = Some(owner);
            effects.extend(self.judge_again(owner, now));
            effects.push(Effect::Settle(owner));
        }
        effects
    }

    /// A decision stands: the shadow, if there is one, decides as well, and it is carried out.
    fn conclude(&mut self, id: RequestId, head: &RequestHead, decision: Decision, now: UnixTime) -> Vec<Effect> {
        let Some(shadow) = &self.shadow else {
            return self.apply(id, head, decision);
        };
        let second = shadow.decide(head, &self.documents, &mut self.verifier, now);
        // It asks no service: what depends on one is undecided.
        if let Decision::Wait(wants, _) = &second {
            for want in wants {
                if let Want::Document(document, need) = *want {
                    if shadow.owns(document) {
                        self.documents.want(document, need, now);
                    }
                }
            }
        }
        let compared = shadow::compare(&decision, &second);
        let mut effects = self.apply(id, head, decision);
        effects.extend(compared.into_iter().flatten().map(Effect::Count));
        effects
    }

    /// Carries a decision out.
    fn apply(&self, id: RequestId, head: &RequestHead, decision: Decision) -> Vec<Effect> {
        let log = self.semantics.access_log();
        let name = |provider: Option<usize>| provider.and_then(|provider| self.logged_names.get(provider));
        match decision {
            Decision::Allow(pass, mut edits) => {
                let by_provider = match pass.refusal() {
                    Some(reason) => Some(Counter::Unenforced(reason)),
                    None => edits.caller.provider.map(Counter::ProviderAllowed),
                };
                let code = pass.refusal().map(Reason::code);
                edits.published = log.published(pass.outcome(), code, name(edits.caller.provider));
                let mut effects = self.counted(pass.counter(), by_provider);
                effects.push(Effect::Allow(id, edits));
                effects
            }
            Decision::Deny(mut denial) => {
                let (reason, provider) = (denial.reason, denial.caller.provider);
                let by_provider = provider.map(|provider| Counter::ProviderDenied(provider, reason));
                denial.published = log.published("denied", Some(reason.code()), name(provider));
                let mut effects = self.counted(Counter::Denied(reason), by_provider);
                effects.push(Effect::Deny(id, denial, head.is_grpc()));
                effects
            }
            // A decision waits for documents, never for another wait.
            Decision::Wait(_, otherwise) => self.apply(id, head, *otherwise),
        }
    }

    /// What is counted of a request, with room for how it ends, and for what a shadow counts.
    fn counted(&self, outcome: Counter, other: Option<Counter>) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(if self.shadow.is_some() { 5 } else { 3 });
        effects.push(Effect::Count(outcome));
        effects.extend(other.map(Effect::Count));
        effects
    }
}
