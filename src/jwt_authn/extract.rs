//! Where Envoy looks for tokens, in its order, and what it takes out of a request.

use super::headers::Headers;
use super::outputs::Outputs;
use super::provider::Provider;
use super::query::{first, Query};
use crate::request::behind_prefix;
use crate::verdict::HeaderName;

/// The places where the tokens of one provider are, or those of several together.
#[derive(Clone, Debug, Default)]
pub struct Extractor {
    /// By name and prefix in one.
    headers: Places<(HeaderName, String)>,
    params: Places<()>,
    cookies: Places<()>,
    outputs: Outputs,
}

/// Places of one kind by their keys, in the order of these: that is Envoy's.
#[derive(Clone, Debug)]
struct Places<P>(Vec<(String, P, Issuers)>);

/// Whose tokens a place may hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Issuers {
    any: bool,
    named: Vec<String>,
}

/// A token, and where it was.
pub(super) struct Found<'e> {
    pub token: Vec<u8>,
    pub issuers: &'e Issuers,
    place: Place<'e>,
}

enum Place<'e> {
    Header(&'e HeaderName),
    Param(&'e str),
    /// Envoy leaves cookies as they are.
    Cookie,
}

impl Extractor {
    /// Looks wherever these providers say.
    pub fn new<'p>(providers: impl IntoIterator<Item = &'p Provider>) -> Self {
        let mut extractor = Self::default();
        for provider in providers {
            let issuer = provider.issuer.as_str();
            for (name, prefix) in &provider.from_headers {
                let key = format!("{}{prefix}", name.as_str());
                extractor.headers.add(&key, (name.clone(), prefix.clone()), issuer);
            }
            for name in &provider.from_params {
                extractor.params.add(name, (), issuer);
            }
            for name in &provider.from_cookies {
                extractor.cookies.add(name, (), issuer);
            }
            extractor.outputs.add(provider);
        }
        extractor
    }

    /// Takes the headers out that these providers set.
    pub(super) fn sanitize(&self, headers: &mut Headers<'_>) {
        self.outputs.sanitize(headers);
    }

    /// Every token, in Envoy's order; it tries the last one first.
    pub(super) fn extract(&self, headers: &Headers<'_>) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        for (_, (name, prefix), issuers) in &self.headers.0 {
            let tokens = headers.values(name.as_str()).filter_map(|value| behind_prefix(value, prefix));
            found.extend(tokens.map(|token| Found { token: token.to_vec(), issuers, place: Place::Header(name) }));
        }
        for (name, (), issuers) in &self.params.0 {
            let token = first(&headers.target(), name);
            found.extend(token.map(|token| Found { token, issuers, place: Place::Param(name) }));
        }
        for (name, (), issuers) in &self.cookies.0 {
            let token = cookie(headers, name).map(<[u8]>::to_vec);
            found.extend(token.map(|token| Found { token, issuers, place: Place::Cookie }));
        }
        found
    }
}

impl<P> Places<P> {
    fn add(&mut self, key: &str, place: P, issuer: &str) {
        if let Some((.., issuers)) = self.0.iter_mut().find(|(known, ..)| known == key) {
            issuers.add(issuer);
            return;
        }
        let mut issuers = Issuers::default();
        issuers.add(issuer);
        let before = self.0.partition_point(|(known, ..)| known.as_str() < key);
        self.0.insert(before, (key.to_owned(), place, issuers));
    }
}

impl<P> Default for Places<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Issuers {
    fn add(&mut self, issuer: &str) {
        if issuer.is_empty() {
            self.any = true;
        } else {
            self.named.push(issuer.to_owned());
        }
    }

    /// Whether a token of that issuer may be here.
    pub fn allow(&self, issuer: &str) -> bool {
        self.any || self.named.iter().any(|named| named == issuer)
    }
}

impl Found<'_> {
    /// Takes the token out of the request.
    pub fn remove(&self, headers: &mut Headers<'_>) {
        match self.place {
            Place::Header(name) => headers.remove(name),
            Place::Param(name) => {
                let target = headers.target();
                let mut query = Query::of(&target);
                query.remove(name);
                headers.set_target(query.write(&target));
            }
            Place::Cookie => {}
        }
    }
}

/// The first cookie of that name, without the quotes around its value.
fn cookie<'h>(headers: &'h Headers<'_>, name: &'h str) -> Option<&'h [u8]> {
    let pairs = headers.values("cookie").flat_map(|value| value.split(|&b| b == b';'));
    let mut values = pairs.filter_map(|pair| {
        let pair = pair.get(pair.iter().position(|&b| b != b' ')?..)?;
        let at = pair.iter().position(|&b| b == b'=')?;
        (pair.get(..at) == Some(name.as_bytes())).then(|| pair.get(at + 1..).unwrap_or_default())
    });
    let value = values.next()?;
    Some(match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    })
}
