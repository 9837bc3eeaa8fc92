//! `protected_resource` (RFC 9728): the gate itself says whose tokens the resource behind it takes, so that a client finds its way
//! from a refusal to a token. It is told to everyone, and holds nothing but configuration.

use std::rc::Rc;

use crate::request::RequestHead;
use crate::verdict::{HeaderMap, LocalResponse, Reply};

/// The document, where it is, and how a challenge names it: all of it is written when the configuration is read.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    path: String,
    document: Rc<LocalResponse>,
    preflight: Rc<LocalResponse>,
    not_allowed: Rc<LocalResponse>,
    challenge: String,
}

/// An hour, since a client that has the document asks for it again with every login. Clients in browsers are on other origins.
const DOCUMENT: &[(&str, &str)] =
    &[("content-type", "application/json"), ("cache-control", "max-age=3600"), ("access-control-allow-origin", "*")];

const METHODS: &str = "GET, HEAD, OPTIONS";

/// `*` does not stand for `Authorization` (Fetch standard).
const PREFLIGHT: &[(&str, &str)] = &[
    ("allow", METHODS),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", METHODS),
    ("access-control-allow-headers", "authorization, *"),
    ("access-control-max-age", "3600"),
];

const NOT_ALLOWED: &[(&str, &str)] = &[("allow", METHODS), ("access-control-allow-origin", "*")];

impl ProtectedResource {
    /// `path` is where the document is on this host, and `url` the same for everyone; neither needs an escape within quotes.
    pub fn new(path: String, url: &str, document: String) -> Self {
        let response = |headers: &[(&'static str, &'static str)], body: String| {
            Rc::new(LocalResponse { headers: HeaderMap::new(headers.iter().copied()), body: body.into() })
        };
        Self {
            path,
            document: response(DOCUMENT, document),
            preflight: response(PREFLIGHT, String::new()),
            not_allowed: response(NOT_ALLOWED, String::new()),
            challenge: ["resource_metadata=\"", url, "\""].concat(),
        }
    }

    /// The answer, if the request is one for the document. Its path is not taken for any other spelling of it.
    pub fn reply(&self, head: &RequestHead) -> Option<Reply> {
        let rest = head.target().strip_prefix(self.path.as_bytes())?;
        if !matches!(rest, [] | [b'?', ..]) {
            return None;
        }
        let (status, response) = match head.value(":method") {
            Some(b"GET" | b"HEAD") => (200, &self.document),
            Some(b"OPTIONS") => (204, &self.preflight),
            _ => (405, &self.not_allowed),
        };
        Some(Reply { status, response: Rc::clone(response) })
    }

    /// How a challenge names the document.
    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }
}
