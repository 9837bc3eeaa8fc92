//! Documents that are fetched and kept: key sets and revocation lists share one engine.
//!
//! A [`Document`] is a state machine, pure, with the time passed in. Every worker thread of a proxy runs a VM of its own, so the
//! process shares one small [`Record`] per source by compare-and-swap: who holds the lease on the next fetch, when it is due,
//! and which version is current. One VM fetches, all load; a fetch costs the issuer one request, however many workers there
//! are. The record outlives a reconfiguration, and with it what was fetched.

mod cache_control;
mod contract;
mod discovery;
mod document;
mod endpoint;
mod fetched;
mod key_set;
mod loss;
mod pace;
mod record;
mod said;
mod schedule;

use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::redact::Redacted;
use crate::request::RequestHead;
use crate::verdict::HeaderName;

pub use contract::{Gauge, Input, Need, Output};
pub use discovery::Discovery;
pub use document::Document;
pub use endpoint::{is_address, Call, Endpoint, Envelope, Field};
pub use fetched::Outcome;
pub use pace::{Pace, Retries};
pub use record::Record;
use record::LAYOUT;

const ACCEPT: &str = "application/json";

const USER_AGENT: &str = concat!("jwt-gate/", env!("CARGO_PKG_VERSION"));

/// What a document holds.
pub trait Content: PartialEq + Sized {
    /// What it is called in messages.
    const NAME: &'static str;

    /// The longest body that is read, in bytes.
    const MAX_BYTES: usize;

    /// Reads a body. The last good content stays where this fails.
    ///
    /// # Errors
    /// A sentence without any part of the body.
    fn parse(body: &[u8]) -> Result<Self, String>;

    /// Takes over from the content before it what is the same there.
    fn inherit(&mut self, _before: &Self) {}

    /// How many keys or entries it has.
    fn length(&self) -> usize;

    /// One line about it, for the log.
    fn summary(&self) -> String;
}

/// Where a document comes from and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The field that configures it; names it in messages.
    pub field: String,
    /// Where that is.
    pub address: Address,
    /// The host's name for the upstream: `http_uri.cluster` or `jwks_cluster`.
    pub cluster: String,
    /// `timeout`: the longest a request takes, and a fetch from a fixed address with all of its attempts.
    pub timeout: Duration,
    /// `cache_duration` or `refresh_interval`: the longest between two fetches.
    pub lifetime: Duration,
    /// `refetch_on_unknown_kid`: an unknown key asks for a fetch.
    pub refetch_on_unknown_kid: bool,
    /// `refetch_cooldown`: the shortest between two fetches that unknown keys ask for.
    pub cooldown: Duration,
    /// `max_stale`: how long the last good content serves from the last fetch that succeeded.
    pub max_stale: Duration,
    /// What follows a failure.
    pub pace: Pace,
    /// `request_headers`: names and values, which may be credentials.
    pub request_headers: Vec<(HeaderName, Redacted<String>)>,
}

/// The address of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http_uri.uri`.
    Fixed(String),
    /// Whatever the issuer says before each fetch.
    Discovered(Discovery),
}

/// What the source answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// `:status`; `None` where the host made no connection.
    pub status: Option<u16>,
    /// The host did not even call: it knows no such upstream, or has not found its hosts yet.
    pub not_sent: bool,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body, cut one byte beyond the limit of what was asked for.
    pub body: Vec<u8>,
    /// All header fields.
    pub head: RequestHead,
}

impl Source {
    /// Whether both are one document, whatever the field is called that configures it.
    pub fn same_as(&self, other: &Self) -> bool {
        // Each field by its name, so that none that comes later is forgotten.
        let Self {
            field: _,
            address,
            cluster,
            timeout,
            lifetime,
            refetch_on_unknown_kid,
            cooldown,
            max_stale,
            pace,
            request_headers,
        } = self;
        *address == other.address
            && *cluster == other.cluster
            && *timeout == other.timeout
            && *lifetime == other.lifetime
            && *refetch_on_unknown_kid == other.refetch_on_unknown_kid
            && *cooldown == other.cooldown
            && *max_stale == other.max_stale
            && *pace == other.pace
            && *request_headers == other.request_headers
    }

    /// Whether both are fetched from one place, by the same request.
    pub fn has_place_of(&self, other: &Self) -> bool {
        fn place(source: &Source) -> (&str, Option<&str>) {
            match &source.address {
                Address::Fixed(uri) => (uri, None),
                Address::Discovered(Discovery { issuer, cluster, .. }) => (issuer, Some(cluster)),
            }
        }
        place(self) == place(other) && self.cluster == other.cluster && self.request_headers == other.request_headers
    }

    /// The name of a document of this kind by which VMs share it.
    fn shared_name(&self, kind: &str) -> String {
        let address = match &self.address {
            Address::Fixed(uri) => uri.clone(),
            Address::Discovered(discovery) => format!("of {} by {}", discovery.issuer, discovery.cluster),
        };
        format!("{LAYOUT} {kind} {} {address}{}", self.cluster, self.variant())
    }

    /// Tells sources apart that differ in what they send alone, without naming it.
    fn variant(&self) -> String {
        if self.request_headers.is_empty() {
            return String::new();
        }
        let mut hasher = SipHasher24::new();
        for (name, value) in &self.request_headers {
            hasher.write(name.as_str().as_bytes());
            hasher.write(b": ");
            hasher.write(value.0.as_bytes());
            hasher.write(b"\n");
        }
        format!(" {:032x}", hasher.finish128().as_u128())
    }

    /// The longest that a fetch takes, with all of its attempts.
    fn longest(&self) -> Duration {
        let requests = match self.address {
            Address::Fixed(_) => 1,
            Address::Discovered(_) => 3,
        };
        self.timeout.saturating_mul(requests)
    }

    /// The request that fetches it at `uri`, conditional where an `ETag` is known (RFC 9110 section 13.1.2).
    fn call(&self, uri: &str, etag: Option<&str>) -> Call {
        let mut own = endpoint::head("GET", uri);
        let usual = [("accept", ACCEPT), ("user-agent", USER_AGENT), ("if-none-match", etag.unwrap_or_default())];
        let configured = |name: &str| self.request_headers.iter().any(|(known, _)| known.as_str() == name);
        let usual = usual.into_iter().filter(|(name, value)| !value.is_empty() && !configured(name));
        own.extend(usual.map(|(name, value)| (name.into(), value.into())));
        own.extend(self.request_headers.iter().map(|(name, value)| (name.shared(), value.0.as_str().into())));
        Call::alone(self.cluster.as_str().into(), own, self.timeout)
    }
}
