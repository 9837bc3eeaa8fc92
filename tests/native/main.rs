//! What the gate promises, natively, with a virtual clock: everything goes through the crate's public interface.
//!
//! Each module reads as one chapter. `world` is the host that they share, `mint` makes every token.

#[path = "../support/mint.rs"]
mod mint;
#[path = "../support/signature_cases.rs"]
mod signature_cases;
mod world;

mod algorithms;
mod answers;
mod authorization;
mod config;
mod decisions;
mod effects;
mod encoded_keys;
mod fetching;
mod forge;
mod imports;
mod istio;
mod jwt_authn;
mod jwt_verify;
mod moving;
mod outages;
mod properties;
mod published;
mod readme;
mod remembering;
mod requirements;
mod revocation;
mod signatures;
mod strict;
mod threats;
mod vectors;
