//! Envoy's `jwt_authn`, as it is in Envoy 1.40: for those who bring its configuration and want its answers, not stricter ones.
//!
//! This half models the JWT library beneath the filter (`source/common/jwt`): [`Token`] reads, [`KeySet`] holds the keys,
//! [`verify()`] is the one function that makes a [`Verified`], and each answers with the library's [`Status`]. It is as lenient
//! as the library except where leniency would let a forged token pass; each exception is named where it is made
//! ([`Unusable`], [`verify()`]).

mod audience;
pub mod base64;
pub mod json;
mod jwk;
mod key;
mod key_set;
mod status;
mod token;
mod verify;

pub use audience::CheckAudience;
pub use key::{Key, KeyType, Unusable};
pub use key_set::KeySet;
pub use status::Status;
pub use token::Token;
pub use verify::{verify, Verified};
