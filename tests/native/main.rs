//! What the gate promises, natively, with a virtual clock: everything goes through the crate's public interface.
//!
//! Each module reads as one chapter. `world` is the host that they share, `mint` makes every token.

#[path = "../support/mint.rs"]
mod mint;
#[allow(dead_code)] // Made for the fuzz targets, of which one reads shorter paths.
#[path = "../../fuzz/src/readers.rs"]
mod readers;
#[path = "../support/signature_cases.rs"]
mod signature_cases;
mod world;

// By this name the adapter of the host knows it, of which `host_crypto` tries a part.
use jwt_gate::crypto;

mod algorithms;
mod answers;
mod authorization;
mod cadence;
mod config;
mod decisions;
mod discovery;
mod dry_run;
mod effects;
mod encoded_keys;
#[cfg(feature = "cel")]
mod expressions;
mod fetching;
mod forge;
mod host_crypto;
mod imports;
mod introspection;
mod istio;
mod jwt_authn;
mod jwt_verify;
mod leases;
mod moving;
mod outages;
mod prepared;
mod properties;
mod published;
mod readme;
mod remembering;
mod requirements;
mod retries;
mod revocation;
mod seen;
mod services;
mod shadow;
mod sharers;
mod signatures;
mod strict;
mod templates;
mod tenants;
mod threats;
mod unshared;
mod upstream;
mod vectors;
