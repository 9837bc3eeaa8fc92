//! `shadow`: a second configuration that decides about the same requests, to no effect but on its counters.

use super::Semantics;
use crate::policy::{Decision, DocumentId, Documents, Verifier};
use crate::request::RequestHead;
use crate::stats::{Comparison, Counter};
use crate::time::UnixTime;

/// The second configuration.
pub(super) struct Shadow {
    pub semantics: Semantics,
    /// The documents that it does not share with the first.
    own: Vec<DocumentId>,
}

impl Shadow {
    pub fn new(semantics: Semantics, first: &Semantics) -> Self {
        let shared = first.documents();
        let mut own = Vec::new();
        for (id, ..) in semantics.documents() {
            if !shared.iter().any(|(known, ..)| *known == id) {
                own.push(id);
            }
        }
        Self { semantics, own }
    }

    pub fn decide(
        &self,
        head: &RequestHead,
        documents: &Documents,
        verifier: &mut Verifier,
        now: UnixTime,
    ) -> Decision {
        verifier.in_the_shadow(|verifier| self.semantics.judge(head, documents, verifier, now))
    }

    /// Whether it may ask for a fetch: of what it shares, that is the first's to ask, or it would have an effect.
    pub fn owns(&self, document: DocumentId) -> bool {
        self.own.contains(&document)
    }
}

/// What is counted of two decisions about one request: how they compare, and why the second would have refused what passed.
pub(super) fn compare(first: &Decision, second: &Decision) -> [Option<Counter>; 2] {
    let (comparison, denies) = match (first.refusal(), second.refusal()) {
        _ if matches!(second, Decision::Wait(..)) => (Comparison::Undecided, None),
        (None, Some(reason)) => (Comparison::WouldDeny, Some(Counter::ShadowDenies(reason))),
        (Some(_), None) => (Comparison::WouldAllow, None),
        (first, second) if first == second => (Comparison::Same, None),
        _ => (Comparison::OtherReason, None),
    };
    [Some(Counter::Shadow(comparison)), denies]
}
