//! `semantics: jwt_authn`: Envoy's own filter, decision by decision, for whoever moves a configuration here and must be sure that
//! nothing changes.
//!
//! It is a model of that filter and not a setting of [`policy`](crate::policy), since the two differ in more than their checks:
//! Envoy reads claims before it checks the signature and says so in its answers, edits the request while it goes through a
//! requirement, and stops where an answer is found. What both share is what decides whether a signature holds: no way leads to
//! "allow" without a [`Verified`](crate::jwt_verify::Verified), but for the ways where Envoy asks no token of the request.
//!
//! A differential test holds the room against a real Envoy.

mod authenticate;
mod extract;
mod filter;
mod headers;
mod outputs;
mod provider;
mod query;
mod requirement;

pub use extract::Extractor;
pub use filter::{what_is_said, Filter};
pub use outputs::Outputs;
pub use provider::{Keys, Provider};
pub use requirement::{Leaf, Requirement};
