//! `enforce`: whether a refusal holds. Where it does not, the request passes, and what would have been is counted.

use super::{Decision, Pass};
use crate::verdict::{Denial, Edits, Reason};

/// `enforce` of a configuration and of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// Of whatever no rule matches, and of what cannot be told which.
    pub default: bool,
    /// Of the rules, in their order; none, where all of them are as the default.
    pub rules: Vec<bool>,
}

/// As loud as a log can be.
const OPEN: &str = "\"enforce: false\": EVERY REQUEST PASSES, whatever it carries";

impl Enforcement {
    /// Takes that of each rule.
    pub fn new(default: bool, rules: Vec<bool>) -> Self {
        let rules = if rules.contains(&!default) { rules } else { Vec::new() };
        Self { default, rules }
    }

    /// Whether a refusal under that rule holds.
    pub fn of(&self, rule: Result<Option<usize>, Reason>) -> bool {
        let own = rule.ok().flatten().and_then(|index| self.rules.get(index));
        own.copied().unwrap_or(self.default)
    }

    /// One line about what is not enforced, for the log; `None` where everything is.
    pub fn warning(&self) -> Option<String> {
        if !self.default && !self.rules.contains(&true) {
            return Some(OPEN.to_owned());
        }
        if self.rules.is_empty() {
            return None;
        }
        let mut warning = [OPEN, " under"].concat();
        for (index, enforced) in self.rules.iter().enumerate() {
            if !enforced {
                warning.push_str(&[" rules[", &index.to_string(), "]"].concat());
            }
        }
        if !self.default {
            warning.push_str(" no rule");
        }
        Some(warning)
    }
}

impl Decision {
    /// A refusal; where it is not enforced, the request passes with these edits.
    pub(crate) fn refuse(denial: Denial, enforced: bool, mut edits: Edits) -> Self {
        if enforced {
            return Self::Deny(Box::new(denial));
        }
        let pass = Pass::unenforced(denial.reason);
        if !denial.state.is_empty() {
            // Of Envoy's semantics, whose edits hold none beside it.
            edits.state = denial.state;
        }
        (edits.failed_status, edits.caller) = (denial.failed_status, denial.caller);
        Self::Allow(pass, edits)
    }

    /// Why the request is refused, or would be if that were enforced.
    pub fn refusal(&self) -> Option<Reason> {
        match self {
            Self::Allow(pass, _) => pass.refusal(),
            Self::Deny(denial) => Some(denial.reason),
            Self::Wait(_, otherwise) => otherwise.refusal(),
        }
    }
}
