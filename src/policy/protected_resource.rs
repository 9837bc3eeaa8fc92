//! `protected_resource` (RFC 9728): the gate itself says whose tokens the resource behind it takes, so that a client finds its way
//! from a refusal to a token. It is told to everyone, and holds nothing but configuration.

use std::rc::Rc;

use super::Rule;
use crate::request::RequestHead;
use crate::verdict::Reply;

/// The document, where it is, and how a challenge names it: all of it is written when the configuration is read.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    path: String,
    document: Rc<str>,
    challenge_end: Rc<str>,
    /// The same with the scopes of each rule that asks for some.
    of_rules: Vec<Option<Rc<str>>>,
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
    pub fn new(path: String, url: &str, document: String, rules: &[Rule]) -> Self {
        let metadata = ["resource_metadata=\"", url, "\""].concat();
        let of_rule = |rule: &Rule| -> Option<Rc<str>> {
            let Rule::Protected(_, authorize) = rule else { return None };
            let scopes = authorize.scopes.as_ref()?.challenge();
            Some([scopes, ", ", &metadata].concat().into())
        };
        let of_rules = rules.iter().map(of_rule).collect();
        Self { path, document: document.into(), challenge_end: metadata.into(), of_rules }
    }

    /// The answer, if the request is one for the document. Its path is not taken for any other spelling of it.
    pub fn reply(&self, head: &RequestHead) -> Option<Reply> {
        let rest = head.target().strip_prefix(self.path.as_bytes())?;
        if !matches!(rest, [] | [b'?', ..]) {
            return None;
        }
        let (status, headers, body) = match head.value(":method") {
            Some(b"GET" | b"HEAD") => (200, DOCUMENT, Rc::clone(&self.document)),
            Some(b"OPTIONS") => (204, PREFLIGHT, Rc::default()),
            _ => (405, NOT_ALLOWED, Rc::default()),
        };
        Some(Reply { status, headers, body })
    }

    /// What a challenge ends with: where the document is, and the scopes that the rule asks for.
    pub(super) fn challenge_end(&self, rule: Option<usize>) -> Rc<str> {
        let of_rule = rule.and_then(|rule| self.of_rules.get(rule)?.as_ref());
        Rc::clone(of_rule.unwrap_or(&self.challenge_end))
    }
}
