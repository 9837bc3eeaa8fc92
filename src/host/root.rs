//! The root context: one per configuration and VM. Reads the configuration, ticks, fetches.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::crypto::HostCrypto;
use super::driver::Driver;
use super::hostcalls;
use super::http::Http;
use crate::cache::TokenCache;
use crate::config::{Config, Crypto};
use crate::crypto::{CryptoProvider, Portable};
use crate::gate::{Event, Gate};
use crate::limits::TICK;
use crate::log::Level;
use crate::policy::Verifier;

/// One root context.
pub struct Root {
    id: u32,
    driver: Option<Rc<Driver>>,
}

impl Root {
    /// A root context that is not configured yet.
    pub fn new(id: u32) -> Self {
        Self { id, driver: None }
    }
}

fn refuse(problem: &str) {
    hostcalls::log(Level::Error, &format!("jwt-gate: configuration refused: {problem}"));
}

/// Bits that nobody outside this VM knows: the host seeds the hasher's keys from its random numbers.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let mut config = match Config::parse_in(&hostcalls::configuration(), &|name| std::env::var(name).ok()) {
            Ok(config) => config,
            Err(error) => {
                refuse(&error.to_string());
                return false;
            }
        };
        let can_wait = hostcalls::can_resume_from_root();
        if !can_wait {
            config.semantics = match config.semantics.without_filter_state() {
                Ok(semantics) => semantics,
                Err(field) => {
                    refuse(&format!("{field}: this host has no filter state"));
                    return false;
                }
            };
        }
        // The hosts that can resume are those where the call of a missing function is an error and no trap.
        let host = if can_wait && config.crypto != Crypto::Portable { HostCrypto::probe() } else { None };
        let mut crypto: Vec<Box<dyn CryptoProvider>> = vec![Box::new(Portable)];
        match host {
            Some(host) => crypto.insert(0, Box::new(host)),
            None if config.crypto == Crypto::Host => {
                refuse("crypto: this host has no \"verify_signature\": \"auto\" or \"portable\" would do");
                return false;
            }
            None => {}
        }
        let documents = config.documents(random());
        let shared_names = documents.ids().into_iter().map(|id| (id, documents.shared_name(id))).collect();
        let verifier = Verifier::new(crypto, TokenCache::new(config.token_cache, (random(), random())));
        let gate = Gate::new(config.semantics, documents, verifier, can_wait);
        let driver = Driver::new(self.id, gate, shared_names, &config.stat_prefix);
        driver.on_event(Event::Start);
        self.driver = Some(Rc::new(driver));
        hostcalls::tick_every(TICK);
        true
    }

    fn on_tick(&mut self) {
        if let Some(driver) = &self.driver {
            driver.on_event(Event::Tick);
            driver.flush_counters();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, self.driver.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        if let Some(driver) = &self.driver {
            driver.flush_counters();
        }
        true
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        if let Some(driver) = &self.driver {
            driver.on_answer(token, headers, body, None);
        }
    }
}
