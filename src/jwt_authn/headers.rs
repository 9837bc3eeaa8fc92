//! The headers of a request as Envoy's filter sees them: it edits them while it checks, and what it took out for one provider
//! the next one does not find.

use std::borrow::Cow;

use smol_str::SmolStr;

use crate::request::RequestHead;
use crate::verdict::{Edits, FieldValue, HeaderName};

/// The headers of one request, edited so far.
pub(super) struct Headers<'a> {
    head: &'a RequestHead,
    edits: Edits,
}

impl<'a> Headers<'a> {
    /// As they came.
    pub fn new(head: &'a RequestHead) -> Self {
        Self { head, edits: Edits::default() }
    }

    /// Every value of the header, in order.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let is_removed = self.edits.remove.iter().any(|removed| removed == name);
        let added = self.edits.add.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value);
        self.head.values(name).filter(move |_| !is_removed).chain(added)
    }

    /// `:path`, with its query.
    pub fn target(&self) -> Cow<'a, [u8]> {
        let set = self.edits.set.iter().find(|(name, _)| name == ":path");
        set.map_or(Cow::Borrowed(self.head.target()), |(_, target)| Cow::Owned(target.to_vec()))
    }

    /// Takes every value of the header out.
    pub fn remove(&mut self, name: &HeaderName) {
        self.edits.add.retain(|(known, _)| known != name.as_str());
        if self.head.has(name.as_str()) {
            self.edits.remove(name.shared());
        }
    }

    /// Adds a value beside what is there.
    pub fn add(&mut self, name: &HeaderName, value: impl Into<FieldValue>) {
        self.edits.add.push((name.shared(), value.into()));
    }

    /// Sets `:path`.
    pub fn set_target(&mut self, target: Vec<u8>) {
        self.edits.set(SmolStr::new_static(":path"), target);
    }

    /// What was edited.
    pub fn into_edits(self) -> Edits {
        self.edits
    }
}
