//! What a fetched document asks of the host, and what it means to those who wait for it.

use super::{Effect, Gate};
use crate::policy::DocumentId;
use crate::remote::{Input, Outcome, Output};
use crate::stats::{Counter, Histogram};
use crate::time::{millis, UnixTime};

impl Gate {
    /// Something happened to a document.
    pub(super) fn on_document(&mut self, id: DocumentId, input: Input<'_>, now: UnixTime) -> Vec<Effect> {
        let outputs = self.documents.handle(id, input, now);
        let mut effects = Vec::with_capacity(outputs.len());
        for output in outputs {
            match output {
                Output::Read => effects.push(Effect::Read(id)),
                Output::Write(bytes, cas) => effects.push(Effect::Write(id, bytes, cas)),
                Output::Load => effects.push(Effect::Load(id)),
                Output::Store(bytes) if self.calls.current.is_some() => {
                    self.calls.to_share.push(Effect::Store(id, bytes));
                }
                Output::Store(bytes) => effects.push(Effect::Store(id, bytes)),
                Output::Call(number, call) => {
                    if let Some(request) = self.calls.current {
                        self.calls.under_way.insert((id, number), request);
                        self.waiting.get_mut(&request).into_iter().for_each(|waiting| waiting.calls(id));
                    }
                    effects.push(Effect::Call(id, number, call));
                }
                Output::Gauge(gauge, value) => effects.push(Effect::Gauge(id, gauge, value)),
                Output::Log(level, message) => effects.push(Effect::Log(level, message)),
                Output::Fetched(outcome, took) => {
                    let (counter, histogram) = match id {
                        DocumentId::KeySet(_) | DocumentId::JwtKeySet(_) => {
                            (Counter::JwksFetch(outcome), Histogram::JwksFetch)
                        }
                        DocumentId::Revocations(_) => (Counter::RevocationFetch(outcome), Histogram::RevocationFetch),
                    };
                    effects.push(Effect::Count(counter));
                    effects.push(Effect::Record(histogram, millis(took)));
                    // One source is fetched once for all providers that have it, each of which is to see that.
                    let name = self.documents.shared_name(id);
                    let documents =
                        self.monitored.documents().filter(|(other, ..)| self.documents.shared_name(*other) == name);
                    effects.extend(documents.map(|(id, _, provider)| Effect::Count(fetch_of(id, provider, outcome))));
                }
                Output::Changed if self.can_wait => {
                    // Who waits for something else would be judged, and its signature checked, for nothing.
                    let waiting = self.waiting.values_mut().filter(|waiting| waiting.documents.contains(&id));
                    waiting.for_each(|waiting| waiting.is_due = true);
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

/// The counter of the fetches of a document of a provider.
pub(super) fn fetch_of(id: DocumentId, provider: usize, outcome: Outcome) -> Counter {
    match id {
        DocumentId::KeySet(_) | DocumentId::JwtKeySet(_) => Counter::ProviderJwksFetch(provider, outcome),
        DocumentId::Revocations(_) => Counter::ProviderRevocationFetch(provider, outcome),
    }
}
