//! The JWT library inside Envoy (`source/common/jwt`, once google/jwt_verify_lib), as it is in Envoy 1.40: what `semantics: jwt_authn`
//! reads tokens and keys with.
//!
//! [`Token`] reads, [`KeySet`] holds the keys, [`verify()`] is the one function that makes a [`Verified`], and each answers with
//! the library's [`Status`]. It is as lenient as the library except where leniency would let a forged token pass; each exception
//! is named where it is made ([`Unusable`], [`verify()`]).

mod audience;
pub mod base64;
mod header_value;
pub mod json;
pub mod json_text;
mod jwk;
mod key;
mod key_set;
mod status;
mod token;
mod verify;

pub use audience::CheckAudience;
pub use header_value::header_value;
pub use key::{Key, KeyType, Unusable};
pub use key_set::KeySet;
pub use status::Status;
pub use token::Token;
pub use verify::{verify, Verified};
