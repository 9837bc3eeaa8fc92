//! `responses`: what the configuration has a refusal say, ready but for the parts that differ from refusal to refusal.

use std::rc::Rc;

use smol_str::{SmolStr, ToSmolStr};

use super::{Denial, HeaderName, Reason, Room, Wording};

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
    pub content_type: SmolStr,
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
pub struct Text {
    parts: Vec<Part>,
    filled: Wording,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands there.
    Literal(SmolStr),
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
    pub location: Option<SmolStr>,
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
    /// Of these parts, in the configuration that has so much room.
    pub fn new(parts: Vec<Part>, room: &Room) -> Self {
        Self { parts, filled: Wording::new(room) }
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it says what the request asked for.
    pub fn asks_for_path(&self) -> bool {
        self.parts.contains(&Part::Path)
    }

    /// The text for one refusal.
    pub fn filled(&self, reason: Reason, status: u16, path: &str) -> SmolStr {
        match self.parts.as_slice() {
            [Part::Literal(text)] => text.clone(),
            // A path is of one request alone.
            _ if self.asks_for_path() => self.join(reason, status, path),
            _ => self.filled.of(reason, status, || self.join(reason, status, path)),
        }
    }

    /// What it can look like.
    pub fn example(&self) -> SmolStr {
        self.join(Reason::TokenMissing, 401, "")
    }

    fn join(&self, reason: Reason, status: u16, path: &str) -> SmolStr {
        let status = status.to_smolstr();
        let texts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Code => reason.code(),
            Part::Status => &status,
            Part::Detail => reason.detail(),
            Part::Path => path,
        });
        texts.collect::<Vec<_>>().concat().into()
    }
}

impl Configured {
    /// The headers of the answer.
    pub fn headers(&self, denial: &Denial, grpc: bool) -> Vec<(&str, SmolStr)> {
        let mut headers = Vec::new();
        match &self.location {
            // Who has logged in must not be sent there again by something in between that kept the answer.
            Some(location) => {
                headers.extend([("location", location.clone()), ("cache-control", SmolStr::new_static("no-store"))]);
            }
            None if self.is_bare => {}
            None => denial.push_protocol_headers(&mut headers),
        }
        let own = &self.response.headers;
        // Beside a status for which RFC 6750 has no challenge it would tell what the status is there to hide.
        let is_hidden = self.response.status.is_some_and(|status| !matches!(status, 400 | 401 | 403));
        let is_own = |name: &str| own.iter().any(|(known, _)| known.as_str() == name);
        headers.retain(|(name, _)| !(is_own(name) || is_hidden && *name == "www-authenticate"));
        let content_type = if grpc || self.location.is_some() { None } else { self.content_type() };
        headers.extend(content_type.map(|kind| ("content-type", kind)));
        let own = own.iter().filter(|(name, _)| grpc || name.as_str() != "grpc-status");
        headers.extend(own.map(|(name, value)| (name.as_str(), value.filled(denial.reason, denial.status, ""))));
        headers
    }

    /// Whether something of the request is in it.
    pub fn is_of_request(&self) -> bool {
        let redirect = self.location.as_ref().and(self.response.redirect.as_ref());
        redirect.is_some_and(|redirect| redirect.location.asks_for_path())
    }

    fn content_type(&self) -> Option<SmolStr> {
        match &self.response.body {
            Some(body) => Some(body.content_type.clone()),
            None => (!self.is_bare).then_some(SmolStr::new_static("application/problem+json")),
        }
    }

    /// The body of the answer; `None` for the one that the refusal has without an entry.
    pub fn body(&self, denial: &Denial, grpc: bool) -> Option<SmolStr> {
        match &self.response.body {
            _ if self.location.is_some() => Some(SmolStr::default()),
            Some(body) if !grpc => Some(body.text.filled(denial.reason, denial.status, "")),
            _ if self.is_bare => Some(SmolStr::default()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_filled_in_for_each_reason_status_and_path() {
        let literal = |text: &str| Part::Literal(text.into());
        let of = |parts: &[Part]| Text::new(parts.to_vec(), &Room::default());
        let parts = [literal("{"), Part::Code, literal(","), Part::Status, Part::Detail, literal("}")];
        let (text, with_path) = (of(&parts), of(&[&parts[..], &[Part::Path]].concat()));
        for _ in 0..2 {
            assert_eq!(text.filled(Reason::TokenExpired, 401, ""), "{token_expired,401The token has expired.}");
            assert_eq!(text.filled(Reason::TokenExpired, 302, ""), "{token_expired,302The token has expired.}");
            assert_eq!(text.filled(Reason::TokenMissing, 401, ""), "{token_missing,401The request carries no token.}");
            for path in ["%2F", "%2Fother"] {
                let expected = ["{token_expired,401The token has expired.}", path].concat();
                assert_eq!(with_path.filled(Reason::TokenExpired, 401, path), expected);
            }
        }
        assert_eq!(of(&[literal("a")]).filled(Reason::TokenExpired, 401, ""), "a");
        assert_eq!(of(&[]).filled(Reason::TokenExpired, 401, ""), "");
    }
}
