//! How a refusal is said: `statuses`, `responses`, `strip_failure_response`.

use std::rc::Rc;

use super::Policy;
use crate::request::{self, RequestHead, WayBack};
use crate::verdict::{Configured, Denial, Form, Reason, Response};

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
    pub(super) fn shape(&self, denial: &mut Denial, head: &RequestHead) {
        let status = self.statuses.iter().find(|(reason, _)| *reason == denial.reason).map(|(_, status)| *status);
        denial.status = status.unwrap_or(denial.status);
        denial.challenge_end = self.challenge_end(denial);
        match self.responses.find(denial.rule, denial.reason) {
            Some(response) => self.configure(denial, response, head),
            None if self.strip_failure_response => denial.form = Form::Bare,
            None => {}
        }
        denial.prepare(&self.prepared, head.is_grpc());
    }

    fn configure(&self, denial: &mut Denial, response: &Rc<Response>, head: &RequestHead) {
        let redirect = response.redirects(denial.reason).filter(|_| request::asks_for_page(head));
        denial.status = redirect.map(|redirect| redirect.status).or(response.status).unwrap_or(denial.status);
        let location = redirect.map(|redirect| {
            let location = &redirect.location;
            let path = if location.asks_for_path() { self.responses.way_back.of(head) } else { String::new() };
            location.filled(denial.reason, denial.status, &path)
        });
        let is_bare = self.strip_failure_response;
        denial.form = Form::Configured(Configured { response: Rc::clone(response), location, is_bare });
    }
}
