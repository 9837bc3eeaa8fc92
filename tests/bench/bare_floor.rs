//! The floor without an SDK: the callbacks that the gate exports, the host calls that it makes for a known token, and nothing else.
//! What the gate takes above this is its own.

#![cfg(target_arch = "wasm32")]

use jwt_gate_abi::{header_map, main, now, remove_field, Action, Map, Module};

main!(Floor);

struct Floor;

impl Module for Floor {
    fn create_root(&self, _: u32) {}

    fn configure(&self, _: u32) -> bool {
        true
    }

    fn tick(&self, _: u32) {}

    fn create_request(&self, _: u32, _: u32) {}

    fn request_headers(&self, _: u32) -> Action {
        // The host's answers are looked at, or the compiler would be free to drop what follows from them.
        let read = (header_map(Map::RequestHeaders), now());
        let _ = std::hint::black_box(read);
        let _ = remove_field(Map::RequestHeaders, "authorization");
        Action::Continue
    }

    fn request_trailers(&self, _: u32) -> Action {
        Action::Continue
    }

    fn call_response(&self, _: u32, _: u32, _: usize, _: usize) {}

    fn delete(&self, _: u32) {}
}
