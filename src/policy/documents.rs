//! The fetched documents that the providers refer to.

use std::time::Duration;

use super::{Question, RevocationList, Services};
use crate::jwt_verify;
use crate::keys::KeySet;
use crate::remote::{Document, Input, Need, Output};
use crate::time::UnixTime;

/// One of [`Documents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentId {
    /// A key set.
    KeySet(usize),
    /// A key set, as `semantics: jwt_authn` reads it.
    JwtKeySet(usize),
    /// A revocation list.
    Revocations(usize),
}

/// What a decision lacks, where waiting could bring it.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// A fetched document.
    Document(DocumentId, Need),
    /// The answer of a service.
    Answer(Box<Question>),
}

/// Every fetched document of one configuration, and every service that it asks.
#[derive(Debug)]
pub struct Documents {
    /// The sources of `remote_jwks`.
    pub key_sets: Vec<Document<KeySet>>,
    /// The sources of `remote_jwks` with `semantics: jwt_authn`.
    pub jwt_key_sets: Vec<Document<jwt_verify::KeySet>>,
    /// The sources of `revocation`.
    pub revocations: Vec<Document<RevocationList>>,
    /// Those of `introspection` and `authorize.service`.
    pub services: Services,
}

macro_rules! either {
    ($documents:expr, $id:expr, $get:ident, $document:ident => $then:expr) => {
        match $id {
            DocumentId::KeySet(index) => $documents.key_sets.$get(index).map(|$document| $then),
            DocumentId::JwtKeySet(index) => $documents.jwt_key_sets.$get(index).map(|$document| $then),
            DocumentId::Revocations(index) => $documents.revocations.$get(index).map(|$document| $then),
        }
    };
}

impl Documents {
    /// Every document.
    pub fn ids(&self) -> Vec<DocumentId> {
        let key_sets = (0..self.key_sets.len()).map(DocumentId::KeySet);
        let jwt_key_sets = (0..self.jwt_key_sets.len()).map(DocumentId::JwtKeySet);
        let revocations = (0..self.revocations.len()).map(DocumentId::Revocations);
        key_sets.chain(jwt_key_sets).chain(revocations).collect()
    }

    /// See [`Document::handle`].
    pub fn handle(&mut self, id: DocumentId, input: Input<'_>, now: UnixTime) -> Vec<Output> {
        either!(self, id, get_mut, document => document.handle(input, now)).unwrap_or_default()
    }

    /// See [`Document::could_meet`].
    pub fn could_meet(&self, id: DocumentId, need: Need, now: UnixTime) -> bool {
        either!(self, id, get, document => document.could_meet(need, now)).unwrap_or(false)
    }

    /// Asks for what is needed, and says how long to wait for it.
    pub fn want(&mut self, id: DocumentId, need: Need, now: UnixTime) -> Duration {
        either!(self, id, get_mut, document => {
            if need == Need::Newer {
                document.want_newer(now);
            }
            document.patience()
        })
        .unwrap_or_default()
    }

    /// The name under which the VMs of a process share the document.
    pub fn shared_name(&self, id: DocumentId) -> &str {
        either!(self, id, get, document => document.shared_name()).unwrap_or_default()
    }
}
