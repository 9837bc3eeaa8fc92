//! The proxy-wasm ABI (0.2.1) as the gate needs it, and all unsafe code there is: the gate's own crate forbids any.
//!
//! Not the usual SDK, for four reasons, each of them a measured one:
//!
//! - It exports every callback there is, and a host calls what is exported: for each request seven calls into the VM, of which a
//!   gate needs three. The other four cost more than the check of a known token.
//! - It makes two allocations of each header, and traps at a name that is not UTF-8. Read in place, the same bytes cost next to
//!   nothing.
//! - Its answers have no details, so that no access log could say why a request was refused.
//! - It traps where a host refuses a property, which a host without filter state does.

#![cfg(target_arch = "wasm32")]
#![warn(missing_docs)]

mod callbacks;
mod calls;
mod wire;

pub use callbacks::{install, Action, Module};
pub use calls::*;
