//! `JwtRequirement`, as Envoy walks it: in order, and no further than an answer.

use super::authenticate::{Outcome, Proof, Refusal, Run, Wanted};
use super::extract::Extractor;
use crate::jwt_verify::{CheckAudience, Status};
use crate::verdict::HeaderName;

/// What a request must carry.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// An empty message: nothing.
    Nothing,
    /// Tokens of one provider: `provider_name`, `provider_and_audiences`.
    Provider(Leaf),
    /// `requires_any`.
    Any {
        /// All of them but `allow_missing` and `allow_missing_or_failed`.
        children: Vec<Requirement>,
        /// One of them is `allow_missing`.
        allow_missing: bool,
        /// One of them is `allow_missing_or_failed`.
        allow_failed: bool,
    },
    /// `requires_all`.
    All(Vec<Requirement>),
    /// `allow_missing`, of tokens of all providers.
    AllowMissing(Extractor),
    /// `allow_missing_or_failed`, of tokens of all providers.
    AllowMissingOrFailed(Extractor),
    /// `extract_only_without_validation`, of tokens of all providers.
    ExtractOnly {
        /// Where the tokens are.
        extractor: Extractor,
        /// `verification_status_header`: set to `false` where the claims that are forwarded are not verified.
        status_header: Option<HeaderName>,
    },
}

/// One provider in a requirement.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its index.
    pub provider: usize,
    /// Where its tokens are.
    pub extractor: Extractor,
    /// `provider_and_audiences.audiences`, in place of the provider's.
    pub audiences: Option<CheckAudience>,
}

impl Requirement {
    /// Walks the requirement. What waits for keys does not keep Envoy from what stands behind it, so another failure of
    /// `requires_all`, and another success of `requires_any`, comes first.
    pub(super) fn check(&self, run: &mut Run<'_>) -> Outcome {
        let any =
            Wanted { provider: None, audiences: None, allow_missing: true, allow_failed: false, status_header: None };
        match self {
            Self::Nothing => Outcome { result: Ok(Proof::Allowed), is_pending: false },
            Self::Provider(Leaf { provider, extractor, audiences }) => {
                let (provider, audiences) = (Some(*provider), audiences.as_ref());
                run.authenticate(extractor, Wanted { provider, audiences, allow_missing: false, ..any })
            }
            Self::All(children) => all(children, run),
            Self::Any { children, allow_missing, allow_failed } => {
                let outcome = first(children, run);
                let allows = |status| *allow_failed || (*allow_missing && status == Status::JwtMissed);
                match outcome.result {
                    Err(refusal) if allows(refusal.status) => Outcome { result: Ok(Proof::Allowed), ..outcome },
                    _ => outcome,
                }
            }
            Self::AllowMissing(extractor) => run.authenticate(extractor, any),
            Self::AllowMissingOrFailed(extractor) => run.authenticate(extractor, Wanted { allow_failed: true, ..any }),
            Self::ExtractOnly { extractor, status_header } => {
                let status_header = status_header.as_ref();
                run.authenticate(extractor, Wanted { allow_failed: true, status_header, ..any })
            }
        }
    }
}

/// `requires_all`.
fn all(children: &[Requirement], run: &mut Run<'_>) -> Outcome {
    let mut together = Outcome { result: Ok(Proof::Allowed), is_pending: false };
    for child in children {
        let outcome = child.check(run);
        if outcome.result.is_err() && !outcome.is_pending {
            return outcome;
        }
        together.is_pending |= outcome.is_pending;
        together.result = match (together.result, outcome.result) {
            (Ok(proof), Ok(other)) => Ok(proof.or(other)),
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        };
    }
    together
}

/// `requires_any`: the first that holds. Of the failures, the last counts that is more than a missing token, or another issuer's.
fn first(children: &[Requirement], run: &mut Run<'_>) -> Outcome {
    let mut refused = None;
    let missed = Refusal { status: Status::JwtMissed, provider: None };
    let mut together = Outcome { result: Err(missed), is_pending: false };
    for child in children {
        let outcome = child.check(run);
        if outcome.result.is_ok() && !outcome.is_pending {
            return outcome;
        }
        together.is_pending |= outcome.is_pending;
        together.result = match (together.result, outcome.result) {
            (Ok(proof), _) | (_, Ok(proof)) => Ok(proof),
            (Err(_), Err(refusal)) => {
                let latest = refused.map_or(refusal, |known: Refusal| known.or(refusal));
                refused = Some(latest);
                Err(latest)
            }
        };
    }
    together
}

impl Refusal {
    /// The later of two, unless it says no more than that a token is missing, or another issuer's.
    fn or(self, later: Self) -> Self {
        let says_more = !matches!(later.status, Status::JwtMissed | Status::JwtUnknownIssuer);
        let said = if says_more || self.status == Status::JwtMissed { later } else { self };
        let is_shared = self.status == later.status && self.provider != later.provider;
        Self { provider: said.provider.filter(|_| !is_shared), ..said }
    }
}

impl Proof {
    fn or(self, other: Self) -> Self {
        match self {
            Self::Token(..) => self,
            Self::Allowed => other,
        }
    }
}
