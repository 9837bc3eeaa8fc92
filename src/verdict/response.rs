//! `responses`: what the configuration has a refusal say, ready but for the parts that differ from refusal to refusal.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Denial, HeaderName, Reason};

/// One entry of `responses`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// `codes`: the refusals that it is for; where it names none, every one.
    pub codes: Vec<Reason>,
    /// `status`.
    pub status: Option<u16>,
    /// `body`; without one it is a problem document.
    pub body: Option<Body>,
    /// `headers`, in place of others of their names.
    pub headers: Vec<(HeaderName, Text)>,
    /// `redirect`, in place of all but the headers where a person's browser asks.
    pub redirect: Option<Redirect>,
}

/// `body`, with its `content_type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// `content_type`.
    pub content_type: String,
    /// `body`.
    pub text: Text,
}

/// `redirect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `status`.
    pub status: u16,
    /// `location`.
    pub location: Text,
}

/// A text of the configuration, with places that each refusal fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Vec<Part>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands there.
    Literal(String),
    /// `{code}`.
    Code,
    /// `{status}`.
    Status,
    /// `{detail}`.
    Detail,
    /// `{path}`: what the request asked for, as one value of a query. The only thing of a request that reaches an answer.
    Path,
}

/// How an entry says one refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The entry.
    pub response: Rc<Response>,
    /// Where the request is sent, if it is.
    pub location: Option<String>,
    /// `strip_failure_response`: nothing is said beyond what the entry says.
    pub is_bare: bool,
}

impl Response {
    /// Whether it is for such a refusal.
    pub fn is_for(&self, reason: Reason) -> bool {
        self.codes.is_empty() || self.codes.contains(&reason)
    }

    /// Whether its redirect is for such a refusal. Where no code is named, that is what another token can heal: who logs in again
    /// because the issuer is down, or to get the same scopes again, comes back to the same refusal.
    pub fn redirects(&self, reason: Reason) -> Option<&Redirect> {
        self.redirect.as_ref().filter(|_| !self.codes.is_empty() || reason.status() == 401)
    }
}

impl Text {
    /// The text for one refusal.
    pub fn filled(&self, reason: Reason, status: u16, path: &str) -> Cow<'_, str> {
        if let [Part::Literal(text)] = self.0.as_slice() {
            return Cow::Borrowed(text);
        }
        let status = status.to_string();
        let mut parts: Vec<&str> = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            parts.push(match part {
                Part::Literal(text) => text,
                Part::Code => reason.code(),
                Part::Status => &status,
                Part::Detail => reason.detail(),
                Part::Path => path,
            });
        }
        Cow::Owned(parts.concat())
    }
}

impl Configured {
    /// The headers of the answer.
    pub fn headers(&self, denial: &Denial, grpc: bool) -> Vec<(&str, Cow<'_, str>)> {
        let mut headers = Vec::new();
        match &self.location {
            // Who has logged in must not be sent there again by something in between that kept the answer.
            Some(location) => headers.extend([("location", location.into()), ("cache-control", "no-store".into())]),
            None if self.is_bare => {}
            None => denial.push_protocol_headers(&mut headers),
        }
        let own = &self.response.headers;
        // Beside a status for which RFC 6750 has no challenge it would tell what the status is there to hide.
        let is_hidden = self.response.status.is_some_and(|status| !matches!(status, 400 | 401 | 403));
        let is_own = |name: &str| own.iter().any(|(known, _)| known.as_str() == name);
        headers.retain(|(name, _)| !(is_own(name) || is_hidden && *name == "www-authenticate"));
        let content_type = if grpc || self.location.is_some() { None } else { self.content_type() };
        headers.extend(content_type.map(|kind| ("content-type", kind.into())));
        let own = own.iter().filter(|(name, _)| grpc || name.as_str() != "grpc-status");
        headers.extend(own.map(|(name, value)| (name.as_str(), value.filled(denial.reason, denial.status, ""))));
        headers
    }

    fn content_type(&self) -> Option<&str> {
        match &self.response.body {
            Some(body) => Some(&body.content_type),
            None => (!self.is_bare).then_some("application/problem+json"),
        }
    }

    /// The body of the answer; `None` for the one that the refusal has without an entry.
    pub fn body(&self, denial: &Denial, grpc: bool) -> Option<Cow<'_, str>> {
        match &self.response.body {
            _ if self.location.is_some() => Some(Cow::Borrowed("")),
            Some(body) if !grpc => Some(body.text.filled(denial.reason, denial.status, "")),
            _ if self.is_bare => Some(Cow::Borrowed("")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_filled_in_and_what_is_literal_is_only_lent() {
        let literal = |text: &str| Part::Literal(text.to_owned());
        let text =
            Text(vec![literal("{"), Part::Code, literal(","), Part::Status, Part::Detail, Part::Path, literal("}")]);
        assert_eq!(text.filled(Reason::TokenExpired, 401, "%2F"), "{token_expired,401The token has expired.%2F}");
        assert!(matches!(Text(vec![literal("a")]).filled(Reason::TokenExpired, 401, ""), Cow::Borrowed("a")));
        assert_eq!(Text(Vec::new()).filled(Reason::TokenExpired, 401, ""), "");
    }
}
