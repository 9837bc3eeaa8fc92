//! What the answer to a fetch means: new content, the old one confirmed, or a failure.

use std::rc::Rc;

use super::cache_control::Freshness;
use super::{Address, Answer, Content, Source};

/// How a fetch ended.
#[derive(Clone, Debug)]
pub(super) enum Fetched<T> {
    Content {
        content: Rc<T>,
        body: Vec<u8>,
        validator: Validator,
        freshness: Freshness,
    },
    /// What is not said again stays as it was (RFC 9111 section 4.3.4).
    NotModified {
        freshness: Option<Freshness>,
    },
    Failed(Failure),
}

/// What makes the next request conditional. An `ETag` says nothing of another address than its own (RFC 9110 section 8.8.3).
#[derive(Clone, Debug, Default)]
pub(super) struct Validator {
    pub address: String,
    /// Empty if there is none.
    pub etag: String,
}

impl Validator {
    /// The `ETag` to send to `address`.
    pub fn etag_for(&self, address: &str) -> Option<&str> {
        (self.address == address && !self.etag.is_empty()).then_some(self.etag.as_str())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub problem: String,
    pub kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FailureKind {
    /// What was sent is wrong.
    Content,
    /// The connection's fault or the server's, not that of what it sent: another attempt may mend it.
    Connection,
    /// The host did not call: nobody was asked.
    NotSent,
}

impl Failure {
    /// Of an answer with another status than the one that was to come, or of none, from this upstream.
    pub fn of(answer: Option<&Answer>, cluster: &str) -> Self {
        let (problem, kind) = match answer {
            None => (format!("no answer from the upstream \"{cluster}\""), FailureKind::Connection),
            Some(Answer { not_sent: true, .. }) => {
                let problem = format!("the host has no upstream \"{cluster}\", or has not found its hosts yet");
                (problem, FailureKind::NotSent)
            }
            Some(Answer { status: None, .. }) => ("no connection".to_owned(), FailureKind::Connection),
            Some(Answer { status: Some(status), .. }) => {
                let kind = if *status < 500 { FailureKind::Content } else { FailureKind::Connection };
                (format!("status {status}"), kind)
            }
        };
        Self { problem, kind }
    }

    /// Of a discovery in both forms; what went wrong with the first.
    pub fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let problem = format!(
            "discovery: openid-configuration: {}; oauth-authorization-server: {}",
            before.problem, self.problem
        );
        Self { problem, kind: self.kind.max(before.kind) }
    }
}

/// How a fetch ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A readable body.
    Ok,
    /// 304.
    NotModified,
    /// Anything else.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::NotModified, Self::Failed];

    /// The stable name, in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotModified => "not_modified",
            Self::Failed => "failed",
        }
    }
}

impl<T: Content> Fetched<T> {
    /// Reads what `address` answered; `conditional` says whether 304 can be an answer.
    pub fn of(answer: Option<Answer>, address: String, conditional: bool, source: &Source) -> Self {
        let content = |problem: String| Fetched::Failed(Failure { problem, kind: FailureKind::Content });
        match answer {
            Some(Answer { status: Some(200), body, .. }) if body.len() > T::MAX_BYTES => {
                content(format!("the answer has more than {} bytes", T::MAX_BYTES))
            }
            Some(Answer { status: Some(200), etag, cache_control, body, .. }) => match T::parse(&body) {
                Ok(content) => {
                    let freshness = cache_control.as_deref().map(Freshness::read).unwrap_or_default();
                    let validator = Validator { address, etag: etag.unwrap_or_default() };
                    Fetched::Content { content: Rc::new(content), body, validator, freshness }
                }
                Err(problem) => content(problem),
            },
            Some(Answer { status: Some(304), cache_control, .. }) if conditional => {
                Fetched::NotModified { freshness: cache_control.as_deref().map(Freshness::read) }
            }
            answer => {
                let failure = Failure::of(answer.as_ref(), &source.cluster);
                // Whoever was asked where the keys are has been asked.
                let is_asked = matches!(source.address, Address::Discovered(_));
                let kind = if is_asked { failure.kind.min(FailureKind::Connection) } else { failure.kind };
                Fetched::Failed(Failure { kind, ..failure })
            }
        }
    }

    /// Why it failed.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Content { .. } | Self::NotModified { .. } => None,
        }
    }

    /// What is counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Content { .. } => Outcome::Ok,
            Self::NotModified { .. } => Outcome::NotModified,
            Self::Failed(_) => Outcome::Failed,
        }
    }
}
