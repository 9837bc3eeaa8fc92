//! The whole contract of the core: [`Gate::handle`] takes what happened and the time, and returns what is to be done.
//!
//! **Every request gets exactly one terminal effect**, [`Effect::Allow`], [`Effect::Deny`] or [`Effect::Reply`], at once or after
//! one [`Effect::Wait`]; or none, if the host said that it is [gone](Event::Gone).
//!
//! Effects are data: the host applies them in order, after `handle` has returned. What answers an effect (a record that was read)
//! comes back as the next event.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::jwt_authn;
use crate::limits::{MAX_RELEASED, MAX_WAITING};
use crate::log::Level;
use crate::policy::{Decision, DocumentId, Documents, Keys, Metadata, Policy, Verifier};
use crate::remote::{Answer, Call, Gauge, Input, Need, Output};
use crate::request::RequestHead;
use crate::stats;
use crate::time::UnixTime;
use crate::verdict::{Denial, Edits, Form, Reason, Reply};

/// A request, by the host's number.
pub type RequestId = u32;

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The configuration is in force: take up what other VMs, or an earlier configuration, share.
    Start,
    /// [`TICK`](crate::limits::TICK) has passed.
    Tick,
    /// The head of a request arrived.
    Request(RequestId, RequestHead),
    /// A request was reset, or is over.
    Gone(RequestId),
    /// The configuration is over: no request is under it any more, and no call of it will be answered.
    Stop,
    /// Answers [`Effect::Read`]: the shared bytes and their version.
    Record(DocumentId, Option<&'a [u8]>, Option<u32>),
    /// Answers [`Effect::Write`].
    Written(DocumentId, bool),
    /// Answers [`Effect::Load`].
    Entry(DocumentId, Option<&'a [u8]>),
    /// Answers the [`Effect::Call`] of that number; `None` if there was no answer.
    Answer(DocumentId, u64, Option<Answer>),
    /// Answers [`Effect::Settle`].
    Settled(RequestId),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Let the request go on, edited. Terminal.
    Allow(RequestId, Edits),
    /// Answer the request; with the shape of a gRPC answer if the flag is set. Terminal.
    Deny(RequestId, Denial, bool),
    /// Answer the request, which was one to the gate itself. Terminal.
    Reply(RequestId, Reply),
    /// Hold the request, its body included.
    Wait(RequestId),
    /// Read the shared record of the document.
    Read(DocumentId),
    /// Write it, if its version is still this one; `None`, if there is still no record.
    Write(DocumentId, Vec<u8>, Option<u32>),
    /// Read the shared body of the document.
    Load(DocumentId),
    /// Write it.
    Store(DocumentId, Vec<u8>),
    /// Fetch the document, and answer with that number.
    Call(DocumentId, u64, Call),
    /// Say so when everything before this has been applied. In hosts that cannot go on with a request later.
    Settle(RequestId),
    /// Add one to a counter of [`stats`].
    Count(&'static str),
    /// Set a gauge of [`Gate::gauges`].
    Gauge(DocumentId, Gauge, u64),
    /// Tell the operator.
    Log(Level, String),
}

/// What decides about requests.
#[derive(Clone, Debug)]
pub enum Semantics {
    /// The gate's own policy.
    Gate(Policy),
    /// `semantics: jwt_authn`.
    JwtAuthn(jwt_authn::Filter),
}

/// The gate: one configuration at work, in one VM.
pub struct Gate {
    semantics: Semantics,
    documents: Documents,
    verifier: Verifier,
    can_wait: bool,
    started: bool,
    waiting: BTreeMap<RequestId, Waiting>,
    /// How many of them may still be let go before the next tick.
    room: usize,
    calls: RequestCalls,
}

/// In hosts that cannot resume a request from the root context: the request in whose context the host is, and the calls that
/// requests made for themselves. A request is held there while its own call is under way, since only the answer to that call leads
/// back into its context.
#[derive(Debug, Default)]
struct RequestCalls {
    current: Option<RequestId>,
    under_way: BTreeMap<(DocumentId, u64), RequestId>,
}

struct Waiting {
    head: RequestHead,
    since: UnixTime,
    patience: Duration,
    /// Whether it is to be decided about again: something changed, or its patience is over.
    is_due: bool,
}

impl Semantics {
    fn decide(&self, head: &RequestHead, documents: &Documents, verifier: &mut Verifier, now: UnixTime) -> Decision {
        match self {
            Self::Gate(policy) => policy.decide(head, documents, verifier, now),
            Self::JwtAuthn(filter) => filter.decide(head, documents, verifier, now),
        }
    }

    /// The answer to a request for which there is no room to wait.
    fn overloaded(&self, head: &RequestHead) -> Denial {
        let denial = Denial::from(Reason::Overloaded);
        match self {
            Self::Gate(policy) => policy.overloaded(head),
            Self::JwtAuthn(filter) if filter.strip_failure_response => Denial { form: Form::Bare, ..denial },
            Self::JwtAuthn(_) => denial,
        }
    }

    /// What the gate itself answers, whatever the rules say.
    fn reply(&self, head: &RequestHead) -> Option<Reply> {
        match self {
            Self::Gate(policy) => policy.protected_resource.as_ref()?.reply(head),
            Self::JwtAuthn(_) => None,
        }
    }

    /// The first field, if there is one, that writes into the filter state. A host without one says so only when it is written.
    pub fn writes_filter_state(&self) -> Option<&'static str> {
        let field = |metadata: &Metadata| {
            let fields = [
                (metadata.payload.is_some(), "payload_in_metadata"),
                (metadata.header.is_some(), "header_in_metadata"),
                (metadata.failed_status.is_some(), "failed_status_in_metadata"),
            ];
            fields.into_iter().find(|(is_there, _)| *is_there).map(|(_, field)| field)
        };
        match self {
            Self::Gate(policy) => policy.providers.iter().find_map(|provider| field(&provider.metadata)),
            Self::JwtAuthn(filter) => filter.providers.iter().find_map(|provider| field(&provider.metadata)),
        }
    }

    /// Whether some provider chooses routes again, which only some hosts can. The others have no way to say that they cannot.
    pub fn clears_route_cache(&self) -> bool {
        match self {
            Self::Gate(policy) => policy.providers.iter().any(|provider| provider.clear_route_cache),
            Self::JwtAuthn(filter) => filter.providers.iter().any(|provider| provider.clear_route_cache),
        }
    }

    /// The documents of each provider, with the gauges that show them.
    fn documents(&self) -> Vec<(DocumentId, [&'static str; 2], String)> {
        let mut documents = Vec::new();
        match self {
            Self::Gate(policy) => {
                for provider in &policy.providers {
                    if let Keys::Remote(index) = provider.keys {
                        documents.push((DocumentId::KeySet(index), stats::JWKS_GAUGES, provider.name.clone()));
                    }
                    if let Some(revocation) = &provider.revocation {
                        let id = DocumentId::Revocations(revocation.document);
                        documents.push((id, stats::REVOCATION_GAUGES, provider.name.clone()));
                    }
                }
            }
            Self::JwtAuthn(filter) => {
                for provider in &filter.providers {
                    if let jwt_authn::Keys::Remote(index) = provider.keys {
                        documents.push((DocumentId::JwtKeySet(index), stats::JWKS_GAUGES, provider.name.clone()));
                    }
                }
            }
        }
        documents
    }
}

impl Gate {
    /// A gate. `can_wait` says whether the host can hold a request and go on with it later.
    pub fn new(semantics: Semantics, documents: Documents, verifier: Verifier, can_wait: bool) -> Self {
        Self {
            semantics,
            documents,
            verifier,
            can_wait,
            started: false,
            waiting: BTreeMap::new(),
            room: MAX_RELEASED,
            calls: RequestCalls::default(),
        }
    }

    /// The names of the gauges, by provider.
    pub fn gauges(&self) -> Vec<(DocumentId, Gauge, String)> {
        let documents = self.semantics.documents();
        let of_document = |(id, names, provider): (DocumentId, [&'static str; 2], String)| {
            let gauges = [Gauge::Length, Gauge::Age].into_iter().zip(names);
            gauges.map(move |(gauge, name)| (id, gauge, stats::of_provider(name, &provider)))
        };
        documents.into_iter().flat_map(of_document).collect()
    }

    /// The filter state that [`RequestHead::with_filter_state`] is asked for.
    pub fn filter_state(&self) -> Option<&str> {
        match &self.semantics {
            Semantics::Gate(policy) => policy.filter_state_rules.as_ref().map(|rules| rules.name.as_str()),
            Semantics::JwtAuthn(filter) => filter.filter_state_rules.as_ref().map(|rules| rules.name.as_str()),
        }
    }

    /// The contract.
    pub fn handle(&mut self, event: Event<'_>, now: UnixTime) -> Vec<Effect> {
        match event {
            Event::Start => self.documents.ids().into_iter().map(Effect::Read).collect(),
            Event::Tick => self.on_tick(now),
            Event::Request(id, head) => self.on_request(id, head, now),
            Event::Gone(id) => {
                self.waiting.remove(&id);
                self.calls.under_way.retain(|_, request| *request != id);
                Vec::new()
            }
            Event::Stop => {
                let ids = self.documents.ids().into_iter();
                ids.flat_map(|id| self.on_document(id, Input::Stop, now)).collect()
            }
            Event::Record(id, bytes, cas) if self.started => self.on_document(id, Input::Record(bytes, cas), now),
            Event::Record(id, bytes, _) => self.on_document(id, Input::Shared(bytes), now),
            Event::Written(id, won) => self.on_document(id, Input::Written(won), now),
            Event::Entry(id, bytes) => self.on_document(id, Input::Entry(bytes), now),
            Event::Answer(id, number, answer) => {
                let request = self.calls.under_way.remove(&(id, number));
                self.calls.current = request.or(self.calls.current);
                let mut effects = self.on_document(id, Input::Answer(number, answer), now);
                effects.extend(request.map(Effect::Settle));
                effects
            }
            Event::Settled(id) => self.on_settled(id, now),
        }
    }

    fn on_tick(&mut self, now: UnixTime) -> Vec<Effect> {
        self.started = true;
        self.calls.current = None;
        self.room = MAX_RELEASED;
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
            return vec![Effect::Count(stats::ANSWERED), Effect::Reply(id, reply)];
        }
        match self.semantics.decide(&head, &self.documents, &mut self.verifier, now) {
            Decision::Wait(needs, _) => {
                let patience = self.want(&needs, now);
                if self.waiting.len() >= MAX_WAITING {
                    return conclude(id, &head, Decision::Deny(self.semantics.overloaded(&head)));
                }
                self.waiting.insert(id, Waiting { head, since: now, patience, is_due: false });
                if self.can_wait {
                    return vec![Effect::Wait(id)];
                }
                self.started = true;
                self.calls.current = Some(id);
                needs.into_iter().map(|(document, _)| Effect::Read(document)).chain([Effect::Settle(id)]).collect()
            }
            decision => conclude(id, &head, decision),
        }
    }

    /// Decides once more about those that are due, oldest first, until so many of them were let go.
    fn release(&mut self, now: UnixTime) -> Vec<Effect> {
        let due: Vec<RequestId> =
            self.waiting.iter().filter(|(_, waiting)| waiting.is_due).map(|(&id, _)| id).collect();
        let mut effects = Vec::new();
        for id in due {
            if self.room == 0 {
                break;
            }
            effects.extend(self.judge_again(id, now));
            self.room = self.room.saturating_sub(usize::from(!self.waiting.contains_key(&id)));
        }
        effects
    }

    /// Decides once more about a waiting request. It goes on waiting while that can help, until its patience is over.
    fn judge_again(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        let Some(waiting) = self.waiting.remove(&id) else {
            return Vec::new();
        };
        match self.semantics.decide(&waiting.head, &self.documents, &mut self.verifier, now) {
            Decision::Wait(needs, _) if !waiting.is_over(now) => {
                self.want(&needs, now);
                self.waiting.insert(id, Waiting { is_due: false, ..waiting });
                // What is still lacking may be another document, which it fetches for itself too.
                let own = needs.into_iter().filter(|_| !self.can_wait);
                own.map(|(document, _)| Effect::Read(document)).collect()
            }
            Decision::Wait(_, otherwise) => conclude(id, &waiting.head, *otherwise),
            decision => conclude(id, &waiting.head, decision),
        }
    }

    /// Asks for what is needed; how long that may take.
    fn want(&mut self, needs: &[(DocumentId, Need)], now: UnixTime) -> Duration {
        needs.iter().map(|&(document, need)| self.documents.want(document, need, now)).max().unwrap_or_default()
    }

    /// Nothing follows any more from what a request began: it goes on waiting for a call of its own, or is decided.
    fn on_settled(&mut self, id: RequestId, now: UnixTime) -> Vec<Effect> {
        self.calls.current = None;
        if self.calls.under_way.values().any(|&request| request == id) {
            return vec![Effect::Wait(id)];
        }
        let Some(waiting) = self.waiting.remove(&id) else {
            return Vec::new();
        };
        match self.semantics.decide(&waiting.head, &self.documents, &mut self.verifier, now) {
            Decision::Wait(_, otherwise) => conclude(id, &waiting.head, *otherwise),
            decision => conclude(id, &waiting.head, decision),
        }
    }

    fn on_document(&mut self, id: DocumentId, input: Input<'_>, now: UnixTime) -> Vec<Effect> {
        let outputs = self.documents.handle(id, input, now);
        let mut effects = Vec::with_capacity(outputs.len());
        for output in outputs {
            match output {
                Output::Read => effects.push(Effect::Read(id)),
                Output::Write(bytes, cas) => effects.push(Effect::Write(id, bytes, cas)),
                Output::Load => effects.push(Effect::Load(id)),
                Output::Store(bytes) => effects.push(Effect::Store(id, bytes)),
                Output::Call(number, call) => {
                    if let Some(request) = self.calls.current {
                        self.calls.under_way.insert((id, number), request);
                    }
                    effects.push(Effect::Call(id, number, call));
                }
                Output::Gauge(gauge, value) => effects.push(Effect::Gauge(id, gauge, value)),
                Output::Log(level, message) => effects.push(Effect::Log(level, message)),
                Output::Fetched(outcome) => {
                    let names = match id {
                        DocumentId::KeySet(_) | DocumentId::JwtKeySet(_) => stats::JWKS_FETCH,
                        DocumentId::Revocations(_) => stats::REVOCATION_FETCH,
                    };
                    effects.push(Effect::Count(stats::fetched(names, outcome)));
                }
                Output::Changed if self.can_wait => {
                    self.waiting.values_mut().for_each(|waiting| waiting.is_due = true);
                    effects.extend(self.release(now));
                }
                Output::Changed => {
                    let reachable = self.calls.current;
                    effects.extend(reachable.into_iter().flat_map(|id| self.judge_again(id, now)));
                }
            }
        }
        effects
    }
}

impl Waiting {
    fn is_over(&self, now: UnixTime) -> bool {
        now.since(self.since) >= self.patience
    }
}

fn conclude(id: RequestId, head: &RequestHead, decision: Decision) -> Vec<Effect> {
    match decision {
        Decision::Allow(pass, edits) => vec![Effect::Count(pass.counter()), Effect::Allow(id, edits)],
        Decision::Deny(denial) => {
            vec![Effect::Count(denial.reason.counter()), Effect::Deny(id, denial, head.is_grpc())]
        }
        // A decision waits for documents, never for another wait.
        Decision::Wait(_, otherwise) => conclude(id, head, *otherwise),
    }
}
