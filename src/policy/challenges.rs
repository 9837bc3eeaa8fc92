//! What the configuration adds to challenges (RFC 6750 section 3): the scopes that a rule asks for, and where `protected_resource` is
//! described.

use std::rc::Rc;

use super::{Policy, ProtectedResource, Rule};
use crate::verdict::{Challenge, Denial, Reason};

/// How the challenges of a configuration end.
#[derive(Clone, Debug)]
pub struct Challenges {
    /// Whatever the reason, where there is a `protected_resource`.
    of_all: Option<Rc<str>>,
    /// Where a rule asks for scopes, with them, in the order of the rules.
    of_rules: Vec<Option<Rc<str>>>,
}

impl Challenges {
    /// Of these rules.
    pub fn new(rules: &[Rule], resource: Option<&ProtectedResource>) -> Self {
        let metadata = resource.map(ProtectedResource::challenge);
        let of_rule = |rule: &Rule| {
            let Rule::Protected(_, authorize) = rule else { return None };
            let scopes = authorize.scopes.as_ref()?.challenge();
            Some(metadata.map_or_else(|| scopes.clone(), |metadata| [&scopes, ", ", metadata].concat()).into())
        };
        let of_rules = rules.iter().map(of_rule).collect();
        Self { of_all: metadata.map(Rc::from), of_rules }
    }

    fn of_rule(&self, rule: Option<usize>) -> Option<&Rc<str>> {
        self.of_rules.get(rule?)?.as_ref()
    }
}

impl Policy {
    pub(super) fn challenge_end(&self, denial: &Denial) -> Option<Rc<str>> {
        let challenges = &self.challenges;
        // Other scopes would not help a caller who lacks other rights. Where nothing describes the resource, they are told to those
        // who lack them.
        let tells_scopes = denial.reason == Reason::ScopeInsufficient
            || challenges.of_all.is_some() && denial.reason.challenge() != Challenge::InsufficientScope;
        let of_rule = challenges.of_rule(denial.rule.filter(|_| tells_scopes));
        of_rule.or(challenges.of_all.as_ref()).map(Rc::clone)
    }
}
