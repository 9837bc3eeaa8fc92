//! The proxy-wasm adapter: turns the host's callbacks into events, and effects into host calls. It decides nothing about a token.
//!
//! How hosts really behave binds this room: a call is dispatched from the root context's tick alone, since its answer comes back to
//! the context that dispatched it; a request is parked only where the host can resume it from the root context; shared data is
//! read, compared and swapped; headers are bytes.

mod crypto;
mod driver;
mod hostcalls;
mod http;
mod root;

use proxy_wasm::traits::RootContext;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
