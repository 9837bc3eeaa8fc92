//! How a refusal is said: `statuses`, `responses`, `strip_failure_response`, and what `protected_resource` adds to a challenge.

use std::rc::Rc;

use super::{Policy, Rule};
use crate::request::{self, RequestHead, WayBack};
use crate::verdict::{Challenge, Configured, Denial, Form, Reason, Response};

/// `responses`.
#[derive(Clone, Debug)]
pub struct Responses {
    /// Those of each rule, in the order of the rules; empty where no rule has any.
    pub of_rules: Vec<Vec<Rc<Response>>>,
    /// Those of the configuration, for what the rule's own are not for.
    pub of_all: Vec<Rc<Response>>,
    /// What a redirect says of the request.
    pub way_back: WayBack,
}

impl Responses {
    /// The first entry that is for such a refusal.
    fn find(&self, rule: Option<usize>, reason: Reason) -> Option<&Rc<Response>> {
        let of_rule = rule.and_then(|rule| self.of_rules.get(rule)).into_iter().flatten();
        of_rule.chain(&self.of_all).find(|response| response.is_for(reason))
    }
}

impl Policy {
    /// The refusal as the configuration has it said.
    pub(super) fn shaped(&self, mut denial: Denial, head: &RequestHead) -> Denial {
        let status = self.statuses.iter().find(|(reason, _)| *reason == denial.reason).map(|(_, status)| *status);
        denial.status = status.unwrap_or(denial.status);
        denial.challenge_end = self.challenge_end(&denial);
        match self.responses.find(denial.rule, denial.reason) {
            Some(response) => self.configured(denial, response, head),
            None if self.strip_failure_response => Denial { form: Form::Bare, ..denial },
            None => denial,
        }
    }

    fn challenge_end(&self, denial: &Denial) -> Option<Rc<str>> {
        let lacks_scopes = denial.reason == Reason::ScopeInsufficient;
        match &self.protected_resource {
            Some(resource) => {
                // Other scopes would not help a caller who lacks other rights.
                let rule =
                    denial.rule.filter(|_| lacks_scopes || denial.reason.challenge() != Challenge::InsufficientScope);
                Some(resource.challenge_end(rule))
            }
            None if lacks_scopes => match self.rules.get(denial.rule?)? {
                Rule::Protected(_, authorize) => authorize.scopes.as_ref().map(|scopes| Rc::clone(scopes.challenge())),
                Rule::Public => None,
            },
            None => None,
        }
    }

    fn configured(&self, mut denial: Denial, response: &Rc<Response>, head: &RequestHead) -> Denial {
        let redirect = response.redirects(denial.reason).filter(|_| request::asks_for_page(head));
        denial.status = redirect.map(|redirect| redirect.status).or(response.status).unwrap_or(denial.status);
        let location = redirect.map(|redirect| {
            let path = self.responses.way_back.of(head);
            redirect.location.filled(denial.reason, denial.status, &path).into_owned()
        });
        let is_bare = self.strip_failure_response;
        denial.form = Form::Configured(Configured { response: Rc::clone(response), location, is_bare });
        denial
    }
}
