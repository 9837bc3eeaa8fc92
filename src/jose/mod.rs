//! The JOSE RFCs and nothing else: the shape of a token, its header, its signature, and only then its claims.
//!
//! [`verify()`] is the one function that makes a [`Verified`]; claims are parsed after the signature holds, never before, so
//! that nothing decides on what an attacker wrote.

mod claims;
mod compact;
mod header;
mod verify;

pub use claims::{numeric_date, ClaimPath, Claims};
pub use compact::CompactJws;
pub use header::JoseHeader;
pub use verify::{verify, Verified};
