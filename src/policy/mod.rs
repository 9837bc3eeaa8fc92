//! Who may pass: which provider's tokens a route asks for, what their claims must say, which are revoked, what the caller is
//! allowed to do, and what the service behind learns of it.

mod admission;
mod authenticate;
mod authorization;
mod challenges;
mod decide;
mod documents;
mod effects;
mod enforcement;
#[cfg(feature = "cel")]
mod expression;
#[cfg(not(feature = "cel"))]
#[path = "no_expression.rs"]
mod expression;
mod introspection;
mod issuer;
mod kind;
mod protected_resource;
mod provider;
mod requirement;
mod responses;
mod revocation;
mod service;
mod services;
mod template;
mod verifier;

pub use authenticate::{Failure, Principal};
pub use authorization::{Authorize, ClaimCondition, ClaimTest, ScopeTest, Wanted};
pub use challenges::Challenges;
pub use decide::{Decision, FilterStateRules, Pass, Policy, Rule};
pub use documents::{DocumentId, Documents, Want};
pub use enforcement::Enforcement;
pub use expression::Expression;
pub use introspection::{form_encoded, Introspection};
pub use issuer::IssuerPattern;
pub use kind::{Kind, MediaType};
pub use protected_resource::ProtectedResource;
pub use provider::{ClaimEncoding, ClaimHeader, Keys, Metadata, PayloadHeader, Provider, Revocation, TextHeader};
pub use requirement::{Leaf, Required, Requirement};
pub use responses::Responses;
pub use revocation::RevocationList;
pub use service::{AuthorizationService, JsonPart, JsonTemplate, ServiceForm};
pub use services::{Finding, Key, Protocol, Question, Service, Services};
pub use template::{Template, Variable};
pub use verifier::Verifier;
