//! Who may pass: which provider's tokens a route asks for, what their claims must say, which are revoked, what the caller is
//! allowed to do, and what the service behind learns of it.

mod admission;
mod authenticate;
mod authorization;
mod decide;
mod documents;
mod effects;
mod kind;
mod protected_resource;
mod provider;
mod requirement;
mod responses;
mod revocation;
mod verifier;

pub use authenticate::{Failure, Principal};
pub use authorization::{Authorize, ClaimCondition, ClaimTest, ScopeTest};
pub use decide::{Decision, FilterStateRules, Pass, Policy, Rule};
pub use documents::{DocumentId, Documents};
pub use kind::{Kind, MediaType};
pub use protected_resource::ProtectedResource;
pub use provider::{ClaimEncoding, ClaimHeader, Keys, Metadata, PayloadHeader, Provider, Revocation};
pub use requirement::{Leaf, Requirement};
pub use responses::Responses;
pub use revocation::RevocationList;
pub use verifier::Verifier;
