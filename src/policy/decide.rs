//! The decision about one request, from its head to a verdict.

use super::authenticate::Attempt;
use super::{
    effects, service, Authorize, Challenges, Documents, Enforcement, Failure, Principal, ProtectedResource, Provider,
    Required, Responses, Verifier, Want,
};
use crate::jose::Verified;
use crate::jwt_verify;
use crate::request::{RequestHead, Routes};
use crate::stats::Counter;
use crate::time::UnixTime;
use crate::verdict::{AccessLog, Caller, Denial, Edits, FailedStatus, HeaderName, Prepared, Reason};

/// A whole configuration, ready to decide.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `providers`.
    pub providers: Vec<Provider>,
    /// What the rules match, in their order.
    pub routes: Routes,
    /// What the rules ask for, in the same order.
    pub rules: Vec<Rule>,
    /// What a request needs that no rule matches: a token of any provider.
    pub fallback: Required,
    /// `filter_state_rules`.
    pub filter_state_rules: Option<FilterStateRules<Required>>,
    /// `bypass_cors_preflight`.
    pub bypass_cors_preflight: bool,
    /// `strip_failure_response`.
    pub strip_failure_response: bool,
    /// `ambiguous_paths: allow`: the rules are matched with the path as it is written, whatever else it may be read as.
    pub allow_ambiguous_paths: bool,
    /// `bad_token_beside_good: ignore`: a good token is enough, whatever stands beside it.
    pub ignore_bad_beside_good: bool,
    /// `statuses`: what takes the place of a reason's own.
    pub statuses: Vec<(Reason, u16)>,
    /// `responses`.
    pub responses: Responses,
    /// The refusals that were said.
    pub prepared: Prepared,
    /// How challenges end.
    pub challenges: Challenges,
    /// `protected_resource`.
    pub protected_resource: Option<Box<ProtectedResource>>,
    /// Every header that some provider may set.
    pub output_headers: Vec<HeaderName>,
    /// `enforce`.
    pub enforcement: Enforcement,
    /// `access_log`.
    pub access_log: AccessLog,
}

/// `filter_state_rules`: what a value of the filter state requires, where no rule matches.
#[derive(Clone, Debug)]
pub struct FilterStateRules<R> {
    /// The name of the filter state.
    pub name: String,
    /// Requirements by its value, in the order of those.
    pub requires: Vec<(String, R)>,
}

/// What one rule asks for.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `public: true`.
    Public,
    /// `requires`, and `authorize` of the tokens that it found.
    Protected(Required, Authorize),
}

/// Why a request passes. Each way to pass has a constructor of its own, so that all of them can be found by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Authenticated,
    PublicRoute,
    WithoutToken,
    Preflight,
    Unenforced(Reason),
}

/// What happens to a request.
// In a box, the edits would be one more allocation of every request that passes.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It passes, with these edits.
    Allow(Pass, Edits),
    /// It is answered.
    Deny(Box<Denial>),
    /// One of these could change the decision, which is otherwise this one.
    Wait(Vec<Want>, Box<Decision>),
}

impl Pass {
    /// A token was verified.
    fn authenticated(_: &Principal) -> Self {
        Self(Kind::Authenticated)
    }

    /// The rule says `public: true`.
    fn public_route() -> Self {
        Self(Kind::PublicRoute)
    }

    /// The rule says `allow_missing` or `allow_missing_or_failed`, and no token was verified.
    fn without_token() -> Self {
        Self(Kind::WithoutToken)
    }

    /// `semantics: jwt_authn`, and a token was verified.
    pub(crate) fn verified(_: &jwt_verify::Verified) -> Self {
        Self(Kind::Authenticated)
    }

    /// `semantics: jwt_authn`, and what the route requires holds without a token.
    pub(crate) fn where_envoy_allows_none() -> Self {
        Self(Kind::WithoutToken)
    }

    /// `semantics: jwt_authn`, and no rule asks for a token.
    pub(crate) fn where_envoy_asks_none() -> Self {
        Self(Kind::PublicRoute)
    }

    /// `bypass_cors_preflight`.
    pub(crate) fn preflight() -> Self {
        Self(Kind::Preflight)
    }

    /// `enforce: false`: it would have been refused.
    pub(crate) fn unenforced(reason: Reason) -> Self {
        Self(Kind::Unenforced(reason))
    }

    /// Its counter.
    pub const fn counter(self) -> Counter {
        match self.0 {
            Kind::Authenticated => Counter::Allowed,
            Kind::PublicRoute => Counter::AllowedPublic,
            Kind::WithoutToken => Counter::AllowedAnonymous,
            Kind::Preflight => Counter::AllowedPreflight,
            Kind::Unenforced(_) => Counter::AllowedUnenforced,
        }
    }

    /// Its name in the access log.
    pub const fn outcome(self) -> &'static str {
        match self.0 {
            Kind::Authenticated => "allowed",
            Kind::PublicRoute => "public",
            Kind::WithoutToken => "anonymous",
            Kind::Preflight => "preflight",
            Kind::Unenforced(_) => "unenforced",
        }
    }

    /// Why it would have been refused.
    pub const fn refusal(self) -> Option<Reason> {
        match self.0 {
            Kind::Unenforced(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Policy {
    /// Has the refusal, also that of a wait in vain, said as the configuration says it.
    pub fn say(&self, decision: &mut Decision, head: &RequestHead) {
        match decision {
            Decision::Deny(denial) => self.shape(denial, head),
            Decision::Wait(_, otherwise) => self.say(otherwise, head),
            Decision::Allow(..) => {}
        }
    }

    /// The rule that the request falls under, by its place; none, if no rule matches.
    pub(super) fn rule(&self, head: &RequestHead) -> Result<Option<usize>, Reason> {
        if self.allow_ambiguous_paths {
            Ok(self.routes.first(head))
        } else {
            self.routes.find(head)
        }
    }

    /// A refusal for another reason than its own; what is none stays as it is.
    pub fn for_another_reason(&self, decision: Decision, reason: Reason, head: &RequestHead) -> Decision {
        let noted = |failed_status: Option<FailedStatus>| failed_status.map(|noted| FailedStatus { reason, ..noted });
        match decision {
            Decision::Deny(before) => {
                let Denial { rule, caller, failed_status, .. } = *before;
                let mut denial = Denial { rule, caller, failed_status: noted(failed_status), ..reason.into() };
                self.shape(&mut denial, head);
                Decision::Deny(Box::new(denial))
            }
            Decision::Allow(Pass(Kind::Unenforced(_)), mut edits) => {
                edits.failed_status = noted(edits.failed_status);
                Decision::Allow(Pass::unenforced(reason), edits)
            }
            other => other,
        }
    }

    /// What happens to a request for which there is no room to wait.
    pub fn overloaded(&self, head: &RequestHead) -> Decision {
        let differ = !self.enforcement.rules.is_empty() || !self.responses.of_rules.is_empty();
        let rule = if differ { self.rule(head) } else { Ok(None) };
        let mut denial = Denial { rule: rule.ok().flatten(), ..Reason::Overloaded.into() };
        if self.enforcement.of(rule) {
            self.shape(&mut denial, head);
            return Decision::Deny(Box::new(denial));
        }
        Decision::refuse(denial, false, self.sanitized(head))
    }

    /// Without the headers that the gate may set.
    pub(crate) fn sanitized(&self, head: &RequestHead) -> Edits {
        let mut edits = Edits::default();
        effects::remove_output_headers(head, &self.output_headers, &mut edits);
        edits
    }

    /// Decides about the request `head` at the time `now`. How a refusal is said comes [after that](Self::say).
    pub fn judge(&self, head: &RequestHead, documents: &Documents, verifier: &mut Verifier, now: UnixTime) -> Decision {
        let mut edits = self.sanitized(head);
        if self.bypass_cors_preflight && head.is_preflight() {
            return Decision::Allow(Pass::preflight(), edits);
        }
        let nothing_more = Authorize::default();
        let rule = self.rule(head);
        let enforced = self.enforcement.of(rule);
        let (required, authorize) = match rule {
            Err(reason) => return Decision::refuse(reason.into(), enforced, edits),
            Ok(None) => (self.by_filter_state(head).unwrap_or(&self.fallback), &nothing_more),
            Ok(Some(index)) => match self.rules.get(index) {
                None => (&self.fallback, &nothing_more),
                Some(Rule::Public) => return Decision::Allow(Pass::public_route(), edits),
                Some(Rule::Protected(required, authorize)) => (required, authorize),
            },
        };

        let remembers = self.access_log.names_caller();
        let are_several = required.providers().len() > 1;
        let mut attempt = Attempt::new((head, now), &self.providers, documents, verifier, remembers, are_several);
        let result = required.check(&mut attempt, self.ignore_bad_beside_good);
        edits.caller = self.caller(&result, &attempt);
        let (mut needs, coming) = attempt.into_needs();
        if matches!(&result, Ok(principals) if !principals.is_empty()) {
            needs.clear();
        }
        let concluded = match result {
            Ok(mut principals) => {
                let case = (head, documents, now);
                let concluded =
                    self.conclude(case, required, authorize, &mut principals, enforced, (&mut edits, &mut needs));
                concluded.map_err(Denial::from)
            }
            Err(Failure { reason, retry_after, .. }) => Err(Denial { retry_after, ..reason.into() }),
        };
        let decision = match concluded {
            Ok(pass) => {
                if pass.counter() == Counter::Allowed {
                    needs.extend(coming);
                }
                Decision::Allow(pass, edits)
            }
            Err(mut denial) => {
                denial.failed_status = required.failed_status(denial.reason);
                denial.rule = rule.ok().flatten();
                denial.caller = std::mem::take(&mut edits.caller);
                Decision::refuse(denial, enforced, edits)
            }
        };
        if needs.is_empty() {
            decision
        } else {
            Decision::Wait(needs, Box::new(decision))
        }
    }

    fn by_filter_state(&self, head: &RequestHead) -> Option<&Required> {
        self.filter_state_rules.as_ref()?.requirement(head)
    }

    fn conclude(
        &self,
        (head, documents, now): (&RequestHead, &Documents, UnixTime),
        required: &Required,
        authorize: &Authorize,
        principals: &mut [Principal],
        enforced: bool,
        (edits, needs): (&mut Edits, &mut Vec<Want>),
    ) -> Result<Pass, Reason> {
        let authorized = authorize.check(head, principals).and_then(|caller| {
            if let Some(place) = caller.filter(|&place| place > 0) {
                // Whose rights count is who is calling, for the service and the access log, too.
                principals.get_mut(..=place).into_iter().for_each(|before| before.rotate_right(1));
                edits.caller = self.caller_of(principals.first());
            }
            let Some((index, caller)) = authorize.service.zip(caller.and(principals.first())) else {
                return Ok(Vec::new());
            };
            let (found, question) = service::check((&documents.services, index), (head, caller), now);
            needs.extend(question.map(Want::Answer));
            found
        });
        if authorized.is_ok() || !enforced {
            // In a dry run the service still checks for itself: it gets the token, and learns of it what the gate knows.
            let stripped = if enforced { required.providers() } else { &[] };
            effects::apply(head, &self.providers, stripped, principals, edits);
        }
        for (name, value) in authorized? {
            edits.set(name.shared(), value);
        }
        Ok(principals.first().map_or_else(Pass::without_token, Pass::authenticated))
    }

    /// Whose token decides, or whose failure.
    fn caller(&self, result: &Result<Vec<Principal>, Failure>, attempt: &Attempt<'_>) -> Caller {
        match result {
            Ok(principals) => self.caller_of(principals.first()),
            Err(failure) => self.named(failure.provider, attempt.failed(failure)),
        }
    }

    fn caller_of(&self, principal: Option<&Principal>) -> Caller {
        let (provider, token) = principal.map(|caller| (caller.provider(), caller.verified())).unzip();
        self.named(provider, token)
    }

    fn named(&self, provider: Option<usize>, token: Option<&Verified>) -> Caller {
        if !self.access_log.names_caller() {
            return Caller { provider, ..Caller::default() };
        }
        let (sub, kid) =
            (token.and_then(|token| token.claims().subject()), token.and_then(|token| token.kids().next()));
        self.access_log.caller(provider, sub, kid)
    }
}

impl<R> FilterStateRules<R> {
    /// What the filter state of the request requires, if it has a value that is named.
    pub fn requirement(&self, head: &RequestHead) -> Option<&R> {
        let value = head.filter_state()?;
        let place = self.requires.binary_search_by(|(known, _)| known.as_bytes().cmp(value)).ok()?;
        self.requires.get(place).map(|(_, requirement)| requirement)
    }
}

impl Authorize {
    /// The place of the one of `principals` that has everything that the rule asks for; none, where it asks for nothing.
    fn check(&self, head: &RequestHead, principals: &[Principal]) -> Result<Option<usize>, Reason> {
        if self.scopes.is_none() && self.claims.is_empty() && self.expression.is_none() && self.service.is_none() {
            return Ok(None);
        }
        if principals.is_empty() {
            return Err(Reason::TokenMissing);
        }
        let in_scope = |principal: &&Principal| {
            self.scopes.as_ref().is_none_or(|scopes| scopes.holds(principal.verified().claims()))
        };
        let mut in_scope = principals.iter().enumerate().filter(|(_, principal)| in_scope(principal)).peekable();
        if in_scope.peek().is_none() {
            return Err(Reason::ScopeInsufficient);
        }
        let has_claims = |principal: &&Principal| {
            self.claims.iter().all(|condition| condition.holds(head, principal))
                && self.expression.as_ref().is_none_or(|expression| expression.holds(head, principal))
        };
        let caller = in_scope.find(|(_, principal)| has_claims(principal));
        caller.map(|(place, _)| Some(place)).ok_or(Reason::ClaimInsufficient)
    }
}
