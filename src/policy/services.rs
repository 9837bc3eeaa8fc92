//! The services that are asked about a token or a request, and what they found.
//!
//! A question is known by all that is sent with it: two that are equal are one, and an answer that is kept is never that to another
//! question. Only its own VM keeps it.

use std::fmt;
use std::hash::Hasher;
use std::rc::Rc;
use std::time::Duration;

use quick_cache::unsync::Cache;
use quick_cache::Weighter;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{introspection, service, AuthorizationService, Introspection};
use crate::cache::capacity;
use crate::hashed::ByNumber;
use crate::jose::Verified;
use crate::limits::{CACHED_TOKEN_BYTES, MAX_SERVICE_ANSWER_BYTES};
use crate::remote::{Answer, Call, Envelope};
use crate::time::UnixTime;
use crate::verdict::HeaderName;

/// A service that is asked.
#[derive(Clone, Debug)]
pub struct Service {
    /// Where it is, and what every question to it is sent with.
    pub envelope: Envelope,
    /// About what, and how.
    pub protocol: Protocol,
    /// `max_entries` of its `cache`.
    pub max_entries: usize,
}

impl Service {
    /// The headers that its answer may set.
    pub fn response_headers(&self) -> &[HeaderName] {
        match &self.protocol {
            Protocol::Authorization(service) => service.response_headers(),
            Protocol::Introspection(_) => &[],
        }
    }
}

/// What a service is asked about.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// Tokens: `introspection`.
    Introspection(Introspection),
    /// Requests: `authorize.service`.
    Authorization(Box<AuthorizationService>),
}

/// What a service found.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The token is active, and this is what its issuer says of it.
    Active(Rc<Verified>),
    /// It is not.
    Inactive,
    /// The request may pass, with these headers.
    Allowed(Vec<(HeaderName, Vec<u8>)>),
    /// It may not.
    Refused,
    /// No answer.
    Unavailable,
    /// An answer that is none. A client could bring one about by what it sends, so it never counts as an outage.
    Unreadable,
}

impl Finding {
    /// Whether the service has said something.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Unavailable | Self::Unreadable)
    }
}

/// A question, not asked yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The service of that index.
    pub service: usize,
    /// The fingerprint of all that is sent.
    pub key: Key,
    /// What is sent.
    pub call: Call,
    /// When the token that it is about expires: no answer is kept for longer.
    pub expires: Option<UnixTime>,
}

/// Stands for one question to one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

/// All of them, in one VM.
pub struct Services {
    all: Vec<Asked>,
    fingerprints: SipHasher13,
    given: Vec<(Key, Finding)>,
}

/// What is kept came from tokens.
impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} services", self.all.len())
    }
}

struct Asked {
    service: Service,
    kept: Cache<u128, Kept, ByBytes, ByNumber>,
}

/// As with remembered tokens, the bound on bytes is one on entries too: what an answer holds is up to who gives it.
#[derive(Clone)]
struct ByBytes;

impl Weighter<u128, Kept> for ByBytes {
    fn weight(&self, _: &u128, kept: &Kept) -> u64 {
        let size = match &kept.finding {
            Finding::Active(verified) => verified.size(),
            Finding::Allowed(headers) => headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
            _ => 0,
        };
        size.max(CACHED_TOKEN_BYTES) as u64
    }
}

struct Kept {
    finding: Finding,
    since: UnixTime,
    until: UnixTime,
}

impl Services {
    /// Services that were not asked yet. `secret` is the key of the fingerprints.
    pub fn new(services: &[Service], secret: (u64, u64)) -> Self {
        let asked = |service: &Service| {
            let (size, hasher) = (service.max_entries, ByNumber::default());
            let kept = Cache::with(size, capacity(size), ByBytes, hasher, Default::default());
            Asked { service: service.clone(), kept }
        };
        let fingerprints = SipHasher13::new_with_keys(secret.0, secret.1);
        Self { all: services.iter().map(asked).collect(), fingerprints, given: Vec::new() }
    }

    /// The service of that index.
    pub fn get(&self, index: usize) -> Option<&Service> {
        self.all.get(index).map(|asked| &asked.service)
    }

    /// The fingerprint of a question: of all its parts, and where each begins.
    pub fn key<'p>(&self, service: usize, parts: impl IntoIterator<Item = &'p [u8]>) -> Key {
        let mut hasher = self.fingerprints;
        hasher.write_u64(service as u64);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        Key(hasher.finish128().as_u128())
    }

    /// What was found: for the request at hand, or kept.
    pub fn find(&self, service: usize, key: Key, now: UnixTime) -> Option<Finding> {
        if let Some((_, finding)) = self.given.iter().find(|(known, _)| *known == key) {
            return Some(finding.clone());
        }
        // A clock that was set back must not make it last longer.
        let kept = self.all.get(service)?.kept.get(&key.0)?;
        (kept.since..kept.until).contains(&now).then(|| kept.finding.clone())
    }

    /// What the request at hand waited for.
    pub fn give(&mut self, given: Vec<(Key, Finding)>) {
        self.given = given;
    }

    /// Takes that back.
    pub fn take_back(&mut self) -> Vec<(Key, Finding)> {
        std::mem::take(&mut self.given)
    }

    /// Reads the answer to `question`, and keeps what it says for as long as that holds.
    pub fn answered(&mut self, question: &Question, answer: Option<&Answer>, now: UnixTime) -> Finding {
        let Some(asked) = self.all.get_mut(question.service) else {
            return Finding::Unavailable;
        };
        let (finding, ttl) = match &asked.service.protocol {
            _ if answer.is_some_and(|answer| answer.body.len() > MAX_SERVICE_ANSWER_BYTES) => {
                (Finding::Unreadable, Duration::ZERO)
            }
            Protocol::Introspection(issuer) => introspection::read(issuer, answer),
            Protocol::Authorization(service) => service::read(service, answer),
        };
        let expires = match &finding {
            Finding::Active(verified) => verified.claims().expires(),
            _ => question.expires,
        };
        if finding.is_answer() && !ttl.is_zero() {
            let until = now.plus(ttl);
            let until = expires.map_or(until, |expires| until.min(expires));
            asked.kept.insert(question.key.0, Kept { finding: finding.clone(), since: now, until });
        }
        finding
    }
}
