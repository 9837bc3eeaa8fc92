//! `JwtRequirement`, as Envoy walks it: in order, and no further than an answer.

use super::authenticate::{Proof, Run, Wanted};
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
    pub(super) fn check(&self, run: &mut Run<'_>) -> Result<Proof, Status> {
        let any =
            Wanted { provider: None, audiences: None, allow_missing: true, allow_failed: false, status_header: None };
        match self {
            Self::Nothing => Ok(Proof::Allowed),
            Self::Provider(Leaf { provider, extractor, audiences }) => {
                let wanted =
                    Wanted { provider: Some(*provider), audiences: audiences.as_ref(), allow_missing: false, ..any };
                run.authenticate(extractor, wanted)
            }
            Self::All(children) => {
                let mut proof = Proof::Allowed;
                for child in children {
                    proof = proof.or(child.check(run)?);
                }
                Ok(proof)
            }
            Self::Any { children, allow_missing, allow_failed } => {
                // The last failure counts that is more than a missing token, or another issuer's.
                let mut failure = Status::JwtMissed;
                for child in children {
                    match child.check(run) {
                        Ok(proof) => return Ok(proof),
                        Err(status) => {
                            let says_more = !matches!(status, Status::JwtMissed | Status::JwtUnknownIssuer);
                            if says_more || failure == Status::JwtMissed {
                                failure = status;
                            }
                        }
                    }
                }
                if *allow_failed || (*allow_missing && failure == Status::JwtMissed) {
                    Ok(Proof::Allowed)
                } else {
                    Err(failure)
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

impl Proof {
    fn or(self, other: Self) -> Self {
        match self {
            Self::Token(_) => self,
            Self::Allowed => other,
        }
    }
}
