//! Requests to an upstream: from an address to the head of a request.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use smol_str::SmolStr;

use super::{ACCEPT, USER_AGENT};
use crate::verdict::HeaderMap;

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

/// A header field: its name, in lower case, and its value.
pub type Field = (SmolStr, SmolStr);

/// What is the same in every request to a service, ready when the configuration has been read.
#[derive(Clone)]
pub struct Envelope {
    cluster: SmolStr,
    fields: Rc<[Field]>,
    /// The same as the host takes them.
    map: Rc<HeaderMap>,
    timeout: Duration,
}

/// A request to an upstream.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The upstream: `cluster`.
    pub cluster: SmolStr,
    /// Those header fields, pseudo-headers among them, that other requests have, too.
    fixed: Rc<[Field]>,
    /// The same as the host takes them.
    map: Option<Rc<HeaderMap>>,
    /// The header fields of this one.
    pub own: Vec<Field>,
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

/// Values may be credentials, but for those that the configuration has in its address and method.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &Field| (name.clone(), name.starts_with(':').then(|| value.clone()));
        let fields: Vec<_> = self.fields.iter().map(shown).collect();
        f.debug_struct("Envelope")
            .field("cluster", &self.cluster)
            .field("timeout", &self.timeout)
            .field("fields", &fields)
            .finish()
    }
}

impl Endpoint {
    /// What is the same in every request to it: with these headers, and the usual ones beside them but for those named in `own`,
    /// which each request has for itself.
    pub fn envelope(&self, method: &str, headers: Vec<Field>, own: &[&str]) -> Envelope {
        let mut fields = head(method, &self.uri);
        let is_given = |name: &str| own.contains(&name) || headers.iter().any(|(known, _)| known == name);
        let usual = [("accept", ACCEPT), ("user-agent", USER_AGENT)].into_iter().filter(|(name, _)| !is_given(name));
        fields.extend(usual.map(|(name, value)| (name.into(), value.into())));
        fields.extend(headers);
        let map = Rc::new(HeaderMap::new(texts(&fields)));
        Envelope { cluster: self.cluster.as_str().into(), fields: fields.into(), map, timeout: self.timeout }
    }
}

impl Envelope {
    /// One request.
    pub fn call(&self, own: Vec<Field>, body: Vec<u8>) -> Call {
        let (fixed, map) = (Rc::clone(&self.fields), Some(Rc::clone(&self.map)));
        Call { cluster: self.cluster.clone(), fixed, map, own, body, timeout: self.timeout }
    }
}

impl Call {
    /// One that has no header field with others in common, and no body.
    pub(super) fn alone(cluster: SmolStr, own: Vec<Field>, timeout: Duration) -> Self {
        let (fixed, map, body) = Default::default();
        Self { cluster, fixed, map, own, body, timeout }
    }

    /// All header fields.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        texts(&self.fixed).chain(texts(&self.own))
    }

    /// All header fields as the host takes them: those of the configuration are ready.
    pub fn header_map(&self) -> Rc<HeaderMap> {
        let ready = self.map.as_ref().filter(|_| self.own.is_empty());
        ready.map_or_else(|| Rc::new(HeaderMap::new(self.headers())), Rc::clone)
    }
}

fn texts(fields: &[Field]) -> impl Iterator<Item = (&str, &str)> + Clone {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The pseudo-headers of a request.
pub(super) fn head(method: &str, uri: &str) -> Vec<Field> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
    let start = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(start);
    let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
    vec![
        (SmolStr::new_static(":method"), method.into()),
        (SmolStr::new_static(":scheme"), scheme.into()),
        (SmolStr::new_static(":authority"), authority.into()),
        (SmolStr::new_static(":path"), path),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_requests_to_a_service_have_is_ready_for_the_host() {
        let field = |name: &'static str, value: &'static str| (SmolStr::new_static(name), SmolStr::new_static(value));
        let endpoint = Endpoint {
            uri: "http://authz.example/check?x".to_owned(),
            cluster: "authz".to_owned(),
            timeout: Duration::from_secs(1),
        };
        let envelope = endpoint.envelope("POST", vec![field("x-key", "1")], &[]);
        let (one, other) = (envelope.call(Vec::new(), vec![1]), envelope.call(Vec::new(), vec![2]));
        assert!(Rc::ptr_eq(&one.header_map(), &other.header_map()));
        let own = envelope.call(vec![field("x-user", "alice")], Vec::new());
        for call in [one, own.clone()] {
            assert_eq!(*call.header_map(), HeaderMap::new(call.headers()));
        }
        let expected = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "authz.example"),
            (":path", "/check?x"),
            ("accept", ACCEPT),
            ("user-agent", USER_AGENT),
            ("x-key", "1"),
            ("x-user", "alice"),
        ];
        assert!(own.headers().eq(expected));
    }
}
