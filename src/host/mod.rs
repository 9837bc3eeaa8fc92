//! The proxy-wasm adapter: turns the host's callbacks into events, and effects into host calls. It decides nothing about a token.
//!
//! How hosts really behave binds this room: a call is dispatched in the context that its answer is to come back to, which is the
//! root context wherever that can resume a parked request; shared data is read, compared and swapped; headers are bytes.

mod configure;
mod contexts;
mod crypto;
mod driver;
mod hostcalls;
mod metrics;

jwt_gate_abi::main!(contexts::Contexts::default());
