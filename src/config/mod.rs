//! The configuration: JSON, or a `Struct`, as the host hands it over, in the vocabulary of Envoy's `jwt_authn` v3, compiled into the types of the
//! rooms below. No room below imports this one.
//!
//! Members are read by cursors that know their path, not by serde mirrors: an unknown name is refused with the path and the
//! nearest known name, both spellings of protobuf JSON are taken (`snake_case` and `lowerCamelCase`), and `null` is an absence.
//! [`FIELDS`] names every field once, for the reader and for the README.

mod authorize;
mod cursor;
mod encoding;
mod error;
mod fields;
mod provider;
mod requirement;
mod rule;
mod values;
mod verifier;

use std::fmt;

use crate::cache::CacheLimits;
use crate::policy::{Documents, Policy};
use crate::remote::{Document, Source};

use cursor::Cursor;
pub use error::ConfigError;
pub use fields::{Field, FIELDS};
pub use verifier::Crypto;

/// A configuration that holds together.
#[derive(Clone)]
pub struct Config {
    /// What decides.
    pub policy: Policy,
    /// `crypto`.
    pub crypto: Crypto,
    /// `token_cache`.
    pub token_cache: CacheLimits,
    key_sets: Vec<Source>,
    revocations: Vec<Source>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The first field that cannot be as it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let value = encoding::decode(bytes).map_err(|problem| ConfigError::new("configuration", problem))?;
        let root = Cursor::root(&value).object("configuration")?;
        let mut sources = provider::Sources::default();
        let providers = provider::all(&root, &mut sources)?;
        let fallback = requirement::any_of_all(&providers);
        let (routes, rules) = rule::all(&root, &providers)?;
        let mut output_headers: Vec<_> =
            providers.iter().flat_map(|provider| provider.output_headers()).cloned().collect();
        output_headers.sort();
        output_headers.dedup();
        let bypass_cors_preflight = root.flag("bypass_cors_preflight", false)?;
        let policy = Policy { providers, routes, rules, fallback, bypass_cors_preflight, output_headers };
        let (crypto, token_cache) = (verifier::crypto(&root)?, verifier::cache(&root)?);
        Ok(Self { policy, crypto, token_cache, key_sets: sources.key_sets, revocations: sources.revocations })
    }

    /// The documents that it fetches, none of them fetched yet. `seed` must differ from VM to VM.
    pub fn documents(&self, seed: u64) -> Documents {
        let mut seeds = fastrand::Rng::with_seed(seed);
        Documents {
            key_sets: self.key_sets.iter().map(|source| Document::new(source.clone(), seeds.u64(..))).collect(),
            revocations: self.revocations.iter().map(|source| Document::new(source.clone(), seeds.u64(..))).collect(),
        }
    }
}

/// Prints its shape alone: a configuration may hold secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({} providers, {} rules)", self.policy.providers.len(), self.policy.rules.len())
    }
}
