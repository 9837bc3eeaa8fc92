//! What the targets share. Each target is one file in `fuzz_targets` and asserts the properties that it names.
//!
//! What the gate's answers are held against is written here once more, by code that shares nothing with the gate's.

mod base64url;
mod claims;
mod configurations;
mod json;
mod readers;
mod rsa_case;
mod script;

pub use base64url::{decode, encode};
pub use claims::{date, verify, Claims, Signatures};
pub use configurations::{configuration, BASES};
pub use json::Json;
pub use readers::{readings, MOST_BYTES};
pub use rsa_case::{flip, padded, Case, Hash, Holds};
pub use script::{lines, word};
