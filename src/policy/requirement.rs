//! `requires`: which tokens a rule asks for, as a tree (`JwtRequirement`).

use super::authenticate::{Attempt, Failure, Principal};
use crate::verdict::Reason;

/// What a request must carry, with what each request needs of it at hand.
#[derive(Clone, Debug)]
pub struct Required {
    tree: Requirement,
    providers: Vec<usize>,
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

    /// What the configuration says.
    pub fn tree(&self) -> &Requirement {
        &self.tree
    }
}

impl From<Requirement> for Required {
    fn from(tree: Requirement) -> Self {
        Self { providers: tree.providers(), allows_failed: tree.allows_failed(), tree }
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
                let results: Vec<_> = children.iter().map(|child| child.walk(attempt)).collect();
                let mut principals = Vec::new();
                let mut failures = Vec::new();
                for result in results {
                    match result {
                        Ok(passed) => principals.extend(passed),
                        Err(failure) => failures.push(failure),
                    }
                }
                failures.into_iter().reduce(Failure::and).map_or(Ok(principals), Err)
            }
            Self::Any(children) => {
                let (mut passed, mut failed) = (Vec::new(), Vec::new());
                for child in
                    children.iter().filter(|child| !matches!(child, Self::AllowMissing | Self::AllowMissingOrFailed))
                {
                    match child.walk(attempt) {
                        Ok(principals) => passed.push(principals),
                        Err(failure) => failed.push(failure),
                    }
                }
                // One who showed a token before one who showed none.
                let shown = passed.iter().position(|principals| !principals.is_empty());
                let allows = |kind: fn(&Self) -> bool| children.iter().any(kind);
                let all_missing = failed.iter().all(|failure| failure.reason == Reason::TokenMissing);
                match passed.into_iter().nth(shown.unwrap_or_default()) {
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
                Err(failed.into_iter().reduce(Failure::and).unwrap_or_else(|| Reason::TokenMissing.into()))
            }
            Self::AllowMissing | Self::AllowMissingOrFailed => Ok(Vec::new()),
        }
    }
}
