//! The JOSE RFCs and nothing else: the shape of a token, its header, its signature, and only then its claims.
//!
//! [`verify()`] makes a [`Verified`] of a token; claims are parsed after the signature holds, never before, so that nothing decides
//! on what an attacker wrote. [`introspected()`] makes one of what the issuer itself answered about a token. Nothing else does.

mod claims;
mod compact;
mod header;
mod verify;

pub use claims::{numeric_date, ClaimPath, Claims};
pub use compact::CompactJws;
pub use header::JoseHeader;
pub use verify::{introspected, verify, Verified};
