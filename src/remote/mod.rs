//! Documents that are fetched and kept: key sets and revocation lists share one engine.
//!
//! A [`Document`] is a state machine, pure, with the time passed in. Every worker thread of a proxy runs a VM of its own, so the
//! process shares one small [`Record`] per source by compare-and-swap: who holds the lease on the next fetch, when it is due,
//! and which version is current. One VM fetches, all load; a fetch costs the issuer one request, however many workers there
//! are. The record outlives a reconfiguration, and with it what was fetched.

mod cache_control;
mod document;
mod key_set;
mod record;

use std::time::Duration;

pub use document::{Document, Input, Need, Outcome, Output};
pub use record::Record;

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

    /// One line about it, for the log.
    fn summary(&self) -> String;
}

/// Where a document comes from and how long it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The field that configures it; names it in messages.
    pub field: String,
    /// `http_uri.uri`.
    pub uri: String,
    /// `http_uri.cluster`: the host's name for the upstream.
    pub cluster: String,
    /// `http_uri.timeout`: the longest a fetch takes.
    pub timeout: Duration,
    /// `cache_duration` or `refresh_interval`: the longest between two fetches.
    pub lifetime: Duration,
    /// `refetch_cooldown`: the shortest between two fetches that unknown keys ask for.
    pub cooldown: Duration,
    /// `max_stale`: how long the last good content serves when no fetch succeeds.
    pub max_stale: Duration,
}

/// A request to the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The upstream.
    pub cluster: String,
    /// Header fields, pseudo-headers among them.
    pub headers: Vec<(&'static str, String)>,
    /// When the host gives up.
    pub timeout: Duration,
}

/// What the source answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `:status`; `None` where the host made no connection.
    pub status: Option<u16>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body, cut one byte beyond the limit of the document.
    pub body: Vec<u8>,
}

impl Source {
    /// The request that fetches it, conditional where an `ETag` is known (RFC 9110 section 13.1.2).
    fn call(&self, etag: Option<&str>) -> Call {
        let (scheme, rest) = self.uri.split_once("://").unwrap_or(("http", &self.uri));
        let start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(start);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let mut headers = vec![
            (":method", "GET".to_owned()),
            (":scheme", scheme.to_owned()),
            (":authority", authority.to_owned()),
            (":path", path),
            ("accept", "application/json".to_owned()),
            ("user-agent", concat!("jwt-gate/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        if let Some(etag) = etag {
            headers.push(("if-none-match", etag.to_owned()));
        }
        Call { cluster: self.cluster.clone(), headers, timeout: self.timeout }
    }
}
