//! Requests to an upstream: from an address to the head of a request.

use std::fmt;
use std::time::Duration;

use super::{ACCEPT, USER_AGENT};

/// Where a service is: `http_uri`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `uri`.
    pub uri: String,
    /// `cluster`: the host's name for the upstream.
    pub cluster: String,
    /// `timeout`: the longest that it may take to answer.
    pub timeout: Duration,
}

/// A request to an upstream.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The upstream: `cluster`.
    pub cluster: String,
    /// Header fields, pseudo-headers among them.
    pub headers: Vec<(String, String)>,
    /// The body; empty, if it has none.
    pub body: Vec<u8>,
    /// When the host gives up.
    pub timeout: Duration,
}

/// Headers and body may be credentials.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.cluster)
    }
}

impl Endpoint {
    /// A request to it, with what stands in every one.
    pub fn call(&self, method: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Call {
        let mut fields = head(method, &self.uri);
        let is_given = |name: &str| headers.iter().any(|(known, _)| known == name);
        let own = [("accept", ACCEPT), ("user-agent", USER_AGENT)].into_iter().filter(|(name, _)| !is_given(name));
        fields.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        fields.extend(headers);
        Call { cluster: self.cluster.clone(), headers: fields, body, timeout: self.timeout }
    }
}

/// The pseudo-headers of a request.
pub(super) fn head(method: &str, uri: &str) -> Vec<(String, String)> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
    let start = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(start);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    vec![
        (":method".to_owned(), method.to_owned()),
        (":scheme".to_owned(), scheme.to_owned()),
        (":authority".to_owned(), authority.to_owned()),
        (":path".to_owned(), path),
    ]
}

/// Whether `uri` is an address that a request can be sent to: `http://host/path` or `https://host/path`, in plain characters.
pub fn is_address(uri: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| uri.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
            && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
    })
}
