//! One JWK, and a set of them: which key may check which token (RFC 7517).

mod document;
mod jwk;
mod set;

pub use jwk::{Key, Origin, Skipped};
pub use set::{KeySet, KeySetProblem, Selection};
