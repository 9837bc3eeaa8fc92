//! The floor: a filter that does nothing but the host calls without which no filter can check a token. It reads the path, the
//! credentials and the clock, and takes the credentials out of the request.

#![cfg(target_arch = "wasm32")]

use proxy_wasm::hostcalls::{get_current_time, get_map_value_bytes, set_map_value_bytes};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

struct Http;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let field = |name| get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten();
        let read = (field(":path"), field("authorization"), get_current_time());
        // The host's answers are looked at, or the compiler would be free to drop what follows from them.
        let _ = std::hint::black_box(read);
        let _ = set_map_value_bytes(MapType::HttpRequestHeaders, "authorization", None);
        Action::Continue
    }
}
