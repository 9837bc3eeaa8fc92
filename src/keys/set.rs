//! A key set, and which of its keys may check a token.

use std::fmt;
use std::rc::Rc;

use smallvec::{smallvec, SmallVec};

use super::document::Member;
use super::{Key, Origin, Skipped};
use crate::crypto::Alg;
use crate::limits::{MAX_KEYS, MAX_KEYS_TRIED};

/// The usable keys of one set, in their order, at least one. A set with another key that is skipped is another set: the log has to
/// say why.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    keys: Vec<Rc<Key>>,
    skipped: Vec<(usize, Skipped)>,
}

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetProblem {
    /// It is in none of the three forms.
    Malformed,
    /// None of its keys can be used; the reason for the first.
    NoUsableKey(Option<Skipped>),
}

/// Keys that may check a token; most often one.
pub type Candidates<'a> = SmallVec<[&'a Rc<Key>; MAX_KEYS_TRIED]>;

/// Which keys may check a token.
#[derive(Debug, PartialEq)]
pub enum Selection<'a> {
    /// These, tried in order: one where `kid` names it, at most [`MAX_KEYS_TRIED`] where there is no `kid`.
    Keys(Candidates<'a>),
    /// No key has that name. These have none and may be meant, again at most [`MAX_KEYS_TRIED`]; if not, a newer set may help.
    Nameless(Candidates<'a>),
    /// None, or two different ones of the same name: a newer set may help.
    Unknown,
}

impl KeySet {
    /// Reads a set. A key that cannot be used is skipped and never spoils the set.
    ///
    /// # Errors
    /// It is no key set, or no key of it can be used.
    pub fn parse(document: &[u8], origin: Origin) -> Result<Self, KeySetProblem> {
        let mut keys: Vec<Rc<Key>> = Vec::new();
        let mut skipped = Vec::new();
        for (index, member) in Member::of(document).ok_or(KeySetProblem::Malformed)?.into_iter().enumerate() {
            if keys.len() >= MAX_KEYS {
                skipped.push((index, Skipped::TooMany));
                break;
            }
            match member.read(origin) {
                Ok(key) if keys.iter().any(|known| **known == key) => {}
                Ok(key) => keys.push(Rc::new(key)),
                Err(reason) => skipped.push((index, reason)),
            }
        }
        if keys.is_empty() {
            return Err(KeySetProblem::NoUsableKey(skipped.first().map(|&(_, reason)| reason)));
        }
        skipped.truncate(MAX_KEYS);
        Ok(Self { keys, skipped })
    }

    /// Which keys may check a token with this `kid` and `alg`. A named key is the only one; where no key has that name, those
    /// without a name that fit are tried.
    pub fn select(&self, kid: Option<&str>, alg: Alg) -> Selection<'_> {
        let fitting = || self.keys.iter().filter(|key| key.allows(alg));
        if let Some(kid) = kid {
            let mut named = fitting().filter(|key| key.kid().is_some_and(|own| own == kid));
            if let Some(key) = named.next() {
                // Some issuers list one key several times, with `alg` and without.
                let is_one = named.all(|other| other.public() == key.public());
                return if is_one { Selection::Keys(smallvec![key]) } else { Selection::Unknown };
            }
            if self.keys.iter().any(|key| key.kid().is_some_and(|own| own == kid)) {
                return Selection::Unknown;
            }
        }
        let tried: Candidates<'_> =
            fitting().filter(|key| kid.is_none() || key.kid().is_none()).take(MAX_KEYS_TRIED).collect();
        match kid {
            _ if tried.is_empty() => Selection::Unknown,
            None => Selection::Keys(tried),
            Some(_) => Selection::Nameless(tried),
        }
    }

    /// Takes those of its keys that `other` has, too, from there: whoever remembers a token knows its key again.
    pub fn share_keys_with(&mut self, other: &Self) {
        for key in &mut self.keys {
            if let Some(same) = other.keys.iter().find(|same| *same == key) {
                *key = Rc::clone(same);
            }
        }
    }

    /// The usable keys.
    pub fn keys(&self) -> &[Rc<Key>] {
        &self.keys
    }

    /// The members that are not used: their place in the set, and why.
    pub fn skipped(&self) -> &[(usize, Skipped)] {
        &self.skipped
    }
}

impl fmt::Display for KeySetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a JSON object with an array \"keys\", nor keys in PEM"),
            Self::NoUsableKey(None) => f.write_str("it has no keys"),
            Self::NoUsableKey(Some(reason)) => write!(f, "none of its keys can be used; the first, because {reason}"),
        }
    }
}
