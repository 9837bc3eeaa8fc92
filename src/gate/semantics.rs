//! What decides about requests, and what the gate has to know of it.

use smol_str::SmolStr;

use crate::jwt_authn;
use crate::policy::{Decision, DocumentId, Documents, Enforcement, Keys, Metadata, Policy, Verifier};
use crate::request::RequestHead;
use crate::stats;
use crate::time::UnixTime;
use crate::verdict::{AccessLog, Reason, Reply};

/// What decides about requests.
#[derive(Clone, Debug)]
pub enum Semantics {
    /// The gate's own policy.
    Gate(Box<Policy>),
    /// `semantics: jwt_authn`.
    JwtAuthn(Box<jwt_authn::Filter>),
}

impl Semantics {
    pub(super) fn decide(
        &self,
        head: &RequestHead,
        documents: &Documents,
        verifier: &mut Verifier,
        now: UnixTime,
    ) -> Decision {
        let mut decision = self.judge(head, documents, verifier, now);
        if let Self::Gate(policy) = self {
            policy.say(&mut decision, head);
        }
        decision
    }

    /// The decision alone, of which nobody is told.
    pub(super) fn judge(
        &self,
        head: &RequestHead,
        documents: &Documents,
        verifier: &mut Verifier,
        now: UnixTime,
    ) -> Decision {
        match self {
            Self::Gate(policy) => policy.judge(head, documents, verifier, now),
            Self::JwtAuthn(filter) => filter.decide(head, documents, verifier, now),
        }
    }

    /// What happens to a request for which there is no room to wait.
    pub(super) fn overloaded(&self, head: &RequestHead) -> Decision {
        match self {
            Self::Gate(policy) => policy.overloaded(head),
            Self::JwtAuthn(filter) => filter.overloaded(head),
        }
    }

    /// A refusal for another reason than its own, which Envoy does not have.
    pub(super) fn for_another_reason(&self, decision: Decision, reason: Reason, head: &RequestHead) -> Decision {
        match self {
            Self::Gate(policy) => policy.for_another_reason(decision, reason, head),
            Self::JwtAuthn(_) => decision,
        }
    }

    /// Those of the fields that a service would take for the gate's own.
    pub(super) fn own_headers(&self, head: &RequestHead) -> Vec<SmolStr> {
        match self {
            Self::Gate(policy) => policy.sanitized(head).remove.into_vec(),
            Self::JwtAuthn(filter) => filter.own_headers(head),
        }
    }

    /// One line about refusals that do not hold, for the log.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Gate(policy) => policy.enforcement.warning(),
            Self::JwtAuthn(filter) => Enforcement::new(filter.enforce, Vec::new()).warning(),
        }
    }

    /// The filter state that [`RequestHead::filter_state`] asks for.
    pub fn filter_state(&self) -> Option<&str> {
        match self {
            Self::Gate(policy) => policy.filter_state_rules.as_ref().map(|rules| rules.name.as_str()),
            Self::JwtAuthn(filter) => filter.filter_state_rules.as_ref().map(|rules| rules.name.as_str()),
        }
    }

    pub(super) fn access_log(&self) -> AccessLog {
        match self {
            Self::Gate(policy) => policy.access_log,
            Self::JwtAuthn(filter) => filter.access_log,
        }
    }

    /// The name of the provider of that index.
    pub(super) fn provider(&self, index: usize) -> Option<&str> {
        match self {
            Self::Gate(policy) => policy.providers.get(index).map(|provider| provider.name.as_str()),
            Self::JwtAuthn(filter) => filter.providers.get(index).map(|provider| provider.name.as_str()),
        }
    }

    pub(super) fn provider_count(&self) -> usize {
        match self {
            Self::Gate(policy) => policy.providers.len(),
            Self::JwtAuthn(filter) => filter.providers.len(),
        }
    }

    /// What the gate itself answers, whatever the rules say.
    pub(super) fn reply(&self, head: &RequestHead) -> Option<Reply> {
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
        let of_provider = match self {
            Self::Gate(policy) => policy.providers.iter().find_map(|provider| field(&provider.metadata)),
            Self::JwtAuthn(filter) => filter.providers.iter().find_map(|provider| field(&provider.metadata)),
        };
        of_provider.or(self.access_log().is_on().then_some("access_log"))
    }

    /// Whether some provider chooses routes again, which only some hosts can. The others have no way to say that they cannot.
    pub fn clears_route_cache(&self) -> bool {
        match self {
            Self::Gate(policy) => policy.providers.iter().any(|provider| provider.clear_route_cache),
            Self::JwtAuthn(filter) => filter.providers.iter().any(|provider| provider.clear_route_cache),
        }
    }

    /// The documents of each provider, by its index, with the gauges that show them.
    pub(super) fn documents(&self) -> Vec<(DocumentId, [&'static str; 2], usize)> {
        let mut documents = Vec::new();
        match self {
            Self::Gate(policy) => {
                for (place, provider) in policy.providers.iter().enumerate() {
                    if let Keys::Remote(index) = provider.keys {
                        documents.push((DocumentId::KeySet(index), stats::JWKS_GAUGES, place));
                    }
                    if let Some(revocation) = &provider.revocation {
                        let id = DocumentId::Revocations(revocation.document);
                        documents.push((id, stats::REVOCATION_GAUGES, place));
                    }
                }
            }
            Self::JwtAuthn(filter) => {
                for (place, provider) in filter.providers.iter().enumerate() {
                    if let jwt_authn::Keys::Remote(index) = provider.keys {
                        documents.push((DocumentId::JwtKeySet(index), stats::JWKS_GAUGES, place));
                    }
                }
            }
        }
        documents
    }
}
