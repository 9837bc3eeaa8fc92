//! A filter that checks one signature for each request, by the host's cryptography as the gate calls it, and says what that said:
//! published vectors are no tokens, so the gate itself cannot be asked about them.

#![cfg(target_arch = "wasm32")]
#![allow(dead_code, unused_imports)] // Of the rooms below, only this much is used.

#[path = "../../src/crypto/mod.rs"]
mod crypto;
#[path = "../../src/request/head.rs"]
mod head;
#[path = "../../src/host/crypto.rs"]
mod host_crypto;
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/redact.rs"]
mod redact;

use crypto::{Alg, CryptoProvider, PublicKey};
use head::RequestHead;
use host_crypto::HostCrypto;
use jwt_gate_abi::{self as abi, Action, Map, Module};

/// What the room of the host has in the gate.
mod hostcalls {
    pub fn call_foreign(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        jwt_gate_abi::call_foreign_function(name, arguments)
    }
}

abi::main!(Signatures);

struct Signatures;

impl Module for Signatures {
    fn request_trailers(&self, _: u32) -> Action {
        Action::Continue
    }

    fn create_root(&self, _: u32) {}

    fn configure(&self, _: u32) -> bool {
        true
    }

    fn tick(&self, _: u32) {}

    fn create_request(&self, _: u32, _: u32) {}

    fn request_headers(&self, _: u32) -> Action {
        abi::send_local_response(200, "", &[], verdict().unwrap_or("no question"));
        Action::Pause
    }

    fn call_response(&self, _: u32, _: u32, _: usize, _: usize) {}

    fn delete(&self, _: u32) {}
}

/// `None` for a request that is no question.
fn verdict() -> Option<&'static str> {
    let head = RequestHead::from_map(abi::header_map(Map::RequestHeaders)?)?;
    let alg = Alg::from_name(std::str::from_utf8(head.value("x-alg")?).ok()?)?;
    let [key, message, signature] = ["x-key", "x-message", "x-signature"].map(|name| hex(head.value(name)?));
    let Ok(key) = PublicKey::from_spki(&key?) else { return Some("no key") };
    Some(match HostCrypto::default().verify(&key, alg, &message?, &signature?) {
        Some(true) => "holds",
        Some(false) => "refused",
        None => "no answer",
    })
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.chunks(2).map(byte).collect()
}
