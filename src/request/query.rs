//! The parameters of a query in all the ways in which somebody may read them: found once, however many rules look at them.

use std::cell::OnceCell;

use super::parameter::{are_too_many, decodings, divided};
use super::ParameterName;

/// The query of one request.
pub(super) struct Query<'q> {
    /// As it is divided, at `&`.
    parameters: Vec<Parameter<'q>>,
    /// What those take for parameters, too, who divide at `;` as well.
    parts: Vec<Parameter<'q>>,
}

/// A name and its value, as they are written.
struct Parameter<'q> {
    name: &'q [u8],
    value: &'q [u8],
    /// The name decoded once, and twice; none where nothing in it is encoded.
    names: Option<Box<[Vec<u8>]>>,
    /// The value decoded once, and whatever else somebody may read; once a rule looks at it.
    values: OnceCell<Box<[Vec<u8>]>>,
}

impl<'q> Query<'q> {
    /// Divides it; `None` if it has too many parameters.
    pub fn new(query: &'q [u8]) -> Option<Self> {
        if are_too_many(query) {
            return None;
        }
        let (mut parameters, mut parts) = (Vec::new(), Vec::new());
        for parameter in query.split(|&b| b == b'&') {
            parameters.push(Parameter::new(parameter));
            if parameter.contains(&b';') {
                parameter.split(|&b| b == b';').for_each(|part| parts.push(Parameter::new(part)));
            }
        }
        Some(Self { parameters, parts })
    }

    /// The value, decoded, of the first parameter of that very name.
    pub fn value(&self, name: &ParameterName) -> Option<&[u8]> {
        let own = self.parameters.iter().find(|parameter| parameter.is_named(name))?;
        own.values().first().map(Vec::as_slice)
    }

    /// Whether something holds of whatever some reader could take for the value of the one of that name.
    pub fn all_like(&self, name: &ParameterName, holds: impl Fn(&[u8]) -> bool) -> bool {
        let is_right =
            |parameter: &Parameter<'_>| !parameter.is_like(name) || parameter.values().iter().all(|value| holds(value));
        self.parameters.iter().all(is_right) && self.parts.iter().all(is_right)
    }
}

// What is called from several places is never inlined: that would be two kilobytes more.
impl<'q> Parameter<'q> {
    #[inline(never)]
    fn new(written: &'q [u8]) -> Self {
        let (name, value) = divided(written);
        let names = name.contains(&b'%').then(|| all_decodings(&[name]));
        Self { name, value, names, values: OnceCell::new() }
    }

    fn is_named(&self, name: &ParameterName) -> bool {
        let once = self.names.as_ref().and_then(|names| names.first());
        once.map_or(self.name, Vec::as_slice) == name.as_str().as_bytes()
    }

    #[inline(never)]
    fn is_like(&self, name: &ParameterName) -> bool {
        match &self.names {
            Some(names) => names.iter().any(|spelt| name.is_like(spelt)),
            None => name.is_like(self.name),
        }
    }

    /// Decoded twice as well, and with spaces for `+`, as in a form.
    #[inline(never)]
    fn values(&self) -> &[Vec<u8>] {
        self.values.get_or_init(|| {
            if !self.value.contains(&b'+') {
                return all_decodings(&[self.value]);
            }
            let spaced: Vec<u8> = self.value.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
            all_decodings(&[self.value, &spaced])
        })
    }
}

/// What these texts are decoded once, and twice.
#[inline(never)]
fn all_decodings(texts: &[&[u8]]) -> Box<[Vec<u8>]> {
    let mut all = Vec::with_capacity(2 * texts.len());
    for text in texts {
        decodings(text, &mut |decoded| {
            all.push(decoded.to_vec());
            false
        });
    }
    all.into()
}
