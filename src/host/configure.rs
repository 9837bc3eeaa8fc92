//! From the bytes of a configuration to a gate at work.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use super::crypto::{HostCrypto, HostOrNobody};
use super::driver::Driver;
use super::hostcalls;
use super::metrics::Metrics;
use crate::cache::TokenCache;
use crate::config::{Config, Crypto};
use crate::crypto::{CryptoProvider, Portable};
use crate::gate::{Event, Gate};
use crate::limits::TICK;
use crate::log::Level;
use crate::policy::Verifier;

fn refuse(problem: &str) {
    hostcalls::log(Level::Error, &format!("jwt-gate: configuration refused: {problem}"));
}

/// Bits that nobody outside this VM knows: the host seeds the hasher's keys from its random numbers.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The gate that the configuration of the root context asks for, started; `None`, with a line in the log, if it is refused.
pub fn configure(root: u32, metrics: &Rc<Metrics>) -> Option<Rc<Driver>> {
    let config = match Config::parse_in(&hostcalls::configuration(), &|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => {
            refuse(&error.to_string());
            return None;
        }
    };
    let can_wait = hostcalls::can_resume_from_root();
    // The hosts that can resume are those where the call of a missing function is an error and no trap.
    if config.semantics.clears_route_cache() && !can_wait {
        refuse("clear_route_cache: this host has no function of that name");
        return None;
    }
    if let Some(field) = config.semantics.writes_filter_state().filter(|_| !can_wait) {
        let message = format!("jwt-gate: {field}: without effect where the host has no filter state");
        hostcalls::log(Level::Warn, &message);
    }
    let host = if can_wait && config.crypto != Crypto::Portable { HostCrypto::probe() } else { None };
    let mut crypto: Vec<Box<dyn CryptoProvider>> = vec![Box::new(Portable)];
    match host {
        Some(host) if config.crypto == Crypto::Host => crypto.insert(0, Box::new(HostOrNobody(host))),
        Some(host) => crypto.insert(0, Box::new(host)),
        None if config.crypto == Crypto::Host => {
            refuse("crypto: this host has no \"verify_signature\": \"auto\" or \"portable\" would do");
            return None;
        }
        None => {}
    }
    let documents = config.documents(random());
    let shared_names = documents.ids().into_iter().map(|id| (id, documents.shared_name(id).to_owned())).collect();
    let verifier = Verifier::new(crypto, TokenCache::new(config.token_cache, (random(), random())));
    if let Some(warning) = config.semantics.warning() {
        hostcalls::log(Level::Warn, &["jwt-gate: ", &warning].concat());
    }
    let mut gate = Gate::new(config.semantics, documents, verifier, can_wait);
    if let Some(shadow) = config.shadow {
        gate.cast_shadow(shadow);
    }
    let driver = Driver::new(root, gate, shared_names, &config.stat_prefix, metrics);
    driver.on_event(Event::Start);
    hostcalls::tick_every(TICK);
    Some(Rc::new(driver))
}
