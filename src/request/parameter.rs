//! The name of a parameter of the query, and what some reader could take for it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::limits::MAX_QUERY_PARAMETERS;

/// A name, with what lenient readers make of it at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterName {
    name: String,
    folded: Vec<u8>,
    /// Whether it is a part of another one: `a[x]` of `a`.
    is_part: bool,
}

impl ParameterName {
    /// Takes a name, decoded.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), folded: folded(name.as_bytes()).collect(), is_part: name.contains('[') }
    }

    /// The name, decoded.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether that is how a query writes this very name.
    pub fn is_written(&self, name: &[u8]) -> bool {
        percent_decode(name).eq(self.name.bytes())
    }

    /// The parameters, in names and values as they are written, that some reader could take for one of that name.
    pub fn find<'q>(
        &'q self,
        query: &'q [u8],
        dividers: &'q [u8],
    ) -> impl Iterator<Item = (&'q [u8], &'q [u8])> + use<'q> {
        let parameters = query.split(|b| dividers.contains(b)).map(divided);
        parameters.filter(|(spelt, _)| decodings(spelt, &mut |name| self.is_like(name)))
    }

    /// As the most lenient readers take it: in any case, `a[]` and `a[x]` for more of `a`, `a.b` and `a b` for `a_b`. Of `a[x]` there
    /// may be others beside it: `a[y]` is another parameter, while `a` and `a[]` stand for all of `a`.
    pub(super) fn is_like(&self, spelt: &[u8]) -> bool {
        let is_alike = || folded(spelt).eq(self.folded.iter().copied());
        let stands_for_all = || match spelt.iter().position(|&b| b == b'[') {
            None => true,
            Some(at) => spelt.get(at..) == Some(b"[]"),
        };
        let whole = |b: &u8| *b != b'[';
        folded(spelt).take_while(whole).eq(self.folded.iter().copied().take_while(whole))
            && (!self.is_part || is_alike() || stands_for_all())
    }
}

/// Whether a query has more parameters than everybody reads, wherever it is divided.
pub(super) fn are_too_many(query: &[u8]) -> bool {
    query.iter().filter(|&&b| matches!(b, b'&' | b';')).count() >= MAX_QUERY_PARAMETERS
}

/// Name and value of a parameter, as they are written; one without `=` has the empty value.
pub(super) fn divided(parameter: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = parameter.splitn(2, |&b| b == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Whether something holds of a text of the query decoded once, or twice where that may be something else. What is in no code is not
/// copied.
pub(super) fn decodings(text: &[u8], holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let once = Cow::from(percent_decode(text));
    holds(&once) || matches!(&once, Cow::Owned(once) if holds(&Cow::from(percent_decode(once))))
}

/// In lower case, without what some readers drop, and with one letter for what some take for that.
fn folded(name: &[u8]) -> impl Iterator<Item = u8> + use<'_> {
    let name = name.iter().skip_while(|&b| matches!(b, b' ' | b'+')).take_while(|&&b| b != b'\0');
    name.map(|&b| if matches!(b, b'.' | b' ' | b'+') { b'_' } else { b.to_ascii_lowercase() })
}
