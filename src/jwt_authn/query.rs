//! The query of a request as Envoy reads it, and writes it again without a token.

use percent_encoding::percent_decode;

use crate::order::{self, Numbered};
use crate::request::without_query;

/// Names and values, decoded, in the order of the names; those of one name in their own.
pub(super) struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads the query of `:path`.
    pub fn of(target: &[u8]) -> Self {
        let written: Vec<(&[u8], &[u8])> = params(target).collect();
        let names: Vec<Vec<u8>> = written.iter().map(|(name, _)| percent_decode(name).collect()).collect();
        let mut order: Vec<Numbered<'_>> = names.iter().enumerate().map(|(place, name)| (&**name, place)).collect();
        order::sort(&mut order);
        let decoded = |(name, place): Numbered<'_>| {
            let (_, value) = written.get(place)?;
            Some((name.to_vec(), percent_decode(value).collect()))
        };
        Self(order.into_iter().filter_map(decoded).collect())
    }

    /// Takes every parameter of that name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name.as_bytes());
    }

    /// `:path` with these parameters, which Envoy does not encode again.
    pub fn write(&self, target: &[u8]) -> Vec<u8> {
        let (path, _) = without_query(target);
        let mut written = path.to_vec();
        for (index, (name, value)) in self.0.iter().enumerate() {
            written.push(if index == 0 { b'?' } else { b'&' });
            written.extend_from_slice(name);
            written.push(b'=');
            written.extend_from_slice(value);
        }
        written
    }
}

/// The first value of that name in the query of `:path`, decoded.
pub(super) fn first(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let (_, value) = params(target).find(|(known, _)| percent_decode(known).eq(name.bytes()))?;
    Some(percent_decode(value).collect())
}

/// Names and values as they are written.
fn params(target: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (_, query) = without_query(target);
    // Nothing between two ampersands is a parameter without a name; nothing behind the last one is none.
    let query = query.strip_suffix(b"&").unwrap_or(query);
    let params = query.split(|&b| b == b'&').filter(|_| !query.is_empty());
    params.map(|param| match param.iter().position(|&b| b == b'=') {
        Some(at) => (param.get(..at).unwrap_or_default(), param.get(at + 1..).unwrap_or_default()),
        None => (param, &[][..]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_its_token_is_written_as_envoy_writes_it() {
        for (target, written) in [
            ("/a?t=x", "/a"),
            ("/a?t=x&x=1", "/a?x=1"),
            ("/a?b=2&a=1&t=x&a=0&c", "/a?a=1&a=0&b=2&c="),
            ("/a?x=%2F%20+a&t=x", "/a?x=/ +a"),
            ("/a?x==&&t=x&&y", "/a?=&=&x==&y="),
            ("/a?&t=x", "/a?="),
            ("/a?t=x&", "/a"),
            ("/?a?b&t=x", "/?a?b="),
            ("/a?%74=x", "/a"),
        ] {
            let mut query = Query::of(target.as_bytes());
            assert_eq!(first(target.as_bytes(), "t").as_deref(), Some(&b"x"[..]), "{target}");
            query.remove("t");
            assert_eq!(String::from_utf8(query.write(target.as_bytes())).unwrap(), written, "{target}");
        }
        assert_eq!(first(b"/a?", ""), None);
        assert_eq!(first(b"/a?T=1&t=%32&%74=3", "t").as_deref(), Some(&b"2"[..]));
    }
}
