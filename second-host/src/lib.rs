//! A proxy that is not Envoy, around the built module: `proxy-wasm-host` runs it by wasmtime, and what a proxy brings to that (the
//! streams, the upstreams, the clock, the data that VMs share) is here, with faults at will.
//!
//! Its own crate and lockfile: a compiler for WebAssembly is no dependency of the gate's.

mod faults;
mod platform;
mod proxy;
mod services;
mod streams;

pub use faults::{Call, Faults};
pub use platform::{module_bytes, Platform};
pub use proxy::{Fetch, Outcome, Proxy};
pub use streams::Foreign;
