//! The whole filter: from the head of a request to a decision.

use smol_str::SmolStr;

use super::authenticate::{Outcome, Proof, Refusal, Run};
use super::headers::Headers;
use super::outputs::Outputs;
use super::provider::Provider;
use super::requirement::Requirement;
use crate::jwt_verify::Status;
use crate::policy::{Decision, Documents, FilterStateRules, Pass, Verifier};
use crate::request::{RequestHead, Routes};
use crate::time::UnixTime;
use crate::verdict::{AccessLog, Caller, Denial, Edits, Envoys, Form, Prepared, Reason};

/// The longest part of a path that a challenge repeats, in bytes: Envoy's limit.
const MAX_URI: usize = 256;

/// A whole `JwtAuthentication`.
#[derive(Clone, Debug)]
pub struct Filter {
    /// `providers`.
    pub providers: Vec<Provider>,
    /// The headers that they set.
    pub outputs: Outputs,
    /// What the rules match, in their order.
    pub routes: Routes,
    /// What they require, in the same order; nothing, for a rule that says nothing.
    pub rules: Vec<Requirement>,
    /// `filter_state_rules`.
    pub filter_state_rules: Option<FilterStateRules<Requirement>>,
    /// `bypass_cors_preflight`.
    pub bypass_cors_preflight: bool,
    /// `strip_failure_response`.
    pub strip_failure_response: bool,
    /// `enforce`, of all rules at once: this filter edits while it walks.
    pub enforce: bool,
    /// `access_log`.
    pub access_log: AccessLog,
    /// What is said of each status.
    pub says: Vec<Envoys>,
    /// Answers without anything of a request.
    pub prepared: Prepared,
}

/// What Envoy says of each status, by its number.
pub fn what_is_said() -> Vec<Envoys> {
    Status::ALL.iter().map(|status| Envoys::new(status.text())).collect()
}

impl Filter {
    /// Decides about the request `head` at the time `now`.
    pub fn decide(
        &self,
        head: &RequestHead,
        documents: &Documents,
        verifier: &mut Verifier,
        now: UnixTime,
    ) -> Decision {
        let headers = self.sanitized(head);
        if self.bypass_cors_preflight && is_preflight(head) {
            return Decision::Allow(Pass::preflight(), headers.into_edits());
        }
        let Some(requirement) = self.requirement(head) else {
            return Decision::Allow(Pass::where_envoy_asks_none(), headers.into_edits());
        };

        let (state, clear_route_cache, needs, lacks_keys) = Default::default();
        let mut run =
            Run { filter: self, headers, documents, verifier, now, state, clear_route_cache, needs, lacks_keys };
        let Outcome { result, is_pending } = requirement.check(&mut run);
        let needs = std::mem::take(&mut run.needs);
        let decision = match result {
            Ok(proof) => {
                let (pass, caller) = match &proof {
                    Proof::Token(verified, provider) => {
                        let token = verified.token();
                        let caller = self.access_log.caller(*provider, Some(&token.sub), Some(&token.kid));
                        (Pass::verified(verified), caller)
                    }
                    Proof::Allowed => (Pass::where_envoy_allows_none(), Caller::default()),
                };
                let (state, clear_route_cache) = (run.state, run.clear_route_cache);
                let mut edits = run.headers.into_edits();
                (edits.state, edits.clear_route_cache, edits.caller) = (state, clear_route_cache, caller);
                if !self.enforce {
                    self.leave_tokens(&mut edits);
                }
                Decision::Allow(pass, edits)
            }
            Err(Refusal { status, provider }) => {
                let caller = Caller { provider, ..Caller::default() };
                let denial = Denial { state: run.state, caller, ..self.denial(head, status) };
                self.refuse(head, denial)
            }
        };
        if is_pending && !needs.is_empty() {
            Decision::Wait(needs, Box::new(decision))
        } else {
            decision
        }
    }

    /// What happens to a request for which there is no room to wait.
    pub fn overloaded(&self, head: &RequestHead) -> Decision {
        let denial = Denial::from(Reason::Overloaded);
        let form = if self.strip_failure_response { Form::Bare } else { denial.form };
        self.refuse(head, Denial { form, ..denial })
    }

    /// Of what the walk edited before it failed, a request that passes all the same keeps nothing.
    fn refuse(&self, head: &RequestHead, mut denial: Denial) -> Decision {
        let edits = if self.enforce { Edits::default() } else { self.sanitized(head).into_edits() };
        denial.prepare(&self.prepared, head.is_grpc());
        Decision::refuse(denial, self.enforce, edits)
    }

    /// The headers of the request that providers set, to be removed.
    pub(crate) fn own_headers(&self, head: &RequestHead) -> Vec<SmolStr> {
        self.sanitized(head).into_edits().remove.into_vec()
    }

    /// Without the headers that providers set.
    fn sanitized<'a>(&self, head: &'a RequestHead) -> Headers<'a> {
        let mut headers = Headers::new(head);
        self.outputs.sanitize(&mut headers);
        headers
    }

    /// Takes the removal of tokens back, which the walk needed: the service still checks for itself.
    fn leave_tokens(&self, edits: &mut Edits) {
        let added = &edits.add;
        edits.remove.retain(|name| self.outputs.contains(name) || added.iter().any(|(known, _)| known == name));
        // What is set is `:path`, without the token.
        edits.set.clear();
    }

    /// The provider of that index.
    pub(super) fn provider(&self, index: usize) -> Option<&Provider> {
        self.providers.get(index)
    }

    /// The provider of that issuer, or else the first one of any issuer.
    pub(super) fn provider_of_issuer(&self, issuer: &str) -> Option<usize> {
        let named = |name: &str| self.providers.iter().position(|provider| provider.issuer == name);
        named(issuer).or_else(|| named(""))
    }

    /// The provider, if there is only one.
    pub(super) fn only_provider(&self) -> Option<usize> {
        (self.providers.len() == 1).then_some(0)
    }

    fn requirement(&self, head: &RequestHead) -> Option<&Requirement> {
        let requirement = match self.routes.first(head) {
            Some(index) => self.rules.get(index),
            None => self.filter_state_rules.as_ref().and_then(|rules| rules.requirement(head)),
        };
        requirement.filter(|requirement| !matches!(requirement, Requirement::Nothing))
    }

    fn denial(&self, head: &RequestHead, status: Status) -> Denial {
        let http_status = if status == Status::JwtAudienceNotAllowed { 403 } else { 401 };
        let form = if self.strip_failure_response {
            Form::Bare
        } else {
            let invalid_token = status != Status::JwtMissed;
            Form::JwtAuthn { realm: original_uri(head), invalid_token }
        };
        let envoys = self.says.get(status as usize).cloned();
        Denial { status: http_status, form, envoys, ..reason(status).into() }
    }
}

/// Envoy asks for values that are not empty.
fn is_preflight(head: &RequestHead) -> bool {
    let has = |name: &str| head.value(name).is_some_and(|value| !value.is_empty());
    head.value(":method") == Some(b"OPTIONS") && has("origin") && has("access-control-request-method")
}

/// The URI of the request before the proxy changed its path, cut short; nothing for one without a path, as `CONNECT` is.
fn original_uri(head: &RequestHead) -> String {
    if !head.has(":path") {
        return String::new();
    }
    let text = |name: &str| String::from_utf8_lossy(head.value(name).unwrap_or_default());
    let path = head.value("x-envoy-original-path").unwrap_or(head.target());
    let path = String::from_utf8_lossy(path.get(..MAX_URI).unwrap_or(path)).into_owned();
    format!("{}://{}{path}", text(":scheme"), text(":authority"))
}

/// The counter of a status.
fn reason(status: Status) -> Reason {
    match status {
        Status::JwtMissed => Reason::TokenMissing,
        Status::JwtNotYetValid => Reason::TokenNotYetValid,
        Status::JwtExpired => Reason::TokenExpired,
        Status::JwtUnknownIssuer => Reason::IssuerNotAllowed,
        Status::JwtAudienceNotAllowed => Reason::AudienceNotAllowed,
        Status::JwtVerificationFail => Reason::SignatureInvalid,
        Status::JwksKidAlgMismatch => Reason::KeyUnknown,
        Status::JwksFetchFail => Reason::KeysUnavailable,
        _ => Reason::TokenMalformed,
    }
}
