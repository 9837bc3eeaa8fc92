//! What the host calls.
//!
//! Only what is exported is called, and each call costs: what the gate has no use for is not there. Some hosts
//! (`ngx_wasm_module`) call what they did not find: for them the feature `every-callback` exports the rest, which does nothing.

use std::cell::OnceCell;

/// `proxy_action_t`: what becomes of a request after its callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// It goes on.
    Continue = 0,
    /// It stays, until it is resumed or answered.
    Pause = 1,
}

/// One VM's side of the ABI. Contexts go by the host's numbers. While a callback runs, the effective context is the one it is for.
pub trait Module {
    /// A root context: one filter configuration.
    fn create_root(&self, root: u32);
    /// Its configuration is there; whether it will do.
    fn configure(&self, root: u32) -> bool;
    /// Its tick.
    fn tick(&self, root: u32);
    /// A request under the configuration of `root`.
    fn create_request(&self, request: u32, root: u32);
    /// The head of that request is there.
    fn request_headers(&self, request: u32) -> Action;
    /// The trailers of that request are there, behind its body; at least one.
    fn request_trailers(&self, request: u32) -> Action;
    /// A call that this context dispatched is answered, with so many headers, 0 for a failure, and so many bytes of body.
    fn call_response(&self, context: u32, token: u32, headers: usize, body: usize);
    /// A context, of either kind, is over.
    fn delete(&self, context: u32);
}

thread_local! {
    static MODULE: OnceCell<Box<dyn Module>> = const { OnceCell::new() };
}

/// Takes what answers the host. For [`main`](crate::main).
pub fn install(module: Box<dyn Module>) {
    // The host initializes a VM once; a second module would be dropped.
    MODULE.with(|installed| drop(installed.set(module)));
}

/// The entry of the module: what answers the host, made when the VM starts.
#[macro_export]
macro_rules! main {
    ($module:expr) => {
        extern "C" {
            fn __wasm_call_ctors();
        }

        #[no_mangle]
        extern "C" fn _initialize() {
            // SAFETY: the host calls this once, before anything else: so WASI says of reactors.
            unsafe {
                __wasm_call_ctors();
            }
            $crate::install(Box::new($module));
        }
    };
}

/// What a host that calls before `_initialize` gets is what an absent filter would give: nothing passes.
fn with<T>(otherwise: T, call: impl FnOnce(&dyn Module) -> T) -> T {
    MODULE.with(|module| module.get().map_or(otherwise, |module| call(module.as_ref())))
}

#[no_mangle]
extern "C" fn proxy_abi_version_0_2_1() {}

#[no_mangle]
extern "C" fn proxy_on_vm_start(_: u32, _: usize) -> bool {
    true
}

#[no_mangle]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with((), |module| if root == 0 { module.create_root(context) } else { module.create_request(context, root) });
}

#[no_mangle]
extern "C" fn proxy_on_configure(root: u32, _: usize) -> bool {
    with(false, |module| module.configure(root))
}

#[no_mangle]
extern "C" fn proxy_on_tick(root: u32) {
    with((), |module| module.tick(root));
}

#[no_mangle]
extern "C" fn proxy_on_request_headers(request: u32, _: usize, _: bool) -> Action {
    with(Action::Pause, |module| module.request_headers(request))
}

#[no_mangle]
extern "C" fn proxy_on_request_trailers(request: u32, trailers: usize) -> Action {
    if trailers == 0 {
        // A host has no map to show then.
        return Action::Continue;
    }
    with(Action::Pause, |module| module.request_trailers(request))
}

#[no_mangle]
extern "C" fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, body: usize, _: usize) {
    with((), |module| module.call_response(context, token, headers, body));
}

#[no_mangle]
extern "C" fn proxy_on_delete(context: u32) {
    with((), |module| module.delete(context));
}

/// What nothing is to be done at.
#[cfg(feature = "every-callback")]
mod nothing {
    use super::Action;

    #[no_mangle]
    extern "C" fn proxy_on_request_body(_: u32, _: usize, _: bool) -> Action {
        Action::Continue
    }

    #[no_mangle]
    extern "C" fn proxy_on_response_headers(_: u32, _: usize, _: bool) -> Action {
        Action::Continue
    }

    #[no_mangle]
    extern "C" fn proxy_on_response_body(_: u32, _: usize, _: bool) -> Action {
        Action::Continue
    }

    #[no_mangle]
    extern "C" fn proxy_on_response_trailers(_: u32, _: usize) -> Action {
        Action::Continue
    }

    #[no_mangle]
    extern "C" fn proxy_on_done(_: u32) -> bool {
        true
    }

    #[no_mangle]
    extern "C" fn proxy_on_log(_: u32) {}
}
