//! The configuration: JSON, or a `Struct`, as the host hands it over, in the vocabulary of Envoy's `jwt_authn` v3 or of Istio's `RequestAuthentication`, compiled into the types of the
//! rooms below. No room below imports this one.
//!
//! Members are read by cursors that know their path, not by serde mirrors: an unknown name is refused with the path and the
//! nearest known name, both spellings of protobuf JSON are taken (`snake_case` and `lowerCamelCase`), and `null` is an absence.
//! [`FIELDS`] names every field once, for the reader and for the README.

mod access_log;
mod authorize;
mod cursor;
mod encoding;
mod error;
mod fields;
mod introspection;
mod istio;
mod jwt_authn;
mod protected_resource;
mod provider;
mod re2;
mod requirement;
mod responses;
mod route_match;
mod rule;
mod service;
mod shadow;
mod source;
mod string_matcher;
mod template;
mod token_outputs;
mod values;
mod verifier;

use std::fmt;

use crate::cache::CacheLimits;
use crate::gate::Semantics;
use crate::policy::{Challenges, Documents, Policy, Service, Services};
use crate::remote::{Document, Source};
use crate::verdict::{HeaderName, Prepared, Reason, Room};

use cursor::{Cursor, Object};
pub use error::ConfigError;
pub use fields::{Field, FIELDS};
use values::{one_of, Reading};
pub use verifier::Crypto;

/// A configuration that holds together.
#[derive(Clone)]
pub struct Config {
    /// What decides.
    pub semantics: Semantics,
    /// `shadow`: what decides beside it, to no effect.
    pub shadow: Option<Semantics>,
    /// `crypto`.
    pub crypto: Crypto,
    /// `token_cache`.
    pub token_cache: CacheLimits,
    /// `stat_prefix`: begins the names of counters and gauges.
    pub stat_prefix: String,
    key_sets: Vec<Source>,
    jwt_key_sets: Vec<Source>,
    revocations: Vec<Source>,
    services: Vec<Service>,
}

impl Config {
    /// Reads a configuration that names no variable of the environment.
    ///
    /// # Errors
    /// The first field that cannot be as it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::parse_in(bytes, &|_| None)
    }

    /// Reads a configuration in an environment of variables.
    ///
    /// # Errors
    /// The first field that cannot be as it is.
    pub fn parse_in(bytes: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let value = encoding::decode(bytes).map_err(|problem| ConfigError::new("configuration", problem))?;
        let root = Cursor::root(&value).object("configuration")?;
        let (key_sets, jwt_key_sets, revocations, services) = Default::default();
        let mut sources =
            source::Sources { key_sets, jwt_key_sets, revocations, services, environment, of_first: [0; 3] };
        let reading = reading(&root)?;
        let semantics = semantics(&root, reading, &mut sources)?;
        let shadow = root.get("shadow").map(|cursor| shadow::read(cursor, &semantics, &mut sources)).transpose()?;
        let (crypto, token_cache) = (verifier::crypto(&root)?, verifier::cache(&root, reading)?);
        let stat_prefix = root.get("stat_prefix").map_or(Ok(""), Cursor::any_text)?.to_owned();
        let source::Sources { key_sets, jwt_key_sets, revocations, services, .. } = sources;
        Ok(Self { semantics, shadow, crypto, token_cache, stat_prefix, key_sets, jwt_key_sets, revocations, services })
    }

    /// The documents that it fetches, none of them fetched yet, and the services that it asks. `seed` must differ from VM to VM.
    pub fn documents(&self, seed: u64) -> Documents {
        let mut seeds = fastrand::Rng::with_seed(seed);
        Documents {
            key_sets: self.key_sets.iter().map(|source| Document::new(source.clone(), seeds.u64(..))).collect(),
            jwt_key_sets: self.jwt_key_sets.iter().map(|source| Document::new(source.clone(), seeds.u64(..))).collect(),
            revocations: self.revocations.iter().map(|source| Document::new(source.clone(), seeds.u64(..))).collect(),
            services: Services::new(&self.services, (seeds.u64(..), seeds.u64(..))),
        }
    }
}

/// What decides: by its own semantics, or by Envoy's.
fn semantics(root: &Object<'_>, reading: Reading, sources: &mut source::Sources<'_>) -> Result<Semantics, ConfigError> {
    let semantics = match (root.get("jwt_rules"), reading) {
        (Some(rules), _) => Semantics::JwtAuthn(Box::new(istio::read(root, rules, sources)?)),
        (None, Reading::Gate) => Semantics::Gate(Box::new(policy(root, sources)?)),
        (None, Reading::JwtAuthn) => Semantics::JwtAuthn(Box::new(jwt_authn::read(root, sources)?)),
    };
    Ok(semantics)
}

fn reading(root: &Object<'_>) -> Result<Reading, ConfigError> {
    if let Some(kind) = root.get("@type") {
        if !kind.text()?.ends_with("/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication") {
            return Err(kind.error("the one message that can stand here is JwtAuthentication"));
        }
    }
    let semantics =
        root.get("semantics").map(|cursor| one_of(cursor, "choice", &["jwt_gate", "jwt_authn"])).transpose()?;
    Ok(if semantics == Some(1) { Reading::JwtAuthn } else { Reading::Gate })
}

fn policy(root: &Object<'_>, sources: &mut source::Sources<'_>) -> Result<Policy, ConfigError> {
    let providers = provider::all(root, sources)?;
    let fallback = requirement::any_of_all(&providers);
    let named = rule::Named::read(root, |cursor| requirement::read(cursor, &providers))?;
    let (routes, rules, enforcement) = rule::all(root, &named, &providers, sources)?;
    let filter_state_rules = rule::filter_state(root, &providers)?;
    let mut output_headers = Vec::new();
    // Where a client sends its tokens it has something to say of its own, on routes that ask no service.
    let takes_tokens = |header: &&HeaderName| {
        providers
            .iter()
            .flat_map(|provider| &provider.locations)
            .any(|location| template::holds_tokens(location, header))
    };
    let of_services =
        sources.services.iter().flat_map(Service::response_headers).filter(|header| !takes_tokens(header));
    for header in providers.iter().flat_map(|provider| provider.output_headers()).chain(of_services) {
        if let Err(place) = output_headers.binary_search(header) {
            output_headers.insert(place, header.clone());
        }
    }
    let bypass_cors_preflight = root.flag("bypass_cors_preflight", false)?;
    let strip_failure_response = root.flag("strip_failure_response", false)?;
    let is_second = |name: &str, choices: &[&str]| {
        root.get(name).map_or(Ok(false), |cursor| Ok(one_of(cursor, "choice", choices)? == 1))
    };
    let allow_ambiguous_paths = is_second("ambiguous_paths", &["deny", "allow"])?;
    let ignore_bad_beside_good = is_second("bad_token_beside_good", &["deny", "ignore"])?;
    let statuses = statuses(root)?;
    let access_log = access_log::read(root)?;
    let room = Room::default();
    let responses = responses::read(root, &providers, &room)?;
    let protected_resource = root.get("protected_resource");
    let protected_resource =
        protected_resource.map(|cursor| protected_resource::read(cursor, &providers)).transpose()?.map(Box::new);
    let challenges = Challenges::new(&rules, protected_resource.as_deref());
    Ok(Policy {
        providers,
        routes,
        rules,
        fallback,
        filter_state_rules,
        bypass_cors_preflight,
        strip_failure_response,
        allow_ambiguous_paths,
        ignore_bad_beside_good,
        statuses,
        responses,
        prepared: Prepared::new(&room),
        challenges,
        protected_resource,
        output_headers,
        enforcement,
        access_log,
    })
}

/// Statuses by the codes of the refusals that they belong to.
fn statuses(root: &Object<'_>) -> Result<Vec<(Reason, u16)>, ConfigError> {
    let entries = root.get("statuses").map_or(Ok(Vec::new()), Cursor::entries)?;
    let one = |(code, cursor): (&str, Cursor<'_>)| Ok((responses::reason(code, &cursor)?, responses::status(&cursor)?));
    entries.into_iter().map(one).collect()
}

/// Prints its shape alone: a configuration may hold secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (providers, rules) = match &self.semantics {
            Semantics::Gate(policy) => (policy.providers.len(), policy.rules.len()),
            Semantics::JwtAuthn(filter) => (filter.providers.len(), filter.rules.len()),
        };
        write!(f, "Config({providers} providers, {rules} rules)")
    }
}
