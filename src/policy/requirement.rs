//! `requires`: which tokens a rule asks for, as a tree (`JwtRequirement`).

use std::rc::Rc;

use smol_str::SmolStr;

use super::authenticate::{Attempt, Failure, Principal};
use super::Provider;
use crate::verdict::{FailedStatus, Reason};

/// What a request must carry, with what each request needs of it at hand.
#[derive(Clone, Debug)]
pub struct Required {
    tree: Requirement,
    providers: Vec<usize>,
    /// `failed_status_in_metadata` of those providers.
    failed_status: Option<Rc<[SmolStr]>>,
    allows_failed: bool,
}

/// The same as the configuration says it.
#[derive(Clone, Debug)]
pub enum Requirement {
    /// Tokens of one provider: `provider_name`, `provider_and_audiences`.
    Provider(Leaf),
    /// `requires_any`.
    Any(Vec<Requirement>),
    /// `requires_all`.
    All(Vec<Requirement>),
    /// `allow_missing`: nothing, if the requirements beside it in [`Requirement::Any`] found nothing either. Elsewhere it holds
    /// nothing back, so the configuration puts it only there.
    AllowMissing,
    /// `allow_missing_or_failed`: nothing at all.
    AllowMissingOrFailed,
}

/// One provider in a requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The provider of that index.
    pub provider: usize,
    /// `provider_and_audiences.audiences`, in place of the provider's.
    pub audiences: Option<Vec<String>>,
}

impl Required {
    /// What that asks of `providers`.
    pub fn new(tree: Requirement, providers: &[Provider]) -> Self {
        let (asked, allows_failed) = (tree.providers(), tree.allows_failed());
        let asked_ones = asked.iter().filter_map(|&provider| providers.get(provider));
        let names: Rc<[SmolStr]> = asked_ones.filter_map(|provider| provider.metadata.failed_status.clone()).collect();
        Self { tree, providers: asked, failed_status: Some(names).filter(|names| !names.is_empty()), allows_failed }
    }

    /// The tokens that meet the requirement; none where it holds without one.
    ///
    /// Every provider is asked, and every token found must be good for one of them: a bad token is never passed on because another
    /// was good. Only `allow_missing_or_failed` lets one through, and `bad_beside_good` one that a good token stands beside.
    pub fn check(&self, attempt: &mut Attempt<'_>, bad_beside_good: bool) -> Result<Vec<Principal>, Failure> {
        let result = self.tree.walk(attempt)?;
        let is_let_through = self.allows_failed || (bad_beside_good && !result.is_empty());
        match attempt.unverified() {
            Some(failure) if !is_let_through => Err(failure),
            _ => Ok(result),
        }
    }

    /// The providers that look for tokens, by their indices.
    pub fn providers(&self) -> &[usize] {
        &self.providers
    }

    /// What the access log can read of a refusal, as each of the providers has it.
    pub fn failed_status(&self, reason: Reason) -> Option<FailedStatus> {
        self.failed_status.as_ref().map(|names| FailedStatus { names: Rc::clone(names), reason })
    }

    /// What the configuration says.
    pub fn tree(&self) -> &Requirement {
        &self.tree
    }
}

impl Requirement {
    fn providers(&self) -> Vec<usize> {
        match self {
            Self::Provider(leaf) => vec![leaf.provider],
            Self::Any(children) | Self::All(children) => children.iter().flat_map(Self::providers).collect(),
            Self::AllowMissing | Self::AllowMissingOrFailed => Vec::new(),
        }
    }

    fn allows_failed(&self) -> bool {
        match self {
            Self::Provider(_) | Self::AllowMissing => false,
            Self::Any(children) | Self::All(children) => children.iter().any(Self::allows_failed),
            Self::AllowMissingOrFailed => true,
        }
    }

    fn walk(&self, attempt: &mut Attempt<'_>) -> Result<Vec<Principal>, Failure> {
        match self {
            Self::Provider(leaf) => attempt.authenticate(leaf),
            Self::All(children) => {
                let (mut principals, mut failed) = (Vec::new(), None);
                for child in children {
                    match child.walk(attempt) {
                        Ok(passed) => principals.extend(passed),
                        Err(failure) => failed = Some(failure.after(failed)),
                    }
                }
                failed.map_or(Ok(principals), Err)
            }
            Self::Any(children) => {
                let (mut passed, mut failed, mut all_missing): (Option<Vec<Principal>>, _, _) = (None, None, true);
                for child in
                    children.iter().filter(|child| !matches!(child, Self::AllowMissing | Self::AllowMissingOrFailed))
                {
                    match child.walk(attempt) {
                        // One who showed a token before one who showed none.
                        Ok(principals) if passed.as_ref().is_none_or(Vec::is_empty) => passed = Some(principals),
                        Ok(_) => {}
                        Err(failure) => {
                            all_missing &= failure.reason == Reason::TokenMissing;
                            failed = Some(failure.after(failed));
                        }
                    }
                }
                let allows = |kind: fn(&Self) -> bool| children.iter().any(kind);
                match passed {
                    // Where no token is allowed further down, that makes up for none here that is not good.
                    Some(none) if none.is_empty() && !all_missing && !self.allows_failed() => {}
                    Some(principals) => return Ok(principals),
                    None => {}
                }
                if allows(|child| matches!(child, Self::AllowMissingOrFailed))
                    || (all_missing && allows(|child| matches!(child, Self::AllowMissing)))
                {
                    return Ok(Vec::new());
                }
                Err(failed.unwrap_or_else(|| Reason::TokenMissing.into()))
            }
            Self::AllowMissing | Self::AllowMissingOrFailed => Ok(Vec::new()),
        }
    }
}
