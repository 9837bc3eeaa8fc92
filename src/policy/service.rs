//! Another service decides: the OpenID AuthZEN Authorization API 1.0, the data API of Open Policy Agent, or a plain request.

use std::borrow::Cow;
use std::time::Duration;

use super::template::Template;
use super::{Finding, Principal, Protocol, Question, Services};
use crate::json::{self, Value};
use crate::redact::Redacted;
use crate::remote::{Answer, Field};
use crate::request::RequestHead;
use crate::time::UnixTime;
use crate::verdict::{is_field_value, HeaderName, Reason};

/// `authorize.service` of a rule.
#[derive(Clone, Debug)]
pub struct AuthorizationService {
    /// What is sent, and how the answer is read.
    pub form: ServiceForm,
    /// Those of `request_headers` that have variables; they may be credentials.
    pub headers: Vec<(HeaderName, Redacted<Template>)>,
    /// `on_error: allow`.
    pub allow_on_error: bool,
    /// `cache.ttl`; zero, where nothing is kept.
    pub ttl: Duration,
}

/// `protocol`.
#[derive(Clone, Debug)]
pub enum ServiceForm {
    /// `authzen`: the evaluation request.
    AuthZen(JsonTemplate),
    /// `opa`: the body of the query, `input` and all.
    Opa(JsonTemplate),
    /// `http`.
    Http {
        /// `response_headers`.
        response_headers: Vec<HeaderName>,
    },
}

/// JSON with variables in its strings; all that stands around them is text already.
#[derive(Clone, Debug)]
pub struct JsonTemplate(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A string.
    String(Template),
    /// All claims of the token, as an object.
    Claims,
}

/// What a [`JsonTemplate`] is made of.
#[derive(Clone, Debug)]
pub enum JsonPart {
    /// A string.
    Text(Template),
    /// `"{claims}"`: all claims of the token, as an object.
    Claims,
    /// A number, a boolean or null.
    Fixed(Value),
    /// An array.
    Array(Vec<JsonPart>),
    /// An object; no two of its members have one name.
    Object(Vec<(String, JsonPart)>),
}

impl JsonTemplate {
    /// Writes everything but what differs from request to request.
    pub fn new(part: &JsonPart) -> Self {
        let mut template = Self(Vec::new());
        template.add(part);
        template
    }

    fn add(&mut self, part: &JsonPart) {
        match part {
            JsonPart::Text(template) => match template.literal() {
                Some(literal) => self.write(&Value::from(literal.as_str()).to_string()),
                None => self.0.push(Piece::String(template.clone())),
            },
            JsonPart::Claims => self.0.push(Piece::Claims),
            JsonPart::Fixed(value) => self.write(&value.to_string()),
            JsonPart::Array(elements) => self.add_all("[", elements.iter().map(|element| (None, element)), "]"),
            JsonPart::Object(members) => {
                self.add_all("{", members.iter().map(|(name, member)| (Some(name.as_str()), member)), "}");
            }
        }
    }

    fn add_all<'p>(&mut self, start: &str, parts: impl Iterator<Item = (Option<&'p str>, &'p JsonPart)>, end: &str) {
        self.write(start);
        for (place, (name, part)) in parts.enumerate() {
            if place > 0 {
                self.write(",");
            }
            if let Some(name) = name {
                self.write(&Value::from(name).to_string());
                self.write(":");
            }
            self.add(part);
        }
        self.write(end);
    }

    fn write(&mut self, text: &str) {
        if let Some(Piece::Text(before)) = self.0.last_mut() {
            before.push_str(text);
        } else {
            self.0.push(Piece::Text(text.to_owned()));
        }
    }

    /// The pieces of the text, with every variable in its place; `None` if one has no value. Where the answer is known, nobody puts
    /// them together.
    fn render<'t>(&'t self, head: &RequestHead, principal: &Principal) -> Option<Vec<Cow<'t, str>>> {
        let render = |piece: &'t Piece| {
            Some(match piece {
                Piece::Text(piece) => Cow::Borrowed(piece.as_str()),
                Piece::String(template) => {
                    Cow::Owned(Value::String(template.render(head, Some(principal))?).to_string())
                }
                Piece::Claims => Cow::Owned(Value::Object(principal.verified().claims().to_map()).to_string()),
            })
        };
        self.0.iter().map(render).collect()
    }
}

impl AuthorizationService {
    /// `response_headers`.
    pub(super) fn response_headers(&self) -> &[HeaderName] {
        match &self.form {
            ServiceForm::Http { response_headers, .. } => response_headers,
            _ => &[],
        }
    }

    /// What the service, that of `index`, found about the request, or the question to it. A request that lacks something of what it
    /// asks about is refused.
    pub(super) fn ask(
        &self,
        services: &Services,
        index: usize,
        (head, principal): (&RequestHead, &Principal),
        now: UnixTime,
    ) -> Result<Finding, Option<Box<Question>>> {
        let Some((headers, body)) = self.render(head, principal) else {
            return Ok(Finding::Refused);
        };
        let parts = body.iter().map(|piece| &**piece).chain(headers.iter().map(|(_, value)| value.as_str()));
        let key = services.key(index, parts.map(str::as_bytes));
        if let Some(finding) = services.find(index, key, now) {
            return Ok(finding);
        }
        let Some(service) = services.get(index) else {
            return Err(None);
        };
        let call = service.envelope.call(headers, body.concat().into_bytes());
        let expires = principal.verified().claims().expires();
        Err(Some(Box::new(Question { service: index, key, call, expires })))
    }

    /// What differs from request to request: headers and body.
    fn render(&self, head: &RequestHead, principal: &Principal) -> Option<(Vec<Field>, Vec<Cow<'_, str>>)> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            let value = template.0.render(head, Some(principal)).filter(|value| is_field_value(value.as_bytes()))?;
            headers.push((name.shared(), value.into()));
        }
        let body = match &self.form {
            ServiceForm::AuthZen(body) | ServiceForm::Opa(body) => body.render(head, principal)?,
            ServiceForm::Http { .. } => Vec::new(),
        };
        Some((headers, body))
    }
}

/// Whether a request may pass, by the service of that index: with these headers, or not for that reason; so says the service, or
/// `on_error` until it has answered the question.
#[allow(clippy::type_complexity)]
pub(super) fn check(
    (services, index): (&Services, usize),
    (head, caller): (&RequestHead, &Principal),
    now: UnixTime,
) -> (Result<Vec<(HeaderName, Vec<u8>)>, Reason>, Option<Box<Question>>) {
    let Some(Protocol::Authorization(service)) = services.get(index).map(|service| &service.protocol) else {
        return (Err(Reason::AuthorizationUnavailable), None);
    };
    let unavailable = || if service.allow_on_error { Ok(Vec::new()) } else { Err(Reason::AuthorizationUnavailable) };
    match service.ask(services, index, (head, caller), now) {
        Ok(Finding::Allowed(headers)) => (Ok(headers), None),
        Ok(Finding::Refused) => (Err(Reason::AuthorizationDenied), None),
        Ok(Finding::Unavailable) => (unavailable(), None),
        Ok(_) => (Err(Reason::AuthorizationUnavailable), None),
        Err(question) => (unavailable(), question),
    }
}

/// What the service answered, and for how long that holds.
pub(super) fn read(service: &AuthorizationService, answer: Option<&Answer>) -> (Finding, Duration) {
    let Some(answer) = answer.filter(|answer| answer.status.is_some_and(|status| status < 500)) else {
        return (Finding::Unavailable, Duration::ZERO);
    };
    match decision(service, answer) {
        Some(finding) => (finding, service.ttl),
        None => (Finding::Unreadable, Duration::ZERO),
    }
}

/// What the answer says; `None` if it is no answer.
fn decision(service: &AuthorizationService, answer: &Answer) -> Option<Finding> {
    match &service.form {
        ServiceForm::Http { response_headers, .. } => match answer.status {
            Some(200) => Some(Finding::Allowed(of_answer(response_headers, answer)?)),
            Some(401 | 403) => Some(Finding::Refused),
            _ => None,
        },
        form => {
            let document = json::parse(&answer.body).ok().filter(|_| answer.status == Some(200))?;
            let decision = match form {
                ServiceForm::AuthZen(_) => document.get("decision")?.as_bool()?,
                // What a policy leaves undefined has no result.
                _ => match document.as_object()?.get("result") {
                    None => false,
                    Some(Value::Bool(result)) => *result,
                    Some(result) => result.get("allow")?.as_bool()?,
                },
            };
            Some(if decision { Finding::Allowed(Vec::new()) } else { Finding::Refused })
        }
    }
}

/// Those of `names` that the answer has; `None` if one has a value that no header may have.
fn of_answer(names: &[HeaderName], answer: &Answer) -> Option<Vec<(HeaderName, Vec<u8>)>> {
    let mut found = Vec::new();
    for name in names {
        let values: Vec<&[u8]> = answer.head.values(name.as_str()).collect();
        if !values.is_empty() {
            // RFC 9110 section 5.3.
            let value = values.join(&b", "[..]);
            found.push((name.clone(), Some(value).filter(|value| is_field_value(value))?));
        }
    }
    Some(found)
}
